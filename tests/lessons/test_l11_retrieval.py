"""The figures, the table and the retrievers of lesson 11."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from matplotlib.container import BarContainer

from distillkit.lessons.l11_retrieval import checks, measured, retrievers
from distillkit.lessons.l11_retrieval import figures as kit
from distillkit.models.downloads import ModelError
from distillkit.retrieval.lexical import Postings, bm25, terms
from distillkit.retrieval.passages import Passage
from distillkit.teaching.recorded import data

FOUND = [(Passage("a", 0, 3, "one"), 2.0), (Passage("b", 0, 3, "two $x"), 1.0)]


def test_the_right_passage_is_marked_and_its_place_said():
    figure, words = kit.draw_found("Which?", FOUND, [FOUND[1][0]], 2)
    assert [bar.get_hatch() for bar in figure.axes[0].patches] == ["", "//"]
    assert [text.get_text() for text in figure.axes[0].texts] == ["a: one", "✓ b: two $x"]
    assert "number 2 holds" in words and words.endswith("1 passage holds it as a whole.")
    assert "2 best passages none holds" in kit.draw_found("?", FOUND[:1], [FOUND[1][0]], 2)[1]
    assert "The best passage holds" in kit.draw_found("Which?", FOUND[:1], [FOUND[0][0]], 1)[1]
    assert "passage does not hold" in kit.draw_found("Which?", FOUND[:1], [FOUND[1][0]], 1)[1]
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


def test_ways_have_bars_with_intervals_of_the_questions_and_dots_for_runs():
    groups = {"read": {"p": ([50.0], 60)}, "trained": {"q": ([70.0, 80.0], 60)}}
    figure, words = kit.draw_ways(groups, "%")
    bars = [c for c in figure.axes[0].containers if isinstance(c, BarContainer)]
    assert [[bar.get_width() for bar in some] for some in bars] == [[50], [75]]
    lines = figure.axes[0].lines
    assert [70.0, 80.0] in [[*line.get_xdata()] for line in lines]
    low, high = figure.axes[0].collections[0].get_segments()[0][:, 0]
    assert 37 < low < 38 and 62 < high < 63, "Wilson's interval of 30 in 60"
    assert [text.get_text() for text in figure.axes[0].texts] == ["50", "75"]
    assert words.startswith("Read: most with 'p' (50 %); trained: most with 'q' (75 %).")


def test_an_edition_is_its_changed_and_its_other_facts():
    figure, words = kit.draw_editions({"r": (60.0, 50.0, 65.0), "t": (90.0, 90.0, 3.0)}, 40, 80)
    new, old = (c for c in figure.axes[0].containers if isinstance(c, BarContainer))
    assert [round(bar.get_width(), 3) for bar in (*new, *old)] == [16.667, 30, 43.333, 2]
    assert [bar.get_x() for bar in old] == [bar.get_width() for bar in new]
    assert [*figure.axes[0].lines[0].get_xdata()] == [60, 90]
    assert "Of 120 questions" in words and "'r' (60 %), fewest with 't' (32 %)" in words


def test_every_set_of_answers_leads_to_methods_that_were_measured_for_it():
    for said in itertools.product((False, True), repeat=len(kit.QUESTIONS)):
        answers = dict(zip(kit.QUESTIONS, said, strict=True))
        methods, steps = kit.advice(**answers)
        stays = answers["asked"] and not answers["changes"]
        assert steps
        assert (kit.READ in methods) == (answers["new_facts"] and not stays)
        assert (kit.LEARN in methods) == (answers["new_facts"] and stays)
        assert (kit.DISTIL in methods) == (answers["new_form"] and answers["teacher"])
        assert (kit.SHOW in methods) == (answers["new_form"] and not answers["teacher"])
        assert any("price" in step for step in steps) == (kit.LEARN in methods)
        assert any("not measured" in step for step in steps) == (len(methods) == 2)


def test_the_decision_says_what_was_measured_for_it_and_nothing_else():
    answers = dict.fromkeys(kit.QUESTIONS, False)
    figure, words = kit.draw_decision(
        {kit.READ: "found 90 %", kit.DISTIL: "learned 10 %"}, **{**answers, "new_facts": True}
    )
    shown = [text.get_text() for text in figure.axes[0].texts]
    assert shown[-1] == "→ retrieve" and shown.count("yes") == 1
    assert words.startswith("Advice: retrieve. Sentences alone")
    assert words.endswith("Measured: found 90 %.") and "10 %" not in words
    assert "the model as it is" in kit.draw_decision({}, **answers)[1]


# --- what was measured ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def recorded():
    rows = data("distil_or_retrieve")
    for row in rows:
        row["right"] *= 100
    return rows


def test_a_way_is_the_mean_of_its_runs_and_an_edition_all_of_its_questions(recorded):
    facts = recorded.where(task="facts")
    share, n = measured.right(facts, "questions")
    assert (round(share, 2), n) == (95.0, 120)
    share, n = measured.edition(facts, "retrieved")
    assert n == 120 and round(share * n / 100) == 21 + 55
    assert measured.with_interval((50.0, 60)) == "50 (38–62)"
    assert measured.difference((60.0, 80), (80.0, 70)) == "+20 (+5 to +33)", "Newcombe's example"


def test_the_table_has_every_way_once_and_what_it_costs(recorded):
    head, *lines = measured.table(recorded).splitlines()
    assert [*map(len, lines)] == [len(head)] * len(measured.WAYS)
    (taught,) = (line for line in lines if line.startswith("trained: right answers"))
    assert taught.split()[3:] == [
        "95", "(90–98)", "33", "(26–42)", "91", "(84–95)", "62", "17.6", "MB", "67", "steps",
        "2.41", "/", "1.25",
    ]  # fmt: skip
    assert "5,610   an edit" in lines[2]


# --- retrievers and exercises ---------------------------------------------------------------------


def test_the_exercises_answers_are_those_of_the_kit():
    texts = ["the red hut", "a hut and a red, red flag", "snow"]
    words = [terms(text) for text in texts]
    assert checks.bm25.reference(terms("red hut"), words) == pytest.approx(bm25(texts)("red hut"))
    found = {word: [*ids] for word, (ids, _) in Postings(texts).found.items()}
    assert checks.inverted.reference(words) == found


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


def test_hidden_states_score_all_passages_and_read_them_once(tiny, monkeypatch):
    read = []
    states = retrievers.dense.hidden_states
    monkeypatch.setattr(
        retrievers.dense, "hidden_states", lambda *a: read.append(len(a[2])) or states(*a)
    )
    for retriever in retrievers.of_student(tiny.model, tiny.tokenizer).values():
        scores = retriever(["one", "two", "three"])("two")
        assert scores.shape == (3,) and scores.argmax() == 1
        assert scores[1] == pytest.approx(1, abs=1e-4)
    assert read == [3, 1]
