"""Examples and prefix trees: what the loss sees, and that a tree is its sequences."""

from __future__ import annotations

import copy
from collections import Counter
from unittest import mock

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from peft import get_peft_model

from distillkit.models.chats import chat_text
from distillkit.training import gradients
from distillkit.training import packing as kit
from distillkit.training.lora import lora
from distillkit.training.losses import IGNORE, cross_entropy
from distillkit.training.objectives import HEAD_ROUND, read
from distillkit.training.plain_loop import padded
from tests.training.test_loop import TRACES, trace

AGAIN = trace(TRACES[0]["id"], "<think>\nx = 3\nso it is\n</think>\n<answer>3</answer>")
FOUR = [*TRACES[:3], AGAIN]  # two of them answer the same question


def loss_of(module, model, examples):
    """The mean loss of a part, computed through `module`'s tree."""
    return gradients.CompletionLoss(model)(**module.pack(examples)) / module.supervised(examples)


# --- what the loss sees ---------------------------------------------------------------------------


def check_only_the_completion_and_its_end_are_supervised(module, tiny):
    tokenizer = tiny.tokenizer
    (example,) = module.encode([TRACES[0]], tokenizer)
    supervised = [label for label in example.labels if label != -100]
    assert tokenizer.decode(supervised) == "<think>\nx = 3\n</think>\n<answer>3</answer><|im_end|>"
    prompt = example.ids[: -len(supervised)]
    assert tokenizer.decode(prompt) == chat_text(tokenizer, TRACES[0]["prompt"])
    assert example.labels == [-100] * len(prompt) + supervised
    assert example.ids == prompt + supervised
    assert module.supervised([example, example]) == 2 * len(supervised)


def check_the_loss_is_transformers_own(module, tiny, traces):
    """The plain model shifts the labels itself; here it reads the examples one by one."""
    model = get_peft_model(copy.deepcopy(tiny.model), lora(r=2))
    total = count = 0
    with torch.no_grad():
        for example in kit.encode(traces, tiny.tokenizer):
            ids, labels = torch.tensor([example.ids]), torch.tensor([example.labels])
            n = sum(label != -100 for label in example.labels)
            total += tiny.model(input_ids=ids, labels=labels).loss.item() * n
            count += n
        loss = loss_of(module, model, kit.encode(traces, tiny.tokenizer)).item()
    assert loss == pytest.approx(total / count, rel=1e-5)


def check_one_example(module, tiny):
    check_the_loss_is_transformers_own(module, tiny, TRACES[:1])


def check_a_tree(module, tiny):
    check_the_loss_is_transformers_own(module, tiny, FOUR)


CHECKS = {
    "masking": check_only_the_completion_and_its_end_are_supervised,
    "one example": check_one_example,
    "a tree": check_a_tree,
}


@pytest.mark.parametrize("name", CHECKS)
def test_the_loss_sees_the_completion(tiny, name):
    CHECKS[name](kit, tiny)


def test_another_architecture_reads_the_tree_the_same_way(tiny_llama):
    check_a_tree(kit, tiny_llama)


MUTANTS = {
    "prompt tokens in the loss": ("[IGNORE] * len(prompt_ids) + own_ids", "prompt_ids + own_ids",
                                  "masking"),
    "no end to learn": ("[*token_ids(tokenizer, own), tokenizer.eos_token_id]",
                        "token_ids(tokenizer, own)", "masking"),
    "one label late": ("[IGNORE] * len(prompt_ids) + own_ids",
                       "[IGNORE] * (len(prompt_ids) + 1) + own_ids[1:]", "masking"),
    "labels not shifted": ("            at = child[at, token]\n",
                           "            at = child[at, token]\n            nodes[-1:] = "
                           "[at] if label != IGNORE else nodes[-1:]\n", "one example"),
    "no mask": ("~sees_LL", "torch.zeros_like(sees_LL)", "one example"),
    "one long sequence": ("~sees_LL", "torch.ones_like(sees_LL).triu(1)", "a tree"),
    "positions counted through": ("sees_LL.sum(-1)[None] - 1", "torch.arange(len(tokens))[None]",
                                  "a tree"),
    "positions late by the others": ("sees_LL.sum(-1)[None] - 1", "sees_LL.sum(-1)[None] % 60",
                                     "a tree"),
    "a token is found under any parent": ("(at, token) not in child", "(0, token) not in child",
                                          "a tree"),
    "shared labels once": ("if label != IGNORE and at >= 0",
                           "if label != IGNORE and at >= 0 and (at, token) not in child", "a tree"),
    "sees only its parent": ("sees_LL[node] |= sees_LL[parent]", "sees_LL[node, parent] = True",
                             "one example"),
}  # fmt: skip


