"""Intervals and tests against known values."""

from __future__ import annotations

import math
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distillkit.evaluation import statistics
from distillkit.evaluation.statistics import (
    interval,
    mcnemar,
    p_words,
    paired_difference,
    table,
    unpaired_difference,
    wilson,
)


@pytest.mark.parametrize(
    ("right", "n", "low", "high"),
    [
        (0, 10, 0.0, 0.2775),
        (10, 10, 0.7225, 1.0),
        (5, 10, 0.2366, 0.7634),
        (1, 2, 0.0945, 0.9055),
        (45, 48, 0.8316, 0.9785),
        (15, 148, 0.0624, 0.1605),  # Newcombe 1998, table I, method 3
        (81, 263, 0.2553, 0.3662),  # the same
    ],
)
def test_wilson_known_values(right, n, low, high):
    assert wilson(right, n) == pytest.approx((low, high), abs=6e-5)


def test_wilson_of_nothing_says_nothing():
    assert wilson(0, 0) == (0.0, 1.0)


@given(st.integers(1, 2000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_is_where_the_score_test_ends(counts):
    right, n = counts
    low, high = wilson(right, n)
    assert 0 <= low <= right / n <= high <= 1 and low < high
    for end, outermost in ((low, right == 0), (high, right == n)):
        if not outermost:  # the ends q solve |p - q| = z sqrt(q (1 - q) / n)
            assert abs(right / n - end) == pytest.approx(
                1.959964 * math.sqrt(end * (1 - end) / n), rel=1e-6
            )


@given(st.integers(0, 30), st.integers(1, 30))
def test_wilson_shrinks_with_n_and_is_symmetric(right, wrong):
    n = right + wrong
    low, high = wilson(right, n)
    narrow = wilson(10 * right, 10 * n)
    assert narrow[1] - narrow[0] < high - low
    assert wilson(wrong, n) == pytest.approx((1 - high, 1 - low))


@pytest.mark.parametrize(
    ("before", "after", "low", "high"),
    [  # Newcombe 1998 (differences), table II, method 10
        ((48, 80), (56, 70), 0.0524, 0.3339),
        ((3, 10), (9, 10), 0.1705, 0.8090),
        ((2, 7), (6, 7), 0.0582, 0.8062),
        ((0, 29), (5, 56), -0.0381, 0.1926),
        ((0, 20), (0, 10), -0.1611, 0.2775),
        ((0, 20), (10, 10), 0.6791, 1.0),
    ],
)
def test_a_difference_of_two_groups_known_values(before, after, low, high):
    (r, n), (s, m) = before, after
    wanted = (s / m - r / n, low, high)
    assert unpaired_difference(r / n, n, s / m, m) == pytest.approx(wanted, abs=6e-5)
    back = tuple(-x for x in unpaired_difference(s / m, m, r / n, n))
    assert (back[0], back[2], back[1]) == pytest.approx(wanted, abs=6e-5)


def test_a_difference_of_groups_is_wider_than_that_of_pairs_that_agree():
    pairs = paired_difference(*paired(60, 0, 10, 30))
    groups = unpaired_difference(0.6, 100, 0.7, 100)
    assert groups[0] == pytest.approx(pairs[0])
    assert groups[2] - groups[1] > 2 * (pairs[2] - pairs[1])


def test_an_interval_of_right_answers_in_100_ends_at_0_and_100():
    assert interval([99, 100, 94])[2] > 100
    assert interval([99, 100, 94], (0, 100)) == (97 + 2 / 3, interval([99, 100, 94])[1], 100)
    assert interval([0, 1, 6], (0, 100))[1] == 0
    assert "to 100.0" in table({"one": [99, 100, 94], "two": [1, 2, 3]}, "one")
    assert "-" not in table({"one": [0, 1, 6]}, "one").splitlines()[1]


def test_a_difference_is_no_larger_than_from_one_end_to_the_other():
    base, broken = [74, 76, 76], [66, 0, 0]
    assert statistics.paired(base, broken)[1] < -100
    assert statistics.paired(base, broken, (0, 100))[1] == -100
    lines = {ends: table({"base": base, "broken": broken}, "base", ends)
             for ends in ((0, 100), (0, math.inf))}  # fmt: skip
    assert [line.split("(")[-1] for line in lines.values()] == [
        "-100.0 to +43.5)", "-150.1 to +43.5)",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("treatment", "words"),
    [
        ([1.04, 2.05, 3.06], "B gave 0.05 more errors than a (95 % interval 0.03 to 0.07, 3"),
        ([1.0, 1.99, 3.0], "claimed: +0.00 errors (95 % interval -0.02 to +0.01, 3 paired"),
        ([1.3, 2.5, 3.4], "B gave 0.4 more errors than a (95 % interval 0.2 to 0.6, 3"),
        ([1.1, 1.5, 3.3], "claimed: +0.0 errors (95 % interval -1.1 to +1.0, 3 paired"),
    ],
)
def test_a_small_effect_has_two_digits_and_none_is_minus_nothing(treatment, words):
    said = statistics.conclusion(("a", "b"), [1.0, 2.0, 3.0], treatment, "errors")
    assert words in " ".join(said.split())


@pytest.mark.parametrize(
    ("p", "words"),
    [(5.7e-14, "p < 0.001"), (0.000999, "p < 0.001"), (0.0012, "p = 0.001"), (0.0312, "p = 0.03"),
     (0.5, "p = 0.50"), (1.0, "p = 1.00")],
)  # fmt: skip
def test_a_p_value_is_written_as_it_is_read(p, words):
    assert p_words(p) == words


def paired(both, lost, gained, neither):
    before = [True] * both + [True] * lost + [False] * gained + [False] * neither
    after = [True] * both + [False] * lost + [True] * gained + [False] * neither
    return before, after


@pytest.mark.parametrize(
    ("lost", "gained", "p"),
    [(0, 0, 1.0), (0, 1, 1.0), (0, 5, 2 / 32), (5, 0, 2 / 32), (1, 9, 22 / 1024), (3, 3, 1.0),
     (2, 8, 112 / 1024)],
)  # fmt: skip
def test_mcnemar_by_hand(lost, gained, p):
    assert mcnemar(*paired(4, lost, gained, 7)) == pytest.approx(p)


@given(st.integers(0, 12), st.integers(0, 12))
def test_mcnemar_counts_the_outcomes_at_least_as_uneven(lost, gained):
    n = lost + gained
    outcomes = [bin(i).count("1") for i in range(2**n)] if n <= 10 else None
    p = mcnemar(*paired(1, lost, gained, 1))
    if outcomes:
        uneven = [abs(2 * k - n) >= abs(lost - gained) for k in outcomes]
        assert p == pytest.approx(sum(uneven) / len(uneven))
    assert p == mcnemar(*paired(9, gained, lost, 0))


def test_mcnemar_of_many_pairs():
    assert mcnemar([False] * 3000, [True] * 3000) < 1e-300
    assert mcnemar(*paired(0, 1500, 1500, 0)) == 1.0


def test_mcnemar_needs_pairs():
    with pytest.raises(ValueError):
        mcnemar([True], [True, False])


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=40))
def test_the_difference_lies_in_its_interval(pairs):
    before, after = zip(*pairs)
    change, low, high = paired_difference(before, after, draws=500)
    assert change == pytest.approx(sum(after) / len(after) - sum(before) / len(before))
    assert -1 <= low <= change + 1e-9 and change - 1e-9 <= high <= 1


