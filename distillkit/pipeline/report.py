"""The report of a run: one HTML file that needs nothing else, made from `report.json` and the log.

Model output and questions are untrusted text: everything is escaped.
"""

from __future__ import annotations

import base64
import platform
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from html import escape
from importlib.metadata import version
from pathlib import Path
from typing import Any, NotRequired, TypedDict

from distillkit.evaluation.scoring import AnswerRow, Summary, agreement, by, summary
from distillkit.evaluation.statistics import mcnemar, paired_difference
from distillkit.models.loading import Loaded
from distillkit.pipeline.figures import draw_accuracy, draw_loss
from distillkit.pipeline.recipes import Settings
from distillkit.plots import draw_funnel, to_png
from distillkit.runtime.files import read_jsonl, write_atomic
from distillkit.runtime.progress import printable
from distillkit.runtime.session import data_path, processor
from distillkit.traces.candidates import TeacherRecord
from distillkit.traces.filters import Funnel, Trace
from distillkit.traces.templates import THINK
from distillkit.training.checkpoints import LogRow
from distillkit.training.loop import Run

TEACHER_ANSWERS = "teacher_test_qwen2.5-coder-1.5b.jsonl"  # its answers to the test equations

STYLE = """
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;
color:#1a1a1a;background:#fff}h1{margin-bottom:0}h2{margin-top:2.2rem}
table{border-collapse:collapse;margin:1rem 0}td,th{border-bottom:1px solid #ccc;padding:.3rem .8rem;
text-align:right}th:first-child,td:first-child{text-align:left}figure{margin:1rem 0}
figcaption{color:#444}img{max-width:100%}pre{background:#f4f4f4;padding:.7rem;overflow-x:auto;
white-space:pre-wrap}.pair{display:grid;grid-template-columns:1fr 1fr;gap:1rem}
.big{font-size:1.3rem}.no{color:#a33}.yes{color:#06664a}
@media(max-width:40rem){.pair{grid-template-columns:1fr}}
"""


class Origin(TypedDict):
    """A model's name, where it is from, and the hash of its file ("" if it has none)."""

    name: str
    source: str
    sha256: str


class TeacherOrigin(Origin):
    """The teacher; with its own answers to the test equations where these are recorded."""

    exact: NotRequired[dict[str, Summary]]  # by split
    agreement: NotRequired[dict[str, float]]  # share of equal values, "before" and "after"


class Change(TypedDict):
    """The paired difference of exact answers, its 95 % interval and McNemar's p."""

    difference: float
    low: float
    high: float
    p: float


class Report(TypedDict):
    """The numbers of a run: `report.json`."""

    student: Origin
    teacher: TeacherOrigin
    before: dict[str, Summary]  # by split: test, ood
    few_shot: dict[str, Summary]
    after: dict[str, Summary]
    families: dict[str, dict[str, Summary]]  # before, few_shot, after -> family -> summary
    change: Change
    funnel: dict[str, Any]  # the fields of a `Funnel`
    traces: dict[str, int]  # equations, general
    seconds: dict[str, float]  # by stage, and the total
    tokens_per_second: dict[str, float]  # train, sample
    peak_memory_bytes: int
    seed: int
    settings: dict[str, Any]  # the fields of the `Settings`
    template: str
    versions: dict[str, str]
    machine: str
    date: str
    command: str


def percent(value: float) -> str:
    """Write a share as a whole percentage."""
    return f"{100 * value:.0f} %"


def with_interval(found: Summary) -> str:
    """Write accuracy, interval and n: `92 % (81–97, n=48)`."""
    low, high = 100 * found["low"], 100 * found["high"]
    return f"{percent(found['exact'])} ({low:.0f}–{high:.0f}, n={found['n']})"


def indented(row: AnswerRow) -> str:
    """Return question, output and whether it is right as a block of text that is safe to print."""
    lines = "\n".join(f"      {line}" for line in row["text"].strip().split("\n")[:10])
    mark = "right" if row["exact"] else "not right"
    problem = row["problem"]
    return printable(f"  {problem['text']}    [{mark}; answer {problem['answer']}]\n{lines}")


