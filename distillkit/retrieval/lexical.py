"""Scores by shared words: BM25, and the cosine of TF-IDF vectors.

Both keep, for each word, the passages that have it: a question reads the lists of its own words
only, so nothing is computed for passages that share no word with it.

Dimension key: P passages.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np

ALONE = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"  # kana, Chinese characters
TERM = re.compile(rf"[{ALONE}]|[^\W{ALONE}]+")


def terms(text: str) -> list[str]:
    """Return the words of a text in small letters: letters of any script, digits and underscores.

    Chinese and Japanese stand without spaces: each of their characters is a word.  Letters that
    look alike are one (NFKC), whether an accent is a character of its own or not.
    """
    return TERM.findall(unicodedata.normalize("NFKC", text).casefold())


class Postings:
    """For each word: the passages that have it, and how often."""

    def __init__(self, texts: Sequence[str]):
        counts = [Counter(terms(text)) for text in texts]
        self.lengths_P = np.array([sum(count.values()) for count in counts], dtype=float)
        found: dict[str, tuple[list[int], list[int]]] = {}
        for passage, count in enumerate(counts):
            for term, times in count.items():
                ids, often = found.setdefault(term, ([], []))
                ids.append(passage)
                often.append(times)
        self.found = {term: (np.array(ids), np.array(often, dtype=float))
                      for term, (ids, often) in found.items()}  # fmt: skip

    def __len__(self) -> int:
        return len(self.lengths_P)


def bm25(texts: Sequence[str], k1: float = 1.5, b: float = 0.75) -> Callable[[str], np.ndarray]:
    """Return the function from a question to the BM25 scores of all texts, (P).

    The weight of a word is log(1 + (P - n + 0.5) / (n + 0.5)) for n texts that have it, which is
    never negative.  `k1` says how soon more of the same word stops to count, `b` how much a long
    text pays for its length.  Raises ValueError without texts.  Source: Robertson and Zaragoza
    2009, "The probabilistic relevance framework: BM25 and beyond", eq. 3.15.
    """
    postings = _postings(texts)
    lengths_P, n = postings.lengths_P, len(postings)
    norm_P = k1 * (1 - b + b * lengths_P / max(lengths_P.mean(), 1e-9))

    def scores(question: str) -> np.ndarray:
        sums_P = np.zeros(n)
        for term, times in Counter(terms(question)).items():
            if term in postings.found:
                ids, often = postings.found[term]
                rare = math.log(1 + (n - len(ids) + 0.5) / (len(ids) + 0.5))
                sums_P[ids] += times * rare * often * (k1 + 1) / (often + norm_P[ids])
        return sums_P

    return scores


def tf_idf(texts: Sequence[str]) -> Callable[[str], np.ndarray]:
    """Return the function from a question to its cosine with all texts, (P), in TF-IDF vectors.

    A word weighs how often it stands in the text times log((1 + P) / (1 + n)) + 1 for n texts that
    have it: the weights of scikit-learn's `TfidfVectorizer`.  Words of no text do not count.
    Raises ValueError without texts.
    """
    postings = _postings(texts)
    n = len(postings)
    weight = {term: math.log((1 + n) / (1 + len(ids))) + 1
              for term, (ids, _) in postings.found.items()}  # fmt: skip
    squares_P = np.zeros(n)
    for term, (ids, often) in postings.found.items():
        squares_P[ids] += (often * weight[term]) ** 2
    norms_P = np.sqrt(np.maximum(squares_P, 1e-12))

    def scores(question: str) -> np.ndarray:
        asked = {t: c * weight[t] for t, c in Counter(terms(question)).items() if t in weight}
        sums_P = np.zeros(n)
        for term, value in asked.items():
            ids, often = postings.found[term]
            sums_P[ids] += value * often * weight[term]
        length = math.sqrt(sum(value**2 for value in asked.values())) or 1.0
        return sums_P / norms_P / length

    return scores


def _postings(texts: Sequence[str]) -> Postings:
    if not texts:
        raise ValueError("there are no passages to search in")
    return Postings(texts)
