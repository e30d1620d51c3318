"""What each change to the recipe does alone: seconds, tokens, accuracy, over three seeds.

    python benchmarks/ablation.py [--seeds 0,1,2] [--traces 64] [--test 60] [--only "batch 4,…"]

Trains Qwen-0.5B on few traces, so that there is room above and below, and appends one row a run
to `data/ablation_training.csv`; runs that are there already are not repeated.  Accuracy is on
unseen equations of the narrow families; training seconds are without loading and evaluation.
"""

import argparse
import time
from datetime import date

import torch
from rows import DATA, append, done

from distillkit import gradients, seeds, training
from distillkit.equations import NARROW, make_problems
from distillkit.evaluation import evaluate, summary
from distillkit.filters import choose, mix, reject, to_traces
from distillkit.models import load
from distillkit.packing import pack
from distillkit.recipes import HARD, TEST_SEED
from distillkit.records import read_csv, read_jsonl
from distillkit.session import data_path, machine, start
from distillkit.teachers import Recorded

OUT = DATA / "ablation_training.csv"
FIELDS = ("change", "seed", "traces", "tokens", "computed_tokens", "train_seconds", "test",
          "exact", "format", "last_loss", "dtype", "machine", "date")  # fmt: skip
RECIPES = {  # each differs from "base" in one thing, but for the last
    "base": {},
    "sequences apart": {"apart": True},
    "batch 4": {"batch_size": 4},
    "rate 1e-3": {"rate": 1e-3},
    "upper half of the layers": {"upper": 0.5},
    "three times as many both-sides": {"shares": HARD},
    "half the traces twice": {"epochs": 2},
    "20 % general data": {"general": 0.2},
    "batch 4 + upper half + more both-sides": {"batch_size": 4, "upper": 0.5, "shares": HARD},
}


def pack_apart(examples):
    """Lay examples out side by side: packed without padding, but nothing is shared."""
    trees, first = [pack([example]) for example in examples], 0
    for tree in trees:
        tree["nodes_N"] += first
        first += tree["input_ids"].numel()
    joined = {name: torch.cat([tree[name] for tree in trees], -1)
              for name in ("input_ids", "position_ids", "nodes_N", "labels_N")}  # fmt: skip
    sees = torch.block_diag(*((tree["attention_mask"][0, 0] == 0).float() for tree in trees))
    mask = torch.zeros(sees.shape).masked_fill(sees == 0, -torch.inf)
    return {**joined, "attention_mask": mask[None, None]}


def train(student, kept, test, options, seed, batch_size=8, rate=5e-4, upper=1.0, epochs=1,
          general=0.0, shares=None, apart=False):  # fmt: skip
    """Train once and return a row."""
    traces = to_traces(choose(kept, options.traces // epochs, seed, shares))
    if general:
        traces = mix(traces, read_jsonl(data_path("general.jsonl")), general, seed)
    adapter = training.lora(layers=training.upper_part(student.model, upper))
    gradients.pack = pack_apart if apart else pack
    began = time.perf_counter()
    run = training.distill(student.model, student.tokenizer, traces, adapter, rate, batch_size,
                           epochs, seed)  # fmt: skip
    seconds = time.perf_counter() - began
    model, log = run.student, run.log
    after = summary(evaluate(model, student.tokenizer, test, width=len(test), max_new_tokens=96))
    model.unload()  # never merged: 16-bit weights would not come back the same
    return {
        "seed": seed, "traces": len(traces), "tokens": sum(r["tokens"] for r in log),
        "computed_tokens": sum(r["computed"] for r in log), "train_seconds": round(seconds, 1),
        "test": len(test), "exact": round(after["exact"], 4), "format": round(after["format"], 4),
        "last_loss": round(log[-1]["loss"], 4), "machine": machine(), "date": date.today(),
    }  # fmt: skip


def main():
    """Run what is missing and append it."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--seeds", default="0,1,2")
    arguments.add_argument("--traces", type=int, default=64)
    arguments.add_argument("--test", type=int, default=60)
    arguments.add_argument("--only", default=",".join(RECIPES))
    options = arguments.parse_args()
    kit = start("cpu")
    there = done(OUT, "change", "seed")
    student = load("qwen2.5-coder-0.5b-instruct", dtype=kit.dtype, say=lambda _: None)
    teacher = Recorded()
    kept, _ = reject(teacher.sample(teacher.problems(NARROW)))
    test = make_problems(options.test, NARROW, "test", TEST_SEED)
    for seed in options.seeds.split(","):
        for name in options.only.split(","):
            if (name, seed) in there:
                continue
            row = train(student, kept, test, options, int(seed), **RECIPES[name])
            append(OUT, FIELDS, [{"change": name, "dtype": kit.dtype, **row}])
            print(name, row, flush=True)
    show()


def show():
    """Print, for each change, its seconds and right answers in 100 with paired intervals."""
    rows = read_csv(OUT)
    values = {}
    for key, factor in (("train_seconds", 1), ("computed_tokens", 1), ("exact", 100)):
        for row in sorted(rows, key=lambda r: r["seed"]):
            values.setdefault(key, {}).setdefault(row["change"], []).append(
                factor * float(row[key]))  # fmt: skip
        print(f"\n{key}\n{seeds.table(values[key], 'base')}")


if __name__ == "__main__":
    main()
