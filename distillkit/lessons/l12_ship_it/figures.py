"""Figures about rounding and shipping: pure `draw_…(…) -> (Figure, caption)`."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from distillkit.evaluation.statistics import paired_difference
from distillkit.lessons.l12_ship_it.rounding import Kept, rounded
from distillkit.plots import (
    BLACK,
    BLUE,
    GREY,
    ORANGE,
    Drawn,
    bar_look,
    error_bars,
    line_look,
    new_figure,
    visible_token,
)

WIDE, TALL = 44, 16  # characters and lines of one answer


def draw_chat(question: str, answers: Mapping[str, str]) -> Drawn:
    """Set answers to one question side by side; the rest of a long one is left out."""
    width = max(8.2, 3.4 * len(answers) + 0.2)  # a strip keeps the width of what is above 8 inches
    figure, grid = new_figure(width, 0.7 + 0.19 * TALL, columns=len(answers), xlim=(0, WIDE),
                              ylim=(TALL, 0))  # fmt: skip
    lengths = []
    for axes, (name, text) in zip(np.atleast_1d(grid), answers.items(), strict=True):
        lines = [part for line in text.strip().split("\n")
                 for part in textwrap.wrap(_visible(line), WIDE) or [""]]  # fmt: skip
        lengths.append(f"{name}: {len(lines)} line{'s' * (len(lines) != 1)}")
        if len(lines) > TALL:
            lines = [*lines[: TALL - 1], f"… {len(lines) - TALL + 1} more lines"]
        axes.axis("off")
        axes.set_title(name, fontsize=10, loc="left", parse_math=False)
        axes.text(0, 0.2, "\n".join(lines), fontsize=8.5, family="DejaVu Sans Mono", va="top",
                  linespacing=1.35, parse_math=False)  # fmt: skip
    return figure, f"Asked: {question.strip() or '(nothing)'} {'; '.join(lengths)}."


def _visible(line: str) -> str:
    return visible_token(line).replace("␣", " ") if line else ""


def draw_block(values: Sequence[float], kind: str) -> Drawn:
    """Draw 32 weights and where the kind `kind` puts them."""
    block = np.asarray(values, np.float32)
    back = rounded(block[None], kind)[0]
    figure, axes = new_figure(6.8, 3.0, xlabel="weight of the block", ylabel="value")
    levels = np.unique(back)
    for level in levels:
        axes.axhline(level, color=GREY, linewidth=0.5, alpha=0.6)
    places = np.arange(len(block))
    axes.vlines(places, block, back, color=ORANGE, linewidth=2)
    axes.plot(places, block, "o", color=BLUE, markersize=4.5, label="as trained")
    axes.plot(places, back, "_", color=BLACK, markersize=9, markeredgewidth=2, label="in the file")
    figure.legend(loc="outside upper center", ncols=2, frameon=False, fontsize=9)
    lost = np.linalg.norm(back - block) / max(float(np.linalg.norm(block)), 1e-30)
    return figure, (
        f"{kind}: these {len(block)} weights have {len(levels)} different values in the file; "
        f"the error is {100 * lost:.1f} % of their length."
    )


def draw_survey(found: Mapping[str, Kept], kind: str) -> Drawn:
    """Draw error and surviving update (%) of every layer: a row a matrix, a column a layer."""
    parts = list(dict.fromkeys(name.split(".")[-1] for name in found))
    layers = list(dict.fromkeys(int(name.split(".")[0]) for name in found))
    grids = np.full((2, len(parts), len(layers)), np.nan)
    for name, (error, update) in found.items():
        at = parts.index(name.split(".")[-1]), layers.index(int(name.split(".")[0]))
        grids[:, *at] = 100 * error, 100 * update
    figure, (left, right) = new_figure(8.4, 2.5, columns=2, xlabel="layer")
    titles = ("error of the weights, %", "left of the adapter's update, %")
    for axes, grid, title, top in zip((left, right), grids, titles, (15, 100), strict=True):
        axes.grid(visible=False)
        image = axes.imshow(grid, aspect="auto", cmap="cividis", vmin=0, vmax=top,
                            extent=(layers[0] - 0.5, layers[-1] + 0.5, len(parts) - 0.5, -0.5)
                            )  # fmt: skip
        figure.colorbar(image, ax=axes, extend="max")  # larger ones have the last colour, too
        axes.set_title(title, fontsize=10)
    left.set_yticks(range(len(parts)), [part.removesuffix("_proj") for part in parts])
    right.set_yticks([])
    worst = min(found, key=lambda name: found[name].update)
    return figure, (
        f"{kind}: the error is {grids[0].min():.1f} to {grids[0].max():.1f} % of the weights; "
        f"least is left of the update in {worst} ({100 * found[worst].update:.0f} %), and "
        f"{np.median(grids[1]):.0f} % in the middle matrix."
    )


def compared(rows: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    """Read the rows of data/shipped_forms.csv as `dk.data` gives them, and compare the forms.

    Returns form -> exact, low, high, lenient, same_top (%), n, megabytes, bits, kl, and gap,
    gap_low, gap_high: right answers in 100 more than the first form, on the same equations.
    """
    found: dict[str, dict[str, float]] = {}
    # read as a number, a mark of 0 in front is lost
    marks = {row["form"]: [mark == "1" for mark in str(row["right"]).zfill(row["n"])]
             for row in rows}  # fmt: skip
    for row in rows:
        gap, gap_low, gap_high = paired_difference(next(iter(marks.values())), marks[row["form"]])
        found[row["form"]] = {
            **{name: row[name] for name in ("exact", "low", "high", "lenient", "n")},
            "gap": 100 * gap, "gap_low": 100 * gap_low, "gap_high": 100 * gap_high,
            "megabytes": row["bytes"] / 1e6, "bits": row["true_bits"],
            "kl": float(row["kl"]), "same_top": 100 * row["same_top"],
        }  # fmt: skip
    return found


def draw_forms(forms: Mapping[str, Mapping[str, float]]) -> Drawn:
    """Draw of each form the exact answers, with intervals, and how far the rounding moved it."""
    names = sorted(forms, key=lambda name: -forms[name]["bits"])
    forms = {name: forms[name] for name in names}
    figure, (left, right) = new_figure(8.0, 0.9 + 0.27 * len(names), columns=2,
                                       ylim=(len(names) - 0.5, -0.5))  # fmt: skip
    places = range(len(names))
    found = [(f["exact"], f["low"], f["high"]) for f in forms.values()]
    look = {**line_look(0), "linestyle": "none"}
    left.errorbar([x for x, *_ in found], places, xerr=error_bars(found), capsize=3, **look)
    left.set(xlim=(-3, 103), xlabel="exact answers, %")
    left.set_yticks(places, [f"{n}  {forms[n]['bits']:.1f} bits" for n in names], fontsize=8)
    distances = [max(f["kl"], 1e-7) for f in forms.values()]
    right.plot(distances, places, **{**look, "color": ORANGE, "marker": "s"})
    right.set(xscale="log", xlabel="KL, nats a token")
    right.set_yticks(places, [""] * len(names))
    best = max(names, key=lambda name: forms[name]["exact"])
    half = [name for name in names if forms[name]["exact"] < forms[best]["exact"] / 2]
    return figure, (
        f"The best is {best} with {forms[best]['exact']:.0f} %. Fewer than half as many: "
        f"{', '.join(half) or 'none'}."
    )


def draw_break(found: Mapping[str, tuple[int, float]], asked: int) -> Drawn:
    """Draw right answers, and the distance from before the rounding, against the bits."""
    names = list(found)
    figure, (left, right) = new_figure(8.4, 2.8, columns=2)
    places = range(len(names))
    left.bar(places, [n for n, _ in found.values()], 0.7, **bar_look(0))
    left.set(ylim=(0, asked + 0.3), ylabel=f"solved, of {asked}")
    distances = [max(kl, 1e-6) for _, kl in found.values()]
    right.plot(places, distances, **{**line_look(1), "linestyle": "-"})
    right.set(yscale="log", ylabel="KL, nats a token")
    for axes in (left, right):
        axes.set_xticks(places, names)
    last, first = names[-1], names[0]
    return figure, (
        f"{first}: {found[first][0]} of {asked} solved; {last}: {found[last][0]}, at "
        f"{found[last][1]:.2g} nats a token from before the rounding."
    )
