"""Figures about soft and hard labels: pure `draw_…(…) -> (Figure, caption)`; the caption is one
sentence, built from the numbers drawn, that says what to see.

Dimension key: B digits, C classes, P pixels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import log

from matplotlib.figure import Figure
from torch import Tensor

from distillkit.evaluation.statistics import interval, paired
from distillkit.lessons.l01_soft_labels.digits import Missing
from distillkit.plots import BLUE, GREEN, GREY, ORANGE, Drawn, _figure, error_bars
from distillkit.training.losses import soft_loss


def _tidy(axes, **settings) -> None:
    axes.set(**settings)
    axes.spines[["top", "right"]].set_visible(False)


def _legend(figure: Figure) -> None:
    """Put the legend above the axes, where no curve can run through it."""
    figure.legend(loc="outside upper center", ncols=4, frameon=False, fontsize=9)


def draw_softened(
    logits_C: Tensor,
    temperature: float,
    names: Sequence[str],
    picture_P: Tensor | None = None,
    label: str = "",
) -> Drawn:
    """Draw softmax(logits / temperature) beside temperature 1, and the picture with its label."""
    plain_C = logits_C.softmax(-1)
    soft_C = (logits_C / temperature).softmax(-1)
    figure = _figure(7.2, 2.9)
    if picture_P is None:
        axes = figure.add_subplot()
    else:
        figure.set_layout_engine("none")  # fixed places: a quarter less time for each redraw
        photo, axes = map(figure.add_axes, ((0.01, 0.2, 0.2, 0.57), (0.35, 0.11, 0.64, 0.77)))
        photo.imshow(picture_P.view(8, 8).tolist(), cmap="gray_r", vmin=0, vmax=1)
        photo.set(xticks=[], yticks=[], xlabel=f"label: {label}")
    at, percent_C = range(len(names)), (100 * soft_C).tolist()
    if temperature != 1:  # else the two would be alike
        axes.bar([i - 0.2 for i in at], (100 * plain_C).tolist(), 0.38, color="white",
                 edgecolor=GREY, hatch="//", label="T = 1")  # fmt: skip
    bars = axes.bar(
        [i + 0.2 for i in at], percent_C, 0.38, color=BLUE, label=f"T = {temperature:g}"
    )
    axes.bar_label(bars, [f"{p:.0f}" if p >= 0.5 else "" for p in percent_C], fontsize=9,
                   bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.6})  # fmt: skip
    axes.set_xticks(at, names)
    _tidy(axes, ylim=(0, 110), ylabel="probability, %")
    _legend(figure)
    first, second = soft_C.topk(2).indices.tolist()
    caption = (
        f"At T = {temperature:g} the teacher gives {_percent(soft_C[first])} to {names[first]} and "
        f"{_percent(soft_C[second])} to {names[second]}"
    )
    if temperature != 1:
        caption += f"; at T = 1 it gives {_percent(plain_C[first])} and {_percent(plain_C[second])}"
    return figure, caption + "."


def _percent(share: Tensor | float) -> str:
    share = 100 * float(share)
    if 0 < share < 0.1:
        return "less than 0.1 %"
    if 99.9 < share < 100:
        return "more than 99.9 %"
    return f"{share:.1f} %" if share < 1 or 99 < share < 100 else f"{share:.0f} %"


def draw_kl_terms(
    teacher_C: Sequence[float], student_C: Sequence[float], names: Sequence[str]
) -> Drawn:
    """Draw two distributions, and what each class adds to the divergence KL(teacher ‖ student)."""
    terms = [p * log(p / q) for p, q in zip(teacher_C, student_C, strict=True)]
    figure = _figure(7.2, 2.9)
    left, right = figure.subplots(1, 2)
    at = range(len(names))
    width = {"width": 0.38, "edgecolor": "white"}
    left.bar([i - 0.2 for i in at], teacher_C, color=BLUE, label="teacher p", **width)
    left.bar([i + 0.2 for i in at], student_C, color=ORANGE, hatch="//", label="student q", **width)
    right.bar(at, terms, 0.6, color=GREY)
    right.axhline(0, color="black", linewidth=1)
    _tidy(left, ylim=(0, 1), ylabel="probability")
    _tidy(right, ylim=(-1, 3), ylabel="p · (log p − log q), nats")
    for axes in (left, right):
        axes.set_xticks(at, names)
    _legend(figure)
    words = ", ".join(f"{name} {term:+.3f}" for name, term in zip(names, terms, strict=True))
    return figure, f"The terms are {words}; their sum is the divergence, {sum(terms):.3f}."


def draw_pairs(
    baseline: Sequence[float], treatment: Sequence[float], names: tuple[str, str]
) -> Drawn:
    """Draw each seed's two students side by side, and their differences with the 95 % interval."""
    change, low, high = paired(baseline, treatment)
    figure = _figure(7.2, 3.2)
    left, right = figure.subplots(1, 2, width_ratios=(3, 1.2))
    for seed, (b, t) in enumerate(zip(baseline, treatment, strict=True)):
        left.plot([seed, seed], [b, t], color=GREY, linewidth=1)
    seeds = range(len(baseline))
    left.plot(seeds, baseline, "s", color=ORANGE, label=names[0])
    left.plot(seeds, treatment, "o", color=BLUE, label=names[1])
    left.xaxis.get_major_locator().set_params(integer=True)
    _tidy(left, xlabel="seed", ylabel="errors in 100 test digits", ylim=(0, None))
    gaps = [t - b for b, t in zip(baseline, treatment, strict=True)]
    spread = [0.25 * (seed % 5 - 2) / 2 for seed in seeds]
    right.plot(spread, gaps, ".", color=GREY)
    _whiskers(right, [0.6], [(change, low, high)], BLUE, "D", "mean, 95 % interval")
    right.axhline(0, color="black", linewidth=1)
    _tidy(right, xlim=(-0.5, 1), ylabel=f"{names[1]} − {names[0]}", xticks=[])
    _legend(figure)
    lower = sum(gap < 0 for gap in gaps)
    return figure, (
        f"Each grey line joins two students that began alike: in {lower} of {len(gaps)} pairs the "
        f"one with {names[1]} makes fewer errors. Right: the {len(gaps)} differences, their mean "
        f"{change:+.1f} and its interval, {low:+.1f} to {high:+.1f}."
    )


