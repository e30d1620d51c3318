"""States between the layers: the distance by a second route, and a student that gets near."""

from __future__ import annotations

import copy

import pytest

from distillkit.models.pruning import drop_layers, hidden_states
from distillkit.training.gradients import CompletionLoss
from distillkit.training.lora import lora, with_adapter
from distillkit.training.objectives import Beginning, Match
from distillkit.training.packing import encode, pack
from distillkit.training.states import MatchStates, handed_on
from tests.conftest import tiny_model
from tests.training.test_loop import TRACES, train


@pytest.fixture(scope="module")
def parent(tiny):
    return tiny_model("Qwen2", tiny.tokenizer, num_hidden_layers=4, initializer_range=0.15)


def test_a_kept_layer_hands_on_what_the_next_one_was_given():
    assert handed_on(6, []) == [0, 1, 2, 3, 4, 5]
    assert handed_on(6, [2, 3]) == [0, 3, 4, 5]
    assert handed_on(6, [0, 5]) == [1, 2, 3, 5]


def test_the_distance_is_that_of_both_models_read_alone(tiny, parent):
    student, behind = drop_layers(parent, [1]), handed_on(4, [1])
    (example,) = encode(TRACES[:1], tiny.tokenizer)
    plain = Match(parent)
    with MatchStates(plain, student, behind, weight=0.5) as objective:
        got = CompletionLoss(student, objective)(**pack([example]))
    kl = CompletionLoss(student, plain)(**pack([example]))
    ours, theirs = (hidden_states(m, example.ids)[1:] for m in (student, parent))
    places = [i - 1 for i, label in enumerate(example.labels) if label != -100]
    far = 0.0
    for i, j in enumerate([1, 2, 3]):
        gap = (ours[i] - theirs[j])[places].pow(2).sum(-1) / theirs[j][places].pow(2).sum(-1)
        far += gap.sum().item() / 3
    assert got.item() - kl.item() == pytest.approx(0.5 * far, rel=1e-3) and far > 0.1


def test_another_gap_is_used_and_named_in_the_runs_mark(tiny, parent):
    student = drop_layers(parent, [1])

    def nothing(ours_NE, theirs_NE):
        return 0 * ours_NE.sum(-1)

    batch = pack(encode(TRACES[:1], tiny.tokenizer))
    with MatchStates(Match(parent), student, handed_on(4, [1]), gap=nothing) as objective:
        got = CompletionLoss(student, objective)(**batch)
    assert got.item() == pytest.approx(CompletionLoss(student, Match(parent))(**batch).item())
    assert "nothing" in str(objective.depends_on)


def test_it_is_zero_for_the_parent_itself_and_nothing_is_left_behind(tiny, parent):
    same = copy.deepcopy(parent)
    with MatchStates(Match(parent), same, range(4)) as objective:
        loss = CompletionLoss(same, objective)(**pack(encode(TRACES[:2], tiny.tokenizer)))
    assert loss.item() == pytest.approx(0, abs=1e-5)
    assert not any(layer._forward_hooks for m in (parent, same) for layer in m.base_model.layers)


def test_a_parent_that_reads_another_beginning_is_compared_at_the_same_words(tiny, parent):
    examples = encode(TRACES[:2], tiny.tokenizer)
    ids = examples[0].ids[:5]
    same = copy.deepcopy(parent)
    with MatchStates(Match(parent, beginning=Beginning(ids, ids)), same, range(4)) as objective:
        assert CompletionLoss(same, objective)(**pack(examples)).item() == pytest.approx(
            0, abs=1e-4
        )
    longer = Match(parent, beginning=Beginning(ids, [*ids, 7, *ids]))
    with MatchStates(longer, same, range(4)) as objective:
        assert CompletionLoss(same, objective)(**pack(examples)).item() > 0.01


def test_a_student_with_an_adapter_gets_nearer(tiny, parent):
    student = with_adapter(drop_layers(parent, [1]), lora(4))
    with MatchStates(Match(parent), student, handed_on(4, [1]), 5.0) as objective:
        run = train(student, tiny.tokenizer, TRACES[:2], objective=objective, rate=2e-2, epochs=12)
    assert run.log[-1]["loss"] < 0.7 * run.log[0]["loss"]
    assert all(p.grad is None for p in parent.parameters())


def test_a_student_that_is_its_own_parent_is_refused(parent):
    """Its states would be compared with themselves: a gap of 0, whatever it learns."""
    with pytest.raises(ValueError, match="has layers of the parent"):
        MatchStates(Match(parent), parent, range(4))


def test_numbers_that_do_not_fit_are_refused(parent):
    with pytest.raises(ValueError, match="named for 3"):
        MatchStates(Match(parent), drop_layers(parent, [1]), range(4))
