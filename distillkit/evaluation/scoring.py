"""Exact-match evaluation with intervals: greedy answers, strict and lenient, paired before/after.

Strict: the template was obeyed and the value is exactly right.  Lenient: the value that the text
gives somehow is right.  Format: the template was obeyed.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import nullcontext, suppress
from decimal import Decimal
from pathlib import Path
from typing import Any, TypedDict

from distillkit.evaluation.statistics import wilson
from distillkit.generation.sampler import Completion, sample
from distillkit.models.chats import opened
from distillkit.models.loading import fingerprint
from distillkit.problems.algebra import MAX_DIGITS
from distillkit.problems.answers import extract, parse_answer, same_value
from distillkit.problems.equations import Problem, ProblemRecord, must_differ
from distillkit.runtime.files import Journal, read_utf8, write_jsonl
from distillkit.traces.candidates import ENDED
from distillkit.traces.templates import THINK, Template, prompt_mark, prompt_text

MAX_NEW_TOKENS = 128
ANSWER = {"id": str, "problem": dict, "text": str, "finish": str, "tokens": int,
          "seconds": (int, float), "read": (str, type(None)), "format": bool, "exact": bool,
          "lenient": bool}  # fmt: skip


class Score(TypedDict):
    """What an answer is worth; `read` is the answer as it was read, None if there is none."""

    read: str | None
    format: bool
    exact: bool
    lenient: bool


class AnswerRow(Score):
    """A model's answer to one problem, scored; a line of an evaluation's journal."""

    id: str
    problem: ProblemRecord
    template: str
    text: str
    finish: str
    tokens: int
    seconds: float


class Summary(TypedDict):
    """Rates of n answers; `low` and `high` are the 95 % Wilson interval of `exact`.

    `cut` is the share that ended at the limit of tokens: a cut text is not a wrong one.
    """

    exact: float
    format: float
    lenient: float
    cut: float
    n: int
    low: float
    high: float


def score(
    text: str,
    finish: str,
    answer: str,
    template: Template = THINK,
    reader: Callable[[str], str | None] | None = None,
) -> Score:
    """Score one completion: answer as read, format, exact (strict) and lenient.

    `reader` reads the template in the place of the kit's parser; None means: not obeyed.
    """
    parsed = template.parse(text)
    found = reader(text) if reader else parsed.answer if parsed.ok else None
    form = found is not None and finish in ENDED
    read = extract(text) if found is None else found
    right = read is not None and same_value(read, answer)
    return {"read": read, "format": form, "exact": form and right, "lenient": right}


def evaluate(
    model,
    tokenizer,
    problems: Sequence[Problem],
    template: Template = THINK,
    shots: Sequence[Problem] = (),
    journal: str | Path | None = None,
    max_new_tokens: int = MAX_NEW_TOKENS,
    width: int = 64,
    on_done: Callable[[AnswerRow], None] | None = None,
    read: Callable[[str], str | None] | None = None,
) -> list[AnswerRow]:
    """Answer each problem greedily and score it; returns one row a problem, in order.

    `read` is a parser in the place of the template's: a text in, the answer or None out.  If
    `on_done` has a method `step`, such as `teaching.widgets.Count`, it is called after each token
    with the tokens computed one after the other and the most there can be.

    Problems go in fixed groups of `width`, and the journal takes a group at a time: a resumed
    evaluation computes the same batches as an unbroken one, so its numbers are the same bit
    for bit.  Raises JournalError for a journal of another model, prompt, limit or width, ValueError
    for one of other questions, for a journal beside `read`, and for two problems of one id.
    """
    must_differ(problems)
    book = None
    if journal and read:
        raise ValueError("a journal cannot say which function read its answers: read without one")
    if journal:
        about = {"model": fingerprint(model), "template": template.name, "shots": len(shots),
                 "prompt": prompt_mark(tokenizer, template, shots),
                 "max_new_tokens": max_new_tokens, "width": width}  # fmt: skip
        book = Journal(journal, about, ANSWER)
    done: dict[str, AnswerRow] = {row["id"]: row for row in book or ()}

    def report(row: AnswerRow) -> None:
        if on_done and row["id"] not in done:
            on_done(row)

    with book or nullcontext():
        for problem in problems:
            if problem.id in done and done[problem.id]["problem"] != problem.record():
                raise ValueError(
                    f"{journal} holds an answer to another wording of {problem.id}: give a new file"
                )
        groups = [problems[i : i + width] for i in range(0, len(problems), width)]
        groups = [group for group in groups if not all(p.id in done for p in group)]
        step, most = getattr(on_done, "step", None), len(groups) * max_new_tokens
        for at, group in enumerate(groups):
            on_step = step and (lambda n, at=at: step(at * max_new_tokens + n, most))
            words = (template, shots, max_new_tokens, report, read, on_step)
            for row in _answers(model, tokenizer, group, *words):
                if book and row["id"] not in done:
                    book.add(row)
                done[row["id"]] = row
    return [done[problem.id] for problem in problems]


def _answers(
    model,
    tokenizer,
    group: Sequence[Problem],
    template: Template,
    shots: Sequence[Problem],
    max_new_tokens: int,
    on_done: Callable[[AnswerRow], None],
    read: Callable[[str], str | None] | None,
    on_step: Callable[[int], None] | None,
) -> list[AnswerRow]:
    """Let the model answer a group of problems in one batch; returns the rows in order."""
    rows: dict[int, AnswerRow] = {}

    def on_completion(index: int, _: int, completion: Completion) -> None:
        problem = group[index]
        completion.text = opened(prompts[index]) + completion.text  # what the prompt has begun
        rows[index] = {
            "id": problem.id, "problem": problem.record(), "template": template.name,
            **completion.record(),
            **score(completion.text, completion.finish, problem.answer, template, read),
        }  # fmt: skip
        on_done(rows[index])

    prompts = [prompt_text(tokenizer, p.text, template, shots) for p in group]
    sample(model, tokenizer, prompts, stop=template.stop, width=len(group),
           max_new_tokens=max_new_tokens, on_done=on_completion, on_step=on_step)  # fmt: skip
    return [rows[index] for index in range(len(group))]


# --- numbers with intervals -----------------------------------------------------------------------


def summary(rows: Sequence[AnswerRow]) -> Summary:
    """Return the rates of exact, lenient, format and cut, n, and the interval of exact."""
    n = len(rows)
    right = sum(row["exact"] for row in rows)
    low, high = wilson(right, n)
    return {
        "exact": right / n if n else 0.0,
        "format": sum(row["format"] for row in rows) / n if n else 0.0,
        "lenient": sum(row["lenient"] for row in rows) / n if n else 0.0,
        "cut": sum(row["finish"] == "length" for row in rows) / n if n else 0.0,
        "n": n, "low": low, "high": high,
    }  # fmt: skip


def by(rows: Sequence[AnswerRow], key: str) -> dict[str, Summary]:
    """Return one summary for each value of a field of the problem, such as 'family'."""
    groups: dict[str, list[AnswerRow]] = {}
    for row in rows:
        groups.setdefault(row["problem"][key], []).append(row)
    return {name: summary(group) for name, group in groups.items()}


def agreement(student: Sequence[AnswerRow], teacher: Sequence[AnswerRow]) -> float:
    """Return the share of problems on which student and teacher read as the same value."""
    theirs = {row["id"]: row["read"] for row in teacher}
    same = [
        row["read"] is not None and same_value(row["read"], theirs.get(row["id"]) or "")
        for row in student
    ]
    return sum(same) / len(same) if same else 0.0


# --- any file of questions ------------------------------------------------------------------------


def read_questions(path: str | Path) -> tuple[list[Problem], list[str]]:
    """Read questions with their answers; returns the problems and why other rows were refused.

    A row is a line `{"question", "answer"}` (or one of a JSON list, or of a table with these
    columns, parted by commas, semicolons or tabs, as Excel saves them).  An answer may be text, a
    number, or a list of roots; of GSM8K's the part behind `####` counts.  UTF-8 and UTF-16, line
    ends of any system, a byte-order mark and Excel's line `sep=;` are fine.  Raises
    FileNotFoundError, and ValueError for a file that is no text, or neither of these forms.
    """
    problems, refused, seen = [], [], set()
    rows = _rows(read_utf8(path))
    if rows and not any(isinstance(raw, dict) or _may_be_json(raw) for _, raw in rows):
        first = rows[0][1][:60].decode(errors="replace")
        raise ValueError(
            f"{path} holds neither JSON nor columns called question and answer (first line: "
            f'{first!r}). Write lines of {{"question": …, "answer": …}}, or a table parted by '
            "commas, semicolons or tabs"
        )
    for place, raw in rows:
        try:
            row = raw if isinstance(raw, dict) else _json(raw)
            question, answer = row["question"], row["answer"]
            if twice := [name for name in _FIELDS if row.get(name) is _TWICE]:
                raise ValueError(f"the field {twice[0]!r} stands there twice")
            answer = _written(answer)
            if not isinstance(question, str) or not question.strip():
                raise ValueError("the question is no text")
            parse_answer(answer)
            question.encode()  # half a surrogate pair cannot be written
            name, family = (
                default if row.get(key) in (None, "") else str(row[key])
                for key, default in (("id", place.replace(" ", "-")), ("family", "own"))
            )
            f"{name}{family}{answer}".encode()
            if name in seen:
                raise ValueError(f"the id {name!r} was used before")
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            reason = f"no field {error}" if isinstance(error, KeyError) else str(error)
            refused.append(f"{place}: {reason[:160]}")
            continue
        seen.add(name)
        problems.append(Problem(name, question, question, answer, family, "own"))
    return problems, refused


_FIELDS = ("question", "answer", "id", "family")
_TWICE = object()  # the value of a field that stands in an object more than once


def _json(text: bytes) -> Any:
    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        times = Counter(name for name, _ in pairs)
        return {name: value if times[name] == 1 else _TWICE for name, value in pairs}

    return json.loads(text, parse_float=Decimal, object_pairs_hook=once)


def _may_be_json(raw: Any) -> bool:
    return not isinstance(raw, bytes) or raw.lstrip().startswith((b"{", b"["))


def _rows(content: bytes) -> list[tuple[str, Any]]:
    """Return (where it stands, a line or a row that is read already) for each row of a file.

    Raises ValueError for a table with two columns of one name, or with letters not in UTF-8.
    """
    first = content.lstrip().split(b"\n", 1)[0]
    if first.startswith(b"["):
        with suppress(ValueError, RecursionError):
            return [(f"row {number}", row) for number, row in enumerate(_json(content), 1)]
    told = re.match(rb'(?i)"?sep=([,;|\t])"?[^\n]*\n', content)  # a line that Excel reads
    marks = told[1].decode() if told else [mark for mark in ",;\t" if mark.encode() in first]
    for mark in marks if not first.startswith((b"{", b"[")) else ():
        text = content[told.end() if told else 0 :].decode(errors="replace")
        table = csv.DictReader(io.StringIO(text, newline=""), delimiter=mark,
                               skipinitialspace=True)  # fmt: skip
        with suppress(csv.Error):
            names = [name.strip(' "').lower() for name in table.fieldnames or ()]
            table.fieldnames = names
            if {"question", "answer"} <= {*names}:
                if twice := [name for name in _FIELDS if names.count(name) > 1]:
                    raise ValueError(f"two columns are called {twice[0]}: leave one of them")
                _must_be_utf8(content)
                return [(f"line {table.line_num + bool(told)}", row) for row in table]
    lines = enumerate(content.split(b"\n"), 1)
    return [(f"line {number}", line) for number, line in lines if line.strip()]


def _must_be_utf8(content: bytes) -> None:
    try:
        content.decode()
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise ValueError(
            f"line {line} holds a letter that is not in UTF-8, as Excel's plain CSV does: save the "
            "table as 'CSV UTF-8'"
        ) from None


def _written(answer: object) -> str:
    """Write an answer of a file as text for `parse_answer`; raises ValueError for other types."""
    if isinstance(answer, list):
        roots = [_written(root) for root in answer if not isinstance(root, list)]
        if len(roots) < len(answer):
            raise ValueError("the answer is neither text nor number nor a list of them")
        mark = "; " if any("," in root for root in roots) else ", "
        return roots[0] if len(roots) == 1 else "{" + mark.join(roots) + "}"
    if isinstance(answer, bool) or not isinstance(answer, (str, int, float, Decimal)):
        raise ValueError("the answer is neither text nor number nor a list of them")
    if isinstance(answer, Decimal) and answer.is_finite():  # 1E-5 is a number of JSON, too
        if abs(answer.adjusted()) > MAX_DIGITS:
            raise ValueError(f"a number longer than {MAX_DIGITS} digits")
        return f"{answer:f}"
    return str(answer).rpartition("####")[2].strip()


def write_answers(path: str | Path, rows: Sequence[AnswerRow]) -> None:
    """Write one line a question: question, right answer, output, answer as read, verdicts."""
    write_jsonl(path, (
        {
            "id": row["id"], "question": row["problem"]["text"], "answer": row["problem"]["answer"],
            "output": row["text"], "read": row["read"], "exact": row["exact"],
            "lenient": row["lenient"], "format": row["format"], "finish": row["finish"],
        }
        for row in rows
    ))  # fmt: skip
