"""The exact parser: values against an independent oracle, limits, and hostile text.

The oracle evaluates a random expression tree at points, in Fractions.  It shares no code with the
parser, which collects coefficients.
"""

from __future__ import annotations

import time
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from distillkit.problems.algebra import (
    MAX_CHARS,
    MAX_DEPTH,
    MAX_DIGITS,
    ParseError,
    add,
    parse_equation,
    parse_linear,
    parse_number,
    parse_system,
    plain,
    reduced,
    scale,
    show_linear,
    show_number,
    solve,
)

POINTS = [
    {"x": Fraction(0), "y": Fraction(0)},
    {"x": Fraction(1), "y": Fraction(0)},
    {"x": Fraction(0), "y": Fraction(1)},
    {"x": Fraction(-7, 3), "y": Fraction(11, 5)},
]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", {}),
        ("007", {"": 7}),
        ("2.50", {"": Fraction(5, 2)}),
        (".5x", {"x": Fraction(1, 2)}),
        ("3x - 4", {"x": 3, "": -4}),
        ("-x", {"x": -1}),
        ("+x", {"x": 1}),
        ("- -x", {"x": 1}),
        ("5--3", {"": 8}),
        ("2*-3", {"": -6}),
        ("x - x", {}),
        ("2(x - 3)/5 + 1", {"x": Fraction(2, 5), "": Fraction(-1, 5)}),
        ("(x + 1)2/4", None),  # a number never follows its bracket
        ("(x + 1)*2/4", {"x": Fraction(1, 2), "": Fraction(1, 2)}),
        ("12/3/2", {"": 2}),
        ("12/(3/2)", {"": 8}),
        ("2 - 3 - 4", {"": -5}),
        ("1/2x", {"x": Fraction(1, 2)}),
        ("2(3)", {"": 6}),
        ("x3", None),
        ("2 3", None),
        ("-(x - (y - 2))", {"x": -1, "y": 1, "": -2}),
        ("a + B + b", {"a": 1, "B": 1, "b": 1}),
        ("[2(x + 1) - 3]", {"x": 2, "": -1}),
        ("3×x − 4÷2", {"x": 3, "": -2}),
        (r"3 \cdot x", {"x": 3}),
        (r"3\cdot2", {"": 6}),
        (r"3\times2x", {"x": 6}),
        (r"\frac{x - 1}{2}", {"x": Fraction(1, 2), "": Fraction(-1, 2)}),
        (r"\dfrac{\frac{1}{2}}{3}", {"": Fraction(1, 6)}),
        (r"-\frac12 x", {"x": Fraction(-1, 2)}),
        (r"\left(x + 1\right)\cdot 2", {"x": 2, "": 2}),
        (r"3\,x\!+\;1", {"x": 3, "": 1}),
        (r"2\;1/3", None),  # not 21/3
        (r"2\,3", None),
        (r"\cdotx", None),
        ("", None),
        (" ", None),
        ("x +", None),
        ("* x", None),
        ("(x", None),
        ("x)", None),
        ("()", None),
        ("x*y", None),
        ("xx", None),
        ("x^2", None),
        ("2**3", None),
        ("1/x", None),
        ("1/0", None),
        ("1/(2 - 2)", None),
        ("1/(x - x)", None),
        ("5.", None),
        ("1e3", None),
        ("1.2.3", None),
        ("1,000", None),
        ("x = 3", None),
        ("five", None),
    ],
)
def test_a_linear_expression_has_this_value_or_is_refused(text, expected):
    if expected is None:
        with pytest.raises(ParseError):
            parse_linear(text)
    else:
        assert parse_linear(text) == expected


# A tree is ("number", text, value), ("name", x), ("-", a) or (operator, a, b) with the operators
# "+", "-", "*", "/" and "" (nothing between the factors).
def number_trees():
    whole = st.integers(0, 60).map(lambda n: ("number", str(n), Fraction(n)))
    decimal = st.tuples(st.integers(0, 30), st.integers(0, 99)).map(
        lambda pair: ("number", f"{pair[0]}.{pair[1]:02}", pair[0] + Fraction(pair[1], 100))
    )
    return st.one_of(whole, decimal)


def constant_trees():
    return st.recursive(
        number_trees(),
        lambda inner: st.one_of(
            st.tuples(st.sampled_from("+-*/"), inner, inner), st.tuples(st.just("-"), inner)
        ),
        max_leaves=3,
    )


