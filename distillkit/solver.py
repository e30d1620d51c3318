"""One exact solution, written one step a line: the solver teacher's traces."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fractions import Fraction

from distillkit.algebra import (
    add,
    parse_equation,
    parse_linear,
    parse_system,
    plain,
    scale,
    show_linear,
    show_number,
    solve,
)


def solution_steps(equation: str) -> list[str]:
    """Return the solution of a linear equation or 2x2 system, one displayed equation a line.

    Raises ParseError, and ValueError without a single solution or for a larger system.
    """
    system = parse_system(equation)
    size = len(system), len(solve(system))
    if size == (1, 1):
        return _steps_one(equation)
    if size != (2, 2):
        raise ValueError(f"{equation!r} is neither one equation nor two with two unknowns")
    return _steps_two(equation)


def _steps_one(equation: str) -> list[str]:
    """Expand, collect, compute, divide: each line is equivalent to the line before."""
    left, right = parse_equation(equation)
    name = next(iter((left.keys() | right.keys()) - {""}))
    steps = []
    if "(" in equation and any(_brackets_hold_variable(s, name) for s in equation.split("=")):
        steps.append(f"{show_linear(left)} = {show_linear(right)}")
    if name not in left:
        left, right = right, left
    a, c = left.get(name, Fraction(0)), right.get(name, Fraction(0))
    b, d = left.get("", Fraction(0)), right.get("", Fraction(0))
    if not steps and _terms(equation) > sum(map(bool, (a, b, c, d))):
        steps.append(f"{show_linear(left)} = {show_linear(right)}")
    if c or b:  # unknowns to the left, numbers to the right, nothing computed yet
        moved = show_linear({name: a}) + (signed(show_linear({name: -c})) if c else "")
        steps.append(f"{moved} = {show_number(d)}" + (signed(show_number(-b)) if b else ""))
        steps.append(f"{show_linear({name: a - c})} = {show_number(d - b)}")
    return steps + divided(name, a - c, d - b, steps)


def divided(name: str, a: Fraction, d: Fraction, before: list[str]) -> list[str]:
    """Return the last steps, from "a name = d" to the solution, without one that stands before."""
    steps = []
    if a.denominator != 1 and a.numerator == 1:
        steps.append(f"{name} = {show_number(d)} * {a.denominator}")
    elif a.denominator != 1:
        steps.append(f"{name} = {show_number(d)} * {a.denominator}/{a.numerator}")
    elif a != 1:
        steps.append(f"{name} = {show_number(d)} / {show_number(a)}")
    if [*before, *steps][-1:] != [f"{name} = {show_number(d / a)}"]:
        steps.append(f"{name} = {show_number(d / a)}")
    return steps


def _steps_two(equation: str) -> list[str]:
    """Substitute: isolate one unknown, solve for the other, put it back."""
    system = parse_system(equation)
    (p, q), (r, s) = system
    name = sorted({n for side in (p, q, r, s) for n in side} - {""})[0]
    one, two = add(p, q, -1), add(r, s, -1)
    if name not in one:
        one, two = two, one
    rest = scale({n: v for n, v in one.items() if n != name}, -1 / one[name])
    steps = [f"{name} = {show_linear(rest)}"]
    left = show_linear({n: v for n, v in two.items() if n != name and n})
    factor, constant = two.get(name, Fraction(0)), -two.get("", Fraction(0))
    if factor:
        head = show_linear({"t": factor}).replace("t", f"({show_linear(rest)})")
        steps.append(f"{head}{signed(left) if left != '0' else ''} = {show_number(constant)}")
    collected = add({n: v for n, v in two.items() if n != name}, rest, factor)
    other = next(n for n in collected if n)
    steps.append(f"{show_linear(collected)} = 0")
    value = solve(system)
    steps.append(f"{other} = {show_number(value[other])}")
    steps.append(f"{name} = {show_number(value[name])}")
    return steps


def terms(side: str) -> list[str]:
    """Split one side at its own plus and minus signs: "3(x - 2) - 5" gives "3(x - 2)", "-5"."""
    text, parts, depth = plain(side).replace(" ", ""), [""], 0
    for sign in text:
        if sign in "+-" and not depth and parts[-1] and parts[-1][-1] not in "+-*/":
            parts.append("")
        depth += (sign == "(") - (sign == ")")
        parts[-1] += sign
    parts = [part.removeprefix("+") for part in parts]
    return [_spaced(part) for part in parts if parse_linear(part)]


def _spaced(term: str) -> str:
    """Write the inside of a bracket with spaces again: 3(x-2) -> 3(x - 2)."""
    first = term.find("(")
    if first < 0:
        return term
    return term[:first] + term[first:].replace("+", " + ").replace("-", " - ").replace("( - ", "(-")


def joined(parts: Sequence[str]) -> str:
    """Write terms as one side of an equation; no terms are 0."""
    return (parts[0] + "".join(map(signed, parts[1:]))) if parts else "0"


def places(whole: Fraction) -> list[Fraction]:
    """Take a whole number of 0 or more apart: 305 -> 300, 5."""
    digits = str(whole)
    parts = [Fraction(digit) * 10 ** (len(digits) - 1 - i) for i, digit in enumerate(digits)]
    return [part for part in parts if part]


def bracketed(number: Fraction) -> str:
    """Write a number as a factor: (-4), 4."""
    return f"({show_number(number)})" if number < 0 else show_number(number)


def signed(text: str) -> str:
    """Write a term with its sign for the end of a sum: " + 3x", " - 4"."""
    return f" - {text[1:]}" if text.startswith("-") else f" + {text}"


def _terms(equation: str) -> int:
    signs = sum(len(re.findall(r"[\w)]\s*[-+]", side)) for side in equation.split("="))
    return 2 + signs - bool(re.search(r"^\s*0\s*=|=\s*0\s*$", equation))


def _brackets_hold_variable(side: str, name: str) -> bool:
    return any(name in part.split(")")[0] for part in side.split("(")[1:])
