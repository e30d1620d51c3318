"""Every attempt judged by its exercise: accepted or refused, and whether the mistake is named."""

from __future__ import annotations

import importlib
import json
import math
import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from benchmarks.attempts import held_out, right
from benchmarks.attempts.mutations import compiled, mutants
from benchmarks.report.parts import ROOT
from distillkit.lessons.l14_sampler import diffusion
from distillkit.runtime.files import read_csv
from distillkit.teaching.attempt import run_once
from distillkit.teaching.compare import same
from distillkit.teaching.exercise import DONE, KNOWN, Exercise
from distillkit.training import losses

NAMES = {
    "torch": torch, "F": F, "np": np, "math": math, "re": re, "json": json, "comb": math.comb,
    "diffusion": diffusion, "soft_loss": losses.soft_loss, "ddim_step": diffusion.ddim_step,
    "two_step_target": diffusion.two_step_target,
}  # fmt: skip
RIGHT = "right, written differently"


@dataclass(frozen=True)
class Attempt:
    """A function that somebody might write: at which exercise, how it differs, its text."""

    exercise: str
    kind: str
    text: str
    function: Callable
    part: str = "in view"  # or "held out"

    @property
    def right(self) -> bool:
        return self.kind == RIGHT


def exercises() -> dict[str, Exercise]:
    """Return the exercises that data/exercises.csv lists, by name."""
    for path in sorted((ROOT / "distillkit/lessons").glob("l*/checks*.py")):
        importlib.import_module(f"distillkit.lessons.{path.parent.name}.{path.stem}")
    return {row["exercise"]: KNOWN[row["exercise"]] for row in lessons()}


def lessons() -> list[dict[str, str]]:
    """Return the rows of data/exercises.csv."""
    return read_csv(ROOT / "data/exercises.csv")


def solutions() -> dict[str, str]:
    """Return the kit's solutions by name."""
    return json.loads((ROOT / "data/solutions.json").read_text(encoding="utf-8"))


def corpus(known: dict[str, Exercise]) -> Iterator[Attempt]:
    """Yield every attempt at these exercises: changed solutions, misuses, and right ones.

    A solution counts as a right one: `Exercise.reference` is written on its own.
    """
    for name, source in solutions().items():
        if name in known:
            yield from changed_solutions(name, source)
            yield from misused(known[name], source)
            yield Attempt(name, RIGHT, source, compiled(source, name, NAMES))
    for how, function in list(vars(right).items()):
        name = how.partition("__")[0]
        if name in known and name != how:
            yield Attempt(name, RIGHT, how, function)


def set_aside(known: dict[str, Exercise]) -> Iterator[Attempt]:
    """Yield the attempts of `held_out` at these exercises."""
    for name, source in solutions().items():
        if name not in known:
            continue
        for kind, text, function in held_out.held_out(name, source, NAMES):
            yield Attempt(name, kind, text, function, "held out")


def changed_solutions(name: str, source: str) -> Iterator[Attempt]:
    """Yield the mutants of a solution."""
    for kind, text in mutants(source):
        yield Attempt(name, kind, text, compiled(text, name, NAMES))


def misused(exercise: Exercise, source: str) -> Iterator[Attempt]:
    """Yield right values handed over in the wrong way: printed, as a list, by changing arguments.

    A way that does not apply to the exercise's values is left out.
    """
    solved, name = compiled(source, exercise.name, NAMES), exercise.name
    value = next(iter(exercise._runs(solved))).value

    def of(how: Callable[[Any, tuple], Any]) -> Callable:
        return lambda *given: how(solved(*given), given)

    def attempt(kind: str, how: Callable[[Any, tuple], Any]) -> Attempt:
        return Attempt(name, kind, f"{kind}: {name}", of(how))

    yield attempt("print in place of return", lambda v, given: print(v))
    if not isinstance(value, str):
        yield attempt("text in place of a value", lambda v, given: str(v))
    if isinstance(value, torch.Tensor | np.ndarray):
        yield attempt("list in place of tensor", lambda v, given: v.tolist())
    if isinstance(value, torch.Tensor):
        yield attempt("numpy in place of torch", lambda v, given: v.detach().numpy())
        yield attempt("an axis too many", lambda v, given: v[None])
    if isinstance(value, list | tuple):
        yield attempt("first part only", lambda v, given: v[0] if len(v) else None)
        yield attempt("a set", lambda v, given: set(map(str, v)))
    if isinstance(value, float | int) and not isinstance(value, bool):
        yield attempt("number in a list", lambda v, given: [v])
        yield attempt("rounded down", lambda v, given: None if v is None else int(v))
    if exercise.gradient_of is not None:
        yield attempt("detached", lambda v, given: v.detach())
    yield attempt("argument changed in place", _changing)


