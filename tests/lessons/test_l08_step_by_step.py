"""The figures of lesson 08: shares of the loss, tokens computed, and the experiment."""

from __future__ import annotations

import pytest

from distillkit.lessons.l08_step_by_step import figures as kit
from distillkit.training.packing import Example


def test_a_short_label_nearly_disappears_in_one_text_and_weighs_alpha_in_two_tasks():
    figure, words = kit.draw_shares(10, 90, 0.5)
    label, rationale = ([bar.get_width() for bar in bars] for bars in figure.axes[0].containers)
    assert label == pytest.approx([10, 50]) and rationale == pytest.approx([90, 50])
    assert "10 % of the loss" in words and "weighs 9 times" in words
    assert kit.draw_shares(10, 90, 1.0)[1].endswith("100 %: the rationale weighs nothing.")
    assert kit.draw_shares(10, 90, 0.0)[1].endswith("0 %: the label weighs nothing.")


def test_a_shared_beginning_is_one_path_of_the_tree():
    one, two = Example([1, 2, 3, 4], [-100, -100, 3, 4]), Example([1, 2, 5], [-100, -100, 5])
    assert kit.nodes([one, two]) == 5 and kit.nodes([one, one]) == 4
    figure, words = kit.draw_computed({"two": [one, two]})
    assert [bars[0].get_width() for bars in figure.axes[0].containers] == [7, 5, 3]
    assert words == "Tokens computed: two: 7 apart, 5 as a tree."


def test_a_line_a_way_with_intervals_and_the_line_of_guessing():
    ways = {"a": {32: [10, 20, 30], 64: [30, 30, 30]}, "b": {32: [50, 50, 50], 64: [60, 60, 60]}}
    figure, words = kit.draw_sizes(ways, 50)
    assert [t.get_text() for t in figure.axes[0].get_xticklabels()] == ["32", "64"]
    assert words == "With 32 questions 'b' is best (50 %). The dotted line is guessing (50 %)."
    assert "guessing" not in kit.draw_sizes(ways)[1]
