"""Evaluation: scores, journals, files of questions."""

from __future__ import annotations

import copy
import json
from dataclasses import replace

import pytest
import torch

from distillkit.cli import main
from distillkit.evaluation import scoring as kit
from distillkit.evaluation.statistics import wilson
from distillkit.generation.sampler import Completion
from distillkit.problems.equations import make_problem
from distillkit.runtime.files import JournalError, read_jsonl
from distillkit.traces.templates import SHOTS, TEMPLATES, THINK, render_solution

PROBLEMS = [make_problem(equation, family) for equation, family in (
    ("3x = 6", "one-step"), ("3x + 5 = 20", "two-step"), ("x/5 = -4", "one-step"),
    ("4(x - 6) = -8", "brackets"), ("7x = 5761", "one-step"),
)]  # fmt: skip

# --- scoring --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "finish", "format_", "exact", "lenient"),
    [
        ("<think>\n3x = 6\n</think>\n<answer>x = 2</answer>", "stop", True, True, True),
        ("<think>\n3x = 6\n</think>\n<answer>2</answer>", "eos", True, True, True),
        ("<think>\n3x = 6\n</think>\n<answer>x = 3</answer>", "stop", True, False, False),
        ("The answer is x = 2.", "eos", False, False, True),
        ("The answer is x = 3.", "eos", False, False, False),
        ("<think>\n3x = 6\n</think>\n<answer>x = 2</answer>", "length", False, False, True),
        ("<think>\nx = 2", "length", False, False, True),
        ("I do not know.", "eos", False, False, False),
        ("", "eos", False, False, False),
    ],
    ids=["strict", "bare value", "wrong", "free text", "wrong free text", "obeyed but cut off",
         "cut off", "no answer", "nothing"],
)  # fmt: skip
def test_score(text, finish, format_, exact, lenient):
    got = kit.score(text, finish, "x = 2")
    assert (got["format"], got["exact"], got["lenient"]) == (format_, exact, lenient)


def test_score_tells_the_answer_as_read():
    assert kit.score("<think>a</think><answer> x = 4/2 </answer>", "eos", "2")["read"] == "x = 4/2"
    assert kit.score("so the answer is 7", "eos", "2")["read"] == "7"
    assert kit.score("no idea", "eos", "2")["read"] is None


@pytest.mark.parametrize("answer", ["x = 3", "about 2"])
def test_a_lenient_score_does_not_mend_an_answer_in_the_right_form(answer):
    """Where the template is obeyed its answer counts, whatever else the text says."""
    text = f"<think>\nx = 2\n</think>\n<answer>{answer}</answer>"
    got = kit.score(text, "eos", "x = 2")
    assert (got["read"], got["format"], got["lenient"]) == (answer, True, False)


def test_score_goes_by_the_template():
    text = "3x = 6\n\\boxed{2}"
    assert kit.score(text, "eos", "x = 2", TEMPLATES["boxed"])["exact"]
    assert not kit.score(text, "eos", "x = 2", THINK)["exact"]


@pytest.mark.parametrize("name", TEMPLATES)
def test_the_right_solution_in_each_template_is_exact(name):
    for problem in PROBLEMS:
        text = render_solution(problem, TEMPLATES[name])
        got = kit.score(text, "eos", problem.answer, TEMPLATES[name])
        assert got["exact"] and got["format"] and got["lenient"]


# --- evaluate -------------------------------------------------------------------------------------


def stub(answers, calls=None):
    """Stand in for `sample`: the nth text for the nth prompt, the last one done first."""

    def sample(model, tokenizer, prompts, on_done, **options):
        if calls is not None:
            calls.append((prompts, options))
        for i in reversed(range(len(prompts))):
            text = answers[next(p.id for p in PROBLEMS if p.text in prompts[i])]
            on_done(i, 0, Completion(text, "stop", 5, 0.1))

    return sample