def linear_trees():
    leaf = st.one_of(number_trees(), st.sampled_from("xy").map(lambda name: ("name", name)))

    def grow(inner):
        constant = constant_trees()
        return st.one_of(
            st.tuples(st.sampled_from("+-"), inner, inner),
            st.tuples(st.just("-"), inner),
            st.tuples(st.sampled_from(["*", ""]), constant, inner),
            st.tuples(st.sampled_from("*/"), inner, constant),
        )

    return st.recursive(leaf, grow, max_leaves=8)


def value_of(tree, point):
    kind = tree[0]
    if kind == "number":
        return tree[2]
    if kind == "name":
        return point[tree[1]]
    first = value_of(tree[1], point)
    if len(tree) == 2:
        return -first
    second = value_of(tree[2], point)
    if kind == "+":
        return first + second
    if kind == "-":
        return first - second
    return first / second if kind == "/" else first * second


def text_of(tree, gap=""):
    """Write a tree with no more brackets than the usual order of operations needs."""
    kind = tree[0]
    if kind in ("number", "name"):
        return tree[1]
    if len(tree) == 2:
        return "-" + bracketed(tree[1], gap, when=("+", "-"))
    left, right = tree[1], tree[2]
    if kind in "+-" and kind:
        return text_of(left, gap) + gap + kind + gap + bracketed(right, gap, when=("+", "-"))
    shown_left = bracketed(left, gap, when=("+", "-"))
    shown_right = bracketed(right, gap, when=("+", "-", "*", "/", ""))
    if not kind and shown_right[0] in "0123456789":
        shown_right = f"({shown_right})"
    return shown_left + (gap + kind + gap if kind else "") + shown_right


def bracketed(tree, gap, when):
    shown = text_of(tree, gap)
    return f"({shown})" if tree[0] in when else shown


@given(linear_trees(), st.sampled_from(["", " ", "  ", "\t"]))
def test_a_written_tree_has_the_value_of_the_tree(tree, gap):
    try:
        expected = [value_of(tree, point) for point in POINTS]
    except ZeroDivisionError:
        expected = None
    text = text_of(tree, gap)
    assume(len(text) <= MAX_CHARS)
    if expected is None:
        with pytest.raises(ParseError):
            parse_linear(text)
        return
    parsed = parse_linear(text)
    assert 0 not in parsed.values()
    assert [
        sum((point.get(name, Fraction(1)) * value for name, value in parsed.items()), Fraction(0))
        for point in POINTS
    ] == expected


fractions = st.fractions(min_value=-50, max_value=50, max_denominator=12)
linears = st.dictionaries(st.sampled_from(["x", "y", "Z", ""]), fractions, max_size=4).map(
    lambda value: {name: number for name, number in value.items() if number}
)


@given(linears)
@example({})
@example({"x": Fraction(-1), "": Fraction(-7, 2)})
@example({"x": Fraction(-7, 2)})
def test_what_is_shown_parses_to_the_same(value):
    assert parse_linear(show_linear(value)) == value


@given(fractions)
def test_a_shown_number_parses_to_the_same(value):
    assert parse_number(show_number(value)) == value


def test_expressions_are_shown_in_reading_order():
    assert show_linear({"": Fraction(-4), "x": Fraction(3)}) == "3x - 4"
    assert show_linear({"y": Fraction(-1), "x": Fraction(-1, 2)}) == "-(1/2)x - y"
    assert show_linear({}) == "0"
    assert show_number(Fraction(7, 2)) == "7/2"
    assert show_number(-3) == "-3"


@given(linears, linears, fractions)
def test_sums_and_multiples_hold_coefficient_by_coefficient(a, b, factor):
    for name in ("x", "y", "Z", ""):
        expected = a.get(name, 0) + factor * b.get(name, 0)
        assert add(a, b, factor).get(name, 0) == expected
        assert scale(a, factor).get(name, 0) == factor * a.get(name, 0)
    assert 0 not in add(a, b, factor).values()
    assert 0 not in scale(a, factor).values()


@given(linears, st.sampled_from(["−", "–", "-"]), st.sampled_from(["·", "×", r"\cdot ", "*"]))
def test_typographic_signs_mean_the_same(value, minus, times):
    text = show_linear(value).replace("-", minus).replace("(", "1" + times + "(")
    assert parse_linear(text) == value


