"""Figures about distributions over the next token: pure `draw_…(…) -> (Figure, caption)`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache

import torch
from torch import Tensor

from distillkit.evaluation.calibration import ece, reliability
from distillkit.plots import (
    BLACK,
    BLUE,
    GREY,
    ORANGE,
    Drawn,
    bar_look,
    line_look,
    new_figure,
    visible_token,
)
from distillkit.training.losses import forward_kl, jsd, reverse_kl

LARGE = 0.65  # the share of a teacher's larger hump
PLACES = torch.linspace(-6, 6, 61)  # what a student with one hump can put its mass on


def two_humps(apart: float) -> Tensor:
    """Return log-probabilities [61] of a teacher: a large hump left, a small one right."""
    left, right = (-((PLACES - at) ** 2) / 0.5 for at in (-apart / 2, apart / 2))
    return (LARGE * left.exp() + (1 - LARGE) * right.exp()).clamp(min=1e-12).log().log_softmax(-1)


@cache
def one_humps() -> tuple[Tensor, Tensor]:
    """Return (middle, width) pairs [S, 2] of students with one hump, and their logs [S, 61]."""
    pairs = torch.cartesian_prod(torch.linspace(-5, 5, 81), torch.linspace(0.3, 4, 38))
    logits = -((PLACES - pairs[:, :1]) ** 2) / (2 * pairs[:, 1:] ** 2)
    return pairs, logits.log_softmax(-1)


def scaled_jsd(student_NV: Tensor, teacher_NV: Tensor, beta: float) -> Tensor:
    """Return JSD/(β(1 - β)), and at its ends what it tends to: the two KLs."""
    if beta in (0, 1):
        return (reverse_kl if beta else forward_kl)(student_NV, teacher_NV)
    return jsd(student_NV, teacher_NV, beta=beta) / (beta * (1 - beta))


def best_hump(beta: float, apart: float) -> tuple[int, Tensor, Tensor]:
    """Return the number of the student with the smallest scaled JSD, its logs and the teacher's."""
    teacher = two_humps(apart)
    _, logs = one_humps()
    best = scaled_jsd(logs, teacher.expand(len(logs), -1), beta).argmin().item()
    return best, logs[best], teacher


def draw_humps(beta: float, apart: float) -> Drawn:
    """Draw a teacher with two humps and the best student that has one, for a β of the JSD."""
    best, student, teacher = best_hump(beta, apart)
    middle, width = one_humps()[0][best].tolist()
    figure, axes = new_figure(6.4, 2.8, xlabel="what could be said", ylabel="probability")
    axes.fill_between(
        PLACES.tolist(), teacher.exp().tolist(), color=GREY, alpha=0.45, label="teacher"
    )
    axes.plot(
        PLACES.tolist(), student.exp().tolist(), label="student", **{**line_look(0), "marker": ""}
    )
    axes.legend(frameon=False, fontsize=9)
    p = teacher.exp()
    silent = p[student.exp() < 0.001].sum().item()
    empty = student.exp()[p < 0.001].sum().item()
    return figure, (
        f"β = {beta:g}: the best hump stands at {middle:+.1f} and is {width:.1f} wide. It never "
        f"says {100 * silent:.0f} % of what the teacher says, and {100 * empty:.0f} % of what it "
        "says the teacher never does."
    )


def draw_jsd(student_NV: Tensor, teacher_NV: Tensor) -> Drawn:
    """Draw the JSD of some positions against β, as it is and scaled, with the KLs at the ends."""
    figure, axes = new_figure(6.4, 2.9, xlabel="β", ylabel="nats", yscale="log")
    betas = [0.001, 0.01, 0.03, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9, 0.97, 0.99, 0.999]
    plain = [jsd(student_NV, teacher_NV, beta=b).mean().item() for b in betas]
    scaled = [value / (b * (1 - b)) for value, b in zip(plain, betas, strict=True)]
    axes.plot(betas, plain, label="JSD", **line_look(0))
    axes.plot(betas, scaled, label="JSD / (β (1 − β))", **line_look(1))
    ends = [kl(student_NV, teacher_NV).mean().item() for kl in (forward_kl, reverse_kl)]
    axes.plot([0, 1], ends, "k*", markersize=11, label="forward KL, reverse KL")
    axes.legend(frameon=False, fontsize=9)
    return figure, (
        f"Forward KL {ends[0]:.3f} (star left), reverse KL {ends[1]:.3f} (right). At β = 0.01 the "
        f"JSD is {plain[1]:.4f}, {ends[0] / plain[1]:.0f} times less than the forward KL; scaled, "
        f"it is {scaled[1]:.3f}."
    )


