"""The forms of a solution, from a real teacher: what its examples show, it writes.

    python benchmarks/teacher_forms.py [--test 60] [--teacher NAME] [--forms terse,check,…]

A few-shot prompted teacher answers the same equations, greedily, with examples solved in each
trace form.  Appends one row a form to `data/teacher_forms.csv`: right answers, candidates that the
rules keep, tokens and seconds; what is there already is not repeated.
"""

import argparse
import time
from datetime import date

from rows import DATA, append, done

from distillkit.equations import SMALL, make_problems
from distillkit.evaluation import wilson
from distillkit.filters import CORRECT, judge, reject
from distillkit.forms import FORMS
from distillkit.recipes import TEST_SEED
from distillkit.session import machine, start
from distillkit.teachers import Local

OUT = DATA / "teacher_forms.csv"
FIELDS = ("form", "teacher", "n", "correct", "kept", "low", "high", "tokens", "seconds",
          "dtype", "machine", "date")  # fmt: skip


def main():
    """Ask the teacher in every form that is missing."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--test", type=int, default=60, help="equations")
    arguments.add_argument("--teacher", default="qwen2.5-coder-1.5b-instruct")
    arguments.add_argument("--forms", default=",".join(FORMS))
    options = arguments.parse_args()
    kit = start()
    there = done(OUT, "form", "teacher")
    problems = make_problems(options.test, SMALL, "train", TEST_SEED)
    teacher = Local.load(options.teacher, kit.device, kit.dtype, max_new_tokens=320)
    for form in options.forms.split(","):
        if (form, teacher.name) in there:
            continue
        teacher.form, began = form, time.perf_counter()
        rows = teacher.sample(problems, 1, temperature=0)
        seconds = time.perf_counter() - began
        kept, funnel = reject(rows)
        right = sum(not judge(row, (CORRECT,))["correct"] for row in rows)
        low, high = wilson(len(kept), len(rows))
        append(OUT, FIELDS, [{
            "form": form, "teacher": teacher.name, "n": len(rows), "correct": right,
            "kept": len(kept), "low": round(low, 4), "high": round(high, 4),
            "tokens": round(sum(row["tokens"] for row in rows) / len(rows), 1),
            "seconds": round(seconds, 1), "dtype": kit.dtype, "machine": machine(),
            "date": date.today(),
        }])  # fmt: skip
        print(form, f"{right} right, {len(kept)} of {len(rows)} kept, {seconds:.0f} s")
        print(funnel, flush=True)


if __name__ == "__main__":
    main()
