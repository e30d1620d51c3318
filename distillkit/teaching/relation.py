"""Say how wrong numbers follow from the right ones: a sign, a factor, a shift, another order."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy
import torch

_POWERS = {
    1: "times {}",
    2: "times the square of {}",
    -1: "divided by {}",
    -2: "divided by the square of {}",
}


def relation(
    names: Sequence[str], inputs: Sequence[tuple], wants: Sequence[Any], gots: Sequence[Any]
) -> str:
    """Return how the numbers that came out follow from those expected, "" if no simple way.

    `names` are those of the arguments; `inputs`, `wants` and `gots` have one entry an input, and
    the way must be the same on all of them.
    """
    pairs = [(_numbers(want), _numbers(got)) for want, got in zip(wants, gots, strict=True)]
    if any(w is None or g is None or len(w) != len(g) for w, g in pairs):
        return ""
    flat = [(a, b) for want, got in pairs for a, b in zip(want, got, strict=True)]
    if len(flat) < 2 or not all(math.isfinite(x) for pair in flat for x in pair):
        return ""
    if not any(b for _, b in flat):
        return "every number that comes out is 0"
    if all(_near(-a, b) for a, b in flat):
        return "the numbers are right but for the sign"
    ratios = [_one_ratio(want, got) for want, got in pairs]
    if all(r is not None for r in ratios):
        known = [r for r in ratios if not math.isnan(r)]
        if known and all(_near(known[0], r) for r in known):
            return f"each number is {known[0]:.4g} times what it should be: which factor is that?"
        if word := _factor(names, inputs, ratios):
            return word
    if all(_near(b - a, flat[0][1] - flat[0][0]) for a, b in flat):
        return f"each number is {flat[0][1] - flat[0][0]:+.4g} off: what is added, or left out?"
    if any(len(want) > 1 for want, _ in pairs) and all(
        all(map(_near, sorted(want), sorted(got))) for want, got in pairs
    ):
        return "the numbers are right and stand in another order"
    return ""


def _factor(names: Sequence[str], inputs: Sequence[tuple], ratios: Sequence[float]) -> str:
    """Return which argument, or which size of one, explains a factor on every input."""
    for name, column in zip(names, zip(*inputs, strict=True), strict=False):
        for what, sizes in _sizes(name, column):
            for power, word in _POWERS.items():
                if all(
                    s > 0 and (math.isnan(r) or _near(s**power, r))
                    for s, r in zip(sizes, ratios, strict=True)
                ):
                    return f"each result is the right one {word.format(what)}"
    return ""


def _sizes(name: str, column: Sequence[Any]) -> Iterator[tuple[str, list[float]]]:
    first = column[0]
    if isinstance(first, int | float) and not isinstance(first, bool):
        yield name, [float(value) for value in column]
    elif isinstance(first, torch.Tensor | numpy.ndarray):
        for axis in range(first.ndim):
            if all(value.ndim == first.ndim for value in column):
                yield (
                    f"the size of {name} along axis {axis}",
                    [float(v.shape[axis]) for v in column],
                )
        yield f"the number of elements of {name}", [float(math.prod(v.shape)) for v in column]
    elif isinstance(first, list | tuple):
        yield f"the length of {name}", [float(len(value)) for value in column]


def _one_ratio(want: list[float], got: list[float]) -> float | None:
    """Return got / want if it is the same for all numbers; NaN if all are 0, None if it is not."""
    ratios = [b / a for a, b in zip(want, got, strict=True) if a]
    if any(b for a, b in zip(want, got, strict=True) if not a):
        return None
    if not ratios:
        return math.nan
    return ratios[0] if all(_near(ratios[0], r) for r in ratios) else None


def _numbers(value: Any) -> list[float] | None:
    """Return all numbers of a result in one list, None if it holds anything else."""
    if isinstance(value, torch.Tensor):
        return [float(x) for x in value.detach().flatten().tolist()]
    if isinstance(value, numpy.ndarray | numpy.generic):
        value = value.tolist()
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return [float(value)]
    if isinstance(value, list | tuple):
        parts = [_numbers(part) for part in value]
        return None if any(p is None for p in parts) else [x for p in parts for x in p]
    return None


def _near(a: float, b: float) -> bool:
    return math.isclose(a, b, rel_tol=1e-4, abs_tol=1e-6)
