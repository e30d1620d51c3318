"""Bandits with arms that pay 0 or 1, four ways to play them, and what a way of playing loses.

Dimension key: B bandits, K arms, T pulls.  All bandits of a batch are played side by side.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
from numpy.random import Generator

ARMS, PULLS = 5, 60
GRID = 200  # parts of the way from 0 to 1, for chances and fees
# (wins_BK, losses_BK, random numbers) -> the arm that each bandit's player pulls next, (B,)
Policy = Callable[[np.ndarray, np.ndarray, Generator], np.ndarray]


def draw_bandits(n: int, rng: Generator, odd: float = 0.95) -> np.ndarray:
    """Return each arm's chance to pay, (B, K), uniform from 0 to 1.

    In a share `odd` of the bandits the best arm is the first, third or fifth: 0.95 is what the
    student learns from, 0.05 turns it round (Laskin et al. 2022, sec. 4, "adversarial bandit").
    """
    chances_BK = rng.random((n, ARMS))
    rows = np.arange(n)
    at_odd_B = rng.random(n) < odd
    odd_B = 2 * rng.integers(0, (ARMS + 1) // 2, n)
    even_B = 2 * rng.integers(0, ARMS // 2, n) + 1
    place_B, best_B = np.where(at_odd_B, odd_B, even_B), chances_BK.argmax(-1)
    best = chances_BK[rows, best_B]
    chances_BK[rows, best_B] = chances_BK[rows, place_B]
    chances_BK[rows, place_B] = best
    return chances_BK


def play(
    policy: Policy, chances_BK: np.ndarray, rng: Generator, pulls: int = PULLS
) -> tuple[np.ndarray, np.ndarray]:
    """Return a whole learning history of each bandit: actions and rewards, both (B, T)."""
    rows, paid_BT = np.arange(len(chances_BK)), rng.random((len(chances_BK), pulls))
    wins_BK, losses_BK = np.zeros((2, *chances_BK.shape), dtype=int)
    actions_BT, rewards_BT = np.zeros((2, *paid_BT.shape), dtype=int)
    for pull in range(pulls):
        action_B = policy(wins_BK, losses_BK, rng)
        reward_B = paid_BT[:, pull] < chances_BK[rows, action_B]
        wins_BK[rows, action_B] += reward_B
        losses_BK[rows, action_B] += ~reward_B
        actions_BT[:, pull], rewards_BT[:, pull] = action_B, reward_B
    return actions_BT, rewards_BT


def regret(chances_BK: np.ndarray, actions_BT: np.ndarray) -> np.ndarray:
    """Return what was lost up to each pull against always pulling the best arm, (B, T).

    Chances are compared, not the coins that fell: less noise for the same mean.
    """
    pulled_BT = np.take_along_axis(chances_BK, actions_BT, axis=1)
    return (chances_BK.max(-1, keepdims=True) - pulled_BT).cumsum(-1)


# --- ways to play ---------------------------------------------------------------------------------


def uniform(wins_BK: np.ndarray, losses_BK: np.ndarray, rng: Generator) -> np.ndarray:
    """Pull any arm."""
    return rng.integers(0, wins_BK.shape[1], len(wins_BK))


def thompson(wins_BK: np.ndarray, losses_BK: np.ndarray, rng: Generator) -> np.ndarray:
    """Draw a chance for each arm from what is known of it, and pull the best (Thompson 1933)."""
    return rng.beta(1 + wins_BK, 1 + losses_BK).argmax(-1)


def ucb(wins_BK: np.ndarray, losses_BK: np.ndarray, rng: Generator) -> np.ndarray:
    """Pull each arm once, then the one with the best mean plus doubt (UCB1, Auer et al. 2002)."""
    pulls_BK = wins_BK + losses_BK
    once_BK = np.maximum(pulls_BK, 1)
    doubt_BK = np.sqrt(2 * np.log(np.maximum(pulls_BK.sum(-1, keepdims=True), 1)) / once_BK)
    return np.where(pulls_BK, wins_BK / once_BK + doubt_BK, np.inf).argmax(-1)


def gittins(wins_BK: np.ndarray, losses_BK: np.ndarray, rng: Generator) -> np.ndarray:
    """Pull the arm with the highest Gittins index for the pulls that are left of PULLS."""
    left = PULLS - int((wins_BK + losses_BK)[0].sum())
    return gittins_indices()[left - 1, wins_BK, losses_BK].argmax(-1)


@lru_cache(maxsize=1)
def gittins_indices(pulls: int = PULLS) -> np.ndarray:
    """Return the finite-horizon Gittins index of an arm: [pulls left - 1, wins, losses].

    It is the fee a pull at which it just pays to go on with this arm, stopping when one likes; on
    a grid of fees.  Source: Lattimore (2016), "Regret analysis of the finite-horizon Gittins index
    strategy for multi-armed bandits".
    """
    fees = np.linspace(0, 1, GRID + 1)
    wins, losses = np.mgrid[:pulls, :pulls]
    chance = ((wins + 1) / (wins + losses + 2))[..., None]
    value = np.zeros((pulls + 1, pulls + 1, len(fees)))  # of an arm, for the best time to stop
    indices = np.zeros((pulls, pulls, pulls))
    for left in range(pulls):
        won, lost = value[1:, :-1], value[:-1, 1:]
        go_on = chance - fees + chance * won + (1 - chance) * lost
        indices[left] = fees[(go_on > 0).sum(-1).clip(1) - 1]
        value[:-1, :-1] = np.maximum(go_on, 0)
    return indices


def best_chances(wins_BK: np.ndarray, losses_BK: np.ndarray) -> np.ndarray:
    """Return the probability of each arm to be the best one given its wins and losses, (B, K).

    That is what Thompson sampling pulls with; by the trapezium rule.
    """
    x = (np.arange(GRID) + 0.5) / GRID
    log = wins_BK[..., None] * np.log(x) + losses_BK[..., None] * np.log1p(-x)
    density = np.exp(log - log.max(-1, keepdims=True))
    density /= density.sum(-1, keepdims=True)
    below = density.cumsum(-1) - density / 2
    others = np.exp(np.log(below).sum(1, keepdims=True) - np.log(below))
    chances_BK = (density * others).sum(-1)
    return chances_BK / chances_BK.sum(-1, keepdims=True)


def own_doubt(actions_BT: np.ndarray, rewards_BT: np.ndarray) -> float:
    """Return the cross-entropy (nats a pull) of Thompson sampling with what it drew itself.

    No student that foretells its pulls can have a lower loss on many new histories.
    """
    one_hot_BTK = np.eye(ARMS, dtype=int)[actions_BT]
    wins_BTK, losses_BTK = (
        (one_hot_BTK * paid_BT[..., None]).cumsum(1) - one_hot_BTK * paid_BT[..., None]
        for paid_BT in (rewards_BT, 1 - rewards_BT)
    )
    chances = best_chances(wins_BTK.reshape(-1, ARMS), losses_BTK.reshape(-1, ARMS))
    drawn = np.take_along_axis(chances, actions_BT.reshape(-1, 1), 1)
    return float(-np.log(drawn).mean())
