"""What does the broad curriculum reach, on which kinds, and what did the one before it reach?

    python3 kit.py demo --curriculum broad --out runs/broad
    python -m benchmarks.experiments.reach

Asks three students the same unseen questions: that of the finished run, the one that comes with the
kit (`data/adapter_broad/`, taught before, in the form `collect`), and the untouched one with solved
examples.  A row a student, split and family, with the paired gain over the shipped student.
"Stories" are others than those that were taught, and "far" holds kinds that never were.  "Outside"
are questions by others, which `benchmarks/recordings/outside_questions.py` writes to `runs/`; those
of "outside, fresh" were first looked at here.
"""

from functools import cache

from benchmarks.runner import RUNS, Experiment, main, scored
from distillkit.evaluation.scoring import evaluate, read_questions
from distillkit.evaluation.slips import slips
from distillkit.evaluation.statistics import paired_difference
from distillkit.pipeline.demo import load_run
from distillkit.pipeline.recipes import CURRICULA, TEST_SEED, broad_problems, examples
from distillkit.problems.equations import FAR, NARROW, make_problems
from distillkit.problems.wordings import stories
from distillkit.runtime.session import data_path
from distillkit.training.lora import READY


def of_kinds(*families):
    """Return what makes n unseen problems of these families."""
    return lambda n: make_problems(n, families, "test", TEST_SEED)


def by_others(name):
    """Return what reads n questions of others."""
    return lambda n: read_questions(RUNS / f"{name}.jsonl")[0][:n]


ARMS = {  # split -> n questions, none of which was trained on
    "narrow": of_kinds(*NARROW),
    "broad": broad_problems,
    "fractions": of_kinds("fractions"),
    "systems": of_kinds("systems"),
    "stories": stories,
    "far": of_kinds(*FAR),
    "outside": by_others("outside"),
    "outside, fresh": by_others("outside_fresh"),
    "outside, fractions": by_others("outside_fractions"),
    "outside, systems": by_others("outside_systems"),
}
LIMIT = CURRICULA["broad"]["max_new_tokens"]
EXAMPLES_LIMIT = 256  # tokens of an answer with short examples before it


@cache
def trained():
    """Return model, tokenizer and settings of the finished run, and of the shipped student."""
    return load_run(RUNS / "broad"), load_run(data_path(READY))


def run(arm, seed, bench):
    """Ask the three students the questions of one split."""
    asked = ARMS[arm](bench.test)
    (model, tokenizer, settings), (shipped, _, _) = trained()
    if settings["dtype"] != bench.machine.dtype:
        raise ValueError(f"the run was made in {settings['dtype']}: give --dtype")
    solved = examples("broad" if arm == "broad" or arm.startswith("outside") else "narrow")
    untouched = bench.load(settings["student"]).model
    students = {"few-shot": (untouched, solved, EXAMPLES_LIMIT), "shipped": (shipped, (), LIMIT),
                "distilled": (model, (), LIMIT)}  # fmt: skip
    found = {}
    for stage, (student, shots, most) in students.items():
        found[stage] = evaluate(student, tokenizer, asked, shots=shots, max_new_tokens=most,
                                width=100)  # fmt: skip
        print(f"{arm}, {stage}: {slips(found[stage])}", flush=True)
    table = []
    for family in ["", *dict.fromkeys(problem.family for problem in asked)]:
        parts = {stage: [row for row in rows if family in ("", row["problem"]["family"])]
                 for stage, rows in found.items()}  # fmt: skip
        before, after = ([row["exact"] for row in parts[s]] for s in ("shipped", "distilled"))
        gain = zip(("gain", "gain_low", "gain_high"), paired_difference(before, after), strict=True)
        about = {"family": family or "all", "traces": settings["traces"], "seed": settings["seed"]}
        for stage, part in parts.items():
            table.append({**about, "stage": stage, **scored(part)})
        table[-1] |= {name: round(value, 4) for name, value in gain}
    return table


EXPERIMENT = Experiment(
    csv="reach.csv",
    key="split",
    columns="split family stage n exact format lenient low high answer_tokens gain gain_low "
    "gain_high traces seed dtype machine date",
    arms=ARMS,
    run=run,
    test=200,
    once=ARMS,
)

if __name__ == "__main__":
    main(EXPERIMENT, __doc__)
