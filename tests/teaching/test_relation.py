"""How wrong numbers follow from the right ones."""

import pytest
import torch

from distillkit.teaching.exercise import Exercise
from distillkit.teaching.relation import relation

WANT = [torch.tensor([1.0, -2.0, 4.0]), torch.tensor([0.5, 3.0])]


def say(change, names=("n",), inputs=((2.0,), (3.0,))):
    gots = [change(want, *given) for want, given in zip(WANT, inputs, strict=True)]
    return relation(names, inputs, WANT, gots)


@pytest.mark.parametrize(
    "change, words",
    [
        (lambda w, n: -w, "right but for the sign"),
        (lambda w, n: 3 * w, "3 times what it should be"),
        (lambda w, n: w / n**2, "the right one divided by the square of n"),
        (lambda w, n: w - 0.5, "-0.5 off"),
        (lambda w, n: w.flip(0), "in another order"),
        (lambda w, n: 0 * w, "0"),
    ],
)
def test_the_way_is_said(change, words):
    assert words in say(change)


def test_nothing_is_said_where_inputs_differ_in_it():
    assert not say(lambda w, n: w + n)
    assert not say(lambda w, n: w.exp())
    assert not say(lambda w, n: w * torch.inf)
    assert not say(lambda w, n: w[:1])


def test_texts_have_no_relation():
    assert relation(("a",), [(1,)], ["ab"], ["ba"]) == ""


def test_a_check_says_it_behind_what_was_expected_and_an_own_message_goes_first():
    doubled = Exercise("doubled_here", lambda n: 2.0 * n, [(1.0,), (3.0,)], [])
    said = doubled.judge(lambda n: 10.0 * n).message
    assert "expected 2, got 10" in said and "5 times what it should be" in said


def test_the_size_of_an_argument_explains_a_sum_in_place_of_a_mean():
    rows = [(torch.ones(3, 2),), (torch.ones(5, 2),)]
    assert "times the size of x along axis 0" in relation(("x",), rows, [1.0, 2.0], [3.0, 10.0])
