"""Our sampler against `generate(num_return_sequences=k)`: useful tokens a second, side by side.

    python benchmarks/sampling_vs_generate.py [--k 4] [--prompts 8] [--runs 3]

The untouched Qwen-0.5B, float32 on the CPU, temperature 0.7, with and without the few-shot prefix.
Both sides write until the end-of-turn token or 96 tokens; tokens after it are not counted.
"""

import argparse
import statistics
import time

import torch

from distillkit.equations import NARROW, make_problems
from distillkit.models import load
from distillkit.sampling import sample
from distillkit.templates import SHOTS, THINK, chat_text, messages

LIMIT = 96


def generate(student, prompts, k):
    """Return the useful tokens that transformers' generate writes, all prompts in one batch."""
    tokenizer = student.tokenizer
    tokenizer.padding_side = "left"
    batch = tokenizer(prompts, return_tensors="pt", padding=True, add_special_tokens=False)
    with torch.inference_mode():
        out = student.model.generate(**batch, do_sample=True, temperature=0.7, top_k=0, top_p=1.0,
                                     max_new_tokens=LIMIT, num_return_sequences=k)  # fmt: skip
    new = out[:, batch["input_ids"].shape[1] :]
    ended = (new == tokenizer.eos_token_id).int().cumsum(-1)
    return int(((ended == 0) | ((ended == 1) & (new == tokenizer.eos_token_id))).sum())


def ours(student, prompts, k):
    """Return the tokens that our sampler writes."""
    rows = sample(student.model, student.tokenizer, prompts, k, 0.7, max_new_tokens=LIMIT,
                  width=k * len(prompts))  # fmt: skip
    return sum(done.tokens for row in rows for done in row)


def main():
    """Print tokens/s of both sides, run by run in turn, and the ratio of the medians."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--k", type=int, default=4)
    arguments.add_argument("--prompts", type=int, default=8)
    arguments.add_argument("--runs", type=int, default=3)
    options = arguments.parse_args()
    student = load("qwen2.5-coder-0.5b-instruct")
    problems = make_problems(options.prompts, NARROW, "test", 1)
    for name, shots in (("few-shot prefix", SHOTS), ("no prefix", ())):
        prompts = [chat_text(student.tokenizer, messages(p.text, THINK, shots)) for p in problems]
        speeds = {generate: [], ours: []}
        for _ in range(options.runs):
            for way, found in speeds.items():
                began = time.perf_counter()
                found.append(way(student, prompts, options.k) / (time.perf_counter() - began))
        medians = [statistics.median(found) for found in speeds.values()]
        for way, found in speeds.items():
            shown = ", ".join(f"{speed:.1f}" for speed in found)
            print(f"{name:>16}  {way.__name__:>9}: {shown} tokens/s", flush=True)
        print(f"{name:>16}  ratio of medians: {medians[1] / medians[0]:.2f}", flush=True)


if __name__ == "__main__":
    main()
