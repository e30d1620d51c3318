"""The main job in one call: before → teacher → rules → training → after → report, resumable."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from peft import PeftModel

from distillkit.evaluation.scoring import AnswerRow, evaluate, summary
from distillkit.models.downloads import ModelError, key_of
from distillkit.models.loading import Loaded, load, must_be, names_a_path, resolve
from distillkit.pipeline.recipes import (
    PLAIN_TOKENS,
    Settings,
    examples,
    in_turn,
    maker,
    unseen_problems,
)
from distillkit.pipeline.report import (
    LONG_TOKENS,
    Report,
    accuracy_table,
    build_report,
    finished_answers,
    indented,
    learned,
    percent,
    points,
    were_recorded,
    with_interval,
    write_report,
)
from distillkit.problems.equations import Problem, overlap
from distillkit.runtime.files import (
    odd_field,
    read_json,
    read_jsonl,
    whole_folder,
    write_json,
    write_jsonl,
)
from distillkit.runtime.progress import Stages, clock, rows_progress, steps_progress
from distillkit.runtime.session import Session, command_name, data_path, quiet, start
from distillkit.traces.candidates import Candidate, Teacher, TeacherRecord, candidate_ids
from distillkit.traces.filters import Funnel, Trace, choose, mix, reject, to_traces
from distillkit.traces.teachers import teacher as open_teacher
from distillkit.traces.templates import TEMPLATES, THINK
from distillkit.training.checkpoints import LogRow
from distillkit.training.loop import Run, TrainingConfig, distill

FEW_STEPS = 8
REPORT = {  # what `load_run` needs of a report
    "settings": {"tier": str, "student": str, "quant": str},
    "student": {"source": str, "sha256": str},
}


@dataclass(frozen=True)
class Job:
    """What all stages of a run share: settings, folder, machine, teacher, student, equations."""

    settings: Settings
    stages: Stages
    machine: Session
    teacher: Teacher
    student: Loaded
    test: list[Problem]
    ood: list[Problem]

    @property
    def out(self) -> Path:
        """Return the folder of the run."""
        return self.stages.out

    @property
    def unseen(self) -> list[Problem]:
        """Return all equations that are asked, those of the taught families first."""
        return [*self.test, *self.ood]

    def answers(
        self, name: str, model: Any, shots: Sequence[Problem] = (), most: int | None = None
    ) -> list[AnswerRow]:
        """Let a model answer the unseen equations, journaled under a name, `most` tokens each."""
        journal, settings = self.out / f"{name}.jsonl", self.settings
        ids = [problem.id for problem in self.unseen]
        with self.stages.timed("evaluate"):
            return evaluate(
                model, self.student.tokenizer, self.unseen, shots=shots, width=settings.width,
                max_new_tokens=most or settings.max_new_tokens, journal=journal,
                on_done=rows_progress(self.stages, name.replace("_", "-"), ids, journal),
            )  # fmt: skip


@dataclass(frozen=True)
class Before:
    """What the untouched student answered: zero-shot and with solved examples."""

    zero_shot: list[AnswerRow]
    few_shot: list[AnswerRow]


@dataclass(frozen=True)
class Taught:
    """What the teacher gave: who it is, what the rules kept, what the student learns from."""

    teacher: TeacherRecord
    funnel: Funnel
    traces: list[Trace]


def run_demo(settings: Settings, out: Path, command: Sequence[str] = ()) -> Report:
    """Do the whole job in folder `out` (or go on with it) and return the report."""
    job = prepare(settings, out, command)
    before = answer_before(job)
    taught = teach(job)
    run = train(job, taught.traces, before)
    after = answer_after(job, run, before)
    return report_run(job, before, taught, run, after)


def prepare(settings: Settings, out: Path, command: Sequence[str] = ()) -> Job:
    """Say what will be done, fetch what it needs and load the student.

    Raises ModelError for a folder that was begun with another student.
    """
    machine = start(settings.tier, settings.seed, settings.dtype)
    teacher = open_teacher(settings.teacher, machine)
    stages = Stages(out)
    teacher.say = stages.say
    write_json(out / "settings.json", asdict(settings))
    stages.state.setdefault("command", shlex.join(["distillkit", *command]))
    test, ood = unseen_problems(settings)
    stages.say(f"{machine}")
    for line in plan_lines(settings, len(test), len(ood), out):
        stages.say(line)
    with stages.timed("download"):
        resolve(settings.student, stages.say)
        teacher.fetch(stages.say)
    with stages.timed("load"):
        student = load(settings.student, machine.device, machine.dtype, stages.say, settings.quant)
    stages.say(f"student: {student.name} ({student.source})")
    if stages.state.setdefault("student", student.sha256) != student.sha256:
        raise ModelError(f"{out} was begun with another model: start a new run")
    return Job(settings, stages, machine, teacher, student, test, ood)


def answer_before(job: Job) -> Before:
    """Stage 1: ask the untouched student, zero-shot and with solved examples."""
    say, n = job.stages.say, len(job.test)
    say("\n[1/4] before: the untouched student, zero-shot and with solved examples")
    zero_shot = finished_answers(job.student.sha256, job.unseen, job.settings.quant)
    zero_shot = zero_shot or job.answers("before", job.student.model, most=PLAIN_TOKENS)
    say(indented(zero_shot[0]))
    plain = summary(zero_shot[:n])
    if were_recorded(zero_shot):
        say(f"  its plain answers were recorded once, with room for {LONG_TOKENS} tokens: the "
            f"right value for {with_interval(plain, 'lenient')}")  # fmt: skip
    else:
        say(f"  {percent(plain['cut'])} of its plain answers were cut after {PLAIN_TOKENS} tokens: "
            "a cut text is not a wrong one")  # fmt: skip
    few_shot = job.answers("few_shot", job.student.model, examples(job.settings.curriculum))
    say(indented(few_shot[0]))
    say(f"  in the asked form: {percent(plain['exact'])}, with six solved examples "
        f"{percent(summary(few_shot[:n])['exact'])}")  # fmt: skip
    return Before(zero_shot, few_shot)


def teach(job: Job) -> Taught:
    """Stage 2: let the teacher write candidates, keep the verified ones, mix general ones in."""
    settings, say = job.settings, job.stages.say
    say(f"\n[2/4] teacher: {settings.teacher}; then the rules")
    with job.stages.timed("sample"):
        candidates = sample_teacher(job, problems_to_teach(job))
        kept, funnel = reject(candidates)
        traces = to_traces(choose(kept, settings.traces, settings.seed, settings.shares))
        general = read_jsonl(data_path("general.jsonl"))
        mixed = mix(traces, general, settings.general, settings.seed, or_fewer=True)
        write_jsonl(job.out / "traces.jsonl", mixed)
    say(str(funnel))
    say(f"  {funnel.problems_kept} of {funnel.problems} problems have a verified solution")
    parts = {"equations": len(traces), "general": len(mixed) - len(traces)}
    say(f"  training on {learned(parts)}")
    return Taught(candidates[0]["teacher"], funnel, mixed)


def problems_to_teach(job: Job) -> list[Problem]:
    """Return the teacher's own problems or new ones; none is equivalent to an unseen one."""
    settings = job.settings
    problems = job.teacher.problems(settings.families)
    if problems is None:
        turns = in_turn(settings.families, settings.shares)
        n = round(settings.traces * job.teacher.spare)
        make = maker(settings.curriculum)
        problems = make(n, turns, "train", settings.seed, avoid=job.unseen)
    shared = overlap(problems, job.unseen)
    if shared:
        raise RuntimeError(f"{len(shared)} training equations are test equations: {shared[:3]}")
    return problems


