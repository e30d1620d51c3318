"""A class's table from the pages that learners handed in, whatever else lies in the folder."""

import csv
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distillkit import cli
from distillkit.teaching import grades, record
from distillkit.teaching.record import DONE, OPEN, WRONG, Standing

TABLE = record.tasks()
FAR = {
    "softened": Standing(2, 1, False, "2026-11-26T10:00:00"),
    "soft_loss": Standing(3, 0),
    "balanced_loss": Standing(1, 2, True, "2026-11-26T10:30:00"),
}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "pages").mkdir()
    return tmp_path / "pages"


def hand_in(path, standings=FAR, name="", lessons=("01",)):
    path.parent.mkdir(parents=True, exist_ok=True)
    return record.write_page(path, list(lessons), TABLE, standings, name)


def rows_of(folder):
    out = folder.parent / "grades.csv"
    said = grades.grade(folder, out)
    with open(out, encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file)), said


def test_a_class_becomes_learners_by_exercises(folder):
    hand_in(folder / "b.html", name="Bo Ærø")
    hand_in(folder / "inner" / "a.html", {"softened": Standing(1)}, "Ada")
    rows, said = rows_of(folder)
    assert [row["learner"] for row in rows] == ["Ada", "Bo Ærø"]
    ada, bo = rows
    assert (bo["done"], bo["of"], bo["tries"], bo["hints"]) == ("2", "7", "6", "3")
    assert [bo[f"01 softened{what}"] for what in ("", ": tries", ": hints")] == [DONE, "2", "1"]
    assert bo["01 soft_loss"] == WRONG and bo["01 balanced_loss"] == "done after the solution"
    assert ada["01 softened"] == WRONG and ada["01 soft_loss"] == OPEN and ada["done"] == "0"
    assert bo["files"] == "b.html" and ada["files"] == "inner/a.html"
    assert "1 done,   1 wrong" in said[0] and "1.5 tries, 0.5 hints" in said[0]
    assert "2 learners, 2 pages" in said[-1] and "no proof" in said[-1]


def test_two_pages_of_one_learner_are_one_line_with_the_better_results(folder):
    hand_in(folder / "monday.html", name="Ada")
    later = {"soft_loss": Standing(5, 0, False, "2026-11-27T09:00:00"), "softened": Standing(9)}
    hand_in(folder / "tuesday.html", later, " ADA ", ("01", "02"))
    hand_in(folder / "copy.html", name="Ada")
    (row,), said = rows_of(folder)
    assert row["01 softened"] == row["01 soft_loss"] == DONE and row["02 nucleus"] == OPEN
    assert row["01 soft_loss: tries"] == "5" and row["01 softened: tries"] == "2"
    assert row["files"] == "copy.html; monday.html; tuesday.html" and row["done"] == "3"
    assert any("tuesday.html and copy.html are both by ADA" in line for line in said)
    assert "monday.html and copy.html are the same, to the letter" in said


def test_pages_without_a_name_are_called_as_their_files(folder):
    for who in ("Ada", "Bo"):  # as a learning platform names its folders
        hand_in(folder / f"{who}_123" / "progress.html")
    rows, _ = rows_of(folder)
    assert [row["learner"] for row in rows] == ["Ada_123/progress", "Bo_123/progress"]


PAGE = "<!DOCTYPE html>\n" + record.MARK + "<table>{}</table>"
ROW = "<tr><td>{}</td><td>{}</td><td>easy</td><td>5 min</td><td>{}</td><td>{}</td><td>{}</td></tr>"
GOOD = ROW.format("01", "softened", "done", "1 try", "2026-11-26 10:00:00")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is no page of dk.progress"),
        ("<h1>my homework</h1>", "is no page of dk.progress"),
        (PAGE.format(""), "has no exercise"),
        (PAGE.format("<tr><td>01</td></tr>"), "has 1 cells, not 7"),
        (PAGE.format(GOOD.replace("softened", "=evil()")), "does not have: '=evil()'"),
        (PAGE.format(GOOD.replace("<td>01", "<td>02")), "this kit does not have"),
        (PAGE.format(GOOD.replace("done", "wrong")), "does not fit together"),
        (PAGE.format(GOOD.replace("1 try", "-1 tries")), "does not fit together"),
        (PAGE.format(GOOD.replace("1 try", "1 tries")), "does not fit together"),
        (PAGE.format(GOOD.replace("1 try", "٣ tries")), "does not fit together"),
        (PAGE.format(GOOD.replace("1 try", "9" * 30 + " tries")), "does not fit together"),
        ("\0<td><<<tr" + PAGE, "has no exercise"),
    ],
)
def test_a_spoilt_page_is_a_sentence_and_the_others_count(folder, text, words):
    hand_in(folder / "good.html", name="Ada")
    (folder / "bad.html").write_text(text, encoding="utf-8")
    rows, said = rows_of(folder)
    assert len(rows) == 1
    assert any(line.startswith("bad.html ") and words in line for line in said)


