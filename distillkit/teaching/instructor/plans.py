"""The plans of half a day and of two days (data/plans.csv), checked against the lessons' minutes.

A row of a plan is a whole lesson, some of its sections, or something without a lesson.  It must
have as many minutes as what it names takes (`sections`), and a plan must fill its time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from distillkit.runtime.files import read_csv
from distillkit.runtime.session import data_path
from distillkit.teaching.instructor.sections import Taught
from distillkit.teaching.lesson import Lesson

LENGTHS = {"half a day": 210, "two days": 720}  # minutes, with the breaks
BEFORE = """\
**Before the course**, with internet, once on every machine (Python 3.11 to 3.14, 6 GB of memory,
about 8 GB of free disk):

1. `python3 kit.py doctor` names what is missing, and what to do.
2. `python3 kit.py demo` downloads the student and shows that everything works.  For a room without
   internet fill a folder once: `python3 kit.py usb --to FOLDER`.
3. `python3 kit.py lab` installs JupyterLab.  Run the first cell of lesson 06 there.

**If this cell says "this machine computes in float32: expect up to N times as many minutes"**, 06
and 07 take too long for these plans, which are made for machines that compute in bfloat16.  In the
room read the outputs that are stored in `notebooks/06…` and `07…` (a learner's own copy begins
without them), and do not run the cells there.  Let them run over a break, or at home.
"""
PART = 200  # minutes of a morning or an afternoon at most; one of half a day may have all of it


@dataclass(frozen=True)
class Row:
    """A row of a plan; without `sections` the whole lesson is meant."""

    plan: str
    part: str  # such as "day 1, morning"
    minutes: int
    lesson: str  # its number, "" for a break
    sections: tuple[str, ...]  # headings
    what: str


def read_plans(path: Path | None = None) -> list[Row]:
    """Read the plans, row by row in their order."""
    return [
        Row(
            row["plan"],
            row["part"],
            int(row["minutes"]),
            row["lesson"],
            tuple(filter(None, row["sections"].split("; "))),
            row["what"],
        )
        for row in read_csv(path or data_path("plans.csv"))
    ]


def needed(row: Row, lessons: Mapping[str, Taught]) -> int | None:
    """Return the minutes of what a row names, None where it names no lesson.

    Raises KeyError for a lesson or a section that is not there.
    """
    if not row.lesson:
        return None
    taught, minutes = lessons[row.lesson], 0
    if not row.sections:
        return sum(section.minutes for section in taught.sections)
    for heading in row.sections:
        section = taught.section(heading)
        if section is None:
            raise KeyError(f"lesson {row.lesson} has no section {heading!r}")
        minutes += section.minutes
    return minutes


def faults(rows: Sequence[Row], lessons: Mapping[str, Taught]) -> list[str]:
    """List what does not fit: too short rows, unknown sections, plans of another length."""
    found = []
    for row in rows:
        try:
            minutes = needed(row, lessons)
        except KeyError as error:
            found.append(f"{row.plan}: {error.args[0]}")
            continue
        if minutes is not None and minutes > row.minutes:
            found.append(
                f"{row.plan}: lesson {row.lesson} has {row.minutes} minutes in row "
                f"{row.what!r}, and takes {minutes}"
            )
    for plan in {**LENGTHS, **{row.plan: 0 for row in rows}}:
        parts: dict[str, int] = {}
        for row in rows:
            if row.plan == plan:
                parts[row.part] = parts.get(row.part, 0) + row.minutes
        if sum(parts.values()) != LENGTHS.get(plan):
            found.append(f"{plan}: {sum(parts.values())} minutes, not {LENGTHS.get(plan)}")
        found += [f"{plan}: {part} has {n} minutes" for part, n in parts.items()
                  if n > PART and len(parts) > 1]  # fmt: skip
    return found


def clock(minutes: int) -> str:
    """Write minutes since the beginning: 1:05."""
    return f"{minutes // 60}:{minutes % 60:02}"


def timed(rows: Sequence[Row]) -> list[tuple[Row, str]]:
    """Return each row with the time at which it begins, counted from the beginning of its part."""
    at: dict[tuple[str, str], int] = {}
    found = []
    for row in rows:
        now = at.get((row.plan, row.part), 0)
        at[row.plan, row.part] = now + row.minutes
        found.append((row, clock(now)))
    return found


def words(row: Row, lessons: Mapping[str, Lesson]) -> str:
    """Say what a row is about, in Markdown."""
    if not row.lesson:
        return row.what
    name = f"**{row.lesson} {lessons[row.lesson].title}**"
    about = ": " + "; ".join(row.sections) if row.sections else ", whole"
    end = "" if about.endswith("?") else "."
    return f"{name}{about}{end} {row.what}".strip()


def length(plan: str) -> str:
    """Write a plan's length: "half a day, 3.5 hours"."""
    return f"{plan}, {LENGTHS[plan] / 60:.3g} hours with the breaks"


def markdown(rows: Sequence[Row], lessons: Mapping[str, Lesson]) -> str:
    """Return the plans as Markdown for the teaching guide, and above them what comes before."""
    lines = [BEFORE]
    for plan in LENGTHS:
        lines += [f"**{length(plan).capitalize()}.**", ""]
        lines += ["| when | minutes | what |", "|---|---|---|"]
        for row, begins in timed([row for row in rows if row.plan == plan]):
            when = f"{row.part}, {begins}" if row.part else begins
            lines.append(f"| {when} | {row.minutes} | {words(row, lessons)} |")
        lines.append("")
    return "\n".join(lines)
