"""Train on a file of traces: the command `distill`, alone or in several processes."""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState

from distillkit.models.loading import Loaded, load
from distillkit.models.vocabulary import same_vocabulary
from distillkit.pipeline.recipes import SOFT_OBJECTIVES, Settings
from distillkit.runtime.files import read_lines, whole_folder, write_json, write_jsonl
from distillkit.runtime.progress import Stages, steps_progress
from distillkit.runtime.session import Session, processor, start
from distillkit.traces.candidates import CANDIDATE, candidate_fault
from distillkit.traces.filters import Trace, choose, reject, to_traces
from distillkit.training import losses
from distillkit.training.loop import Run, TrainingConfig, distill
from distillkit.training.lora import lora, with_adapter
from distillkit.training.objectives import Match, Objective, fits, next_token, solved_examples
from distillkit.training.on_policy import own_texts
from distillkit.training.packing import Example, Stream, encode, in_epochs
from distillkit.training.top_k import MatchTopK, TopK, load_top_k, record

LONGEST = 128  # tokens that an answer may always have
DIVERGENCES = {name: getattr(losses, name.replace("-", "_")) for name in SOFT_OBJECTIVES}
SELF = "self"


@dataclass(frozen=True)
class Goal:
    """What a training minimises, and on whose texts: the traces' (default) or the student's own.

    `objective` is "sft" (the next token) or a name of `DIVERGENCES`, which need a `teacher`: "self"
    (the untouched student with solved examples in its prompt), a model, or a file of `teach
    --logits`.  `beta` is that of "jsd".  Raises ValueError for what does not go together.
    """

    objective: str = "sft"
    teacher: str = ""
    beta: float | None = None
    on_policy: bool = False

    def __post_init__(self):
        soft = self.objective in DIVERGENCES
        if self.objective != "sft" and not soft:
            known = ", ".join(["sft", *DIVERGENCES])
            raise ValueError(f"unknown objective {self.objective!r}: choose from {known}")
        if soft and not self.teacher:
            raise ValueError(f"--objective {self.objective} needs a --teacher: self, a model, or "
                             "a file of teach --logits")  # fmt: skip
        if not soft and (self.teacher or self.on_policy):
            raise ValueError("--objective sft learns the words of the file: it takes neither "
                             "--teacher nor --on-policy")  # fmt: skip
        if self.beta is not None and self.objective != "jsd":
            raise ValueError("--beta belongs to --objective jsd")
        if self.beta is not None and not 0 < self.beta < 1:
            raise ValueError(f"beta must be between 0 and 1, not {self.beta}: the ends are the KLs")
        if self.on_policy and self.recorded:
            raise ValueError("a recorded teacher has not read the student's own texts: "
                             "--on-policy needs a model")  # fmt: skip

    @property
    def recorded(self) -> bool:
        """Whether the teacher is a file of its words."""
        return self.teacher.endswith(".safetensors")

    @property
    def divergence(self):
        """Return the divergence, with its beta."""
        found = DIVERGENCES[self.objective]
        return found if self.beta is None else partial(found, beta=self.beta)


SFT = Goal()


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
        fault = _text_fault(row) or (_trace_fault(row) if traces else candidate_fault(row))
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
    if len(row["completion"]) > 1:
        return "more than one message in the completion"
    role = row["completion"][0]["role"]
    return "" if role == "assistant" else f"the completion's role is {role[:40]!r}, not 'assistant'"


