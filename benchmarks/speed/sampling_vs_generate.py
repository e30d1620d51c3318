"""Our sampler against `generate(num_return_sequences=k)`: useful tokens a second, side by side.

    python -m benchmarks.speed.sampling_vs_generate [--runs 3] [--prompts 16] [--dtype float32]

The untouched Qwen-0.5B on the CPU, temperature 0.7.  Two cases: k = 8 behind the few-shot prefix,
up to 96 tokens, and k = 4 without a prefix, up to 192 tokens, so that lengths fall as they fall.
Both sides write until the end-of-turn token; tokens after it are not counted.  The prompts of a
case are one batch on both sides, and the sides take turns.
"""

import argparse
import json
import statistics
import time
from pathlib import Path

import torch

from distillkit.equations import NARROW, make_problems
from distillkit.models import load
from distillkit.sampling import sample
from distillkit.session import start
from distillkit.templates import SHOTS, THINK, chat_text, messages

CASES = {"few-shot prefix, k = 8": (SHOTS, 8, 96), "no prefix, k = 4": ((), 4, 192)}


def generate(student, prompts, k, limit):
    """Return the useful tokens that transformers' generate writes, all prompts in one batch."""
    tokenizer = student.tokenizer
    tokenizer.padding_side = "left"
    batch = tokenizer(prompts, return_tensors="pt", padding=True, add_special_tokens=False)
    with torch.inference_mode():
        out = student.model.generate(**batch, do_sample=True, temperature=0.7, top_k=0, top_p=1.0,
                                     max_new_tokens=limit, num_return_sequences=k)  # fmt: skip
    new = out[:, batch["input_ids"].shape[1] :]
    ended = (new == tokenizer.eos_token_id).int().cumsum(-1)
    return int(((ended == 0) | ((ended == 1) & (new == tokenizer.eos_token_id))).sum())


def ours(student, prompts, k, limit):
    """Return the tokens that our sampler writes."""
    rows = sample(student.model, student.tokenizer, prompts, k, 0.7, max_new_tokens=limit,
                  width=k * len(prompts))  # fmt: skip
    return sum(done.tokens for row in rows for done in row)


def main():
    """Print tokens/s of both sides, run by run in turn, and the ratio run by run."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--runs", type=int, default=3)
    arguments.add_argument("--prompts", type=int, default=16)
    arguments.add_argument("--dtype", choices=("float32", "bfloat16"))
    arguments.add_argument("--out", type=Path)
    options = arguments.parse_args()
    kit = start("cpu", dtype=options.dtype)
    student = load("qwen2.5-coder-0.5b-instruct", dtype=kit.dtype, say=lambda _: None)
    problems = make_problems(options.prompts, NARROW, "test", 1)
    results = []
    for name, (shots, k, limit) in CASES.items():
        prompts = [chat_text(student.tokenizer, messages(p.text, THINK, shots)) for p in problems]
        speeds = {generate: [], ours: []}
        for _ in range(options.runs):
            for way, found in speeds.items():
                began = time.perf_counter()
                found.append(way(student, prompts, k, limit) / (time.perf_counter() - began))
                print(f"{name:>22}  {way.__name__:>9}: {found[-1]:6.1f} tokens/s", flush=True)
        ratios = [b / a for a, b in zip(*speeds.values(), strict=True)]
        print(
            f"{name:>22}  median ratio {statistics.median(ratios):.2f} "
            f"({min(ratios):.2f}–{max(ratios):.2f}), {kit.dtype}",
            flush=True,
        )
        results.append({"case": name, "dtype": kit.dtype, "prompts": options.prompts,
                        "generate": speeds[generate], "ours": speeds[ours]})  # fmt: skip
        if options.out:
            options.out.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