def test_rows_come_in_the_order_of_the_problems_with_their_scores(tiny, monkeypatch):
    answers = {p.id: render_solution(p) for p in PROBLEMS}
    answers[PROBLEMS[3].id] = "I think it is 99"
    monkeypatch.setattr(kit, "sample", stub(answers))
    rows = kit.evaluate(None, tiny.tokenizer, PROBLEMS, width=2)
    assert [row["id"] for row in rows] == [p.id for p in PROBLEMS]
    assert [row["exact"] for row in rows] == [True, True, True, False, True]
    assert [row["text"] for row in rows] == [answers[p.id] for p in PROBLEMS]
    assert rows[3]["read"] == "99" and rows[0]["problem"] == PROBLEMS[0].record()
    assert (rows[0]["finish"], rows[0]["tokens"]) == ("stop", 5)


def test_equations_that_mean_the_same_get_an_answer_each(tiny, monkeypatch):
    asked = [make_problem(text) for text in ("3x + 5 = 20", "3y + 5 = 20", "2x = 10")]

    def sample(model, tokenizer, prompts, on_done, **_):
        for i, prompt in enumerate(prompts):
            text = next(render_solution(p) for p in asked if p.text in prompt)
            on_done(i, 0, Completion(text, "stop", 5, 0.1))

    monkeypatch.setattr(kit, "sample", sample)
    rows = kit.evaluate(None, tiny.tokenizer, asked)
    assert [row["read"] for row in rows] == ["x = 5", "y = 5", "x = 5"]
    with pytest.raises(ValueError, match="one id"):
        kit.evaluate(None, tiny.tokenizer, [asked[0], replace(asked[1], id=asked[0].id)])


@pytest.mark.parametrize("name", ["think", "boxed"])
def test_the_model_is_asked_greedily_in_the_form_of_the_template(tiny, monkeypatch, name):
    template, calls = TEMPLATES[name], []
    answers = {p.id: render_solution(p, template) for p in PROBLEMS}
    monkeypatch.setattr(kit, "sample", stub(answers, calls))
    (row,) = kit.evaluate(None, tiny.tokenizer, PROBLEMS[:1], template, SHOTS[:2], None, 9)
    assert row["exact"]
    ((prompts, options),) = calls
    assert options["stop"] == template.stop and options["max_new_tokens"] == 9
    assert options.get("temperature", 0) == 0 and options.get("k", 1) == 1
    (prompt,) = prompts
    assert prompt.startswith("<|im_start|>system\n" + template.instruction)
    shown = (SHOTS[0].text, render_solution(SHOTS[0], template), SHOTS[1].text, PROBLEMS[0].text)
    places = [prompt.index(text) for text in shown]
    assert places == sorted(places)
    assert prompt.endswith("<|im_start|>assistant\n")


def test_the_answer_is_never_in_the_prompt(tiny, monkeypatch):
    calls = []
    monkeypatch.setattr(kit, "sample", stub({p.id: "" for p in PROBLEMS}, calls))
    kit.evaluate(None, tiny.tokenizer, PROBLEMS, shots=SHOTS)
    ((prompts, _),) = calls
    assert PROBLEMS[4].answer == "x = 823"
    assert "5761" in prompts[4] and "823" not in prompts[4]


def test_groups_have_the_width(tiny, monkeypatch):
    calls = []
    monkeypatch.setattr(kit, "sample", stub({p.id: "" for p in PROBLEMS}, calls))
    kit.evaluate(None, tiny.tokenizer, PROBLEMS, width=2)
    assert [len(prompts) for prompts, _ in calls] == [2, 2, 1]
    assert [options["width"] for _, options in calls] == [2, 2, 1]


def test_between_two_answers_each_token_is_told(tiny):
    told = []

    class Count:
        def __call__(self, row):
            told.append(row["tokens"])

        def step(self, tokens, most):
            told.append((tokens, most))

    rows = kit.evaluate(tiny.model, tiny.tokenizer, PROBLEMS, THINK, (), None, 3, 2, Count())
    steps = [pair for pair in told if isinstance(pair, tuple)]
    assert [row["tokens"] for row in rows] == [3] * 5, "a model that knows nothing does not end"
    assert steps == [(n, 9) for n in range(1, 10)]
    assert told.index((3, 9)) == 4 and told[2:4] == [3, 3], "a text's end is told before its step"


