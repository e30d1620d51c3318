"""A long run as a person sees it: lines with time left, a log, and which stage took how long."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from distillkit.records import read_json, read_jsonl, write_json
from distillkit.session import peak_memory_bytes


class Screen:
    """Lines of a run: progress on one line of a terminal, or a line now and then elsewhere."""

    def __init__(self):
        self._live = sys.stdout.isatty()
        self._shown = float("-inf")

    def say(self, text: str = "") -> None:
        """Print a line, in place of the progress that stood there."""
        print(("\r\x1b[K" if self._live else "") + text, flush=True)

    def show(self, text: str, last: bool = False) -> None:
        """Show progress."""
        if self._live:
            print("\r\x1b[K" + text[:110], end="", flush=True)
            return
        now = time.monotonic()
        if last or now - self._shown > 10:
            self._shown = now
            print(text, flush=True)


class Stages(Screen):
    """The run's folder: what was said, which stage took how long, what is done already."""

    def __init__(self, out: Path):
        super().__init__()
        self.out = out
        out.mkdir(parents=True, exist_ok=True)
        self.path = out / "progress.json"
        self.state = read_json(self.path) if self.path.exists() else {}
        self.state.setdefault("seconds", {})

    def say(self, text: str = "") -> None:
        """Print a line and keep it in run.log."""
        super().say(text)
        with open(self.out / "run.log", "a", encoding="utf-8") as file:
            file.write(f"{datetime.now(UTC):%H:%M:%S} {text}\n")

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


def steps_progress(screen: Screen) -> Callable[[dict], None]:
    """Return a callback for a training's log rows that shows step, loss and the time left."""
    began, before = time.monotonic(), None

    def on_step(row: dict) -> None:
        nonlocal before
        before = row["step"] - 1 if before is None else before  # a resumed run begins later
        pace = (time.monotonic() - began) / (row["step"] - before)
        left = pace * (row["steps"] - row["step"])
        screen.show(f"  step {row['step']}/{row['steps']}  loss {row['loss']:.3f}  "
                    f"about {clock(left)} left", row["step"] == row["steps"])  # fmt: skip

    return on_step


def progress(
    screen: Screen, what: str, total: int, journal: Path | None = None
) -> Callable[[dict], None]:
    """Return a callback that shows how many of `total` are done and the time left.

    What the journal holds already is not counted: it is not done again.
    """
    total -= len(read_jsonl(journal)) if journal else 0
    began, count = time.monotonic(), 0

    def on_done(_: dict) -> None:
        nonlocal count
        count += 1
        left = (time.monotonic() - began) / count * (total - count)
        # rows that are computed together end together: the first few say nothing about the rest
        shown = f", about {clock(left)} left" if total > count >= total / 5 else ""
        screen.show(f"  {what}: {count}/{total}{shown}", count == total)

    return on_done
