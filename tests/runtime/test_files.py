"""Files that survive a crash: atomic writes, append-only journals and a real kill at the end."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distillkit.runtime.files import (
    Journal,
    JournalError,
    odd_field,
    read_csv,
    read_json,
    read_jsonl,
    read_lines,
    whole_folder,
    write_atomic,
    write_json,
    write_jsonl,
)

ROOT = Path(__file__).resolve().parents[2]
ROWS = [{"id": "a", "text": '3x = 9\n√2 解 \u2028 \\ "'}, {"id": "b", "value": 0.5}]
LINES = b'{"id": 1}\n{"id": 2}\n{"id": 3}\n'
ABOUT = {"model": "a", "sampling": {"seed": 1}}
FIRST = b'{"journal": {"model": "a", "sampling": {"seed": 1}}}\n'


@pytest.fixture
def path(tmp_path):
    return tmp_path / "rows.jsonl"


def files(path):
    return sorted(p.name for p in path.parent.iterdir())


# --- whole files -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "expected"), [("2√\n", b"2\xe2\x88\x9a\n"), (b"\x00\xff", b"\x00\xff"), ("", b"")]
)
def test_a_file_is_written_as_it_is(path, content, expected):
    assert write_atomic(path, content) == path
    assert path.read_bytes() == expected
    assert files(path) == ["rows.jsonl"]


def test_missing_folders_are_made(tmp_path):
    assert write_atomic(tmp_path / "a" / "b" / "c.txt", "x").read_text() == "x"


def fail(*_):
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize("step", ["replace", "fsync"])
def test_the_old_file_stays_when_writing_fails(path, monkeypatch, step):
    path.write_text("old")
    monkeypatch.setattr(os, step, fail)
    with pytest.raises(OSError, match="No space left"):
        write_atomic(path, "new")
    assert path.read_text() == "old"
    assert files(path) == ["rows.jsonl"], "no temporary file is left"


def test_the_old_file_stays_when_the_content_cannot_be_written(path):
    path.write_text("old")
    with pytest.raises(UnicodeEncodeError):
        write_atomic(path, "new \ud800")
    assert (path.read_text(), files(path)) == ("old", ["rows.jsonl"])


def test_the_old_file_stays_when_a_row_is_no_json(path):
    path.write_text("old")
    with pytest.raises(TypeError):
        write_jsonl(path, [{"id": 1}, {"id": object()}])
    assert (path.read_text(), files(path)) == ("old", ["rows.jsonl"])


def test_the_old_file_is_there_until_the_new_one_is_whole(path, monkeypatch):
    path.write_text("old")
    seen, replace = [], os.replace

    def look(source, target):
        seen.append((path.read_text(), Path(source).read_text()))
        replace(source, target)

    monkeypatch.setattr(os, "replace", look)
    write_atomic(path, "new")
    assert seen == [("old", "new")]
    assert path.read_text() == "new"


@pytest.fixture
def disk(monkeypatch):
    """What is on the disk so far, and what was there when names were changed."""
    forced, states, fsync, replace = [], [], os.fsync, os.replace

    def force(number):
        forced.append(os.fstat(number).st_ino)
        fsync(number)

    def rename(source, target):
        inside = [source, *Path(source).rglob("*")]
        states.append({Path(p).name for p in inside if os.stat(p).st_ino not in forced})
        replace(source, target)

    monkeypatch.setattr(os, "fsync", force)
    monkeypatch.setattr(os, "replace", rename)
    return forced, states


@pytest.mark.skipif(os.name == "nt", reason="Windows forces no folder to the disk")
def test_a_file_is_on_the_disk_before_and_after_it_gets_its_name(path, disk):
    write_atomic(path, "new")
    forced, states = disk
    assert states == [set()] and forced[-1] == os.stat(path.parent).st_ino


@pytest.mark.skipif(os.name == "nt", reason="Windows forces no folder to the disk")
def test_all_files_of_a_folder_are_on_the_disk_before_it_gets_its_name(tmp_path, disk):
    with whole_folder(tmp_path / "model") as folder:
        (folder / "deep").mkdir()
        (folder / "deep" / "a.safetensors").write_bytes(b"weights")
        (folder / "b.json").write_text("{}")
    forced, states = disk
    assert states == [set()] and forced[-1] == os.stat(tmp_path).st_ino
    assert sorted(p.name for p in tmp_path.rglob("*")) == [
        "a.safetensors", "b.json", "deep", "model"]  # fmt: skip


def test_a_folder_takes_the_place_of_an_old_one_or_leaves_it(tmp_path):
    for text in ("old", "new"):
        with whole_folder(tmp_path / "model") as folder:
            (folder / text).write_text(text)
    assert [p.name for p in (tmp_path / "model").iterdir()] == ["new"]
    with pytest.raises(OSError, match="No space"), whole_folder(tmp_path / "model") as folder:
        (folder / "newer").write_text("half")
        fail()
    assert [str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file()] == [
        str(Path("model", "new"))]  # fmt: skip


def test_a_file_does_not_take_the_place_of_a_folder(tmp_path):
    """`write_answers("mine", [])` left a file, and the notes in the folder were gone."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("years of work")
    with pytest.raises(IsADirectoryError, match=r"is a folder and is kept.*give another name"):
        write_jsonl(tmp_path / "mine", [])
    assert (tmp_path / "mine" / "notes.txt").read_text() == "years of work"
    assert [p.name for p in tmp_path.iterdir()] == ["mine"], "no temporary file is left"


