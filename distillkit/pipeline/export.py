"""A run's student in the forms that other programs read: the command `export`.

The adapter is merged once, in float32, into the base that it was trained on, and rounded once:
never into 4-bit weights.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from shutil import copyfile
from typing import Any

import torch
from safetensors import safe_open
from transformers import GenerationConfig

from distillkit.models.downloads import ModelError, entry, need_space
from distillkit.models.gguf_writer import KINDS, SYSTEM_KEY, writable, write_gguf
from distillkit.models.loading import Loaded
from distillkit.models.modelfile import modelfile
from distillkit.pipeline.demo import adapter_of, read_run, student_of, system_of
from distillkit.pipeline.distill_file import read_traces
from distillkit.pipeline.report import accuracy_table
from distillkit.runtime.files import read_json, whole_folder, write_atomic, write_json, write_jsonl
from distillkit.runtime.progress import printable
from distillkit.runtime.session import quiet

FORMS = ("safetensors", "adapter", "autotrain", *(f"gguf-{kind}" for kind in KINDS))
SPARE = 50_000_000  # bytes for tokenizer, vocabulary and texts
USES = {  # file -> what it is for
    "student-": "weights, tokenizer and chat template in one file, for llama.cpp and its relatives",
    "Modelfile": "for Ollama: chat template and stop words as in the training",
    "model.safetensors": "the weights with the adapter in them; transformers, vLLM and others load "
    "this folder",
    "config.json": "the shape of the model",
    "generation_config.json": "how answers are written: greedily, up to the end token",
    "tokenizer.json": "the tokenizer",
    "tokenizer_config.json": "its special tokens",
    "chat_template.jinja": "how a chat is written, in training and after it",
    "adapter_model.safetensors": "the adapter alone (PEFT): it fits the base named below, no other",
    "adapter_config.json": "where it goes in that base",
    "train.jsonl": "the traces: one chat a line, in the column `messages`",
}
AUTOTRAIN = """
    autotrain llm --train --trainer sft --model {base} --project-name student \\
      --data-path . --train-split train --text-column messages --chat-template tokenizer \\
      --peft --quantization none --lr {rate} --epochs {epochs} --batch-size {batch_size}

AutoTrain Advanced has not been worked on since January 2025 and asks for transformers 4.48, so
give it an environment of its own.  TRL's `SFTTrainer` reads the same file.
"""


@dataclass(frozen=True)
class Work:
    """What an export will write: its largest file, the weights in it, their bytes, and how."""

    file: str
    weights: int
    bytes: int
    write: Callable[[Path], None]

    @property
    def bits(self) -> float:
        """Return the true bits a weight, whatever the form is called (0 without weights)."""
        return 8 * self.bytes / self.weights if self.weights else 0.0

    def __str__(self) -> str:
        size = f"{self.bytes / 1e6:.1f} MB"
        if not self.weights:
            return f"{self.file}: about {size}"
        return f"{self.file}: {self.weights / 1e6:.1f} million weights in {size}, " + (
            f"{self.bits:.2f} bits a weight")  # fmt: skip


def export(
    run: Path, to: Path, form: str = "gguf-q8_0", say: Callable[[str], None] = print
) -> Work:
    """Write the student of a finished run to a new folder, whole or not at all.

    `form` is one of `FORMS`.  Raises ValueError for another one, for a folder that holds something
    and for one that is no run; ModelError for a damaged run, another base, a full disk, and a model
    that this form cannot hold.
    """
    if form not in FORMS:
        raise ValueError(f"unknown format {form!r}: choose from {', '.join(FORMS)}")
    if to.exists() and (not to.is_dir() or any(to.iterdir())):
        raise ValueError(f"{to} exists and is kept: choose a new folder")
    report = read_run(run)
    numbers = _numbers(report)  # before anything is loaded: it may be no whole report
    if form == "autotrain":
        work = _autotrain(run)
    elif form == "adapter":
        work = _adapter(run, report)
    else:
        student = merged(run, report)
        write = _safetensors if form == "safetensors" else _gguf
        work = write(student, report, form, say)
    say(str(work))
    to.parent.mkdir(parents=True, exist_ok=True)
    need_space(to.parent, work.bytes + SPARE, "choose a folder on another disk")
    with whole_folder(to) as folder:
        work.write(folder)
        write_atomic(folder / "README.md", _card(report, numbers, work, folder))
    say(f"written, with a README: {to}")
    return work


def merged(run: Path, report: dict[str, Any]) -> Loaded:
    """Load a run's student in float32 with its adapter merged; raises ModelError."""
    student = student_of(report, run, "cpu", "float32")
    student.model = student.model.merge_and_unload()
    return student


def _safetensors(student: Loaded, report: dict[str, Any], form: str, say: Callable) -> Work:
    """Plan the folder that transformers loads, in the type in which the student was trained."""
    settings, tokenizer = report["settings"], student.tokenizer
    model = student.model.to(getattr(torch, settings.get("dtype", "float32")))
    weights = sum(values.numel() for values in model.parameters())  # a tied head counts once

    def write(folder: Path) -> None:
        model.generation_config = GenerationConfig(
            do_sample=False, max_new_tokens=settings.get("max_new_tokens", 128),
            eos_token_id=tokenizer.eos_token_id, bos_token_id=tokenizer.bos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )  # fmt: skip
        with quiet():
            model.save_pretrained(folder, max_shard_size="1000GB")
        tokenizer.save_pretrained(folder)

    return Work("model.safetensors", weights, weights * model.dtype.itemsize, write)


