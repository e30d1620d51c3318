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
from typing import Any

from distillkit.evaluation.scoring import AnswerRow, Summary, agreement, by, summary
from distillkit.evaluation.statistics import mcnemar, paired_difference
from distillkit.models.loading import Loaded
from distillkit.pipeline.figures import draw_accuracy, draw_loss
from distillkit.plots import draw_funnel, to_png
from distillkit.runtime.files import read_jsonl, write_atomic
from distillkit.runtime.progress import printable
from distillkit.runtime.session import data_path, processor
from distillkit.traces.candidates import TeacherRecord
from distillkit.traces.filters import Funnel, Trace
from distillkit.traces.templates import THINK
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


def accuracy_rows(report: dict) -> list[list[str]]:
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
    report: dict,
    log: Sequence[dict],
    pairs: Sequence[tuple[AnswerRow, AnswerRow]],
) -> None:
    """Write the HTML report, and its accuracy by family as `accuracy.png` beside it.

    `pairs` are (before, after) rows of the transcripts.
    """
    student, teacher, test = report["student"], report["teacher"], report["after"].get("test")
    families = report["families"]
    accuracy = draw_accuracy(families["before"], families["few_shot"], families["after"])
    funnel = Funnel(**report["funnel"]).rows()
    change = report["change"]
    memory = report["peak_memory_bytes"] / 1e9
    speed = report["tokens_per_second"]
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8>",
        "<meta name=viewport content='width=device-width'>",
        f"<title>distillkit report</title><style>{STYLE}</style>",
        f"<h1>{escape(student['name'])}, distilled</h1>",
        f"<p>Teacher: {escape(teacher['name'])}. Seed {report['seed']}. "
        f"{escape(report['machine'])}, {escape(report['settings']['dtype'])}. "
        f"{escape(report['date'])}.</p>",
        f"<p class=big>Exact answers on {test['n']} unseen equations: "
        f"<b>{percent(report['before']['test']['exact'])}</b> before, "
        f"<b>{percent(test['exact'])}</b> after. Difference "
        f"{100 * change['difference']:+.0f} points, 95 % interval {100 * change['low']:+.0f} to "
        f"{100 * change['high']:+.0f} (paired bootstrap); McNemar p = {change['p']:.2g}.</p>",
        _table(ACCURACY_HEAD, accuracy_rows(report)),
        "<p>Exact: the asked form was obeyed and the value is exactly right. In brackets: 95 % "
        "Wilson interval. Few-shot: the same untouched student with solved examples in the prompt. "
        f"After training {percent(test['format'])} of the answers have the asked form (before: "
        f"{percent(report['before']['test']['format'])}).</p>",
        "<h2>By family</h2>",
        _figure(accuracy, "Where the skill reaches and where it ends: families the student was "
                "taught come first, families it never saw follow."),
        "<h2>What the rules kept</h2>",
        _figure(draw_funnel(funnel), "The teacher's candidates left after each rule; in brackets "
                "how many the rule stopped."),
        f"<p>{report['traces']['equations']} verified traces and {report['traces']['general']} "
        "general examples were used for training.</p>",
        "<h2>Training</h2>",
        _figure(draw_loss(log), "The loss of each step. Steps with many general examples stand "
                "higher: free text is harder to predict than the next step of an equation."),
        "<h2>Before and after</h2>",
        *(_transcript(before, after) for before, after in pairs),
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
        "</html>\n",
    ]  # fmt: skip
    write_atomic(path, "\n".join(parts))
    write_atomic(Path(path).with_name("accuracy.png"), to_png(accuracy, dpi=120))


def build_report(
    settings: dict,
    state: dict,
    student: Loaded,
    teacher: TeacherRecord,
    funnel: Funnel,
    traces: Sequence[Trace],
    run: Run,
    before: Sequence[AnswerRow],
    few_shot: Sequence[AnswerRow],
    after: Sequence[AnswerRow],
    split_at: int,
) -> dict:
    """Collect the numbers of a run for report.json; rows up to `split_at` are the test split."""

    def splits(rows: Sequence[AnswerRow]) -> dict[str, Summary]:
        parts = {"test": rows[:split_at], "ood": rows[split_at:]}
        return {name: summary(part) for name, part in parts.items() if part}

    theirs = {row["id"]: row for row in read_jsonl(data_path(TEACHER_ANSWERS))}
    known = settings["teacher"] == "recorded" and all(row["id"] in theirs for row in after)
    teacher_rows = [theirs[row["id"]] for row in after] if known else []
    old = [row["exact"] for row in before[:split_at]]
    new = [row["exact"] for row in after[:split_at]]
    difference, low, high = paired_difference(old, new)
    answered = [*before, *few_shot, *after]
    seconds = dict(state["seconds"])
    return {
        "student": {"name": student.name, "source": student.source, "sha256": student.sha256},
        "teacher": {
            **{key: teacher.get(key, "") for key in ("name", "source", "sha256")},
            **({"exact": splits(teacher_rows), "agreement": {
                "before": agreement(before, teacher_rows), "after": agreement(after, teacher_rows),
            }} if known else {}),
        },
        "before": splits(before), "few_shot": splits(few_shot), "after": splits(after),
        "families": {
            "before": by(before, "family"), "few_shot": by(few_shot, "family"),
            "after": by(after, "family"),
        },
        "change": {"difference": difference, "low": low, "high": high, "p": mcnemar(old, new)},
        "funnel": asdict(funnel),
        "traces": {
            "equations": sum("family" in trace for trace in traces),
            "general": sum("family" not in trace for trace in traces),
        },
        "seconds": {**seconds, "total": round(sum(seconds.values()), 2)},
        "tokens_per_second": {
            "train": run.tokens / max(run.seconds, 1e-9),
            "sample": sum(r["tokens"] for r in answered) / sum(r["seconds"] for r in answered),
        },
        "peak_memory_bytes": state["peak_memory_bytes"],
        "seed": settings["seed"], "settings": settings, "template": THINK.name,
        "versions": {
            "python": platform.python_version(),
            **{p: version(p) for p in ("torch", "transformers", "peft", "accelerate")},
        },
        "machine": processor(), "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "command": state["command"],
    }  # fmt: skip
