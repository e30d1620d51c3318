"""The exercises on LoRA: the layer by hand, its parameters, and what training has to hold.

Dimension key: N rows, I inputs, O outputs, R rank.
"""

from __future__ import annotations

import torch
from torch import Tensor

from distillkit.teaching.exercise import Exercise, Mistake
from distillkit.training import memory

# --- the layer ------------------------------------------------------------------------------------


def _lora_layer(x_NI: Tensor, W_OI: Tensor, A_RI: Tensor, B_OR: Tensor, alpha: float) -> Tensor:
    """Return x W' + (alpha / r) x A' B' (Hu et al. 2021, arXiv 2106.09685, eq. 3)."""
    return x_NI @ W_OI.T + alpha / len(A_RI) * (x_NI @ A_RI.T) @ B_OR.T


def _layers() -> list[tuple]:
    random = torch.Generator().manual_seed(0)
    sizes = [(2, 3, 4, 2, 4.0), (1, 5, 3, 1, 2.0), (3, 4, 4, 3, 3.0), (2, 4, 4, 4, 8.0)]
    return [
        (*(torch.randn(shape, generator=random) for shape in ((n, i), (o, i), (r, i), (o, r))), a)
        for n, i, o, r, a in sizes
    ]


lora_layer = Exercise(
    "lora_layer",
    reference=_lora_layer,
    probes=_layers,
    gradient_of=(2, 3),
    mistakes=[
        Mistake(
            "the update is not scaled: it is multiplied by alpha / r",
            lambda x, W, A, B, alpha: x @ W.T + x @ A.T @ B.T,
        ),
        Mistake(
            "alpha is not divided by the rank: a larger r would make larger steps",
            lambda x, W, A, B, alpha: x @ W.T + alpha * (x @ A.T @ B.T),
        ),
        Mistake(
            "it divides by alpha: the factor is alpha / r, not r / alpha",
            lambda x, W, A, B, alpha: x @ W.T + len(A) / alpha * (x @ A.T @ B.T),
        ),
        Mistake(
            "the whole sum is scaled: the frozen part x W' stays as it is",
            lambda x, W, A, B, alpha: alpha / len(A) * (x @ W.T + x @ A.T @ B.T),
        ),
        Mistake(
            "the frozen weights are left out",
            lambda x, W, A, B, alpha: alpha / len(A) * (x @ A.T @ B.T),
        ),
        Mistake(
            "the update is left out: this is the layer before training",
            lambda x, W, A, B, alpha: x @ W.T,
        ),
        Mistake(
            "the value is right, but A and B get no gradient: .detach() or .data cuts it",
            lambda x, W, A, B, alpha: _lora_layer(x, W, A.detach(), B.detach(), alpha),
        ),
    ],
)

# --- how many parameters are trained --------------------------------------------------------------


trained_parameters = Exercise(
    "trained_parameters",
    reference=memory.trained_parameters,
    probes=[([(896, 896), (128, 896)], 16), ([(4864, 896)], 8), ([(10, 20), (30, 40)], 1), ([], 4)],
    mistakes=[
        Mistake(
            "that is the frozen matrix: A is r x inputs and B is outputs x r",
            lambda shapes, r: sum(o * i for o, i in shapes),
        ),
        Mistake(
            "A has r x inputs and B outputs x r numbers: their sizes are added, not multiplied",
            lambda shapes, r: sum(r * o * i for o, i in shapes),
        ),
        Mistake(
            "only A is counted: B has outputs x r numbers more",
            lambda shapes, r: sum(r * i for _, i in shapes),
        ),
        Mistake(
            "only B is counted: A has r x inputs numbers more",
            lambda shapes, r: sum(r * o for o, _ in shapes),
        ),
        Mistake(
            "the rank is left out",
            lambda shapes, r: sum(o + i for o, i in shapes),
        ),
    ],
)

# --- what training has to hold --------------------------------------------------------------------


def _fixed_memory(weights: int, trained: int, bits: float, full: bool) -> float:
    """Return the bytes of weights, gradients and Adam's state, without activations.

    `full`: all weights are trained, in float32.  Else the frozen ones have `bits` bits each, and
    the `trained` ones of the adapter, their gradients and two moments are float32.
    """
    if full:
        return weights * 16.0
    return weights * bits / 8 + trained * 16.0


fixed_memory = Exercise(
    "fixed_memory",
    reference=_fixed_memory,
    probes=[(494_000_000, 8_800_000, 16, False), (494_000_000, 8_800_000, 4.127, False),
            (494_000_000, 0, 32, True), (1000, 10, 32, False)],
    mistakes=[
        Mistake(
            "Adam's two moments are left out: 4 bytes each for every trained number",
            lambda w, t, bits, full: w * 8.0 if full else w * bits / 8 + t * 8.0,
        ),
        Mistake(
            "the gradients are left out: 4 bytes for every trained number",
            lambda w, t, bits, full: w * 12.0 if full else w * bits / 8 + t * 12.0,
        ),
        Mistake(
            "bits are not bytes: divide by 8",
            lambda w, t, bits, full: w * 16.0 if full else w * bits + t * 16.0,
        ),
        Mistake(
            "frozen weights get no gradient and no moments: only the trained ones have 16 bytes",
            lambda w, t, bits, full: w * 16.0 if full else (w + t) * 16.0,
        ),
        Mistake(
            "the adapter itself is left out: weight, gradient and two moments, 4 bytes each",
            lambda w, t, bits, full: w * 16.0 if full else w * bits / 8,
        ),
        Mistake(
            "the trained numbers are float32, whatever the frozen ones are in",
            lambda w, t, bits, full: w * 16.0 if full else (w + 4 * t) * bits / 8,
        ),
    ],
)  # fmt: skip
