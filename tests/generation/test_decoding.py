"""Plain decoding: equal to transformers' generate, and the numbers that describe a strategy."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from distillkit.generation import decoding as kit
from distillkit.generation.sampler import next_token_probs

PROMPTS = ("Solve 2x = 6", "a", "The answer is, as you know, ")


def prompt_of(loaded, text):
    return torch.tensor(loaded.tokenizer(text, add_special_tokens=False)["input_ids"])


def generated(loaded, prompt_T, stops, new=24, **words):
    out = loaded.model.generate(
        prompt_T[None], attention_mask=torch.ones_like(prompt_T)[None], max_new_tokens=new,
        eos_token_id=list(stops) or None, pad_token_id=0, **words,
    )  # fmt: skip
    return out[0, len(prompt_T) :].tolist()


def likely_stop(loaded, prompt_T):
    """A token that greedy decoding does write, so that a stop is met in the middle."""
    return {kit.write(loaded.model, prompt_T, kit.likeliest, 24)[9]}


# --- equal to generate ----------------------------------------------------------------------------


@pytest.mark.parametrize("text", PROMPTS)
@pytest.mark.parametrize("stopping", [False, True])
def test_greedy_is_generates(tiny, text, stopping):
    prompt_T = prompt_of(tiny, text)
    stops = likely_stop(tiny, prompt_T) if stopping else set()
    ours = kit.write(tiny.model, prompt_T, kit.likeliest, 24, stops)
    assert ours == generated(tiny, prompt_T, stops, do_sample=False)
    assert (len(ours) < 24) == stopping


@pytest.mark.parametrize(
    "setting",
    [{}, {"temperature": 0.5}, {"top_k": 7}, {"top_p": 0.8},
     {"temperature": 1.7, "top_k": 50, "top_p": 0.6}],
)  # fmt: skip
def test_drawing_is_generates(tiny, setting):
    prompt_T = prompt_of(tiny, PROMPTS[0])
    torch.manual_seed(3)
    ours = kit.write(tiny.model, prompt_T, kit.drawn(**setting), 24)
    torch.manual_seed(3)
    theirs = generated(tiny, prompt_T, (), do_sample=True, **{"top_k": 0, "top_p": 1.0} | setting)
    assert ours == theirs


@pytest.mark.parametrize("text", PROMPTS)
@pytest.mark.parametrize("beams", [1, 2, 5])
@pytest.mark.parametrize("length_penalty", [0.0, 1.0, 2.0])
@pytest.mark.parametrize("stopping", [False, True])
def test_beam_search_is_generates(tiny, text, beams, length_penalty, stopping):
    prompt_T = prompt_of(tiny, text)
    stops = likely_stop(tiny, prompt_T) if stopping else set()
    more = {"length_penalty": length_penalty, "early_stopping": True} if beams > 1 else {}
    theirs = generated(tiny, prompt_T, stops, do_sample=False, num_beams=beams, **more)
    ours = kit.beam_search(tiny.model, prompt_T, beams, 24, stops, length_penalty)
    assert ours == theirs


def test_the_real_model_decodes_like_generate(smollm):
    prompt_T = prompt_of(smollm, "The capital of France is")
    stops = {smollm.tokenizer.eos_token_id}
    greedy = kit.write(smollm.model, prompt_T, kit.likeliest, 8, stops)
    assert greedy == generated(smollm, prompt_T, stops, 8, do_sample=False)
    beams = kit.beam_search(smollm.model, prompt_T, 3, 8, stops)
    assert beams == generated(smollm, prompt_T, stops, 8, do_sample=False, num_beams=3,
                              early_stopping=True)  # fmt: skip
    assert beams != greedy


def test_beams_find_texts_at_least_as_likely(smollm):
    """Not a law for each prompt, but over several a search that loses is wrong."""
    gains = []
    for text in ("The sun is", "My name is"):
        prompt_T = prompt_of(smollm, text)
        greedy = kit.write(smollm.model, prompt_T, kit.likeliest, 6)
        beams = kit.beam_search(smollm.model, prompt_T, 4, 6)
        gains.append(kit.log_prob(smollm.model, prompt_T, beams)
                     - kit.log_prob(smollm.model, prompt_T, greedy))  # fmt: skip
    assert min(gains) > -1e-3 and max(gains) > 0.1


# --- the parts ------------------------------------------------------------------------------------


def test_a_cold_draw_is_greedy(tiny):
    prompt_T = prompt_of(tiny, PROMPTS[0])
    cold = kit.write(tiny.model, prompt_T, kit.drawn(temperature=1e-4), 24)
    assert cold == kit.write(tiny.model, prompt_T, kit.likeliest, 24)


def test_a_generator_repeats_a_draw(tiny):
    prompt_T = prompt_of(tiny, PROMPTS[0])

    def once(seed):
        choose = kit.drawn(generator=torch.Generator().manual_seed(seed))
        return kit.write(tiny.model, prompt_T, choose, 24)

    assert once(1) == once(1) != once(2)


def test_draws_follow_the_distribution():
    logits_V = torch.tensor([2.0, 1.0, 0.0, -1.0])
    choose = kit.drawn(temperature=2.0, top_k=3, generator=torch.Generator().manual_seed(0))
    counts = torch.bincount(torch.tensor([choose(logits_V) for _ in range(4000)]), minlength=4)
    expected = next_token_probs(logits_V, 2.0, 3)
    assert counts[3] == 0
    torch.testing.assert_close(counts / 4000, expected, atol=0.03, rtol=0)


def test_the_log_probability_is_the_models_own(tiny):
    prompt_T, new = prompt_of(tiny, PROMPTS[0]), [5, 9, 5, 7]
    total, so_far = 0.0, prompt_T
    for token in new:
        total += float(kit.next_logits(tiny.model, so_far).log_softmax(-1)[token])
        so_far = torch.cat([so_far, torch.tensor([token])])
    assert kit.log_prob(tiny.model, prompt_T, new) == pytest.approx(total, rel=1e-5)


def test_nothing_written_has_no_log_probability(tiny):
    with pytest.raises(ValueError, match="no new tokens"):
        kit.log_prob(tiny.model, prompt_of(tiny, "a"), [])


def test_no_new_tokens_are_an_empty_text(tiny):
    prompt_T = prompt_of(tiny, "a")
    assert kit.write(tiny.model, prompt_T, kit.likeliest, 0) == []
    assert kit.beam_search(tiny.model, prompt_T, 2, 0) == []


def test_no_beams_is_an_error(tiny):
    with pytest.raises(ValueError, match="not 0"):
        kit.beam_search(tiny.model, prompt_of(tiny, "a"), 0)


@given(st.integers(1, 4096))
def test_an_even_distribution_has_the_largest_entropy(n):
    assert kit.entropy(torch.full((n,), 1 / n)) == pytest.approx(math.log2(n), abs=1e-4)
    sure = torch.zeros(n)
    sure[n // 2] = 1
    assert (kit.entropy(sure), kit.support(sure)) == (0, 1)


# --- how likely a text was ------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["x", " 5 is the answer", "abc" * 20])
def test_probabilities_are_those_of_one_token_after_the_other(tiny, text):
    prompt_T, text_T = prompt_of(tiny, PROMPTS[0]), prompt_of(tiny, text)
    found = kit.probabilities(tiny.model, prompt_T, text_T)
    so_far, expected = prompt_T, []
    for token in text_T:
        expected.append(float(kit.next_logits(tiny.model, so_far).softmax(-1)[token]))
        so_far = torch.cat([so_far, token[None]])
    assert found == pytest.approx(expected, rel=1e-4)


def test_an_empty_text_has_no_probabilities(tiny):
    prompt_T = prompt_of(tiny, PROMPTS[0])
    assert kit.probabilities(tiny.model, prompt_T, prompt_T[:0]) == []
