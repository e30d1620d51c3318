"""Numbers over seeds: t intervals, paired comparisons, and sentences built from the numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import sqrt
from statistics import mean, stdev


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


def interval(values: Sequence[float]) -> tuple[float, float, float]:
    """Return the mean over seeds with the low and the high end of its 95 % t interval.

    Raises ValueError for fewer than three seeds.
    """
    middle = mean(values)
    half = t_quantile(len(values) - 1) * stdev(values) / sqrt(len(values))
    return middle, middle - half, middle + half


def paired(baseline: Sequence[float], treatment: Sequence[float]) -> tuple[float, float, float]:
    """Return the mean of treatment - baseline over paired seeds with its 95 % interval."""
    return interval([t - b for b, t in zip(baseline, treatment, strict=True)])


def conclusion(
    names: tuple[str, str],
    baseline: Sequence[float],
    treatment: Sequence[float],
    unit: str = "errors in 100 digits",
    pairs: str = "seeds",
) -> str:
    """Say in one sentence what a paired comparison means, whichever way it went.

    `names` are those of the baseline and of the treatment; `pairs` says what is paired.
    """
    change, low, high = paired(baseline, treatment)
    seeds = f"{len(baseline)} paired {pairs}"
    if low <= 0 <= high:
        return (
            f"Between {names[0]} and {names[1]} no difference can be claimed: {change:+.1f} {unit} "
            f"(95 % interval {low:+.1f} to {high:+.1f}, {seeds})."
        )
    few, many = sorted((abs(low), abs(high)))
    word = "fewer" if change < 0 else "more"
    return (
        f"{names[1][:1].upper()}{names[1][1:]} gave {abs(change):.1f} {word} {unit} "
        f"than {names[0]} (95 % interval {few:.1f} to {many:.1f}, {seeds})."
    )


def table(results: Mapping[str, Sequence[float]], baseline: str) -> str:
    """Return one line a way: mean, interval, and the paired difference from the baseline."""
    width = max(len(str(name)) for name in results)
    lines = [f"{'':{width}}  seeds   mean   95 % interval   minus {baseline}"]
    for name, values in results.items():
        m, low, high = interval(values)
        line = f"{name:{width}}  {len(values):5d}  {m:5.1f}  {low:5.1f} to {high:5.1f}"
        if name == baseline:
            line += "    (baseline)"
        else:
            d, d_low, d_high = paired(results[baseline], values)
            line += f"    {d:+.1f}  ({d_low:+.1f} to {d_high:+.1f})"
        lines.append(line)
    return "\n".join(lines)
