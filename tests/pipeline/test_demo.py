"""The main job from end to end: the command, its files, stopping and going on, bad input."""

import json
import os
import shlex
import signal
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from distillkit import plots
from distillkit.cli import main
from distillkit.evaluation.scoring import evaluate, score, summary
from distillkit.models.downloads import ModelError
from distillkit.pipeline import demo as demo_module
from distillkit.pipeline import report as report_module
from distillkit.pipeline.demo import pick_shown
from distillkit.pipeline.figures import draw_accuracy, draw_loss
from distillkit.pipeline.recipes import CURRICULA, TIERS, Settings, settings_for, unseen_problems
from distillkit.pipeline.report import (
    UNTOUCHED,
    accuracy_table,
    finished_answers,
    verdict,
    write_report,
)
from distillkit.problems.equations import FAR, make_problems, overlap
from distillkit.problems.wordings import worded_problems
from distillkit.runtime.files import read_json, read_jsonl, write_json
from distillkit.runtime.progress import Stages
from distillkit.runtime.session import Session, data_path
from distillkit.traces.candidates import candidate_row
from distillkit.traces.filters import judge
from distillkit.traces.templates import TEMPLATES, THINK, messages
from tests import forked

NUMBERS = ("before", "few_shot", "after", "families", "change", "funnel", "traces")


def demo_words(student, out: Path) -> list[str]:
    return ["demo", "--tier", "tiny", "--student", str(student), "--teacher", "solver",
            "--traces", "48", "--test", "6", "--out", str(out)]  # fmt: skip


@pytest.fixture
def stop_at(tmp_path):
    """Return `stop(file, signal, words)`: the command in a process of its own, stopped at a file.

    It gives the exit code and what was said.
    """
    if os.name == "nt":
        pytest.skip("sends a POSIX signal")

    def stop(marker: Path, number: int, words: list[str]) -> tuple[int, str]:
        end = time.monotonic() + 120
        process = forked.Process(forked.command, words, tmp_path / "said")
        while process.is_alive() and not marker.exists() and time.monotonic() < end:
            time.sleep(0.002)
        if process.is_alive():
            os.kill(process.pid, number)
        process.join()
        return process.exitcode, (tmp_path / "said").read_text()

    return stop


@pytest.fixture(scope="session")
def finished(tiny_folder, tmp_path_factory) -> Path:
    """A finished run of the demo with a tiny random model."""
    out = tmp_path_factory.mktemp("demo") / "run"
    assert main(demo_words(tiny_folder, out)) == 0
    return out


def test_the_report_holds_everything_the_readme_promises(finished):
    report = json.loads((finished / "report.json").read_text())
    assert set(report["student"]) >= {"name", "source", "sha256"}
    assert report["teacher"]["name"] == "solver"
    for column in ("before", "few_shot", "after"):
        assert set(report[column]["test"]) >= {"exact", "format", "n", "low", "high"}
        assert report[column]["test"]["n"] == 6
    seconds = {"download", "load", "sample", "train", "evaluate", "total"}
    assert set(report["seconds"]) >= seconds
    assert report["seconds"]["total"] >= report["seconds"]["train"] > 0
    assert set(report["tokens_per_second"]) == {"train", "sample"}
    assert report["peak_memory_bytes"] > 10**8 and report["seed"] == 0
    assert set(report["versions"]) >= {"python", "torch", "transformers", "peft"}
    assert report["funnel"]["total"] == 48 == report["funnel"]["kept"]


def test_the_run_leaves_adapter_traces_log_and_a_page_that_needs_nothing_else(finished):
    page = (finished / "report.html").read_text()
    assert page.count("data:image/png;base64,") == 3
    assert "http://" not in page and "https://" not in page and "<script" not in page
    assert page.count('<div class="pair">') == 3
    families = json.loads((finished / "report.json").read_text())["families"]
    drawn = draw_accuracy(families)
    assert (finished / "accuracy.png").read_bytes() == plots.to_png(drawn, dpi=120)
    assert (finished / "adapter" / "adapter_model.safetensors").exists()
    traces = read_jsonl(finished / "traces.jsonl")
    assert sum("family" in trace for trace in traces) == 48
    assert sum("family" not in trace for trace in traces) == 12  # 80 % and 20 %
    assert "[4/4]" in (finished / "run.log").read_text()
    assert not list(finished.rglob("*.pt")) and not list(finished.rglob("*.bin"))