def test_no_problems_no_rows(tiny, tmp_path):
    assert kit.evaluate(tiny.model, tiny.tokenizer, [], journal=tmp_path / "rows.jsonl") == []


class Stop(Exception):
    """What a test raises to break an evaluation off."""


def evaluate(tiny, path=None, **options):
    return kit.evaluate(tiny.model, tiny.tokenizer, PROBLEMS, journal=path, width=2,
                        max_new_tokens=6, **options)  # fmt: skip


def without_seconds(rows):
    return [{name: value for name, value in row.items() if name != "seconds"} for row in rows]


def stop_after(n):
    seen = []

    def on_done(row):
        seen.append(row)
        if len(seen) == n:
            raise Stop

    return on_done


@pytest.fixture(scope="module")
def unbroken(tiny):
    return without_seconds(evaluate(tiny))


@pytest.mark.parametrize(("reports", "kept"), [(1, 0), (3, 2), (4, 2), (5, 4)])
def test_a_broken_evaluation_goes_on_exactly(tiny, unbroken, tmp_path, reports, kept):
    path, again = tmp_path / "rows.jsonl", []
    with pytest.raises(Stop):
        evaluate(tiny, path, on_done=stop_after(reports))
    assert len(read_jsonl(path)) == kept, "whole groups only"
    rows = evaluate(tiny, path, on_done=again.append)
    assert without_seconds(rows) == unbroken
    assert read_jsonl(path) == rows
    assert len(again) == len(PROBLEMS) - kept, "what is done is not done again"


def test_a_group_half_in_the_journal_is_completed(tiny, unbroken, tmp_path):
    path = tmp_path / "rows.jsonl"
    evaluate(tiny, path)
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:4]) + lines[4][:20])
    done = []
    rows = evaluate(tiny, path, on_done=done.append)
    assert without_seconds(rows) == unbroken
    assert without_seconds(read_jsonl(path)) == unbroken
    assert {row["id"] for row in done} == {p.id for p in PROBLEMS[3:]}, "not the three kept"


def test_a_finished_evaluation_does_not_ask_the_model(tiny, tmp_path, monkeypatch):
    rows = evaluate(tiny, tmp_path / "rows.jsonl")
    monkeypatch.setattr(kit, "sample", lambda *_, **__: pytest.fail("asked"))
    assert evaluate(tiny, tmp_path / "rows.jsonl") == rows


def trained(model):
    """A copy whose weights have moved a little, as a short training moves them."""
    other = copy.deepcopy(model)
    with torch.no_grad():
        for weight in other.parameters():
            weight.add_(1e-4)
    return other


@pytest.mark.parametrize(("other", "said"), [
    ({"template": TEMPLATES["json"]}, 'template: "think", now "json"'),
    ({"shots": SHOTS[:2]}, "shots: 1, now 2"),
    ({"shots": SHOTS[1:2]}, r"settings \(prompt: "),
    ({"template": replace(THINK, instruction="Solve.")}, r"settings \(prompt: "),
    ({"max_new_tokens": 5}, "max_new_tokens: 4, now 5"),
    ({"width": 1}, "width: 64, now 1"),
    ({"model": trained}, r"settings \(model: "),
    ({"model": lambda model: copy.deepcopy(model).bfloat16()}, r"settings \(model: "),
    ({"tokenizer": "{{ messages[-1].content }}"}, r"settings \(prompt: "),
])  # fmt: skip
def test_a_journal_of_another_measurement_is_refused_and_kept(tiny, tmp_path, other, said):
    """Old answers of the untouched student stood for those of the trained one."""
    path, tokenizer = tmp_path / "rows.jsonl", copy.deepcopy(tiny.tokenizer)
    words = {"max_new_tokens": 4, "journal": path, "shots": SHOTS[:1]}
    kit.evaluate(tiny.model, tiny.tokenizer, PROBLEMS[:2], **words)
    before, other = path.read_bytes(), dict(other)
    model = other.pop("model", lambda model: model)(tiny.model)
    tokenizer.chat_template = other.pop("tokenizer", tokenizer.chat_template)
    with pytest.raises(JournalError, match=said):
        kit.evaluate(model, tokenizer, PROBLEMS[:2], **{**words, **other})
    assert path.read_bytes() == before


