"""Models that were cut: the same numbers by a second route, and still ordinary models."""

from __future__ import annotations

import copy

import gguf
import pytest
import torch
from transformers import AutoModelForCausalLM

from distillkit.generation.sampler import sample
from distillkit.models.downloads import ModelError
from distillkit.models.gguf_writer import write_gguf
from distillkit.models.pruning import (
    block_influence,
    channel_activation,
    channels_like,
    cut_channels,
    drop_layers,
    from_scratch,
    hidden_states,
    highest,
    leave_one_out,
    lowest,
    skipping,
)
from distillkit.training.loop import TrainingConfig, distill
from distillkit.training.lora import lora, with_adapter
from distillkit.training.packing import Example
from tests.conftest import merging_tokenizer, tiny_model

IDS = [*range(40, 60)]
KEPT = [torch.tensor([*range(3, 35)]), torch.tensor([*range(0, 64, 2)]),
        torch.tensor([*range(32)]), torch.tensor([*range(1, 64, 2)])]  # fmt: skip


@pytest.fixture(scope="module")
def tokenizer():
    return merging_tokenizer()


@pytest.fixture(scope="module", params=["Qwen2", "Llama"])
def model(request, tokenizer):
    return tiny_model(request.param, tokenizer, num_hidden_layers=4, initializer_range=0.15)


@pytest.fixture(scope="module", params=["depth", "width"])
def pruned(request, model):
    return drop_layers(model, [1, 2]) if request.param == "depth" else cut_channels(model, KEPT)


@torch.inference_mode()
def logits(model, ids=IDS):
    return model(torch.tensor([ids])).logits


def test_without_layers_is_with_layers_that_do_nothing(model):
    whole, pruned = copy.deepcopy(model), drop_layers(model, [0, 2])
    for i in (0, 2):
        whole.model.layers[i].register_forward_hook(lambda _, inputs, __: inputs[0])
    assert torch.equal(logits(pruned), logits(whole))
    assert not torch.equal(logits(pruned), logits(model))


def test_without_channels_is_with_channels_that_are_zero(model):
    whole, pruned = copy.deepcopy(model), cut_channels(model, KEPT)
    for layer, kept in zip(whole.model.layers, KEPT, strict=True):
        gone = [c for c in range(64) if c not in kept.tolist()]
        layer.mlp.down_proj.weight.data[:, gone] = 0
    assert torch.allclose(logits(pruned), logits(whole), atol=1e-5)
    assert not torch.allclose(logits(pruned), logits(model), atol=1e-2)


def test_the_parent_stays_as_it_was(model):
    before = {name: p.clone() for name, p in model.state_dict().items()}
    config, said = copy.deepcopy(model.config), logits(model)
    for pruned in (drop_layers(model, [3]), cut_channels(model, KEPT)):
        for p in pruned.parameters():
            p.data.zero_()
    with pytest.raises(KeyError), skipping(model, [0, 1]):
        raise KeyError
    assert model.config.to_dict() == config.to_dict()
    assert all(torch.equal(p, before[name]) for name, p in model.state_dict().items())
    assert [layer.self_attn.layer_idx for layer in model.model.layers] == [0, 1, 2, 3]
    assert torch.equal(logits(model), said)


def test_it_is_saved_and_loaded_as_any_other(pruned, tmp_path):
    pruned.save_pretrained(tmp_path)
    back = AutoModelForCausalLM.from_pretrained(tmp_path)
    assert torch.equal(logits(back), logits(pruned))
    assert back.config.num_hidden_layers == len(back.model.layers)
    assert back.config.intermediate_size == back.model.layers[0].mlp.up_proj.out_features


@pytest.mark.parametrize("layers", [[0], [3], [1, 2]])
def test_it_writes_the_same_with_and_without_a_cache(model, layers):
    pruned, ids = drop_layers(model, layers), torch.tensor([IDS])
    for one in (pruned, cut_channels(pruned, KEPT[: 4 - len(layers)])):
        cached, plain = (one.generate(ids, max_new_tokens=12, do_sample=False, use_cache=use)
                         for use in (True, False))  # fmt: skip
        assert torch.equal(cached, plain)


def test_the_kits_sampler_writes_what_generate_writes(pruned, tokenizer):
    prompt = "the cat and the other"
    ids = torch.tensor([tokenizer(prompt)["input_ids"]])
    theirs = pruned.generate(ids, max_new_tokens=12, do_sample=False)[0, ids.shape[1] :]
    ((ours,),) = sample(pruned, tokenizer, [prompt], max_new_tokens=12)
    assert ours.text == tokenizer.decode(theirs, skip_special_tokens=True)


def test_an_adapter_on_it_learns_and_is_merged(pruned, tokenizer):
    example = Example(IDS, [-100] * 4 + IDS[4:])
    config = TrainingConfig(rate=1e-2, batch_size=1, epochs=8)
    pruned = copy.deepcopy(pruned)
    run = distill(pruned, tokenizer, [example], lora(4, layers=[1]), config)
    assert run.log[-1]["loss"] < run.log[0]["loss"]
    with pytest.raises(ModelError, match="merge"):
        drop_layers(run.student, [0])
    with pytest.raises(ModelError, match="merge"):
        cut_channels(run.student.get_base_model(), KEPT[: pruned.config.num_hidden_layers])
    said = logits(run.student)
    merged = run.student.merge_and_unload()
    assert torch.allclose(logits(merged), said, atol=1e-4)
    assert len(drop_layers(merged, [0]).model.layers) == merged.config.num_hidden_layers - 1


