"""Checkpoints of a training run: safetensors and JSON, in a folder that appears whole or not."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TypedDict

import torch
from accelerate import Accelerator
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from distillkit.runtime.files import (
    ABOUT,
    Journal,
    put_in_place,
    read_json,
    read_jsonl,
    write_json,
    write_jsonl,
)

TRAINED, MOMENTS = "trained.safetensors", "optimizer.safetensors"
Parameters = dict[str, torch.nn.Parameter]  # by name: an adapter's, or a plain model's own


class LogRow(TypedDict):
    """What a step leaves in the log; rate and loss (in nats) are those it was done with."""

    step: int  # 1, 2, …
    steps: int  # of the whole run
    loss: float
    kinds: dict[str, float]  # the mean loss of the examples of each kind
    rate: float
    gradient: float | None  # its norm before it was cut; None: it overflowed, no step was done
    tokens: int  # of the examples of all processes
    computed: int  # of these, without those that examples share
    seconds: float


def _flat(state: dict, place: str = "") -> dict[str, torch.Tensor | float]:
    """Return the tensors and numbers of nested dicts by their place, such as `3.exp_avg`."""
    found = {}
    for key, value in state.items():
        found |= _flat(value, f"{place}{key}.") if isinstance(value, dict) else {
            f"{place}{key}": value}  # fmt: skip
    return found


def _nested(flat: dict[str, torch.Tensor | float]) -> dict:
    """Undo `_flat` for an optimizer's state: the first key is a parameter's number."""
    state: dict = {}
    for place, value in flat.items():
        index, *path, last = place.split(".")
        part = state.setdefault(int(index), {})
        for key in path:
            part = part.setdefault(key, {})
        part[last] = value
    return state


def save(
    out: Path, step: int, trained: Parameters, optimizer, accelerator: Accelerator, mark: str
) -> None:
    """Write a checkpoint: trained parameters, optimizer and loss scale; then remove older ones.

    Raises OSError that says what is kept if it cannot be written, such as on a full disk.
    """
    target = out / f"checkpoint-{step:06d}"
    temporary = out / f".checkpoint-{step:06d}.{os.getpid()}"
    shutil.rmtree(temporary, ignore_errors=True)
    weights = {name: p.detach().cpu().contiguous() for name, p in trained.items()}
    flat = _flat(optimizer.state_dict()["state"])
    tensors = {
        name: t.detach().cpu().clone(memory_format=torch.contiguous_format)  # some share memory
        for name, t in flat.items() if torch.is_tensor(t)
    }  # fmt: skip
    try:
        temporary.mkdir(parents=True)
        save_file(weights, temporary / TRAINED)
        save_file(tensors, temporary / MOMENTS)
        write_json(temporary / "state.json", {
            "step": step, "run": mark,
            "numbers": {n: v for n, v in flat.items() if n not in tensors},
            "scale": accelerator.scaler.state_dict() if accelerator.scaler else None,
        })  # fmt: skip
        put_in_place(temporary, target)
    except (OSError, SafetensorError) as error:
        shutil.rmtree(temporary, ignore_errors=True)
        last = max((path.name for path in out.glob("checkpoint-*")), default="none")
        raise OSError(
            f"the checkpoint of step {step} could not be written in {out} ({error}). The last one "
            f"is {last}: make room, and the same command goes on from there"
        ) from error
    for old in out.glob(f"checkpoint-*/{TRAINED}"):  # other programs' stay
        if old.parent != target:
            shutil.rmtree(old.parent, ignore_errors=True)


def restore(
    out: Path, trained: Parameters, optimizer, accelerator: Accelerator, mark: str
) -> tuple[int, list[LogRow]]:
    """Load the newest checkpoint into all of these; return its step and the log so far.

    Raises ValueError if its mark is another one (other traces, seed, batch size, rate or rank),
    and for damaged files.
    """
    out.mkdir(parents=True, exist_ok=True)
    for leftover in out.glob(".checkpoint-*"):
        shutil.rmtree(leftover, ignore_errors=True)
    found = sorted(out.glob("checkpoint-*/state.json"))
    if not found:
        if (out / "train.jsonl").exists():  # nobody's other log is removed
            Journal(out / "train.jsonl", {"run": mark}, {"step": int}).close()
            (out / "train.jsonl").unlink()
        return 0, []
    folder = found[-1].parent
    state = read_json(found[-1])
    if state.get("run") != mark:
        raise ValueError(f"{folder} is of a run with other traces or settings: use a new folder")
    try:
        kept, moments = (load_file(folder / name) for name in (TRAINED, MOMENTS))
    except SafetensorError as error:
        raise ValueError(
            f"{folder} is damaged ({error}): remove that folder, and the same command trains from "
            "the start"
        ) from error
    with torch.no_grad():
        for name, parameter in trained.items():
            parameter.copy_(kept[name])
    flat = {**moments, **state["numbers"]}
    optimizer.load_state_dict({**optimizer.state_dict(), "state": _nested(flat)})
    if accelerator.scaler:
        accelerator.scaler.load_state_dict(state["scale"])
    log = [row for row in read_jsonl(out / "train.jsonl") if row["step"] <= state["step"]]
    write_jsonl(out / "train.jsonl", [{ABOUT: {"run": mark}}, *log])
    return state["step"], log
