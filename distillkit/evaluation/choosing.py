"""Which of several answers to one question to take when nobody has the right one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress

from distillkit.problems.algebra import ParseError, SolutionError, parse_equation
from distillkit.problems.answers import same_value
from distillkit.problems.equations import make_problem
from distillkit.traces.filters import equations_in, first_wrong_step
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
    own = _first_equations(parsed.reasoning)
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


def sound_part(text: str, template: Template = THINK) -> str:
    """Return the beginning of a solution of which all follows from its own first equation: all of
    it if nothing contradicts it.

    It ends with a line, or within one, before the ``=`` of ``a = b = c`` that is false.  The text
    may be unfinished, its last line has ended.  If only the answer is wrong, the lines of the
    reasoning remain.  A text whose steps are no lines, as in JSON, is left whole.
    """
    parsed, lines = template.parse(text), text.splitlines(keepends=True)
    reasoning = parsed.reasoning if parsed.ok else text
    own = _first_equations(reasoning)
    if not own or reasoning not in text or (parsed.ok and not contradiction(text, template)):
        return text
    wrong = first_wrong_step(own, reasoning)
    for at, line in enumerate(lines):
        if wrong and line.strip() == wrong:
            return "".join(lines[:at]) + _true_part(own, line)
    if not parsed.ok:
        return text
    last = text.index(reasoning) + len(reasoning)
    return "".join(lines[: text.count("\n", 0, last) + 1])


def _true_part(own: str, line: str) -> str:
    """Return the most of ``a = b = c`` in front of one of its signs that is true, "" if none is."""
    parts = line.split("=")
    heads = ("=".join(parts[:n]).rstrip() for n in range(len(parts) - 1, 1, -1))
    return next((head for head in heads if not first_wrong_step(own, head)), "")


def _first_equations(reasoning: str) -> str:
    """Return the first equation with an unknown, and as many of those after it as make a system for
    all unknowns of that equation; "" if there is none.

    Where a dash may be the mark of a list or a minus, it is what all the rest follows from, else a
    minus.
    """
    marks, minuses = (_equations(reasoning, reading) for reading in (0, -1))
    if marks != minuses and not first_wrong_step(marks, reasoning):
        return marks
    return minuses


def _equations(reasoning: str, reading: int) -> str:
    found: list[str] = []
    missing = 1
    for line in reasoning.split("\n"):
        with suppress(ParseError):
            for left, right in equations_in(line)[reading]:
                names = {name for side in parse_equation(f"{left}={right}") for name in side} - {""}
                if names:
                    missing = (missing if found else len(names)) - 1
                    found.append(f"{left} = {right}")
                    if not missing:
                        return ", ".join(found)
    return ", ".join(found)