def test_a_journal_of_other_questions_is_refused_and_kept(tiny, tmp_path):
    path = tmp_path / "rows.jsonl"
    words = {"max_new_tokens": 4, "journal": path}
    kit.evaluate(tiny.model, tiny.tokenizer, PROBLEMS[:2], **words)
    before, asked = path.read_bytes(), list(PROBLEMS[:2])
    asked[1] = replace(asked[1], text=f"Find x if {asked[1].equation}.")
    with pytest.raises(ValueError, match="give a new file"):
        kit.evaluate(tiny.model, tiny.tokenizer, asked, **words)
    assert path.read_bytes() == before


@pytest.mark.parametrize(("old", "new", "said"), [
    ('"text": ', '"texts": ', "line 3: no field 'text'"),
    ('"tokens": ', '"tokens": "x", "n": ', "line 3: the field 'tokens' is \"x\""),
    ('{"journal": ', '{"about": ', "older version of the kit"),
])  # fmt: skip
def test_an_odd_journal_is_a_sentence(tiny, tmp_path, old, new, said):
    path = tmp_path / "rows.jsonl"
    evaluate(tiny, path)
    lines = path.read_text().splitlines(keepends=True)
    at = 0 if "journal" in old else 2
    lines[at] = lines[at].replace(old, new)
    path.write_text("".join(lines))
    with pytest.raises(JournalError, match=said):
        evaluate(tiny, path)


def test_the_journal_is_closed_after_an_error(tiny, tmp_path, monkeypatch):
    closed = []
    monkeypatch.setattr(kit.Journal, "close", lambda book: closed.append(book._file.close()))
    with pytest.raises(Stop):
        evaluate(tiny, tmp_path / "rows.jsonl", on_done=stop_after(1))
    assert closed == [None]


# --- numbers with intervals -----------------------------------------------------------------------


def row(id_, read="1", exact=True, lenient=True, form=True, family="one"):
    return {"id": id_, "read": read, "exact": exact, "lenient": lenient, "format": form,
            "problem": {"family": family, "text": "q", "answer": "1"}, "text": "t",
            "finish": "eos", "tokens": 1}  # fmt: skip


MIXED = [
    row("a"), row("b", exact=False), row("c", exact=False, form=False, family="two"),
    row("d", exact=False, lenient=False, form=False, family="two"),
]  # fmt: skip


def test_summary():
    got = kit.summary([*MIXED[:3], {**MIXED[3], "finish": "length"}])
    low, high = wilson(1, 4)
    assert got == {"exact": 0.25, "lenient": 0.75, "format": 0.5, "cut": 0.25, "n": 4,
                   "low": low, "high": high}  # fmt: skip


def test_summary_of_nothing():
    got = kit.summary([])
    assert (got["exact"], got["n"], got["low"], got["high"]) == (0.0, 0, 0.0, 1.0)


def test_by_gives_a_summary_for_each_family():
    got = kit.by(MIXED, "family")
    assert list(got) == ["one", "two"]
    assert got["one"] == kit.summary(MIXED[:2]) and got["two"] == kit.summary(MIXED[2:])


def test_agreement_is_of_values_and_not_of_letters():
    student = [row("a", "x = 1/2"), row("b", "3"), row("c", None), row("d", "4")]
    teacher = [row("d", "5"), row("c", None), row("b", "6/2"), row("a", "0.5"), row("e", "1")]
    assert kit.agreement(student, teacher) == 0.5


def test_agreement_without_answers_is_none():
    assert kit.agreement([], []) == 0
    assert kit.agreement([row("a")], []) == 0
    assert kit.agreement([row("a")], [row("a", None)]) == 0


# --- any file of questions ------------------------------------------------------------------------


@pytest.fixture
def read(tmp_path):
    """Write lines, read them as questions."""

    def read(*lines):
        path = tmp_path / "questions.jsonl"
        path.write_bytes(b"\n".join(
            line if isinstance(line, bytes) else (
                line if isinstance(line, str) else json.dumps(line)).encode()
            for line in lines
        ))  # fmt: skip
        return kit.read_questions(path)

    return read