def draw_next(
    teacher_V: Tensor, students: Mapping[str, Tensor], words: Sequence[str], most: int = 6
) -> Drawn:
    """Draw the probabilities (%) of the teacher's likeliest next tokens and of students'.

    `words` are all tokens as text, by number.
    """
    top = teacher_V.topk(most)
    everyone = {"teacher": teacher_V, **students}
    figure, axes = new_figure(7.0, 2.9, ylabel="probability, %")
    wide = 0.8 / len(everyone)
    for at, (name, probabilities) in enumerate(everyone.items()):
        places = [i + (at - len(everyone) / 2 + 0.5) * wide for i in range(most)]
        axes.bar(
            places, (100 * probabilities[top.indices]).tolist(), wide, label=name, **bar_look(at)
        )
    tokens = [visible_token(words[i]) for i in top.indices.tolist()]
    axes.set_xticks(range(most), [t if len(t) < 12 else t[:11] + "…" for t in tokens])
    for label in axes.get_xticklabels():
        label.set_parse_math(False)
    figure.legend(loc="outside upper center", ncols=len(everyone), frameon=False, fontsize=9)
    rest = "; ".join(
        f"{name} {100 * (1 - p[top.indices].sum()).item():.1f} %" for name, p in everyone.items()
    )
    return figure, f"The teacher's {most} likeliest next tokens. On all others: {rest}."


def draw_truncations(rows: Mapping[int, Mapping[str, tuple[float, float, int]]]) -> Drawn:
    """Draw the relative error (%) of each way's gradient against K; `rows` are of `compare`."""
    figure, axes = new_figure(6.6, 3.0, xlabel="K", ylabel="error of the gradient, %",
                              xscale="log", yscale="log")  # fmt: skip
    counts = sorted(rows)
    names = [name for name in rows[counts[0]] if name != "all"]
    for at, name in enumerate(names):
        errors = [max(100 * rows[k][name][1], 1e-3) for k in counts]
        axes.plot(counts, errors, label=name, **line_look(at))
    axes.set_xticks(counts, map(str, counts))
    axes.minorticks_off()
    axes.legend(frameon=False, fontsize=9)
    few = counts[0]
    worst = max(names, key=lambda name: rows[few][name][1])
    best = min(names, key=lambda name: rows[few][name][1])
    return figure, (
        f"With K = {few}, '{best}' has the smallest error of the gradient "
        f"({100 * rows[few][best][1]:.1f} %) and '{worst}' the largest "
        f"({100 * rows[few][worst][1]:.0f} %)."
    )


def draw_losses(logs: Mapping[str, Sequence[float]], unit: str = "loss (nats per token)") -> Drawn:
    """Draw the loss of each step of several runs."""
    figure, axes = new_figure(6.8, 3.0, xlabel="step", ylabel=unit, yscale="log")
    for at, (name, losses) in enumerate(logs.items()):
        axes.plot(range(1, len(losses) + 1), losses, label=name, **line_look(at))
    axes.xaxis.get_major_locator().set_params(integer=True)
    figure.legend(loc="outside upper center", ncols=2, frameon=False, fontsize=9)
    falls = ", ".join(f"{name} {log[0]:.3g} → {log[-1]:.3g}" for name, log in logs.items())
    return figure, f"First and last step: {falls}."


def draw_reliability(answers: Mapping[str, tuple[Sequence[float], Sequence[bool]]]) -> Drawn:
    """Draw how often answers are right against how sure the model is, one panel a way to train.

    A dot's area grows with how many answers it stands for.
    """
    figure, axes = new_figure(3.1 * len(answers), 3.1, 1, len(answers), xlim=(-0.04, 1.04),
                              ylim=(-0.04, 1.04), xlabel="confidence")  # fmt: skip
    panels = [axes] if len(answers) == 1 else axes
    words = []
    for panel, (name, (sure, right)) in zip(panels, answers.items(), strict=True):
        panel.plot([0, 1], [0, 1], color=BLACK, linewidth=0.9, linestyle="--")
        rows = reliability(sure, right, 5)
        for mean, good, _ in rows:
            panel.plot([mean, mean], [mean, good], color=ORANGE, linewidth=2)
        panel.scatter([m for m, _, _ in rows], [g for _, g, _ in rows],
                      [10 + 4 * n for _, _, n in rows], color=BLUE, zorder=3,
                      clip_on=False)  # fmt: skip
        panel.set_title(name, fontsize=9)
        words.append(f"{name} {100 * ece(sure, right, 5):.0f}")
    panels[0].set_ylabel("share of right answers")
    return figure, (
        "On the dashed line a model is right as often as it is sure; the gap, weighted, in points: "
        f"{'; '.join(words)}."
    )
