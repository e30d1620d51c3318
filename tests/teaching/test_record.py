"""What a learner has solved: it survives a restart, counts tries and hints, and becomes a page."""

import json
import sys
from html.parser import HTMLParser

import pytest

from distillkit.lessons.l01_soft_labels import checks
from distillkit.teaching import record
from distillkit.teaching.exercise import hint
from tests import forked
from tests.chromium import accessibility_faults, browser, need, offline


@pytest.fixture
def journal(tmp_path, monkeypatch):
    monkeypatch.setenv("DISTILLKIT_PROGRESS", str(tmp_path / "own" / "progress.jsonl"))
    monkeypatch.setattr(record, "_HERE", [])
    monkeypatch.setattr(record, "_LOST", [])
    monkeypatch.setattr(
        record, "KNOWN", {"softened": checks.softened, "soft_loss": checks.soft_loss}
    )
    return tmp_path / "own" / "progress.jsonl"


def wrong(logits_BC, temperature):
    return logits_BC.softmax(-1)


def other(logits_BC, temperature):
    return (logits_BC * temperature).softmax(-1)


def right(logits_BC, temperature):
    return (logits_BC / temperature).softmax(-1)


def solve():
    """Solve an exercise, in a process of its own."""
    checks.softened(right)


def test_another_kernel_finds_what_was_solved(journal, capsys):
    process = forked.Process(solve)
    process.join()
    assert process.exitcode == 0
    record.progress()
    said = capsys.readouterr().out
    assert "✓ softened       done, 1 try\n" in said and "1 of 6 done" in said
    assert str(journal) in said, "a path is never broken in two"


def test_a_try_is_a_new_version_of_the_code(journal):
    for attempt in (wrong, wrong, None, other, other, right, wrong, other):
        checks.softened(attempt)
    standing = record.standings()["softened"]
    assert standing.tries == 3 and standing.outcome == record.DONE


POWER = {"of the temperature": 0}  # what `helped` calls, changed without changing its text


def helped(logits_BC, temperature):
    return (logits_BC / temperature ** POWER["of the temperature"]).softmax(-1)


def test_code_that_is_right_once_what_it_calls_has_changed_is_solved(journal, monkeypatch):
    checks.softened(helped)
    assert record.standings()["softened"].outcome == record.WRONG
    monkeypatch.setitem(POWER, "of the temperature", 1)
    checks.softened(helped)
    assert record.standings()["softened"].outcome == record.DONE


def test_a_journal_that_is_no_text_stops_nothing(journal, capsys):
    journal.parent.mkdir()
    journal.write_bytes(b"PK\x03\x04 a zip file \xff\xfe")
    checks.softened(wrong)
    assert "cannot be kept" in capsys.readouterr().out
    record.progress()
    assert record.standings()["softened"].outcome == record.WRONG


def test_progress_tells_what_is_done_and_how(journal, capsys):
    record.progress()
    assert "0 of 6 done" in capsys.readouterr().out, "an open lesson is shown before the first try"
    checks.softened(wrong)
    hint("softened")
    record._add("keep", record.DONE, code="x")  # in lesson 05, which is not open here
    capsys.readouterr()
    record.progress()
    said = capsys.readouterr().out
    assert "✗ softened       wrong, 1 try, 1 hint\n" in said
    assert "· soft_loss      not attempted\n" in said
    assert "lesson 05: 1 of" in said and "lesson 03" not in said


def test_a_torn_or_strange_journal_stops_nothing(journal, capsys):
    checks.softened(wrong)
    with open(journal, "a", encoding="utf-8") as file:
        file.write('{"exercise": "torn')
    assert record.standings()["softened"].tries == 1
    checks.softened(right)
    assert record.standings()["softened"].outcome == record.DONE
    journal.write_text("not mine\n", encoding="utf-8")
    hint("soft_loss")
    assert "cannot be kept" in capsys.readouterr().out
    assert journal.read_text(encoding="utf-8") == "not mine\n"


def test_what_cannot_be_written_counts_in_this_session(journal, monkeypatch, capsys):
    """A full disk: what was kept is read, and what is lost is still known."""
    checks.softened(wrong)

    def full(*_):
        raise OSError("no space left on device")

    monkeypatch.setattr(record.Journal, "add", full)
    hint("softened")
    checks.softened(right)
    assert "cannot be kept" in capsys.readouterr().out
    standing = record.standings()["softened"]
    assert (standing.tries, standing.hints, standing.outcome) == (2, 1, record.DONE)


def test_nothing_is_written_where_nothing_shall_be_kept(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("DISTILLKIT_PROGRESS", "")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setattr(record, "_HERE", [])
    checks.softened(wrong)
    record.progress()
    assert "not kept after this session" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []
    monkeypatch.delenv("DISTILLKIT_PROGRESS")
    if sys.platform != "win32":
        assert record.place() == tmp_path / "distillkit" / "progress.jsonl"


class Cells(HTMLParser):
    """The words of each table cell, in order."""

    def __init__(self):
        super().__init__()
        self.found, self.inside = [], False

    def handle_starttag(self, tag, attrs):
        self.inside = tag == "td"
        if self.inside:
            self.found.append("")

    def handle_endtag(self, tag):
        self.inside = False

    def handle_data(self, data):
        if self.inside:
            self.found[-1] += data


def test_the_page_holds_what_the_table_holds_and_overwrites_only_itself(journal, tmp_path):
    checks.softened(wrong)
    checks.softened(right)
    page = tmp_path / "progress.html"
    record.progress(page, name="Ada <script>")
    text, cells = page.read_text(encoding="utf-8"), Cells()
    cells.feed(text)
    rows = [cells.found[at : at + 7] for at in range(0, len(cells.found), 7)]
    assert rows[0][:6] == ["01", "softened", "easy", "5 min", "done", "2 tries"]
    assert {row[1] for row in rows} >= {"soft_loss", "mended_c"} and len(rows[0][6]) == 19
    assert "Ada &lt;script&gt;" in text and "<script" not in text
    assert "nothing was sent anywhere" in text and "1 of 6 done" in text
    record.progress(page)  # its own page is written again
    assert "Ada" not in page.read_text(encoding="utf-8")
    mine = tmp_path / "mine.html"
    mine.write_text("my own page", encoding="utf-8")
    with pytest.raises(FileExistsError, match="is kept"):
        record.progress(mine)
    assert mine.read_text(encoding="utf-8") == "my own page"


@pytest.mark.slow
def test_everybody_can_read_the_page(tmp_path):
    need("axe_playwright_python")
    found = {"softened": record.Standing(2, 1, True, "2026-11-26T10:00:00")}
    page = record.write_page(tmp_path / "p.html", ["01"], record.tasks(), found, "Ada")
    size = {"width": 400, "height": 700}
    with browser() as started, offline(started, page, viewport=size, color_scheme="dark") as tab:
        assert accessibility_faults(tab) == []
        assert tab.evaluate("document.documentElement.scrollWidth") <= 400


def test_every_task_has_minutes_a_level_and_a_solution():
    solutions = json.loads(record.data_path("solutions.json").read_text(encoding="utf-8"))
    for task in record.tasks().values():
        assert 0 < task.minutes <= 30 and task.level in ("easy", "medium", "hard", "bonus")
        assert f"def {task.exercise}(" in solutions[task.exercise]
