"""Equations: exact answers, families that are what they say, splits that never leak, exact steps.

Nothing here trusts `distillkit.problems.algebra`: a side of an equation is read with Python's own
grammar and its tree is worked out in Fractions (it is walked, never run).
"""

from __future__ import annotations

import ast
import hashlib
import operator
import re
from fractions import Fraction
from functools import cache
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distillkit.problems.equations import (
    FAMILIES,
    NARROW,
    OUT_OF_DISTRIBUTION,
    belongs,
    canonical,
    make_problem,
    make_problems,
    must_differ,
    overlap,
)
from distillkit.problems.solver import solution_steps
from distillkit.problems.wordings import stories
from distillkit.traces.filters import first_wrong_step

OPERATIONS = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}


def value(side, at):
    """Work out one side at a point, in Fractions."""

    def work_out(node):
        match node:
            case ast.Constant():
                return Fraction(node.value)
            case ast.Name():
                return at[node.id]
            case ast.UnaryOp(op=ast.USub()):
                return -work_out(node.operand)
            case ast.BinOp():
                return OPERATIONS[type(node.op)](work_out(node.left), work_out(node.right))
        raise AssertionError(f"unexpected {ast.dump(node)} in {side!r}")

    with_signs = re.sub(r"(?<=[0-9A-Za-z)])(?=[A-Za-z(])", "*", side.strip())
    return work_out(ast.parse(with_signs, mode="eval").body)


def sides(equation):
    """Return the pairs of sides of an equation or system."""
    return [tuple(part.split("=")) for part in equation.split(",")]


def holds(equation, at):
    return all(value(left, at) == value(right, at) for left, right in sides(equation))


def letters_of(equation):
    return sorted(set(re.findall("[a-z]", equation)))


def solution(problem):
    """Return the answer as written: "x = -7/3, y = 1" -> {"x": -7/3, "y": 1}."""
    return {name: Fraction(number) for name, number in
            (part.split(" = ") for part in problem.answer.split(", "))}  # fmt: skip


def coefficients(side, names):
    """Return constant and coefficients of a side, from its values at 0 and at the unit points."""
    zero = dict.fromkeys(names, Fraction(0))
    constant = value(side, zero)
    return (constant, *(value(side, zero | {name: Fraction(1)}) - constant for name in names))


def meaning(equation):
    """Return the same object for all ways to write one equation (or system)."""
    names = letters_of(equation)
    ways = []
    for order in {tuple(names), tuple(reversed(names))}:
        rows = [sorted(coefficients(side, order) for side in pair) for pair in sides(equation)]
        ways.append(sorted(rows))
    return str(min(ways))


@cache
def some(family, split="ood", n=80):
    return make_problems(n, (family,), split, seed=1)


each_family = pytest.mark.parametrize("family", FAMILIES)


# --- answers ---------------------------------------------------------------------------------


@each_family
@pytest.mark.parametrize("split", ["train", "test"])
def test_the_answer_solves_the_equation(family, split):
    for problem in some(family, split):
        assert holds(problem.equation, solution(problem)), problem


@each_family
def test_there_is_no_other_solution(family):
    for problem in some(family):
        names = letters_of(problem.equation)
        rows = []
        for left, right in sides(problem.equation):
            left, right = coefficients(left, names), coefficients(right, names)
            rows.append([a - b for a, b in zip(left, right)][1:])
        if len(rows) == 1:
            assert rows[0][0] != 0, problem
        else:
            (a, b), (c, d) = rows
            assert a * d != b * c, problem


@each_family
def test_a_problem_says_what_is_asked(family):
    for problem in some(family):
        names = " and ".join(letters_of(problem.equation))
        assert problem.text == f"Solve for {names}: {problem.equation}"
        assert (problem.family, problem.split) == (family, "ood")
        assert problem.record()["answer"] == problem.answer


def test_own_equations_get_exact_answers():
    assert make_problem("3x + 4 = 5").answer == "x = 1/3"
    assert make_problem("1.5n = 3").answer == "n = 2"
    assert make_problem("x + y = 3, x - y = 1").answer == "x = 2, y = 1"


