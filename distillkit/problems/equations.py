"""Seeded equation families with exact answers and a leak-proof train/test split."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from itertools import permutations
from typing import TypedDict

from distillkit.problems.algebra import (
    Linear,
    add,
    parse_linear,
    parse_system,
    show_linear,
    show_number,
    solve,
)


class ProblemRecord(TypedDict):
    """A problem as it stands in a journal: the fields of `Problem`."""

    id: str
    text: str
    equation: str
    answer: str
    family: str
    split: str


@dataclass(frozen=True)
class Problem:
    """One equation to solve: its wording, exact answer, family and split."""

    id: str
    text: str  # what the model reads: "Solve for x: 3x + 5 = 20"
    equation: str  # "3x + 5 = 20"
    answer: str  # "x = 5", exact
    family: str
    split: str

    def record(self) -> ProblemRecord:
        """Return the fields as a dictionary for a journal."""
        return asdict(self)


FRUITLESS = 10_000  # equations in a row that are known already: the family has no new one


# --- families: each returns an equation as text; its answer is computed from the text -----------


def _small(rng: random.Random, low: int = 2, high: int = 9) -> int:
    return rng.randint(low, high)


def _root(rng: random.Random, size: int = 12) -> int:
    return rng.choice([n for n in range(-size, size + 1) if n])


def _shift(rng: random.Random, size: int = 19) -> int:
    return rng.choice([-1, 1]) * rng.randint(1, size)


def _line(coefficient: int | Fraction, constant: int | Fraction) -> str:
    return show_linear(add({"x": Fraction(coefficient)}, {"": Fraction(constant)}))


def one_step(rng: random.Random) -> str:
    """x + a = b, ax = b or x/a = b."""
    kind, x, a = rng.choice(["add", "add", "times", "over"]), _root(rng), _small(rng)
    if kind == "times":
        return f"{a}x = {a * x}"
    if kind == "over":
        return f"x/{a} = {x}"
    b = _shift(rng)
    return f"{_line(1, b)} = {x + b}"


def two_step(rng: random.Random) -> str:
    """ax + b = c."""
    a, b, x = _small(rng), _shift(rng), _root(rng)
    return f"{_line(a, b)} = {a * x + b}"


def both_sides(rng: random.Random) -> str:
    """ax + b = cx + d."""
    a, x, b = _small(rng), _root(rng), _shift(rng)
    c = rng.choice([n for n in range(2, 10) if n != a])
    return f"{_line(a, b)} = {_line(c, (a - c) * x + b)}"


def brackets(rng: random.Random) -> str:
    """a(x + b) = c."""
    a, b, x = _small(rng), _shift(rng, 9), _root(rng)
    return f"{a}({_line(1, b)}) = {a * (x + b)}"


def brackets_both(rng: random.Random) -> str:
    """a(x + b) = c(x + d)."""
    while True:
        a, c, b, x = _small(rng), _small(rng), _shift(rng, 9), _root(rng)
        d = Fraction(a * (x + b), c) - x
        if a != c and d.denominator == 1 and 0 < abs(d) < 20:
            return f"{a}({_line(1, b)}) = {c}({_line(1, d)})"


def fractions(rng: random.Random) -> str:
    """(p/q)x + b = c with a whole solution."""
    q, b = _small(rng, 2, 6), _shift(rng)
    p = rng.choice([n for n in range(1, 8) if Fraction(n, q).denominator != 1])
    x = Fraction(p, q).denominator * _root(rng, 5)
    left = show_linear({"x": Fraction(p, q), "": Fraction(b)})
    return f"{left} = {Fraction(p, q) * x + b}"


def rational(rng: random.Random) -> str:
    """ax + b = cx + d whose solution is a fraction."""
    while True:
        a, c, b, d = _small(rng), _small(rng, 0, 9), _shift(rng), _shift(rng)
        if a != c and (d - b) % (a - c):
            return f"{_line(a, b)} = {_line(c, d)}"


def letters(rng: random.Random) -> str:
    """A trained family with another letter."""
    letter = rng.choice("abkmnptuwyz")
    return rng.choice([two_step, both_sides, brackets])(rng).replace("x", letter)


def reversed_sides(rng: random.Random) -> str:
    """A trained family with the number on the left: c = ax + b."""
    left, right = rng.choice([one_step, two_step, brackets])(rng).split(" = ")
    return f"{right} = {left}"


def large(rng: random.Random) -> str:
    """ax + b = c with numbers of up to four digits."""
    a, b, x = rng.randint(11, 40), _shift(rng, 400), _root(rng, 60)
    return f"{_line(a, b)} = {a * x + b}"


def unsimplified(rng: random.Random) -> str:
    """Several terms a side: ax + b + cx = d + ex."""
    while True:
        a, c, e, b, x = *(_small(rng) for _ in range(3)), _shift(rng), _root(rng)
        if a + c != e:
            left = f"{_line(a, b)} + {c}x"
            return f"{left} = {_line(e, (a + c - e) * x + b)}"


def broad(rng: random.Random) -> str:
    """Up to six terms in any order on either side, a bracket now and then, numbers to 999."""
    while True:
        root = _root(rng, 30)
        sides = [[_term(rng) for _ in range(rng.randint(1, most))] for most in (2, 3)]
        left, right = (parse_linear(_sum(side)) for side in sides)
        gap = add(right, left, -1)
        number = gap.get("x", 0) * root + gap.get("", 0)  # what the left side lacks
        if "x" in gap and 0 < abs(number) <= 999:
            sides[0].insert(rng.randint(0, len(sides[0])), str(number))
            rng.shuffle(sides)
            return f"{_sum(sides[0])} = {_sum(sides[1])}"


def _term(rng: random.Random) -> str:
    kind, sign = rng.choice(["x", "x", "number", "bracket"]), rng.choice([-1, 1])
    if kind == "number":
        return str(_shift(rng, 199))
    if kind == "x":
        return show_linear({"x": Fraction(sign * rng.randint(1, 19))})
    return f"{sign * _small(rng)}({_line(1, _shift(rng, 19))})"


def _sum(terms: Sequence[str]) -> str:
    return " + ".join(terms).replace("+ -", "- ")


def scaled(rng: random.Random) -> str:
    """ax = c, ax + b = c or b - ax = c: a of up to six digits, a solution of up to three."""
    size = rng.choice([1, 2, 2, 2, 2, 2, 2, 3, 3, 4, 4, 5, 6])
    a = rng.randint(max(2, 10 ** (size - 1)), 10**size - 1)
    x = rng.randint(2, 999 if size < 3 and rng.random() < 0.2 else 99) * rng.choice([1] * 9 + [-1])
    b = rng.randint(1, 10 ** rng.choice([2, 2, 2, size])) if rng.random() < 0.8 else 0
    kind = rng.choice(["plus", "minus", "from"])
    if kind == "from" and b:
        return f"{b} - {a}x = {b - a * x}"
    b, a = -b if kind == "minus" else b, -a if rng.random() < 0.08 else a
    return f"{_line(a, b)} = {a * x + b}"


def near(rng: random.Random) -> str:
    """A trained kind whose solution is 0, 1 or -1."""
    a, b, x = _small(rng, 2, 19), _shift(rng, 99), rng.choice([0, 0, 0, 1, -1])
    kind, c = rng.choice(["two-step", "brackets", "both-sides"]), _small(rng)
    if kind == "brackets":
        return f"{c}({_line(1, b)}) = {c * (x + b)}"
    if kind == "both-sides" and a != c:
        return f"{_line(a, b)} = {_line(c, (a - c) * x + b)}"
    return f"{_line(a, b)} = {a * x + b}"


def systems(rng: random.Random) -> str:
    """Two equations in x and y."""
    return _system(rng, 9, (-3, -2, -1, 1, 2, 3))


def pairs(rng: random.Random) -> str:
    """Two equations in x and y with numbers of up to three digits."""
    return _system(rng, 20, [n for n in range(-9, 10) if n])


def _system(rng: random.Random, size: int, factors: Sequence[int]) -> str:
    x, y = _root(rng, size), _root(rng, size)
    while True:
        a, b, c, d = (rng.choice(factors) for _ in range(4))
        if a * d != b * c:
            one = show_linear({"x": Fraction(a), "y": Fraction(b)})
            two = show_linear({"x": Fraction(c), "y": Fraction(d)})
            return f"{one} = {a * x + b * y}, {two} = {c * x + d * y}"


FAMILIES: dict[str, Callable[[random.Random], str]] = {  # in ascending difficulty
    "one-step": one_step,
    "two-step": two_step,
    "both-sides": both_sides,
    "brackets": brackets,
    "brackets-both": brackets_both,
    "fractions": fractions,
    "rational": rational,
    "letters": letters,
    "reversed": reversed_sides,
    "large": large,
    "unsimplified": unsimplified,
    "scaled": scaled,
    "near": near,
    "broad": broad,
    "systems": systems,
    "pairs": pairs,
}
NARROW = ("one-step", "two-step", "both-sides", "brackets")
SMALL = (*NARROW, "brackets-both")  # every kind with one unknown and small numbers
BROAD = (*SMALL, "large", "broad")
FAR = ("rational",)  # never taught, in no curriculum
OUT_OF_DISTRIBUTION = ("letters", "reversed", "large", "unsimplified", "systems")


def make_problems(
    n: int,
    families: Sequence[str] = NARROW,
    split: str = "train",
    seed: int = 0,
    avoid: Collection[Problem] = (),
) -> list[Problem]:
    """Make `n` different problems, the families in turn; none equivalent to one in `avoid`.

    The split is part of the seed *and* of the canonical form's hash: an equation that belongs to
    the test split is never drawn for training, whatever the seeds.  Raises ValueError for an
    unknown family or when a family has no new equation left.
    """
    unknown = set(families) - set(FAMILIES)
    if unknown or not families:
        raise ValueError(f"unknown family {sorted(unknown)}: choose from {', '.join(FAMILIES)}")
    rng = random.Random(f"{split}-{seed}")
    seen = {canonical(problem.equation) for problem in avoid}
    problems: list[Problem] = []
    fruitless = 0
    while len(problems) < n:
        family = families[len(problems) % len(families)]
        equation = FAMILIES[family](rng)
        key = canonical(equation)
        if key in seen or not belongs(key, split):
            fruitless += 1
            if fruitless == FRUITLESS:
                found = sum(problem.family == family for problem in problems)
                raise ValueError(
                    f"the family {family!r} has no new equation left: only {found} different ones "
                    f"were found for the split {split!r}. Ask for fewer, or for other families"
                )
            continue
        fruitless = 0
        seen.add(key)
        problems.append(make_problem(equation, family, split))
    return problems


def make_problem(equation: str, family: str = "own", split: str = "own") -> Problem:
    """Build a Problem from an equation (or a system, comma-separated) with its exact answer.

    Equations of a split that mean the same have one id; a person's own have one for each wording.
    Raises ParseError for text that is no linear equation, SolutionError without a single solution.
    """
    solution = solve(parse_system(equation))
    answer = ", ".join(f"{name} = {show_number(solution[name])}" for name in sorted(solution))
    text = f"Solve for {' and '.join(sorted(solution))}: {equation}"
    key = equation if family == "own" else canonical(equation)
    digest = hashlib.sha256(key.encode()).hexdigest()[:10]
    return Problem(f"{family}-{digest}", text, equation, answer, family, split)


def canonical(equation: str) -> str:
    """Return one string for all ways to write the same equation.

    Sides are multiplied out and collected, swapped sides and renamed variables are the same, so
    ``3(x + 4) = 21``, ``3x + 12 = 21`` and ``21 = 3n + 12`` count as one problem.
    """
    system = parse_system(equation)
    names = sorted({name for left, right in system for name in (*left, *right)} - {""})

    def write(side: Linear, new: dict[str, str]) -> str:
        return " ".join(f"{side[name]}{new[name]}" for name in sorted(side, key=new.get)) or "0"

    def written(order: Sequence[str]) -> str:
        new = {name: f"v{i}" for i, name in enumerate(order)} | {"": ""}
        sides = ((write(left, new), write(right, new)) for left, right in system)
        return " & ".join(sorted(" = ".join(sorted(pair)) for pair in sides))

    # More unknowns than equations have no single solution, so at most four matter.
    return min(map(written, permutations(names) if len(names) <= 4 else [names]))


def overlap(one: Collection[Problem], other: Collection[Problem]) -> list[str]:
    """Return the canonical forms that two sets of problems share (should be empty)."""
    a = {canonical(problem.equation) for problem in one}
    return sorted(a & {canonical(problem.equation) for problem in other})


def must_differ(problems: Iterable[Problem]) -> None:
    """Raise ValueError for two different problems of one id: their answers would be mixed up."""
    known: dict[str, Problem] = {}
    for problem in problems:
        if known.setdefault(problem.id, problem) != problem:
            raise ValueError(
                f"{known[problem.id].text!r} and {problem.text!r} have one id, {problem.id}: ask "
                "one of them"
            )


def belongs(key: str, split: str) -> bool:
    """Say whether an equation, in its canonical form, may be drawn for a split.

    A quarter of all equations, by the hash, is kept for everything but training.
    """
    kept = hashlib.sha256(key.encode()).digest()[0] < 64
    return kept == (split != "train")
