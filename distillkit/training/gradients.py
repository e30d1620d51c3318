"""The gradient of a batch's weighted mean loss: in parts that fit, by all processes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass

import torch
from accelerate import Accelerator
from peft import PeftModel

from distillkit.training.memory import most_tokens, shape_of
from distillkit.training.objectives import Objective, next_token, read
from distillkit.training.packing import Example, pack, parts_of, supervised, weight_of

CPU_TOKENS = 384  # of a part: fewer repeat the shared beginning, more only cost memory
NO_ROOM = (
    "training does not fit into the device's memory, in parts of {} tokens or one example: close "
    "other programs that use it, take a 4-bit student (--quant nf4) or a smaller one, or shorter "
    "traces"
)


class CompletionLoss(torch.nn.Module):
    """The student with its objective: one forward pass, as `accelerate` and DDP wrap it."""

    def __init__(self, student, objective: Objective = next_token):
        super().__init__()
        self.student, self.objective = student, objective

    def forward(self, **batch) -> torch.Tensor:
        """Return the objective's weighted sum over a tree; arguments as `pack` makes."""
        return self.objective(read(self.student, batch), batch)


def add_gradient(
    module: torch.nn.Module, batch: Sequence[Example], accelerator: Accelerator, part_tokens: int
) -> tuple[float, int, dict[str, float]]:
    """Add the gradient of a batch's mean loss; return this process's share of the loss, the number
    of tokens, and its share of the loss of each kind of example.

    The mean over the batch is the weighted mean of the parts' means.  Of P processes each takes one
    example in P; their gradients are averaged when the last part is done, hence the factor P.
    Raises ValueError if no position of the batch has a weight.
    """
    rank, processes = accelerator.process_index, accelerator.num_processes
    mine = batch[rank::processes]
    parts = parts_of(mine or batch[:1], part_tokens)  # none may be missing when they average
    whole, loss, computed = weight_of(batch), 0.0, 0
    kinds = dict.fromkeys(sorted({example.kind for example in batch}), 0.0)
    if whole <= 0:
        raise ValueError("every label is -100 or has no weight: nothing to train on")
    for part in parts:
        tree = {name: t.to(accelerator.device) for name, t in pack(part).items()}
        weight, weights_N = weight_of(part), tree["weights_N"].requires_grad_()
        share = weight / whole if mine else 0.0
        with nullcontext() if part is parts[-1] else accelerator.no_sync(module):
            part_loss = module(**tree) / (weight or 1.0) * share
            accelerator.backward(part_loss * processes)
        value = part_loss.item()  # once: on a card it waits for all that was asked of it
        loss += value
        computed += tree["input_ids"].numel()
        for example, fraction in zip(part if mine else (), fractions(weights_N, part)):
            kinds[example.kind] += value * fraction
    of_kind = {kind: weight_of([e for e in batch if e.kind == kind]) for kind in kinds}
    return loss, computed, {k: whole / of_kind[k] * kinds[k] for k in kinds if of_kind[k]}


def fractions(weights_N: torch.Tensor, part: Sequence[Example]) -> list[float]:
    """Return how much of a part's loss each of its examples has: numbers that add up to 1, or 0s
    for a part whose loss is 0.

    The loss is a sum of weight times loss over the positions, so its gradient with respect to a
    weight is the loss there, and the backward pass has computed it.  NaN for an objective that
    does not use the weights.
    """
    if weights_N.grad is None:
        return [math.nan] * len(part)
    lost_N = weights_N.detach() * weights_N.grad
    each = lost_N.split([supervised([example]) for example in part])  # in the order of `pack`
    return (torch.stack([lost.sum() for lost in each]) / (lost_N.sum() or 1.0)).tolist()


@dataclass
class Room:
    """How many tokens a part of a batch may have; halved when the memory is full."""

    tokens: int


def gradient_that_fits(
    module: torch.nn.Module, batch: Sequence[Example], accelerator: Accelerator, room: Room
) -> tuple[float, int, dict[str, float]]:
    """Call `add_gradient`; while the device's memory is full, again in parts half as long.

    Raises MemoryError, with what to do, once each part is one example.
    """
    try:
        return add_gradient(module, batch, accelerator, room.tokens)
    except torch.OutOfMemoryError as error:
        alone = len(parts_of(batch, room.tokens)) == len(batch)
        if alone or accelerator.num_processes > 1:
            raise MemoryError(NO_ROOM.format(room.tokens)) from error
    module.zero_grad()  # here the error is gone, and the tensors that it held
    torch.cuda.empty_cache()
    room.tokens //= 2
    return gradient_that_fits(module, batch, accelerator, room)


def tokens_at_once(model) -> int:
    """Return how many tokens a part of a batch may have: on a GPU what its free memory holds."""
    if model.device.type != "cuda":
        return CPU_TOKENS
    free, total = torch.cuda.mem_get_info()
    cap = getattr(torch.cuda, "get_per_process_memory_fraction", lambda: 1.0)  # torch 2.8
    held, used = torch.cuda.memory_reserved(), torch.cuda.memory_allocated()
    kind = "float32" if model.dtype == torch.float32 else "bfloat16"
    r = model.active_peft_config.r if isinstance(model, PeftModel) else None
    return most_tokens(shape_of(model.config), kind,
                       min(free + held, total * cap()) - used, r)  # fmt: skip
