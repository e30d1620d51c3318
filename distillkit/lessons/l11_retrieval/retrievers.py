"""The retrievers of lesson 11 by name: each takes texts and gives their scores for a question."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from distillkit.models.downloads import ModelError
from distillkit.retrieval import dense
from distillkit.retrieval.lexical import bm25, tf_idf
from distillkit.retrieval.search import Scores, cosine

Retriever = Callable[[Sequence[str]], Scores]


def by_vectors(embed: dense.Vectors, whiten: bool = False) -> Retriever:
    """Return the retriever that compares vectors by their cosine, whitened if asked for."""

    def retriever(texts: Sequence[str]) -> Scores:
        vectors = embed(texts)
        change = dense.whitening(vectors) if whiten else lambda v: v
        return cosine(change(vectors), lambda question: change(embed([question]))[0])

    return retriever


def of_words(download: bool = True) -> dict[str, Retriever]:
    """Return the retrievers that need no model: by shared words, and by word vectors if they
    can be had (19 MB, once)."""
    found: dict[str, Retriever] = {"BM25": bm25, "TF-IDF": tf_idf}
    if download:
        try:
            found["word vectors"] = by_vectors(dense.static_words())
        except ModelError as error:
            print(f"word vectors cannot be had, the lesson goes on without them: {error}")
    return found


def of_student(model: Any, tokenizer: Any) -> dict[str, Retriever]:
    """Return the retrievers that use the student's own hidden states; both read a text once."""
    means = dense.hidden_means(model, tokenizer)
    known: dict[tuple[str, ...], np.ndarray] = {}

    def embed(texts: Sequence[str]) -> np.ndarray:
        key = tuple(texts)
        if key not in known:
            known[key] = means(texts)
        return known[key]

    return {"hidden states": by_vectors(embed), "hidden states, whitened": by_vectors(embed, True)}
