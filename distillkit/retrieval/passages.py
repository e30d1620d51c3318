"""Documents cut into passages that overlap."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

WORD = re.compile(r"\S+")


@dataclass(frozen=True)
class Passage:
    """A piece of a document: its text as it stands there, from character `begin` to `end`."""

    source: str
    begin: int
    end: int
    text: str

    def holds(self, source: str, begin: int, end: int) -> bool:
        """Say whether the whole of a place in a document lies inside this passage."""
        return self.source == source and self.begin <= begin and end <= self.end


def chunk(source: str, text: str, size: int, overlap: int = 0) -> list[Passage]:
    """Cut a document into passages of `size` words, each with the last `overlap` of the one before.

    The last passage may be shorter; no passage lies wholly inside another.  Raises ValueError for a
    size below 1, and for an overlap that does not leave at least one new word.
    """
    if size < 1 or not 0 <= overlap < size:
        raise ValueError("a passage needs at least one word more than it shares with the last one")
    words = [match.span() for match in WORD.finditer(text)]
    passages = []
    for first in range(0, max(1, len(words) - overlap), size - overlap):
        if part := words[first : first + size]:
            begin, end = part[0][0], part[-1][1]
            passages.append(Passage(source, begin, end, text[begin:end]))
    return passages


def chunk_all(documents: Mapping[str, str], size: int, overlap: int = 0) -> list[Passage]:
    """Cut every document (name -> text) into passages, in their order."""
    return [p for name, text in documents.items() for p in chunk(name, text, size, overlap)]


def holders(passages: Iterable[Passage], source: str, begin: int, end: int) -> set[int]:
    """Return which passages hold the whole of a place in a document."""
    return {i for i, passage in enumerate(passages) if passage.holds(source, begin, end)}
