"""Our on-policy distillation against TRL's DistillationTrainer and GKD: one teacher, one data.

    pip install trl
    python -m benchmarks.speed.distill_vs_trl [--steps 6] [--test 48] [--sides trl,gkd,ours]

Qwen-0.5B learns on its own texts, judged by a second 0.5B that has learned 128 verified traces; its
adapter, and that of the student's cold start (16 traces), are merged first and by nobody's clock.
All sides: reverse KL, temperature 1, batch 8, at most 96 new tokens, a new LoRA adapter of r = 16
on all linear layers, rate 1e-4 with a cosine, the type of weights that `dk.start()` chooses; TRL's
other settings are its defaults (gradient checkpointing is on).  GKD gets its texts from the student
alone (lmbda = 1), too.  At the end `ours` runs again for as many seconds as each other side.  Each
run has a process of its own.  Tokens are those of the sampled texts.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.speed.train_vs_trl import forget_peak
from distillkit.evaluation.scoring import evaluate, summary
from distillkit.generation.sampler import sample
from distillkit.models.loading import load
from distillkit.pipeline.recipes import TEST_SEED
from distillkit.problems.equations import NARROW, make_problems
from distillkit.runtime.session import peak_memory_bytes, start
from distillkit.traces.filters import choose, reject, to_traces
from distillkit.traces.teachers import Recorded
from distillkit.traces.templates import messages
from distillkit.training.loop import TrainingConfig, distill
from distillkit.training.lora import lora
from distillkit.training.losses import reverse_kl
from distillkit.training.objectives import Match
from distillkit.training.on_policy import own_texts
from distillkit.training.packing import Stream

STUDENT, BATCH, LIMIT, RATE = "qwen2.5-coder-0.5b-instruct", 8, 96, 1e-4


def make(folder):
    """Write teacher and student: Qwen-0.5B after 128 and 16 verified traces, adapters merged."""
    machine, recorded = start("cpu"), Recorded()
    kept, _ = reject(recorded.sample(recorded.problems(NARROW)))
    for name, traces in (("teacher", 128), ("student", 16)):
        loaded = load(STUDENT, dtype=machine.dtype, say=lambda _: None)
        run = distill(loaded.model, loaded.tokenizer, to_traces(choose(kept, traces, 0)))
        run.student.merge_and_unload().save_pretrained(folder / name)
        loaded.tokenizer.save_pretrained(folder / name)


def ours(student, tokenizer, teacher, prompts, steps):
    """Train by `distill`; returns (student, tokens of the sampled texts)."""
    texts = own_texts(student, tokenizer, prompts, BATCH, steps, 1.0, LIMIT)
    sampled = []

    def draw(step):
        examples = texts.draw(step)
        sampled.extend(sum(label >= 0 for label in e.labels) for e in examples)
        return examples

    stream = Stream(draw, texts.steps, texts.depends_on)
    run = distill(student, tokenizer, stream, config=TrainingConfig(rate=RATE),
                  objective=Match(teacher, reverse_kl))  # fmt: skip
    return run.student, sum(sampled)


def theirs(name, student, tokenizer, teacher, prompts, steps):
    """Train by one of TRL's trainers; returns the same."""
    from datasets import Dataset

    sampled, write = [], student.generate

    def generate(*args, **words):
        out = write(*args, **words)
        ids = out if hasattr(out, "tolist") else out.sequences
        given = (args[0] if args else words["input_ids"]).shape[1]
        for row in ids[:, given:].tolist():
            end = row.index(tokenizer.eos_token_id) + 1 if tokenizer.eos_token_id in row else None
            sampled.append(len(row[:end]))
        return out

    student.generate = generate
    common = dict(output_dir=tempfile.mkdtemp(), learning_rate=RATE, max_steps=steps, use_cpu=True,
                  per_device_train_batch_size=BATCH, lr_scheduler_type="cosine", report_to=[],
                  save_strategy="no", disable_tqdm=True, temperature=1.0, beta=1.0,
                  bf16=student.dtype.itemsize == 2)  # fmt: skip
    if name == "trl":
        from trl import DistillationConfig, DistillationTrainer

        rows = [{"prompt": prompt} for prompt in prompts]
        trainer = DistillationTrainer(
            student, teacher, DistillationConfig(**common, max_completion_length=LIMIT),
            train_dataset=Dataset.from_list(rows), processing_class=tokenizer, peft_config=lora(),
        )  # fmt: skip
    else:
        from trl.experimental.gkd import GKDConfig, GKDTrainer

        end = [{"role": "assistant", "content": "<think>\n\n</think>"}]  # replaced by own texts
        rows = [{"messages": [*prompt, *end]} for prompt in prompts]
        trainer = GKDTrainer(
            student, teacher, GKDConfig(**common, lmbda=1.0, max_new_tokens=LIMIT),
            train_dataset=Dataset.from_list(rows), processing_class=tokenizer, peft_config=lora(),
        )  # fmt: skip
    trainer.train()
    return trainer.model, sum(sampled)


