"""The two tasks as examples: what is trained on in which mode, and how much it weighs."""

from __future__ import annotations

import pytest
import torch

from distillkit.problems.equations import NARROW, make_problems
from distillkit.problems.judging import to_solve
from distillkit.training.losses import IGNORE
from distillkit.training.objectives import next_token, read
from distillkit.training.packing import pack
from distillkit.training.step_by_step import (
    LABEL,
    RATIONALE,
    label_first,
    label_only,
    label_text,
    rationale_text,
    steps_first,
    two_tasks,
)

QUESTION = to_solve(make_problems(3, NARROW, "train", 5)[2])


def learned(tokenizer, example):
    return tokenizer.decode([y for y in example.labels if y != IGNORE], skip_special_tokens=True)


def prompt(tokenizer, example):
    return tokenizer.decode([i for i, y in zip(example.ids, example.labels, strict=True)
                             if y == IGNORE])  # fmt: skip


def test_each_mode_learns_its_own_text_and_no_word_of_the_prompt(tiny):
    label, rationale = two_tasks(tiny.tokenizer, QUESTION)
    assert learned(tiny.tokenizer, label) == label_text(QUESTION)
    assert learned(tiny.tokenizer, rationale) == rationale_text(QUESTION)
    for example, mode in ((label, LABEL), (rationale, RATIONALE)):
        assert f"{QUESTION.text}\n{mode}" in prompt(tiny.tokenizer, example)
        assert QUESTION.rationale not in prompt(tiny.tokenizer, example)
        assert example.labels[-1] == tiny.tokenizer.eos_token_id
    (only,) = label_only(tiny.tokenizer, QUESTION)
    assert (only.ids, only.labels) == (label.ids, label.labels)


@pytest.mark.parametrize("alpha", [0.0, 0.2, 0.5, 1.0])  # at 1 the rationale had weighed most
def test_alpha_is_the_labels_share_however_short_it_is(tiny, alpha):
    label, rationale = two_tasks(tiny.tokenizer, QUESTION, alpha)
    assert sum(label.weights) == pytest.approx(alpha)
    assert sum(rationale.weights) == pytest.approx(1 - alpha)
    n = len(tiny.tokenizer(label_text(QUESTION) + "\n", add_special_tokens=False)["input_ids"])
    (one,) = label_first(tiny.tokenizer, QUESTION, alpha)
    weights = [w for w, y in zip(one.weights, one.labels, strict=True) if y != IGNORE]
    assert sum(weights[:n]) == pytest.approx(alpha) and sum(weights) == pytest.approx(1)


def test_one_text_without_alpha_weighs_every_token_alike(tiny):
    for write, first, last in (
        (steps_first, rationale_text, label_text),
        (label_first, label_text, rationale_text),
    ):
        (one,) = write(tiny.tokenizer, QUESTION)
        assert learned(tiny.tokenizer, one) == first(QUESTION) + "\n" + last(QUESTION)
        assert {w for w, y in zip(one.weights, one.labels, strict=True) if y != IGNORE} == {1.0}


def test_the_loss_of_both_is_alpha_times_one_mean_and_the_rest_times_the_other(tiny):
    label, rationale = two_tasks(tiny.tokenizer, QUESTION, 0.3)
    with torch.no_grad():
        both = pack([label, rationale])
        found = next_token(read(tiny.model, both), both).item()
        means = []
        for example in (label, rationale):
            logits = tiny.model(torch.tensor([example.ids])).logits[0]
            target = torch.tensor(example.labels)
            means.append(torch.nn.functional.cross_entropy(logits[:-1], target[1:]).item())
    assert found == pytest.approx(0.3 * means[0] + 0.7 * means[1], rel=1e-4)


def test_shuffled_steps_are_the_same_tokens_in_another_order(tiny):
    label, rationale = two_tasks(tiny.tokenizer, QUESTION)
    same_label, shuffled = two_tasks(tiny.tokenizer, QUESTION, shuffled=True)
    assert same_label == label and shuffled.weights == rationale.weights
    assert shuffled.ids != rationale.ids and sorted(shuffled.ids) == sorted(rationale.ids)
    assert sum(y == IGNORE for y in shuffled.labels) == sum(y == IGNORE for y in rationale.labels)
    assert shuffled.ids[-1] == tiny.tokenizer.eos_token_id
    assert shuffled == two_tasks(tiny.tokenizer, QUESTION, shuffled=True)[1]


def test_the_second_task_costs_its_own_text_and_not_the_question_again(tiny):
    label, rationale = two_tasks(tiny.tokenizer, QUESTION)
    tree = len(pack([label, rationale])["input_ids"][0])
    shared = sum(a == b for a, b in zip(label.ids, rationale.ids, strict=False))
    assert shared > 0.8 * sum(y == IGNORE for y in label.labels)
    assert tree < len(label.ids) + len(rationale.ids) - 0.8 * shared
