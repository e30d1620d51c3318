"""What a step works with: precision, optimizer and processes, so that the loop need not know them.

The loop reads the same on one CPU, on a GPU in 16 bits and in several processes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState

from distillkit.training.checkpoints import Parameters
from distillkit.training.gradients import CompletionLoss, Room, gradient_that_fits, tokens_at_once
from distillkit.training.objectives import Objective
from distillkit.training.packing import Example

MIXED = {torch.bfloat16: "bf16", torch.float16: "fp16"}  # accelerate's names


@dataclass
class TrainState:
    """The parameters that are trained, by name, their optimizer, and the machine they are on."""

    trained: Parameters
    module: torch.nn.Module  # the student with its objective, as `accelerate` wraps it
    optimizer: Any
    accelerator: Accelerator
    room: Room

    def gradient(self, batch: Sequence[Example]) -> tuple[float, int, dict[str, float]]:
        """Add the gradient of a batch's mean loss; return the loss, how many tokens it took, and
        the mean loss of each kind of example, as far as the objective uses the weights.

        Every process calls it with the whole batch.  Raises MemoryError with what to do.
        """
        *found, kinds = gradient_that_fits(self.module, batch, self.accelerator, self.room)
        loss, computed, *parts = self.total([*found, *kinds.values()])
        known = {kind: part for kind, part in zip(kinds, parts) if math.isfinite(part)}
        return loss, int(computed), known

    def clip(self, longest: float) -> float | None:
        """Cut the gradient to a norm of at most `longest`; return the norm that it had.

        None: it overflowed in 16 bits, and the optimizer is going to leave this step out.
        """
        norm = float(self.accelerator.clip_grad_norm_(list(self.trained.values()), longest))
        return None if self.accelerator.scaler and not math.isfinite(norm) else norm

    def total(self, numbers: Sequence[float]) -> list[float]:
        """Return the sum of each number over all processes."""
        sums = torch.tensor(numbers, dtype=torch.float32, device=self.accelerator.device)
        return self.accelerator.reduce(sums).tolist()


def open_training(
    model, objective: Objective, rate: float, optimizer: str, precision: str,
    part_tokens: int | None,
) -> TrainState:  # fmt: skip
    """Return what the steps work with: every parameter that requires a gradient is trained.

    `optimizer`, `precision` and `part_tokens` are those of `TrainingConfig`.  Raises ValueError
    for an unknown optimizer, if no parameter requires a gradient, and if one of them has 16 bits.
    """
    trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
    if not trained:
        raise ValueError("no parameter of the student requires a gradient: nothing to train")
    if any(p.dtype != torch.float32 for p in trained.values()):
        raise ValueError(
            "weights in 16 bits lose small steps: train an adapter, or load the student in float32 "
            '(precision="bf16" still computes in 16 bits)'
        )
    accelerator = _accelerator(model, precision or MIXED.get(model.dtype, "no"))
    room = Room(part_tokens or tokens_at_once(model))
    optimizer_ = _optimizer(optimizer, list(trained.values()), rate)
    module, optimizer_ = accelerator.prepare(CompletionLoss(model, objective), optimizer_)
    return TrainState(trained, module, optimizer_, accelerator, room)


def _accelerator(model, precision: str) -> Accelerator:
    on_cpu = model.device.type == "cpu"
    AcceleratorState._reset_state(True)  # else the precision of the process's first run is kept
    accelerator = Accelerator(mixed_precision=precision, cpu=on_cpu)
    if precision == "fp16" and on_cpu:  # accelerate leaves out here what a GPU gets
        accelerator.native_amp, accelerator.scaler = True, torch.amp.GradScaler("cpu")
    return accelerator


def _optimizer(name: str, parameters: list, rate: float) -> torch.optim.Optimizer:
    if name == "adamw":
        return torch.optim.AdamW(parameters, lr=rate, weight_decay=0.0)
    if name == "adamw-8bit":
        from bitsandbytes import optim  # only here: the CPU path must not need it

        paged = parameters[0].device.type == "cuda"  # its states can move to the CPU's memory
        kind = optim.PagedAdamW8bit if paged else optim.AdamW8bit
        return kind(parameters, lr=rate, weight_decay=0.0)
    raise ValueError(f"unknown optimizer {name!r}: use 'adamw' or 'adamw-8bit'")
