"""A long run as a person sees it: lines with time left, a log, and which stage took how long."""

from __future__ import annotations

import errno
import io
import os
import stat
import sys
import textwrap
import time
import unicodedata
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

from distillkit.runtime.files import odd_field, read_json, read_jsonl, write_json
from distillkit.runtime.session import peak_memory_bytes

# Control characters; surrogates; marks of format, of which some turn the line round; separators
UNSAFE = {"Cc", "Cs", "Cf", "Zl", "Zp"}
KEPT = "\n\t\u200c\u200d"  # line break, tab, and what Persian and emoji need inside a word


def printable(text: str) -> str:
    """Write what a terminal would obey rather than show as an escape such as `\\x1b`.

    For text of models, servers and files: it could clear the screen, write over other lines or
    turn their order round.
    """
    return "".join(
        char.encode("unicode_escape").decode()
        if unicodedata.category(char) in UNSAFE and char not in KEPT else char
        for char in text
    )  # fmt: skip


def folded(text: str) -> str:
    """Break each line at 88 characters, never inside of a word, as paths and code are; what goes
    on is indented.  A notebook breaks longer lines itself, inside of words.
    """
    whole = {"break_long_words": False, "break_on_hyphens": False}
    return "\n".join(
        textwrap.fill(line, 88, subsequent_indent="  ", **whole) for line in text.split("\n")
    )


def forgiving_output() -> None:
    """Let a run go on where its lines cannot be shown.

    What the encoding lacks is printed as `\\u2192`; a pipe whose reader is gone (`| head`)
    swallows the rest.
    """
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if not hasattr(stream, "reconfigure"):  # a notebook's stream takes every character
            continue
        stream.reconfigure(errors="backslashreplace")
        if _is_pipe(stream):
            pipe = io.BufferedWriter(_Unbroken(stream.fileno(), "wb", closefd=False))
            setattr(sys, name, io.TextIOWrapper(pipe, stream.encoding, "backslashreplace",
                                                line_buffering=True))  # fmt: skip


def _is_pipe(stream: TextIO) -> bool:
    try:
        return stat.S_ISFIFO(os.fstat(stream.fileno()).st_mode)
    except (OSError, ValueError):  # no file at all
        return False


class _Unbroken(io.FileIO):
    """A pipe that takes what is written also when nobody reads it any more."""

    def write(self, content: bytes) -> int | None:
        try:
            return super().write(content)
        except OSError as error:
            if error.errno not in (errno.EPIPE, errno.EINVAL):  # the second is Windows' word
                raise
            return len(content)


WARM_UP = 6  # steps of a training before its pace is known


class Screen:
    """Lines of a run: progress on one line of a terminal, or a line now and then elsewhere.

    Both are made `printable`.
    """

    def __init__(self):
        self._live = sys.stdout.isatty()
        self._shown = float("-inf")

    def say(self, text: str = "") -> None:
        """Print a line, in place of the progress that stood there."""
        print(("\r\x1b[K" if self._live else "") + printable(text), flush=True)

    def show(self, text: str, last: bool = False) -> None:
        """Show progress."""
        if self._live:
            print("\r\x1b[K" + printable(text)[:110], end="", flush=True)
            return
        now = time.monotonic()
        if last or now - self._shown > 10:
            self._shown = now
            print(printable(text), flush=True)


class Stages(Screen):
    """The run's folder: what was said, which stage took how long, what is done already."""

    def __init__(self, out: Path):
        super().__init__()
        self.out = out
        out.mkdir(parents=True, exist_ok=True)
        self.path = out / "progress.json"
        self.state = read_json(self.path) if self.path.exists() else {"seconds": {}}
        if not isinstance(self.state, dict) or odd_field(self.state, {"seconds": dict}):
            raise ValueError(f"{self.path} is not the state of a run: use a new folder")

    def say(self, text: str = "") -> None:
        """Print a line and keep it in run.log."""
        super().say(text)
        with open(self.out / "run.log", "a", encoding="utf-8") as file:
            file.write(f"{datetime.now(UTC):%H:%M:%S} {printable(text)}\n")

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        """Add the block's seconds to a stage, also when it is interrupted."""
        began = time.monotonic()
        try:
            yield
        finally:
            spent = self.state["seconds"].get(name, 0.0) + time.monotonic() - began
            self.state["seconds"][name] = round(spent, 2)
            peak = max(self.state.get("peak_memory_bytes", 0), peak_memory_bytes())
            self.state["peak_memory_bytes"] = peak
            write_json(self.path, self.state)


def clock(seconds: float) -> str:
    """Write a duration as `3 min 20 s`."""
    seconds = max(0, round(seconds))
    return f"{seconds // 60} min {seconds % 60:02d} s" if seconds >= 60 else f"{seconds} s"


def steps_progress(screen: Screen) -> Callable[[Mapping[str, float]], None]:
    """Return a callback for a training's log rows that shows step, loss and the time left.

    The first steps are slow (memory is taken, code is prepared for each new size), so the pace is
    that of the later half of this run's steps; before there are WARM_UP of them, nothing is said.
    What is done between two steps, such as asking the student something, does not count.
    """
    took: list[float] = []

    def on_step(row: Mapping[str, float]) -> None:
        took.append(row["seconds"])
        later, left = took[len(took) // 2 :], row["steps"] - row["step"]
        seconds = left * sum(later) / len(later)
        shown = f"  about {clock(seconds)} left" if len(took) >= WARM_UP and left else ""
        screen.show(f"  step {row['step']}/{row['steps']}  loss {row['loss']:.3f}{shown}", not left)

    return on_step


def rows_progress(
    screen: Screen, what: str, wanted: Collection[str], journal: Path | None = None
) -> Callable[[object], None]:
    """Return a callback that shows how many rows are done, of the ids that are wanted, and the
    time left.

    What the journal holds of them already is not counted: it is not done again.
    """
    total = len(set(wanted) - {row.get("id") for row in read_jsonl(journal)} if journal else wanted)
    began, count = time.monotonic(), 0

    def on_done(_: object) -> None:
        nonlocal count
        count += 1
        left = (time.monotonic() - began) / count * (total - count)
        # rows that are computed together end together: the first few say nothing about the rest
        shown = f", about {clock(left)} left" if total > count >= total / 5 else ""
        screen.show(f"  {what}: {count}/{total}{shown}", count == total)

    return on_done
