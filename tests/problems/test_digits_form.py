"""The form "digits": each column is computed again here, and quotients are divided again."""

from __future__ import annotations

import random
import re
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distillkit.problems.algebra import parse_linear
from distillkit.problems.digits_form import addition, by_digits, product, quotient, times_digit
from distillkit.problems.equations import BROAD, FAMILIES, FAR, make_problems
from distillkit.problems.solver import solution_steps
from distillkit.problems.wordings import reworded, stories
from distillkit.traces.filters import first_wrong_step, reject
from distillkit.traces.teachers import teacher

numbers = st.integers(-(10**8), 10**8).filter(bool)


def columns(line):
    """Return (the columns, the line without them); each column must be right."""
    found = re.search(r" \(([0-9][^()]*=[^()]*)\)", line)
    if not found:
        return [], line
    notes = []
    for note in found[1].split(" "):
        left, value = note.split("=")
        first, *rest = map(int, re.findall("[0-9]+", left))
        if "*" in left:
            first, rest = first * rest[0], rest[1:]
        assert first + (-sum(rest) if "-" in left else sum(rest)) == int(value)
        assert all(len(number) < 3 for number in re.findall("[0-9]+", note))
        notes.append(int(value))
    return notes, line.replace(found[0], "")


def check_digits(notes, shown):
    """The result's last digits are those of the columns, from the right."""
    if notes:
        shown = shown.zfill(len(notes))
        assert [int(digit) for digit in reversed(shown)][: len(notes)] == [n % 10 for n in notes]


@given(numbers, numbers, st.sampled_from(["", "x"]))
def test_a_sum_is_what_its_columns_say(a, b, name):
    line = addition(Fraction(a), Fraction(b), name)
    notes, plain = columns(line)
    values = [parse_linear(side).get(name, 0) for side in plain.split("=")]
    assert values == [a + b, a + b]
    check_digits(notes, re.search("[0-9]*x?$", plain)[0].rstrip("x") or "1")
    assert bool(notes) or max(abs(a), abs(b)) < 100 or a == -b


@pytest.mark.parametrize(
    ("a", "b", "line"),
    [
        (13, 7, "13+7=20"),
        (-7, 13, "13-7=6"),
        (7, -13, "-(13-7)=-6"),
        (-7, -13, "-7-13=-20"),
        (45, 32, "45+32=77"),
        (94, -5, "94-5 (14-5=9 9-1=8)=89"),
        (1639, 62, "1639+62 (9+2=11 3+6+1=10 6+1=7)=1701"),
        (-1224, -85, "-(1224+85 (4+5=9 2+8=10 2+1=3))=-1309"),
        (85, -1224, "-(1224-85 (14-5=9 12-8-1=3 2-1=1))=-1139"),
        (62, 1639, "62+1639 (2+9=11 6+3+1=10 6+1=7)=1701"),
        (100, -94, "100-94 (10-4=6 10-9-1=0 1-1=0)=6"),
        (500, -500, "500-500=0"),
    ],
)  # fmt: skip
def test_how_a_sum_is_written(a, b, line):
    assert addition(Fraction(a), Fraction(b)) == line


@given(st.integers(1, 10**7), st.integers(0, 9))
def test_a_product_with_one_digit_is_what_its_columns_say(a, digit):
    notes, plain = columns(times_digit(a, digit))
    assert plain == f"{a}*{digit}={a * digit}"
    check_digits(notes, str(a * digit))
    assert bool(notes) == (a > 12 and digit > 1)


@given(st.integers(1, 9999), st.integers(1, 999))
def test_a_product_of_larger_numbers_ends_in_the_product(a, b):
    lines = product(a, b)
    for line in lines:
        left, right = columns(line)[1].split("=")
        assert parse_linear(left) == parse_linear(right)
    assert lines[-1] in (times_digit(a, b % 10), times_digit(b, a % 10)) or lines[-1].endswith(
        f"={a * b}"
    )


@given(st.integers(1, 10**8), st.integers(1, 10**6))
def test_a_quotient_is_divided_as_by_hand(number, divisor):
    digits, rest, written = {}, str(number), ""
    lines = quotient(number, divisor)
    for line in lines:
        plain = columns(line)[1]
        tried = re.fullmatch(r"(?:([0-9]+)(\|[0-9]+)?: )?([0-9]+)\*([0-9])=([0-9]+)( too large)?",
                             plain)  # fmt: skip
        if not tried:
            left, right = plain.removesuffix(" too large").split("=")
            assert parse_linear(left) == parse_linear(right)
            assert plain.endswith(" too large") == (int(right) >= divisor)
            continue
        part, behind, by, digit, value, too_large = tried.groups()
        part, behind = part or str(number), (behind or "")[1:]
        assert rest.endswith(behind) and int(by) == divisor
        assert int(value) == divisor * int(digit)
        assert bool(too_large) == (int(value) > int(part))
        digits[len(behind)] = digit  # the last one tried counts
    written = "".join(digits[at] for at in sorted(digits, reverse=True))
    assert int(written or 0) == number // divisor
    assert sorted(digits) == list(range(len(digits)))


