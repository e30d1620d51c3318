"""Where does a wrong answer go wrong?  The first false step of each, sorted by what it had to do.

The rule for steps (`filters.first_wrong_step`) finds the line; the line before it, which still is
true, says what the step was.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from distillkit.evaluation.scoring import AnswerRow
from distillkit.problems.algebra import ParseError, parse_system
from distillkit.problems.solver import terms
from distillkit.traces.filters import first_wrong_step
from distillkit.traces.templates import TEMPLATES, displayed_steps

_BRACKET = re.compile(r"\([^)]*[A-Za-z][^)]*\)")  # with the unknown inside
_QUOTIENT = re.compile(r"=\s*-?[0-9]+\s*/\s*-?[0-9]+\s*$")
_SIGN = {"+": "sum", "-": "difference", "*": "product", "/": "quotient"}


@dataclass(frozen=True)
class Slip:
    """The first thing that is wrong in an answer; `digits` is 0 where no number is at fault."""

    kind: str
    digits: int = 0  # of the largest number in the false line
    minus: bool = False  # whether it holds a minus sign
    line: str = ""


def slip(row: AnswerRow) -> Slip | None:
    """Return the first slip of one row of `evaluate`, None if its answer is exactly right.

    Kinds: "cut off", "form", "unread problem" (its words are unknown, so no step can be checked),
    "no step", "answer" (all steps are right, the answer is not), a kind of arithmetic ("sum",
    "difference", "product", "quotient") or of step ("copied wrongly", "bracket", "like terms",
    "moved across", "divided", "other step").
    """
    if row["exact"]:
        return None
    if row["finish"] == "length":
        return Slip("cut off")
    parsed = TEMPLATES[row["template"]].parse(row["text"])
    if not parsed.ok:
        return Slip("form")
    equation = row["problem"]["equation"]
    try:
        parse_system(equation)
    except ParseError:
        return Slip("unread problem")
    line = first_wrong_step(equation, parsed.reasoning)
    if not line:
        return Slip("answer")
    lines = [text.strip() for text in parsed.reasoning.split("\n")]
    if line not in lines:  # words of the rule instead of a line of the text
        return Slip("no step")
    before = displayed_steps("\n".join([equation, *lines[: lines.index(line)]]))
    digits = max(map(len, re.findall("[0-9]+", line)), default=0)
    return Slip(_kind(before, line), digits, "-" in line, line)


def _kind(before: Sequence[str], line: str) -> str:
    if "=" not in line:  # "3x equals 16"
        return "other step"
    left, right = (side.strip() for side in line.split("=")[:2])
    if not re.search("[A-Za-z]", line):
        sign = re.search(r"(?<=[0-9)])\s*([-+*/])", left) or re.search(r"([-+*/])", right)
        return _SIGN[sign[1]] if sign else "other step"
    last = next((old for old in reversed(before) if re.search("[A-Za-z]", old)), "")
    if len(_BRACKET.findall(line)) < len(_BRACKET.findall(last)):
        return "bracket"
    if _QUOTIENT.search(last):
        return "quotient"
    if _QUOTIENT.search(line):
        return "divided"
    try:
        old, new = (
            [sorted(bool(re.search("[A-Za-z]", term)) for term in terms(side))
             for side in text.split("=")[:2]]
            for text in (last, line)
        )  # fmt: skip
    except ParseError:  # words stand around the step
        return "other step"
    if old == new:
        return "copied wrongly"
    if sum(map(len, new)) < sum(map(len, old)):
        return "like terms"
    return "moved across" if sum(map(len, new)) == sum(map(len, old)) else "other step"


def slips(rows: Sequence[AnswerRow]) -> list[tuple[str, int, int, int]]:
    """Count the slips of rows: (kind, all, with numbers of 3 digits or more, with a minus)."""
    found = [s for row in rows if (s := slip(row))]
    kinds = Counter(s.kind for s in found)
    return [
        (kind, n, sum(s.digits > 2 for s in found if s.kind == kind),
         sum(s.minus for s in found if s.kind == kind))
        for kind, n in kinds.most_common()
    ]  # fmt: skip
