"""Which of several answers to one question to take when nobody has the right one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress

from distillkit.problems.algebra import ParseError, SolutionError, parse_system
from distillkit.problems.answers import same_value
from distillkit.problems.equations import make_problem
from distillkit.traces.filters import first_wrong_step
from distillkit.traces.templates import THINK, Template

NO_EQUATION = "no equation is displayed"


def majority(
    answers: Sequence[str | None], same: Callable[[str, str], bool] = same_value
) -> str | None:
    """Return the answer that most others equal by `same`; the first of equals, None if none is.

    Source: self-consistency, Wang et al. 2022, arXiv 2203.11171, sec. 2.
    """
    votes = [
        (sum(same(a, b) for b in answers if b is not None), -at, a)
        for at, a in enumerate(answers) if a is not None
    ]  # fmt: skip
    return max(votes)[2] if votes else None


def contradiction(text: str, template: Template = THINK) -> str:
    """Return what in a solution does not follow from its own first equation, "" if all does.

    Neither the question nor its right answer is asked for, so a solution of another equation holds
    together as well.  Of a system with two unknowns the first two equations count.
    """
    parsed = template.parse(text)
    if not parsed.ok:
        return parsed.problem
    own = _first_equations(parsed.reasoning, parsed.answer.count(",") + 1)
    if not own:
        return NO_EQUATION
    try:
        solution = make_problem(own).answer
    except (ParseError, SolutionError) as error:
        return f"{own}: {error}"
    if wrong := first_wrong_step(own, parsed.reasoning):
        return wrong
    if not same_value(parsed.answer, solution):
        return f"the answer {parsed.answer} does not solve {own}"
    return ""


def _first_equations(reasoning: str, n: int) -> str:
    """Return the lines with the first n equations that hold an unknown, as one system."""
    found: list[str] = []
    for line in reasoning.split("\n"):
        with suppress(ParseError):
            system = parse_system(line)
            if n > 0 and any({*left, *right} - {""} for left, right in system):
                found.append(line.strip())
                n -= len(system)
    return ", ".join(found)
