"""The batched sampler: the same text as `generate`, and the distribution it says it samples."""

from __future__ import annotations

import copy
import time
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from peft import get_peft_model

from distillkit.generation import sampler as kit
from distillkit.generation.sampler import (
    Completion,
    Ending,
    _draws,
    _Row,
    common_prefix,
    must_sample_alike,
    next_token_probs,
    pick,
    sample,
)
from distillkit.models.chats import chat_text
from distillkit.models.loading import load
from distillkit.traces.templates import SHOTS, THINK, messages
from distillkit.training.lora import lora

EQUATIONS = ("3x = 6", "x/5 = -4", "3x + 5 = 20", "4(x - 6) = -8", "x = 1", "6x = -3x", "3x = 60")
SHARED = [f"Solve for x: {equation}" for equation in EQUATIONS]
APART = ["one", "Two and more", "3", "fourth prompt, the longest of them all", "e"]
NESTED = ["ab", "abc", "ab", "abcd"]  # a prompt that is the beginning of another, and a copy


class TokenNumbers:
    """A tokenizer that shows token ids in the place of text, so that no token can hide."""

    def __init__(self, tokenizer):
        self.tokenizer, self.eos_token_id = tokenizer, tokenizer.eos_token_id

    def __call__(self, *args, **options):
        return self.tokenizer(*args, **options)

    def decode(self, ids, **_):
        return " ".join(map(str, ids))


def generated(model, tokenizer, prompt, **options):
    """The new token ids of transformers' own greedy `generate`, for one prompt alone."""
    ids = torch.tensor([tokenizer(prompt, add_special_tokens=False)["input_ids"]])
    out = model.generate(
        input_ids=ids, attention_mask=torch.ones_like(ids), do_sample=False, **options
    )
    return out[0, ids.shape[1] :].tolist()


def shown(model, ids):
    """The ids as `TokenNumbers` shows them, without the end."""
    ends = model.generation_config.eos_token_id
    ended = ids[-1] in (ends if isinstance(ends, list) else [ends])
    return " ".join(map(str, ids[:-1] if ended else ids))


def texts(results):
    return [[completion.text for completion in row] for row in results]


@pytest.fixture(scope="module", params=["Qwen2", "Llama"])
def early(request, tiny, tiny_llama):
    """A model with many end tokens, so that rows end at different times and are replaced."""
    source = tiny if request.param == "Qwen2" else tiny_llama
    model = copy.deepcopy(source.model)
    model.generation_config.eos_token_id = [tiny.tokenizer.eos_token_id, *range(0, 250, 16)]
    return SimpleNamespace(model=model, tokenizer=TokenNumbers(tiny.tokenizer))


# --- greedy: token for token what `generate` writes -----------------------------------------------


@pytest.mark.parametrize("at_once", [1, 24, 512])
@pytest.mark.parametrize("width", [1, 2, 5])
@pytest.mark.parametrize("prompts", [SHARED, APART, NESTED], ids=["shared", "apart", "nested"])
def test_greedy_is_generate_token_for_token(early, prompts, width, at_once, monkeypatch):
    monkeypatch.setattr(kit, "CPU_TOKENS", at_once)
    got = sample(early.model, early.tokenizer, prompts, max_new_tokens=24, width=width)
    want = [generated(early.model, early.tokenizer, p, max_new_tokens=24) for p in prompts]
    assert texts(got) == [[shown(early.model, ids)] for ids in want]
    assert [row[0].tokens for row in got] == [len(ids) for ids in want]


def test_the_rows_of_the_test_above_end_at_different_times(early):
    got = sample(early.model, early.tokenizer, SHARED, max_new_tokens=24)
    assert len({row[0].tokens for row in got}) > 2
    assert len({row[0].text for row in got}) == len(SHARED)


