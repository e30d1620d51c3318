"""LoRA distillation on a teacher's traces: one visible loop, resumable to the step."""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from peft import LoraConfig, PeftModel, get_peft_model

from distillkit.checkpoints import restore, save
from distillkit.conversion import quiet
from distillkit.gradients import CompletionLoss, Room, gradient_that_fits, tokens_at_once
from distillkit.packing import batches, encode
from distillkit.records import Journal, digest

MIXED = {torch.bfloat16: "bf16", torch.float16: "fp16"}  # accelerate's names


@dataclass
class Run:
    """What a training run gives: the student with its adapter, the log, and how it ended."""

    student: Any
    log: list[dict] = field(default_factory=list)
    finished: bool = True
    tokens: int = 0
    seconds: float = 0.0


def lora(
    r: int = 16, alpha: int | None = None, layers: Sequence[int] | None = None
) -> LoraConfig:
    """Return a LoRA configuration: rank r, scale alpha/r (default 2), on all linear layers.

    `layers` names the decoder layers that get an adapter (default: all); the gradient is computed
    down to the lowest of them and no further.  Source: Hu et al. 2021, arXiv 2106.09685.
    """
    numbers = "|".join(map(str, layers)) if layers is not None else r"\d+"
    return LoraConfig(
        r=r, lora_alpha=alpha or 2 * r, lora_dropout=0.0, task_type="CAUSAL_LM",
        target_modules=rf".*\.layers\.({numbers})\..*_proj",
    )  # fmt: skip


def upper_part(student, share: float) -> range:
    """Return the numbers of the upper `share` of a model's decoder layers, 0 < share <= 1."""
    n = student.config.num_hidden_layers
    return range(n - max(1, round(share * n)), n)


def with_adapter(student, adapter: LoraConfig) -> PeftModel:
    """Freeze the student, in 4, 8 or more bits, and add a trainable LoRA adapter."""
    with quiet():
        return get_peft_model(student, adapter)


def learning_rate(step: int, total: int, peak: float, warmup: int) -> float:
    """Return the rate of step 0, 1, …: a linear warm-up, then a cosine down to zero."""
    if step < warmup:
        return peak * (step + 1) / warmup
    progress = (step - warmup) / max(1, total - warmup)
    return peak * 0.5 * (1 + math.cos(math.pi * progress))


