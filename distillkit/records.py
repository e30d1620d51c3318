"""Files that survive a crash: append-only JSONL journals and atomic writes; and tables."""

from __future__ import annotations

import contextlib
import csv
import json
import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any


class JournalError(ValueError):
    """A journal holds a damaged line that is not its last one."""


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
    leave the new name with old or empty content; a folder takes the place of an old one."""
    for part in sorted(temporary.rglob("*"), reverse=True) if temporary.is_dir() else ():
        _to_disk(part)
    _to_disk(temporary)
    if target.is_dir():
        shutil.rmtree(target)
    os.replace(temporary, target)
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
    for leftover in target.parent.glob(f".{target.name}.*.tmp"):
        shutil.rmtree(leftover, ignore_errors=True)
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    temporary.mkdir()
    try:
        yield temporary
        put_in_place(temporary, target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def read_json(path: str | Path) -> Any:
    """Read a JSON file, which is in UTF-8 whatever the system's own encoding is."""
    return json.loads(Path(path).read_text(encoding="utf-8"))


def write_json(path: str | Path, value: Any) -> Path:
    """Write `value` as indented JSON, atomically."""
    return write_atomic(path, json.dumps(value, indent=1, ensure_ascii=False) + "\n")


def write_jsonl(path: str | Path, rows: Iterable[dict]) -> Path:
    """Write one JSON object per line, atomically."""
    return write_atomic(path, "".join(json.dumps(r, ensure_ascii=False) + "\n" for r in rows))


def _row(line: bytes) -> dict:
    row = json.loads(line.decode("utf-8-sig"))
    if not isinstance(row, dict):
        raise ValueError("not a JSON object")
    return row


def read_jsonl(path: str | Path) -> list[dict]:
    """Read a journal; a torn last line (the process was killed while writing) is left out.

    Raises JournalError if any other line is damaged.
    """
    path = Path(path)
    if not path.exists():
        return []
    lines = path.read_bytes().split(b"\n")
    rows = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = _row(line)
        except ValueError as error:  # JSON and UTF-8 errors are both ValueErrors
            if number == len(lines):
                break
            raise JournalError(f"{path}, line {number}: {error}. Mend or remove the line") from None
        rows.append(row)
    return rows


def read_csv(path: str | Path) -> list[dict[str, str]]:
    """Read a table with a header line: one dict a row, every value as text."""
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


class Journal:
    """An append-only JSONL file: each row is on disk before `add` returns."""

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.rows = read_jsonl(self.path)
        if self.path.exists():
            self._mend_end()
        self._file = open(self.path, "a", encoding="utf-8")  # noqa: SIM115 (closed by close)

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
