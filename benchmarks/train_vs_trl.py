"""Our training against TRL's SFTTrainer: tokens/s, minutes to 90 % exact, peak memory.

    pip install trl
    python benchmarks/train_vs_trl.py [--traces 160] [--test 48] [--out benchmarks/results/x.json]

Both sides train Qwen-0.5B with the same LoRA (r = 16, all linear layers), the same 160 verified
traces, batch 8, rate 5e-4 and one epoch, in float32 on the CPU, each in a process of its own,
one after the other.  TRL's other settings are its defaults, with and without packing.  Accuracy is
measured on unseen equations after every fifth step; the clock stands still meanwhile.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

SIDES = ("ours", "trl", "trl-packed")


def data(options):
    """Return traces and test equations."""
    from distillkit.demo import TEST_SEED
    from distillkit.equations import NARROW, make_problems
    from distillkit.filters import choose, reject, to_traces
    from distillkit.teachers import Recorded

    teacher = Recorded()
    kept, _ = reject(teacher.sample(teacher.problems(NARROW)))
    test = make_problems(options.test, NARROW, "test", TEST_SEED)
    return to_traces(choose(kept, options.traces, options.seed)), test


class Probe:
    """Measures accuracy now and then and keeps its own time off the clock."""

    def __init__(self, tokenizer, test, total, every=5):
        self.tokenizer, self.test, self.total, self.every = tokenizer, test, total, every
        self.began, self.away, self.points = time.perf_counter(), 0.0, []

    def clock(self):
        """Return the training seconds so far."""
        return time.perf_counter() - self.began - self.away

    def __call__(self, step, model):
        if step % self.every and step != self.total:
            return
        from distillkit.evaluation import evaluate, summary

        seconds, start = self.clock(), time.perf_counter()
        exact = summary(evaluate(model, self.tokenizer, self.test, max_new_tokens=96))["exact"]
        self.away += time.perf_counter() - start
        model.train()
        self.points.append({"step": step, "seconds": round(seconds, 1), "exact": exact})
        print(self.points[-1], flush=True)


def side(name, options):
    """Train one side and print one JSON line."""
    import torch

    from distillkit.models import load
    from distillkit.packing import encode
    from distillkit.session import peak_memory_bytes
    from distillkit.training import distill, lora, with_adapter

    student = load("qwen2.5-coder-0.5b-instruct", say=lambda _: None)
    traces, test = data(options)
    tokens = sum(len(example.ids) for example in encode(traces, student.tokenizer))
    steps = -(-len(traces) // 8)
    if name == "ours":
        probe = Probe(student.tokenizer, test, steps)
        before = peak_memory_bytes()
        torch.manual_seed(options.seed)
        model = with_adapter(student.model, lora())
        distill(model, student.tokenizer, traces, None, 5e-4, 8, 1, options.seed,
                on_step=lambda row: probe(row["step"], model))  # fmt: skip
    else:
        from datasets import Dataset
        from transformers import TrainerCallback
        from trl import SFTConfig, SFTTrainer

        class Watch(TrainerCallback):
            def on_step_end(self, args, state, control, model=None, **_):
                probe(state.global_step, model)

        config = SFTConfig(
            output_dir="/tmp/trl-out", per_device_train_batch_size=8, learning_rate=5e-4,
            num_train_epochs=1, seed=options.seed, use_cpu=True, bf16=False, report_to=[],
            save_strategy="no", logging_steps=1000, packing=name == "trl-packed",
            lr_scheduler_type="cosine", disable_tqdm=True,
            **({"max_length": 1024} if name == "trl-packed" else {}),
        )  # fmt: skip
        rows = [{"prompt": t["prompt"], "completion": t["completion"]} for t in traces]
        torch.manual_seed(options.seed)
        trainer = SFTTrainer(student.model, config, train_dataset=Dataset.from_list(rows),
                             processing_class=student.tokenizer, peft_config=lora(),
                             callbacks=[Watch()])  # fmt: skip
        steps = len(trainer.get_train_dataloader())
        probe = Probe(student.tokenizer, test, steps, 5 if name == "trl" else 1)
        before = peak_memory_bytes()
        trainer.train()
    seconds = probe.clock()
    print("RESULT " + json.dumps({
        "side": name, "tokens": tokens, "seconds": round(seconds, 1), "points": probe.points,
        "tokens_per_second": round(tokens / seconds, 1),
        "to_90": next((p["seconds"] for p in probe.points if p["exact"] >= 0.9), None),
        "loaded_bytes": before, "peak_bytes": peak_memory_bytes(),
    }), flush=True)  # fmt: skip


def main():
    """Run the sides one after the other, each in its own process, and print the table."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--traces", type=int, default=160)
    arguments.add_argument("--test", type=int, default=48)
    arguments.add_argument("--seed", type=int, default=0)
    arguments.add_argument("--side", choices=SIDES)
    arguments.add_argument("--sides", default=",".join(SIDES))
    arguments.add_argument("--out", type=Path)
    options = arguments.parse_args()
    if options.side:
        return side(options.side, options)
    results = []
    for name in options.sides.split(","):
        words = [sys.executable, __file__, "--side", name, "--traces", str(options.traces),
                 "--test", str(options.test), "--seed", str(options.seed)]  # fmt: skip
        child = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
        for line in child.stdout:
            print(f"{name}: {line}", end="", flush=True)
            if line.startswith("RESULT "):
                results.append(json.loads(line[7:]))
        if child.wait():
            print(f"{name}: failed")
    for r in results:
        to_90 = f"{r['to_90'] / 60:.1f} min" if r["to_90"] else "not reached"
        print(f"{r['side']:>12}  {r['tokens_per_second']:6.1f} tokens/s  90 %: {to_90:>12}  "
              f"last {100 * r['points'][-1]['exact']:.0f} %  peak {r['peak_bytes'] / 1e9:.2f} GB")
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
