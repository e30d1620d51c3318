"""The ways of lesson 11 side by side: rows of `data/distil_or_retrieve.csv`, right answers in %."""

from __future__ import annotations

from collections.abc import Sequence

from distillkit.evaluation.statistics import unpaired_difference, wilson
from distillkit.teaching.recorded import Rows

CHANGED, OTHERS = "changed facts", "other facts after the change"
WAYS = [  # what stands in the table, its rows about the handbook, and those about equations
    ("as it is", "untouched", "untouched"),
    ("shown examples", "few-shot", "few-shot"),
    ("found in the prompt", "retrieved", "retrieved examples"),
    ("all in the prompt", "handbook in the prompt", ""),
    ("trained: sentences", "statements", ""),
    ("trained: nine wordings", "paraphrases", ""),
    ("trained: right answers", "questions", "fine-tuned"),
    ("distilled: all", "distilled", "distilled"),
    ("distilled: found", "distilled from passages", ""),
]
HEADS = ("new facts", "next edition", "equations", "reads", "bytes", "a change", "other text")
Right = tuple[float, int]  # right answers in %, a mean over runs, and how many were asked


def mean(found: Sequence[dict], column: str = "right") -> float:
    """Return the mean of a column over the runs."""
    return sum(row[column] for row in found) / len(found)


def right(rows: Rows, way: str, measure: str = "facts") -> Right:
    """Return what a way answers rightly."""
    found = rows.where(way=way, measure=measure)
    return mean(found), found[0]["n"]


def edition(rows: Rows, way: str) -> Right:
    """Return what a way answers rightly about the whole next edition, brought up to date."""
    parts = [right(rows, way, measure) for measure in (CHANGED, OTHERS)]
    asked = sum(n for _, n in parts)
    return sum(share * n for share, n in parts) / asked, asked


def with_interval(found: Right) -> str:
    """Write right answers in % with their 95 % Wilson interval; the questions are its units."""
    share, n = found
    low, high = wilson(share * n / 100, n)
    return f"{share:.0f} ({100 * low:.0f}–{100 * high:.0f})"


def difference(before: Right, after: Right) -> str:
    """Write how many more of 100 are right, with the 95 % interval.

    The questions were the same, but only their sums were kept: the interval is that of two groups.
    """
    (p, n), (q, m) = before, after
    change, low, high = (100 * x for x in unpaired_difference(p / 100, n, q / 100, m))
    return f"{change:+.0f} ({low:+.0f} to {high:+.0f})"


def table(rows: Rows) -> str:
    """Return one line a way: right answers to three kinds of task, and what the way costs."""
    lines = [["", *HEADS], *([name, *_cells(rows, *ways)] for name, *ways in WAYS)]
    first, *widths = (max(map(len, column)) for column in zip(*lines, strict=True))
    return "\n".join(
        f"{name:{first}}" + "".join(f"  {cell:>{w}}" for cell, w in zip(cells, widths, strict=True))
        for name, *cells in lines
    )


def _cells(rows: Rows, facts: str, skill: str) -> list[str]:
    handbook, equations = rows.where(task="facts"), rows.where(task="skill", way=skill)
    known = handbook.where(way=facts, measure="facts")
    updated = handbook.where(way=facts, measure=CHANGED)
    size, steps = known[0]["bytes"], updated[0]["steps"]
    losses = [mean(found, "general_loss") for found in (known, equations) if found]
    return [
        with_interval(right(handbook, facts)),
        with_interval(edition(handbook, facts)),
        with_interval(right(equations, skill, "skill")) if skill else "",
        f"{mean(known, 'prompt_tokens'):.0f}",
        f"{size / 1e6:.1f} MB" if size > 1e6 else f"{size:,}",
        f"{steps} steps" if steps else "an edit" if size else "",
        " / ".join(dict.fromkeys(f"{loss:.2f}" for loss in losses)),
    ]
