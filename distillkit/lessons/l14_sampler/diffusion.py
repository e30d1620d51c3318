"""A diffusion model of points in a plane, DDIM, and four ways to make it need fewer steps.

The clock t runs from 0 (data) to 1 (noise): z_t = α_t x + σ_t ε with α = cos(πt/2), σ = sin(πt/2).
The net foretells v = α ε − σ x, from which x = α z − σ v follows at every t, also at t = 1.

Dimension key: B points, D coordinates (2); t has the shape (B, 1).
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from contextlib import suppress

import torch
from torch import Generator, Tensor, nn

STEPS = 64  # of the teacher
WIDTH = 128  # units of a hidden layer
RATE = 1e-3  # of a training, unless it has its own
MODES, RADIUS, SPREAD = 8, 1.4, 0.15
Objective = Callable[[Generator, int], Tensor]  # (random numbers, batch) -> loss
Rule = Callable[..., Tensor]  # (points, noise, times, steps, student, teacher) -> loss


def draw_data(n: int, numbers: Generator) -> Tensor:
    """Return points (B, D) of eight equal normal distributions on a circle; variance about 1."""
    device = numbers.device
    mode_B = torch.randint(MODES, (n,), generator=numbers, device=device)
    spread_BD = SPREAD * torch.randn(n, 2, generator=numbers, device=device)
    return centres().to(device)[mode_B] + spread_BD


def centres() -> Tensor:
    """Return the middle of each mode, (8, 2)."""
    angle = 2 * math.pi * torch.arange(MODES) / MODES
    return RADIUS * torch.stack([angle.cos(), angle.sin()], -1)


def alpha_sigma(t: Tensor) -> tuple[Tensor, Tensor]:
    """Return how much of the point and how much of the noise is left at the time t."""
    return (math.pi / 2 * t).cos(), (math.pi / 2 * t).sin()


class Denoiser(nn.Module):
    """(z_t, t) -> the point x it thinks is under the noise: three hidden layers of 128 units."""

    def __init__(self, seed: int = 0):
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.net = nn.Sequential(
                nn.Linear(2 + 8, WIDTH), nn.SiLU(), nn.Linear(WIDTH, WIDTH), nn.SiLU(),
                nn.Linear(WIDTH, WIDTH), nn.SiLU(), nn.Linear(WIDTH, 2),
            )  # fmt: skip
        self.register_buffer("waves", math.pi / 2 * 2.0 ** torch.arange(4))

    def velocity(self, z_BD: Tensor, t_B1: Tensor) -> Tensor:
        """Return what the net itself says: v = α ε − σ x."""
        angles = t_B1 * self.waves
        return self.net(torch.cat([z_BD, angles.sin(), angles.cos()], -1))

    def forward(self, z_BD: Tensor, t_B1: Tensor) -> Tensor:
        alpha, sigma = alpha_sigma(t_B1)
        return alpha * z_BD - sigma * self.velocity(z_BD, t_B1)

    def noise(self, z_BD: Tensor, t_B1: Tensor) -> Tensor:
        """Return the noise ε it thinks is in z_t."""
        alpha, sigma = alpha_sigma(t_B1)
        return sigma * z_BD + alpha * self.velocity(z_BD, t_B1)


def ddim_step(z_BD: Tensor, x_BD: Tensor, t_B1: Tensor, s_B1: Tensor) -> Tensor:
    """Go from time t to the earlier s, as if `x_BD` were the point: (B, D).

    The noise that is in z_t then is kept and only made smaller.  Source: Song et al. 2021 (arXiv
    2010.02502), eq. 12 with σ = 0.
    """
    (alpha, sigma), (alpha_s, sigma_s) = alpha_sigma(t_B1), alpha_sigma(s_B1)
    return alpha_s * x_BD + sigma_s * (z_BD - alpha * x_BD) / sigma


@torch.no_grad()
def ddim(
    model: Callable[[Tensor, Tensor], Tensor],
    z_BD: Tensor,
    steps: int,
    step: Callable[..., Tensor] = ddim_step,
) -> list[Tensor]:
    """Go from noise to data in equal steps of the clock; return the points after each, z_1 first.

    `model` takes (z, t) and returns x; `step` is the rule of one step.
    """
    path = [z_BD]
    for i in range(steps, 0, -1):
        t, s = (torch.full_like(z_BD[:, :1], at / steps) for at in (i, i - 1))
        path.append(step(path[-1], model(path[-1], t), t, s))
    return path


# --- what is learned ------------------------------------------------------------------------------


def weighted(x_BD: Tensor, target_BD: Tensor, t_B1: Tensor) -> Tensor:
    """Return the mean squared error of x times max(SNR, 1), the "truncated SNR" weight.

    SNR = α²/σ² alone would be 0 at t = 1, the only place that a sampler of one step is asked at.
    Source: Salimans and Ho 2022 (arXiv 2202.00512), sec. 4.
    """
    alpha, sigma = alpha_sigma(t_B1)
    weight_B1 = (alpha**2 / sigma**2).clamp(min=1)
    return (weight_B1 * (x_BD - target_BD) ** 2).sum(-1).mean()


def noised(x_BD: Tensor, t_B1: Tensor, numbers: Generator) -> Tensor:
    """Return z_t = α_t x + σ_t ε with new noise."""
    alpha, sigma = alpha_sigma(t_B1)
    noise_BD = torch.randn(x_BD.shape, generator=numbers, device=x_BD.device)
    return alpha * x_BD + sigma * noise_BD


def grid_time(n: int, steps: int, numbers: Generator) -> Tensor:
    """Return n times of the grid 1/steps, 2/steps, …, 1, (n, 1)."""
    i_B1 = torch.randint(1, steps + 1, (n, 1), generator=numbers, device=numbers.device)
    return i_B1 / steps


def diffusion_loss(model: Denoiser) -> Objective:
    """Make the loss of a teacher: foretell the point under the noise."""

    def loss(numbers: Generator, batch: int) -> Tensor:
        x_BD, t_B1 = draw_data(batch, numbers), grid_time(batch, STEPS, numbers)
        return weighted(model(noised(x_BD, t_B1, numbers), t_B1), x_BD, t_B1)

    return loss


def two_step_target(
    z_BD: Tensor, t_B1: Tensor, steps: int, teacher: Callable[[Tensor, Tensor], Tensor]
) -> Tensor:
    """Return the x with which one DDIM step of 1/steps lands where two of the teacher's land.

    Source: Salimans and Ho 2022 (arXiv 2202.00512), algorithm 2.
    """
    middle_B1, end_B1 = t_B1 - 0.5 / steps, t_B1 - 1 / steps
    half_BD = ddim_step(z_BD, teacher(z_BD, t_B1), t_B1, middle_B1)
    whole_BD = ddim_step(half_BD, teacher(half_BD, middle_B1), middle_B1, end_B1)
    (alpha, sigma), (alpha_e, sigma_e) = alpha_sigma(t_B1), alpha_sigma(end_B1)
    return (whole_BD - sigma_e / sigma * z_BD) / (alpha_e - sigma_e / sigma * alpha)


def halving_loss(
    x_BD: Tensor,
    noise_BD: Tensor,
    t_B1: Tensor,
    steps: int,
    student: Denoiser,
    teacher: Denoiser,
    target: Callable[..., Tensor] = two_step_target,
) -> Tensor:
    """Return the loss of a student of `steps` steps, half of its teacher's."""
    alpha, sigma = alpha_sigma(t_B1)
    z_BD = alpha * x_BD + sigma * noise_BD
    with torch.no_grad():
        target_BD = target(z_BD, t_B1, steps, teacher)
    return weighted(student(z_BD, t_B1), target_BD, t_B1)


