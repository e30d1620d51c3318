"""Is this worked solution right?  Solutions with one wrong step, and the check that shows it.

Two kinds of questions: in one a whole solution has to be worked through, in the other it is
enough to look at two signs.
"""

from __future__ import annotations

import itertools
import random
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from distillkit.problems.algebra import (
    ParseError,
    parse_equation,
    parse_number,
    show_number,
    solve,
)
from distillkit.problems.equations import Problem
from distillkit.problems.solver import bracketed, solution_steps

RIGHT, WRONG = "right", "wrong"
OPPOSITE = {"+": "-", "-": "+"}


@dataclass(frozen=True)
class Question:
    """A question with its answer (the label), and with why it is so (the rationale)."""

    id: str
    text: str
    rationale: str
    label: str


def to_solve(problem: Problem) -> Question:
    """Return an equation as a question: the rationale is the exact solution, step by step."""
    steps = "\n".join(solution_steps(problem.equation))
    return Question(problem.id, problem.text, steps, problem.answer)


def to_judge(problems: Sequence[Problem], seed: int) -> list[Question]:
    """Return for each equation the question whether a worked solution of it is right.

    Every second one of each family is wrong.  A wrong one has one number of one step changed, and
    goes on from there without a further mistake to another whole number, so that nothing but the
    mathematics tells it from a right one.  An equation in which no such mistake can be made is left
    out.  The rationale puts the result into both sides of the equation.
    """
    found: list[Question] = []
    turns: Counter[str] = Counter()
    for problem in problems:
        rng = random.Random(f"judge-{seed}-{problem.id}")
        right = solution_steps(problem.equation)
        spoilt = with_a_mistake(problem.equation, right, rng)
        if spoilt is None:
            continue
        good = turns[problem.family] % 2 == 0
        turns[problem.family] += 1
        steps = right if good else spoilt
        found.append(
            Question(
                f"{problem.id}, {'right' if good else 'spoilt'}",
                "Is this solution right or wrong?\n" + "\n".join([problem.equation, *steps]),
                put_in(problem.equation, steps[-1]),
                RIGHT if good else WRONG,
            )
        )
    return found


def to_check_signs(problems: Sequence[Problem], seed: int) -> list[Question]:
    """Return for each equation "ax + b = c" the question whether b was moved with the right sign.

    It may be the second line of a solution; an equation without such a line is left out.  Every
    second one of each family and sign has the same sign on both sides, which is wrong.  The label
    needs no sum: it says whether two signs differ.
    """
    found: list[Question] = []
    turns: Counter[str] = Counter()
    for problem in problems:
        lines = [problem.equation, *solution_steps(problem.equation)]
        for before, after in itertools.pairwise(lines):
            said = re.fullmatch(r"([0-9]*x) ([+-]) ([0-9]+) = (-?[0-9]+)", before)
            if not said or after != f"{said[1]} = {said[4]} {OPPOSITE[said[2]]} {said[3]}":
                continue
            good = turns[problem.family + said[2]] % 2 == 0
            turns[problem.family + said[2]] += 1
            sign = OPPOSITE[said[2]] if good else said[2]
            found.append(
                Question(
                    f"{problem.id}, {'right' if good else 'same'} sign",
                    "A number is moved to the other side. Is its sign there right or wrong?\n"
                    f"{before}\n{said[1]} = {said[4]} {sign} {said[3]}",
                    f"{said[2]} {said[3]} becomes {OPPOSITE[said[2]]} {said[3]}\n"
                    f"here it is {sign} {said[3]}",
                    RIGHT if good else WRONG,
                )
            )
            break
    return found


def with_a_mistake(equation: str, steps: Sequence[str], rng: random.Random) -> list[str] | None:
    """Return the steps with one number of one step changed and the rest worked out from there.

    None if no change leads to another whole number.  The last line says the result.
    """
    ((name, root),) = solve([parse_equation(equation)]).items()
    places = [(at, number.span()) for at, line in enumerate(steps)
              for number in re.finditer("[0-9]+", line)]  # fmt: skip
    changes = [(at, span, by) for at, span in places for by in (-3, -2, -1, 1, 2, 3)]
    rng.shuffle(changes)
    for at, (start, end), by in changes:
        number = int(steps[at][start:end]) + by
        line = f"{steps[at][:start]}{number}{steps[at][end:]}"
        try:
            other = solve([parse_equation(line)]).get(name)
            if number < 1 or other is None or other == root or other.denominator != 1:
                continue
            done = re.fullmatch(rf"{name} = -?[0-9]+", line)
            return [*steps[:at], line, *([] if done else solution_steps(line))]
        except (ParseError, ValueError, ZeroDivisionError):
            continue
    return None


def put_in(equation: str, result: str) -> str:
    """Return lines that put a result such as "x = 4" into an equation and compare both sides."""
    name, value = (part.strip() for part in result.split("="))
    sides = [re.sub(rf"([0-9)])?{name}", lambda found: (f"{found[1]} * " if found[1] else "")
                    + bracketed(parse_number(value)), side.strip())
             for side in equation.split("=")]  # fmt: skip
    values = [parse_number(side) for side in sides]
    lines = [f"{side} = {show_number(worth)}" for side, worth in zip(sides, values, strict=True)
             if side != show_number(worth)]  # fmt: skip
    said = "equals" if values[0] == values[1] else "is not"
    return "\n".join([*lines, f"{show_number(values[0])} {said} {show_number(values[1])}"])
