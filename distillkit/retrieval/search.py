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


def recall_at_k(found: Sequence[int], right: Iterable[int]) -> bool:
    """Say whether one of the right passages is among those that were found.

    For a question that one passage answers this is recall; its mean over questions is recall@k.
    """
    return bool(set(found) & set(right))


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
