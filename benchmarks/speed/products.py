"""What does MKL's reproducible mode, which the kit asks for on AMD, gain in float32?

    python -m benchmarks.speed.products [--runs 3] [--traces 16] [--test 24]

Each run is two processes in turn, with MKL as it chooses by itself (`MKL_CBWR=` empty) and as the
kit asks: products of the student's shapes, then training and answering as `benchmarks.speed.busy`
measures them.  Needs Linux without other work.  Prints each run and writes
`benchmarks/results/products.json`.  Expected before it was run, from products alone (2026-11-28):
answering takes 0.75 and training 0.9 times as long.
"""

import argparse
import json
import os
import time

from benchmarks.speed.busy import ROOT, in_a_process, measure
from distillkit.runtime.files import write_json
from distillkit.runtime.session import CPUINFO, start

WAYS = {"as MKL chooses": {"MKL_CBWR": ""}, "the kit's choice": {}}
SHAPES = {"up": (896, 4864), "down": (4864, 896), "head": (896, 151936)}  # Qwen-0.5B: in, out
ROWS = (4, 64, 384)  # few texts, many texts, a part of a training step
OUT = ROOT / "benchmarks" / "results" / "products.json"


def gflops():
    """Return GFLOP/s in float32, the best of six, by shape and number of rows."""
    import torch

    found = {}
    for name, (inputs, outputs) in SHAPES.items():
        weight = torch.rand(outputs, inputs)
        for rows in ROWS:
            x, best = torch.rand(rows, inputs), float("inf")
            for _ in range(6):
                began = time.perf_counter()
                torch.nn.functional.linear(x, weight)
                best = min(best, time.perf_counter() - began)
            found[f"{name}, {rows} rows"] = 2e-9 * rows * inputs * outputs / best
    return found


def main():
    """Measure both ways, in turn."""
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("--runs", type=int, default=3)
    arguments.add_argument("--traces", type=int, default=16)
    arguments.add_argument("--test", type=int, default=24)
    arguments.add_argument("--measure", action="store_true", help="once, in this process")
    options = arguments.parse_args()
    if options.measure:
        start("cpu", dtype="float32")
        products = gflops()
        print(json.dumps({"gflops": products,
                          **measure(options.traces, options.test, "float32")}))  # fmt: skip
        return
    rows = []
    for run in range(options.runs):
        for way in WAYS:
            found = in_a_process("benchmarks.speed.products", WAYS[way], ("MKL_CBWR",), options)
            rows.append({"run": run, "way": way, **found})
            print(rows[-1], flush=True)
    lines = (line.partition(":") for line in CPUINFO.read_text().splitlines())
    facts = {name.strip(): value.strip() for name, _, value in lines}
    processor = f"{facts['model name']}, family {facts['cpu family']}, model {facts['model']}"
    write_json(OUT, {"processor": processor, "cores": os.cpu_count(), "rows": rows})


if __name__ == "__main__":
    main()
