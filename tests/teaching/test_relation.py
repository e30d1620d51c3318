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
        (lambda w, n: w.flip(0), "from the last element to the first"),
        (lambda w, n: w.roll(1), "one place too far to the right"),
        (lambda w, n: 0 * w, "every number that comes out is 0"),
        (lambda w, n: 1e-8 * w, "every number that comes out is 0"),
        (lambda w, n: 1 - w, "1 minus what it should be"),
        (lambda w, n: w[1:], "the first element is missing"),
        (lambda w, n: w[:-1], "the last element is missing"),
        (lambda w, n: w[-1:], "the last element alone"),
        (lambda w, n: w.floor(), "rounded down"),
        (lambda w, n: 1 / w, "1 divided by what it should be"),
        (lambda w, n: WANT[0], "[1, -2, 4] comes out whatever is given"),
    ],
)
def test_the_way_is_said(change, words):
    assert words in say(change)


def test_nothing_is_said_where_inputs_differ_in_it():
    assert not say(lambda w, n: w + n)
    assert not say(lambda w, n: w * torch.inf)
    assert not say(lambda w, n: w[int(n) - 1 :])
    assert not say(lambda w, n: w[None])  # the shape is wrong, and no number


def test_texts_have_no_relation_unless_all_are_the_same():
    assert relation(("a",), [(1,), (2,)], ["ab", "cd"], ["a", "c"]) == ""
    said = relation(("a",), [(1,), (2,)], ["ab", "cd"], ["ab", "ab"])
    assert said == "'ab' comes out whatever is given: are the arguments used?"


def test_the_parts_of_a_pair_are_looked_at_one_by_one():
    wants = [(0.5, [1, 2, 3]), (0.25, [4, 5])]
    said = relation(("n",), [(1,), (2,)], wants, [(a, b[:-1]) for a, b in wants])
    assert said == "in part [1] the last element is missing"
    said = relation(("n",), [(1,), (2,)], wants, [(2 * a, b[1:]) for a, b in wants])
    assert "part [0] each number is 2 times" in said and "part [1] the first element" in said
    assert relation(("n",), [(1,), (2,)], wants, [(a * a + 3, b[1:]) for a, b in wants]) == ""


def test_right_numbers_in_another_order():
    wants = [torch.tensor([1.0, 2.0, 4.0]), torch.tensor([0.5, 3.0, 1.0])]
    gots = [want[torch.tensor([0, 2, 1])] for want in wants]
    assert "another order" in relation(("n",), [(1,), (2,)], wants, gots)
    assert not relation(("n",), [(1,), (2,)], wants, [want * want for want in wants])


def test_a_check_says_it_behind_what_was_expected_and_an_own_message_goes_first():
    doubled = Exercise("doubled_here", lambda n: 2.0 * n, [(1.0,), (3.0,)], [])
    said = doubled.judge(lambda n: 10.0 * n).message
    assert "expected 2, got 10" in said and "5 times what it should be" in said


def test_the_size_of_an_argument_explains_a_sum_in_place_of_a_mean():
    rows = [(torch.ones(3, 2),), (torch.ones(5, 2),)]
    assert "times the size of x along axis 0" in relation(("x",), rows, [1.0, 2.0], [3.0, 10.0])
