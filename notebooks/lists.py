"""What is said of lessons and exercises outside of their notebooks: it all follows from
data/lessons.csv, data/exercises.csv and data/plans.csv.

The READMEs hold lists of lessons between two comments; a master names another lesson as
`{lesson 05}`, its own minutes of reading as `{reading}`, those of its exercises as `{exercises}`,
and what is said at an exercise as `{exercise soft_loss}`, in each of its languages.
data/solutions.json holds the solutions that the masters mark, for `checks.hint`.
"""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

import jupytext

from distillkit.runtime.files import write_atomic
from distillkit.teaching.instructor import plans
from distillkit.teaching.lesson import Lesson, all_lessons
from distillkit.teaching.record import Task, tasks
from notebooks.languages import LANGUAGES
from notebooks.running import BuildError

BEGIN, END = "<!-- lessons -->", "<!-- /lessons -->"
OPEN, CLOSE = "# >>> solution", "# <<< stub: "
TABLE = """\
| lesson | minutes to run | with reading, an estimate | exercises, minutes without bonus \
| before it | weights | tensors |
|---|---|---|---|---|---|---|
"""
LEVELS = ("easy", "medium", "hard", "bonus")


def table_of(folder: Path) -> dict[str, Lesson]:
    """Read the table of lessons that belongs to a folder of notebooks."""
    return all_lessons(folder.parent / "data" / "lessons.csv")


def masters_of(folder: Path) -> dict[str, Path]:
    """Find the masters of a folder of notebooks, number -> master."""
    return {path.name[:2]: path for path in sorted((folder / "src").glob("[0-9][0-9]_*.py"))}


def languages_of(master: Path) -> list[str]:
    """Return the languages other than English in which a master has texts."""
    found = re.findall(r'^# %% .*\blang="([^"]*)"', master.read_text(encoding="utf-8"), re.M)
    return sorted({*found} - {"en"})


def row_of(master: Path) -> Lesson:
    """Return the row of a master's lesson; raises BuildError if there is none."""
    lesson = table_of(master.parent.parent).get(master.name[:2])
    if lesson is None:
        raise BuildError(f"data/lessons.csv has no row for lesson {master.name[:2]}")
    if lesson.planned:
        raise BuildError(f'lesson {lesson.number} is written, and its row still says "planned"')
    return lesson


def title_of(lesson: Lesson, lang: str) -> str:
    """Return a lesson's title in a language, in English where that is missing."""
    return LANGUAGES[lang].titles.get(lesson.number, lesson.title)


def worded(text: str, master: Path, lang: str = "en") -> str:
    """Fill in what a master's text says of lessons; raises BuildError for a lesson without row."""
    lessons = table_of(master.parent.parent)

    def name(found: re.Match) -> str:
        number = found[1]
        if number not in lessons:
            raise BuildError(f"{found[0]}: data/lessons.csv has no such row")
        return f"{number} {title_of(lessons[number], lang)}"

    def exercise(found: re.Match) -> str:
        asked = [known.get(word) for word in found[1].split()]
        if None in asked:
            raise BuildError(f"{found[0]}: data/exercises.csv lacks such a row of this lesson")
        return at_exercise(asked, lang)

    known = {task.exercise: task for task in tasks_of(master)}
    text = text.replace("{reading}", row_of(master).reading)
    text = text.replace("{exercises}", str(minutes_of([*known.values()])))
    text = re.sub(r"\{exercise ([\w ]+)\}", exercise, text)
    return re.sub(r"\{lesson (\d+)\}", name, text)


def tasks_of(master: Path) -> list[Task]:
    """Return the rows of data/exercises.csv of a master's lesson."""
    rows = tasks(master.parent.parent.parent / "data" / "exercises.csv").values()
    return [task for task in rows if task.lesson == master.name[:2]]


def minutes_of(asked: list[Task]) -> int:
    """Return the planned minutes of exercises, without those for the quick."""
    return sum(task.minutes for task in asked if not task.bonus)


def summed(asked: list[Task]) -> str:
    """Return how many exercises a lesson has, and the minutes of those that are no bonus."""
    more = sum(task.bonus for task in asked)
    count = f"{len(asked) - more}{f' + {more} bonus' if more else ''}"
    return f"{count}, {minutes_of(asked)} min" if asked else "none"


def at_exercise(asked: list[Task], lang: str) -> str:
    """Return the line below an exercise's heading: minutes, difficulty, and where help is."""
    words = LANGUAGES[lang]
    level = max((task.level for task in asked), key=LEVELS.index)
    hints = words.comma.join(f'`checks.hint("{task.exercise}")`' for task in asked)
    minutes = sum(task.minutes for task in asked)
    return words.exercise.format(minutes=minutes, level=words.levels.get(level, level), hints=hints)


