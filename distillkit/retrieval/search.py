"""The best passages for a question, and how often the right one is among them.

Dimension key: P passages, E width of a vector.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np

Scores = Callable[[str], np.ndarray]  # a question -> the score of each passage, (P)


def top_k(scores_P: np.ndarray, k: int) -> list[int]:
    """Return the `k` passages with the highest scores, best first; of equals the first one.

    Raises ValueError for k below 1 and for a score that is no number.
    """
    if k < 1:
        raise ValueError("at least one passage is searched for")
    if np.isnan(scores_P).any():
        raise ValueError("a score is not a number")
    return np.argsort(-np.asarray(scores_P), kind="stable")[:k].tolist()


def recall_at_k(found: Sequence[Sequence[int]], right: Sequence[Iterable[int]], k: int) -> float:
    """Return for how large a share of questions a right passage is among the first k found.

    `found` are the passages for each question, best first, and `right` those that answer it: one
    of them is enough.  Raises ValueError without questions.
    """
    if not found:
        raise ValueError("there are no questions to count")
    hits = [not set(some[:k]).isdisjoint(good) for some, good in zip(found, right, strict=True)]
    return sum(hits) / len(hits)


def reciprocal_rank(found: Sequence[int], right: Iterable[int]) -> float:
    """Return 1 / the place of the first right passage, 0 if none was found."""
    wanted = set(right)
    return next((1 / place for place, i in enumerate(found, 1) if i in wanted), 0.0)


def normalised(vectors_PE: np.ndarray) -> np.ndarray:
    """Return the vectors at length 1 (a vector of zeros stays), so that products are cosines."""
    vectors_PE = np.asarray(vectors_PE, dtype=np.float32)
    return vectors_PE / np.maximum(np.linalg.norm(vectors_PE, axis=-1, keepdims=True), 1e-9)


def cosine(vectors_PE: np.ndarray, embed: Callable[[str], np.ndarray]) -> Scores:
    """Return the function from a question to its cosine with every passage's vector.

    `embed(question)` is the question's vector, (E).  All passages are looked at: exact search.
    """
    unit_PE = normalised(vectors_PE)
    return lambda question: unit_PE @ normalised(embed(question))
