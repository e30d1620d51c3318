"""Does the template matter?  The same equations and solutions, written in each (for lesson 03).

    python -m benchmarks.experiments.templates

The untouched Qwen-0.5B answers unseen equations in each template, zero-shot and few-shot; a part of
these answers goes to `template_outputs.jsonl` beside the table.  Then one student a template and
seed is trained on the solver's solutions of the same equations with 20 % general examples.  One row
for each split: the taught kinds, other kinds.
"""

from benchmarks.runner import Experiment, main, scored
from distillkit.evaluation.scoring import evaluate
from distillkit.pipeline.recipes import HARD, TEST_SEED
from distillkit.problems.equations import NARROW, OUT_OF_DISTRIBUTION, make_problems
from distillkit.runtime.files import read_jsonl
from distillkit.runtime.session import data_path
from distillkit.traces.filters import CORRECT, FINISHED, TEMPLATE, choose, mix, reject, to_traces
from distillkit.traces.teachers import Solver
from distillkit.traces.templates import SHOTS, TEMPLATES
from distillkit.training.loop import TrainingConfig, distill

TRACES, LIMIT = 64, 160  # solutions learned; tokens of an answer
KEPT = 20  # recorded answers for each template and stage
OTHER = tuple(family for family in OUT_OF_DISTRIBUTION if family != "systems")
UNTRAINED = [(name, "", stage) for stage in ("untouched", "few-shot") for name in TEMPLATES]
TRAINED = [(name, "terse", "distilled") for name in TEMPLATES]
ARMS = [*UNTRAINED, *TRAINED, ("think", "arithmetic", "distilled")]


def run(arm, seed, bench):
    """Train once (or not at all), and ask both splits in the template."""
    name, form, stage = arm
    student, template = bench.load(), TEMPLATES[name]
    model, about = student.model, {}
    if stage == "distilled":
        trained, about = taught(student, template, form, seed)
        model = trained.student
    test = make_problems(bench.test, NARROW, "test", TEST_SEED)
    other = make_problems(min(60, bench.test), OTHER, "test", TEST_SEED, avoid=test)
    shots = SHOTS if stage == "few-shot" else ()
    taught_kinds, other_kinds = (
        evaluate(model, student.tokenizer, asked, template, shots, max_new_tokens=LIMIT,
                 width=len(asked)) for asked in (test, other)
    )  # fmt: skip
    if stage == "distilled":
        model.unload()  # never merged: 16-bit weights would not come back the same
    else:
        outputs = [
            {"template": name, "stage": stage, "question": row["problem"]["text"],
             "answer": row["problem"]["answer"], "text": row["text"], "finish": row["finish"],
             "student": f"{student.name} {bench.machine.dtype}"} for row in taught_kinds[:KEPT]
        ]  # fmt: skip
        bench.keep("template_outputs.jsonl", outputs, "template", "stage")
    return [{"split": "taught", **about, **scored(taught_kinds)},
            {"split": "other", **about, **scored(other_kinds)}]  # fmt: skip


def taught(student, template, form, seed):
    """Train on the solver's solutions in a template; return the run and what it took."""
    problems = make_problems(2 * TRACES, NARROW, "train", 0)  # the same for all
    kept, _ = reject(Solver(template, form).sample(problems), (FINISHED, TEMPLATE, CORRECT))
    rows = to_traces(choose(kept, TRACES, seed, HARD), template)
    rows = mix(rows, read_jsonl(data_path("general.jsonl")), 0.2, seed)
    trained = distill(student.model, student.tokenizer, rows, config=TrainingConfig(seed=seed))
    return trained, {"traces": len(rows), "trace_tokens": trained.tokens,
                     "train_seconds": round(trained.seconds, 1)}  # fmt: skip


EXPERIMENT = Experiment(
    csv="templates.csv",
    key="template form stage",
    columns="template form stage seed split n exact format lenient low high answer_tokens traces "
    "trace_tokens train_seconds dtype machine date",
    arms=ARMS,
    run=run,
    once=UNTRAINED,
)

if __name__ == "__main__":
    main(EXPERIMENT, __doc__)
