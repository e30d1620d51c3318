"""Figures that set students side by side: pure `draw_…(…) -> (Figure, caption)`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import Any

from distillkit.plots import (
    BLUE,
    GREY,
    ORANGE,
    RED,
    Drawn,
    bar_look,
    error_bars,
    new_figure,
    visible_token,
)

WIDE, TALL = 30, 22  # characters and lines of one answer
UNSURE = 0.9  # tokens with a lower probability are marked


@dataclass(frozen=True)
class Text:
    """One answer: its tokens, their probabilities (empty: unknown), what the rules say."""

    tokens: Sequence[str]
    probs: Sequence[float]
    right: bool
    wrong_step: str = ""


def lines_of(answer: Text) -> list[tuple[list[tuple[int, str, float]], bool]]:
    """Set an answer in lines: ([(column, text, probability)], whether it is the first wrong step).

    Longer lines are broken, and after TALL - 1 lines the rest is left out.
    """
    probs = answer.probs or [1.0] * len(answer.tokens)
    written: list[list[tuple[str, int]]] = [[]]  # lines of (letter, its token's number)
    for number, token in enumerate(answer.tokens):
        for letter in token:
            if letter == "\n":
                written.append([])
            else:  # one letter may be written as several: \u7b54
                written[-1] += [(char, number) for char in _visible(letter)]
    lines, found = [], False
    for line in written:
        text = "".join(letter for letter, _ in line).strip()
        wrong = not found and text == _visible(answer.wrong_step).strip() != ""
        found = found or wrong
        for part in _folded(line):
            pieces, column = [], 0
            for number, letters in groupby(part, key=itemgetter(1)):
                piece = "".join(letter for letter, _ in letters)
                pieces.append((column, piece, probs[number]))
                column += len(piece)
            lines.append((pieces, wrong))
    if len(lines) > TALL:
        left = len(lines) - TALL + 1
        lines = [*lines[: TALL - 1], ([(0, f"… {left} more lines", 1.0)], False)]
    return lines


def _visible(text: str) -> str:
    return visible_token(text).replace("␣", " ") if text else ""


def _folded(line: list[tuple[str, int]]) -> list[list[tuple[str, int]]]:
    """Cut a line into parts of at most WIDE letters, behind a space where there is one."""
    parts = []
    while len(line) > WIDE:
        spaces = [at for at, (letter, _) in enumerate(line[:WIDE]) if letter == " "]
        cut = spaces[-1] + 1 if spaces else WIDE
        parts.append(line[:cut])
        line = line[cut:]
    return [*parts, line] if line else parts


def draw_answers(question: str, right: str, answers: Mapping[str, Text]) -> Drawn:
    """Draw several answers to one question side by side: unsure tokens and wrong steps marked."""
    sets = {name: lines_of(answer) for name, answer in answers.items()}
    rows = max([6, *(len(lines) for lines in sets.values())])
    figure, grid = new_figure(2.5 * len(sets) + 0.2, 0.7 + 0.175 * rows, columns=len(sets),
                              xlim=(-1.5, WIDE), ylim=(rows, -0.2))  # fmt: skip
    for axes, (name, answer) in zip([grid] if len(sets) == 1 else grid, answers.items()):
        axes.axis("off")
        axes.set_title(f"{name}\n{'✓ right' if answer.right else '✗ not right'}", fontsize=10,
                       loc="left", color=BLUE if answer.right else RED,
                       parse_math=False)  # fmt: skip
        for at, (pieces, wrong) in enumerate(sets[name]):
            if wrong:
                axes.text(-1.5, at + 0.5, "✗", fontsize=9, va="center", color=RED)
            for column, text, prob in pieces:
                box = {"facecolor": ORANGE, "edgecolor": "none", "pad": 0.4,
                       "alpha": min(1.0, 0.25 + (UNSURE - prob))}  # fmt: skip
                axes.text(column, at + 0.5, text, fontsize=9, family="DejaVu Sans Mono",
                          va="center", color=RED if wrong else "black", parse_math=False,
                          bbox=box if prob < UNSURE else None)  # fmt: skip
    unsure = sum(prob < UNSURE for answer in answers.values() for prob in answer.probs)
    solved = [name for name, answer in answers.items() if answer.right]
    caption = (
        f"{question} (right: {right}). Right: {', '.join(solved) or 'nobody'}. {unsure} tokens "
        f"have an orange ground: the model gave them less than {100 * UNSURE:.0f} %."
    )
    return figure, caption


STAGES = (("few-shot", "untouched, solved examples in the prompt"),
          ("distilled", "distilled, no examples"))  # fmt: skip


def gains(table: Sequence[Mapping[str, Any]]) -> str:
    """Write a line a split: few-shot, distilled, and the paired gain with its interval, in %.

    `table` holds rows of data/generalisation.csv, as `dk.data` gives them.
    """
    whole = [row for row in table if row["family"] == "all"]
    few = {row["split"]: row["exact"] for row in whole if row["stage"] == "few-shot"}
    lines = []
    for row in whole:
        if row["stage"] == "distilled":
            gain, low, high = (100 * row[key] for key in ("gain", "gain_low", "gain_high"))
            lines.append(f"{row['split']:22} {few[row['split']]:3.0f} % → {row['exact']:3.0f} %   "
                         f"gain {gain:+.0f} ({low:+.0f} to {high:+.0f})")  # fmt: skip
    return "\n".join(lines)


def draw_splits(
    table: Sequence[Mapping[str, Any]], stages: Sequence[tuple[str, str]] = STAGES
) -> Drawn:
    """Draw exact answers by family of two students, with 95 % Wilson intervals.

    `table` holds rows of data/generalisation.csv, as `dk.data` gives them: shares in percent.
    `stages` name the students, before and after, and say who they are.
    """
    names = list(dict.fromkeys((row["split"], row["family"]) for row in table))
    figure, axes = new_figure(7.4, 1.0 + 0.4 * len(names), xlim=(0, 102),
                              xlabel="exact answers, %")  # fmt: skip
    gains = {}
    for at, (stage, label) in enumerate(stages):
        rows = {(row["split"], row["family"]): row for row in table if row["stage"] == stage}
        found = [[rows[name][key] for key in ("exact", "low", "high")]
                 for name in names if name in rows]  # fmt: skip
        places = [i + (at - 0.5) * 0.36 for i, name in enumerate(names) if name in rows]
        whiskers = {"elinewidth": 1, "capsize": 2}
        axes.barh(places, [e for e, *_ in found], 0.34, label=label, xerr=error_bars(found),
                  error_kw=whiskers, **bar_look(1 - at))  # fmt: skip
        for name in names:
            if name in rows:
                sign = 1 if at else -1
                gains[name] = gains.get(name, 0) + sign * rows[name]["exact"]
    labels = [" / ".join(dict.fromkeys(part for part in name if part not in ("all", "own")))
              for name in names]  # fmt: skip
    axes.set_yticks(range(len(names)), labels)
    axes.set_ylim(len(names) - 0.5, -0.5)
    figure.legend(loc="outside upper center", ncols=2, frameon=False, fontsize=9)
    gains = dict(zip(labels, gains.values(), strict=True))
    best, worst = max(gains, key=gains.get), min(gains, key=gains.get)
    caption = (
        f"The largest gain: {best} ({gains[best]:+.0f} points); the smallest: {worst} "
        f"({gains[worst]:+.0f} points). Lines: 95 % intervals."
    )
    return figure, caption


def draw_slips(kinds: Sequence[tuple[str, int, int, int]], answers: int) -> Drawn:
    """Draw the kinds of first slips; `kinds` as `slips` returns, of `answers` answers."""
    figure, axes = new_figure(6.8, 0.9 + 0.34 * max(1, len(kinds)), xlabel="wrong answers")
    wrong = sum(n for _, n, *_ in kinds)
    if not wrong:
        return figure, f"None of the {answers} answers is wrong."
    places = range(len(kinds))
    axes.barh(places, [n for _, n, *_ in kinds], 0.7, label="all", **bar_look(0))
    axes.barh(places, [minus for *_, minus in kinds], 0.3, label="a minus sign in the line",
              color="white", edgecolor=GREY, hatch="//")  # fmt: skip
    axes.set_yticks(places, [kind for kind, *_ in kinds])
    axes.invert_yaxis()
    axes.xaxis.get_major_locator().set_params(integer=True)  # half an answer is none
    figure.legend(loc="outside upper center", ncols=2, frameon=False, fontsize=9)
    kind, most, *_ = max(kinds, key=lambda row: row[1])
    caption = (
        f"{wrong} of {answers} answers are wrong; the first slip is most often of the kind "
        f"'{kind}' ({most})."
    )
    return figure, caption
