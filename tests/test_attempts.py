"""A sample of the corpus of attempts: wrong ones are refused, right ones are accepted."""

import ast

import pytest

from benchmarks.attempts import judged, right
from benchmarks.attempts.mutations import compiled, mutants

KNOWN = judged.exercises()
QUICK = ["softened", "balanced_loss", "with_labels", "keep", "flips", "two_texts", "causal_mask"]


def test_the_right_attempts_are_for_exercises_there_are():
    names = {how.partition("__")[0] for how, value in vars(right).items()
             if callable(value) and "__" in how.strip("_")}  # fmt: skip
    assert names == set(KNOWN)


def test_a_mutant_differs_from_its_source_and_from_the_others():
    source = "def f(a, b):\n    return a - 2 * b if a < b else max(a, b)"
    texts = [text for _, text in mutants(source)]
    assert len(texts) == len(set(texts)) > 10
    assert ast.unparse(ast.parse(source)) not in texts
    kinds = dict((text.splitlines()[-1].strip(), kind) for kind, text in mutants(source))
    assert kinds["return a + 2 * b if a < b else max(a, b)"] == "plus and minus"
    assert kinds["return a - 2 * b if a <= b else max(a, b)"] == "comparison"


def test_a_change_that_changes_nothing_is_told_from_a_wrong_one():
    exercise = KNOWN["flips"]
    same = "def flips(before, after):\n    n = list(zip(after, before))\n    return sum(b < a for a, b in n), sum(a < b for a, b in n)"  # noqa: E501
    wrong = same.replace("b < a", "b <= a")
    assert judged.equivalent(exercise, compiled(same, "flips", judged.NAMES))
    assert not judged.equivalent(exercise, compiled(wrong, "flips", judged.NAMES))


@pytest.mark.parametrize("name", QUICK)
def test_a_sample_of_attempts(name):
    missed = []
    for attempt in judged.corpus({name: KNOWN[name]}):
        found = judged.judged(KNOWN[name], attempt)
        if found is not None and found.accepted != attempt.right:
            missed.append((attempt.kind, attempt.text, found.message))
    assert not missed
