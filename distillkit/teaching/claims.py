"""The ledger of claims: what the kit measured, with intervals, and what it has not measured yet."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass

from distillkit.runtime.files import read_csv
from distillkit.runtime.session import data_path

FINDINGS = ("holds", "not shown", "refuted", "open")


@dataclass(frozen=True)
class Claim:
    """A row of data/claims.csv; `effect` is positive where it speaks for the claim."""

    claim: int
    sentence: str
    lesson: str
    experiment: str
    finding: str
    effect: float | None
    low: float | None
    high: float | None
    unit: str
    n: str
    date: str
    command: str

    def result(self) -> str:
        """Say in one line what was measured."""
        if self.finding == "open":
            return "not measured yet"
        return (f"{self.effect:+g} {self.unit} (95 % interval {self.low:+g} to {self.high:+g}, "
                f"{self.n}), {self.date}: {self.command}")  # fmt: skip


def finding(low: float, high: float) -> str:
    """Return what an interval of an effect says of its claim."""
    return "holds" if low > 0 else "refuted" if high < 0 else "not shown"


def ledger() -> list[Claim]:
    """Read all claims; raises ValueError for a finding that its interval does not give."""
    claims = []
    for row in read_csv(data_path("claims.csv")):
        numbers = {k: float(row[k]) if row[k] else None for k in ("effect", "low", "high")}
        claim = Claim(**{**row, **numbers, "claim": int(row["claim"])})
        measured = None not in numbers.values()
        wanted = finding(claim.low, claim.high) if measured else "open"
        if claim.finding != wanted:
            raise ValueError(
                f"claim {claim.claim}: it says {claim.finding!r}, its interval {wanted!r}"
            )
        claims.append(claim)
    return claims


def listing(claims: list[Claim]) -> str:
    """Write the ledger for a terminal: one claim, its experiment and its result a paragraph."""
    lines = []
    for c in claims:
        lines.append(f"{c.claim:2}  {c.finding:9}  {c.sentence} (lesson {c.lesson})")
        for words in (c.experiment, c.result()):
            lines.append(textwrap.fill(words, 96, initial_indent=" " * 15,
                                       subsequent_indent=" " * 15))  # fmt: skip
    counts = [f"{sum(c.finding == v for c in claims)} {v}" for v in FINDINGS]
    return "\n".join([*lines, f"{len(claims)} claims: {', '.join(counts)}"])