def distill(
    student,
    tokenizer,
    traces: Sequence[dict],
    adapter: LoraConfig | None = None,
    rate: float = 5e-4,
    batch_size: int = 8,
    epochs: float = 1,
    seed: int = 0,
    out: str | Path | None = None,
    optimizer: str = "adamw",
    precision: str = "",
    part_tokens: int | None = None,
    save_seconds: float = 20.0,
    shuffle: bool = True,
    on_step: Callable[[dict], None] | None = None,
) -> Run:
    """Train a LoRA adapter on traces (supervised fine-tuning) and return the run.

    With `out`, each step is logged to `out/train.jsonl` and a checkpoint written about every
    `save_seconds`; the same call goes on from it exactly (weights, optimizer, order of data).
    Ctrl-C ends after the step under way, keeps what was learned and returns finished=False.
    Each epoch has an order of its own; shuffle=False keeps that of the traces (a curriculum).
    A batch is computed in parts of at most `part_tokens` tokens: less memory, the same gradient
    (default: 192 on a CPU, on a GPU what fits; out of memory, half of it is tried once).
    `on_step` gets each log row: step, steps, loss, rate, gradient, tokens, computed (without
    those that examples share), seconds.
    Started by `torchrun` or `accelerate launch`, the processes share each batch and the first one
    writes.
    `optimizer` is "adamw" or, with bitsandbytes, "adamw-8bit" (paged on CUDA); `precision` is
    accelerate's mixed precision, "no", "bf16" or "fp16" (default: what the student's weights
    are in; the adapter's weights stay in float32).  "fp16" scales the loss and leaves out a step
    whose gradient overflows.  Raises ValueError without traces or epochs, FloatingPointError
    if the loss or a gradient is not finite, MemoryError with what to do.
    """
    if not traces:
        raise ValueError("there are no traces to train on: did every candidate get rejected?")
    examples = encode(traces, tokenizer)
    plan = batches(len(examples), batch_size, epochs, seed, shuffle)
    if not plan:
        raise ValueError(f"{epochs} epochs of batches of {batch_size} are no training")
    torch.manual_seed(seed)  # LoRA's A matrices are random
    model = student if isinstance(student, PeftModel) else with_adapter(student, adapter or lora())
    accelerator = _accelerator(model, precision or MIXED.get(model.dtype, "no"))
    room = Room(part_tokens or tokens_at_once(model))
    module = CompletionLoss(model)
    named = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    trained = [p for _, p in named]
    optimizer_ = _optimizer(optimizer, trained, rate)
    module, optimizer_ = accelerator.prepare(module, optimizer_)
    out = Path(out) if out else None
    shapes = [(name, tuple(p.shape)) for name, p in named]
    base = [p.flatten()[:4].tolist() for p in model.parameters() if not p.requires_grad]
    scale = [config.lora_alpha for config in model.peft_config.values()]
    mark = digest([seed, plan, examples, rate, optimizer, accelerator.mixed_precision, shapes,
                   base, scale])  # fmt: skip
    with accelerator.main_process_first():
        done, log = restore(out, model, optimizer_, accelerator, mark) if out else (0, [])
    accelerator.wait_for_everyone()
    run = Run(model, log, tokens=sum(r["tokens"] for r in log),
              seconds=sum(r["seconds"] for r in log))  # fmt: skip
    writes = bool(out) and accelerator.is_main_process
    journal = Journal(out / "train.jsonl", {"run": mark}) if writes else None
    saved = time.monotonic()
    model.train()
    stop = _StopFlag()
    try:
        for step in range(done, len(plan)):
            began = time.perf_counter()
            batch = [examples[i] for i in plan[step]]
            now = learning_rate(step, len(plan), rate, warmup=max(1, len(plan) // 20))
            for group in optimizer_.param_groups:
                group["lr"] = now
            found = gradient_that_fits(module, batch, accelerator, room)
            loss, computed = _over_processes(found, accelerator)
            if not math.isfinite(loss):  # before it reaches the weights
                raise FloatingPointError(f"loss {loss} at step {step + 1}: lower the rate")
            norm = float(accelerator.clip_grad_norm_(trained, 1.0))
            if not math.isfinite(norm) and accelerator.scaler is None:
                raise FloatingPointError(f"gradient {norm} at step {step + 1}: lower the rate")
            optimizer_.step()
            optimizer_.zero_grad()
            row = {
                "step": step + 1, "steps": len(plan), "loss": loss, "rate": now,
                "gradient": norm if math.isfinite(norm) else None,  # fp16: the step was left out
                "tokens": sum(len(e.ids) for e in batch), "computed": int(computed),
                "seconds": time.perf_counter() - began,
            }  # fmt: skip
            run.log.append(row)
            run.tokens += row["tokens"]
            run.seconds += row["seconds"]
            if journal:
                journal.add(row)
            if on_step:
                on_step(row)
            last, (asked,) = step + 1 == len(plan), _over_processes([stop.asked], accelerator)
            if writes and (last or asked or time.monotonic() - saved > save_seconds):
                save(out, step + 1, model, optimizer_, accelerator, mark)
                saved = time.monotonic()
            if asked and not last:
                run.finished = False
                break
    finally:
        stop.restore()
        if journal:
            journal.close()
        model.eval()
    return run


def _over_processes(numbers: Sequence[float], accelerator: Accelerator) -> list[float]:
    sums = torch.tensor(numbers, dtype=torch.float32, device=accelerator.device)
    return accelerator.reduce(sums).tolist()


def _accelerator(model, precision: str) -> Accelerator:
    on_cpu = model.device.type == "cpu"
    AcceleratorState._reset_state(True)  # else the precision of the process's first run is kept
    accelerator = Accelerator(mixed_precision=precision, cpu=on_cpu)
    if precision == "fp16" and on_cpu:  # accelerate leaves out here what a GPU gets
        accelerator.native_amp, accelerator.scaler = True, torch.amp.GradScaler("cpu")
    return accelerator


class _StopFlag:
    """Turns the first Ctrl-C into a flag, so that no step is cut in half; the second one raises."""

    def __init__(self):
        self.asked, self.before = False, None
        if threading.current_thread() is threading.main_thread():
            self.before = signal.signal(signal.SIGINT, self._ask)

    def _ask(self, number: int, frame: Any) -> None:
        self.asked = True
        self.restore()

    def restore(self) -> None:
        if self.before is not None:
            signal.signal(signal.SIGINT, self.before)
            self.before = None


def _optimizer(name: str, parameters: list, rate: float) -> torch.optim.Optimizer:
    if name == "adamw":
        return torch.optim.AdamW(parameters, lr=rate, weight_decay=0.0)
    if name == "adamw-8bit":
        from bitsandbytes import optim  # only here: the CPU path must not need it

        paged = parameters[0].device.type == "cuda"  # its states can move to the CPU's memory
        kind = optim.PagedAdamW8bit if paged else optim.AdamW8bit
        return kind(parameters, lr=rate, weight_decay=0.0)
    raise ValueError(f"unknown optimizer {name!r}: use 'adamw' or 'adamw-8bit'")
