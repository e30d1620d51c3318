"""Judge a corpus of wrong and right attempts at every exercise; write data/attempts.csv.

python -m benchmarks.attempts            # four minutes on one core
python -m benchmarks.attempts --show     # and print every attempt that is not named or not right
"""

from __future__ import annotations

import argparse
import csv
import io
import warnings
from collections import Counter
from datetime import date

from benchmarks.attempts.judged import RIGHT, corpus, exercises, judged, lessons, set_aside
from benchmarks.report.parts import ROOT
from distillkit.runtime.files import read_csv, write_atomic

PARTS = {"in view": corpus, "held out": set_aside}
TABLE = "data/attempts.csv"
FIELDS = ("lesson", "exercise", "part", "kind", "tried", "accepted", "named", "equivalent", "date")


def main(words: list[str] | None = None) -> int:
    """Judge and write the table."""
    options = argparse.ArgumentParser(prog="python -m benchmarks.attempts", description=__doc__)
    options.add_argument("--only", help="exercises to judge anew (a,b); other rows stay")
    options.add_argument("--show", action="store_true", help="print what the checks miss")
    options.add_argument("--part", choices=PARTS, help="judge and show only these; write nothing")
    chosen = options.parse_args(words)
    warnings.simplefilter("ignore")
    counts: dict[tuple[str, str, str], Counter] = {}
    known = every = exercises()
    if chosen.only:
        known = {name: every[name] for name in chosen.only.split(",")}
    parts = [chosen.part] if chosen.part else PARTS
    for attempt in (attempt for part in parts for attempt in PARTS[part](known)):
        key = (attempt.exercise, attempt.part, attempt.kind)
        count = counts.setdefault(key, Counter())
        found = judged(known[attempt.exercise], attempt)
        if found is None:
            count["equivalent"] += 1
            continue
        count.update(tried=1, accepted=int(found.accepted), named=int(found.named))
        if chosen.show and (found.accepted != attempt.right or not (attempt.right or found.named)):
            print(f"--- {attempt.exercise}: {attempt.kind}\n{attempt.text}\n{found.message}\n")
    total: Counter = Counter()
    for (_, part, kind), count in counts.items():
        sort = "right" if kind == RIGHT else f"wrong, {part},"
        total.update({f"{sort} {word}": n for word, n in count.items()})
    print(dict(total))
    if chosen.part:
        return 0
    kept = read_csv(ROOT / TABLE) if chosen.only else []
    rows = [row for row in kept if row["exercise"] not in known] + _rows(counts)
    rows.sort(key=lambda row: [*every].index(row["exercise"]))
    text = io.StringIO()
    writer = csv.DictWriter(text, FIELDS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_atomic(ROOT / TABLE, text.getvalue())
    return 0


def _rows(counts: dict[tuple[str, str], Counter]) -> list[dict]:
    lesson = {row["exercise"]: row["lesson"] for row in lessons()}
    today = date.today().isoformat()
    return [
        {"lesson": lesson[name], "exercise": name, "part": part, "kind": kind, "date": today}
        | {field: count[field] for field in ("tried", "accepted", "named", "equivalent")}
        for (name, part, kind), count in counts.items()
    ]


if __name__ == "__main__":
    raise SystemExit(main())
