"""The report of a run: one HTML file that needs nothing else, made from `report.json` and the log.

Model output and questions are untrusted text: everything is escaped.
"""

from __future__ import annotations

import base64
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from html import escape
from importlib.metadata import version
from itertools import accumulate
from pathlib import Path
from typing import Any, NotRequired, TypedDict

from distillkit.evaluation.scoring import AnswerRow, Summary, agreement, by, summary
from distillkit.evaluation.statistics import mcnemar, p_words, paired_difference, wilson
from distillkit.models.loading import Loaded
from distillkit.pipeline.figures import BARS, draw_accuracy, draw_loss
from distillkit.pipeline.recipes import PLAIN_TOKENS, Settings
from distillkit.plots import draw_funnel, to_png
from distillkit.problems.equations import Problem
from distillkit.runtime.files import read_jsonl, write_atomic
from distillkit.runtime.progress import printable
from distillkit.runtime.session import command_name, data_path, processor
from distillkit.traces.candidates import TeacherRecord
from distillkit.traces.filters import Funnel, Trace
from distillkit.traces.templates import THINK
from distillkit.training.checkpoints import LogRow
from distillkit.training.loop import Run

TEACHER_ANSWERS = "teacher_test_qwen2.5-coder-1.5b.jsonl"  # its answers to the test equations
UNTOUCHED = "untouched_512_qwen2.5-coder-0.5b.jsonl"  # the default student's, allowed to finish
LONG_TOKENS = 512  # of each of these answers, at most

STYLE = """
:root{color-scheme:light dark;--ink:#1a1a1a;--soft:#444;--ground:#fff;--box:#f4f4f4;--line:#ccc;
--no:#a33;--yes:#06664a}
@media(prefers-color-scheme:dark){:root{--ink:#e6e6e6;--soft:#b5b5b5;--ground:#16181c;
--box:#23262c;--line:#4a4e57;--no:#ff9c8f;--yes:#62d6a8}}
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;
color:var(--ink);background:var(--ground);overflow-wrap:anywhere}
h1{margin-bottom:0;line-height:1.2}h2{margin-top:2.2rem}
.wide{overflow-x:auto;margin:1rem 0}table{border-collapse:collapse;overflow-wrap:normal}
td,th{border-bottom:1px solid var(--line);padding:.3rem .8rem .3rem 0;text-align:left;
vertical-align:top}tbody th{font-weight:normal}summary{cursor:pointer}
.from td:last-child{overflow-wrap:anywhere}
figure{margin:1rem 0}figcaption,.soft{color:var(--soft)}
img{max-width:100%;background:#fff;border-radius:6px}
pre{background:var(--box);padding:.7rem;overflow-x:auto;white-space:pre-wrap}
.pair{display:grid;grid-template-columns:1fr 1fr;gap:1rem}.pair>div{min-width:0}
.big{font-size:1.3rem}.no{color:var(--no)}.yes{color:var(--yes)}
@media(max-width:40rem){body{margin:1rem auto}.pair{grid-template-columns:1fr}
td,th{font-size:.9rem}}
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
    """The paired difference of exact answers from the student with examples in its prompt, its
    95 % interval and McNemar's p."""

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
    finished: NotRequired[dict[str, Summary]]  # these are `before`, recorded once, not cut
    families: dict[str, dict[str, Summary]]  # these four -> family -> summary
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


def with_interval(found: Summary, rate: str = "exact") -> str:
    """Write a rate of a summary, its 95 % Wilson interval and n: `92 % (81–97, n=48)`."""
    low, high = (100 * end for end in wilson(round(found[rate] * found["n"]), found["n"]))
    return f"{percent(found[rate])} ({low:.0f}–{high:.0f}, n={found['n']})"


def points(change: Change) -> str:
    """Write a paired difference: `+19 points (95 % interval +6 to +31, p = 0.01)`."""
    share, low, high = (100 * change[key] for key in ("difference", "low", "high"))
    return f"{share:+.0f} points (95 % interval {low:+.0f} to {high:+.0f}, {p_words(change['p'])})"


def learned(traces: Mapping[str, int]) -> str:
    """Say what the student learned from, with the numbers of a report's `traces`."""
    words = f"{traces['equations']} verified traces"
    return words + (f" and {traces['general']} general examples" if traces["general"] else "")


def verdict(row: AnswerRow) -> str:
    """Say in words what an answer is worth, and whether it was cut."""
    if row["exact"]:
        return "right"
    word = "right value, not in the asked form" if row["lenient"] else "not right"
    return word + f", cut after {row['tokens']} tokens" * (row["finish"] == "length")


def indented(row: AnswerRow) -> str:
    """Return question, output and what it is worth as a block of text that is safe to print."""
    written = row["text"].strip().split("\n")
    more = [f"… {len(written) - 10} more lines"] if len(written) > 10 else []
    lines = "\n".join(f"      {line}" for line in [*written[:10], *more])
    problem = row["problem"]
    return printable(
        f"  {problem['text']}    [{verdict(row)}; answer {problem['answer']}]\n{lines}"
    )


