"""Models whose own forward pass has more than the kit's: refused by name, or computed by it."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")
import torch

from distillkit.generation import sampler
from distillkit.generation.sampler import sample
from distillkit.models.downloads import ModelError
from distillkit.models.loading import own_logits, refuse_other_attention
from distillkit.training.gradients import CompletionLoss
from distillkit.training.loop import distill
from distillkit.training.objectives import must_read_alike, read_teacher
from distillkit.training.packing import encode, pack
from tests.conftest import tiny_model
from tests.training.test_loop import TRACES

GEMMA = {"head_dim": 8, "query_pre_attn_scalar": 8}
GPT_OSS = {"head_dim": 8, "num_local_experts": 2, "num_experts_per_tok": 1}
SCALED = [  # of which the sampler computes no logits itself: the model's own last step does
    ("Granite", {"logits_scaling": 8.0, "attention_multiplier": 0.1, "embedding_multiplier": 12.0}),
    ("Cohere", {"logit_scale": 0.5}),
    ("Gemma2", {**GEMMA, "sliding_window": 300, "attn_logit_softcapping": None,
                "final_logit_softcapping": 5.0}),
]  # fmt: skip
WINDOW = {"use_sliding_window": True, "sliding_window": 64}


def own_greedy(model, tokenizer, prompt, count):
    """Return the tokens that the model's own forward pass writes behind a prompt, one by one."""
    ids = tokenizer(prompt, add_special_tokens=False)["input_ids"]
    for _ in range(count):
        with torch.no_grad():
            ids.append(int(model(torch.tensor([ids])).logits[0, -1].argmax()))
    return ids[-count:]


@pytest.mark.parametrize(("kind", "config", "said"), [
    ("Mistral", {"sliding_window": 64}, "sliding_window = 64 with texts of 300 tokens"),
    ("Qwen2", {**WINDOW, "max_window_layers": 1}, "sliding_window = 64"),
    ("Gemma3", {**GEMMA, "sliding_window": 64}, "sliding_window = 64"),
    ("Gemma2", GEMMA, "attn_logit_softcapping = 50.0"),
    ("GptOss", {**GPT_OSS, "sliding_window": 512}, "attention sinks"),
])  # fmt: skip
def test_what_would_be_wrong_without_a_word_is_refused_before_any_work(tiny, kind, config, said):
    model = tiny_model(kind, tiny.tokenizer, **config)
    with pytest.raises(ModelError, match=rf"{kind}ForCausalLM.*{said}"):
        refuse_other_attention(model, 300)
    model.forward = model.base_model.forward = lambda *_, **__: pytest.fail("computed")
    with pytest.raises(ModelError, match=said.partition(" with")[0]):
        sample(model, tiny.tokenizer, ["a" * 40, "b" * 40], max_new_tokens=260)


@pytest.mark.parametrize(("kind", "config"), [
    ("Qwen2", {}),
    ("Llama", {}),
    ("Qwen2", {"sliding_window": 64}),  # and use_sliding_window is off
    ("Qwen2", {**WINDOW, "max_window_layers": 2}),  # only from the third of two layers on
    ("Qwen2", {"use_sliding_window": True, "sliding_window": 300, "max_window_layers": 0}),
    ("Mistral", {"sliding_window": None}),
    ("Mistral", {"sliding_window": 300}),
    ("Gemma2", {**GEMMA, "sliding_window": 300, "attn_logit_softcapping": None,
                "final_logit_softcapping": None}),
    ("Gemma3", GEMMA),
    *SCALED,
])  # fmt: skip
def test_harmless_settings_are_not_refused_and_the_words_are_the_models_own(tiny, kind, config):
    model = tiny_model(kind, tiny.tokenizer, **config)
    refuse_other_attention(model, 300)
    prompts = ["Solve for x: 3x = 6", "Solve for x: 12x + 4 = 60"]
    texts = sample(model, tiny.tokenizer, prompts, max_new_tokens=6)
    for prompt, (completion,) in zip(prompts, texts, strict=True):
        ids = own_greedy(model, tiny.tokenizer, prompt, completion.tokens)
        own = tiny.tokenizer.decode(ids, skip_special_tokens=True)
        assert completion.text == own


@pytest.mark.parametrize(("kind", "config"), [
    ("Qwen2", {}), ("Granite", {"logits_scaling": 8.0}), ("Cohere", {"logit_scale": 0.5}),
    ("Gemma2", {**GEMMA, "final_logit_softcapping": 5.0}),
])  # fmt: skip
def test_logits_at_chosen_positions_are_the_models_own(tiny, kind, config):
    model = tiny_model(kind, tiny.tokenizer, **config)
    ids = torch.arange(60).view(2, 30)
    with torch.no_grad():
        logits, hidden = own_logits(model, lambda hidden: hidden[:, [3, 7]], input_ids=ids)
        whole = model(ids).logits
    assert torch.equal(logits, whole[:, [3, 7]]) and hidden.shape == (2, 2, 32)
    assert torch.equal(model(ids).logits, whole), "the head is as before"