def test_own_equations_that_mean_the_same_are_two_questions():
    """Each gets its own answer; of a family's problems they would be one."""
    for one, other in [("3x + 5 = 20", "3y + 5 = 20"), ("2(x + 3) = 10", "2x + 6 = 10")]:
        assert make_problem(one).id != make_problem(other).id == make_problem(other).id
        assert make_problem(one, "a", "train").id == make_problem(other, "a", "train").id


def test_two_problems_of_one_id_are_refused():
    one, other = (make_problem(text, "a", "test") for text in ("3x = 15", "3y = 15"))
    must_differ([one, one])
    with pytest.raises(ValueError, match=r"3x = 15.*3y = 15.*one id"):
        must_differ([one, other])


@pytest.mark.parametrize(
    "nonsense",
    ["", "x", "x =", "x = x", "0 = 1", "3 = 3", "x = x + 1", "x + y = 3", "x = y = 3", "x*x = 4",
     "x^2 = 4", "1/x = 2", "x/0 = 2", "x = 1, x = 2", "hello", "__import__('os').getcwd()",
     "x = 9**9**9", "x = " + "1" * 10_000, "(" * 1000 + "x = 1"],
)  # fmt: skip
def test_an_own_equation_without_one_solution_is_refused(nonsense):
    with pytest.raises(ValueError):
        make_problem(nonsense)


# --- families --------------------------------------------------------------------------------

LINE = r"\dL [+-] \d+"
ONE_STEP = r"(?:L [+-] \d+ = -?\d+|\dL = -?\d+|L/\d = -?\d+)"
TWO_STEP = rf"{LINE} = -?\d+"
BOTH_SIDES = rf"{LINE} = \dL(?: [+-] \d+)?"
BRACKETS = r"\d\(L [+-] \d\) = -?\d+"
TERM = r"(?:\d{1,3}|\d{0,2}L|\d\(L [+-] \d{1,2}\))"
SYSTEM_LINE = r"-?[23]?x [+-] [23]?y = -?\d+"
FORMS = {
    "one-step": ONE_STEP,
    "two-step": TWO_STEP,
    "both-sides": BOTH_SIDES,
    "brackets": BRACKETS,
    "brackets-both": r"\d\(L [+-] \d\) = \d\(L [+-] \d+\)",
    "fractions": r"\(\d/\d\)L [+-] \d+ = -?\d+",
    "rational": rf"{LINE} = (?:\d?L [+-] \d+|-?\d+)",
    "letters": rf"{TWO_STEP}|{BOTH_SIDES}|{BRACKETS}",
    "reversed": r"-?\d+ = (?:L [+-] \d+|\dL(?: [+-] \d+)?|L/\d|\d\(L [+-] \d\))",
    "large": r"\d\dL [+-] \d+ = -?\d+",
    "unsimplified": rf"{LINE} \+ \dL = \dL(?: [+-] \d+)?",
    "broad": rf"-?{TERM}(?: [+-] {TERM}){{0,2}} = -?{TERM}(?: [+-] {TERM}){{0,2}}",
    "scaled": r"(?:-?\d{0,6}L(?: [+-] \d+)?|\d+ - \d+L) = -?\d+",
    "near": r"\d\d?L [+-] \d+ = (?:-?\d+|\dL(?: [+-] \d+)?)|\d\(L [+-] \d+\) = -?\d+",
    "systems": f"{SYSTEM_LINE}, {SYSTEM_LINE}",
    "pairs": r"(?:-?\d?x [+-] \d?y = -?\d+(?:, |$)){2}",
}


@each_family
def test_a_family_has_its_form(family):
    letter = "[abkmnptuwyz]" if family == "letters" else "x"
    form = re.compile(FORMS[family].replace("L", letter))
    for problem in some(family):
        assert form.fullmatch(problem.equation), problem.equation


@each_family
def test_only_the_family_rational_has_fractions_as_answers(family):
    for problem in some(family):
        whole = all(number.denominator == 1 for number in solution(problem).values())
        assert whole == (family != "rational"), problem


def test_large_numbers_are_larger_than_all_that_was_trained():
    def largest(problem):
        return max(map(int, re.findall(r"\d+", problem.equation)))

    assert sum(largest(problem) >= 100 for problem in some("large")) > 60
    trained = [p for family in NARROW for p in some(family)]
    assert max(map(largest, trained)) < 200


