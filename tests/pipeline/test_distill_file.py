"""`distill` with a teacher: itself, a model, a file of its words; and `teach --logits`."""

from __future__ import annotations

import json

import pytest

from distillkit.cli import main, parser
from distillkit.pipeline import distill_file as kit
from distillkit.pipeline.recipes import SOFT_OBJECTIVES
from distillkit.problems.equations import make_problems
from distillkit.runtime.files import read_json, read_jsonl, write_jsonl
from distillkit.traces.templates import messages, render_solution
from distillkit.training import losses
from tests.training.test_gradients import CANDIDATE


@pytest.fixture(scope="module")
def traces(tmp_path_factory):
    path = tmp_path_factory.mktemp("traces") / "traces.jsonl"
    write_jsonl(path, [
        {"id": p.id, "prompt": messages(p.text),
         "completion": [{"role": "assistant", "content": render_solution(p)}]}
        for p in make_problems(4, ("one-step",), "train", 0)
    ])  # fmt: skip
    return path


def words(traces, out, tiny_folder, *more):
    return ["distill", str(traces), "--out", str(out), "--student", str(tiny_folder), "--tier",
            "tiny", "--batch-size", "2", "--rate", "1e-2", *map(str, more)]  # fmt: skip


@pytest.mark.parametrize(
    "more",
    [
        ("--objective", "reverse-kl", "--teacher", "self", "--on-policy"),
        ("--objective", "jsd", "--beta", "0.1", "--teacher", "self"),
        ("--objective", "forward-kl", "--teacher"),
    ],
)
def test_a_student_is_trained_towards_a_teacher(traces, tiny_folder, tmp_path, capsys, more):
    more = more if "self" in more else (*more, tiny_folder)
    assert main(words(traces, tmp_path / "run", tiny_folder, *more)) == 0
    said = capsys.readouterr().out
    assert f"objective: {more[1]} to " in said and "with solved examples in its prompt" in said
    report = read_json(tmp_path / "run" / "report.json")
    assert report["goal"]["objective"] == more[1] and report["training"]["steps"] == 2
    assert report["goal"]["on_policy"] is ("--on-policy" in more)
    assert all(loss > 0 for loss in report["training"]["loss"])


def test_a_teachers_words_are_recorded_and_learned(traces, tiny_folder, tmp_path, capsys):
    file = tmp_path / "words.safetensors"
    record = [
        "teach",
        f"hf:{tiny_folder}",
        "--logits",
        "5",
        "--of",
        str(traces),
        "--out",
        str(file),
    ]
    assert main(record) == 0
    assert "places of 4 texts, 5 tokens each" in capsys.readouterr().out
    assert main(record) == 1
    assert "exists and is kept" in capsys.readouterr().err
    more = ("--objective", "reverse-kl", "--teacher", file)
    assert main(words(traces, tmp_path / "run", tiny_folder, *more)) == 0
    assert "recorded (5 tokens and the rest)" in capsys.readouterr().out
    losses = json.loads((tmp_path / "run" / "report.json").read_text())["training"]["loss"]
    assert len(losses) == 2


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--objective", "reverse-kl"], "needs a --teacher"),
        (["--teacher", "self"], "it takes neither"),
        (["--on-policy"], "it takes neither"),
        (["--objective", "jsd", "--teacher", "self", "--beta", "1"], "between 0 and 1"),
        (["--objective", "reverse-kl", "--teacher", "self", "--beta", "0.5"], "--beta belongs"),
        (["--objective", "reverse-kl", "--teacher", "x.safetensors", "--on-policy"],
         "has not read the student's own texts"),
    ],
)  # fmt: skip
def test_what_does_not_go_together_is_one_sentence(traces, tiny_folder, tmp_path, capsys, more,
                                                   said):  # fmt: skip
    assert main(words(traces, tmp_path / "run", tiny_folder, *more)) == 1
    assert said in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("teacher", "out", "more", "said"),
    [
        ("solver", "w.safetensors", ["--of", "t"], "gives no logits"),
        ("hf:x", "w.jsonl", ["--of", "t"], "are a .safetensors file"),
        ("hf:x", "w.safetensors", [], "go together"),
    ],
)
def test_what_cannot_be_recorded_is_one_sentence(tmp_path, capsys, teacher, out, more, said):
    asked = ["teach", teacher, "--logits", "5", *more, "--out", str(tmp_path / out)]
    assert main(asked) == 1
    assert said in capsys.readouterr().err