def _figure(figure: Any, caption: str) -> str:
    data = base64.b64encode(to_png(figure)).decode()
    return (
        f'<figure><img alt="{escape(caption)}" src="data:image/png;base64,{data}">'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
    )


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    cells = "".join(f"<th>{escape(h)}</th>" for h in head)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(str(c))}</td>" for c in row) + "</tr>" for row in rows
    )
    return f"<table><thead><tr>{cells}</tr></thead><tbody>{body}</tbody></table>"


def _transcript(before: AnswerRow, after: AnswerRow) -> str:
    def side(title: str, row: AnswerRow) -> str:
        mark, word = ("yes", "right") if row["exact"] else ("no", "not right")
        return (
            f'<div><b>{title}</b>, <span class="{mark}">{word}</span>'
            f"<pre>{escape(row['text']) or '(nothing)'}</pre></div>"
        )

    problem = after["problem"]
    return (
        f"<h3>{escape(problem['text'])} <small>(answer: {escape(problem['answer'])})</small></h3>"
        f'<div class="pair">{side("before", before)}{side("after", after)}</div>'
    )


def accuracy_rows(report: Report) -> list[list[str]]:
    """Return the table's rows: split by split, before, few-shot, after, teacher."""
    names = {"test": "unseen, kinds it was taught", "ood": "unseen, kinds never taught"}
    rows = []
    for split in report["after"]:
        teacher = report["teacher"].get("exact", {}).get(split)
        rows.append([
            names.get(split, split),
            *(with_interval(report[column][split]) for column in ("before", "few_shot", "after")),
            with_interval(teacher) if teacher else "–",
        ])  # fmt: skip
    return rows


ACCURACY_HEAD = ["exact answers", "before, zero-shot", "before, few-shot", "after", "teacher"]


def write_report(
    path: str | Path,
    report: Report,
    log: Sequence[LogRow],
    pairs: Sequence[tuple[AnswerRow, AnswerRow]],
) -> None:
    """Write the HTML report, and its accuracy by family as `accuracy.png` beside it.

    `pairs` are (before, after) rows of the transcripts.
    """
    families = report["families"]
    accuracy = draw_accuracy(families["before"], families["few_shot"], families["after"])
    funnel = draw_funnel(Funnel(**report["funnel"]).rows())
    parts = [
        *_result(report),
        "<h2>By family</h2>",
        _figure(accuracy, "Where the skill reaches and where it ends: families the student was "
                "taught come first, families it never saw follow."),
        "<h2>What the rules kept</h2>",
        _figure(funnel, "The teacher's candidates left after each rule; in brackets how many the "
                "rule stopped."),
        f"<p>{report['traces']['equations']} verified traces and {report['traces']['general']} "
        "general examples were used for training.</p>",
        "<h2>Training</h2>",
        _figure(draw_loss(log), "The loss of each step. Steps with many general examples stand "
                "higher: free text is harder to predict than the next step of an equation."),
        "<h2>Before and after</h2>",
        *(_transcript(before, after) for before, after in pairs),
        *_how_it_was_made(report),
        "</html>\n",
    ]  # fmt: skip
    write_atomic(path, "\n".join(parts))
    write_atomic(Path(path).with_name("accuracy.png"), to_png(accuracy, dpi=120))


def _result(report: Report) -> list[str]:
    """Return the head of the page: who taught whom, and the table of exact answers."""
    student, teacher, change = report["student"], report["teacher"], report["change"]
    before, after = report["before"]["test"], report["after"]["test"]
    return [
        "<!doctype html><html lang=en><meta charset=utf-8>",
        "<meta name=viewport content='width=device-width'>",
        f"<title>distillkit report</title><style>{STYLE}</style>",
        f"<h1>{escape(student['name'])}, distilled</h1>",
        f"<p>Teacher: {escape(teacher['name'])}. Seed {report['seed']}. "
        f"{escape(report['machine'])}, {escape(report['settings']['dtype'])}. "
        f"{escape(report['date'])}.</p>",
        f"<p class=big>Exact answers on {after['n']} unseen equations: "
        f"<b>{percent(before['exact'])}</b> before, <b>{percent(after['exact'])}</b> after. "
        f"Difference {100 * change['difference']:+.0f} points, 95 % interval "
        f"{100 * change['low']:+.0f} to {100 * change['high']:+.0f} (paired bootstrap); "
        f"McNemar p = {change['p']:.2g}.</p>",
        _table(ACCURACY_HEAD, accuracy_rows(report)),
        "<p>Exact: the asked form was obeyed and the value is exactly right. In brackets: 95 % "
        "Wilson interval. Few-shot: the same untouched student with solved examples in the prompt. "
        f"After training {percent(after['format'])} of the answers have the asked form (before: "
        f"{percent(before['format'])}).</p>",
    ]