def test_other_files_are_named_and_left_out(folder):
    hand_in(folder / "good.htm", name="Ada")
    (folder / "utf16.html").write_bytes("<p>ä</p>".encode("utf-16"))
    (folder / "large.html").write_bytes(b"x" * (grades.MOST_BYTES + 1))
    (folder / "class.zip").write_bytes(b"PK")
    (folder / ".DS_Store").write_bytes(b"\0")
    (folder / "__MACOSX").mkdir()
    (folder / "__MACOSX" / "._good.html").write_bytes(b"\0")
    (folder / "gone.html").symlink_to(folder / "nowhere")
    _, said = rows_of(folder)
    whole = "\n".join(said)
    assert "utf16.html is not in UTF-8" in whole and "large.html is too large" in whole
    assert "class.zip is no page (.html)" in whole and "gone.html is no file" in whole
    assert "DS_Store" not in whole and "MACOSX" not in whole


def test_a_part_that_can_be_read_counts(folder):
    rows = GOOD + GOOD + GOOD.replace("softened", "unknown")
    (folder / "ada.html").write_text(PAGE.format(rows), encoding="utf-8")
    (row,), said = rows_of(folder)
    assert row["learner"] == "ada" and row["done"] == "1"
    assert "ada.html: row 2 names softened again; this row is left out" in said
    assert any("row 3 names an exercise" in line for line in said)


@pytest.mark.parametrize(
    "name",
    [
        "=1+1",
        "+1",
        "-1",
        "@SUM(A1)",
        " =cmd|' /C calc'!A0",
        "\t=1",
        "\n=1",
        "＝1",
        "a\r\n=1",
        "\u202e=1",
    ],
)
def test_no_name_becomes_a_formula_or_a_second_line(folder, name):
    hand_in(folder / "=x.html", name=name)
    (row,), _ = rows_of(folder)
    assert row["learner"][0] in "'a" and "\n" not in row["learner"] and row["learner"].isprintable()
    assert row["files"] == "'=x.html"
    raw = (folder.parent / "grades.csv").read_text(encoding="utf-8-sig").splitlines()
    assert len(raw) == 2 and all(cell[0] not in "=+-@" for line in raw for cell in line.split(","))


@given(st.text(max_size=60))
def test_any_name_comes_back_on_one_line(words):
    tidied = grades.tidy(words)
    assert tidied == "" or (tidied.isprintable() and len(tidied) <= 80)
    assert not grades.safe(tidied).startswith(("=", "+", "-", "@"))
    assert grades.safe(tidied).removeprefix("'").endswith(tidied.removeprefix("'"))


@given(st.text(alphabet="<>/tdr \"'&;!-=ab\0é", max_size=200))
def test_any_text_is_read_or_refused_with_a_sentence(words):
    try:
        grades.read_page(f"{record.MARK}<table>{words}", TABLE)
    except grades.PageError as error:
        assert "exercise" in str(error)


def test_the_command_writes_the_table_and_keeps_what_exists(folder, capsys, monkeypatch):
    monkeypatch.chdir(folder.parent)
    assert cli.main(["grades", "pages"]) == 1
    assert "holds no progress page" in capsys.readouterr().err
    hand_in(folder / "a.html", name="Ada")
    assert cli.main(["grades", "pages"]) == 0
    assert "1 learner, 1 page: grades.csv" in capsys.readouterr().out
    assert cli.main(["grades", "pages"]) == 1
    assert "exists and is kept" in capsys.readouterr().err
    assert cli.main(["grades", "pages/a.html", "--out", "b.csv"]) == 1
    assert "is no folder" in capsys.readouterr().err


def test_what_dk_progress_writes_is_read_back(folder, monkeypatch):
    journal = folder.parent / "progress.jsonl"
    monkeypatch.setenv("DISTILLKIT_PROGRESS", str(journal))
    monkeypatch.setattr(record, "KNOWN", {})
    for event in ("hint", "wrong", "solution", DONE):
        record._add("nucleus", event, code=json.dumps(event))
    record.progress(folder / "mine.html", name="Ada & <b>Bo</b>")
    (row,), _ = rows_of(folder)
    assert row["learner"] == "Ada & <b>Bo</b>" and row["02 nucleus"] == "done after the solution"
    assert (row["02 nucleus: tries"], row["02 nucleus: hints"]) == ("2", "1")
