"""The loop and the figures of lesson 06."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from distillkit import plots
from distillkit.lessons.l06_lora import checks
from distillkit.lessons.l06_lora import figures as kit
from distillkit.lessons.l07_before_after import figures as compare
from distillkit.runtime.files import read_csv
from distillkit.runtime.session import data_path
from distillkit.training import memory


def loop(loss_of, optimizer_of=torch.optim.AdamW):
    """Return a learner's loop that keeps a list and writes its losses in its own way."""

    def train(student, batches, rates):
        student.train()
        mine = [p for p in student.parameters() if p.requires_grad]
        optimizer, losses = optimizer_of(mine, lr=0.1, weight_decay=0.0), []
        for (ids, answer), rate in zip(batches, rates, strict=True):
            optimizer.param_groups[0]["lr"] = rate
            optimizer.zero_grad()
            loss = loss_of(student(input_ids=ids).logits, ids, answer)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        return losses

    return train


def by_label(logits, ids, answer):
    labels = ids.masked_fill(~answer, -100)
    return F.cross_entropy(logits[:, :-1].transpose(1, 2), labels[:, 1:])


def by_sum(logits, ids, answer):
    logs = logits[:, :-1].log_softmax(-1).gather(2, ids[:, 1:, None])[..., 0]
    return -(logs * answer[:, 1:]).sum() / answer[:, 1:].sum()


@pytest.mark.parametrize("loss_of", [by_label, by_sum])
def test_other_ways_to_write_the_loop_are_right(loss_of):
    assert checks.train.judge(loop(loss_of)).message == "✓ train"


def test_a_loop_with_another_optimizer_or_a_mean_of_means_is_not():
    def means(logits, ids, answer):
        rows = zip(logits, ids, answer, strict=True)
        parts = [by_label(z[None], i[None], a[None]) for z, i, a in rows]
        return sum(parts) / len(parts)

    assert checks.train.judge(loop(means)).kind == "wrong"
    assert checks.train.judge(loop(by_label, torch.optim.Adam)).kind == "done"  # no decay: the same
    assert checks.train.judge(loop(by_label, torch.optim.SGD)).kind == "wrong"


def row(step, steps=4, loss=1.0):
    return {"step": step, "steps": steps, "loss": loss / step, "tokens": 100, "seconds": 2.0}


def test_the_curve_says_how_far_it_is_and_what_is_left():
    figure, words = plots.draw_training([row(1), row(2)])
    assert words == "Step 2 of 4, loss 0.500, 50 tokens/s; about 4 s left."
    assert list(figure.axes[0].lines[0].get_xdata()) == [1, 2]
    assert plots.draw_training([row(1, 1)])[1].endswith("; 2 s.")
    assert "No step" in plots.draw_training([])[1]


def test_a_loop_is_watched_to_its_end_and_its_losses_come_back(monkeypatch):
    seen = []
    monkeypatch.setattr(
        kit.Live, "add", lambda self, row: (self.rows.append(row), seen.append(row))
    )
    assert kit.watch(iter([2.0, 1.0, 0.5]), 3) == [2.0, 1.0, 0.5]
    assert [(row["step"], row["steps"]) for row in seen] == [(1, 3), (2, 3), (3, 3)]
    assert plots.draw_training(seen)[1].startswith("Step 3 of 3, loss 0.500; ")


def test_a_matrix_and_its_factors_have_one_scale():
    figure, words = kit.draw_shapes(896, 4864, 16)
    boxes = [(p.get_height(), p.get_width()) for p in figure.axes[0].patches]
    assert boxes == [(896, 4864), (896, 16), (16, 4864)]
    assert figure.axes[0].get_aspect() == 1
    assert "92,160, 2.1 % of it" in words


def test_rates_name_the_lowest_and_the_highest_loss():
    figure, words = kit.draw_rates({"low": [2.0, 1.9], "good": [2.0, 0.5], "high": [2.0, 9.0]})
    assert "good has the lowest loss (0.50) and high the highest (9.00)" in words
    assert len(figure.axes[0].lines) == 3


def test_a_spectrum_counts_squares():
    figure, words = kit.draw_spectrum([2.0, 1.0, 1.0], 1, "layer")
    assert words.startswith("layer: rank 1 of 3 keeps 67 %")
    assert len(figure.axes[0].patches) == 3
    with pytest.raises(ValueError, match="nothing was learned"):
        kit.draw_spectrum([0.0, 0.0], 1, "layer")