def sample_teacher(job: Job, problems: list[Problem]) -> list[Candidate]:
    """Return the teacher's candidates for these problems, journaled."""
    k, journal = job.settings.k, job.out / "candidates.jsonl"
    ids = candidate_ids(problems, job.teacher.tries(k))
    report = rows_progress(job.stages, "candidates", ids, journal)
    return job.teacher.sample(problems, k, seed=job.settings.seed, journal=journal, on_done=report)


def train(job: Job, traces: Sequence[Trace], before: Before) -> Run:
    """Stage 3: train an adapter and save it; raises KeyboardInterrupt where Ctrl-C ended it."""
    settings, student = job.settings, job.student
    job.stages.say("\n[3/4] training a LoRA adapter on the verified traces")
    show, ask = steps_progress(job.stages), first_solved(job, before)

    def on_step(row: LogRow) -> None:
        show(row)
        ask(row)

    with job.stages.timed("train"):
        run = distill(
            student.model,
            student.tokenizer,
            traces,
            config=TrainingConfig(
                settings.rate, settings.batch_size, settings.epochs, settings.seed
            ),
            out=job.out / "training",
            on_step=on_step,
        )
    if not run.finished:
        raise KeyboardInterrupt
    with whole_folder(job.out / "adapter") as folder:
        run.student.save_pretrained(folder)
    job.stages.say(f"  loss {run.log[0]['loss']:.2f} → {run.log[-1]['loss']:.3f}, "
                   f"{run.tokens / run.seconds:.0f} tokens/s")  # fmt: skip
    return run


