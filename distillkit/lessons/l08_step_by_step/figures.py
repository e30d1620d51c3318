"""Figures about a label and its rationale: pure `draw_…(…) -> (Figure, caption)`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from distillkit.evaluation.statistics import interval
from distillkit.plots import Drawn, bar_look, error_bars, line_look, new_figure
from distillkit.training.packing import Example, supervised


def draw_shares(label: int, rationale: int, alpha: float) -> Drawn:
    """Draw what the label and the rationale weigh in the loss, as one text and as two tasks."""
    plain = label / (label + rationale)
    rows = {"one text,\nevery token alike": plain, f"two tasks,\nα = {alpha:g}": alpha}
    figure, axes = new_figure(6.6, 2.2, xlabel="share of the loss, %", xlim=(0, 100))
    for at, (part, of) in enumerate((("label", lambda s: s), ("rationale", lambda s: 1 - s))):
        left = [100 * s * at for s in rows.values()]
        axes.barh([*rows], [100 * of(s) for s in rows.values()], left=left, height=0.55,
                  label=part, **bar_look(at))  # fmt: skip
    axes.invert_yaxis()
    figure.legend(loc="outside upper center", ncols=2, frameon=False, fontsize=9)
    if alpha in (0, 1):
        weighs = f"the {'label' if alpha == 0 else 'rationale'} weighs nothing"
    else:
        ratio = (alpha / label) / ((1 - alpha) / rationale)
        weighs = f"one of them weighs {ratio:.3g} times as much as one token of the rationale"
    return figure, (
        f"As one text the {label} tokens of the label are {100 * plain:.0f} % of the loss. As two "
        f"tasks they are {100 * alpha:.0f} %: {weighs}."
    )


def draw_computed(tasks: Mapping[str, Sequence[Example]]) -> Drawn:
    """Draw how many tokens each way computes, as separate texts and as a prefix tree."""
    rows = {
        name: (sum(len(e.ids) for e in examples), nodes(examples), supervised(examples))
        for name, examples in tasks.items()
    }
    figure, axes = new_figure(6.6, 0.7 + 0.6 * len(rows), xlabel="tokens")
    for at, kind in enumerate(("separate texts", "prefix tree", "learned of them")):
        places = [i + 0.27 * (at - 1) for i in range(len(rows))]
        axes.barh(places, [row[at] for row in rows.values()], 0.25, label=kind, **bar_look(at))
    axes.set_yticks(range(len(rows)), [*rows])
    axes.invert_yaxis()
    figure.legend(loc="outside upper center", ncols=3, frameon=False, fontsize=9)
    words = "; ".join(f"{name}: {apart} apart, {tree} as a tree"
                      for name, (apart, tree, _) in rows.items())  # fmt: skip
    return figure, f"Tokens computed: {words}."


def nodes(examples: Sequence[Example]) -> int:
    """Return how many different beginnings some examples have: the nodes of their prefix tree."""
    return len({tuple(e.ids[:n]) for e in examples for n in range(1, len(e.ids) + 1)})


def draw_sizes(ways: Mapping[str, Mapping[int, Sequence[float]]], chance: float = 0.0) -> Drawn:
    """Draw right answers (%) against the number of questions learned, a line a way, with 95 %.

    `ways` are name -> size -> one value a seed; `chance` is what guessing reaches.
    """
    figure, axes = new_figure(7.4, 3.9, xlabel="questions learned", ylabel="right answers, %",
                              xscale="log")  # fmt: skip
    sizes = sorted({size for found in ways.values() for size in found})
    for at, (name, found) in enumerate(ways.items()):
        rows = [interval(found[size], (0, 100)) for size in sizes]
        shift = 1.03 ** (at - len(ways) / 2)
        axes.errorbar([size * shift for size in sizes], [row[0] for row in rows],
                      error_bars(rows), label=name, capsize=2, **line_look(at))  # fmt: skip
    if chance:
        axes.axhline(chance, color="black", linewidth=0.8, linestyle=":")
    axes.set_xticks(sizes, map(str, sizes))
    axes.minorticks_off()
    figure.legend(loc="outside upper center", ncols=2, frameon=False, fontsize=8)
    least = sizes[0]
    means = {name: sum(found[least]) / len(found[least]) for name, found in ways.items()}
    best = max(means, key=means.__getitem__)
    return figure, (
        f"With {least} questions '{best}' is best ({means[best]:.0f} %)."
        + f" The dotted line is guessing ({chance:.0f} %)." * bool(chance)
    )
