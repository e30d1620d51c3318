"""How far does a distilled student carry its skill?  200 unseen questions of each split.

    python3 kit.py demo --curriculum broad --out runs/broad
    python -m benchmarks.experiments.generalisation

Asks the student of that finished run and the untouched one with solved examples the same questions:
a row a student, split and family, with the paired gain.  The distilled student's answers go to
`generalisation_answers.jsonl` beside the table.  The split "outside" holds questions by others, the
simple equations of reasoning-gym, which `python -m benchmarks.recordings.outside_questions runs`
writes to `runs/outside_fresh.jsonl` in an environment of its own.
"""

from functools import cache

from benchmarks.runner import RUNS, Experiment, gained, main, scored
from distillkit.evaluation.scoring import evaluate, read_questions
from distillkit.evaluation.slips import slips
from distillkit.pipeline.demo import load_run
from distillkit.pipeline.recipes import CURRICULA, TEST_SEED, broad_problems, examples
from distillkit.problems.equations import FAR, NARROW, make_problems
from distillkit.problems.wordings import stories


def of_kinds(*families):
    """Return what makes n unseen problems of these families."""
    return lambda n: make_problems(n, families, "test", TEST_SEED)


ARMS = {  # split -> n questions, none of which was trained on
    "narrow": of_kinds(*NARROW),
    "unknown on both sides": of_kinds("both-sides", "brackets-both"),
    "broad": broad_problems,
    "fractions": of_kinds("fractions"),
    "systems": of_kinds("systems"),
    "stories": stories,  # others than those that are told in training
    "never taught": of_kinds(*FAR),
    "outside": lambda n: read_questions(RUNS / "outside_fresh.jsonl")[0][:n],
}
LIMIT = CURRICULA["broad"]["max_new_tokens"]


@cache
def distilled():
    """Return model, tokenizer and settings of the finished run."""
    return load_run(RUNS / "broad")


def run(arm, seed, bench):
    """Ask both students the questions of one split."""
    asked = ARMS[arm](bench.test)
    model, tokenizer, settings = distilled()
    if settings["dtype"] != bench.machine.dtype:
        raise ValueError(f"the run was made in {settings['dtype']}: give --dtype")
    solved = examples("broad" if arm in ("broad", "outside") else "narrow")
    untouched = bench.load(settings["student"]).model
    students = {"distilled": (model, ()), "few-shot": (untouched, solved)}
    found = {}
    for stage, (student, shots) in students.items():
        found[stage] = evaluate(student, tokenizer, asked, shots=shots, max_new_tokens=LIMIT,
                                width=200)  # fmt: skip
        print(f"{arm}, {stage}: {slips(found[stage])}", flush=True)
    kept = ("problem", "template", "text", "finish", "exact", "lenient")
    answers = [{"split": arm, **{key: row[key] for key in kept}} for row in found["distilled"]]
    bench.keep("generalisation_answers.jsonl", answers, "split")
    about = {name: settings[name] for name in ("curriculum", "traces", "seed")}
    table = []
    for family in ["", *dict.fromkeys(problem.family for problem in asked)]:
        after, before = ([row for row in rows if family in ("", row["problem"]["family"])]
                         for rows in found.values())  # fmt: skip
        gain = gained(*([row["exact"] for row in rows] for rows in (before, after)))
        row = {"family": family or "all", **about}
        table.append({**row, "stage": "distilled", **scored(after), **gain})
        table.append({**row, "stage": "few-shot", **scored(before)})
    return table


EXPERIMENT = Experiment(
    csv="generalisation.csv",
    key="split",
    columns="split family stage n exact format lenient low high answer_tokens machine date "
    "curriculum traces seed dtype gain gain_low gain_high",
    arms=ARMS,
    run=run,
    test=200,
    once=ARMS,
)

if __name__ == "__main__":
    main(EXPERIMENT, __doc__)
