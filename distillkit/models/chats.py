"""A chat as a model's own chat template writes it, and as the tokens of its tokenizer.

Templates have ways of their own: some refuse a system message or leave it out, some drop the
thinking of earlier turns, some open the thinking of the next one, some write today's date.  Here
nothing of a chat is lost, and the same chat is the same text on every day.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import cache
from typing import TypedDict

from distillkit.models.downloads import ModelError

TODAY = datetime(2024, 7, 26)  # for templates that write the date: Llama's own day without a clock
PLAIN = "\ue0f1"  # stands inside what looks like a control token and is text (a private-use sign)
TAGS = {"<think>", "</think>", "<answer>", "</answer>"}  # special tokens or not: they are content
OPENED = re.compile(r"(?:<(think|thinking|thoughts?|reasoning|seed:think)>|\[(THINK)\])\s*$")


class Message(TypedDict):
    """One turn of a chat; `role` is "system", "user" or "assistant"."""

    role: str
    content: str


Chat = Sequence[Message]


def as_it_is(chat: Chat) -> list[Message]:
    """Return the chat."""
    return list(chat)


def without_system(chat: Chat) -> list[Message]:
    """Put system messages in front of the question that follows; join turns of the same role."""
    turns: list[Message] = []
    for message in chat:
        role = "user" if message["role"] == "system" else message["role"]
        if turns and turns[-1]["role"] == role:
            content = f"{turns[-1]['content']}\n\n{message['content']}"
            turns[-1] = {"role": role, "content": content}
        else:
            turns.append({"role": role, "content": message["content"]})
    return turns


def in_one_question(chat: Chat) -> list[Message]:
    """Write the turns before the last question, with their answers, into that question."""
    systems = [message for message in chat if message["role"] == "system"]
    text = ""
    for message in chat:
        if message["role"] != "system":
            between = "\n" if message["role"] == "assistant" else "\n\n"
            text += (between if text else "") + message["content"]
    return [*systems, {"role": "user", "content": text}]


def all_in_one(chat: Chat) -> list[Message]:
    """Write everything, the system message too, into one question."""
    return without_system(in_one_question(chat))


FORMS: dict[Callable[[Chat], list[Message]], str] = {  # how a chat is put, and what is said of it
    as_it_is: "",
    without_system: "takes no system message: the instruction goes into the question",
    in_one_question: "loses a part of earlier answers: solved examples go into the question",
    all_in_one: "takes neither a system message nor earlier answers whole: all goes into one "
    "question",
}


def chat_text(tokenizer, chat: Chat, answer: str | None = None) -> str:
    """Render a chat with the model's own chat template, ready for the assistant's turn.

    A chat that the template refuses, or of which it leaves something out, is put in other forms:
    see `FORMS`.  What looks like a control token in a message stays text (`token_ids` knows), and
    a template's date is always `TODAY`, so that a run can go on tomorrow.  `answer` is the answer,
    or its beginning: thinking that the template opens is closed again unless the answer begins
    with it; see `opened` and `unwritten`.
    Raises ModelError without a template, and if it loses something in every form.
    """
    text, _ = _fitting(tokenizer, chat)
    tag = OPENED.search(text)
    if answer is None or not tag or answer.lstrip().startswith(tag[0].rstrip()):
        return text
    close = f"</{tag[1]}>" if tag[1] else f"[/{tag[2]}]"
    return f"{text.rstrip()}\n\n{close}\n\n"


def chat_note(tokenizer) -> str:
    """Say what the tokenizer's chat template cannot do that others can, or ""."""
    chat = [
        {"role": "system", "content": "Solve."},
        {"role": "user", "content": "2x = 4"},
        {"role": "assistant", "content": "<think>\nx = 4/2\n</think>\n<answer>x = 2</answer>"},
        {"role": "user", "content": "3x = 9"},
    ]
    return FORMS[_fitting(tokenizer, chat)[1]]


def opened(prompt: str) -> str:
    """Return the tag at the end of a prompt that opens the thinking, with its line end, or ""."""
    tag = OPENED.search(prompt)
    return tag[0] if tag else ""


def unwritten(prompt: str, answer: str) -> str:
    """Return an answer without the tag that its prompt has written already: it is written once."""
    tag = opened(prompt)
    begun = answer.lstrip()
    if not tag or not begun.startswith(tag.rstrip()):
        return answer
    rest, space = begun[len(tag.rstrip()) :], tag[len(tag.rstrip()) :]
    return rest.removeprefix(space) if rest.startswith(space) else rest.lstrip()