@pytest.mark.parametrize(("device", "at_once"), [("cpu", 2), ("cuda", 3)])
def test_prompts_are_read_as_many_at_once_as_a_device_has_room_for(device, at_once, monkeypatch):
    monkeypatch.setattr(kit, "CPU_TOKENS", 24)
    monkeypatch.setattr(kit, "CARD_TOKENS", 36)
    read = []

    class NoForwardPass(kit.Reader):
        def __init__(self):
            self.device = torch.device(device)

        def _prompts(self, own, first):
            read.append((first, len(own)))
            return torch.zeros(len(own), 1)

    assert len(NoForwardPass().prompts([[7] * 12] * 7, 5)) == 7
    assert read == [(5 + at, min(at_once, 7 - at)) for at in range(0, 7, at_once)]


def test_full_memory_is_said_with_what_to_do(tiny, monkeypatch):
    def full(self, last, starts):
        raise torch.OutOfMemoryError("CUDA out of memory")

    kit.must_sample_alike(tiny.model)
    monkeypatch.setattr(kit.Reader, "step", full)
    with pytest.raises(MemoryError, match=r"hold 3 texts at once: .*--quant nf4.*`width`"):
        sample(tiny.model, tiny.tokenizer, SHARED, width=3)
    assert tiny.model.config._attn_implementation != "distillkit"


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_the_weights_of_16_bit_attention_are_calculated_in_float32(dtype):
    scores = (8 * torch.randn(7, 3, 1, 530, generator=torch.Generator().manual_seed(0))).to(dtype)
    scores[..., 500:] = float("-inf")
    assert torch.equal(scores.softmax(-1), scores.float().softmax(-1).to(dtype))


def test_several_greedy_candidates_are_all_the_same(tiny):
    for row in sample(tiny.model, tiny.tokenizer, APART, k=3, max_new_tokens=6, width=6):
        assert len(row) == 3 and len({c.text for c in row}) == 1


def test_a_real_model_writes_what_generate_writes(smollm):
    prompts = [chat_text(smollm.tokenizer, messages(text, THINK, SHOTS[:1]))
               for text in ("Solve for x: 3x + 5 = 20", "Solve for x: x/7 = -3")]  # fmt: skip
    numbers = TokenNumbers(smollm.tokenizer)
    got = sample(smollm.model, numbers, prompts, max_new_tokens=12)
    want = [generated(smollm.model, smollm.tokenizer, p, max_new_tokens=12) for p in prompts]
    assert texts(got) == [[shown(smollm.model, ids)] for ids in want]


def test_a_model_from_a_folder_writes_the_same(tiny, tiny_folder):
    loaded = load(str(tiny_folder), say=lambda text: None)
    got = sample(loaded.model, loaded.tokenizer, APART, max_new_tokens=8)
    assert texts(got) == texts(sample(tiny.model, tiny.tokenizer, APART, max_new_tokens=8))


# --- every candidate has its own random stream ----------------------------------------------------

SAMPLED = {"temperature": 1.0, "max_new_tokens": 12, "seed": 3}


@pytest.fixture(scope="module")
def drawn(tiny):
    """Three candidates for each prompt, with the default width."""
    return texts(sample(tiny.model, TokenNumbers(tiny.tokenizer), SHARED, k=3, **SAMPLED))


@pytest.mark.parametrize("width", [1, 3, 7])
def test_a_sampled_text_does_not_depend_on_the_width(tiny, drawn, width):
    numbers = TokenNumbers(tiny.tokenizer)
    assert texts(sample(tiny.model, numbers, SHARED, k=3, width=width, **SAMPLED)) == drawn


def test_a_sampled_text_does_not_depend_on_the_order(tiny, drawn):
    numbers = TokenNumbers(tiny.tokenizer)
    got = texts(sample(tiny.model, numbers, SHARED[::-1], k=3, width=6, **SAMPLED))
    assert got[::-1] == drawn


def test_a_sampled_text_does_not_depend_on_the_other_prompts(tiny, drawn):
    numbers = TokenNumbers(tiny.tokenizer)
    got = texts(sample(tiny.model, numbers, [SHARED[4], SHARED[1]], k=3, **SAMPLED))
    assert got == [drawn[4], drawn[1]]


