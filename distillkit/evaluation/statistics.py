"""Numbers with intervals: proportions, paired answers, seeds, and sentences made from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import comb, inf, sqrt
from statistics import mean, stdev

import numpy as np

from distillkit.runtime.progress import folded

SMALL = 0.2  # an effect that is written with two digits behind the point
DRAWN_AT_ONCE = 1_000_000  # resampled problems in memory: 16 MB


def t_quantile(freedom: int) -> float:
    """Return the 97.5 % point of Student's t (Abramowitz and Stegun 1964, 26.7.5).

    It is 0.8 % too small for 2 degrees of freedom, and less than 0.2 % from 3 on.
    Raises ValueError below 2, where the formula is wrong.
    """
    if freedom < 2:
        raise ValueError("an interval needs at least three seeds")
    z, v = 1.959964, freedom
    second = (5 * z**5 + 16 * z**3 + 3 * z) / (96 * v**2)
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * v**3)
    fourth = (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / (92160 * v**4)
    return z + (z**3 + z) / (4 * v) + second + third + fourth


def interval(
    values: Sequence[float], ends: tuple[float, float] = (-inf, inf)
) -> tuple[float, float, float]:
    """Return the mean over seeds with the low and the high end of its 95 % t interval.

    It is cut at `ends`, beyond which no value can be, such as (0, 100) for right answers in 100.
    Raises ValueError for fewer than three seeds.
    """
    middle = mean(values)
    half = t_quantile(len(values) - 1) * stdev(values) / sqrt(len(values))
    return middle, max(ends[0], middle - half), min(ends[1], middle + half)


def paired(
    baseline: Sequence[float], treatment: Sequence[float], ends: tuple[float, float] = (-inf, inf)
) -> tuple[float, float, float]:
    """Return the mean of treatment - baseline over paired seeds with its 95 % interval.

    `ends` are the smallest and the largest value that can be; no difference can be larger than
    from one to the other.
    """
    most = ends[1] - ends[0]
    changes = [t - b for b, t in zip(baseline, treatment, strict=True)]
    return interval(changes, (-most, most))


def conclusion(
    names: tuple[str, str],
    baseline: Sequence[float],
    treatment: Sequence[float],
    unit: str = "errors in 100 digits",
    pairs: str = "seeds",
) -> str:
    """Say in one sentence what a paired comparison means, whichever way it went.

    `names` are those of the baseline and of the treatment; `pairs` says what is paired.  The
    sentence is folded.  Where one digit behind the point would show next to nothing it has two.
    """
    change, low, high = paired(baseline, treatment)
    digits = 2 if max(abs(low), abs(high)) < SMALL else 1
    seeds = f"{len(baseline)} paired {pairs}"
    first, second = (f"'{name}'" if "," in name else name for name in names)
    if low <= 0 <= high:
        words = (
            f"Between {first} and {second} no difference can be claimed: "
            f"{change:+z.{digits}f} {unit} "
            f"(95 % interval {low:+z.{digits}f} to {high:+z.{digits}f}, {seeds})."
        )
    else:
        few, many = sorted((abs(low), abs(high)))
        word = "fewer" if change < 0 else "more"
        words = (
            f"{second[:1].upper()}{second[1:]} gave {abs(change):.{digits}f} {word} {unit} "
            f"than {first} (95 % interval {few:.{digits}f} to {many:.{digits}f}, {seeds})."
        )
    return folded(words)


def table(
    results: Mapping[str, Sequence[float]], baseline: str, ends: tuple[float, float] = (0, 100)
) -> str:
    """Return one line a way: mean, interval, and the paired difference from the baseline.

    `ends` are the smallest and the largest value that can be; by default those of a count in 100.
    """
    width = max(len(str(name)) for name in results)
    lines = [f"{'':{width}}  seeds   mean   95 % interval   minus {baseline}"]
    for name, values in results.items():
        m, low, high = interval(values, ends)
        line = f"{name:{width}}  {len(values):5d}  {m:5.1f}  {low:5.1f} to {high:5.1f}"
        if name == baseline:
            line += "    (baseline)"
        else:
            d, d_low, d_high = paired(results[baseline], values, ends)
            line += f"    {d:+.1f}  ({d_low:+.1f} to {d_high:+.1f})"
        lines.append(line)
    return "\n".join(lines)


def wilson(right: float, n: int, z: float = 1.959964) -> tuple[float, float]:
    """Return the 95 % Wilson score interval of a proportion (Wilson 1927); (0, 1) for n = 0.

    `right` may be a mean over runs that asked the same n questions.
    """
    if n == 0:
        return 0.0, 1.0
    p, zz = right / n, z * z
    middle, half = p + zz / (2 * n), z * sqrt(p * (1 - p) / n + zz / (4 * n * n))
    low, high = (middle - half) / (1 + zz / n), (middle + half) / (1 + zz / n)
    return (0.0 if right == 0 else low), (1.0 if right == n else high)


def unpaired_difference(before: float, n: int, after: float, m: int) -> tuple[float, float, float]:
    """Return after - before of two shares, of n and of m answers, with its 95 % interval.

    For answers that were not kept one by one.  Where both shares are of the same questions it is
    usually wider than the interval of pairs.  A share may be a mean over runs that asked the same
    questions: these are the units, and more runs do not make the interval narrower.
    Source: Newcombe 1998, "Interval estimation for the difference between independent
    proportions", method 10.
    """
    (low, high), (low_after, high_after) = wilson(before * n, n), wilson(after * m, m)
    change = after - before
    below = sqrt((after - low_after) ** 2 + (high - before) ** 2)
    above = sqrt((high_after - after) ** 2 + (before - low) ** 2)
    return change, change - below, change + above


def flips(before: Sequence[bool], after: Sequence[bool]) -> tuple[int, int]:
    """Return how many answers were gained (wrong, then right) and lost (right, then wrong)."""
    pairs = list(zip(before, after, strict=True))
    return sum(b < a for b, a in pairs), sum(b > a for b, a in pairs)


def p_value(gained: int, lost: int) -> float:
    """Return the exact two-sided p-value of McNemar's test from the flips (McNemar 1947)."""
    n = gained + lost
    tail = sum(comb(n, i) for i in range(min(gained, lost) + 1)) / 2**n
    return min(1.0, 2 * tail)


