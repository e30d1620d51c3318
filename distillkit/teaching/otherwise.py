"""What may go wrong with one operation on tensors or numbers: in words, and as a function."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Sequence
from numbers import Real
from typing import Any

import torch

# how an operation is done otherwise: a function of the call, its arguments and its options
Way = tuple[str, Callable[[Callable, tuple, dict], Any]]
Pair = Callable[[Any, Any], Any]
OTHER = "another value"  # an operand that is not always the same, or comes from nowhere

# {a} and {b} are the operands, in the order in which they are written
_TWO: dict[str, list[tuple[str, Pair]]] = {
    "add": [
        ("{b} is subtracted from {a}, not added", operator.sub),
        ("{a} is subtracted from {b}, not added", lambda a, b: b - a),
        ("{b} is not added to {a}", lambda a, b: a),
        ("{a} is not added to {b}", lambda a, b: b),
        ("{a} is multiplied by {b}, not added to it", operator.mul),
    ],
    "sub": [
        ("{b} is added to {a}, not subtracted", operator.add),
        ("{a} is subtracted from {b}, and not {b} from {a}", lambda a, b: b - a),
        ("{b} is not subtracted from {a}", lambda a, b: a),
        ("{b} stands alone, and is not subtracted from {a}", lambda a, b: b),
        ("{a} is divided by {b} where {b} should be subtracted", operator.truediv),
    ],
    "mul": [
        ("{a} is divided by {b}, not multiplied", operator.truediv),
        ("{b} is divided by {a}, not multiplied", lambda a, b: b / a),
        ("{a} is not multiplied by {b}", lambda a, b: a),
        ("{b} is not multiplied by {a}", lambda a, b: b),
        ("{a} and {b} are added, not multiplied", operator.add),
        ("{b} is multiplied by {a} twice", lambda a, b: a * a * b),
        ("{a} is multiplied by {b} twice", lambda a, b: a * b * b),
    ],
    "div": [
        ("{a} is multiplied by {b}, not divided", operator.mul),
        ("{b} is divided by {a}, and not {a} by {b}", lambda a, b: b / a),
        ("{a} is not divided by {b}", lambda a, b: a),
        ("{b} itself stands there, and not {a} divided by it", lambda a, b: b),
        ("{a} is divided by {b} and rounded down", operator.floordiv),
        ("{a} is divided by the square of {b}", lambda a, b: a / b / b),
    ],
    "floordiv": [
        ("{a} is multiplied by {b}, not divided", operator.mul),
        ("{b} is divided by {a}, and not {a} by {b}", lambda a, b: b // a),
        ("{a} is not divided by {b}", lambda a, b: a),
        ("{a} is divided by {b} and not rounded down", operator.truediv),
    ],
    "pow": [
        ("{a} is not raised to the power {b}", lambda a, b: a),
        ("{a} is multiplied by {b}, not raised to the power", operator.mul),
        ("{a} is raised to the power {b} + 1", lambda a, b: a ** (b + 1)),
        ("{b} is raised to the power {a}, and not {a} to {b}", lambda a, b: b**a),
    ],
}
_PLAIN = {
    "truediv": "div", "true_divide": "div", "divide": "div", "multiply": "mul",
    "subtract": "sub", "floor_divide": "floordiv",
}  # fmt: skip
_COMPARED = {  # the same but where both are equal; the other way round
    "lt": ("le", "gt"), "le": ("lt", "ge"), "gt": ("ge", "lt"), "ge": ("gt", "le"),
    "eq": ("ne",), "ne": ("eq",),
}  # fmt: skip
_SIGNS = {"lt": "<", "le": "<=", "gt": ">", "ge": ">=", "eq": "==", "ne": "!="}
_ONE: dict[str, list[str]] = {  # what else may stand for a function of one tensor
    "exp": [], "log": [], "abs": [], "neg": [], "sqrt": ["square"], "square": ["sqrt"],
    "floor": ["ceil", "round"], "ceil": ["floor", "round"], "round": ["floor", "ceil"],
    "softmax": ["log_softmax"], "log_softmax": ["softmax"], "cumsum": [], "flip": [],
    "sum": ["mean"], "mean": ["sum"], "argmax": ["argmin"], "argmin": ["argmax"],
    "max": ["min"], "min": ["max"], "any": ["all"], "all": ["any"], "tril": ["triu"],
}  # fmt: skip
_ALONG = {"softmax", "log_softmax", "sum", "mean", "argmax", "cumsum", "logsumexp", "cat"}


def is_number(value: Any) -> bool:
    """Tell whether a value is a number of Python's, True and False excepted."""
    return isinstance(value, Real) and not isinstance(value, bool)


