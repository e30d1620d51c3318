"""How near two clouds of points are: sliced Wasserstein distance, energy distance, modes."""

from __future__ import annotations

import torch
from torch import Tensor

from distillkit.lessons.l14_sampler.diffusion import MODES, SPREAD, centres

DIRECTIONS = 128


def sliced_wasserstein(a_BD: Tensor, b_BD: Tensor) -> float:
    """Return the mean Wasserstein-1 distance of two equal-sized clouds seen from many sides.

    On a line it is the mean distance of the sorted points.  Source: Bonneel et al. 2015.
    """
    angle = torch.pi * torch.arange(DIRECTIONS, device=a_BD.device) / DIRECTIONS
    sides = torch.stack([angle.cos(), angle.sin()])
    gaps = (a_BD @ sides).sort(0).values - (b_BD @ sides).sort(0).values
    return gaps.abs().mean().item()


def energy_distance(a_BD: Tensor, b_BD: Tensor) -> float:
    """Return 2 E|a − b| − E|a − a'| − E|b − b'|, 0 for equal distributions (Székely 2013).

    Without the pairs of a point and itself: its mean over clouds of one distribution is 0, so it
    may be a little below 0.
    """

    def within(x: Tensor) -> Tensor:
        return torch.cdist(x, x).sum() / (len(x) * (len(x) - 1))

    return (2 * torch.cdist(a_BD, b_BD).mean() - within(a_BD) - within(b_BD)).item()


def modes(x_BD: Tensor) -> tuple[int, float]:
    """Return how many modes get at least half of their share, and the share of points near one.

    Near is at most three times a mode's spread from its middle.
    """
    gaps, mode = torch.cdist(x_BD, centres().to(x_BD.device)).min(-1)
    near_B = gaps <= 3 * SPREAD
    counts = torch.bincount(mode[near_B], minlength=MODES)
    covered = int((counts >= len(x_BD) / MODES / 2).sum())
    return covered, near_B.float().mean().item()


def measured(x_BD: Tensor, data_BD: Tensor) -> dict[str, float]:
    """Return all four measures of a cloud against fresh data."""
    covered, near = modes(x_BD)
    return {
        "wasserstein": round(sliced_wasserstein(x_BD, data_BD), 5),
        "energy": round(energy_distance(x_BD, data_BD), 6),
        "modes": covered,
        "near": round(near, 4),
    }
