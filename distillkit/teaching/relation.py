"""Say how wrong results follow from the right ones: a sign, a factor, another order, a lost row."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy
import torch

from distillkit.teaching.compare import has_numbers, same, short

_POWERS = {
    1: "times {}",
    2: "times the square of {}",
    -1: "divided by {}",
    -2: "divided by the square of {}",
}


def relation(
    names: Sequence[str], inputs: Sequence[tuple], wants: Sequence[Any], gots: Sequence[Any]
) -> str:
    """Return how the results follow from those expected, "" if no simple way is seen.

    `names` are those of the arguments; `inputs`, `wants` and `gots` have one entry an input, and
    the way must be the same on all of them.
    """
    return (
        _made_of(wants, gots)
        or _of_numbers(names, inputs, wants, gots)
        or _always_the_same(wants, gots)
        or _of_parts(names, inputs, wants, gots)
    )


def _of_numbers(
    names: Sequence[str], inputs: Sequence[tuple], wants: Sequence[Any], gots: Sequence[Any]
) -> str:
    pairs = [(_numbers(want), _numbers(got)) for want, got in zip(wants, gots, strict=True)]
    if any(w is None or g is None or len(w) != len(g) for w, g in pairs):
        return ""
    flat = [(a, b) for want, got in pairs for a, b in zip(want, got, strict=True)]
    if len(flat) < 2 or not all(math.isfinite(x) for pair in flat for x in pair):
        return ""
    if all(_near(a, b) for a, b in flat):
        return ""  # the numbers are right, and the shape or the kind is not
    if all(_near(b, 0.0) for _, b in flat):
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
    for words, way in _NUMBERWISE.items():
        if all(_follows(way, a, b) for a, b in flat):
            return words
    if any(len(want) > 1 for want, _ in pairs) and all(
        all(map(_near, sorted(want), sorted(got))) for want, got in pairs
    ):
        return "the numbers are right and stand in another order"
    return ""


_NUMBERWISE: dict[str, Callable[[float], float]] = {
    "each number is 1 minus what it should be": lambda x: 1 - x,
    "each number is 1 divided by what it should be": lambda x: 1 / x,
    "each number is rounded down": math.floor,
}


def _follows(way: Callable[[float], float], a: float, b: float) -> bool:
    try:
        return _near(way(a), b)
    except ArithmeticError:
        return False


def _always_the_same(wants: Sequence[Any], gots: Sequence[Any]) -> str:
    if len(gots) < 2 or not all(_alike(gots[0], got) for got in gots):
        return ""
    if all(_alike(wants[0], want) for want in wants):
        return ""
    return f"{short(gots[0])} comes out whatever is given: are the arguments used?"


# results of another size or order, as made of the right ones; what has no rows raises
_MADE: dict[str, Callable[[Any], Any]] = {
    "it is right but transposed: rows and columns have changed places":
        lambda x: x.mT if x.ndim > 1 else x,
    "it is right but from the last element to the first":
        lambda x: x.flip(0) if isinstance(x, torch.Tensor) else x[::-1],
    "everything stands one place too far to the right": lambda x: x.roll(1, -1),
    "everything stands one place too far to the left": lambda x: x.roll(-1, -1),
    "the first element is missing": lambda x: x[1:],
    "the last element is missing": lambda x: x[:-1],
    "the last element alone comes out": lambda x: x[-1:],
    "the first column is missing": lambda x: x[..., 1:],
    "the last column is missing": lambda x: x[..., :-1],
}  # fmt: skip


def _made_of(wants: Sequence[Any], gots: Sequence[Any]) -> str:
    """Return how results of another size or order are made of the right ones."""
    for words, way in _MADE.items():
        if _all_are(way, wants, gots):
            return words
    return ""


def _all_are(way: Callable, wants: Sequence[Any], gots: Sequence[Any]) -> bool:
    """Tell whether every result is what `way` makes of the right one, and some are changed."""
    changed = False
    for want, got in zip(wants, gots, strict=True):
        if not isinstance(want, list | tuple | torch.Tensor | numpy.ndarray):
            return False
        try:
            made = way(want)
        except (TypeError, AttributeError, IndexError, RuntimeError, ValueError):
            return False
        if not _alike(made, got):
            return False
        changed = changed or not _alike(made, want)
    return changed


def _of_parts(
    names: Sequence[str], inputs: Sequence[tuple], wants: Sequence[Any], gots: Sequence[Any]
) -> str:
    """Return what is wrong with each of the few parts of a result, "" if one is not seen."""
    keys = _keys(wants[0])
    if not 1 < len(keys) < 5 or any(_keys(value) != keys for value in (*wants, *gots)):
        return ""
    found = []
    for key in keys:
        ours, theirs = [want[key] for want in wants], [got[key] for got in gots]
        if all(map(_alike, ours, theirs)):
            continue
        words = relation(names, inputs, ours, theirs)
        if not words:
            return ""
        found.append(f"in part [{key!r}] {words}")
    return "; ".join(found)


def _keys(value: Any) -> list:
    if isinstance(value, list | tuple):
        return [*range(len(value))]
    return [*value] if isinstance(value, dict) else []


def _alike(a: Any, b: Any) -> bool:
    return same(a, b, 1e-4, 1e-6)


def _factor(names: Sequence[str], inputs: Sequence[tuple], ratios: Sequence[float]) -> str:
    """Return which argument, or which size of one, explains a factor on every input."""
    for name, column in zip(names, zip(*inputs, strict=False), strict=False):
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
        if not has_numbers(value) or value.is_complex():
            return None
        return [float(x) for x in value.flatten().tolist()]
    if isinstance(value, numpy.ndarray | numpy.generic):
        value = value.tolist()
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        try:
            return [float(value)]
        except OverflowError:
            return None
    if isinstance(value, list | tuple):
        parts = [_numbers(part) for part in value]
        return None if any(p is None for p in parts) else [x for p in parts for x in p]
    return None


def _near(a: float, b: float) -> bool:
    return math.isclose(a, b, rel_tol=1e-4, abs_tol=1e-6)
