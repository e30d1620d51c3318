"""What one card can do: LoRA and QLoRA, whole and with less memory; without a card, what a CPU can.

    python -m benchmarks.speed.card [--caps 0,8,6,4] [--traces 128] [--test 100] [--only "LoRA;NF4"]
        [--student NAME]

Every way to hold the student is a process of its own; it learns from the recorded teacher's
verified traces and answers unseen equations, once under each cap: GB of the card that the process
may use.  0 is the whole card, in parts as large as its memory allows and once more in parts of 256
tokens; a CPU knows neither.  Appends one row a run to `data/card.csv` as it is made, with peaks,
the formula of `distillkit.training.memory`, speed and accuracy; what is there already is not
repeated. On a data-centre card all of it takes about five minutes.
"""

import argparse
import gc
import importlib.metadata
import json
import subprocess
import sys
import time
from datetime import date

import torch

from benchmarks.runner import DATA, append, scored
from distillkit.evaluation.scoring import evaluate
from distillkit.models.loading import load
from distillkit.pipeline.recipes import HARD, TEST_SEED
from distillkit.problems.equations import NARROW, make_problems
from distillkit.runtime.files import read_csv
from distillkit.runtime.session import peak_memory_bytes, processor, start
from distillkit.traces.filters import choose, reject, to_traces
from distillkit.traces.teachers import Recorded
from distillkit.training import memory
from distillkit.training.gradients import tokens_at_once
from distillkit.training.loop import TrainingConfig, distill
from distillkit.training.lora import lora, with_adapter
from distillkit.training.packing import batches, encode, pack, parts_of, supervised

OUT = DATA / "card.csv"
FIELDS = ("way", "cap_gb", "parts", "dtype", "weights_gb", "part_tokens", "largest_part",
          "train_peak_gb", "formula_gb",
          "process_peak_gb", "train_seconds", "train_tokens_per_second", "answer_peak_gb",
          "answer_tokens_per_second", "traces", "n", "exact", "low", "high", "format", "lenient",
          "answer_tokens", "machine", "card_gb", "driver", "torch", "bitsandbytes",
          "date")  # fmt: skip
WAYS = {  # name -> how the student is held, and the optimizer
    "LoRA": ("", "adamw"),
    "LoRA, 8-bit Adam": ("", "adamw-8bit"),
    "LoRA in float16": ("", "adamw"),
    "int8": ("int8", "adamw"),
    "NF4": ("nf4", "adamw"),
    "NF4, 8-bit Adam": ("nf4", "adamw-8bit"),
}


def peak_gb():
    """Return the most that tensors held on the card since the last call, nothing on a CPU."""
    if not torch.cuda.is_available():
        return ""
    found = torch.cuda.max_memory_allocated() / 1e9
    torch.cuda.reset_peak_memory_stats()
    return round(found, 3)


def speed(rows, seconds):
    """Return tokens a second of answers that were written together."""
    return round(sum(row["tokens"] for row in rows) / seconds, 1)


def largest_part(examples, tokens):
    """Return the part of all batches that has the largest tree."""
    parts = [part for step in batches(len(examples), 8, 1, 0)
             for part in parts_of([examples[i] for i in step], tokens)]  # fmt: skip
    return max(parts, key=lambda part: pack(part)["input_ids"].numel())


def measure(way, options):
    """Load one student, then train and ask it under each cap; yield a row for each."""
    machine, (quant, optimizer) = start(), WAYS[way]
    total = torch.cuda.get_device_properties(0).total_memory if machine.device == "cuda" else 0
    dtype = "float16" if way.endswith("float16") else machine.dtype
    student = load(options.student or machine.student, machine.device, dtype, lambda _: None, quant)
    teacher = Recorded()
    kept, _ = reject(teacher.sample(teacher.problems(NARROW)))
    traces = to_traces(choose(kept, options.traces, 0, HARD))
    for run in options.runs.split(","):
        cap, parts = run.split(":")
        if total:
            torch.cuda.empty_cache()
            torch.cuda.set_per_process_memory_fraction(float(cap) * 1e9 / total or 1.0)
        yield {
            "way": way, "cap_gb": cap, "parts": parts, "dtype": dtype,
            **trained_and_asked(student, quant, optimizer, traces, parts, options.test),
            "machine": processor(), "date": date.today(),
            "card_gb": round(total / 1e9, 1) or "", "driver": driver(),
            "torch": torch.__version__, "bitsandbytes": version("bitsandbytes"),
        }  # fmt: skip


