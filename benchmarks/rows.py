"""The results of a benchmark as a CSV that grows: a stopped run goes on where it was."""

import csv
from datetime import date
from pathlib import Path

from distillkit.evaluation import summary
from distillkit.records import read_csv
from distillkit.session import machine

DATA = Path(__file__).resolve().parents[1] / "data"


def done(path, *keys):
    """Return the values of the key columns that are in the file already."""
    if not path.exists():
        return set()
    return {tuple(row[key] for key in keys) for row in read_csv(path)}


def append(path, fields, rows):
    """Add rows, under a header if the file is new."""
    new = not path.exists()
    with open(path, "a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fields)
        if new:
            writer.writeheader()
        writer.writerows(rows)


def write(path, fields, rows):
    """Write a table anew: whole, or the old one stays."""
    part = path.with_suffix(".part")
    part.unlink(missing_ok=True)
    append(part, fields, rows)
    part.replace(path)


def scored(answers):
    """Return what a table keeps of the rows of `evaluate`, with machine and date."""
    result = summary(answers)
    rates = ("n", "exact", "format", "lenient", "low", "high")
    return {
        **{name: round(result[name], 4) for name in rates},
        "answer_tokens": round(sum(row["tokens"] for row in answers) / len(answers), 1),
        "machine": machine(), "date": date.today(),
    }  # fmt: skip
