"""Train on a file of traces: the command `distill`, alone or in several processes."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from accelerate import PartialState

from distillkit.models.loading import Loaded, load
from distillkit.pipeline.recipes import Settings
from distillkit.runtime.files import odd_field, read_lines, whole_folder, write_json
from distillkit.runtime.progress import Stages, steps_progress
from distillkit.runtime.session import processor, start
from distillkit.traces.candidates import CANDIDATE
from distillkit.traces.filters import Trace, choose, reject, to_traces
from distillkit.training.loop import Run, TrainingConfig, distill
from distillkit.training.packing import Example, encode

LONGEST = 128  # tokens that an answer may always have


def read_traces(path: Path, limit: int | None = None, seed: int = 0) -> tuple[list[Trace], str]:
    """Read traces, or candidates of which the rules choose; return them and what was done.

    A trace has a prompt and a completion (lists of messages), a candidate a problem and a text, as
    `teach` writes them.  Raises ValueError for other lines and if no candidate passes the rules.
    """
    if not path.exists():
        raise FileNotFoundError(f"{path}: there is no such file")
    lines = read_lines(path)
    if not lines:
        raise ValueError(f"{path} holds no lines: give traces, or candidates of `teach`")
    rows = [row for _, row in lines]
    traces = "prompt" in rows[0] or "completion" in rows[0]
    for number, row in lines:
        fault = _trace_fault(row) if traces else odd_field(row, CANDIDATE)
        if fault:
            raise ValueError(
                f"{path}, line {number}: neither a trace (prompt: messages, completion: one "
                "message; a message has role and content) nor a candidate "
                f"({', '.join(sorted(CANDIDATE))}), or the file mixes both: {fault}"
            )
    if traces:
        return rows[:limit], f"{len(rows)} traces read"
    kept, funnel = reject(rows)
    if not kept:
        raise ValueError(f"{path}: no candidate passes the rules\n{funnel}")
    problems = len({row["problem"]["id"] for row in kept})
    return to_traces(choose(kept, limit or problems, seed)), str(funnel)


def _trace_fault(row: dict[str, Any]) -> str:
    for name in ("prompt", "completion"):
        if not _is_messages(row.get(name)):
            return f"the field {name!r} is {json.dumps(row.get(name))[:40]}"
    return "" if len(row["completion"]) == 1 else "more than one message in the completion"


def _is_messages(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(
        isinstance(m, dict) and isinstance(m.get("role"), str) and isinstance(m.get("content"), str)
        for m in value
    )  # fmt: skip


def distill_file(
    settings: Settings, path: Path, out: Path, precision: str = "", optimizer: str = "adamw",
    command: Sequence[str] = (),
) -> dict[str, Any]:  # fmt: skip
    """Train a student on a file of traces, write adapter and report to `out`, return the report.

    The same call goes on with a stopped run.  Of several processes the first one writes and
    speaks.  `evaluate` and `load_run` take the folder as they take a demo's.
    """
    if (out / "report.json").exists():
        raise ValueError(f"{out} holds a finished run, which is kept: choose another folder")
    machine = start(settings.tier, settings.seed, settings.dtype)
    together = PartialState(cpu=machine.device == "cpu")
    with together.main_process_first():  # the first one downloads and converts
        first = together.is_main_process
        stages = Stages(out) if first else None
        say = stages.say if first else (lambda _="": None)
        say(f"{machine}")
        traces, about = read_traces(path, settings.traces or None, settings.seed)
        student = load(settings.student, machine.device, machine.dtype, say, settings.quant)
    say(about)
    say(f"student: {student.name} ({student.source}); {len(traces)} traces, "
        f"{together.num_processes} process(es)")  # fmt: skip
    say(f"stopped? go on with the same command, in {out}")
    examples = encode(traces, student.tokenizer)
    settings = replace(settings, traces=len(traces), max_new_tokens=room_for(examples))
    config = TrainingConfig(
        settings.rate, settings.batch_size, settings.epochs, settings.seed,
        optimizer=optimizer, precision=precision,
    )  # fmt: skip
    run = distill(
        student.model, student.tokenizer, examples, config=config, out=out / "training",
        on_step=steps_progress(stages) if first else None,
    )  # fmt: skip
    if not run.finished:
        raise KeyboardInterrupt
    report = _report(settings, student, run) | {
        "file": str(path), "processes": together.num_processes,
        "command": shlex.join(["distillkit", *command]),
    }  # fmt: skip
    if first:
        with whole_folder(out / "adapter") as folder:
            run.student.save_pretrained(folder)
        write_json(out / "report.json", report)  # last: with it, the run is finished
        say(f"loss {run.log[0]['loss']:.2f} → {run.log[-1]['loss']:.3f}, {run.tokens} tokens at "
            f"{run.tokens / run.seconds:.0f} a second")  # fmt: skip
        say(f"adapter: {out / 'adapter'}")
    together.destroy_process_group()
    return report


def room_for(examples: Sequence[Example]) -> int:
    """Return how many tokens an answer may have: a quarter more than the longest example's."""
    longest = max(sum(label >= 0 for label in example.labels) for example in examples)
    return max(LONGEST, longest * 5 // 4)


def _report(settings: Settings, student: Loaded, run: Run) -> dict[str, Any]:
    return {
        "student": {"name": student.name, "source": student.source, "sha256": student.sha256},
        "settings": asdict(settings), "machine": processor(),
        "training": {
            "steps": len(run.log), "loss": [row["loss"] for row in run.log], "tokens": run.tokens,
            "seconds": round(run.seconds, 1),
        },
    }  # fmt: skip
