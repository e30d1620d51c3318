"""The trace form "collect": write down, multiply out, sort, add like terms, move, divide.

Whatever a line computes stands in that line, so nothing has to be kept in mind:
`52 - 736 = -(736 - 52) = -(686 - 2) = -684` settles the sign, then takes off one place at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from distillkit.problems.algebra import (
    Linear,
    add,
    parse_linear,
    parse_system,
    scale,
    show_linear,
    show_number,
    solve,
)
from distillkit.problems.solver import (
    Working,
    bracketed,
    finish,
    joined,
    places,
    signed,
    solution_steps,
)


def collected(equation: str) -> list[str]:
    """Return the solution of an equation, or of a system of two, one thing a line.

    Raises ParseError, and ValueError without one solution or for a larger system.
    """
    if len(parse_system(equation)) > 1:
        return _both(equation)
    work = Working(equation, _term)
    work.lines.append(equation.strip())

    def add_alike() -> None:
        for one, other, kind in work.add_alike():
            work.lines.append(addition(one, other, kind))
        work.note()

    for term, value in work.multiply_out():
        work.lines += multiplied(term, value)
    work.rewrite()
    work.note()
    for side in work.sides:
        side.sort(key=lambda term: work.name not in term)
    work.note()
    add_alike()
    finish(work.unknown_left())
    work.note()
    finish(work.move(work.name))
    finish(work.move(""))
    work.sides[1] = [term for term in work.sides[1] if term != "0"]
    work.note()
    add_alike()
    _clear_denominator(work)
    (a, d), ends = work.ends(), work.divided()
    return work.lines + ends[:-1] + quotient(d, a) + ends[-1:]


def _clear_denominator(work: Working) -> None:
    """Multiply (2/3)x = 6 by 3; x/3 = 6 is solved by that itself."""
    a, d = work.ends()
    if a.denominator == 1 or a.numerator == 1:
        return
    left = _term(a * a.denominator, work.name)
    work.lines.append(f"{left} = {_times(d, a.denominator)}")
    work.lines += product(abs(d), Fraction(a.denominator))
    work.sides = [[left], [_term(d * a.denominator, "")]]
    work.note()


def _both(equation: str) -> list[str]:
    """Eliminate the second unknown: each equation times a number, their sum, and back."""
    rows = [add(left, right, -1) for left, right in parse_system(equation)]
    solution = solve(parse_system(equation))
    whole = all(value.denominator == 1 for row in rows for value in row.values())
    if len(rows) != 2 or len(solution) != 2 or not whole:
        return solution_steps(equation)
    one, two = sorted(solution)
    rows.sort(key=lambda row: two in row)  # stable: only one that lacks it comes first
    lines = [_row(row) for row in rows]
    lines += _without(two, rows) if two in rows[0] else collected(_row(rows[0]))
    back, value = rows[1], solution[one]
    a = back.get(one, Fraction(0)) * value
    if a and abs(back[one]) > 1:
        lines.append(f"{_times(value, back[one])} = {show_number(a)}")
    rest = joined([*([show_number(a)] if a else []), _term(back[two], two)])
    lines += collected(f"{rest} = {show_number(-back.get('', Fraction(0)))}")
    return list(dict.fromkeys(lines))


def _without(name: str, rows: Sequence[Linear]) -> list[str]:
    """Multiply two equations so that an unknown falls out of their sum, and solve that.

    Each is multiplied by the other's number of that unknown; equal numbers are left.
    """
    first, second = (row[name] for row in rows)
    one, two = (1, 1) if abs(first) == abs(second) else (abs(second), abs(first))
    lines, scaled = [], []
    for row, factor in zip(rows, (one, -two if first * second > 0 else two), strict=True):
        scaled.append(scale(row, factor))
        if factor != 1:
            left, _, right = _row(row).partition(" = ")
            lines.append(f"{factor}({left}) = {_times(Fraction(right), factor)}")
            lines += product(abs(Fraction(right)), Fraction(abs(factor)))
            lines.append(_row(scaled[-1]))
    left = [(kind, _term(row[kind], kind)) for row in scaled for kind in sorted(row) if kind]
    right = joined([_term(-row[""], "") for row in scaled if row.get("")])
    lines.append(f"{joined([text for _, text in left])} = {right}")
    return lines + collected(f"{joined([text for kind, text in left if kind != name])} = {right}")


def _times(number: Fraction, factor: int | Fraction) -> str:
    """Write factor * number."""
    return f"{factor} * {bracketed(number)}"


def _row(row: Linear) -> str:
    left = joined([_term(row[name], name) for name in sorted(row) if name])
    return f"{left} = {show_number(-row.get('', Fraction(0)))}"


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
    rest, size, lines = abs(a), abs(b), []
    parts = places(abs(a / b)) if size > 1 else []
    for place in parts if abs(a / b) >= 10 else []:
        lines += product(size, place) or [f"{size} * {place} = {size * place}"]
        lines += [addition(rest, -size * place)] if rest > size * place else []
        rest -= size * place
    lines += [f"{' + '.join(map(str, parts))} = {sum(parts)}"] if len(parts) > 1 else []
    whole = f"{_times(a / b, b)} = {show_number(a)}"
    return lines if lines[-1:] == [whole] else [*lines, whole]


def _term(number: Fraction, name: str) -> str:
    if name and number.denominator != 1 and abs(number.numerator) == 1:
        return f"{'-' if number < 0 else ''}{name}/{number.denominator}"
    return show_linear({name: number}) if number else "0"
