"""Trace forms: the same exact solution, written so that a small student can follow each step.

A student that has to do two things in one step makes its errors there (claim 3); these forms take
the steps apart in different ways.  All forms go through the same rewriting steps, those of
`solver.Working`; they differ in which of them they write down, and how.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from fractions import Fraction
from itertools import chain, pairwise

from distillkit.problems.algebra import (
    parse_equation,
    parse_linear,
    parse_number,
    show_number,
    solve,
)
from distillkit.problems.collect_form import collected
from distillkit.problems.solver import Working, bracketed, places, signed, solution_steps, terms

Work = Callable[[Fraction, Fraction], list[str]]  # two numbers -> lines that show how it is done


def one_operation(equation: str) -> list[str]:
    """Return the solution with one operation a line, both sides written in full.

    Brackets are multiplied out, like terms added, the unknown moved to the left, the number to the
    right, and the factor divided away.  Raises ParseError, and ValueError without one solution.
    """
    work = Working(equation)
    work.rewrite(lambda term: "*" in term and "(" not in term)
    for _ in chain(work.multiply_out(), work.add_alike(), work.unknown_left()):
        work.note()
    work.simplify()
    for kind in (work.name, ""):
        for _ in chain(work.move(kind), work.add_alike()):
            work.note()
    return work.lines + work.divided()


def with_arithmetic(equation: str, lines: Sequence[str], plus: Work, over: Work) -> list[str]:
    """Put, before each line, how its new sum of like terms or quotient is computed."""
    done: list[str] = []
    for line, following in pairwise([equation, *lines]):
        both = zip(line.split("="), following.split("="), strict=True)
        work = dict.fromkeys(w for side, later in both for w in _work(side, later, plus, over))
        done += [*(w for w in work if w not in done), following]
    return done


def _work(side: str, later: str, plus: Work, over: Work) -> list[str]:
    parts = terms(side)
    if any("(" in part for part in parts):
        return []
    quotient = re.fullmatch(r"(-?[0-9.]+)/(-?[0-9.]+)", parts[0]) if len(parts) == 1 else None
    if quotient:
        return over(Fraction(quotient[1]), Fraction(quotient[2]))
    by_name: dict[str, list[Fraction]] = {}
    for part in parts:
        ((name, value),) = parse_linear(part).items()
        by_name.setdefault(name, []).append(value)
    left = Counter(name for part in terms(later) for name in parse_linear(part))
    lines: list[str] = []
    for name, (first, *rest) in by_name.items():
        for number in rest[: len(rest) + 1 - left[name]]:  # each sum leaves one term less
            lines += plus(first, number)
            first += number
    return lines


def plus_shown(a: Fraction, b: Fraction) -> list[str]:
    """Write a sum with its result."""
    return [f"{show_number(a)}{signed(show_number(b))} = {show_number(a + b)}"]


def over_shown(a: Fraction, b: Fraction) -> list[str]:
    """Write a quotient as the product that proves it."""
    return [f"{bracketed(b)} * {bracketed(a / b)} = {show_number(a)}"] if a % b == 0 else []


def plus_by_columns(a: Fraction, b: Fraction) -> list[str]:
    """Write a sum of large numbers place by place: tens first, then ones."""
    whole = plus_shown(a, b)
    if min(abs(a), abs(b)) < 10 or a.denominator != 1 or b.denominator != 1:
        return whole
    big, small = sorted((abs(a), abs(b)), reverse=True)
    sign = 1 if a * b > 0 else -1
    written, at = [], big
    for step in places(small):
        written.append(plus_shown(at, sign * step)[0])
        at += sign * step
    return written + [line for line in whole if line not in written]


def over_by_columns(a: Fraction, b: Fraction) -> list[str]:
    """Write a quotient of two digits or more as the parts that add up to it."""
    quotient = a / b
    if quotient.denominator != 1 or abs(quotient) < 10:
        return over_shown(a, b)
    rest, size, parts, lines = abs(a), abs(b), places(abs(quotient)), []
    for part in parts:
        lines.append(f"{size} * {part} = {size * part}")
        if rest > size * part:
            lines.append(f"{rest} - {size * part} = {rest - size * part}")
        rest -= size * part
    if len(parts) > 1:
        lines.append(f"{' + '.join(map(str, parts))} = {sum(parts)}")
    return lines


def checked(equation: str) -> list[str]:
    """Return lines that put the solution into both sides of the equation."""
    ((name, value),) = solve([parse_equation(equation)]).items()
    found = []
    for side in equation.split("="):
        put_in = side.strip().replace(name, f"({show_number(value)})")
        if name in side:
            found.append(f"check: {put_in} = {show_number(parse_number(put_in))}")
    return found


def _arithmetic(equation: str) -> list[str]:
    return with_arithmetic(equation, solution_steps(equation), plus_shown, over_shown)


def _columns(equation: str) -> list[str]:
    return with_arithmetic(equation, one_operation(equation), plus_by_columns, over_by_columns)


def trace_form(name: str) -> Callable[[str], list[str]]:
    """Return what writes an equation's solution in a form; raises ValueError for an unknown one.

    A system of equations has the forms `FOR_SYSTEMS` only.
    """
    if name not in FORMS:
        raise ValueError(f"unknown trace form {name!r}: choose one of {', '.join(FORMS)}")
    return FORMS[name]


FOR_SYSTEMS = ("terse", "collect")
FORMS: dict[str, Callable[[str], list[str]]] = {  # name -> the lines of an equation's solution
    "terse": solution_steps,
    "arithmetic": _arithmetic,
    "one-operation": one_operation,
    "columns": _columns,
    "check": lambda equation: one_operation(equation) + checked(equation),
    "collect": collected,
}
