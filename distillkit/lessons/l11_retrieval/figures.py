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
        axes.barh(at + 0.34, score, 0.18, color=GREEN if good else GREY,
                  hatch="//" if good else "", edgecolor="white")  # fmt: skip
        words = " ".join(passage.text.split())
        label = f"{'✓ ' if good else ''}{passage.source}: {words}"
        axes.text(0.005, at, "\n".join(textwrap.wrap(label, 112, max_lines=2)), fontsize=9,
                  va="center", transform=axes.get_yaxis_transform(), parse_math=False,
                  color=BLACK if good else "#444444")  # fmt: skip
    axes.set_yticks(range(len(rows)), [f"{place}." for place in range(1, len(rows) + 1)])
    axes.set_ylim(-0.4, len(rows) - 0.5)
    axes.grid(False, axis="y")
    axes.invert_yaxis()
    axes.set_title(question, fontsize=10, parse_math=False)
    place = next((at for at, (p, _) in enumerate(found, 1) if p in right), None)
    if not right:
        return figure, "No passage of this size holds the whole answer: it is cut in two."
    words = f"number {place} holds the answer" if place else "none holds the answer"
    first = f"Of the {read} best passages {words}"
    if read == 1:
        first = f"The best passage {'holds' if place else 'does not hold'} the answer"
    others = f"{len(right)} passages hold" if len(right) > 1 else "1 passage holds"
    return figure, f"{first}; in all, {others} it as a whole."


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
        best[name] = max((found[s][0], -s) for s in own)
    axes.set_xticks(sizes, map(str, sizes))
    axes.minorticks_off()
    figure.legend(loc="outside upper center", ncols=3, frameon=False, fontsize=8)
    words = "; ".join(f"{name} {100 * share:.0f} % at {-size} words"
                      for name, (share, size) in best.items())  # fmt: skip
    return figure, f"Reading {read}. Best of each: {words}."


Way = tuple[Sequence[float], int]  # right answers in % of each run, and how many were asked


def draw_ways(groups: Mapping[str, Mapping[str, Way]], unit: str) -> Drawn:
    """Draw right answers of each way as bars with 95 % intervals, and a dot a run.

    `groups` are name -> way -> its runs; a group has a colour.  The questions are the units of the
    intervals (Wilson): more runs do not make them narrower.
    """
    names = [way for ways in groups.values() for way in ways]
    figure, axes = new_figure(7.8, 1.1 + 0.34 * len(names), xlabel=unit, xlim=(0, 110))
    best = []
    for at, (group, ways) in enumerate(groups.items()):
        places = [names.index(way) for way in ways]
        means = {way: sum(runs) / len(runs) for way, (runs, _) in ways.items()}
        rows = [(mean, *(100 * end for end in wilson(mean * n / 100, n)))
                for mean, (_, n) in zip(means.values(), ways.values(), strict=True)]  # fmt: skip
        axes.barh(places, [*means.values()], 0.66, label=group, **bar_look(at))
        axes.errorbar([row[0] for row in rows], places, xerr=error_bars(rows), fmt="none",
                      ecolor=BLACK, capsize=3, linewidth=1)  # fmt: skip
        for place, (runs, _), (mean, _, high) in zip(places, ways.values(), rows, strict=True):
            if len(runs) > 1:
                axes.plot(runs, [place] * len(runs), "o", color=BLACK, markersize=3.5)
            axes.text(max(high, *runs) + 1.6, place, f"{mean:.0f}", va="center", fontsize=9)
        first = max(means, key=means.__getitem__)
        best.append(f"{group}: most with '{first}' ({means[first]:.0f} %)")
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.4, -0.6)
    figure.legend(loc="outside upper center", ncols=3, frameon=False, fontsize=9)
    words = "; ".join(best)
    return figure, f"{words[:1].upper()}{words[1:]}. Lines are 95 % intervals, a dot is a run."


