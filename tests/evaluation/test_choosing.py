"""Choosing: votes by value, and what a solution says against itself without a key."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distillkit.evaluation.choosing import contradiction, majority, sound_part
from distillkit.problems.answers import same_value
from distillkit.problems.equations import FAMILIES, make_problem
from distillkit.problems.trace_forms import FORMS
from distillkit.runtime.files import read_jsonl
from distillkit.runtime.session import data_path
from distillkit.traces.templates import TEMPLATES, THINK


def written(*lines: str, answer: str = "") -> str:
    return THINK.render("\n".join(lines), answer or lines[-1])


@pytest.mark.parametrize(
    ("answers", "chosen"),
    [
        (["x = 4", "3", "4.0", None], "x = 4"),
        (["1", "2", "x = 2", "1.0"], "1"),  # as many: the first
        ([None, "7", None, None], "7"),
        ([None, None], None),
        ([], None),
        (["x = 1, y = 2", "3", "x = 1; y = 2"], "x = 1, y = 2"),
        (["", "5"], "5"),  # what cannot be read equals nothing, not even itself
    ],
)
def test_values_are_counted_not_texts(answers, chosen):
    assert majority(answers) == chosen


@given(st.lists(st.sampled_from(["1", "x = 1", "2", "2.0", "3", None])))
def test_no_other_answer_has_more_votes(answers):
    best = majority(answers)
    votes = [sum(same_value(a, b) for b in answers) for a in answers if a is not None]
    assert (best is None) == (not votes)
    assert best is None or sum(same_value(best, b) for b in answers) == max(votes)


@given(st.sampled_from(sorted(set(FAMILIES) - {"rational"})), st.integers(0, 10**6))
def test_the_solver_never_contradicts_itself(family, seed):
    problem = make_problem(FAMILIES[family](random.Random(seed)))
    lines = FORMS["collect"](problem.equation)
    assert contradiction(written(*lines, answer=problem.answer)) == ""


@given(st.sampled_from(["two-step", "both-sides", "broad", "scaled", "systems"]),
       st.integers(0, 10**6), st.integers(1, 9))  # fmt: skip
def test_a_changed_digit_is_found(family, seed, change):
    """The last digit of a line behind the first equations makes the line false, whatever it is."""
    rng = random.Random(seed)
    problem = make_problem(FAMILIES[family](rng))
    lines = FORMS["collect"](problem.equation)
    at = rng.choice([i for i in range(2, len(lines)) if lines[i][-1].isdigit()])
    lines[at] = lines[at][:-1] + str((int(lines[at][-1]) + change) % 10)
    assert contradiction(written(*lines, answer=problem.answer))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (written("3x = 12", "x = 12 / 3", "x = 5"), "x = 5"),
        (written("3x = 12", "3 * 5 = 12", "x = 4"), "3 * 5 = 12"),
        (written("3x = 12", "x = 4", answer="x = 5"), "the answer x = 5 does not solve 3x = 12"),
        (written("x + y = 3, x - y = 1", "x = 2", "y = 2", answer="x = 2, y = 2"), "y = 2"),
        (written("x + y = 3", "2x + 2y = 6", answer="x = 2, y = 1"), "x + y = 3, 2x + 2y = 6"),
        (written("I see it at once.", answer="x = 4"), "no equation is displayed"),
        (written("4 + 3 = 7", answer="x = 7"), "no equation is displayed"),
        ("<think>\n3x = 12\nx = 4", ""),  # cut off: the template's own words
        ("", ""),
    ],
)
def test_what_is_wrong_is_said(text, words):
    found = contradiction(text)
    assert found and (words in found)


PIECES = (
    "3x",
    "x",
    "y",
    "=",
    " = ",
    "12",
    "/",
    "(",
    ")",
    "+",
    "-",
    ",",
    "and",
    "\n",
    "½",
    "0",
    "<think>",
    "</think>",
    "<answer>",
    "</answer>",
    "9" * 60,
    "\x1b[2J",
    "no solution",
)


@given(st.lists(st.sampled_from(PIECES)), st.lists(st.sampled_from(PIECES)))
def test_whatever_a_model_writes_is_judged_and_never_an_error(lines, answer):
    text = "".join(lines)
    assert isinstance(contradiction(text), str)
    assert isinstance(contradiction(written(text, answer="".join(answer) or "x")), str)


@pytest.mark.parametrize(
    ("lines", "wrong"),
    [
        (("We have 3x + 5 = 20", "so 3x = 99", "x = 7"), "so 3x = 99"),
        (("- 3x = 15", "x = 5"), ""),
        (("- 3x = 15", "- x = 5"), ""),
        (("- x = 5", "x = -5"), ""),  # a minus
        (("1. 3x = 15", "2. x = 5"), ""),
        (("1. 3x = 15", "2. x = 6"), "2. x = 6"),
        (("3x = 15, so x = 4",), "3x = 15, so x = 4"),
        (("1) x + y = 3", "2) x - y = 1", "x = 2, y = 1"), ""),
    ],
)
def test_the_first_equation_is_read_as_the_rule_for_steps_reads_it(lines, wrong):
    answer = lines[-1].split(". ")[-1].removeprefix("- ") if not wrong else "x = 5"
    assert contradiction(written(*lines, answer=answer)) == wrong


def test_nothing_is_known_of_the_question():
    """A solution of another equation than the one that was asked contradicts itself nowhere."""
    assert contradiction(written("5x = 10", "x = 10 / 5", "x = 2")) == ""


def test_no_wrong_answer_to_an_equation_holds_together():
    """Of the student's 352 measured wrong answers none does, but in stories, read wrongly."""
    rows = read_jsonl(data_path("generalisation_answers.jsonl"))
    rows = [row for at, row in enumerate(rows) if not row["exact"] or at % 4 == 0]
    holds = {(row["split"] == "stories", row["exact"]): [] for row in rows}
    for row in rows:
        holds[row["split"] == "stories", row["exact"]].append(not contradiction(row["text"]))
    assert sum(holds[False, False]) == 0 and len(holds[False, False]) > 300
    assert sum(holds[False, True]) > 0.95 * len(holds[False, True])
    assert sum(holds[True, False]) > 0.5 * len(holds[True, False])  # their first line is wrong


