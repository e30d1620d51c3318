"""The figures of lesson 03: tokens with their mask, and templates side by side."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distillkit.lessons.l03_templates import figures as kit
from distillkit.training.losses import IGNORE


@given(st.lists(st.text(max_size=100), max_size=60), st.integers(5, 80))
def test_rows_hold_every_token_in_order_without_overlap(tokens, width):
    rows = kit.rows_of(tokens, width)
    assert [number for row in rows for number, _, _ in row] == list(range(len(tokens)))
    for row in rows:
        ends = [column + len(text) for _, column, text in row]
        assert all(end < column for end, (_, column, _) in zip(ends, row[1:]))
        assert ends[-1] <= width and all(text.isprintable() and text for *_, text in row)


def test_a_line_end_ends_the_row():
    assert kit.rows_of(["a b", "\n", "c"]) == [[(0, 0, "a␣b"), (1, 4, "⏎")], [(2, 0, "c")]]


def test_the_caption_counts_what_is_learned():
    figure, words = kit.draw_mask(["Solve", " x", "\n", "$x_1$", "_\\end{"], [IGNORE] * 3 + [7, 8])
    assert "5 tokens; the 2 dark ones are learned (40 %), the 3 white ones are only read." in words
    texts = figure.axes[0].texts
    assert [text.get_text() for text in texts] == ["Solve", "␣x", "⏎", "$x_1$", "_\\end{"]
    assert not any(text.get_parse_math() for text in texts), "a token is never mathematics"
    heights = [text.get_position()[1] for text in texts]
    assert heights == [0, 0, 0, 1, 1], "a line end ends the row"


def test_a_long_example_loses_its_beginning_and_says_so():
    tokens = [f"t{i}" for i in range(kit.MOST + 12)]
    figure, words = kit.draw_mask(tokens, list(range(len(tokens))))
    assert "The first 12 are not shown." in words
    shown = {text.get_text() for text in figure.axes[0].texts}
    assert "t11" not in shown and {"t12", tokens[-1]} <= shown


def test_the_learned_tokens_are_dark():
    figure, _ = kit.draw_mask(["read", "learned"], [IGNORE, 3])
    colors = {t.get_text(): t.get_bbox_patch().get_facecolor() for t in figure.axes[0].texts}
    assert sum(colors["learned"][:3]) < 1.5 < sum(colors["read"][:3])


@pytest.mark.parametrize("few_shot", [{"think": 79.0, "json": 20.0}, {}])
def test_templates_side_by_side(few_shot):
    figure, words = kit.draw_templates(few_shot, {"think": [90.0, 80.0], "json": [70.0, 60.0]})
    assert "'think' has the highest mean (85 %)" in words and "'json' the lowest (65 %)" in words
    axes = figure.axes[0]
    heights = [bar.get_height() for bar in axes.patches]
    assert heights == [few_shot.get("think", 0), few_shot.get("json", 0), 85, 65]
    assert [list(line.get_ydata()) for line in axes.lines] == [[90, 80], [70, 60]]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["think", "json"]


def test_lists_of_lines_stand_beside_each_other():
    texts = {"a": ["1", "2"], "b": ["x"], "c": ["y", "z", "w"]}
    first, second = kit.columns(texts, across=2, width=4).split("\n\n")
    assert first.split("\n") == ["a   b", "-   -", "1   x", "2"]
    assert second.split("\n") == ["c", "-", "y", "z", "w"]
