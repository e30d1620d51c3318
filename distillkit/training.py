"""LoRA distillation on a teacher's traces: one visible loop, resumable to the step.

Dimension key: B examples, L tokens of the longest, E hidden width, N supervised positions, V
vocabulary.
"""

from __future__ import annotations

import math
import random
import signal
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from peft import LoraConfig, PeftModel, get_peft_model, prepare_model_for_kbit_training

from distillkit.checkpoints import digest, restore, save
from distillkit.conversion import quiet
from distillkit.losses import IGNORE, cross_entropy
from distillkit.records import Journal
from distillkit.templates import chat_text


@dataclass
class Example:
    """Token ids of prompt and completion; only the completion's labels are not -100."""

    ids: list[int]
    labels: list[int]


@dataclass
class Run:
    """What a training run gives: the student with its adapter, the log, and how it ended."""

    student: Any
    log: list[dict] = field(default_factory=list)
    finished: bool = True
    tokens: int = 0
    seconds: float = 0.0


def lora(r: int = 16, alpha: int | None = None, targets: str = "all-linear") -> LoraConfig:
    """Return a LoRA configuration: rank r, scale alpha/r (default 2), all linear layers."""
    return LoraConfig(
        r=r, lora_alpha=alpha or 2 * r, lora_dropout=0.0, target_modules=targets,
        task_type="CAUSAL_LM",
    )  # fmt: skip


def with_adapter(student, adapter: LoraConfig) -> PeftModel:
    """Freeze the student and add a trainable LoRA adapter; a 4-bit student is prepared first."""
    with quiet():
        if getattr(student, "is_loaded_in_4bit", False):
            student = prepare_model_for_kbit_training(student, use_gradient_checkpointing=False)
        return get_peft_model(student, adapter)


def encode(traces: Sequence[dict], tokenizer) -> list[Example]:
    """Turn prompt-completion traces into examples: the loss sees the completion and its end.

    Raises ValueError for a trace whose completion is empty.
    """
    examples = []
    for trace in traces:
        prompt = chat_text(tokenizer, trace["prompt"])
        completion = trace["completion"][0]["content"]
        if not completion.strip():
            raise ValueError(f"trace {trace.get('id')!r} has an empty completion")
        # Apart, so that no token can span the border: sampling cuts there, too
        prompt_ids = tokenizer(prompt, add_special_tokens=False)["input_ids"]
        own_ids = tokenizer(completion, add_special_tokens=False)["input_ids"]
        own_ids = [*own_ids, tokenizer.eos_token_id]  # the student must learn to stop
        examples.append(Example(prompt_ids + own_ids, [IGNORE] * len(prompt_ids) + own_ids))
    return examples


def batches(lengths: Sequence[int], size: int, epochs: float, seed: int) -> list[list[int]]:
    """Return the batches of all epochs as lists of indices, fixed by the seed.

    Examples of similar length go together: a shuffled epoch is cut into windows of 8 batches,
    each sorted by length, and the batches are shuffled again.
    """
    plan: list[list[int]] = []
    for epoch in range(math.ceil(epochs)):
        rng = random.Random(f"batches-{seed}-{epoch}")
        order = list(range(len(lengths)))
        rng.shuffle(order)
        window = 8 * size
        parts = [order[i : i + window] for i in range(0, len(order), window)]
        order = [i for part in parts for i in sorted(part, key=lengths.__getitem__)]
        epoch_plan = [order[i : i + size] for i in range(0, len(order), size)]
        rng.shuffle(epoch_plan)
        plan += epoch_plan
    return plan[: max(1, round(epochs * math.ceil(len(lengths) / size)))]


def learning_rate(step: int, total: int, peak: float, warmup: int) -> float:
    """Return the rate of step 0, 1, …: a linear warm-up, then a cosine down to a tenth."""
    if step < warmup:
        return peak * (step + 1) / warmup
    progress = (step - warmup) / max(1, total - warmup)
    return peak * (0.1 + 0.45 * (1 + math.cos(math.pi * progress)))


def parts_of(examples: Sequence[Example], most: int) -> list[list[Example]]:
    """Cut a batch into parts of at most `most` tokens with padding; one long example is a part.

    The gradient is the sum over the parts, so the parts change the memory and not the result.
    """
    parts: list[list[Example]] = []
    for example in sorted(examples, key=lambda e: len(e.ids)):
        if parts and (len(parts[-1]) + 1) * len(example.ids) <= most:
            parts[-1].append(example)
        else:
            parts.append([example])
    return parts


def supervised(examples: Sequence[Example]) -> int:
    """Return how many positions the loss of these examples is taken over."""
    return sum(label != IGNORE for example in examples for label in example.labels[1:])