def _figure(figure: Any, caption: str, table: Sequence[Sequence]) -> str:
    """Return a figure, its caption, and its numbers on request; the first row is their head."""
    data = base64.b64encode(to_png(figure)).decode()
    return (
        f'<figure><img alt="{escape(caption)}" src="data:image/png;base64,{data}">'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
        f"<details><summary>The numbers as a table</summary>{_table(table[0], table[1:])}</details>"
    )


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], kind: str = "") -> str:
    cells = "".join(f"<th scope=col>{escape(h)}</th>" for h in head)
    body = "".join(
        f"<tr><th scope=row>{escape(str(name))}</th>"
        + "".join(f"<td>{escape(str(c))}</td>" for c in row)
        + "</tr>"
        for name, *row in rows
    )
    return (f'<div class="wide {kind}" role=group tabindex=0 '
            f'aria-label="table: {escape(head[0])}"><table><thead><tr>{cells}</tr></thead>'
            f"<tbody>{body}</tbody></table></div>")  # fmt: skip


def _transcript(before: AnswerRow, after: AnswerRow) -> str:
    def side(title: str, row: AnswerRow) -> str:
        mark = "yes" if row["exact"] else "no"
        return (
            f'<div><b>{title}</b>: <span class="{mark}">{verdict(row)}</span>'
            f"<pre>{escape(row['text']) or '(nothing)'}</pre></div>"
        )

    problem = after["problem"]
    return (
        f"<h3>{escape(problem['text'])} <small>(answer: {escape(problem['answer'])})</small></h3>"
        f'<div class="pair">{side("before", before)}{side("after", after)}</div>'
    )


KINDS = {"test": "kinds it was taught", "ood": "other kinds"}  # split -> its column


def accuracy_table(report: Report) -> list[list[str]]:
    """Return the table of right answers, with its head: what was asked of whom, split by split.

    Where the untouched student was not recorded with room to finish, the first row counts what it
    wrote before the cut.
    """
    splits = list(report["after"])
    rows = [
        [f"untouched: the right value, cut after {PLAIN_TOKENS} tokens", "before", "lenient"],
        ["untouched: in the asked form", "before", "exact"],
        ["untouched, six solved examples in its prompt", "few_shot", "exact"],
        ["after distillation", "after", "exact"],
    ]
    if "finished" in report:
        rows[0] = ["untouched: the right value, allowed to finish", "finished", "lenient"]
    table = [["unseen equations", *(KINDS.get(split, split) for split in splits)]]
    for label, column, rate in rows:
        table.append([label, *(with_interval(report[column][split], rate) for split in splits)])
    if theirs := report["teacher"].get("exact"):
        table.append(["the teacher, six solved examples in its prompt",
                      *(with_interval(theirs[split]) for split in splits)])  # fmt: skip
    return table


def family_table(columns: dict[str, dict[str, Summary]]) -> list[list[str]]:
    """Return the numbers of `draw_accuracy`, with their head: a row a family, a column a bar."""
    bars = [(name, label, rate) for name, (_, _, label, rate) in BARS.items() if name in columns]
    rows = [[family, *(with_interval(columns[name][family], rate) for name, _, rate in bars)]
            for family in columns["after"]]  # fmt: skip
    return [["family", *(label for _, label, _ in bars)], *rows]


def loss_table(log: Sequence[LogRow]) -> list[list[str]]:
    """Return the numbers of `draw_loss`, with their head: a row a step, a column a kind."""
    kinds = sorted({kind for row in log for kind in row["kinds"]})
    rows = [[str(row["step"]), str(tokens),
             *(f"{row['kinds'][kind]:.3f}" if kind in row["kinds"] else "–" for kind in kinds)]
            for row, tokens in zip(log, accumulate(row["tokens"] for row in log))]  # fmt: skip
    return [["step", "training tokens", *kinds], *rows]


def write_report(
    path: str | Path,
    report: Report,
    log: Sequence[LogRow],
    pairs: Sequence[tuple[AnswerRow, AnswerRow]],
) -> None:
    """Write the HTML report, and its accuracy by family as `accuracy.png` beside it.

    `pairs` are (before, after) rows of the transcripts.
    """
    accuracy = draw_accuracy(report["families"])
    kept = Funnel(**report["funnel"]).rows()
    free_text = (" Free text is harder to predict than the next step of an equation, so its line "
                 "stands higher.") if report["traces"]["general"] else ""  # fmt: skip
    parts = [
        *_result(report),
        "<h2>By family</h2>",
        _figure(accuracy, "Where the skill reaches and where it ends: families the student was "
                "taught come first, families it never saw follow.",
                family_table(report["families"])),
        "<h2>What the rules kept</h2>",
        _figure(draw_funnel(kept), "The teacher's candidates left after each rule; in brackets how "
                "many the rule stopped.", [["rule", "candidates left"], *kept]),
        f"<p>It learned from {learned(report['traces'])}.</p>",
        "<h2>Training</h2>",
        _figure(draw_loss(log), f"The loss of each step.{free_text}", loss_table(log)),
        "<h2>Before and after</h2>",
        *(_transcript(before, after) for before, after in pairs),
        *_ask_it(report),
        *_how_it_was_made(report),
        "</main></html>\n",
    ]  # fmt: skip
    write_atomic(path, "\n".join(parts))
    write_atomic(Path(path).with_name("accuracy.png"), to_png(accuracy, dpi=120))