@pytest.mark.parametrize(
    ("equation", "lines"),
    [
        ("6x = 18", ["6x = 18", "6*3=18", "x = 3"]),
        ("20 = 3x + 5", ["20 = 3x + 5", "3x = 20 - 5", "20-5 (10-5=5 2-1=1)=15", "3x = 15",
                         "3*5=15", "x = 5"]),
        ("27s - 62 = 1639", [
            "27s - 62 = 1639", "27s = 1639 + 62", "1639+62 (9+2=11 3+6+1=10 6+1=7)=1701",
            "27s = 1701", "170|1: 27*6 (7*6=42 2*6+4=16)=162",
            "170-162 (10-2=8 7-6-1=0 1-1=0)=8", "81: 27*3 (7*3=21 2*3+2=8)=81", "s = 63"]),
        ("7x = 2107", ["7x = 2107", "21|07: 7*3=21", "0|7: 7*0=0", "7: 7*1=7", "x = 301"]),
        ("(3/4)x + 5 = 11", ["(3/4)x + 5 = 11", "(3/4)x = 11 - 5", "(3/4)x = 6", "6*4=24",
                             "3x = 24", "3*8=24", "x = 8"]),
        ("x/7 = 12", ["x/7 = 12", "12*7=84", "x = 84"]),
        ("7x + 5 = 5", ["7x + 5 = 5", "7x = 5 - 5", "7x = 0", "x = 0"]),
        ("18x = 12", ["18x = 12", "12/18=6/9=2/3", "x = 2/3"]),
        ("5 - x = 9", ["5 - x = 9", "-x = 9 - 5", "-x = 4", "x = -4"]),
        ("-3x - y = -12, x + 3y = 28", [
            "-3x - y = -12", "x + 3y = 28", "-9x - 3y = -36", "-9x + x = -36 + 28",
            "-(36-28 (16-8=8 3-2-1=0))=-8", "-8x = -8", "8x = 8", "8*1=8", "x = 1", "-3*1=-3",
            "-y = -12 + 3", "-y = -9", "y = 9"]),
    ],
)  # fmt: skip
def test_how_an_equation_is_solved(equation, lines):
    assert by_digits(equation) == lines


@pytest.mark.parametrize("family", [*FAMILIES, "stories"])
def test_the_traces_of_every_family_pass_all_rules(family):
    problems = stories(80, "train", 7) if family == "stories" else make_problems(
        80, (family,), "train", 7)  # fmt: skip
    kept, funnel = reject(teacher("solver:digits").sample(reworded(problems, 7), k=1))
    assert len(kept) == 80, str(funnel)


@given(st.sampled_from(["systems", "pairs"]), st.integers(0, 10**6))
def test_every_line_of_a_system_follows_and_no_line_comes_thrice(family, seed):
    equation = FAMILIES[family](random.Random(seed))
    lines = by_digits(equation)
    assert first_wrong_step(equation, "\n".join(lines)) == ""
    assert all(lines.count(line) < 3 for line in lines)
    for name in "xy":
        assert sum(bool(re.fullmatch(f"{name} = -?[0-9]+", line)) for line in lines) >= 1


def test_other_systems_are_solved_too():
    for equation in ("2x + 3y = 12, x = 3", "y = 4, x + y = 1", "2a - b = 0, a + b = 3"):
        assert first_wrong_step(equation, "\n".join(by_digits(equation))) == ""
    fraction = "x + y = 1/2, x - y = 3"
    assert by_digits(fraction) == solution_steps(fraction)
    for equation in ("x + y = 3", "x + y = 1, x + y = 2", "x + y = 1, y + z = 2, x + z = 3"):
        with pytest.raises(ValueError):
            by_digits(equation)


@pytest.mark.parametrize(
    "line",
    [
        "1639+62 (9+2=11 3+6=10 6+1=7)=1701",  # a wrong column
        "1639+62 (9+2=11 3+6+1=10 6+1=7)=1711",  # a wrong result
        "3 (1+1=2)4 = 34",  # columns do not join numbers
        "27s (1+1=2 = 1701",
        "27s (s=63) = 1702",
        "27s = 1701 (1+1=3)",
    ],
)
def test_columns_do_not_hide_a_wrong_step(line):
    assert first_wrong_step("27s - 62 = 1639", f"27s = 1701\n{line}") == line


def test_what_is_never_taught_is_in_no_broad_family():
    assert not set(FAR) & set(BROAD) and set(FAR) | set(BROAD) <= set(FAMILIES)