def ended_process():
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        return process.pid


def test_what_a_killed_process_left_of_a_folder_is_removed(tmp_path):
    for pid in (ended_process(), os.getpid()):  # a new process may get an old one's number
        (tmp_path / f".model.{pid}.tmp").mkdir()
        (tmp_path / f".model.{pid}.tmp" / "half").write_text("half")
        (tmp_path / f".model.{pid}.tmp.old").mkdir()  # moved aside, and not yet removed
    with whole_folder(tmp_path / "model") as folder:
        (folder / "whole").write_text("whole")
    assert [p.name for p in tmp_path.iterdir()] == ["model"]


@pytest.mark.parametrize("name", ["model", "mod[e]l"])
def test_what_others_write_is_no_leftover(tmp_path, name):
    ended = ended_process()
    kept = [f".{name}.q4.{ended}.tmp", f".{name}.x.tmp", ".model2.1.tmp", ".modelx5.1.tmp",
            f".{name}.{os.getppid()}.tmp"]  # fmt: skip
    for other in kept:
        (tmp_path / other).mkdir()
    (tmp_path / f".{name}.{ended}.tmp").mkdir()
    with whole_folder(tmp_path / name):
        pass
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([*kept, name])


def test_json_is_readable_by_people(path):
    write_json(path, {"name": "Qwen", "text": "√2"})
    assert path.read_text(encoding="utf-8") == '{\n "name": "Qwen",\n "text": "√2"\n}\n'


@given(st.lists(st.dictionaries(st.text(max_size=5), st.text() | st.integers() | st.none())))
def test_rows_come_back_as_they_were_written(tmp_path_factory, rows):
    path = write_jsonl(tmp_path_factory.getbasetemp() / "rows.jsonl", rows)
    assert read_jsonl(path) == rows
    assert path.read_bytes().count(b"\n") == len(rows)


# --- reading ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [
        LINES,
        LINES[:-1],  # without the last line break
        LINES.replace(b"\n", b"\r\n"),
        b"\xef\xbb\xbf" + LINES,  # with a byte order mark
        b"\n" + LINES.replace(b"\n", b"\n\n  \n"),  # with empty lines
    ],
)
@pytest.mark.parametrize("first", [b"", FIRST])
def test_whole_lines_are_read(path, content, first):
    marks = 3 if content.startswith(b"\xef") else 0
    path.write_bytes(content[:marks] + first + content[marks:])
    assert read_jsonl(path) == [{"id": 1}, {"id": 2}, {"id": 3}]