def ask(answer, question="What is x?", **more):
    return {"question": question, "answer": answer, **more}


def test_a_question_becomes_a_problem(read):
    (problem,), refused = read(ask("x = 5", id=17, family="mine"))
    assert not refused
    assert (problem.id, problem.text, problem.answer, problem.family, problem.split) == (
        "17", "What is x?", "x = 5", "mine", "own")  # fmt: skip


@pytest.mark.parametrize(
    ("answer", "right", "wrong"),
    [
        ("x = 5", "5", "6"),
        (5, "x = 5", "6"),
        (-0.5, "-1/2", "1/2"),
        (2.0, "2", "20"),
        ("-7/3", "x = -7/3", "7/3"),
        ([5, -2], "x = -2 or x = 5", "5"),
        (["x = 1", "x = 2"], "1, 2", "1, 3"),
        ([4], "4", "5"),
        ([], "no solution", "0"),
        ("x = 1, y = 2", "(1, 2)", "(2, 1)"),
    ],
)
def test_an_answer_may_be_text_a_number_or_a_list(read, answer, right, wrong):
    (problem,), _ = read(ask(answer))
    assert kit.score(f"<answer>{right}</answer>", "eos", problem.answer)["lenient"]
    assert not kit.score(f"<answer>{wrong}</answer>", "eos", problem.answer)["lenient"]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"question": "a", "answer": ', "Expecting value"),
        ("question, answer", "Expecting value"),
        ('{"question": "a", "answer": 1} {}', "Extra data"),
        ('{"question": "a", "answer": "1", "answer": "2"}', "'answer' stands there twice"),
        ('{"question": "a", "question": "b", "answer": 1}', "'question' stands there twice"),
        (b'{"question": "\xff", "answer": 1}', "utf-8"),
        ("[1, 2]", ""),
        ('"text"', ""),
        ("5", ""),
        ("null", ""),
        ({"answer": 1}, "no field 'question'"),
        ({"question": "a"}, "no field 'answer'"),
        (ask(1, question="  "), "no text"),
        (ask(1, question=5), "no text"),
        (ask(True), "neither"),
        (ask([True]), "neither"),
        (ask(None), "neither"),
        (ask([1, None]), "neither"),
        (ask({"x": 1}), "neither"),
        (ask([[1, 2]]), "neither"),
        (ask("about five"), "finished"),
        (ask("3 + 4"), "finished"),
        (ask("__import__('os').system('true')"), ""),
        (ask("1/0"), "zero"),
        (ask("9" * 5000), "longer"),
        (ask("9**9**9"), ""),
        (ask(float("nan")), "finished"),
        (ask(float("inf")), "finished"),
        ('{"question": "a", "answer": ' + "9" * 5000 + "}", "limit"),
        ("[" * 100_000, "recursion"),
        (r'{"question": "\ud800", "answer": 1}', "surrogates"),
        (r'{"question": "a", "answer": 1, "id": "\ud800"}', "surrogates"),
        (ask(""), ""),
    ],
)
def test_a_bad_line_is_refused_with_its_number_and_the_reason(read, line, reason):
    problems, refused = read(ask(1, question="before"), "", line, ask(2, question="after"))
    assert [p.text for p in problems] == ["before", "after"]
    (message,) = refused
    assert message.startswith("line 3: ") and len(message) < 180
    assert reason in message


def test_windows_line_ends_and_a_byte_order_mark(read):
    problems, refused = read(b"\xef\xbb\xbf" + json.dumps(ask(1)).encode() + b"\r",
                             json.dumps(ask(2)).encode() + b"\r", b"\r")  # fmt: skip
    assert [p.answer for p in problems] == ["1", "2"] and not refused


QUESTIONS = '{"question": "Wie groß?", "answer": "3"}\n{"question": "2x = 8?", "answer": 4}\n'
EXCEL = "id;question;answer;note\n1;Wie groß?;3;\n2;2x = 8?;4;a"


