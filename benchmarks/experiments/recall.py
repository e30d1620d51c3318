"""How often is the right passage found?  Four retrievers and six sizes of passages.

    python -m benchmarks.experiments.recall

On Python's own documentation and on the invented handbook, 60 questions each: recall among the
first 1, 3, 5 and 10 passages, and among as many as fit into 256 words, which is the same length of
a prompt for every size.  Needs no card.
"""

import random
from functools import cache

import numpy as np

from benchmarks.runner import Experiment, main
from distillkit.evaluation.statistics import wilson
from distillkit.lessons.l11_retrieval.retrievers import by_vectors
from distillkit.retrieval import corpora, dense
from distillkit.retrieval.lexical import bm25, tf_idf
from distillkit.retrieval.passages import chunk_all, holders
from distillkit.retrieval.search import recall_at_k, reciprocal_rank, top_k

SIZES, KS, BUDGET = (16, 32, 64, 128, 256), (1, 3, 5, 10), 256
CORPORA = {"python": corpora.python_topics, "handbook": corpora.invented_handbook}
RETRIEVERS = ("BM25", "TF-IDF", "word vectors", "hidden states", "hidden states, whitened")
_HIDDEN: dict[tuple[str, int], np.ndarray] = {}  # the passages' vectors: two retrievers use them
SLOW = (64,)  # sizes for which a model reads all passages
ARMS = [(name, retriever, size) for name in CORPORA for retriever in RETRIEVERS
        for size in (SLOW if "hidden" in retriever else SIZES)]  # fmt: skip


@cache
def passages(name, size):
    """Return the passages of a corpus: a quarter of each is in the one before, too."""
    return chunk_all(CORPORA[name]().documents, size, size // 4)


def scores_of(name, retriever, size, bench):
    """Return the function from a question to the scores of all passages."""
    texts = [passage.text for passage in passages(name, size)]
    if retriever in ("BM25", "TF-IDF"):
        return (bm25 if retriever == "BM25" else tf_idf)(texts)
    if retriever == "word vectors":
        return by_vectors(dense.static_words())(texts)
    student = bench.load()
    embed = dense.hidden_means(student.model, student.tokenizer)
    if (name, size) not in _HIDDEN:
        _HIDDEN[name, size] = embed(texts)

    def known(some):
        return _HIDDEN[name, size] if some is texts else embed(some)

    return by_vectors(known, "whitened" in retriever)(texts)


def run(arm, seed, bench):
    """Search for every question; a row for each number of passages that are read."""
    name, retriever, size = arm
    asked = CORPORA[name]().questions
    asked = random.Random("asked").sample(asked, min(bench.test, len(asked)))
    cut = passages(name, size)
    scores = scores_of(name, retriever, size, bench)
    found = [top_k(scores(q.text), len(cut)) for q in asked]
    right = [holders(cut, q.source, q.begin, q.end) for q in asked]
    ranks = [reciprocal_rank(*pair) for pair in zip(found, right, strict=True)]
    rows = []
    for k in (*KS, f"{BUDGET} words"):
        share = recall_at_k(found, right, k if isinstance(k, int) else BUDGET // size)
        low, high = wilson(round(share * len(asked)), len(asked))
        rows.append({"k": k, "passages": len(cut), "n": len(asked),
                     "answerable": sum(map(bool, right)), "recall": round(share, 4),
                     "low": round(low, 4), "high": round(high, 4),
                     "reciprocal_rank": round(sum(ranks) / len(ranks), 4)})  # fmt: skip
    return rows


EXPERIMENT = Experiment(
    csv="recall.csv",
    key="corpus retriever size",
    columns="corpus retriever size k passages n answerable recall low high reciprocal_rank dtype "
    "machine date",
    arms=ARMS,
    run=run,
    test=60,
)

if __name__ == "__main__":
    main(EXPERIMENT, __doc__)