TORN = [
    b'{"id": 4, "te',
    b'{"id": 4, "text": "\xe8\xa7',  # inside a letter
    b"{",
    b"\0\0\0\0",  # what some file systems leave after a power cut
]


@pytest.mark.parametrize("torn", TORN)
def test_only_a_journal_may_lose_its_torn_end(path, torn):
    """Of a file of three traces whose last line was cut, two were read without a word."""
    path.write_bytes(FIRST + LINES + torn)
    assert read_jsonl(path) == [{"id": 1}, {"id": 2}, {"id": 3}]
    path.write_bytes(LINES + torn)
    with pytest.raises(JournalError, match=r"rows\.jsonl, line 4: .*Mend or remove"):
        read_jsonl(path)


def test_the_lines_of_a_file_keep_their_numbers(path):
    path.write_bytes(b'\n{"id": 1}\n\n{"id": 2}\n')
    assert read_lines(path) == [(2, {"id": 1}), (4, {"id": 2})]
    path.write_bytes(FIRST + LINES)
    assert [number for number, _ in read_lines(path)] == [2, 3, 4]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_are_read_in_the_encodings_and_line_ends_of_other_systems(tmp_path, encoding, end):
    path = tmp_path / "traces.jsonl"
    path.write_bytes(f'{{"id": "größer 😀"}}{end}{{"id": 2}}{end}'.encode(encoding))
    assert read_lines(path) == [(1, {"id": "größer 😀"}), (2, {"id": 2})]


@pytest.mark.parametrize("line", [b"[" * 100_000, b'{"a":' * 100_000])
def test_a_line_nested_without_end_is_named(path, line):
    path.write_bytes(LINES + line + b"\n")
    with pytest.raises(JournalError, match="line 4"):
        read_jsonl(path)


@pytest.mark.parametrize(("row", "fault"), [
    ({"id": "a", "problem": {"text": "t"}}, ""),
    ({"id": "a", "problem": {"text": "t", "more": 1}, "more": 2}, ""),
    ({"problem": {"text": "t"}}, "no field 'id'"),
    ({"id": None, "problem": {"text": "t"}}, "the field 'id' is null"),
    ({"id": "a", "problem": "t"}, "the field 'problem' is \"t\""),
    ({"id": "a", "problem": {}}, "no field 'problem.text'"),
    ({"id": "a", "problem": {"text": [1]}}, "the field 'problem.text' is [1]"),
])  # fmt: skip
def test_the_odd_field_of_a_row_is_named(row, fault):
    assert odd_field(row, {"id": str, "problem": {"text": str}}) == fault


@pytest.mark.parametrize("content", [b"", b"\n", b"  ", FIRST, FIRST[:-1], FIRST + b'{"id'])
def test_a_file_without_a_whole_line_has_no_rows(path, content):
    path.write_bytes(content)
    assert read_jsonl(path) == []


def test_a_missing_file_has_no_rows(path):
    assert read_jsonl(path) == []


@pytest.mark.parametrize(
    "damaged", [b'{"id": 2', b"2", b"[2]", b"null", b'{"id": 2} {"id": 3}', b'{"id": "\xff"}']
)
@pytest.mark.parametrize("end", [b'\n{"id": 3}\n', b'\n{"id": 3', b"\n"])
def test_a_damaged_line_that_is_not_the_torn_end_is_named(path, damaged, end):
    path.write_bytes(b'{"id": 1}\n' + damaged + end)
    with pytest.raises(JournalError, match=r"rows\.jsonl, line 2: .*Mend or remove"):
        read_jsonl(path)


# --- journals --------------------------------------------------------------------------------


def test_a_row_is_on_disk_before_add_returns(path):
    with Journal(path, ABOUT) as book:
        for count, row in enumerate(ROWS, 1):
            book.add(row)
            assert read_jsonl(path) == ROWS[:count]


