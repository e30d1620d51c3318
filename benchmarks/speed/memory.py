"""Does the memory calculator of lesson 06 tell the truth?  Its formula against measured peaks.

    python -m benchmarks.speed.memory [--models Qwen2.5-0.5B]

Trains two steps on one part of each size and counts every tensor that is alive at once during the
second (on a CPU; what libraries hold beside tensors is not counted), on CUDA what its allocator
counts.  Adds this machine's rows to `data/memory.csv`; those that are there are not measured again.
"""

import argparse
import gc
import weakref
from datetime import date

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from torch.utils import _pytree
from torch.utils._python_dispatch import TorchDispatchMode

from benchmarks.runner import DATA, append
from distillkit.models.loading import load
from distillkit.problems.equations import BROAD, make_problems
from distillkit.runtime.files import read_csv
from distillkit.runtime.session import processor, start
from distillkit.traces.filters import to_traces
from distillkit.traces.teachers import Solver
from distillkit.training import memory
from distillkit.training.gradients import CompletionLoss
from distillkit.training.lora import lora, with_adapter
from distillkit.training.packing import encode, pack, supervised
from distillkit.training.processes import MIXED

OUT = DATA / "memory.csv"
FIELDS = ("model", "dtype", "rank", "tokens", "learned", "measured_mb", "formula_mb", "machine",
          "date")  # fmt: skip
MODELS = {"SmolLM2-135M": "smollm2-135m-instruct", "Qwen2.5-0.5B": "qwen2.5-coder-0.5b-instruct"}


class LiveTensors(TorchDispatchMode):
    """Counts the bytes of all tensors that operations made and that are still alive."""

    def __init__(self, known):
        super().__init__()
        self.now = self.peak = sum(t.untyped_storage().nbytes() for t in known)
        self.alive = {t.untyped_storage()._cdata for t in known}

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        for tensor in _pytree.tree_leaves(out):
            if isinstance(tensor, torch.Tensor):
                storage = tensor.untyped_storage()
                if storage._cdata not in self.alive:
                    self.alive.add(storage._cdata)
                    self.now += storage.nbytes()
                    weakref.finalize(storage, self._freed, storage._cdata, storage.nbytes())
                    self.peak = max(self.peak, self.now)
        return out

    def _freed(self, key, size):
        self.alive.discard(key)
        self.now -= size


def peak(model, part, accelerator):
    """Return the bytes alive at most while the second step on one part is computed."""
    trained = [p for p in model.parameters() if p.requires_grad]
    module, optimizer = accelerator.prepare(
        CompletionLoss(model), torch.optim.AdamW(trained, lr=1e-5)
    )
    module.train()
    tree = {name: t.to(accelerator.device) for name, t in pack(part).items()}
    accelerator.backward(module(**tree))
    optimizer.step()  # Adam's moments are there now, and the gradients stay
    if accelerator.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
        accelerator.backward(module(**tree))
        return torch.cuda.max_memory_allocated(), tree["input_ids"].shape[1]
    moments = [t for state in optimizer.state.values() for t in state.values()]
    gradients = [p.grad for p in trained]
    with LiveTensors([*model.parameters(), *gradients, *moments]) as counted:
        accelerator.backward(module(**tree))
    return counted.peak, tree["input_ids"].shape[1]


def main():
    """Measure every model, type and size that has no row of this machine yet."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--models", default=",".join(MODELS), help="names, commas between")
    options = arguments.parse_args()
    machine = start()
    on_card = machine.device == "cuda"
    traces = to_traces(Solver(form="collect").sample(make_problems(64, BROAD, "train", 0)))
    there = {(row["model"], row["dtype"], row["machine"]) for row in read_csv(OUT)}
    for shape_name in options.models.split(","):
        for dtype in memory.WEIGHT_BITS:
            if (shape_name, dtype, processor()) in there:
                continue
            quant = dtype if dtype in ("int8", "nf4") else ""
            student = load(MODELS[shape_name], machine.device, "bfloat16" if quant else dtype,
                           lambda _: None, quant)  # fmt: skip
            shape = memory.shape_of(student.model.config)
            assert shape == memory.SHAPES[shape_name], shape
            examples = encode(traces, student.tokenizer)
            rows = []
            for count in (1, 3, 8):
                part = examples[:count]
                AcceleratorState._reset_state(True)
                accelerator = Accelerator(mixed_precision=MIXED.get(student.model.dtype, "no"),
                                          cpu=not on_card)  # fmt: skip
                gc.collect()  # what an earlier run held in circles
                model = with_adapter(student.model, lora())
                found, tokens = peak(model, part, accelerator)
                expected = memory.training(shape, dtype, 16, tokens, supervised(part))
                rows.append({
                    "model": shape_name, "dtype": dtype, "rank": 16, "tokens": tokens,
                    "learned": supervised(part), "measured_mb": round(found / 1e6),
                    "formula_mb": round(sum(expected.values()) / 1e6), "machine": processor(),
                    "date": date.today(),
                })  # fmt: skip
                print(rows[-1], flush=True)
                model.unload()
            append(OUT, FIELDS, rows)
            del student, model


if __name__ == "__main__":
    main()
