"""Does the demo learn as much from fewer traces in smaller steps?

    python -m benchmarks.experiments.demo_recipe

The student learns the recorded teacher's verified solutions as `kit.py demo` does on two cores and
is asked the demo's unseen equations.  An arm is solutions + general examples, and examples a step;
the first was the demo's recipe until 2026-11-28.  The rows are in float32.  In bfloat16, on another
processor, six seeds had been looked at before (the results' page says what they gave), in float32
one run of the second arm (seed 0: 97 of 100).  Expected of the rows before they were run: the
second arm solves no fewer than 2 of 100 less than the first, in two thirds of its seconds.
"""

from benchmarks.experiments.ablation import verified
from benchmarks.runner import Experiment, main, marks, scored
from distillkit.evaluation.scoring import evaluate
from distillkit.pipeline.recipes import HARD, TEST_SEED
from distillkit.problems.equations import NARROW, make_problems
from distillkit.runtime.files import read_jsonl
from distillkit.runtime.session import data_path
from distillkit.traces.filters import choose, mix, to_traces
from distillkit.training.loop import TrainingConfig, distill

ARMS = {  # solutions, share of general examples, examples a step
    "128 + 32, 8 a step": (128, 0.2, 8),
    "104, 4 a step": (104, 0.0, 4),
}


def run(arm, seed, bench):
    """Train once, and ask."""
    (n, general, size), student = ARMS[arm], bench.load()
    traces = to_traces(choose(verified(), n, seed, HARD))
    rows = mix(traces, read_jsonl(data_path("general.jsonl")), general, seed, or_fewer=True)
    trained = distill(student.model, student.tokenizer, rows,
                      config=TrainingConfig(batch_size=size, seed=seed))  # fmt: skip
    test = make_problems(bench.test, NARROW, "test", TEST_SEED)
    answers = evaluate(trained.student, student.tokenizer, test, width=len(test))
    trained.student.unload()  # never merged: 16-bit weights would not come back the same
    return {**scored(answers), "right": marks([row["exact"] for row in answers]),
            "traces": len(traces), "general": len(rows) - len(traces),
            "steps": len(trained.log), "trace_tokens": trained.tokens,
            "train_seconds": round(trained.seconds, 1)}  # fmt: skip


EXPERIMENT = Experiment(
    csv="demo_recipe.csv",
    key="recipe",
    columns="recipe seed n exact format lenient low high answer_tokens right traces general steps "
    "trace_tokens train_seconds dtype machine date",
    arms=ARMS,
    run=run,
)

if __name__ == "__main__":
    main(EXPERIMENT, __doc__)
