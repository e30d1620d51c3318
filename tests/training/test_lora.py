"""Adapters: the update's singular values, a lower rank, and the small folder that ships."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
import torch
from peft import PeftModel

from distillkit.runtime.session import data_path
from distillkit.training import lora as kit
from distillkit.training.lora import lora, with_adapter


@pytest.fixture
def adapted(fresh_tiny):
    model = with_adapter(fresh_tiny.model, lora(r=4))
    torch.manual_seed(3)
    for layer in kit.layers_of(model).values():
        torch.nn.init.normal_(layer.lora_B["default"].weight, std=0.3)
    return model.eval()


def update(layer):
    a_RI, b_OR = kit.factors(layer)
    return b_OR @ a_RI


def logits(model):
    with torch.no_grad():
        return model(torch.arange(40, 60)[None]).logits


def test_the_layers_are_found_by_short_names(adapted):
    names = list(kit.layers_of(adapted))
    assert len(names) == 14 and "0.self_attn.q_proj" in names and "1.mlp.down_proj" in names


def test_the_update_is_what_peft_adds_when_it_merges(adapted):
    layer = kit.layers_of(adapted)["1.mlp.up_proj"]
    expected = layer.get_delta_weight("default")
    torch.testing.assert_close(update(layer), expected)


def test_the_decomposition_is_that_of_the_whole_matrix(adapted):
    for layer in kit.layers_of(adapted).values():
        whole = update(layer)
        u_OR, s_R, v_RI = kit.decomposed(*kit.factors(layer))
        torch.testing.assert_close(u_OR * s_R @ v_RI, whole, atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(s_R, torch.linalg.svdvals(whole)[:4], atol=1e-5, rtol=1e-4)


def test_a_cut_is_the_best_of_its_rank(adapted):
    layer = kit.layers_of(adapted)["0.mlp.gate_proj"]
    whole = update(layer)
    u, s, v = torch.linalg.svd(whole, full_matrices=False)
    kit.cut_rank(adapted, 2)
    torch.testing.assert_close(update(layer), u[:, :2] * s[:2] @ v[:2], atol=1e-5, rtol=1e-4)


def test_a_cut_to_the_whole_rank_changes_nothing(adapted):
    before = logits(adapted)
    kit.cut_rank(adapted, 4)
    torch.testing.assert_close(logits(adapted), before, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("rank", [0, 5, -1])
def test_a_rank_that_is_not_there_is_refused_before_anything_changes(adapted, rank):
    before = logits(adapted)
    with pytest.raises(ValueError, match=r"not between 1 and the adapter's 4"):
        kit.cut_rank(adapted, rank)
    assert torch.equal(logits(adapted), before)


def test_the_small_folder_gives_the_cut_student_back(adapted, tiny, tmp_path):
    import copy

    kit.save_cut(adapted, 2, tmp_path, "somebody/something")
    config = json.loads((tmp_path / "adapter_config.json").read_text())
    assert (config["r"], config["base_model_name_or_path"]) == (2, "somebody/something")
    assert adapted.peft_config["default"].r == 4, "the model's own settings stay"
    loaded = PeftModel.from_pretrained(copy.deepcopy(tiny.model), tmp_path).eval()
    a, b = kit.factors(kit.layers_of(loaded)["0.mlp.up_proj"])
    assert a.shape[0] == b.shape[1] == 2
    torch.testing.assert_close(logits(loaded), logits(adapted), atol=0.2, rtol=0.05)
    spread = logits(adapted).std()
    assert (logits(loaded) - logits(adapted)).abs().mean() < 0.02 * spread, "16-bit rounding only"


def test_what_ships_is_small_names_its_base_and_no_place_on_a_disk():
    folder = data_path(kit.READY)
    config = json.loads((folder / "adapter_config.json").read_text())
    report = json.loads((folder / "report.json").read_text())
    assert config["base_model_name_or_path"] == report["student"]["name"]
    assert sum(path.stat().st_size for path in folder.iterdir()) < 15e6
    for path in folder.glob("*.json"):
        text = path.read_text()
        assert not any(place in text for place in ("/root", "/home", "/work", "/tmp", "C:\\"))
    assert {path.suffix for path in folder.iterdir()} == {".json", ".safetensors"}


def test_singular_values_fall(adapted):
    for layer in kit.layers_of(adapted).values():
        values = kit.decomposed(*kit.factors(layer))[1].tolist()
        assert all(a >= b for a, b in pairwise(values))


def test_a_second_adapter_that_would_leave_the_first_one_in_some_layers_is_refused(fresh_tiny):
    first = with_adapter(fresh_tiny.model, lora(r=2))
    with pytest.raises(ValueError, match=r"carries an adapter already \(in model\.layers\.0\."):
        with_adapter(fresh_tiny.model, lora(r=2, layers=[1]))
    assert len(kit.layers_of(first)) == 14, "nothing was changed"
    assert len(kit.layers_of(with_adapter(first.unload(), lora(r=2, layers=[1])))) == 7


def test_an_adapter_on_an_adapter_is_refused(fresh_tiny):
    first = with_adapter(fresh_tiny.model, lora(r=2))
    with pytest.raises(ValueError, match=r"has an adapter already.*`\.merge_and_unload\(\)`"):
        with_adapter(first, lora(r=2))
    assert len(kit.layers_of(with_adapter(first.merge_and_unload(), lora(r=3)))) == 14


@pytest.mark.parametrize("left", ["merged", "of another name"])
def test_an_adapter_that_a_new_one_would_not_take_the_place_of_is_refused(fresh_tiny, left):
    if left == "merged":
        with_adapter(fresh_tiny.model, lora(r=2)).merge_adapter()
    else:
        kit.get_peft_model(fresh_tiny.model, lora(r=2), adapter_name="another")
    with pytest.raises(ValueError, match=r"call `\.unload\(\)` on that one first"):
        with_adapter(fresh_tiny.model, lora(r=2))


@pytest.mark.parametrize("rank", [40, 35, 3])
def test_a_rank_above_a_layers_width_is_decomposed_and_cut(fresh_tiny, rank):
    """The layers are 16 to 64 wide."""
    model = with_adapter(fresh_tiny.model, lora(r=40)).eval()
    torch.manual_seed(3)
    before = {}
    for name, layer in kit.layers_of(model).items():
        torch.nn.init.normal_(layer.lora_B["default"].weight, std=0.3)
        before[name] = update(layer)
        u, s, v = kit.decomposed(*kit.factors(layer))
        assert len(s) == min(before[name].shape)
        torch.testing.assert_close(u * s @ v, before[name], atol=1e-4, rtol=1e-4)
    kit.cut_rank(model, rank)
    for name, layer in kit.layers_of(model).items():
        u, s, v = torch.linalg.svd(before[name], full_matrices=False)
        best = u[:, :rank] * s[:rank] @ v[:rank]
        torch.testing.assert_close(update(layer), best, atol=1e-4, rtol=1e-4)
