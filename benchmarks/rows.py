"""The results of a benchmark as a CSV that grows: a stopped run goes on where it was."""

import csv
from pathlib import Path

DATA = Path(__file__).resolve().parents[1] / "data"


def done(path, *keys):
    """Return the values of the key columns that are in the file already."""
    if not path.exists():
        return set()
    with open(path, newline="", encoding="utf-8") as file:
        return {tuple(row[key] for key in keys) for row in csv.DictReader(file)}


def append(path, fields, rows):
    """Add rows, under a header if the file is new."""
    new = not path.exists()
    with open(path, "a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fields)
        if new:
            writer.writeheader()
        writer.writerows(rows)