def test_the_first_candidates_do_not_depend_on_how_many_follow(tiny, drawn):
    numbers = TokenNumbers(tiny.tokenizer)
    got = texts(sample(tiny.model, numbers, SHARED[:2], k=2, **SAMPLED))
    assert got == [row[:2] for row in drawn[:2]]


def test_the_global_random_state_changes_nothing(tiny, drawn):
    torch.manual_seed(99)
    numbers = TokenNumbers(tiny.tokenizer)
    assert texts(sample(tiny.model, numbers, SHARED[:1], k=3, **SAMPLED)) == drawn[:1]


def test_a_stream_is_the_same_however_many_numbers_are_taken():
    long = _draws(0, "a", 0, 100)
    assert long[:5] == _draws(0, "a", 0, 5) and len(set(long)) > 90


def test_each_seed_prompt_and_candidate_has_its_own_stream():
    streams = [(0, "a", 0), (1, "a", 0), (0, "b", 0), (0, "a", 1)]
    assert len({_draws(*s, 1)[0] for s in streams}) == len(streams)


def test_candidates_prompts_and_seeds_differ(tiny, drawn):
    assert len({text for row in drawn for text in row}) == 3 * len(SHARED)
    other = SAMPLED | {"seed": 4}
    got = texts(sample(tiny.model, TokenNumbers(tiny.tokenizer), SHARED, k=3, **other))
    assert not {text for row in drawn for text in row} & {text for row in got for text in row}


# --- the distribution -----------------------------------------------------------------------------


def distance(chosen, probs_V):
    """The total variation distance between counts and a distribution: 0 same, 1 apart."""
    counts_V = torch.bincount(torch.tensor(chosen), minlength=len(probs_V)).double()
    return float((counts_V / counts_V.sum() - probs_V.double()).abs().sum() / 2)


LOGITS = torch.tensor([[2.0, 0.5, -1.0, 1.0, 0.0, -3.0]])


def some_logits(v):
    return torch.randn(1, v, generator=torch.Generator().manual_seed(0))


def draw(logits_V=LOGITS, n=4000, temperature=1.0, top_k=0, top_p=1.0):
    draws = [_draws(0, "a prompt", i, 1)[0] for i in range(n)]
    return pick(logits_V.expand(n, -1), draws, temperature, top_k, top_p)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_draws_follow_the_softmax(temperature):
    expected = torch.tensor([2.0, 0.5, -1.0, 1.0, 0.0, -3.0]).div(temperature).softmax(-1)
    assert distance(draw(temperature=temperature), expected) < 0.03


@pytest.mark.parametrize(
    "settings", [{"top_k": 3}, {"top_p": 0.8}, {"top_k": 4, "top_p": 0.9, "temperature": 2.0}]
)
def test_draws_follow_the_truncated_distribution(settings):
    expected = next_token_probs(LOGITS, **settings)[0]
    chosen = draw(**settings)
    assert distance(chosen, expected) < 0.03
    assert {i for i in range(6) if expected[i] > 0} == set(chosen)


def test_a_sampled_token_follows_the_model(tiny):
    prompt, n = APART[1], 2000
    ids = torch.tensor([tiny.tokenizer(prompt)["input_ids"]])
    with torch.no_grad():
        top = tiny.model(ids).logits[0, -1].topk(5)
    numbers = TokenNumbers(tiny.tokenizer)
    (row,) = sample(tiny.model, numbers, [prompt], k=n, temperature=1.0, top_k=5, max_new_tokens=1)
    places = {token: place for place, token in enumerate(top.indices.tolist())}
    chosen = [places[int(completion.text)] for completion in row]
    assert distance(chosen, top.values.softmax(-1)) < 0.04


@pytest.mark.parametrize("value", [0.0, 1 - 2**-24])  # the ends of what torch.rand can give
@pytest.mark.parametrize("n", [10, 4000, 50_000])  # for some the rounded sum is not 1
def test_a_token_of_probability_zero_is_never_drawn(value, n):
    logits = some_logits(n + 2)
    logits[0, [0, -1]] = float("-inf")
    assert pick(logits, [value], 1.0, 0, 1.0) == [1 if value == 0 else n]