def test_a_row_is_forced_to_the_disk(path, monkeypatch):
    forced = []
    monkeypatch.setattr(os, "fsync", forced.append)
    with Journal(path, ABOUT) as book:
        book.add(ROWS[0])
        book.add(ROWS[1])
    assert len(forced) == 4, "the first line, the folder that names the file, and two rows"


def test_a_journal_is_continued(path):
    for row in ROWS:
        with Journal(path, ABOUT) as book:
            book.add(row)
    with Journal(path, ABOUT) as book:
        assert list(book) == book.rows == ROWS
    assert path.read_bytes().count(b"\n") == 3


def test_opening_a_journal_changes_nothing_in_it(path):
    path.write_bytes(b"\xef\xbb\xbf" + (FIRST + LINES).replace(b"\n", b"\r\n"))
    before = path.read_bytes()
    Journal(path, ABOUT).close()
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "torn", [b'{"id": 4, "te', b'{"id": "\xe8\xa7', b"{", b"\0\0", b"  ", b"4"]
)
def test_a_torn_end_is_cut_before_the_next_row(path, torn):
    path.write_bytes(FIRST + LINES + torn)
    with Journal(path, ABOUT) as book:
        assert len(book.rows) == 3
        book.add({"id": 5})
    assert path.read_bytes() == FIRST + LINES + b'{"id": 5}\n'


@pytest.mark.parametrize("whole", [FIRST + LINES[:-1], FIRST + b'{"id": 1}', FIRST[:-1]])
def test_a_whole_last_line_without_its_line_break_is_kept(path, whole):
    path.write_bytes(whole)
    with Journal(path, ABOUT) as book:
        book.add({"id": 5})
    assert path.read_bytes() == whole + b'\n{"id": 5}\n'
    assert read_jsonl(path) == book.rows


@given(st.integers(0, len(FIRST + LINES)))
def test_wherever_a_write_was_cut_the_journal_goes_on(tmp_path_factory, length):
    path = tmp_path_factory.getbasetemp() / "cut.jsonl"
    path.write_bytes((FIRST + LINES)[:length])
    with Journal(path, ABOUT) as book:
        known = list(book)
        book.add({"id": "next"})
    assert read_jsonl(path) == known + [{"id": "next"}]
    assert known == [{"id": n} for n in (1, 2, 3)][: len(known)]
    assert len(known) == max(0, (FIRST + LINES)[: length + 1].count(b"\n") - 1)


def test_a_damaged_journal_is_refused_and_left_alone(path):
    path.write_bytes(FIRST + b'{"id": 1}\noops\n{"id": 3')
    with pytest.raises(JournalError, match="line 3"):
        Journal(path, ABOUT)
    assert path.read_bytes() == FIRST + b'{"id": 1}\noops\n{"id": 3'


def test_the_first_line_says_what_the_rows_depend_on(path):
    Journal(path, ABOUT).close()
    assert path.read_bytes() == FIRST
    assert read_jsonl(path) == []


@pytest.mark.parametrize(("about", "said"), [
    ({"model": "b", "sampling": {"seed": 1}}, r'model: "a", now "b"\)'),
    ({"model": "a", "sampling": {"seed": 2}}, r"sampling\.seed: 1, now 2\)"),
    ({"model": "a"}, r"sampling\.seed: 1, now -\)"),
    ({**ABOUT, "shots": ("x",)}, r'shots: -, now \["x"\]\)'),
    ({"model": "b", "sampling": {"seed": 2}}, r'"b"; sampling\.seed: 1, now 2\)'),
])  # fmt: skip
def test_a_journal_of_other_settings_is_refused_with_what_differs(path, about, said):
    path.write_bytes(FIRST + LINES)
    with pytest.raises(JournalError, match=said):
        Journal(path, about)
    assert path.read_bytes() == FIRST + LINES


def test_texts_that_differ_far_behind_their_beginning_differ(path):
    Journal(path, {"prompt": "a" * 99}).close()
    with pytest.raises(JournalError, match="other settings"):
        Journal(path, {"prompt": "a" * 98 + "b"})


