"""Figures: pure `draw_…(data) -> Figure`, no pyplot; colours that colour-blind readers can tell
apart (Okabe and Ito 2008), and hatches or line styles besides."""

from __future__ import annotations

import io
from collections.abc import Sequence

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

BLUE, ORANGE, GREEN, GREY = "#0072B2", "#E69F00", "#009E73", "#777777"
BARS = ((GREY, "", "before, zero-shot"), (ORANGE, "//", "before, few-shot"), (BLUE, "", "after"))


def _figure(width: float, height: float) -> Figure:
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def to_png(figure: Figure, dpi: int = 110) -> bytes:
    """Return the figure as PNG bytes."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi)
    return buffer.getvalue()


def draw_loss(log: Sequence[dict]) -> Figure:
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


def draw_funnel(rows: Sequence[tuple[str, int]]) -> Figure:
    """Draw how many candidates are left after each rule, top to bottom."""
    figure = _figure(6.4, 0.5 + 0.36 * len(rows))
    axes = figure.add_subplot()
    names, left = [name for name, _ in rows], [count for _, count in rows]
    axes.barh(names, left, color=[GREY, *[BLUE] * (len(rows) - 1)])
    for at, count in enumerate(left):
        lost = f"  (−{left[at - 1] - count})" if at and left[at - 1] > count else ""
        axes.text(count, at, f" {count}{lost}", va="center", fontsize=9)
    axes.invert_yaxis()
    axes.set_xlim(0, max([*left, 1]) * 1.25)
    axes.set_xlabel("candidates left")
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def draw_accuracy(before: dict, few_shot: dict, after: dict) -> Figure:
    """Draw exact answers by family with 95 % intervals: before, few-shot, after."""
    families = list(after)
    figure = _figure(7.2, 0.9 + 0.55 * len(families))
    axes = figure.add_subplot()
    for offset, (column, (color, hatch, label)) in enumerate(
        zip((before, few_shot, after), BARS, strict=True)
    ):
        at = [i + (offset - 1) * 0.26 for i in range(len(families))]
        found = [column.get(f, {"exact": 0.0, "low": 0.0, "high": 0.0}) for f in families]
        exact = [100 * s["exact"] for s in found]
        error = [
            [e - 100 * s["low"] for e, s in zip(exact, found, strict=True)],
            [100 * s["high"] - e for e, s in zip(exact, found, strict=True)],
        ]
        whiskers = {"elinewidth": 1, "capsize": 2, "ecolor": "#333333"}
        axes.barh(at, exact, 0.24, color=color, hatch=hatch, edgecolor="white", label=label,
                  xerr=error, error_kw=whiskers)  # fmt: skip
    axes.set_yticks(range(len(families)), [f"{f} (n={after[f]['n']})" for f in families])
    axes.invert_yaxis()
    axes.set_xlim(0, 100)
    axes.set_xlabel("exact answers in the asked form, % (bars: 95 % Wilson interval)")
    axes.grid(axis="x", alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside upper center", ncols=3, frameon=False, fontsize=9)
    return figure