def trained_and_asked(student, quant, optimizer, traces, parts, test):
    """Train an adapter and ask unseen equations; return what was measured."""
    on_card = student.model.device.type == "cuda"
    weights = sum(p.numel() * p.element_size() for p in student.model.parameters())
    model = with_adapter(student.model, lora())
    tokens = tokens_at_once(model) if parts == "auto" else int(parts)
    largest = largest_part(encode(traces, student.tokenizer), tokens)
    nodes = pack(largest)["input_ids"].numel()
    kind = quant or ("float32" if model.dtype == torch.float32 else "bfloat16")
    expected = memory.training(memory.shape_of(student.model.config), kind, 16, nodes,
                               supervised(largest))  # fmt: skip
    gc.collect()  # what an earlier run held in circles
    peak_gb()
    config = TrainingConfig(optimizer=optimizer, part_tokens=tokens)
    run = distill(model, student.tokenizer, traces, config=config)
    trained = peak_gb()
    problems = make_problems(test, NARROW, "test", TEST_SEED)
    began = time.perf_counter()
    answers = evaluate(run.student, student.tokenizer, problems, width=len(problems))
    answering = time.perf_counter() - began
    model.unload()
    return {
        "weights_gb": round(weights / 1e9, 3), "part_tokens": tokens,
        "largest_part": nodes,
        "train_peak_gb": trained, "formula_gb": round(sum(expected.values()) / 1e9, 3),
        "process_peak_gb": "" if on_card else round(peak_memory_bytes() / 1e9, 2),
        "train_seconds": round(run.seconds, 1),
        "train_tokens_per_second": round(run.tokens / run.seconds, 1),
        "answer_tokens_per_second": speed(answers, answering),
        "answer_peak_gb": peak_gb(), "traces": len(traces), **scored(answers),
    }  # fmt: skip


def version(package):
    """Return the version of an installed package, or nothing."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""


def driver():
    """Return the card's driver, or nothing."""
    words = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        return subprocess.run(words, capture_output=True, text=True).stdout.split("\n")[0].strip()
    except OSError:
        return ""


def main():
    """Measure what is missing, a process for each way."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--caps", default="0,8,6,4", help="GB, 0 is the whole card")
    arguments.add_argument("--traces", type=int, default=128)
    arguments.add_argument("--test", type=int, default=100, help="unseen equations")
    arguments.add_argument("--only", default=";".join(WAYS), help="ways, with ; between them")
    arguments.add_argument("--student", default="")
    arguments.add_argument("--runs", help=argparse.SUPPRESS)  # of the child: caps and parts
    options = arguments.parse_args()
    if options.runs:
        for row in measure(options.only, options):
            print(json.dumps(row, default=str), flush=True)
        return
    on_card = torch.cuda.is_available()
    runs = [(cap, "auto") for cap in options.caps.split(",")] if on_card else [("0", "auto")]
    if on_card and ("0", "auto") in runs:
        runs.insert(1, ("0", "256"))
    rows = read_csv(OUT) if OUT.exists() else []
    there = {(row["way"], row["cap_gb"], row["parts"], row["machine"]) for row in rows}
    for way in options.only.split(";"):
        missing = [run for run in runs if (way, *run, processor()) not in there]
        if not missing or (way.endswith("float16") and not on_card):
            continue  # a CPU has no fast products in float16
        words = [sys.executable, "-m", "benchmarks.speed.card", "--only", way,
                 "--student", options.student,
                 "--runs", ",".join(map(":".join, missing)),
                 "--traces", str(options.traces), "--test", str(options.test)]  # fmt: skip
        with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as child:
            for line in child.stdout:
                if not line.startswith("{"):
                    continue
                row = json.loads(line)
                append(OUT, FIELDS, [row])
                peak = row["train_peak_gb"] or row["process_peak_gb"]
                print(f"{way}, cap {row['cap_gb']} GB, part {row['largest_part']}: {peak} GB "
                      f"(formula {row['formula_gb']}), {row['train_seconds']} s, "
                      f"{row['answer_tokens_per_second']} answer tokens/s, "
                      f"{100 * row['exact']:.0f} % exact", flush=True)  # fmt: skip
        if child.returncode:
            print(f"{way}: failed, see above", flush=True)


if __name__ == "__main__":
    main()
