"""What the checks of the exercises say of wrong and of right attempts."""

from __future__ import annotations

from benchmarks.report.parts import Rows, noted, origin, rate_of, rows, section, table

TABLE = "data/attempts.csv"
RIGHT = "right, written differently"


def checks() -> str:
    """Wrong attempts accepted and named, right ones refused, by lesson and by kind of mistake."""
    found = rows(TABLE)
    right = [row for row in found if row["kind"] == RIGHT]
    seen, held = ([row for row in found if row["kind"] != RIGHT and row["part"] == part]
                  for part in ("in view", "held out"))  # fmt: skip
    lessons = sorted({row["lesson"] for row in found})
    lines = [_line(lesson, *([r for r in part if r["lesson"] == lesson]
                             for part in (seen, held, right))) for lesson in lessons]  # fmt: skip
    kinds = [
        f"{kind} | {_sum(part, 'tried')} | {_sum(part, 'accepted')} | {_share(part)} | {where}"
        for where, rows_of in (("in view", seen), ("held out", held))
        for kind in sorted({row["kind"] for row in rows_of})
        for part in [[row for row in rows_of if row["kind"] == kind]]
    ]
    return section(
        "Are mistakes named?",
        f"""Wrong attempts at the {len({row["exercise"] for row in found})} exercises.  *In view*
        while the messages were written: the kit's solutions with one change each (an operator, a
        constant, an axis, a line …), and right values handed over wrongly (printed, as a list,
        with an argument changed in place …).  *Held out*: drawn after the last mend, at most 10 of
        each sort an exercise: other changes of the solutions (another variable, a turn of a loop
        left out, a comparison turned, two lines swapped …), and both sorts of change in the right
        attempts that others might write.  Right ones: written by hand in other ways, and the kit's
        solutions, whose checks are written on their own.  A message *names* the mistake if it is
        one that the exercise knows, if it shows the line that stops, if it says how all results
        follow from the right ones or which change of the kit's function gives them, or if it says
        that a type or a gradient is wrong and this is what was done; "expected this, got that"
        names nothing.""",
        table("lesson | in view | accepted | named | held out | accepted | named | right | refused",
              [*lines, _line("all", seen, held, right)]),
        table("what was changed | tried | accepted | named | part", kinds),
        f"""Of the changes, {_sum(seen, "equivalent") + _sum(held, "equivalent")} more change
        nothing: they were accepted and gave the solution's values on inputs like the check's with
        other contents, drawn anew 30 times; they are in no column.  The aim was to name 95 % of
        the wrong ones; {rate_of(_sum(seen, "named"), _sum(seen, "tried"))} of those in view are
        named, and {rate_of(_sum(held, "named"), _sum(held, "tried"))} of those held out, which is
        the estimate for attempts that nobody has seen.""",
        noted("""before the messages were mended, 846 of 1,261 attempts in view were named and 539
        of 1,000 held out.  The mends had a first draw of held-out attempts in view, too; these
        were drawn after them.  One of these was accepted (`mended_fields`, with the end token
        as the last word), as 4 of the first draw were; their checks have an input against them
        now.  Of 60 named ones drawn at random (30 of each part, seed 61) and read, the message
        was right for 58; one shows a line that stops and is not the cause, one says what is
        true of the numbers by chance.  Of the named ones held out 435 stop with an error whose
        line is shown, and of 64 a change of the kit's function is said.  To find such a change
        a check computes for 1 s at most: 36 of 2,324 checks computed for more than 0.5 s, one
        of them before."""),
        origin(TABLE, "python -m benchmarks.attempts"),
    )  # fmt: skip


def _line(lesson: str, seen: Rows, held: Rows, right: Rows) -> str:
    tried = _sum(right, "tried")
    cells = (lesson, *(cell for part in (seen, held)
                       for cell in (_sum(part, "tried"), _sum(part, "accepted"), _share(part))),
             tried, tried - _sum(right, "accepted"))  # fmt: skip
    return " | ".join(map(str, cells))


def _share(found: Rows) -> str:
    tried = _sum(found, "tried")
    return (
        f"{_sum(found, 'named')} ({round(100 * _sum(found, 'named') / tried)} %)" if tried else ""
    )


def _sum(found: Rows, column: str) -> int:
    return sum(int(row[column]) for row in found)