def gradient_sizes(
    student_BC: Tensor, teacher_BC: Tensor, temperatures: Sequence[float]
) -> tuple[list[float], list[float]]:
    """Return the norm of the soft loss's gradient at each temperature, with and without T²."""
    with_square = []
    for temperature in temperatures:
        logits_BC = student_BC.detach().clone().requires_grad_()
        soft_loss(logits_BC, teacher_BC, temperature).backward()
        with_square.append(logits_BC.grad.norm().item())
    without = [size / t**2 for size, t in zip(with_square, temperatures, strict=True)]
    return with_square, without


def draw_gradient_sizes(
    student_BC: Tensor, teacher_BC: Tensor, temperatures: Sequence[float] = (1, 2, 4, 8, 16)
) -> Drawn:
    """Draw how large the gradient of the soft loss is at each temperature."""
    with_square, without = gradient_sizes(student_BC, teacher_BC, temperatures)
    figure = _figure(7.2, 3.0)
    axes = figure.add_subplot()
    axes.plot(temperatures, with_square, color=BLUE, marker="o", label="with T²")
    axes.plot(temperatures, without, color=ORANGE, marker="s", linestyle="--", label="without T²")
    axes.set_xscale("log", base=2)
    axes.set_xticks(temperatures, [f"{t:g}" for t in temperatures])
    _tidy(axes, yscale="log", xlabel="temperature T", ylabel="size of the gradient")
    axes.grid(alpha=0.3, which="both")
    _legend(figure)
    return figure, (
        f"From T = {temperatures[0]:g} to T = {temperatures[-1]:g} the gradient without T² becomes "
        f"{without[0] / without[-1]:,.0f} times smaller; with T² it changes by a factor of "
        f"{max(with_square) / min(with_square):.1f}."
    )


def draw_ways(errors: Mapping[str, Sequence[float]]) -> Drawn:
    """Draw each way of teaching: one grey line a seed, the mean and its 95 % interval in blue."""
    names = list(errors)
    figure = _figure(7.2, 3.4)
    axes = figure.add_subplot()
    for pair in zip(*errors.values(), strict=True):
        axes.plot(range(len(names)), pair, color=GREY, linewidth=0.8, alpha=0.6)
    found = [interval(errors[name]) for name in names]
    _whiskers(axes, range(len(names)), found, BLUE, "D", "mean, 95 % interval")
    axes.set_xticks(range(len(names)), names)
    _tidy(axes, ylabel="errors in 100 test digits", xlim=(-0.4, len(names) - 0.6), ylim=(0, None))
    axes.grid(axis="y", alpha=0.3)
    _legend(figure)
    best = min(range(len(names)), key=lambda i: found[i][0])
    worst = max(range(len(names)), key=lambda i: found[i][0])
    return figure, (
        f"Each grey line is one seed, and the fewest errors come with {names[best]} "
        f"({found[best][0]:.1f} in 100), the most with {names[worst]} ({found[worst][0]:.1f})."
    )


