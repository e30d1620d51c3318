"""The figures and the retrievers of lesson 11."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from distillkit.lessons.l11_retrieval import figures as kit
from distillkit.lessons.l11_retrieval import retrievers
from distillkit.models.downloads import ModelError
from distillkit.retrieval.passages import Passage

FOUND = [(Passage("a", 0, 3, "one"), 2.0), (Passage("b", 0, 3, "two $x"), 1.0)]


def test_the_right_passage_is_marked_and_its_place_said():
    figure, words = kit.draw_found("Which?", FOUND, [FOUND[1][0]], 2)
    assert [bar.get_hatch() for bar in figure.axes[0].patches] == ["", "//"]
    assert [text.get_text() for text in figure.axes[0].texts] == ["a: one", "✓ b: two $x"]
    assert "number 2" in words and words.endswith("1 hold the whole answer.")
    assert "is not there" in kit.draw_found("Which?", FOUND[:1], [FOUND[1][0]], 1)[1]
    assert "cut in two" in kit.draw_found("Which?", FOUND, [], 2)[1]


def test_recall_has_a_line_a_retriever_and_names_the_best_size():
    lines = {"x": {16: (0.5, 60), 64: (0.75, 60)}, "y": {64: (0.25, 60)}}
    figure, words = kit.draw_recall(lines, "3 passages")
    assert words == "Reading 3 passages. Best of each: x 75 % at 64 words; y 25 % at 64 words."
    assert [t.get_text() for t in figure.axes[0].get_xticklabels()] == ["16", "64"]
    points, bars = figure.axes[0].containers[0][0], figure.axes[0].containers[0][2][0]
    assert list(points.get_ydata()) == [50, 75]
    low, high = bars.get_segments()[0][:, 1]
    assert 37 < low < 39 and 61 < high < 63, "Wilson's interval of 30 in 60"


def test_ways_have_bars_for_means_and_dots_for_runs():
    ways = {"p": {"new": [10.0, 30.0], "old": [80.0]}, "q": {"new": [50.0]}}
    figure, words = kit.draw_ways(ways, "%")
    assert [[bar.get_width() for bar in bars] for bars in figure.axes[0].containers] == [
        [20, 50], [80]
    ]  # fmt: skip
    assert [list(line.get_xdata()) for line in figure.axes[0].lines] == [[10, 30]]
    assert words == "New: most with 'q' (50 %)."


def test_every_set_of_answers_leads_to_a_method_that_fits_it():
    for said in itertools.product((False, True), repeat=len(kit.QUESTIONS)):
        answers = dict(zip(kit.QUESTIONS, said, strict=True))
        method, steps = kit.advice(**answers)
        assert steps
        assert ("retrieve" in method) == (answers["new_facts"] and not answers["few"])
        assert ("distil" in method) == (answers["new_form"] and answers["teacher"])
        assert ("fine-tune" in method) == (answers["new_form"] and not answers["teacher"])
        assert any("edit" in step for step in steps) == (
            answers["new_facts"] and answers["changes"]
        )


def test_the_decision_shows_what_was_measured_for_it_and_nothing_else():
    answers = dict.fromkeys(kit.QUESTIONS, False) | {"new_facts": True}
    figure, words = kit.draw_decision(
        {"retrieve": "found 90 %", "distil": "learned 10 %"}, **answers
    )
    shown = "\n".join(text.get_text() for text in figure.axes[0].texts)
    assert "→ retrieve" in shown and "found 90 %" in shown and "10 %" not in shown
    assert words.startswith("Advice: retrieve. New facts")


def test_vectors_are_compared_by_direction_whitened_if_asked():
    table = {"a": [9.0, 1.0], "b": [9.0, -1.0], "c": [9.5, 1.2], "?": [90.0, 10.0]}
    embed = lambda texts: np.array([table[text] for text in texts])  # noqa: E731
    plain = retrievers.by_vectors(embed)(["a", "b", "c"])("?")
    assert plain.argmax() == 0 and plain.min() > 0.97
    assert retrievers.by_vectors(embed, whiten=True)(["a", "b", "c"])("?").min() < 0.5


def test_without_word_vectors_the_lesson_goes_on(monkeypatch, capsys):
    def offline():
        raise ModelError("no network")

    monkeypatch.setattr(retrievers.dense, "static_words", offline)
    assert [*retrievers.of_words()] == ["BM25", "TF-IDF"]
    assert "without them: no network" in capsys.readouterr().out
    assert [*retrievers.of_words(download=False)] == ["BM25", "TF-IDF"]


@pytest.mark.parametrize("name", ["hidden states", "hidden states, whitened"])
def test_hidden_states_score_all_passages(tiny, name):
    scores = retrievers.of_student(tiny.model, tiny.tokenizer)[name](["one", "two", "three"])("two")
    assert scores.shape == (3,) and scores.argmax() == 1 and scores[1] == pytest.approx(1, abs=1e-4)