def test_the_broad_family_has_all_that_the_narrow_ones_lack():
    equations = [problem.equation for problem in some("broad")]
    terms = [len(re.findall(r" [+-] (?![^(]*\))", equation)) + 2 for equation in equations]
    assert min(terms) <= 3 and max(terms) == 6
    assert sum("(" in equation for equation in equations) > 30
    assert sum(equation.split(" = ")[0].lstrip("-").isdigit() for equation in equations) > 0
    assert sum(bool(re.search(r"\d{3}", equation)) for equation in equations) > 30


def test_scaled_and_near_reach_as_far_as_they_say():
    digits = {len(re.search("[0-9]*(?=x)", p.equation)[0]) for p in some("scaled")}
    solutions = [solution(p)["x"] for p in some("scaled")]
    assert digits >= {2, 3, 4, 5, 6} and len({len(str(abs(x))) for x in solutions}) == 3
    assert {solution(p)["x"] for p in some("near")} == {-1, 0, 1}


def test_letters_are_varied():
    assert len({problem.answer[0] for problem in some("letters")}) >= 8


def test_the_families_come_in_turn():
    problems = make_problems(9, NARROW, "train", seed=3)
    assert [p.family for p in problems] == [NARROW[i % len(NARROW)] for i in range(9)]


# --- seeds and splits ------------------------------------------------------------------------


@each_family
def test_the_seed_decides(family):
    again = make_problems(20, (family,), "train", seed=5)
    assert again == make_problems(20, (family,), "train", seed=5)
    assert again != make_problems(20, (family,), "train", seed=6)


def test_more_problems_of_one_seed_begin_with_the_same():
    assert make_problems(40, seed=2)[:15] == make_problems(15, seed=2)


@each_family
def test_no_equation_comes_twice(family):
    problems = some(family)
    assert len({meaning(p.equation) for p in problems}) == len(problems)
    assert len({p.id for p in problems}) == len(problems)


