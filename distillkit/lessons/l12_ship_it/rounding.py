"""What rounding does to a student's layers: the error, and how much of an adapter survives it.

Dimension key: O outputs (rows), I inputs, R rank.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from typing import NamedTuple

import gguf
import numpy as np
import torch

from distillkit.models.gguf_writer import IN_SMALL_BLOCKS, KINDS, encoded, stored_as
from distillkit.training.lora import factors, layers_of

# K-quants need libgguf to be written
HERE = [kind for kind, stored in KINDS.items()
        if stored not in IN_SMALL_BLOCKS or importlib.util.find_spec("libgguf")]  # fmt: skip


class Rows(NamedTuple):
    """Some rows of a layer: the base's weights, and what the adapter adds to them, both [O, I]."""

    base: np.ndarray
    update: np.ndarray


class Kept(NamedTuple):
    """What is left of rows after rounding: relative error, and the update's share that survives."""

    error: float
    update: float


def rows_of(model, rows: int = 16) -> dict[str, Rows]:
    """Return some evenly spread rows of every layer that has an adapter, by the layer's name."""
    found = {}
    for name, layer in layers_of(model).items():
        a_RI, b_OR = factors(layer)
        weight_OI = layer.base_layer.weight.detach()
        step = max(1, len(weight_OI) // rows)
        base_OI, update_OI = weight_OI[::step].float(), b_OR[::step] @ a_RI
        found[name] = Rows(base_OI.cpu().numpy(), update_OI.cpu().numpy())
    return found


def rounded(values: np.ndarray, kind: str) -> np.ndarray:
    """Return rows [O, I] as a file of the kind `kind` would give them back.

    Raises ModelError for K-quants without libgguf.
    """
    stored = stored_as(values.shape, KINDS[kind])
    return gguf.dequantize(encoded(values, stored), stored)


def kept(rows: Rows, kind: str) -> Kept:
    """Round a layer with its adapter merged; compare it with the sum before the rounding.

    The share of the update is that of its own direction which the rounding left in the layer: 1
    is all of it, 0 nothing (and 1 for an update that is zero).
    """
    whole_OI = rows.base + rows.update
    back_OI = rounded(whole_OI, kind)
    moved_OI = back_OI - rounded(rows.base, kind)
    size = float((rows.update**2).sum())
    share = float((moved_OI * rows.update).sum()) / size if size else 1.0
    return Kept(float(np.linalg.norm(back_OI - whole_OI) / np.linalg.norm(whole_OI)), share)


def survey(layers: Mapping[str, Rows], kind: str) -> dict[str, Kept]:
    """Return what is left of every layer."""
    return {name: kept(rows, kind) for name, rows in layers.items()}


def in_blocks(values: torch.Tensor, bits: int) -> torch.Tensor:
    """Round rows in blocks of 32 to 2^bits steps, as Q4_0 does with 4; the scale has 16 bits."""
    half = 2 ** (bits - 1)
    blocks = values.reshape(-1, 32)
    far = blocks.gather(1, blocks.abs().argmax(1, keepdim=True)) / -half
    inverse = torch.where(far == 0, 0, 1 / far)
    steps = (blocks * inverse + half + 0.5).floor().clamp(0, 2 * half - 1) - half
    return (steps * far.half().float()).reshape(values.shape)
