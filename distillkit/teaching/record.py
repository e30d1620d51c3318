"""What a learner has tried and solved: kept on this machine, shown as a table and as a page.

Nothing is sent anywhere.  The record is a journal in the user's own folder (`place`), so that it
survives a restart of the kernel and is the same for all lessons.
"""

from __future__ import annotations

import hashlib
import inspect
import os
import sys
from dataclasses import dataclass
from datetime import datetime
from html import escape
from pathlib import Path
from typing import Any

from distillkit.runtime.files import (
    Journal,
    read_csv,
    read_json,
    read_lines,
    write_atomic,
)
from distillkit.runtime.progress import folded
from distillkit.runtime.session import data_path

DONE, WRONG, OPEN = "done", "wrong", "not attempted"
ABOUT = {"what": "exercises of distillkit, tried on this machine"}
ROW = {"exercise": str, "event": str, "time": str}  # event: an outcome, "hint" or "solution"
KNOWN: dict[str, Any] = {}  # the exercises of the lessons opened in this session, by name
_HERE: list[dict] = []  # this session's rows, for where no file can be read
_LOST: list[dict] = []  # those of them that could not be written
MARK = "<!-- written by dk.progress -->"


@dataclass(frozen=True)
class Task:
    """What data/exercises.csv says of an exercise; `minutes` are an estimate for a beginner."""

    lesson: str
    exercise: str
    minutes: int
    level: str  # "easy", "medium", "hard"; "bonus" is for the quick

    @property
    def bonus(self) -> bool:
        """Whether the lesson is complete without it."""
        return self.level == "bonus"


def tasks(path: Path | None = None) -> dict[str, Task]:
    """Read the table of exercises, name -> task, in the order of the lessons."""
    rows = read_csv(path or data_path("exercises.csv"))
    return {row["exercise"]: Task(**{**row, "minutes": int(row["minutes"])}) for row in rows}


def solution_of(name: str) -> str:
    """Return the solution that the builder took from the lesson's master."""
    return read_json(data_path("solutions.json")).get(name, f"No solution of {name} is written.")


# --- the journal ----------------------------------------------------------------------------------


def place() -> Path | None:
    """Return the journal's path: DISTILLKIT_PROGRESS, or a file in the user's folder for data.

    An empty DISTILLKIT_PROGRESS means that nothing is kept: None.
    """
    asked = os.environ.get("DISTILLKIT_PROGRESS")
    if asked is not None:
        return Path(asked).expanduser() if asked else None
    if sys.platform == "win32":
        folder = Path(os.environ.get("LOCALAPPDATA", Path.home()))
    else:
        folder = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    return folder / "distillkit" / "progress.jsonl"


def attempted(name: str, outcome: str, attempt: object) -> None:
    """Keep an attempt, unless the exercise is solved or this very code was wrong just before.

    The same code may be right later: what it calls has changed.
    """
    mark, standing = _mark(attempt), standings().get(name, Standing())
    if not standing.solved and (mark != standing.last or outcome == DONE):
        _add(name, outcome, code=mark)


def looked(name: str, what: str) -> None:
    """Keep that a hint or the solution was looked at, unless the exercise was solved before."""
    if not standings().get(name, Standing()).solved:
        _add(name, what)


def hints_seen(name: str) -> int:
    """Return how many hints were asked for before the exercise was solved."""
    return standings().get(name, Standing()).hints


def _add(name: str, event: str, **more: str) -> None:
    now = datetime.now().isoformat(timespec="seconds")
    row = {"exercise": name, "event": event, "time": now, **more}
    _HERE.append(row)
    if (path := place()) is not None:
        try:
            with Journal(path, ABOUT, ROW) as book:
                book.add(row)
        except (OSError, ValueError) as error:  # never a reason to stop a lesson
            _LOST.append(row)
            say(f"(Your progress cannot be kept: {error})")


def _mark(attempt: object) -> str:
    """Return a short mark of an attempt's code, the same for the same text."""
    try:
        text = inspect.getsource(attempt)
    except (OSError, TypeError):
        text = repr(getattr(getattr(attempt, "__code__", None), "co_code", attempt))
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:16]


@dataclass
class Standing:
    """How far a learner has got with an exercise."""

    tries: int = 0  # attempts, each another one than that before it, up to the right one
    hints: int = 0
    solution: bool = False  # looked at before it was solved
    solved: str = ""  # when
    last: str = ""  # the mark of the last attempt

    @property
    def outcome(self) -> str:
        """DONE, WRONG or OPEN."""
        return DONE if self.solved else WRONG if self.tries else OPEN


def standings() -> dict[str, Standing]:
    """Return how far the learner has got, by exercise, from all sessions on this machine."""
    found: dict[str, Standing] = {}
    for row in _rows():
        one = found.setdefault(row["exercise"], Standing())
        if row["event"] == "hint":
            one.hints += 1
        elif row["event"] == "solution":
            one.solution = True
        elif not one.solved:
            one.tries, one.last = one.tries + 1, row.get("code", "")
            one.solved = row["time"] if row["event"] == DONE else ""
    return found


