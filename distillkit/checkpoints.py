"""Checkpoints of a training run: safetensors and JSON, in a folder that appears whole or not."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path

import torch
from accelerate import Accelerator
from peft import get_peft_model_state_dict
from peft.utils import set_peft_model_state_dict
from safetensors.torch import load_file, save_file

from distillkit.records import read_jsonl, write_json, write_jsonl


def _tensors(optimizer) -> dict[str, torch.Tensor]:
    """Return the optimizer's tensors by name; plain numbers become tensors."""
    return {
        f"{index}.{key}": torch.as_tensor(value)
        for index, state in optimizer.state_dict()["state"].items()
        for key, value in state.items()
    }


def save(out: Path, step: int, model, optimizer, accelerator: Accelerator, mark: str) -> None:
    """Write a checkpoint of adapter, optimizer and loss scale, then remove older ones."""
    target = out / f"checkpoint-{step:06d}"
    temporary = out / f".checkpoint-{step:06d}.{os.getpid()}"
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    weights = {name: p.detach().cpu().contiguous()
               for name, p in get_peft_model_state_dict(model).items()}  # fmt: skip
    save_file(weights, temporary / "adapter.safetensors")
    save_file({n: t.detach().cpu().contiguous() for n, t in _tensors(optimizer).items()},
              temporary / "optimizer.safetensors")  # fmt: skip
    scale = accelerator.scaler.state_dict() if accelerator.scaler else None
    write_json(temporary / "state.json", {"step": step, "run": mark, "scale": scale})
    shutil.rmtree(target, ignore_errors=True)
    os.replace(temporary, target)
    for old in out.glob("checkpoint-*"):
        if old != target:
            shutil.rmtree(old, ignore_errors=True)


def restore(
    out: Path, model, optimizer, accelerator: Accelerator, mark: str
) -> tuple[int, list[dict]]:
    """Load the newest checkpoint into all of these; return its step and the log so far.

    Raises ValueError if its mark is another one: other traces, seed, batch size, rate or rank.
    """
    out.mkdir(parents=True, exist_ok=True)
    for leftover in out.glob(".checkpoint-*"):
        shutil.rmtree(leftover, ignore_errors=True)
    found = sorted(out.glob("checkpoint-*/state.json"))
    if not found:
        (out / "train.jsonl").unlink(missing_ok=True)
        return 0, []
    folder = found[-1].parent
    state = json.loads(found[-1].read_text())
    if state.get("run") != mark:
        raise ValueError(f"{folder} is of a run with other traces or settings: use a new folder")
    set_peft_model_state_dict(model, load_file(folder / "adapter.safetensors"))
    tensors = load_file(folder / "optimizer.safetensors")
    whole = optimizer.state_dict()
    for name, tensor in tensors.items():
        index, key = name.split(".", 1)
        whole["state"].setdefault(int(index), {})[key] = tensor
    optimizer.load_state_dict(whole)
    if accelerator.scaler:
        accelerator.scaler.load_state_dict(state["scale"])
    log = [row for row in read_jsonl(out / "train.jsonl") if row["step"] <= state["step"]]
    write_jsonl(out / "train.jsonl", log)
    return state["step"], log


def digest(parts: list) -> str:
    """Return the mark of a run: the same for the same traces and settings."""
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]
