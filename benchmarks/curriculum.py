"""Which solutions, which words, how many?  One change at a time, on the same equations.

    python benchmarks/curriculum.py [--seeds 0,1,2] [--traces 64] [--test 100] [--only base,…]
        [--splits narrow,worded]

Trains Qwen-0.5B on the solver's solutions of the narrow families and of brackets on both sides,
with general examples, and appends one row a recipe, seed and split to `data/curriculum.csv`; runs
that are there already are not repeated.  Every recipe differs from "base" (the form "arithmetic",
in other people's words) in one thing.  The splits: unseen equations of the same families in the
kit's words ("narrow") and in other people's ("worded"); "broad" and kinds never taught in any form
("far": systems, fractions as coefficients, stories) on demand.  Answers and adapters are kept in
`runs/curriculum/`; a run cut short goes on from there.
"""

import argparse
import time
from pathlib import Path

from rows import DATA, append, done, scored

from distillkit.equations import FAMILIES, FAR, SMALL, make_problems
from distillkit.errors import slips
from distillkit.evaluation import evaluate
from distillkit.filters import choose, mix, reject, to_traces
from distillkit.forms import FORMS
from distillkit.models import load
from distillkit.recipes import TEST_SEED, broad_problems, examples
from distillkit.records import read_jsonl
from distillkit.session import data_path, start
from distillkit.teachers import Solver
from distillkit.training import distill
from distillkit.wordings import reworded, stories

OUT = DATA / "curriculum.csv"
ANSWERS = Path(__file__).resolve().parents[1] / "runs" / "curriculum"
FIELDS = ("recipe", "seed", "split", "n", "exact", "low", "high", "format", "lenient",
          "answer_tokens", "solutions", "traces", "trace_tokens", "train_seconds", "dtype",
          "machine", "date")  # fmt: skip
LIMITS = {"broad": 560, "far": 560}  # tokens of an answer; longer than any solution
RECIPES = {
    "untouched": {"traces": 0},
    "few-shot": {"traces": 0},
    "base": {},
    **{form: {"form": form} for form in FORMS if form != "arithmetic"},
    "one wording": {"words": False},
    "easy to hard": {"sort": True},
    "half the problems twice": {"epochs": 2},
    **{f"{128 // n} solutions {n} times": {"traces": 128, "epochs": n} for n in (4, 16)},
    **{f"{n} traces": {"traces": n} for n in (8, 16, 32, 128, 256, 512, 1024)},
}


def splits(test):
    """Return the unseen problems of each split."""
    far = make_problems(test // 2, FAR, "test", TEST_SEED)
    narrow = make_problems(test, SMALL, "test", TEST_SEED)
    return {"narrow": narrow, "worded": reworded(narrow, TEST_SEED), "broad": broad_problems(test),
            "far": far + stories(test // 2, "test", TEST_SEED)}  # fmt: skip


def taught(student, seed, out, traces, form="arithmetic", words=True, sort=False, epochs=1):
    """Return the trained model and what training took."""
    problems = make_problems(traces // epochs, SMALL, "train", seed)
    if words:
        problems = reworded(problems, seed)
    kept, _ = reject(Solver(form=form).sample(problems))
    chosen = choose(kept, traces // epochs, seed)
    if sort:
        chosen.sort(key=lambda c: list(FAMILIES).index(c["problem"]["family"]))
    general = read_jsonl(data_path("general.jsonl"))
    rows = mix(to_traces(chosen), general, 0.2, seed, or_fewer=True)
    if sort:  # stable: the general examples stay where they were
        places = [i for i, row in enumerate(rows) if "family" in row]
        for place, row in zip(places, to_traces(chosen), strict=True):
            rows[place] = row
    run = distill(student.model, student.tokenizer, rows, epochs=epochs, seed=seed,
                  shuffle=not sort, out=out)  # fmt: skip
    return run.student, {"solutions": len(chosen), "traces": len(rows) * epochs,
                         "trace_tokens": run.tokens, "train_seconds": round(run.seconds, 1)}


def measure(student, recipe, seed, options, there):
    """Train once, answer every split that is not there yet, and yield one row each."""
    change = {"traces": options.traces, **RECIPES[recipe]}
    model, about = student.model, {"solutions": 0, "traces": 0}
    if change["traces"]:
        model, about = taught(student, seed, ANSWERS / f"{recipe}-{seed}", **change)
    ANSWERS.mkdir(parents=True, exist_ok=True)
    for name, asked in splits(options.test).items():
        if name not in options.splits or (recipe, str(seed), name) in there:
            continue
        shots = examples("narrow" if name == "narrow" else "broad") if recipe == "few-shot" else ()
        answers = evaluate(model, student.tokenizer, asked, shots=shots, width=len(asked),
                           max_new_tokens=LIMITS.get(name, 240),
                           journal=ANSWERS / f"{recipe}-{seed}-{name}.jsonl")  # fmt: skip
        row = {"recipe": recipe, "seed": seed, "split": name, **about, **scored(answers)}
        print(recipe, seed, name, f"{100 * row['exact']:.0f} %", slips(answers), flush=True)
        yield row
    if change["traces"]:
        model.unload()  # never merged: 16-bit weights would not come back the same


def main():
    """Run what is missing and append it."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--seeds", default="0,1,2")
    arguments.add_argument("--traces", type=int, default=64)
    arguments.add_argument("--test", type=int, default=100, help="equations of each split")
    arguments.add_argument("--splits", default="narrow,worded")
    arguments.add_argument("--only", default=",".join(RECIPES))
    options = arguments.parse_args()
    options.splits = options.splits.split(",")
    kit = start("cpu")
    there = done(OUT, "recipe", "seed", "split")
    student = load("qwen2.5-coder-0.5b-instruct", dtype=kit.dtype, say=lambda _: None)
    for seed in options.seeds.split(","):
        for recipe in options.only.split(","):
            if all((recipe, seed, split) in there for split in options.splits):
                continue
            if seed != "0" and not RECIPES[recipe].get("traces", 1):
                continue  # nothing is trained and nothing drawn: every seed gives the same
            began = time.perf_counter()
            for row in measure(student, recipe, int(seed), options, there):
                append(OUT, FIELDS, [{**row, "dtype": kit.dtype}])
            print(f"{recipe} {seed}: {time.perf_counter() - began:.0f} s", flush=True)


if __name__ == "__main__":
    main()