def test_the_interval_is_that_of_pairs_and_not_of_two_groups():
    """Sixty of a hundred before, seventy after: pairs that agree make the interval narrow."""
    few = paired_difference(*paired(60, 0, 10, 30))
    many = paired_difference(*paired(35, 25, 35, 5))
    assert few[0] == pytest.approx(many[0]) == pytest.approx(0.1)
    assert many[2] - many[1] > 2 * (few[2] - few[1]) * 0.95


def test_the_interval_is_a_95_percent_one():
    _, low, high = paired_difference(*paired(600, 0, 100, 300), draws=2000)
    half = 1.96 * math.sqrt(0.1 * 0.9 / 1000)  # a mean of thousand zeros and ones, normal theory
    assert (low, high) == pytest.approx((0.1 - half, 0.1 + half), abs=0.0015)


def test_the_difference_has_a_seed_and_a_sign():
    before, after = paired(50, 20, 61, 70)
    one, again, other = (paired_difference(before, after, 99, seed) for seed in (1, 1, 2))
    assert one == again != other
    before, after = paired(5, 2, 6, 7)
    change, low, high = paired_difference(before, after)
    back = paired_difference(after, before)
    assert back == pytest.approx((-change, -high, -low), abs=0.051)
    assert change == pytest.approx(0.2) and low < 0.1 < high


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [(([], []), (0, 0, 0)), (([True] * 4, [True] * 4), (0, 0, 0)), (([False], [True]), (1, 1, 1))],
)
def test_differences_without_spread(pairs, expected):
    assert paired_difference(*pairs) == expected


def test_the_numbers_of_the_bootstrap_are_those_recorded():
    """They were recorded when all draws were made at once; blocks draw the same numbers."""
    before, after = ([i % n == 0 for i in range(1501)] for n in (3, 2))
    assert paired_difference(before, after, 2000, 5) == (
        0.1665556295802798, 0.1312458361092605, 0.20253164556962025)  # fmt: skip


def test_the_bootstrap_of_many_questions_stays_small():
    before, after = ([i % n == 0 for i in range(5000)] for n in (3, 2))
    tracemalloc.start()
    paired_difference(before, after, 1000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 30e6, "all draws at once take 80 MB"
