"""The kit's tables in a lesson: numbers are numbers, shares are in percent, arms are paired."""

import pytest

import distillkit as dk
from distillkit.teaching.recorded import Rows


def test_a_table_is_read_with_its_numbers(capsys):
    rows = dk.data("rejection")
    said = capsys.readouterr().out
    assert said.startswith(f"data/rejection.csv: {len(rows)} rows, ") and "bfloat16" in said
    by_hand = dk.read_csv(dk.data_path("rejection.csv"))
    assert [row["exact"] for row in rows] == [100 * float(row["exact"]) for row in by_hand]
    assert rows[0]["n"] == 100 and rows[0]["teacher"] == "good"


def test_rows_are_chosen_and_grouped_with_their_seeds_in_order():
    rows = Rows(
        {"who": who, "what": what, "seed": seed, "exact": exact}
        for who, what, seed, exact in (
            ("b", "x", 1, 20), ("b", "x", 0, 10), ("a", "x", 0, 30), ("a", "y", 0, 40),
        )
    )  # fmt: skip
    assert rows.arms("who") == {"b": [10, 20], "a": [30, 40]}
    assert rows.where(what="x").arms(("who", "what")) == {"b, x": [10, 20], "a, x": [30]}
    assert len(rows.where(who=["a", "b"], seed=0)) == 3


def test_arms_are_told_and_drawn(capsys):
    arms = {"a": [70, 72, 74], "b": [80, 81, 85]}
    shown = dk.show_arms(arms)
    said = capsys.readouterr().out
    assert said.rstrip("\n") == dk.statistics.table(arms, "a")
    assert "Highest mean: b" in shown.caption
    dk.show_arms({"loss": [123, 124, 150]}, unit="hundredths of a nat")
    assert " to 170." in capsys.readouterr().out, "no end at 100"
    dk.show_arms({"a": [1, 2], "b": [2]})
    assert capsys.readouterr().out == "", "two seeds have no interval"


def test_a_table_that_the_kit_does_not_have_is_named():
    with pytest.raises(FileNotFoundError, match=r"no_such\.csv"):
        dk.data("no_such")


def test_others_are_compared_with_the_baseline_one_by_one(capsys):
    arms = {"a": [10, 20, 30], "b": [15, 26, 34], "c": [10, 20, 30]}
    dk.compare(arms, "a", "b", "c")
    first, second = capsys.readouterr().out.replace("\n  ", " ").splitlines()  # unfolded
    assert first.startswith("B gave 5.0 more right answers in 100 than a")
    assert second.startswith("Between a and c no difference can be claimed")
