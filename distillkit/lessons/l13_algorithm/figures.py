"""Figures about learners of bandits: pure `draw_…(…) -> (Figure, caption)`.

Dimension key: B bandits or seeds, K arms, T pulls.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from distillkit.evaluation.statistics import t_quantile
from distillkit.lessons.l13_algorithm.bandits import best_chances
from distillkit.lessons.l13_algorithm.imitation import EVERY
from distillkit.plots import Drawn, bar_look, line_look, new_figure

ARM_NAMES = ("1st", "2nd", "3rd", "4th", "5th")


def draw_regret(
    curves: Mapping[str, Sequence[Sequence[float]]], each: str = "bandit", every: int = 1
) -> Drawn:
    """Draw mean regret against pulls with its 95 % interval, a line a way of playing.

    `curves` are name -> one curve for each bandit (or seed), a value after every `every` pulls.
    """
    figure, axes = new_figure(7.0, 3.7, xlabel="pulls", ylabel="regret so far")
    words = []
    for at, (name, rows) in enumerate(curves.items()):
        rows_BT = np.asarray(rows, dtype=float)
        middle, n = rows_BT.mean(0), len(rows_BT)
        half = t_quantile(n - 1) * rows_BT.std(0, ddof=1) / n**0.5 if n > 2 else 0 * middle
        pulls = every * np.arange(1, len(middle) + 1)
        look = line_look(at)
        axes.plot(pulls, middle, label=name, markevery=max(1, len(middle) // 8), **look)
        axes.fill_between(pulls, middle - half, middle + half, color=look["color"], alpha=0.2,
                          linewidth=0)  # fmt: skip
        words.append(f"{name} {middle[-1]:.1f}")
    axes.set_ylim(bottom=0)
    figure.legend(loc="outside upper center", ncols=2, frameon=False, fontsize=8)
    end = every * len(middle)
    return figure, (
        f"Regret after {end} pulls: {'; '.join(words)}. The bands are 95 % intervals of the mean, "
        f"a curve a {each}."
    )


def draw_beliefs(
    beliefs_TK: np.ndarray,
    actions_T: np.ndarray,
    rewards_T: np.ndarray,
    chances_K: np.ndarray,
    pull: int,
) -> Drawn:
    """Draw what the model would pull next after `pull` pulls, beside what Thompson would pull."""
    wins_K, losses_K = (
        np.bincount(actions_T[:pull][rewards_T[:pull] == r], minlength=len(chances_K))
        for r in (1, 0)
    )
    exact_K = best_chances(wins_K[None], losses_K[None])[0]
    figure, axes = new_figure(6.8, 3.2, ylabel="probability", ylim=(0, 1.08))
    places = np.arange(len(chances_K))
    for at, (name, shares) in enumerate((("the model", beliefs_TK[pull]), ("Thompson", exact_K))):
        axes.bar(places + 0.4 * (at - 0.5), shares, 0.36, label=name, **bar_look(at))
    names = [
        f"{ARM_NAMES[k]}{' ★' if k == chances_K.argmax() else ''}\n{100 * chances_K[k]:.0f} %"
        f"\n{wins_K[k]} of {wins_K[k] + losses_K[k]}"
        for k in places
    ]
    axes.set_xticks(places, names)
    figure.legend(loc="outside upper center", ncols=2, frameon=False, fontsize=9)
    before = "Nothing is known yet."
    if pull:
        paid = "paid" if rewards_T[pull - 1] else "did not pay"
        before = f"Pull {pull} was the {ARM_NAMES[actions_T[pull - 1]]} arm, which {paid}."
    gap = round(50 * np.abs(beliefs_TK[pull] - exact_K).sum())
    return figure, (
        f"{before} Below each arm: its true chance to pay (★ the best), and how often it paid so "
        f"far. The model and Thompson differ by {gap} point{'s' * (gap != 1)} in all."
    )


def draw_losses(losses: Mapping[str, Sequence[float]], floor: float) -> Drawn:
    """Draw the loss of trainings, a line each, and the source's own doubt (nats a pull).

    `losses` are name -> what `imitate` returned; nothing, if it was stopped before its first step.
    """
    figure, axes = new_figure(6.8, 3.0, xlabel="step", ylabel="loss, nats a pull")
    for at, (name, row) in enumerate(losses.items()):
        steps = EVERY * np.arange(1, len(row) + 1)
        axes.plot(steps, row, label=name, markevery=max(1, len(row) // 8), **line_look(at))
    axes.axhline(floor, color="black", linewidth=1, linestyle=":", label="the source's own doubt")
    axes.set_ylim(bottom=0)
    figure.legend(loc="outside upper center", ncols=3, frameon=False, fontsize=9)
    ends = "; ".join(f"{name} {row[-1]:.2f}" if row else f"{name} none yet"
                     for name, row in losses.items())  # fmt: skip
    return figure, f"Last loss: {ends}. The source's own doubt is {floor:.2f} nats a pull."
