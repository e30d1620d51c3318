"""How low a rank does a learned adapter need?  Cut by singular values, and asked again.

    python3 kit.py demo --curriculum broad --out runs/broad
    python benchmarks/ranks.py runs/broad [--ranks 0,1,2,4,8,16] [--test 100]
        [--splits narrow,broad] [--ship 4]

Appends one row a rank to `data/ranks.csv` (rank 0: the untouched student with solved examples) for
narrow and for broad equations; what is there is not repeated.
`--ship R` writes the adapter, cut to rank R in 16 bits, and the run's report to
`data/adapter_broad/`.
"""

import argparse
from pathlib import Path

from peft import PeftModel
from rows import DATA, append, done, scored

from distillkit.adapters import cut_rank, save_cut
from distillkit.equations import SMALL, make_problems
from distillkit.evaluation import evaluate
from distillkit.models import load
from distillkit.recipes import CURRICULA, TEST_SEED, broad_problems, examples
from distillkit.records import read_json, write_json
from distillkit.session import start

OUT, SHIPPED = DATA / "ranks.csv", DATA / "adapter_broad"
FIELDS = ("rank", "split", "n", "exact", "format", "lenient", "low", "high", "answer_tokens",
          "dtype", "machine", "date")  # fmt: skip
LIMIT = CURRICULA["broad"]["max_new_tokens"]


def main():
    """Cut, ask, and append; then write the adapter that ships."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("run", type=Path, help="the folder of a finished demo")
    arguments.add_argument("--ranks", default="0,16,8,4,2,1")
    arguments.add_argument("--test", type=int, default=100)
    arguments.add_argument("--splits", default="narrow,broad")
    arguments.add_argument("--ship", type=int, help="write the adapter cut to this rank")
    options = arguments.parse_args()
    report = read_json(options.run / "report.json")
    dtype = report["settings"]["dtype"]
    kit = start("cpu", dtype=dtype)
    student = load(report["student"]["name"], kit.device, kit.dtype, say=lambda _: None)
    assert student.sha256 == report["student"]["sha256"], "another base than the run's"
    asked = {
        "narrow": make_problems(options.test, SMALL, "test", TEST_SEED),
        "broad": broad_problems(options.test),
    }
    asked = {name: asked[name] for name in options.splits.split(",")}
    there = done(OUT, "rank", "split")

    def ask(model, rank, split, shots=()):
        if (str(rank), split) in there:
            return
        answers = evaluate(model, student.tokenizer, asked[split], shots=shots, width=100,
                           max_new_tokens=LIMIT)  # fmt: skip
        row = {"rank": rank, "split": split, "dtype": dtype, **scored(answers)}
        append(OUT, FIELDS, [row])
        print(f"rank {rank}, {split}: {100 * row['exact']:.0f} %", flush=True)

    ranks = [int(rank) for rank in options.ranks.split(",")]
    for split in asked if 0 in ranks else ():
        ask(student.model, 0, split, examples(split))
    for rank in filter(None, ranks):
        model = PeftModel.from_pretrained(student.model, options.run / "adapter")
        cut_rank(model, rank)
        for split in asked:
            ask(model, rank, split)
        model.unload()
    if options.ship:
        model = PeftModel.from_pretrained(student.model, options.run / "adapter")
        save_cut(model, options.ship, SHIPPED, report["student"]["name"])
        report["command"] = report["command"].replace(str(options.run.resolve()), "runs/broad")
        write_json(SHIPPED / "report.json", report)


if __name__ == "__main__":
    main()
