"""The figures of a run's report: pure `draw_…(data) -> Figure`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from distillkit.evaluation.scoring import Summary
from distillkit.plots import BLUE, GREY, ORANGE, _figure, error_bars
from distillkit.training.checkpoints import LogRow

BARS = ((GREY, "", "before, zero-shot"), (ORANGE, "//", "before, few-shot"), (BLUE, "", "after"))
Families = Mapping[str, Summary]


def draw_loss(log: Sequence[LogRow]) -> Figure:
    """Draw the training loss of each step against the number of traces' tokens seen."""
    figure = _figure(6.4, 3.2)
    axes = figure.add_subplot()
    tokens, total = [], 0
    for row in log:
        total += row["tokens"]
        tokens.append(total)
    axes.plot(tokens, [row["loss"] for row in log], color=BLUE, marker="o", markersize=3)
    axes.set(xlabel="training tokens", ylabel="loss (nats per token)", yscale="log")
    axes.grid(alpha=0.3, which="both")
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def draw_accuracy(before: Families, few_shot: Families, after: Families) -> Figure:
    """Draw exact answers by family with 95 % intervals: before, few-shot, after."""
    families = list(after)
    figure = _figure(7.2, 0.9 + 0.55 * len(families))
    axes = figure.add_subplot()
    for offset, (column, (color, hatch, label)) in enumerate(
        zip((before, few_shot, after), BARS, strict=True)
    ):
        at = [i + (offset - 1) * 0.26 for i in range(len(families))]
        nothing = {"exact": 0.0, "low": 0.0, "high": 0.0}
        found = [[100 * column.get(f, nothing)[key] for key in nothing] for f in families]
        exact = [share for share, _, _ in found]
        whiskers = {"elinewidth": 1, "capsize": 2, "ecolor": "#333333"}
        axes.barh(at, exact, 0.24, color=color, hatch=hatch, edgecolor="white", label=label,
                  xerr=error_bars(found), error_kw=whiskers)  # fmt: skip
    axes.set_yticks(range(len(families)), [f"{f} (n={after[f]['n']})" for f in families])
    axes.invert_yaxis()
    axes.set_xlim(0, 100)
    axes.set_xlabel("exact answers in the asked form, % (bars: 95 % Wilson interval)")
    axes.grid(axis="x", alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside upper center", ncols=3, frameon=False, fontsize=9)
    return figure