def token_ids(tokenizer, text: str) -> list[int]:
    """Return the tokens of a text; what `chat_text` or `as_text` marked is no control token."""
    first, *rest = text.split(PLAIN)
    ids = list(tokenizer(first, add_special_tokens=False)["input_ids"])
    if rest:
        line_end = tokenizer("\n", add_special_tokens=False)["input_ids"]
    for piece in rest:  # behind a line end, where no tokenizer puts a space in front
        own = tokenizer("\n" + piece, add_special_tokens=False)["input_ids"]
        if own[: len(line_end)] == line_end:
            own = own[len(line_end) :]
        else:
            own = tokenizer(piece, add_special_tokens=False)["input_ids"]
        ids += own
    return ids


def as_text(tokenizer, content: str) -> str:
    """Mark what looks like a control token in a person's text, so that it is read as text.

    Control tokens are the special ones, and the added ones that the chat template names; the tags
    of thinking and answer are content.
    """
    template = str(getattr(tokenizer, "chat_template", None) or "")
    added = getattr(tokenizer, "added_tokens_decoder", {}).values()
    found = {token.content for token in added
             if token.special or (token.content.strip() and token.content in template)}  # fmt: skip
    control = {mark for mark in found - TAGS if len(mark) > 1 and mark in content}
    while present := [mark for mark in sorted(control, key=len, reverse=True) if mark in content]:
        content = content.replace(present[0], present[0][0] + PLAIN + present[0][1:])
    return content


def _fitting(tokenizer, chat: Chat) -> tuple[str, Callable]:
    """Return the text of the first form of a chat of which nothing is lost, and that form."""
    if not getattr(tokenizer, "chat_template", None):
        raise ModelError(
            "this model has no chat template: take the one that was trained for chats, its name "
            "often ends in -Instruct or -it"
        )
    chat = [{**turn, "content": as_text(tokenizer, turn["content"])} for turn in chat]
    reasons: list[str] = []
    for form in FORMS:
        put = form(chat)
        try:
            text = _rendered(tokenizer, put)
        except Exception as error:  # templates are programs of others, in a sandbox
            reasons.append(str(error)[:100])
            continue
        if _holds(text, put):
            return text, form
        reasons.append("a part is left out")
    raise ModelError(
        f"the chat template of {getattr(tokenizer, 'name_or_path', '') or 'this model'} does not "
        f"write this chat in any form ({'; '.join(dict.fromkeys(reasons))}): take another model"
    )


def _rendered(tokenizer, chat: Chat) -> str:
    fixed = {}
    if "strftime_now" in str(tokenizer.chat_template):
        fixed["chat_template"] = _stopped_clock() + tokenizer.get_chat_template()
    return tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True, **fixed)


@cache
def _stopped_clock() -> str:
    """Return a macro that takes the place of a chat template's function `strftime_now`.

    transformers gives a template texts and numbers only, no other clock.
    """
    known = {f"%{code}": TODAY.strftime(f"%{code}") for code in "aAbBcdfGHIjmMpSuUVwWxXyYzZ"}
    known |= {
        f"%-{code[1]}": word.lstrip("0") or "0" for code, word in known.items() if word.isdecimal()
    }  # Windows has no such codes, nor these:
    known |= {"%F": f"{TODAY:%Y-%m-%d}", "%D": f"{TODAY:%m/%d/%y}", "%T": f"{TODAY:%H:%M:%S}",
              "%R": f"{TODAY:%H:%M}", "%e": f"{TODAY.day:2}", "%h": f"{TODAY:%b}"}  # fmt: skip
    chain = "".join(f"|replace({code!r}, {word!r})" for code, word in known.items())
    return f"{{% macro strftime_now(form) %}}{{{{ form{chain} }}}}{{% endmacro %}}\n"


def _holds(text: str, chat: Chat) -> bool:
    """Say whether all messages stand in a text, in their order; a system message may be anywhere.

    White space does not count: templates strip it.
    """
    text, at = _bare(text), 0
    for message in chat:
        content = _bare(message["content"])
        found = text.find(content, 0 if message["role"] == "system" else at)
        if found < 0:
            return False
        if message["role"] != "system":
            at = found + len(content)
    return True


def _bare(text: str) -> str:
    return "".join(text.replace(PLAIN, "").split())