@pytest.mark.parametrize("text", ["x", "2x + 1", "=", "1 = 1", "", "two"])
def test_a_number_has_no_variables(text):
    with pytest.raises(ParseError):
        parse_number(text)


@pytest.mark.parametrize("text", ["x", "x = 1 = y", "= 3", "x =", "x == 3", "x < 3", ""])
def test_an_equation_has_two_sides(text):
    with pytest.raises(ParseError):
        parse_equation(text)


@pytest.mark.parametrize(
    "text",
    ["x + y = 3, x - y = 1", "x + y = 3; x - y = 1", "x + y = 3 and x - y = 1",
     "x + y = 3\nx - y = 1", "x + y = 3,\nx - y = 1\n", "\n2x = 4 and\n  y = 1"],
)  # fmt: skip
def test_equations_of_a_system_are_separated_in_these_ways(text):
    assert solve(parse_system(text)) == {"x": 2, "y": 1}


@pytest.mark.parametrize("text", ["", " , ", "a=1,b=1,c=1,d=1,e=1", "x = 1, y"])
def test_a_system_has_one_to_four_whole_equations(text):
    with pytest.raises(ParseError):
        parse_system(text)
    assert len(parse_system("a=1,b=1,c=1,d=1")) == 4


# An independent way to the solutions in two unknowns: lines are crossed as vectors, as in
# projective geometry, instead of being eliminated.
def crossed(equations):
    kind, known = "plane", None
    for a, b, c in equations:  # a x + b y + c = 0
        if not a and not b:
            if c:
                return "empty", None
        elif kind == "plane":
            kind, known = "line", normal((a, b, c))
        elif kind == "line":
            p, q, r = known
            w = p * b - q * a
            point = (q * c - r * b, r * a - p * c)
            if w:
                kind, known = "point", (Fraction(point[0], w), Fraction(point[1], w))
            elif any(point):
                return "empty", None
        elif a * known[0] + b * known[1] + c:
            return "empty", None
    return kind, known


def normal(line):
    first = Fraction(next(part for part in line if part))
    return tuple(part / first for part in line)


def as_system(equations):
    def linear(**terms):
        return {name.strip("_"): Fraction(number) for name, number in terms.items() if number}

    return [(linear(x=a, y=b), linear(_=-c)) for a, b, c in equations]


small = st.integers(-2, 2)
plane_equations = st.lists(st.tuples(small, small, small), min_size=1, max_size=3)


@given(plane_equations, plane_equations)
def test_reduced_forms_are_equal_exactly_when_the_solutions_are(first, second):
    same = crossed(first) == crossed(second)
    assert (reduced(as_system(first)) == reduced(as_system(second))) == same


@given(plane_equations, st.lists(st.tuples(small, small, small), max_size=4), st.randoms())
def test_row_operations_do_not_change_the_reduced_form(equations, operations, random):
    rows = as_system(equations)
    expected = reduced(rows)
    for to, source, factor in operations:
        to, source = to % len(rows), source % len(rows)
        if to != source:
            left, right = rows[to]
            rows[to] = (add(left, rows[source][0], factor), add(right, rows[source][1], factor))
    random.shuffle(rows)
    rows = [(right, left) if random.random() < 0.5 else (left, right) for left, right in rows]
    assert reduced(rows) == expected


@given(plane_equations)
def test_solve_finds_the_one_solution_or_says_that_there_is_none(equations):
    kind, known = crossed(equations)
    system = as_system(equations)
    names = {name for left, _ in system for name in left}
    if kind == "point":
        assert solve(system) == {"x": known[0], "y": known[1]}
    elif kind == "line" and len(names) == 1:  # the other unknown does not occur at all
        value = -known[2] / (known[0] or known[1])
        assert solve(system) == {names.pop(): value}
    else:
        with pytest.raises(ValueError, match="no single solution"):
            solve(system)


nonzero = st.integers(-9, 9).filter(bool)


@given(st.tuples(fractions, fractions, fractions), st.tuples(*[nonzero] * 3), st.data())
def test_solve_finds_a_planted_solution_in_three_unknowns(planted, diagonal, data):
    solution = dict(zip("xyz", planted))
    free = st.integers(-9, 9)
    rows = [
        {"x": diagonal[0], "y": data.draw(free), "z": data.draw(free)},
        {"y": diagonal[1], "z": data.draw(free)},
        {"z": diagonal[2]},
    ]
    system = []
    for row in rows:
        left = {name: Fraction(number) for name, number in row.items() if number}
        right = sum((number * solution[name] for name, number in left.items()), Fraction(0))
        system.append((left, {"": right} if right else {}))
    mixed = [(add(a, b, 3), add(c, d, 3)) for (a, c), (b, d) in pairwise(system)]
    assert solve([*mixed, system[2], system[0]]) == solution


