"""How much memory a decoder needs in training, counted from its shape.

Dimension key: L nodes of a part's tree, N supervised positions, E width, F inner width, H heads,
D size of a head, V vocabulary, R rank.  All results are bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

WEIGHT_BITS = {"float32": 32, "bfloat16": 16, "int8": 8, "nf4": 4.127}  # NF4: scales in 8 bits
FLOAT = 4  # bytes of a trained number, of its gradient, and of each of Adam's two moments


@dataclass(frozen=True)
class Shape:
    """The sizes of a decoder like Qwen2 or Llama; `tied`: embedding and output head are one."""

    layers: int
    width: int
    inner: int
    heads: int
    key_heads: int
    head_size: int
    vocabulary: int
    tied: bool
    bias: bool = False  # of queries, keys and values, as in Qwen2

    def linears(self) -> list[tuple[int, int]]:
        """Return (outputs, inputs) of the seven matrices of one layer: those that get LoRA."""
        e, f = self.width, self.inner
        q, kv = self.heads * self.head_size, self.key_heads * self.head_size
        return [(q, e), (kv, e), (kv, e), (e, q), (f, e), (f, e), (e, f)]

    def matrices(self) -> int:
        """Return how many weights the matrices of all layers have; the rest is not quantised."""
        return self.layers * sum(o * i for o, i in self.linears())

    def others(self) -> int:
        """Return the embedding, the output head, the norms and the biases."""
        q, kv = self.heads * self.head_size, self.key_heads * self.head_size
        in_layers = self.layers * (2 * self.width + (q + 2 * kv) * self.bias)
        return self.vocabulary * self.width * (1 if self.tied else 2) + in_layers + self.width

    def adapter(self, r: int) -> int:
        """Return how many numbers a LoRA adapter of rank r trains on all matrices."""
        return self.layers * trained_parameters(self.linears(), r)


def trained_parameters(shapes: Sequence[tuple[int, int]], r: int) -> int:
    """Return the parameters of A and B for matrices of the shapes (outputs, inputs)."""
    return sum(r * (outputs + inputs) for outputs, inputs in shapes)


# Sizes from the models' own configurations.
SHAPES = {
    "SmolLM2-135M": Shape(30, 576, 1536, 9, 3, 64, 49152, True),
    "Qwen2.5-0.5B": Shape(24, 896, 4864, 14, 2, 64, 151936, True, True),
    "Qwen2.5-1.5B": Shape(28, 1536, 8960, 12, 2, 128, 151936, True, True),
    "Qwen2.5-3B": Shape(36, 2048, 11008, 16, 2, 128, 151936, True, True),
    "Qwen2.5-7B": Shape(28, 3584, 18944, 28, 4, 128, 152064, False, True),
    "Llama-3.1-8B": Shape(32, 4096, 14336, 32, 8, 128, 128256, False),
}


def shape_of(config: Any) -> Shape:
    """Return the shape that a transformers configuration (Qwen2, Llama) describes."""
    return Shape(
        config.num_hidden_layers, config.hidden_size, config.intermediate_size,
        config.num_attention_heads, config.num_key_value_heads,
        getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads,
        config.vocab_size, config.tie_word_embeddings, config.model_type == "qwen2",
    )  # fmt: skip


def weights(shape: Shape, kind: str) -> float:
    """Return the bytes of the weights; int8 and NF4 hold the layers' matrices, bfloat16 the rest.

    Source of NF4's 4.127 bits: Dettmers et al. 2023, arXiv 2305.14314, sec. 3.
    """
    rest = 32 if kind == "float32" else 16
    return (shape.matrices() * WEIGHT_BITS[kind] + shape.others() * rest) / 8


def activations(shape: Shape, tokens: int, r: int, kind: str) -> float:
    """Return what the layers keep for the gradient of L tokens, with an adapter of rank r.

    A layer keeps, for each token: 4 F (gate, its SiLU, up, their product), 4 H D (queries, keys,
    values, attended), 4 E (two norms' inputs, two inputs of matrices) and 7 R (inside LoRA).
    With 16-bit products they have 2 bytes, but the norms' inputs are kept in float32; the adapter
    itself is there in 16 bits, too, and the mask once a layer.
    """
    s, heads = shape, shape.heads * shape.head_size
    shared = 4 * s.inner + 4 * heads + 4 * s.width + 7 * r
    if kind == "float32":
        return s.layers * tokens * FLOAT * shared + FLOAT * tokens**2
    a_token = 2 * shared + (FLOAT - 2) * 2 * s.width
    return s.layers * (tokens * a_token + 2 * tokens**2) + 2 * s.adapter(r)


def training(
    shape: Shape, kind: str, r: int | None = 16, tokens: int = 384, learned: int = 240
) -> dict[str, float]:
    """Return the parts of the peak while `distill` trains; r=None trains all weights instead.

    `tokens` and `learned` are L and N of the largest part of a batch.  Training all weights needs
    them, their gradients and both of Adam's moments in float32.  The logits are there with their
    gradient, in the type that is computed in.
    """
    number = FLOAT if kind == "float32" or not r else 2
    trained = shape.adapter(r) if r else shape.matrices() + shape.others()
    parts = {
        "frozen weights": weights(shape, kind) if r else 0.0,
        "trained weights": FLOAT * trained,
        "gradients": FLOAT * trained,
        "Adam's moments": 2 * FLOAT * trained,
        "activations": activations(shape, tokens, r or 0, kind if r else "float32"),
        "logits": 2 * number * learned * shape.vocabulary,
    }
    return {name: float(size) for name, size in parts.items()}


def most_tokens(shape: Shape, kind: str, free: float, r: int | None = 16, most: int = 2048) -> int:
    """Return how many tokens a part of a batch may have: at most `most`, a multiple of 64.

    What training needs besides the weights, which are loaded, has to fit into 0.8 of the free
    bytes; two of three tokens are learned, from cross-entropy.  At least 64.
    """
    for tokens in range(most, 64, -64):
        parts = training(shape, kind, r, tokens, tokens * 2 // 3)
        loaded = parts["frozen weights"] + parts["trained weights"]
        if sum(parts.values()) - loaded <= 0.8 * free:
            return tokens
    return 64
