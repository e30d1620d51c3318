"""A class's work as one table, from the progress pages that learners handed in (`record`).

What a page holds was written by somebody else: its words are matched against what the kit itself
writes, and a cell that a spreadsheet would compute is written as text.  Nothing is sent anywhere.
"""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path

from distillkit.runtime.files import write_atomic
from distillkit.teaching.record import DONE, MARK, OPEN, WRONG, Standing, Task, how, tasks

PAGES = (".html", ".htm")
MOST_BYTES = 1_000_000  # a page of all lessons has 15,000
TITLE = "Exercises of distillkit"
HOW = re.compile(  # what `record.how` says
    r"(?:([0-9]{1,4}) (?:try|tries))?(?:, )?(?:([0-9]{1,4}) hints?)?(?:, )?(after the solution)?"
)
FORMULA = re.compile(r"\s*[=+\-@＝＋－＠]")  # what a spreadsheet computes, full-width forms, too


@dataclass
class Learner:
    """A learner's name, the files handed in, and how far each exercise has got."""

    name: str
    files: list[str]
    standings: dict[str, Standing] = field(default_factory=dict)


class PageError(ValueError):
    """A file is no progress page that can be read; the message says why."""


class _Cells(HTMLParser):
    """The page's title and the words of its table, row by row."""

    def __init__(self) -> None:
        super().__init__()
        self.title, self.rows, self.inside = "", [], ""

    def handle_starttag(self, tag: str, attrs: list) -> None:
        self.inside = tag
        if tag == "tr":
            self.rows.append([])
        elif tag == "td" and self.rows:
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        self.inside = ""

    def handle_data(self, data: str) -> None:
        if self.inside == "title":
            self.title += data
        elif self.inside == "td" and self.rows:
            self.rows[-1][-1] += data


def read_page(text: str, table: dict[str, Task]) -> tuple[str, dict[str, Standing], list[str]]:
    """Return the learner's name ("" if none stands there), the exercises, and what was left out.

    Raises PageError for a text that is no progress page, or one without a row that can be read.
    """
    if MARK not in text[:200]:
        raise PageError("is no page of dk.progress(page=…)")
    cells, found, odd = _Cells(), {}, []
    cells.feed(text)
    for number, row in enumerate(filter(None, cells.rows), 1):
        try:
            name, standing = _row(row, table)
            if name in found:
                raise PageError(f"names {name} again")
            found[name] = standing
        except PageError as error:
            odd.append(f"row {number} {error}")
    if not found:
        raise PageError("has no exercise that can be read" + (f": {odd[0]}" if odd else ""))
    _, _, name = cells.title.partition(f"{TITLE}:")
    return tidy(name), found, odd


def _row(row: list[str], table: dict[str, Task]) -> tuple[str, Standing]:
    """Read a row as `record.write_page` writes it."""
    if len(row) != 7:
        raise PageError(f"has {len(row)} cells, not 7")
    lesson, name, _, _, result, words, when = map(str.strip, row)
    if name not in table or table[name].lesson != lesson:
        raise PageError(f"names an exercise that this kit does not have: {tidy(name, 40)!r}")
    tries, hints, after = found.groups() if (found := HOW.fullmatch(words)) else (None,) * 3
    standing = Standing(int(tries or 0), int(hints or 0), bool(after), when)
    if result != standing.outcome or how(standing) != words:
        raise PageError(f"({name}) does not fit together: {tidy(f'{result}, {words}', 60)!r}")
    return name, standing


def tidy(words: str, most: int = 80) -> str:
    """Return words from a page on one line, without control characters, at most so long."""
    seen = "".join(char if char.isprintable() else " " for char in words)
    return " ".join(seen.split())[:most]


def read_class(folder: Path, table: dict[str, Task]) -> tuple[list[Learner], list[str]]:
    """Read every page in a folder and its folders; return the learners and sentences on the rest.

    Pages with the same name are one learner's, and the better result of each exercise counts; a
    page without a name is called as its file.  Raises NotADirectoryError for what is no folder.
    """
    if not folder.is_dir():
        raise NotADirectoryError(f"{folder} is no folder: name the one with the learners' pages")
    learners: dict[str, Learner] = {}
    said, texts = [], {}
    for path in sorted(folder.rglob("*")):
        file = path.relative_to(folder).as_posix()
        if any(part.startswith((".", "__MACOSX")) for part in Path(file).parts) or path.is_dir():
            continue
        try:
            text = _text(path)
            name, found, odd = read_page(text, table)
        except PageError as error:
            said.append(f"{tidy(file)} {error}: it is left out")
            continue
        except OSError as error:
            said.append(f"{tidy(file)} cannot be read ({error.strerror}): it is left out")
            continue
        if text in texts:
            said.append(f"{tidy(file)} and {texts[text]} are the same, to the letter")
        texts.setdefault(text, tidy(file))
        said += [f"{tidy(file)}: {words}; this row is left out" for words in odd]
        name = name or tidy(str(Path(file).with_suffix("")))
        one = learners.setdefault(name.casefold(), Learner(name, []))
        if one.files:
            said.append(f"{tidy(file)} and {one.files[0]} are both by {name}: the better result "
                        "of each exercise counts")  # fmt: skip
        one.files.append(tidy(file))
        for exercise, standing in found.items():
            one.standings[exercise] = max(
                standing, one.standings.get(exercise, Standing()), key=_far
            )
    return sorted(learners.values(), key=lambda one: one.name.casefold()), said


