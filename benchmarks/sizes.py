"""What does a smaller model save?  Teacher, untouched and distilled student, side by side.

    python3 kit.py demo --curriculum broad --out runs/broad
    python benchmarks/sizes.py [--test 100] [--alone 8]

Asks each the same unseen narrow equations, all at once and a few one at a time, and writes
`data/sizes.csv`: weights, bytes, exact answers, seconds.  The distilled student is the one in
`data/adapter_broad/`, merged.
"""

import argparse
import time

from rows import DATA, scored, write

from distillkit.adapters import ready_student
from distillkit.equations import NARROW, make_problems
from distillkit.evaluation import evaluate
from distillkit.models import load
from distillkit.recipes import TEST_SEED
from distillkit.session import start
from distillkit.templates import SHOTS, THINK, chat_text, messages

OUT = DATA / "sizes.csv"
FIELDS = ("who", "model", "weights", "megabytes", "n", "exact", "low", "high", "answer_tokens",
          "prompt_tokens", "seconds_together", "seconds_alone", "dtype", "machine",
          "date")  # fmt: skip


def measure(who, student, shots, asked, alone):
    """Return the row of one model."""
    model, tokenizer = student.model, student.tokenizer
    evaluate(model, tokenizer, asked[:2], shots=shots)  # the first products are slow
    began = time.perf_counter()
    answers = evaluate(model, tokenizer, asked, shots=shots, width=len(asked), max_new_tokens=256)
    together = (time.perf_counter() - began) / len(asked)
    began = time.perf_counter()
    evaluate(model, tokenizer, asked[:alone], shots=shots, width=1, max_new_tokens=256)
    weights = [p for n, p in model.named_parameters() if "lora_" not in n]
    prompt = tokenizer(chat_text(tokenizer, messages(asked[0].text, THINK, shots)))["input_ids"]
    row = {
        **scored(answers), "who": who, "model": student.name,
        "weights": sum(p.numel() for p in weights),
        "megabytes": round(sum(p.numel() * p.element_size() for p in weights) / 1e6),
        "prompt_tokens": len(prompt), "seconds_together": round(together, 3),
        "seconds_alone": round((time.perf_counter() - began) / alone, 3),
    }  # fmt: skip
    print(row, flush=True)
    return {name: row[name] for name in FIELDS if name in row}


def main():
    """Measure the three, and write the table anew."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--test", type=int, default=100)
    arguments.add_argument("--alone", type=int, default=8, help="equations asked one at a time")
    options = arguments.parse_args()
    kit = start("cpu")
    asked = make_problems(options.test, NARROW, "test", TEST_SEED)
    rows = []
    student = ready_student(kit)
    student.model.merge_adapter()
    rows.append(measure("distilled", student, (), asked, options.alone))
    student = load("qwen2.5-coder-0.5b-instruct", dtype=kit.dtype, say=lambda _: None)
    rows.append(measure("untouched", student, SHOTS, asked, options.alone))
    student = load("qwen2.5-coder-1.5b-instruct", dtype=kit.dtype, say=lambda _: None)
    rows.append(measure("teacher", student, SHOTS, asked, options.alone))
    write(OUT, FIELDS, [{**row, "dtype": kit.dtype} for row in rows])


if __name__ == "__main__":
    main()
