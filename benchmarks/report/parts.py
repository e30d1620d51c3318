"""What the sections of the results page are made of: rows, numbers with intervals, tables."""

from __future__ import annotations

import re
import statistics as stdlib
import textwrap
from collections.abc import Iterable, Sequence
from functools import lru_cache
from math import inf
from pathlib import Path

from distillkit.evaluation import statistics
from distillkit.runtime.files import read_csv

ROOT = Path(__file__).resolve().parents[2]
WILSON = "shares with 95 % Wilson intervals of one run"
SEEDS = "means over seeds with 95 % t intervals"
PAIRED = "differences over paired seeds with 95 % t intervals"
UP = "../../"  # from the page to the root of the checkout
Rows = list[dict[str, str]]
Triple = tuple[float, float, float]  # an estimate, and both ends of its interval


def rows(path: str, **only: object) -> Rows:
    """Return the rows of a table whose columns hold these values; raises ValueError for none."""
    wanted = {column: str(value) for column, value in only.items()}
    whole = _table(ROOT / path, (ROOT / path).stat().st_mtime_ns)
    found = [row for row in whole if wanted.items() <= row.items()]
    if not found:
        raise ValueError(f"{path} has no rows with {only}")
    return found


@lru_cache
def _table(path: Path, changed: int) -> Rows:
    """Read a table once: a page asks for its rows hundreds of times."""
    return read_csv(path)


def row(path: str, **only: object) -> dict[str, str]:
    """Return the one row with these values; raises ValueError if there are none or several."""
    found = rows(path, **only)
    if len(found) != 1:
        raise ValueError(f"{path} has {len(found)} rows with {only}")
    return found[0]


def distinct(found: Rows, column: str) -> list[str]:
    """Return the values of a column, each once, in the table's order; [] without the column."""
    return [value for value in dict.fromkeys(row.get(column, "") for row in found) if value]


# --- numbers ---------------------------------------------------------------------------------


def plain(value: float | str, digits: int = 0) -> str:
    """Write a number with this many digits after the point, and thousands set apart."""
    return f"{round(float(value), digits) + 0.0:,.{digits}f}".replace("-", "−")


def clock(seconds: float | str) -> str:
    """Write seconds as minutes and seconds."""
    whole = int(float(seconds))
    return f"{whole // 60} min {whole % 60} s"


def signed(value: float, digits: int = 0) -> str:
    """Write a number with its sign; zero has none."""
    text = f"{round(value, digits) + 0.0:+,.{digits}f}".replace("-", "−")
    return text[1:] if not text.strip("+−0.") else text


def percent(share: float | str) -> str:
    """Write a share of 1 in percent, with a digit after the point if it has one."""
    return f"{round(100 * float(share), 1):g}"


def rate(row: dict, column: str = "exact", low: str = "low", high: str = "high") -> str:
    """Write a share with its interval: `94 % (88–97)`; the columns hold shares of 1."""
    ends = (plain(100 * float(row[end])) for end in (low, high))
    return f"{percent(row[column])} % ({'–'.join(ends)})"


def rate_of(right: float, n: int) -> str:
    """Write a count, which may be a mean over seeds, as a share with its Wilson interval."""
    low, high = statistics.wilson(right, n)
    return rate({"exact": right / n, "low": low, "high": high})


def values(found: Rows, column: str = "exact", factor: float = 100) -> list[float]:
    """Return a column as numbers in the order of the seeds, shares as percent."""
    in_order = sorted(found, key=lambda row: int(row["seed"]))
    return [factor * float(row[column]) for row in in_order]


def mean(numbers: Iterable[float], digits: int = 0) -> str:
    """Write a mean."""
    return plain(stdlib.mean(numbers), digits)


def spread(numbers: Sequence[float], digits: int = 0, end: float = inf) -> str:
    """Write the mean over seeds with its interval, which ends at 0 and at `end`."""
    middle, low, high = statistics.interval(numbers, (0, end))
    return f"{plain(middle, digits)} ({plain(low, digits)}–{plain(high, digits)})"