def test_a_finished_run_is_not_done_again(finished, capsys):
    assert main(["demo", "--resume", str(finished)]) == 0
    assert "finished" in capsys.readouterr().out


def test_a_folder_with_something_in_it_is_not_written_to(finished, tiny_folder, capsys):
    before = {p: p.stat().st_mtime_ns for p in finished.rglob("*")}
    assert main(demo_words(tiny_folder, finished)) == 1
    assert "not empty" in capsys.readouterr().err
    assert before == {p: p.stat().st_mtime_ns for p in finished.rglob("*")}


@pytest.mark.parametrize("marker", ["few_shot.jsonl", "training/train.jsonl"])
def test_after_kill_9_a_resumed_run_gives_the_same_numbers(
    finished, stop_at, tiny_folder, tmp_path, marker
):
    out = tmp_path / "run"
    code, said = stop_at(out / marker, signal.SIGKILL, demo_words(tiny_folder, out))
    assert code == -signal.SIGKILL, said
    assert (out / marker).exists()
    assert not (out / "report.json").exists(), "killed too late to test anything"
    assert main(["demo", "--resume", str(out)]) == 0
    unbroken = json.loads((finished / "report.json").read_text())
    resumed = json.loads((out / "report.json").read_text())
    for name in NUMBERS:
        assert resumed[name] == unbroken[name], name
    for name in ("before", "after"):
        texts = [[row["text"] for row in read_jsonl(d / f"{name}.jsonl")] for d in (out, finished)]
        assert texts[0] == texts[1]


def test_ctrl_c_says_how_to_go_on(stop_at, tiny_folder, tmp_path):
    out = tmp_path / "run"
    begun = out / "training" / "train.jsonl"
    code, said = stop_at(begun, signal.SIGINT, demo_words(tiny_folder, out))
    assert code == 130, said
    assert f"--resume {out}" in said and "Traceback" not in said


def test_the_command_to_go_on_with_can_be_typed(monkeypatch, capsys, tmp_path):
    def stop(*_):
        raise KeyboardInterrupt

    out = tmp_path / "my run's folder"
    monkeypatch.setattr(demo_module, "run_demo", stop)
    assert main(demo_words("any", out)) == 130
    assert shlex.split(capsys.readouterr().err.partition("--resume")[2]) == [str(out)]
    (out / "x").mkdir(parents=True)
    assert main(demo_words("any", out)) == 1
    assert shlex.split(capsys.readouterr().err.partition("--resume")[2]) == [str(out)]


def test_resume_keeps_the_settings_and_says_so(tmp_path, capsys):
    assert main(["demo", "--resume", str(tmp_path)]) == 1
    assert "no run to resume" in capsys.readouterr().err
    for given in (["--traces", "5"], ["--seed", "0"]):
        assert main(["demo", "--resume", str(tmp_path), *given]) == 1
        assert f"leave out {given[0]}" in capsys.readouterr().err


@pytest.mark.parametrize("number", ["0", "-1", "inf", "nan", "x"])
@pytest.mark.parametrize("word", ["--epochs", "--rate"])
def test_epochs_and_rate_are_finite_and_above_zero(tmp_path, capsys, word, number):
    with pytest.raises(SystemExit):
        main(["distill", "f.jsonl", "--out", str(tmp_path / "x"), word, number])
    assert word in capsys.readouterr().err and not (tmp_path / "x").exists()


@pytest.mark.parametrize(("words", "most"), [
    (["distill", "f.jsonl", "--epochs", "1e300"], "1000"),
    (["teach", "hf:m", "--of", "f.jsonl", "--logits", "1000000"], "1000"),
])  # fmt: skip
def test_a_number_that_no_machine_could_do_is_refused(tmp_path, capsys, words, most):
    with pytest.raises(SystemExit):
        main([*words, "--out", str(tmp_path / "x")])
    assert f"{words[-1]} is too large: give {most} at most" in capsys.readouterr().err


