"""Full memory, half precision, and several processes: the result stays the same."""

import contextlib
import copy
import json
import math
import os
import socket
from dataclasses import replace
from types import SimpleNamespace

import pytest

pytest.importorskip("torch")
import torch

from distillkit.cli import main
from distillkit.pipeline.distill_file import read_traces
from distillkit.problems.equations import make_problems
from distillkit.runtime.files import read_jsonl, write_jsonl
from distillkit.traces.filters import to_traces
from distillkit.traces.teachers import Solver
from distillkit.traces.templates import TEMPLATES, messages
from distillkit.training import gradients
from distillkit.training import loop as kit
from distillkit.training.lora import lora, with_adapter
from distillkit.training.memory import SHAPES, most_tokens, training
from distillkit.training.objectives import next_token
from distillkit.training.packing import ROUND, encode, pack, supervised
from distillkit.training.processes import open_training
from tests import forked

TRACES = to_traces(Solver().sample(make_problems(11, seed=3)))


def train(student, out=None, on_step=None, **changes):
    settings = {"rate": 5e-3, "batch_size": 5, "epochs": 2, "seed": 1} | changes
    return kit.distill(copy.deepcopy(student.model), student.tokenizer, TRACES, lora(r=2),
                       kit.TrainingConfig(**settings), out=out, on_step=on_step)  # fmt: skip


@pytest.fixture(scope="module")
def whole(tiny):
    """The run that all others have to equal."""
    return train(tiny)


# --- full memory ----------------------------------------------------------------------------------


def full_above(monkeypatch, tokens):
    """Let the memory be full when more than `tokens` are computed at once; return the tries."""
    real, tries = gradients.CompletionLoss.forward, []

    def forward(self, **tree):
        tries.append(tree["input_ids"].numel())
        if tries[-1] > tokens:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return real(self, **tree)

    monkeypatch.setattr(gradients.CompletionLoss, "forward", forward)
    return tries


def test_full_memory_is_answered_by_parts_half_as_long_and_the_same_result(
    tiny, whole, monkeypatch
):
    longest = max(len(e.ids) for e in encode(TRACES, tiny.tokenizer)) + ROUND
    tries = full_above(monkeypatch, longest)
    run = train(tiny, part_tokens=2 * longest)
    assert run.finished and sum(tokens > longest for tokens in tries) == 1
    for one, other in zip(run.log, whole.log, strict=True):
        assert one["loss"] == pytest.approx(other["loss"], rel=1e-4)


def test_a_part_that_did_not_fit_leaves_nothing_behind_in_the_gradient(tiny, whole, monkeypatch):
    """The second part of the first batch is too large: the first one's gradient must go."""
    tries = full_above(monkeypatch, 10_000)
    real = gradients.CompletionLoss.forward

    def second_fails(self, **tree):
        if len(tries) == 1:
            tries.append(0)
            raise torch.OutOfMemoryError("CUDA out of memory")
        return real(self, **tree)

    monkeypatch.setattr(gradients.CompletionLoss, "forward", second_fails)
    run = train(tiny, part_tokens=440)
    assert 0 in tries
    for one, other in zip(run.log, whole.log, strict=True):
        assert one["gradient"] == pytest.approx(other["gradient"], rel=1e-3)


def test_memory_for_one_example_is_enough(tiny, whole, monkeypatch):
    longest = max(len(e.ids) for e in encode(TRACES, tiny.tokenizer)) + ROUND
    tries = full_above(monkeypatch, longest)
    run = train(tiny, part_tokens=8 * longest)
    assert run.finished and 1 < sum(tokens > longest for tokens in tries) <= 3
    for one, other in zip(run.log, whole.log, strict=True):
        assert one["loss"] == pytest.approx(other["loss"], rel=1e-4)


def test_memory_that_does_not_hold_one_example_is_said_with_what_to_do(tiny, monkeypatch):
    tries = full_above(monkeypatch, 10)
    with pytest.raises(MemoryError, match=r"parts of 200 tokens or one example.*--quant nf4"):
        train(tiny, part_tokens=400)
    longest = max(len(e.ids) for e in encode(TRACES, tiny.tokenizer)) + ROUND
    assert tries == sorted(tries, reverse=True) and tries[0] > longest >= tries[-1]


