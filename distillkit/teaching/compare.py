"""Compare what an attempt returns with what is expected, and say the difference in words."""

from __future__ import annotations

import math
from collections.abc import Mapping
from numbers import Real
from typing import Any

import numpy
import torch


def difference(want: Any, got: Any, rtol: float, atol: float) -> str | None:
    """Return what is wrong with `got`, its type and shape first, or None if it is right."""
    return _difference(want, got, rtol, atol, "")


def _difference(want: Any, got: Any, rtol: float, atol: float, place: str) -> str | None:
    """Return the difference, with the place of the part that differs: "[1][3]"."""
    want, got = _plain(want), _plain(got)
    if words := _kind(want, got) or _amount(want, got, rtol, atol):
        return f"in part {place} {words}" if place else words
    for key in _keys(want):
        if words := _difference(want[key], got[key], rtol, atol, f"{place}[{key!r}]"):
            return words
    return None


def same(a: Any, b: Any, rtol: float, atol: float, unknown: bool = False) -> bool:
    """Tell whether two results are equal within the tolerances; NaN equals NaN here.

    `unknown` is the answer for objects of a type that does not say what equal means.
    """
    a, b = _plain(a), _plain(b)
    if _kind(a, b):
        return False
    if isinstance(a, torch.Tensor):
        if not has_numbers(a):
            return repr(a) == repr(b)
        if a.is_floating_point() or a.is_complex():
            return torch.allclose(a, b, rtol=rtol, atol=atol, equal_nan=True)
        return torch.equal(a, b)
    if isinstance(a, numpy.ndarray):
        if a.dtype.kind in "fc":
            return numpy.allclose(a, b, rtol=rtol, atol=atol, equal_nan=True)
        if not has_numbers(a):
            return same(a.tolist(), b.tolist(), rtol, atol, unknown)
        return numpy.array_equal(a, b)
    if _is_number(a):
        if a != a or b != b:
            return a != a and b != b
        try:
            return a == b or math.isclose(a, b, rel_tol=rtol, abs_tol=atol)
        except OverflowError:  # a whole number that is larger than any float
            return False
    if isinstance(a, list | tuple):
        return all(same(x, y, rtol, atol, unknown) for x, y in zip(a, b, strict=True))
    if isinstance(a, Mapping):
        return all(same(a[key], b[key], rtol, atol, unknown) for key in a)
    if isinstance(a, torch.nn.Module):
        return same(a.state_dict(), b.state_dict(), rtol, atol)
    if a is b or type(a).__eq__ is object.__eq__:
        return a is b or unknown
    return bool(a == b)


def short(value: Any) -> str:
    """Return a value in a few words: small ones whole, large tensors by shape and first numbers."""
    if has_numbers(value):
        name = "tensor" if isinstance(value, torch.Tensor) else "array"
        numbers = ", ".join(_number(x) for x in value.reshape(-1)[:4].tolist())
        if value.ndim == 0:
            return f"{name}({numbers})"
        more = ", …" if math.prod(value.shape) > 4 else ""
        return f"{name} {tuple(value.shape)} [{numbers}{more}]"
    if isinstance(value, float):
        return _number(value)
    if callable(value):
        return getattr(value, "__name__", type(value).__name__)
    try:
        words = repr(value)
    except Exception:
        words = f"a {type(value).__name__}"
    if isinstance(value, torch.Tensor | numpy.ndarray):
        words = " ".join(words.split())
    return words if len(words) <= 80 else words[:79] + "…"


def _plain(value: Any) -> Any:
    """Return NumPy's scalars as Python's."""
    return value.item() if isinstance(value, numpy.generic) else value


def has_numbers(value: Any) -> bool:
    """Tell whether this is an array of numbers, or a tensor that holds them here, one by one."""
    if isinstance(value, torch.Tensor):
        return value.layout == torch.strided and value.device.type == "cpu"
    return isinstance(value, numpy.ndarray) and value.dtype.kind in "biufc"