def wrong_loss(
    x_BD: Tensor,
    noise_BD: Tensor,
    t_B1: Tensor,
    steps: int,
    student: Denoiser,
    teacher: Denoiser,
) -> Tensor:
    """Return a loss that was published as progressive distillation and is none.

    ‖ε_student(z_t, t) − ε_teacher(z_{t/2}, t/2)‖², both of the same point and the same noise.
    """
    (alpha, sigma), (alpha_h, sigma_h) = alpha_sigma(t_B1), alpha_sigma(t_B1 / 2)
    said_BD = student.noise(alpha * x_BD + sigma * noise_BD, t_B1)
    with torch.no_grad():
        told_BD = teacher.noise(alpha_h * x_BD + sigma_h * noise_BD, t_B1 / 2)
    return ((said_BD - told_BD) ** 2).sum(-1).mean()


def of_pair(rule: Rule, student: Denoiser, teacher: Denoiser, steps: int) -> Objective:
    """Make an objective of a rule: new points, new noise and times of the student's grid."""

    def loss(numbers: Generator, batch: int) -> Tensor:
        x_BD, t_B1 = draw_data(batch, numbers), grid_time(batch, steps, numbers)
        noise_BD = torch.randn(x_BD.shape, generator=numbers, device=x_BD.device)
        return rule(x_BD, noise_BD, t_B1, steps, student, teacher)

    return loss


