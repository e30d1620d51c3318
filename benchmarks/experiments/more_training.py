"""Does the student that comes with the kit gain by more of the same training?

    python -m benchmarks.experiments.more_training

It learned 3,200 of the solver's solutions.  Its adapter, cut to rank 12, is trained on with 800
others of the same thirteen kinds in the same shares (and the general examples), at a peak rate of
3e-4.  Then both students, before and after, are asked 200 unseen questions of a split, greedily
and in the same type.
A row a split and stage: `gain` is that over the student before, paired; `right` has a 1 for each
right answer.  It is one training run: of how much another one differs, the row says nothing.
Expected before the run: outside 79 to 83, broad 80 to 85, in 75 minutes of training on two cores
in float32; more would follow, for its mistakes are slips of every kind.
The adapter and the answers are kept in `runs/more_training/`.
"""

from benchmarks.experiments.generalisation import ARMS as SPLITS
from benchmarks.experiments.generalisation import LIMIT
from benchmarks.runner import Experiment, gained, main, marks, scored
from distillkit.evaluation.scoring import evaluate
from distillkit.pipeline.recipes import CURRICULA, in_turn, maker
from distillkit.problems.equations import make_problem
from distillkit.runtime.files import read_jsonl
from distillkit.runtime.session import data_path
from distillkit.traces.filters import mix, to_traces
from distillkit.traces.teachers import Solver
from distillkit.training.loop import TrainingConfig, distill
from distillkit.training.lora import ready_student

ARMS = ("outside", "broad")
BROAD = CURRICULA["broad"]
SOLUTIONS, RATE, SEED = 800, 3e-4, 1


def run(arm, seed, bench):
    """Ask the student, train it on, which is not done twice, and ask again."""
    student = ready_student(bench.machine)
    asked = SPLITS[arm](bench.test)
    before = answers("before", arm, student, asked, bench)
    more = trained_on(student, bench)
    after = answers("after", arm, student, asked, bench)
    right = [[row["exact"] for row in rows] for rows in (before, after)]
    spent = {"trace_tokens": more.tokens, "train_seconds": round(more.seconds)}
    return [
        {"stage": "before", **scored(before), "right": marks(right[0])},
        {"stage": "after", **scored(after), **gained(*right), "right": marks(right[1]), **spent},
    ]


def trained_on(student, bench):
    """Train the student on with new solutions, none of a problem that is asked."""
    asked = [problem for split in ARMS for problem in SPLITS[split](bench.test)]
    unseen = [make_problem(problem.text.split(":")[-1]) if problem.family == "own" else problem
              for problem in asked]  # fmt: skip
    turns = in_turn(BROAD["families"], BROAD["shares"])
    problems = maker("broad")(SOLUTIONS, turns, "train", SEED, avoid=unseen)
    traces = to_traces(Solver(form="collect").sample(problems))
    general = read_jsonl(data_path("general.jsonl"))
    rows = mix(traces, general, BROAD["general"], SEED, or_fewer=True)
    config = TrainingConfig(RATE, BROAD["batch_size"], seed=SEED)
    return distill(student.model, student.tokenizer, rows, config=config,
                   out=bench.folder / "training", on_step=told)  # fmt: skip


def told(row):
    """Say every tenth step how far the training is."""
    if row["step"] % 10 == 0:
        speed = row["tokens"] / row["seconds"]
        print(f"step {row['step']} of {row['steps']}, loss {row['loss']:.4f}, "
              f"{speed:.0f} tokens/s", flush=True)  # fmt: skip


def answers(stage, arm, student, asked, bench):
    """Return the student's answers, its adapter merged for their time."""
    student.model.merge_adapter()
    found = evaluate(student.model, student.tokenizer, asked, max_new_tokens=LIMIT, width=200,
                     journal=bench.folder / f"{stage}-{arm}.jsonl")  # fmt: skip
    student.model.unmerge_adapter()
    return found


EXPERIMENT = Experiment(
    csv="more_training.csv",
    key="split",
    columns="split stage n exact low high format lenient answer_tokens gain gain_low gain_high "
    "trace_tokens train_seconds right dtype machine date",
    arms=ARMS,
    run=run,
    test=200,
    once=ARMS,
)

if __name__ == "__main__":
    main(EXPERIMENT, __doc__)
