"""What is forgotten without general examples?  0, 20 and 50 % of them beside the same equations.

    python benchmarks/general_share.py [--seeds 0,1,2] [--traces 48] [--test 100]

Trains Qwen-0.5B on the recorded teacher's verified solutions and general examples, and measures
equations solved, the loss on general answers that were held out, and how many held-out questions
are answered in the form of an equation.  Appends one row a share and seed to
`data/general_share.csv`; what is there is not repeated.
"""

import argparse

import torch
from rows import DATA, append, done, scored

from distillkit.equations import NARROW, make_problems
from distillkit.evaluation import evaluate
from distillkit.filters import choose, mix, reject, to_traces
from distillkit.gradients import CompletionLoss
from distillkit.models import load
from distillkit.packing import encode, pack, supervised
from distillkit.recipes import TEST_SEED
from distillkit.records import read_jsonl
from distillkit.sampling import sample
from distillkit.session import data_path, start
from distillkit.teachers import Recorded
from distillkit.templates import chat_text
from distillkit.training import distill, lora, with_adapter

OUT = DATA / "general_share.csv"
FIELDS = ("share", "seed", "n", "exact", "format", "lenient", "low", "high", "answer_tokens",
          "traces", "general", "held_out", "general_loss", "equation_form", "trace_tokens",
          "train_seconds", "dtype", "machine", "date")  # fmt: skip
HELD_OUT = 18


def general_ability(model, tokenizer, held):
    """Return the mean loss (nats a token) on held-out answers, and how many answers have tags."""
    measure, total, count = CompletionLoss(model).eval(), 0.0, 0
    with torch.no_grad(), torch.autocast("cpu", enabled=model.dtype == torch.bfloat16):
        for example in encode(held, tokenizer):
            learned = supervised([example])
            total += measure(**pack([example])).item() * learned
            count += learned
    prompts = [chat_text(tokenizer, row["prompt"]) for row in held]
    texts = sample(model, tokenizer, prompts, 1, 0.0, max_new_tokens=48)
    return total / count, sum("<think>" in t.text or "<answer>" in t.text for t, in texts)


def main():
    """Train what is missing and append it."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--seeds", default="0,1,2")
    arguments.add_argument("--traces", type=int, default=48, help="solutions in every arm")
    arguments.add_argument("--test", type=int, default=100)
    options = arguments.parse_args()
    kit = start("cpu")
    student = load("qwen2.5-coder-0.5b-instruct", dtype=kit.dtype, say=lambda _: None)
    test = make_problems(options.test, NARROW, "test", TEST_SEED)
    general = read_jsonl(data_path("general.jsonl"))
    held, general = general[::4][:HELD_OUT], [g for i, g in enumerate(general) if i % 4]
    recorded = Recorded()
    kept, _ = reject(recorded.sample(recorded.problems(NARROW)))
    there = done(OUT, "share", "seed")

    def write(share, seed, model, about):
        answers = evaluate(model, student.tokenizer, test, width=len(test))
        loss, tags = general_ability(model, student.tokenizer, held)
        append(OUT, FIELDS, [{
            "share": share, "seed": seed, "held_out": len(held), "general_loss": round(loss, 4),
            "equation_form": tags, "dtype": kit.dtype, **scored(answers), **about,
        }])  # fmt: skip
        print(f"{share} {seed}: loss {loss:.3f}, {tags} with tags", flush=True)

    if ("untouched", "") not in there:
        model = with_adapter(student.model, lora())  # a fresh adapter changes nothing
        write("untouched", "", model, {"traces": 0, "general": 0})
        model.unload()
    for seed in options.seeds.split(","):
        for share in (0.0, 0.2, 0.5):
            if (str(share), seed) in there:
                continue
            chosen = to_traces(choose(kept, options.traces, int(seed)))
            rows = mix(chosen, general, share, int(seed))
            run = distill(student.model, student.tokenizer, rows, seed=int(seed))
            write(share, seed, run.student, {
                "traces": len(chosen), "general": len(rows) - len(chosen),
                "trace_tokens": run.tokens, "train_seconds": round(run.seconds),
            })  # fmt: skip
            run.student.unload()


if __name__ == "__main__":
    main()
