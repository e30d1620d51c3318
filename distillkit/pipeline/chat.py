"""Talk to a student in the terminal: the command `chat`.

What the model writes is untrusted text: control characters are shown, not obeyed.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gguf
import torch

from distillkit.evaluation.choosing import NO_EQUATION, contradiction
from distillkit.generation.decoding import drawn, likeliest, write
from distillkit.models.chats import Message, chat_text, opened, token_ids
from distillkit.models.downloads import ModelError
from distillkit.models.gguf_writer import SYSTEM_KEY
from distillkit.models.loading import load
from distillkit.pipeline.demo import load_run, read_run, system_of
from distillkit.runtime.progress import printable
from distillkit.runtime.session import start
from distillkit.traces.templates import THINK

TOKENS = 512  # at most, of an answer of a student whose run does not say how long they are
HOLDS = "(each line follows from its first equation: compare that one with your question)"
NO_SOLUTION = "it is no solution of an equation"
TRIES, TEMPERATURE = 4, 0.7  # to ask again where an answer contradicts itself: several_tries.csv
HALF = "\ufffd"  # how a character is decoded of which some bytes are still to come


def open_student(path: Path) -> tuple[Any, Any, str, int]:
    """Load a run or a .gguf file; returns model, tokenizer, system message, tokens an answer.

    A GGUF file is converted once, in the kit's cache.  Raises ValueError and ModelError.
    """
    if path.suffix.lower() == ".gguf":
        system = gguf_system(path)
        machine = start()
        student = load(str(path), machine.device, machine.dtype, _aside)
        return student.model, student.tokenizer, system, TOKENS
    model, tokenizer, settings = load_run(path, _aside)
    return model, tokenizer, system_of(read_run(path)), settings.get("max_new_tokens", 128)


def gguf_system(path: Path) -> str:
    """Return the system message that `export` wrote into a file, "" if there is none.

    Raises ModelError for a file that is no GGUF or is cut off.
    """
    if not path.is_file():
        raise ModelError(f"{path}: no such file")
    try:
        reader = gguf.GGUFReader(path)
        field = reader.get_field(SYSTEM_KEY)
        return str(bytes(field.parts[field.data[0]]), "utf-8") if field else ""
    except Exception as error:  # whatever numpy says of bytes that are not there
        raise ModelError(f"{path} is no whole GGUF file ({str(error)[:100]})") from error


def answer(
    model,
    tokenizer,
    chat: list[Message],
    limit: int,
    say: Callable[[str], None],
    pick: Callable[[torch.Tensor], int] = likeliest,
) -> tuple[str, bool]:
    """Write the answer to a chat, piece by piece to `say`; return the text, and was it cut?

    `pick` maps logits (V,) to the next token.
    """
    ours = chat[0]["content"] == THINK.instruction  # then we know how its answers begin
    prompt = chat_text(tokenizer, chat, THINK.blank if ours else None)
    prompt_T = torch.tensor(token_ids(tokenizer, prompt), device=model.device)
    ids: list[int] = []
    text, end = "", tokenizer.eos_token_id

    def show(half: bool) -> None:
        nonlocal text
        now = opened(prompt) + tokenizer.decode(ids[:-1] if ids[-1:] == [end] else ids)
        if half or not now.endswith(HALF):
            say(now[len(text) :])
            text = now

    def choose(logits_V: torch.Tensor) -> int:
        ids.append(pick(logits_V))
        show(half=False)
        return ids[-1]

    write(model, prompt_T, choose, limit, {end})
    show(half=True)
    return text, ids[-1] != end


def chat(path: Path, once: str = "", ask: Callable[[str], str] = input) -> None:
    """Answer one question, or question after question until Ctrl-D or Ctrl-C.

    An answer that contradicts itself is told, and then others, drawn at random, until one does not.
    Raises ValueError and ModelError: see `open_student`.
    """
    model, tokenizer, system, limit = open_student(path)
    beginning: list[Message] = [{"role": "system", "content": system}] if system else []

    def told(turns: list[Message], pick: Callable[[torch.Tensor], int]) -> str:
        text, cut = answer(model, tokenizer, turns, limit, _show, pick)
        print(f"\n(cut after {limit} tokens)" if cut else "", flush=True)
        return text

    def reply(turns: list[Message]) -> str:
        first = text = told(turns, likeliest)
        wrong = wrong_in(first)
        if wrong is None:
            return first
        for seed in range(TRIES):  # the same question gets the same answers
            if not wrong:
                break
            _aside(f"(do not trust it, {wrong}; asking again)")
            generator = torch.Generator(model.device).manual_seed(seed)
            text = told(turns, drawn(TEMPERATURE, generator=generator))
            wrong = wrong_in(text)
            if wrong is None:
                wrong = NO_SOLUTION
        _aside(f"(do not trust this one either, {wrong})" if wrong else HOLDS)
        return first if wrong else text

    if once:
        reply([*beginning, {"role": "user", "content": once}])
        return
    print("Ask; /new forgets what was said, Ctrl-D ends.")
    turns = list(beginning)
    try:
        while True:
            question = ask("> ").strip()
            if question == "/new":
                turns = list(beginning)
            elif question:
                turns.append({"role": "user", "content": question})
                turns.append({"role": "assistant", "content": reply(turns)})
    except (EOFError, KeyboardInterrupt):
        print("\nbye")


def wrong_in(text: str) -> str | None:
    """Say what in a solution does not follow from its own first equation, "" if all does.

    None for a text that is no solution of an equation.
    """
    if not THINK.parse(text).ok or (wrong := contradiction(text)) == NO_EQUATION:
        return None
    return printable(f"this does not follow: {wrong}") if wrong else ""


def _aside(words: str) -> None:
    """Say what is no answer where it cannot be taken for one."""
    print(words, file=sys.stderr)


def _show(piece: str) -> None:
    sys.stdout.write(printable(piece))
    sys.stdout.flush()
