"""The plain loop is the other one's twin: the same losses and weights, on the same batches."""

from __future__ import annotations

import copy

import pytest
import torch

from distillkit.training import loop
from distillkit.training import plain_loop as kit
from distillkit.training.lora import lora, with_adapter
from distillkit.training.packing import encode, in_epochs
from tests.training.test_loop import SETTINGS, TRACES, solved

SAME = loop.TrainingConfig(**SETTINGS)


def check_same_losses_and_weights(module, tiny, adapter):
    """Train one copy by each loop; `adapter` says what of it is trained."""
    plain, other = copy.deepcopy(tiny.model), copy.deepcopy(tiny.model)
    if adapter:
        torch.manual_seed(SAME.seed)
        plain = with_adapter(plain, lora(r=2))
    examples = encode(TRACES, tiny.tokenizer)
    stream = in_epochs(examples, SAME.batch_size, SAME.epochs, SAME.seed)
    batches = [stream.draw(i) for i in range(stream.steps)]
    losses = list(module.train_plainly(plain, batches, SAME.rate))
    run = loop.distill(other, tiny.tokenizer, TRACES, adapter and lora(r=2), SAME)
    assert losses == pytest.approx([row["loss"] for row in run.log], rel=1e-4)
    for (name, ours), theirs in zip(plain.named_parameters(), run.student.parameters()):
        torch.testing.assert_close(ours, theirs, atol=5e-4, rtol=0, msg=name)


@pytest.mark.parametrize("adapter", [True, False])
def test_both_loops_give_the_same_losses_and_weights(tiny, adapter):
    check_same_losses_and_weights(kit, tiny, adapter)


MUTANTS = {
    "labels not shifted": ("labels_BL[:, 1:]", "labels_BL[:, :-1]"),
    "padding in the loss": ("labels for e in examples], IGNORE)", "labels for e in examples], 0)"),
    "gradients add up": ("        optimizer.zero_grad()\n", ""),
    "no warm-up": ("learning_rate(step, len(batches), rate)", "rate"),
    "not clipped": ("        torch.nn.utils.clip_grad_norm_(trained, 1.0)", "        #"),
    "weights decay": ("weight_decay=0.0", "weight_decay=0.5"),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_a_wrong_loop_is_noticed(mutant, tiny, name):
    with pytest.raises(AssertionError):
        check_same_losses_and_weights(mutant(kit, *MUTANTS[name]), tiny, True)


def test_a_batch_is_a_rectangle_with_padding_on_the_right(tiny):
    examples = encode([solved(7), solved(2653)], tiny.tokenizer)
    batch = kit.padded(examples)
    for row, example in enumerate(examples):
        n, filler = len(example.ids), batch["input_ids"].shape[1] - len(example.ids)
        assert batch["input_ids"][row, :n].tolist() == example.ids
        assert batch["labels"][row].tolist() == example.labels + [-100] * filler
        assert batch["attention_mask"][row].tolist() == [1] * n + [0] * filler