def draw_editions(
    ways: Mapping[str, tuple[float, float, float]], changed: int, others: int
) -> Drawn:
    """Draw what each way answers about the next edition: changed facts and others, stacked.

    `ways` are name -> right answers in % to the first edition, to the changed facts, and to the
    others; `changed` and `others` are how many questions are asked about them.
    """
    share = changed / (changed + others)
    figure, axes = new_figure(7.8, 1.1 + 0.36 * len(ways), xlim=(0, 103),
                              xlabel="of all questions about the next edition, %")  # fmt: skip
    places = range(len(ways))
    new = [share * right for _, right, _ in ways.values()]
    old = [(1 - share) * right for _, _, right in ways.values()]
    axes.barh(places, new, 0.6, label=f"changed facts (at most {100 * share:.0f})", **bar_look(0))
    axes.barh(places, old, 0.6, left=new, label=f"the others (at most {100 * (1 - share):.0f})",
              **bar_look(1))  # fmt: skip
    axes.plot([first for first, _, _ in ways.values()], places, "D", color=BLACK, markersize=5,
              label="the first edition, before")  # fmt: skip
    axes.set_yticks(places, [*ways])
    axes.invert_yaxis()
    figure.legend(loc="outside upper center", ncols=3, frameon=False, fontsize=9)
    whole = {way: a + b for way, a, b in zip(ways, new, old, strict=True)}
    best, worst = max(whole, key=whole.__getitem__), min(whole, key=whole.__getitem__)
    return figure, (
        f"Of {changed + others} questions about the next edition most are right with '{best}' "
        f"({whole[best]:.0f} %), fewest with '{worst}' ({whole[worst]:.0f} %)."
    )


QUESTIONS = {  # what decides, in the order in which it is asked
    "new_facts": "Does it need facts that the model does not know?",
    "changes": "Do these facts change, or must it say when something is not there?",
    "asked": "Can you write questions with their answers about every fact?",
    "new_form": "Does it need a form or a skill that the model does not show when asked?",
    "teacher": "Is there a teacher whose texts a program can check?",
}
READ, LEARN, DISTIL, SHOW = (
    "retrieve", "train on questions and answers", "distil a teacher's checked texts",
    "put solved examples into the prompt",
)  # fmt: skip


def advice(
    new_facts: bool, changes: bool, asked: bool, new_form: bool, teacher: bool
) -> tuple[list[str], list[str]]:
    """Return the methods that the answers to `QUESTIONS` lead to, and the steps that led there.

    It says no more than what the lesson measures.
    """
    methods, steps = [], []
    if new_facts and asked and not changes:
        methods.append(LEARN)
        steps.append("facts that stay were learned best as questions with answers")
        steps.append("the price: other text is foretold worse, and nothing is ever 'not there'")
    elif new_facts:
        methods.append(READ)
        if changes:
            steps.append("a change is an edit of a text; a student that learns the changes alone "
                         "forgets the rest")  # fmt: skip
        else:
            steps.append("sentences alone, in nine wordings, taught no more than reading gives")
            steps.append("a student that was distilled from what it read answers as many, and "
                         "reads less")  # fmt: skip
    if new_form and teacher:
        methods.append(DISTIL)
        steps.append("a form or a skill is learned, and no example stands in the prompt")
    elif new_form:
        methods.append(SHOW)
        steps.append("a student that was its own teacher learned what its prompt gives, not more")
    if len(methods) == 2:
        steps.append("both in one student was not measured here")
    return methods, steps or ["nothing is missing: ask the model as it is, and measure that first"]


def draw_decision(reasons: Mapping[str, str], **answers: bool) -> Drawn:
    """Draw the five questions with their answers, and the methods they lead to.

    `reasons` are method -> what was measured for it; the caption says that of the advised ones.
    """
    methods, steps = advice(**answers)
    advised = ", and ".join(methods) or "the model as it is"
    figure, axes = new_figure(8.4, 2.5)
    axes.set_axis_off()
    axes.set(xlim=(0, 1), ylim=(0, 1))
    for at, (name, question) in enumerate(QUESTIONS.items()):
        y, said = 0.98 - 0.145 * at, answers[name]
        axes.text(0.01, y, "yes" if said else "no", fontsize=10, va="top", weight="bold",
                  color=BLUE if said else GREY)  # fmt: skip
        axes.text(0.07, y, question, fontsize=10, va="top", color=BLACK if said else GREY)
    axes.text(0.01, 0.18, f"→ {advised}", fontsize=12, va="top", weight="bold", color=BLUE)
    told = [*steps, *(f"measured: {reasons[method]}" for method in methods if method in reasons)]
    return figure, f"Advice: {advised}. " + " ".join(f"{s[:1].upper()}{s[1:]}." for s in told)
