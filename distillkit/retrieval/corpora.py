"""Documents to search in, and questions of which it is known where they are answered.

Python's own help topics, written by the Python Software Foundation (PSF licence, see
data/python_topics_licence.md), and the invented handbook.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from distillkit.retrieval.handbook import LEARNED, facts, sections
from distillkit.retrieval.passages import chunk_all, holders
from distillkit.retrieval.search import Scores, recall_at_k, top_k
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


def recall(
    corpus: Corpus, size: int, overlap: int, k: int, retriever: Callable[[Sequence[str]], Scores]
) -> list[bool]:
    """Cut, index, search: say for each question whether a right passage is among the first `k`.

    `retriever(texts)` returns the function from a question to the scores of all texts.  A passage
    is right if it holds all of the place that answers the question.
    """
    cut = chunk_all(corpus.documents, size, overlap)
    scores = retriever([passage.text for passage in cut])
    return [recall_at_k(top_k(scores(q.text), k), holders(cut, q.source, q.begin, q.end))
            for q in corpus.questions]  # fmt: skip