def _how_it_was_made(report: Report) -> list[str]:
    """Return the end of the page: times, speed, memory, hashes, versions and the command."""
    student, teacher = report["student"], report["teacher"]
    speed, memory = report["tokens_per_second"], report["peak_memory_bytes"] / 1e9
    return [
        "<h2>How it was made</h2>",
        _table(["stage", "seconds"], [[k, f"{v:.0f}"] for k, v in report["seconds"].items()]),
        f"<p>Training {speed['train']:.0f} tokens/s, answering {speed['sample']:.0f} tokens/s, "
        f"peak memory {memory:.1f} GB.</p>",
        _table(["what", "where from"], [
            ["student", f"{student['source']}, SHA-256 {student['sha256'][:16]}…"],
            ["teacher", f"{teacher['source']}, SHA-256 {teacher['sha256'][:16] or '–'}…"],
            *[[name, version] for name, version in report["versions"].items()],
            ["command", report["command"]],
        ]),
    ]  # fmt: skip


def build_report(
    settings: Settings,
    state: dict[str, Any],
    student: Loaded,
    teacher: TeacherRecord,
    funnel: Funnel,
    traces: Sequence[Trace],
    run: Run,
    before: Sequence[AnswerRow],
    few_shot: Sequence[AnswerRow],
    after: Sequence[AnswerRow],
    split_at: int,
) -> Report:
    """Collect the numbers of a run for report.json; rows up to `split_at` are the test split.

    `state` is that of the run's `Stages`: seconds, peak memory and command.
    """
    old = [row["exact"] for row in before[:split_at]]
    new = [row["exact"] for row in after[:split_at]]
    difference, low, high = paired_difference(old, new)
    answered = [*before, *few_shot, *after]
    recorded = _recorded_answers(before, after, split_at) if settings.teacher == "recorded" else {}
    equations = sum("family" in trace for trace in traces)
    return {
        "student": {"name": student.name, "source": student.source, "sha256": student.sha256},
        "teacher": {
            "name": teacher["name"], "source": teacher["source"],
            "sha256": teacher.get("sha256", ""),
            **recorded,
        },
        "before": _by_split(before, split_at),
        "few_shot": _by_split(few_shot, split_at),
        "after": _by_split(after, split_at),
        "families": {
            "before": by(before, "family"), "few_shot": by(few_shot, "family"),
            "after": by(after, "family"),
        },
        "change": {"difference": difference, "low": low, "high": high, "p": mcnemar(old, new)},
        "funnel": asdict(funnel),
        "traces": {"equations": equations, "general": len(traces) - equations},
        "seconds": {**state["seconds"], "total": round(sum(state["seconds"].values()), 2)},
        "tokens_per_second": {
            "train": run.tokens / max(run.seconds, 1e-9),
            "sample": sum(r["tokens"] for r in answered) / sum(r["seconds"] for r in answered),
        },
        "peak_memory_bytes": state["peak_memory_bytes"],
        "seed": settings.seed, "settings": asdict(settings), "template": THINK.name,
        "versions": {
            "python": platform.python_version(),
            **{p: version(p) for p in ("torch", "transformers", "peft", "accelerate")},
        },
        "machine": processor(), "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "command": state["command"],
    }  # fmt: skip


def _by_split(rows: Sequence[AnswerRow], split_at: int) -> dict[str, Summary]:
    parts = {"test": rows[:split_at], "ood": rows[split_at:]}
    return {name: summary(part) for name, part in parts.items() if part}


def _recorded_answers(
    before: Sequence[AnswerRow], after: Sequence[AnswerRow], split_at: int
) -> dict[str, Any]:
    """Return the recorded teacher's accuracy and its agreement with the student; {} if it was
    not asked all of these equations."""
    theirs = {row["id"]: row for row in read_jsonl(data_path(TEACHER_ANSWERS))}
    if not all(row["id"] in theirs for row in after):
        return {}
    rows = [theirs[row["id"]] for row in after]
    shares = {"before": agreement(before, rows), "after": agreement(after, rows)}
    return {"exact": _by_split(rows, split_at), "agreement": shares}