# --- where a text holds ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        (written("3x = 12", "x = 12 / 3", "x = 4"), None),
        (written("3x = 12", "x = 12 / 3", "x = 5"), "<think>\n3x = 12\nx = 12 / 3\n"),
        ("<think>\n3x = 12\nx = 12 / 4\n", "<think>\n3x = 12\n"),  # not finished
        ("<think>\n3x = 12\nx = 12 / 3\n", None),
        ("3x = 12\nx = 5\n", "3x = 12\n"),  # the prompt has opened the thinking
        (written("3x = 12", "x = 4", answer="x = 5"), "<think>\n3x = 12\nx = 4\n"),
        (written("x = 27 + 36", "27 + 36 = 57 + 6 = 64"), "<think>\nx = 27 + 36\n27 + 36 = 57 + 6"),
        (written("x = 27 + 36", "27 + 36 = 58 + 5 = 62 + 2 = 64"),
         "<think>\nx = 27 + 36\n27 + 36 = 58 + 5"),
        (written("x = 27 + 36", "27 + 36 = 5 + 6 = 63"), "<think>\nx = 27 + 36\n"),
        (written("x + y = 3", "x - y = 1", "2x = 5"), "<think>\nx + y = 3\nx - y = 1\n"),
        ("We have 3x + 5 = 20\nso 3x = 99\n", "We have 3x + 5 = 20\n"),
        ("<think>\n3x = 12\n\nx = 4\n", None),  # an empty line says nothing wrong
        ("A magnet attracts iron.", None),
        ("", None),
    ],
)  # fmt: skip
def test_what_holds_is_kept(text, kept):
    assert sound_part(text) == (text if kept is None else kept)


def test_a_text_whose_steps_are_no_lines_is_left_whole():
    text = TEMPLATES["json"].render("3x = 12\nx = 5", "x = 4")
    assert contradiction(text, TEMPLATES["json"]) == "x = 5"
    assert sound_part(text, TEMPLATES["json"]) == text


@given(st.sampled_from(["two-step", "both-sides", "broad", "scaled", "systems"]),
       st.integers(0, 10**6), st.integers(1, 9))  # fmt: skip
def test_it_is_cut_in_the_line_with_the_changed_digit(family, seed, change):
    rng = random.Random(seed)
    problem = make_problem(FAMILIES[family](rng))
    lines = FORMS["collect"](problem.equation)
    at = rng.choice([i for i in range(2, len(lines)) if lines[i][-1].isdigit()])
    before, changed = written(*lines[:at], "", answer="x").split("\n</think>")[0], [*lines]
    changed[at] = lines[at][:-1] + str((int(lines[at][-1]) + change) % 10)
    for text in (written(*changed, answer=problem.answer), before + changed[at] + "\n"):
        kept = sound_part(text)
        assert kept.startswith(before) and "\n" not in kept[len(before) :]
        assert lines[at].startswith(kept[len(before) :]) and kept != before + lines[at]


def test_recorded_answers_are_cut_at_the_same_place_while_they_are_written():
    """After each line the beginning holds or not, as it does in the finished text."""
    for row in read_jsonl(data_path("generalisation_answers.jsonl"))[::16]:
        text, lines = row["text"], row["text"].splitlines(keepends=True)
        kept = sound_part(text)
        begun = ["".join(lines[:n]) for n in range(1, len(lines))]
        assert next((held for part in begun if (held := sound_part(part)) != part), kept) == kept
        assert text.startswith(kept) and (kept != text or row["finish"] == "length"
                                          or not contradiction(text))  # fmt: skip
