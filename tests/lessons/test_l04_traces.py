"""The figures of lesson 04: candidates side by side, and what traces cost."""

from __future__ import annotations

import pytest

from distillkit.lessons.l04_traces import figures as kit
from distillkit.problems.equations import make_problem
from distillkit.traces.teachers import teacher

PROBLEM = make_problem("3x - 7 = 8x + 13", "both-sides")


def candidate(number, text):
    return {"id": f"p/{number}", "problem": PROBLEM.record(), "candidate": number, "text": text,
            "teacher": {"name": "t", "template": "think"}, "finish": "eos", "tokens": 9,
            "seconds": 0.1}  # fmt: skip


GOOD = "<think>\n3x - 8x = 13 + 7\n-5x = 20\nx = -4\n</think>\n<answer>x = -4</answer>"
LUCKY = GOOD.replace("-5x = 20", "-5x = 21")
WRONG = GOOD.replace("x = -4", "x = 4")
LONG = "I think $x$ \\frac{a very long line of talk " * 40


def texts(figure):
    return [text for axes in figure.axes for text in axes.texts]


@pytest.mark.parametrize("several", [[GOOD], [GOOD, LUCKY], [GOOD, LUCKY, WRONG, LONG, GOOD], [""]])
def test_candidates_side_by_side(several):
    figure, words = kit.draw_candidates([candidate(i, t) for i, t in enumerate(several)])
    shown = min(4, len(several))
    assert len(figure.axes) == shown
    assert f"{min(several[:4].count(GOOD), 4)} of {shown} candidates obey every rule" in words
    for number, (axes, text) in enumerate(zip(figure.axes, several), 1):
        title = axes.get_title(loc="left")
        assert title.startswith(f"candidate {number}\n")
        assert title.endswith("✓ usable") == (text == GOOD)
        drawn = "".join(line.get_text() for line in axes.texts).replace("   ✗", "")
        whole = text.replace("\n", "")
        assert drawn == whole or (text == LONG and drawn.startswith(whole[:20]))
    assert not any(text.get_parse_math() for text in texts(figure)), "an answer may hold a $"


def test_only_the_first_wrong_step_is_marked():
    figure, _ = kit.draw_candidates([candidate(0, LUCKY), candidate(1, WRONG)])
    marked = [text.get_text() for text in texts(figure) if "✗" in text.get_text()]
    assert marked == ["-5x = 21   ✗", "x = 4   ✗"]
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert titles[0].endswith("✗ breaks: steps") and titles[1].endswith("✗ breaks: correct")


def test_a_long_text_is_cut_and_says_so():
    figure, _ = kit.draw_candidates([candidate(0, LONG)])
    assert "more lines" in texts(figure)[-1].get_text() and len(texts(figure)) == kit.TALL


def test_recorded_candidates_can_be_drawn():
    recorded = teacher("recorded")
    figure, _ = kit.draw_candidates(recorded.sample(recorded.problems()[:1]))
    assert len(figure.axes) == 4


def test_no_candidates_are_refused():
    with pytest.raises(ValueError, match="no candidates"):
        kit.draw_candidates([])


def test_the_cost_counts_what_is_thrown_away():
    figure, words = kit.draw_cost(seconds=2.0, price=0.001, usable=0.25, wanted=300)
    assert "300 usable traces need 1,200 candidates: 40 minutes of computing, or 1.20" in words
    assert "75 % of it" in words
    for axes, each, unit in zip(figure.axes, (2.0 / 60, 0.001), ("minutes", "price")):
        usable, rejected = axes.patches
        assert (usable.get_x(), usable.get_width()) == pytest.approx((0, 300 * each))
        assert (rejected.get_x(), rejected.get_width()) == pytest.approx((300 * each, 900 * each))
        assert axes.get_xlabel() == unit


@pytest.mark.parametrize("usable", [0.0, -0.1, 1.01])
def test_a_share_out_of_range_is_refused(usable):
    with pytest.raises(ValueError, match="share"):
        kit.draw_cost(1.0, 1.0, usable, 10)
