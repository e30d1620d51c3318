"""Lesson 12: what rounding does to layers, its figures, and the file read by others."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from distillkit.lessons.l12_ship_it import checks, figures, rounding, serving
from distillkit.models.gguf_writer import KINDS, encoded, write_gguf
from distillkit.teaching.exercise import WRONG
from distillkit.training.lora import lora, with_adapter
from tests.conftest import merging_tokenizer, tiny_model


@pytest.fixture(scope="module")
def layers():
    """Layers of a tiny student whose adapter changes something."""
    model = with_adapter(tiny_model("Qwen2", merging_tokenizer()), lora(r=2))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        for name, weight in model.named_parameters():
            if "lora_B" in name:
                torch.nn.init.normal_(weight, std=0.02)
    return rounding.rows_of(model, rows=8), model


def test_rows_are_those_of_base_and_update(layers):
    rows, model = layers
    assert len(rows) == 2 * 7 and rows["0.mlp.up_proj"].base.shape == (8, 32)
    layer = dict(model.named_modules())["base_model.model.model.layers.0.mlp.up_proj"]
    update = layer.get_delta_weight("default")[::8].detach().numpy()
    assert np.allclose(rows["0.mlp.up_proj"].update, update, atol=1e-6)
    assert np.array_equal(rows["0.mlp.up_proj"].base, layer.base_layer.weight[::8].detach())


def test_fewer_bits_lose_more_and_a_grid_that_the_base_lies_on_eats_the_update(layers):
    rows, _ = layers
    some = rows["1.mlp.gate_proj"]
    errors = [rounding.kept(some, kind).error for kind in ("bf16", "q8_0", "q5_0", "q4_0")]
    assert errors == sorted(errors) and errors[0] > 0
    assert rounding.kept(some, "q8_0").update == pytest.approx(1, abs=0.1)
    on_grid = rounding.Rows(rounding.rounded(some.base, "q5_0"), some.update / 20)
    assert rounding.kept(on_grid, "q5_0").update < 0.5 < rounding.kept(on_grid, "q8_0").update
    assert rounding.kept(rounding.Rows(some.base, 0 * some.update), "q4_0").update == 1


def test_rounded_rows_are_those_of_the_library():
    values = np.random.default_rng(0).normal(size=(2, 64)).astype(np.float32)
    rows = np.frombuffer(encoded(values, KINDS["q8_0"]).tobytes(), np.uint8).reshape(-1, 34)
    scales = rows[:, :2].copy().view(np.float16).astype(np.float32)
    by_hand = (scales * rows[:, 2:].view(np.int8)).reshape(2, 64)
    assert np.array_equal(rounding.rounded(values, "q8_0"), by_hand)


def test_a_survey_has_a_cell_a_matrix(layers):
    rows, _ = layers
    figure, words = figures.draw_survey(rounding.survey(rows, "q4_0"), "q4_0")
    grids = [axes.images[0].get_array() for axes in figure.axes if axes.images]
    assert [grid.shape for grid in grids] == [(7, 2), (7, 2)]
    assert grids[0].min() > 3 and words.startswith("q4_0: the error is ")
    bars = [axes.images[0].colorbar for axes in figure.axes if axes.images]
    assert [bar.extend for bar in bars] == ["max", "max"], "larger errors have the last colour"


def test_a_block_shows_each_weight_and_its_place():
    values = np.linspace(-1, 1, 32)
    figure, words = figures.draw_block(values, "q4_0")
    *_, trained, stored = figure.axes[0].lines
    assert np.allclose(trained.get_ydata(), values)
    assert len(set(stored.get_ydata())) == 16 and "16 different values" in words


def test_forms_are_compared_equation_by_equation():
    common = {"bytes": 4e6, "true_bits": 8.5, "kl": "1e-3", "same_top": 0.99, "n": 8}
    # as `dk.data` reads them: a number, without the zeros in front
    rows = [
        {"form": "a", "right": 11010011, "exact": 62.5, "low": 31, "high": 86, "lenient": 75,
         **common},
        {"form": "b", "right": 1001, "exact": 25.0, "low": 7, "high": 59, "lenient": 50,
         **common},
    ]  # fmt: skip
    forms = figures.compared(rows)
    assert forms["a"]["exact"] == 62.5 and forms["a"]["high"] == 86 and forms["a"]["gap"] == 0
    assert forms["b"]["gap"] == -37.5 and forms["b"]["gap_low"] < -37.5 < forms["b"]["gap_high"]
    figure, words = figures.draw_forms(forms)
    assert words == "The best is a with 62 %. Fewer than half as many: b."
    labels = [text.get_text() for text in figure.axes[0].get_yticklabels()]
    assert labels == ["a  8.5 bits", "b  8.5 bits"]


def test_answers_stand_side_by_side_and_long_ones_are_cut():
    figure, words = figures.draw_chat("2x = 4", {"before": "a\n" * 30, "after": "<think>x</think>"})
    assert [axes.get_title("left") for axes in figure.axes] == ["before", "after"]
    assert "15 more lines" in figure.axes[0].texts[0].get_text()
    assert words == "Asked: 2x = 4 before: 30 lines; after: 1 line."
    assert "(nothing)" in figures.draw_chat(" ", {"a": "\n"})[1]


@pytest.mark.parametrize(
    ("exercise", "attempt", "words"),
    [
        (checks.quantise_q8_0, lambda v: [0] * 34, "expected"),
        (checks.quantise_q8_0, lambda v: np.float16(v.max() / 127), "expected"),
        (checks.true_bits, lambda parts: len(parts), "expected"),
        (checks.mended_template, lambda chat: str(chat), "expected"),
        (checks.mended_merge, lambda base, update, rounded: base, "expected"),
        (checks.mended_fields, lambda words, end: {}, "tokenizer.ggml"),
    ],
)
def test_other_wrong_attempts_get_a_sentence_too(exercise, attempt, words):
    outcome = exercise.judge(attempt)
    assert outcome.kind == WRONG and words in outcome.message


def test_the_mended_template_is_that_of_the_training():
    tokenizer = merging_tokenizer()
    chat = [{"role": "system", "content": "Solve."}, {"role": "user", "content": "2x = 4"}]
    text = tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
    assert checks.mended_template.reference(chat) == text


def test_a_file_is_read_back_by_transformers_and_asked_in_llama_cpp(tmp_path, capsys, monkeypatch):
    tokenizer = merging_tokenizer()
    model = tiny_model("Qwen2", tokenizer)
    write_gguf(model, tokenizer, tmp_path / "m.gguf", "f16", {})
    again, theirs = serving.read_back(tmp_path / "m.gguf")
    ids = torch.arange(20)[None]
    with torch.no_grad():
        assert torch.allclose(again(ids).logits, model(ids).logits, atol=0.05)
    assert theirs.eos_token == tokenizer.eos_token and not capsys.readouterr().err
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert serving.served(tmp_path / "m.gguf", []) == []
    assert "xllamacpp is not installed" in capsys.readouterr().out


def test_llama_cpp_answers_chats(tmp_path):
    pytest.importorskip("xllamacpp")
    tokenizer = merging_tokenizer()
    write_gguf(tiny_model("Qwen2", tokenizer), tokenizer, tmp_path / "m.gguf", "f16", {})
    chat = [{"role": "user", "content": "2x = 4"}]
    first, second = serving.served(tmp_path / "m.gguf", [chat, chat], limit=4)
    assert first == second
