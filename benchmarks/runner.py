"""The runner of the experiments: arms × seeds → a CSV that grows, with machine and date.

An experiment is one file in `benchmarks/experiments/`: its ARMS, and a function that does one arm
with one seed and returns its row (or rows), for example

    \"\"\"Does a higher rate help?

        python -m benchmarks.experiments.rates
    \"\"\"

    from benchmarks.runner import Experiment, main, scored
    ...
    ARMS = {"slow": {"rate": 1e-4}, "fast": {"rate": 1e-3}}

    def run(arm, seed, bench):
        student = bench.load()
        config = TrainingConfig(seed=seed, **ARMS[arm])
        trained = distill(student.model, student.tokenizer, traces(seed), config=config)
        answers = evaluate(trained.student, student.tokenizer, problems(bench.test))
        trained.student.unload()  # never merged: 16-bit weights would not come back the same
        return {"train_seconds": round(trained.seconds), **scored(answers)}

    EXPERIMENT = Experiment(
        "rates.csv", "arm", "arm seed n exact format lenient low high answer_tokens train_seconds "
        "dtype machine date", ARMS, run)

    if __name__ == "__main__":
        main(EXPERIMENT, __doc__)

The runner adds the arm, the seed, the type of the weights, the machine and the date.  Rows that are
there are not made again, so a stopped run goes on; a table of other columns or settings is refused.
"""

from __future__ import annotations

import argparse
import csv
import io
import math
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Any

from distillkit.cli import positive
from distillkit.evaluation import statistics
from distillkit.evaluation.scoring import summary
from distillkit.models.loading import Loaded, load
from distillkit.runtime.files import read_csv, read_jsonl, write_atomic, write_jsonl
from distillkit.runtime.session import Session, processor, start

ROOT = Path(__file__).resolve().parents[1]
DATA, RUNS = ROOT / "data", ROOT / "runs"
STUDENT = "qwen2.5-coder-0.5b-instruct"
Arm = str | tuple  # its name, or a value for each of several columns


@dataclass(frozen=True)
class Experiment:
    """A study: what is varied, what one run of it does, and the table its rows go to.

    `key` and `columns` are names with spaces between; the key says which arm a row is of.
    `run(arm, seed, bench)` returns a row or several.  Arms in `once` draw nothing at random: they
    are run once and get None for a seed; without a column "seed" that is so for all.
    `test` is the number of questions asked in each run.
    """

    csv: str
    key: str
    columns: str
    arms: Collection[Arm]
    run: Callable[[Arm, int | None, Bench], dict | list[dict]]
    test: int = 100
    once: Collection[Arm] = ()

    @property
    def fields(self) -> list[str]:
        """Return the columns of the table."""
        return self.columns.split()

    def seed_of(self, arm: Arm, seed: int) -> int | None:
        """Return the seed that an arm is run with, None for one that draws nothing."""
        return None if arm in self.once or "seed" not in self.fields else seed


@dataclass(frozen=True)
class Bench:
    """What every run of an experiment gets: the machine, how many questions, and where to write."""

    machine: Session
    test: int
    out: Path

    @property
    def folder(self) -> Path:
        """Return the folder for what a run keeps for the next one, such as adapters."""
        return RUNS / self.out.stem

    def load(self, name: str = STUDENT) -> Loaded:
        """Return a model, which is in memory until another one is asked for."""
        return _load(name, self.machine.device, self.machine.dtype)

    def keep(self, name: str, rows: Sequence[dict], *keys: str) -> None:
        """Put rows into a JSONL file beside the table, in place of rows with the same keys."""
        path, new = self.out.with_name(name), {tuple(row[k] for k in keys) for row in rows}
        old = [row for row in read_jsonl(path) if tuple(row[k] for k in keys) not in new]
        write_jsonl(path, [*old, *rows])


@lru_cache(maxsize=1)
def _load(name: str, device: str, dtype: str) -> Loaded:
    return load(name, device, dtype, say=lambda _: None)