def _text_fault(row: dict[str, Any]) -> str:
    try:
        json.dumps(row, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        half = error.object[error.start]
        return f"half of a character, {half!r}, stands in it, which no file and no model can take"
    return ""


def _is_messages(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(
        isinstance(m, dict) and isinstance(m.get("role"), str) and isinstance(m.get("content"), str)
        for m in value
    )  # fmt: skip


def distill_file(
    settings: Settings, path: Path, out: Path, precision: str = "", optimizer: str = "adamw",
    command: Sequence[str] = (), goal: Goal = SFT,
) -> dict[str, Any]:  # fmt: skip
    """Train a student on a file of traces, write adapter, traces and report to `out`.

    Returns the report.  With an on-policy `goal` only the traces' prompts are used.  The same call
    goes on with a stopped run.  Of several processes the first one writes and speaks.  `evaluate`
    and `load_run` take the folder as they take a demo's.
    """
    if (out / "report.json").exists():
        raise ValueError(f"{out} holds a finished run, which is kept: choose another folder")
    learned = out / "traces.jsonl"
    if path.resolve() == learned.resolve():
        raise ValueError(f"{path} is where the run keeps what it learned: choose another folder")
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
    if goal.on_policy or goal.teacher == SELF:  # both need the adapter before the first step
        torch.manual_seed(settings.seed)
        student.model = with_adapter(student.model, lora())
    with together.main_process_first():
        objective, what = objective_for(goal, student, examples, machine)
    say(what)
    texts = texts_for(goal, student, traces, examples, config, settings.max_new_tokens)
    if first:
        write_jsonl(learned, traces)  # the file may change, and holds more than was learned
    run = distill(
        student.model, student.tokenizer, texts, config=config, objective=objective,
        out=out / "training", on_step=steps_progress(stages) if first else None,
    )  # fmt: skip
    if not run.finished:
        raise KeyboardInterrupt
    report = _report(settings, student, run) | {
        "file": str(path), "system": shared_system(traces), "processes": together.num_processes,
        "goal": asdict(goal), "command": shlex.join(["distillkit", *command]),
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


def objective_for(
    goal: Goal, student: Loaded, examples: Sequence[Example], machine: Session
) -> tuple[Objective, str]:
    """Return what is minimised, and that in words.

    A teacher sees the six solved examples if the traces' prompts are the template's.  Raises
    ModelError for a teacher with another vocabulary, ValueError for records in another one, and for
    a student that is to teach itself without examples.
    """
    if goal.objective == "sft":
        return next_token, "objective: the next token of the traces"
    if goal.recorded:
        records = load_top_k(goal.teacher, student.tokenizer)
        words = f"{records.about['teacher']}, recorded ({records.about['k']} tokens and the rest)"
        return MatchTopK(records, goal.divergence), f"objective: {goal.objective} to {words}"
    shown = solved_examples(student.tokenizer)
    beginning = shown if fits(shown, examples) else None
    if goal.teacher == SELF:
        if beginning is None:
            raise ValueError("the student can teach itself only if it sees solved examples, and "
                             "these prompts are not the template's")  # fmt: skip
        match = Match(student.model, goal.divergence, adapter=False, beginning=beginning)
        return match, f"objective: {goal.objective} to itself, with solved examples in its prompt"
    teacher = load(goal.teacher.removeprefix("hf:"), machine.device, machine.dtype)
    same_vocabulary(student, teacher)
    with_ = "with" if beginning else "without"
    return (Match(teacher.model, goal.divergence, beginning=beginning),
            f"objective: {goal.objective} to {teacher.name} ({teacher.source}), {with_} solved "
            "examples in its prompt")  # fmt: skip


def texts_for(
    goal: Goal, student: Loaded, traces: Sequence[Trace], examples: Sequence[Example],
    config: TrainingConfig, longest: int,
) -> Sequence[Example] | Stream:  # fmt: skip
    """Return the examples, or the student's own texts to their prompts in as many steps."""
    if not goal.on_policy:
        return examples
    steps = in_epochs(examples, config.batch_size, config.epochs, config.seed).steps
    prompts = [trace["prompt"] for trace in traces]
    return own_texts(student.model, student.tokenizer, prompts, config.batch_size, steps,
                     max_new_tokens=longest, seed=config.seed)  # fmt: skip


def record_file(
    teacher: str, path: Path, k: int, out: Path, seed: int, machine: Session,
    say: Callable[[str], None] = print,
) -> TopK:  # fmt: skip
    """Let a model read a file of traces and write its `k` likeliest tokens at each place to `out`.

    Raises ValueError for a teacher that is no model here and for a file `out` that exists.
    """
    kind, _, name = teacher.partition(":")
    if kind != "hf" or not name:
        raise ValueError(f"{teacher!r} gives no logits: only a local model, hf:ID, does")
    if out.exists():
        raise ValueError(f"{out} exists and is kept: choose another name")
    if out.suffix != ".safetensors":
        raise ValueError(f"{out}: the records are a .safetensors file")
    traces, about = read_traces(path, seed=seed)
    say(about)
    model = load(name, machine.device, machine.dtype, say)
    examples = encode(traces, model.tokenizer)
    shown = solved_examples(model.tokenizer)
    began, beginning = time.monotonic(), shown if fits(shown, examples) else None
    records = record(model.model, model.tokenizer, examples, k, model.name, beginning,
                     lambda done, all_: say(f"part {done} of {all_}, "
                                            f"{time.monotonic() - began:.0f} s"))  # fmt: skip
    records.about.update(source=model.source, sha256=model.sha256, dtype=machine.dtype,
                         file=path.name, traces=str(len(traces)))  # fmt: skip
    records.save(out)
    rest = 100 * records.logs_RJ[:, -1].float().exp()
    say(f"{len(records.marks)} places of {len(traces)} texts, {k} tokens each; the rest has "
        f"{rest.mean():.2f} % on average, {rest.max():.1f} % at most: {out}")  # fmt: skip
    return records


def shared_system(traces: Sequence[Trace]) -> str:
    """Return the commonest system message of traces; "" where most have none."""
    firsts = [trace["prompt"][0] for trace in traces]
    texts = [first["content"] if first["role"] == "system" else "" for first in firsts]
    return max(sorted(set(texts)), key=texts.count)


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
