"""The main job in one call: before → teacher → rules → training → after → report, resumable."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from distillkit.candidates import candidate_ids
from distillkit.downloads import ModelError
from distillkit.equations import Problem, make_problems, overlap
from distillkit.filters import choose, mix, reject, to_traces
from distillkit.models import resolve
from distillkit.recipes import Settings, examples, unseen_problems
from distillkit.records import (
    odd_field,
    read_json,
    read_jsonl,
    whole_folder,
    write_json,
    write_jsonl,
)
from distillkit.report import (
    ACCURACY_HEAD,
    accuracy_rows,
    build_report,
    indented,
    percent,
    write_report,
)
from distillkit.session import Session, command_name, data_path, start
from distillkit.stages import Stages, clock, progress, steps_progress
from distillkit.teachers import Recorded, Teacher, teacher
from distillkit.wordings import reworded

REPORT = {  # what `load_run` needs of a report
    "settings": {"tier": str, "student": str, "quant": str},
    "student": {"source": str, "sha256": str},
}


def run_demo(settings: Settings, out: Path, command: Sequence[str] = ()) -> dict:
    """Do the whole job in folder `out` (or go on with it) and return the report."""
    from distillkit.evaluation import evaluate, summary
    from distillkit.models import load
    from distillkit.training import distill, lora

    teacher_ = open_teacher(settings.teacher)
    stages = Stages(out)
    write_json(out / "settings.json", asdict(settings))
    stages.state.setdefault("command", shlex.join(["distillkit", *command]))
    kit = start(settings.tier, settings.seed, settings.dtype)
    test, ood = unseen_problems(settings)
    problems = [*test, *ood]
    stages.say(f"{kit}")
    for line in plan_lines(settings, len(test), len(ood), out):
        stages.say(line)
    with stages.timed("download"):
        resolve(settings.student, stages.say)
        if teacher_ is None:
            resolve(settings.teacher.removeprefix("hf:"), stages.say)
    with stages.timed("load"):
        student = load(settings.student, kit.device, kit.dtype, stages.say, settings.quant)
    stages.say(f"student: {student.name} ({student.source})")
    if stages.state.setdefault("student", student.sha256) != student.sha256:
        raise ModelError(f"{out} was begun with another model: start a new run")

    def answers(name: str, model, shots=()) -> list[dict]:
        journal = out / f"{name}.jsonl"
        report = progress(stages, name.replace("_", "-"), [p.id for p in problems], journal)
        with stages.timed("evaluate"):
            return evaluate(model, student.tokenizer, problems, shots=shots, width=settings.width,
                            max_new_tokens=settings.max_new_tokens, journal=journal,
                            on_done=report)  # fmt: skip

    stages.say("\n[1/4] before: the untouched student, zero-shot and with solved examples")
    before = answers("before", student.model)
    shown = pick_shown(before, settings.families)
    for row in shown:
        stages.say(indented(row))
    few_shot = answers("few_shot", student.model, examples(settings.curriculum))
    stages.say(f"  exact: zero-shot {percent(summary(before[:len(test)])['exact'])}, "
               f"few-shot {percent(summary(few_shot[:len(test)])['exact'])}")  # fmt: skip

    stages.say(f"\n[2/4] teacher: {settings.teacher}; then the rules")
    with stages.timed("sample"):
        candidates, about = teach(settings, kit, problems, teacher_, stages)
        kept, funnel = reject(candidates)
        chosen = choose(kept, settings.traces, settings.seed, settings.shares)
        traces = to_traces(chosen)
        general = read_jsonl(data_path("general.jsonl"))
        mixed = mix(traces, general, settings.general, settings.seed, or_fewer=True)
        write_jsonl(out / "traces.jsonl", mixed)
    stages.say(str(funnel))
    stages.say(f"  {funnel.problems_kept} of {funnel.problems} problems have a verified solution")
    stages.say(f"  training on {len(traces)} traces, {len(mixed) - len(traces)} general examples")

    stages.say("\n[3/4] training a LoRA adapter on the verified traces")
    with stages.timed("train"):
        run = distill(
            student.model, student.tokenizer, mixed, lora(), settings.rate, settings.batch_size,
            settings.epochs, settings.seed, out / "training",
            on_step=steps_progress(stages),
        )  # fmt: skip
    if not run.finished:
        raise KeyboardInterrupt
    with whole_folder(out / "adapter") as folder:
        run.student.save_pretrained(folder)
    stages.say(f"  loss {run.log[0]['loss']:.2f} → {run.log[-1]['loss']:.3f}, "
               f"{run.tokens / run.seconds:.0f} tokens/s")  # fmt: skip

    stages.say("\n[4/4] after: the same equations, zero-shot")
    if not settings.quant:
        run.student.merge_adapter()  # the same function with fewer products
    after = answers("after", run.student)
    for row in shown:
        stages.say(indented(next(r for r in after if r["id"] == row["id"])))

    report = build_report(asdict(settings), stages.state, student, about, funnel, mixed, run,
                          before, few_shot, after, len(test))  # fmt: skip
    pairs = [(row, next(r for r in after if r["id"] == row["id"])) for row in shown]
    write_report(out / "report.html", report, run.log, pairs)
    write_json(out / "report.json", report)  # last: with it, the run is finished
    say_table(stages, report, out)
    return report


def load_run(folder: Path) -> tuple[Any, Any, dict]:
    """Load the student of a finished run: model with its adapter merged, tokenizer, settings.

    Raises ValueError for a folder without report, ModelError if the base is not the same file.
    """
    from peft import PeftModel

    from distillkit.conversion import quiet
    from distillkit.models import load

    if not (folder / "report.json").exists():
        raise ValueError(f"{folder} holds no report.json: give the folder of a finished demo")
    report = read_json(folder / "report.json")
    if fault := odd_field(report, REPORT) if isinstance(report, dict) else "it is no object":
        raise ValueError(f"{folder / 'report.json'} is no report of a demo: {fault}")
    settings = report["settings"]
    tier = None if settings["tier"] == "gpu" else settings["tier"]
    kit = start(tier, dtype=settings.get("dtype") if tier else None)
    student = load(settings["student"], kit.device, kit.dtype, quant=settings["quant"])
    if student.sha256 != report["student"]["sha256"]:
        raise ModelError(
            f"{student.name} ({student.source}) is not the model this adapter was trained on "
            f"({report['student']['source']}): set DISTILLKIT_MODELS to a folder that has it"
        )
    with quiet():
        model = PeftModel.from_pretrained(student.model, folder / "adapter")
    if not settings["quant"]:
        model.merge_adapter()
    return model, student.tokenizer, settings


def open_teacher(name: str) -> Teacher | None:
    """Build the teacher before any work is done, so that a wrong name costs no time.

    None stands for a local model, which is large: it is loaded when it is needed.
    """
    return None if name.startswith("hf:") else teacher(name)


def teach(settings: Settings, kit: Session, unseen: list[Problem], teacher_, stages: Stages):
    """Return the teacher's candidates and who it is; nothing overlaps with the test equations."""
    name = settings.teacher
    teacher_ = teacher_ or teacher(name, device=kit.device, dtype=kit.dtype)
    if isinstance(teacher_, Recorded):
        problems = teacher_.problems(settings.families)
    else:
        spare = 1.0 if name.startswith("solver") else 1.4  # some candidates will be rejected
        turns = [f for f in settings.families for _ in range(round(settings.shares.get(f, 1)))]
        problems = make_problems(round(settings.traces * spare), turns, "train",
                                 settings.seed, avoid=unseen)  # fmt: skip
        if settings.curriculum == "broad":
            problems = reworded(problems, settings.seed)
    shared = overlap(problems, unseen)
    if shared:
        raise RuntimeError(f"{len(shared)} training equations are test equations: {shared[:3]}")
    k = 1 if name.startswith("solver") else settings.k
    journal = stages.out / "candidates.jsonl"
    report = progress(stages, "candidates", candidate_ids(problems, k), journal)
    candidates = teacher_.sample(problems, k, seed=settings.seed, on_done=report, journal=journal)
    return candidates, candidates[0]["teacher"]