def ways(name: str, args: tuple, kwargs: dict, said: Sequence[str]) -> Iterator[Way]:
    """Yield how an operation may be done otherwise, each as the end of "what comes out if …".

    `name` is the function's, as torch or Python call it; `said` are its arguments in words.
    """
    if [*said[:2]] == [OTHER, OTHER]:
        return  # this would say nothing
    turned = name.startswith("r") and _PLAIN.get(name[1:], name[1:]) in _TWO
    base = name[1:] if turned else name
    base = _PLAIN.get(base, base)
    if base in _TWO and len(args) > 1:
        yield from _of_two(base, args, said, turned)
    elif base in _COMPARED and len(args) > 1:
        yield from _of_comparison(base, said)
    if base in _ONE and args and isinstance(args[0], torch.Tensor):
        yield from _of_one(base, said[0])
    if base in _ALONG and args:
        yield from _along(base, args, kwargs, said[0])


def _of_two(base: str, args: tuple, said: Sequence[str], turned: bool) -> Iterator[Way]:
    a, b = (said[1], said[0]) if turned else said[:2]
    if a == b:
        b = b.replace("what is", "what else is", 1)
    for words, pair in _TWO[base]:

        def how(call: Callable, given: tuple, options: dict, pair: Pair = pair) -> Any:
            return pair(given[1], given[0]) if turned else pair(given[0], given[1])

        yield words.format(a=a, b=b), how
    for at, value in enumerate(args[:2]):
        if is_number(value) and said[at] == f"{value:.4g}":
            for by in (1, -1):
                other = said[1 - at]
                yield (
                    f"the {said[at]} beside {other} is {value + by:.4g}",
                    lambda call, given, options, at=at, by=by: call(
                        *given[:at], given[at] + by, *given[at + 1 :], **options
                    ),
                )


def _of_comparison(base: str, said: Sequence[str]) -> Iterator[Way]:
    for other in _COMPARED[base]:
        yield (
            f"{said[0]} {_SIGNS[other]} {said[1]} is asked, and not {_SIGNS[base]}",
            lambda call, given, options, other=other: getattr(operator, other)(*given[:2]),
        )


def _of_one(base: str, said: str) -> Iterator[Way]:
    yield f"{base} of {said} is missing", lambda call, given, options: given[0]
    for other in _ONE[base]:
        yield (
            f"{other} of {said} is taken, not {base}",
            lambda call, given, options, other=other: getattr(torch, other)(*given, **options),
        )


def _along(base: str, args: tuple, kwargs: dict, said: str) -> Iterator[Way]:
    """Yield the same along other axes."""
    tensor = args[0][0] if isinstance(args[0], list | tuple) else args[0]
    axes = getattr(tensor, "ndim", 0)
    word = next((word for word in ("dim", "axis") if word in kwargs), None)
    now = kwargs[word] if word else args[1] if len(args) > 1 else None
    for axis in range(axes):
        if now is None or (isinstance(now, int) and axis != now % axes):

            def how(call: Callable, given: tuple, options: dict, axis: int = axis) -> Any:
                if word:
                    return call(*given, **options | {word: axis})
                return call(given[0], axis, *given[2:], **options)

            yield f"{base} of {said} runs along axis {axis}", how
