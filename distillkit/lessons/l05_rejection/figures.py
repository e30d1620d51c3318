"""Figures about rejection sampling: pure `draw_…(…) -> (Figure, caption)`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

from distillkit.evaluation.statistics import wilson
from distillkit.plots import BLACK, BLUE, GREY, Drawn, draw_funnel, line_look, new_figure
from distillkit.traces.filters import pass_at_k


def draw_rules(table: Mapping[str, tuple[int, int, int]]) -> Drawn:
    """Draw precision and recall of each rule with 95 % Wilson intervals.

    The table has, for each rule, how many candidates are faulty *and* rejected, rejected, faulty.
    """
    figure, grid = new_figure(7.6, 0.9 + 0.36 * len(table), columns=2, xlim=(0, 102))
    for axes, of, title in ((grid[0], 1, "precision, %"), (grid[1], 2, "recall, %")):
        for at, counts in enumerate(table.values()):
            if not counts[of]:
                axes.text(50, at, "no case", ha="center", va="center", color=GREY, fontsize=9)
                continue
            low, high = wilson(counts[0], counts[of])
            axes.plot([100 * low, 100 * high], [at, at], color=BLUE, linewidth=2)
            axes.plot([100 * counts[0] / counts[of]], [at], "o", color=BLACK, markersize=5)
        axes.set(xlabel=title, ylim=(len(table) - 0.5, -0.5))
        axes.set_yticks(range(len(table)), list(table) if of == 1 else [])
    recalls = {name: c[0] / c[2] for name, c in table.items() if c[2]}
    worst = min(recalls, key=recalls.get)
    caption = (
        f"Dots: the share found in this set; lines: 95 % intervals. The rule '{worst}' misses most:"
        f" it rejects {table[worst][0]} of {table[worst][2]} candidates that have its fault."
    )
    return figure, caption


def draw_kept(rows: Sequence[tuple[str, int]]) -> Drawn:
    """Draw the funnel: how many candidates are left after each rule."""
    lost = {name: before - left for (_, before), (name, left) in pairwise(rows)}
    most = max(lost, key=lost.get)
    (_, total), (_, kept) = rows[0], rows[-1]
    worst = f"the rule '{most}' rejects most: {lost[most]}" if lost[most] else "no rule rejects any"
    share = 100 * kept / max(1, total)
    return draw_funnel(rows), f"{kept} of {total} candidates are kept ({share:.0f} %); {worst}."


def draw_pass_at_k(right: Mapping[str, Sequence[int]], n: int) -> Drawn:
    """Draw pass@k against k = 1 … n; `right` has, by name, the right ones among n a problem."""
    figure, axes = new_figure(6.8, 3.3, xlabel="k, candidates a problem", ylim=(0, 103),
                              ylabel="problems with a right one, %")  # fmt: skip
    ends = {}
    for at, (name, counts) in enumerate(right.items()):
        share = [100 * sum(pass_at_k(n, c, k) for c in counts) / len(counts)
                 for k in range(1, n + 1)]  # fmt: skip
        axes.plot(range(1, n + 1), share, label=name, **line_look(at))
        ends[name] = share[0], share[-1]
    figure.legend(loc="outside upper center", ncols=4, frameon=False, fontsize=9)
    gains = {name: end[1] - end[0] for name, end in ends.items()}
    most = max(gains, key=gains.get)
    caption = (
        f"'{most}' gains most from more candidates: {ends[most][0]:.0f} % of the problems with one,"
        f" {ends[most][1]:.0f} % with {n}."
    )
    return figure, caption
