"""Plain decoding: equal to transformers' generate, and the numbers that describe a strategy."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from distillkit import decoding as kit
from distillkit import figures_decoding as figures
from distillkit.checks.core import WRONG
from distillkit.checks.decoding import beam_step, greedy_text, nucleus
from distillkit.sampling import next_token_probs

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
    theirs = generated(
        tiny, prompt_T, (), do_sample=True, **{"top_k": 0, "top_p": 1.0} | setting
    )
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
    for text in ("The sun is", "My name is", "Two plus two"):
        prompt_T = prompt_of(smollm, text)
        greedy = kit.write(smollm.model, prompt_T, kit.likeliest, 8)
        beams = kit.beam_search(smollm.model, prompt_T, 6, 8)
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


def test_no_beams_is_an_error(tiny):
    with pytest.raises(ValueError, match="not 0"):
        kit.beam_search(tiny.model, prompt_of(tiny, "a"), 0)


@given(st.integers(1, 4096))
def test_an_even_distribution_has_the_largest_entropy(n):
    assert kit.entropy(torch.full((n,), 1 / n)) == pytest.approx(math.log2(n), abs=1e-4)
    sure = torch.zeros(n)
    sure[n // 2] = 1
    assert (kit.entropy(sure), kit.support(sure)) == (0, 1)


# --- the figures ----------------------------------------------------------------------------------


@pytest.mark.parametrize("temperature", [0.1, 3.0])
@pytest.mark.parametrize("top_k", [0, 1, 100])
@pytest.mark.parametrize("top_p", [0.1, 1.0])
def test_the_next_token_at_the_ends_of_the_controls(temperature, top_k, top_p):
    logits_V = torch.randn(300, generator=torch.Generator().manual_seed(0)) * 3
    tokens = [" a", "\n", "$x^2$", "", "a very long token indeed", *"bcdefgh"]
    figure, caption = figures.draw_next_token(logits_V, tokens, temperature, top_k, top_p)
    probs_V = next_token_probs(logits_V, temperature, top_k, top_p)
    plain_V = logits_V.softmax(-1)
    best = plain_V.topk(figures.SHOWN).indices
    (axes,) = figure.axes
    widths = [bar.get_width() for bar in axes.patches]
    assert widths == pytest.approx([*plain_V[best].tolist(), *probs_V[best].tolist()])
    cut = [text.get_text() == "cut" for text in axes.texts]
    assert cut == [float(p) == 0 for p in probs_V[best]]
    names = axes.get_yticklabels()
    assert [name.get_text() for name in names] == [figures.visible(token) for token in tokens]
    assert not any(name.get_parse_math() for name in names), "a token is never mathematics"
    assert f"{kit.support(probs_V):,} of 300 tokens" in caption
    assert f"Entropy {kit.entropy(probs_V):.2f} bits" in caption


@pytest.mark.parametrize(
    ("token", "seen"),
    [(" the", "␣the"), ("\n\n", "⏎⏎"), ("", "∅"), ("\x07", "·"), ("x" * 20, "x" * 13 + "…")],
)
def test_spaces_and_line_ends_of_a_token_are_seen(token, seen):
    assert figures.visible(token) == seen


def test_the_captions_of_the_experiment_give_its_numbers():
    figure, words = figures.draw_sharpening({0.5: 0.25, 2.0: 3.5}, 1.25)
    assert figure.axes[0].lines[0].get_xydata().tolist() == [[0.5, 0.25], [2.0, 3.5]]
    assert "from 0.25 to 3.50 bits" in words and "is 1.25" in words
    rows = [
        {"strategy": "greedy", "problems": 10, "candidates": 10, "right": 7, "solved": 7},
        {"strategy": "warm", "problems": 10, "candidates": 80, "right": 40, "solved": 9},
    ]
    figure, words = figures.draw_strategies(rows, k=8)
    assert "greedy (70 %), one of 8 with warm (90 %)" in words
    heights = [bar.get_height() for bar in figure.axes[0].patches]
    assert heights == pytest.approx([70, 50, 70, 90])


# --- the exercises --------------------------------------------------------------------------------


def top_p_by_loop(probs_V, top_p):
    kept, total = torch.zeros_like(probs_V), 0.0
    for place in probs_V.argsort(descending=True).tolist():
        if total < top_p:
            kept[place] = probs_V[place]
            total += float(probs_V[place])
    return kept / kept.sum()


def greedy_by_for(next_logits, prompt, limit, stop):
    ids = list(prompt)
    for _ in range(limit):
        ids.append(next_logits(ids).argmax().item())
        if ids[-1] == stop:
            break
    return ids[len(prompt) :]


def step_by_sorting(scores_B, log_probs_BV, beams):
    found = [
        (float(s + p), (row, token))
        for row, (s, rest) in enumerate(zip(scores_B, log_probs_BV))
        for token, p in enumerate(rest)
    ]
    return [pair for _, pair in sorted(found, key=lambda x: -x[0])[:beams]]


@pytest.mark.parametrize(
    ("exercise", "attempt"),
    [(nucleus, top_p_by_loop), (greedy_text, greedy_by_for), (beam_step, step_by_sorting)],
)
def test_a_right_attempt_gets_its_tick(exercise, attempt):
    assert exercise.judge(attempt).message == f"✓ {exercise.name}"


@pytest.mark.parametrize(
    ("exercise", "attempt"),
    [
        (nucleus, lambda p, top_p: next_token_probs(p.log(), top_k=2)),
        (nucleus, lambda p, top_p: p / 0),
        (greedy_text, lambda f, prompt, limit, stop: int(f(prompt).argmax())),
        (beam_step, lambda s, p, beams: (s[:, None] + p).flatten().topk(beams).indices.tolist()),
    ],
)
def test_another_wrong_attempt_is_told_where(exercise, attempt):
    outcome = exercise.judge(attempt)
    assert outcome.kind == WRONG and "on input" in outcome.message


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