@pytest.mark.parametrize("error", [FloatingPointError("loss nan"), ModuleNotFoundError("bnb")])
def test_what_a_training_raises_is_one_line(monkeypatch, capsys, tmp_path, error):
    def broken(*_):
        raise error

    monkeypatch.setattr("distillkit.pipeline.distill_file.distill_file", broken)
    assert main(["distill", "f.jsonl", "--out", str(tmp_path / "x"), "--tier", "tiny"]) == 1
    assert capsys.readouterr().err == f"distillkit: {error}\n"


@pytest.mark.parametrize("stored", ['{"families": [], "matmul": "float32"}', "{}"])
def test_a_run_of_another_version_is_refused_without_a_traceback(tmp_path, capsys, stored):
    (tmp_path / "settings.json").write_text(stored)
    assert main(["demo", "--resume", str(tmp_path)]) == 1
    said = capsys.readouterr().err
    assert "another version of the kit" in said and "Traceback" not in said


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["demo", "--teacher", "oracle", "--out", "{out}"], "unknown teacher 'oracle'"),
        (["demo", "--teacher", "openai:m@https://a:hunter2@b/v1", "--out", "{out}"], "password"),
        (["demo", "--student", "no/such-model", "--out", "{out}"], "no such folder"),
        (["evaluate", "{out}", "--problems", "{out}", "--out", "{out}/x"], "No such file"),
        (["teach", "solver", "--families", "cubic", "--out", "{out}.jsonl"], "unknown family"),
        (
            ["teach", "recorded", "--families", "two-stpe", "--out", "{out}.jsonl"],
            "no problem of two-stpe was recorded: choose from both-sides, brackets",
        ),
    ],
)
def test_wrong_input_is_one_clear_message(
    words, message, tmp_path, capsys, monkeypatch, tiny_folder
):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    words = [word.format(out=tmp_path / "out") for word in words]
    if "--student" not in words and words[0] == "demo":
        words += ["--student", str(tiny_folder)]
    if words[0] == "demo":
        words += ["--tier", "tiny", "--test", "1"]
    assert main(words) == 1
    said = capsys.readouterr().err
    assert message in said and said.count("\n") == 1
    assert not any("hunter2" in path.read_text() for path in tmp_path.rglob("*.*"))


def test_a_run_does_not_go_on_with_another_model(tiny_folder, tmp_path, capsys, monkeypatch):
    out = tmp_path / "run"
    words = ["demo", "--tier", "tiny", "--student", str(tiny_folder), "--test", "1", "--teacher",
             "solver", "--traces", "4", "--out", str(out)]  # fmt: skip
    monkeypatch.setattr("distillkit.pipeline.demo.distill", lambda *_, **__: 1 / 0)
    assert main(words) == 1  # stops before the training
    state = json.loads((out / "progress.json").read_text())
    write_json(out / "progress.json", {**state, "student": "of another file"})
    assert main(["demo", "--resume", str(out)]) == 1
    assert "begun with another model" in capsys.readouterr().err


def test_an_evaluation_that_was_stopped_goes_on(finished, tmp_path, monkeypatch, capsys):
    problems, out = tmp_path / "mine.jsonl", tmp_path / "answers.jsonl"
    problems.write_text('{"question": "Solve for t: 2t = 8", "answer": 4}\n')
    words = ["evaluate", str(finished), "--problems", str(problems), "--out", str(out)]
    with monkeypatch.context() as stopped:
        stopped.setattr("distillkit.evaluation.scoring.write_answers", lambda *_: 1 / 0)
        assert main(words) == 1
    (journal,) = tmp_path.glob(".answers.jsonl.*")
    assert len(read_jsonl(journal)) == 1 and not out.exists()
    with monkeypatch.context() as kept:
        kept.setattr("distillkit.evaluation.scoring.sample", lambda *_, **__: 1 / 0)
        assert main(words) == 0
    assert len(read_jsonl(out)) == 1 and not journal.exists()


