"""Does the template matter?  The same equations and solutions, written in each (for lesson 03).

    python benchmarks/templates.py [--seeds 0,1,2] [--traces 64] [--test 100]

First the untouched Qwen-0.5B answers unseen equations in each template, zero-shot and few-shot; a
part of these answers goes to `data/template_outputs.jsonl`.  Then one student a template and seed
is trained on the solver's solutions of the same equations with 20 % general examples.  Appends
one row for each split (the taught kinds, other kinds) to `data/templates.csv`; what is there
already is not repeated.
"""

import argparse

from rows import DATA, append, done, scored

from distillkit.equations import NARROW, OUT_OF_DISTRIBUTION, make_problems
from distillkit.evaluation import evaluate
from distillkit.filters import CORRECT, FINISHED, TEMPLATE, choose, mix, reject, to_traces
from distillkit.models import load
from distillkit.recipes import HARD, TEST_SEED
from distillkit.records import read_jsonl, write_jsonl
from distillkit.session import data_path, start
from distillkit.teachers import Solver
from distillkit.templates import SHOTS, TEMPLATES
from distillkit.training import distill

OUT, OUTPUTS = DATA / "templates.csv", DATA / "template_outputs.jsonl"
FIELDS = ("template", "form", "stage", "seed", "split", "n", "exact", "format", "lenient", "low",
          "high", "answer_tokens", "traces", "trace_tokens", "train_seconds", "dtype", "machine",
          "date")  # fmt: skip
CASES = [(name, "terse") for name in TEMPLATES] + [("think", "arithmetic")]
KEPT = 20  # recorded answers for each template and stage
OTHER = tuple(f for f in OUT_OF_DISTRIBUTION if f != "systems")
LIMIT = 160


def answer(model, student, tests, template, stage, shots=()):
    """Return all rows of `evaluate`, and what the CSV has of them, a row a split."""
    answers, table = [], []
    for split, test in tests.items():
        rows = evaluate(model, student.tokenizer, test, template, shots, max_new_tokens=LIMIT,
                        width=len(test))  # fmt: skip
        row = {"template": template.name, "stage": stage, "split": split, **scored(rows)}
        print(template.name, stage, split, f"{100 * row['exact']:.0f} % exact", flush=True)
        answers += rows
        table.append(row)
    return answers, table


def taught(student, template, form, seed, traces):
    """Return the model trained on the solver's solutions, and what training took."""
    problems = make_problems(2 * traces, NARROW, "train", 0)  # the same for all
    kept, _ = reject(Solver(template, form).sample(problems), (FINISHED, TEMPLATE, CORRECT))
    rows = to_traces(choose(kept, traces, seed, HARD), template)
    rows = mix(rows, read_jsonl(data_path("general.jsonl")), 0.2, seed)
    run = distill(student.model, student.tokenizer, rows, seed=seed)
    return run.student, {"seed": seed, "form": form, "traces": len(rows),
                         "trace_tokens": run.tokens,
                         "train_seconds": round(run.seconds, 1)}  # fmt: skip


def main():
    """Run what is missing and append it."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--seeds", default="0,1,2")
    arguments.add_argument("--traces", type=int, default=64)
    arguments.add_argument("--test", type=int, default=100)
    options = arguments.parse_args()
    kit = start("cpu")
    student = load("qwen2.5-coder-0.5b-instruct", dtype=kit.dtype, say=lambda _: None)
    test = make_problems(options.test, NARROW, "test", TEST_SEED)
    other = make_problems(60, OTHER, "test", TEST_SEED, avoid=test)
    tests = {"taught": test, "other": other}
    there = done(OUT, "template", "form", "stage", "seed")
    for stage, shots in (("untouched", ()), ("few-shot", SHOTS)):
        for name, template in TEMPLATES.items():
            if (name, "", stage, "") in there:
                continue
            rows, table = answer(student.model, student, tests, template, stage, shots)
            append(OUT, FIELDS, [{"dtype": kit.dtype, **row} for row in table])
            old = read_jsonl(OUTPUTS) if OUTPUTS.exists() else []
            write_jsonl(OUTPUTS, [*old, *(
                {"template": name, "stage": stage, "question": row["problem"]["text"],
                 "answer": row["problem"]["answer"], "text": row["text"], "finish": row["finish"],
                 "student": f"{student.name} {kit.dtype}"} for row in rows[:KEPT]
            )])  # fmt: skip
    for seed in options.seeds.split(","):
        for name, form in CASES:
            if (name, form, "distilled", seed) in there:
                continue
            model, about = taught(student, TEMPLATES[name], form, int(seed), options.traces)
            _, table = answer(model, student, tests, TEMPLATES[name], "distilled")
            append(OUT, FIELDS, [{"dtype": kit.dtype, **row, **about} for row in table])
            model.unload()  # never merged: 16-bit weights would not come back the same


if __name__ == "__main__":
    main()
