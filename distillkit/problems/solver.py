"""One exact solution, written one step a line: the solver teacher's traces."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction

from distillkit.problems.algebra import (
    Linear,
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


def term(value: Fraction, name: str) -> str:
    """Write one term: 3x, (1/2)x, -4."""
    return show_linear({name: value})


class Working:
    """An equation being solved: its two sides, term by term, and the lines written so far.

    Its methods are the rewriting steps that all forms share.  A step changes the sides and yields
    after every single operation, so each form says what is written down: every operation, or only
    what comes out, and how the numbers of an operation are computed.  Raises ParseError, and
    ValueError without one solution.
    """

    def __init__(self, equation: str, write: Callable[[Fraction, str], str] = term):
        ((self.name, _),) = solve([parse_equation(equation)]).items()
        self.sides = [terms(side) for side in equation.split("=")]
        self.write = write
        self.lines: list[str] = []

    def note(self) -> None:
        """Write the equation down as it stands, unless the last line says so."""
        line = " = ".join(map(joined, self.sides))
        if self.lines[-1:] != [line]:
            self.lines.append(line)

    def rewrite(self, which: Callable[[str], bool] = bool) -> None:
        """Write those terms again that this form writes in another way, such as 2*x."""
        for side in self.sides:
            side[:] = [part for old in side for part in (self._parts(old) if which(old) else [old])]

    def simplify(self) -> None:
        """Bring each side down to one unknown and one number, all in one operation."""
        self.sides = [self._parts(joined(side)) for side in self.sides]

    def multiply_out(self) -> Iterator[tuple[str, Linear]]:
        """Multiply the brackets out; yields each term with a bracket and what it is."""
        for side in self.sides:
            for old in [t for t in side if "(" in t and show_linear(parse_linear(t)) != t]:
                at = side.index(old)
                side[at : at + 1] = self._parts(old)
                yield old, parse_linear(old)

    def add_alike(self) -> Iterator[tuple[Fraction, Fraction, str]]:
        """Add like terms, two at a time; yields both numbers and the unknown or ""."""
        for side in self.sides:
            for kind in (self.name, ""):
                while len(alike := [t for t in side if (self.name in t) == bool(kind)]) > 1:
                    one, two = (parse_linear(t).get(kind, Fraction(0)) for t in alike[:2])
                    at = side.index(alike[0])
                    for old in alike[:2]:
                        side.remove(old)
                    side[at:at] = [self.write(one + two, kind)] if one + two else []
                    yield one, two, kind

    def unknown_left(self) -> Iterator[None]:
        """Swap the sides where the unknown stands on the right only."""
        if self.name not in joined(self.sides[0]):
            self.sides.reverse()
            yield

    def move(self, kind: str) -> Iterator[None]:
        """Move the unknown to the left, or ("") the number to the right, of simplified sides."""
        target, source = self.sides if kind else reversed(self.sides)
        for old in [t for t in source if (self.name in t) == bool(kind)]:
            source.remove(old)
            target[:] = target or ["0"]
            target.insert(1, self.write(-parse_linear(old)[kind], kind))
            yield

    def ends(self) -> tuple[Fraction, Fraction]:
        """Return a and d of the equation a x = d that is left."""
        left, right = map(parse_linear, map(joined, self.sides))
        return left[self.name], right.get("", Fraction(0))

    def divided(self) -> list[str]:
        """Return the last lines, from a x = d to the solution, without one that stands already."""
        (a, d), name, lines = self.ends(), self.name, []
        if a.denominator != 1 and a.numerator == 1:
            lines.append(f"{name} = {show_number(d)} * {a.denominator}")
        elif a.denominator != 1:
            lines.append(f"{name} = {show_number(d)} * {a.denominator}/{a.numerator}")
        elif a != 1:
            lines.append(f"{name} = {show_number(d)} / {show_number(a)}")
        if [*self.lines, *lines][-1:] != [f"{name} = {show_number(d / a)}"]:
            lines.append(f"{name} = {show_number(d / a)}")
        return lines

    def _parts(self, text: str) -> list[str]:
        value = parse_linear(text)
        return [self.write(value[n], n) for n in (self.name, "") if n in value]


def _steps_one(equation: str) -> list[str]:
    """Expand, collect, compute, divide: each line is equivalent to the line before."""
    work = Working(equation)
    brackets = any(_brackets_hold_variable(s, work.name) for s in equation.split("="))
    work.simplify()
    if brackets:
        work.note()
    finish(work.unknown_left())
    if not brackets and _terms(equation) > sum(map(len, work.sides)):
        work.note()
    if [*work.move(work.name), *work.move("")]:  # nothing is computed yet
        work.note()
        finish(work.add_alike())
        work.note()
    return work.lines + work.divided()


def finish(step: Iterator) -> None:
    """Do all operations of a step without a word."""
    for _ in step:
        pass


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


def _spaced(text: str) -> str:
    """Write the inside of a bracket with spaces again: 3(x-2) -> 3(x - 2)."""
    first = text.find("(")
    if first < 0:
        return text
    return text[:first] + text[first:].replace("+", " + ").replace("-", " - ").replace("( - ", "(-")


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
