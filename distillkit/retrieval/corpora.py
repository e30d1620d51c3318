"""Documents to search in, and questions of which it is known where they are answered.

Python's own help topics, written by the Python Software Foundation (PSF licence, see
data/python_topics_licence.md), and the invented handbook.
"""

from __future__ import annotations

from dataclasses import dataclass

from distillkit.retrieval.handbook import LEARNED, facts, sections
from distillkit.runtime.files import read_json, read_jsonl
from distillkit.runtime.session import data_path


@dataclass(frozen=True)
class Question:
    """A question, and the place in a document that answers it."""

    text: str
    source: str
    begin: int
    end: int


@dataclass(frozen=True)
class Corpus:
    """Documents (name -> text) and questions about them."""

    documents: dict[str, str]
    questions: list[Question]


def python_topics() -> Corpus:
    """Return 55 of Python's help topics with 60 questions in other words than theirs."""
    rows = read_jsonl(data_path("python_questions.jsonl"))
    questions = [Question(row["question"], row["topic"], row["begin"], row["end"]) for row in rows]
    return Corpus(read_json(data_path("python_topics.json"))["topics"], questions)


def invented_handbook() -> Corpus:
    """Return the handbook with the two wordings of each question that are never learned from."""
    known = facts()
    pages, questions = sections(known), []
    for fact in known:
        begin = pages[fact["hut"]].index(fact["statement"])
        place = (fact["hut"], begin, begin + len(fact["statement"]))
        questions += [Question(text, *place) for text in fact["questions"][LEARNED:]]
    return Corpus(pages, questions)
