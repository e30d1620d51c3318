"""The memory calculator: against real configurations, real tensors, and recorded peaks."""

from __future__ import annotations

import pytest
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState

from distillkit.runtime.files import read_csv
from distillkit.runtime.session import data_path
from distillkit.training import memory as kit
from distillkit.training.gradients import CompletionLoss
from distillkit.training.lora import lora, with_adapter
from distillkit.training.objectives import HEAD_ROUND
from distillkit.training.packing import encode, pack, supervised
from tests.training.test_loop import TRACES


def table():
    return read_csv(data_path("memory.csv"))


@pytest.mark.parametrize("name", ["tiny", "tiny_llama"])
def test_weights_are_counted_as_the_model_has_them(name, request):
    model = request.getfixturevalue(name).model
    shape = kit.shape_of(model.config)
    count = sum(p.numel() for p in model.parameters())
    assert shape.matrices() + shape.others() == count
    assert kit.weights(shape, "float32") == 4 * count
    assert kit.weights(shape, "bfloat16") == 2 * count


def test_the_real_student_has_the_shape_in_the_table(smollm):
    model = smollm.model
    shape = kit.shape_of(model.config)
    assert shape == kit.SHAPES["SmolLM2-135M"]
    assert shape.matrices() + shape.others() == sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize(
    ("name", "billions"),
    [("Qwen2.5-0.5B", 0.494), ("Qwen2.5-1.5B", 1.544), ("Qwen2.5-3B", 3.086),
     ("Qwen2.5-7B", 7.616), ("Llama-3.1-8B", 8.030)],
)  # fmt: skip
def test_the_shapes_have_as_many_weights_as_their_publishers_say(name, billions):
    shape = kit.SHAPES[name]
    assert (shape.matrices() + shape.others()) / 1e9 == pytest.approx(billions, abs=0.001)


def test_an_adapter_has_as_many_numbers_as_peft_makes(fresh_tiny):
    shape = kit.shape_of(fresh_tiny.model.config)
    model = with_adapter(fresh_tiny.model, lora(r=3))
    assert shape.adapter(3) == sum(p.numel() for p in model.parameters() if p.requires_grad)


def saved_for_the_gradient(module, tree, weights):
    """Return the bytes of all tensors that autograd keeps, those of the weights aside."""
    kept = {}

    def keep(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage.nbytes()
            held.append(tensor)  # else its address may be used again
        return tensor

    held = []
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        module(**tree)
    return sum(kept.values())


@pytest.mark.parametrize("kind", ["float32", "bfloat16"])
@pytest.mark.parametrize("r", [2, 16])
def test_activations_are_what_autograd_keeps(smollm, kind, r):
    import copy

    dtype = getattr(torch, kind)
    model = copy.deepcopy(smollm.model)
    model.model.layers = model.model.layers[:4]  # the others keep as much
    model.config.num_hidden_layers = 4
    model = with_adapter(model.to(dtype), lora(r=r)).train()
    shape = kit.shape_of(model.config)
    part = encode(TRACES[:1], smollm.tokenizer)
    AcceleratorState._reset_state(True)
    accelerator = Accelerator(mixed_precision="bf16" if kind == "bfloat16" else "no", cpu=True)
    module = accelerator.prepare(CompletionLoss(model))
    tree = pack(part)
    weights = {p.untyped_storage().data_ptr() for p in model.parameters()}
    found = saved_for_the_gradient(module, tree, weights)
    rows = -(-supervised(part) // HEAD_ROUND) * HEAD_ROUND
    found -= dtype.itemsize * rows * shape.vocabulary  # the logits are counted elsewhere
    expected = kit.activations(shape, tree["input_ids"].shape[1], r, kind)
    assert expected == pytest.approx(found, rel=0.03)


def test_the_formula_is_within_a_tenth_of_every_measured_peak():
    """On a card, whose libraries hold workspaces beside the tensors: within a tenth or 100 MB."""
    rows = table()
    assert {row["dtype"] for row in rows} == set(kit.WEIGHT_BITS) and len(rows) >= 24
    for row in rows:
        tokens, learned = int(row["tokens"]), int(row["learned"])
        parts = kit.training(kit.SHAPES[row["model"]], row["dtype"], int(row["rank"]), tokens,
                             learned)  # fmt: skip
        expected = sum(parts.values()) / 1e6
        assert expected == pytest.approx(float(row["formula_mb"]), abs=1)
        beside = 0 if "CPU" in row["machine"] else 100
        assert expected == pytest.approx(float(row["measured_mb"]), rel=0.1, abs=beside)


def test_training_everything_holds_four_numbers_for_each_weight():
    shape = kit.SHAPES["Qwen2.5-0.5B"]
    parts = kit.training(shape, "float32", None, 0, 0)
    assert sum(parts.values()) == 16 * (shape.matrices() + shape.others())
    lighter = [sum(kit.training(shape, kind).values()) for kind in kit.WEIGHT_BITS]
    assert lighter == sorted(lighter, reverse=True)


def test_an_unknown_type_is_refused():
    with pytest.raises(KeyError, match="fp3"):
        kit.weights(kit.SHAPES["Qwen2.5-0.5B"], "fp3")