@pytest.mark.parametrize("fixed", [False, True])
@pytest.mark.parametrize(("kind", "config"), SCALED)
def test_the_logits_that_are_drawn_from_are_the_models_own(tiny, monkeypatch, kind, config, fixed):
    """With steps of changing and of fixed shape; greedy alone would not notice a scale."""
    monkeypatch.setattr(sampler, "_fixed", lambda base: fixed)
    model, seen = tiny_model(kind, tiny.tokenizer, **config), []
    pick = sampler.pick

    def noted(logits_RV, *how):
        seen.append(logits_RV.clone())
        return pick(logits_RV, *how)

    monkeypatch.setattr(sampler, "pick", noted)
    prompts = ["Solve for x: 3x = 6", "Solve for x: 12x + 4 = 60"]
    texts = sample(model, tiny.tokenizer, prompts, max_new_tokens=6)
    assert len(seen) == 6 and all(len(logits_RV) == 2 for logits_RV in seen)
    rows = [tiny.tokenizer(prompt, add_special_tokens=False)["input_ids"] for prompt in prompts]
    row_of = sorted(range(2), key=lambda i: -len(rows[i]))  # the longest prompt comes first
    for logits_RV in seen:
        for at, i in enumerate(row_of):
            with torch.no_grad():
                own_V = model(torch.tensor([rows[i]])).logits[0, -1]
            torch.testing.assert_close(logits_RV[at], own_V, rtol=1e-4, atol=1e-4)
            rows[i].append(int(own_V.argmax()))
    assert [[c.tokens for c in row] for row in texts] == [[6], [6]]


def test_training_needs_no_attention_of_the_kits(tiny):
    """A tree of texts is computed by the model's own attention, which has its cap and sinks."""
    refuse_other_attention(tiny_model("Gemma2", tiny.tokenizer, **GEMMA), 300, ours=False)
    mistral = tiny_model("Mistral", tiny.tokenizer, sliding_window=64)
    with pytest.raises(ModelError, match="sliding_window = 64 with texts of 65"):
        refuse_other_attention(mistral, 65, ours=False)
    refuse_other_attention(mistral, 64, ours=False)


def traces(*lengths):
    completion = [{"role": "assistant", "content": "x = 3"}]
    return [{"id": f"t{n}", "prompt": [{"role": "user", "content": "a" * n}],
             "completion": completion} for n in lengths]  # fmt: skip


@pytest.mark.parametrize(("kind", "config"), [
    ("Qwen2", {}),
    ("Granite", {"logits_scaling": 8.0, "attention_multiplier": 0.1, "embedding_multiplier": 12.0}),
    ("Cohere", {"logit_scale": 0.5}),
    ("Gemma2", {**GEMMA, "attn_logit_softcapping": 5.0, "final_logit_softcapping": 5.0}),
    ("GptOss", GPT_OSS),
    ("Mistral", {"sliding_window": 64}),
])  # fmt: skip
def test_the_loss_that_is_trained_on_is_the_models_own(tiny, kind, config):
    """The scale and the cap of the logits were left out: 8.27 in place of 5.64 nats."""
    model = tiny_model(kind, tiny.tokenizer, **config)
    examples = encode(traces(10, 14), tiny.tokenizer)
    with torch.no_grad():
        own = [model(torch.tensor([e.ids]), labels=torch.tensor([e.labels])).loss for e in examples]
        ours = CompletionLoss(model)(**pack(examples))
    counts = [sum(label >= 0 for label in e.labels) for e in examples]
    total = sum(loss * count for loss, count in zip(own, counts, strict=True))
    assert float(ours) == pytest.approx(float(total), rel=1e-4)


FEATURES = {  # what a fast path may lose, in the families that have it
    "biases of attention (Qwen2)": ("Qwen2", {}),
    "norms of queries and keys (Qwen3)": ("Qwen3", {"head_dim": 16}),
    "an untied head (Llama)": ("Llama", {"tie_word_embeddings": False}),
    "all biases (Llama)": ("Llama", {"attention_bias": True, "mlp_bias": True}),
    "layers without positions (SmolLM3)": ("SmolLM3", {"no_rope_layers": [1, 0]}),
    "scaled embeddings (Gemma)": ("Gemma", {"head_dim": 16}),
    "a cap of the logits, norms behind (Gemma2)": (
        "Gemma2", {**GEMMA, "attn_logit_softcapping": None, "final_logit_softcapping": 3.0,
                   "sliding_window": 300}),
    "two bases of positions (Gemma3)": ("Gemma3", {**GEMMA, "sliding_window": 300}),
    "a window that is long enough (Mistral)": ("Mistral", {"sliding_window": 300}),
    "one matrix for q, k and v (Phi3)": ("Phi3", {"sliding_window": None}),
    "norms behind each part (Olmo2)": ("Olmo2", {}),
    "four scales (Granite)": ("Granite", {"logits_scaling": 8.0, "attention_multiplier": 0.1,
                              "embedding_multiplier": 12.0, "residual_multiplier": 0.22}),
    "parallel parts, scaled logits (Cohere)": ("Cohere", {"logit_scale": 0.25,
                                               "use_qk_norm": True}),
    "windows in some layers (Cohere2)": ("Cohere2", {"sliding_window": 300, "logit_scale": 4.0}),
    "a bias of the head (Phi)": ("Phi", {"tie_word_embeddings": False}),
    "biases and layer norms (Starcoder2)": ("Starcoder2", {"sliding_window": None}),
}  # fmt: skip


