"""The figures of lesson 09, and the ways to use a part of a teacher."""

from __future__ import annotations

import math

import pytest
import torch

from distillkit.lessons.l09_soft_lm import checks, truncations
from distillkit.lessons.l09_soft_lm import figures as kit
from distillkit.teaching.exercise import DONE
from distillkit.training.losses import forward_kl, reverse_kl


@pytest.fixture(scope="module")
def logits():
    numbers = torch.Generator().manual_seed(0)
    return tuple(2 * torch.randn(12, 40, generator=numbers) for _ in "st")


def test_forward_kl_covers_both_humps_and_reverse_kl_seeks_the_larger_one():
    pairs, _ = kit.one_humps()
    (cover, wide), (seek, narrow) = (pairs[kit.best_hump(beta, 5.0)[0]] for beta in (0.0, 1.0))
    assert -2 < cover < 0 and wide > 2
    assert seek == pytest.approx(-2.5, abs=0.2) and narrow < 0.7
    words = kit.draw_humps(1.0, 5.0)[1]
    assert words.startswith("β = 1: the best hump stands at -2.5")
    assert "never says 35 % of what the teacher says" in words


def test_the_scaled_jsd_has_no_jump_at_its_ends(logits):
    near = [kit.scaled_jsd(*logits, beta=b).mean().item() for b in (1e-3, 1 - 1e-3)]
    ends = [kl(*logits).mean().item() for kl in (forward_kl, reverse_kl)]
    assert near == pytest.approx(ends, rel=0.1)
    assert [kit.scaled_jsd(*logits, beta=b).mean().item() for b in (0, 1)] == ends
    figure, words = kit.draw_jsd(*logits)
    plain, scaled, stars = figure.axes[0].lines
    assert min(plain.get_ydata()) < 0.02 * min(scaled.get_ydata())
    assert list(stars.get_ydata()) == pytest.approx(ends)
    assert f"Forward KL {ends[0]:.3f}" in words


def test_the_five_ways_differ_as_the_lesson_says(logits):
    student, teacher = logits
    rows = {k: truncations.compare(student, teacher, k) for k in (2, 39)}
    for found in rows.values():
        assert found["all"][1:] == (0.0, 0)
        assert found["all"][0] == pytest.approx(forward_kl(*logits).mean().item(), rel=1e-5)
        rest = found["K and the rest"]
        assert 0 < rest[0] <= found["all"][0] + 1e-6 and rest[2] == 0
    assert rows[2]["renormalised"][1] > 2 * rows[2]["K and the rest"][1]
    assert rows[39]["K and the rest"][1] < 1e-3
    figure, words = kit.draw_truncations(rows)
    assert len(figure.axes[0].lines) == 4 and "With K = 2" in words


def test_naive_terms_go_below_zero_and_the_rest_mends_it():
    teacher = torch.tensor([[0.5, 0.3, 0.2]]).log()
    student = torch.tensor([[0.6, 0.35, 0.05]]).log()
    assert truncations.naive(student, teacher, 2).item() < -0.1
    assert truncations.with_rest(student, teacher, 2).item() > 0
    assert truncations.renormalised(student, teacher, 2).item() < 0.001


def test_a_rest_that_rounds_to_nothing_is_no_nan():
    teacher, student = torch.tensor([[40.0, 0.0, -9.0, -9.0]]), torch.zeros(1, 4)
    loss, error, _ = truncations.compare(student, teacher, 2)["K and the rest"]
    assert loss == pytest.approx(math.log(4)) and error < 1e-5


def test_drawn_tokens_are_right_on_average(logits):
    drawn = [truncations.sampled(*logits, 64, seed).mean().item() for seed in range(60)]
    assert sum(drawn) / 60 == pytest.approx(forward_kl(*logits).mean().item(), rel=0.03)


def test_next_tokens_are_the_teachers_likeliest():
    teacher, student = torch.tensor([0.1, 0.6, 0.3]), torch.tensor([0.8, 0.1, 0.1])
    figure, words = kit.draw_next(teacher, {"student": student}, ["a", " b", "\n"], 2)
    assert [t.get_text() for t in figure.axes[0].get_xticklabels()] == ["␣b", "⏎"]
    assert [round(bar.get_height()) for bar in figure.axes[0].patches] == [60, 30, 10, 10]
    assert "teacher 10.0 %; student 80.0 %" in words


def test_losses_have_a_line_a_run():
    figure, words = kit.draw_losses({"words": [1.0, 0.5], "forward": [0.9, 0.1]})
    assert len(figure.axes[0].lines) == 2 and "forward 0.9 → 0.1" in words


def test_bins_that_take_their_upper_end_are_as_right():
    def ece(confidence, right, bins=10):
        boxes = {}
        for sure, good in zip(confidence, right, strict=True):
            boxes.setdefault(math.ceil(sure * bins), []).append((sure, good))
        gaps = (abs(sum(s - g for s, g in box)) for box in boxes.values())
        return sum(gaps) / len(confidence)

    assert checks.ece.judge(ece).kind == DONE


def test_a_panel_a_way_and_the_gap_in_words():
    sure = [0.9, 0.9, 0.9, 0.9]
    figure, words = kit.draw_reliability({"a": (sure, [True] * 4), "b": (sure, [False] * 4)})
    assert [axes.get_title() for axes in figure.axes] == ["a", "b"]
    assert words.endswith("in points: a 10; b 90.")
    assert len(kit.draw_reliability({"a": (sure, [True] * 4)})[0].axes) == 1
