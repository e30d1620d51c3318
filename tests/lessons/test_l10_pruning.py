"""The figures of lesson 10, on a small table and a tiny model."""

from __future__ import annotations

import pytest
import torch

from distillkit.lessons.l10_pruning import checks
from distillkit.lessons.l10_pruning import figures as kit
from distillkit.models.pruning import drop_layers, hidden_states
from tests.conftest import tiny_model


def row(cut, size=20, gone="", **more):
    usual = {"exact": 50.0, "loss": 1.0, "n": 100, "weights": 100 - size, "form": "bf16",
             "bytes": 2e6 * (100 - size), "influence": "", "answer": ""}  # fmt: skip
    return {"cut": cut, "size": size, "gone": gone, **usual, **more}


ALONE = [row("one layer", 4, str(i), influence=0.1 * (i + 1), loss=0.5 + i) for i in range(3)]
STEPS = [row("one by one, leave-one-out", 4, 0, loss=0.7, exact=80.0, answer="<think>\nx = 2"),
         row("one by one, leave-one-out", 8, "0 2", loss=4.0, exact=0.0)]  # fmt: skip


def test_the_parts_of_a_model_are_counted_once(tiny):
    found = kit.weights_of(tiny.model)
    assert sum(found.values()) == sum(p.numel() for p in tiny.model.parameters())
    assert found["MLP"] == 2 * 3 * 32 * 64
    assert found["embedding"] == (len(tiny.tokenizer) + 1) * 32  # and the last norm
    cut = drop_layers(tiny.model, [0])
    figure, words = kit.draw_weights({"whole": tiny.model, "depth": cut})
    assert len(figure.axes[0].patches) == 2 * 3
    lost = 100 - 100 * cut.num_parameters() / tiny.model.num_parameters()
    assert f"({-lost:+.0f} %)" in words


def test_a_layer_that_turns_nothing_is_dark():
    numbers = torch.Generator().manual_seed(0)
    first = torch.randn(1, 4, 8, generator=numbers)
    turned = torch.randn(1, 4, 8, generator=numbers)
    figure, words = kit.draw_changes(torch.cat([first, 2 * first, turned]), list("a=b\n"))
    image = figure.axes[0].images[0].get_array()
    assert image.shape == (2, 4) and abs(image[0]).max() < 1e-5
    assert "layer 0 least (0.00)" in words.replace("−", "-")
    assert figure.axes[0].get_xticklabels()[3].get_text() == "⏎"


def test_layers_that_are_gone_are_marked_and_the_answer_is_told():
    figure, words = kit.draw_layers(ALONE + STEPS, "leave-one-out", 2)
    for axes in figure.axes:
        assert [bar.get_hatch() for bar in axes.patches] == ["xx", "", "xx"]
    assert "Without 2 of 3 layers" in words and "loss 4.00 nats, 0 of 100" in words
    assert kit.draw_layers(ALONE + STEPS, "leave-one-out", 1)[1].endswith("<think> / x = 2")
    assert kit.draw_layers(ALONE + STEPS, "leave-one-out", 0)[1] == "All 3 layers are there."
    for way, gone in (("leave-one-out", 3), ("last layers", 1)):
        with pytest.raises(ValueError, match="layers were left out"):
            kit.draw_layers(ALONE + STEPS, way, gone)


def test_a_cut_is_drawn_at_what_it_really_removes():
    rows = [row("none", 0, exact=90.0), row("activation", 20, exact=40.0),
            row("activation", 20, exact=60.0), row("last layers", 20, weights=75, exact=0.0),
            row("activation", 33, weights=60, exact=10.0)]  # fmt: skip
    figure, words = kit.draw_cuts(rows)
    wide, deep = figure.axes[0].lines
    assert list(wide.get_xdata()) == [0, 20, 40] and list(wide.get_ydata()) == [90, 50, 10]
    assert list(deep.get_xdata()) == [0, 25] and wide.get_linestyle() != deep.get_linestyle()
    assert words == "The whole model: 90. A fifth removed: activation 50; last layers 0."


def test_bytes_have_a_mark_for_each_form_and_size_and_the_words_compare_equal_bytes():
    rows = [row("none", 0, exact=99.0), row("none", 0, form="q4_0", bytes=60e6, exact=70.0),
            row("activation", 20, form="q4_0", bytes=45e6, exact=30.0),
            row("activation", 20, form="q4_0", bytes=45e6, exact=40.0)]  # fmt: skip
    names = {"none": "whole", "activation": "narrower"}
    figure, words = kit.draw_bytes(rows, names)
    drawn = [line for line in figure.axes[0].lines if len(line.get_xdata())]
    assert sorted((round(*line.get_xdata()), *line.get_ydata()) for line in drawn) == [
        (45, 35), (60, 70), (200, 99)]  # fmt: skip
    assert words == (
        "The whole model in q4_0: 60 MB, 70 %; the best cut of no more bytes: narrower, −20 %, "
        "q4_0, 45 MB, 35 %."
    )
    assert kit.draw_bytes(rows[:2], names)[1].endswith("no cut is as small.")


def test_the_bug_of_the_lesson_has_the_right_shapes():
    for arguments in checks.mended_cut.probes():
        for bad, good in zip(checks.published_cut(*arguments),
                             checks.mended_cut.reference(*arguments), strict=True):  # fmt: skip
            assert bad.shape == good.shape


def test_losses_of_several_layers_cost_more_than_each_alone():
    loss = checks.Losses(1.0, [2.0, 4.0])
    assert loss([]) == 1 and loss([0]) == 3 and loss([0, 1]) > 7
    with pytest.raises(IndexError, match="no layer 2"):
        loss([2])


def test_the_heat_map_reads_a_real_models_states(tiny):
    model = tiny_model("Llama", tiny.tokenizer, num_hidden_layers=3)
    hidden = hidden_states(model, [5, 6, 7])
    figure, words = kit.draw_changes(hidden, ["a", "b", "c"])
    assert figure.axes[0].images[0].get_array().shape == (3, 3)
    most = checks.block_influence.reference(hidden).argmax().item()
    assert f"Layer {most} turns most" in words