def first_solved(job: Job, before: Before) -> Callable[[LogRow], None]:
    """Return what asks, after each quarter of the steps, a few equations that the student could
    not solve, until it solves one: that one is shown.

    Of fewer than FEW_STEPS it asks nothing: asking would take longer than training.
    """
    old = {row["id"]: row for row in before.few_shot[: len(job.test)] if not row["exact"]}
    waiting = [problem for problem in job.test if problem.id in old][:4]

    def on_step(row: LogRow) -> None:
        quarters = [row["steps"] * quarter // 4 for quarter in (1, 2, 3)]
        if not waiting or row["steps"] < FEW_STEPS or row["step"] not in quarters:
            return
        job.stages.show(f"  asking again what it could not solve ({len(waiting)})", True)
        answers = evaluate(job.student.model, job.student.tokenizer, waiting,
                           max_new_tokens=job.settings.max_new_tokens)  # fmt: skip
        for answer in (answer for answer in answers if answer["exact"]):
            said = old[answer["id"]]["read"] or "no answer"
            job.stages.say(f"  after {row['step']} steps it solves what it could not "
                           f"({said}, with examples):\n{indented(answer)}")  # fmt: skip
            waiting.clear()
            return

    return on_step


def answer_after(job: Job, run: Run, before: Before) -> list[AnswerRow]:
    """Stage 4: ask the trained student the same equations."""
    job.stages.say("\n[4/4] after: the same equations, zero-shot")
    if not job.settings.quant:
        run.student.merge_adapter()  # the same function with fewer products
    after = job.answers("after", run.student)
    for _, row in shown_pairs(job, before, after):
        job.stages.say(indented(row))
    return after


def report_run(
    job: Job, before: Before, taught: Taught, run: Run, after: list[AnswerRow]
) -> Report:
    """Write the report of a run and print its table."""
    report = build_report(
        job.settings, job.stages.state, job.student, taught.teacher, taught.funnel,
        taught.traces, run, before.zero_shot, before.few_shot, after, len(job.test),
    )  # fmt: skip
    pairs = shown_pairs(job, before, after)
    write_report(job.out / "report.html", report, run.log, pairs)
    write_json(job.out / "report.json", report)  # last: with it, the run is finished
    say_table(job.stages, report)
    return report


def shown_pairs(
    job: Job, before: Before, after: Sequence[AnswerRow]
) -> list[tuple[AnswerRow, AnswerRow]]:
    """Return the answers that are shown, before (plainly asked) and after."""
    return [(before.zero_shot[at], after[at]) for at in pick_shown(before.few_shot, after)]


def read_run(folder: Path) -> dict[str, Any]:
    """Read the report of a finished run; raises ValueError for a folder that holds none."""
    if not (folder / "report.json").exists():
        raise ValueError(f"{folder} holds no report.json: give the folder of a finished demo")
    report = read_json(folder / "report.json")
    if fault := odd_field(report, REPORT) if isinstance(report, dict) else "it is no object":
        raise ValueError(f"{folder / 'report.json'} is no report of a demo: {fault}")
    return report


def adapter_of(folder: Path) -> Path:
    """Return where a run's adapter lies; raises ModelError if a part of it is missing."""
    place = folder / "adapter" if (folder / "adapter").is_dir() else folder
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        if not (place / name).is_file():
            raise ModelError(f"{place} holds no {name}: the run is not whole, start it again")
    return place


def student_of(
    report: dict[str, Any],
    folder: Path,
    device: str,
    dtype: str,
    quant: str = "",
    say: Callable[[str], None] = print,
) -> Loaded:
    """Load the base of a run with the run's adapter on it, not merged.

    Raises ModelError if the base is not the same file, or the adapter damaged.
    """
    adapter, base = adapter_of(folder), report["student"]
    name = report["settings"]["student"]
    if not names_a_path(name):  # a hub may have other weights of that name than the run had
        name = key_of(base["sha256"]) or name
    student = load(name, device, dtype, say, quant)
    must_be(student, base)
    try:
        with quiet():
            student.model = PeftModel.from_pretrained(student.model, adapter)
    except Exception as error:  # PEFT, torch and safetensors have a word each for a broken file
        raise ModelError(f"{adapter}: the adapter is damaged or of another model "
                         f"({str(error)[:200]}): start the run again") from error  # fmt: skip
    return student


def system_of(report: dict[str, Any]) -> str:
    """Return the system message that the student of a run was trained with, "" if none."""
    if "system" in report:  # trained on a file
        return report["system"]
    return TEMPLATES.get(report.get("template"), THINK).instruction


def load_run(folder: Path, say: Callable[[str], None] = print) -> tuple[Any, Any, dict[str, Any]]:
    """Load the student of a finished run: model with its adapter merged, tokenizer, settings.

    Raises ValueError for a folder without report, ModelError as `student_of` does.
    """
    report = read_run(folder)
    settings = report["settings"]
    tier = None if settings["tier"] == "gpu" else settings["tier"]
    machine = start(tier, dtype=settings.get("dtype") if tier else None)
    student = student_of(report, folder, machine.device, machine.dtype, settings["quant"], say)
    if not settings["quant"]:
        student.model.merge_adapter()
    return student.model, student.tokenizer, settings


def pick_shown(few_shot: Sequence[AnswerRow], after: Sequence[AnswerRow]) -> list[int]:
    """Return the places of three questions to show.

    First one that got better (wrong with examples in the prompt, now right), then one that was
    right and still is, then one that is wrong: as far as there are such questions.
    """
    flips = [(old["exact"], new["exact"]) for old, new in zip(few_shot, after, strict=True)]
    wanted = [[(False, True)], [(True, True)], [(True, False), (False, False)]]
    firsts = [next((at for at, flip in enumerate(flips) if flip in kind), None) for kind in wanted]
    shown = [at for at in firsts if at is not None]
    return [*shown, *(at for at in range(len(flips)) if at not in shown)][:3]


def plan_lines(settings: Settings, test: int, ood: int, out: Path) -> list[str]:
    """Say what the run will do, and how to go on with it."""
    return [
        f"plan: {test} unseen equations of {', '.join(settings.families)}; {ood} of other kinds",
        f"      up to {settings.traces} verified traces of the teacher '{settings.teacher}', "
        f"{settings.epochs:g} epoch(s), seed {settings.seed}",
        f"out:  {out}",
        f"stopped? go on with: {command_name()} demo --resume {shlex.quote(str(out))}",
    ]


def say_table(stages: Stages, report: Report) -> None:
    """Print the table of the report and where everything is."""
    table = accuracy_table(report)
    widths = [max(len(row[i]) for row in table) for i in range(len(table[0]))]
    stages.say()
    for row in table:
        stages.say("  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip())
    stages.say(f"\nfrom six examples in the prompt to after: {points(report['change'])}")
    agree = report["teacher"].get("agreement")
    if agree:
        stages.say(f"same value as the teacher, every kind: {percent(agree['before'])} before, "
                   f"{percent(agree['after'])} after")  # fmt: skip
    total, peak = report["seconds"]["total"], report["peak_memory_bytes"] / 1e9
    stages.say(f"{clock(total)} in all, peak memory {peak:.1f} GB")
    stages.say(f"report: {stages.out / 'report.html'}")
