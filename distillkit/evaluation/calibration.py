"""Whether a model is right as often as it is sure: confidence, reliability, expected error.

Dimension key: N positions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from distillkit.training.losses import negative_log_likelihood
from distillkit.training.objectives import read_teacher
from distillkit.training.packing import Example, pack, supervised

TOGETHER = 4  # examples that are read at once


def confidences(model: Any, examples: Sequence[Example]) -> list[float]:
    """Return the probability that a model gives to each example's completion as a whole."""
    found = []
    for first in range(0, len(examples), TOGETHER):
        some = examples[first : first + TOGETHER]
        batch = {name: tensor.to(model.device) for name, tensor in pack(some).items()}
        logits_NV = read_teacher(model, batch).logits_NV
        nll_N = negative_log_likelihood(logits_NV, batch["labels_N"])
        of_each = nll_N.split([supervised([example]) for example in some])
        found += [torch.exp(-one.sum()).item() for one in of_each]
    return found


def reliability(
    confidence: Sequence[float], right: Sequence[bool], bins: int = 10
) -> list[tuple[float, float, int]]:
    """Return (mean confidence, share of right answers, how many) of each bin that is not empty.

    The bins are of equal width: [0, 1/bins), …, the last with its upper end.  Source: Guo et al.
    2017, arXiv 1706.04599, sec. 2.
    """
    boxes: dict[int, list[tuple[float, bool]]] = {}
    for sure, good in zip(confidence, right, strict=True):
        boxes.setdefault(min(int(sure * bins), bins - 1), []).append((sure, good))
    return [
        (sum(s for s, _ in box) / len(box), sum(g for _, g in box) / len(box), len(box))
        for _, box in sorted(boxes.items())
    ]


def ece(confidence: Sequence[float], right: Sequence[bool], bins: int = 10) -> float:
    """Return the expected calibration error: the mean gap of the bins, weighted by their counts.

    Raises ValueError without answers.  Source: Guo et al. 2017, eq. 3.
    """
    if not confidence:
        raise ValueError("there are no answers to calibrate on")
    return sum(
        n * abs(sure - good) for sure, good, n in reliability(confidence, right, bins)
    ) / len(confidence)
