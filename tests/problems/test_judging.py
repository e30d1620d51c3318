"""Worked solutions with a mistake in them: wrong for the reason said, and for no other."""

from __future__ import annotations

import random
from collections import Counter
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distillkit.problems.algebra import parse_equation, parse_number, solve
from distillkit.problems.equations import NARROW, make_problems
from distillkit.problems.judging import (
    RIGHT,
    WRONG,
    put_in,
    to_check_signs,
    to_judge,
    to_solve,
    with_a_mistake,
)
from distillkit.problems.solver import solution_steps
from distillkit.traces.filters import first_wrong_step

PROBLEMS = make_problems(80, NARROW, "train", 5)


def result(text: str) -> Fraction:
    return parse_number(text.split("\n")[-1].split("=")[1])


@pytest.mark.parametrize("question", to_judge(PROBLEMS, 0), ids=lambda q: q.id)
def test_the_label_says_what_the_equation_says(question):
    _, equation, *steps = question.text.split("\n")
    ((_, root),) = solve([parse_equation(equation)]).items()
    assert (result(question.text) == root) == (question.label == RIGHT)
    assert bool(first_wrong_step(equation, "\n".join(steps))) == (question.label == WRONG)
    assert (" equals " in question.rationale) == (question.label == RIGHT)


def test_half_of_each_family_is_right_and_neither_half_is_longer():
    questions = dict(zip([p.id for p in PROBLEMS], to_judge(PROBLEMS, 0), strict=True))
    found = Counter((p.family, questions[p.id].label) for p in PROBLEMS)
    assert set(found.values()) == {len(PROBLEMS) // len(NARROW) // 2}
    lines = {label: [len(q.text.split("\n")) for q in questions.values() if q.label == label]
             for label in (RIGHT, WRONG)}  # fmt: skip
    assert abs(sum(lines[RIGHT]) - sum(lines[WRONG])) < 0.1 * sum(lines[RIGHT])


def test_the_same_seed_spoils_alike_and_another_one_does_not():
    assert to_judge(PROBLEMS, 0) == to_judge(PROBLEMS, 0) != to_judge(PROBLEMS, 1)


@given(st.sampled_from(PROBLEMS), st.randoms(use_true_random=False))
def test_a_mistake_is_made_once_and_carried_on_rightly(problem, rng):
    right = solution_steps(problem.equation)
    spoilt = with_a_mistake(problem.equation, right, rng)
    lines = [problem.equation, *spoilt]
    at = next(i for i, (a, b) in enumerate(zip(spoilt, right)) if a != b)
    assert result("\n".join(spoilt)).denominator == 1
    assert lines[: at + 1] == [problem.equation, *right[:at]]
    rest = lines[at + 2 :]
    assert not rest or not first_wrong_step(lines[at + 1], "\n".join(rest))


def test_an_equation_without_room_for_a_mistake_has_none():
    assert with_a_mistake("x = 1", [], random.Random(0)) is None


@pytest.mark.parametrize(
    "equation, said, rationale",
    [
        ("3x - 7 = 8x + 13", "x = -4", "3 * (-4) - 7 = -19\n8 * (-4) + 13 = -19\n-19 equals -19"),
        ("4(x - 6) = -8", "x = 5", "4(5 - 6) = -4\n-4 is not -8"),
        ("x/5 = -4", "x = -20", "(-20)/5 = -4\n-4 equals -4"),
    ],
)
def test_the_result_is_put_into_both_sides(equation, said, rationale):
    assert put_in(equation, said) == rationale


def test_an_equation_as_a_question_has_its_solution_for_a_rationale():
    question = to_solve(PROBLEMS[0])
    assert question.rationale.split("\n") == solution_steps(PROBLEMS[0].equation)
    assert question.label == PROBLEMS[0].answer


def test_a_moved_number_with_the_wrong_sign_changes_the_root():
    questions = to_check_signs(PROBLEMS, 0)
    found = Counter()
    for question in questions:
        _, before, after = question.text.split("\n")
        ((_, root),) = solve([parse_equation(before)]).items()
        ((_, moved),) = solve([parse_equation(after)]).items()
        assert (root == moved) == (question.label == RIGHT)
        sign = before.split("x ")[1][0]
        assert question.rationale.startswith(f"{sign} ")
        assert (after.split()[3] != sign) == (question.label == RIGHT)
        found[sign, question.label] += 1
    assert len(found) == 4 and max(found.values()) - min(found.values()) <= 6  # no sign tells
    assert not any(problem.family == "both-sides" and problem.id in question.id
                   for problem in PROBLEMS for question in questions)  # fmt: skip