def _rows() -> list[dict]:
    path = place()
    if path is None or not path.exists():
        return _HERE
    try:
        return [row for _, row in read_lines(path) if {*ROW} <= {*row}] + _LOST
    except (OSError, ValueError):
        return _HERE


# --- the table and the page -----------------------------------------------------------------------


def say(words: str) -> None:
    """Print, folded; a console that lacks a character gets a question mark, not an exception."""
    words = folded(words)
    try:
        print(words)
    except UnicodeEncodeError:
        print(words.encode("ascii", "replace").decode("ascii"))


def progress(page: str | Path | None = None, name: str = "") -> None:
    """Print which exercises are solved, of the lessons opened here and of those begun before.

    With `page` (such as "progress.html") this is written as a page, too, with your `name` if you
    give one: a page that you can hand in.  A file that is no such page is never written over.
    """
    table, found = tasks(), standings()
    lessons = sorted({table[n].lesson for n in (*KNOWN, *found) if n in table})
    for lesson in lessons:
        asked = [task for task in table.values() if task.lesson == lesson]
        here = any(task.exercise in KNOWN for task in asked)
        count = _count(asked, found)
        if not here:
            say(f"lesson {lesson}: {count}")
            continue
        wide = max(len(task.exercise) for task in asked)
        for task in asked:
            say(_line(task, found.get(task.exercise, Standing()), wide))
        say(count)
    if not lessons:
        say("No exercise has been tried yet.")
    path = place()
    say(f"(kept on this machine only, in {path})" if path else "(not kept after this session)")
    if page is not None:
        write_page(Path(page), lessons, table, found, name)
        say(f"{page} is written. It stays here until you hand it in.")


def _count(asked: list[Task], found: dict[str, Standing]) -> str:
    must = [task for task in asked if not task.bonus]
    done = sum(task.exercise in found and bool(found[task.exercise].solved) for task in must)
    return f"{done} of {len(must)} done"


def _line(task: Task, standing: Standing, wide: int) -> str:
    mark = {DONE: "✓", WRONG: "✗", OPEN: "·"}[standing.outcome]
    words = [f"{mark} {task.exercise:{wide}}  {standing.outcome}"]
    words += [how(standing)] if how(standing) else []
    return ", ".join(words) + (" (bonus)" if task.bonus else "")


def how(standing: Standing) -> str:
    """Say with how many tries and hints: "2 tries, 1 hint, after the solution"."""
    pairs = ((standing.tries, "try", "tries"), (standing.hints, "hint", "hints"))
    words = [f"{n} {one if n == 1 else many}" for n, one, many in pairs if n]
    return ", ".join(words + ["after the solution"] * standing.solution)


STYLE = """:root{color-scheme:light dark}.wide{overflow-x:auto}
body{font:16px/1.5 system-ui,sans-serif;max-width:50rem;margin:2rem auto;padding:0 1rem;
color:#222;background:#fff}table{border-collapse:collapse;width:100%}th,td{text-align:left;
padding:.3rem .6rem;border-bottom:1px solid #ccc}td.n{text-align:right}
@media(prefers-color-scheme:dark){body{color:#ddd;background:#181818}}"""


def write_page(
    path: Path,
    lessons: list[str],
    table: dict[str, Task],
    found: dict[str, Standing],
    name: str = "",
) -> Path:
    """Write the progress as one HTML file without scripts.

    Raises FileExistsError if the path holds anything but an earlier such page.
    """
    if path.exists() and MARK not in path.read_text(encoding="utf-8", errors="replace")[:200]:
        raise FileExistsError(f"{path} exists and is kept: choose another name for the page")
    rows, minutes = [], 0
    for task in table.values():
        if task.lesson not in lessons:
            continue
        standing = found.get(task.exercise, Standing())
        minutes += task.minutes if standing.solved else 0
        cells = (task.lesson, task.exercise, task.level, f"{task.minutes} min", standing.outcome,
                 how(standing), standing.solved.replace("T", " "))  # fmt: skip
        rows.append("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in cells) + "</tr>")
    heads = ("lesson", "exercise", "difficulty", "planned", "result", "how", "solved on")
    head = "".join(f"<th scope=col>{word}</th>" for word in heads)
    title = f"Exercises of distillkit{f': {name}' if name else ''}"
    done = _count([task for task in table.values() if task.lesson in lessons], found)
    today = datetime.now().date().isoformat()
    write_atomic(path, f"""<!DOCTYPE html>
{MARK}
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{escape(title)}</title><style>{STYLE}</style></head><body><main>
<h1>{escape(title)}</h1>
<p>{done} (without the bonus), exercises of {minutes} planned minutes. Written on {today}.</p>
<div class="wide" role="group" tabindex="0" aria-label="exercises"><table>
<thead><tr>{head}</tr></thead><tbody>
{chr(10).join(rows)}
</tbody></table></div>
<p>A try is a version of the code that was checked; running the same code again does not count.
This page was written on the learner's own machine from a file there; nothing was sent anywhere.
It is the learner's own record and no proof.</p>
</main></body></html>
""")  # fmt: skip
    return path
