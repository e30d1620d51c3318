"""A built lesson, cut at its headings: what stands in each section, and how long it takes.

A lesson's minutes with reading are an estimate (data/lessons.csv), and so are those of each
exercise (data/exercises.csv).  What is left without the exercises is shared out among the sections
by their length: a word of text counts 1, a line of code `LINE`.  The minutes that the cells run
are inside, because who runs a cell reads on.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from distillkit.teaching.lesson import Lesson
from distillkit.teaching.record import Task

LINE = 4  # words of text that take as long to read as a line of code
CHECKED = re.compile(r"^\w+ = checks\w*\.(\w+)\(", re.M)  # f = checks.f(f)
QUESTION = re.compile(r"<details><summary>(.*?)</summary>(.*?)</details>", re.S)
BADGES = re.compile(r"^\[!\[.*\n", re.M)
HELP = re.compile(r"^\*About .*?(?:\n\n|\Z)", re.M | re.S)  # minutes and hints below a heading
SETUP = "setup"  # the tag of a lesson's first code cell


@dataclass(frozen=True)
class Figure:
    """A picture in base64, its alternative text, and the sentence below it ("": none)."""

    png: str
    alt: str
    caption: str = ""


@dataclass(frozen=True)
class Code:
    """A code cell: what it says, what it printed, the pictures it showed."""

    source: str
    printed: str
    figures: tuple[Figure, ...]


@dataclass
class Section:
    """What stands between two headings; `parts` are Markdown texts and code cells, in order."""

    heading: str
    level: int
    parts: list[str | Code] = field(default_factory=list)
    tasks: list[Task] = field(default_factory=list)
    minutes: int = 0  # with its exercises, without those for the quick

    @property
    def text(self) -> str:
        """All Markdown of the section, without its questions."""
        texts = [part for part in self.parts if isinstance(part, str)]
        return QUESTION.sub("", "\n\n".join(texts)).strip()

    @property
    def questions(self) -> list[tuple[str, str]]:
        """The questions with folded answers, in Markdown."""
        texts = "\n\n".join(part for part in self.parts if isinstance(part, str))
        return [
            (re.sub(r"^\d+\.\s+", "", " ".join(asked.split())), answer.strip())
            for asked, answer in QUESTION.findall(texts)
        ]

    @property
    def code(self) -> list[Code]:
        """The section's code cells."""
        return [part for part in self.parts if isinstance(part, Code)]

    @property
    def length(self) -> int:
        """How much there is to read, in words."""
        lines = sum(len(cell.source.splitlines()) for cell in self.code)
        texts = [part for part in self.parts if isinstance(part, str)]
        return sum(len(text.split()) for text in texts) + LINE * lines


@dataclass(frozen=True)
class Taught:
    """A lesson as it is taught: its row, the name of its file, its sections, its exercises."""

    lesson: Lesson
    stem: str
    sections: list[Section]

    @property
    def tasks(self) -> list[Task]:
        """The lesson's exercises in the order of its sections."""
        return [task for section in self.sections for task in section.tasks]

    def section(self, heading: str) -> Section | None:
        """Return the section with this heading, None if there is none."""
        return next((one for one in self.sections if one.heading == heading), None)


def read_lesson(notebook: Mapping, lesson: Lesson, tasks: Sequence[Task], stem: str) -> Taught:
    """Cut a learner's notebook (its JSON) at its headings; `tasks` are those of all lessons.

    Raises ValueError if an exercise of the lesson stands in no section, or if the exercises alone
    take longer than the lesson.
    """
    known = {task.exercise: task for task in tasks if task.lesson == lesson.number}
    sections: list[Section] = []
    for cell in notebook["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            _cut(source, sections)
        elif sections and SETUP not in cell["metadata"].get("tags", []):
            sections[-1].parts.append(Code(source, *_shown(cell["outputs"])))
            names = CHECKED.findall(source)
            sections[-1].tasks += [known[name] for name in names if name in known]
    found = [task.exercise for section in sections for task in section.tasks]
    if sorted(found) != sorted(known):
        raise ValueError(f"{stem} holds the exercises {found}, data/exercises.csv has {[*known]}")
    must = [sum(t.minutes for t in section.tasks if not t.bonus) for section in sections]
    if sum(must) > int(lesson.reading):
        raise ValueError(
            f"lesson {lesson.number}: its exercises take {sum(must)} minutes, and "
            f"data/lessons.csv gives it {lesson.reading}"
        )
    rest = share_out(int(lesson.reading) - sum(must), [section.length for section in sections])
    for section, exercise, reading in zip(sections, must, rest):
        section.minutes = exercise + reading
    return Taught(lesson, stem, sections)


def read_notebook(path: Path, lesson: Lesson, tasks: Sequence[Task]) -> Taught:
    """Read a built lesson from disk; see `read_lesson`."""
    notebook = json.loads(path.read_text(encoding="utf-8"))
    return read_lesson(notebook, lesson, tasks, path.stem)


def _cut(source: str, sections: list[Section]) -> None:
    """Add a Markdown cell's text to the sections; each heading outside of code begins one."""
    lines, fenced = [], False

    def finish() -> None:
        text = "\n".join(lines).strip()
        lines.clear()
        if text and sections:
            sections[-1].parts.append(text)

    for line in BADGES.sub("", source).split("\n"):
        fenced ^= line.startswith("```")
        heading = re.match(r"(#{1,3}) (.+)", line)
        if heading and not fenced:
            finish()
            sections.append(Section(heading[2].strip(), len(heading[1])))
        else:
            lines.append(line)
    finish()


def _shown(outputs: Sequence[Mapping]) -> tuple[str, tuple[Figure, ...]]:
    """Return what a cell printed, and its pictures; a caption is the HTML just behind one."""
    printed, figures = "", []
    for out in outputs:
        data = out.get("data", {})
        if out["output_type"] == "stream":
            printed += "".join(out["text"])
        elif "image/png" in data:
            alt = out["metadata"].get("image/png", {}).get("alt", "")
            figures.append(Figure("".join(data["image/png"]).replace("\n", ""), alt))
        elif "text/html" in data and figures:
            last = figures.pop()
            figures.append(Figure(last.png, last.alt, "".join(data["text/plain"])))
    return printed, tuple(figures)


def share_out(total: int, weights: Sequence[float]) -> list[int]:
    """Cut `total` into whole numbers in proportion to the weights, so that they sum to it."""
    whole = sum(weights) or 1
    exact = [total * weight / whole for weight in weights]
    shares = [int(value) for value in exact]
    first = sorted(range(len(exact)), key=lambda at: shares[at] - exact[at])
    for at in first[: total - sum(shares)]:
        shares[at] += 1
    return shares