def direct_loss(student: Denoiser, noise_ND: Tensor, points_ND: Tensor) -> Objective:
    """Make the loss of a student of one step that is shown where the teacher's noise ended."""

    def loss(numbers: Generator, batch: int) -> Tensor:
        rows = torch.randint(len(noise_ND), (batch,), generator=numbers, device=noise_ND.device)
        t_B1 = torch.ones_like(noise_ND[:batch, :1])
        return weighted(student(noise_ND[rows], t_B1), points_ND[rows], t_B1)

    return loss


def consistency_loss(student: Denoiser, slow: Denoiser, teacher: Denoiser) -> Objective:
    """Make the loss that wants the same point from two neighbours on a path of the teacher's.

    `slow` is the mean of the student's past (`train` keeps it).  Source: Song et al. 2023 (arXiv
    2303.01469), algorithm 2; at t = 0 the student is the identity, as it must be.
    """

    def loss(numbers: Generator, batch: int) -> Tensor:
        t_B1 = grid_time(batch, STEPS, numbers)
        z_BD, s_B1 = noised(draw_data(batch, numbers), t_B1, numbers), t_B1 - 1 / STEPS
        with torch.no_grad():
            target_BD = slow(ddim_step(z_BD, teacher(z_BD, t_B1), t_B1, s_B1), s_B1)
        return ((student(z_BD, t_B1) - target_BD) ** 2).sum(-1).mean()

    return loss


# --- training -------------------------------------------------------------------------------------


def train(
    model: Denoiser,
    objective: Objective,
    steps: int,
    batch: int = 1024,
    rate: float = RATE,
    seed: int = 0,
    slow: Denoiser | None = None,
    on_step: Callable[[dict], None] = lambda row: None,
) -> list[float]:
    """Train with Adam and a rate that falls to 0; return the loss of every tenth and last step.

    `slow` follows the model's weights (0.95 of its own and 0.05 of the model's after each step).
    KeyboardInterrupt ends the training and keeps what was learned.
    """
    losses: list[float] = []
    with suppress(KeyboardInterrupt):
        _learn(losses, model, objective, steps, batch, rate, seed, slow, on_step)
    return losses


def _learn(
    losses: list[float],
    model: Denoiser,
    objective: Objective,
    steps: int,
    batch: int,
    rate: float,
    seed: int,
    slow: Denoiser | None,
    on_step: Callable[[dict], None],
) -> None:
    """Train as `train` does and add to `losses`; KeyboardInterrupt goes on to the caller."""
    numbers = Generator(next(model.parameters()).device).manual_seed(seed)
    optimizer = torch.optim.Adam(model.parameters(), lr=rate)
    rates = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, steps)
    loss = None
    try:
        for step in range(1, steps + 1):
            loss = objective(numbers, batch)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            rates.step()
            if slow is not None:
                with torch.no_grad():
                    for past, now in zip(slow.parameters(), model.parameters(), strict=True):
                        past.lerp_(now, 0.05)
            if step % 10 == 0 or step == steps:  # reading a loss makes a card wait
                losses.append(loss.item())
                loss = None
                on_step({"step": step, "steps": steps, "loss": losses[-1]})
    finally:
        if loss is not None:  # stopped between two that are kept
            losses.append(loss.item())


def halve(
    teacher: Denoiser,
    each: int,
    batch: int = 1024,
    seed: int = 0,
    rule: Rule = halving_loss,
    on_step: Callable[[int], Callable[[dict], None]] = lambda steps: lambda row: None,
) -> dict[int, Denoiser]:
    """Halve a teacher of STEPS steps down to one; return the students, steps -> model.

    Each student begins as a copy of its teacher, learns for `each` steps and is the next teacher.
    KeyboardInterrupt ends them all: what was learned stays, and the students after it are copies.
    """
    students, steps = {STEPS: teacher}, STEPS
    while steps > 1:
        steps //= 2
        student = copy.deepcopy(teacher)
        if each:
            objective = of_pair(rule, student, teacher, steps)
            try:
                _learn(
                    [], student, objective, each, batch, RATE, seed + steps, None, on_step(steps)
                )
            except KeyboardInterrupt:
                each = 0
        students[steps] = teacher = student
    return students


@torch.no_grad()
def consistent(model: Denoiser, z_BD: Tensor, steps: int, numbers: Generator) -> Tensor:
    """Sample a consistency model: guess the point, add noise of an earlier time, guess again."""
    for i in range(steps, 0, -1):
        t_B1 = torch.full_like(z_BD[:, :1], i / steps)
        x_BD = model(z_BD, t_B1)
        z_BD = noised(x_BD, t_B1 - 1 / steps, numbers)
    return x_BD
