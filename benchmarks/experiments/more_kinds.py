"""What do as many tokens teach if they are spent on more kinds of equations?

    python -m benchmarks.experiments.more_kinds

A student learns the solver's solutions of the seven kinds that were taught at first, or of all
thirteen kinds, of about as many tokens: in full, or in what two cores compute in 20 minutes.
Which kinds were missing was read off the wrong answers of the student that had learned seven.
A row a course and split; `right` has a 1 for each question that was solved.  Stories are others
than those that are told in training; "outside" are simple equations of reasoning-gym, with a
seed at which nobody had looked: `python -m benchmarks.recordings.outside_questions runs`.
Expected before the run, of thirteen kinds in full: outside above 80, systems above 50, fractions
above 60, stories above 70, broad 3 to 8 points below what seven kinds give; in 20 minutes no course
gives 80 of broad.
Adapters and answers are kept in `runs/more_kinds/`.
"""

from itertools import chain

from benchmarks.experiments.generalisation import ARMS as SPLITS_OF_ALL
from benchmarks.runner import Experiment, main, marks, scored
from distillkit.evaluation.scoring import evaluate
from distillkit.evaluation.slips import slips
from distillkit.pipeline.recipes import CURRICULA
from distillkit.problems.equations import BROAD, overlap
from distillkit.problems.wordings import worded_problems
from distillkit.runtime.files import read_jsonl
from distillkit.runtime.session import data_path
from distillkit.traces.filters import mix, reject, to_traces
from distillkit.traces.teachers import Solver
from distillkit.training.loop import TrainingConfig, distill

LIMIT, WIDTH = CURRICULA["broad"]["max_new_tokens"], 100


SEVEN = {**dict.fromkeys(BROAD, 1), "broad": 12}
THIRTEEN = CURRICULA["broad"]["shares"]
COURSES = {  # solutions of each family in this proportion, and how many
    "seven kinds": (SEVEN, 3072),
    "thirteen kinds": (THIRTEEN, 3200),
    "seven kinds, 20 minutes": (SEVEN, 800),
    "thirteen kinds, 20 minutes": (THIRTEEN, 880),
}
ASKED = ("narrow", "broad", "fractions", "systems", "stories", "outside")
SPLITS = {split: SPLITS_OF_ALL[split] for split in ASKED}


def run(arm, seed, bench):
    """Teach a course, unless that is done, and ask all splits."""
    (shares, n), loaded = COURSES[arm], bench.load()
    place = bench.folder / f"{arm}-{seed}".replace(" ", "-").replace(",", "")
    config = TrainingConfig(batch_size=4, seed=seed)
    trained = distill(loaded.model, loaded.tokenizer, lesson(shares, n, seed), config=config,
                      out=place)  # fmt: skip
    questions = {split: made(bench.test) for split, made in SPLITS.items()}
    answers = evaluate(trained.student, loaded.tokenizer, [*chain(*questions.values())],
                       max_new_tokens=LIMIT, width=WIDTH,
                       journal=place / "answers.jsonl")  # fmt: skip
    trained.student.unload()
    rows = []
    for split, asked in questions.items():
        mine, answers = answers[: len(asked)], answers[len(asked) :]
        print(f"{arm}, {split}: {slips(mine)}", flush=True)
        rows.append({"split": split, **scored(mine),
                     "right": marks([row["exact"] for row in mine]),
                     "traces": n, "trace_tokens": trained.tokens,
                     "train_seconds": round(trained.seconds)})  # fmt: skip
    return rows


def lesson(shares, n, seed):
    """Return the solver's verified solutions of a course, and general examples beside them."""
    turns = [family for family, share in shares.items() for _ in range(share)]
    problems = worded_problems(n, turns, "train", seed)
    for questions in SPLITS.values():
        assert not overlap(problems, [p for p in questions(200) if p.split != "own"])
    kept, _ = reject(Solver(form="collect").sample(problems))
    return mix(to_traces(kept), read_jsonl(data_path("general.jsonl")), 0.2, seed, or_fewer=True)


EXPERIMENT = Experiment(
    csv="more_kinds.csv",
    key="course",
    columns="course split seed n exact format lenient low high answer_tokens right traces "
    "trace_tokens train_seconds dtype machine date",
    arms=COURSES,
    run=run,
)

if __name__ == "__main__":
    main(EXPERIMENT, __doc__)
