"""Which problems teach most in the same minutes: those that the student gets wrong, or any?

    python -m benchmarks.experiments.own_errors

A student learns from a few of the solver's solutions, then goes on in one of three ways.  "Own
errors": it answers new problems, and the solver's solutions of those that it got wrong are taught.
"As many": just as many solutions of problems in turn.  "Equal minutes": more of them, for the time
that the answers took (on two cores an answered token takes as long as a trained one).
Expected before the run: own errors beat as many others by 3 to 8 points and lose to equal minutes.
Adapters and answers are kept in `runs/own_errors/`.
"""

from functools import cache

from benchmarks.runner import Experiment, main, scored
from distillkit.evaluation.scoring import evaluate
from distillkit.pipeline.recipes import TEST_SEED
from distillkit.problems.equations import SMALL, make_problems, overlap
from distillkit.runtime.files import read_jsonl
from distillkit.runtime.session import data_path
from distillkit.traces.filters import mix, to_traces
from distillkit.traces.teachers import Solver
from distillkit.training.loop import TrainingConfig, distill

FIRST, POOL, SPARE = 64, 192, 320  # solutions; problems that are answered; spare ones in turn
ANSWERED = 1.0  # of the time of a trained token: on two cores 259 and 271 a second
LIMIT = 240  # tokens of an answer; longer than any solution
ARMS = ("first", "own errors", "as many", "equal minutes")


def run(arm, seed, bench):
    """Teach the first solutions, then what the arm chooses, and ask."""
    student = bench.load()
    model = taught("first", solved(seed)[:FIRST], student.model, seed, bench)
    about = {"chosen": 0, "answered_tokens": 0}
    if arm != "first":
        wrong, tokens = own_errors(model.student, seed, bench)
        chosen = wrong
        if arm != "own errors":
            others = solved(seed)[FIRST + POOL :]
            chosen = others[: len(wrong)]
        if arm == "equal minutes":
            trained = sum(len(student.tokenizer(c["text"])["input_ids"]) for c in wrong)
            share = 1 + ANSWERED * tokens / max(1, trained)
            chosen = others[: round(share * len(wrong))]
        about = {"chosen": len(chosen), "answered_tokens": tokens * (arm == "own errors")}
        model = taught(arm, chosen, model.student, seed, bench)
    test = make_problems(bench.test, SMALL, "test", TEST_SEED)
    assert not overlap(problems_of(seed), test)
    answers = evaluate(model.student, student.tokenizer, test, width=len(test),
                       max_new_tokens=LIMIT)  # fmt: skip
    model.student.unload()
    return {**scored(answers), **about, "trace_tokens": model.tokens * (arm != "first"),
            "train_seconds": round(model.seconds)}  # fmt: skip


@cache
def problems_of(seed):
    """Return the problems of all parts: the first ones, those that are answered, the others."""
    return make_problems(FIRST + POOL + SPARE, SMALL, "train", seed)


def solved(seed):
    """Return the solver's solutions of these problems."""
    return Solver(form="arithmetic").sample(problems_of(seed))


def taught(stage, chosen, model, seed, bench):
    """Return the training run on chosen solutions and general examples, which is not done twice."""
    rows = mix(to_traces(chosen), read_jsonl(data_path("general.jsonl")), 0.2, seed)
    return distill(model, bench.load().tokenizer, rows, config=TrainingConfig(seed=seed),
                   out=bench.folder / f"{stage}-{seed}")  # fmt: skip


def own_errors(model, seed, bench):
    """Return the solver's solutions of what a model gets wrong, and how many tokens it wrote."""
    asked = problems_of(seed)[FIRST : FIRST + POOL]
    answers = evaluate(model, bench.load().tokenizer, asked, width=96, max_new_tokens=LIMIT,
                       journal=bench.folder / f"pool-{seed}.jsonl")  # fmt: skip
    pairs = zip(solved(seed)[FIRST : FIRST + POOL], answers, strict=True)
    return [c for c, answer in pairs if not answer["exact"]], sum(a["tokens"] for a in answers)


EXPERIMENT = Experiment(
    csv="own_errors.csv",
    key="arm",
    columns="arm seed n exact low high format lenient answer_tokens chosen answered_tokens "
    "trace_tokens train_seconds dtype machine date",
    arms=ARMS,
    run=run,
)

if __name__ == "__main__":
    main(EXPERIMENT, __doc__)
