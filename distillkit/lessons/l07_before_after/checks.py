"""The exercises on before and after: what flipped, is it chance, and how large is the gain?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import comb

import numpy as np

from distillkit.evaluation import statistics
from distillkit.teaching.exercise import Exercise, Mistake, hint  # noqa: F401 (checks.hint)

# --- what flipped ---------------------------------------------------------------------------------

flips = Exercise(
    "flips",
    reference=statistics.flips,
    hints=(
        "What does an answer look like that was gained?",
        "Go through both lists together with zip. Gained: wrong before and right after. Lost: "
        "the other way round.",
        "gained = sum(a and not b for b, a in zip(before, after))",
    ),
    probes=[
        ([False, False, True, True, False], [True, True, True, False, False]),
        ([True, True, False], [False, False, True]),
        ([False, True, False, True], [False, True, False, True]),
        ([False, False, False], [True, True, True]),
        ([False, True], [True, False]),
        ([], []),
    ],
    mistakes=[
        Mistake("gained and lost have changed places: gained is wrong before and right after",
                lambda b, a: statistics.flips(b, a)[::-1]),
        Mistake("it counts all right answers after and before: only those that changed count",
                lambda b, a: (sum(a), sum(b))),
        Mistake("it returns the difference: two gained and two lost is not the same as no change",
                lambda b, a: (max(0, sum(a) - sum(b)), max(0, sum(b) - sum(a)))),
        Mistake("it counts the answers that did not change",
                lambda b, a: (sum(x and y for x, y in zip(b, a)),
                              sum(not x and not y for x, y in zip(b, a)))),
        Mistake("it returns shares: return counts",
                lambda b, a: tuple(n / max(1, len(b)) for n in statistics.flips(b, a))),
    ],
    slips=[
        Mistake("answers that stayed as they were are counted as gained: < and not <=",
                lambda b, a: (sum(x <= y for x, y in zip(b, a)), statistics.flips(b, a)[1])),
        Mistake("answers that stayed as they were are counted as lost: > and not >=",
                lambda b, a: (statistics.flips(b, a)[0], sum(x >= y for x, y in zip(b, a)))),
        Mistake("answers that stayed as they were are counted twice: only those that changed count",
                lambda b, a: (sum(x <= y for x, y in zip(b, a)),
                              sum(x >= y for x, y in zip(b, a)))),
    ],
)  # fmt: skip

# --- chance? --------------------------------------------------------------------------------------


def _both_tails(gained: int, lost: int, first: int, last: int) -> float:
    """Return twice the chance of first to last heads among the flips, at most 1."""
    n = gained + lost
    return min(1.0, 2 * sum(comb(n, i) for i in range(first, last + 1)) / 2**n)


def _ways(gained: int, lost: int) -> int:
    """Return in how many ways at most as many flips go the rarer way."""
    n = gained + lost
    return sum(comb(n, i) for i in range(min(gained, lost) + 1))


p_value = Exercise(
    "p_value",
    reference=statistics.p_value,
    hints=(
        "If training did nothing, how likely is a flip to be a gain?",
        "gained + lost coins were thrown. Add the chances of 0 up to the smaller number of "
        "heads, times 2 for the other side, and never above 1.",
        "n = gained + lost",
    ),
    probes=[(8, 1), (1, 8), (3, 3), (10, 0), (0, 0), (5, 2), (20, 9)],
    mistakes=[
        Mistake("this is one side only: a loss as large would have been as surprising, so times 2",
                lambda g, m: sum(comb(g + m, i) for i in range(min(g, m) + 1)) / 2 ** (g + m)),
        Mistake("it can be above 1: with as many gained as lost both tails hold the middle",
                lambda g, m: 2 * sum(comb(g + m, i) for i in range(min(g, m) + 1)) / 2 ** (g + m)),
        Mistake("this is the chance of exactly this result: add what is more extreme",
                lambda g, m: _both_tails(g, m, min(g, m), min(g, m))),
        Mistake("it leaves the most extreme results out: the sum begins at 0",
                lambda g, m: _both_tails(g, m, 1, min(g, m))),
        Mistake("it is always 1: the sum goes up to the larger number and not to the smaller one, "
                "or the ways are not divided by 2ⁿ, the number of all results",
                lambda g, m: _both_tails(g, m, 0, max(g, m))),
        Mistake("that is 1 - p: a small p means that chance is a bad explanation",
                lambda g, m: 1 - statistics.p_value(g, m)),
        Mistake("the order of gained and lost must not matter: use the smaller of both",
                lambda g, m: _both_tails(g, m, 0, m)),
    ],
    slips=[
        Mistake("it goes one result too far: the sum ends at the smaller number",
                lambda g, m: _both_tails(g, m, 0, min(g, m) + 1)),
        Mistake("it ends one result too early: the smaller number itself belongs to the sum",
                lambda g, m: _both_tails(g, m, 0, min(g, m) - 1)),
        Mistake("the chance is turned round: divide the number of ways by 2ⁿ",
                lambda g, m: min(1.0, 2 ** (g + m) / (2 * _ways(g, m)))),
        Mistake("2 is divided by the number of ways: multiply",
                lambda g, m: min(1.0, 2 / _ways(g, m) / 2 ** (g + m))),
        Mistake("a power of the number of flips, n², is not the number of results, 2ⁿ",
                lambda g, m: min(1.0, 2.0 * _ways(g, m) / max(1, (g + m) ** 2))),
    ],
)  # fmt: skip

# --- how large? -----------------------------------------------------------------------------------

Answers = Sequence[bool]


def _interval(before: Answers, after: Answers, drawn: np.ndarray) -> tuple[float, float]:
    """Return the 95 % percentile interval of the mean gain over drawn questions (Efron 1979)."""
    change = np.array(after, float) - np.array(before, float)
    low, high = np.quantile(change[drawn].mean(axis=1), [0.025, 0.975])
    return float(low), float(high)


def _wrong_interval(of: Callable[[np.ndarray], Sequence[float]]) -> Callable:
    """Return an interval that is made from the changes of the drawn questions in another way."""

    def interval(before: Answers, after: Answers, drawn: np.ndarray) -> tuple[float, float]:
        low, high = of((np.array(after, float) - np.array(before, float))[drawn])
        return float(low), float(high)

    return interval


def _draws() -> list[tuple]:
    random = np.random.default_rng(0)
    pairs = [([0, 0, 1, 1, 0, 0, 0, 1], [1, 1, 1, 0, 1, 0, 1, 1], 8),
             ([0, 1, 0, 0, 1], [1, 1, 1, 1, 0], 5),
             ([1, 0, 1, 1, 0, 1, 1], [0, 0, 1, 0, 1, 0, 1], 7),
             ([1, 0, 0, 1, 0, 1, 0], [1, 1, 1, 0, 1, 1, 1], 4)]  # fmt: skip
    return [([*map(bool, b)], [*map(bool, a)], random.integers(0, len(b), (400, n)))
            for b, a, n in pairs]  # fmt: skip


interval = Exercise(
    "interval",
    reference=_interval,
    hints=(
        "What does one question add to the gain: +1, 0 or -1?",
        "As arrays of floats, after - before is the change of each question. change[drawn] has the"
        " changes of all draws; a mean over axis 1 is one gain a draw.",
        "change = np.array(after, float) - np.array(before, float)",
    ),
    probes=_draws,
    mistakes=[
        Mistake("the sign is turned: a gain is after minus before",
                _wrong_interval(lambda d: np.quantile(-d.mean(axis=1), [0.025, 0.975]))),
        Mistake("that is the interval of what is right after, not of the gain: take before away",
                lambda b, a, drawn: _interval([False] * len(b), a, drawn)),
        Mistake("that is a 90 % interval: 95 % in the middle leaves 0.025 at each end",
                _wrong_interval(lambda d: np.quantile(d.mean(axis=1), [0.05, 0.95]))),
        Mistake("these are the smallest and the largest gain: one odd draw decides them",
                _wrong_interval(lambda d: (d.mean(axis=1).min(), d.mean(axis=1).max()))),
        Mistake("it adds up the questions of a draw: take the mean of each draw",
                _wrong_interval(lambda d: np.quantile(d.sum(axis=1), [0.025, 0.975]))),
        Mistake("these are quantiles of single questions: first the mean of each draw (axis 1)",
                _wrong_interval(lambda d: np.quantile(d, [0.025, 0.975]))),
        Mistake("the mean runs over the draws: it has to run over the questions of one (axis 1)",
                _wrong_interval(lambda d: np.quantile(d.mean(axis=0), [0.025, 0.975]))),
    ],
    slips=[
        Mistake("before is added: a gain is after minus before",
                lambda b, a, drawn: _interval([-x for x in b], a, drawn)),
        Mistake("the sum of a draw is divided by the number of all questions: divide by how many "
                "were drawn",
                lambda b, a, drawn: tuple(x * drawn.shape[1] / len(b)
                                          for x in _interval(b, a, drawn))),
        Mistake("that is the interval of what is right before, not of the gain: after minus before",
                lambda b, a, drawn: _interval([False] * len(b), b, drawn)),
    ],
)  # fmt: skip
