"""Figures about cut models: pure `draw_…(…) -> (Figure, caption)`.

Dimension key: D layers, T tokens.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import mean

from torch import Tensor

from distillkit.plots import (
    BLACK,
    BLUE,
    GREY,
    ORANGE,
    RED,
    Drawn,
    bar_look,
    line_look,
    new_figure,
    visible_token,
)

WAYS = ("block influence", "leave-one-out", "last layers")  # in the table of one layer after other
PARTS = ("embedding", "attention", "MLP")
# How weights are kept, and the mark in a figure
FORMS = {"bf16": "o", "q8_0": "s", "q5_0": "D", "q4_k": "v", "q4_0": "^"}


def weights_of(model) -> dict[str, int]:
    """Return how many weights a model has in its embedding, its attention and its MLPs."""
    found = dict.fromkeys(PARTS, 0)
    for name, weight in model.named_parameters():  # a tied head is there once
        part = "MLP" if ".mlp." in name else "attention" if ".layers." in name else "embedding"
        found[part] += weight.numel()
    return found


def draw_weights(models: Mapping[str, object]) -> Drawn:
    """Draw where the weights of several models are."""
    figure, axes = new_figure(7.0, 0.9 + 0.45 * len(models), xlabel="million weights")
    left = dict.fromkeys(models, 0.0)
    for at, part in enumerate(PARTS):
        sizes = [weights_of(model)[part] / 1e6 for model in models.values()]
        axes.barh([*models], sizes, left=[*left.values()], label=part, **bar_look(at))
        left = {name: left[name] + size for name, size in zip(models, sizes, strict=True)}
    axes.invert_yaxis()
    figure.legend(loc="outside upper center", ncols=len(PARTS), frameon=False, fontsize=9)
    first = max(left.values())
    said = (f"{name} {size:.0f} million ({100 * size / first - 100:+.0f} %)"
            if size < first else f"{name} {size:.0f} million"
            for name, size in left.items())  # fmt: skip
    return figure, f"In all: {'; '.join(said)}. A cut leaves the embedding alone."


def draw_changes(hidden: Tensor, tokens: Sequence[str]) -> Drawn:
    """Draw as a heat map how much each layer turns the hidden state of each token.

    `hidden` are the states [D + 1, T, E] of one text.
    """
    before, after = hidden[:-1], hidden[1:]
    turned_DT = 1 - (before * after).sum(-1) / (before.norm(dim=-1) * after.norm(dim=-1))
    figure, axes = new_figure(8.4, 4.2, xlabel="token", ylabel="layer")
    axes.grid(False)
    # The first layer turns everything by about 1: the colours are for the others
    image = axes.imshow(
        turned_DT.numpy(), aspect="auto", origin="lower", cmap="cividis", vmin=0, vmax=0.25
    )
    figure.colorbar(image, label="1 − cos", extend="max")
    axes.set_xticks(range(len(tokens)), [visible_token(t)[:8] for t in tokens], rotation=90,
                    fontsize=7, parse_math=False)  # fmt: skip
    mean_D = turned_DT.mean(1)
    order = mean_D.argsort().tolist()
    return figure, (
        f"Bright: the layer turns the token's state. Layer {order[-1]} turns most "
        f"({mean_D[order[-1]]:.2f} on average), layer {order[0]} least "
        f"({abs(mean_D[order[0]]):.2f})."
    )


def gone_of(row: Mapping) -> list[int]:
    """Return the layers that a row of the recorded table is without."""
    return [int(number) for number in str(row["gone"]).split()]


def draw_layers(rows: Sequence[Mapping], way: str, gone: int) -> Drawn:
    """Draw the importance of each layer and which ones are gone; what is left stands in words.

    `rows` are those of data/pruning.csv for "one layer" and "one by one, …".
    """
    alone = {gone_of(row)[0]: row for row in rows if row["cut"] == "one layer"}
    steps = [row for row in rows if row["cut"] == f"one by one, {way}"]
    if not 0 <= gone <= len(steps):
        raise ValueError(f"0 to {len(steps)} layers were left out")
    row = steps[gone - 1] if gone else None
    absent = gone_of(row) if row else []
    figure, panels = new_figure(8.0, 3.6, rows=2, columns=1)
    for axes, column, title in zip(panels, ("influence", "loss"),
                                   ("block influence", "loss without it (nats)"),
                                   strict=True):  # fmt: skip
        values = [alone[i][column] for i in range(len(alone))]
        axes.bar(range(len(alone)), values, color=[GREY if i in absent else BLUE for i in alone],
                 hatch=["xx" if i in absent else "" for i in range(len(alone))])  # fmt: skip
        axes.set(ylabel=title, yscale="log")
        axes.set_xticks(range(0, len(alone), 2))
        axes.tick_params(labelsize=8)
        axes.yaxis.label.set_size(8)
    panels[1].set_xlabel("layer (grey and crossed: gone)")
    if not row:
        return figure, f"All {len(alone)} layers are there."
    words = " / ".join(str(row["answer"]).split("\n"))
    words = words if len(words) < 220 else words[:220] + " …"
    return figure, (
        f"Without {len(absent)} of {len(alone)} layers by {way}: loss {row['loss']:.2f} nats, "
        f"{row['exact']:.0f} of {row['n']} equations right. One answer: {words}"
    )


def draw_cuts(
    rows: Sequence[Mapping], value: str = "exact", unit: str = "exact answers, %"
) -> Drawn:
    """Draw a column against the share of weights removed, a line for each way to choose the cut.

    Wide cuts are dashed; a point is the mean over seeds.
    """
    figure, axes = new_figure(7.4, 3.7, xlabel="weights removed, %", ylabel=unit)
    ways = dict.fromkeys(row["cut"] for row in rows if row["cut"] != "none")
    whole = mean(row[value] for row in rows if row["cut"] == "none")
    most = max(row["weights"] for row in rows)
    found = {}
    for at, way in enumerate(ways):
        points: dict[int, list] = {}
        for row in rows:
            if row["cut"] == way:
                points.setdefault(row["size"], []).append(row)
        shares = [100 - 100 * mean(r["weights"] for r in points[s]) / most for s in sorted(points)]
        values = [mean(r[value] for r in points[s]) for s in sorted(points)]
        look = line_look(at) | {"linestyle": "--" if way in ("activation", "random channels")
                                else "-"}  # fmt: skip
        axes.plot([0, *shares], [whole, *values], label=way, **look)
        found[way] = dict(zip(sorted(points), values, strict=True)).get(20, values[0])
    axes.legend(frameon=False, fontsize=8, title="what goes by", title_fontsize=8)
    said = "; ".join(f"{way} {found[way]:.3g}" for way in found)
    return figure, f"The whole model: {whole:.3g}. A fifth removed: {said}."


def draw_bytes(rows: Sequence[Mapping], shown: Mapping[str, str]) -> Drawn:
    """Draw exact answers against bytes: each form of the whole model and of the repaired cuts.

    `shown` names the cuts (column `cut`), in the order of their colours; "none" is one of them.
    """
    figure, axes = new_figure(7.4, 4.0, xlabel="megabytes of weights", ylabel="exact answers, %",
                              xscale="log")  # fmt: skip
    points: dict[tuple[str, str, int], list] = {}
    for row in rows:
        points.setdefault((row["cut"], row["form"], row["size"]), []).append(row)
    found = {key: (mean(r["bytes"] for r in these) / 1e6, mean(r["exact"] for r in these))
             for key, these in points.items() if key[0] in shown}  # fmt: skip
    colors = dict(zip(shown, (BLACK, BLUE, ORANGE, RED), strict=False))
    for (cut, form, size), (x, y) in found.items():
        axes.plot(x, y, FORMS[form], color=colors[cut], markersize=7,
                  fillstyle="full" if cut == "none" else "left")  # fmt: skip
        if size > 10:  # among the smaller cuts there is no room
            axes.annotate(f"−{size} %", (x, y), fontsize=7, xytext=(5, 3),
                          textcoords="offset points")  # fmt: skip
    for cut, name in shown.items():
        axes.plot([], [], "o", color=colors[cut], label=name)
    there = {form for _, form, _ in found}
    for form, mark in FORMS.items():
        if form in there:
            axes.plot([], [], mark, color=GREY, label=form)
    axes.set_ylim(-3, 106)
    ticks = [200, 300, 500, 1000]
    axes.set_xticks(ticks, map(str, ticks))
    axes.minorticks_off()
    axes.legend(frameon=False, fontsize=8, ncols=2)
    return figure, " ".join(
        _no_larger(form, x, y, found, shown)
        for (cut, form, _), (x, y) in found.items()
        if cut == "none" and form != "bf16"
    )


def _no_larger(form: str, x: float, y: float, found: Mapping, shown: Mapping[str, str]) -> str:
    """Say which cut of at most x megabytes solves most, beside the whole model in this form."""
    words = f"The whole model in {form}: {x:.0f} MB, {y:.0f} %;"
    cuts = {key: place for key, place in found.items() if key[0] != "none" and place[0] <= x}
    if not cuts:
        return f"{words} no cut is as small."
    best = max(cuts, key=lambda key: cuts[key][1])
    cut, other, size = best
    return (f"{words} the best cut of no more bytes: {shown[cut]}, −{size} %, {other}, "
            f"{cuts[best][0]:.0f} MB, {cuts[best][1]:.0f} %.")  # fmt: skip
