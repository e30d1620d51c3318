"""Is rejecting bad traces worth it?  Good and damaged teacher, everything against verified.

    python -m benchmarks.experiments.rejection

The damaged teacher is the recorded one after naive int8: one scale for each weight matrix and one
for each input.  Its candidates stand in `data/teacher_int8_qwen2.5-coder-1.5b.jsonl`; without
that file they are recorded first.  Then a student is trained on the same number of traces of the
same problems: any candidate, those with the right answer, or those that obey every rule.
"""

import random
from collections import Counter
from functools import cache

import torch

from benchmarks.runner import DATA, RUNS, Experiment, main, scored
from distillkit.evaluation.scoring import evaluate, score
from distillkit.pipeline.recipes import TEST_SEED
from distillkit.problems.equations import NARROW, make_problems
from distillkit.runtime.files import read_jsonl, write_jsonl
from distillkit.runtime.session import data_path
from distillkit.traces.filters import (
    CORRECT,
    FINISHED,
    TEMPLATE,
    choose,
    judge,
    mix,
    reject,
    to_traces,
)
from distillkit.traces.teachers import Local, Recorded
from distillkit.training.loop import TrainingConfig, distill

DAMAGED = DATA / "teacher_int8_qwen2.5-coder-1.5b.jsonl"
TRACES, PROBLEMS = 64, 120  # in every arm; recorded
ARMS = [(teacher, arm) for teacher in ("good", "damaged")
        for arm in ("everything", "right answers", "verified")]  # fmt: skip


def run(arm, seed, bench):
    """Train on one teacher's traces of one kind, and ask."""
    teacher, kind = arm
    candidates = pool(teacher, bench.machine.dtype)
    chosen = pick(candidates, kind, seed)
    rows = mix(to_traces(chosen), read_jsonl(data_path("general.jsonl")), 0.2, seed)
    student = bench.load()
    trained = distill(student.model, student.tokenizer, rows, config=TrainingConfig(seed=seed))
    test = make_problems(bench.test, NARROW, "test", TEST_SEED)
    answers = evaluate(trained.student, student.tokenizer, test, width=len(test))
    trained.student.unload()  # never merged: 16-bit weights would not come back the same
    right = [score(c["text"], c["finish"], c["problem"]["answer"])["exact"] for c in candidates]
    return {
        **scored(answers),
        "traces": len(chosen),
        "usable": usable(chosen),
        "pool": len(candidates),
        "pool_usable": usable(candidates),
        "pool_right": sum(right),
        "trace_tokens": trained.tokens,
        "train_seconds": round(trained.seconds),
    }


@cache
def pool(teacher, dtype):
    """Return a teacher's candidates for the same problems."""
    recorded = Recorded()
    problems = recorded.problems(NARROW)[:PROBLEMS]
    return recorded.sample(problems) if teacher == "good" else record(problems, dtype)


def pick(candidates, kind, seed):
    """Return the traces of one kind, one candidate a problem first."""
    if kind == "verified":
        kept = reject(candidates)[0]
    elif kind == "right answers":
        kept = reject(candidates, (FINISHED, TEMPLATE, CORRECT))[0]
    else:  # no rule, not even that of copies: what a teacher writes is what is taught
        kept = random.Random(f"everything-{seed}").sample(candidates, len(candidates))
    return choose(kept, TRACES, seed)


def usable(candidates):
    """Count the candidates that obey every rule."""
    return sum(not any(judge(candidate).values()) for candidate in candidates)


def record(problems, dtype):
    """Return the damaged teacher's candidates, which are recorded if they are not all there."""
    known = Counter(row["problem"]["id"] for row in read_jsonl(DAMAGED))
    if all(known[problem.id] >= 4 for problem in problems):
        return Recorded(DAMAGED).sample(problems)  # the teacher need not be loaded
    teacher = Local(asked="qwen2.5-coder-1.5b-instruct", dtype=dtype).load()
    teacher.name += ", naive int8"
    for name, module in teacher.model.named_modules():
        if isinstance(module, torch.nn.Linear) and "layers" in name:
            damage(module)
    journal = RUNS / "rejection" / DAMAGED.name
    rows = teacher.sample(problems, 4, 0.7, 0, journal, lambda row: print(row["id"], flush=True))
    write_jsonl(DAMAGED, rows)
    return rows


def damage(linear):
    """Make a linear layer compute as naive int8 does: one scale a matrix, one scale an input."""

    def rounded(x):
        scale = x.abs().amax().clamp_min(1e-8) / 127
        return (x / scale).round().clamp(-127, 127) * scale

    linear.weight.data = rounded(linear.weight.data)
    linear.register_forward_pre_hook(lambda _, inputs: (rounded(inputs[0]),))


EXPERIMENT = Experiment(
    csv="rejection.csv",
    key="teacher arm",
    columns="teacher arm seed n exact format lenient low high answer_tokens traces usable pool "
    "pool_usable pool_right trace_tokens train_seconds dtype machine date",
    arms=ARMS,
    run=run,
)

if __name__ == "__main__":
    main(EXPERIMENT, __doc__)
