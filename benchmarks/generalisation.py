"""How far does a distilled student carry its skill?  The table of the README, 200 unseen of each.

    python3 kit.py demo --curriculum broad --out runs/broad
    python benchmarks/generalisation.py runs/broad [--test 200] [--outside questions.jsonl]

Asks the student of a finished run and the untouched one with solved examples the same questions,
and writes one row a student, split and family to `data/generalisation.csv`, with the paired gain,
and the distilled student's answers to `data/generalisation_answers.jsonl`.
Answers are kept in `RUN/generalisation/`; a run cut short goes on from there.  `--outside` adds
questions by others; for the simple equations of reasoning-gym (in an environment of its own):

    pip install reasoning-gym==0.1.25
    python -c "import json, reasoning_gym as r; [print(json.dumps(q)) for q in
    r.create_dataset('simple_equations', size=200, seed=0)]" > questions.jsonl
"""

import argparse
from pathlib import Path

from rows import DATA, scored, write

from distillkit.demo import load_run
from distillkit.equations import FAR, NARROW, make_problems
from distillkit.errors import slips
from distillkit.evaluation import evaluate, paired_difference, read_questions
from distillkit.models import load
from distillkit.recipes import CURRICULA, TEST_SEED, broad_problems, examples
from distillkit.records import write_jsonl
from distillkit.session import start
from distillkit.wordings import stories

OUT, ANSWERS = DATA / "generalisation.csv", DATA / "generalisation_answers.jsonl"
KEPT = ("problem", "template", "text", "finish", "exact", "lenient")
LIMIT = CURRICULA["broad"]["max_new_tokens"]


def splits(n, outside):
    """Return the questions of each split; none was trained on."""
    far = make_problems(2 * (n // 3), FAR, "test", TEST_SEED) + stories(n - 2 * (n // 3))
    asked = {
        "narrow": make_problems(n, NARROW, "test", TEST_SEED),
        "unknown on both sides": make_problems(n, ("both-sides", "brackets-both"), "test",
                                               TEST_SEED),
        "broad": broad_problems(n),
        "far": far,
    }  # fmt: skip
    if outside:
        asked["outside"], refused = read_questions(outside)
        print(f"{outside}: {len(asked['outside'])} questions, {len(refused)} lines refused")
    return asked


def main():
    """Ask, score, and write the table."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("run", type=Path, help="the folder of a finished demo")
    arguments.add_argument("--test", type=int, default=200, help="questions of each split")
    arguments.add_argument("--outside", type=Path, help="JSON lines of question and answer")
    options = arguments.parse_args()
    kept = options.run / "generalisation"
    kept.mkdir(exist_ok=True)
    model, tokenizer, settings = load_run(options.run)
    kit = start("cpu", dtype=settings["dtype"])
    untouched = load(settings["student"], kit.device, kit.dtype, say=lambda _: None).model
    table, answers = [], []
    for split, asked in splits(options.test, options.outside).items():
        found = {}
        solved = examples("broad" if split in ("broad", "outside") else "narrow")
        for stage, student, shots in (("distilled", model, ()), ("few-shot", untouched, solved)):
            found[stage] = evaluate(
                student, tokenizer, asked, shots=shots, max_new_tokens=LIMIT, width=100,
                journal=kept / f"{stage}-{split}.jsonl".replace(" ", "-"),
            )  # fmt: skip
            print(f"{split}, {stage}: {slips(found[stage])}", flush=True)
        answers += [{"split": split, **{key: row[key] for key in KEPT}}
                    for row in found["distilled"]]  # fmt: skip
        for family in ["", *dict.fromkeys(p.family for p in asked)]:
            pair = [[row for row in rows if family in ("", row["problem"]["family"])]
                    for rows in found.values()]  # fmt: skip
            gain = paired_difference(*([row["exact"] for row in rows] for rows in pair[::-1]))
            for stage, rows in zip(found, pair, strict=True):
                result = scored(rows)
                table.append({"split": split, "family": family or "all", "stage": stage, **result,
                              "curriculum": settings["curriculum"], "traces": settings["traces"],
                              "seed": settings["seed"], "dtype": kit.dtype})  # fmt: skip
            table[-2] |= dict(zip(("gain", "gain_low", "gain_high"), (round(g, 4) for g in gain),
                                  strict=True))  # fmt: skip
            print(f"{split:>22} {family or 'all':>14} " + ", ".join(
                f"{stage} {100 * row['exact']:.0f} % ({100 * row['low']:.0f} to "
                f"{100 * row['high']:.0f}, n = {row['n']})"
                for stage, row in zip(found, table[-2:], strict=True)), flush=True)  # fmt: skip
    write(OUT, list(table[0]), table)
    write_jsonl(ANSWERS, answers)


if __name__ == "__main__":
    main()
