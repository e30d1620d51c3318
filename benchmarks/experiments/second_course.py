"""Can a student learn later what it failed at, and keep what it knew?

    python -m benchmarks.experiments.second_course

The student that comes with the kit (`data/adapter_broad/`) goes on learning: the solver's solutions
of the kinds at which it failed, and beside them, as rehearsal, those of its old kinds.  Which kinds
it failed at was read off its wrong answers in `data/generalisation_answers.jsonl`.  A row a course
and split, with the paired gain.  Stories are others than those that are told in training; "outside"
are simple equations of reasoning-gym, with a seed at which nobody had looked:
`python -m benchmarks.recordings.outside_questions runs`.
Expected before the run: fractions above 35, systems above 40, stories above 60, outside above 60,
broad within 8 points of before.
Adapters and answers are kept in `runs/second_course/`.
"""

from benchmarks.runner import RUNS, Experiment, main, scored
from distillkit.evaluation.scoring import evaluate, read_questions
from distillkit.evaluation.slips import slips
from distillkit.evaluation.statistics import paired_difference
from distillkit.pipeline.recipes import TEST_SEED, broad_problems
from distillkit.problems.equations import NARROW, SMALL, make_problems, overlap
from distillkit.problems.wordings import reworded, stories
from distillkit.runtime.files import read_jsonl
from distillkit.runtime.session import data_path
from distillkit.traces.filters import mix, reject, to_traces
from distillkit.traces.teachers import Solver
from distillkit.training.loop import TrainingConfig, distill
from distillkit.training.lora import ready_student

WEAK = {"scaled": 5, "near": 1, "fractions": 2, "systems": 3, "pairs": 1, "stories": 3}  # shares
OLD = {**dict.fromkeys(SMALL, 1), "large": 1, "broad": 3}  # rehearsal
SIZE, LIMIT = 24, 640  # solutions for a share of one; tokens of an answer


def of_kinds(*families):
    """Return what makes n unseen problems of these families."""
    return lambda n: make_problems(n, families, "test", TEST_SEED)


SPLITS = {  # n questions, none of which is trained on
    "narrow": of_kinds(*NARROW),
    "broad": broad_problems,
    "fractions": of_kinds("fractions"),
    "systems": of_kinds("systems"),
    "stories": stories,
    "outside": lambda n: read_questions(RUNS / "outside_fresh.jsonl")[0][:n],
}
ONCE = [("none", split) for split in SPLITS]
ARMS = [*ONCE, *(("second", split) for split in SPLITS)]


def run(arm, seed, bench):
    """Teach the course, unless that is done, and ask the questions of a split before and after."""
    course, split = arm
    asked = SPLITS[split](bench.test)
    student = ready_student(bench.machine)
    before = answered(student, asked, bench.folder / f"none-{split}.jsonl")
    if course == "none":
        return scored(before)
    traces = lesson(seed, asked)
    config = TrainingConfig(rate=3e-4, batch_size=4, seed=seed)
    trained = distill(student.model, student.tokenizer, traces, config=config,
                      out=bench.folder / f"{course}-{seed}")  # fmt: skip
    after = answered(student, asked, bench.folder / f"{course}-{seed}-{split}.jsonl")
    print(f"{course}, {split}: {slips(after)}", flush=True)
    gain = paired_difference(*([row["exact"] for row in rows] for rows in (before, after)))
    named = zip(("gain", "gain_low", "gain_high"), (round(g, 4) for g in gain), strict=True)
    return {**scored(after), **dict(named), "traces": len(traces), "trace_tokens": trained.tokens,
            "train_seconds": round(trained.seconds)}  # fmt: skip


def answered(student, asked, journal):
    """Return a student's answers, which are not asked for twice."""
    return evaluate(student.model, student.tokenizer, asked, max_new_tokens=LIMIT, width=100,
                    journal=journal)  # fmt: skip


def lesson(seed, asked):
    """Return the solver's verified solutions of the course, and general examples beside them."""
    turns = [f for family, share in (WEAK | OLD).items() for f in [family] * (share * SIZE)]
    told = stories(turns.count("stories"), "train", seed)
    families = [family for family in turns if family != "stories"]
    made = make_problems(len(families), families, "train", seed, avoid=told)
    problems = [*told, *reworded(made, seed)]
    assert not overlap(problems, [problem for problem in asked if problem.split != "own"])
    kept, _ = reject(Solver(form="collect").sample(problems))
    general = read_jsonl(data_path("general.jsonl"))
    return mix(to_traces(kept), general, 0.1, seed, or_fewer=True)


EXPERIMENT = Experiment(
    csv="second_course.csv",
    key="course split",
    columns="course split seed n exact format lenient low high answer_tokens gain gain_low "
    "gain_high traces trace_tokens train_seconds dtype machine date",
    arms=ARMS,
    run=run,
    once=ONCE,
)

if __name__ == "__main__":
    main(EXPERIMENT, __doc__)
