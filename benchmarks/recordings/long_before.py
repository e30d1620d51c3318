"""Record what the untouched student answers when it may finish: zero-shot, up to 512 tokens.

    python -m benchmarks.recordings.long_before

The demo cuts its answers after 128 tokens to save time, and a cut text is not a wrong one.  The
report of a run with the same student and the same questions reads this record
(`data/untouched_512_qwen2.5-coder-0.5b.jsonl`).  A stopped
run goes on where it was (its journal is in `runs/recordings/`: remove it to start anew).
"""

from datetime import date

from benchmarks.runner import DATA, RUNS, STUDENT
from distillkit.evaluation.scoring import evaluate
from distillkit.evaluation.statistics import wilson
from distillkit.models.loading import load
from distillkit.pipeline.recipes import TEST_SEED
from distillkit.pipeline.report import LONG_TOKENS, UNTOUCHED
from distillkit.problems.equations import NARROW, OUT_OF_DISTRIBUTION, make_problems
from distillkit.runtime.files import write_jsonl
from distillkit.runtime.progress import Screen, rows_progress
from distillkit.runtime.session import processor, start


def main() -> None:
    """Ask the equations of the demo, the 100 taught kinds and the 60 others, and count."""
    machine, screen = start("cpu"), Screen()
    student = load(STUDENT, machine.device, machine.dtype, say=lambda _: None)
    test = make_problems(100, NARROW, "test", TEST_SEED)
    problems = [*test, *make_problems(60, OUT_OF_DISTRIBUTION, "ood", TEST_SEED, avoid=test)]
    journal = RUNS / "recordings" / UNTOUCHED
    rows = evaluate(
        student.model, student.tokenizer, problems, max_new_tokens=LONG_TOKENS, width=40,
        journal=journal, on_done=rows_progress(screen, "answers", [p.id for p in problems], journal)
    )  # fmt: skip
    about = {
        "student": {"name": student.name, "source": student.source, "sha256": student.sha256},
        "dtype": machine.dtype, "max_new_tokens": LONG_TOKENS, "machine": processor(),
        "date": date.today().isoformat(),
    }  # fmt: skip
    write_jsonl(DATA / UNTOUCHED, ({**row, **about} for row in rows))
    for name, part in {"taught kinds": rows[:100], "other kinds": rows[100:]}.items():
        right, cut = (sum(flags) for flags in (
            (row["lenient"] for row in part), (row["finish"] == "length" for row in part)
        ))  # fmt: skip
        low, high = wilson(right, len(part))
        print(f"{name}: the right value in {right} of {len(part)} ({100 * low:.0f}–"
              f"{100 * high:.0f} %), {sum(row['exact'] for row in part)} in the asked form, "
              f"{cut} cut after {LONG_TOKENS} tokens")  # fmt: skip


if __name__ == "__main__":
    main()
