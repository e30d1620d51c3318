"""Figures about retrieval and its rivals: pure `draw_…(…) -> (Figure, caption)`."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence

from distillkit.evaluation.statistics import wilson
from distillkit.plots import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    Drawn,
    bar_look,
    error_bars,
    line_look,
    new_figure,
)
from distillkit.retrieval.passages import Passage

SHOWN = 5  # passages that a figure has room for


def draw_found(
    question: str, found: Sequence[tuple[Passage, float]], right: Sequence[Passage], read: int
) -> Drawn:
    """Draw what was found for a question: scores as bars, words beside them, the right ones marked.

    `found` are passages with their scores, best first; `read` is how many have been looked for.
    """
    rows = found[:SHOWN]
    figure, axes = new_figure(8.6, 0.9 + 0.62 * len(rows), xlabel="score")
    for at, (passage, score) in enumerate(rows):
        good = passage in right
        axes.barh(at, score, 0.62, color=GREEN if good else GREY, hatch="//" if good else "",
                  edgecolor="white")  # fmt: skip
        words = " ".join(passage.text.split())
        label = f"{'✓ ' if good else ''}{passage.source}: {words}"
        axes.text(0.01, at, "\n".join(textwrap.wrap(label, 96, max_lines=2)), fontsize=8,
                  va="center", transform=axes.get_yaxis_transform(), parse_math=False,
                  bbox={"facecolor": "white", "alpha": 0.75, "linewidth": 0, "pad": 1})  # fmt: skip
    axes.set_yticks(range(len(rows)), [f"{place}." for place in range(1, len(rows) + 1)])
    axes.invert_yaxis()
    axes.set_title(question, fontsize=10, parse_math=False)
    place = next((at for at, (p, _) in enumerate(found, 1) if p in right), None)
    if not right:
        return figure, "No passage of this size holds the whole answer: it is cut in two."
    words = f"the right passage is number {place}" if place else "the right passage is not there"
    return figure, f"Of the {read} passages found, {words}; {len(right)} hold the whole answer."


def draw_recall(lines: Mapping[str, Mapping[int, tuple[float, int]]], read: str) -> Drawn:
    """Draw recall against the size of a passage, a line a retriever, with 95 % intervals.

    `lines` are name -> size -> (share found, number of questions).
    """
    figure, axes = new_figure(7.2, 3.7, xlabel="words in a passage", ylabel="recall, %",
                              xscale="log", ylim=(0, 104))  # fmt: skip
    sizes = sorted({size for found in lines.values() for size in found})
    best: dict[str, tuple[float, int]] = {}
    for at, (name, found) in enumerate(lines.items()):
        own = sorted(found)
        ends = [wilson(round(share * n), n) for share, n in (found[s] for s in own)]
        rows = [(100 * found[s][0], 100 * low, 100 * high)
                for s, (low, high) in zip(own, ends, strict=True)]  # fmt: skip
        shift = 1.025 ** (at - len(lines) / 2)
        axes.errorbar([s * shift for s in own], [row[0] for row in rows], error_bars(rows),
                      label=name, capsize=2, **line_look(at))  # fmt: skip
        best[name] = max((found[s][0], s) for s in own)
    axes.set_xticks(sizes, map(str, sizes))
    axes.minorticks_off()
    figure.legend(loc="outside upper center", ncols=3, frameon=False, fontsize=8)
    words = "; ".join(f"{name} {100 * share:.0f} % at {size} words"
                      for name, (share, size) in best.items())  # fmt: skip
    return figure, f"Reading {read}. Best of each: {words}."


def draw_ways(ways: Mapping[str, Mapping[str, Sequence[float]]], unit: str) -> Drawn:
    """Draw several measures of each way as bars: the mean over runs, and a dot a run.

    `ways` are name -> measure -> one value a run, in %.
    """
    measures = list(dict.fromkeys(m for found in ways.values() for m in found))
    height = 0.8 / len(measures)
    figure, axes = new_figure(7.8, 1.0 + 0.21 * len(ways) * (1 + len(measures)), xlabel=unit,
                              xlim=(0, 102))  # fmt: skip
    for at, measure in enumerate(measures):
        rows = [(i, found[measure]) for i, found in enumerate(ways.values()) if measure in found]
        places = [i + height * (at - (len(measures) - 1) / 2) for i, _ in rows]
        means = [sum(values) / len(values) for _, values in rows]
        axes.barh(places, means, height * 0.92, label=measure, **bar_look(at))
        for place, (_, values) in zip(places, rows, strict=True):
            if len(values) > 1:
                axes.plot(values, [place] * len(values), "o", color=BLACK, markersize=2.5)
    axes.set_yticks(range(len(ways)), [*ways])
    axes.invert_yaxis()
    figure.legend(loc="outside upper center", ncols=2, frameon=False, fontsize=8)
    first = measures[0]
    means = {name: sum(found[first]) / len(found[first]) for name, found in ways.items()
             if first in found}  # fmt: skip
    best = max(means, key=means.__getitem__)
    return figure, f"{first[:1].upper()}{first[1:]}: most with '{best}' ({means[best]:.0f} %)."


QUESTIONS = {  # what decides, in the order in which it is asked
    "new_facts": "Does it need facts that the model does not know?",
    "changes": "Do these facts change, or must an answer name its source?",
    "few": "Do they all fit into a few hundred tokens?",
    "new_form": "Does it need a form or a skill that a prompt does not give reliably?",
    "teacher": "Is there a teacher, or a program that can check answers?",
}


def advice(
    new_facts: bool, changes: bool, few: bool, new_form: bool, teacher: bool
) -> tuple[str, list[str]]:
    """Return the method that the answers to `QUESTIONS` lead to, and the steps that led there."""
    steps, parts = [], []
    if new_facts:
        if few:
            parts.append("put the facts into the prompt")
            steps.append("few facts: nothing has to be searched for")
        else:
            parts.append("retrieve")
            steps.append("new facts: they are read, not learned")
        if changes:
            steps.append("a change is an edit of a text, not a training run")
    if new_form and teacher:
        parts.append("distil")
        steps.append("a form or a skill is learned from few examples, and the prompt gets shorter")
    elif new_form:
        parts.append("write solved examples, then fine-tune")
        steps.append("without a teacher somebody must write the examples")
    if not parts:
        return "a few examples in the prompt", ["nothing new is needed: try the prompt first"]
    return " and ".join(parts), steps


def draw_decision(reasons: Mapping[str, str], **answers: bool) -> Drawn:
    """Draw the five questions with their answers, and the method they lead to.

    `reasons` are method -> what was measured for it, shown if the method is advised.
    """
    method, steps = advice(**answers)
    figure, axes = new_figure(7.8, 3.6)
    axes.set_axis_off()
    axes.set(xlim=(0, 1), ylim=(0, 1))
    for at, (name, question) in enumerate(QUESTIONS.items()):
        y, said = 0.97 - 0.105 * at, answers[name]
        axes.text(0.0, y, "yes" if said else "no", fontsize=10, va="top", weight="bold",
                  color=BLUE if said else GREY)  # fmt: skip
        axes.text(0.07, y, question, fontsize=10, va="top", color=BLACK if said else GREY)
    axes.text(0.0, 0.42, f"→ {method}", fontsize=14, va="top", weight="bold", color=BLUE)
    measured = [words for key, words in reasons.items() if key in method]
    lines = [textwrap.fill(f"· {words}", 96, subsequent_indent="  ") for words in steps + measured]
    axes.text(0.0, 0.29, "\n".join(lines), fontsize=9, va="top", parse_math=False)
    return figure, f"Advice: {method}. " + " ".join(f"{s[:1].upper()}{s[1:]}." for s in steps)
