"""Find a change of the kit's function that gives what a wrong attempt gives, and say which.

The kit's function runs again, with two arguments swapped, or with one of its operations done
otherwise (a minus for a plus, a mean for a sum, another axis).  If this gives the attempt's result
on every input, it is the mistake or acts like it, so the words are "it is what comes out if …".
The attempt itself does not run again, and no source is read.  To look for the one correction
between an attempt and a solution is the idea of Singh et al. 2013 (arXiv 1204.1751); here the
solution is changed until it is as wrong as the attempt.
"""

from __future__ import annotations

import copy
import functools
import itertools
import operator
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import CodeType
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from distillkit.teaching.attempt import run_once
from distillkit.teaching.compare import has_numbers
from distillkit.teaching.otherwise import OTHER, is_number, ways

Change = tuple[str, Callable]  # in words; the function with it


def nearby(
    function: Callable,
    names: Sequence[str],
    inputs: Sequence[tuple],
    gots: Sequence[Any],
    alike: Callable[[Any, Any], bool],
    first: int = 0,
    seconds: float = 1.0,
) -> str:
    """Return in words how to change the function so that it gives `gots` on the inputs, or "".

    `alike` compares two results; `first` is the input to try first, one where the attempt is
    wrong.  No change is tried after so many seconds of computing.
    """
    if not any(map(_told, gots)) or not all(_again(got, alike, seconds) for got in gots):
        return ""
    order = sorted(range(len(inputs)), key=lambda at: at != first)
    ends = time.thread_time() + seconds
    with warnings.catch_warnings():  # of the kit's function: a learner would look for the cause
        warnings.simplefilter("ignore")
        for words, changed in itertools.chain(
            _swapped_arguments(function, names),
            _other_steps(function, names, [inputs[at] for at in order], ends),
        ):
            if time.thread_time() > ends:
                break
            if all(_gives(changed, inputs[at], gots[at], alike, seconds / 2) for at in order):
                return words
    return ""


def _told(got: Any) -> bool:
    """Tell whether a result says anything: NaN alone comes of many mistakes."""
    if isinstance(got, torch.Tensor) and got.is_floating_point():
        return has_numbers(got) and bool(got.isfinite().any())
    return not isinstance(got, float) or got == got


def _again(got: Any, alike: Callable[[Any, Any], bool], seconds: float) -> bool:
    """Tell whether a result is known again when it is made anew; a bare object is not."""
    return bool(run_once(lambda: alike(copy.deepcopy(got), got), (), seconds).value)


def _gives(
    function: Callable, given: tuple, got: Any, alike: Callable[[Any, Any], bool], seconds: float
) -> bool:
    done = run_once(lambda: function(*copy.deepcopy(given)), (), seconds)
    return done.error is None and alike(done.value, got)


def _swapped_arguments(function: Callable, names: Sequence[str]) -> Iterator[Change]:
    for a, b in itertools.combinations(range(len(names)), 2):

        def swapped(*given: Any, a: int = a, b: int = b) -> Any:
            changed = list(given)
            changed[a], changed[b] = given[b], given[a]
            return function(*changed)

        yield f"it is what comes out if {names[a]} and {names[b]} change places", swapped


def _other_steps(
    function: Callable, names: Sequence[str], inputs: Sequence[tuple], ends: float
) -> Iterator[Change]:
    spy, left = _Spy(names, ends), ends - time.thread_time()
    for given in inputs:
        run_once(lambda given=given: spy.run(function, copy.deepcopy(given)), (), left)
    for place in sorted(spy.steps, key=len):  # the function's own steps before those it calls
        for words, how in ways(*spy.steps[place]):

            def changed(*given: Any, place: tuple = place, how: Callable = how) -> Any:
                return _Spy(names, ends, place, how).run(function, given)

            yield f"it is what comes out if {words}", changed