@pytest.mark.parametrize("name", MUTANTS)
def test_a_wrong_way_to_see_it_is_noticed(mutant, tiny, name):
    old, new, check = MUTANTS[name]
    wrong = mutant(kit, old, new)
    with pytest.raises((AssertionError, KeyError)):
        CHECKS[check](wrong, tiny)


@pytest.mark.parametrize("family", ["tiny", "tiny_llama"])
def test_the_tree_has_the_gradient_of_padded_sequences(family, request):
    tiny = request.getfixturevalue(family)
    examples = kit.encode(FOUR, tiny.tokenizer)
    ours = get_peft_model(copy.deepcopy(tiny.model), lora(r=2))
    with torch.no_grad():  # B starts at zero, and A would get no gradient
        for name, weight in ours.named_parameters():
            if "lora_B" in name:
                weight.normal_(std=0.1)
    theirs = copy.deepcopy(ours)
    loss_of(kit, ours, examples).backward()
    theirs(**padded(examples)).loss.backward()
    compared = 0
    for (name, a), b in zip(ours.named_parameters(), theirs.parameters()):
        if a.requires_grad:
            torch.testing.assert_close(a.grad, b.grad, msg=name)
            compared += bool(a.grad.abs().max() > 1e-6)
    assert compared == 28  # A and B of seven matrices in two layers


