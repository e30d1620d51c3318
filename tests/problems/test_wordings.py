"""Other people's wording: the task stays the same, and a story gives its equation."""

from __future__ import annotations

import hashlib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distillkit.problems import wordings as kit
from distillkit.problems.algebra import parse_equation, parse_number
from distillkit.problems.answers import parse_answer
from distillkit.problems.equations import FAMILIES, canonical, make_problems, overlap

ONE_UNKNOWN = sorted(set(FAMILIES) - {"systems", "pairs"})


@given(st.sampled_from(ONE_UNKNOWN), st.integers(0, 10**6))
def test_only_the_words_change(family, seed):
    (problem,) = make_problems(1, (family,), seed=seed)
    (other,) = kit.reworded([problem], seed)
    assert (other.family, other.split, other.id) == (problem.family, problem.split, problem.id)
    assert canonical(other.equation) == canonical(problem.equation)
    assert parse_answer(other.answer).values == parse_answer(problem.answer).values
    shown = next(
        shown for phrase in kit.PHRASES
        if (shown := between(phrase, other.text, other.answer[0])) is not None
    )  # fmt: skip
    assert parse_equation(shown) == parse_equation(other.equation)


def between(phrase, text, name):
    """Return what stands in the place of {e}, None if the text is of another phrase."""
    before, after = (re.escape(part.replace("{x}", name)) for part in phrase.split("{e}"))
    found = re.fullmatch(f"{before}([^?:]*=[^?:]*?){after}", text)
    try:
        return found and parse_equation(found[1]) and found[1]
    except ValueError:
        return None


def test_every_phrase_letter_sign_and_order_turns_up():
    problems = make_problems(400, ("brackets", "both-sides"))
    texts = kit.reworded(problems)
    openings = {re.split(r"\{", phrase)[0] for phrase in kit.PHRASES} - {""}
    assert all(any(p.text.startswith(opening) for p in texts) for opening in openings)
    assert {p.answer[0] for p in texts} == set(kit.LETTERS)
    assert all(any(sign in p.text for p in texts) for sign in ("*", "·", " * "))
    assert sum("*" not in p.text and "·" not in p.text for p in texts) > 100
    swapped = sum(parse_equation(p.equation)[0] != parse_equation(q.equation)[0]
                  for p, q in zip(problems, texts) if p.answer[0] == q.answer[0])  # fmt: skip
    assert swapped


def test_the_seed_decides_the_words():
    problems = make_problems(20)
    assert kit.reworded(problems, 1) == kit.reworded(problems, 1) != kit.reworded(problems, 2)


def test_a_system_is_asked_in_other_words_and_letters_too():
    problems = make_problems(200, ("systems", "pairs"))
    others = kit.reworded(problems)
    for problem, other in zip(problems, others):
        assert (other.id, other.family, other.split) == (problem.id, problem.family, problem.split)
        assert canonical(other.equation) == canonical(problem.equation)
        assert parse_answer(other.answer).values == parse_answer(problem.answer).values
        names = re.findall("[a-z](?= = )", other.answer)
        assert f"{names[0]} and {names[1]}" in other.text
        assert all(equation in other.text for equation in other.equation.split(", "))
    assert len({other.text[:5] for other in others}) > 5
    assert (
        60 < sum(other.answer == problem.answer for problem, other in zip(problems, others)) < 140
    )
    assert 60 < sum(other.equation in other.text for other in others) < 140


@pytest.mark.parametrize(
    ("split", "number"),
    [("test", number) for number in range(len(kit.STORIES))]
    + [("train", number) for number in range(len(kit.TAUGHT_STORIES))],
)
def test_a_story_says_what_its_equation_says(split, number):
    told = kit.TAUGHT_STORIES if split == "train" else kit.STORIES
    _, equation, low, high = told[number]
    mine = kit.stories(len(told) * 5, split, seed=3)[number :: len(told)]
    for problem in mine:
        name, value = problem.answer.split(" = ")
        assert low <= parse_number(value) <= high and parse_number(value).denominator == 1
        assert f" {name}" in problem.text and problem.text.endswith(f"What is {name}?")
        told, used = (set(re.findall(r"\d+", t)) for t in (problem.text, problem.equation))
        assert told <= used and used - told <= set(re.findall(r"\d+", equation))
    assert len({p.answer for p in mine}) > 1


def test_training_tells_other_stories_than_tests():
    words = [
        {
            " ".join(part)
            for p in kit.stories(96, split)
            for part in zip(*[iter(p.text.split())] * 4)
        }
        for split in ("train", "test")
    ]
    assert not words[0] & words[1]  # no four words in a row are the same
    assert kit.reworded(kit.stories(20, "train")) == kit.stories(20, "train")


def test_stories_are_different_and_keep_away_from_known_equations():
    known = make_problems(200, ("one-step", "two-step", "brackets"))
    found = kit.stories(60, seed=1, avoid=known)
    assert len({p.id for p in found}) == 60 and not overlap(found, known)
    assert found == kit.stories(60, seed=1, avoid=known)
    assert {p.family for p in found} == {"stories"}


@pytest.mark.parametrize(("split", "kept"), [("test", True), ("ood", True), ("train", False)])
def test_the_equation_of_a_story_is_of_the_split_that_it_is_told_for(split, kept):
    """Of 68 stories 48 had an equation that a training set may hold."""
    for problem in kit.stories(68, split):
        digest = hashlib.sha256(canonical(problem.equation).encode()).digest()
        assert (digest[0] < 64) == kept, problem.equation


def test_more_stories_than_there_are_is_said(monkeypatch):
    only = ("{a} bags of n nuts are {c} nuts. How many are in a bag?", "{a}n = {c}", 2, 3)
    monkeypatch.setattr(kit, "STORIES", [only])  # 16 equations in both halves
    with pytest.raises(ValueError, match="there are not 17 different stories"):
        kit.stories(17)
    assert len({problem.equation for problem in kit.stories(3)}) == 3


def test_stories_are_one_family_among_others():
    turns = ("two-step", "stories", "systems", "stories")
    known = kit.worded_problems(6, turns, "train", 2)
    found = kit.worded_problems(30, turns, "train", 2, avoid=known)
    assert [p.family for p in found] == [turns[i % 4] for i in range(30)]
    assert not overlap(found, known) and len({canonical(p.equation) for p in found}) == 30
    assert [p for p in found if p.family == "stories"] == kit.stories(15, "train", 2, known)
    assert any(not p.text.startswith("Solve for") for p in found if p.family == "two-step")
    assert kit.worded_problems(3, ("stories",), "test", 1) == kit.stories(3, "test", 1)
