"""Distillation on a teacher's traces: one visible loop, resumable to the step.

`train_step` is what happens, `distill` is when.  Precision, optimizer and several processes stand
in `processes`, the gradient of a batch in `gradients`, journal and checkpoints in `resuming`; a
loop without any of these is `plain_loop`.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel

from distillkit.models.loading import refuse_other_attention
from distillkit.traces.filters import Trace
from distillkit.training.checkpoints import LogRow
from distillkit.training.lora import lora, refuse_leftovers, with_adapter
from distillkit.training.objectives import Objective, description, must_read_alike, next_token
from distillkit.training.packing import Example, Stream, encode, in_epochs
from distillkit.training.processes import TrainState, open_training
from distillkit.training.resuming import CtrlC, Recording, mark_of


@dataclass(frozen=True)
class TrainingConfig:
    """How to train; the defaults are the kit's recipe for a LoRA adapter on a small student.

    `rate` is the peak of the learning rate.  Each epoch has an order of its own; shuffle=False
    keeps that of the traces (a curriculum).  A `Stream` brings its own batches: `batch_size`,
    `epochs` and `shuffle` do not count then.
    `optimizer` is "adamw" or, with bitsandbytes, "adamw-8bit" (paged on CUDA).  `precision` is
    accelerate's mixed precision, "no", "bf16" or "fp16" (default: what the student's weights are
    in; the trained ones are in float32).  "fp16" scales the loss and leaves out a step whose
    gradient overflows.
    A batch is computed in parts of at most `part_tokens` tokens: less memory, the same gradient
    (default: 384 on a CPU, on a GPU what fits; out of memory, half of it is tried, and so on).
    A checkpoint is written about every `save_seconds`.
    """

    rate: float = 5e-4
    batch_size: int = 8
    epochs: float = 1
    seed: int = 0
    shuffle: bool = True
    optimizer: str = "adamw"
    precision: str = ""
    part_tokens: int | None = None
    save_seconds: float = 20.0


RECIPE = TrainingConfig()


@dataclass
class Run:
    """What a training run gives: the trained student, the log, and how it ended."""

    student: Any
    log: list[LogRow] = field(default_factory=list)
    finished: bool = True

    @property
    def tokens(self) -> int:
        """The tokens of all examples that were read."""
        return sum(row["tokens"] for row in self.log)

    @property
    def seconds(self) -> float:
        """The time that all steps took."""
        return sum(row["seconds"] for row in self.log)


def learning_rate(step: int, total: int, peak: float) -> float:
    """Return the rate of step 0, 1, …: a linear warm-up of a twentieth, then a cosine to zero."""
    warmup = max(1, total // 20)
    if step < warmup:
        return peak * (step + 1) / warmup
    progress = (step - warmup) / max(1, total - warmup)
    return peak * 0.5 * (1 + math.cos(math.pi * progress))


def train_step(
    state: TrainState, batch: Sequence[Example], step: int, steps: int, peak: float
) -> LogRow:
    """Do step 0, 1, …, `steps` - 1 and return its row of the log.

    Raises FloatingPointError if the loss or the gradient is not finite, before it reaches the
    weights.
    """
    began = time.perf_counter()
    rate = learning_rate(step, steps, peak)
    for group in state.optimizer.param_groups:
        group["lr"] = rate
    loss, computed, kinds = state.gradient(batch)  # forward and backward, in parts that fit
    _must_be_finite("loss", loss, step)
    norm = state.clip(1.0)
    _must_be_finite("gradient", norm, step)
    state.optimizer.step()
    state.optimizer.zero_grad()
    return {
        "step": step + 1, "steps": steps, "loss": loss, "kinds": kinds, "rate": rate,
        "gradient": norm,
        "tokens": sum(len(example.ids) for example in batch), "computed": computed,
        "seconds": time.perf_counter() - began,
    }  # fmt: skip


def _must_be_finite(name: str, value: float | None, step: int) -> None:
    if value is not None and not math.isfinite(value):
        raise FloatingPointError(f"{name} {value} at step {step + 1}: lower the rate")


def distill(
    student,
    tokenizer,
    traces: Sequence[Trace | Example] | Stream,
    adapter: LoraConfig | bool = True,
    config: TrainingConfig = RECIPE,
    objective: Objective = next_token,
    out: str | Path | None = None,
    on_step: Callable[[LogRow], None] | None = None,
) -> Run:
    """Train a student on traces (supervised fine-tuning, by default) and return the run.

    It gets a LoRA adapter, `lora()` if none is given; a student that has one is trained on.  With
    adapter=False its own parameters that require a gradient are trained, all or some.
    `traces` may be examples with weights, or a `Stream` that gives new ones at each step.
    `objective(model_out, batch)` is the weighted sum of a loss over the supervised positions: the
    next token, or `Match(teacher, ...)`.  One of your own that has settings names them, as plain
    values, in an attribute `depends_on`.
    With `out`, each step is logged to `out/train.jsonl` and checkpoints are written; the same call
    goes on from the last one exactly (weights, optimizer, order of data).
    Ctrl-C ends after the step under way, keeps what was learned and returns finished=False.
    `on_step` gets each row of the log.
    Started by `torchrun` or `accelerate launch`, the processes share each batch and the first one
    writes.
    Raises ValueError without traces or epochs, for the checkpoint of another run, and for a plain
    model that an earlier adapter was put into (see `refuse_leftovers`); FloatingPointError if the
    loss or a gradient is not finite; MemoryError with what to do.
    """
    if isinstance(traces, Stream):
        stream = traces
    else:
        examples = encode(traces, tokenizer)
        longest = max((len(example.ids) for example in examples), default=0)
        refuse_other_attention(student, longest, ours=False)  # before any work, not at some step
        stream = in_epochs(examples, config.batch_size, config.epochs, config.seed, config.shuffle)
    must_read_alike(student)
    torch.manual_seed(config.seed)  # LoRA's A matrices are random
    model = student
    if adapter and not isinstance(student, PeftModel):
        model = with_adapter(student, lora() if adapter is True else adapter)
    elif not isinstance(student, PeftModel):
        refuse_leftovers(student)
    state = open_training(model, objective, config.rate, config.optimizer, config.precision,
                          config.part_tokens)  # fmt: skip
    mark = mark_of(model, state, config.seed, config.rate, config.optimizer, stream.steps,
                   stream.depends_on, description(objective))  # fmt: skip
    recording = Recording(Path(out) if out else None, state, mark, config.save_seconds)
    run = Run(model, recording.log)
    model.train()
    try:
        with recording, CtrlC() as ctrl_c:
            for step in range(recording.done, stream.steps):
                batch = stream.batch(step, tokenizer)
                row = train_step(state, batch, step, stream.steps, config.rate)
                recording.add(row)
                if on_step:
                    on_step(row)
                last, (asked,) = step + 1 == stream.steps, state.total([ctrl_c.asked])
                recording.save(step + 1, now=last or asked > 0)
                if asked and not last:
                    run.finished = False
                    break
    finally:
        model.eval()
    return run
