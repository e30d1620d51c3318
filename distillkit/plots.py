"""The style of figures: no pyplot; colours that colour-blind readers can tell apart (Okabe and
Ito 2008), and hatches or line styles besides; figures that more than one room draws."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import PathCollection
from matplotlib.container import BarContainer, ErrorbarContainer
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.ticker import FuncFormatter

DPI = 110  # 10-point text is 15 pixels high: readable from the back of a room at 1280 x 720
BLUE, ORANGE, GREEN, GREY = "#0072B2", "#E69F00", "#009E73", "#777777"
RED, PURPLE, BLACK = "#D55E00", "#CC79A7", "#000000"
COLORS = (BLUE, ORANGE, GREEN, RED, PURPLE, GREY)
LINES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 3)))
MARKERS = ("o", "s", "^", "D", "v", "P")
Drawn = tuple[Figure, str]  # a figure and its caption
HATCHES = ("", "//", "..", "xx", "\\\\", "oo")


def _figure(width: float, height: float) -> Figure:
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def to_png(figure: Figure, dpi: int = DPI, colors: int | None = None) -> bytes:
    """Return the figure as PNG bytes; `colors` reduces them to a palette, a third of the size."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi)
    if colors is None:
        return buffer.getvalue()
    from PIL import Image  # Matplotlib needs Pillow itself

    small = io.BytesIO()
    with Image.open(buffer) as image:
        image.convert("RGB").quantize(colors, dither=Image.Dither.NONE).save(
            small, format="png", optimize=True
        )
    return small.getvalue()


def new_figure(
    width: float = 6.8, height: float = 3.3, rows: int = 1, columns: int = 1, **words: Any
) -> tuple[Figure, Any]:
    """Return a figure (inches) in the kit's style and its axes, an array if there are several.

    `words` are those of `Axes.set`: title, xlabel, ylabel, xlim, … for every one of the axes.
    """
    figure = _figure(width, height)
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes in grid.flat:
        style(axes).set(**words)
    return figure, grid[0, 0] if grid.size == 1 else grid.squeeze()


def style(axes: Axes) -> Axes:
    """Give axes the look of all figures of the kit: no box, a light grid behind the data."""
    axes.grid(alpha=0.3)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    return axes


def visible_token(token: str) -> str:
    """Write a token so that spaces, tabs and line ends can be seen."""
    token = token.replace(" ", "␣").replace("\t", "⇥").replace("\n", "⏎")
    return "".join(map(_shown, token)) or "∅"


def _shown(char: str) -> str:
    """Write what the font of the figures lacks, such as Chinese, as an escape: ``\\u7b54``."""
    if not char.isprintable():
        return "·"
    return char if ord(char) in _glyphs() else char.encode("unicode_escape").decode()


@cache
def _glyphs() -> frozenset[int]:
    return frozenset(get_font(findfont(FontProperties())).get_charmap())


def line_look(i: int) -> dict[str, Any]:
    """Return the keywords of the i-th line: its colour, line style and marker differ."""
    i %= len(COLORS)
    return {"color": COLORS[i], "linestyle": LINES[i], "marker": MARKERS[i],
            "linewidth": 2, "markersize": 5}  # fmt: skip


def bar_look(i: int) -> dict[str, Any]:
    """Return the keywords of the i-th kind of bar: its colour and hatch differ."""
    i %= len(COLORS)
    return {"color": COLORS[i], "hatch": HATCHES[i], "edgecolor": "white"}


def error_bars(found: Sequence[Sequence[float]]) -> list[list[float]]:
    """Return what Matplotlib's error bars take, [below, above], from (middle, low, high)."""
    return [[x - low for x, low, _ in found], [high - x for x, _, high in found]]