def pick_shown(rows: Sequence[dict], families: Sequence[str]) -> list[dict]:
    """Return three rows to show: the first of the last three taught families (or of the first)."""
    firsts = [next(r for r in rows if r["problem"]["family"] == f) for f in families[-3:]
              if any(r["problem"]["family"] == f for r in rows)]  # fmt: skip
    rest = [row for row in rows if row not in firsts]
    return [*firsts, *rest][:3]


def plan_lines(settings: Settings, test: int, ood: int, out: Path) -> list[str]:
    """Say what the run will do, and how to go on with it."""
    return [
        f"plan: {test} unseen equations of {', '.join(settings.families)}; {ood} of other kinds",
        f"      up to {settings.traces} verified traces of the teacher '{settings.teacher}', "
        f"{settings.epochs:g} epoch(s), seed {settings.seed}",
        f"out:  {out}",
        f"stopped? go on with: {command_name()} demo --resume {shlex.quote(str(out))}",
    ]


def say_table(stages: Stages, report: dict, out: Path) -> None:
    """Print the table of the report and where everything is."""
    table = [ACCURACY_HEAD, *accuracy_rows(report)]
    widths = [max(len(row[i]) for row in table) for i in range(len(ACCURACY_HEAD))]
    stages.say()
    for row in table:
        stages.say("  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip())
    change = report["change"]
    stages.say(
        f"\ndifference {100 * change['difference']:+.0f} points (95 % interval "
        f"{100 * change['low']:+.0f} to {100 * change['high']:+.0f}, McNemar p = {change['p']:.2g})"
    )
    agree = report["teacher"].get("agreement")
    if agree:
        stages.say(f"same value as the teacher, every kind: {percent(agree['before'])} before, "
                   f"{percent(agree['after'])} after")  # fmt: skip
    total, peak = report["seconds"]["total"], report["peak_memory_bytes"] / 1e9
    stages.say(f"{clock(total)} in all, peak memory {peak:.1f} GB")
    stages.say(f"report: {out / 'report.html'}")
