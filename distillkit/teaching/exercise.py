"""How an exercise is checked: run the attempt on probes, compare, name the mistake; and its hints.

A check never raises and never stops a notebook: whoever has not solved an exercise goes on with
the kit's own function.
"""

from __future__ import annotations

import copy
import inspect
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from distillkit.teaching import record
from distillkit.teaching.attempt import (
    STOPPED,
    Endless,
    Trial,
    one_line,
    run_once,
    with_gradients,
)
from distillkit.teaching.compare import difference, same, short
from distillkit.teaching.nearby import nearby
from distillkit.teaching.record import DONE, KNOWN, OPEN, WRONG, say
from distillkit.teaching.relation import relation


@dataclass(frozen=True)
class Mistake:
    """A typical wrong answer: the message that names it, and a function that makes it."""

    message: str
    function: Callable


@dataclass(frozen=True)
class Outcome:
    """What a check found: DONE, WRONG or OPEN, and the words for the learner."""

    kind: str
    message: str


@dataclass
class Exercise:
    """A function that learners write, checked against `reference` on `probes`.

    `probes` are tuples of arguments, or a function without arguments that returns such tuples.
    `gradient_of` names the argument (0, 1, …) whose gradient must be right, too, or several: a
    tensor, or a module with one weight.
    Values may differ by the relative and absolute tolerances.  An attempt has `seconds`.
    `hints` are a question, a nudge and the first line; minutes and difficulty stand in
    data/exercises.csv.
    """

    name: str
    reference: Callable
    probes: Sequence[tuple] | Callable[[], Sequence[tuple]]
    mistakes: Sequence[Mistake]
    gradient_of: int | tuple[int, ...] | None = None
    rtol: float = 1e-4
    atol: float = 1e-6
    seconds: float = 5.0
    hints: Sequence[str] = ()
    slips: Sequence[Mistake] = ()  # rarer ones: named if made, and in no answer key
    _known: dict[int, list[Trial]] = field(default_factory=dict, init=False, repr=False)
    _right: list[Trial] = field(default_factory=list, init=False, repr=False)

    def __post_init__(self) -> None:
        KNOWN[self.name] = self

    def __call__(self, attempt: Any) -> Callable:
        """Print the outcome; return the attempt if it is right, else the kit's function."""
        outcome = self.judge(attempt)
        if outcome.kind != OPEN:
            record.attempted(self.name, outcome.kind, attempt)
        say(outcome.message)
        return attempt if outcome.kind == DONE else self.reference

    def judge(self, attempt: Any) -> Outcome:
        """Return the outcome of an attempt without printing or remembering it."""
        try:
            return self._judge(attempt)
        except STOPPED as error:  # a fault of the check must not stop a lesson, either
            return self._wrong(f"the check itself stopped: {one_line(error)}")

    def wrong_answers(self) -> Iterator[tuple[Mistake, str]]:
        """Yield each mistake with what the check would say of it if it did not know it.

        For whoever teaches: by this a wrong answer is recognised.
        """
        expected = self._expected()
        for mistake in self.mistakes:
            got = self._runs(mistake.function)
            words = self._problem(self.reference, expected, got, float("inf"))
            yield mistake, words or "it is right"

    def _judge(self, attempt: Any) -> Outcome:
        if attempt is None or attempt is ...:
            return self._open("")
        if attempt is self.reference:
            return self._open("\n  This is the kit's own: run the cell that defines yours first.")
        if not callable(attempt):
            return self._wrong(f"it must be a function, and it is {short(attempt)}")
        expected, got = self._expected(), []
        # a machine may be so busy that the kit's own function is slow
        allowed = max(self.seconds, 5 * sum(run.seconds for run in expected))
        for run in self._each(attempt, allowed):
            got.append(run)
            if len(got) == 1 and _is_stub(run.error):
                return self._open("")
            late = sum(r.seconds for r in got) > allowed
            if late or isinstance(run.error, KeyboardInterrupt | Endless):
                break
        if all(r.error is None and (r.value is None or r.value is ...) for r in got) and not all(
            r.value is None for r in expected
        ):
            if got[0].printed.strip():
                words = "it prints and returns nothing: `return` the value instead of printing it"
                return self._wrong(words + self._notes(got))
            return self._open(self._hint_of_none(attempt))
        notes = self._notes(got)
        problem = self._problem(attempt, expected, got, allowed)
        if problem is None:
            return Outcome(DONE, f"✓ {self.name}{notes}")
        words = self._mistake(got) or problem + self._relation(attempt, expected, got)
        return self._wrong(words + notes)

    def _problem(
        self, attempt: Callable, expected: list[Trial], got: list[Trial], allowed: float
    ) -> str | None:
        """Return the first thing that is wrong: stopped, type, shape, value, argument, gradient."""
        for at, run in enumerate(got):
            if isinstance(run.error, KeyboardInterrupt):
                return (f"you stopped it after {run.seconds:.0f} s on input {at + 1}: "
                        "does a loop never end?")  # fmt: skip
            if isinstance(run.error, Endless):
                return (f"it was stopped after {allowed:.3g} s on input {at + 1}: does a loop "
                        "never end?\n"
                        f"  on input {at + 1}: {self._describe(at, attempt)}")  # fmt: skip
        if len(got) < len(expected) or sum(r.seconds for r in got) > allowed:
            total = sum(r.seconds for r in got)
            return (f"it took {total:.3g} s for {len(got)} of {len(expected)} inputs, and it has "
                    f"{allowed:.3g} s: is there a loop that can be one operation?")  # fmt: skip
        checks = (self._stopped, self._value, self._changed, self._gradient)
        for check in checks:
            for at, (want, run) in enumerate(zip(expected, got, strict=True)):
                if words := check(attempt, want, run):
                    where = f"on input {at + 1} of {len(got)}"
                    return f"{words}\n  {where}: {self._describe(at, attempt)}"
        return None

    def _stopped(self, attempt: Callable, want: Trial, run: Trial) -> str | None:
        if type(run.error) is type(want.error):
            return None
        if run.error is None:
            return (f"it returns {short(run.value)}, and it should raise "
                    f"{type(want.error).__name__}")  # fmt: skip
        return f"it stops: {one_line(run.error, attempt)}"

    def _value(self, attempt: Callable, want: Trial, run: Trial) -> str | None:
        if want.error is not None:
            return None
        if run.yielded and not want.yielded:
            return "it yields its values one by one: collect them in a list and `return` that"
        if want.yielded and not isinstance(run.value, list | tuple):
            return (f"it returns {short(run.value)} and ends there: `yield` a value in each round "
                    "of the loop, and it goes on")  # fmt: skip
        if run.yielded and len(run.value) < len(want.value):
            return (f"only {len(run.value)} of {len(want.value)} values come out: does the `yield` "
                    "stand inside the loop?")  # fmt: skip
        return difference(want.value, run.value, self.rtol, self.atol)

    def _relation(self, attempt: Callable, expected: list[Trial], got: list[Trial]) -> str:
        """Return how wrong results follow from the right ones, or from another such function."""
        stopped = any(run.error is not None for run in (*expected, *got))
        if stopped or [run.yielded for run in expected] != [run.yielded for run in got]:
            return ""
        wants, gots = [run.value for run in expected], [run.value for run in got]
        wrong = [
            at for at, pair in enumerate(zip(wants, gots, strict=True)) if not self._same(*pair)
        ]
        if not wrong:
            return ""
        names, inputs = self._names(attempt), self._fresh()
        words = relation(names, inputs, wants, gots) or nearby(
            self.reference, names, inputs, gots, self._same, first=wrong[0]
        )
        end = "" if words.endswith("?") else "."
        return f"\n  On all inputs: {words}{end}" if words else ""

    def _same(self, a: Any, b: Any) -> bool:
        return same(a, b, self.rtol, self.atol)

    def _changed(self, attempt: Callable, want: Trial, run: Trial) -> str | None:
        pairs = zip(self._names(attempt), want.arguments, run.arguments, strict=False)
        for name, ours, theirs in pairs:
            if not same(ours, theirs, 0.0, 0.0, unknown=True):
                return f"it changes its argument {name} in place; work on a copy ({_ways(ours)})"
        return None

    def _gradient(self, attempt: Callable, want: Trial, run: Trial) -> str | None:
        if want.gradients is None:
            return None
        if run.gradient_error is not None:
            return ("the value is right, but it stops once gradients are asked for: "
                    f"{one_line(run.gradient_error, attempt)}")  # fmt: skip
        for at, ours, theirs in zip(self._traced(), want.gradients, run.gradients, strict=True):
            if same(ours, theirs, 10 * self.rtol, 10 * self.atol):
                continue
            name = self._names(attempt)[at]
            if not theirs.any():
                return (f"the value is right, but no gradient reaches {name}: .item(), .detach(), "
                        "no_grad or a new tensor made from numbers cuts it")  # fmt: skip
            if not ours.any():
                return f"the value is right, but a gradient reaches {name}, and none should"
            return (f"the value is right, but the gradient with respect to {name} is not: expected "
                    f"{short(ours)}, got {short(theirs)}")  # fmt: skip
        return None

    def _mistake(self, got: list[Trial]) -> str | None:
        """Return the message of the listed mistake that does the same on every probe."""
        for at, mistake in enumerate([*self.mistakes, *self.slips]):
            if at not in self._known:
                self._known[at] = self._runs(mistake.function)
            known = self._known[at]
            if len(known) == len(got) and all(
                self._alike(a, b) for a, b in zip(known, got, strict=True)
            ):
                return mistake.message
        return None

    def _alike(self, a: Trial, b: Trial) -> bool:
        return (
            type(a.error) is type(b.error)
            and type(a.gradient_error) is type(b.gradient_error)
            and same(a.value, b.value, self.rtol, self.atol)
            and same(a.arguments, b.arguments, 0.0, 0.0, unknown=True)
            and same(a.gradients, b.gradients, 10 * self.rtol, 10 * self.atol)
        )

    # --- running ---

    def _fresh(self) -> list[tuple]:
        return [*self.probes()] if callable(self.probes) else copy.deepcopy([*self.probes])

    def _expected(self) -> list[Trial]:
        """Return what the kit's own function does; a slow one runs anew, for its time counts."""
        if not self._right or 50 * sum(run.seconds for run in self._right) > self.seconds:
            self._right = self._runs(self.reference)
        return self._right

    def _runs(self, function: Callable) -> list[Trial]:
        with warnings.catch_warnings():  # those of the kit's mistakes would puzzle a learner
            warnings.simplefilter("ignore")
            return list(self._each(function))

    def _each(self, function: Callable, seconds: float = 600.0) -> Iterator[Trial]:
        for arguments, again in zip(self._fresh(), self._fresh(), strict=True):
            done = run_once(function, arguments, seconds)
            if self._traced() and done.error is None:
                done = with_gradients(done, function, again, self._traced(), seconds)
            yield done

    def _traced(self) -> tuple[int, ...]:
        if self.gradient_of is None:
            return ()
        return (self.gradient_of,) if isinstance(self.gradient_of, int) else self.gradient_of

    # --- words ---

    def _names(self, attempt: Callable) -> list[str]:
        """Return the arguments' names as the learner wrote them, if they are as many."""
        ours = list(inspect.signature(self.reference).parameters)
        try:
            theirs = list(inspect.signature(attempt).parameters)
        except (TypeError, ValueError):  # a built-in function may have none
            return ours
        return theirs if len(theirs) == len(ours) else ours

    def _describe(self, at: int, attempt: Callable) -> str:
        pairs = zip(self._names(attempt), self._fresh()[at], strict=False)
        return ", ".join(f"{name} = {short(value)}" for name, value in pairs)

    def _open(self, hint: str) -> Outcome:
        return Outcome(OPEN, f"{self.name}: not attempted yet, using the kit's{hint}")

    def _wrong(self, words: str) -> Outcome:
        after = f"The lesson goes on with the kit's {self.name}; change yours and run this again."
        if self.hints:
            after += f' Stuck? checks.hint("{self.name}")'
        return Outcome(WRONG, f"✗ {self.name}: {words}\n  {after}")

    def _hint_of_none(self, attempt: Callable) -> str:
        code = getattr(attempt, "__code__", None)
        written = code is not None and bool(code.co_names)  # a stub uses no name at all
        return (
            "\n  It returns None: if you have written it, is the `return` missing, or is what it "
            "returns None?"
            if written
            else ""
        )

    def _notes(self, got: list[Trial]) -> str:
        printed = got[0].printed.strip() if got else ""
        if not printed:
            return ""
        lines = printed[:500].splitlines()[:5]
        return "\n  On the first input it printed:" + "".join(f"\n    {line}" for line in lines)