def _gguf(student: Loaded, report: dict[str, Any], form: str, say: Callable) -> Work:
    """Plan a GGUF file with its Modelfile; says so if Ollama's language lacks the template."""
    kind = form.removeprefix("gguf-")
    stored, file, system = writable(student.model, kind), f"student-{kind}.gguf", system_of(report)
    about = {"general.name": f"{student.name}, distilled", "general.license": _licence(report),
             "distillkit.base": student.source, "distillkit.base_sha256": student.sha256,
             SYSTEM_KEY: system}  # fmt: skip

    def write(folder: Path) -> None:
        write_gguf(student.model, student.tokenizer, folder / file, kind, about)
        try:
            text = modelfile(student.tokenizer, file, system,
                             report["settings"].get("max_new_tokens", 128))  # fmt: skip
        except ModelError as error:
            say(f"no Modelfile: {error}")
        else:
            write_atomic(folder / "Modelfile", text)

    return Work(file, sum(t.weights for t in stored), sum(t.bytes for t in stored), write)


def _adapter(run: Path, report: dict[str, Any]) -> Work:
    """Plan a copy of the adapter, which names its base as others know it."""
    place, file = adapter_of(run), "adapter_model.safetensors"
    config = read_json(place / "adapter_config.json")
    config["base_model_name_or_path"] = report["student"]["name"]
    try:
        with safe_open(place / file, "pt") as tensors:
            shapes = [tensors.get_slice(name).get_shape() for name in tensors.keys()]  # noqa: SIM118
    except Exception as error:  # safetensors' own error class has no public name
        raise ModelError(f"{place / file} is damaged ({error}): start the run again") from error

    def write(folder: Path) -> None:
        copyfile(place / file, folder / file)
        write_json(folder / "adapter_config.json", config)

    weights = sum(rows * columns for rows, columns in shapes)
    return Work(file, weights, (place / file).stat().st_size, write)


def _autotrain(run: Path) -> Work:
    """Plan the folder of AutoTrain's task llm-sft: whole chats in one column."""
    path = run / "traces.jsonl"
    if not path.exists():
        raise ValueError(f"{run} does not hold the traces it learned from, {path.name}: train the "
                         "student again, or export it in another format")  # fmt: skip
    traces, _ = read_traces(path)
    rows = [{"messages": [*trace["prompt"], *trace["completion"]]} for trace in traces]

    def write(folder: Path) -> None:
        write_jsonl(folder / "train.jsonl", rows)

    return Work("train.jsonl", 0, sum(len(str(row)) for row in rows), write)


def _licence(report: dict[str, Any]) -> str:
    """Return the licence of the base, in the hub's words; "unknown" if the kit has not noted it."""
    _, item = entry(report["student"]["name"])
    return item["licence"].lower() if item else "unknown"


def _numbers(report: dict[str, Any]) -> list[str]:
    """Return the lines of a report's table of right answers; raises ValueError if it has holes."""
    if "after" not in report:
        return ["Not measured: this run trained on a file and was asked nothing afterwards."]
    try:
        head, *rows = accuracy_table(report)
    except (KeyError, TypeError) as error:
        raise ValueError(f"report.json is not whole ({error}): start the run again") from error
    table = [head, ["---"] * len(head), *rows]
    return [
        *("| " + " | ".join(map(_cell, row)) + " |" for row in table), "",
        "In brackets: 95 % Wilson intervals; they count the luck of the equations, not that of the "
        "training: one seed is one run.  Measured before the export, on the student as trained.",
    ]  # fmt: skip


def _card(report: dict[str, Any], numbers: list[str], work: Work, folder: Path) -> str:
    """Return the README: what the student is, its numbers, where it is from, what each file is."""
    student, settings = report["student"], report["settings"]
    origin = {
        "base": f"{student['name']} ({student['source']})",
        "SHA-256 of its file": student["sha256"],
        "teacher": report.get("teacher", {}).get("name", settings.get("teacher", "")),
        "training": f"LoRA, seed {settings.get('seed', '-')}, {settings.get('dtype', '-')}"
        + f", base held in {settings['quant']}" * bool(settings["quant"]),
        "machine, date": f"{report.get('machine', '-')}, {report.get('date', '-')}",
        "command": report.get("command", "-"),
    }
    files = [(path.name, path.stat().st_size) for path in sorted(folder.iterdir())]
    return "\n".join([
        "---", f"license: {_licence(report)}", f"base_model: {json.dumps(student['name'])}",
        "pipeline_tag: text-generation", "tags: [distillation, distillkit]", "---",
        f"# {_cell(student['name'])}, distilled", "",
        "A small model that learned from "
        + ("a teacher's verified solutions to solve equations step by step" if "after" in report
           else "the traces of a file") + "; see the distillkit project.", "",
        "## Right answers", "", *numbers, "",
        "## How to ask it", "",
        "It was trained with this system message, greedily decoded, and with the chat template of "
        "its base:", "", f"    {_cell(system_of(report)) or '(none)'}", "",
        "## Files", "", f"{work}", "", "| file | bytes | what for |", "|---|---|---|",
        *(f"| `{name}` | {size:,} | {_use(name)} |" for name, size in files),
        *([AUTOTRAIN.format(base=shlex.quote(_cell(student["name"])),
                            rate=float(settings.get("rate", 5e-4)),
                            epochs=max(1, round(settings.get("epochs", 1))),
                            batch_size=int(settings.get("batch_size", 8)))]
          if work.file == "train.jsonl" else []),
        "", "## Where it is from", "", "| | |", "|---|---|",
        *(f"| {name} | {_cell(text)} |" for name, text in origin.items()), "",
        f"Licence: {_licence(report)}, that of the base.", "",
    ])  # fmt: skip


def _use(name: str) -> str:
    return next((use for start, use in USES.items() if name.startswith(start)), "")


def _cell(text: object) -> str:
    """Write a text of a file on one line, safe in a table."""
    return " ".join(printable(str(text)).replace("|", "\\|").split())
