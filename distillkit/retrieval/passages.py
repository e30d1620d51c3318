"""Documents cut into passages that overlap."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

WORD = re.compile(r"\S+")
Cut = Callable[[int, int, int], list[tuple[int, int]]]  # words, size, overlap -> (first, end)


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


def windows(n: int, size: int, overlap: int = 0) -> list[tuple[int, int]]:
    """Return which words of `n` each passage has, (first, end): `size` of them, the last fewer.

    A passage begins with the last `overlap` words of the one before; none lies wholly inside
    another.  Raises ValueError for a size below 1, and for an overlap that leaves no new word.
    """
    if size < 1 or not 0 <= overlap < size:
        raise ValueError("a passage needs at least one word more than it shares with the last one")
    starts = range(0, max(1, n - overlap), size - overlap)
    return [(first, min(first + size, n)) for first in starts if n]


def chunk(source: str, text: str, size: int, overlap: int = 0, cut: Cut = windows) -> list[Passage]:
    """Cut a document into passages of `size` words that share `overlap` words with the last one."""
    words = [match.span() for match in WORD.finditer(text)]
    places = [(words[first][0], words[end - 1][1]) for first, end in cut(len(words), size, overlap)]
    return [Passage(source, begin, end, text[begin:end]) for begin, end in places]


def chunk_all(
    documents: Mapping[str, str], size: int, overlap: int = 0, cut: Cut = windows
) -> list[Passage]:
    """Cut every document (name -> text) into passages, in their order."""
    return [p for name, text in documents.items() for p in chunk(name, text, size, overlap, cut)]


def holders(passages: Iterable[Passage], source: str, begin: int, end: int) -> set[int]:
    """Return which passages hold the whole of a place in a document."""
    return {i for i, passage in enumerate(passages) if passage.holds(source, begin, end)}
