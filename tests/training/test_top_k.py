"""A recorded teacher: the same places on any tree, K tokens and the rest, one vocabulary."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch
from conftest import byte_tokenizer, tiny_model

from distillkit.training import top_k as kit
from distillkit.training.gradients import CompletionLoss
from distillkit.training.losses import forward_kl, reverse_kl, soft_loss
from distillkit.training.objectives import Match, read_teacher
from distillkit.training.packing import encode, pack
from tests.training.test_loop import TRACES, control_c_at, losses, train
from tests.training.test_objectives import said_one_by_one, teacher  # noqa: F401


@pytest.fixture(scope="module")
def examples(tiny):
    return encode(TRACES[:5], tiny.tokenizer)


def record(model, tiny, examples, k=4):
    return kit.record(model, tiny.tokenizer, examples, k, "a teacher")


# --- checks take the module that is to obey them --------------------------------------------------


def check_a_place_is_known_on_any_tree(module, tiny, teacher, examples):  # noqa: F811
    """Recorded in one tree, asked in others and in another order."""
    records = module.record(teacher, tiny.tokenizer, examples, 4, "a teacher")
    quiet = copy.deepcopy(teacher).eval()
    for part in ([examples[3]], examples[2:][::-1]):
        batch = pack(part)
        ids, logs = records.at(batch)
        v = len(tiny.tokenizer)
        plain = said_one_by_one(quiet, part)[:, :v].log_softmax(-1)
        best = plain.topk(4)
        assert ids.tolist() == best.indices.tolist()
        torch.testing.assert_close(logs[:, :4], best.values, atol=0.02, rtol=2e-3)


def check_all_probability_is_there(module, tiny, teacher, examples):  # noqa: F811
    records = module.record(teacher, tiny.tokenizer, examples, 4, "a teacher")
    batch = pack(examples)
    for k in (4, 2, 1):
        ids, logs = records.at(batch, k)
        assert ids.shape[1] == k and logs.shape[1] == k + 1
        torch.testing.assert_close(logs.exp().sum(-1), torch.ones(len(logs)))
    quiet = read_teacher(teacher, batch).logits_NV[:, : len(tiny.tokenizer)].softmax(-1)
    torch.testing.assert_close(logs[:, 1].exp(), 1 - quiet.max(-1).values, atol=2e-3, rtol=2e-2)


def check_the_student_has_its_rest_too(module, tiny, teacher, examples):  # noqa: F811
    logits = torch.tensor([[3.0, 1.0, 0.0, -1.0], [0.0, 0.0, 0.0, 0.0]])
    ids = torch.tensor([[0, 2], [1, 3]])
    p = logits.softmax(-1)
    got = module.top_and_rest(logits, ids).exp()
    expected = torch.stack([p[0, [0, 2]], p[1, [1, 3]]])
    torch.testing.assert_close(got[:, :2], expected)
    torch.testing.assert_close(got[:, 2], 1 - expected.sum(-1))


def check_all_tokens_are_the_whole_divergence(module, tiny, teacher, examples):  # noqa: F811
    """With K = all but one token nothing is left out: the loss is that of the teacher itself."""
    student = tiny.model
    v = min(student.config.vocab_size, teacher.config.vocab_size)
    small = copy.deepcopy(tiny.model)  # the student's own vocabulary, other weights
    with torch.no_grad():
        small.base_model.layers[0].mlp.down_proj.weight.mul_(0.3)
    records = module.record(small, tiny.tokenizer, examples, v - 1, "a teacher")
    for divergence in (forward_kl, reverse_kl):
        got = CompletionLoss(student, module.MatchTopK(records, divergence))(**pack(examples))
        whole = CompletionLoss(student, Match(small, divergence))(**pack(examples))
        assert got.item() == pytest.approx(whole.item(), rel=5e-3)


CHECKS = {name.removeprefix("check_"): check for name, check in list(globals().items())
          if name.startswith("check_")}  # fmt: skip


@pytest.mark.parametrize("name", CHECKS)
def test_the_records_obey(tiny, teacher, examples, name):  # noqa: F811
    CHECKS[name](kit, tiny, teacher, examples)


MUTANTS = {
    "a place is its own token only": ("ids[seen].tobytes()", "ids[seen][-1:].tobytes()",
                                      "a_place_is_known_on_any_tree"),
    "the tail ignored": ("torch.cat([logs_NJ[:, :k], rest_N1], -1).log_softmax(-1)",
                         "torch.cat([logs_NJ[:, :k], rest_N1 - 99], -1)",
                         "all_probability_is_there"),
    "renormalised": ("torch.cat([logs_NJ[:, :k], rest_N1], -1).log_softmax(-1)",
                     "torch.cat([logs_NJ[:, :k], rest_N1 - 99], -1).log_softmax(-1)",
                     "all_probability_is_there"),
    "the student's mass outside is free": ("-torch.inf).logsumexp(-1, keepdim=True)",
                                           "-torch.inf)[:, :1] - 99",
                                           "the_student_has_its_rest_too"),
    "direction swapped": ("top_and_rest(out.logits_NV, ids_NK), logs_NJ)",
                          "logs_NJ, top_and_rest(out.logits_NV, ids_NK))",
                          "all_tokens_are_the_whole_divergence"),
}  # fmt: skip


@pytest.mark.parametrize("name", MUTANTS)
def test_a_wrong_record_is_noticed(mutant, tiny, teacher, examples, name):  # noqa: F811
    old, new, check = MUTANTS[name]
    with pytest.raises((AssertionError, ValueError)):
        CHECKS[check](mutant(kit, old, new), tiny, teacher, examples)


# --- files, and whose they are --------------------------------------------------------------------


def test_a_file_gives_back_what_was_recorded(tiny, teacher, examples, tmp_path):  # noqa: F811
    records, path = record(teacher, tiny, examples), tmp_path / "new" / "r.safetensors"
    records.save(path)
    read = kit.load_top_k(path, tiny.tokenizer)
    assert read.about == records.about and [p.name for p in path.parent.iterdir()] == [path.name]
    batch = pack(examples)
    for ours, theirs in zip(read.at(batch), records.at(batch), strict=True):
        assert torch.equal(ours, theirs)


def test_another_vocabulary_is_refused_by_name(tiny, teacher, examples, tmp_path):  # noqa: F811
    record(teacher, tiny, examples).save(tmp_path / "r.safetensors")
    other = byte_tokenizer()
    other.add_tokens(["<new>"])
    with pytest.raises(ValueError, match="a teacher writes in another vocabulary"):
        kit.load_top_k(tmp_path / "r.safetensors", other)


def test_a_divergence_is_called_with_two_arguments_and_gives_a_number_a_place(
    tiny, teacher, examples  # noqa: F811
):  # fmt: skip
    records = record(teacher, tiny, examples)
    with pytest.raises(ValueError, match="give each other argument a default"):
        kit.MatchTopK(records, lambda student, teacher, temperature: forward_kl(student, teacher))
    with pytest.raises(ValueError, match="one number a position, not a mean or a sum"):
        CompletionLoss(tiny.model, kit.MatchTopK(records, soft_loss))(**pack(examples))


def test_what_a_student_says_of_its_padding_is_no_part_of_the_rest(tiny, examples):
    """A teacher with as many words agrees with itself, however many rows its head has more."""
    wide = tiny_model("Qwen2", tiny.tokenizer, vocab_size=len(tiny.tokenizer) + 40)
    records, batch = record(wide, tiny, examples), pack(examples)
    assert records.columns == len(tiny.tokenizer)
    per_place = CompletionLoss(wide, kit.MatchTopK(records))(**batch) / len(batch["nodes_N"])
    assert per_place.item() == pytest.approx(0, abs=1e-4)
    about = {name: text for name, text in records.about.items() if name != "columns"}
    older = replace(records, about=about)
    assert older.columns is None
    assert CompletionLoss(wide, kit.MatchTopK(older))(**batch) / len(batch["nodes_N"]) > 0.001


def test_other_files_are_refused(tiny, teacher, examples, tiny_folder, tmp_path):  # noqa: F811
    records = record(teacher, tiny, examples)
    replace(records, about=records.about | {"columns": "-1"}).save(tmp_path / "r.safetensors")
    with pytest.raises(ValueError, match="no teacher's records"):
        kit.load_top_k(tmp_path / "r.safetensors")
    with pytest.raises(ValueError, match="no teacher's records"):
        kit.load_top_k(tiny_folder / "model.safetensors")
    (tmp_path / "x.safetensors").write_bytes(b"no such thing")
    with pytest.raises(ValueError, match="no teacher's records"):
        kit.load_top_k(tmp_path / "x.safetensors")


def test_a_text_that_the_teacher_has_not_read_is_refused(tiny, teacher, examples):  # noqa: F811
    records = record(teacher, tiny, examples)
    with pytest.raises(ValueError, match="places are not in the teacher's records"):
        records.at(pack(encode(TRACES[5:6], tiny.tokenizer)))
    with pytest.raises(ValueError, match="4 tokens are recorded at each place, not 5"):
        records.at(pack(examples), 5)


def test_a_student_learns_from_records_and_a_stopped_run_goes_on(
    tiny, teacher, examples, tmp_path  # noqa: F811
):  # fmt: skip
    def again(k=None, **more):
        match = kit.MatchTopK(record(teacher, tiny, examples), k=k)
        return train(copy.deepcopy(tiny.model), tiny.tokenizer, examples, objective=match,
                     rate=2e-2, epochs=6, **more)  # fmt: skip

    whole = again()
    assert whole.log[-1]["loss"] < 0.8 * whole.log[0]["loss"]
    again(out=tmp_path, on_step=control_c_at(3))
    with pytest.raises(ValueError, match="new folder"):
        again(k=2, out=tmp_path)
    assert losses(again(out=tmp_path)) == losses(whole)