@settings(max_examples=settings.default.max_examples // 2)
@given(st.integers(), st.integers(), st.sampled_from(NARROW), st.sampled_from(["test", "ood"]))
def test_training_and_test_never_share_an_equation(seed, other_seed, family, split):
    train = make_problems(20, (family,), "train", seed)
    test = make_problems(20, (family,), split, other_seed)
    assert not {meaning(p.equation) for p in train} & {meaning(p.equation) for p in test}
    assert overlap(train, test) == []


@settings(max_examples=settings.default.max_examples // 5)
@given(st.integers(), st.integers())
def test_another_letter_or_the_other_order_of_sides_does_not_leak_either(seed, other_seed):
    train = make_problems(60, ("one-step", "two-step", "brackets"), "train", seed)
    test = make_problems(60, ("letters", "reversed"), "ood", other_seed)
    assert not {meaning(p.equation) for p in train} & {meaning(p.equation) for p in test}


def test_overlap_sees_an_equation_written_otherwise():
    one = [make_problem("3(x + 4) = 21"), make_problem("x + 1 = 2")]
    assert overlap(one, [make_problem("21 = 12 + 3n"), make_problem("2x = 8")]) != []
    assert overlap(one, [make_problem("3x + 12 = 22")]) == []


def test_avoid_keeps_known_equations_out():
    known = make_problems(30, ("one-step",), "test", seed=0)
    assert overlap(known, make_problems(30, ("one-step",), "test", seed=0)), "the test has teeth"
    assert not overlap(known, make_problems(30, ("one-step",), "test", seed=0, avoid=known))


def test_the_out_of_distribution_families_are_not_trained():
    assert not set(NARROW) & set(OUT_OF_DISTRIBUTION)
    assert set(NARROW) | set(OUT_OF_DISTRIBUTION) <= set(FAMILIES)


OLD = ("one-step", "two-step", "both-sides", "brackets", "brackets-both", "fractions", "rational",
       "letters", "reversed", "large", "unsimplified", "broad", "systems")  # fmt: skip


def test_the_problems_of_a_seed_stay_the_same():
    """Recorded answers and measured tables belong to these very problems."""
    texts = [
        p.text for split in ("train", "test", "ood") for p in make_problems(260, OLD, split, 5)
    ]
    assert hashlib.sha256("\n".join(texts).encode()).hexdigest()[:16] == "0ab290694eea5d4a"
    texts = [problem.text for problem in stories(60, "test", 5)]
    assert hashlib.sha256("\n".join(texts).encode()).hexdigest()[:16] == "7b6e9030874f07b1"


@pytest.mark.parametrize("families", [("one-step", "poetry"), (), ("",)])
def test_an_unknown_family_is_refused_with_the_known_ones(families):
    with pytest.raises(ValueError, match=r"unknown family.*one-step.*systems"):
        make_problems(1, families)


def test_a_family_that_runs_dry_says_so(monkeypatch):
    monkeypatch.setitem(FAMILIES, "one-step", lambda rng: f"x + {rng.choice('12')} = 3")
    with pytest.raises(ValueError, match=r"'one-step' has no new equation left: only . different"):
        make_problems(3, ("one-step",))


def test_a_family_that_runs_dry_among_others_is_named_soon(monkeypatch):
    drawn = []
    monkeypatch.setitem(FAMILIES, "one-step", lambda rng: drawn.append(1) or "x + 1 = 3")
    split = "ood" if belongs(canonical("x + 1 = 3"), "ood") else "train"
    with pytest.raises(ValueError, match="'one-step' has no new equation left: only 1 different"):
        make_problems(100_000, ("two-step", "one-step"), split)
    assert len(drawn) < 20_000


# --- the canonical form ----------------------------------------------------------------------

small = st.integers(-9, 9)
factor = st.integers(1, 9)
spaces = st.sampled_from(["", " ", "   "])


@given(factor, small, small, small)
def test_swapped_sides_are_the_same_equation(a, b, c, d):
    left, right = f"{a}x + {b}", f"{c}x + {d}"
    assert canonical(f"{left} = {right}") == canonical(f"{right} = {left}")


@given(factor, small, small, st.sampled_from("abknyzX"))
def test_a_renamed_letter_is_the_same_equation(a, b, c, letter):
    equation = f"{a}(x + {b}) = {c}x - 7"
    assert canonical(equation) == canonical(equation.replace("x", letter))


@given(factor, small, small)
def test_expanded_brackets_are_the_same_equation(a, b, c):
    assert canonical(f"{a}(x + {b}) = {c}") == canonical(f"{a}x + {a * b} = {c}")


@given(factor, small, small, small)
def test_collected_terms_are_the_same_equation(a, b, c, d):
    assert canonical(f"{a}x + {b} + {c}x = {d}") == canonical(f"{a + c}x + {b} = {d}")


@given(factor, factor, small, st.lists(spaces, min_size=9, max_size=9))
def test_spaces_do_not_matter(a, b, c, gaps):
    tokens = [str(a), "(", "x", "-", str(b), ")", "=", str(c)]
    spaced = "".join(gap + token for gap, token in zip(gaps, tokens)) + gaps[-1]
    assert canonical("".join(tokens)) == canonical(spaced)


@given(st.lists(st.integers(-2, 2), min_size=8, max_size=8), st.booleans())
def test_two_equations_have_one_canonical_form_exactly_if_they_mean_the_same(numbers, other):
    a, b, c, d, *rest = numbers
    e, f, g, h = rest if other else (c, d, a, b)
    one, two = f"{a}x + {b} = {c}x + {d}", f"{e}n + {f} = {g}n + {h}"
    assert (canonical(one) == canonical(two)) == (meaning(one) == meaning(two))


@given(st.lists(st.integers(-3, 3), min_size=6, max_size=6), st.sampled_from(["ab", "yx", "zy"]))
def test_a_system_keeps_its_form_in_any_order_with_any_letters(numbers, letters):
    a, b, c, d, e, f = numbers
    one, two = f"{a}x + {b}y = {c}", f"{d}x + {e}y = {f}"
    renamed = f"{two}, {one}".translate(str.maketrans("xy", letters))
    assert canonical(f"{one}, {two}") == canonical(renamed)


def test_systems_that_differ_have_different_forms():
    systems = ["x + y = 3, x - y = 1", "x + y = 3, x - y = 2", "x + 2y = 3, x - y = 1",
               "x + 2y = 3, y - x = 1", "x + y = 3"]  # fmt: skip
    assert len(set(map(canonical, systems))) == len(systems)


# --- the solver's steps ----------------------------------------------------------------------


@each_family
def test_every_step_holds_at_the_solution_and_not_beside_it(family):
    for problem in some(family):
        at = solution(problem)
        for line in solution_steps(problem.equation):
            assert holds(line, at), (problem.equation, line)
            beside = [at | {name: at[name] + 1} for name in letters_of(line)]
            assert beside and not any(holds(line, point) for point in beside), (problem, line)


@each_family
def test_the_steps_pass_the_rule_for_steps(family):
    for problem in some(family):
        assert first_wrong_step(problem.equation, "\n".join(solution_steps(problem.equation))) == ""


@each_family
def test_the_steps_end_with_the_answer(family):
    for problem in some(family):
        last = solution_steps(problem.equation)[-problem.answer.count("=") :]
        assert sorted(last) == problem.answer.split(", ")


LINES = {  # how many lines a solution has: each does one thing
    "one-step": {2},  # one operation, its result
    "two-step": {4},
    "both-sides": {2, 4},  # 2: nothing is left to divide by
    "brackets": {5},
    "brackets-both": {3, 5},
    "fractions": {4},
    "rational": {4},
    "letters": {2, 4, 5},
    "reversed": {2, 4, 5},
    "large": {4},
    "unsimplified": {3, 5},
    "broad": {1, 2, 3, 4, 5},
    "scaled": {2, 4},
    "near": {2, 3, 4, 5},
    "pairs": {5},
    "systems": {5},  # isolate, substitute, collect, one unknown, the other
}


@each_family
def test_each_line_does_one_thing(family):
    lengths = {len(solution_steps(problem.equation)) for problem in some(family)}
    assert lengths <= LINES[family]


@each_family
def test_no_line_repeats_the_one_before(family):
    for problem in some(family):
        lines = [problem.equation, *solution_steps(problem.equation)]
        assert all(one != two for one, two in pairwise(lines)), lines


UGLY = re.compile(r"[-+] *[-+]|(?<![\d/.])[01][a-z(]|(?<![\d/])[+-] 0\b|/ ?1\b|\(\)|  | $|^ ")


@pytest.mark.parametrize(
    "line", ["x - -3 = 2", "x + -3", "1x = 2", "0y + 3", "1(x - 2)", "x + 0", "2  = x", "5/1"]
)
def test_the_search_for_ugly_lines_finds(line):
    assert UGLY.search(line)


@each_family
def test_equations_and_steps_are_typeset_cleanly(family):
    for problem in some(family):
        for line in (problem.equation, *solution_steps(problem.equation)):
            assert not UGLY.search(line), (problem.equation, line)


def test_steps_of_a_system_read_as_in_a_book():
    assert solution_steps("-x - 2y = 24, -x - y = 15") == [
        "x = -2y - 24",
        "-(-2y - 24) - y = 15",
        "y + 9 = 0",
        "y = -9",
        "x = -6",
    ]


def test_steps_of_several_terms_read_as_in_a_book():
    assert solution_steps("3x - 7 + 2x = 7x - 5") == [
        "5x - 7 = 7x - 5",
        "5x - 7x = -5 + 7",
        "-2x = 2",
        "x = 2 / -2",
        "x = -1",
    ]


@pytest.mark.parametrize(
    ("equation", "steps"),
    [
        ("x = 5", ["x = 5"]),
        ("x+x=4", ["2x = 4", "x = 4 / 2", "x = 2"]),
        ("0 = 2x - 4", ["2x = 0 + 4", "2x = 4", "x = 4 / 2", "x = 2"]),
        ("x = 2x - 3", ["x - 2x = -3", "-x = -3", "x = -3 / -1", "x = 3"]),
        ("x = 2, x + y = 3", ["x = 2", "(2) + y = 3", "y - 1 = 0", "y = 1", "x = 2"]),
    ],
)
def test_steps_of_own_equations(equation, steps):
    assert solution_steps(equation) == steps


@pytest.mark.parametrize(
    "equation",
    ["3 = 3", "x = x", "x = x + 1", "x + y = 2", "2x = 4, x = 2", "x + y = 3, 2x + 2y = 6",
     "x + y + z = 3, x = 1, y = 2", "x = 1, y = 2, x + y = 3", "nonsense", ""],
)  # fmt: skip
def test_there_are_no_steps_to_what_is_not_one_equation_or_a_2x2_system(equation):
    with pytest.raises(ValueError):
        solution_steps(equation)
