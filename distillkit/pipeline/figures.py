"""The figures of a run's report: pure `draw_…(data) -> Figure`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate

from matplotlib.figure import Figure

from distillkit.evaluation.scoring import Summary
from distillkit.evaluation.statistics import wilson
from distillkit.plots import BLUE, GREY, ORANGE, _figure, error_bars, line_look
from distillkit.training.checkpoints import LogRow

Families = Mapping[str, Summary]
BARS = {  # what a bar counts: its colour and hatch, its name, and the rate of the summary
    "finished": (GREY, "", "untouched: right value, allowed to finish", "lenient"),
    "few_shot": (ORANGE, "//", "untouched, examples in its prompt", "exact"),
    "after": (BLUE, "", "after distillation", "exact"),
}


def draw_loss(log: Sequence[LogRow]) -> Figure:
    """Draw the training loss against the tokens seen: a line for each kind of example."""
    figure = _figure(6.4, 3.2)
    axes = figure.add_subplot()
    tokens = list(accumulate(row["tokens"] for row in log))
    kinds = sorted({kind for row in log for kind in row["kinds"]})
    for at, kind in enumerate(kinds):
        points = [(x, row["kinds"][kind]) for x, row in zip(tokens, log) if kind in row["kinds"]]
        axes.plot(*zip(*points), label=kind, **{**line_look(at), "markersize": 4})
    axes.set(xlabel="training tokens", ylabel="loss (nats per token)", yscale="log")
    if len(kinds) > 1:
        axes.legend(frameon=False)
    axes.grid(alpha=0.3, which="both")
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def draw_accuracy(columns: Mapping[str, Families]) -> Figure:
    """Draw right answers by family with 95 % intervals; `columns` is "families" of a report.

    The grey bars are there where the untouched student was recorded with room to finish.
    """
    families = list(columns["after"])
    bars = [name for name in BARS if name in columns]
    figure = _figure(7.2, 0.9 + 0.55 * len(families))
    axes = figure.add_subplot()
    thick = 0.78 / len(bars)
    for offset, name in enumerate(bars):
        color, hatch, label, rate = BARS[name]
        at = [i + (offset - (len(bars) - 1) / 2) * thick for i in range(len(families))]
        found = []
        for family in families:
            summary = columns[name][family]
            ends = wilson(round(summary[rate] * summary["n"]), summary["n"])
            found.append([100 * share for share in (summary[rate], *ends)])
        shares = [share for share, _, _ in found]
        whiskers = {"elinewidth": 1, "capsize": 2, "ecolor": "#333333"}
        axes.barh(at, shares, 0.92 * thick, color=color, hatch=hatch, edgecolor="white",
                  label=label, xerr=error_bars(found), error_kw=whiskers)  # fmt: skip
    counts = columns["after"]
    axes.set_yticks(range(len(families)), [f"{f} (n={counts[f]['n']})" for f in families])
    axes.invert_yaxis()
    axes.set_xlim(0, 100)
    axes.set_xlabel("right answers, % (lines: 95 % Wilson interval)")
    axes.grid(axis="x", alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside upper center", ncols=2, frameon=False, fontsize=9)
    return figure