def _result(report: Report) -> list[str]:
    """Return the head of the page: who taught whom and why, and the table of right answers."""
    student, teacher, made = report["student"], report["teacher"], report["traces"]
    few_shot, after = report["few_shot"]["test"], report["after"]["test"]
    head, *rows = accuracy_table(report)
    return [
        "<!doctype html><html lang=en><meta charset=utf-8>",
        "<meta name=viewport content='width=device-width,initial-scale=1'>",
        f"<title>distillkit report</title><style>{STYLE}</style><main>",
        f"<h1>{escape(student['name'])}, distilled</h1>",
        f"<p class=soft>Teacher: {escape(teacher['name'])}. Seed {report['seed']}. "
        f"{escape(report['machine'])}, {escape(report['settings']['dtype'])}. "
        f"{escape(report['date'])}.</p>",
        f"<p>This small model was trained on {learned(made)}: solutions that the teacher wrote and "
        "that passed every rule. The aim is that it solves new equations of these kinds in a fixed "
        "form by itself: without the teacher, without examples in its prompt, on any machine.</p>",
        f"<p class=big>Right in the asked form, of {after['n']} unseen equations: "
        f"<b>{percent(few_shot['exact'])}</b> with six solved examples in the prompt before, "
        f"<b>{percent(after['exact'])}</b> without any after. "
        f"Difference {points(report['change'])}.</p>",
        _table(head, rows),
        f"<p>{_about_the_form(report)} In brackets: 95 % Wilson intervals; of the difference, that "
        "of a paired bootstrap, and McNemar's p. They count the luck of the equations, not that of "
        "the training: one seed is one run.</p>",
    ]


def _about_the_form(report: Report) -> str:
    """Say what the rows of the untouched student mean: asked for a form, recorded or cut."""
    before, after = report["before"]["test"], report["after"]["test"]
    words = (
        "In the asked form: steps and answer stand in their tags and the value is exactly right. "
        f"Asked plainly, the untouched student does not write that form (after training "
        f"{percent(after['format'])} of the answers have it)"
    )
    if "finished" not in report:
        return (f"{words}, and {percent(before['cut'])} of its texts were cut after "
                f"{PLAIN_TOKENS} tokens: a cut text is not a wrong one. ")  # fmt: skip
    return words + (
        f". These plain answers were recorded once for this student, with room for {LONG_TOKENS} "
        f"tokens; their text holds the right value for "
        f"{percent(report['finished']['test']['lenient'])} of the equations. "
    )


def _ask_it(report: Report) -> list[str]:
    """Return how to put a question of one's own to the student of this run."""
    command = f'{command_name()} ask RUN "3(x - 2) = 15"'
    return [
        "<h2>Ask it your own equation</h2>",
        f"<p>RUN is the folder of this report.</p><pre>{escape(command)}</pre>",
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
        ], "from"),
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
    old = [row["exact"] for row in few_shot[:split_at]]
    new = [row["exact"] for row in after[:split_at]]
    difference, low, high = paired_difference(old, new)
    answered = [*few_shot, *after]
    recorded = _recorded_answers(before, after, split_at) if settings.teacher == "recorded" else {}
    equations = sum("family" in trace for trace in traces)
    finished = before if were_recorded(before) else []
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
        **({"finished": _by_split(finished, split_at)} if finished else {}),
        "families": {
            "before": by(before, "family"), "few_shot": by(few_shot, "family"),
            "after": by(after, "family"),
            **({"finished": by(finished, "family")} if finished else {}),
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


def finished_answers(sha256: str, problems: Sequence[Problem], quant: str = "") -> list[AnswerRow]:
    """Return the recorded answers of a student that was allowed to finish, in the order asked.

    [] if it is another student or is held in few bits (`quant`), in which it answers otherwise, or
    was not asked all of these questions.
    """
    if quant:
        return []
    rows = {row["id"]: row for row in read_jsonl(data_path(UNTOUCHED))
            if row["student"]["sha256"] == sha256}  # fmt: skip
    same = all(p.id in rows and rows[p.id]["problem"]["text"] == p.text for p in problems)
    return [rows[problem.id] for problem in problems] if same else []


def were_recorded(rows: Sequence[AnswerRow]) -> bool:
    """Say whether answers were recorded: each then says which student gave it."""
    return all("student" in row for row in rows)


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