def side(name, options):
    """Train one side and print one JSON line."""
    machine = start("cpu")
    teacher, student = (
        load(str(options.models / name), dtype=machine.dtype, say=lambda _: None)
        for name in ("teacher", "student")
    )
    teacher, student, tokenizer = teacher.model, student.model, student.tokenizer
    problems = make_problems(BATCH * options.steps, NARROW, "train", 23)
    prompts = [messages(problem.text) for problem in problems]
    test = make_problems(options.test, NARROW, "test", TEST_SEED)

    def exact(model):
        rows = evaluate(model, tokenizer, test, width=len(test), max_new_tokens=LIMIT)
        return round(summary(rows)["exact"], 4)

    before = exact(student)
    sample(student, tokenizer, ["a"], max_new_tokens=1)
    forget_peak()
    began = time.perf_counter()
    train = ours if name == "ours" else lambda *words: theirs(name, *words)
    model, tokens = train(student, tokenizer, teacher, prompts, options.steps)
    seconds, peak = time.perf_counter() - began, peak_memory_bytes()
    print("RESULT " + json.dumps({
        "side": name, "steps": options.steps, "seconds": round(seconds, 1), "tokens": tokens,
        "tokens_per_second": round(tokens / seconds, 1), "peak_gb": round(peak / 1e9, 2),
        "exact_before": before, "exact": exact(model.eval()), "test": options.test,
        "teacher": exact(teacher), "dtype": machine.dtype,
    }), flush=True)  # fmt: skip


def main():
    """Run the sides one after the other, each in its own process, and print the table."""
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("--steps", type=int, default=6)
    arguments.add_argument("--test", type=int, default=48)
    arguments.add_argument("--sides", default="trl,gkd,ours")
    arguments.add_argument("--out", type=Path, help="results are written to this JSON file")
    arguments.add_argument("--side", help=argparse.SUPPRESS)
    arguments.add_argument("--models", type=Path, help=argparse.SUPPRESS)
    options = arguments.parse_args()
    if options.side:
        return side(options.side, options)
    with tempfile.TemporaryDirectory() as folder:
        options.models = Path(folder)
        make(options.models)
        compare(options)


def compare(options):
    """Run the sides on the same models, then ours as long as each of the others took."""
    results = []

    def run(name, steps):
        words = [sys.executable, "-m", "benchmarks.speed.distill_vs_trl", "--side", name,
                 "--steps", str(steps), "--test", str(options.test),
                 "--models", str(options.models)]  # fmt: skip
        said = subprocess.run(words, stdout=subprocess.PIPE, text=True).stdout
        found = [json.loads(line[7:]) for line in said.split("\n") if line.startswith("RESULT ")]
        print(found[0] if found else f"{name}: failed", flush=True)
        results.extend(found)
        return found

    for name in options.sides.split(","):
        run(name, options.steps)
    mine = next((r for r in results if r["side"] == "ours"), None)
    for other in [r for r in results if r["side"] != "ours"] if mine else []:
        run("ours", round(mine["steps"] * other["seconds"] / mine["seconds"]))
    if options.out:
        options.out.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
