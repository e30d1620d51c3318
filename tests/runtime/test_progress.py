"""What a person sees of a long run: safe text in any code page, honest counts and times."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distillkit.pipeline.report import indented
from distillkit.runtime import progress as kit
from distillkit.runtime.files import Journal, read_jsonl
from tests import forked

ROOT = Path(__file__).resolve().parents[2]


# --- what a terminal would obey ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("2x → 4 解 √2 é 😀", "2x → 4 解 √2 é 😀"),
        ("two\nlines\tand a tab", "two\nlines\tand a tab"),
        ("\x1b[2J\x1b]0;owned\x07", r"\x1b[2J\x1b]0;owned\x07"),
        ("right\rwrong", r"right\rwrong"),
        ("\x9b31m \x85 \x7f \0", r"\x9b31m \x85 \x7f \x00"),
        ("x = \u202e5\u202c \u2066a\u2069 \u200f", r"x = \u202e5\u202c \u2066a\u2069 \u200f"),
        ("one\u2028two\u2029", r"one\u2028two\u2029"),
        ("\ufeff a\u200bb \U000e0041", r"\ufeff a\u200bb \U000e0041"),
        ("\ud800", r"\ud800"),
        ("👩‍👧 می‌خواهم", "👩‍👧 می‌خواهم"),
    ],
)
def test_what_a_terminal_obeys_is_written_out(text, shown):
    assert kit.printable(text) == shown


@given(st.text())
def test_printable_text_stays_as_it_is(text):
    assert kit.printable(kit.printable(text)) == kit.printable(text)
    control = {chr(n) for n in (*range(9), *range(11, 32), *range(127, 160))}
    assert not control & set(kit.printable(text))


def test_a_line_of_a_run_is_safe_on_the_screen_and_in_the_log(tmp_path, capsys):
    run = kit.Stages(tmp_path)
    run.say("model said \x1b[31mred\r")
    run.show("loss \x1b[1m", last=True)
    seen = capsys.readouterr().out + (tmp_path / "run.log").read_text(encoding="utf-8")
    assert "\x1b" not in seen and "\r" not in seen and seen.count(r"\x1b[31mred\r") == 2


def test_an_answer_that_is_shown_is_safe(capsys):
    row = {"text": "x = 3\x1b[1A\x1b[2K", "exact": True,
           "problem": {"text": "solve\u202e", "answer": "3\x07"}}  # fmt: skip
    assert all(c.isprintable() or c == "\n" for c in indented(row))


def test_a_code_page_that_lacks_a_character_ends_nothing(monkeypatch):
    narrow = io.TextIOWrapper(io.BytesIO(), encoding="cp1252")
    monkeypatch.setattr(sys, "stdout", narrow)
    kit.forgiving_output()
    print("loss 1 → 0.5, 解 é")
    narrow.flush()
    assert narrow.buffer.getvalue().decode("cp1252") == r"loss 1 \u2192 0.5, \u89e3 é" + os.linesep


@pytest.mark.parametrize("words", [["distill", "解.jsonl", "--out", "x"], ["lesson", "→"]])
def test_every_command_runs_in_a_narrow_code_page(tmp_path, words):
    env = {**os.environ, "DISTILLKIT_TIER": "tiny"}
    process = forked.Process(
        forked.command, words, tmp_path / "said", "cp1252", cwd=tmp_path, env=env
    )
    process.join()
    said = (tmp_path / "said").read_text("cp1252")
    assert process.exitcode == 1 and "\\u" in said and "codec" not in said


# --- counts and times ---------------------------------------------------------------------------


class Lines(kit.Screen):
    """A screen that keeps what it shows, and a clock that is set by hand."""

    def __init__(self, monkeypatch):
        super().__init__()
        self.lines, self.now = [], 0.0
        monkeypatch.setattr(kit.time, "monotonic", lambda: self.now)

    def show(self, text, last=False):
        self.lines.append((text, last))


@pytest.fixture
def screen(monkeypatch):
    return Lines(monkeypatch)


def test_only_rows_that_are_wanted_count_as_done(screen, tmp_path):
    """A journal of twenty rows, of which two are asked for again, made it `candidates: 1/-16`."""
    with Journal(tmp_path / "j.jsonl", {}) as book:
        for number in range(20):
            book.add({"id": f"a/{number}"})
    on_done = kit.rows_progress(
        screen, "candidates", ["a/1", "a/2", "b/0", "b/1"], tmp_path / "j.jsonl"
    )
    for row in read_jsonl(tmp_path / "j.jsonl")[:2]:
        on_done(row)
    assert [line.split(",")[0] for line, _ in screen.lines] == [
        "  candidates: 1/2", "  candidates: 2/2"]  # fmt: skip
    assert [last for _, last in screen.lines] == [False, True]


def test_without_a_journal_all_are_to_do(screen):
    on_done = kit.rows_progress(screen, "answers", ["a", "b"])
    on_done({})
    on_done({})
    assert screen.lines[-1] == ("  answers: 2/2", True)


def steps(screen, seconds, first=1, of=100):
    on_step = kit.steps_progress(screen)
    for step, took in enumerate(seconds, first):
        screen.now += 20 + took  # after each step the student is asked something
        on_step({"step": step, "steps": of, "loss": 1.0, "seconds": took})
    return [line for line, _ in screen.lines]


def test_the_time_left_is_not_known_from_the_first_steps(screen):
    """The first steps take ten times as long as the others."""
    lines = steps(screen, [10, 10, 10, 1, 1, 1, 1, 1, 1, 1])
    assert not any("left" in line for line in lines[:5])
    assert lines[5].endswith("about 1 min 34 s left")
    assert lines[-1].endswith("about 1 min 30 s left")


def test_a_resumed_training_has_the_pace_of_its_own_steps(screen):
    assert steps(screen, [2] * 8, first=60)[-1].endswith("about 1 min 06 s left")


def test_the_last_step_is_shown_and_has_no_time_left(screen):
    steps(screen, [1] * 7, of=7)
    assert screen.lines[-1] == ("  step 7/7  loss 1.000", True)
    steps(screen, [1], first=3, of=3)
    assert screen.lines[-1] == ("  step 3/3  loss 1.000", True)


def test_a_run_goes_on_when_nobody_reads_its_pipe_any_more(tmp_path):
    code = ("import sys; from pathlib import Path\n"
            "from distillkit.runtime.progress import forgiving_output; forgiving_output()\n"
            "[print('a line', flush=True) for _ in range(10_000)]\n"
            "Path(sys.argv[1]).write_text('done')")  # fmt: skip
    with subprocess.Popen([sys.executable, "-P", "-c", code, tmp_path / "end"],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          env={**os.environ, "PYTHONPATH": str(ROOT)}) as run:  # fmt: skip
        assert run.stdout.readline().strip() == b"a line"
        run.stdout.close()
        assert run.stderr.read() == b""
    assert run.returncode == 0 and (tmp_path / "end").read_text() == "done"
