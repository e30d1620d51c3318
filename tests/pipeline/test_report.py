"""The report of a run as a page: everybody can read it, and its figures' numbers are a table."""

import json

import pytest

from distillkit.pipeline.figures import BARS
from distillkit.pipeline.report import family_table, loss_table, write_report
from distillkit.runtime.session import data_path
from tests.chromium import accessibility_faults, browser, need, offline

ROW = {"text": "<think>2x = 8</think>", "exact": False, "lenient": False, "finish": "length"}
ROW |= {"tokens": 128, "problem": {"text": "Solve for x: 2x = 8", "answer": "x = 4"}}
LOG = [
    {"step": step, "tokens": 100, "kinds": {"traces": 1 / step, **({"general": 2.0} if step > 1
                                                                   else {})}}
    for step in (1, 2, 3)
]  # fmt: skip


@pytest.fixture(scope="module")
def report():
    return json.loads(data_path("demo_report.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def written(report, tmp_path_factory):
    path = tmp_path_factory.mktemp("run") / "report.html"
    write_report(path, report, LOG, [(ROW, {**ROW, "exact": True})])
    return path


def test_the_numbers_of_the_figures_are_tables(report):
    head, *rows = family_table(report["families"])
    assert head[1:] == [label for _, _, label, _ in BARS.values()]
    assert [row[0] for row in rows] == list(report["families"]["after"])
    first = report["families"]["after"][rows[0][0]]
    assert rows[0][-1].startswith(f"{100 * first['exact']:.0f} % (")
    assert loss_table(LOG) == [
        ["step", "training tokens", "general", "traces"],
        ["1", "100", "–", "1.000"], ["2", "200", "2.000", "0.500"], ["3", "300", "2.000", "0.333"],
    ]  # fmt: skip


def test_general_examples_are_spoken_of_only_if_there_were_any(report, tmp_path):
    for general, said in ((0, "12 verified traces"), (3, "12 verified traces and 3 general")):
        of = report | {"traces": {"equations": 12, "general": general}}
        write_report(tmp_path / "report.html", of, LOG, [(ROW, ROW)])
        page = (tmp_path / "report.html").read_text(encoding="utf-8")
        assert f"It learned from {said}" in page and f"was trained on {said}" in page
        assert ("general examples" in page) == ("Free text" in page) == bool(general)


def test_every_figure_has_words_and_its_numbers(written):
    page = written.read_text(encoding="utf-8")
    figures = page.split("<figure>")[1:]
    assert len(figures) == 3
    for figure in figures:
        assert figure.startswith('<img alt="') and not figure.startswith('<img alt=""')
        assert "</figure><details><summary>The numbers as a table</summary>" in figure


@pytest.mark.slow
def test_everybody_can_read_it(written):
    need("axe_playwright_python")
    look = {"viewport": {"width": 400, "height": 700}}
    with browser() as started:
        for theme in ("light", "dark"):
            with offline(started, written, color_scheme=theme, **look) as tab:
                for summary in tab.locator("summary").all():
                    summary.click()
                assert accessibility_faults(tab) == [], theme
                assert tab.evaluate("document.documentElement.scrollWidth") <= 400, theme