def test_ranks_are_drawn_in_order_with_their_intervals():
    rows = [
        {"split": split, "rank": rank, "n": 50, "exact": exact, "low": exact - 9, "high": 99}
        for split, rank, exact in (
            ("narrow", 0, 30.0), ("narrow", 4, 90.0), ("narrow", 1, 50.0), ("broad", 4, 60.0),
            ("broad", 1, 20.0),
        )
    ]  # fmt: skip
    figure, words = kit.draw_ranks(rows)
    assert "narrow: 50 % at rank 1, 90 % at rank 4; broad: 20 % at rank 1, 60 %" in words
    drawn = [box.lines[0].get_xydata().tolist() for box in figure.axes[0].containers]
    assert drawn == [[[1, 50], [4, 90]], [[1, 20], [4, 60]]]


def test_amounts_are_grouped_by_number_of_solutions():
    rows = [
        {"recipe": recipe, "seed": seed, "solutions": n, "exact": exact}
        for recipe, seed, n, exact in (
            ("base", 1, 64, 70.0), ("base", 0, 64, 60.0), ("terse", 0, 64, 1.0),
            ("few-shot", 0, 0, 5.0), ("128 traces", 0, 128, 90.0),
            ("8 solutions 16 times", 0, 8, 40.0),
        )
    ]  # fmt: skip
    once, again = kit.amounts(rows).values()
    assert once == {64: [60.0, 70.0], 128: [90.0]} and again == {8: [40.0], 128: [90.0]}


def test_a_curve_has_a_dot_a_run_and_joins_the_means():
    once = {64: [80.0, 90.0, 100.0], 8: [10.0, 20.0, 30.0]}
    figure, words = kit.draw_curve({"each seen once": once}, 50.0)
    line, *dots, dashed = figure.axes[0].lines
    assert list(line.get_ydata()) == [20.0, 90.0]
    assert sorted(y for dot in dots for y in dot.get_ydata()) == [10, 20, 30, 80, 90, 100]
    assert set(dashed.get_ydata()) == {50.0}
    assert words.startswith("64 solutions beat six solved examples")
    assert "; 64 reach 90 %." in words
    assert "No number of solutions beats" in kit.draw_curve({"once": {8: [10.0]}}, 50.0)[1]


def test_a_second_curve_has_another_line_a_name_and_its_least_number_in_the_caption():
    ways = {"once": {8: [10.0], 64: [80.0]}, "as many steps": {8: [70.0, 72.0]}}
    figure, words = kit.draw_curve(ways, 50.0)
    assert "8 solutions, as many steps: 71 %." in words
    assert [t.get_text() for t in figure.axes[0].get_legend().get_texts()] == list(ways)
    lines = [line for line in figure.axes[0].lines if line.get_label() in ways]
    assert len({line.get_color() for line in lines}) == 2
    assert len({line.get_linestyle() for line in lines}) == 2


@pytest.mark.parametrize("name", memory.SHAPES)
def test_memory_bars_add_up(name):
    ways = {kind: memory.training(memory.SHAPES[name], kind) for kind in memory.WEIGHT_BITS}
    figure, words = kit.draw_memory(ways)
    right_ends = [max(p.get_x() + p.get_width() for p in figure.axes[0].patches
                      if abs(p.get_y() + 0.3 - at) < 0.01) for at in range(len(ways))]  # fmt: skip
    totals = [sum(parts.values()) / 1e9 for parts in ways.values()]
    assert right_ends == pytest.approx(totals)
    assert words.startswith("'float32' needs") and "'nf4' needs" in words
    written = [t for t in figure.axes[0].texts if t.get_text().startswith(" ")]
    assert [t.get_text() for t in written] == [f" {total:.1f}" for total in totals]
    assert [t.get_position()[0] for t in written] == pytest.approx(totals)
    cards = [line.get_xdata()[0] for line in figure.axes[0].lines]
    right = figure.axes[0].get_xlim()[1]
    assert cards == [size for size in kit.CARDS if size < right] and right > max(totals)


def test_solved_equations_are_dark():
    figure, words = kit.draw_before_after({"before": [False, True], "after": [True, True]})
    colors = [patch.get_facecolor()[:3] for patch in figure.axes[0].patches]
    assert len(set(colors[1:])) == 1 and colors[0] != colors[1]
    assert words == "Solved: before 1 of 2, after 2 of 2."


# --- answers side by side -------------------------------------------------------------------------


def test_the_table_of_splits_is_drawn_from_the_recorded_rows():
    rows = [
        {**r, **{key: 100 * float(r[key]) for key in ("exact", "low", "high")}}
        for r in read_csv(data_path("generalisation.csv"))
        if r["family"] != "all"
    ]
    figure, words = compare.draw_splits(rows)
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert len(labels) == len({(r["split"], r["family"]) for r in rows})
    bars, exact = figure.axes[0].patches, {}
    for row in rows:
        exact.setdefault(row["stage"], []).append(row["exact"])
    drawn = [bar.get_width() for bar in bars]
    assert drawn == pytest.approx(exact["few-shot"] + exact["distilled"])
    assert "The largest gain: " in words
