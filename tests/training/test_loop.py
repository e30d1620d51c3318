"""Training: what the loss sees, what changes, and that a stopped run goes on exactly."""

from __future__ import annotations

import contextlib
import copy
import os
import random
import shutil
import signal
import sys
import threading
from collections import Counter
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from peft import get_peft_model, get_peft_model_state_dict
from safetensors import SafetensorError

from distillkit.evaluation.scoring import evaluate
from distillkit.models.loading import load
from distillkit.problems.equations import make_problems
from distillkit.runtime.files import read_jsonl, write_jsonl
from distillkit.traces.templates import THINK, messages
from distillkit.training import checkpoints, processes
from distillkit.training import loop as kit
from distillkit.training.gradients import CompletionLoss
from distillkit.training.lora import lora, upper_part, with_adapter
from distillkit.training.packing import Stream, batches, encode, pack
from distillkit.training.plain_loop import padded
from tests import forked, killed


def trace(question, completion):
    return {
        "id": question,
        "prompt": messages(question, THINK),
        "completion": [{"role": "assistant", "content": completion}],
    }


def solved(x):
    return trace(f"Solve for x: 2x = {2 * x}", f"<think>\nx = {x}\n</think>\n<answer>{x}</answer>")


TRACES = [solved(x) for x in (3, 14, 159, 2653, 5, 89, 79, 3238, 4, 62)]
SETTINGS = {"rate": 5e-3, "batch_size": 3, "epochs": 2, "seed": 7}  # 8 steps


NOTHING = contextlib.nullcontext()


def train(student, tokenizer, traces=TRACES, out=None, on_step=None, objective=kit.next_token,
          adapter=None, **changes):  # fmt: skip
    """Train with the settings above but for the changes; without a word, with a small adapter."""
    adapter = lora(r=2) if adapter is None else adapter
    config = kit.TrainingConfig(**(SETTINGS | changes))
    return kit.distill(student, tokenizer, traces, adapter, config, objective, out, on_step)


def weights(run):
    """The adapter's weights as they are now."""
    state = get_peft_model_state_dict(run.student)
    return {name: tensor.clone() for name, tensor in state.items()}


