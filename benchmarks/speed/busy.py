"""What do threads that spin cost on a busy machine, and threads that sleep on an idle one?

    python -m benchmarks.speed.busy [--runs 3] [--traces 16] [--test 24]

Trains and answers in a process of its own for each way (spinning as OpenMP does by itself,
sleeping, and what the kit chooses), in turn: alone, and beside a program that keeps one core
busy.  Needs a machine without other work.  Prints a table and writes
`benchmarks/results/busy.json`.  Aims: what the kit chooses is within 3 % of the better way when
idle, and within 1.5 times its fair share of the cores when one core is busy.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

# Nothing here imports torch: once it is there, the kit can choose no more
from distillkit.runtime.busy import SLEEP, cores_in_use
from distillkit.runtime.files import write_json

ROOT = Path(__file__).resolve().parents[2]
WAYS = {"spin": {"GOMP_SPINCOUNT": "300000"}, "sleep": SLEEP, "the kit's choice": {}}
HOG = "while True: pass"
OUT = ROOT / "benchmarks" / "results" / "busy.json"


def measure(traces, test, dtype="bfloat16"):
    """Return tokens/s of training, seconds of answering, and what was chosen: in this process."""
    from distillkit.runtime.session import start

    machine = start("cpu", dtype=dtype)
    from benchmarks.runner import STUDENT
    from distillkit.evaluation.scoring import evaluate
    from distillkit.models.loading import load
    from distillkit.problems.equations import NARROW, make_problems
    from distillkit.traces.filters import choose, reject, to_traces
    from distillkit.traces.teachers import Recorded
    from distillkit.training.loop import distill

    student = load(STUDENT, machine.device, machine.dtype, say=lambda _: None)
    teacher = Recorded()
    kept, _ = reject(teacher.sample(teacher.problems(NARROW)))
    run = distill(student.model, student.tokenizer, to_traces(choose(kept, traces, 0)))
    began = time.perf_counter()
    evaluate(run.student, student.tokenizer, make_problems(test, NARROW, "test", 100))
    seconds, sleeps = time.perf_counter() - began, {*SLEEP} <= {*os.environ}
    return {"train_tokens_per_s": run.tokens / run.seconds, "answer_s": seconds, "sleeps": sleeps}


@contextmanager
def busy_cores(n):
    """Keep n cores busy meanwhile."""
    hogs = [subprocess.Popen([sys.executable, "-c", HOG]) for _ in range(n)]
    try:
        time.sleep(1.0)
        yield
    finally:
        for hog in hogs:
            hog.kill()
            hog.wait()


def in_a_process(module, settings, unset, options):
    """Let a module measure in a process of its own, with settings and without those unset."""
    kept = {k: v for k, v in os.environ.items() if k not in unset}
    words = ["--measure", "--traces", options.traces, "--test", options.test]
    done = subprocess.run(
        [sys.executable, "-m", module, *map(str, words)], env={**kept, **settings},
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return json.loads(done.stdout.splitlines()[-1])


def main():
    """Measure all, in turn, and print medians and ranges."""
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("--runs", type=int, default=3)
    arguments.add_argument("--traces", type=int, default=16)
    arguments.add_argument("--test", type=int, default=24)
    arguments.add_argument("--measure", action="store_true", help="once, in this process")
    options = arguments.parse_args()
    if options.measure:
        print(json.dumps(measure(options.traces, options.test)))
        return
    others = cores_in_use(2.0)
    print(f"{others:.2f} cores are in use by others before the start")
    rows = []
    for run in range(options.runs):
        for hogs in (0, 1):
            for way in WAYS:
                with busy_cores(hogs):
                    found = in_a_process("benchmarks.speed.busy", WAYS[way],
                                         (*SLEEP, "OMP_NUM_THREADS"), options)  # fmt: skip
                rows.append({"run": run, "busy_cores": hogs, "way": way, **found})
                print(rows[-1], flush=True)
    write_json(OUT, {"cores": os.cpu_count(), "in_use_before": round(others, 2), "rows": rows})
    print("busy cores | way | training tokens/s | seconds of answering | slept")
    for hogs, way in sorted({(row["busy_cores"], row["way"]) for row in rows}):
        here = [row for row in rows if (row["busy_cores"], row["way"]) == (hogs, way)]
        cells = []
        for key in ("train_tokens_per_s", "answer_s"):
            values = [row[key] for row in here]
            cells.append(f"{statistics.median(values):.1f} ({min(values):.1f}–{max(values):.1f})")
        print(" | ".join([str(hogs), way, *cells, f"{sum(r['sleeps'] for r in here)}/{len(here)}"]))


if __name__ == "__main__":
    main()
