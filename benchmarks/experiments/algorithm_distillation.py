"""Lesson 13: is a learning algorithm distilled, or only what it ends with?

A small transformer learns to foretell the pulls of a bandit learner, then plays new bandits by
itself, with sampled and with greedy pulls, where the odds are as in training and turned round.

    python -m benchmarks.experiments.algorithm_distillation

"thompson" and "ucb" are distilled from whole histories.  Controls: sixty pulls of what the finished
learner has become; the last tenth of each history, and a model of as short a context that learns
from everything; half the context; histories in a shuffled order.  "references" are the learners
themselves.  The curve is the regret after every fifth pull.
"""

from __future__ import annotations

import time

import numpy as np
import torch

from benchmarks.runner import Experiment, main
from distillkit.lessons.l13_algorithm import bandits
from distillkit.lessons.l13_algorithm.imitation import Player, imitate, roll_out, to_tokens

HISTORIES, STEPS, BATCH = 8192, 1500, 256
TENTH, HALF = bandits.PULLS // 10, bandits.PULLS // 2
ODDS = {"as in training": 0.95, "turned round": 0.05}
REFERENCES = (bandits.uniform, bandits.thompson, bandits.ucb, bandits.gittins)
ARMS = {  # how far back the model looks
    "thompson": bandits.PULLS,
    "ucb": bandits.PULLS,
    "finished learner": bandits.PULLS,
    "last tenth": TENTH,
    "last tenth in sight": TENTH,
    "half in sight": HALF,
    "shuffled": bandits.PULLS,
    "references": 0,
}


def run(arm, seed, bench):
    """Train one way (or take the learners themselves), and play both kinds of bandits."""
    rng = np.random.default_rng(1000 + seed)
    if arm == "references":
        return [row for policy in REFERENCES for row in played(
            policy.__name__, bench.test, lambda p, policy=policy: bandits.play(policy, p, rng)[0]
        )]  # fmt: skip
    tokens, actions = (torch.tensor(x, device=bench.machine.device) for x in lessons(arm, rng))
    model = Player(seed, ARMS[arm]).to(tokens.device)
    began = time.perf_counter()
    losses = imitate(model, tokens, actions, STEPS, BATCH, seed=seed)
    seconds = round(time.perf_counter() - began)

    def ask(chances_BK, greedy):
        chances_BK = torch.tensor(chances_BK, device=tokens.device)
        return roll_out(model.eval(), chances_BK, seed, greedy)[0].cpu().numpy()

    return [
        {**row, "last_loss": round(sum(losses[-10:]) / len(losses[-10:]), 4),
         "train_seconds": seconds}
        for how, greedy in (("sampled", False), ("greedy", True))
        for row in played(how, bench.test, lambda p, greedy=greedy: ask(p, greedy))
    ]  # fmt: skip


def lessons(arm, rng):
    """Return what an arm learns from: what is known before each pull, and the pull; (B, T)."""
    chances_BK = bandits.draw_bandits(HISTORIES, rng)
    policy = bandits.ucb if arm == "ucb" else bandits.thompson
    actions, rewards = bandits.play(policy, chances_BK, rng)
    if arm == "finished learner":
        arms = range(bandits.ARMS)
        wins, losses = (np.stack([((actions == k) & (rewards == r)).sum(-1) for k in arms], -1)
                        for r in (1, 0))  # fmt: skip
        actions, rewards = bandits.play(
            lambda *now: bandits.thompson(wins, losses, now[-1]), chances_BK, rng
        )
    if arm == "shuffled":
        order = rng.random(actions.shape).argsort(-1)
        actions, rewards = (np.take_along_axis(x, order, 1) for x in (actions, rewards))
    tokens = known(actions, rewards)
    if arm == "last tenth":  # with and without something before it: both are met in play
        last = (actions[:, -TENTH:], rewards[:, -TENTH:])
        return np.concatenate([known(*last), tokens[:, -TENTH:]]), np.concatenate([last[0]] * 2)
    return tokens, actions


def known(actions, rewards):
    """Return the tokens of histories that are arrays."""
    return to_tokens(torch.tensor(actions), torch.tensor(rewards)).numpy()


def played(policy, n, ask):
    """Return a row for each kind of bandit; all arms and seeds meet the same ones."""
    rows = []
    for odds, odd in ODDS.items():
        chances_BK = bandits.draw_bandits(n, np.random.default_rng(7), odd)
        curve_T = bandits.regret(chances_BK, ask(chances_BK)).mean(0)
        curve = " ".join(f"{lost:.3f}" for lost in curve_T[4::5])
        rows.append({"policy": policy, "odds": odds, "n": n, "regret": round(float(curve_T[-1]), 4),
                     "curve": curve})  # fmt: skip
    return rows


EXPERIMENT = Experiment(
    csv="algorithm_distillation.csv",
    key="arm",
    columns="arm policy odds seed n regret curve last_loss train_seconds machine date",
    arms=ARMS,
    run=run,
    test=4000,
)

if __name__ == "__main__":
    main(EXPERIMENT, __doc__)