@pytest.mark.parametrize(
    "content",
    [
        QUESTIONS.encode("utf-8-sig"),
        QUESTIONS.encode("utf-16"),  # PowerShell's >
        QUESTIONS.encode("utf-16-le"),
        QUESTIONS.encode("utf-16-be"),
        QUESTIONS.replace("\n", "\r").encode(),  # an old Mac
        QUESTIONS.replace("\n", "\r\n").encode(),
        json.dumps([json.loads(line) for line in QUESTIONS.splitlines()], indent=1).encode(),
        json.dumps([json.loads(line) for line in QUESTIONS.splitlines()]).encode(),
        EXCEL.encode("utf-8-sig"),
        EXCEL.replace("\n", "\r\n").replace(";", "\t").encode("utf-16"),
        EXCEL.replace(";", ",").replace("question", "Question").encode(),
        b"sep=;\n" + EXCEL.encode(),
        b'"sep=,"\r\n' + EXCEL.replace("\n", "\r\n").replace(";", ",").encode(),
        b'"question" , "answer"\n"Wie gro\xc3\x9f?", "3"\n"2x = 8?", "4"\n',
    ],
)
def test_files_as_programs_export_them(read, content):
    problems, refused = read(content)
    assert not refused
    assert [(p.text, p.answer) for p in problems] == [("Wie groß?", "3"), ("2x = 8?", "4")]


@pytest.mark.parametrize(
    ("mark", "kind"), [(b"PK\x03\x04", "workbook"), (b"PAR1", "Parquet"), (b"\x1f\x8b", "gzip")]
)
def test_a_file_that_is_no_text_is_refused_in_one_line(read, mark, kind):
    with pytest.raises(ValueError, match=kind):
        read(mark + b"\0\1\2")


def test_a_table_in_a_code_page_is_refused_with_what_to_do(read):
    """Excel's plain "CSV" on Windows."""
    with pytest.raises(ValueError, match=r"line 3 holds a letter .* 'CSV UTF-8'"):
        read("question;answer\n2x = 4;2\nLöse 3x = 9;3\n".encode("cp1252"))


@pytest.mark.parametrize("first", ["|question|answer|", "What is x?", "frage;antwort", "5"])
def test_a_file_that_is_neither_json_nor_a_table_is_said_once_with_its_first_line(read, first):
    with pytest.raises(ValueError, match="neither JSON nor columns called question") as refused:
        read(first, "|---|---|", "|2x = 4|2|")
    assert repr(first) in str(refused.value)


def test_two_columns_of_one_name_are_refused(read):
    with pytest.raises(ValueError, match="two columns are called answer: leave one"):
        read("question,answer,Answer", "a,1,2")
    assert len(read("question;answer;;", "a;1;;")[0]) == 1  # empty columns, as Excel leaves them


def test_a_field_twice_in_a_list_is_refused_with_its_row(read):
    problems, refused = read('[{"question": "a", "answer": 1, "answer": 2},', '{"question": "b",',
                             '"answer": 3}]')  # fmt: skip
    assert [p.text for p in problems] == ["b"]
    assert refused == ["row 1: the field 'answer' stands there twice"]


def test_damaged_utf_16_is_refused_in_one_line(read):
    with pytest.raises(ValueError, match="damaged UTF-16"):
        read(b"\xff\xfe" + "{\ud83d}".encode("utf-16-le", "surrogatepass"))


@pytest.mark.parametrize(
    ("answer", "right"),
    [
        ("4 * 18 = <<4*18=72>>72\n#### 72", "72"),  # GSM8K
        ("#### 1,250", "1250"),
        (["1,234"], "1234"),
        (["1,5", "2"], "x = 3/2 or x = 2"),
        (1e-05, "1/100000"),
        (1e16, "10000000000000000"),
    ],
)
def test_an_answer_means_what_a_person_means(read, answer, right):
    (problem,), refused = read(ask(answer))
    assert kit.score(f"<answer>{right}</answer>", "eos", problem.answer)["lenient"], refused


def test_a_number_of_a_million_digits_is_refused_before_it_is_written(read):
    _, (refused,) = read('{"question": "a", "answer": 1e999999999}')
    assert "longer than" in refused


