"""The trace form "digits": no number is worked out before the digits that it follows from.

A sum, difference or product of larger numbers carries its columns in brackets, from the right, with
the carry written down: `1639+62 (9+2=11 3+6+1=10 6+1=7)=1701`.  A quotient is found digit by
digit: `170|1: 27*6 (7*6=42 2*6+4=16)=162` divides the first three digits of 1701; what stands
behind the bar is still to come.  A digit that is tried in vain is marked "too large".
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import gcd, lcm

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
from distillkit.problems.solver import Working, joined, signed, solution_steps

AT_SIGHT = 100  # numbers below are added without columns, if nothing is carried or borrowed
TABLE = 12  # products of one digit and a number up to this one, too
IN_PASSING = 20  # numbers below are always added without; if two are all, without a line, too


def by_digits(equation: str) -> list[str]:
    """Return the solution of an equation, or of a system of two, in the form "digits".

    Raises ParseError, and ValueError without one solution or for a larger system.
    """
    if len(parse_system(equation)) > 1:
        return _system(equation)
    work = Working(equation, _term)
    work.lines.append(equation.strip())
    for term, value in work.multiply_out():
        work.lines += [line for line in _multiplied(term, value) if line not in work.lines]
    if len(work.lines) > 1:
        work.rewrite()
        work.note()
    left, right = work.sides
    unknown, numbers = _parted(left, right, work.name)
    if not unknown:
        unknown, numbers = _parted(right, left, work.name)
    return work.lines + _gathered(unknown, numbers, work.name, work.lines[-1])


def _parted(left: Sequence[str], right: Sequence[str], name: str) -> tuple[list, list]:
    """Return the unknowns' coefficients as they stand on the left, and the numbers on the right,
    each followed by those that come over from the other side; no unknowns if the left has none."""
    (own, over), (there, back) = (
        [[parse_linear(term)[kind] for term in side if (name in term) == bool(kind)]
         for side in (first, second)]
        for first, second, kind in ((left, right, name), (right, left, ""))
    )  # fmt: skip
    return ([*own, *(-c for c in over)] if own else []), [*there, *(-n for n in back)]


def _gathered(
    unknown: Sequence[Fraction], numbers: Sequence[Fraction], name: str, before: str = ""
) -> list[str]:
    """Write the equation with the unknowns on the left and the numbers on the right, and solve."""
    sides = [[_term(a, name) for a in unknown], [_term(d, "") for d in numbers]]
    lines = [" = ".join(map(joined, sides))]
    lines += _sum(unknown, name) + _sum(numbers, "")
    a, d = sum(unknown), sum(numbers, Fraction(0))
    lines.append(f"{_term(a, name)} = {show_number(d)}")
    lines = [line for line in dict.fromkeys(lines) if line != before]
    last = f"{name} = {show_number(d / a)}"
    return [line for line in lines if line != last] + [*_divided(a, d, name), last]


def _sum(values: Sequence[Fraction], name: str) -> list[str]:
    """Write how several numbers, or multiples of the unknown, are added two at a time."""
    small = all(abs(value) < IN_PASSING and value.denominator == 1 for value in values)
    if small and len(values) == 2:
        return []
    lines, total = [], values[0] if values else Fraction(0)
    for value in values[1:]:
        if total and value:
            lines.append(addition(total, value, name))
        total += value
    return lines


def addition(a: Fraction, b: Fraction, name: str = "") -> str:
    """Write a + b with its columns: the sign is settled first, then the larger number leads."""
    whole, minus = a.denominator == b.denominator == 1, (a > 0) != (b > 0)
    total, notes = a + b, ""
    if whole and total and _large(int(abs(a)), int(abs(b)), minus):
        big, small = (a, b) if abs(a) >= abs(b) or not minus else (b, a)
        notes = f" ({_columns(int(abs(big)), int(abs(small)), minus)})"
    if whole and total and (minus or (notes and total < 0)):
        if minus and abs(b) > abs(a):
            a, b = b, a
        a, b = (-a, -b) if a < 0 else (a, b)
    shown = _term(a, name) + signed(_term(b, name)).replace(" ", "") + notes
    return f"{f'-({shown})' if total < 0 < a else shown}={_term(total, name)}"


def _large(a: int, b: int, minus: bool) -> bool:
    low, high = sorted((a, b))
    carried = high % 10 < low % 10 if minus else high % 10 + low % 10 > 9
    return high >= (IN_PASSING if carried else AT_SIGHT)


def _columns(a: int, b: int, minus: bool) -> str:
    """Write a + b or, where a >= b, a - b column by column, as far as there is something to do."""
    tops, lows = str(a)[::-1], str(b)[::-1]
    notes, carry = [], 0
    for at in range(max(len(tops), len(lows))):
        if at >= min(len(tops), len(lows)) and not carry:
            break
        given = [int(digits[at]) for digits in (tops, lows) if at < len(digits)]
        first, rest = given[0], given[1:] + [1] * carry
        if minus:
            carry = int(first < sum(rest))
            first += 10 * carry
        value = first - sum(rest) if minus else first + sum(rest)
        notes.append(("-" if minus else "+").join(map(str, [first, *rest])) + f"={value}")
        carry = carry if minus else int(value > 9)
    return " ".join(notes)


def times_digit(a: int, digit: int) -> str:
    """Write the product of a whole number and one digit with its columns."""
    notes, carry = [], 0
    for top in reversed(str(a)) if a > TABLE and digit > 1 else "":
        value = int(top) * digit + carry
        notes.append(f"{top}*{digit}{f'+{carry}' if carry else ''}={value}")
        carry = value // 10
    columns = f" ({' '.join(notes)})" if notes else ""
    return f"{a}*{digit}{columns}={a * digit}"


def product(a: int, b: int) -> list[str]:
    """Write the product of two whole numbers, digit by digit of the one that has fewer."""
    big, small = (b, a) if len(str(a)) < len(str(b)) else (a, b)
    if small < 10:
        return [times_digit(big, small)]
    lines, total = [], 0
    for at, digit in enumerate(reversed(str(small))):
        part = big * int(digit) * 10**at
        if part:
            lines.append(times_digit(big, int(digit)) if digit != "1" or not at else "")
            lines.append(f"{big}*{int(digit) * 10**at}={part}" if at else "")
            lines.append(addition(Fraction(part), Fraction(total)) if total else "")
        total += part
    lines = [line for line in lines if line]
    whole = f"{big}*{small}={total}"
    return lines if lines[-1] == whole else [*lines, whole]


def _multiplied(term: str, value: Linear) -> list[str]:
    factor, _, inside = term.lstrip("-").partition("(")
    plain = inside.endswith(")") and inside.count(")") == 1 and factor.isdigit()
    number = abs(parse_linear(inside[:-1]).get("", Fraction(0))) if plain else Fraction(0)
    large = plain and number.denominator == 1 and number > TABLE and int(factor) > 1
    return [*(product(int(number), int(factor)) if large else []), f"{term} = {show_linear(value)}"]


def _divided(a: Fraction, d: Fraction, name: str) -> list[str]:
    """Write what leads from a x = d to the solution, without the solution itself."""
    lines: list[str] = []
    if not d or abs(a) == 1:
        return lines
    if (share := lcm(a.denominator, d.denominator)) > 1:  # (3/4)x * 4 is 3x
        if d.denominator == 1:
            lines += product(int(abs(d)), share)
        a, d = a * share, d * share
        lines.append(f"{_term(a, name)} = {show_number(d)}")
    if a < 0:
        a, d = -a, -d
        lines.append(f"{_term(a, name)} = {show_number(d)}")
    if a == 1:
        return lines[:-1]
    lines += quotient(int(abs(d)), int(a))
    if (d / a).denominator > 1 and gcd(int(d), int(a)) > 1:
        lines.append(_reduced(d, a))
    return lines


def quotient(number: int, divisor: int) -> list[str]:
    """Write how a whole number is divided, digit by digit, as far as it goes."""
    if number < divisor:
        return []
    digits, lines = str(number), []
    at = next(n for n in range(1, len(digits) + 1) if int(digits[:n]) >= divisor)
    part = int(digits[:at])
    while True:
        rest = digits[at:]
        label = f"{part}{'|' * bool(rest)}{rest}: " if part != number else ""
        digit = part // divisor
        for tried in _tries(part, divisor):
            lines.append(label + times_digit(divisor, tried))
            if tried > digit:
                lines[-1] += " too large"
            elif tried * divisor < part and tried:
                lines.append(addition(Fraction(part), Fraction(-tried * divisor)))
                lines[-1] += " too large" * (tried < digit)
        if not rest:
            return lines
        part, at = int(f"{part - digit * divisor}{rest[0]}"), at + 1


def _tries(part: int, divisor: int) -> list[int]:
    """Return the digits that are tried; of eight guesses beyond the table one is off by one, so
    that it is seen how to go on from there."""
    digit, off = part // divisor, 1 if part // 8 % 2 else -1
    slipped = divisor > TABLE and (31 * part + 17 * divisor) % 8 == 0
    return [digit + off, digit] if slipped and digit and 0 < digit + off < 10 else [digit]


def _reduced(d: Fraction, a: Fraction) -> str:
    links, top, bottom = [], int(d), int(a)
    while True:
        links.append(f"{top}/{bottom}")
        common = gcd(top, bottom)
        if common == 1:
            return "=".join(links)
        prime = next(p for p in range(2, common + 1) if common % p == 0)
        top, bottom = top // prime, bottom // prime


def _system(equation: str) -> list[str]:
    """Eliminate the second unknown: both equations times a number, their sum, and back."""
    rows = [add(left, right, -1) for left, right in parse_system(equation)]
    solution = solve(parse_system(equation))
    names = sorted(solution)
    whole = all(value.denominator == 1 for row in rows for value in row.values())
    if len(rows) != 2 or len(names) != 2 or not whole:
        return solution_steps(equation)
    one, two = names
    lines = [_row(row, names) for row in rows]
    if not all(two in row for row in rows):  # one of them holds the first unknown alone
        rows.sort(key=lambda row: two in row)
        lines += _gathered([rows[0][one]], [-rows[0].get("", Fraction(0))], one, lines[0])
        lines = list(dict.fromkeys(lines))
    else:
        share = Fraction(lcm(*(int(row[two]) for row in rows)))
        factors = [share / abs(row[two]) for row in rows]
        if rows[0][two] * rows[1][two] > 0:
            factors[1] = -factors[1]
        scaled = [scale(row, factor) for row, factor in zip(rows, factors, strict=True)]
        for row, factor in zip(rows, factors, strict=True):
            lines += _product(row.get("", Fraction(0)), factor)
            lines.append(_row(scale(row, factor), names))
        lines = list(dict.fromkeys(lines))
        unknown = [row[one] for row in scaled if one in row]
        lines += _gathered(unknown, [-row.get("", Fraction(0)) for row in scaled], one)
    back = min((row for row in rows if two in row), key=lambda row: abs(row[two]))
    value = solution[one]
    numbers = [-back.get("", Fraction(0))]
    if one in back and value:
        a = back[one]
        if abs(a) != 1:
            lines += _product(value, a)
            lines.append(f"{show_number(a)}*{_factor(value)}={show_number(a * value)}")
        numbers.append(-a * value)
    return lines + _gathered([back[two]], numbers, two)


def _product(a: Fraction, b: Fraction) -> list[str]:
    """Write the product of two whole numbers, signs aside, where it is beyond the table."""
    known = max(abs(a), abs(b)) <= TABLE or min(abs(a), abs(b)) < 2
    return [] if known or (a * b).denominator > 1 else product(int(abs(a)), int(abs(b)))


def _row(row: Linear, names: Sequence[str]) -> str:
    left = joined([_term(row[name], name) for name in names if name in row])
    return f"{left} = {show_number(-row.get('', Fraction(0)))}"


def _factor(value: Fraction) -> str:
    return f"({value})" if value < 0 or value.denominator > 1 else str(value)


def _term(number: Fraction, name: str) -> str:
    if name and number.denominator != 1 and abs(number.numerator) == 1:
        return f"{'-' if number < 0 else ''}{name}/{number.denominator}"
    return show_linear({name: number}) if number else "0"