def _changing(value: Any, given: tuple) -> Any:
    for argument in given:
        if isinstance(argument, list):
            argument.append(argument[0] if argument else 0)
        elif isinstance(argument, torch.Tensor) and not argument.requires_grad:
            argument.add_(1)
        elif isinstance(argument, np.ndarray):
            argument += 1
    return value


# --- the same as the solution? --------------------------------------------------------------------


def equivalent(exercise: Exercise, function: Callable, times: int = 30) -> bool:
    """Tell whether a function does the same as the reference on inputs that resemble the probes.

    An input that the reference itself refuses, or answers with NaN, says nothing.
    """
    for seed in range(times):
        for ours, theirs in zip(inputs(exercise, seed), inputs(exercise, seed), strict=True):
            want = run_once(exercise.reference, ours, 5.0)
            if want.error is not None or "nan" in str(want.value):
                continue
            got = run_once(function, theirs, 5.0)
            if got.error is not None or not same(
                want.value, got.value, 10 * exercise.rtol, 10 * exercise.atol
            ):
                return False
    return True


def inputs(exercise: Exercise, seed: int) -> list[tuple]:
    """Return the exercise's probes with other contents; a seed always gives the same."""
    numbers = random.Random(seed)
    return [tuple(varied(value, numbers) for value in probe) for probe in exercise._fresh()]


def varied(value: Any, numbers: random.Random) -> Any:
    """Return a value of the same type and shape with other contents."""
    if isinstance(value, torch.Tensor) and value.is_floating_point():
        by = torch.Generator().manual_seed(numbers.randrange(2**31))
        positive = bool((value >= 0).all())
        mixed = value.flatten()[torch.randperm(value.numel(), generator=by)].view_as(value)
        factor = 1 + 0.2 * torch.randn(value.shape, generator=by)
        mixed = mixed * factor.abs() if positive else mixed * factor
        return mixed / mixed.sum() if positive and abs(float(value.sum()) - 1) < 1e-4 else mixed
    if isinstance(value, list) and value:
        return [numbers.choice(value) for _ in range(numbers.randint(1, len(value) + 1))]
    return value


# --- is the mistake named? ------------------------------------------------------------------------

SAID = {  # what a message must speak of where the kind of change leaves no doubt
    "print in place of return": r"prints and returns nothing",
    "list in place of tensor": r"it returns a (list|number)",
    "numpy in place of torch": r"a NumPy array",
    "detached": r"no gradient reaches",
    "argument changed in place": r"in place",
    "detach missing": r"detach|teacher (learns|gets)|gradient",
}
TYPES = {
    "text in place of a value", "an axis too many", "first part only", "a set", "number in a list",
    "one result only",
}  # fmt: skip
_STRUCTURE = re.compile(r"(in part \S+ )?(it returns|the shape|the dtype|its keys)")
_PLACE = re.compile(r"it stops: |it was stopped after|the value is right, but")


def named(exercise: Exercise, kind: str, message: str) -> bool:
    """Tell whether a message names the mistake, which is more than "expected this, got that".

    It is one of the exercise's own messages, or an exception with the line it came from, or says
    that a gradient is wrong, or how all numbers follow from the right ones.  A wrong type or
    shape counts where the attempt's fault is just that.
    """
    words = message.removeprefix(f"✗ {exercise.name}: ")
    if kind in SAID:
        return bool(re.search(SAID[kind], words))
    if kind in TYPES and _STRUCTURE.match(words):
        return True
    own = any(
        words.startswith(mistake.message) for mistake in (*exercise.mistakes, *exercise.slips)
    )
    return own or bool(_PLACE.match(words)) or "\n  On all inputs: " in words


@dataclass(frozen=True)
class Judgement:
    """What a check said of an attempt."""

    accepted: bool
    named: bool
    message: str


def judged(exercise: Exercise, attempt: Attempt) -> Judgement | None:
    """Return what the check says; None for a change that changes nothing."""
    outcome = exercise.judge(attempt.function)
    accepted = outcome.kind == DONE
    if accepted and not attempt.right and equivalent(exercise, attempt.function):
        return None
    said = outcome.message.split("\n  The lesson goes on")[0]
    return Judgement(accepted, not accepted and named(exercise, attempt.kind, said), said)
