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


ACCEPTED_ONCE = {  # wrong attempts that a check let through before it had an input against them
    "precision_recall": """
def precision_recall(rejected, faulty):
    hit = alarm = miss = 0
    for r, f in zip(rejected, faulty):
        hit, alarm, miss = hit + (r and f), alarm + (r and not f), miss + (f and not r)
    return hit / (hit + alarm) if hit + alarm else 1.0, hit / (hit + miss) if hit + f else 1.0
""",
    "majority": """
def majority(answers, same):
    groups = []
    for a in [a for a in answers if a is not None]:
        for group in groups:
            if same(group[0], a):
                group.extend(a)
                break
        else:
            groups.append([a])
    return max(groups, key=len)[0] if groups else None
""",
    "flips": """
def flips(before, after):
    pairs = list(zip(before, after))
    return sum(b < a for b, a in pairs), sum(b > a for b, a in pairs[:-1])
""",
    "interval": """
def interval(before, after, drawn):
    gains = [sum(int(after[i]) - int(before[i]) for i in draw) / len(after) for draw in drawn]
    return float(np.percentile(gains, 2.5)), float(np.percentile(gains, 97.5))
""",
    "mended_fields": """
def mended_fields(words, end):
    number = [w == end for w in list(words)[:-1]].index(True)
    return {"tokenizer.ggml.tokens": list(words), "tokenizer.ggml.eos_token_id": number}
""",
}


@pytest.mark.parametrize("name", ACCEPTED_ONCE)
def test_what_was_accepted_once_is_refused(name):
    wrong = compiled(ACCEPTED_ONCE[name].strip(), name, judged.NAMES)
    assert KNOWN[name].judge(wrong).kind == "wrong"


def test_the_held_out_attempts_are_the_same_each_time_and_none_is_in_view():
    known = {"flips": KNOWN["flips"]}
    first, again = ([(a.kind, a.text) for a in judged.set_aside(known)] for _ in range(2))
    assert first == again and len(first) > 10
    assert not {text for _, text in first} & {a.text for a in judged.corpus(known)}
