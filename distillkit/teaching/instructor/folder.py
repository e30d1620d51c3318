"""Write the instructor's kit: all pages into one folder, made anew from lessons, checks and data.

    distillkit instructor --to DIR

Nothing in it is edited by hand, so it cannot say anything else than the lessons do: the sections
and pictures are those of the built notebooks, which `python -m notebooks.build --check` compares
with their masters.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from html import escape
from pathlib import Path

from distillkit.runtime.files import read_json
from distillkit.runtime.session import data_path
from distillkit.teaching.exercise import Exercise
from distillkit.teaching.instructor import plans, quiz
from distillkit.teaching.instructor.key import answer_key
from distillkit.teaching.instructor.sections import LINE, Taught, read_notebook
from distillkit.teaching.instructor.slides import deck
from distillkit.teaching.instructor.typeset import html, page, table, write_page
from distillkit.teaching.lesson import all_lessons, lesson_path
from distillkit.teaching.record import tasks


def taught_lessons() -> dict[str, Taught]:
    """Read every lesson that is written, number -> lesson.

    Raises FileNotFoundError where there are no notebooks, as in an installed package.
    """
    known = [*tasks().values()]
    return {
        number: read_notebook(lesson_path(number), lesson, known)
        for number, lesson in all_lessons().items()
        if not lesson.planned
    }


def write_kit(
    to: Path, exercises: Mapping[str, Exercise], say: Callable[[str], None] = print
) -> list[Path]:
    """Write all pages into the folder `to` and return them; earlier ones are written anew.

    Raises FileExistsError rather than write over anything else, and ValueError, which names what
    is wrong, if a plan does not fit its time.
    """
    lessons, rows = taught_lessons(), plans.read_plans()
    if wrong := plans.faults(rows, lessons):
        raise ValueError("the plans do not fit: " + "; ".join(wrong))
    questions = quiz.read_quiz()
    solutions = read_json(data_path("solutions.json"))
    made = {
        "plans.html": ("Plans, and the minutes of each section", plans_page(rows, lessons)),
        "answer_key.html": ("Answer key, with what to say to wrong answers, and questions for the "
                            "room", answer_key(lessons, exercises, solutions)),
        "quiz.html": ("Test before and after the course, to print", quiz.sheets(questions)),
        "quiz_key.html": ("Key to the test", quiz.key(questions, all_lessons())),
    }  # fmt: skip
    for number, taught in lessons.items():
        title = f"Slides: {number} {taught.lesson.title}"
        made[f"slides/{taught.stem}.html"] = title, deck(taught)
    made = {"index.html": ("", index(made)), **made}
    written = []
    for name, (_, text) in made.items():
        written.append(write_page(to / name, text))
        say(f"{to / name}: {len(text.encode()) / 1000:.0f} KB")
    return written


def index(made: Mapping[str, tuple[str, str]]) -> str:
    """Return the first page: what lies in the folder."""
    items = "".join(f'<li><a href="{n}">{escape(title)}</a></li>' for n, (title, _) in made.items())
    return page(
        "Instructor's kit",
        f"<main><h1>Instructor's kit</h1><p>Made from the lessons; every page works without a "
        "network. Slides: arrow keys or the buttons, and the button “Notes” shows the whole text; "
        "print them for a handout, one slide a page. Solutions stand only in the answer key and in "
        f"the key to the test.</p><ul>{items}</ul></main>",
    )


def plans_page(rows: list[plans.Row], lessons: Mapping[str, Taught]) -> str:
    """Return the plans with their minutes, and below them the minutes of each section."""
    titles = {number: taught.lesson for number, taught in lessons.items()}
    parts = []
    for plan in plans.LENGTHS:
        cells = []
        for row, begins in plans.timed([row for row in rows if row.plan == plan]):
            takes = plans.needed(row, lessons)
            when = escape(f"{row.part}, {begins}" if row.part else begins)
            need = "" if takes is None else str(takes)
            words = html(plans.words(row, titles))
            cells.append([when.replace(" ", "&nbsp;"), str(row.minutes), need, words])
        heads = ["begins", "minutes", "needed", "what"]
        title = plans.length(plan).capitalize()
        parts.append(f"<h2>{title}</h2>" + table(heads, cells, plan, (1, 2)))
    parts.append(f"<h2>Minutes of each section</h2>{HOW}")
    for number, taught in lessons.items():
        cells = []
        for section in taught.sections:
            names = ", ".join(f"<code>{task.exercise}</code> {task.minutes}"
                              + (" (bonus)" if task.bonus else "")
                              for task in section.tasks)  # fmt: skip
            cells.append([escape(section.heading), str(section.minutes), names])
        row, must = taught.lesson, sum(t.minutes for t in taught.tasks if not t.bonus)
        rest = int(row.reading) - must
        pace = sum(section.length for section in taught.sections) / rest
        parts.append(
            f"<h3>{number} {escape(row.title)}: {row.reading} minutes</h3>"
            f"<p>{must} of them for exercises; the cells run for about "
            f"{row.minutes or '(not measured)'}. The rest of the text goes by at {pace:.0f} words "
            f"a minute.</p>" + table(["section", "minutes", "exercises"], cells, row.title, (1,))
        )
    before = html(plans.BEFORE) + NEEDED
    return page("Plans", f"<main><h1>Plans</h1>{before}{''.join(parts)}</main>")


NEEDED = """<p>“Needed” is what the sections named take, from the table below; a plan in which a row
had too few minutes would not have been written.</p>"""
HOW = f"""<p>What is measured: the minutes that a lesson's cells run (data/lessons.csv says on what
and when). Estimates: a lesson's minutes with reading, and those of each exercise for a beginner
(data/exercises.csv). What is left without exercises is shared out among the sections by their
length: a word counts 1, a line of code {LINE}. Running is inside: who runs a cell reads on. 0
means less than half a minute. A bonus exercise is for the quick, outside of the sum.</p>"""
