"""Can a student teach itself?  Rounds of: sample on new problems, verify, train on what was right.

    python -m benchmarks.experiments.self_improvement

A student learns from a few of the solver's solutions.  In each round it samples solutions of
problems it has not seen, the rules keep what is right, one solution each of the hardest problems
is chosen, and a fresh adapter is trained on the first solutions and all that was chosen so far
(STaR, Zelikman et al. 2022, arXiv 2203.14465).  Two controls of the last round's length: the first
solutions alone, repeated, and the solver's solutions of the same problems.  Candidates and adapters
are kept in `runs/self_improvement/`, because a stage builds on those before it.
"""

from collections import defaultdict

from benchmarks.runner import Experiment, main, scored
from distillkit.evaluation.scoring import evaluate
from distillkit.pipeline.recipes import TEST_SEED
from distillkit.problems.equations import SMALL, make_problems, overlap
from distillkit.runtime.files import read_jsonl
from distillkit.runtime.session import data_path
from distillkit.traces.filters import mix, reject, to_traces
from distillkit.traces.teachers import Local, Solver
from distillkit.training.loop import TrainingConfig, distill

FIRST, ROUNDS, NEW, KEEP = 32, 2, 64, 48  # solutions; rounds; problems and solutions kept in each
K, TEMPERATURE, LIMIT = 4, 0.8, 320
ARMS = ("first", "round 1", "round 2", "first, repeated", "solver's")


def run(arm, seed, bench):
    """Train a fresh adapter on what a stage learns from, and ask."""
    first, about, epochs = solved(seed, 0, FIRST), {}, 1
    chosen = first
    if arm.startswith("round"):
        own, about = own_solutions(int(arm[-1]), seed, bench)
        chosen = first + own
    elif arm == "first, repeated":
        epochs = (len(first) + len(own_solutions(ROUNDS, seed, bench)[0])) / len(first)
    elif arm == "solver's":
        chosen = first + solved(seed, FIRST, FIRST + ROUNDS * NEW)
    student = bench.load()
    rows, trained = train(arm, chosen, seed, bench, epochs)
    test = make_problems(bench.test, SMALL, "test", TEST_SEED)
    assert not overlap(problems_of(seed), test)
    answers = evaluate(trained.student, student.tokenizer, test, width=len(test),
                       max_new_tokens=LIMIT)  # fmt: skip
    trained.student.unload()
    return {
        **scored(answers),
        **about,
        "traces": len(rows),
        "own": sum(c["teacher"]["name"] == student.name for c in chosen),
        "trace_tokens": trained.tokens,
        "train_seconds": round(trained.seconds),
    }


def problems_of(seed):
    """Return the problems of all stages: the first ones, then those of each round."""
    return make_problems(FIRST + ROUNDS * NEW, SMALL, "train", seed)


def solved(seed, begin, end):
    """Return the solver's solutions of some of the problems."""
    return Solver(form="arithmetic").sample(problems_of(seed)[begin:end])


def train(stage, chosen, seed, bench, epochs=1):
    """Return the traces of a stage and its training run, which is not done twice."""
    student = bench.load()
    rows = mix(to_traces(chosen), read_jsonl(data_path("general.jsonl")), 0.2, seed)
    config = TrainingConfig(epochs=epochs, seed=seed)
    return rows, distill(student.model, student.tokenizer, rows, config=config,
                         out=bench.folder / f"{stage}-{seed}")  # fmt: skip


def own_solutions(number, seed, bench):
    """Return the student's right solutions of all rounds so far, and the last one's counts."""
    if number == 0:
        return [], {}
    before, _ = own_solutions(number - 1, seed, bench)
    stage = f"round {number - 1}" if number > 1 else "first"
    _, trained = train(stage, solved(seed, 0, FIRST) + before, seed, bench)
    student = bench.load()
    teacher = Local(trained.student, student.tokenizer, student.name, student.source,
                    student.sha256, shots=(), max_new_tokens=LIMIT)  # fmt: skip
    begin = FIRST + (number - 1) * NEW
    found = teacher.sample(problems_of(seed)[begin : begin + NEW], K, TEMPERATURE, seed,
                           bench.folder / f"round-{number}-{seed}.jsonl")  # fmt: skip
    trained.student.unload()
    right = hardest_first(found)
    return before + right[:KEEP], {"solved": len(right), "asked": NEW}


def hardest_first(candidates):
    """Return one right candidate a problem, problems with few right ones first."""
    kept, _ = reject(candidates)
    right = defaultdict(list)
    for candidate in kept:
        right[candidate["problem"]["id"]].append(candidate)
    return [some[0] for some in sorted(right.values(), key=len)]


EXPERIMENT = Experiment(
    csv="self_improvement.csv",
    key="stage",
    columns="stage seed n exact low high format lenient answer_tokens traces own solved asked "
    "trace_tokens train_seconds dtype machine date",
    arms=ARMS,
    run=run,
)

if __name__ == "__main__":
    main(EXPERIMENT, __doc__)
