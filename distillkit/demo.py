"""The main job in one call: before → teacher → rules → training → after → report, resumable."""

from __future__ import annotations

import shlex
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from distillkit.equations import NARROW, OUT_OF_DISTRIBUTION, Problem, make_problems, overlap
from distillkit.filters import choose, mix, reject, to_traces
from distillkit.models import resolve
from distillkit.records import read_jsonl, write_json, write_jsonl
from distillkit.report import (
    ACCURACY_HEAD,
    accuracy_rows,
    build_report,
    indented,
    percent,
    write_report,
)
from distillkit.session import Session, command_name, data_path, start
from distillkit.stages import Stages, clock, progress
from distillkit.teachers import Recorded, Teacher, teacher
from distillkit.templates import SHOTS

TEST_SEED = 100  # the test equations are the same in every run; the seed moves the training


@dataclass(frozen=True)
class Settings:
    """Everything a run depends on; kept in `settings.json`, so that a resumed run is the same."""

    tier: str
    student: str
    teacher: str
    families: tuple[str, ...]
    traces: int
    test: int
    ood: int
    seed: int
    general: float = 0.2
    k: int = 4
    rate: float = 5e-4
    batch_size: int = 8
    shares: dict[str, float] = field(default_factory=dict)  # a family not named here counts 1
    epochs: float = 1.0
    width: int = 96
    quant: str = ""
    dtype: str = "float32"


# Steps that move a term across are the hardest, so the teacher's both-sides equations count three
# times; data/ablation_training.csv neither confirms nor refutes that this helps.
# SmolLM2-135M learns the form at once, but its arithmetic is too weak for these families: it gets
# the one kind that needs a single operation.
HARD = {"both-sides": 3.0}
TIERS = {
    "cpu": {"teacher": "recorded", "families": NARROW, "traces": 128, "shares": HARD, "test": 48,
            "ood": 30},
    "gpu": {"teacher": "recorded", "families": NARROW, "traces": 200, "shares": HARD, "test": 100,
            "ood": 60},
    "tiny": {"teacher": "solver", "families": ("one-step",), "traces": 200, "test": 48, "ood": 0,
             "rate": 2e-3},
}  # fmt: skip


def settings_for(kit: Session, **asked: object) -> Settings:
    """Return the tier's settings with what was asked for in their place (None: the default)."""
    base = Settings(tier=kit.tier, student=kit.student, seed=kit.seed, dtype=kit.dtype,
                    **TIERS[kit.tier])  # fmt: skip
    return replace(base, **{name: value for name, value in asked.items() if value is not None})


def run_demo(settings: Settings, out: Path, command: Sequence[str] = ()) -> dict:
    """Do the whole job in folder `out` (or go on with it) and return the report."""
    from distillkit.evaluation import evaluate, summary
    from distillkit.models import load
    from distillkit.training import distill, lora

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
        teacher_ = open_teacher(settings.teacher, stages)
    with stages.timed("load"):
        student = load(settings.student, kit.device, kit.dtype, stages.say, settings.quant)
    stages.say(f"student: {student.name} ({student.source})")

    def answers(name: str, model, shots=()) -> list[dict]:
        missing = len(problems) - len(read_jsonl(out / f"{name}.jsonl"))
        report = progress(stages, name.replace("_", "-"), missing)
        with stages.timed("evaluate"):
            return evaluate(model, student.tokenizer, problems, shots=shots, width=settings.width,
                            journal=out / f"{name}.jsonl", on_done=report)  # fmt: skip

    stages.say("\n[1/4] before: the untouched student, zero-shot and with solved examples")
    before = answers("before", student.model)
    shown = pick_shown(before, settings.families)
    for row in shown:
        stages.say(indented(row))
    few_shot = answers("few_shot", student.model, SHOTS)
    stages.say(f"  exact: zero-shot {percent(summary(before[:len(test)])['exact'])}, "
               f"few-shot {percent(summary(few_shot[:len(test)])['exact'])}")  # fmt: skip

    stages.say(f"\n[2/4] teacher: {settings.teacher}; then the rules")
    with stages.timed("sample"):
        candidates, about = teach(settings, kit, problems, teacher_, stages)
        kept, funnel = reject(candidates)
        chosen = choose(kept, settings.traces, settings.seed, settings.shares)
        traces = to_traces(chosen)
        general = read_jsonl(data_path("general.jsonl"))
        most = len(general) / max(1, len(general) + len(traces))
        mixed = mix(traces, general, min(settings.general, most), settings.seed)
        write_jsonl(out / "traces.jsonl", mixed)
    stages.say(str(funnel))
    stages.say(f"  {funnel.problems_kept} of {funnel.problems} problems have a verified solution")
    stages.say(f"  training on {len(traces)} traces, {len(mixed) - len(traces)} general examples")

    stages.say("\n[3/4] training a LoRA adapter on the verified traces")
    with stages.timed("train"):
        began, first = time.monotonic(), []

        def on_step(row: dict) -> None:
            first.append(row["step"])
            pace = (time.monotonic() - began) / len(first)
            left = pace * (row["steps"] - row["step"])
            stages.show(f"  step {row['step']}/{row['steps']}  loss {row['loss']:.3f}  "
                        f"about {clock(left)} left", row["step"] == row["steps"])  # fmt: skip

        run = distill(
            student.model, student.tokenizer, mixed, lora(), settings.rate, settings.batch_size,
            settings.epochs, settings.seed, out / "training", on_step=on_step,
        )  # fmt: skip
    if not run.finished:
        raise KeyboardInterrupt
    run.student.save_pretrained(out / "adapter")
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


