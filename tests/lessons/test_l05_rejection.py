"""The figures of lesson 05: rules, funnel, pass@k, arms of an experiment."""

from __future__ import annotations

import pytest

from distillkit.evaluation.statistics import wilson
from distillkit.lessons.l05_rejection import figures as kit
from distillkit.plots import draw_arms


def test_rules_show_counts_and_name_the_one_that_misses_most():
    figure, words = kit.draw_rules({"a": (9, 10, 9), "b": (1, 1, 4), "never": (0, 0, 0)})
    assert "The rule 'b' misses most: it rejects 1 of 4" in words
    left, right = figure.axes
    assert [t.get_text() for t in left.get_yticklabels()] == ["a", "b", "never"]
    assert [line.get_xdata()[0] for line in left.lines if len(line.get_xdata()) == 1] == [90, 100]
    assert [line.get_xdata()[0] for line in right.lines if len(line.get_xdata()) == 1] == [100, 25]
    ends = [list(line.get_xdata()) for line in right.lines if len(line.get_xdata()) == 2]
    assert ends == [pytest.approx([100 * end for end in wilson(*n)]) for n in ((9, 9), (1, 4))]
    for axes in (left, right):
        assert [(t.get_text(), t.get_position()[1]) for t in axes.texts] == [("no case", 2)]


def test_the_funnel_names_the_rule_that_rejects_most():
    figure, words = kit.draw_kept([("candidates", 10), ("one", 9), ("two", 5), ("three", 5)])
    assert words.startswith("5 of 10 candidates are kept (50 %); the rule 'two' rejects most: 4")
    assert [bar.get_width() for bar in figure.axes[0].patches] == [10, 9, 5, 5]
    assert [t.get_text() for t in figure.axes[0].texts] == [" 10", " 9  (−1)", " 5  (−4)", " 5"]


def test_a_funnel_in_which_nothing_is_lost_blames_no_rule():
    words = kit.draw_kept([("candidates", 4), ("one", 4)])[1]
    assert words == "4 of 4 candidates are kept (100 %); no rule rejects any."


def test_a_funnel_of_nothing_is_drawn():
    assert "0 of 0" in kit.draw_kept([("candidates", 0), ("one", 0)])[1]


def test_pass_at_k_rises_to_the_share_of_problems_with_a_right_one():
    figure, words = kit.draw_pass_at_k({"cold": [4, 4, 0, 0], "warm": [2, 1, 1, 0]}, 4)
    cold, warm = (line.get_ydata() for line in figure.axes[0].lines)
    assert list(cold) == [50, 50, 50, 50]
    assert warm[0] == pytest.approx(25) and warm[-1] == pytest.approx(75)
    assert "'warm' gains most from more candidates: 25 %" in words


def test_arms_have_a_dot_a_seed_and_a_mean():
    figure, words = draw_arms({"all": [50.0, 60.0], "verified": [80.0, 90.0]})
    dots, mean = figure.axes[0].lines[:2]
    assert list(dots.get_xdata()) == [50, 60] and list(mean.get_xdata()) == [55, 55]
    assert words.startswith("Highest mean: verified (85); lowest: all (55)")
