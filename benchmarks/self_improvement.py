"""Can a student teach itself?  Rounds of: sample on new problems, verify, train on what was right.

    python benchmarks/self_improvement.py [--seeds 0] [--rounds 2] [--first 32] [--problems 64]

A student learns from a few of the solver's solutions.  In each round it samples k solutions of
problems it has not seen, the rules keep what is right, one solution each of the hardest problems
is chosen, and a fresh adapter is trained on the first solutions and all that was chosen so far
(STaR, Zelikman et al. 2022, arXiv 2203.14465).  Two controls of the last round's length: the first
solutions alone, repeated, and the solver's solutions of the same problems.  Appends one row a
stage and seed to `data/self_improvement.csv`; candidates, answers and adapters are kept in
`runs/self_improvement/`; a run cut short goes on from there.
"""

import argparse
from collections import defaultdict
from pathlib import Path

from rows import DATA, append, done, scored

from distillkit.equations import SMALL, make_problems, overlap
from distillkit.evaluation import evaluate
from distillkit.filters import mix, reject, to_traces
from distillkit.models import load
from distillkit.recipes import TEST_SEED
from distillkit.records import read_jsonl
from distillkit.session import data_path, start
from distillkit.teachers import Local, Solver
from distillkit.training import distill

OUT = DATA / "self_improvement.csv"
KEPT = Path(__file__).resolve().parents[1] / "runs" / "self_improvement"
FIELDS = ("stage", "seed", "n", "exact", "low", "high", "format", "lenient",
          "answer_tokens", "traces", "own", "solved", "asked", "trace_tokens", "train_seconds",
          "dtype", "machine", "date")  # fmt: skip
LIMIT = 320


def hardest_first(candidates):
    """Return one right candidate a problem, problems with few right ones first."""
    kept, _ = reject(candidates)
    right = defaultdict(list)
    for candidate in kept:
        right[candidate["problem"]["id"]].append(candidate)
    return [some[0] for some in sorted(right.values(), key=len)]


def main():
    """Run what is missing and append it."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--seeds", default="0")
    arguments.add_argument("--rounds", type=int, default=2)
    arguments.add_argument("--first", type=int, default=32, help="solutions of the solver")
    arguments.add_argument("--problems", type=int, default=64, help="new problems a round")
    arguments.add_argument("--keep", type=int, default=48, help="own solutions a round, at most")
    arguments.add_argument("--k", type=int, default=4)
    arguments.add_argument("--temperature", type=float, default=0.8)
    arguments.add_argument("--test", type=int, default=100, help="equations asked")
    options = arguments.parse_args()
    kit = start("cpu")
    base = load("qwen2.5-coder-0.5b-instruct", dtype=kit.dtype, say=lambda _: None)
    for seed in map(int, options.seeds.split(",")):
        one_seed(base, kit, seed, options)


def one_seed(base, kit, seed, options):
    """Run the stages of one seed."""
    count = options.first + options.rounds * options.problems
    everything = make_problems(count, SMALL, "train", seed)
    test = make_problems(options.test, SMALL, "test", TEST_SEED)
    assert not overlap(everything, test)
    general = read_jsonl(data_path("general.jsonl"))
    solver = Solver(form="arithmetic")
    first = solver.sample(everything[: options.first])
    there = done(OUT, "stage", "seed")

    def stage(name, chosen, epochs=1, solved="", asked=""):
        """Train a fresh adapter on the chosen candidates, test it, and return it."""
        folder = KEPT / f"{name}-{seed}"
        rows = mix(to_traces(chosen), general, 0.2, seed)
        run = distill(base.model, base.tokenizer, rows, epochs=epochs, seed=seed, out=folder)
        if (name, str(seed)) not in there:
            answers = evaluate(run.student, base.tokenizer, test, width=len(test),
                               max_new_tokens=LIMIT, journal=folder / "answers.jsonl")
            own = sum(c["teacher"]["name"] == base.name for c in chosen)
            row = {
                "stage": name, "seed": seed, "traces": len(rows), "own": own, "solved": solved,
                "asked": asked, "trace_tokens": run.tokens, "train_seconds": round(run.seconds),
                "dtype": kit.dtype, **scored(answers),
            }  # fmt: skip
            append(OUT, FIELDS, [row])
            print(name, seed, f"{100 * row['exact']:.0f} %", flush=True)
        return run

    run, own = stage("first", first), []
    for number in range(options.rounds):
        start_at = options.first + number * options.problems
        problems = everything[start_at : start_at + options.problems]
        teacher = Local(run.student, base.tokenizer, base.name, base.source, base.sha256,
                        shots=(), max_new_tokens=LIMIT)  # fmt: skip
        found = teacher.sample(problems, options.k, options.temperature, seed,
                               KEPT / f"round-{number + 1}-{seed}.jsonl")  # fmt: skip
        right = hardest_first(found)
        own += right[: options.keep]
        run.student.unload()
        print(f"round {number + 1}: {len(right)} of {len(problems)} solved", flush=True)
        run = stage(f"round {number + 1}", first + own, solved=len(right), asked=len(problems))
    run.student.unload()
    passes = (len(first) + len(own)) / len(first)
    stage("first, repeated", first, epochs=passes).student.unload()
    new = everything[options.first :]
    stage("solver's", first + solver.sample(new)).student.unload()


if __name__ == "__main__":
    main()
