"""Talk to a student in the terminal: the command `chat`.

A line of a solution that does not follow from its first equation is taken back and written again.
What the model writes is untrusted text: control characters are shown, not obeyed.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gguf
import torch
from transformers import DynamicCache

from distillkit.evaluation.choosing import NO_EQUATION, contradiction, sound_part
from distillkit.generation.decoding import likeliest, write
from distillkit.generation.going_back import Draft, GoBack
from distillkit.generation.sampler import next_token_probs
from distillkit.models.chats import Message, chat_text, opened, token_ids
from distillkit.models.downloads import ModelError
from distillkit.models.gguf_writer import SYSTEM_KEY
from distillkit.models.loading import load
from distillkit.pipeline.demo import load_run, read_run, system_of
from distillkit.runtime.progress import printable
from distillkit.runtime.session import start
from distillkit.traces.templates import THINK

TOKENS = 512  # at most, of an answer of a student whose run does not say how long they are
OPEN = THINK.blank.partition("\n")[0]
HOLDS = "(each line follows from its first equation: compare that one with your question)"
BACK = GoBack(  # fewer tries than in the sampler: a person waits
    lambda _, text: sound_part(text) if text.lstrip().startswith(OPEN) else text, tries=8
)
HALT = -1  # no token: it ends a text whose last line does not hold
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
    model, tokenizer, chat: list[Message], limit: int, say: Callable[[str], None]
) -> tuple[str, bool]:
    """Write the answer to a chat, piece by piece to `say`; return the text, and was it cut?

    It is greedy.  If a line does not hold (`BACK`), `_aside` tells it, and the text is drawn from
    there until it is further; the same question gets the same answer.  After all tries the text
    goes on as it is.
    """
    ours = chat[0]["content"] == THINK.instruction  # then we know how its answers begin
    prompt = chat_text(tokenizer, chat, THINK.blank if ours else None)
    prompt_ids, end = token_ids(tokenizer, prompt), tokenizer.eos_token_id
    generator = torch.Generator(model.device).manual_seed(0)
    draft, cache, text = Draft(BACK), DynamicCache(), ""

    def read(ids: list[int]) -> str:
        return opened(prompt) + tokenizer.decode(ids[:-1] if ids[-1:] == [end] else ids)

    def show(now: str) -> None:
        nonlocal text
        say(now[len(text) :])
        text = now

    def choose(logits_V: torch.Tensor) -> int:
        probs_V = next_token_probs(logits_V, BACK.temperature)
        left_V, token = draft.left(probs_V), likeliest(logits_V)
        if left_V is not None:
            token = int(torch.multinomial(left_V, 1, generator=generator))
        draft.add(token, float(probs_V[token]))
        if not (now := read(draft.ids)).endswith(HALF):
            show(now)
        line_ends = token == end or text.endswith("\n")
        return HALT if line_ends and draft.look(0, text, read) else token

    last = HALT
    while last == HALT:
        prompt_T = torch.tensor(prompt_ids + draft.ids, device=model.device)
        last = write(model, prompt_T, choose, limit - len(draft.ids), {end, HALT}, cache)[-1]
        if last == HALT:
            say("" if text.endswith("\n") else "\n")
            wrong = printable(_wrong_line(text))
            _aside(f"(this does not follow: {wrong}; from there it is written again)")
            stays = len(prompt_ids) + len(draft.ids) - 1  # the last token is read again
            cache.crop(stays - cache.get_seq_length())  # negative: so many are forgotten
            text = read(draft.ids)
            say(text.rpartition("\n")[2])  # what stays of the line
    show(read(draft.ids))
    return text, last != end


def _wrong_line(text: str) -> str:
    """Return the first line that does not hold, or what is wrong with the answer."""
    if THINK.parse(text).ok:
        return contradiction(text)
    return text[len(BACK.keep(0, text).rpartition("\n")[0]) :].strip().partition("\n")[0]


def chat(path: Path, once: str = "", ask: Callable[[str], str] = input) -> None:
    """Answer one question, or question after question until Ctrl-D or Ctrl-C.

    Raises ValueError and ModelError: see `open_student`.
    """
    model, tokenizer, system, limit = open_student(path)
    beginning: list[Message] = [{"role": "system", "content": system}] if system else []

    def reply(turns: list[Message]) -> str:
        text, cut = answer(model, tokenizer, turns, limit, _show)
        print(f"\n(cut after {limit} tokens)" if cut else "", flush=True)
        wrong = wrong_in(text)
        if wrong is not None:
            _aside(f"(do not trust it, {wrong})" if wrong else HOLDS)
        return text

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