def test_top_k_keeps_the_k_likeliest():
    probs = next_token_probs(LOGITS, top_k=3)[0]
    assert probs.nonzero().flatten().tolist() == [0, 1, 3]
    torch.testing.assert_close(probs[[0, 1, 3]], LOGITS[0, [0, 1, 3]].softmax(-1))


@pytest.mark.parametrize("top_k", [0, 6, 100])
def test_top_k_without_effect(top_k):
    torch.testing.assert_close(next_token_probs(LOGITS, top_k=top_k), LOGITS.softmax(-1))


@given(st.lists(st.floats(-5, 5, width=32), min_size=1, max_size=9), st.floats(0.05, 0.99))
def test_top_p_keeps_the_smallest_set_that_reaches_p(logits, top_p):
    full = torch.tensor(logits).softmax(-1)
    kept = next_token_probs(torch.tensor([logits]), top_p=top_p)[0] > 0
    inside, outside = full[kept], full[~kept]
    assert inside.sum() >= top_p - 1e-5
    assert inside.sum() - inside.min() < top_p + 1e-5, "without its least likely it falls short"
    assert not len(outside) or outside.max() <= inside.min()


def test_top_p_example():
    logits = torch.tensor([[0.5, 0.3, 0.15, 0.05]]).log()
    got = next_token_probs(logits, top_p=0.75)[0]
    torch.testing.assert_close(got, torch.tensor([0.625, 0.375, 0.0, 0.0]))
    got = next_token_probs(logits, top_p=0.85)[0]
    torch.testing.assert_close(got, torch.tensor([50.0, 30.0, 15.0, 0.0]) / 95)


def test_top_p_is_taken_after_top_k():
    logits = torch.tensor([[0.4, 0.3, 0.2, 0.1]]).log()
    got = next_token_probs(logits, top_k=2, top_p=0.55)[0]  # 0.4 / 0.7 = 0.57 is enough
    torch.testing.assert_close(got, torch.tensor([1.0, 0.0, 0.0, 0.0]))


def test_rows_are_truncated_each_by_itself():
    logits = torch.tensor([[3.0, 0.0, 0.0], [0.0, 0.0, 3.0]])
    got = next_token_probs(logits, top_k=1)
    torch.testing.assert_close(got, torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]))


def test_a_low_temperature_is_greedy_and_a_high_one_uniform():
    assert next_token_probs(LOGITS, 1e-3)[0].argmax() == 0
    assert next_token_probs(LOGITS, 1e-3)[0, 0] == 1
    torch.testing.assert_close(
        next_token_probs(LOGITS, 1e6), torch.full((1, 6), 1 / 6), atol=1e-5, rtol=0
    )


@pytest.mark.parametrize(
    "settings",
    [
        {"temperature": -1.0},
        {"temperature": float("nan")},
        {"temperature": float("inf")},
        {"temperature": 1e-40},
        {"temperature": 1.0, "top_k": -1},
        {"temperature": 1.0, "top_p": 0.0},
        {"temperature": 1.0, "top_p": 1.5},
        {"k": 0},
        {"max_new_tokens": 0},
        {"prompts": ["a", ""]},
    ],
)
def test_settings_out_of_range_are_refused(tiny, settings):
    with pytest.raises(ValueError, match="need"):
        sample(tiny.model, tiny.tokenizer, **({"prompts": ["a"]} | settings))


def test_texts_are_begun_for_each_prompt_or_for_none(tiny):
    with pytest.raises(ValueError, match="begun has 1 texts for 2 prompts"):
        sample(tiny.model, tiny.tokenizer, ["a", "b"], max_new_tokens=2, begun=["x"])


@pytest.mark.parametrize("temperature", [0, 0.7])
def test_logits_that_are_no_numbers_end_the_sampling(temperature):
    """Every text was empty, or the last token of the vocabulary again and again."""
    broken = torch.tensor([[0.1, 0.2], [0.1, float("nan")]])
    with pytest.raises(FloatingPointError, match="logits are NaN"):
        pick(broken, [0.5, 0.5], temperature, 0, 1.0)


