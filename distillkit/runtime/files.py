"""Files that survive a crash: append-only JSONL journals and atomic writes; and tables."""

from __future__ import annotations

import contextlib
import csv
import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

ABOUT = "journal"  # the one field of a journal's first line: what all its rows depend on


class JournalError(ValueError):
    """A journal is damaged, odd, or depends on something else; the message says where and what."""


def write_atomic(path: str | Path, content: str | bytes) -> Path:
    """Write a whole file so that a reader sees the old content or the new, never a part."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
        put_in_place(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    return path


def put_in_place(temporary: Path, target: Path) -> None:
    """Rename a finished file or folder once all of it is on the disk, so that no power cut can
    leave the new name with old or empty content; a folder takes the place of an old one.

    Raises IsADirectoryError for a file that would take the place of a folder.
    """
    if target.is_dir() and not temporary.is_dir():
        raise IsADirectoryError(
            f"{target} is a folder and is kept, a file cannot take its place: give another name"
        )
    for part in sorted(temporary.rglob("*"), reverse=True) if temporary.is_dir() else ():
        _to_disk(part)
    _to_disk(temporary)
    old = target.with_name(f"{temporary.name}.old")
    if target.is_dir():
        os.rename(target, old)
    os.replace(temporary, target)
    shutil.rmtree(old, ignore_errors=True)
    _to_disk(target.parent)


def _to_disk(path: Path) -> None:
    if not path.is_dir():
        with open(path, "rb+") as file:  # Windows forces nothing that is open for reading
            os.fsync(file.fileno())
        return
    with contextlib.suppress(OSError):  # Windows, and some network drives, force no folder
        folder = os.open(path, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


@contextlib.contextmanager
def whole_folder(target: str | Path) -> Iterator[Path]:
    """Yield a new folder to write into; at the end it takes the place of `target`, whole or not
    at all.  What a killed process left of an earlier try is removed."""
    target = Path(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    left = re.compile(rf"\.{re.escape(target.name)}\.(\d+)\.tmp(\.old)?")  # .old: moved aside
    for path in target.parent.iterdir():
        if (found := left.fullmatch(path.name)) and not _at_work(int(found[1])):
            shutil.rmtree(path, ignore_errors=True)
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    temporary.mkdir()
    try:
        yield temporary
        put_in_place(temporary, target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _at_work(pid: int) -> bool:
    """Say whether another process of this number runs: what it is writing is no leftover."""
    import psutil  # comes with accelerate

    return pid != os.getpid() and psutil.pid_exists(pid)


def read_json(path: str | Path) -> Any:
    """Read a JSON file, which is in UTF-8 whatever the system's own encoding is.

    Raises ValueError that names the file.
    """
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is no JSON file: {error}") from error


def as_json(value: Any) -> str:
    """Return the text of a JSON file that people may read."""
    return json.dumps(value, indent=1, ensure_ascii=False) + "\n"


def write_json(path: str | Path, value: Any) -> Path:
    """Write `value` as indented JSON, atomically."""
    return write_atomic(path, as_json(value))


def write_jsonl(path: str | Path, rows: Iterable[dict]) -> Path:
    """Write one JSON object per line, atomically."""
    return write_atomic(path, "".join(json.dumps(r, ensure_ascii=False) + "\n" for r in rows))


MARKS = {b"PK\x03\x04": "a workbook or a ZIP archive", b"\x1f\x8b": "a gzip archive",
         b"ARROW1": "an Arrow file", b"PAR1": "a Parquet file"}  # fmt: skip


def read_utf8(path: str | Path) -> bytes:
    """Read a text file that people made: its bytes in UTF-8, with line ends of any system as LF.

    UTF-16 (PowerShell's ``>``, Excel's "Unicode text") is read, too, with its mark or without.
    Raises ValueError that says what the file is instead of text.
    """
    content = Path(path).read_bytes()
    for mark, kind in MARKS.items():
        if content.startswith(mark):
            raise ValueError(f"{path} is {kind}, no text: save its rows as JSON lines or CSV UTF-8")
    head = content[:400]
    for encoding, mark in (("utf-16-le", b"\xff\xfe"), ("utf-16-be", b"\xfe\xff")):
        zeros = head[encoding == "utf-16-le" :: 2].count(0)  # where ASCII has its empty half
        if content.startswith(mark) or (zeros > len(head) / 4 and not head.startswith(b"\0\0")):
            try:
                content = content.removeprefix(mark).decode(encoding).encode()
            except UnicodeError as error:
                raise ValueError(f"{path} is damaged UTF-16 ({error}): save it as UTF-8") from None
            break
    content = content.removeprefix(b"\xef\xbb\xbf")
    return content.replace(b"\r\n", b"\n").replace(b"\r", b"\n")


def _row(line: bytes) -> dict:
    row = json.loads(line.decode())
    if not isinstance(row, dict):
        raise ValueError("not a JSON object")
    return row


def read_jsonl(path: str | Path) -> list[dict]:
    """Read the rows of a JSONL file or a journal (without its first line); see `read_lines`."""
    return [row for _, row in read_lines(path)]


def read_lines(path: str | Path) -> list[tuple[int, dict]]:
    """Read the rows of a JSONL file with their line numbers; none if there is no file.

    A journal's first line is no row, and its last one is left out if it is torn: the process was
    killed while writing.  Raises JournalError if any other line is no JSON object.
    """
    lines = _lines(Path(path), torn=False)
    return lines[1:] if _is_journal(lines) else lines


def _lines(path: Path, torn: bool) -> list[tuple[int, dict]]:
    """Read the lines that are not empty; `torn` says that the last one may be, of any file."""
    pieces = read_utf8(path).split(b"\n") if path.exists() else []
    lines: list[tuple[int, dict]] = []
    for number, piece in enumerate(pieces, 1):
        if not piece.strip():
            continue
        try:
            lines.append((number, _row(piece)))
        except (ValueError, RecursionError) as error:  # JSON and UTF-8 errors are ValueErrors
            if number == len(pieces) and (torn or _is_journal(lines)):
                break
            reason = str(error)
            if isinstance(error, json.JSONDecodeError):  # its own line is always 1
                reason = f"{error.msg} at character {error.pos + 1}"
            raise JournalError(
                f"{path}, line {number}: {reason}. Mend or remove the line"
            ) from None
    return lines


def _is_journal(lines: list[tuple[int, dict]]) -> bool:
    return bool(lines) and set(lines[0][1]) == {ABOUT}


def odd_field(row: dict, shape: dict[str, Any], place: str = "") -> str:
    """Say which field of a row is missing or of another type than `shape` tells; "" if none.

    A shape is {field: type, or tuple of types, or the shape of an object}.
    """
    for name, kind in shape.items():
        if name not in row:
            return f"no field {place + name!r}"
        inside = isinstance(kind, dict)
        if not isinstance(row[name], dict if inside else kind):
            return f"the field {place + name!r} is {json.dumps(row[name])[:40]}"
        if inside and (fault := odd_field(row[name], kind, f"{place}{name}.")):
            return fault
    return ""


def read_csv(path: str | Path) -> list[dict[str, str]]:
    """Read a table with a header line: one dict a row, every value as text."""
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _flat(value: Any, place: str = "") -> dict[str, str]:
    """Return the values of nested objects as texts by their place, such as `sampling.seed`."""
    if not isinstance(value, dict):
        return {place: json.dumps(value, ensure_ascii=False)}
    inside = [_flat(part, f"{place}.{name}" if place else name) for name, part in value.items()]
    return {name: text for part in inside for name, text in part.items()}


def digest(value: Any) -> str:
    """Return a short mark of values: the same for the same ones."""
    return hashlib.sha256(repr(value).encode("utf-8", "replace")).hexdigest()[:16]


class Journal:
    """An append-only JSONL file: each row is on disk before `add` returns.

    Its first line says what all rows depend on: model, prompt, limits, seed.  A journal is gone on
    with only if that is the same, so that no old row can stand for a new measurement.
    """

    def __init__(self, path: str | Path, about: dict, shape: dict[str, Any] | None = None):
        """Open or begin a journal; `shape` is what every row must have (see `odd_field`).

        Raises JournalError for another `about`, for a file that is no journal, for an odd row.
        """
        self.path = Path(path)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        lines = _lines(self.path, torn=True)
        if lines:
            self._compare(lines, json.loads(json.dumps(about)))
        for number, row in lines[1:]:
            if fault := odd_field(row, shape or {}):
                raise JournalError(f"{self.path}, line {number}: {fault}. Mend or remove the line")
        self.rows = [row for _, row in lines[1:]]
        if lines:
            self._mend_end()
        else:
            self._must_be_begun()
            write_jsonl(self.path, [{ABOUT: about}])
        self._file = open(self.path, "a", encoding="utf-8")  # noqa: SIM115 (closed by close)

    def _compare(self, lines: list[tuple[int, dict]], about: dict) -> None:
        if not _is_journal(lines):
            raise JournalError(
                f"{self.path} does not say in its first line what its rows depend on: it is of an "
                "older version of the kit, or no journal. Give a new file"
            )
        old, new = (_flat(known) for known in (lines[0][1][ABOUT], about))
        other = [f"{name}: {old.get(name, '-')[:60]}, now {new.get(name, '-')[:60]}"
                 for name in sorted({*old, *new}) if old.get(name) != new.get(name)]  # fmt: skip
        if other:
            raise JournalError(
                f"{self.path} was made with other settings ({'; '.join(other)}): give a new file, "
                "or the old settings"
            )

    def _must_be_begun(self) -> None:
        """Refuse a file without a whole line that no journal began: it is somebody's."""
        content = self.path.read_bytes().strip() if self.path.exists() else b""
        begun = json.dumps({ABOUT: None})[: -len("null}")].encode()
        if content[: len(begun)] != begun[: len(content)]:
            raise JournalError(f"{self.path} is no journal and is kept as it is. Give a new file")

    def _mend_end(self) -> None:
        """End a whole last line and cut a torn one off, so that the next row starts a line."""
        content = self.path.read_bytes()
        start = content.rfind(b"\n") + 1
        if start == len(content):
            return
        with open(self.path, "r+b") as file:
            try:
                _row(content[start:])
            except ValueError:
                file.truncate(start)
            else:
                file.seek(len(content))
                file.write(b"\n")

    def add(self, row: dict) -> None:
        """Append one row and flush it to the disk."""
        self._file.write(json.dumps(row, ensure_ascii=False) + "\n")
        self._file.flush()
        os.fsync(self._file.fileno())
        self.rows.append(row)

    def close(self) -> None:
        """Close the file; the journal can be opened again later."""
        self._file.close()

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[dict]:
        return iter(self.rows)