def unseen_problems(settings: Settings) -> tuple[list[Problem], list[Problem]]:
    """Return the unseen equations: of the taught families, and of families never taught.

    A shorter test is the beginning of a longer one, so that the teacher's recorded answers serve
    every length.
    """
    test = make_problems(max(100, settings.test), settings.families, "test", TEST_SEED)
    ood = make_problems(max(60, settings.ood), OUT_OF_DISTRIBUTION, "ood", TEST_SEED, avoid=test)
    return test[: settings.test], ood[: settings.ood]


def open_teacher(name: str, stages: Stages) -> Teacher | None:
    """Build the teacher before any work is done, so that a wrong name costs no time.

    A local model is only downloaded here and loaded when it is needed: it is large.
    """
    if name.startswith("hf:"):
        resolve(name.removeprefix("hf:"), stages.say)
        return None
    return teacher(name)


def teach(settings: Settings, kit: Session, unseen: list[Problem], teacher_, stages: Stages):
    """Return the teacher's candidates and who it is; nothing overlaps with the test equations."""
    name = settings.teacher
    teacher_ = teacher_ or teacher(name, device=kit.device, dtype=kit.dtype)
    if isinstance(teacher_, Recorded):
        problems = teacher_.problems(settings.families)
    else:
        spare = 1.0 if name.startswith("solver") else 1.4  # some candidates will be rejected
        problems = make_problems(round(settings.traces * spare), settings.families, "train",
                                 settings.seed, avoid=unseen)  # fmt: skip
    shared = overlap(problems, unseen)
    if shared:
        raise RuntimeError(f"{len(shared)} training equations are test equations: {shared[:3]}")
    k = 1 if name.startswith("solver") else settings.k
    report = progress(stages, "candidates", k * len(problems))
    candidates = teacher_.sample(problems, k, seed=settings.seed, on_done=report,
                                 journal=stages.out / "candidates.jsonl")  # fmt: skip
    return candidates, candidates[0]["teacher"]


def pick_shown(rows: Sequence[dict], families: Sequence[str]) -> list[dict]:
    """Return three rows to show: the first of the last three taught families (or of the first)."""
    firsts = [next(r for r in rows if r["problem"]["family"] == f) for f in families[-3:]
              if any(r["problem"]["family"] == f for r in rows)]  # fmt: skip
    rest = [row for row in rows if row not in firsts]
    return [*firsts, *rest][:3]


def plan_lines(settings: Settings, test: int, ood: int, out: Path) -> list[str]:
    """Say what the run will do, how long it should take here, and how to go on with it."""
    minutes = expected_minutes(settings, test + ood)
    return [
        f"plan: {test} unseen equations of {', '.join(settings.families)}; {ood} of other kinds",
        f"      up to {settings.traces} verified traces of the teacher '{settings.teacher}', "
        f"{settings.epochs:g} epoch(s), seed {settings.seed}",
        f"time: about {minutes:.0f} min on this machine, after downloads",
        f"out:  {out}",
        f"stopped? go on with: {command_name()} demo --resume {shlex.quote(str(out))}",
    ]


def expected_minutes(settings: Settings, answers: int) -> float:
    """Estimate the run's minutes from this machine's speed in a float32 matrix product.

    Work: 2 operations a weight and token forward, as many again for the gradient of the
    activations; about 80 tokens an answer and 80 a trace beyond the shared prompt; half of the
    product's speed is reached in answering and 0.7 of it in training, and bfloat16 makes
    all of it about 1.8 times as fast (measured on two cores).
    """
    import torch

    if settings.tier == "gpu":
        return 3.0
    weights = 0.135e9 if "135M" in settings.student else 0.494e9
    a = torch.rand(1024, 1024)
    a @ a
    began = time.perf_counter()
    for _ in range(4):
        a @ a
    rate = 4 * 2 * 1024**3 / (time.perf_counter() - began)
    answering = 3 * answers * 80 * 2 * weights / (0.5 * rate)
    traces = settings.traces / (1 - settings.general) * settings.epochs
    training = traces * 80 * 4 * weights / (0.7 * rate)
    return (answering + training) / (1.8 if settings.dtype == "bfloat16" else 1) / 60 + 0.3


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
        stages.say(f"same value as the teacher: {percent(agree['before'])} before, "
                   f"{percent(agree['after'])} after")  # fmt: skip
    total, peak = report["seconds"]["total"], report["peak_memory_bytes"] / 1e9
    stages.say(f"{clock(total)} in all, peak memory {peak:.1f} GB")
    stages.say(f"report: {out / 'report.html'}")