def test_a_distribution_at_temperature_zero_is_refused():
    with pytest.raises(ValueError, match="temperature"):
        next_token_probs(LOGITS, temperature=0)


# --- how a text ends ------------------------------------------------------------------------------


def finished(tokenizer, text, stop="", limit=100, end=()):
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    row = _Row(0, 0, [], 0, ids=[*ids, *end], seconds=1.5)
    return Ending(tokenizer, {tokenizer.eos_token_id}, stop, limit)(row)


def test_the_end_token_ends_and_is_not_in_the_text(tiny):
    end = [tiny.tokenizer.eos_token_id]
    assert finished(tiny.tokenizer, "x = 5", end=end) == Completion("x = 5", "eos", 6, 1.5)


def test_a_text_has_its_tokens_and_the_end_token_is_one_of_them(tiny):
    ids = tiny.tokenizer("x = 5", add_special_tokens=False)["input_ids"]
    end = [tiny.tokenizer.eos_token_id]
    assert finished(tiny.tokenizer, "x = 5", end=end).ids == ids + end
    assert finished(tiny.tokenizer, "x = 5", limit=5).ids == ids


def test_a_text_that_is_stuck_at_its_end_does_not_show_the_end_token(tiny):
    ids = [*tiny.tokenizer("x = 5")["input_ids"], tiny.tokenizer.eos_token_id]
    row = _Row(0, 0, [], 0, ids=ids, draft=SimpleNamespace(stuck=True))
    done = Ending(tiny.tokenizer, {ids[-1]}, "", 100)(row)
    assert (done.text, done.finish) == ("x = 5", "stuck")


def test_without_an_end_the_limit_cuts(tiny):
    assert finished(tiny.tokenizer, "x = 5", limit=5) == Completion("x = 5", "length", 5, 1.5)
    assert finished(tiny.tokenizer, "x = 5", limit=6) is None


def test_the_stop_text_is_the_end_of_the_text(tiny):
    text = "<think>\n3x = 6\n</think>\n<answer>2</answer>"
    done = finished(tiny.tokenizer, text, stop="</answer>")
    assert (done.text, done.finish) == (text, "stop")
    assert finished(tiny.tokenizer, text[:-1], stop="</answer>") is None


def test_a_stop_text_may_have_a_token_for_each_byte(tiny):
    """Nine tokens of three characters: the last seven were looked at, and the text went on."""
    done = finished(tiny.tokenizer, "x = 5 答案是", stop="答案是")
    assert (done.text, done.finish) == ("x = 5 答案是", "stop")


def test_what_a_token_has_after_the_stop_text_is_cut_off():
    class Words(dict):
        def decode(self, ids, **_):
            return "".join(self[i] for i in ids)

    words = Words({0: "\\boxed{", 1: "5", 2: "}}", 3: "} so"})
    for last in (2, 3):
        done = Ending(words, set(), "}", 9)(_Row(0, 0, [], 0, ids=[0, 1, last]))
        assert (done.text, done.finish, done.tokens) == ("\\boxed{5}", "stop", 3)


@pytest.fixture
def tagged(tiny):
    """The byte tokenizer with the template's tags as special tokens, as some models have them."""
    tokenizer = copy.deepcopy(tiny.tokenizer)
    tags = ["<think>", "</think>", "<answer>", "</answer>"]
    tokenizer.add_special_tokens({"additional_special_tokens": tags})
    return tokenizer


def test_tags_that_are_special_tokens_stay_in_the_text(tagged):
    text = "<think>\n3x = 6\n</think>\n<answer>2</answer>"
    done = finished(tagged, text, stop="</answer>")
    assert (done.text, done.finish) == (text, "stop")
    assert finished(tagged, text, end=[tagged.eos_token_id]).text == text
    assert finished(tagged, text, limit=1).text == text


