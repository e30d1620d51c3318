"""The whole speed table in one command: training, sampling, memory and the demo, side by side.

    pip install trl
    python -m benchmarks.speed.speed [--runs 3] [--dtype float32]     # about an hour on two cores
    python -m benchmarks.speed.speed --table                          # print the last results again

Every measurement is a process of its own and its results are kept in `benchmarks/results/` (the
demo's in `runs/`); what is there already is not measured again, so a stopped run goes on (remove a
file to measure it anew).
"""

import argparse
import statistics
import subprocess
import sys

from benchmarks.runner import ROOT, RUNS
from benchmarks.speed.train_vs_trl import spread
from distillkit.runtime.files import read_json

RESULTS = ROOT / "benchmarks" / "results"


def measure(options):
    """Run what has no results yet."""
    seeds = ",".join(map(str, range(options.runs)))
    more = ["--dtype", options.dtype] if options.dtype else []
    train = ["-m", "benchmarks.speed.train_vs_trl", "--seeds", seeds]
    jobs = {
        "to_90.json": [*train, "--sides", "ours,trl"],
        "training.json": [*train, "--sides", "ours,trl,trl-packed,trl-no-checkpointing",
                          "--traces", "32", "--general", "0.2", "--test", "0"],
        "sampling.json": ["-m", "benchmarks.speed.sampling_vs_generate",
                          "--runs", options.runs],
    }  # fmt: skip
    for name, words in jobs.items():
        if not (RESULTS / name).exists():
            words = [sys.executable, *words, *more, "--out", RESULTS / name]
            subprocess.run(list(map(str, words)), check=True, cwd=ROOT)
    for run in range(options.runs):
        out = RUNS / f"speed-{run}"
        if not (out / "report.json").exists():
            words = [sys.executable, "-m", "distillkit", "demo", "--seed", run, "--out", out, *more]
            subprocess.run(list(map(str, words)), check=True, cwd=ROOT)


def read(name):
    """Return results, or nothing."""
    path = RESULTS / name
    return read_json(path) if path.exists() else []


def table():
    """Return rows: measure, ours, peer, ratio."""
    rows = []

    def add(label, file, side, key, scale=1.0, digits=1, inverse=False):
        found = {name: [r[key] and r[key] * scale for r in read(file) if r["side"] == name]
                 for name in ("ours", side)}  # fmt: skip
        if not all(found.values()):
            return
        ratio = "–"
        if None not in found["ours"] + found[side]:
            ratio = statistics.median(found["ours"]) / statistics.median(found[side])
            ratio = f"{1 / ratio if inverse else ratio:.2f}"
        rows.append((label, spread(found["ours"], digits), f"{side} {spread(found[side], digits)}",
                     ratio))  # fmt: skip

    add("minutes to 90 % exact", "to_90.json", "trl", "to_90", 1 / 60, 2, inverse=True)
    add("exact at the end, %", "to_90.json", "trl", "last", 100, 0)
    add("peak memory of that run, GB", "to_90.json", "trl", "peak_bytes", 1e-9, 2)
    for side in ("trl", "trl-packed", "trl-no-checkpointing"):
        add("training tokens/s, 40 rows", "training.json", side, "tokens_per_second")
        add("peak memory of 40 rows, GB", "training.json", side, "peak_bytes", 1e-9, 2)
    for case in read("sampling.json"):
        ratios = [a / b for a, b in zip(case["ours"], case["generate"], strict=True)]
        rows.append((f"sampled tokens/s, {case['case']}", spread(case["ours"]),
                     f"generate {spread(case['generate'])}", spread(ratios, 2)))  # fmt: skip
    demos = [read_json(p) for p in sorted(RUNS.glob("speed-*/report.json"))]
    if demos:
        minutes = [(r["seconds"]["total"] - r["seconds"]["download"]) / 60 for r in demos]
        exact = [100 * r["after"]["test"]["exact"] for r in demos]
        rows.append(("demo after download, minutes", spread(minutes), "–", "–"))
        rows.append(("demo, exact after, %", spread(exact, 0), "–", "–"))
    return rows


def main():
    """Measure and print."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--runs", type=int, default=3)
    arguments.add_argument("--dtype", choices=("float32", "bfloat16"))
    arguments.add_argument("--table", action="store_true", help="print the last results only")
    options = arguments.parse_args()
    RESULTS.mkdir(exist_ok=True)
    if not options.table:
        measure(options)
    for row in (("measure", "distillkit", "peer", "ratio"), *table()):
        print(" | ".join(row))


if __name__ == "__main__":
    main()
