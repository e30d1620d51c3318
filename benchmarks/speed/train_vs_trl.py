"""Our training against TRL's SFTTrainer: tokens/s, seconds to 90 % exact, peak memory.

    pip install trl
    python -m benchmarks.speed.train_vs_trl [--seeds 0,1,2] [--dtype float32] [--sides ours,trl]

Both sides train the same Qwen-0.5B on the CPU, in the type of weights that `dk.start()` chooses, on
the same rows, the demo's verified traces (--general 0.2: a fifth of general examples besides): LoRA
r = 16 on all linear layers, the demo's 4 rows a step (--batch), rate 5e-4, cosine, one epoch.
`ours` is the recipe of `distillkit.pipeline.demo`; the other sides are SFTTrainer with its defaults
(`trl`: bfloat16 autocast and gradient checkpointing are on; with --dtype float32 it gets
bf16=False), with packing (`trl-packed`: rows of 1,024 tokens) and without gradient checkpointing
(`trl-no-checkpointing`).
Each run has a process of its own, one after the other, seeds in turn.  Accuracy is measured on
unseen equations now and then; the clock stands still meanwhile.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

from distillkit.runtime.files import read_json

SIDES = ("ours", "trl", "trl-packed", "trl-no-checkpointing")


class Probe:
    """Measures accuracy now and then and keeps its own time off the clock."""

    def __init__(self, tokenizer, test, total, batch, every, first):
        self.tokenizer, self.test, self.total = tokenizer, test, total
        self.batch, self.every, self.first = batch, every, first
        self.began, self.away, self.points = time.perf_counter(), 0.0, []

    def clock(self):
        """Return the training seconds so far."""
        return time.perf_counter() - self.began - self.away

    def __call__(self, step, model):
        """Evaluate when `every` more rows have been seen, and at the end."""
        rows = step * self.batch
        if not self.test or (step != self.total and (rows % self.every or rows < self.first)):
            return
        from distillkit.evaluation.scoring import evaluate, summary

        seconds, start = self.clock(), time.perf_counter()
        answers = evaluate(model, self.tokenizer, self.test, max_new_tokens=96,
                           width=len(self.test))  # fmt: skip
        self.away += time.perf_counter() - start
        model.train()
        self.points.append({"rows": rows, "seconds": round(seconds, 1),
                            "exact": summary(answers)["exact"]})  # fmt: skip
        print(self.points[-1], flush=True)


def forget_peak():
    """Start the kernel's count of this process's peak memory anew (Linux): without loading."""
    Path("/proc/self/clear_refs").write_text("5")


def side(name, options):
    """Train one side with one seed and print one JSON line."""
    import torch

    from distillkit.models.loading import load
    from distillkit.pipeline.recipes import TEST_SEED, settings_for
    from distillkit.problems.equations import NARROW, make_problems
    from distillkit.runtime.files import read_jsonl
    from distillkit.runtime.session import data_path, peak_memory_bytes, start
    from distillkit.traces.filters import choose, mix, reject, to_traces
    from distillkit.traces.teachers import Recorded
    from distillkit.training.loop import TrainingConfig, distill
    from distillkit.training.lora import lora, with_adapter
    from distillkit.training.packing import encode

    machine = start("cpu", options.seed, options.dtype)
    recipe = settings_for(machine)
    student = load("qwen2.5-coder-0.5b-instruct", dtype=machine.dtype, say=lambda _: None)
    teacher = Recorded()
    kept, _ = reject(teacher.sample(teacher.problems(NARROW)))
    traces = to_traces(choose(kept, options.traces, options.seed, recipe.shares))
    traces = mix(traces, read_jsonl(data_path("general.jsonl")), options.general, options.seed)
    test = make_problems(options.test, NARROW, "test", TEST_SEED) if options.test else []
    tokens = sum(len(example.ids) for example in encode(traces, student.tokenizer))
    forget_peak()
    points, batch = (options.every, options.first), options.batch
    if name == "ours":
        probe = Probe(student.tokenizer, test, -(-len(traces) // batch), batch, *points)
        torch.manual_seed(options.seed)
        model = with_adapter(student.model, lora())
        config = TrainingConfig(rate=recipe.rate, batch_size=batch, seed=options.seed)
        distill(model, student.tokenizer, traces, config=config,
                on_step=lambda row: probe(row["step"], model))  # fmt: skip
    else:
        from datasets import Dataset
        from transformers import TrainerCallback
        from trl import SFTConfig, SFTTrainer

        class Watch(TrainerCallback):
            def on_step_end(self, args, state, control, model=None, **_):
                probe(state.global_step, model)

        more = {} if machine.dtype == "bfloat16" else {"bf16": False}
        if name == "trl-packed":
            more |= {"packing": True, "max_length": 1024}
        if name == "trl-no-checkpointing":
            more |= {"gradient_checkpointing": False}
        config = SFTConfig(
            output_dir="/tmp/trl-out", learning_rate=5e-4, num_train_epochs=1, seed=options.seed,
            per_device_train_batch_size=1 if name == "trl-packed" else batch, use_cpu=True,
            report_to=[], save_strategy="no", lr_scheduler_type="cosine", disable_tqdm=True, **more,
        )  # fmt: skip
        rows = [{"prompt": t["prompt"], "completion": t["completion"]} for t in traces]
        trainer = SFTTrainer(student.model, config, train_dataset=Dataset.from_list(rows),
                             processing_class=student.tokenizer, peft_config=lora(),
                             callbacks=[Watch()])  # fmt: skip
        steps = len(trainer.get_train_dataloader())
        probe = Probe(student.tokenizer, test, steps, -(-len(traces) // steps), *points)
        trainer.train()
    seconds = probe.clock()
    print("RESULT " + json.dumps({
        "side": name, "seed": options.seed, "dtype": machine.dtype, "traces": len(traces),
        "tokens": tokens, "seconds": round(seconds, 1), "test": len(test), "points": probe.points,
        "tokens_per_second": round(tokens / seconds, 1),
        "to_90": next((p["seconds"] for p in probe.points if p["exact"] >= 0.9), None),
        "last": probe.points[-1]["exact"] if probe.points else None,
        "peak_bytes": peak_memory_bytes(),
    }), flush=True)  # fmt: skip


def spread(values, digits=1):
    """Write a median with its range."""
    if not values or None in values:
        return "not reached in all runs"
    low, high = min(values), max(values)
    return f"{statistics.median(values):.{digits}f} ({low:.{digits}f}–{high:.{digits}f})"


def main():
    """Run the sides one after the other, each in its own process, and print the table."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--traces", type=int, default=104)
    arguments.add_argument("--general", type=float, default=0.0, help="share of general rows")
    arguments.add_argument("--batch", type=int, default=4, help="rows a step")
    arguments.add_argument("--test", type=int, default=100, help="0: speed and memory only")
    arguments.add_argument("--every", type=int, default=40, help="rows from probe to probe")
    arguments.add_argument("--first", type=int, default=80, help="no probe before so many rows")
    arguments.add_argument("--seeds", default="0,1,2")
    arguments.add_argument("--sides", default="ours,trl")
    arguments.add_argument("--dtype", choices=("float32", "bfloat16"))
    arguments.add_argument("--out", type=Path, help="results are added to this JSON file")
    arguments.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    arguments.add_argument("--seed", type=int, help=argparse.SUPPRESS)
    options = arguments.parse_args()
    if options.side:
        return side(options.side, options)
    passed = ["--traces", options.traces, "--test", options.test, "--every", options.every,
              "--first", options.first, "--general", options.general,
              "--batch", options.batch]  # fmt: skip
    passed += ["--dtype", options.dtype] if options.dtype else []
    results = []
    for seed in options.seeds.split(","):
        for name in options.sides.split(","):
            words = [sys.executable, "-m", "benchmarks.speed.train_vs_trl", "--side", name,
                     "--seed", seed, *map(str, passed)]  # fmt: skip
            found = []
            child = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
            for line in child.stdout:
                print(f"{name} seed {seed}: {line}", end="", flush=True)
                if line.startswith("RESULT "):
                    found = [json.loads(line[7:])]
            results += found
            if child.wait():
                print(f"{name}: failed")
            if options.out:
                old = read_json(options.out) if options.out.exists() else []
                options.out.write_text(json.dumps([*old, *found], indent=1) + "\n")
    for name in options.sides.split(","):
        rows = [r for r in results if r["side"] == name]
        print(f"{name:>21}  {spread([r['tokens_per_second'] for r in rows])} tokens/s  "
              f"90 % after {spread([r['to_90'] for r in rows], 0)} s  "
              f"peak {spread([r['peak_bytes'] / 1e9 for r in rows])} GB")  # fmt: skip


if __name__ == "__main__":
    main()