def test_a_stop_text_of_several_bytes_is_found(tiny):
    text = "x = 5 ∎"
    done = finished(tiny.tokenizer, text, stop="∎")
    assert (done.text, done.finish) == (text, "stop")
    assert finished(tiny.tokenizer, text[:-1], stop="∎") is None


def test_sampling_stops_at_the_stop_text(tiny):
    (full,) = sample(tiny.model, tiny.tokenizer, APART[:1], max_new_tokens=24)[0]
    letter = next(char for i, char in enumerate(full.text)
                  if i > 4 and char.isascii() and char not in full.text[:i])  # fmt: skip
    (cut,) = sample(tiny.model, tiny.tokenizer, APART[:1], max_new_tokens=24, stop=letter)[0]
    assert cut.finish == "stop"
    assert cut.text == full.text[: full.text.index(letter) + 1]
    assert cut.tokens < full.tokens


def test_the_limit_is_kept(tiny):
    for row in sample(tiny.model, tiny.tokenizer, SHARED, max_new_tokens=3, width=2):
        assert (row[0].tokens, row[0].finish) == (3, "length")


# --- steps of fixed shape, as a CUDA graph needs them ---------------------------------------------


@pytest.mark.parametrize("width", [1, 3, 64])
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_steps_of_fixed_shape_write_the_same(early, monkeypatch, width, temperature):
    options = {"k": 1 if width == 1 else 3, "temperature": temperature, "max_new_tokens": 24}
    want = sample(early.model, early.tokenizer, SHARED, width=width, **options)
    shapes = set()

    def before_forward(module, args):
        shapes.add(args[0].shape)

    monkeypatch.setattr("distillkit.generation.sampler._fixed", lambda base: True)
    hook = early.model.get_input_embeddings().register_forward_pre_hook(before_forward)
    got = sample(early.model, early.tokenizer, SHARED, width=width, **options)
    hook.remove()
    assert texts(got) == texts(want)
    rows = max(options["k"], min(width, options["k"] * len(SHARED)))
    assert {shape for shape in shapes if shape[1] == 1} == {(rows, 1)}


# --- the caller's view ----------------------------------------------------------------------------


def test_no_prompts_no_texts(tiny):
    assert sample(tiny.model, tiny.tokenizer, []) == []


def test_each_candidate_is_reported_once_with_its_place(early):
    seen = {}

    def on_done(prompt, candidate, completion):
        assert (prompt, candidate) not in seen
        seen[prompt, candidate] = completion

    got = sample(early.model, early.tokenizer, SHARED, k=2, temperature=1.0, max_new_tokens=9,
                 width=4, on_done=on_done)  # fmt: skip
    assert len(seen) == 2 * len(SHARED)
    assert all(got[p][c] is completion for (p, c), completion in seen.items())


def test_short_texts_are_reported_before_the_last_is_written(early):
    order = []

    def on_done(prompt, candidate, completion):
        order.append(completion.tokens)

    sample(early.model, early.tokenizer, SHARED, max_new_tokens=24, on_done=on_done)
    assert order == sorted(order) and order[0] < order[-1]


def test_the_seconds_of_the_texts_add_up_to_no_more_than_the_clock(tiny):
    began = time.perf_counter()
    got = sample(tiny.model, tiny.tokenizer, SHARED, max_new_tokens=8)
    elapsed = time.perf_counter() - began
    assert 0 < sum(row[0].seconds for row in got) <= elapsed


@pytest.mark.parametrize("training", [True, False])
def test_attention_and_mode_are_as_before(fresh_tiny, training):
    model = fresh_tiny.model.train(training)
    before = model.config._attn_implementation
    sample(model, fresh_tiny.tokenizer, APART, max_new_tokens=2)
    assert before != "distillkit"
    assert (model.config._attn_implementation, model.training) == (before, training)


