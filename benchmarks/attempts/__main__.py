"""Judge a corpus of wrong and right attempts at every exercise; write data/attempts.csv.

python -m benchmarks.attempts            # two minutes on two busy cores
python -m benchmarks.attempts --show     # and print every attempt that is not named or not right
"""

from __future__ import annotations

import argparse
import csv
import io
import warnings
from collections import Counter
from datetime import date

from benchmarks.attempts.judged import RIGHT, corpus, exercises, judged, lessons
from benchmarks.report.parts import ROOT
from distillkit.runtime.files import read_csv, write_atomic

TABLE = "data/attempts.csv"
FIELDS = ("lesson", "exercise", "kind", "tried", "accepted", "named", "equivalent", "date")


def main(words: list[str] | None = None) -> int:
    """Judge and write the table."""
    options = argparse.ArgumentParser(prog="python -m benchmarks.attempts", description=__doc__)
    options.add_argument("--only", help="exercises to judge anew (a,b); other rows stay")
    options.add_argument("--show", action="store_true", help="print what the checks miss")
    chosen = options.parse_args(words)
    warnings.simplefilter("ignore")
    counts: dict[tuple[str, str], Counter] = {}
    known = every = exercises()
    if chosen.only:
        known = {name: every[name] for name in chosen.only.split(",")}
    for attempt in corpus(known):
        count = counts.setdefault((attempt.exercise, attempt.kind), Counter())
        found = judged(known[attempt.exercise], attempt)
        if found is None:
            count["equivalent"] += 1
            continue
        count.update(tried=1, accepted=int(found.accepted), named=int(found.named))
        if chosen.show and (found.accepted != attempt.right or not (attempt.right or found.named)):
            print(f"--- {attempt.exercise}: {attempt.kind}\n{attempt.text}\n{found.message}\n")
    total: Counter = Counter()
    for (_, kind), count in counts.items():
        total.update({f"{'right' if kind == RIGHT else 'wrong'} {k}": v for k, v in count.items()})
    print(dict(total))
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
        {"lesson": lesson[name], "exercise": name, "kind": kind, "date": today}
        | {field: count[field] for field in ("tried", "accepted", "named", "equivalent")}
        for (name, kind), count in counts.items()
    ]


if __name__ == "__main__":
    raise SystemExit(main())
