"""The exercises on before and after: which answers flipped, and whether that can be chance."""

from __future__ import annotations

from collections.abc import Sequence
from math import comb

from distillkit.checks.core import Exercise, Mistake

# --- what flipped ---------------------------------------------------------------------------------


def _flips(before: Sequence[bool], after: Sequence[bool]) -> tuple[int, int]:
    """Return how many answers were gained (wrong, then right) and lost (right, then wrong)."""
    pairs = list(zip(before, after, strict=True))
    return sum(a and not b for b, a in pairs), sum(b and not a for b, a in pairs)


flips = Exercise(
    "flips",
    reference=_flips,
    probes=[
        ([False, False, True, True, False], [True, True, True, False, False]),
        ([True, True, False], [False, False, True]),
        ([False, True, False, True], [False, True, False, True]),
        ([False, False, False], [True, True, True]),
        ([], []),
    ],
    mistakes=[
        Mistake("gained and lost have changed places: gained is wrong before and right after",
                lambda b, a: _flips(b, a)[::-1]),
        Mistake("it counts all right answers after and before: only those that changed count",
                lambda b, a: (sum(a), sum(b))),
        Mistake("it returns the difference: two gained and two lost is not the same as no change",
                lambda b, a: (max(0, sum(a) - sum(b)), max(0, sum(b) - sum(a)))),
        Mistake("it counts the answers that did not change",
                lambda b, a: (sum(x and y for x, y in zip(b, a)),
                              sum(not x and not y for x, y in zip(b, a)))),
        Mistake("it returns shares: return counts",
                lambda b, a: tuple(n / max(1, len(b)) for n in _flips(b, a))),
    ],
)  # fmt: skip

# --- chance? --------------------------------------------------------------------------------------


def _p_value(gained: int, lost: int) -> float:
    """Return the exact two-sided p-value of McNemar's test (McNemar 1947)."""
    n = gained + lost
    return min(1.0, 2 * sum(comb(n, i) for i in range(min(gained, lost) + 1)) / 2**n)


p_value = Exercise(
    "p_value",
    reference=_p_value,
    probes=[(8, 1), (1, 8), (3, 3), (10, 0), (0, 0), (5, 2), (20, 9)],
    mistakes=[
        Mistake("this is one side only: a loss as large would have been as surprising, so times 2",
                lambda g, m: min(1.0, _p_value(g, m) / 2) if g != m else
                sum(comb(g + m, i) for i in range(g + 1)) / 2 ** (g + m)),
        Mistake("it can be above 1: with as many gained as lost both tails hold the middle",
                lambda g, m: 2 * sum(comb(g + m, i) for i in range(min(g, m) + 1)) / 2 ** (g + m)),
        Mistake("this is the chance of exactly this result: add what is more extreme",
                lambda g, m: min(1.0, 2 * comb(g + m, min(g, m)) / 2 ** (g + m))),
        Mistake("it leaves the most extreme results out: the sum begins at 0",
                lambda g, m: min(1.0, 2 * sum(comb(g + m, i) for i in range(1, min(g, m) + 1))
                                 / 2 ** (g + m))),
        Mistake("it goes up to the larger number: the small tail is the surprising one",
                lambda g, m: min(1.0, 2 * sum(comb(g + m, i) for i in range(max(g, m) + 1))
                                 / 2 ** (g + m))),
        Mistake("that is 1 - p: a small p means that chance is a bad explanation",
                lambda g, m: 1 - _p_value(g, m)),
        Mistake("the order of gained and lost must not matter: use the smaller of both",
                lambda g, m: min(1.0, 2 * sum(comb(g + m, i) for i in range(m + 1))
                                 / 2 ** (g + m))),
    ],
)  # fmt: skip