def _is_stub(error: BaseException | None) -> bool:
    """Tell a stub's bare `raise NotImplementedError` from PyTorch's, which says what it lacks."""
    return isinstance(error, NotImplementedError) and not error.args


def _ways(value: Any) -> str:
    """Say what changes a value of this type in place."""
    if isinstance(value, list):
        return "append, sort, pop and += change a list"
    if isinstance(value, dict):
        return "update, pop and setting a key change a dict"
    return "operations like -= and methods whose name ends in _ change a tensor"


def whose(function: Callable) -> str:
    """Return "the kit's" for the kit's answer to an exercise, "yours" for any other function."""
    kits = any(function is exercise.reference for exercise in KNOWN.values())
    return "the kit's" if kits else "yours"


def hint(name: str, solution: bool = False) -> None:
    """Print one hint more with each call: a question, a nudge, the first line.

    With `solution` a solution is printed.  What was looked at is kept with the progress.
    """
    exercise = KNOWN.get(name)
    if exercise is None:
        return say(f"No exercise is called {name!r}. There are: {', '.join(KNOWN)}.")
    if solution:
        record.looked(name, "solution")
        print(record.solution_of(name))
        return say("Close this, and type it from memory: what you have typed stays longer.")
    if not exercise.hints:
        return say(f"{name} has no hints.")
    if record.hints_seen(name) < len(exercise.hints):
        record.looked(name, "hint")
    shown = min(max(1, record.hints_seen(name)), len(exercise.hints))  # a solved one shows one
    for at, words in enumerate(exercise.hints[:shown], 1):
        say(f"{at}. {words}")
    left = len(exercise.hints) - shown
    if left:
        return say(f"({left} more: run this cell again.)")
    say(f'(That was the last hint. For a solution: checks.hint("{name}", solution=True))')
