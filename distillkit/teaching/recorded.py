"""The recorded tables of the kit in a lesson: read, choose rows, group by arm, show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf
from typing import Any

from distillkit.evaluation import statistics
from distillkit.plots import draw_arms
from distillkit.runtime.files import read_csv
from distillkit.runtime.session import data_path
from distillkit.teaching.widgets import Shown, show

SHARES = ("exact", "format", "lenient", "low", "high", "others")  # columns of shares of 1


class Rows(list):
    """Rows of a recorded table, each a dict; numbers are numbers, and shares are in percent."""

    def where(self, **wanted: Any) -> Rows:
        """Return the rows that have these values; a list means: one of them."""

        def fits(row: dict) -> bool:
            return all(row[name] in (value if isinstance(value, list) else [value])
                       for name, value in wanted.items())  # fmt: skip

        return Rows(row for row in self if fits(row))

    def arms(self, by: str | Sequence[str], value: str = "exact") -> dict[str, list[float]]:
        """Group a column by arm, name -> values in the order of the seeds.

        `by` is the column that names the arms, or several whose words are joined by a comma.
        """
        columns = [by] if isinstance(by, str) else by
        found: dict[str, list[float]] = {}
        for row in sorted(self, key=lambda row: float(row.get("seed") or 0)):
            found.setdefault(", ".join(str(row[c]) for c in columns), []).append(row[value])
        order = dict.fromkeys(", ".join(str(row[c]) for c in columns) for row in self)
        return {name: found[name] for name in order}


def data(name: str) -> Rows:
    """Read `data/NAME.csv` and print where and when it was measured.

    Raises FileNotFoundError for a table that the kit does not have.
    """
    rows = Rows(
        {key: _number(key, text) for key, text in row.items()}
        for row in read_csv(data_path(f"{name}.csv"))
    )
    facts = [rows[0][key] for key in ("machine", "dtype", "date") if rows and rows[0].get(key)]
    print(f"data/{name}.csv: {len(rows)} rows" + "".join(f", {fact}" for fact in facts))
    return rows


def _number(column: str, text: str) -> float | int | str:
    for kind in (int, float):
        try:
            value = kind(text)
        except ValueError:
            continue
        return round(100 * float(text), 6) if column in SHARES else value
    return text


def show_arms(
    arms: Mapping[str, Sequence[float]],
    baseline: str | None = None,
    unit: str = "exact answers, %",
) -> Shown:
    """Print mean and interval of each arm, and its paired difference from the baseline (by default
    the first arm); return the picture, a dot a seed.

    Arms of fewer than three seeds have no interval and are only drawn.  A unit in % ends at 100.
    """
    if all(len(values) >= 3 for values in arms.values()):
        ends = (0, 100) if "%" in unit else (0, inf)
        print(statistics.table(arms, baseline or next(iter(arms)), ends))
    return show(*draw_arms(arms, unit))


def compare(
    arms: Mapping[str, Sequence[float]],
    baseline: str,
    *others: str,
    unit: str = "right answers in 100",
) -> None:
    """Print, for each of the other arms, how it differs from the baseline over paired seeds."""
    for other in others:
        print(statistics.conclusion((baseline, other), arms[baseline], arms[other], unit))
