"""An invented handbook: facts that no model can know, questions about them, and how they change.

The rows of data/handbook.jsonl are written by `benchmarks.recordings.handbook`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NotRequired, TypedDict

from distillkit.retrieval.lexical import terms
from distillkit.retrieval.prompts import UNKNOWN
from distillkit.runtime.files import read_jsonl
from distillkit.runtime.session import data_path

LEARNED = 2  # of a fact's questions, the first two may be learned from; the others are asked


class Wording(TypedDict):
    """What the handbook says of a fact: the sentence, eight other wordings, the bare answer."""

    statement: str
    paraphrases: list[str]
    answer: str


class Fact(Wording):
    """A fact: where it stands, questions in four wordings, and what it may change to."""

    id: str
    hut: str
    before: str  # a sentence that stands in front of it in the handbook, or ""
    questions: list[str]
    changed: NotRequired[Wording]


def facts() -> list[Fact]:
    """Return the facts of the handbook."""
    return [row for row in read_jsonl(data_path("handbook.jsonl")) if "statement" in row]


def unanswered() -> list[str]:
    """Return questions in the handbook's own words that it does not answer."""
    return [row["question"] for row in read_jsonl(data_path("handbook.jsonl")) if "question" in row]


def after_changes(known: Sequence[Fact]) -> list[Fact]:
    """Return the facts as the next edition has them."""
    return [{**fact, **fact.get("changed", {})} for fact in known]


def sections(known: Sequence[Fact]) -> dict[str, str]:
    """Return the handbook: a section of sentences for each hut."""
    found: dict[str, list[str]] = {}
    for fact in known:
        lines = found.setdefault(fact["hut"], [f"The {fact['hut']} hut."])
        lines += [fact["before"]] * bool(fact["before"]) + [fact["statement"]]
    return {hut: "\n".join(lines) for hut, lines in found.items()}


def words_of(text: str) -> list[str]:
    """Return what is compared of an answer: its words in small letters, without the articles."""
    return [w for w in terms(text.replace("_", " ")) if w not in ("the", "a", "an")]


def same_answer(text: str, answer: str) -> bool:
    """Say whether a text is the answer and nothing else."""
    return words_of(text) == words_of(answer)


def has_answer(text: str, answer: str) -> bool:
    """Say whether the words of the answer, if it has any, stand in a text, one behind the other."""
    words, wanted = words_of(text), words_of(answer)
    n = len(wanted)
    return n > 0 and any(words[i : i + n] == wanted for i in range(len(words) - n + 1))


def says_unknown(text: str) -> bool:
    """Say whether a text answers that the handbook does not say it."""
    return has_answer(text, UNKNOWN)