def test_attention_and_mode_are_as_before_after_an_exception(fresh_tiny):
    def stop(*_):
        raise KeyboardInterrupt

    model = fresh_tiny.model.train()
    before = model.config._attn_implementation
    with pytest.raises(KeyboardInterrupt):
        sample(model, fresh_tiny.tokenizer, APART, max_new_tokens=2, on_done=stop)
    assert (model.config._attn_implementation, model.training) == (before, True)


def test_after_sampling_the_model_computes_as_before(fresh_tiny):
    ids = torch.tensor([fresh_tiny.tokenizer(APART[3])["input_ids"]])
    with torch.no_grad():
        before = fresh_tiny.model(ids).logits
        sample(fresh_tiny.model, fresh_tiny.tokenizer, APART, max_new_tokens=2)
        assert torch.equal(fresh_tiny.model(ids).logits, before)


def test_a_free_place_is_taken_while_other_texts_go_on(early):
    started, done, going_on = [], [], []

    def before_forward(module, args):
        rows, tokens = args[0].shape
        if tokens > 1:  # new prompts
            going_on.append(len(started) - len(done))
            started.extend([1] * rows)

    hook = early.model.get_input_embeddings().register_forward_pre_hook(before_forward)
    prompts = ["one 1", "two and 2", "3 or three", "fourth", "a fifth one", "6 more"]
    sample(early.model, early.tokenizer, prompts, max_new_tokens=24, width=2,
           on_done=lambda *_: done.append(1))  # fmt: skip
    hook.remove()
    assert len(started) == len(done) == len(prompts)
    assert going_on[0] == 0 and 1 in going_on


# --- adapters -------------------------------------------------------------------------------------


@pytest.fixture
def adapted(fresh_tiny):
    """A student whose adapter changes what it says; dropout shows if it is in train mode."""
    config = lora(r=4)
    config.lora_dropout = 0.5
    model = get_peft_model(fresh_tiny.model, config)
    generator = torch.Generator().manual_seed(0)
    for name, weight in model.named_parameters():
        if "lora_" in name:
            weight.data = torch.randn(weight.shape, generator=generator) * 0.3
    return model.eval()


def test_an_adapter_is_active(tiny, adapted):
    numbers = TokenNumbers(tiny.tokenizer)
    got = texts(sample(adapted, numbers, SHARED, max_new_tokens=12, width=3))
    want = [generated(adapted, numbers, p, max_new_tokens=12) for p in SHARED]
    assert got == [[shown(adapted, ids)] for ids in want]
    assert got != texts(sample(tiny.model, numbers, SHARED, max_new_tokens=12))


def test_a_student_in_train_mode_is_sampled_without_dropout(tiny, adapted):
    numbers = TokenNumbers(tiny.tokenizer)
    calm = texts(sample(adapted, numbers, SHARED, max_new_tokens=12))
    adapted.train()
    assert texts(sample(adapted, numbers, SHARED, max_new_tokens=12)) == calm
    dropouts = [m for name, m in adapted.named_modules() if name.endswith("lora_dropout.default")]
    assert adapted.training and dropouts and all(m.training for m in dropouts)


# --- the shared prefix ----------------------------------------------------------------------------

PROMPTS = st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=6), min_size=1, max_size=5)


@given(PROMPTS)
def test_the_common_prefix_is_common_and_the_longest(prompts):
    n = common_prefix(prompts)
    assert len({tuple(prompt[:n]) for prompt in prompts}) == 1
    assert all(len(prompt) > n for prompt in prompts), "each keeps a token of its own"
    longer = {tuple(prompt[: n + 1]) for prompt in prompts}
    assert len(longer) > 1 or min(map(len, prompts)) == n + 1


def test_the_prefix_is_computed_once(fresh_tiny):
    must_sample_alike(fresh_tiny.model)
    lengths = []
    hook = fresh_tiny.model.get_input_embeddings().register_forward_pre_hook(
        lambda module, args: lengths.append(tuple(args[0].shape))
    )
    sample(fresh_tiny.model, fresh_tiny.tokenizer, ["abcdefgh1", "abcdefgh22"], max_new_tokens=2)
    hook.remove()
    assert lengths == [(1, 8), (2, 2), (2, 1)]
