"""How long does each lesson run from top to bottom, and which cells are slow?

    python -m benchmarks.speed.lessons [NN ...] [--fast] [--busy CORES]

Runs the learner's notebooks, in memory: nothing is written.  Prints a lesson's seconds and its
cells over five seconds; `--fast` is the mode that the tests run, `--busy 1` keeps one core busy
meanwhile.  The minutes in `data/lessons.csv` are from an idle machine.
"""

import argparse
import tempfile
import time

from benchmarks.speed.busy import busy_cores
from notebooks import build, running

SLOW_S = 5.0


def main():
    """Run the lessons that are asked for and print their times."""
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("lessons", nargs="*", metavar="NN", help="default: all")
    arguments.add_argument("--fast", action="store_true", help="small settings")
    arguments.add_argument(
        "--busy", type=int, default=0, metavar="CORES", help="kept busy meanwhile"
    )
    options = arguments.parse_args()
    for number, master in build.masters_of(build.ROOT / "notebooks").items():
        if options.lessons and number not in options.lessons:
            continue
        notebook, began, slow = build.assemble(master, False), {}, []

        def start(cell, cell_index, began=began, **_):
            began[cell_index] = time.perf_counter()

        def end(cell, cell_index, began=began, slow=slow, **_):
            slow.append((time.perf_counter() - began[cell_index], cell.id))

        hooks = {"on_cell_start": start, "on_cell_executed": end}
        with tempfile.TemporaryDirectory() as folder, busy_cores(options.busy):
            first = time.perf_counter()
            running.execute(notebook, folder, DISTILLKIT_FAST="1" if options.fast else "",
                            PYTHONPATH=str(build.ROOT), hooks=hooks)  # fmt: skip
            seconds = time.perf_counter() - first
        print(f"{master.stem}: {seconds:.0f} s", flush=True)
        for took, cell in sorted(slow, reverse=True):
            if took > SLOW_S:
                print(f"  {took:5.1f} s  {cell}")


if __name__ == "__main__":
    main()
