"""What servers answer, read as each of them writes it: text, thinking, how it ended, errors.

They speak one protocol with differences: DeepSeek, vLLM, llama.cpp, Ollama and OpenRouter put the
thinking beside the content, Mistral into parts of it; each has its own words for "finished" and
its own form of an error.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from distillkit.runtime.progress import printable
from distillkit.traces.templates import Template

OPEN, CLOSE = "<think>", "</think>"
# The words for an answer that ended by itself; whatever else a server says, it did not.
FINISHED = {"stop", "eos", "eos_token", "end_turn", "stop_sequence", "complete", "completed"}
CUT = {"length", "max_tokens", "max_output_tokens", "max_length", "model_length", "token_limit"}
THINKING = re.compile(r"(reasoning|thinking|thoughts?)(_(content|text|details|blocks))?")
MAX_SAID = 300  # characters of a server's own words that are shown
# Where a server's words are in an error, the most telling first
WORDS = ("raw", "msg", "message", "detail", "error", "errors", "error_msg", "error_message",
         "reason", "title", "description")  # fmt: skip


class Unusable(ValueError):
    """A body that holds no answer; the message is the server's own words, or what is wrong.

    `status` is what the body itself calls its error's number, such as 502; 0 if it does not.
    """

    def __init__(self, reason: str, status: int = 0):
        super().__init__(reason)
        self.status = status


@dataclass(frozen=True)
class Answer:
    """An answer; `thinking` is what came beside the text and is no part of it.

    `finish` is "eos", "length" (cut off), or the server's own word for another end.
    """

    text: str
    finish: str
    tokens: int
    thinking: str = ""


def read_answer(body: str, template: Template) -> Answer:
    """Read the body of a chat completion.  Raises Unusable."""
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        raise Unusable(_no_json(body)) from None
    choices = answer.get("choices") if isinstance(answer, dict) else None
    choice = choices[0] if isinstance(choices, list) and choices else None
    message = choice.get("message") if isinstance(choice, dict) else None
    if not isinstance(message, dict):
        places = (choice, answer) if isinstance(choice, dict) else (answer,)
        faults = [place["error"] for place in places if isinstance(place, dict)
                  and place.get("error")]  # fmt: skip
        raise Unusable(said(body) or "an empty answer", _number(faults[0]) if faults else 0)
    if choice.get("error"):  # the provider behind a proxy broke off
        raise Unusable(said(json.dumps(choice["error"])), _number(choice["error"]))
    text, thinking = put_together(
        _visible(message.get("content")), _thinking(message) or _thinking(choice), template
    )
    usage = answer.get("usage")
    tokens = usage.get("completion_tokens") if isinstance(usage, dict) else 0
    return Answer(_clean(text), finish_of(choice.get("finish_reason")),
                  tokens if isinstance(tokens, int) else 0, _clean(thinking))  # fmt: skip


def finish_of(word: object) -> str:
    """Return "eos" for a server's word for "finished", "length" for "cut off", else the word.

    No word at all is "unknown": nobody says that the text is whole.
    """
    word = str(word or "unknown")
    if word.casefold() in FINISHED:
        return "eos"
    return "length" if word.casefold() in CUT else word[:40]


def put_together(content: str, thinking: str, template: Template) -> tuple[str, str]:
    """Return the text in the template's form, and the thinking that is no part of it.

    A template that begins with <think> gets the thinking that a server took out of the text, and
    the tag that its chat template had already written.  Of other templates the thinking is no
    part, wherever it came.
    """
    begun = content.lstrip()
    if CLOSE in thinking and not begun:  # all of it lies in the wrong field
        content = begun = thinking.lstrip()
        thinking = ""
    thinking = thinking.strip().removeprefix(OPEN).removesuffix(CLOSE).strip()
    if not template.blank.startswith(OPEN):
        inside, closed, rest = begun.rpartition(CLOSE)
        if closed and not thinking:
            thinking = inside.strip().removeprefix(OPEN).strip()
        return (rest.lstrip() if closed else content), thinking
    if begun.startswith(OPEN):
        return content, thinking
    if thinking:
        return f"{OPEN}\n{thinking}\n{CLOSE}\n{begun.removeprefix(CLOSE).lstrip()}", ""
    return (f"{OPEN}\n{begun}" if CLOSE in begun else content), ""


def _visible(content: object) -> str:
    """Return the text of a message's content: a text, or parts of which some are thinking."""
    if isinstance(content, list):
        seen = [part for part in content if not (isinstance(part, dict) and _is_thinking(part))]
        return "".join(map(_text, seen))
    return _text(content)


def _thinking(place: dict[str, Any]) -> str:
    """Return the thinking in a message: in a field of its own, or in parts of the content."""
    for name, value in place.items():
        if THINKING.fullmatch(name) and (text := _text(value)).strip():
            return text
    parts = place.get("content")
    parts = parts if isinstance(parts, list) else []
    return "".join(_text(part) for part in parts if isinstance(part, dict) and _is_thinking(part))


def _is_thinking(part: dict[str, Any]) -> bool:
    return THINKING.match(str(part.get("type", ""))) is not None


def _text(value: object) -> str:
    """Return the text in a value: itself, or that of its parts, one after the other."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return "".join(map(_text, value))
    if isinstance(value, dict):
        names = ("text", "content", "thinking", "reasoning", "summary")
        return next((_text(value[name]) for name in names if value.get(name)), "")
    return ""


def _clean(text: str) -> str:
    return text.encode("utf-8", "replace").decode()  # half a surrogate pair is no text


def _number(error: object) -> int:
    code = error.get("code", error.get("status")) if isinstance(error, dict) else 0
    return int(code) if str(code).isdecimal() and len(str(code)) == 3 else 0


def _no_json(body: str) -> str:
    if not body.strip():
        return "nothing at all"
    if "<html" in body[:2000].casefold() or "<!doctype" in body[:2000].casefold():
        return f"a web page ({said(body)}): is the address right? Most end in /v1"
    return f"no JSON: {said(body)}"


def said(body: str) -> str:
    """Return what a server says in an error, without fields and tags, in one line.

    Long words are not cut: a key in them must be taken out first.
    """
    try:
        found = _words(json.loads(body))
    except (ValueError, RecursionError):
        found = re.sub(r"(?is)<(style|script|head).*?</\1>|<[^>]*>", " ", body[:100_000])
    return printable(" ".join((found or body[:100_000]).split()))


def _words(value: object) -> str:
    """Return the words of an error in JSON: the text of its most telling fields."""
    if isinstance(value, str):
        try:  # OpenRouter passes a provider's error on as text
            inner = json.loads(value)
        except (ValueError, RecursionError):
            return value
        return (_words(inner) if isinstance(inner, (dict, list)) else "") or value
    if isinstance(value, list):
        return "; ".join(filter(None, map(_words, value)))
    if not isinstance(value, dict):
        return ""
    place = value.get("loc")  # FastAPI: ["body", "seed"]
    where = ".".join(map(str, place)) + ": " if isinstance(place, list) else ""
    found = [words for name in WORDS if (words := _words(value.get(name)))]
    deeper = value.get("metadata")
    if isinstance(deeper, dict) and (words := _words(deeper)):
        found.append(words)
    whole = "; ".join(dict.fromkeys(found))
    parameter = value.get("param")
    if isinstance(parameter, str) and whole and parameter not in whole:
        whole += f" ({parameter})"
    return where + whole if whole else ""