def solutions(folder: Path) -> dict[str, str]:
    """Return the solution of each exercise as the masters mark them, name -> source."""
    found = {}
    for master in masters_of(folder).values():
        names = {task.exercise for task in tasks_of(master)}
        notebook = jupytext.reads(master.read_text(encoding="utf-8"), fmt="py:percent")
        for cell in notebook.cells:
            if cell.cell_type != "code" or OPEN not in cell.source:
                continue
            lines = [line for line in cell.source.split("\n")
                     if not line.strip().startswith((OPEN, CLOSE.strip()))]  # fmt: skip
            for node in ast.parse("\n".join(lines)).body:
                if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name in names:
                    found[node.name] = "\n".join(lines[node.lineno - 1 : node.end_lineno])
    return found


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


def translated(folder: Path, prefix: str) -> str:
    """Write the lessons in other languages as links, a paragraph a language, "" if none is."""
    lessons, found = table_of(folder), []
    for lang, words in LANGUAGES.items():
        masters = {n: m for n, m in masters_of(folder).items() if lang in languages_of(m)}
        named = [f"[{n} {title_of(lessons[n], lang)}]({prefix}{lang}/{master.stem}.ipynb)"
                 for n, master in masters.items()]  # fmt: skip
        if named:
            found.append(f"{words.listed}: " + " ·\n".join(named) + ".\n")
    return "\n".join(found)


def planned(folder: Path) -> str:
    """List the lessons that are not written yet, "" if there are none."""
    names = [f"{n} {lesson.title}" for n, lesson in table_of(folder).items() if lesson.planned]
    return "Planned: " + " ·\n".join(names) + ".\n" if names else ""


def short_list(folder: Path) -> str:
    """Return the list of the front page: every lesson, linked if it is written."""
    written, words = links(folder, "notebooks/"), translated(folder, "notebooks/")
    lines = (f"- {written.get(number, f'{number} {lesson.title} (planned)')}: {lesson.about}\n"
             for number, lesson in table_of(folder).items())  # fmt: skip
    return "".join(lines) + (f"\n{words}" if words else "")


def teaching_table(folder: Path) -> str:
    """Return the table of the teaching guide."""
    lessons, lines = table_of(folder), []
    for number, link in links(folder, "").items():
        row = lessons[number]
        minutes = row.minutes or "not measured yet"
        asked = tasks_of(folder / "src" / f"{number}_")
        cells = [link, minutes, row.reading, summed(asked), row.before, row.weights, row.tensors]
        lines.append(f"| {' | '.join(cells)} |\n")
    rest = filter(None, (translated(folder, ""), planned(folder)))
    made = TABLE + "".join(lines) + "\n" + "\n".join(rest) + exercise_table(folder)
    path = folder.parent / "data" / "plans.csv"
    rows = plans.read_plans(path) if path.exists() else []
    return made + ("\n" + plans.markdown(rows, lessons).rstrip("\n") + "\n" if rows else "")


def exercise_table(folder: Path) -> str:
    """Return the table of exercises for the teaching guide, "" if there are none."""
    lines = []
    for master in masters_of(folder).values():
        for task in tasks_of(master):
            words = f"| {task.lesson} | `{task.exercise}` | {task.minutes} | {task.level} |\n"
            lines.append(words)
    head = "\n| lesson | exercise | minutes | difficulty |\n|---|---|---|---|\n"
    return head + "".join(lines) if lines else ""


def pages(folder: Path) -> dict[Path, str]:
    """Return the READMEs and data/solutions.json as they should be.

    Raises BuildError if a README lacks its two comments.
    """
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
    answers = json.dumps(solutions(folder), indent=1, ensure_ascii=False) + "\n"
    return {**made, folder.parent / "data" / "solutions.json": answers}


def write_lists(folder: Path) -> None:
    """Write the lists of lessons in the READMEs again where they changed."""
    for path, text in pages(folder).items():
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            write_atomic(path, text)
            print(f"wrote the lessons in {path.relative_to(folder.parent)}")


def check_lists(folder: Path) -> None:
    """Raise BuildError that names each stale list, and each notebook that has no master."""
    found = []
    for path, text in pages(folder).items():
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            source = "the masters say" if path.suffix == ".json" else "data/lessons.csv says"
            found.append(
                f"the lessons in {path.relative_to(folder.parent)} are not what {source}: "
                "python -m notebooks.build --text"
            )
    masters = masters_of(folder).values()
    places = {place: masters for place in (folder, folder / "solutions")}
    for lang in LANGUAGES:
        places[folder / lang] = [master for master in masters if lang in languages_of(master)]
    for place, theirs in places.items():
        for path in sorted(place.glob("[0-9][0-9]_*.ipynb")):
            if path.stem not in {master.stem for master in theirs}:
                found.append(f"{path.relative_to(folder)} has no master: delete it")
    if found:
        raise BuildError("\n  ".join(found))
