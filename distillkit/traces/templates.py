"""Chain-of-thought templates: how a solution is written down, and how it is read back.

A template says where the reasoning stands and where the answer stands.  `render` writes a
completion, `parse` reads one and says what is wrong with it, `messages` builds the chat prompt.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from distillkit.models.chats import Message, chat_text
from distillkit.problems.algebra import parse_equation
from distillkit.problems.equations import Problem, make_problem
from distillkit.problems.trace_forms import trace_form
from distillkit.runtime.files import digest

MAX_COMPLETION_CHARS = 8_000  # longer text is refused before any pattern looks at it


@dataclass(frozen=True)
class Parsed:
    """A completion taken apart; `problem` is empty when the template was obeyed."""

    reasoning: str
    answer: str
    problem: str = ""

    @property
    def ok(self) -> bool:
        """Whether the completion obeys the template."""
        return not self.problem


@dataclass(frozen=True)
class Template:
    """One way to write reasoning and answer."""

    name: str
    instruction: str  # the system message: it describes the form; "": there is none
    render: Callable[[str, str], str]  # (reasoning, answer) -> completion
    pattern: re.Pattern[str]  # groups 'reasoning' and 'answer', matched against the whole text
    stop: str  # generation may stop as soon as this text appears: nothing that may stand inside

    @property
    def blank(self) -> str:
        """A completion with nothing in it, which shows how all of them begin."""
        return self.render("", "")

    def parse(self, text: str) -> Parsed:
        """Read a completion; says what is wrong instead of raising."""
        text = text.strip()
        if len(text) > MAX_COMPLETION_CHARS:
            return Parsed("", "", f"is longer than {MAX_COMPLETION_CHARS} characters")
        found = self.pattern.fullmatch(text)
        if not found:
            return Parsed("", "", f"does not have the form of the template '{self.name}'")
        reasoning, answer = found["reasoning"].strip(), found["answer"].strip()
        if not answer:
            return Parsed(reasoning, "", "the answer is empty")
        if self.name == "json":
            return _parse_json(text)
        return Parsed(reasoning, answer)


def _parse_json(text: str) -> Parsed:
    try:
        value = json.loads(text, object_pairs_hook=_without_duplicates)
        steps, answer = value["steps"], value["answer"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return Parsed("", "", "is not a JSON object with 'steps' and 'answer'")
    if not isinstance(steps, list) or not all(isinstance(s, str) for s in (*steps, answer)):
        return Parsed("", "", "'steps' must be a list of strings and 'answer' a string")
    if not answer.strip():
        return Parsed("\n".join(steps), "", "the answer is empty")
    return Parsed("\n".join(steps), answer.strip())


def _without_duplicates(pairs: list[tuple[str, object]]) -> dict[str, object]:
    if len(dict(pairs)) < len(pairs):
        raise ValueError("the same key twice: which answer counts?")
    return dict(pairs)


def _between(before: str, middle: str, after: str, reasoning: bool = True) -> re.Pattern[str]:
    """Compile a pattern in which no tag may appear inside reasoning or answer.

    In a part, white space may stand wherever the part has a space, and a line break between tags.
    """
    tags = [tag for part in (before, middle, after) for tag in part.split("\n") if tag]
    before, middle, after, *tags = (
        r"\s*".join(map(re.escape, text.split())) for text in (before, middle, after, *tags)
    )
    inside = rf"(?:(?!{'|'.join(tags)})[\s\S])*"
    thoughts = inside if reasoning else ""
    return re.compile(rf"{before}(?P<reasoning>{thoughts}){middle}(?P<answer>{inside}){after}")


# LaTeX: braces in the box come in pairs, and the closing of a formula may follow it
_BOXED = re.compile(
    r"(?P<reasoning>(?:(?!\\boxed\{)[\s\S])*)"
    r"\\boxed\{(?P<answer>(?:(?!\\boxed\{)(?:[^{}]|\{[^{}]*\}))*)\}[\s.$]*(?:\\[\])])?[\s.]*"
)

TEMPLATES = {
    template.name: template
    for template in (
        Template(
            "think",
            "Solve step by step, one step a line: <think>steps</think><answer>result</answer>",
            lambda reasoning, answer: f"<think>\n{reasoning}\n</think>\n<answer>{answer}</answer>",
            _between("<think>", "</think>\n<answer>", "</answer>"),
            "</answer>",
        ),
        Template(
            "boxed",
            "Solve step by step, one step a line, and end with the result in \\boxed{}.",
            lambda reasoning, answer: f"{reasoning}\n\\boxed{{{answer}}}",
            _BOXED,
            "",
        ),
        Template(
            "headings",
            "Solve step by step under the heading '### Steps', one step a line, and give the "
            "result under the heading '### Answer'.",
            lambda reasoning, answer: f"### Steps\n{reasoning}\n### Answer\n{answer}",
            _between("### Steps", "### Answer", ""),
            "",
        ),
        Template(
            "json",
            'Answer with JSON only: {"steps": ["first step", "second step"], "answer": "result"}',
            lambda reasoning, answer: json.dumps(
                {"steps": reasoning.split("\n"), "answer": answer}
            ),
            re.compile(r"(?P<answer>(?P<reasoning>\{)[\s\S]*\})"),
            "",
        ),
        Template(
            "answer-only",
            "Solve. Give only the result: <answer>result</answer>",
            lambda reasoning, answer: f"<answer>{answer}</answer>",
            _between("", "<answer>", "</answer>", reasoning=False),
            "</answer>",
        ),
    )
}
THINK = TEMPLATES["think"]

# Six equations of different kinds, fixed: the few-shot examples for teacher and baseline.
SHOTS = tuple(
    make_problem(equation, "example", "example")
    for equation in (
        "5x + 8 = -27",
        "3x - 7 = 8x + 13",
        "4(x - 6) = -8",
        "6(x + 2) = 3(x - 1)",
        "x/5 = -4",
        "x - 13 = -6",
    )
)


def render_solution(problem: Problem, template: Template = THINK, form: str = "terse") -> str:
    """Write the exact solution of a problem in a template and a trace form (see `trace_forms`)."""
    return template.render("\n".join(trace_form(form)(problem.equation)), problem.answer)


def messages(
    text: str, template: Template = THINK, shots: Sequence[Problem] = (), form: str = "terse"
) -> list[Message]:
    """Build the chat for one question: instruction, examples solved in a trace form, question."""
    chat = [{"role": "system", "content": template.instruction}] if template.instruction else []
    for shot in shots:
        chat.append({"role": "user", "content": shot.text})
        chat.append({"role": "assistant", "content": render_solution(shot, template, form)})
    return [*chat, {"role": "user", "content": text}]


def prompt_text(
    tokenizer,
    text: str,
    template: Template = THINK,
    shots: Sequence[Problem] = (),
    form: str = "terse",
) -> str:
    """Write the chat for one question with the model's chat template, for an answer in `template`.

    Where the chat template opens the thinking itself, the text ends in `opened(text)`, and the
    answer goes on from there.  Raises ModelError: see `chat_text`.
    """
    return chat_text(tokenizer, messages(text, template, shots, form), template.blank)


def prompt_mark(
    tokenizer, template: Template = THINK, shots: Sequence[Problem] = (), form: str = "terse"
) -> str:
    """Return a mark of all that stands round a question, for a journal's first line.

    Instruction, solved examples, the tokenizer's chat template (not filled in) and the stop text.
    """
    chat = getattr(tokenizer, "chat_template", None)
    return digest([messages("", template, shots, form), chat, template.stop])


def displayed_steps(reasoning: str) -> list[str]:
    """Return the lines of a rationale that display an equation."""
    lines = []
    for line in reasoning.split("\n"):
        try:
            parse_equation(line)
        except ValueError:
            continue
        lines.append(line.strip())
    return lines
