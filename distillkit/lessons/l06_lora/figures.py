"""Figures about LoRA: pure `draw_…(…) -> (Figure, caption)`."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from distillkit.plots import (
    BLACK,
    BLUE,
    GREY,
    Drawn,
    bar_look,
    draw_training,
    error_bars,
    line_look,
    new_figure,
)
from distillkit.teaching.widgets import Live

CARDS = (4, 6, 8, 12, 24)  # GB of consumer cards


def watch(losses: Iterable[float], steps: int) -> list[float]:
    """Run a training that yields its losses, draw them as they come, and return them all."""
    live, began = Live(draw_training), time.perf_counter()
    for step, loss in enumerate(losses, 1):
        now = time.perf_counter()
        live.add({"step": step, "steps": steps, "loss": loss, "seconds": now - began})
        began = now
    return [row["loss"] for row in live.rows]


def draw_shapes(outputs: int, inputs: int, r: int) -> Drawn:
    """Draw a frozen matrix W and the factors B and A of its update, all to the same scale."""
    figure, axes = new_figure(7.2, 2.8)
    axes.axis("off")
    axes.set_aspect("equal")
    gap = max(0.16 * inputs, 0.5 * outputs)
    inch = max((2 * inputs + r + 2 * gap) / 6.8, outputs / 2.0)  # numbers in an inch
    left = 0.0
    for name, tall, wide, look in (("W, frozen", outputs, inputs, bar_look(5)),
                                   ("B", outputs, r, bar_look(0)),
                                   ("A", r, inputs, bar_look(1))):  # fmt: skip
        axes.barh(-tall / 2, wide, tall, left=left, **{**look, "edgecolor": look["color"]})
        axes.text(left + wide / 2, 0.05 * inch, f"{name}\n{tall} × {wide}", ha="center",
                  va="bottom", fontsize=10)  # fmt: skip
        left += wide + gap
    for at, sign in ((inputs + gap / 2, "+"), (inputs + 1.5 * gap + r, "·")):
        axes.text(at, -outputs / 2, sign, ha="center", va="center", fontsize=18)
    axes.set(xlim=(-0.1 * inch, left - gap + 0.1 * inch), ylim=(-outputs, 0.55 * inch))
    trained = r * (outputs + inputs)
    caption = (
        f"W has {outputs * inputs:,} numbers; B and A of rank {r} have {trained:,}, "
        f"{100 * trained / (outputs * inputs):.1f} % of it. All three are drawn to one scale."
    )
    return figure, caption


def draw_rates(logs: Mapping[str, Sequence[float]]) -> Drawn:
    """Draw the loss of each step for several learning rates."""
    figure, axes = new_figure(6.8, 3.0, xlabel="step", ylabel="loss (nats per token)",
                              yscale="log")  # fmt: skip
    for at, (name, losses) in enumerate(logs.items()):
        axes.plot(range(1, len(losses) + 1), losses, label=name, **line_look(at))
    figure.legend(loc="outside upper center", ncols=len(logs), frameon=False, fontsize=9)
    ends = {name: losses[-1] for name, losses in logs.items()}
    best, worst = min(ends, key=ends.get), max(ends, key=ends.get)
    caption = (
        f"After the last step {best} has the lowest loss ({ends[best]:.2f}) and {worst} the "
        f"highest ({ends[worst]:.2f}); the data and their order are the same."
    )
    return figure, caption


def draw_spectrum(values: Sequence[float], kept: int, name: str) -> Drawn:
    """Draw the singular values of a learned update; the first `kept` would be kept.

    Raises ValueError for an update that is zero.
    """
    total = sum(value**2 for value in values)
    if not total:
        raise ValueError("this update is zero: nothing was learned yet")
    figure, axes = new_figure(6.4, 2.8, xlabel="rank", ylabel="singular value")
    places = range(1, len(values) + 1)
    axes.bar(places[:kept], values[:kept], 0.7, label="kept", **bar_look(0))
    axes.bar(places[kept:], values[kept:], 0.7, label="cut off", color="white", edgecolor=GREY,
             hatch="//")  # fmt: skip
    figure.legend(loc="outside upper center", ncols=2, frameon=False, fontsize=9)
    share = 100 * sum(value**2 for value in values[:kept]) / total
    caption = (
        f"{name}: rank {kept} of {len(values)} keeps {share:.0f} % of the update's squared size."
    )
    return figure, caption


def draw_ranks(rows: Sequence[Mapping[str, Any]]) -> Drawn:
    """Draw exact answers (%) with their intervals against the rank that an adapter is cut to.

    `rows` are those of data/ranks.csv, as `dk.data` gives them; rank 0 is the untouched student.
    """
    figure, axes = new_figure(6.4, 3.0, xlabel="rank that is kept", ylabel="exact answers, %",
                              ylim=(0, 103), xscale="log")  # fmt: skip
    words = []
    for at, split in enumerate(dict.fromkeys(row["split"] for row in rows)):
        cut = sorted((r for r in rows if r["split"] == split and r["rank"]),
                     key=lambda row: row["rank"])  # fmt: skip
        found = [(row["exact"], row["low"], row["high"]) for row in cut]
        ranks = [row["rank"] for row in cut]
        axes.errorbar(ranks, [share for share, *_ in found], yerr=error_bars(found), capsize=3,
                      label=f"{split} equations", **line_look(at))  # fmt: skip
        words.append(f"{split}: {found[0][0]:.0f} % at rank {ranks[0]}, {found[-1][0]:.0f} % at "
                     f"rank {ranks[-1]}")  # fmt: skip
    (before,) = (row["exact"] for row in rows if not row["rank"] and row["split"] == "narrow")
    axes.axhline(before, color=GREY, linestyle="--")
    ranks = sorted({row["rank"] for row in rows if row["rank"]})
    axes.set_xticks(ranks, map(str, ranks))
    axes.minorticks_off()
    figure.legend(loc="outside upper center", ncols=2, frameon=False, fontsize=9)
    caption = (
        f"Exact answers, {'; '.join(words)}. Bars: 95 % intervals (n = {rows[0]['n']}); dashed: "
        "untouched, with solved examples, narrow equations."
    )
    return figure, caption


def amounts(rows: Sequence[Mapping[str, Any]]) -> dict[str, dict[int, list[float]]]:
    """Return the ways of `draw_curve` from rows of data/curriculum.csv, as `dk.data` gives them."""
    ways: dict[str, dict[int, list[float]]] = {
        "each seen once": {},
        "as many steps as 128": {},
    }
    once, again = ways.values()
    for row in sorted(rows, key=lambda row: str(row["seed"])):
        recipe, n = row["recipe"], row["solutions"]
        if recipe == "base" or recipe.endswith(" traces"):
            once.setdefault(n, []).append(row["exact"])
        if recipe.endswith(" times") or recipe == "128 traces":
            again.setdefault(n, []).append(row["exact"])
    return ways


def draw_curve(ways: Mapping[str, Mapping[int, Sequence[float]]], before: float) -> Drawn:
    """Draw exact answers (%) against the number of solutions, one line a way to show them.

    A way maps a number of solutions to the results of one student a seed.
    """
    figure, axes = new_figure(6.8, 3.2, xlabel="verified solutions", ylabel="exact answers, %",
                              ylim=(0, 103), xscale="log")  # fmt: skip
    means = {}
    for at, (way, exact) in enumerate(ways.items()):
        counts = sorted(exact)
        means[way] = {n: sum(exact[n]) / len(exact[n]) for n in counts}
        look = line_look(at)
        axes.plot(counts, list(means[way].values()), label=way, **look)
        for n in counts:
            axes.plot([n] * len(exact[n]), exact[n], ".", color=look["color"], alpha=0.5)
    axes.axhline(before, color=BLACK, linewidth=0.9, linestyle="--")
    counts = sorted({n for exact in ways.values() for n in exact})
    axes.set_xticks(counts, map(str, counts))
    axes.minorticks_off()
    if len(ways) > 1:
        axes.legend(loc="lower right", frameon=False, fontsize=9)
    first, *others = means
    enough = next((n for n, mean in means[first].items() if mean > before), None)
    found = f"{enough} solutions beat" if enough else "No number of solutions beats"
    most = max(means[first])
    caption = (
        f"{found} six solved examples in the prompt (dashed, {before:.0f} %); {most} reach "
        f"{means[first][most]:.0f} %. "
    )
    for way in others:
        few = min(means[way])
        caption += f"{few} solutions, {way}: {means[way][few]:.0f} %. "
    return figure, caption + "Each dot is one training run, a line joins the means."


def draw_memory(ways: Mapping[str, Mapping[str, float]]) -> Drawn:
    """Draw the parts of the memory (bytes) of several ways to train, against cards' sizes."""
    figure, axes = new_figure(7.4, 1.1 + 0.42 * len(ways), xlabel="GB")
    names = list(dict.fromkeys(part for parts in ways.values() for part in parts))
    left = [0.0] * len(ways)
    for at, name in enumerate(names):
        sizes = [parts.get(name, 0.0) / 1e9 for parts in ways.values()]
        axes.barh(range(len(ways)), sizes, 0.6, left=left, label=name, **bar_look(at))
        left = [a + b for a, b in zip(left, sizes, strict=True)]
    for at, total in enumerate(left):
        axes.text(total, at, f" {total:.1f}", va="center", fontsize=9)
    top = max(left) * 1.12
    last = 0.0  # where the last card's size is written
    for size in CARDS:
        if size < top:
            axes.axvline(size, color=BLACK, linewidth=0.8, linestyle=":")
        if last + 0.06 * top < size < top:
            axes.text(size, -0.62, f"{size}", ha="center", va="bottom", fontsize=8)
            last = size
    axes.set_yticks(range(len(ways)), list(ways))
    axes.set(ylim=(len(ways) - 0.4, -0.6), xlim=(0, top))
    figure.legend(loc="outside upper center", ncols=3, frameon=False, fontsize=9)
    totals = dict(zip(ways, left, strict=True))
    most, least = max(totals, key=totals.get), min(totals, key=totals.get)
    enough = (size for size in CARDS if size > totals[least] + 0.7)
    card = next((f"a {size} GB card is enough" for size in enough), "no card here is enough")
    caption = (
        f"'{most}' needs {totals[most]:.1f} GB. '{least}' needs {totals[least]:.1f} GB: {card} "
        "(0.7 GB are kept free). Dotted lines: 4, 6, 8, 12 and 24 GB."
    )
    return figure, caption


def draw_before_after(ways: Mapping[str, Sequence[bool]]) -> Drawn:
    """Draw which of the same equations each way solves: a column an equation, dark is solved."""
    count = len(next(iter(ways.values())))
    figure, axes = new_figure(7.2, 0.9 + 0.42 * len(ways), xlabel="equation", xlim=(0, count))
    axes.grid(visible=False)
    for at, solved in enumerate(ways.values()):
        for i, right in enumerate(solved):
            axes.barh(at, 0.9, 0.8, left=i, color=BLUE if right else "white", edgecolor=GREY,
                      linewidth=0.5)  # fmt: skip
    axes.set_yticks(range(len(ways)), list(ways))
    axes.set_ylim(len(ways) - 0.5, -0.5)
    totals = ", ".join(f"{name} {sum(solved)} of {count}" for name, solved in ways.items())
    return figure, f"Solved: {totals}."
