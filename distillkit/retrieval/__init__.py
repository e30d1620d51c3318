"""From documents to what stands in a prompt.

- `passages`: documents cut into pieces that overlap
- `lexical`: scores by words, BM25 and TF-IDF
- `dense`: scores by directions: means of a model's hidden states, static word vectors
- `search`: the best passages, exactly, and how often the right one is among them
- `prompts`: a question with quoted passages
- `handbook`: an invented collection of facts that no model can know
- `corpora`: documents with questions, and where they are answered

Exact search over a few thousand passages is one product of matrices; libraries for millions of
them are faiss, usearch and hnswlib.
"""
