"""Figures about a teacher's candidates: pure `draw_…(…) -> (Figure, caption)`."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from distillkit.plots import BLUE, GREY, RED, Drawn, bar_look, new_figure
from distillkit.traces.filters import first_wrong_step, judge
from distillkit.traces.templates import TEMPLATES, THINK

WIDE, TALL = 30, 16  # characters and lines of one candidate


def _lines(text: str) -> list[str]:
    """Break a text into lines of at most WIDE characters; TALL lines at most."""
    lines = [part for line in text.split("\n") for part in textwrap.wrap(line, WIDE) or [""]]
    left = len(lines) - TALL + 1
    return lines if left <= 1 else [*lines[: TALL - 1], f"… {left} more lines"]


def draw_candidates(candidates: Sequence[dict]) -> Drawn:
    """Draw up to four candidates of one problem side by side; the first wrong step is marked.

    Raises ValueError without candidates.
    """
    if not candidates:
        raise ValueError("there are no candidates to draw")
    shown = candidates[:4]
    texts = [_lines(candidate["text"]) for candidate in shown]
    tall = max(map(len, texts))
    figure, grid = new_figure(2.3 * len(shown) + 0.4, 0.8 + 0.175 * tall, columns=len(shown),
                              xlim=(0, 1), ylim=(tall, 0))  # fmt: skip
    usable = 0
    grid = [grid] if len(shown) == 1 else grid
    for axes, candidate, lines in zip(grid, shown, texts, strict=True):
        axes.axis("off")
        reasons = {name: reason for name, reason in judge(candidate).items() if reason}
        usable += not reasons
        template = TEMPLATES.get(candidate["teacher"].get("template", ""), THINK)
        wrong = first_wrong_step(candidate["problem"]["equation"],
                                 template.parse(candidate["text"]).reasoning)  # fmt: skip
        first = next(iter(reasons.items()), None)
        title = f"✗ breaks: {first[0]}" if first else "✓ usable"
        axes.set_title(f"candidate {candidate['candidate'] + 1}\n{title}", fontsize=10, loc="left",
                       color=RED if first else BLUE, parse_math=False)  # fmt: skip
        marked = False
        for at, line in enumerate(lines):
            bad = bool(wrong) and not marked and line.strip() == wrong[:WIDE].strip()
            marked |= bad
            axes.text(0, at + 0.5, line + ("   ✗" if bad else ""), fontsize=8,
                      family="DejaVu Sans Mono", va="center", color=RED if bad else "black",
                      weight="bold" if bad else "normal", parse_math=False)  # fmt: skip
    caption = (
        f"{candidates[0]['problem']['text']} (right: {candidates[0]['problem']['answer']}). "
        f"{usable} of {len(shown)} candidates obey every rule; a red line is the first step that "
        "does not follow from the equation."
    )
    return figure, caption


def draw_cost(seconds: float, price: float, usable: float, wanted: int) -> Drawn:
    """Draw what `wanted` usable traces take, from seconds and price of one candidate.

    `usable` is the share of candidates that obey every rule; raises ValueError unless it is in
    (0, 1].
    """
    if not 0 < usable <= 1:
        raise ValueError(f"the share of usable candidates must be above 0, at most 1, not {usable}")
    figure, (left, right) = new_figure(7.2, 2.4, columns=2)
    need = wanted / usable
    for axes, each, unit in ((left, seconds / 60, "minutes"), (right, price, "price")):
        axes.barh([0], [wanted * each], 0.5, label="usable", **bar_look(0))
        axes.barh([0], [(need - wanted) * each], 0.5, left=[wanted * each], label="rejected",
                  color="white", edgecolor=GREY, hatch="//")  # fmt: skip
        axes.set(yticks=[], xlabel=unit)
    figure.legend(*left.get_legend_handles_labels(), loc="outside upper center", ncols=2,
                  frameon=False, fontsize=9)  # fmt: skip
    caption = (
        f"{wanted:,} usable traces need {need:,.0f} candidates: {need * seconds / 60:,.0f} minutes "
        f"of computing, or {need * price:,.2f} at this price; {100 * (1 - usable):.0f} % of it is "
        "for candidates that are thrown away."
    )
    return figure, caption