def collate(examples: Sequence[Example], pad: int) -> dict[str, torch.Tensor]:
    """Pad a batch on the right: input_ids, labels, attention_mask, each (B, L)."""
    longest = max(len(example.ids) for example in examples)

    def padded(rows: list[list[int]], value: int) -> torch.Tensor:
        return torch.tensor([row + [value] * (longest - len(row)) for row in rows])

    return {
        "input_ids": padded([e.ids for e in examples], pad),
        "labels": padded([e.labels for e in examples], IGNORE),
        "attention_mask": padded([[1] * len(e.ids) for e in examples], 0),
    }


class CompletionLoss(torch.nn.Module):
    """The student with its loss; the output head is computed at supervised positions only.

    The head is a quarter of a 0.5B model's work and its logits most of the memory, so positions
    of the prompt and of the padding never reach it.
    """

    def __init__(self, student):
        super().__init__()
        self.student = student

    def forward(self, input_ids, labels, attention_mask) -> torch.Tensor:
        """Return the mean cross-entropy of the completion tokens."""
        causal = self.student.get_base_model()
        hidden_BLE = causal.base_model(
            input_ids=input_ids, attention_mask=attention_mask, use_cache=False
        ).last_hidden_state
        next_BL = labels[:, 1:]  # position t predicts token t + 1
        supervised_BL = next_BL != IGNORE
        logits_NV = causal.get_output_embeddings()(hidden_BLE[:, :-1][supervised_BL])
        return cross_entropy(logits_NV, next_BL[supervised_BL])


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
    precision: str = "no",
    part_tokens: int = 256,
    save_seconds: float = 20.0,
    on_step: Callable[[dict], None] | None = None,
) -> Run:
    """Train a LoRA adapter on traces (supervised fine-tuning) and return the run.

    With `out`, each step is logged to `out/train.jsonl` and a checkpoint written about every
    `save_seconds`; the same call goes on from it exactly (weights, optimizer, order of data).
    Ctrl-C ends after the step under way, keeps what was learned and returns finished=False.
    A batch is computed in parts of at most `part_tokens` tokens: less memory, the same gradient.
    `on_step` gets each log row: step, steps, loss, rate, gradient, tokens, seconds.
    `optimizer` is "adamw" or, with bitsandbytes on CUDA, "adamw-8bit"; `precision` is
    accelerate's mixed precision: "no", "bf16" or "fp16".  Raises ValueError without traces.
    """
    if not traces:
        raise ValueError("there are no traces to train on: did every candidate get rejected?")
    examples = encode(traces, tokenizer)
    plan = batches([len(e.ids) for e in examples], batch_size, epochs, seed)
    torch.manual_seed(seed)  # LoRA's A matrices are random
    model = student if isinstance(student, PeftModel) else with_adapter(student, adapter or lora())
    on_cpu = next(model.parameters()).device.type == "cpu"
    accelerator = Accelerator(mixed_precision=precision, cpu=on_cpu)
    module = CompletionLoss(model)
    trained = [p for p in module.parameters() if p.requires_grad]
    optimizer_ = _optimizer(optimizer, trained, rate)
    module, optimizer_ = accelerator.prepare(module, optimizer_)
    out = Path(out) if out else None
    mark = digest([seed, plan, examples, rate, optimizer, [tuple(p.shape) for p in trained]])
    done, log = restore(out, model, optimizer_, mark) if out else (0, [])
    run = Run(model, log, tokens=sum(r["tokens"] for r in log),
              seconds=sum(r["seconds"] for r in log))  # fmt: skip
    journal = Journal(out / "train.jsonl") if out else None
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
            loss = 0.0
            for part in parts_of(batch, part_tokens):
                tensors = collate(part, tokenizer.pad_token_id)
                tensors = {name: t.to(accelerator.device) for name, t in tensors.items()}
                # The mean over the batch is the weighted mean of the parts' means
                part_loss = module(**tensors) * (supervised(part) / supervised(batch))
                loss += part_loss.item()
                if not math.isfinite(loss):  # before it reaches the weights
                    raise FloatingPointError(f"loss {loss} at step {step + 1}: lower the rate")
                accelerator.backward(part_loss)
            norm = accelerator.clip_grad_norm_(trained, 1.0)
            optimizer_.step()
            optimizer_.zero_grad()
            row = {
                "step": step + 1, "steps": len(plan), "loss": loss, "rate": now,
                "gradient": float(norm), "tokens": sum(len(e.ids) for e in batch),
                "seconds": time.perf_counter() - began,
            }  # fmt: skip
            run.log.append(row)
            run.tokens += row["tokens"]
            run.seconds += row["seconds"]
            if journal:
                journal.add(row)
            if on_step:
                on_step(row)
            last, asked = step + 1 == len(plan), stop.asked
            if out and (last or asked or time.monotonic() - saved > save_seconds):
                save(out, step + 1, model, optimizer_, mark)
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
        from bitsandbytes.optim import AdamW8bit  # only here: the CPU path must not need it

        return AdamW8bit(parameters, lr=rate, weight_decay=0.0)
    raise ValueError(f"unknown optimizer {name!r}: use 'adamw' or 'adamw-8bit'")
