"""Figures about samplers in a plane: pure `draw_…(…) -> (Figure, caption)`.

Dimension key: B points, D coordinates (2).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from distillkit.evaluation.statistics import interval
from distillkit.lessons.l14_sampler.diffusion import alpha_sigma, centres
from distillkit.lessons.l14_sampler.quality import measured
from distillkit.plots import BLUE, GREY, ORANGE, Drawn, error_bars, line_look, new_figure

EDGE = 2.9  # of the plane that is shown
TOP = 10  # of a distance that is shown


def draw_noising(x_BD: Tensor, noise_BD: Tensor, times: Sequence[float]) -> Drawn:
    """Draw the same points at several times, from data to noise."""
    figure, grid = new_figure(2.1 * len(times), 2.3, columns=len(times), aspect="equal",
                              xlim=(-EDGE, EDGE), ylim=(-EDGE, EDGE))  # fmt: skip
    for axes, t in zip(grid, times, strict=True):
        alpha, sigma = alpha_sigma(torch.tensor(t))
        z_BD = alpha * x_BD + sigma * noise_BD
        axes.plot(*z_BD.T, ".", color=BLUE, markersize=2, alpha=0.6)
        axes.set_title(f"t = {t:g}", fontsize=10)
    parts = "; ".join(
        f"t = {t:g}: {abs(alpha):.2f} of the point and {sigma:.2f} of the noise"
        for t, (alpha, sigma) in ((t, alpha_sigma(torch.tensor(t))) for t in times)
    )
    return figure, f"The same {len(x_BD)} points as the clock runs. {parts}."


def draw_sampler(path: Sequence[Tensor], data_BD: Tensor, lines: int = 40) -> Drawn:
    """Draw where a sampler ends, the way of some points, and its distance from the data."""
    figure, axes = new_figure(5.0, 4.4, aspect="equal", xlim=(-EDGE, EDGE), ylim=(-EDGE, EDGE))
    ways = torch.stack([*path])[:, :lines]
    for at in range(ways.shape[1]):
        axes.plot(*ways[:, at].T, "-", color=ORANGE, linewidth=0.7, alpha=0.8)
    axes.plot(*path[-1].T, ".", color=BLUE, markersize=2.5, alpha=0.6)
    axes.plot(*centres().T, "x", color="black", markersize=7)
    found = measured(path[-1], data_BD)
    steps = len(path) - 1
    return figure, (
        f"{steps} step{'s' * (steps > 1)}: Wasserstein distance {found['wasserstein']:.3f}, "
        f"{found['modes']} of 8 heaps reached, {100 * found['near']:.0f} % of the points near one. "
        f"Crosses are the middles of the heaps; lines are the ways of {ways.shape[1]} points."
    )


def draw_clouds(clouds: Mapping[str, Tensor], data_BD: Tensor) -> Drawn:
    """Draw several clouds beside each other, with the modes."""
    figure, grid = new_figure(2.5 * len(clouds), 2.8, columns=len(clouds), aspect="equal",
                              xlim=(-EDGE, EDGE), ylim=(-EDGE, EDGE))  # fmt: skip
    words = []
    for axes, (name, x_BD) in zip(grid, clouds.items(), strict=True):
        axes.plot(*x_BD.T, ".", color=BLUE, markersize=2, alpha=0.5)
        axes.plot(*centres().T, "x", color="black", markersize=6)
        axes.set_title(name, fontsize=10)
        words.append(f"{name} {measured(x_BD, data_BD)['wasserstein']:.2f}")
    return figure, f"Wasserstein distances from the data: {'; '.join(words)}."


def draw_quality(
    ways: Mapping[str, Mapping[int, Sequence[float]]],
    floor: Sequence[float],
) -> Drawn:
    """Draw a distance against the number of steps, a line a way, with 95 % over seeds.

    `ways` are name -> steps -> one value a seed; `floor` is that of two samples of the data.
    """
    figure, axes = new_figure(7.2, 3.9, xlabel="steps", ylabel="sliced Wasserstein distance",
                              xscale="log", yscale="log")  # fmt: skip
    counts = sorted({steps for found in ways.values() for steps in found})
    for at, (name, found) in enumerate(ways.items()):
        steps = sorted(found)
        rows = [interval(found[n], (0, float("inf"))) for n in steps]
        shift = 1.04 ** (at - len(ways) / 2)
        axes.errorbar([n * shift for n in steps], [row[0] for row in rows], error_bars(rows),
                      label=name, capsize=2, **line_look(at))  # fmt: skip
    level = sum(floor) / len(floor)
    axes.axhline(level, color=GREY, linestyle=":", linewidth=1.5, label="two samples of the data")
    axes.set_xticks(counts, map(str, counts))
    low, high = axes.set_ylim(top=min(TOP, axes.get_ylim()[1]))
    marks = [m for m in (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5) if low <= m <= high]
    axes.set_yticks(marks, map(str, marks))
    axes.minorticks_off()
    figure.legend(loc="outside upper center", ncols=3, frameon=False, fontsize=8)
    ones = {name: sum(found[1]) / len(found[1]) for name, found in ways.items() if 1 in found}
    words = "; ".join(f"{name} {value:.3f}" for name, value in ones.items() if value <= TOP)
    outside = " Distances above 10 are not shown." * any(x > TOP for x in ones.values())
    return figure, (
        f"With one step: {words}. Two samples of the data differ by {level:.3f}.{outside}"
    )