def test_a_run_that_was_stopped_shows_its_end(tiny_folder, tmp_path, capsys, monkeypatch):
    """Forty of the candidates were there, and the others were counted as 8/48."""
    out = tmp_path / "run"
    with monkeypatch.context() as stopped:
        stopped.setattr("distillkit.pipeline.demo.distill", lambda *_, **__: 1 / 0)
        assert main(demo_words(tiny_folder, out)) == 1
    lines = (out / "candidates.jsonl").read_text().splitlines(keepends=True)
    (out / "candidates.jsonl").write_text("".join(lines[:41]))
    capsys.readouterr()
    assert main(["demo", "--resume", str(out)]) == 0
    assert "candidates: 8/8\n" in capsys.readouterr().out


def test_teach_goes_on_with_a_journal_of_more_than_is_asked(tmp_path, capsys):
    words = ["teach", "solver", "--out", str(tmp_path / "t.jsonl"), "--problems"]
    assert main([*words, "20"]) == 0
    assert main([*words, "22"]) == 0
    assert "candidates: 1/2" in capsys.readouterr().out
    assert main([*words, "4"]) == 0
    assert "candidates: " not in capsys.readouterr().out


REPORT = {"settings": {"tier": "tiny", "student": "s", "quant": ""},
          "student": {"source": "", "sha256": ""}}  # fmt: skip


@pytest.mark.parametrize(("content", "said"), [
    ("{", "report.json is no JSON file"),
    ("[]", "no report of a demo: it is no object"),
    ("{}", "no report of a demo: no field 'settings'"),
    (json.dumps({**REPORT, "settings": []}), "the field 'settings' is []"),
    (json.dumps({**REPORT, "student": {"source": ""}}), "no field 'student.sha256'"),
])  # fmt: skip
def test_a_report_of_odd_shape_is_a_sentence(tmp_path, capsys, content, said):
    (tmp_path / "report.json").write_text(content)
    (tmp_path / "q.jsonl").write_text('{"question": "2t = 8?", "answer": 4}\n')
    words = ["evaluate", str(tmp_path), "--problems", str(tmp_path / "q.jsonl")]
    assert main([*words, "--out", str(tmp_path / "a.jsonl")]) == 1
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("content", ["[]", "{}", '{"seconds": 3}', "torn"])
def test_the_state_of_a_run_of_odd_shape_is_a_sentence(tmp_path, content):
    (tmp_path / "progress.json").write_text(content)
    with pytest.raises(ValueError, match=r"progress\.json is n"):
        Stages(tmp_path)


