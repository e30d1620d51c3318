"""Slips: each kind of wrong answer is called by its name, and right ones are not slips."""

from __future__ import annotations

import random
import re

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from distillkit.evaluation import slips as kit
from distillkit.evaluation.scoring import score
from distillkit.problems.equations import FAMILIES, make_problem
from distillkit.problems.trace_forms import FORMS
from distillkit.traces.templates import THINK


def row(equation, lines, answer=None, finish="eos"):
    problem = make_problem(equation)
    text = THINK.render("\n".join(lines), answer or lines[-1])
    return {"problem": problem.record(), "template": "think", "text": text,
            "finish": finish, **score(text, finish, problem.answer)}  # fmt: skip


@pytest.mark.parametrize(
    ("equation", "lines", "kind", "digits"),
    [
        ("3x - 7 = 8x + 13", ["3x - 8x = 13 + 7", "3 - 8 = -6", "-6x = 20", "x = -4"],
         "difference", 1),
        ("3x - 7 = 8x + 13", ["3x - 8x = 13 + 7", "13 + 7 = 120", "x = 5"], "sum", 3),
        ("3x - 7 = 8x + 13", ["(-5) * (-3) = 20", "x = -3"], "product", 2),
        ("3x - 7 = 8x + 13", ["-5x = 20", "20 / -5 = 4", "x = 4"], "quotient", 2),
        ("3x - 7 = 8x + 13", ["3x - 8x = 13 + 7", "-5x = 21", "x = -4"], "like terms", 2),
        ("3x - 7 = 8x + 13", ["3x - 8x = 13 - 7", "x = -4"], "moved across", 2),
        ("3x - 7 = 8x + 13", ["3x - 7 = 8x + 31", "x = -4"], "copied wrongly", 2),
        ("3x - 7 = 8x + 13", ["-5x = 20", "x = 20 / 5", "x = 4"], "divided", 2),
        ("3x - 7 = 8x + 13", ["-5x = 20", "x = 20 / -5", "x = 4"], "quotient", 1),
        ("4(x - 6) = -8", ["4x - 6 = -8", "x = 4"], "bracket", 1),
        ("4(x - 6) = -8", ["4(x - 9) = -8", "x = 4"], "copied wrongly", 1),
        ("4x = 8", ["I divide.", "so"], "no step", 0),
        ("b + b + 7 = 31", ["Ben is b. Together they are: 2b + 7 = 13", "b = 3"], "other step", 2),
    ],
)  # fmt: skip
def test_each_slip_has_its_name(equation, lines, kind, digits):
    found = kit.slip(row(equation, lines, answer="x = 99"))
    assert (found.kind, found.digits) == (kind, digits)


def test_right_steps_with_another_answer():
    assert kit.slip(row("4x = 8", ["x = 8 / 4", "x = 2"], "x = 3")).kind == "answer"


def test_a_cut_answer_and_one_without_the_form_are_no_arithmetic():
    assert kit.slip(row("4x = 8", ["x = 3"], finish="length")).kind == "cut off"
    wrong = row("4x = 8", ["x = 3"])
    assert kit.slip({**wrong, "text": "x is 3"}).kind == "form"


def test_a_minus_is_noticed():
    assert kit.slip(row("4x = -8", ["4x = -8", "x = -8 / 4", "x = -3"])).minus
    assert not kit.slip(row("4x = 8", ["4x = 8", "x = 8 / 4", "x = 3"])).minus
    assert kit.slip(row("4x - 1 = 7", ["4x = 7 - 1", "x = 3 / 2"])).minus


ONE_UNKNOWN = sorted(set(FAMILIES) - {"systems", "pairs"})


@given(st.sampled_from(ONE_UNKNOWN), st.sampled_from(sorted(FORMS)), st.integers(0, 10**6))
def test_right_answers_have_no_slip_and_any_false_line_is_found(family, form, seed):
    rng = random.Random(seed)
    equation = FAMILIES[family](rng)
    lines = FORMS[form](equation)
    lines = [line.removeprefix("check: ") for line in lines if not line.startswith("check")]
    assert kit.slip(row(equation, lines)) is None
    at = rng.randrange(len(lines))
    assume(" = 0 / " not in lines[at])  # with another divisor it is true as well
    wrong = re.sub(r"\d+(?=\D*$)", lambda n: str(int(n[0]) + 1), lines[at])
    found = kit.slip(row(equation, [*lines[:at], wrong, *lines[at + 1 :]], "x = 1/77"))
    assert found.line == wrong and found.digits >= 1


def test_the_table_counts_slips():
    rows = [
        row("4x = -800", ["x = -800 / 4", "x = -20"]), row("4x = 8", ["x = 8 / 4", "x = 3"]),
        row("4x = 8", ["x = 8 / 4", "x = 2"]), row("4x = 8", ["x = 2"], finish="length"),
    ]  # fmt: skip
    assert kit.slips(rows) == [("quotient", 2, 0, 1), ("cut off", 1, 0, 0)]


def test_a_line_is_found_as_a_line_and_not_inside_another():
    lines = ["3x = 17 - 5", "3x = 12", "x = 12 / 3", "x = 1"]
    assert kit.slip(row("3x + 5 = 17", lines)).kind == "quotient"


def test_a_question_that_cannot_be_read_is_no_slip_of_the_student():
    wrong = row("4x = 8", ["x = 3"])
    problem = {**wrong["problem"], "equation": "What is the sum of four and x?"}
    assert kit.slip({**wrong, "problem": problem}).kind == "unread problem"
