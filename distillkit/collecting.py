"""The trace form "collect": write down, multiply out, sort, add like terms, move, divide.

Whatever a line computes stands in that line, so nothing has to be kept in mind:
`52 - 736 = -(736 - 52) = -(686 - 2) = -684` settles the sign, then takes off one place at a time.
The unknown goes to the side where it has the larger factor; the divisor is never negative.
"""

from __future__ import annotations

from fractions import Fraction

from distillkit.algebra import Linear, parse_equation, parse_linear, show_linear, show_number, solve
from distillkit.solver import divided, joined, signed, terms


def collected(equation: str) -> list[str]:
    """Return the solution, one thing a line; raises ParseError, ValueError without one solution."""
    ((name, _),) = solve([parse_equation(equation)]).items()
    lines, sides = [equation.strip()], [terms(side) for side in equation.split("=")]

    def note() -> None:
        if (line := " = ".join(map(joined, sides))) != lines[-1]:
            lines.append(line)

    for side in sides:
        parts = []
        for term, value in zip(side, map(parse_linear, side), strict=True):
            lines += multiplied(term, value) if "(" in term and show_linear(value) != term else []
            parts += [_term(value[n], n) for n in (name, "") if n in value]
        side[:] = parts
    note()
    for side in sides:
        side.sort(key=lambda term: name not in term)
    note()
    for side in sides:
        for kind in (name, ""):
            numbers = [parse_linear(t)[kind] for t in side if (name in t) == bool(kind)]
            lines += running_total(numbers, kind)
            side[:] = [t for t in side if (name in t) != bool(kind)]
            side += [_term(sum(numbers), kind)] if sum(numbers) else []
    note()
    (a, b), (c, d) = (
        (side.get(name, Fraction(0)), side.get("", Fraction(0)))
        for side in map(parse_linear, map(joined, sides))
    )
    unknowns, numbers = ([a, -c], [d, -b]) if a > c else ([c, -a], [b, -d])
    for halves in ([[n for n in pair if n] for pair in (unknowns, numbers)],
                   [[sum(unknowns)], [sum(numbers)]]):  # fmt: skip
        both = [joined([_term(n, kind) for n in half if n])
                for half, kind in zip(halves, (name, ""), strict=True)]  # fmt: skip
        sides = [[side] for side in (both if a > c else reversed(both))]
        note()
        if len(halves[0] + halves[1]) > 2:
            lines += running_total(halves[0], name) + running_total(halves[1])
    ends = divided(name, sum(unknowns), sum(numbers), lines)
    return lines + ends[:-1] + quotient(sum(numbers), sum(unknowns)) + ends[-1:]


def multiplied(term: str, value: Linear) -> list[str]:
    """Write how a bracket is multiplied out: the product of the numbers, then the whole."""
    factor, _, inside = term.lstrip("-").partition("(")
    number = parse_linear(inside.rstrip(")")).get("") if inside.count(")") == 1 else None
    lines = product(Fraction(factor), abs(number)) if factor.isdigit() and number else []
    return [*lines, f"{term} = {show_linear(value)}"]


def product(a: Fraction, b: Fraction) -> list[str]:
    """Write the product of two whole numbers of 0 or more, one of them place by place."""
    if a.denominator != 1 or b.denominator != 1:
        return []
    one, other = sorted((a, b), key=lambda number: len(_places(number)))
    parts = [show_number(one * place) for place in _places(other)]
    return [f"{a} * {b} = {' + '.join(parts)} = {a * b}"] if len(parts) > 1 else []


def running_total(numbers: list[Fraction], name: str = "") -> list[str]:
    """Write a sum of two or more like terms, one addition a line."""
    lines, total = [], numbers[0] if numbers else Fraction(0)
    for number in numbers[1:]:
        if total:
            lines.append(addition(total, number, name))
        total += number
    return lines


def addition(a: Fraction, b: Fraction, name: str = "") -> str:
    """Write a + b as a chain: the sign is settled first, then b is taken place by place."""
    links, total = [_term(a, name) + signed(_term(b, name))], a + b
    first, second = abs(a), abs(b)
    if (a > 0) != (b > 0):
        first, second = max(first, second), -min(first, second)
    whole = first.denominator == second.denominator == 1
    for place in _places(abs(second)) if total and whole else []:
        link = _term(first, name) + signed(_term(second, name))
        link = link if total > 0 else f"-({link})"
        links += [link] if link != links[-1] else []
        step = place if second > 0 else -place
        first, second = first + step, second - step
    return " = ".join([*links, _term(total, name)])


def quotient(a: Fraction, b: Fraction) -> list[str]:
    """Write how a is divided by b > 0 if that leaves no rest: the tens, what remains, the ones."""
    rest, parts = abs(a), abs(a) / b
    if b == 1 or b.denominator != 1 or parts.denominator != 1:
        return []
    lines = []
    for place in _places(parts):
        lines += product(b, place) or [f"{b} * {place} = {b * place}"]
        lines += [addition(rest, -b * place)] if rest > b * place else []
        rest -= b * place
    places = _places(parts)
    return lines + ([f"{' + '.join(map(str, places))} = {parts}"] if len(places) > 1 else [])


def _places(whole: Fraction) -> list[Fraction]:
    """Take a whole number of 0 or more apart: 305 -> 300, 5."""
    digits = str(whole)
    parts = [Fraction(digit) * 10 ** (len(digits) - 1 - i) for i, digit in enumerate(digits)]
    return [part for part in parts if part]


def _term(number: Fraction, name: str) -> str:
    return show_linear({name: number}) if number else "0"
