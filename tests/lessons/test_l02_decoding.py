"""Lesson 02: its figures and its exercises."""

from __future__ import annotations

import warnings

import pytest
import torch

from distillkit import plots
from distillkit.generation import decoding as kit
from distillkit.generation.sampler import next_token_probs
from distillkit.lessons.l02_decoding import figures
from distillkit.lessons.l02_decoding.checks import beam_step, greedy_text, nucleus
from distillkit.teaching.exercise import WRONG


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


def test_tokens_that_the_font_lacks_are_written_as_escapes():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure, _ = figures.draw_next_token(torch.linspace(5, 0, 3), ["答案", "ไ", "é"])
        plots.to_png(figure)
    labels = [text.get_text() for text in figure.axes[0].get_yticklabels()]
    assert labels == [r"\u7b54\u6848", r"\u0e44", "é"]