def test_the_output_head_sees_supervised_positions_only(tiny):
    model = get_peft_model(copy.deepcopy(tiny.model), lora(r=2))
    examples, seen = kit.encode(TRACES[:3], tiny.tokenizer), []
    head = model.get_base_model().get_output_embeddings()
    head.register_forward_hook(lambda module, args, logits: seen.append(tuple(logits.shape[:-1])))
    loss_of(kit, model, examples)
    supervised = sum(label != -100 for e in examples for label in e.labels)
    assert seen == [(1, -(-supervised // HEAD_ROUND) * HEAD_ROUND)]


@given(st.lists(st.lists(st.integers(0, 3), min_size=2, max_size=40), min_size=1, max_size=5))
def test_trees_have_few_sizes_and_what_fills_them_is_alone(sequences):
    examples = examples_of(sequences)
    tree = kit.pack(examples)
    sees_LL = tree["attention_mask"][0, 0] == 0
    real = len({tuple(e.ids[: i + 1]) for e in examples for i in range(len(e.ids))})
    assert len(sees_LL) == -(-real // kit.ROUND) * kit.ROUND
    assert torch.equal(sees_LL[real:], torch.eye(len(sees_LL), dtype=torch.bool)[real:])
    assert not sees_LL[:real, real:].any()
    assert len(tree["nodes_N"]) == len(tree["labels_N"]) == len(tree["weights_N"])
    assert len(tree["labels_N"]) == kit.supervised(examples) == kit.weight_of(examples)
    assert IGNORE not in tree["labels_N"] and (tree["weights_N"] == 1).all()


def test_the_real_model_reads_the_tree_like_separate_sequences(smollm):
    examples = kit.encode(TRACES[:4], smollm.tokenizer)
    tree = kit.pack(examples)
    assert tree["input_ids"].numel() < 0.7 * sum(len(e.ids) for e in examples)
    with torch.no_grad():
        loss = cross_entropy(read(smollm.model, tree).logits_NV, tree["labels_N"])
        plain = smollm.model(**padded(examples)).loss
    assert loss.item() == pytest.approx(plain.item(), rel=1e-4)


def test_an_empty_completion_is_an_error_that_names_the_trace(tiny):
    with pytest.raises(ValueError, match="'a question'"):
        kit.encode([trace("a question", " \n")], tiny.tokenizer)


# --- the tree -------------------------------------------------------------------------------------

SEQUENCES = st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=8), min_size=1, max_size=9)


def examples_of(sequences, prompt=1):
    return [kit.Example(ids, [-100] * prompt + ids[prompt:]) for ids in sequences]


@mock.patch.object(kit, "ROUND", 1)
@given(SEQUENCES)
def test_each_node_sees_the_beginning_it_stands_for(sequences):
    tree = kit.pack(examples_of(sequences))
    tokens, (sees,) = tree["input_ids"][0].tolist(), (tree["attention_mask"][0] == 0)
    beginnings = [
        tuple(tokens[i] for i in row.nonzero().flatten().tolist()) for row in sees
    ]  # parents stand before their children, so this is the order of the sequence
    wanted = {tuple(ids[: i + 1]) for ids in sequences for i in range(len(ids))}
    assert len(beginnings) == len(wanted) and set(beginnings) == wanted
    assert tree["position_ids"][0].tolist() == [len(b) - 1 for b in beginnings]
    pairs = Counter(
        (beginnings[node], label)
        for node, label in zip(tree["nodes_N"].tolist(), tree["labels_N"].tolist())
    )
    wanted = ((tuple(ids[:i]), ids[i]) for ids in sequences for i in range(1, len(ids)))
    assert pairs == Counter(wanted)


@given(SEQUENCES, st.randoms())
def test_each_label_keeps_its_weight(sequences, rng):
    """Also where two examples share it; what the loss is divided by is the sum of all of them."""
    examples = [
        kit.Example(ids, [-100] + ids[1:], [rng.randint(0, 9) / 2 for _ in ids])
        for ids in sequences
    ]
    tree = kit.pack(examples)
    pairs = Counter(zip(tree["labels_N"].tolist(), tree["weights_N"].tolist()))
    assert pairs == Counter(
        (label, weight)
        for example in examples
        for label, weight in zip(example.ids[1:], example.weights[1:])
    )
    assert kit.weight_of(examples) == pytest.approx(tree["weights_N"].sum().item())


@mock.patch.object(kit, "ROUND", 1)
def test_a_label_without_a_token_before_it_is_left_out():
    tree = kit.pack([kit.Example([5, 6], [5, 6])])
    assert (tree["nodes_N"].tolist(), tree["labels_N"].tolist()) == ([0], [6])
    assert kit.supervised([kit.Example([5, 6], [5, 6])]) == 1


@mock.patch.object(kit, "ROUND", 1)
@given(SEQUENCES, st.integers(1, 40))
def test_the_parts_hold_every_example_once_and_keep_the_limit(sequences, most):
    parts = kit.parts_of(examples_of(sequences), most)
    assert Counter(tuple(e.ids) for part in parts for e in part) == Counter(map(tuple, sequences))
    for part in parts:
        assert len(part) == 1 or kit.pack(part)["input_ids"].numel() <= most


def test_what_begins_alike_comes_into_one_part():
    equations = [[1, 2, 3, 4, n] for n in range(4)]
    general = [[9, 8, n] for n in range(4)]
    mixed = [ids for pair in zip(equations, general) for ids in pair]
    parts = kit.parts_of(examples_of(mixed), 8)
    assert [[e.ids for e in part] for part in parts] == [equations, general]


# --- the order of the data ------------------------------------------------------------------------


@given(st.integers(1, 60), st.integers(1, 9), st.integers(1, 3))
def test_each_epoch_has_every_example_once(examples, size, epochs):
    plan = kit.batches(examples, size, epochs, seed=0)
    per_epoch = -(-examples // size)
    assert len(plan) == epochs * per_epoch
    assert all(1 <= len(batch) <= size for batch in plan)
    for epoch in range(epochs):
        part = plan[epoch * per_epoch : (epoch + 1) * per_epoch]
        assert sorted(i for batch in part for i in batch) == list(range(examples))


def test_the_order_is_fixed_by_the_seed_and_differs_between_epochs():
    one, again = (kit.batches(40, 4, 2, seed=1) for _ in range(2))
    assert one == again != kit.batches(40, 4, 2, seed=2)
    assert one[:10] != one[10:]


def test_a_longer_run_begins_like_a_shorter_one():
    assert kit.batches(40, 4, 3, seed=1)[:10] == kit.batches(40, 4, 1, seed=1)


@pytest.mark.parametrize(("epochs", "steps"), [(0.5, 5), (1.5, 15), (0.01, 1)])
def test_an_epoch_may_be_cut(epochs, steps):
    plan = kit.batches(40, 4, epochs, seed=0)
    assert len(plan) == steps
    seen = Counter(i for batch in plan for i in batch)
    assert max(seen.values()) == -(-steps // 10)


def test_without_shuffling_the_order_is_kept():
    one = [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    assert kit.batches(10, 4, 2, seed=1, shuffle=False) == one * 2


def test_other_examples_meet_in_each_epoch():
    plan = kit.batches(160, 4, 2, seed=0)
    first, second = ({frozenset(batch) for batch in part} for part in (plan[:40], plan[40:]))
    assert len(first & second) < 4


@pytest.mark.parametrize("size", [0, -1])
def test_a_batch_of_no_examples_is_refused(size):
    with pytest.raises(ValueError, match=f"at least one example, not {size}: set batch_size"):
        kit.batches(10, size, 1, seed=0)
