"""Texts as vectors: means of a model's hidden states, or of word vectors that need no model.

Dimension key: P passages, L tokens, E width of a vector, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from distillkit.models.chats import as_text, token_ids
from distillkit.models.downloads import fetch_file
from distillkit.runtime.session import cache_dir

Vectors = Callable[[Sequence[str]], np.ndarray]  # texts -> (P, E)

# Word vectors that were trained to be averaged, cut from a package that is never installed: the
# file for this one system is read as data on any of them.
_WHEEL = {
    "package": "wordllama",
    "version": "0.4.0.post1",
    "wheel": "wordllama-0.4.0.post1-cp311-cp311-manylinux2014_x86_64.manylinux_2_17_x86_64.whl",
    "wheel_sha256": "42c2c88907ace0b0681ac6f9092d6a300a6409a5d2d61071a3fb5e7159370c97",
    "wheel_bytes": 19155170,
    "pip": ["--platform", "manylinux2014_x86_64", "--python-version", "3.11",
            "--implementation", "cp", "--abi", "cp311"],
}  # fmt: skip
_FILES = [
    {
        "file": "l2_supercat_256.safetensors",
        "file_bytes": 16384096,
        "file_sha256": "64b47a2dc493cb8e85944076601189739852d7b64e0e1eedcb1937a251cd9fd5",
        "wheels": [{**_WHEEL, "member": "wordllama/weights/l2_supercat_256.safetensors"}],
    },
    {
        "file": "l2_supercat_tokenizer.json",
        "file_bytes": 1842796,
        "file_sha256": "93248f2a9ec36c7b35f700a033d5f36228aae48db61aee31007fa49062cdeb68",
        "wheels": [{**_WHEEL, "member": "wordllama/tokenizers/l2_supercat_tokenizer_config.json"}],
    },
]


def hidden_states(
    model: Any, tokenizer: Any, texts: Sequence[str]
) -> tuple[np.ndarray, np.ndarray]:
    """Return the hidden states of texts, (P, L, E), and where a token stands: 1, else 0, (P, L).

    `model` is a causal model, with or without an adapter.  The states are those of the last layer,
    which were trained to name the next token and not to compare texts.  Short texts are filled up
    behind their end, where no token sees it.  What looks like a control token in a text is read as
    text.
    """
    import torch

    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    ids = [token_ids(tokenizer, as_text(tokenizer, text)) or [0] for text in texts]
    longest = max(map(len, ids))
    batch = torch.tensor([row + [0] * (longest - len(row)) for row in ids])
    mask_PL = np.arange(longest) < np.array([[len(row)] for row in ids])
    with torch.no_grad():
        states = base.base_model(batch.to(model.device), use_cache=False).last_hidden_state
    return states.float().cpu().numpy(), mask_PL.astype(int)


def mean_states(states_PLE: np.ndarray, mask_PL: np.ndarray) -> np.ndarray:
    """Return the mean state of each text's own tokens, (P, E)."""
    return (states_PLE * mask_PL[..., None]).sum(1) / mask_PL.sum(1, keepdims=True)


def hidden_means(model: Any, tokenizer: Any, together: int = 8) -> Vectors:
    """Return the function from texts to the means of their hidden states, (P, E)."""

    def embed(texts: Sequence[str]) -> np.ndarray:
        order = sorted(range(len(texts)), key=lambda i: len(texts[i]))  # little padding
        vectors: dict[int, np.ndarray] = {}
        for first in range(0, len(order), together):
            some = order[first : first + together]
            states = hidden_states(model, tokenizer, [texts[i] for i in some])
            vectors.update(zip(some, mean_states(*states), strict=True))
        return np.stack([vectors[i] for i in range(len(texts))])

    return embed


def whitening(vectors_PE: np.ndarray, keep: int = 128) -> Callable[[np.ndarray], np.ndarray]:
    """Return the map that centres vectors and makes their `keep` strongest directions equal.

    Hidden states share a few large directions, so that all cosines are near 1; the map takes
    these away.  At most half as many directions are kept as there are vectors: P vectors have only
    P - 1 directions, and with all of these equal every two vectors are equally far apart.  Raises
    ValueError for fewer than two vectors.
    Source: Su et al. 2021, arXiv 2103.15316.
    """
    if len(vectors_PE) < 2:
        raise ValueError("whitening needs at least two vectors")
    mean_E = vectors_PE.mean(0)
    _, sizes, directions = np.linalg.svd(vectors_PE - mean_E, full_matrices=False)
    kept = min(keep, len(vectors_PE) // 2, int((sizes > 1e-6 * sizes[0]).sum()))
    scale = directions[:kept].T / sizes[:kept] * np.sqrt(len(vectors_PE) - 1)
    return lambda vectors: (vectors - mean_E) @ scale


@dataclass(frozen=True)
class StaticWords:
    """A vector for each token, whatever stands around it: a text is the mean of its tokens'."""

    vectors_VE: np.ndarray
    tokenizer: Any

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        """Return the mean vector of each text, (P, E); zeros for a text without tokens."""
        rows = []
        for encoded in self.tokenizer.encode_batch(list(texts), add_special_tokens=False):
            ids = [i for i in encoded.ids if i < len(self.vectors_VE)]
            rows.append(self.vectors_VE[ids or [0]].mean(0) * bool(ids))
        return np.stack(rows)


def static_words(say: Callable[[str], None] = print) -> StaticWords:
    """Return word vectors of the package `wordllama` (MIT), downloaded once and checked by hash.

    Nothing of the package is installed or run.  Raises ModelError if they cannot be had.
    """
    from safetensors.numpy import load_file
    from tokenizers import Tokenizer

    weights, vocabulary = (fetch_file(item, cache_dir() / "words", say) for item in _FILES)
    (vectors_VE,) = load_file(weights).values()
    tokenizer = Tokenizer.from_file(str(vocabulary))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return StaticWords(vectors_VE.astype(np.float32), tokenizer)
