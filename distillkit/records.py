"""Files that survive a crash: append-only JSONL journals and atomic writes; and tables."""

from __future__ import annotations

import csv
import json
import os
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
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    return path


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
