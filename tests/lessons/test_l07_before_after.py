"""The figures of lesson 07."""

from __future__ import annotations

import pytest

from distillkit import plots
from distillkit.lessons.l07_before_after import figures as compare


def texts(answer):
    return ["".join(text for _, text, _ in pieces) for pieces, _ in compare.lines_of(answer)]


def test_tokens_are_set_in_the_lines_of_the_text():
    answer = compare.Text(["<th", "ink>\n", "x = 5", "\nx", " = 5\n\n", "end"], [1.0] * 6, True)
    assert texts(answer) == ["<think>", "x = 5", "x = 5", "end"]


def test_the_wrong_step_is_marked_once_and_whole():
    long = "1 + " * 12 + "1 = 14"
    answer = compare.Text(["x = 1\n", long + "\n", long], [1.0] * 3, False, long)
    marks = [wrong for _, wrong in compare.lines_of(answer)]
    assert marks == [False, True, True, False, False]


def test_a_long_line_is_folded_between_words():
    words = "first we take away the number of the left side from both sides"
    lines = texts(compare.Text([word + " " for word in words.split()], [], True))
    assert lines == ["first we take away the number ", "of the left side from both ", "sides "]
    assert "".join(lines).strip() == words


def test_a_long_answer_is_cut_and_says_so():
    answer = compare.Text(["x\n"] * 100, [], False)
    lines = texts(answer)
    assert len(lines) == compare.TALL and lines[-1] == "… 79 more lines"


def test_unsure_tokens_are_counted_and_have_a_ground():
    answers = {
        "one": compare.Text(["a ", "b"], [0.99, 0.3], True),
        "two": compare.Text(["$1/0$ <b>"], [0.5], False),
    }
    figure, words = compare.draw_answers("q", "5", answers)
    assert words.startswith("q (right: 5). Right: one. 2 tokens have an orange ground")
    texts = [text for axes in figure.axes for text in axes.texts]
    boxed = [text.get_text() for text in texts if text.get_bbox_patch() is not None]
    assert boxed == ["b", "$1/0$ <b>"]
    assert not any(text.get_parse_math() for text in texts), "a token is never mathematics"
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert titles == ["one\n✓ right", "two\n✗ not right"]


@pytest.mark.parametrize(
    ("tokens", "shown"),
    [
        ([], []),
        ([""], []),
        (["\n\n"], []),
        (["\x00\ud800"], ["··"]),
        (["解" * 200], [*[r"\u89e3" * 5] * 21, "… 19 more lines"]),
        (["$x_\\end{"], ["$x_\\end{"]),
    ],
)
def test_any_text_can_be_drawn(tokens, shown):
    figure, _ = compare.draw_answers("q", "5", {"a": compare.Text(tokens, [], False)})
    assert [text.get_text() for text in figure.axes[0].texts] == shown
    plots.to_png(figure)  # raises for what Matplotlib cannot lay out


def test_slips_are_counted():
    figure, words = compare.draw_slips([("sum", 3, 1, 2), ("cut off", 1, 0, 0)], 20)
    assert words.startswith("4 of 20 answers are wrong") and "'sum' (3)" in words
    assert [bar.get_width() for bar in figure.axes[0].patches] == [3, 1, 2, 0]
    assert [t.get_text() for t in figure.axes[0].get_yticklabels()] == ["sum", "cut off"]
    figure, words = compare.draw_slips([], 5)
    assert words == "None of the 5 answers is wrong." and not figure.axes[0].patches


def test_gains_are_written_of_whole_splits_with_their_baseline():
    row = {"split": "far", "family": "all", "stage": "few-shot", "exact": 40.0, "gain": ""}
    after = {"stage": "distilled", "exact": 55.0, "gain": 0.15, "gain_low": -0.02, "gain_high": 0.3}
    table = [{**row, **after}, {**row, **after, "family": "systems"}, row]
    words = " ".join(compare.gains(table).split())
    assert words == "far 40 % → 55 % gain +15 (-2 to +30)"
