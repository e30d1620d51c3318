"""The exercises on a teacher's traces: a step checker, and what candidates cost."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from fractions import Fraction

from distillkit.problems.algebra import Linear, parse_equation, value_at
from distillkit.teaching.exercise import Exercise, Mistake, hint  # noqa: F401 (checks.hint)

Sides = tuple[Linear, Linear]

# --- the first wrong step -------------------------------------------------------------------------


def _first_wrong(lines: Sequence[Sides], solution: Fraction) -> int | None:
    """Return the number (0, 1, …) of the first line that is false at the solution, or None."""
    for number, (left, right) in enumerate(lines):
        if value_at(left, solution) != value_at(right, solution):
            return number
    return None


def _lines(*texts: str) -> list[Sides]:
    return [parse_equation(text) for text in texts]


def _probes() -> list[tuple]:
    """A right solution, and slips at the beginning, in the middle, twice and in a bare number."""
    return [
        (_lines("3x - 8x = 13 + 7", "-5x = 20", "x = -4"), Fraction(-4)),
        (_lines("3x - 8x = 13 - 7", "-5x = 6", "x = -6/5"), Fraction(-4)),
        (_lines("3x - 8x = 13 + 7", "5x = 20", "x = 4"), Fraction(-4)),
        (_lines("3x = 15", "x = 15 / 3", "x = 3"), Fraction(5)),
        (_lines("13 + 7 = 21", "2x = 21"), Fraction(3)),
        (_lines("6 = 2x", "2x + 1 = 7", "x = 3"), Fraction(3)),
        (_lines("2x = 4", "3x = 7", "x = 7/3"), Fraction(2)),
    ]


def _wrong(
    lines: Callable = enumerate,
    at: Callable[[Linear, Fraction], Fraction] = value_at,
    result: Callable = lambda number, line: number,
    differ: Callable = lambda a, b: a != b,
) -> Callable[[Sequence[Sides], Fraction], int | None]:
    """Make checkers that look in another order, compute another value or return another thing."""

    def wrong(given: Sequence[Sides], solution: Fraction) -> int | None:
        for number, (left, right) in lines(given):
            if differ(at(left, solution), at(right, solution)):
                return result(number, (left, right))
        return None

    return wrong


first_wrong = Exercise(
    "first_wrong",
    reference=_first_wrong,
    hints=(
        "How would you test by hand whether -5x = 21 is true for x = -4?",
        "A small function computes one side: each factor times the solution, and the number "
        "under '' as it is. Then compare the two sides of each line, with enumerate.",
        "def at(side):",
    ),
    probes=_probes,
    mistakes=[
        Mistake(
            "it returns the last wrong line: what comes after the first one only follows from it",
            _wrong(lambda given: reversed(list(enumerate(given)))),
        ),
        Mistake(
            "it counts from 1: the first line has the number 0",
            _wrong(result=lambda number, line: number + 1),
        ),
        Mistake(
            "it returns the line itself: return its number",
            _wrong(result=lambda number, line: line),
        ),
        Mistake(
            "the numbers without the unknown are left out: the key '' holds them",
            _wrong(at=lambda side, x: sum((v * x for n, v in side.items() if n), Fraction(0))),
        ),
        Mistake(
            "the unknown is left out: multiply its factor by the solution",
            _wrong(at=lambda side, x: side.get("", Fraction(0))),
        ),
        Mistake(
            "the factor and the solution are added: 3x at x = 5 is 15, not 8",
            _wrong(at=lambda side, x: sum((v + x if n else v for n, v in side.items()), x - x)),
        ),
        Mistake(
            "the first *right* line comes back: a line is wrong when its sides differ",
            _wrong(differ=lambda a, b: a == b),
        ),
    ],
)

# --- what candidates cost -------------------------------------------------------------------------


def _price(
    problems: int, k: int, prompt_tokens: int, answer_tokens: int, per_in: float, per_out: float
) -> float:
    """Return the price of k candidates a problem; per_in and per_out are for a million tokens."""
    return problems * k * (prompt_tokens * per_in + answer_tokens * per_out) / 1e6


price = Exercise(
    "price",
    reference=_price,
    hints=(
        "How many requests does the server get?",
        "One request costs its prompt tokens times their price and its answer tokens times "
        "theirs. Prices are for a million.",
        "one = prompt_tokens * per_in + answer_tokens * per_out",
    ),
    probes=[(300, 4, 450, 70, 0.5, 1.5), (1, 1, 100, 200, 1.0, 3.0), (50, 8, 60, 400, 0.1, 0.4)],
    mistakes=[
        Mistake(
            "the price is for a million tokens: divide by 1,000,000",
            lambda n, k, p, a, i, o: n * k * (p * i + a * o),
        ),
        Mistake(
            "k is left out: every candidate is paid for, the rejected ones too",
            lambda n, k, p, a, i, o: n * (p * i + a * o) / 1e6,
        ),
        Mistake(
            "the prompt is counted once a problem: a server charges it for every request",
            lambda n, k, p, a, i, o: n * (p * i + k * a * o) / 1e6,
        ),
        Mistake(
            "the two prices have changed places: tokens that are read cost less than those written",
            lambda n, k, p, a, i, o: n * k * (p * o + a * i) / 1e6,
        ),
        Mistake(
            "the prompt is left out: with solved examples in it, it is most of the tokens",
            lambda n, k, p, a, i, o: n * k * a * o / 1e6,
        ),
        Mistake(
            "the prices are added before they are multiplied: each kind of token has its own",
            lambda n, k, p, a, i, o: n * k * (p + a) * (i + o) / 1e6,
        ),
    ],
    slips=[
        Mistake(words, lambda n, k, *rest, cost=cost: cost(n * k, *rest))
        for words, cost in {
            "the answer's cost is subtracted: both are paid":
                lambda asked, p, a, i, o: asked * (p * i - a * o) / 1e6,
            "the answer is left out": lambda asked, p, a, i, o: asked * p * i / 1e6,
            "the prompt's tokens are divided by their price: multiply":
                lambda asked, p, a, i, o: asked * (p / i + a * o) / 1e6,
            "the answer's tokens are divided by their price: multiply":
                lambda asked, p, a, i, o: asked * (p * i + a / o) / 1e6,
            "the price of the prompt's tokens is missing":
                lambda asked, p, a, i, o: asked * (p + a * o) / 1e6,
            "the number of the prompt's tokens is missing":
                lambda asked, p, a, i, o: asked * (i + a * o) / 1e6,
            "the price of the answer's tokens is missing":
                lambda asked, p, a, i, o: asked * (p * i + a) / 1e6,
            "the number of the answer's tokens is missing":
                lambda asked, p, a, i, o: asked * (p * i + o) / 1e6,
            "the requests are divided by the price of one: multiply":
                lambda asked, p, a, i, o: asked / (p * i + a * o) / 1e6,
            "these are the requests: multiply by the price of one":
                lambda asked, p, a, i, o: asked / 1e6,
            "this is the price of one request: multiply by problems and k":
                lambda asked, p, a, i, o: (p * i + a * o) / 1e6,
            "the million is divided by the price: it is the other way round":
                lambda asked, p, a, i, o: 1e6 / (asked * (p * i + a * o)),
        }.items()
    ],
)  # fmt: skip

# --- bonus: a journal that was cut off ------------------------------------------------------------


def _still_to_ask(journal: str, wanted: Sequence[str]) -> list[str]:
    """Return the ids that a journal (a JSON object a line) lacks; its last line may be torn."""
    lines = journal.split("\n")
    done = set()
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            done.add(json.loads(line)["id"])
        except ValueError:
            if number < len(lines):
                raise
    return [name for name in wanted if name not in done]


def _wrong_journal(kind: str):
    def wrong(journal: str, wanted: Sequence[str]) -> list[str]:
        left = _still_to_ask(journal, wanted)
        if kind == "torn counts":
            torn = journal.split("\n")[-1]
            return [name for name in left if f'"{name}"' not in torn]
        if kind == "last line lost":
            return _still_to_ask(journal.rsplit("\n", 2)[0] + "\n", wanted)
        if kind == "in text":
            return [name for name in wanted if name not in journal]
        if kind == "order":
            return sorted(left)
        if kind == "done":
            return [name for name in wanted if name not in left]
        for line in journal.split("\n"):
            if line.strip():
                json.loads(line)
        return left

    return wrong


_JOURNAL = '{"id": "b", "text": "x = 2"}\n{"id": "d", "text": "as in a"}\n'
still_to_ask = Exercise(
    "still_to_ask",
    reference=_still_to_ask,
    hints=(
        "A machine loses power while a line is written. What does the file end in?",
        "Read each line with json.loads and remember its id. Only the *last* line may be broken: "
        "then it does not count. Keep the order of `wanted`.",
        'lines = journal.split("\\n")',
    ),
    probes=[
        (_JOURNAL, ["d", "c", "b", "a"]),
        (_JOURNAL + '{"id": "c", "te', ["d", "c", "b", "a"]),
        ("", ["c", "a"]),
        (_JOURNAL + '{"id": "a", "text": "x"}', ["a", "c"]),
    ],
    mistakes=[
        Mistake("it stops at a torn last line: that is the one line that a crash may leave broken",
                _wrong_journal("torn stops")),
        Mistake("the torn line counts as done: its text was never whole",
                _wrong_journal("torn counts")),
        Mistake("the last whole line is thrown away, too: it is asked, and paid for, again",
                _wrong_journal("last line lost")),
        Mistake("it looks for the id anywhere in the text: an id may stand in an answer",
                _wrong_journal("in text")),
        Mistake("the order is lost: ask in the order of `wanted`", _wrong_journal("order")),
        Mistake("these are the ones that are done: return the others", _wrong_journal("done")),
    ],
)  # fmt: skip