def draw_strip(panels: Sequence[tuple[Figure, str, str]]) -> Figure:
    """Draw (figure, title, caption) in two columns, pixel by pixel.

    Every panel is laid out again at 4.6 inches, so that its text keeps its size.  Figures wider
    than 8 inches, which hold columns of text, keep their width and stand below each other.
    """
    import numpy

    cells = []
    wide_ones = any(figure.get_size_inches()[0] > 8 for figure, *_ in panels)
    for figure, title, caption in panels:
        width, height = figure.get_size_inches()
        if not wide_ones:
            figure.set_size_inches(min(width, 4.6), min(height, max(2.6, height * 0.8)))
        figure.set_dpi(DPI)
        _wrap_legends(figure)
        figure.canvas.draw()
        cells.append((numpy.asarray(figure.canvas.buffer_rgba()).copy(), title, caption))
    wide = max(pixels.shape[1] for pixels, _, _ in cells) + 12
    line = 18  # pixels from one line of text to the next
    titles = [textwrap.wrap(title, wide // 9) for _, title, _ in cells]
    words = [textwrap.wrap(caption, int(wide / 7.6)) for _, _, caption in cells]
    above = 10 + line * max(map(len, titles))
    below = 14 + line * max(map(len, words))
    columns = 1 if wide_ones else min(2, len(cells))
    tall = [max(pixels.shape[0] for pixels, _, _ in cells[first : first + columns]) + above + below
            for first in range(0, len(cells), columns)]  # fmt: skip
    size = (columns * wide, sum(tall))
    strip = Figure(figsize=(size[0] / DPI, size[1] / DPI), dpi=DPI)
    FigureCanvasAgg(strip)
    for at, (pixels, _, _) in enumerate(cells):
        left, top = at % columns * wide, size[1] - sum(tall[: at // columns])
        bottom = top - above - pixels.shape[0]
        strip.figimage(pixels, left, bottom)
        place = {"transform": None, "va": "top", "linespacing": 1.3, "parse_math": False}
        strip.text(left + 6, top - 6, "\n".join(titles[at]), weight="bold", fontsize=10, **place)
        strip.text(left + 6, bottom - 2, "\n".join(words[at]), fontsize=9, **place)
    return strip


def _wrap_legends(figure: Figure) -> None:
    """Break the words of legends that are wider than their figure into lines, as far as needed."""
    for legend in figure.legends:
        words = [text.get_text() for text in legend.texts]
        limit = max(map(len, words), default=0)
        while limit > 12 and legend.get_window_extent().width > figure.bbox.width:
            limit -= 4
            for text, whole in zip(legend.texts, words, strict=True):
                text.set_text(textwrap.fill(whole, limit))


def draw_funnel(rows: Sequence[tuple[str, int]]) -> Figure:
    """Draw how many candidates are left after each rule, top to bottom."""
    figure = _figure(6.4, 0.5 + 0.36 * len(rows))
    axes = figure.add_subplot()
    names, left = [name for name, _ in rows], [count for _, count in rows]
    axes.barh(names, left, color=[GREY, *[BLUE] * (len(rows) - 1)])
    for at, count in enumerate(left):
        lost = f"  (−{left[at - 1] - count})" if at and left[at - 1] > count else ""
        axes.text(count, at, f" {count}{lost}", va="center", fontsize=9)
    axes.invert_yaxis()
    axes.set_xlim(0, max([*left, 1]) * 1.25)
    axes.set_xlabel("candidates left")
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def draw_arms(arms: Mapping[str, Sequence[float]], unit: str = "exact answers, %") -> Drawn:
    """Draw the results of several ways to train: a dot a seed, a bar for the mean."""
    figure, axes = new_figure(7.2, 0.8 + 0.42 * len(arms), xlabel=unit)
    for at, values in enumerate(arms.values()):
        axes.plot(values, [at] * len(values), "o", color=BLUE, markersize=5)
        axes.plot([sum(values) / len(values)] * 2, [at - 0.3, at + 0.3], color=BLACK, linewidth=2)
    axes.set_yticks(range(len(arms)), list(arms))
    axes.set_ylim(len(arms) - 0.5, -0.5)
    means = {name: sum(values) / len(values) for name, values in arms.items()}
    best, worst = max(means, key=means.get), min(means, key=means.get)
    caption = (
        f"Highest mean: {best} ({means[best]:.3g}); lowest: {worst} ({means[worst]:.3g}). "
        "Each dot is one training run."
    )
    return figure, caption


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
    spent = sum(row["seconds"] for row in log)
    caption = f"Step {last['step']} of {total}, loss {last['loss']:.3f}"
    if "tokens" in last:
        caption += f", {sum(row['tokens'] for row in log) / spent:.0f} tokens/s"
    left = spent / len(log) * (total - last["step"])
    return figure, caption + (f"; about {left:.0f} s left." if left else f"; {spent:.0f} s.")


def numbers(figure: Figure) -> str:
    """Write the data that a figure shows as text, for who cannot see it or wants the values.

    For each axes: what is drawn (lines, bars, points, grids of colours), a value a line; what has
    no data, such as a line across the whole axes, is left out.
    """
    parts = []
    for axes in figure.axes:
        titles = [axes.get_title(loc) for loc in ("left", "center", "right")]
        head = " · ".join(filter(None, [*titles, axes.get_ylabel(), axes.get_xlabel()]))
        found = [*_bars(axes), *_lines(axes), *_points(axes), *_grids(axes)]
        if found:
            parts.append("\n".join([head or "(no title)", *found]))
    return "\n\n".join(parts) or "this figure shows no numbers"


def _name(axis: Axis, value: float) -> str:
    """Return the word that stands at a place of an axis, or the number."""
    formatter = axis.get_major_formatter()
    if isinstance(formatter, FuncFormatter) and (word := formatter(value)):
        return " ".join(word.split())
    return f"{value:.4g}"


def _rows(label: object, pairs: Sequence[tuple[str, str]]) -> list[str]:
    named = isinstance(label, str) and label and not label.startswith("_")
    return [f"  {label}:"] * bool(named) + [f"    {x}: {y}" for x, y in pairs]


def _bars(axes: Axes) -> list[str]:
    found = []
    for bars in (c for c in axes.containers if isinstance(c, BarContainer)):
        if bars.orientation == "horizontal":
            pairs = [(_name(axes.yaxis, bar.get_y() + bar.get_height() / 2),
                      f"{bar.get_width():.4g}") for bar in bars]  # fmt: skip
        else:
            pairs = [(_name(axes.xaxis, bar.get_x() + bar.get_width() / 2),
                      f"{bar.get_height():.4g}") for bar in bars]  # fmt: skip
        found += _rows(bars.get_label(), pairs)
    return found


def _lines(axes: Axes) -> list[str]:
    """Write the lines; those of error bars with the ends of their intervals."""
    ends = {}
    for bars in (c for c in axes.containers if isinstance(c, ErrorbarContainer)):
        line, _, (pieces, *_) = bars
        if line is not None:
            ends[line] = bars.get_label(), [piece.tolist() for piece in pieces.get_segments()]
    found = []
    for line in axes.get_lines():
        if line.get_transform() != axes.transData:
            continue
        label, pieces = ends.get(line, (line.get_label(), []))
        pairs = [(_name(axes.xaxis, x), _name(axes.yaxis, y)) for x, y in line.get_xydata()]
        for i, piece in enumerate(pieces if len(pieces) == len(pairs) else ()):
            (x, y), (x_end, y_end) = piece
            low, high = (y, y_end) if x == x_end else (x, x_end)
            pairs[i] = pairs[i][0], f"{pairs[i][1]} ({low:.4g} to {high:.4g})"
        caps = any(line in bars[1] for bars in axes.containers
                   if isinstance(bars, ErrorbarContainer))  # fmt: skip
        found += [] if caps else _rows(label, pairs)
    return found


def _points(axes: Axes) -> list[str]:
    found = []
    for points in (c for c in axes.collections if isinstance(c, PathCollection)):
        pairs = [(_name(axes.xaxis, x), _name(axes.yaxis, y)) for x, y in points.get_offsets()]
        found += _rows(points.get_label(), pairs)
    return found


def _grids(axes: Axes) -> list[str]:
    found = []
    for image in axes.get_images():
        values = image.get_array()
        if values.ndim == 2:  # else it is a picture, not numbers
            *_, bottom, top = image.get_extent()
            height = (bottom - top) / len(values)
            for i, row in enumerate(values):
                name = _name(axes.yaxis, top + (i + 0.5) * height)
                found.append(f"    {name}: " + " ".join(f"{value:.3g}" for value in row))
    return found