def test_its_gguf_has_its_shape(pruned, tokenizer, tmp_path):
    write_gguf(pruned, tokenizer, tmp_path / "m.gguf", "f16", {})
    reader, kind = gguf.GGUFReader(tmp_path / "m.gguf"), pruned.config.model_type
    found = {name: reader.fields[f"{kind}.{name}"].contents()
             for name in ("block_count", "feed_forward_length")}  # fmt: skip
    assert found == {"block_count": len(pruned.model.layers),
                     "feed_forward_length": pruned.config.intermediate_size}  # fmt: skip
    back = AutoModelForCausalLM.from_pretrained(tmp_path, gguf_file="m.gguf", dtype=torch.float32)
    assert torch.allclose(logits(back), logits(pruned), atol=0.02)


def test_from_scratch_has_the_shape_and_none_of_the_weights(pruned):
    one, same, other = (from_scratch(pruned, seed) for seed in (0, 0, 1))
    assert one.config.to_dict() == pruned.config.to_dict()
    shapes = [{name: p.shape for name, p in m.named_parameters()} for m in (one, pruned)]
    assert shapes[0] == shapes[1]
    assert torch.equal(logits(one), logits(same)) and not torch.equal(logits(one), logits(other))


def test_a_cut_in_width_costs_what_a_cut_in_depth_does(tokenizer):
    model = tiny_model("Qwen2", tokenizer, num_hidden_layers=6, intermediate_size=512)
    size = channels_like(model, 2)
    deep, wide = drop_layers(model, [1, 2]), cut_channels(model, [torch.arange(size)] * 6)
    channel = 32 * 3 * model.config.hidden_size * 6
    assert size % 32 == 0 and size < 512
    assert abs(deep.num_parameters() - wide.num_parameters()) <= channel / 2


def test_a_cut_in_width_leaves_32_channels(tokenizer):
    model = tiny_model("Qwen2", tokenizer, num_hidden_layers=6)
    assert channels_like(model, 5) == 32


@pytest.fixture(scope="module")
def idle(tokenizer):
    """A model whose layer 2 changes nothing and whose layers have one loud and one silent channel,
    and that layer."""
    model = tiny_model("Llama", tokenizer, num_hidden_layers=4, initializer_range=0.15)
    layer = model.model.layers[2]
    layer.self_attn.o_proj.weight.data.zero_()
    layer.mlp.down_proj.weight.data.zero_()
    for layer in model.model.layers:
        layer.mlp.up_proj.weight.data[5] = 0
        layer.mlp.up_proj.weight.data[9] *= 100
    return model


def test_importance_finds_the_layer_that_does_nothing(idle):
    hidden = [hidden_states(idle, ids) for ids in (IDS, IDS[3:9])]
    assert [h.shape for h in hidden] == [(5, 20, 32), (5, 6, 32)]
    influence = block_influence(hidden)
    assert influence.shape == (4,) and lowest(influence, 1) == [2]
    assert influence[2].abs() < 1e-6 and (influence[[0, 1, 3]] > 0.01).all()

    def loss(model):
        return model(torch.tensor([IDS]), labels=torch.tensor([IDS])).loss.item()

    grown = leave_one_out(idle, loss)
    assert grown.shape == (4,) and grown[2] == 0 and (grown[[0, 1, 3]] != 0).all()


def test_influence_is_a_mean_over_tokens_and_may_span_layers():
    x, y = [1.0, 0.0], [0.0, 1.0]
    long = torch.tensor([[x, x, x], [x, x, y], [y, y, y]])  # 3 states of 3 tokens
    short = torch.tensor([[x], [y], [y]])
    assert block_influence([long, short]).tolist() == pytest.approx([0.5, 0.5])
    assert block_influence([long, short], span=2).tolist() == pytest.approx([1.0])


def test_hidden_states_end_before_the_final_norm(model):
    states = hidden_states(model, IDS)
    theirs = model(torch.tensor([IDS]), output_hidden_states=True).hidden_states
    assert torch.equal(states[:-1], torch.cat(theirs[:-1]))
    assert torch.equal(model.model.norm(states[-1]), theirs[-1][0])


def test_importance_finds_the_silent_and_the_loud_channel(idle):
    activation = channel_activation(idle, [IDS, IDS[:7]])
    assert activation.shape == (4, 64) and (activation[:, 5] == 0).all()
    assert (activation.argmax(-1) == 9).all()
    once, twice = (channel_activation(idle, [IDS] * n) for n in (1, 2))
    assert torch.allclose(once, twice)  # a mean, not a sum
    kept = highest(activation, 60)
    assert all(5 not in c and 9 in c and len(c) == 60 for c in map(torch.Tensor.tolist, kept))
    assert all(c.tolist() == sorted(c.tolist()) for c in kept)


@pytest.mark.parametrize("layers", [[4], [-1], [0, 1, 2, 3]])
def test_layers_that_cannot_go_are_refused(model, layers):
    with pytest.raises(ValueError, match="layers 0 to 3"):
        drop_layers(model, layers)


def test_channels_that_do_not_fit_are_refused(model):
    for kept in (KEPT[:3], [*KEPT[:3], torch.arange(31)], [torch.tensor([], dtype=int)] * 4,
                 [torch.tensor([1] * 32)] * 4):  # fmt: skip
        with pytest.raises(ValueError, match="each of the 4 layers"):
            cut_channels(model, kept)


def test_another_family_is_refused(tokenizer):
    with pytest.raises(ModelError, match="gemma3_text is not cut"):
        drop_layers(tiny_model("Gemma3", tokenizer, head_dim=8), [0])


def test_an_adapter_is_to_be_merged_first(model, tokenizer):
    adapted = with_adapter(copy.deepcopy(model), lora(2))
    with pytest.raises(ModelError, match="merge the adapter"), skipping(adapted, [0]):
        pass
