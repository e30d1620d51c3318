"""The answer key: solutions, the wrong answers that the checks know, and what to say to each."""

from __future__ import annotations

import re
from collections.abc import Mapping
from html import escape

from distillkit.teaching.exercise import Exercise
from distillkit.teaching.instructor.sections import HELP, Section, Taught
from distillkit.teaching.instructor.slides import asked_in
from distillkit.teaching.instructor.typeset import html, page, table
from distillkit.teaching.record import Task

SEVERAL = "two things at once"  # how a message begins that joins two others
BEFORE = """<p>The checks say all of this to the learners, too. The page is for reading before the
course, and for a look at a screen over somebody's shoulder: how a wrong answer shows is what the
check would say if it did not know the mistake. The wrong answers stand in the order in which the
check tries them; how often each one is made was not counted.</p>
<p>Whatever the exercise, the check also sees: it prints and returns nothing · another type or shape
· an argument that is changed in place · a loop that never ends · a gradient that is cut off by
<code>.item()</code>, <code>.detach()</code> or a new tensor.</p>"""


def answer_key(lessons: Mapping[str, Taught], exercises: Mapping[str, Exercise],
               solutions: Mapping[str, str]) -> str:  # fmt: skip
    """Return the page; raises KeyError for an exercise without a check or without a solution."""
    links = [f'<li><a href="#l{n}">{n} {escape(t.lesson.title)}</a></li>'
             for n, t in lessons.items()]  # fmt: skip
    parts = [_lesson(taught, exercises, solutions) for taught in lessons.values()]
    title = "Answer key"
    return page(title, f"<main><h1>{title}</h1>{BEFORE}<ul>{''.join(links)}</ul>"
                       f"{''.join(parts)}</main>")  # fmt: skip


def _lesson(taught: Taught, exercises: Mapping, solutions: Mapping) -> str:
    row = taught.lesson
    parts = [f'<h2 id="l{row.number}">{row.number} {escape(row.title)}</h2>', _guess(taught)]
    for section in taught.sections:
        if section.tasks:
            parts.append(f"<h3>{escape(section.heading)}</h3>{html(task_text(section))}")
            parts += [_task(task, exercises[task.exercise], solutions[task.exercise])
                      for task in section.tasks]  # fmt: skip
    asked = [words for section in taught.sections for words in asked_in(section.text)]
    if asked:
        items = "".join(f"<li>{html(words)}</li>" for words in asked)
        parts.append(f"<h3>To ask while they try it out</h3><ul>{items}</ul>")
    folded = [pair for section in taught.sections for pair in section.questions]
    if folded:
        items = "".join(f"<dt>{html(q)}</dt><dd>{html(a)}</dd>" for q, a in folded)
        parts.append(f"<h3>Questions for the room, with answers</h3><dl>{items}</dl>")
    return "".join(parts)


def _guess(taught: Taught) -> str:
    """Return the guess that the lesson asks for, and what was measured."""
    first = next((s for s in taught.sections if re.search("(?i)^(predict|guess)", s.heading)), None)
    if first is None:
        return ""
    back = next((s for s in taught.sections if s.heading.startswith("Look back")), None)
    found = "\n".join(cell.printed.strip() for cell in back.code) if back else ""
    said = f"<p>Measured in the built lesson:</p><pre>{escape(found)}</pre>" if found else ""
    return f"<h3>{escape(first.heading)}</h3>{html(first.text)}{said}"


def task_text(section: Section) -> str:
    """Return what an exercise's section asks for: its Markdown up to the first code cell."""
    texts = []
    for part in section.parts:
        if not isinstance(part, str):
            break
        texts.append(part)
    return HELP.sub("", "\n\n".join(texts))


def _task(task: Task, exercise: Exercise, solution: str) -> str:
    hints = "".join(f"<li>{html(words)}</li>" for words in exercise.hints[:2])
    hints += "".join(f"<li><code>{escape(line)}</code></li>" for line in exercise.hints[2:])
    rows, several = {}, False
    for mistake, words in exercise.wrong_answers():
        if mistake.message.startswith(SEVERAL):
            several = True
            continue
        shows = f"<small>{escape(words)}</small>".replace("\n", "<br>")
        rows.setdefault(mistake.message, [escape(mistake.message), shows])
    more = "<p>The check knows two of these at once, too.</p>" if several else ""
    return (
        f"<h4><code>{task.exercise}</code>, {task.minutes} minutes, {task.level}</h4>"
        f"<pre>{escape(solution)}</pre><p>Help, one after the other:</p><ol>{hints}</ol>"
        + table(["What is wrong, and what to say", "How it shows"], [*rows.values()],
                f"wrong answers to {task.exercise}")
        + more
    )  # fmt: skip