def test_evaluate_reads_what_a_person_brings(finished, tmp_path, capsys):
    problems = tmp_path / "mine.jsonl"
    problems.write_bytes(
        b'\xef\xbb\xbf{"question": "Solve for t: 2t = 8", "answer": 4}\r\n'
        b'{"question": "Solve x^2 = 4", "answer": [2, -2], "family": "quadratic"}\n'
        b'{"question": "x + y = 3, x - y = 1", "answer": "x = 2, y = 1"}\n'
        b'{"question": "what?", "answer": "who knows"}\n'
        b'{"question": "torn'
    )
    out = tmp_path / "answers.jsonl"
    assert main(["evaluate", str(finished), "--problems", str(problems), "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert "3 questions read, 2 lines refused" in said
    assert "answers: 3/3\n" in said
    assert "refused line 4" in said and "refused line 5" in said
    rows = read_jsonl(out)
    assert len(rows) == 3
    assert set(rows[0]) == {"id", "question", "answer", "output", "read", "exact", "lenient",
                            "format", "finish"}  # fmt: skip
    assert main(["evaluate", str(finished), "--problems", str(problems), "--out", str(out)]) == 1
    assert "exists and is kept" in capsys.readouterr().err


def test_a_student_is_asked_an_equation_of_ones_own(finished, capsys):
    assert main(["ask", str(finished), "2t = 8", "3x + 1 = 7"]) == 0
    said = capsys.readouterr().out
    assert "Solve for t: 2t = 8    [" in said and "answer t = 4]" in said and "x = 2]" in said
    assert main(["ask", str(finished), "import os"]) == 1
    assert capsys.readouterr().err.count("\n") == 1
    page = (finished / "report.html").read_text()
    assert "kit.py ask RUN &quot;3(x - 2) = 15&quot;" in page and "color-scheme:dark" in page


@pytest.fixture
def trained_with(tmp_path, monkeypatch):
    """Return `trained_with(system, text)`: a run with that system message, which answers so."""

    def make(system, text):
        asked = []

        def answer(model, tokenizer, problems, template=THINK, journal=None, **_):
            Path(journal or tmp_path / "none").touch()
            for *system, question in (messages(p.text, template) for p in problems):
                assert question["role"] == "user"
                asked.append("".join(message["content"] for message in system))
            return [{"id": p.id, "problem": p.record(), "text": text, "finish": "eos", "tokens": 9,
                     **score(text, "eos", p.answer, template)} for p in problems]  # fmt: skip

        monkeypatch.setattr("distillkit.evaluation.scoring.evaluate", answer)
        monkeypatch.setattr(demo_module, "load_run", lambda _: (None, None, {}))
        write_json(tmp_path / "run" / "report.json", {**REPORT, "system": system})
        (tmp_path / "q.jsonl").write_text('{"question": "Solve for t: 2t = 8", "answer": 4}\n')
        evaluate = ["evaluate", str(tmp_path / "run"), "--problems", str(tmp_path / "q.jsonl"),
                    "--out", str(tmp_path / "a.jsonl")]  # fmt: skip
        return asked, evaluate, ["ask", str(tmp_path / "run"), "2t = 8"]

    return make


@pytest.mark.parametrize("template", TEMPLATES.values(), ids=TEMPLATES)
def test_a_run_is_asked_in_the_template_it_was_trained_on(trained_with, capsys, template):
    """A student of `\\boxed{}` was asked for tags and was right in 0 %."""
    asked, evaluate, ask = trained_with(template.instruction, template.render("t = 8/2", "t = 4"))
    assert main(evaluate) == 0
    assert "all  exact 100 % (21–100, n=1), lenient 100 %, format 100 %" in capsys.readouterr().out
    assert main(ask) == 0
    assert "[right; answer t = 4]" in capsys.readouterr().out
    assert asked == [template.instruction] * 2


@pytest.mark.parametrize(
    ("system", "said"),
    [
        ("Be short.", "with a system message of its own and is asked with that one"),
        ("", "without a system message and is asked without one"),
    ],
)
def test_a_run_of_another_form_is_asked_as_it_was_trained(trained_with, capsys, system, said):
    asked, evaluate, ask = trained_with(system, "The answer is 4.")
    assert main(evaluate) == 0
    printed = capsys.readouterr().out
    assert "all  lenient 100 % (21–100, n=1)\n" in printed and "exact" not in printed
    note = f"it was trained {said}; the kit cannot read its form"
    assert note in printed
    assert main(ask) == 0
    assert note in capsys.readouterr().out
    assert asked == [system] * 2


def test_a_teacher_that_never_answered_is_one_sentence(tmp_path, monkeypatch, capsys):
    def sample(problems, k, *_):
        return [candidate_row(problem, {"name": "m", "source": "s", "template": "think"}, n,
                              text="", finish="error", tokens=0, seconds=0.0)
                for problem in problems for n in range(k)]  # fmt: skip

    teacher = SimpleNamespace(problems=lambda _=None: None, tries=lambda k: k, sample=sample)
    monkeypatch.setattr("distillkit.traces.teachers.teacher", lambda *_: teacher)
    out = tmp_path / "t.jsonl"
    assert main(["teach", "openai:m@http://x", "--problems", "2", "--out", str(out)]) == 1
    said = capsys.readouterr().err
    assert f"no request got an answer: remove the lines from {out} whose" in said


def test_teach_journals_and_goes_on(tmp_path, capsys):
    words = ["teach", "solver", "--problems", "8", "--k", "1", "--out", str(tmp_path / "t.jsonl")]
    assert main(words) == 0
    first = (tmp_path / "t.jsonl").read_bytes()
    said = capsys.readouterr().out
    assert "candidates: 8/8\n" in said and "pass@1: 100 %" in said
    assert all(not any(judge(row).values()) for row in read_jsonl(tmp_path / "t.jsonl"))
    assert main(words) == 0
    assert (tmp_path / "t.jsonl").read_bytes() == first


def test_a_journal_of_another_teacher_is_not_continued(tmp_path, capsys):
    (tmp_path / "t.jsonl").write_text('{"id": "a/0", "teacher": {"name": "other"}}\n')
    words = ["teach", "solver", "--problems", "8", "--out", str(tmp_path / "t.jsonl")]
    assert main(words) == 1
    assert "does not say in its first line" in capsys.readouterr().err


def test_text_in_the_report_is_escaped(finished, tmp_path):
    report = json.loads((finished / "report.json").read_text())
    report["student"]["name"] = "<script>alert(1)</script>"
    row = {"text": "<img src=x onerror=alert(1)>", "exact": False, "lenient": False,
           "finish": "length", "tokens": 128,
           "problem": {"text": "<b>", "answer": "&"}}  # fmt: skip
    write_report(tmp_path / "r.html", report, [], [(row, row)])
    page = (tmp_path / "r.html").read_text()
    assert "not right, cut after 128 tokens" in page
    assert "<script>alert" not in page and "<img src=x" not in page and "&lt;img src=x" in page


def answers(*flags, finish="eos"):
    """Rows of answers: "x" right in the asked form, "v" the right value, "-" neither."""
    return [
        {"id": str(i), "exact": flag == "x", "lenient": flag in "xv", "format": flag == "x",
         "finish": finish, "tokens": 9, "text": flag, "problem": {"family": "one", "text": "q"}}
        for i, flag in enumerate(flags)
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("few_shot", "after", "shown"),
    [
        ("xx--x", "x-x-x", [2, 0, 1]),  # better, still right, lost
        ("xxx--", "xxx-x", [4, 0, 3]),
        ("xxx", "xxx", [0, 1, 2]),  # nothing got better
        ("--", "--", [0, 1]),
    ],
)
def test_the_transcripts_lead_with_one_that_got_better(few_shot, after, shown):
    assert pick_shown(answers(*few_shot), answers(*after)) == shown


@pytest.mark.parametrize(
    ("flag", "finish", "words"),
    [
        ("x", "eos", "right"),
        ("v", "eos", "right value, not in the asked form"),
        ("v", "length", "right value, not in the asked form, cut after 9 tokens"),
        ("-", "length", "not right, cut after 9 tokens"),
        ("-", "stop", "not right"),
    ],
)
def test_a_cut_text_says_that_it_was_cut(flag, finish, words):
    assert verdict(answers(flag, finish=finish)[0]) == words


def test_the_table_says_what_the_untouched_student_was_allowed(finished):
    report = json.loads((finished / "report.json").read_text())
    head, first, *others = accuracy_table(report)
    assert head == ["unseen equations", "kinds it was taught"]
    assert first[0] == "untouched: the right value, cut after 128 tokens"
    assert [row[0] for row in others] == [
        "untouched: in the asked form",
        "untouched, six solved examples in its prompt",
        "after distillation",
    ]
    report["finished"] = {"test": summary(answers(*"vvv-"))}
    assert accuracy_table(report)[1] == [
        "untouched: the right value, allowed to finish", "75 % (30–95, n=4)"]  # fmt: skip
    assert "holds the right value for 75 % of" in page_of(report)


def test_what_it_could_not_solve_is_asked_after_each_quarter_until_it_does(monkeypatch):
    problems = make_problems(6)
    wrong = [{"id": p.id, "exact": i in (0, 2), "read": "7"} for i, p in enumerate(problems)]
    asked, said = [], []

    def evaluate(model, tokenizer, waiting, max_new_tokens):
        asked.append([p.id for p in waiting])
        return [{"id": p.id, "problem": p.record(), "text": "steps", "finish": "stop", "tokens": 3,
                 "exact": len(asked) == 2 and p is waiting[1], "lenient": False}
                for p in waiting]  # fmt: skip

    monkeypatch.setattr(demo_module, "evaluate", evaluate)
    student = SimpleNamespace(model=None, tokenizer=None)
    shown = []
    stages = SimpleNamespace(say=said.append, show=lambda text, last: shown.append(text))
    job = SimpleNamespace(test=problems[:5], student=student, stages=stages,
                          settings=SimpleNamespace(max_new_tokens=9))  # fmt: skip
    ask = demo_module.first_solved(job, demo_module.Before([], wrong))
    for steps in (7, 20):  # of seven steps nothing is asked
        for step in range(1, steps + 1):
            ask({"step": step, "steps": steps})
    ids = [problems[i].id for i in (1, 3, 4)]
    assert asked == [ids, ids]  # after steps 5 and 10; then one is solved and nothing is asked
    assert shown == ["  asking again what it could not solve (3)"] * 2
    assert len(said) == 1 and "after 10 steps" in said[0] and problems[3].text in said[0]


@pytest.mark.parametrize(("asked", "wanted"), [
    ("Qwen/Qwen2.5-0.5B-Instruct", "qwen2.5-coder-0.5b-instruct"),  # as a hub may have others
    ("/a/folder", "/a/folder"),
])  # fmt: skip
def test_an_adapter_gets_the_file_that_it_was_trained_on(monkeypatch, asked, wanted):
    shipped = data_path("adapter_broad")
    report = read_json(shipped / "report.json")
    report["settings"]["student"] = asked
    loaded = []

    def load(name, *_):
        loaded.append(name)
        return SimpleNamespace(name=name, source="", sha256="of another file")

    monkeypatch.setattr(demo_module, "load", load)
    with pytest.raises(ModelError, match="is not the model this adapter was trained on"):
        demo_module.student_of(report, shipped, "cpu", "float32")
    assert loaded == [wanted]


def page_of(report):
    """The words of a report's page."""
    return " ".join(report_module._result(report))


def test_the_record_of_the_untouched_student_is_that_of_the_demo():
    """It was asked what every run of the default student asks, and the headline counts it."""
    rows = read_jsonl(data_path(UNTOUCHED))
    settings = settings_for(Session("cpu", "cpu", "float32", "any", 0), test=100, ood=60)
    asked = [problem for part in unseen_problems(settings) for problem in part]
    assert [(row["id"], row["problem"]["text"]) for row in rows] == [(p.id, p.text) for p in asked]
    for row in rows:
        again = score(row["text"], row["finish"], row["problem"]["answer"])
        assert all(row[name] == again[name] for name in ("exact", "lenient", "format"))
    sha256 = read_json(data_path("demo_report.json"))["student"]["sha256"]
    assert len(finished_answers(sha256, asked[:48])) == 48
    assert finished_answers("of another file", asked[:48]) == []
    assert finished_answers(sha256, asked[:48], "nf4") == []
    assert finished_answers(sha256, [replace(asked[0], text="in other words")]) == []


@pytest.mark.parametrize(("quant", "wanted"), [("", ["few_shot"]), ("nf4", ["before", "few_shot"])])
def test_a_student_in_few_bits_is_asked_and_not_looked_up(quant, wanted):
    """The answers that were recorded are those of 16 bits."""
    settings = settings_for(Session("cpu", "cpu", "float32", "any", 0), quant=quant)
    test, _ = unseen_problems(settings)
    asked = []

    def ask(name, *_, **__):
        asked.append(name)
        rows = {row["id"]: row for row in read_jsonl(data_path(UNTOUCHED))}
        return [{k: v for k, v in rows[p.id].items() if k != "student"} for p in test]

    sha256 = read_json(data_path("demo_report.json"))["student"]["sha256"]
    student = SimpleNamespace(sha256=sha256, model=None)
    job = SimpleNamespace(settings=settings, stages=SimpleNamespace(say=lambda _: None), test=test,
                          unseen=test, answers=ask, student=student)  # fmt: skip
    demo_module.answer_before(job)
    assert asked == wanted


def test_the_curve_has_a_line_for_each_kind():
    log = [{"tokens": 10, "kinds": {"equations": 1.0 / step, "general text": 3.0}}
           for step in (1, 2, 3)]  # fmt: skip
    lines = {line.get_label(): line.get_xydata().tolist() for line in draw_loss(log).axes[0].lines}
    assert lines["equations"] == [[10, 1.0], [20, 0.5], [30, 1 / 3]]
    assert lines["general text"] == [[10, 3.0], [20, 3.0], [30, 3.0]]
    assert draw_loss([{"tokens": 10, "kinds": {}}]).axes[0].lines[:] == []


@pytest.mark.parametrize("curriculum", CURRICULA)
@pytest.mark.parametrize("tier", TIERS)
def test_no_training_equation_is_a_test_equation(tier, curriculum):
    kit = Session(tier, "cpu", "float32", "any", 0)
    settings = settings_for(kit, curriculum)
    assert isinstance(settings, Settings)
    unseen = [p for part in unseen_problems(settings) for p in part]
    made = worded_problems if curriculum == "broad" else make_problems
    for seed in range(5):
        train = made(200, settings.families, "train", seed)
        assert overlap(train, unseen) == []


@pytest.mark.parametrize("tier", TIERS)
def test_a_long_course_keeps_its_general_examples_where_the_short_one_has_none(tier):
    settings = settings_for(Session(tier, "cpu", "float32", "any", 0), "broad")
    assert (settings.traces, settings.batch_size, settings.general) == (3200, 4, 0.2)


@pytest.mark.parametrize("curriculum", CURRICULA)
def test_a_shorter_test_is_the_beginning_of_a_longer_one(curriculum):
    kit = Session("cpu", "cpu", "float32", "any", 0)
    short, long = (unseen_problems(settings_for(kit, curriculum, test=n, ood=n)) for n in (20, 60))
    assert [part[:20] for part in long] == list(short)


def test_the_broad_curriculum_asks_in_other_words_and_far_kinds_in_none(
    tmp_path, tiny_folder, monkeypatch
):
    def shorter(*words, **how):  # what is answered counts nowhere here
        return evaluate(*words, **how | {"max_new_tokens": 8})

    monkeypatch.setattr(demo_module, "evaluate", shorter)
    assert not any(set(FAR) & set(c.get("families", ())) for c in CURRICULA.values())
    out = tmp_path / "run"
    words = ["demo", "--tier", "tiny", "--student", str(tiny_folder), "--curriculum", "broad",
             "--traces", "40", "--test", "3", "--out", str(out)]  # fmt: skip
    assert main(words) == 0
    asked = [row["problem"]["text"] for row in read_jsonl(out / "candidates.jsonl")]
    assert sum(not text.startswith("Solve for") for text in asked) > 4
    families = [row["problem"]["family"] for row in read_jsonl(out / "candidates.jsonl")]
    shares = CURRICULA["broad"]["shares"]
    assert Counter(families[: sum(shares.values())]) == shares
    assert json.loads((out / "settings.json").read_text())["max_new_tokens"] == 640


@pytest.mark.real
@pytest.mark.slow
def test_the_whole_job_with_a_real_small_model(smollm, tmp_path, monkeypatch):
    """SmolLM2 learns the form from a few traces: format rises far, whatever its arithmetic."""
    monkeypatch.setattr(demo_module, "PLAIN_TOKENS", 16)
    monkeypatch.setitem(CURRICULA["narrow"], "max_new_tokens", 64)
    words = ["demo", "--tier", "tiny", "--traces", "20", "--test", "2"]
    assert main([*words, "--out", str(tmp_path / "r")]) == 0
    report = json.loads((tmp_path / "r" / "report.json").read_text())
    assert report["student"]["sha256"] == smollm.sha256
    assert report["before"]["test"]["format"] <= 0.25
    assert report["after"]["test"]["format"] >= 0.75