@pytest.mark.parametrize("feature", FEATURES)
def test_no_feature_of_a_family_is_lost(tiny, feature):
    """The loss of a tree with two branches and the greedy text are the model's own."""
    kind, config = FEATURES[feature]
    model = tiny_model(kind, tiny.tokenizer, **config)
    with torch.no_grad():
        for name, weight in model.named_parameters():  # biases and norms begin as 0 and 1
            if "bias" in name or "norm" in name:
                weight += torch.linspace(-0.5, 0.5, weight.numel()).view_as(weight)
    examples = encode(traces(10, 14), tiny.tokenizer)
    with torch.no_grad():
        own = sum(
            model(torch.tensor([e.ids]), labels=torch.tensor([e.labels])).loss
            * sum(label >= 0 for label in e.labels)
            for e in examples
        )
        assert float(CompletionLoss(model)(**pack(examples))) == pytest.approx(float(own), rel=1e-4)
    prompts = ["Solve for x: 3x = 6", "Solve for x: 12x + 4 = 60"]
    texts = sample(model, tiny.tokenizer, prompts, max_new_tokens=8)
    for prompt, (completion,) in zip(prompts, texts, strict=True):
        ids = own_greedy(model, tiny.tokenizer, prompt, completion.tokens)
        own_text = tiny.tokenizer.decode(ids)
        assert completion.text == own_text.removesuffix("<|im_end|>")


def test_a_text_longer_than_the_window_is_refused_before_the_first_step(tiny):
    model = tiny_model("Mistral", tiny.tokenizer, sliding_window=64)
    steps = []
    with pytest.raises(ModelError, match=r"MistralForCausalLM.*sliding_window = 64"):
        distill(model, tiny.tokenizer, traces(*[4] * 30, 200), on_step=steps.append)
    assert steps == []
    with pytest.raises(ModelError, match="sliding_window = 64"):
        CompletionLoss(model)(**pack(encode(traces(200), tiny.tokenizer)))


# --- what no list of names knows ------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "config", "said"), [
    ("DiffLlama", {}, "says something else"),
    ("Nemotron", {}, "cannot be run"),
    ("Mpt", {"d_model": 32, "n_heads": 4, "n_layers": 2}, "an attention that cannot be exchanged"),
])  # fmt: skip
def test_a_model_that_the_sampler_reads_otherwise_is_refused(tiny, kind, config, said):
    model = tiny_model(kind, tiny.tokenizer, **config)
    with pytest.raises(ModelError, match=said):
        sample(model, tiny.tokenizer, ["a", "b"], max_new_tokens=2)


def test_a_model_that_reads_a_tree_otherwise_is_refused_before_it_is_trained(tiny, monkeypatch):
    """As if its attention looked at the mask of a text and not at that of a tree."""
    model = tiny_model("Llama", tiny.tokenizer)
    own = model.model.forward

    def blind(input_ids=None, attention_mask=None, **more):
        return own(input_ids=input_ids, **more)

    monkeypatch.setattr(model.model, "forward", blind)
    with pytest.raises(ModelError, match="says something else"):
        distill(model, tiny.tokenizer, TRACES)
    with pytest.raises(ModelError, match="says something else"):
        read_teacher(model, pack(encode(TRACES, tiny.tokenizer)))


def test_a_model_is_tried_once_and_left_as_it_was(tiny):
    model, read = tiny_model("Llama", tiny.tokenizer).train(), []
    hook = model.model.register_forward_pre_hook(lambda *_: read.append(1))
    sampler.must_sample_alike(model)
    must_read_alike(model)
    seen = len(read)
    sampler.must_sample_alike(model)
    must_read_alike(model)
    hook.remove()
    assert seen == len(read) > 0 and model.training


def test_a_model_whose_own_logits_are_no_numbers_is_not_called_one_that_is_read_otherwise(tiny):
    for call in (lambda model: sample(model, tiny.tokenizer, ["a"], max_new_tokens=2),
                 lambda model: distill(model, tiny.tokenizer, TRACES)):  # fmt: skip
        model = tiny_model("Llama", tiny.tokenizer)
        with torch.no_grad():
            model.model.norm.weight.fill_(float("nan"))
        with pytest.raises(FloatingPointError, match="logits are NaN: load it in float32"):
            call(model)
