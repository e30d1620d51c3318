"""The forms of a solution, from a real teacher: what its examples show, it writes.

    python -m benchmarks.experiments.teacher_forms

A few-shot prompted teacher answers the same equations, greedily, with examples solved in each
trace form: right answers, candidates that the rules keep, tokens and seconds.
"""

import time

from benchmarks.runner import Experiment, main
from distillkit.evaluation.statistics import wilson
from distillkit.pipeline.recipes import TEST_SEED
from distillkit.problems.equations import SMALL, make_problems
from distillkit.problems.trace_forms import FORMS
from distillkit.traces.filters import CORRECT, judge, reject
from distillkit.traces.teachers import Local

TEACHER = "qwen2.5-coder-1.5b-instruct"


def run(form, seed, bench):
    """Ask the teacher in one form."""
    model = bench.load(TEACHER)
    teacher = Local(model.model, model.tokenizer, model.name, model.source, model.sha256,
                    max_new_tokens=320, form=form)  # fmt: skip
    problems = make_problems(bench.test, SMALL, "train", TEST_SEED)
    began = time.perf_counter()
    rows = teacher.sample(problems, 1, temperature=0)
    seconds = time.perf_counter() - began
    kept, funnel = reject(rows)
    print(funnel, flush=True)
    low, high = wilson(len(kept), len(rows))
    return {
        "teacher": teacher.name,
        "n": len(rows),
        "correct": sum(not judge(row, (CORRECT,))["correct"] for row in rows),
        "kept": len(kept),
        "low": round(low, 4),
        "high": round(high, 4),
        "tokens": round(sum(row["tokens"] for row in rows) / len(rows), 1),
        "seconds": round(seconds, 1),
    }


EXPERIMENT = Experiment(
    csv="teacher_forms.csv",
    key="form",
    columns="form teacher n correct kept low high tokens seconds dtype machine date",
    arms=FORMS,
    run=run,
    test=60,
)

if __name__ == "__main__":
    main(EXPERIMENT, __doc__)