class _Spy(TorchFunctionMode):
    """Runs a function with one operation on tensors or numbers, the one at `place`, done otherwise.

    Without a place it notes in `steps` what is done where: the operation's name, its arguments and
    options, and the arguments in words.  When the thread's time `ends` it raises TimeoutError.
    """

    def __init__(
        self, names: Sequence[str], ends: float, place: tuple = (), how: Callable | None = None
    ):
        super().__init__()
        self.names, self.ends, self.place, self.how = list(names), ends, place, how
        self.steps: dict[tuple, list] = {}
        # by its id what an object is made of, and the object itself so that its id stays its own
        self._made: dict[int, tuple] = {}
        self._arguments: dict[int, str] = {}
        self._foreign: set[CodeType] = set()

    def run(self, function: Callable, given: tuple) -> Any:
        """Return what the function gives; a generator is run to its end."""
        watched = [self._argument(*pair) for pair in zip(self.names, given, strict=False)]
        with self:
            value = function(*watched)
            return list(value) if hasattr(value, "__next__") else value

    def __torch_function__(self, call, types, args=(), kwargs=None):
        name = call.__name__.removeprefix("__").removesuffix("__")
        return self.done(name, call, args, kwargs or {})

    def done(self, name: str, call: Callable, args: tuple, kwargs: dict) -> Any:
        """Do one operation, or do it otherwise if it is the one; remember what its result is of."""
        if time.thread_time() > self.ends:
            raise TimeoutError("the search is over")
        path = _path()
        place, bare = (*path, name), tuple(map(_bare, args))
        if self.how is None and self._own(path):
            said = [self._said(value) for value in args]
            step = self.steps.setdefault(place, [name, bare, kwargs, said])
            step[3] = [a if a == b else OTHER for a, b in zip(step[3], said, strict=False)]
        if place == self.place:
            result = self.how(call, bare, kwargs)
        else:
            result = call(*bare, **kwargs)
        return self._noted(result, frozenset().union(*map(self._whence, args)))

    def _argument(self, name: str, value: Any) -> Any:
        """Remember an argument; return it, or of a number one whose operations are seen."""
        for part in (value, getattr(value, "forward", None), type(value).__dict__.get("__call__")):
            if hasattr(part, "__code__"):  # what it does is not the function's
                self._foreign.add(part.__code__)
        value = self._noted(value, frozenset([name]))
        if id(value) in self._made:
            self._arguments[id(value)] = name
        return value

    def _noted(self, value: Any, whence: frozenset[str]) -> Any:
        """Remember what a value is made of; return it, with numbers whose operations are seen."""
        if type(value) in _NUMBERS:
            value = _NUMBERS[type(value)](value)
            value.spy = self
        elif type(value) in (list, tuple):
            value = type(value)(self._noted(part, whence) for part in value)
        if isinstance(value, torch.Tensor | _Number):
            self._made.setdefault(id(value), (whence, value))
        return value

    def _own(self, path: tuple) -> bool:
        """Tell whether a step is the function's and not in an argument or in an optimizer."""
        files = [code.co_filename for code in path if isinstance(code, CodeType)]
        return not (self._foreign & {*path} or any("optim" in Path(file).parts for file in files))

    def _whence(self, value: Any) -> frozenset[str]:
        """Return the names of the arguments that an operand is made of."""
        if isinstance(value, list | tuple):
            return frozenset().union(*map(self._whence, value))
        return self._made.get(id(value), (frozenset(),))[0]

    def _said(self, value: Any) -> str:
        """Return an operand in words: a number, an argument's name, or what it is made of."""
        if id(value) in self._arguments:
            return self._arguments[id(value)]
        whence = sorted(self._whence(value), key=self.names.index)
        if not whence:
            return f"{value:.4g}" if is_number(value) else OTHER
        *most, last = whence
        both = f"{', '.join(most)} and {last}" if most else last
        return f"what is computed from {both}"


def _path() -> tuple:
    """Return where in the function an operation stands: all calls down to it."""
    path, frame = [], sys._getframe(2)
    while frame is not None and frame.f_code is not _Spy.run.__code__:
        path += [frame.f_code, _positions(frame.f_code)[frame.f_lasti // 2]]
        frame = frame.f_back
    return tuple(path)


@functools.cache
def _positions(code: CodeType) -> list[tuple]:
    """Return the place in the source of each step of a code; the step's number may change."""
    return list(code.co_positions())


# --- numbers --------------------------------------------------------------------------------------


class _Number:
    """A number of Python's whose operations go through a spy, as those of tensors do."""

    spy: _Spy


class _Int(_Number, int):
    pass


class _Float(_Number, float):
    pass


_NUMBERS = {int: _Int, float: _Float}


def _bare(value: Any) -> Any:
    """Return a number as Python's own."""
    if isinstance(value, _Number):
        return int(value) if isinstance(value, int) else float(value)
    return value


def _watch(name: str, operation: Callable[[Any, Any], Any]) -> None:
    """Make an operation of numbers go through their spy."""

    def method(self: _Number, other: Any) -> Any:
        if not isinstance(other, int | float):
            return NotImplemented
        return self.spy.done(name, operation, (self, other), {})

    setattr(_Number, f"__{name}__", method)


def _turned(operation: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    return lambda a, b: operation(b, a)


for _name in ("add", "sub", "mul", "truediv", "floordiv", "pow"):
    _watch(_name, getattr(operator, _name))
    _watch(f"r{_name}", _turned(getattr(operator, _name)))
for _name in ("lt", "le", "gt", "ge"):
    _watch(_name, getattr(operator, _name))