def gap(base: Rows, other: Rows, column: str = "exact", factor: float = 100) -> Triple:
    """Return how much larger a column is than in the baseline, over paired seeds.

    Columns with a factor of 100 are shares.
    """
    ends = (0.0, 100.0) if factor == 100 else (-inf, inf)
    return statistics.paired(values(base, column, factor), values(other, column, factor), ends)


def gain_of(one: dict[str, str]) -> Triple:
    """Return, in percent, the gain that a row records over the questions of one run, paired."""
    return tuple(100 * float(one[column]) for column in ("gain", "gain_low", "gain_high"))


def for_each_seed(one: dict[str, str], found: Rows) -> Rows:
    """Return a row that no seed draws once for each seed of others, to compare them with it."""
    return [{**one, "seed": other["seed"]} for other in found]


def change(difference: Triple, digits: int = 0, bold: bool = False) -> str:
    """Write a difference with its interval, in bold if asked and the interval does not hold 0."""
    middle, low, high = (signed(value, digits) for value in difference)
    text = f"{middle} ({low} to {high})"
    return f"**{text}**" if bold and not difference[1] <= 0 <= difference[2] else text


def median_range(numbers: Sequence[float], digits: int = 0) -> str:
    """Write the median of a few runs with their range."""
    ends = (plain(end, digits) for end in (min(numbers), max(numbers)))
    return f"{plain(stdlib.median(numbers), digits)} ({'–'.join(ends)})"


# --- Markdown ----------------------------------------------------------------------------------


def table(head: str, lines: Iterable[str]) -> str:
    """Write a table; its head and its lines are texts with `|` between the cells."""
    below = "|".join(["---"] * (head.count("|") + 1))
    return "\n".join([f"| {head} |", f"|{below}|", *(f"| {line} |" for line in lines)])


def origin(path: str, command: str, *remarks: str, **only: object) -> str:
    """Say where numbers come from: command, table, machine, precision, seeds, n, dates.

    All of these but the command and the remarks are read from the table's rows, `only` some of
    them if values are given.
    """
    found = rows(path, **only)
    facts = [f"`{command}` → [`{path}`]({UP}{path})", " and ".join(distinct(found, "machine"))]
    facts.append(" and ".join(distinct(found, "dtype")))
    if seeds := distinct(found, "seed"):
        facts.append(f"seed{'s' * (len(seeds) > 1)} {', '.join(sorted(seeds, key=int))}")
    elif any("seed" in row for row in found):
        facts.append("nothing is drawn at random")
    if counts := distinct(found, "n") or distinct(found, "test"):
        facts.append("n = " + ", ".join(plain(n) for n in sorted(counts, key=int)))
    dates = sorted(distinct(found, "date"))
    facts.append(" to ".join(dict.fromkeys((dates[0], dates[-1]))) if dates else "")
    return "> " + " · ".join(fact for fact in (*facts, *remarks) if fact)


def noted(text: str) -> str:
    """Mark a paragraph whose numbers a command printed and no table keeps."""
    return f"*Printed, not kept in a table:* {text}"


def filled(text: str) -> str:
    """Break a paragraph into lines, but for code, and for a number and its unit.

    A table and a quotation stay as they are.
    """
    if text.startswith(("|", ">")):
        return text
    text = " ".join(text.split())
    text = re.sub(
        r"`[^`]+`|\d (?:%|s|min|GB|MB)(?!\w)", lambda found: found[0].replace(" ", "\0"), text
    )
    lines = textwrap.fill(text, 100, break_long_words=False, break_on_hyphens=False)
    return lines.replace("\0", " ")


def section(title: str, *paragraphs: str) -> str:
    """Return a section of the page: a heading, then tables and paragraphs, as they come."""
    return "\n\n".join([f"## {title}", *map(filled, paragraphs)])
