"""Lesson 14: what does a sampler lose when its 64 steps become 1?

A diffusion model of eight modes in a plane is trained anew for each run; then it is sampled with
fewer steps, or distilled into students of fewer.  Every student learns for as many steps in all,
and "direct" is shown as many of the teacher's evaluations as "progressive" uses.

    python -m benchmarks.experiments.sampler_distillation

"data" are two fresh samples of the data: no sampler can do better.  "wrong loss" was published as
progressive distillation: the student's noise at t is matched with the teacher's at t/2.
"""

from __future__ import annotations

import copy
import time

import torch

from benchmarks.runner import Experiment, main
from distillkit.lessons.l14_sampler.diffusion import (
    STEPS,
    Denoiser,
    consistency_loss,
    consistent,
    ddim,
    diffusion_loss,
    direct_loss,
    draw_data,
    halve,
    halving_loss,
    train,
    wrong_loss,
)
from distillkit.lessons.l14_sampler.quality import measured

TEACHER, EACH, BATCH = 3000, 750, 1024
HALVINGS = STEPS.bit_length() - 1
ARMS = ("progressive", "teacher, DDIM", "direct", "consistency", "wrong loss", "data")


def run(arm, seed, bench):
    """Train a teacher, make samplers of it in one way, and measure each of them."""
    device = bench.machine.device
    numbers = torch.Generator(device).manual_seed(1000 + seed)
    data_BD, more_BD = draw_data(bench.test, numbers), draw_data(bench.test, numbers)
    noise_BD = torch.randn(bench.test, 2, generator=numbers, device=device)
    if arm == "data":
        return {"steps": "", "n": bench.test, **measured(more_BD, data_BD)}
    teacher = Denoiser(seed).to(device)
    train(teacher, diffusion_loss(teacher), TEACHER, BATCH, rate=5e-3, seed=seed)
    began = time.perf_counter()
    points = samplers(arm, seed, teacher, noise_BD, numbers)
    seconds = round(time.perf_counter() - began)
    return [
        {"steps": steps, "n": bench.test, **measured(x_BD, data_BD), "train_seconds": seconds}
        for steps, x_BD in points.items()
    ]


def samplers(arm, seed, teacher, noise_BD, numbers):
    """Return what each sampler of an arm makes of the same noise, steps -> points."""
    if arm in ("progressive", "wrong loss"):
        rule = halving_loss if arm == "progressive" else wrong_loss
        students = halve(teacher, EACH, BATCH, seed=seed, rule=rule)
        return {steps: ddim(model, noise_BD, steps)[-1] for steps, model in students.items()}
    if arm == "teacher, DDIM":
        return {2**i: ddim(teacher, noise_BD, 2**i)[-1] for i in range(HALVINGS, -1, -1)}
    student, slow = copy.deepcopy(teacher), copy.deepcopy(teacher)
    if arm == "consistency":
        loss = consistency_loss(student, slow, teacher)
        train(student, loss, HALVINGS * EACH, BATCH, seed=seed, slow=slow)
        return {steps: consistent(slow, noise_BD, steps, numbers) for steps in (8, 4, 2, 1)}
    pairs = max(BATCH, 2 * HALVINGS * EACH * BATCH // STEPS)  # the teacher is asked twice a step
    start_ND = torch.randn(pairs, 2, generator=numbers, device=noise_BD.device)
    loss = direct_loss(student, start_ND, ddim(teacher, start_ND, STEPS)[-1])
    train(student, loss, HALVINGS * EACH, BATCH, seed=seed)
    return {1: ddim(student, noise_BD, 1)[-1]}


EXPERIMENT = Experiment(
    csv="sampler_distillation.csv",
    key="arm",
    columns="arm steps seed n wasserstein energy modes near train_seconds machine date",
    arms=ARMS,
    run=run,
    test=4096,
)

if __name__ == "__main__":
    main(EXPERIMENT, __doc__)