def test_rows_without_an_id_are_told_apart_also_where_it_is_null(read):
    problems, refused = read(ask(1, id=None), ask(2, id=None), ask(3, id="", family=None))
    assert [(p.id, p.family) for p in problems] == [
        ("line-1", "own"), ("line-2", "own"), ("line-3", "own")]  # fmt: skip
    assert not refused


def test_a_file_without_a_question_ends_the_command_before_a_model_is_loaded(tmp_path, capsys):
    (tmp_path / "q.jsonl").write_text('{"question": "a", "answer": "about five"}\n')
    code = main(["evaluate", "no-run", "--problems", str(tmp_path / "q.jsonl"),
                 "--out", str(tmp_path / "out.jsonl")])  # fmt: skip
    said = capsys.readouterr()
    assert code == 1 and "holds no line" in said.err and "refused line 1" in said.out


@pytest.mark.parametrize("lines", [[], ["", "  ", ""], [b"\xef\xbb\xbf"]])
def test_an_empty_file_has_no_questions(read, lines):
    assert read(*lines) == ([], [])


def test_a_file_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        kit.read_questions(tmp_path / "none.jsonl")


def test_the_second_use_of_an_id_is_refused(read):
    problems, refused = read(ask(1, id="a"), ask(2, id="a"), ask(3, id="b"))
    assert [p.answer for p in problems] == ["1", "3"]
    assert refused == ["line 2: the id 'a' was used before"]


def test_a_refusal_is_short_even_where_the_line_is_not(read):
    _, refused = read(ask(1, id="a" * 999), ask(2, id="a" * 999))
    assert refused[0].startswith("line 2: the id 'aaa") and len(refused[0]) < 180


def test_questions_without_an_id_are_numbered_by_line(read):
    problems, refused = read("", ask(1), "nonsense", ask(2))
    assert [p.id for p in problems] == ["line-2", "line-4"] and len(refused) == 1


def test_questions_in_any_language_stay_as_they_are(read):
    (problem,), _ = read(ask(5, question="求解：2x = 10 😀"))
    assert problem.text == "求解：2x = 10 😀"


def test_questions_are_evaluated_and_answers_written(tiny, read, tmp_path, monkeypatch):
    problems, _ = read(ask("x = 2", question="Wie groß ist x?", id="q1"), ask([1, 2]))

    def sample(model, tokenizer, prompts, on_done, **options):
        for i in range(len(prompts)):
            on_done(i, 0, Completion("so x = 2", "eos", 4, 0.1))

    monkeypatch.setattr(kit, "sample", sample)
    rows = kit.evaluate(None, tiny.tokenizer, problems)
    kit.write_answers(tmp_path / "out" / "answers.jsonl", rows)
    first, second = read_jsonl(tmp_path / "out" / "answers.jsonl")
    assert first == {
        "id": "q1", "question": "Wie groß ist x?", "answer": "x = 2", "output": "so x = 2",
        "read": "x = 2", "exact": False, "lenient": True, "format": False, "finish": "eos",
    }  # fmt: skip
    assert (second["answer"], second["lenient"]) == ("{1, 2}", False)
    assert "groß" in (tmp_path / "out" / "answers.jsonl").read_text(encoding="utf-8")


def test_a_reader_of_ones_own_takes_the_place_of_the_parser(tiny, tmp_path):
    asked = [make_problem("2x = 6"), make_problem("x + 1 = 4")]
    rows = kit.evaluate(tiny.model, tiny.tokenizer, asked, max_new_tokens=4, read=lambda text: None)
    assert not any(row["format"] or row["exact"] for row in rows)
    right = kit.score("anything", "eos", asked[0].answer, reader=lambda text: asked[0].answer)
    assert right["exact"] and right["format"] and right["read"] == asked[0].answer
    assert not kit.score(
        "anything", "length", asked[0].answer, reader=lambda text: asked[0].answer
    )["exact"]
    good = f"<think>\nx = 1\n</think>\n<answer>{asked[0].answer}</answer>"
    assert not kit.score(good, "eos", asked[0].answer, reader=lambda text: None)["format"]
    with pytest.raises(ValueError, match="a journal cannot say"):
        kit.evaluate(
            tiny.model, tiny.tokenizer, asked, journal=tmp_path / "j", read=lambda text: None
        )
