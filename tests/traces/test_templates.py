"""Templates: what is rendered is read back, what is wrong is said, and no text raises."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from distillkit.models.chats import chat_text
from distillkit.problems.answers import same_value
from distillkit.problems.equations import (
    FAMILIES,
    NARROW,
    OUT_OF_DISTRIBUTION,
    make_problem,
    make_problems,
    overlap,
)
from distillkit.problems.solver import solution_steps
from distillkit.traces.templates import (
    MAX_COMPLETION_CHARS,
    SHOTS,
    TEMPLATES,
    THINK,
    displayed_steps,
    messages,
    render_solution,
)

settings.register_profile("kit", deadline=None)
settings.load_profile("kit")

each_template = pytest.mark.parametrize("template", TEMPLATES.values(), ids=TEMPLATES)
TAGS = ["<think>", "</think>", "<answer>", "</answer>", "\\boxed{", "{", "}", "### Steps",
        "### Answer", '{"steps": ["', '"], "answer": "', '"}', "\n", "\r\n", " ", "x = 5", "\0",
        "\u202e", "解", "\\frac{1}{2}", '"', "[", "\ud800"]  # fmt: skip


# --- writing and reading back ----------------------------------------------------------------


def has_a_tag(template, text):
    if template.name == "json":
        return False
    return any(part in text for part in ("<", "\\boxed", "{", "}", "###"))


@each_template
@given(reasoning=st.text(max_size=200), answer=st.text(max_size=40))
def test_what_is_rendered_is_read_back(template, reasoning, answer):
    assume(answer.strip() and not has_a_tag(template, reasoning + "|" + answer))
    parsed = template.parse(template.render(reasoning, answer))
    assert parsed.ok and parsed.problem == ""
    assert parsed.answer == answer.strip()
    if template.name != "answer-only":
        assert parsed.reasoning.strip() == reasoning.strip()


@each_template
@pytest.mark.parametrize("family", FAMILIES)
def test_exact_solutions_obey_every_template(template, family):
    for problem in make_problems(5, (family,), "ood", seed=1):
        parsed = template.parse(render_solution(problem, template))
        assert parsed.ok, parsed
        assert same_value(parsed.answer, problem.answer)
        if template.name != "answer-only":
            assert parsed.reasoning.split("\n") == solution_steps(problem.equation)


@each_template
def test_the_stop_text_stands_at_the_end_and_nowhere_before(template):
    text = render_solution(SHOTS[0], template)
    if template.stop:
        assert text.find(template.stop) == len(text) - len(template.stop)


@pytest.mark.parametrize("step", ["x ∈ {6}", 'the set "{6}"', "{}", "</answer"])
@each_template
def test_no_stop_text_cuts_a_solution_short(template, step):
    """JSON was cut at the first bracket inside a step."""
    text = template.render(step, "x = 6")
    if template.stop:
        text = text[: text.find(template.stop) + len(template.stop)]
    assert template.parse(text).ok


@each_template
def test_space_around_a_completion_does_not_matter(template):
    text = render_solution(SHOTS[0], template)
    assert template.parse(f"\n\n  {text} \r\n\t ") == template.parse(text)


@each_template
def test_windows_line_ends_are_read(template):
    parsed = template.parse(render_solution(SHOTS[0], template).replace("\n", "\r\n"))
    assert parsed.ok and parsed.answer == SHOTS[0].answer
    if template.name != "answer-only":
        assert displayed_steps(parsed.reasoning) == solution_steps(SHOTS[0].equation)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("think", "<think>x = 5</think><answer>x = 5</answer>"),
        ("think", "<think>\nx = 5\n</think>\n\n\n<answer>\nx = 5\n</answer>"),
        ("boxed", "x = 5 \\boxed{x = 5}"),
        ("headings", "###Steps\nx = 5\n\n###  Answer\nx = 5"),
        ("json", '{"answer": "x = 5", "steps": ["x = 5"]}'),
        ("json", '{\n  "steps": ["x = 5"],\n  "answer": "x = 5"\n}'),
    ],
)
def test_the_layout_of_white_space_is_free(name, text):
    parsed = TEMPLATES[name].parse(text)
    assert (parsed.ok, parsed.reasoning, parsed.answer) == (True, "x = 5", "x = 5")


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("x = \\frac{7}{3}\n\\boxed{x = \\frac{7}{3}}", "x = \\frac{7}{3}"),
        ("\\[ 3x = 15 \\]\n\\[ \\boxed{x = 5} \\]", "x = 5"),
        ("So $\\boxed{5}$.", "5"),
    ],
)
def test_a_box_may_stand_in_a_formula_and_hold_a_fraction(text, answer):
    assert TEMPLATES["boxed"].parse(text).answer == answer


# --- saying what is wrong --------------------------------------------------------------------

WRONG = {
    "think": {
        "no tags": "x = 5",
        "no answer": "<think>x = 5</think>",
        "no reasoning": "<answer>5</answer>",
        "reasoning not closed": "<think>x = 5 <answer>5</answer>",
        "answer not closed": "<think>x = 5</think><answer>5",
        "answer first": "<answer>5</answer><think>x = 5</think>",
        "two answers": "<think>x = 5</think><answer>5</answer><answer>6</answer>",
        "two answers, one not closed": "<think>a</think><answer>5<answer>6</answer>",
        "two whole solutions": "<think>a</think><answer>5</answer>" * 2,
        "two solutions, crossed": "<think>a</think><answer>1</think><answer>2</answer>",
        "an answer in the reasoning": "<think>a <answer>5</think><answer>6</answer>",
        "nested reasoning": "<think><think>a</think></think><answer>5</answer>",
        "reasoning closed twice": "<think>a</think>b</think><answer>5</answer>",
        "text before": "Sure! <think>a</think><answer>5</answer>",
        "text between": "<think>a</think> so <answer>5</answer>",
        "text after": "<think>a</think><answer>5</answer> Done.",
        "capitals": "<THINK>a</THINK><ANSWER>5</ANSWER>",
        "nothing": "",
    },
    "boxed": {
        "no box": "x = 5",
        "not closed": "x = 5 \\boxed{5",
        "two boxes": "\\boxed{5} \\boxed{6}",
        "nested boxes": "\\boxed{\\boxed{5}}",
        "text after": "\\boxed{5} is the answer",
        "no backslash": "boxed{5}",
    },
    "headings": {
        "no headings": "x = 5",
        "no answer": "### Steps\nx = 5",
        "no steps": "### Answer\nx = 5",
        "wrong order": "### Answer\nx = 5\n### Steps\nx = 5",
        "two answers": "### Steps\na\n### Answer\n5\n### Answer\n6",
        "steps twice": "### Steps\na\n### Steps\nb\n### Answer\n5",
        "text before": "Sure!\n### Steps\na\n### Answer\n5",
    },
    "json": {
        "no JSON": "x = 5",
        "a list": '["x = 5"]',
        "a number": "5",
        "no answer": '{"steps": ["x = 5"]}',
        "no steps": '{"answer": "5"}',
        "not closed": '{"steps": ["x = 5"], "answer": "5"',
        "two objects": '{"steps": ["a"], "answer": "5"} {"steps": ["a"], "answer": "6"}',
        "two answers": '{"steps": ["a"], "answer": "5", "answer": "6"}',
        "text before": 'Sure: {"steps": ["a"], "answer": "5"}',
        "text after": '{"steps": ["a"], "answer": "5"} Done.',
        "a code fence": '```json\n{"steps": ["a"], "answer": "5"}\n```',
        "single quotes": "{'steps': ['a'], 'answer': '5'}",
        "steps are a text": '{"steps": "a", "answer": "5"}',
        "a step is a number": '{"steps": [1], "answer": "5"}',
        "a step is a list": '{"steps": [["a"]], "answer": "5"}',
        "steps are null": '{"steps": null, "answer": "5"}',
        "the answer is a number": '{"steps": ["a"], "answer": 5}',
        "the answer is NaN": '{"steps": ["a"], "answer": NaN}',
        "the answer is an object": '{"steps": ["a"], "answer": {"x": 5}}',
        "the answer is null": '{"steps": ["a"], "answer": null}',
        "a number of 5000 digits": '{"steps": ["a"], "answer": ' + "9" * 5000 + "}",
        "nested to the limit": '{"steps": ' + "[" * 3900 + "]" * 3900 + "}",
    },
    "answer-only": {
        "no tags": "5",
        "not closed": "<answer>5",
        "two answers": "<answer>5</answer><answer>6</answer>",
        "nested": "<answer><answer>5</answer></answer>",
        "text before": "3x = 15 <answer>5</answer>",
        "text after": "<answer>5</answer> Done.",
    },
}
CASES = [(name, what, text) for name, cases in WRONG.items() for what, text in cases.items()]


@pytest.mark.parametrize(("name", "text"), [(n, t) for n, _, t in CASES],
                         ids=[f"{n}: {what}" for n, what, _ in CASES])  # fmt: skip
def test_a_broken_form_is_refused_with_a_reason(name, text):
    parsed = TEMPLATES[name].parse(text)
    assert not parsed.ok
    assert parsed.answer == ""
    assert name in parsed.problem or "JSON" in parsed.problem or "'steps'" in parsed.problem


@each_template
@pytest.mark.parametrize("nothing", ["", " ", "\n\t"])
def test_an_empty_answer_is_refused_as_such(template, nothing):
    parsed = template.parse(template.render("x = 5", nothing))
    assert not parsed.ok
    assert parsed.problem == "the answer is empty"


@each_template
def test_a_completion_is_not_cut_until_it_fits(template):
    text = render_solution(SHOTS[0], template)
    padded = text + " " * MAX_COMPLETION_CHARS + "and more"
    assert "longer than" in template.parse(padded).problem


# --- texts that were made to hurt ------------------------------------------------------------


@each_template
@given(text=st.one_of(st.text(), st.lists(st.sampled_from(TAGS), max_size=12).map("".join)))
def test_no_text_raises(template, text):
    parsed = template.parse(text)
    assert parsed.ok == (parsed.problem == "")
    assert bool(parsed.answer) == parsed.ok


plain = st.none() | st.booleans() | st.floats() | st.text(max_size=5)
keys = st.sampled_from(["steps", "answer", "a"])


@given(st.recursive(plain, lambda v: st.lists(v, max_size=3) | st.dictionaries(keys, v)))
def test_no_json_value_raises(value):
    parsed = TEMPLATES["json"].parse(json.dumps(value))
    if parsed.ok:
        assert isinstance(value["answer"], str) and parsed.answer == value["answer"].strip()


MEGA = 10_000_000
LARGE = {
    "letters": "a" * MEGA,
    "spaces": " " * MEGA,
    "brackets": "[" * 100_000,
    "nested JSON": '{"steps": ' + "[" * 100_000 + "]" * 100_000 + "}",
    "an open tag": "<think>" + "a" * MEGA,
    "many open tags": "<think>" * (MEGA // 7),
    "many closed tags": "<think>" + "</think> " * (MEGA // 9),
    "many boxes": "\\boxed{" * (MEGA // 7),
    "half a tag": "<" * (MAX_COMPLETION_CHARS - 1),
    "half a heading": "### " * (MAX_COMPLETION_CHARS // 4 - 1),
    "space after a tag": "<think>a</think>" + " " * (MAX_COMPLETION_CHARS - 50) + "x",
    "quotes": '{"' * (MAX_COMPLETION_CHARS // 2 - 1) + "}",
}


@each_template
@pytest.mark.parametrize("text", LARGE.values(), ids=LARGE)
def test_a_large_text_is_refused_quickly(template, text):
    began = time.process_time()
    assert not template.parse(text).ok
    assert time.process_time() - began < 2


# --- chats -----------------------------------------------------------------------------------


def test_a_chat_is_instruction_and_question():
    assert messages("Solve for x: 3x = 9", TEMPLATES["boxed"]) == [
        {"role": "system", "content": TEMPLATES["boxed"].instruction},
        {"role": "user", "content": "Solve for x: 3x = 9"},
    ]


def test_examples_stand_between_instruction_and_question():
    chat = messages("Solve for x: 3x = 9", THINK, SHOTS[:2])
    assert [turn["role"] for turn in chat] == ["system", *["user", "assistant"] * 2, "user"]
    for shot, question, answer in zip(SHOTS, chat[1::2], chat[2::2]):
        assert question["content"] == shot.text
        assert THINK.parse(answer["content"]).answer == shot.answer
    assert chat[-1]["content"] == "Solve for x: 3x = 9"


def test_a_chat_text_ends_where_the_assistant_begins(tiny):
    text = chat_text(tiny.tokenizer, messages("Solve for x: 3x = 9"))
    assert text.endswith("Solve for x: 3x = 9<|im_end|>\n<|im_start|>assistant\n")
    assert text.startswith(f"<|im_start|>system\n{THINK.instruction}")


@each_template
def test_the_instruction_shows_the_form(template):
    shown = {"think": "<think>steps</think><answer>result</answer>", "boxed": "\\boxed{}",
             "headings": "'### Answer'", "json": '"answer": "result"',
             "answer-only": "<answer>result</answer>"}  # fmt: skip
    assert shown[template.name] in template.instruction


def test_the_examples_are_no_test_equations():
    test = make_problems(200, NARROW, "test", 100)
    ood = make_problems(100, OUT_OF_DISTRIBUTION, "ood", 100, avoid=test)
    assert overlap(SHOTS, [*test, *ood]) == []
    assert overlap(SHOTS, [make_problem("-27 = 5n + 8")]), "the check has teeth"


def test_the_examples_are_of_different_kinds():
    assert len({len(solution_steps(shot.equation)) for shot in SHOTS}) >= 3
    assert all(shot.split == "example" for shot in SHOTS)


# --- displayed steps -------------------------------------------------------------------------


def test_displayed_steps_are_the_lines_that_are_equations():
    reasoning = "First subtract 5.\n 3x = 20 - 5 \nso\n3x = 15\nx = 15/3 = 5\nx = 5\r\n\nDone."
    assert displayed_steps(reasoning) == ["3x = 20 - 5", "3x = 15", "x = 5"]
