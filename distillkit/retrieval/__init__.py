"""From documents to what stands in a prompt.

`passages` cuts documents, `lexical` scores by words (BM25, TF-IDF), `dense` by directions (means
of a model's hidden states, static word vectors), `search` takes the best and measures how often
the right passage is among them, `prompts` writes what was found into a chat, `handbook` is an
invented collection of facts that no model can know, `corpora` are documents with questions of which
it is known where they are answered.  Exact search over a few thousand passages is
one product of matrices; libraries for millions of them are faiss, usearch and hnswlib.
"""
