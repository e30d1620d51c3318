"""Figures about LoRA: pure `draw_…(…) -> (Figure, caption)`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

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
)

CARDS = (4, 6, 8, 12, 24)  # GB of consumer cards


def draw_training(log: Sequence[dict]) -> Drawn:
    """Draw the loss of each step so far; the caption says how far it is and what is left."""
    figure, axes = new_figure(6.8, 2.8, xlabel="step", ylabel="loss (nats per token)",
                              yscale="log")  # fmt: skip
    if not log:
        return figure, "No step is done yet."
    steps = [row["step"] for row in log]
    axes.plot(steps, [row["loss"] for row in log], **{**line_look(0), "markersize": 4})
    last, total = log[-1], log[-1]["steps"]
    axes.set_xlim(0.5, total + 0.5)
    axes.xaxis.get_major_locator().set_params(integer=True)
    rate = sum(row["tokens"] for row in log) / sum(row["seconds"] for row in log)
    left = sum(row["seconds"] for row in log) / len(log) * (total - last["step"])
    caption = f"Step {last['step']} of {total}, loss {last['loss']:.3f}, {rate:.0f} tokens/s" + (
        f"; about {left:.0f} s left." if left else "; done."
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


def draw_ranks(exact: Mapping[int, tuple[float, float, float]], before: float) -> Drawn:
    """Draw exact answers (%) with their intervals against the rank that an adapter is cut to."""
    ranks = sorted(exact)
    figure, axes = new_figure(6.4, 2.8, xlabel="rank that is kept", ylabel="exact answers, %",
                              ylim=(0, 103), xscale="log")  # fmt: skip
    found = [exact[r] for r in ranks]
    middle = [share for share, _, _ in found]
    axes.errorbar(ranks, middle, yerr=error_bars(found), capsize=3, **line_look(0))
    axes.axhline(before, color=ORANGE, linestyle="--")
    axes.set_xticks(ranks, map(str, ranks))
    axes.minorticks_off()
    caption = (
        f"Cut to rank {ranks[0]} the student solves {middle[0]:.0f} %, whole (rank {ranks[-1]}) "
        f"{middle[-1]:.0f} %; bars: 95 % intervals; dashed: untouched, with solved examples."
    )
    return figure, caption


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
    card = next((f"a {size} GB card" for size in CARDS if size > totals[least] + 0.7), "no card "
                "here")  # fmt: skip
    caption = (
        f"{most} needs {totals[most]:.1f} GB, {least} {totals[least]:.1f} GB, which {card} holds "
        "with at least 0.7 GB to spare. Dotted lines: 4, 6, 8, 12 and 24 GB."
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