def same_weights(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def losses(run):
    return [(row["step"], row["loss"], row["rate"], row["gradient"]) for row in run.log]


# (loss, norm of the gradient) of the eight steps, written down before `distill` took objectives,
# weights and streams, on an x86 CPU with torch 2.13.  On that machine the loop still gives exactly
# these numbers.  Other machines add in another order, which moves them by less than 1e-5, as do
# two threads; anything that changes what is computed moves them by more than 1e-3.
CURVE = [
    (7.9957594871521, 1.7482244968414307),
    (8.11197280883789, 1.4643433094024658),
    (8.028922080993652, 1.7385262250900269),
    (7.641904354095459, 2.2277042865753174),
    (7.5714521408081055, 1.6658066511154175),
    (7.402233123779297, 1.851637363433838),
    (7.720811367034912, 1.5172756910324097),
    (7.751194953918457, 2.5679256916046143),
]


@pytest.fixture(scope="module")
def unbroken(tiny):
    """The run that every interrupted one has to end like."""
    run = train(copy.deepcopy(tiny.model), tiny.tokenizer)
    assert run.finished and len(run.log) == 8
    return SimpleNamespace(weights=weights(run), losses=losses(run), run=run)


# --- the learning rate ----------------------------------------------------------------------------


def test_the_rate_warms_up_peaks_and_ends_near_zero():
    rates = [kit.learning_rate(step, 100, 1.0) for step in range(100)]
    assert rates[:5] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    assert rates[5] == pytest.approx(1.0)
    assert all(a > b for a, b in pairwise(rates[5:]))
    assert kit.learning_rate(55, 105, 1.0) == pytest.approx(0.5)  # half-way: the middle
    assert 0 < rates[-1] < 1e-3


def test_the_rate_is_in_proportion_to_its_peak():
    one, five = (kit.learning_rate(30, 99, peak) for peak in (1.0, 5.0))
    assert five == pytest.approx(5 * one)


def test_a_run_of_one_step_has_the_full_rate(fresh_tiny):
    run = train(fresh_tiny.model, fresh_tiny.tokenizer, TRACES[:2], epochs=1)
    assert [row["rate"] for row in run.log] == [SETTINGS["rate"]]


# --- training -------------------------------------------------------------------------------------


def test_a_curriculum_is_read_in_its_order(fresh_tiny):
    tokens = [len(example.ids) for example in encode(TRACES, fresh_tiny.tokenizer)]
    run = train(fresh_tiny.model, fresh_tiny.tokenizer, batch_size=1, epochs=1, shuffle=False)
    assert [row["tokens"] for row in run.log] == tokens


def test_the_student_learns_its_traces_by_heart(fresh_tiny):
    run = train(fresh_tiny.model, fresh_tiny.tokenizer, TRACES[:3], rate=2e-2, epochs=40)
    assert run.log[0]["loss"] > 4
    assert run.log[-1]["loss"] < 0.25 * run.log[0]["loss"]


def test_the_loss_curve_is_the_one_that_was_recorded(unbroken):
    found = [(loss, gradient) for _, loss, _, gradient in unbroken.losses]
    for (loss, gradient), (old_loss, old_gradient) in zip(found, CURVE, strict=True):
        assert loss == pytest.approx(old_loss, rel=1e-5)
        assert gradient == pytest.approx(old_gradient, rel=1e-4)


def test_weights_of_one_are_exactly_no_weights(fresh_tiny, unbroken):
    examples = [replace(e, weights=[1.0] * len(e.ids))
                for e in encode(TRACES, fresh_tiny.tokenizer)]  # fmt: skip
    run = train(fresh_tiny.model, fresh_tiny.tokenizer, examples)
    assert losses(run) == unbroken.losses
    assert same_weights(weights(run), unbroken.weights)


def test_the_loss_is_the_weighted_mean_over_the_whole_batch(fresh_tiny):
    """Second route: each example's own cross-entropy by transformers, then the mean by hand."""
    rng = random.Random(3)
    examples = [replace(e, weights=[rng.random() for _ in e.ids])
                for e in encode(TRACES[:3], fresh_tiny.tokenizer)]  # fmt: skip
    total = weight = 0.0
    with torch.no_grad():
        for e in examples:
            logs = fresh_tiny.model(torch.tensor([e.ids])).logits[0].log_softmax(-1)
            for at, (label, w) in enumerate(zip(e.labels, e.weights)):
                if label != -100:
                    total, weight = total - w * logs[at - 1, label].item(), weight + w
    run = train(fresh_tiny.model, fresh_tiny.tokenizer, examples, epochs=1)
    assert run.log[0]["loss"] == pytest.approx(total / weight, rel=1e-4)


def test_an_example_of_weight_zero_is_not_learned_from(tiny):
    def with_last(weight, other=TRACES[3]):
        one, two, last = encode([*TRACES[:2], other], tiny.tokenizer)
        last = replace(last, weights=[weight] * len(last.ids))
        run = train(copy.deepcopy(tiny.model), tiny.tokenizer, [one, two, last], epochs=4)
        return weights(run)

    def distance(weight):
        one, other = with_last(weight), with_last(weight, TRACES[5])
        return max(float((one[name] - other[name]).abs().max()) for name in one)

    assert distance(0.0) < 1e-4 < 1e-3 < distance(1.0)


def test_a_batch_without_any_weight_is_refused(fresh_tiny):
    examples = [replace(e, weights=[0.0] * len(e.ids))
                for e in encode(TRACES, fresh_tiny.tokenizer)]  # fmt: skip
    with pytest.raises(ValueError, match="nothing to train on"):
        train(fresh_tiny.model, fresh_tiny.tokenizer, examples)


def test_a_weight_for_each_token_or_none(fresh_tiny):
    (example,) = encode(TRACES[:1], fresh_tiny.tokenizer)
    with pytest.raises(ValueError, match="shorter"):
        train(fresh_tiny.model, fresh_tiny.tokenizer, [replace(example, weights=[1.0])])


def test_the_loop_is_plain_adam_on_transformers_own_loss(fresh_tiny, unbroken):
    """Written once more with nothing of ours but the order of the data."""
    tokenizer = fresh_tiny.tokenizer
    examples = encode(TRACES, tokenizer)
    torch.manual_seed(SETTINGS["seed"])
    model = get_peft_model(fresh_tiny.model, lora(r=2)).train()
    trained = [p for p in model.parameters() if p.requires_grad]
    adam = torch.optim.AdamW(trained, weight_decay=0)
    plan = batches(len(examples), 3, 2, seed=SETTINGS["seed"])
    for batch, (_, logged, rate, gradient) in zip(plan, unbroken.losses):
        adam.param_groups[0]["lr"] = rate
        loss = model(**padded([examples[i] for i in batch])).loss
        assert loss.item() == pytest.approx(logged, rel=1e-4)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(trained, 1.0)
        assert norm.item() == pytest.approx(gradient, rel=1e-3)
        adam.step()
        adam.zero_grad()
    for name, weight in get_peft_model_state_dict(model).items():
        torch.testing.assert_close(weight, unbroken.weights[name], atol=2e-4, rtol=0)


def test_the_first_step_is_as_long_as_the_warm_up_says(fresh_tiny):
    """Adam's first step moves each weight by the rate, and B starts at zero."""
    run = train(fresh_tiny.model, fresh_tiny.tokenizer, epochs=20, on_step=control_c_at(1))
    moved = max(float(w.abs().max()) for name, w in weights(run).items() if "lora_B" in name)
    assert run.log[0]["rate"] == SETTINGS["rate"] / 4  # 80 steps: a warm-up of four
    assert moved == pytest.approx(run.log[0]["rate"], rel=1e-3)


def test_only_the_adapter_changes(tiny, unbroken):
    before = tiny.model.state_dict()
    for name, tensor in unbroken.run.student.get_base_model().state_dict().items():
        if "lora_" not in name:
            assert torch.equal(tensor, before[name.replace(".base_layer", "")]), name
    moved = [name for name, tensor in unbroken.weights.items() if tensor.abs().sum() > 0]
    assert moved == list(unbroken.weights)  # every B began at zero
    assert Counter(name.split("lora_")[1][0] for name in moved) == {"A": 14, "B": 14}


def test_a_run_is_repeated_exactly(fresh_tiny, unbroken):
    torch.manual_seed(12345)
    again = train(fresh_tiny.model, fresh_tiny.tokenizer)
    assert losses(again) == unbroken.losses
    assert same_weights(weights(again), unbroken.weights)


def test_another_seed_is_another_run(fresh_tiny, unbroken):
    other = train(fresh_tiny.model, fresh_tiny.tokenizer, seed=8)
    assert not same_weights(weights(other), unbroken.weights)


def test_the_same_student_can_be_trained_again_from_the_start(fresh_tiny, unbroken):
    train(fresh_tiny.model, fresh_tiny.tokenizer, epochs=1)
    with pytest.warns(UserWarning, match="second time|peft_config"):
        again = train(fresh_tiny.model, fresh_tiny.tokenizer)
    assert same_weights(weights(again), unbroken.weights)


def test_a_plain_student_that_an_earlier_run_put_an_adapter_into_is_refused(fresh_tiny):
    """It would train on the numbers of the first one, or leave them in the other layers."""
    first = train(fresh_tiny.model, fresh_tiny.tokenizer, epochs=1)
    for adapter in (lora(r=2, layers=[1]), False):
        with pytest.raises(ValueError, match="carries an adapter already"):
            train(fresh_tiny.model, fresh_tiny.tokenizer, adapter=adapter)
    assert train(first.student.unload(), fresh_tiny.tokenizer, adapter=lora(r=2, layers=[1]))


def test_a_student_with_an_adapter_is_trained_on(fresh_tiny):
    first = train(fresh_tiny.model, fresh_tiny.tokenizer, epochs=10)
    second = train(first.student, fresh_tiny.tokenizer, epochs=1)
    assert second.student is first.student
    assert second.log[0]["loss"] < 0.8 * first.log[0]["loss"]


def test_the_log_counts_steps_tokens_and_seconds(tiny, unbroken):
    run = unbroken.run
    assert [row["step"] for row in run.log] == list(range(1, 9))
    assert {row["steps"] for row in run.log} == {8}
    assert run.tokens == 2 * sum(len(e.ids) for e in encode(TRACES, tiny.tokenizer))
    assert run.seconds == pytest.approx(sum(row["seconds"] for row in run.log))
    assert all(row["gradient"] > 0 and row["seconds"] > 0 for row in run.log)


def test_the_student_is_in_train_mode_only_while_it_trains(fresh_tiny):
    modes = []
    run = train(fresh_tiny.model, fresh_tiny.tokenizer, epochs=1,
                on_step=lambda row: modes.append(fresh_tiny.model.training))  # fmt: skip
    assert modes == [True] * 4
    assert not run.student.training and not fresh_tiny.model.training


def test_on_step_gets_each_row_of_the_log(fresh_tiny):
    rows = []
    run = train(fresh_tiny.model, fresh_tiny.tokenizer, on_step=rows.append)
    assert rows == run.log


def test_a_student_in_bfloat16_is_trained_with_an_adapter_in_float32(fresh_tiny, unbroken):
    """In the same process as runs in float32: accelerate would keep the first precision."""
    fresh_tiny.model.to(torch.bfloat16)
    run = train(fresh_tiny.model, fresh_tiny.tokenizer)
    kinds = {name: p.dtype for name, p in run.student.named_parameters()}
    assert {kind for name, kind in kinds.items() if "lora" in name} == {torch.float32}
    assert {kind for name, kind in kinds.items() if "lora" not in name} == {torch.bfloat16}
    ours, exact = ([row["loss"] for row in r.log] for r in (run, unbroken.run))
    assert ours == pytest.approx(exact, rel=0.05) and ours != exact


def test_no_traces_is_an_error_that_asks_why(fresh_tiny):
    with pytest.raises(ValueError, match="every candidate"):
        train(fresh_tiny.model, fresh_tiny.tokenizer, [])


def test_an_unknown_optimizer_is_named(fresh_tiny):
    with pytest.raises(ValueError, match="'sgd'"):
        train(fresh_tiny.model, fresh_tiny.tokenizer, optimizer="sgd")


def test_a_loss_that_is_not_finite_stops_the_run_and_is_not_saved(fresh_tiny, tmp_path):
    def break_it(row):
        if row["step"] == 3:
            fresh_tiny.model.lm_head.weight.data.fill_(float("nan"))

    with pytest.raises(FloatingPointError, match="step 4: lower the rate"):
        train(fresh_tiny.model, fresh_tiny.tokenizer, out=tmp_path, on_step=break_it)
    assert not list(tmp_path.glob("checkpoint-*"))


# --- a stopped run goes on exactly ----------------------------------------------------------------


class Stop(Exception):
    """What a test raises to break a run off."""


def stop_at(step):
    def on_step(row):
        if row["step"] == step:
            raise Stop

    return on_step


def control_c_at(step):
    def on_step(row):
        if row["step"] == step:
            signal.raise_signal(signal.SIGINT)

    return on_step


@pytest.mark.parametrize("step", [1, 5, 8])
def test_a_broken_run_goes_on_exactly(tiny, unbroken, tmp_path, step):
    with pytest.raises(Stop):
        train(copy.deepcopy(tiny.model), tiny.tokenizer, out=tmp_path, save_seconds=0,
              on_step=stop_at(step))  # fmt: skip
    steps = []
    run = train(copy.deepcopy(tiny.model), tiny.tokenizer, out=tmp_path,
                on_step=lambda row: steps.append(row["step"]))  # fmt: skip
    assert steps == list(range(step, 9)), "the step under way is done again, no other one"
    assert run.finished and losses(run) == unbroken.losses
    assert same_weights(weights(run), unbroken.weights)
    assert read_jsonl(tmp_path / "train.jsonl") == run.log
    assert run.tokens == unbroken.run.tokens


@pytest.mark.parametrize("full", ["trained.safetensors", "optimizer.safetensors"])
def test_on_a_full_disk_the_last_checkpoint_is_kept_and_goes_on_exactly(
    tiny, unbroken, tmp_path, monkeypatch, full
):
    """safetensors says it with an error of its own, which no command turned into a sentence."""
    write = checkpoints.save_file

    def save_file(tensors, path):
        if "000004" in str(path) and path.name == full:
            raise SafetensorError("I/O error: No space left on device (os error 28)")
        write(tensors, path)

    monkeypatch.setattr(checkpoints, "save_file", save_file)
    with pytest.raises(OSError, match=r"step 4 .*No space left.* last one is checkpoint-000003"):
        train(copy.deepcopy(tiny.model), tiny.tokenizer, out=tmp_path, save_seconds=0)
    assert {p.name for p in tmp_path.iterdir()} == {"train.jsonl", "checkpoint-000003"}
    monkeypatch.setattr(checkpoints, "save_file", write)
    run = train(copy.deepcopy(tiny.model), tiny.tokenizer, out=tmp_path)
    assert losses(run) == unbroken.losses and same_weights(weights(run), unbroken.weights)


def test_a_run_without_a_checkpoint_starts_again(tiny, unbroken, tmp_path):
    with pytest.raises(Stop):
        train(copy.deepcopy(tiny.model), tiny.tokenizer, out=tmp_path, on_step=stop_at(3))
    run = train(copy.deepcopy(tiny.model), tiny.tokenizer, out=tmp_path)
    assert losses(run) == unbroken.losses
    assert len(read_jsonl(tmp_path / "train.jsonl")) == 8


def test_the_journal_may_be_steps_ahead_of_the_checkpoint(tiny, unbroken, tmp_path):
    train(copy.deepcopy(tiny.model), tiny.tokenizer, out=tmp_path, on_step=control_c_at(3))
    with pytest.raises(Stop):
        train(copy.deepcopy(tiny.model), tiny.tokenizer, out=tmp_path, on_step=stop_at(6))
    assert len(read_jsonl(tmp_path / "train.jsonl")) == 6
    run = train(copy.deepcopy(tiny.model), tiny.tokenizer, out=tmp_path)
    assert losses(run) == unbroken.losses
    assert [row["step"] for row in read_jsonl(tmp_path / "train.jsonl")] == list(range(1, 9))


def test_a_torn_last_line_of_the_journal_does_no_harm(tiny, unbroken, tmp_path):
    train(copy.deepcopy(tiny.model), tiny.tokenizer, out=tmp_path, on_step=control_c_at(4))
    with open(tmp_path / "train.jsonl", "a") as file:
        file.write('{"step": 5, "lo')
    run = train(copy.deepcopy(tiny.model), tiny.tokenizer, out=tmp_path)
    assert losses(run) == unbroken.losses
    assert read_jsonl(tmp_path / "train.jsonl") == run.log


def test_what_a_kill_left_half_written_is_cleared(tiny, unbroken, tmp_path):
    half = tmp_path / ".checkpoint-000004.123"
    half.mkdir()
    (half / "trained.safetensors").write_bytes(b"half")
    run = train(copy.deepcopy(tiny.model), tiny.tokenizer, out=tmp_path)
    assert losses(run) == unbroken.losses
    assert not half.exists()


def test_of_two_checkpoints_the_newer_counts(tiny, unbroken, tmp_path):
    """A kill between writing the new one and removing the old one leaves both."""
    train(copy.deepcopy(tiny.model), tiny.tokenizer, out=tmp_path, on_step=control_c_at(2))
    older = tmp_path / "checkpoint-000002"
    shutil.copytree(older, tmp_path / "kept")
    train(copy.deepcopy(tiny.model), tiny.tokenizer, out=tmp_path, on_step=control_c_at(4))
    (tmp_path / "kept").rename(older)
    steps = []
    run = train(copy.deepcopy(tiny.model), tiny.tokenizer, out=tmp_path,
                on_step=lambda row: steps.append(row["step"]))  # fmt: skip
    assert steps == [5, 6, 7, 8] and losses(run) == unbroken.losses


def test_the_same_call_again_does_no_step_and_gives_the_same_student(tiny, unbroken, tmp_path):
    train(copy.deepcopy(tiny.model), tiny.tokenizer, out=tmp_path)
    again = train(copy.deepcopy(tiny.model), tiny.tokenizer, out=tmp_path, on_step=stop_at(8))
    assert again.finished and losses(again) == unbroken.losses
    assert same_weights(weights(again), unbroken.weights)


def test_there_is_one_checkpoint_and_it_holds_no_code(tiny, tmp_path):
    train(copy.deepcopy(tiny.model), tiny.tokenizer, out=tmp_path, save_seconds=0)
    files = sorted(str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file())
    assert files == [f"checkpoint-000008/{name}" for name in
                     ("optimizer.safetensors", "state.json", "trained.safetensors")
                     ] + ["train.jsonl"]  # fmt: skip


@pytest.mark.parametrize(
    "changes",
    [
        {"seed": 8},
        {"batch_size": 2},
        {"rate": 1e-3},
        {"epochs": 3},
        {"traces": TRACES[:-1]},
        {"traces": [*TRACES[:-1], solved(63)]},  # as long as the trace in its place
    ],
    ids=["seed", "batch size", "rate", "epochs", "fewer traces", "one trace of the same length"],
)
def test_a_checkpoint_of_another_run_is_refused(tiny, tmp_path, changes):
    train(copy.deepcopy(tiny.model), tiny.tokenizer, out=tmp_path, on_step=control_c_at(2))
    with pytest.raises(ValueError, match="new folder"):
        train(copy.deepcopy(tiny.model), tiny.tokenizer, out=tmp_path, **changes)


def test_a_checkpoint_of_another_rank_is_refused(tiny, tmp_path):
    train(copy.deepcopy(tiny.model), tiny.tokenizer, out=tmp_path, on_step=control_c_at(2))
    with pytest.raises(ValueError, match="new folder"):
        train(copy.deepcopy(tiny.model), tiny.tokenizer, adapter=lora(r=4), out=tmp_path)


def test_a_checkpoint_of_other_layers_is_refused(tiny, tmp_path):
    """They have the same shapes, and the same number of them."""
    for layers in ([0], [1]):
        model = copy.deepcopy(tiny.model)
        with pytest.raises(ValueError, match="new folder") if layers == [1] else NOTHING:
            train(model, tiny.tokenizer, adapter=lora(r=2, layers=layers), out=tmp_path,
                  on_step=control_c_at(2))  # fmt: skip


@pytest.mark.parametrize("ends", ["finished", "refused", "broken"])
def test_afterwards_the_attention_is_what_it_was(tiny, tmp_path, ends):
    student = copy.deepcopy(tiny.model)
    before = student.config._attn_implementation
    if ends == "refused":
        train(copy.deepcopy(tiny.model), tiny.tokenizer, out=tmp_path, on_step=control_c_at(2))
    with contextlib.suppress(ValueError, Stop):
        train(student, tiny.tokenizer, out=tmp_path, seed=8,
              on_step=stop_at(2) if ends == "broken" else None)  # fmt: skip
    assert student.config._attn_implementation == before


# --- data that change with the step ---------------------------------------------------------------


def test_a_stream_of_the_same_batches_is_the_same_run(fresh_tiny, unbroken):
    plan = batches(len(TRACES), 3, 2, seed=7)
    stream = Stream(lambda step: [TRACES[i] for i in plan[step]], len(plan), "as ever")
    run = train(fresh_tiny.model, fresh_tiny.tokenizer, stream)
    assert losses(run) == unbroken.losses
    assert same_weights(weights(run), unbroken.weights)


def own_answers(model, seed=3):
    """A stream that depends on the student as it is: the token it likes best, as an answer."""

    def draw(step):
        question = random.Random(f"{seed}-{step}").choice(TRACES)["id"]
        with torch.no_grad():
            best = model(torch.tensor([[step + 1, 2, 3]])).logits[0, -1].argmax()
        return [trace(question, f"<answer>{int(best)}</answer>"), TRACES[step]]

    return Stream(draw, 6, ["own answers", seed])


def test_a_stream_that_asks_the_student_goes_on_exactly(tiny, tmp_path):
    def again(**more):
        model = with_adapter(copy.deepcopy(tiny.model), lora(r=2))
        return train(model, tiny.tokenizer, own_answers(model), rate=0.1, **more)

    torch.manual_seed(SETTINGS["seed"])
    whole = again()
    torch.manual_seed(SETTINGS["seed"])
    again(out=tmp_path, on_step=control_c_at(2))
    torch.manual_seed(99)  # the new adapter is another one, until the checkpoint is read
    run = again(out=tmp_path)
    assert losses(run) == losses(whole) and len(run.log) == 6
    assert same_weights(weights(run), weights(whole))


def test_a_stream_does_not_go_on_with_what_it_does_not_depend_on(tiny, tmp_path):
    def again(seed, steps=6):
        model = with_adapter(copy.deepcopy(tiny.model), lora(r=2))
        stream = replace(own_answers(model, seed), steps=steps)
        return train(model, tiny.tokenizer, stream, out=tmp_path, on_step=control_c_at(2))

    again(seed=3)
    for change in ({"seed": 4}, {"seed": 3, "steps": 5}):
        with pytest.raises(ValueError, match="new folder"):
            again(**change)


def test_a_step_without_data_is_an_error_that_names_it(fresh_tiny):
    stream = Stream(lambda step: TRACES[:2] if step < 2 else [], 5, None)
    with pytest.raises(ValueError, match="step 3"):
        train(fresh_tiny.model, fresh_tiny.tokenizer, stream)


# --- a student without an adapter -----------------------------------------------------------------


def only(model, part):
    """Let only the parameters whose name has `part` be trained."""
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(part in name)
    return model


@pytest.mark.parametrize("part", ["", "layers.1.mlp"])
def test_a_plain_student_is_trained_and_goes_on_exactly(tiny, tmp_path, part):
    def again(model, **more):
        return train(only(model, part), tiny.tokenizer, adapter=False, rate=1e-3, **more)

    whole = again(copy.deepcopy(tiny.model))
    again(copy.deepcopy(tiny.model), out=tmp_path, on_step=control_c_at(5))
    run = again(copy.deepcopy(tiny.model), out=tmp_path)
    assert type(run.student) is type(tiny.model) and losses(run) == losses(whole)
    before = dict(tiny.model.named_parameters())
    for (name, ours), theirs in zip(run.student.named_parameters(), whole.student.parameters()):
        assert torch.equal(ours, theirs)
        assert torch.equal(ours, before[name]) is (part not in name), name


def test_a_finished_plain_run_is_read_back_from_its_folder(tiny, tmp_path):
    run = train(copy.deepcopy(tiny.model), tiny.tokenizer, adapter=False, out=tmp_path)
    again = train(copy.deepcopy(tiny.model), tiny.tokenizer, adapter=False, out=tmp_path,
                  on_step=stop_at(8))  # fmt: skip
    for ours, theirs in zip(again.student.parameters(), run.student.parameters()):
        assert torch.equal(ours, theirs)


def test_a_plain_run_does_not_go_on_with_other_parameters(tiny, tmp_path):
    train(only(copy.deepcopy(tiny.model), "layers.1.mlp"), tiny.tokenizer, adapter=False,
          out=tmp_path, on_step=control_c_at(2))  # fmt: skip
    for part in ("layers.0.mlp", ""):
        with pytest.raises(ValueError, match="new folder"):
            train(only(copy.deepcopy(tiny.model), part), tiny.tokenizer, adapter=False,
                  out=tmp_path)  # fmt: skip


def test_nothing_to_train_and_weights_in_16_bits_are_refused(tiny):
    frozen = copy.deepcopy(tiny.model).requires_grad_(False)
    with pytest.raises(ValueError, match="nothing to train"):
        train(frozen, tiny.tokenizer, adapter=False)
    with pytest.raises(ValueError, match="in float32"):
        train(copy.deepcopy(tiny.model).bfloat16(), tiny.tokenizer, adapter=False)


# --- which layers ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("layers", "trained"), [(None, {0, 1}), ([1], {1}), ([0], {0})])
def test_the_named_layers_get_an_adapter(tiny, layers, trained):
    model = with_adapter(copy.deepcopy(tiny.model), lora(r=2, layers=layers))
    names = [name for name, p in model.named_parameters() if p.requires_grad]
    assert {int(name.split(".layers.")[1].split(".")[0]) for name in names} == trained
    assert len(names) == 14 * len(trained)  # A and B of seven matrices


@pytest.mark.parametrize(("share", "layers"), [(1, [0, 1]), (0.5, [1]), (0.01, [1])])
def test_the_upper_part_of_the_layers(tiny, share, layers):
    assert list(upper_part(tiny.model, share)) == layers


def test_below_the_lowest_adapter_nothing_is_kept_for_a_gradient(tiny):
    """This is where the time and the memory are saved."""
    model = with_adapter(copy.deepcopy(tiny.model), lora(r=2, layers=[1]))
    seen = []
    for layer in model.get_base_model().base_model.layers:
        layer.register_forward_hook(lambda module, args, out: seen.append(
            (out[0] if isinstance(out, tuple) else out).requires_grad))  # fmt: skip
    CompletionLoss(model)(**pack(encode(TRACES[:2], tiny.tokenizer))).backward()
    assert seen == [False, True]


# --- Ctrl-C ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", [1, 5])
def test_ctrl_c_keeps_what_was_learned(tiny, unbroken, tmp_path, step):
    stopped = train(copy.deepcopy(tiny.model), tiny.tokenizer, out=tmp_path,
                    on_step=control_c_at(step))  # fmt: skip
    assert not stopped.finished and losses(stopped) == unbroken.losses[:step]
    assert (tmp_path / f"checkpoint-{step:06d}" / "trained.safetensors").exists()
    run = train(copy.deepcopy(tiny.model), tiny.tokenizer, out=tmp_path)
    assert run.finished and losses(run) == unbroken.losses
    assert same_weights(weights(run), unbroken.weights)


def test_after_ctrl_c_the_cell_can_be_run_again_with_the_same_student(
    fresh_tiny, unbroken, tmp_path
):
    train(fresh_tiny.model, fresh_tiny.tokenizer, out=tmp_path, on_step=control_c_at(3))
    with pytest.warns(UserWarning, match="second time|peft_config"):
        run = train(fresh_tiny.model, fresh_tiny.tokenizer, out=tmp_path)
    assert losses(run) == unbroken.losses
    assert same_weights(weights(run), unbroken.weights)


def test_ctrl_c_without_a_folder_keeps_the_student(fresh_tiny, unbroken):
    run = train(fresh_tiny.model, fresh_tiny.tokenizer, on_step=control_c_at(5))
    assert not run.finished and losses(run) == unbroken.losses[:5]
    assert not run.student.training


def test_ctrl_c_in_the_last_step_is_a_finished_run(fresh_tiny, unbroken, tmp_path):
    run = train(fresh_tiny.model, fresh_tiny.tokenizer, out=tmp_path, on_step=control_c_at(8))
    assert run.finished and losses(run) == unbroken.losses


def test_a_second_ctrl_c_stops_at_once(fresh_tiny):
    def twice(row):
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        train(fresh_tiny.model, fresh_tiny.tokenizer, on_step=twice)


@pytest.mark.parametrize("on_step", [None, stop_at(2), control_c_at(2)])
def test_afterwards_ctrl_c_is_what_it_was(fresh_tiny, on_step):
    before = signal.getsignal(signal.SIGINT)
    with contextlib.suppress(Stop):
        train(fresh_tiny.model, fresh_tiny.tokenizer, on_step=on_step)
    assert signal.getsignal(signal.SIGINT) is before


def test_it_trains_in_another_thread_too(fresh_tiny, unbroken):
    runs = []
    thread = threading.Thread(
        target=lambda: runs.append(train(fresh_tiny.model, fresh_tiny.tokenizer))
    )
    thread.start()
    thread.join(60)
    assert losses(runs[0]) == unbroken.losses


# --- a process of its own -------------------------------------------------------------------------


@pytest.mark.skipif(os.name == "nt", reason="sends a POSIX signal")
def test_a_killed_process_goes_on_exactly_and_needs_no_bitsandbytes(tiny_folder, tmp_path):
    process = forked.Process(killed.in_step_5, tiny_folder, tmp_path, TRACES, SETTINGS)
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert len(read_jsonl(tmp_path / "train.jsonl")) == 5

    loaded = load(str(tiny_folder))
    whole = train(copy.deepcopy(loaded.model), loaded.tokenizer)
    steps = []
    run = train(loaded.model, loaded.tokenizer, out=tmp_path,
                on_step=lambda row: steps.append(row["step"]))  # fmt: skip
    assert steps == [5, 6, 7, 8]
    assert losses(run) == losses(whole)
    assert same_weights(weights(run), weights(whole))


def test_8_bit_adam_is_the_only_thing_that_asks_for_bitsandbytes(fresh_tiny, monkeypatch):
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    monkeypatch.setitem(sys.modules, "bitsandbytes.optim", None)
    with pytest.raises(ImportError):
        train(fresh_tiny.model, fresh_tiny.tokenizer, optimizer="adamw-8bit")


# --- parts of a batch ------------------------------------------------------------------------


def test_the_parts_of_a_batch_change_the_memory_and_not_the_result(tiny):
    runs = [
        kit.distill(copy.deepcopy(tiny.model), tiny.tokenizer, TRACES,
                    config=kit.TrainingConfig(batch_size=4, part_tokens=tokens))
        for tokens in (1, 10_000)
    ]  # fmt: skip
    for one, whole in zip(runs[0].log, runs[1].log):
        assert one["loss"] == pytest.approx(whole["loss"], rel=1e-4)
        assert one["gradient"] == pytest.approx(whole["gradient"], rel=1e-3)


# --- students in 4 and 8 bits ----------------------------------------------------------------


@pytest.mark.parametrize("quant", ["nf4", "int8"])
def test_a_quantised_student_answers_and_is_trained_by_the_same_calls(tiny_folder, quant):
    """It answers first, as in the demo: after that bitsandbytes could not train on a CPU."""
    pytest.importorskip("bitsandbytes")
    student = load(str(tiny_folder), quant=quant, say=lambda _: None)
    evaluate(student.model, student.tokenizer, make_problems(2), max_new_tokens=4)
    embedding = student.model.get_input_embeddings().weight.dtype
    config = kit.TrainingConfig(rate=1e-2, batch_size=4, epochs=6)
    run = kit.distill(student.model, student.tokenizer, TRACES, config=config)
    base = run.student.get_base_model()
    weight = base.base_model.layers[0].mlp.up_proj.base_layer.weight
    assert weight.dtype == {"nf4": torch.uint8, "int8": torch.int8}[quant]
    assert base.get_input_embeddings().weight.dtype == embedding  # not made larger
    assert run.log[-1]["loss"] < 0.9 * run.log[0]["loss"]
    with torch.no_grad():
        before = run.student(torch.tensor([[1, 2, 3]])).logits
        with run.student.disable_adapter():
            assert not torch.equal(run.student(torch.tensor([[1, 2, 3]])).logits, before)


def test_8_bit_adam_learns_as_adam_does(tiny):
    pytest.importorskip("bitsandbytes")
    small, whole = (
        kit.distill(copy.deepcopy(tiny.model), tiny.tokenizer, TRACES, config=kit.TrainingConfig(
            rate=1e-2, batch_size=4, epochs=6, optimizer=name))
        for name in ("adamw-8bit", "adamw")
    )  # fmt: skip
    assert small.log[-1]["loss"] == pytest.approx(whole.log[-1]["loss"], rel=0.1)
    assert small.log[-1]["loss"] < 0.9 * small.log[0]["loss"]


def test_a_run_with_8_bit_adam_goes_on_exactly(tiny, tmp_path):
    pytest.importorskip("bitsandbytes")
    settings = {"batch_size": 4, "epochs": 4, "optimizer": "adamw-8bit"}
    whole = train(copy.deepcopy(tiny.model), tiny.tokenizer, **settings)
    train(copy.deepcopy(tiny.model), tiny.tokenizer, **settings, out=tmp_path, save_seconds=0,
          on_step=control_c_at(3))  # fmt: skip
    run = train(copy.deepcopy(tiny.model), tiny.tokenizer, **settings, out=tmp_path)
    assert losses(run) == losses(whole)
    assert same_weights(weights(run), weights(whole))


# --- whose files and whose run --------------------------------------------------------------------


def test_a_checkpoint_is_on_the_disk_before_it_gets_its_name(fresh_tiny, tmp_path, monkeypatch):
    forced, missing, fsync, replace = set(), [], os.fsync, os.replace

    def force(number):
        forced.add(os.fstat(number).st_ino)
        fsync(number)

    def rename(source, target):
        missing.extend(p for p in Path(source).rglob("*") if p.stat().st_ino not in forced)
        replace(source, target)

    monkeypatch.setattr(os, "fsync", force)
    monkeypatch.setattr(os, "replace", rename)
    train(fresh_tiny.model, fresh_tiny.tokenizer, out=tmp_path)
    assert missing == [] and list(tmp_path.glob("checkpoint-*/*.safetensors"))


def test_a_file_of_traces_with_the_name_of_the_log_is_kept(fresh_tiny, tmp_path):
    write_jsonl(tmp_path / "train.jsonl", TRACES)
    with pytest.raises(ValueError, match="does not say in its first line"):
        train(fresh_tiny.model, fresh_tiny.tokenizer, out=tmp_path)
    assert read_jsonl(tmp_path / "train.jsonl") == TRACES


def test_the_log_of_another_run_is_kept_though_it_has_no_checkpoint(tiny, tmp_path):
    train(copy.deepcopy(tiny.model), tiny.tokenizer, out=tmp_path)
    for folder in tmp_path.glob("checkpoint-*"):
        shutil.rmtree(folder)
    before = (tmp_path / "train.jsonl").read_bytes()
    with pytest.raises(ValueError, match="was made with other settings"):
        train(copy.deepcopy(tiny.model), tiny.tokenizer, out=tmp_path, rate=1e-5)
    assert (tmp_path / "train.jsonl").read_bytes() == before


def test_checkpoints_of_other_programs_are_kept(fresh_tiny, tmp_path):
    (tmp_path / "checkpoint-500").mkdir()
    (tmp_path / "checkpoint-500" / "model.safetensors").write_bytes(b"theirs")
    train(fresh_tiny.model, fresh_tiny.tokenizer, out=tmp_path, save_seconds=0)
    assert sorted(p.name for p in tmp_path.glob("checkpoint-*")) == ["checkpoint-000008",
                                                                     "checkpoint-500"]  # fmt: skip


def test_a_damaged_checkpoint_is_a_sentence_that_says_what_to_remove(tiny, unbroken, tmp_path):
    train(copy.deepcopy(tiny.model), tiny.tokenizer, out=tmp_path, on_step=control_c_at(2))
    for name in ("trained.safetensors", "optimizer.safetensors"):
        file = tmp_path / "checkpoint-000002" / name
        whole = file.read_bytes()
        file.write_bytes(whole[:-50])
        with pytest.raises(ValueError, match=r"checkpoint-000002 is damaged .*: remove that"):
            train(copy.deepcopy(tiny.model), tiny.tokenizer, out=tmp_path)
        file.write_bytes(whole)
    shutil.rmtree(tmp_path / "checkpoint-000002")
    assert losses(train(copy.deepcopy(tiny.model), tiny.tokenizer, out=tmp_path)) == unbroken.losses


@pytest.mark.parametrize("change", ["base", "alpha", "rslora", "dropout"])
def test_a_run_does_not_go_on_with_another_base_scale_or_dropout(fresh_tiny, tmp_path, change):
    other = copy.deepcopy(fresh_tiny.model)
    train(fresh_tiny.model, fresh_tiny.tokenizer, out=tmp_path)
    adapter = lora(r=2)
    if change == "base":
        with torch.no_grad():
            other.get_input_embeddings().weight.add_(0.5)
    else:
        adapter = replace(adapter, **{"alpha": {"lora_alpha": 99}, "rslora": {"use_rslora": True},
                                      "dropout": {"lora_dropout": 0.5}}[change])  # fmt: skip
    with pytest.raises(ValueError, match="other traces or settings"):
        train(other, fresh_tiny.tokenizer, adapter=adapter, out=tmp_path)


def test_an_infinite_gradient_never_reaches_the_weights(fresh_tiny, monkeypatch):
    real = processes.gradient_that_fits

    def broken(module, batch, accelerator, room):
        found = real(module, batch, accelerator, room)
        next(p for p in module.parameters() if p.grad is not None).grad[0] = torch.inf
        return found

    monkeypatch.setattr(processes, "gradient_that_fits", broken)
    model = with_adapter(fresh_tiny.model, lora(r=2))
    with pytest.raises(FloatingPointError, match="gradient inf at step 1: lower the rate"):
        train(model, fresh_tiny.tokenizer)
    assert all(p.isfinite().all() for p in model.parameters())


@pytest.mark.parametrize("epochs", [0, -1])
def test_no_epochs_are_no_training(fresh_tiny, epochs):
    with pytest.raises(ValueError, match="no training"):
        train(fresh_tiny.model, fresh_tiny.tokenizer, epochs=epochs)
