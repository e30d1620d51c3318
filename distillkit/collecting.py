"""The trace form "collect": write down, multiply out, sort, add like terms, move, divide.

Whatever a line computes stands in that line, so nothing has to be kept in mind:
`52 - 736 = -(736 - 52) = -(686 - 2) = -684` settles the sign, then takes off one place at a time.
"""

from __future__ import annotations

from fractions import Fraction

from distillkit.algebra import Linear, parse_equation, parse_linear, show_linear, show_number, solve
from distillkit.solver import bracketed, divided, joined, places, signed, terms


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
    if name not in joined(sides[0]):
        sides.reverse()
        note()
    (a, b), (c, d) = (
        (side.get(name, Fraction(0)), side.get("", Fraction(0)))
        for side in map(parse_linear, map(joined, sides))
    )
    unknowns, numbers = [n for n in (a, -c) if n], [n for n in (d, -b) if n]
    for left, right in ((unknowns, numbers), ([a - c], [d - b])):
        sides = [[joined([_term(n, name) for n in left])], [joined([_term(n, "") for n in right])]]
        note()
        lines += running_total(left, name) + running_total(right)
    ends = divided(name, a - c, d - b, lines)
    return lines + ends[:-1] + quotient(d - b, a - c) + ends[-1:]


def multiplied(term: str, value: Linear) -> list[str]:
    """Write how a bracket is multiplied out: the product of the numbers, then the whole."""
    factor, _, inside = term.lstrip("-").partition("(")
    whole = inside.endswith(")") and inside.count(")") == 1  # nothing stands behind the bracket
    number = parse_linear(inside[:-1]).get("") if whole else None
    lines = product(Fraction(factor), abs(number)) if factor.isdigit() and number else []
    return [*lines, f"{term} = {show_linear(value)}"]


def product(a: Fraction, b: Fraction) -> list[str]:
    """Write the product of two whole numbers of 0 or more, one of them place by place."""
    if a.denominator != 1 or b.denominator != 1:
        return []
    one, other = sorted((a, b), key=lambda number: len(places(number)))
    parts = [show_number(one * place) for place in places(other)]
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
    elif len(str(second)) > len(str(first)):
        first, second = second, first
    whole = first.denominator == second.denominator == 1
    for size in reversed(range(len(str(abs(second))))) if total and whole else []:
        rest = signed(_term(second, name)) if second else f" {'+' if (a > 0) == (b > 0) else '-'} 0"
        link = _term(first, name) + rest
        link = link if total > 0 else f"-({link})"
        links += [link] if link != links[-1] else []
        step = Fraction(int(second / 10**size) * 10**size)  # towards zero
        first, second = first + step, second - step
    return " = ".join([*links, _term(total, name)])


def quotient(a: Fraction, b: Fraction) -> list[str]:
    """Write how a is divided by b if that leaves no rest: by places, then the product as proof."""
    if b.numerator == 1 and b.denominator > 1:  # x/7 = 12: multiply
        return product(abs(a), Fraction(b.denominator))
    if b == 1 or b.denominator != 1 or not a or (a / b).denominator != 1:
        return []
    rest, size, parts, lines = abs(a), abs(b), places(abs(a / b)), []
    for place in parts if abs(a / b) >= 10 else []:
        lines += product(size, place) or [f"{size} * {place} = {size * place}"]
        lines += [addition(rest, -size * place)] if rest > size * place else []
        rest -= size * place
    lines += [f"{' + '.join(map(str, parts))} = {sum(parts)}"] if len(parts) > 1 else []
    whole = f"{show_number(b)} * {bracketed(a / b)} = {show_number(a)}"
    return lines if lines[-1:] == [whole] else [*lines, whole]


def _term(number: Fraction, name: str) -> str:
    if name and number.denominator != 1 and abs(number.numerator) == 1:
        return f"{'-' if number < 0 else ''}{name}/{number.denominator}"
    return show_linear({name: number}) if number else "0"
