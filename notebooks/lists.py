"""What is said of lessons outside of their notebooks: it all follows from data/lessons.csv.

The READMEs hold lists of lessons between two comments; a master names another lesson as
`{lesson 05}` and its own minutes of reading as `{reading}`.
"""

from __future__ import annotations

import re
from pathlib import Path

from distillkit.runtime.files import write_atomic
from distillkit.teaching.lesson import Lesson, all_lessons
from notebooks.running import BuildError

BEGIN, END = "<!-- lessons -->", "<!-- /lessons -->"
TABLE = """\
| lesson | minutes to run | with reading (an estimate) | before it | needs weights | tensors |
|---|---|---|---|---|---|
"""


def table_of(folder: Path) -> dict[str, Lesson]:
    """Read the table of lessons that belongs to a folder of notebooks."""
    return all_lessons(folder.parent / "data" / "lessons.csv")


def masters_of(folder: Path) -> dict[str, Path]:
    """Find the masters of a folder of notebooks, number -> master."""
    return {path.name[:2]: path for path in sorted((folder / "src").glob("[0-9][0-9]_*.py"))}


def row_of(master: Path) -> Lesson:
    """Return the row of a master's lesson; raises BuildError if there is none."""
    lesson = table_of(master.parent.parent).get(master.name[:2])
    if lesson is None:
        raise BuildError(f"data/lessons.csv has no row for lesson {master.name[:2]}")
    if lesson.planned:
        raise BuildError(f'lesson {lesson.number} is written, and its row still says "planned"')
    return lesson


def worded(text: str, master: Path) -> str:
    """Fill in what a master's text says of lessons; raises BuildError for a lesson without row."""
    lessons = table_of(master.parent.parent)

    def name(found: re.Match) -> str:
        number = found[1]
        if number not in lessons:
            raise BuildError(f"{found[0]}: data/lessons.csv has no such row")
        return f"{number} {lessons[number].title}"

    return re.sub(r"\{lesson (\d+)\}", name, text.replace("{reading}", row_of(master).reading))


def links(folder: Path, prefix: str) -> dict[str, str]:
    """Write the written lessons as links, number -> link; raises BuildError without a master."""
    masters, found = masters_of(folder), {}
    for number, lesson in table_of(folder).items():
        if lesson.planned:
            continue
        if number not in masters:
            raise BuildError(
                f"lesson {number} has a row in data/lessons.csv and no master: write "
                f'notebooks/src/{number}_topic.py, or let the minutes say "planned"'
            )
        found[number] = f"[{number} {lesson.title}]({prefix}{masters[number].stem}.ipynb)"
    return found


def planned(folder: Path) -> str:
    """List the lessons that are not written yet, "" if there are none."""
    names = [f"{n} {lesson.title}" for n, lesson in table_of(folder).items() if lesson.planned]
    return "Planned: " + " ·\n".join(names) + ".\n" if names else ""


def short_list(folder: Path) -> str:
    """Return the list of the front page: one line a lesson, one paragraph when it is rendered."""
    return " ·\n".join(links(folder, "notebooks/").values()) + "\n\n" + planned(folder)


def teaching_table(folder: Path) -> str:
    """Return the table of the teaching guide."""
    lessons, lines = table_of(folder), []
    for number, link in links(folder, "").items():
        row = lessons[number]
        minutes = row.minutes or "not measured yet"
        cells = [link, minutes, row.reading, row.before, row.weights, row.tensors]
        lines.append(f"| {' | '.join(cells)} |\n")
    return TABLE + "".join(lines) + "\n" + planned(folder)


def pages(folder: Path) -> dict[Path, str]:
    """Return the READMEs as they should be; raises BuildError if one lacks its two comments."""
    made = {
        folder.parent / "README.md": short_list(folder),
        folder / "README.md": teaching_table(folder),
    }
    for path, listed in made.items():
        before, begin, rest = path.read_text(encoding="utf-8").partition(BEGIN)
        _, end, after = rest.partition(END)
        if not (begin and end):
            raise BuildError(f"{path.name} has no list of lessons between {BEGIN} and {END}")
        made[path] = f"{before}{BEGIN}\n\n{listed}\n{END}{after}"
    return made


def write_lists(folder: Path) -> None:
    """Write the lists of lessons in the READMEs again where they changed."""
    for path, text in pages(folder).items():
        if path.read_text(encoding="utf-8") != text:
            write_atomic(path, text)
            print(f"wrote the lessons in {path.relative_to(folder.parent)}")


def check_lists(folder: Path) -> None:
    """Raise BuildError that names each stale list, and each notebook that has no master."""
    found = []
    for path, text in pages(folder).items():
        if path.read_text(encoding="utf-8") != text:
            found.append(
                f"the lessons in {path.relative_to(folder.parent)} are not what data/lessons.csv "
                "says: python -m notebooks.build --text"
            )
    stems = {path.stem for path in masters_of(folder).values()}
    for place in (folder, folder / "solutions"):
        for path in sorted(place.glob("[0-9][0-9]_*.ipynb")):
            if path.stem not in stems:
                found.append(f"{path.relative_to(folder)} has no master: delete it")
    if found:
        raise BuildError("\n  ".join(found))