def test_the_same_settings_in_other_python_types_are_the_same(path):
    for shots in (("a", "b"), ["a", "b"]):
        Journal(path, {"shots": shots}).close()


@pytest.mark.parametrize("content", [LINES, b'{"journal": {}, "id": 1}\n'])
def test_a_journal_without_its_first_line_is_refused_and_left_alone(path, content):
    path.write_bytes(content)
    with pytest.raises(JournalError, match="older version of the kit, or no journal"):
        Journal(path, ABOUT)
    assert path.read_bytes() == content


@pytest.mark.parametrize("content", [b"[1,2,3]", b"my thesis notes", b'{"other": 1'])
def test_somebodys_file_of_one_line_is_no_torn_journal(path, content):
    path.write_bytes(content)
    with pytest.raises(JournalError, match="no journal and is kept"):
        Journal(path, ABOUT)
    assert path.read_bytes() == content


def test_an_odd_row_of_a_journal_is_refused_with_its_line(path):
    path.write_bytes(FIRST + b'{"id": "a"}\n\n{"id": 2}\n')
    with pytest.raises(JournalError, match=r"rows\.jsonl, line 4: the field 'id' is 2\. Mend"):
        Journal(path, ABOUT, {"id": str})


def test_a_journal_may_be_in_a_folder_that_is_not_there_yet(tmp_path):
    with Journal(tmp_path / "new" / "rows.jsonl", ABOUT) as book:
        book.add(ROWS[0])
    assert read_jsonl(tmp_path / "new" / "rows.jsonl") == ROWS[:1]


APPEND = """
import sys
from distillkit.runtime.files import Journal
book = Journal(sys.argv[1], {})
for number in range(len(book.rows), 10**9):
    book.add({"id": number, "text": "解" * 1000})
    print(number, flush=True)
"""


@pytest.mark.skipif(os.name == "nt", reason="sends a POSIX signal")
def test_nothing_that_was_reported_is_lost_when_the_process_is_killed(path):
    reported = []
    for _ in range(2):  # the second process goes on where the first was killed
        command = [sys.executable, "-c", APPEND, str(path)]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
            reported += [int(process.stdout.readline()) for _ in range(40)]
            process.kill()
            reported += map(int, process.stdout.read().split())
        assert process.returncode == -9
    ids = [row["id"] for row in read_jsonl(path)]
    assert ids == list(range(len(ids)))
    assert len(reported) >= 80 and set(reported) <= set(ids)
    assert len(set(ids) - set(reported)) <= 2, "at most one a kill was written and not reported"
    assert all(row["text"] == "解" * 1000 for row in read_jsonl(path))


# --- tables ---------------------------------------------------------------------------------------


def test_a_table_keeps_its_order_commas_quotes_and_line_ends(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_bytes('name,n\n"a, ""b""\r\nc",1\né,2\n'.encode())
    assert read_csv(path) == [{"name": 'a, "b"\r\nc', "n": "1"}, {"name": "é", "n": "2"}]


@pytest.mark.parametrize("content", [b"{", b"\xff", b"[" * 100_000, b""])
def test_a_file_that_is_no_json_is_named(tmp_path, content):
    (tmp_path / "report.json").write_bytes(content)
    with pytest.raises(ValueError, match=r"report\.json is no JSON file"):
        read_json(tmp_path / "report.json")


def test_json_is_utf_8_whatever_the_system_says(tmp_path):
    write_json(tmp_path / "a.json", {"path": "Jürgen/解"})
    code = ("import sys; from distillkit.runtime.files import read_json; "
            "print(ascii(read_json(sys.argv[1])))")  # fmt: skip
    plain = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    said = subprocess.run([sys.executable, "-c", code, str(tmp_path / "a.json")], cwd=ROOT,
                          env=plain, capture_output=True, text=True)  # fmt: skip
    assert said.stdout.strip() == ascii({"path": "Jürgen/解"}), said.stderr
