"""The test before and after the course (data/quiz.json): two sheets to print, and their key.

Both sheets have the same questions with the options in another order, the second one also the
questions.  Whoever guesses gets a quarter of them right.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path

from distillkit.runtime.files import read_json
from distillkit.runtime.session import data_path
from distillkit.teaching.instructor.typeset import SHEET, html, page, table
from distillkit.teaching.lesson import Lesson

LETTERS = "ABCD"
SHEETS = ("before", "after")


@dataclass(frozen=True)
class Question:
    """A question, its right option, and the wrong ones, each with what it takes to choose it."""

    lesson: str
    question: str
    right: str
    wrong: Mapping[str, str]  # option -> the belief behind it

    def options(self, sheet: str) -> list[str]:
        """Return all options in the order of a sheet, the same each time."""
        found = [self.right, *self.wrong]
        random.Random(f"{sheet} {self.question}").shuffle(found)
        return found

    def letter(self, sheet: str) -> str:
        """Return the letter of the right option on a sheet."""
        return LETTERS[self.options(sheet).index(self.right)]


def read_quiz(path: Path | None = None) -> list[Question]:
    """Read the questions; raises ValueError for one without four different options."""
    found = []
    for row in read_json(path or data_path("quiz.json")):
        wrong = {one["option"]: one["belief"] for one in row["wrong"]}
        if len({row["right"], *wrong}) != len(LETTERS) or not all(wrong.values()):
            raise ValueError(f"{row['question']!r} needs four options and three beliefs")
        found.append(Question(row["lesson"], row["question"], row["right"], wrong))
    return found


def order(quiz: list[Question], sheet: str) -> list[Question]:
    """Return the questions in the order of a sheet."""
    found = list(quiz)
    if sheet == "after":
        random.Random(sheet).shuffle(found)
    return found


def sheets(quiz: list[Question]) -> str:
    """Return the page with both sheets, each of which begins on a new piece of paper."""
    parts = []
    for sheet in SHEETS:
        items = []
        for question in order(quiz, sheet):
            options = "".join(
                f'<li><span class="box" aria-hidden="true"></span>{letter}. {escape(option)}</li>'
                for letter, option in zip(LETTERS, question.options(sheet))
            )
            asked = f"{escape(question.question)} <small>(lesson {question.lesson})</small>"
            items.append(f"<li><p>{asked}</p><ul>{options}</ul></li>")
        parts.append(
            f'<section><h2>Sheet {sheet} the course</h2><p class="name">Name or number: '
            '<span class="line"></span></p><p>One answer to each question. A guess is welcome: '
            "nobody is marked, we want to see what the course changes.</p>"
            f"<ol>{''.join(items)}</ol></section>"
        )
    title = "Test before and after the course"
    return page(
        title, f'<main class="sheets"><h1>{title}</h1>{"".join(parts)}</main>', SHEET + STYLE
    )


def key(quiz: list[Question], lessons: Mapping[str, Lesson]) -> str:
    """Return the page with the right letters, and what stands behind each wrong one."""
    places = {s: {q.question: at for at, q in enumerate(order(quiz, s), 1)} for s in SHEETS}
    short = [[*(f"{places[s][q.question]} {q.letter(s)}" for s in SHEETS), q.lesson] for q in quiz]
    parts = []
    for question in quiz:
        rows = [
            [*(LETTERS[question.options(s).index(option)] for s in SHEETS), escape(option), said]
            for option, said in [
                (question.right, "<b>right</b>"),
                *((option, html(belief)) for option, belief in question.wrong.items()),
            ]
        ]
        where = " and ".join(f"{places[s][question.question]} {s}" for s in SHEETS)
        title = f"Lesson {question.lesson}, {escape(lessons[question.lesson].title)}"
        parts.append(
            f"<section><h2>{escape(question.question)}</h2>"
            f"<p>{title}; number {where}.</p>"
            + table(["before", "after", "option", "who chooses it thinks"], rows, where)
            + "</section>"
        )
    title = "Key to the test"
    said = (
        f"<p>Whoever guesses has {len(quiz) // len(LETTERS)} of {len(quiz)} right. Compare each "
        "learner's own two sheets, by name or number: only the questions whose answer changed say "
        "something about the course (lesson 07). Leave out the questions of lessons that were not "
        "taught.</p>"
    )
    heads = ["before: number, letter", "after: number, letter", "lesson"]
    body = f"{said}{table(heads, short, 'right letters')}{''.join(parts)}"
    return page(title, f'<main class="key"><h1>{title}</h1>{body}</main>', SHEET + STYLE)


STYLE = """section ol{padding-left:1.6em}section ul{list-style:none;padding:0;margin:.2em 0 1em}
section ol>li{break-inside:avoid}section ol>li>p{margin:0;font-weight:600}
section small{font-weight:400}
section ul li{margin:.15em 0;padding-left:1.6em;text-indent:-1.6em}
.box{display:inline-block;width:.8em;height:.8em;border:1.5px solid var(--ink);
margin-right:.5em;text-indent:0}
.line{display:inline-block;width:16em;border-bottom:1.5px solid var(--ink)}
td:nth-child(-n+2){text-align:center}
@media print{.sheets h1{display:none}section ul{margin-bottom:.7em}
.key h2{break-before:auto}.key section{break-inside:avoid}}
"""