def main(experiment: Experiment, about: str, words: Sequence[str] | None = None) -> None:
    """Run what is missing of an experiment, a row (or an arm's rows) at a time.

    Ends with a message and exit status 2 for an unknown arm, and for a table of other settings.
    """
    arms = {arm_name(arm): arm for arm in experiment.arms}
    parser = options_of(experiment, about, list(arms))
    options = parser.parse_args(words)
    out = options.out or DATA / experiment.csv
    table = read_csv(out) if out.exists() else []
    try:
        wanted = [int(seed) for seed in options.seeds.split(",")]
        dtype = check_settings(experiment, out, table, options.test, options.dtype)
    except ValueError as error:
        parser.error(str(error))
    missing = left_to_run(experiment, table, [arms[name] for name in options.only], wanted)
    print(f"{out}: {len(missing)} runs to do", flush=True)
    tier = "gpu" if options.device == "cuda" else "cpu"
    bench = Bench(start(tier, dtype=dtype), options.test, out) if missing else None
    for arm, seed in missing:
        began = time.perf_counter()
        rows = experiment.run(arm, seed, bench)
        rows = [with_provenance(experiment, arm, seed, bench, row)
                for row in ([rows] if isinstance(rows, dict) else rows)]  # fmt: skip
        append(out, experiment.fields, rows)
        print(f"{arm_name(arm)}, seed {seed}: {time.perf_counter() - began:.0f} s, "
              f"{len(rows)} rows, the last: {rows[-1]}", flush=True)  # fmt: skip
    if found := comparison(experiment, read_csv(out) if out.exists() else []):
        print(found)


def options_of(experiment: Experiment, about: str, arms: list[str]) -> argparse.ArgumentParser:
    """Return the command line that all experiments share."""
    parser = argparse.ArgumentParser(
        description=about,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="arms: " + "; ".join(arms),
    )
    add = parser.add_argument
    add("--seeds", default="0,1,2", help="numbers with commas (%(default)s)")
    add("--only", nargs="+", choices=arms, metavar="ARM", default=arms, help="some of the arms")
    add("--test", type=positive, default=experiment.test, help="questions in a run (%(default)s)")
    add("--dtype", choices=("float32", "bfloat16"), help="default: as the table, else what is fast")
    add("--device", choices=("cpu", "cuda"), default="cpu", help="where to run (%(default)s)")
    add("--out", type=Path, help=f"another table than data/{experiment.csv}")
    return parser


def arm_name(arm: Arm) -> str:
    """Return how an arm is called on the command line."""
    return arm if isinstance(arm, str) else " / ".join(str(value) for value in arm if value != "")


def columns_of(experiment: Experiment, arm: Arm) -> dict[str, str]:
    """Return what stands in the key columns of an arm's rows."""
    values = (arm,) if isinstance(arm, str) else arm
    return dict(zip(experiment.key.split(), map(str, values), strict=True))


def rows_of(experiment: Experiment, table: Sequence[dict], arm: Arm) -> list[dict]:
    """Return the rows of one arm."""
    columns = columns_of(experiment, arm)
    return [row for row in table if columns.items() <= row.items()]


def left_to_run(
    experiment: Experiment, table: Sequence[dict], arms: Sequence[Arm], wanted: Sequence[int]
) -> list[tuple[Arm, int | None]]:
    """Return the pairs of arm and seed that the table has no rows of, seed by seed."""
    there = {(arm, row.get("seed")) for arm in arms for row in rows_of(experiment, table, arm)}
    there |= {(arm, None) for arm, _ in there}
    pairs = [(arm, experiment.seed_of(arm, seed)) for seed in wanted for arm in arms]
    return [
        (arm, seed)
        for arm, seed in dict.fromkeys(pairs)
        if (arm, None if seed is None else str(seed)) not in there
    ]


def check_settings(
    experiment: Experiment, out: Path, table: Sequence[dict], test: int, dtype: str | None
) -> str | None:
    """Return the type of weights to compute in, None for this machine's choice.

    Raises ValueError for a table with other columns, another number of questions or another type.
    """
    if out.exists() and out.stat().st_size and (found := header_of(out)) != experiment.fields:
        raise ValueError(f"{out} has other columns: {', '.join(found)}")
    asked = {questions(rows) for arm in experiment.arms
             if (rows := rows_of(experiment, table, arm))}  # fmt: skip
    if asked and test not in asked:
        raise ValueError(f"the runs in {out} ask {sorted(asked)} questions, not {test}: "
                         "give --test or another table with --out")  # fmt: skip
    types = {row["dtype"] for row in table if "dtype" in row}
    if dtype and types - {dtype}:
        raise ValueError(f"the rows in {out} are in {', '.join(types - {dtype})}, not {dtype}: "
                         "give another table with --out")  # fmt: skip
    return types.pop() if types else dtype


