"""Is rejecting bad traces worth it?  Good and damaged teacher, everything against verified.

    python benchmarks/rejection.py [--seeds 0,1,2] [--traces 64] [--test 100] [--problems 120]

The damaged teacher is the recorded one after naive int8: one scale for each weight matrix and one
for each input.  Its candidates go to `data/teacher_int8_qwen2.5-coder-1.5b.jsonl` (journaled).
Then a student is trained on the same number of traces of the same problems: any candidate, those
with the right answer, or those that obey every rule.  Appends one row a teacher, arm and seed to
`data/rejection.csv`; what is there is not repeated.
"""

import argparse
import random
from collections import Counter

import torch
from rows import DATA, append, done, scored

from distillkit.equations import NARROW, make_problems
from distillkit.evaluation import evaluate, score
from distillkit.filters import CORRECT, FINISHED, TEMPLATE, choose, judge, mix, reject, to_traces
from distillkit.models import load
from distillkit.recipes import TEST_SEED
from distillkit.records import read_jsonl
from distillkit.session import data_path, start
from distillkit.teachers import Local, Recorded
from distillkit.training import distill

OUT = DATA / "rejection.csv"
DAMAGED = DATA / "teacher_int8_qwen2.5-coder-1.5b.jsonl"
FIELDS = ("teacher", "arm", "seed", "n", "exact", "format", "lenient", "low", "high",
          "answer_tokens", "traces", "usable", "pool", "pool_usable", "pool_right",
          "trace_tokens", "train_seconds", "dtype", "machine", "date")  # fmt: skip
ARMS = ("everything", "right answers", "verified")


def damage(linear):
    """Make a linear layer compute as naive int8 does: one scale a matrix, one scale an input."""

    def rounded(x):
        scale = x.abs().amax().clamp_min(1e-8) / 127
        return (x / scale).round().clamp(-127, 127) * scale

    linear.weight.data = rounded(linear.weight.data)
    linear.register_forward_pre_hook(lambda _, inputs: (rounded(inputs[0]),))


def record(problems, kit):
    """Return the damaged teacher's candidates; what is recorded already is kept."""
    known = Counter(r["problem"]["id"] for r in read_jsonl(DAMAGED)) if DAMAGED.exists() else {}
    if all(known.get(problem.id, 0) >= 4 for problem in problems):
        return Recorded(DAMAGED).sample(problems)  # the teacher need not be loaded
    teacher = Local.load("qwen2.5-coder-1.5b-instruct", dtype=kit.dtype)
    teacher.name += ", naive int8"
    for name, module in teacher.model.named_modules():
        if isinstance(module, torch.nn.Linear) and "layers" in name:
            damage(module)
    count = [0]

    def on_done(_):
        count[0] += 1
        if count[0] % 40 == 0:
            print(f"  recorded {count[0]}", flush=True)

    return teacher.sample(problems, 4, 0.7, 0, DAMAGED, on_done)


def pick(candidates, arm, n, seed):
    """Return the traces of one arm, one candidate a problem first."""
    if arm == "verified":
        pool = reject(candidates)[0]
    elif arm == "right answers":
        pool = reject(candidates, (FINISHED, TEMPLATE, CORRECT))[0]
    else:  # no rule, not even that of copies: what a teacher writes is what is taught
        pool = random.Random(f"everything-{seed}").sample(candidates, len(candidates))
    return choose(pool, n, seed)


def usable(candidates):
    """Count the candidates that obey every rule."""
    return sum(not any(judge(candidate).values()) for candidate in candidates)


def main():
    """Record what is missing, train what is missing, and append it."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--seeds", default="0,1,2")
    arguments.add_argument("--traces", type=int, default=64)
    arguments.add_argument("--test", type=int, default=100)
    arguments.add_argument("--problems", type=int, default=120, help="problems that are recorded")
    options = arguments.parse_args()
    kit = start("cpu")
    recorded = Recorded()
    problems = recorded.problems(NARROW)[: options.problems]
    pools = {"good": recorded.sample(problems), "damaged": record(problems, kit)}
    about = {name: {"pool": len(some), "pool_usable": usable(some), "pool_right": sum(
        score(c["text"], c["finish"], c["problem"]["answer"])["exact"] for c in some)}
        for name, some in pools.items()}  # fmt: skip
    student = load("qwen2.5-coder-0.5b-instruct", dtype=kit.dtype, say=lambda _: None)
    general = read_jsonl(data_path("general.jsonl"))
    test = make_problems(options.test, NARROW, "test", TEST_SEED)
    there = done(OUT, "teacher", "arm", "seed")
    for seed in options.seeds.split(","):
        for name, candidates in pools.items():
            for arm in ARMS:
                if (name, arm, seed) in there:
                    continue
                chosen = pick(candidates, arm, options.traces, int(seed))
                if len(chosen) < options.traces:
                    print(f"{name}, {arm}: only {len(chosen)} traces", flush=True)
                rows = mix(to_traces(chosen), general, 0.2, int(seed))
                run = distill(student.model, student.tokenizer, rows, seed=int(seed))
                answers = evaluate(run.student, student.tokenizer, test, width=len(test))
                run.student.unload()
                row = {
                    "teacher": name, "arm": arm, "seed": seed, "traces": len(chosen),
                    "usable": usable(chosen), **about[name], "dtype": kit.dtype,
                    "trace_tokens": run.tokens, "train_seconds": round(run.seconds),
                    **scored(answers),
                }  # fmt: skip
                append(OUT, FIELDS, [row])
                print(f"{name}, {arm}, seed {seed}: {100 * row['exact']:.0f} %", flush=True)


if __name__ == "__main__":
    main()