def test_a_run_keeps_the_traces_that_it_learned(traces, tiny_folder, tmp_path, monkeypatch, capsys):
    """The file was read again for `export`, from today's folder and as it is today."""
    file, learned = tmp_path / "mine.jsonl", read_jsonl(traces)[:3]
    file.write_bytes(traces.read_bytes())
    monkeypatch.chdir(tmp_path)
    assert main(words(file.name, "run", tiny_folder, "--traces", 3)) == 0
    write_jsonl(file, reversed(read_jsonl(file)))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert main(["export", "../run", "--to", "x", "--format", "autotrain"]) == 0
    rows = read_jsonl("x/train.jsonl")
    assert [row["messages"] for row in rows] == [[*t["prompt"], *t["completion"]] for t in learned]
    before = (tmp_path / "run" / "traces.jsonl").read_bytes()
    (tmp_path / "run" / "report.json").unlink()
    assert main(words("../run/traces.jsonl", "../run", tiny_folder)) == 1
    assert "keeps what it learned: choose another folder" in capsys.readouterr().err
    assert (tmp_path / "run" / "traces.jsonl").read_bytes() == before


def test_an_unknown_objective_is_named():
    with pytest.raises(ValueError, match="unknown objective 'kl': choose from sft, forward-kl"):
        kit.Goal("kl", "self")
    found = [kit.DIVERGENCES[name] for name in SOFT_OBJECTIVES]
    assert found == [losses.forward_kl, losses.reverse_kl, losses.jsd]


def test_the_command_takes_every_objective_that_is_named_once(monkeypatch):
    monkeypatch.setattr("distillkit.pipeline.recipes.SOFT_OBJECTIVES", ("jsd", "mine"))
    asked = ["distill", "t.jsonl", "--out", "run", "--objective", "mine"]
    assert parser("distill").parse_args(asked).objective == "mine"


def test_a_student_without_examples_cannot_teach_itself(tiny_folder, tmp_path, capsys):
    path = tmp_path / "t.jsonl"
    user, assistant = ({"role": r, "content": "Good day."} for r in ("user", "assistant"))
    write_jsonl(path, [{"id": "a", "prompt": [user], "completion": [assistant]}])
    more = ("--objective", "reverse-kl", "--teacher", "self")
    assert main(words(path, tmp_path / "run", tiny_folder, *more)) == 1
    assert "these prompts are not the template's" in capsys.readouterr().err


TRACE = {"prompt": [{"role": "user", "content": "2x = 6"}],
         "completion": [{"role": "assistant", "content": "x = 3"}]}  # fmt: skip


@pytest.mark.parametrize(
    ("good", "odd", "said"),
    [
        (TRACE, {"completion": [{"role": "assistant", "content": "x \ud83d"}]},
         r"half of a character, '\\ud83d'"),
        (CANDIDATE, {"text": "x \ud83d"}, r"half of a character, '\\ud83d'"),
        (TRACE, {"completion": [{"role": "user", "content": "x = 3"}]},
         "the completion's role is 'user', not 'assistant'"),
        (CANDIDATE, {"teacher": {"name": "t", "template": ["think"]}},
         r"the field 'teacher\.template' is"),
    ],
)  # fmt: skip
def test_an_odd_line_of_a_learner_is_one_sentence_with_its_place(tmp_path, good, odd, said):
    path = tmp_path / "mine.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in (good, {**good, **odd})))
    with pytest.raises(ValueError, match=rf"mine\.jsonl, line 2: .*{said}"):
        kit.read_traces(path)