def _whiskers(axes, at, found, color, marker, label, linestyle="") -> None:
    means = [mean for mean, _, _ in found]
    axes.errorbar(at, means, yerr=error_bars(found), color=color, marker=marker, label=label,
                  capsize=4, linestyle=linestyle, zorder=3)  # fmt: skip


def draw_sweep(
    errors: Mapping[float, Sequence[float]],
    name: str,
    reference: Mapping[str, Sequence[float]] | None = None,
    log_axis: bool = False,
) -> Drawn:
    """Draw mean errors with 95 % intervals against a setting, and references as level lines."""
    settings = sorted(errors)
    found = [interval(errors[s]) for s in settings]
    figure = _figure(7.2, 3.2)
    axes = figure.add_subplot()
    _whiskers(axes, settings, found, BLUE, "o", "mean, 95 % interval", "-")
    lines = ((ORANGE, "--"), (GREEN, ":"))
    for (label, values), (color, style) in zip((reference or {}).items(), lines, strict=False):
        mean, low, high = interval(values)
        axes.axhline(mean, color=color, linestyle=style, label=label)
        axes.axhspan(low, high, color=color, alpha=0.15, linewidth=0)
    if log_axis:
        axes.set_xscale("log", base=2)
    axes.set_xticks(settings, [f"{s:g}" for s in settings])
    _tidy(axes, xlabel=name, ylabel="errors in 100 test digits", ylim=(0, None))
    axes.grid(alpha=0.3)
    _legend(figure)
    best = min(range(len(settings)), key=lambda i: found[i][0])
    return figure, (
        f"The lowest mean is at {name} = {settings[best]:g} with {found[best][0]:.1f} errors in "
        f"100 digits (95 % interval {found[best][1]:.1f} to {found[best][2]:.1f})."
    )


def draw_curves(errors: Mapping[str, Mapping[int, Sequence[float]]]) -> Drawn:
    """Draw mean errors with intervals against the number of the student's digits, a curve a way."""
    figure = _figure(7.2, 3.2)
    axes = figure.add_subplot()
    styles = ((ORANGE, "s", "--"), (BLUE, "o", "-"), (GREEN, "^", ":"))
    for (way, row), (color, marker, line) in zip(errors.items(), styles, strict=False):
        sizes = sorted(row)
        _whiskers(axes, sizes, [interval(row[n]) for n in sizes], color, marker, way, line)
    axes.set_xscale("log", base=2)
    axes.set_xticks(sizes, [str(n) for n in sizes])
    axes.minorticks_off()
    _tidy(axes, xlabel="digits in the student's training set", ylim=(0, None),
          ylabel="errors in 100 test digits")  # fmt: skip
    axes.grid(alpha=0.3)
    _legend(figure)
    first, *_, last = errors
    gaps = [interval(errors[first][n])[0] - interval(errors[last][n])[0] for n in sizes]
    return figure, (
        f"From {sizes[0]} to {sizes[-1]} digits the gap between {first} and {last} goes from "
        f"{gaps[0]:.1f} to {gaps[-1]:.1f} errors in 100."
    )


def draw_missing(students: Mapping[str, Missing], bias: float) -> Drawn:
    """Draw what students that never saw one digit get right in each class, with a bias added."""
    figure = _figure(7.2, 3.2)
    axes = figure.add_subplot()
    looks = ((ORANGE, "//"), (BLUE, ""))
    width, words = 0.8 / len(students), []
    for place, ((name, seen), (color, hatch)) in enumerate(
        zip(students.items(), looks, strict=False)
    ):
        right = [seen.of_class(digit, bias) for digit in range(10)]
        at = [d + (place - (len(students) - 1) / 2) * width for d in range(10)]
        axes.bar(at, right, width, color=color, hatch=hatch, edgecolor="white", label=name)
        found, errors = seen.found(bias)
        words.append(f"{name}, {found:.0f} % of them found and {errors:.1f} errors in 100 digits")
    digit = next(iter(students.values())).digit
    axes.axvspan(digit - 0.5, digit + 0.5, color=GREY, alpha=0.2, linewidth=0, zorder=0)
    axes.set_xticks(range(10))
    _tidy(axes, ylim=(0, 105), xlabel=f"digit (grey: {digit}, never seen)", ylabel="recognised, %")
    _legend(figure)
    return figure, (
        f"With {bias:g} added to the logit of {digit}, the digit no student saw: "
        + "; ".join(words)
        + "."
    )
