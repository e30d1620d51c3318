"""How the way of decoding changes a student's answers: the data of lesson 02.

    python benchmarks/decoding.py [--problems 48] [--k 8] [--beams 4]

The untouched Qwen-0.5B, few-shot, on unseen equations.  Each strategy writes k candidates a
problem (greedy and beam search one: they always write the same).  Appends one row a strategy and
problem to `data/decoding_strategies.csv`; what is there is not repeated.
"""

import argparse
import time

import torch
from rows import DATA, append, done

from distillkit.decoding import beam_search, likeliest, log_prob, write
from distillkit.equations import NARROW, make_problems
from distillkit.evaluation import score
from distillkit.models import load
from distillkit.recipes import TEST_SEED
from distillkit.sampling import sample
from distillkit.session import machine, start
from distillkit.templates import SHOTS, THINK, chat_text, messages

OUT = DATA / "decoding_strategies.csv"
FIELDS = ("strategy", "problem", "family", "candidates", "right", "formed", "different", "tokens",
          "log_prob", "seconds", "student", "machine")  # fmt: skip
STRATEGIES = {
    "greedy": {"temperature": 0.0},
    "T 0.3": {"temperature": 0.3},
    "T 0.7": {"temperature": 0.7},
    "T 1": {"temperature": 1.0},
    "T 1.5": {"temperature": 1.5},
    "T 1.5, top-p 0.9": {"temperature": 1.5, "top_p": 0.9},
    "T 1.5, top-k 20": {"temperature": 1.5, "top_k": 20},
}
LIMIT = 96


def row(problem, texts, finishes, tokens):
    """Count what is right among the candidates of one problem."""
    scores = [score(text, finish, problem.answer) for text, finish in zip(texts, finishes)]
    return {"problem": problem.id, "family": problem.family, "candidates": len(texts),
            "right": sum(s["exact"] for s in scores), "formed": sum(s["format"] for s in scores),
            "different": len(set(texts)), "tokens": tokens}  # fmt: skip


def sampled(student, problems, prompts, k, setting):
    """Return one row a problem for a strategy of the sampler."""
    k = k if setting["temperature"] else 1
    began = time.perf_counter()
    found = sample(student.model, student.tokenizer, prompts, k, max_new_tokens=LIMIT,
                   stop=THINK.stop, **setting)  # fmt: skip
    seconds = (time.perf_counter() - began) / len(problems)
    for problem, texts in zip(problems, found, strict=True):
        yield {**row(problem, [t.text for t in texts], [t.finish for t in texts],
                     sum(t.tokens for t in texts)), "seconds": round(seconds, 2)}  # fmt: skip


def plain(student, problems, prompts, decode):
    """Return one row a problem for plain decoding, with the text's log-probability."""
    stops = {student.tokenizer.eos_token_id}
    for problem, prompt in zip(problems, prompts, strict=True):
        ids = torch.tensor(student.tokenizer(prompt, add_special_tokens=False)["input_ids"])
        began = time.perf_counter()
        new = decode(student.model, ids, stops)
        seconds = time.perf_counter() - began
        text = student.tokenizer.decode(new, skip_special_tokens=True)
        cut = "eos" if new[-1] in stops else "length"
        yield {**row(problem, [text], [cut], len(new)), "seconds": round(seconds, 2),
               "log_prob": round(log_prob(student.model, ids, new), 4)}  # fmt: skip


def main():
    """Run what is missing and append it."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--problems", type=int, default=48)
    arguments.add_argument("--k", type=int, default=8)
    arguments.add_argument("--beams", type=int, default=4)
    options = arguments.parse_args()
    kit = start("cpu")
    student = load("qwen2.5-coder-0.5b-instruct", dtype=kit.dtype, say=lambda _: None)
    problems = make_problems(options.problems, NARROW, "test", TEST_SEED)
    prompts = [chat_text(student.tokenizer, messages(p.text, THINK, SHOTS)) for p in problems]
    jobs = {name: lambda s=s: sampled(student, problems, prompts, options.k, s)
            for name, s in STRATEGIES.items()}  # fmt: skip
    jobs["greedy, plain"] = lambda: plain(
        student, problems, prompts, lambda m, ids, stops: write(m, ids, likeliest, LIMIT, stops))
    jobs[f"{options.beams} beams"] = lambda: plain(
        student, problems, prompts,
        lambda m, ids, stops: beam_search(m, ids, options.beams, LIMIT, stops))  # fmt: skip
    there = done(OUT, "strategy")
    for name, job in jobs.items():
        if (name,) in there:
            continue
        began, rows = time.perf_counter(), list(job())
        about = {"strategy": name, "student": f"{student.name} {kit.dtype}", "machine": machine()}
        append(OUT, FIELDS, [{**about, **row} for row in rows])
        right, of = (sum(r[key] for r in rows) for key in ("right", "candidates"))
        print(f"{name}: {right} of {of} right, {time.perf_counter() - began:.0f} s", flush=True)


if __name__ == "__main__":
    main()
