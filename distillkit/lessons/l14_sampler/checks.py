"""The exercises on samplers: a DDIM step, the target of a halving, and a loss that is none.

Dimension key: B points, D coordinates (2); t has the shape (B, 1).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from distillkit.lessons.l14_sampler import diffusion
from distillkit.lessons.l14_sampler.diffusion import alpha_sigma
from distillkit.teaching.exercise import Exercise, Mistake, hint  # noqa: F401 (checks.hint)


class Toy(nn.Module):
    """A denoiser with one weight, so that a check takes no time."""

    def __init__(self, pull: float):
        super().__init__()
        self.pull = nn.Parameter(torch.tensor(pull), requires_grad=False)

    def forward(self, z_BD: Tensor, t_B1: Tensor) -> Tensor:
        return (self.pull * z_BD).tanh() * (1 + t_B1)

    def noise(self, z_BD: Tensor, t_B1: Tensor) -> Tensor:
        alpha, sigma = alpha_sigma(t_B1)
        return (z_BD - alpha * self(z_BD, t_B1)) / sigma


def _clouds(*times: float) -> list[tuple[Tensor, Tensor, Tensor]]:
    """Return (points, other points, times) of three, four and five rows."""
    numbers = torch.Generator().manual_seed(14)
    return [
        (torch.randn(n, 2, generator=numbers), torch.randn(n, 2, generator=numbers),
         torch.full((n, 1), t))
        for n, t in zip((3, 4, 5), times, strict=True)
    ]  # fmt: skip


# --- one step -------------------------------------------------------------------------------------


def _wrong_step(kind: str):
    def wrong(z_BD: Tensor, x_BD: Tensor, t_B1: Tensor, s_B1: Tensor) -> Tensor:
        (a, b), (a_s, b_s) = alpha_sigma(t_B1), alpha_sigma(s_B1)
        noise = (z_BD - a * x_BD) / b
        return {
            "point": x_BD,
            "no noise": a_s * x_BD,
            "old noise": a_s * x_BD + b_s * z_BD,
            "not divided": a_s * x_BD + b_s * (z_BD - a * x_BD),
            "all that is left": a_s * x_BD + b_s * (z_BD - x_BD) / b,
            "swapped": b_s * x_BD + a_s * noise,
            "times": a * x_BD + b * noise,
            "times changed over": a * x_BD + b * (z_BD - a_s * x_BD) / b_s.clamp(min=1e-6),
            "line": z_BD + (s_B1 / t_B1 - 1) * (z_BD - x_BD),
            "no shrinking": x_BD + b_s * noise,
            "turned": a_s * x_BD + b_s * b / (z_BD - a * x_BD),
            "no direction": a_s * x_BD + b_s,
        }[kind]

    return wrong


ddim_step = Exercise(
    "ddim_step",
    reference=diffusion.ddim_step,
    probes=lambda: [
        (z, x, t, torch.full_like(t, s))
        for (z, x, t), s in zip(_clouds(0.5, 1.0, 0.25), (0.25, 0.5, 0.0), strict=True)
    ],
    hints=(
        "If x is the point, which noise is in z?",
        "z = α x + σ ε at the time t: solve for ε. Then write the same formula with α and σ of s.",
        "(alpha, sigma), (alpha_s, sigma_s) = alpha_sigma(t_B1), alpha_sigma(s_B1)",
    ),
    mistakes=[
        Mistake("this jumps to the point itself: keep the noise that belongs to s",
                _wrong_step("point")),
        Mistake("the noise is gone: at the time s there is σ_s of it left",
                _wrong_step("no noise")),
        Mistake("z is not the noise, the point is in it, too: ε = (z − α x) / σ",
                _wrong_step("old noise")),
        Mistake("z − α x is σ ε: divide it by σ of t to get the noise",
                _wrong_step("not divided")),
        Mistake("only a part α of the point is in z: take away α x, not x",
                _wrong_step("all that is left")),
        Mistake("α and σ of s are changed over: α belongs to the point", _wrong_step("swapped")),
        Mistake("this writes z down again: the new point needs α and σ of s",
                _wrong_step("times")),
        Mistake("t and s are changed over: z is at t, and s is where it goes",
                _wrong_step("times changed over")),
        Mistake("a straight line between z and x: the clock here is a circle, not a line",
                _wrong_step("line")),
        Mistake("the point comes in with weight α_s, not 1", _wrong_step("no shrinking")),
    ],
    slips=[
        Mistake("the noise is turned over: it is (z − α x) / σ, not σ divided by that, and σ_s is "
                "multiplied by it", _wrong_step("turned")),
        Mistake("the noise itself is missing: σ_s alone is added to every coordinate",
                _wrong_step("no direction")),
    ],
)  # fmt: skip

# --- the target of a halving ----------------------------------------------------------------------


def _wrong_target(
    half: Callable[[int], float] = lambda steps: 0.5 / steps,
    width: Callable[[int], float] = lambda steps: 1 / steps,
    first_step: Callable[..., Tensor] = diffusion.ddim_step,
    second_step: Callable[..., Tensor] = diffusion.ddim_step,
    asked: Callable[..., tuple] = lambda z, there, t, middle: (there, middle),
    ratio: Callable[[Tensor, Tensor], Tensor] = lambda after, before: after / before,
    answer: Callable[..., Tensor] = lambda x, first, second, end, alpha: x,
):
    """Make targets of which one step of the recipe is another."""

    def wrong(
        z_BD: Tensor, t_B1: Tensor, steps: int, teacher: Callable[[Tensor, Tensor], Tensor]
    ) -> Tensor:
        middle_B1, end_B1 = t_B1 - half(steps), t_B1 - width(steps)
        first_BD = teacher(z_BD, t_B1)
        half_BD = first_step(z_BD, first_BD, t_B1, middle_B1)
        second_BD = teacher(*asked(z_BD, half_BD, t_B1, middle_B1))
        whole_BD = second_step(half_BD, second_BD, middle_B1, end_B1)
        (alpha, sigma), (alpha_e, sigma_e) = alpha_sigma(t_B1), alpha_sigma(end_B1)
        left = ratio(sigma_e, sigma)
        x_BD = (whole_BD - left * z_BD) / (alpha_e - left * alpha)
        return answer(x_BD, first_BD, second_BD, whole_BD, alpha_e)

    return wrong


def _changed_over(z_BD: Tensor, x_BD: Tensor, t_B1: Tensor, s_B1: Tensor) -> Tensor:
    return diffusion.ddim_step(x_BD, z_BD, t_B1, s_B1)


two_step_target = Exercise(
    "two_step_target",
    reference=diffusion.two_step_target,
    probes=lambda: [
        (z, t, steps, Toy(pull))
        for (z, _, t), steps, pull in zip(_clouds(0.5, 1.0, 0.25), (4, 1, 8), (1.0, 2.0, 0.5),
                                         strict=True)
    ],
    atol=1e-5,
    hints=(
        "Two steps of the teacher end at a point z''. Which x takes a single step there, too?",
        "One step is z'' = α'' x + σ''/σ (z − α x), a line in x. Solve for x: put what belongs to "
        "z on the left, and divide by what stands before x.",
        "middle_B1, end_B1 = t_B1 - 0.5 / steps, t_B1 - 1 / steps",
    ),
    mistakes=[
        Mistake("this is where the two steps end (z''): asked is the x that leads there",
                _wrong_target(answer=lambda x, first, second, end, alpha: end)),
        Mistake("this is the teacher's last guess: two steps with two guesses end elsewhere than "
                "one step with the second",
                _wrong_target(answer=lambda x, first, second, end, alpha: second)),
        Mistake("this is the teacher's first guess: then nothing is saved, it is a DDIM step twice "
                "as wide", _wrong_target(answer=lambda x, first, second, end, alpha: first)),
        Mistake("the mean of both guesses is near, but it does not land where two steps land",
                _wrong_target(answer=lambda x, first, second, end, alpha: (first + second) / 2)),
        Mistake("the teacher's steps are as wide as the student's: they are half of 1/steps each",
                _wrong_target(lambda steps: 1 / steps, lambda steps: 2 / steps)),
        Mistake("the teacher's two steps together are half as wide as the student's one",
                _wrong_target(lambda steps: 0.25 / steps, lambda steps: 0.5 / steps)),
        Mistake("the second time the teacher is asked at the old time: it stands at t − 0.5/steps",
                _wrong_target(asked=lambda z, there, t, middle: (there, t))),
        Mistake("the second time the teacher is asked at the old point: ask it where it stands",
                _wrong_target(asked=lambda z, there, t, middle: (z, middle))),
        Mistake("the noise that is left in z'' is forgotten: only the last step ends at σ = 0",
                _wrong_target(answer=lambda x, first, second, end, alpha: end / alpha)),
    ],
    slips=[
        Mistake("in the first step z and the teacher's guess are changed over: "
                "ddim_step(z, x, t, s)", _wrong_target(first_step=_changed_over)),
        Mistake("in the second step the place and the teacher's guess are changed over: "
                "ddim_step(z, x, t, s)", _wrong_target(second_step=_changed_over)),
        Mistake("σ'' and σ are multiplied: their ratio is σ'' / σ",
                _wrong_target(ratio=lambda after, before: after * before)),
        Mistake("the ratio is turned round: it is σ'' / σ",
                _wrong_target(ratio=lambda after, before: before / after)),
        Mistake("σ'' is not divided by σ: the noise of z becomes σ''/σ of what it was",
                _wrong_target(ratio=lambda after, before: after)),
        Mistake("half a step is multiplied by the number of steps: it is 0.5 / steps",
                _wrong_target(half=lambda steps: 0.5 * steps)),
        Mistake("the steps are divided by 0.5: half a step is 0.5 / steps",
                _wrong_target(half=lambda steps: steps / 0.5)),
        Mistake("the first step goes to t − 0.5 whatever `steps` is: half a step is 0.5 / steps",
                _wrong_target(half=lambda steps: 0.5)),
    ],
)  # fmt: skip

# --- find the bug ---------------------------------------------------------------------------------


def _mended(
    x_BD: Tensor, noise_BD: Tensor, t_B1: Tensor, steps: int, student: Callable, teacher: Callable
) -> Tensor:
    return diffusion.halving_loss(x_BD, noise_BD, t_B1, steps, student, teacher)


def _wrong_loss(kind: str):
    def wrong(
        x_BD: Tensor,
        noise_BD: Tensor,
        t_B1: Tensor,
        steps: int,
        student: Callable,
        teacher: Callable,
    ) -> Tensor:
        if kind == "the bug":
            return diffusion.wrong_loss(x_BD, noise_BD, t_B1, steps, student, teacher)
        alpha, sigma = alpha_sigma(t_B1)
        z_BD = alpha * x_BD + sigma * noise_BD
        place = (t_B1, z_BD) if kind == "turned" else (z_BD, t_B1)
        with torch.set_grad_enabled(kind == "through the teacher"):
            if kind == "same time":
                told_BD = teacher.noise(z_BD, t_B1)
            elif kind == "one guess":
                target_BD = teacher(z_BD, t_B1)
            else:
                asked = student if kind == "itself" else teacher
                target_BD = diffusion.two_step_target(*place, steps, asked)
        if kind == "same time":
            return ((student.noise(z_BD, t_B1) - told_BD) ** 2).sum(-1).mean()
        if kind == "data":
            target_BD = x_BD
        ratio = alpha**2 / sigma**2
        weight = {"plain": torch.ones_like(ratio), "snr": ratio, "max": ratio.clamp(max=1)}.get(
            kind, ratio.clamp(min=1)
        )
        terms = weight * (student(z_BD, t_B1) - target_BD) ** 2
        return terms.mean() if kind == "mean" else terms.sum(-1).mean()

    return wrong


mended_loss = Exercise(
    "mended_loss",
    reference=_mended,
    probes=lambda: [
        (x, noise, t, steps, Toy(0.7), Toy(1.5))
        for (x, noise, t), steps in zip(_clouds(0.5, 1.0, 0.25), (4, 1, 8), strict=True)
    ],
    gradient_of=(4, 5),
    hints=(
        "What does the student have to say at (z, t), so that its one step ends where two of the "
        "teacher's end?",
        "Make z = α x + σ ε. The target is yours from exercise 2; `diffusion.weighted` compares "
        "the student's x with it.",
        "alpha, sigma = diffusion.alpha_sigma(t_B1)",
    ),
    mistakes=[
        Mistake("this is the bug itself: another place and another time, and no step is taken "
                "anywhere", _wrong_loss("the bug")),
        Mistake("now the student copies its teacher at the same time: nothing is wrong, and no "
                "step is saved", _wrong_loss("same time")),
        Mistake("this target is the teacher's guess at t: nothing is halved",
                _wrong_loss("one guess")),
        Mistake("this target is the data's own point: that trains another teacher, not a student "
                "of fewer steps", _wrong_loss("data")),
        Mistake("the two steps are the student's own: ask the teacher", _wrong_loss("itself")),
        Mistake("all times weigh alike: use the weight max(SNR, 1), diffusion.weighted",
                _wrong_loss("plain")),
        Mistake("the weight is SNR alone: it is 0 at t = 1, where a one-step student is asked",
                _wrong_loss("snr")),
        Mistake("the weight is cut from above, min(SNR, 1): it should be max(SNR, 1)",
                _wrong_loss("max")),
        Mistake("half as large: squares are summed over the two coordinates, then averaged over "
                "the points", _wrong_loss("mean")),
        Mistake("the value is right, but the gradient flows through the teacher's two steps, too: "
                "make the target under torch.no_grad()", _wrong_loss("through the teacher")),
    ],
    slips=[
        Mistake("point and time are changed over: two_step_target(z, t, steps, teacher)",
                _wrong_loss("turned")),
    ],
)  # fmt: skip
