"""Which way to write a solution teaches most?  One student a form and seed, on the same equations.

    python benchmarks/trace_forms.py [--seeds 0,1,2] [--traces 128] [--test 100] [--forms a,b]

Trains Qwen-0.5B on the solver's solutions of the same equations in each trace form, with 20 %
general examples, and appends one row a form, seed and split to `data/trace_forms.csv`; runs that
are there already are not repeated.  The splits: unseen equations of the taught families, and of
families that were never taught.
"""

import argparse
import time
from datetime import date

from rows import DATA, append, done

from distillkit.demo import HARD, TEST_SEED
from distillkit.equations import NARROW, make_problems
from distillkit.evaluation import evaluate, summary
from distillkit.filters import choose, mix, reject, to_traces
from distillkit.forms import FORMS
from distillkit.models import load
from distillkit.records import read_jsonl
from distillkit.session import data_path, machine, start
from distillkit.teachers import Solver
from distillkit.training import distill

OUT = DATA / "trace_forms.csv"
FIELDS = ("form", "seed", "split", "n", "exact", "format", "low", "high", "answer_tokens",
          "traces", "trained_tokens", "train_seconds", "dtype", "machine", "date")  # fmt: skip
TAUGHT = (*NARROW, "brackets-both")
SPLITS = {"taught": TAUGHT, "unsimplified": ("unsimplified",), "large": ("large",),
          "letters and sides": ("letters", "reversed")}  # fmt: skip
LIMIT = 320  # tokens of an answer: the longest form needs about 250


def train(student, form, seed, options):
    """Train once and yield one row a split."""
    sizes = {name: options.test if name == "taught" else options.test // 2 for name in SPLITS}
    test = {name: make_problems(sizes[name], families, "test", TEST_SEED)
            for name, families in SPLITS.items()}  # fmt: skip
    problems = make_problems(2 * options.traces, TAUGHT, "train", 0)  # the same for every form
    kept, _ = reject(Solver(form=form).sample(problems))
    traces = to_traces(choose(kept, options.traces, seed, HARD))
    mixed = mix(traces, read_jsonl(data_path("general.jsonl")), 0.2, seed)
    began = time.perf_counter()
    run = distill(student.model, student.tokenizer, mixed, seed=seed)
    seconds = time.perf_counter() - began
    for name, asked in test.items():
        rows = evaluate(run.student, student.tokenizer, asked, width=len(asked),
                        max_new_tokens=LIMIT)  # fmt: skip
        result = summary(rows)
        yield {
            "form": form, "seed": seed, "split": name, "traces": len(mixed),
            "answer_tokens": round(sum(r["tokens"] for r in rows) / len(rows), 1),
            "trained_tokens": run.tokens, "train_seconds": round(seconds, 1),
            "machine": machine(), "date": date.today(),
            **{k: round(result[k], 4) for k in ("n", "exact", "format", "low", "high")},
        }  # fmt: skip
    run.student.unload()  # never merged: 16-bit weights would not come back the same


def main():
    """Run what is missing and append it."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--seeds", default="0,1,2")
    arguments.add_argument("--traces", type=int, default=128)
    arguments.add_argument("--test", type=int, default=100, help="equations of the taught split")
    arguments.add_argument("--forms", default=",".join(FORMS))
    options = arguments.parse_args()
    kit = start("cpu")
    there = done(OUT, "form", "seed")
    student = load("qwen2.5-coder-0.5b-instruct", dtype=kit.dtype, say=lambda _: None)
    for seed in options.seeds.split(","):
        for form in options.forms.split(","):
            if (form, seed) in there:
                continue
            rows = [{**row, "dtype": kit.dtype} for row in train(student, form, int(seed), options)]
            append(OUT, FIELDS, rows)
            for row in rows:
                print(form, seed, row["split"], row["exact"], row["train_seconds"], flush=True)


if __name__ == "__main__":
    main()