def _number(x: Any) -> str:
    return f"{x:.5g}" if isinstance(x, float) else str(x)


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def _name(value: Any) -> str:
    kinds = ((torch.Tensor, "a tensor"), (numpy.ndarray, "a NumPy array"), (str, "a text"))
    for kind, name in kinds:
        if isinstance(value, kind):
            return name
    if value is None:
        return "None"
    return "a number" if _is_number(value) else f"a {type(value).__name__}"


def _named(value: Any) -> str:
    return "None" if value is None else f"{_name(value)}, {short(value)}"


def _kind(want: Any, got: Any) -> str | None:
    """Return how type, dtype, shape or length differ, or None."""
    families = (
        torch.Tensor,
        numpy.ndarray,
        bool,
        Real,
        str,
        (list, tuple),
        Mapping,
        torch.nn.Module,
    )
    for family in families:
        if isinstance(want, family):
            if isinstance(got, family) and isinstance(got, bool) == isinstance(want, bool):
                break
            return f"it returns {_named(got)}, and {_name(want)} is expected"
    else:
        if type(want) is not type(got):
            return f"it returns {_named(got)}, and {_name(want)} is expected"
    if isinstance(want, torch.Tensor) and has_numbers(want) != has_numbers(got):
        return f"it returns {_named(got)}, and an ordinary tensor on the CPU is expected"
    if isinstance(want, numpy.ndarray) or has_numbers(want):
        if tuple(want.shape) != tuple(got.shape):
            return f"the shape is {tuple(got.shape)}, and {tuple(want.shape)} is expected"
        if want.dtype != got.dtype:
            return f"the dtype is {got.dtype}, and {want.dtype} is expected"
    if isinstance(want, list | tuple) and len(want) != len(got):
        parts = "1 part" if len(got) == 1 else f"{len(got)} parts"
        are = "is" if len(want) == 1 else "are"
        return f"it returns {parts}, {short(got)}, and {len(want)} {are} expected"
    if isinstance(want, Mapping) and set(want) != set(got):
        return f"its keys are {sorted(map(str, got))}, and {sorted(map(str, want))} are expected"
    return None


def _keys(value: Any) -> Any:
    """Return the keys of the parts of a list, tuple or dict; of anything else none."""
    if isinstance(value, list | tuple):
        return range(len(value))
    return value if isinstance(value, Mapping) else ()


def _amount(want: Any, got: Any, rtol: float, atol: float) -> str | None:
    if _keys(want) or same(want, got, rtol, atol):
        return None
    if isinstance(want, str):
        return _texts(want, got)
    words = f"expected {short(want)}, got {short(got)}"
    if short(want) == short(got):  # the numbers that are shown are alike
        words = _first(want, got, rtol, atol) or words
    if _unfinite(got) and not _unfinite(want):
        words += ": a NaN or an infinity comes from log(0), 0 · log(0), inf − inf or 0 / 0"
    return words


def _first(want: Any, got: Any, rtol: float, atol: float) -> str:
    """Say where two tensors or arrays of one shape begin to differ."""
    if has_numbers(want):
        for place in numpy.ndindex(tuple(want.shape)):
            ours, theirs = want[place].item(), got[place].item()
            if not same(ours, theirs, rtol, atol):
                return f"at {list(place)} expected {_number(ours)}, got {_number(theirs)}"
    return ""


def _texts(want: str, got: str) -> str:
    """Say where two texts begin to differ; long ones are shown from shortly before that place."""
    if max(len(want), len(got)) <= 70:
        return f"expected {want!r}, got {got!r}"
    pairs = enumerate(zip(want, got, strict=False))
    at = next((i for i, (a, b) in pairs if a != b), min(len(want), len(got)))
    first = max(0, at - 20)
    parts = ["…" * (first > 0) + repr(text[first : first + 60]) + "…" * (len(text) > first + 60)
             for text in (want, got)]  # fmt: skip
    return f"from character {at + 1} on the texts differ: expected {parts[0]}, got {parts[1]}"


def _unfinite(value: Any) -> bool:
    if isinstance(value, torch.Tensor):
        return value.is_floating_point() and not bool(value.isfinite().all())
    if isinstance(value, numpy.ndarray):
        return value.dtype.kind == "f" and not bool(numpy.isfinite(value).all())
    return isinstance(value, float) and not math.isfinite(value)
