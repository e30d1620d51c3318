"""Figures about templates: pure `draw_…(…) -> (Figure, caption)`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import zip_longest

from distillkit.plots import BLUE, GREY, Drawn, bar_look, new_figure, visible_token
from distillkit.training.losses import IGNORE

LINE = 78  # characters of one row of tokens
MOST = 160  # tokens: more would be too small to read


def rows_of(tokens: Sequence[str], width: int = LINE) -> list[list[tuple[int, int, str]]]:
    """Set tokens in rows of at most `width` characters; returns (token, column, text) by row.

    A line end ends its row; a token longer than a row is cut short.
    """
    rows: list[list[tuple[int, int, str]]] = [[]]
    column = 0
    for number, token in enumerate(tokens):
        shown = visible_token(token)[:width]
        if column + len(shown) > width:
            rows.append([])
            column = 0
        rows[-1].append((number, column, shown))
        column += len(shown) + 1
        if token.endswith("\n"):
            rows.append([])
            column = 0
    return [row for row in rows if row]


def columns(texts: Mapping[str, Sequence[str]], across: int = 3, width: int = 26) -> str:
    """Set lists of lines beside each other, `across` of them in a band, each below its name."""
    bands, names = [], list(texts)
    for first in range(0, len(names), across):
        band = [[name, "-" * len(name), *texts[name]] for name in names[first : first + across]]
        rows = zip_longest(*band, fillvalue="")
        bands.append("\n".join("".join(f"{t:{width}}" for t in row).rstrip() for row in rows))
    return "\n\n".join(bands)


def draw_mask(tokens: Sequence[str], labels: Sequence[int]) -> Drawn:
    """Draw the tokens of one example: white ones are read only, dark ones are learned.

    `labels` are -100 where the loss does not look.  Long examples lose their beginning.
    """
    cut = max(0, len(tokens) - MOST)
    rows = rows_of(tokens[cut:])
    figure, axes = new_figure(8.2, 0.3 + 0.23 * len(rows), xlim=(-0.5, LINE + 1),
                              ylim=(len(rows) - 0.4, -0.7))  # fmt: skip
    axes.axis("off")
    for at, row in enumerate(rows):
        for number, column, text in row:
            learned = labels[cut + number] != IGNORE
            box = {"boxstyle": "round,pad=0.12", "facecolor": BLUE if learned else "white",
                   "edgecolor": BLUE if learned else GREY, "linewidth": 0.6}  # fmt: skip
            axes.text(column, at, text, family="DejaVu Sans Mono", fontsize=8, va="center",
                      color="white" if learned else "black", bbox=box,
                      parse_math=False)  # fmt: skip
    learned = sum(label != IGNORE for label in labels)
    share = 100 * learned / len(tokens)
    caption = (
        f"{len(tokens)} tokens; the {learned} dark ones are learned ({share:.0f} %), "
        f"the {len(tokens) - learned} white ones are only read."
        + (f"  The first {cut} are not shown." if cut else "")
    )
    return figure, caption


def draw_templates(
    few_shot: Mapping[str, float], distilled: Mapping[str, Sequence[float]]
) -> Drawn:
    """Draw exact answers (%) by template: few-shot before, and after training, a dot a seed."""
    names = list(distilled)
    figure, axes = new_figure(7.2, 3.4, ylim=(0, 105), ylabel="exact answers, %")
    at = range(len(names))
    axes.bar([i - 0.2 for i in at], [few_shot.get(n, 0) for n in names], 0.38,
             label="untouched, six examples in the prompt", **bar_look(1))  # fmt: skip
    means = [sum(distilled[n]) / len(distilled[n]) for n in names]
    axes.bar([i + 0.2 for i in at], means, 0.38, label="after training, no examples",
             **bar_look(0))  # fmt: skip
    for i, name in enumerate(names):
        seeds = distilled[name]
        axes.plot([i + 0.2] * len(seeds), seeds, "o", color="black", markersize=4,
                  label="one seed" if i == 0 else None)  # fmt: skip
    axes.set_xticks(at, names, fontsize=9)
    figure.legend(loc="outside upper center", ncols=3, frameon=False, fontsize=9)
    best, worst = max(zip(means, names)), min(zip(means, names))
    caption = (
        f"After training, '{best[1]}' has the highest mean ({best[0]:.0f} %) and '{worst[1]}' the "
        f"lowest ({worst[0]:.0f} %); the dots show how far seeds lie apart."
    )
    return figure, caption