@pytest.mark.parametrize(
    ("free", "held", "used", "cap", "left"),
    [(70, 10, 10, 1.0, 70),  # gigabytes
     (50, 30, 10, 1.0, 70),  # the allocator holds 20 that no tensor needs
     (70, 10, 10, 0.5, 30)],
)  # fmt: skip
def test_the_room_on_a_card_is_what_no_tensor_takes(monkeypatch, tiny, free, held, used, cap, left):
    about = {"mem_get_info": (free * 1e9, 80e9), "memory_reserved": held * 1e9,
             "memory_allocated": used * 1e9, "get_per_process_memory_fraction": cap}  # fmt: skip
    for name, value in about.items():
        monkeypatch.setattr(torch.cuda, name, lambda value=value: value, raising=False)
    monkeypatch.setattr(gradients, "most_tokens", lambda shape, kind, free, r: (kind, free, r))
    model = SimpleNamespace(device=torch.device("cuda"), dtype=torch.bfloat16,
                            config=tiny.model.config)  # fmt: skip
    assert gradients.tokens_at_once(model) == ("bfloat16", left * 1e9, None)


def test_more_memory_holds_longer_parts_and_what_is_chosen_fits():
    shape, before = SHAPES["Qwen2.5-0.5B"], 0
    for gigabytes in (0.1, 1, 2, 3, 5, 10, 80):
        tokens = most_tokens(shape, "bfloat16", gigabytes * 1e9)
        assert tokens % 64 == 0 and before <= tokens <= 2048
        before = tokens
        parts = training(shape, "bfloat16", 16, tokens, tokens * 2 // 3)
        parts.pop("frozen weights")
        assert tokens == 64 or sum(parts.values()) <= 0.8 * gigabytes * 1e9
    assert before == 2048 and most_tokens(shape, "bfloat16", 0) == 64
    assert most_tokens(shape, "float32", 3e9) < most_tokens(shape, "bfloat16", 3e9)


@pytest.mark.parametrize("r", [16, None])
def test_weights_that_are_loaded_need_no_more_room(r):
    """All that is trained is there already, be it an adapter or the whole student."""
    shape = SHAPES["SmolLM2-135M"]
    parts = training(shape, "float32", r, 640, 640 * 2 // 3)
    needed = sum(parts[name] for name in ("gradients", "Adam's moments", "activations", "logits"))
    assert most_tokens(shape, "float32", needed / 0.8 + 1, r) == 640
    assert most_tokens(shape, "float32", needed / 0.8 - 1, r) == 576


# --- half precision -------------------------------------------------------------------------------


def test_forced_fp16_learns_the_same_within_its_digits(tiny, whole):
    run = train(tiny, precision="fp16")
    done = [row for row in run.log if row["gradient"] is not None]
    assert len(done) >= 3 and run.log[-1]["loss"] < run.log[0]["loss"]
    assert run.log[0]["loss"] == pytest.approx(whole.log[0]["loss"], rel=1e-2)
    assert run.log[0]["loss"] != whole.log[0]["loss"]  # it is computed in 16 bits
    assert all(p.dtype == torch.float32 for p in run.student.parameters() if p.requires_grad)


def test_a_step_that_overflows_is_left_out_and_the_scale_falls(tiny, monkeypatch, tmp_path):
    class Scaler(torch.amp.GradScaler):
        def __init__(self, device):
            super().__init__(device, init_scale=2.0**40)

    monkeypatch.setattr(torch.amp, "GradScaler", Scaler)
    run = train(tiny, precision="fp16", out=tmp_path)
    assert run.log[0]["gradient"] is None and math.isfinite(run.log[0]["loss"])
    assert run.log[1]["loss"] is not None
    state = json.loads(next(tmp_path.glob("checkpoint-*/state.json")).read_text())
    skipped = sum(row["gradient"] is None for row in run.log)
    assert state["scale"]["scale"] == 2.0 ** (40 - skipped)
    assert read_jsonl(tmp_path / "train.jsonl")[0]["gradient"] is None


def test_a_stopped_fp16_run_goes_on_with_its_scale(tiny, tmp_path):
    whole = train(tiny, precision="fp16")

    def stop(row):
        if row["step"] == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(tiny, precision="fp16", out=tmp_path, save_seconds=0, on_step=stop)
    path = next(tmp_path.glob("checkpoint-*/state.json"))
    kept = json.loads(path.read_text())
    assert kept["scale"]["scale"] > 1
    run = train(tiny, precision="fp16", out=tmp_path)
    assert [row["loss"] for row in run.log] == [row["loss"] for row in whole.log]


# --- the command, alone and in several processes --------------------------------------------------

PLAIN = {**os.environ, "OMP_NUM_THREADS": "1", "DISTILLKIT_DEBUG": "1", "HF_HUB_OFFLINE": "1"}


def distill_words(tiny_folder, file, out):
    return ["distill", str(file), "--out", str(out), "--student", str(tiny_folder), "--tier",
            "tiny", "--batch-size", "5", "--epochs", "2", "--rate", "5e-3"]  # fmt: skip


@pytest.fixture(scope="module")
def alone(tiny_folder, tmp_path_factory):
    """What one process writes."""
    folder = tmp_path_factory.mktemp("alone")
    write_jsonl(folder / "traces.jsonl", TRACES)
    assert main(distill_words(tiny_folder, folder / "traces.jsonl", folder / "run")) == 0
    return folder


def test_the_command_writes_what_evaluate_reads(alone, tmp_path, capsys):
    questions = tmp_path / "q.jsonl"
    write_jsonl(questions, [{"question": "Solve for x: 2x = 6", "answer": "x = 3"}])
    out = tmp_path / "answers.jsonl"
    words = ["evaluate", str(alone / "run"), "--problems", str(questions), "--out", str(out)]
    assert main(words) == 0
    assert "exact" in capsys.readouterr().out and len(read_jsonl(out)) == 1
    report = json.loads((alone / "run" / "report.json").read_text())
    assert report["training"]["steps"] == 6 and report["processes"] == 1
    assert report["settings"]["max_new_tokens"] >= 128


def test_a_finished_run_is_never_written_over(alone, tiny_folder, capsys):
    before = (alone / "run" / "report.json").read_bytes()
    assert main(distill_words(tiny_folder, alone / "traces.jsonl", alone / "run")) == 1
    assert "finished run, which is kept" in capsys.readouterr().err
    assert (alone / "run" / "report.json").read_bytes() == before


@pytest.mark.skipif(os.name == "nt", reason="gloo over a POSIX launcher")
def test_two_processes_give_the_loss_curve_of_one(alone, tiny_folder, tmp_path):
    """Batches of 5, 5 and 1: the first process computes more parts, the second one nothing last."""
    words = distill_words(tiny_folder, alone / "traces.jsonl", tmp_path / "run")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    both = []
    for rank in ("0", "1"):  # what torchrun sets
        env = {**PLAIN, "RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": "2",
               "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}  # fmt: skip
        both.append(forked.Process(forked.command, words, tmp_path / rank, env=env))
    for process in both:
        process.join(300)
    said = "".join((tmp_path / rank).read_text() for rank in ("0", "1"))
    assert [process.exitcode for process in both] == [0, 0], said[-3000:]
    assert said.count("2 process(es)") == 1  # one speaks
    found = json.loads((tmp_path / "run" / "report.json").read_text())["training"]
    expected = json.loads((alone / "run" / "report.json").read_text())["training"]
    assert found["loss"] == pytest.approx(expected["loss"], rel=1e-4)
    assert found["loss"][-1] < 0.95 * found["loss"][0]
    assert found["tokens"] == expected["tokens"]
    logs = [read_jsonl(folder / "run" / "training" / "train.jsonl") for folder in (alone, tmp_path)]
    for one, two in zip(*logs, strict=True):
        assert one["gradient"] == pytest.approx(two["gradient"], rel=1e-3)


@pytest.mark.parametrize("processes", [2, 3, 7])
def test_weights_count_over_the_batch_and_not_over_a_process(tiny, processes):
    """Each process adds its part; the parts' losses are summed, their gradients averaged."""
    model = with_adapter(copy.deepcopy(tiny.model), lora(r=2))
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "lora_B" in name:
                weight.normal_(std=0.3)
    batch = [replace(e, weights=[1.0 + 20 * (i % 3 == 0)] * len(e.ids), kind=("even", "odd")[i % 2])
             for i, e in enumerate(encode(TRACES[:5], tiny.tokenizer))]  # fmt: skip
    module = gradients.CompletionLoss(model)

    def work(rank, of):
        there = SimpleNamespace(process_index=rank, num_processes=of, device=torch.device("cpu"),
                                no_sync=lambda module: contextlib.nullcontext(),
                                backward=torch.Tensor.backward)  # fmt: skip
        module.zero_grad()
        loss, _, kinds = gradients.add_gradient(module, batch, there, 200)
        got = [p.grad.flatten() for p in model.parameters() if p.requires_grad]
        return loss, kinds, torch.cat(got)

    whole, of_all, gradient = work(0, 1)
    losses, kinds, shares = zip(*(work(rank, processes) for rank in range(processes)))
    assert sum(losses) == pytest.approx(whole, rel=1e-5)
    assert set(of_all) == {"odd", "even"}
    for kind, loss in of_all.items():
        assert sum(found[kind] for found in kinds) == pytest.approx(loss, rel=1e-5)
    torch.testing.assert_close(sum(shares) / processes, gradient, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("part_tokens", [30, 10_000])
@pytest.mark.parametrize("precision", ["no", "fp16"])
def test_the_loss_of_each_kind_is_that_of_its_examples_alone(tiny, part_tokens, precision):
    model = with_adapter(copy.deepcopy(tiny.model), lora(r=2))
    batch = [replace(e, weights=[1.0 + i] * len(e.ids), kind=kind) for i, (e, kind) in enumerate(
        zip(encode(TRACES[:5], tiny.tokenizer), ("a", "b", "a", "a", "b")))]  # fmt: skip
    state = open_training(model, next_token, 1e-3, "adamw", precision, part_tokens)
    loss, _, kinds = state.gradient(batch)
    assert set(kinds) == {"a", "b"} and kinds["a"] != pytest.approx(kinds["b"], rel=1e-3)
    weights = {kind: 0.0 for kind in kinds}
    for kind in kinds:
        alone = [e for e in batch if e.kind == kind]
        state.module.zero_grad()
        assert state.gradient(alone)[0] == pytest.approx(kinds[kind], rel=1e-2)
        weights[kind] = sum(e.weights[0] * supervised([e]) for e in alone)
    mean = sum(weights[kind] * kinds[kind] for kind in kinds) / sum(weights.values())
    assert mean == pytest.approx(loss, rel=1e-3)


def test_examples_without_weight_take_no_kind_out_of_the_log(tiny):
    """A part of its own without any loss has no shares of it, and must not make them NaN."""
    model = with_adapter(copy.deepcopy(tiny.model), lora(r=2))
    one, two = (replace(e, kind="a") for e in encode(TRACES[:2], tiny.tokenizer))
    batch = [one, replace(two, weights=[0.0] * len(two.ids))]
    state = open_training(model, next_token, 1e-3, "adamw", "", 30)
    loss, _, kinds = state.gradient(batch)
    assert kinds == {"a": pytest.approx(loss)}


def test_an_objective_that_uses_no_weights_has_no_loss_by_kind(tiny):
    model = with_adapter(copy.deepcopy(tiny.model), lora(r=2))
    batch = encode(TRACES[:3], tiny.tokenizer)
    state = open_training(model, lambda out, batch: out.logits_NV.std(), 1e-3, "adamw", "", 200)
    assert state.gradient(batch)[2] == {}


# --- its file -------------------------------------------------------------------------------------


def test_candidates_go_through_the_rules(tmp_path):
    rows = Solver().sample(make_problems(4, seed=1))
    rows[1] = {**rows[1], "text": "<think>\n1 = 2\n</think>\n<answer>x = 77</answer>"}
    write_jsonl(tmp_path / "c.jsonl", rows)
    traces, about = read_traces(tmp_path / "c.jsonl")
    assert len(traces) == 3 and all({"prompt", "completion"} <= set(t) for t in traces)
    assert "3" in about
    assert len(read_traces(tmp_path / "c.jsonl", limit=2)[0]) == 2


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "holds no lines"),
        ([{"question": "2x = 4", "answer": "x = 2"}], "line 1: neither a trace"),
        ([TRACES[0], {"problem": {}, "text": ""}], "line 2: neither a trace"),
        ([{"prompt": "2 + 2?", "completion": "4"}], "line 1: neither a trace"),
        ([{**TRACES[0], "completion": []}], "line 1: neither a trace"),
        ([{**TRACES[0], "completion": TRACES[0]["completion"] * 2}], "line 1: neither a trace"),
        ([{"id": "a", "problem": {}, "text": "", "finish": "eos"}], "line 1: neither a trace"),
    ],
)
def test_other_files_are_refused(tmp_path, rows, message):
    write_jsonl(tmp_path / "f.jsonl", rows)
    with pytest.raises(ValueError, match=message):
        read_traces(tmp_path / "f.jsonl")


CANDIDATE = {
    "id": "own-1/0", "candidate": 0, "finish": "eos", "text": "x = 3",
    "teacher": {"name": "t", "template": "think"},
    "problem": {"id": "own-1", "text": "Solve for x: 2x = 6", "equation": "2x = 6",
                "answer": "x = 3", "family": "own", "split": "own"},
}  # fmt: skip


@pytest.mark.parametrize(("row", "said"), [
    ({**CANDIDATE, "problem": {k: v for k, v in CANDIDATE["problem"].items() if k != "family"}},
     "no field 'problem.family'"),
    ({**CANDIDATE, "problem": None}, "the field 'problem' is null"),
    ({**CANDIDATE, "teacher": "gpt-4o"}, "the field 'teacher' is \"gpt-4o\""),
    ({**CANDIDATE, "teacher": {}}, "no field 'teacher.name'"),
    ({**CANDIDATE, "text": None}, "the field 'text' is null"),
    ({**CANDIDATE, "text": ["x"]}, "the field 'text' is"),
    ({**CANDIDATE, "id": 7}, "the field 'id' is 7"),
    ({**CANDIDATE, "finish": None}, "the field 'finish' is null"),
])  # fmt: skip
def test_a_candidate_of_odd_shape_is_a_sentence_with_its_line(tmp_path, row, said):
    lines = "\n\n".join(json.dumps(r) for r in (CANDIDATE, row))
    (tmp_path / "c.jsonl").write_text(lines)
    with pytest.raises(ValueError) as refused:
        read_traces(tmp_path / "c.jsonl")
    assert "c.jsonl, line 3: neither" in str(refused.value) and said in str(refused.value)


def test_an_odd_trace_among_good_ones_is_named_with_its_line(tmp_path):
    odd = {**TRACES[1], "completion": [{"role": "assistant", "content": None}]}
    write_jsonl(tmp_path / "t.jsonl", [TRACES[0], odd])
    with pytest.raises(ValueError, match=r"line 2: neither a trace.*'completion' is"):
        read_traces(tmp_path / "t.jsonl")


def test_a_file_of_traces_may_not_lose_its_last_line_and_a_journal_may(tmp_path):
    write_jsonl(tmp_path / "t.jsonl", TRACES)
    (tmp_path / "t.jsonl").write_bytes((tmp_path / "t.jsonl").read_bytes()[:-30])
    with pytest.raises(ValueError, match=f"line {len(TRACES)}: .*Mend or remove"):
        read_traces(tmp_path / "t.jsonl")
    Solver().sample(make_problems(3), journal=tmp_path / "c.jsonl")
    (tmp_path / "c.jsonl").write_bytes((tmp_path / "c.jsonl").read_bytes()[:-30])
    assert len(read_traces(tmp_path / "c.jsonl")[0]) == 2


def test_a_file_whose_candidates_all_fail_is_said_with_the_funnel(tmp_path):
    rows = [{**row, "text": "x = 3"} for row in Solver().sample(make_problems(3))]
    write_jsonl(tmp_path / "f.jsonl", rows)
    with pytest.raises(ValueError, match="no candidate passes the rules"):
        read_traces(tmp_path / "f.jsonl")


def test_a_missing_file_is_not_called_empty(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such file"):
        read_traces(tmp_path / "gone.jsonl")


def test_candidates_are_asked_in_the_template_they_were_written_in(tmp_path):
    headings = TEMPLATES["headings"]
    write_jsonl(tmp_path / "c.jsonl", Solver(template=headings).sample(make_problems(2)))
    (one, _), _ = read_traces(tmp_path / "c.jsonl")
    assert one["prompt"] == messages(one["prompt"][-1]["content"], headings)


def test_the_attention_whose_gradient_fails_behind_a_mask_is_left_out(fresh_tiny):
    """cuDNN's gave NaN gradients for trees of 64 more nodes than a multiple of 128 (on an H200)."""
    model, used = with_adapter(fresh_tiny.model, lora(r=2)), []
    layer = model.get_base_model().model.layers[0].self_attn
    layer.register_forward_hook(lambda *_: used.append(torch.backends.cuda.cudnn_sdp_enabled()))
    before = torch.backends.cuda.cudnn_sdp_enabled()
    gradients.CompletionLoss(model)(**pack(encode(TRACES[:2], fresh_tiny.tokenizer)))
    assert used == [False] and torch.backends.cuda.cudnn_sdp_enabled() == before
