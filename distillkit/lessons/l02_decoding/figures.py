"""Figures about decoding: pure `draw_…(…) -> (Figure, caption)`.

Dimension key: V vocabulary.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch

from distillkit.evaluation.statistics import wilson
from distillkit.generation.decoding import entropy, support
from distillkit.generation.sampler import next_token_probs
from distillkit.plots import (
    BLUE,
    GREY,
    Drawn,
    bar_look,
    error_bars,
    line_look,
    new_figure,
    visible_token,
)

SHOWN = 12  # bars


def visible(token: str) -> str:
    """Write a token so that spaces and line ends can be seen, and in at most 14 characters."""
    token = visible_token(token)
    return token if len(token) <= 14 else token[:13] + "…"


def draw_next_token(
    logits_V: torch.Tensor,
    tokens: Sequence[str],
    temperature: float = 1.0,
    top_k: int = 0,
    top_p: float = 1.0,
) -> Drawn:
    """Draw the likeliest next tokens: the model's own probabilities and what is drawn from.

    `tokens` are the texts of the `SHOWN` likeliest tokens, in order.  Raises ValueError for a
    setting out of range.
    """
    plain_V = logits_V.float().softmax(-1)
    probs_V = next_token_probs(logits_V, temperature, top_k, top_p)
    best = plain_V.topk(min(SHOWN, len(plain_V))).indices
    at = range(len(best))
    figure, axes = new_figure(7.2, 3.4, xlim=(0, 1.08), xlabel="probability")
    axes.barh([i - 0.2 for i in at], plain_V[best].tolist(), 0.38, color="white",
              edgecolor=GREY, hatch="//", label="the model's own")  # fmt: skip
    axes.barh([i + 0.2 for i in at], probs_V[best].tolist(), 0.38, color=BLUE, label="drawn from")
    for i, token in enumerate(best.tolist()):
        own, drawn = float(plain_V[token]), float(probs_V[token])
        axes.text(max(own, drawn) + 0.01, i + 0.2, f"{100 * drawn:.1f} %" if drawn > 0 else "cut",
                  fontsize=8, va="center")  # fmt: skip
    axes.set_yticks(at, [visible(token) for token in tokens[: len(best)]], parse_math=False)
    axes.invert_yaxis()
    axes.legend(loc="lower right", fontsize=9)
    left = support(probs_V)
    tail = 1 - float(probs_V[best].sum())
    caption = (
        f"Entropy {entropy(probs_V):.2f} bits (the model's own: {entropy(plain_V):.2f}); "
        f"{left:,} of {len(probs_V):,} tokens can be drawn; the likeliest has "
        f"{100 * float(probs_V.max()):.1f} %, the tokens that are not shown "
        f"{100 * max(0.0, tail):.1f} %."
    )
    return figure, caption


def draw_sharpening(by_temperature: Mapping[float, float], at_one: float) -> Drawn:
    """Draw the mean entropy of the next token against the temperature."""
    figure, axes = new_figure(6.4, 3.0, xlabel="temperature", ylabel="mean entropy (bits)")
    axes.plot(list(by_temperature), list(by_temperature.values()), **line_look(0))
    axes.axvline(1, color=GREY, linewidth=1)
    (cold, low), (hot, high) = min(by_temperature.items()), max(by_temperature.items())
    caption = (
        f"From T = {cold:g} to T = {hot:g} the mean entropy goes from {low:.2f} to {high:.2f} "
        f"bits; the model's own (T = 1) is {at_one:.2f}."
    )
    return figure, caption


def draw_strategies(rows: Sequence[dict], k: int) -> Drawn:
    """Draw the share of right candidates, and of problems with a right one among k, by strategy.

    A row has strategy, problems, candidates, right (candidates) and solved (problems).
    """
    figure, axes = new_figure(7.2, 3.4, ylim=(0, 105), ylabel="%")
    for place, (key, of, label) in enumerate(
        (("right", "candidates", "one candidate is right"),
         ("solved", "problems", f"one of {k} is right"))
    ):  # fmt: skip
        found = [[100 * share for share in (row[key] / row[of], *wilson(row[key], row[of]))]
                 for row in rows]  # fmt: skip
        shares = [share for share, _, _ in found]
        at = [i + 0.4 * place - 0.2 for i in range(len(rows))]
        axes.bar(at, shares, 0.38, label=label, yerr=error_bars(found), capsize=2,
                 **bar_look(place))  # fmt: skip
    axes.set_xticks(range(len(rows)), [row["strategy"].replace(", ", ",\n") for row in rows],
                    fontsize=9)  # fmt: skip
    figure.legend(loc="outside upper center", ncols=2, frameon=False, fontsize=9)
    first = max(rows, key=lambda row: row["right"] / row["candidates"])
    second = max(rows, key=lambda row: row["solved"] / row["problems"])
    caption = (
        f"A single candidate is right most often with {first['strategy']} "
        f"({100 * first['right'] / first['candidates']:.0f} %), one of {k} with "
        f"{second['strategy']} ({100 * second['solved'] / second['problems']:.0f} %)."
    )
    return figure, caption