def _text(path: Path) -> str:
    if path.suffix.lower() not in PAGES:
        raise PageError("is no page (.html)")
    if not path.is_file():
        raise PageError("is no file")
    if path.stat().st_size > MOST_BYTES:
        raise PageError("is too large for a page")
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise PageError("is not in UTF-8, as the kit writes its pages") from None


def _far(standing: Standing) -> tuple:
    """Order standings: done, then wrong, then open; solved alone before with the solution."""
    order = (OPEN, WRONG, DONE).index(standing.outcome)
    return order, not standing.solution, standing.tries, standing.hints


# --- the table ------------------------------------------------------------------------------------


def to_csv(learners: Sequence[Learner], table: dict[str, Task]) -> str:
    """Return one line a learner: sums, and for each exercise of the pages result, tries, hints."""
    asked = seen(learners, table)
    head = ["learner", "files", "done", "of", "tries", "hints"]
    for task in asked:
        name = f"{task.lesson} {task.exercise}"
        head += [name, f"{name}: tries", f"{name}: hints"]
    out = io.StringIO()
    book = csv.writer(out, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\n")
    book.writerow(head)
    for one in learners:
        all_ = [one.standings.get(task.exercise, Standing()) for task in asked]
        row: list[str | int] = [safe(one.name), safe("; ".join(one.files))]
        row += [sum(s.outcome == DONE for s in all_), len(all_)]
        row += [sum(s.tries for s in all_), sum(s.hints for s in all_)]
        for standing in all_:
            after = " after the solution" if standing.solution else ""
            row += [standing.outcome + after, standing.tries, standing.hints]
        book.writerow(row)
    return out.getvalue()


def safe(words: str) -> str:
    """Return a cell that a spreadsheet takes for text, whatever it begins with."""
    return f"'{words}" if FORMULA.match(words) else words


def seen(learners: Sequence[Learner], table: dict[str, Task]) -> list[Task]:
    """Return the exercises that stand in any of the pages, in the order of the lessons."""
    named = {name for one in learners for name in one.standings}
    return [task for task in table.values() if task.exercise in named]


def overview(learners: Sequence[Learner], table: dict[str, Task]) -> list[str]:
    """Return a line an exercise: how many learners solved it, with how many tries and hints."""
    lines = []
    for task in seen(learners, table):
        all_ = [one.standings.get(task.exercise, Standing()) for one in learners]
        counts = Counter(standing.outcome for standing in all_)
        tried = [s for s in all_ if s.outcome != OPEN]
        mean = [f"{sum(values) / len(tried):.1f} {what}" for what, values in (
            ("tries", [s.tries for s in tried]), ("hints", [s.hints for s in tried]))
            if tried]  # fmt: skip
        lines.append(f"{task.lesson} {task.exercise:18} {counts[DONE]:3} done, {counts[WRONG]:3} "
                     f"wrong, {counts[OPEN]:3} not attempted"
                     + (f"; of who tried: {', '.join(mean)}" if mean else ""))  # fmt: skip
    return lines


def grade(folder: Path, out: Path) -> list[str]:
    """Write the class's table to `out` (CSV) and return what to tell the instructor, in lines.

    Raises ValueError if there is no page, FileExistsError if `out` exists: it is kept.
    """
    if out.exists():
        raise FileExistsError(f"{out} exists and is kept: choose another name with --out")
    table = tasks()
    learners, said = read_class(folder, table)
    if not learners:
        raise ValueError(" ".join([f"{folder} holds no progress page.", *said[:3]]))
    write_atomic(out, "\ufeff" + to_csv(learners, table))  # so that Excel reads names in UTF-8
    pages = sum(len(one.files) for one in learners)
    return [*said, *overview(learners, table),
            f"{_count(len(learners), 'learner')}, {_count(pages, 'page')}: {out}. They are the "
            "learners' own records and no proof; nothing was sent anywhere."]  # fmt: skip


def _count(n: int, word: str) -> str:
    return f"{n} {word}{'' if n == 1 else 's'}"