def p_words(p: float) -> str:
    """Write a p-value as it is read: `p = 0.02`, or `p < 0.001` below that."""
    if p < 0.001:
        return "p < 0.001"
    return f"p = {p:.3f}" if p < 0.01 else f"p = {p:.2f}"


def mcnemar(before: Sequence[bool], after: Sequence[bool]) -> float:
    """Return the p-value of McNemar's test on paired answers."""
    return p_value(*flips(before, after))


def paired_difference(
    before: Sequence[bool], after: Sequence[bool], draws: int = 10_000, seed: int = 0
) -> tuple[float, float, float]:
    """Return the difference of the accuracies with its 95 % bootstrap interval, paired.

    The interval is the percentile one (Efron 1979) over resampled problems; (0, 0, 0) for none.
    It is too narrow where few answers changed (no width where none did): `mcnemar` is exact there.
    """
    change = np.array(after, dtype=float) - np.array(before, dtype=float)
    if len(change) == 0:
        return 0.0, 0.0, 0.0
    rng = np.random.default_rng(seed)
    means = np.empty(draws)
    at_once = max(1, DRAWN_AT_ONCE // len(change))
    for first in range(0, draws, at_once):  # one stream of numbers, however it is cut
        part = means[first : first + at_once]
        part[:] = change[rng.integers(0, len(change), (len(part), len(change)))].mean(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    return float(change.mean()), float(low), float(high)