def header_of(path: Path) -> list[str]:
    """Return the columns of a table, which may have no rows."""
    with open(path, newline="", encoding="utf-8") as file:
        return next(csv.reader(file), [])


def questions(rows: Sequence[dict]) -> int:
    """Return how many questions the rows of an arm are about: the largest n, or one a row."""
    return max(int(row.get("n") or row.get("test") or len(rows)) for row in rows)


def with_provenance(
    experiment: Experiment, arm: Arm, seed: int | None, bench: Bench, row: dict
) -> dict:
    """Return a row with arm, seed, type of weights, machine and date, in the table's order.

    Raises ValueError for a value without a column.
    """
    known = {
        **columns_of(experiment, arm), "seed": "" if seed is None else seed,
        "dtype": bench.machine.dtype, "machine": processor(),
        "date": date.today().isoformat(), **row,
    }  # fmt: skip
    if unknown := set(row) - set(experiment.fields):
        raise ValueError(f"no column for {', '.join(sorted(unknown))}")
    return {name: known.get(name, "") for name in experiment.fields}


def append(path: Path, fields: Sequence[str], rows: Sequence[dict]) -> None:
    """Add rows to a table, all of them or none, under a header if the file is new."""
    old = path.read_bytes() if path.exists() else b""
    if old and not old.endswith(b"\n"):  # some editors leave the last line end out
        old += b"\r\n"
    write_atomic(path, old + as_csv(fields, rows, head=not old).encode())


def as_csv(fields: Sequence[str], rows: Sequence[dict], head: bool = True) -> str:
    """Return rows as lines of CSV, with a header line."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, fields)
    if head:
        writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def scored(answers: Sequence[dict]) -> dict[str, Any]:
    """Return what a table keeps of the rows of `evaluate`."""
    result = summary(answers)
    rates = ("n", "exact", "format", "lenient", "low", "high")
    tokens = sum(row["tokens"] for row in answers) / len(answers)
    return {**{name: round(result[name], 4) for name in rates}, "answer_tokens": round(tokens, 1)}


def counted(right: Sequence[bool]) -> dict[str, Any]:
    """Return n, the share of right answers and its interval, as a table keeps them."""
    low, high = statistics.wilson(sum(right), len(right))
    share = sum(right) / len(right)
    return {"n": len(right), "right": round(share, 4), "low": round(low, 4), "high": round(high, 4)}


def gained(before: Sequence[bool], after: Sequence[bool]) -> dict[str, float]:
    """Return the paired gain of right answers with its interval, as a table keeps them."""
    found = zip(("gain", "gain_low", "gain_high"), statistics.paired_difference(before, after))
    return {name: round(share, 4) for name, share in found}


def marks(right: Sequence[bool]) -> str:
    """Return a 1 for each right answer and a 0 for each other, in the order asked."""
    return "".join("01"[exact] for exact in right)


def comparison(experiment: Experiment, table: Sequence[dict]) -> str:
    """Compare the arms with the first one over paired seeds; "" with fewer than three seeds.

    Right answers in 100, seconds of training and computed tokens, as far as the table has them.
    """
    seeded = [arm for arm in experiment.arms if experiment.seed_of(arm, 0) is not None]
    found = {arm_name(arm): {row["seed"]: row for row in rows}
             for arm in seeded if (rows := rows_of(experiment, table, arm))
             and len({row["seed"] for row in rows}) == len(rows)}  # fmt: skip
    first = next(iter(found), None)
    if first is None or len(found[first]) < 3:
        return ""
    found = {name: rows for name, rows in found.items() if rows.keys() == found[first].keys()}
    parts = []
    for column, factor in (("exact", 100), ("train_seconds", 1), ("computed_tokens", 1)):
        if column in experiment.fields:
            values = {name: [factor * float(rows[seed][column]) for seed in sorted(rows)]
                      for name, rows in found.items()
                      if all(row[column] for row in rows.values())}  # fmt: skip
            if first not in values:
                continue
            counted = statistics.table(values, first, (0, 100 if factor == 100 else math.inf))
            parts.append(f"\n{column}{' in 100' * (factor == 100)}\n{counted}")
    return "\n".join(parts)