def test_an_unknown_that_cancels_is_not_solved():
    with pytest.raises(ValueError, match="no single solution"):
        solve(parse_system("x + y = x + 1"))
    with pytest.raises(ValueError, match="no single solution"):
        solve(parse_system("3 = 3"))
    assert reduced(parse_system("x = x")) == reduced(parse_system("1 = 1"))
    assert reduced(parse_system("x = x + 1")) == reduced(parse_system("0 = 5, y = 2"))


def test_text_at_a_limit_is_read_and_past_it_refused():
    def nested(depth):
        return "(" * depth + "x" + ")" * depth

    assert parse_linear("9" * MAX_DIGITS) == {"": Fraction(10**MAX_DIGITS - 1)}
    assert parse_linear(nested(MAX_DEPTH)) == {"x": 1}
    assert parse_linear("x" + " " * (MAX_CHARS - 1)) == {"x": 1}
    for text in ("9" * (MAX_DIGITS + 1), nested(MAX_DEPTH + 1), "x" + " " * MAX_CHARS):
        with pytest.raises(ParseError):
            parse_linear(text)


def test_a_long_system_is_refused_and_not_cut():
    with pytest.raises(ParseError):
        parse_system("x = 1," + " " * 4 * MAX_CHARS + "y = 2")
    with pytest.raises(ParseError):
        parse_system("x=1,y=1,z=1" + " " * (4 * MAX_CHARS - 10) + "+ 1")


HUGE = 10_000_000
HOSTILE = {
    "digits": "9" * HUGE,
    "brackets": "(" * HUGE,
    "braces": r"\frac{" * (HUGE // 6),
    "equals signs": "=" * HUGE,
    "commas": "," * HUGE,
    "short brackets": "(" * MAX_CHARS,
    "short fractions": r"\frac{" * 66,
    "spaces": " " * MAX_CHARS,
    "signs": "-" * MAX_CHARS,
    "quotients": "1/" * 199 + "7",
    "tower": "9**9**9**9",
    "code": "__import__('os').system('x')",
    "attribute": "().__class__.__bases__[0]",
    "lambda": "(lambda: 1)()",
    "NUL": "1\x00+1",
    "bidi": "\u202e5\u202c",
    "digits of another script": "١٢",
    "superscript": "2²",
    "lone surrogate": "\ud800",
    "infinity": "inf",
    "not a number": "nan",
    "underscores": "1_000",
    "hexadecimal": "0x10",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_text_is_refused_quickly(name, monkeypatch):
    def forbidden(*_):
        raise AssertionError("text was evaluated")

    monkeypatch.setattr("builtins.eval", forbidden)
    monkeypatch.setattr("builtins.exec", forbidden)
    for parse in (parse_linear, parse_number, parse_equation, parse_system):
        times = []
        for _ in range(3):  # the fastest of three: other programs may be running
            start = time.process_time()
            if name == "quotients" and parse in (parse_linear, parse_number):
                parse(HOSTILE[name])
            else:
                with pytest.raises(ParseError):
                    parse(HOSTILE[name])
            times.append(time.process_time() - start)
        assert min(times) < 0.5


PIECES = [*"xyzE0123456789.+-*/()[]{}=,;\\ \n", "and", r"\frac", r"\cdot", "{2}{3}", "−", "\u2028"]
anything = st.one_of(
    st.text(st.characters(exclude_categories=())),
    st.lists(st.sampled_from(PIECES), max_size=40).map("".join),
)


@given(anything)
def test_no_text_raises_anything_but_a_parse_error(text):
    assert isinstance(plain(text), str)
    for parse in (parse_linear, parse_number, parse_equation, parse_system):
        try:
            value = parse(text)
        except ParseError:
            continue
        if parse is parse_linear:
            assert all(isinstance(number, Fraction) and number for number in value.values())
            assert parse_linear(show_linear(value)) == value
        if parse is parse_system:
            assert reduced(value) == reduced([*value, value[0]])
