"""The command line: a table of commands, each with its options and what it does."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from datetime import datetime
from functools import wraps
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from distillkit.traces.templates import Template

QUANTS = {"none": "", "nf4": "nf4", "int8": "int8"}  # as asked for -> as `load` takes it


def main(arguments: list[str] | None = None) -> int:
    """Run a command; returns the exit code. Known errors are one clear message, no traceback."""
    words = sys.argv[1:] if arguments is None else arguments
    from distillkit.runtime.progress import forgiving_output, printable

    forgiving_output()
    asked = words[0] if words else ""
    options = parser(asked).parse_args(words[:1] if asked == "lab" else words)
    from distillkit.models.downloads import ModelError
    from distillkit.runtime.files import JournalError
    from distillkit.runtime.session import before_torch, command_name
    from distillkit.traces.candidates import TeacherError

    if asked != "lab":  # its notebooks decide each for themselves
        before_torch()  # not for --help
    try:
        return options.run(options, words)
    except KeyboardInterrupt:
        folder = getattr(options, "folder", None)
        hint = f"go on with: {command_name()} demo --resume {quote(str(folder))}" if folder else ""
        print("\nstopped" + (f": nothing is lost, {hint}" if hint else ""), file=sys.stderr)
        return 130
    except (ModelError, TeacherError, JournalError, ValueError, OSError, MemoryError,
            ArithmeticError, ImportError) as error:  # fmt: skip
        if os.environ.get("DISTILLKIT_DEBUG"):
            raise
        print(f"distillkit: {printable(str(error))}", file=sys.stderr)
        return 1


def parser(asked: str) -> argparse.ArgumentParser:
    """Build the parser of all commands, with the options of the one that is asked for.

    What the options of a command need is not imported for another one, nor for `--help`.
    """
    top = argparse.ArgumentParser(prog="distillkit", description="Learn LLM distillation by doing.")
    commands = top.add_subparsers(required=True, metavar="command")
    for name, (help_, add_options, run) in COMMANDS.items():
        command = commands.add_parser(name, help=help_)
        if name == asked:
            add_options(command)
        command.set_defaults(run=run)
    return top


def _add_student(command: argparse.ArgumentParser) -> None:
    command.add_argument("--tier", choices=("tiny", "cpu", "gpu"), help="default: what fits here")
    command.add_argument("--student", metavar="ID", help="hub id, catalog name or folder")
    command.add_argument("--seed", type=int, metavar="N", help="default: 0")
    command.add_argument("--dtype", choices=("float32", "bfloat16"),
                         help="of the student; default: the faster one")  # fmt: skip
    command.add_argument("--quant", choices=QUANTS, help="4 bits (QLoRA) or 8, with bitsandbytes")


def positive(text: str) -> int:
    """Parse a whole number above zero for argparse."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not above zero")
    return number


def above_zero(text: str) -> float:
    """Parse a finite number above zero for argparse."""
    number = float(text)
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return number


def up_to(most: int, parse: Callable[[str], float]) -> Callable[[str], float]:
    """Return a parser for argparse that refuses what is larger than `most`."""

    @wraps(parse)  # argparse names it in its messages
    def parse_bounded(text: str) -> float:
        if (number := parse(text)) > most:
            raise argparse.ArgumentTypeError(f"{text} is too large: give {most} at most")
        return number

    return parse_bounded


def _demo_options(command: argparse.ArgumentParser) -> None:
    _add_student(command)
    command.add_argument("--teacher", metavar="NAME",
                         help="recorded | solver[:FORM] | hf:ID | openai:MODEL@URL")  # fmt: skip
    command.add_argument(
        "--curriculum",
        choices=("narrow", "broad"),
        help="equations of a few kinds (default), or as other people write them",
    )
    command.add_argument("--traces", type=positive, metavar="N", help="verified traces to train on")
    command.add_argument("--test", type=positive, metavar="N", help="unseen equations to test on")
    command.add_argument("--out", type=Path, metavar="DIR", help="a new folder for the results")
    command.add_argument("--resume", type=Path, metavar="DIR", help="go on with a stopped run")


def _demo(options: argparse.Namespace, words: list[str]) -> int:
    from distillkit.pipeline.demo import run_demo
    from distillkit.pipeline.recipes import Settings, settings_for
    from distillkit.runtime.files import read_json
    from distillkit.runtime.session import start

    if options.resume:
        words_kept = {"tier", "student", "teacher", "curriculum", "traces", "test", "quant",
                      "dtype", "seed", "out"}  # fmt: skip
        given = words_kept & {name for name, value in vars(options).items() if value is not None}
        if given:
            raise ValueError(f"--resume goes on with the same settings: leave out --{given.pop()}")
        path = options.resume / "settings.json"
        if not path.exists():
            raise ValueError(f"{options.resume} is no run to resume: it has no {path.name}")
        out = options.resume
        if (out / "report.json").exists():
            print(f"this run is finished: see {out / 'report.html'}")
            return 0
        stored = read_json(path)
        try:
            settings = Settings(**{**stored, "families": tuple(stored["families"])})
        except (TypeError, KeyError) as error:
            raise ValueError(
                f"{path} is from another version of the kit ({error}): start a new run"
            ) from error
    else:
        machine = start(options.tier, options.seed or 0, options.dtype)
        settings = settings_for(machine, options.curriculum or "narrow", student=options.student,
                                teacher=options.teacher,
                                traces=options.traces, test=options.test,
                                quant=QUANTS.get(options.quant))  # fmt: skip
        out = options.out or Path("runs") / f"{settings.tier}-{datetime.now():%Y%m%d-%H%M%S}"
        if out.exists() and any(out.iterdir()):
            resume = f"--resume {quote(str(out))}"
            raise ValueError(f"{out} is not empty: choose a new folder, or {resume}")
    options.folder = out
    run_demo(settings, out, words)
    return 0


def _evaluate_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("folder_of_run", type=Path, metavar="RUN", help="a demo's folder")
    command.add_argument("--problems", type=Path, required=True, metavar="FILE.jsonl",
                         help='lines of {"question": …, "answer": …}')  # fmt: skip
    command.add_argument("--out", type=Path, required=True, metavar="OUT.jsonl")


def _evaluate(options: argparse.Namespace, words: list[str]) -> int:
    from distillkit.evaluation.scoring import by, evaluate, read_questions, summary, write_answers
    from distillkit.pipeline.demo import load_run
    from distillkit.pipeline.report import percent, with_interval
    from distillkit.runtime.files import digest
    from distillkit.runtime.progress import Screen, rows_progress

    if options.out.exists():
        raise ValueError(f"{options.out} exists and is kept: choose another name")
    problems, refused = read_questions(options.problems)
    screen = Screen()
    for line in refused:
        screen.say(f"refused {line}")
    screen.say(f"{len(problems)} questions read, {len(refused)} lines refused")
    if not problems:  # said before a model is loaded
        raise ValueError(f'{options.problems} holds no line {{"question": …, "answer": …}}')
    template, note = _template_of(options.folder_of_run)
    model, tokenizer, settings = load_run(options.folder_of_run)
    mark = digest([str(options.folder_of_run.resolve()), problems])
    journal = options.out.with_name(f".{options.out.name}.{mark}")
    print("stopped? go on with the same command")
    on_done = rows_progress(screen, "answers", [p.id for p in problems], journal)
    rows = evaluate(model, tokenizer, problems, template, on_done=on_done, journal=journal,
                    max_new_tokens=settings.get("max_new_tokens", 128))  # fmt: skip
    write_answers(options.out, rows)
    journal.unlink()
    for name, result in [("all", summary(rows)), *by(rows, "family").items()]:
        rest = f"lenient {percent(result['lenient'])}, format {percent(result['format'])}"
        words = f"exact {with_interval(result)}, {rest}"
        if note:
            words = f"lenient {with_interval(result, 'lenient')}"
        screen.say(f"{name:>16}  {words}")
    if note:
        screen.say(note)
    print(f"answers: {options.out}")
    return 0


def _template_of(folder: Path) -> tuple[Template, str]:
    """Return the template of what a run's student was trained on, and what a person should know.

    Where it had a system message of its own, or none, its answers have no form that the kit could
    read.
    """
    import re

    from distillkit.pipeline.demo import read_run, system_of
    from distillkit.traces.templates import TEMPLATES, Template

    system = system_of(read_run(folder))
    for template in TEMPLATES.values():
        if template.instruction == system:
            return template, ""
    own = Template("own", system, lambda *parts: "\n".join(parts), re.compile("(?!)"), "")
    so = ("with a system message of its own and is asked with that one" if system else
          "without a system message and is asked without one")  # fmt: skip
    return own, (f"it was trained {so}; the kit cannot read its form: only 'lenient' (the right "
                 "value) counts")  # fmt: skip


def _ask_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("folder_of_run", type=Path, metavar="RUN", help="a demo's folder")
    command.add_argument("equations", nargs="+", metavar="EQUATION", help='such as "3x + 5 = 20"')


def _ask(options: argparse.Namespace, words: list[str]) -> int:
    from distillkit.evaluation.scoring import evaluate
    from distillkit.pipeline.demo import load_run
    from distillkit.pipeline.report import indented
    from distillkit.problems.equations import make_problem

    problems = [make_problem(equation) for equation in options.equations]
    template, note = _template_of(options.folder_of_run)
    model, tokenizer, settings = load_run(options.folder_of_run)
    limit = settings.get("max_new_tokens", 128)
    for row in evaluate(model, tokenizer, problems, template, max_new_tokens=limit):
        print(indented(row))
    if note:
        print(note)
    return 0


def _export_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("folder_of_run", type=Path, metavar="RUN", help="a demo's folder")
    command.add_argument("--to", type=Path, required=True, metavar="DIR", help="a new folder")
    command.add_argument("--format", default="gguf-q8_0", metavar="FORM",
                         help="safetensors | adapter | autotrain | gguf-q8_0 (default), -bf16, "
                         "-f16, -q5_1, -q5_0, -q4_1, -q4_0, -q6_k, -q5_k, -q4_k")  # fmt: skip


def _export(options: argparse.Namespace, words: list[str]) -> int:
    from distillkit.pipeline.export import export
    from distillkit.runtime.progress import Screen

    export(options.folder_of_run, options.to, options.format, Screen().say)
    return 0


def _chat_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("student", type=Path, metavar="RUN|FILE.gguf")
    command.add_argument("--once", default="", metavar="QUESTION", help="one answer, then the end")


def _chat(options: argparse.Namespace, words: list[str]) -> int:
    from distillkit.pipeline.chat import chat

    chat(options.student, options.once)
    return 0


def _teach_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("teacher", metavar="NAME", help="solver[:FORM] | hf:ID | openai:MODEL@URL")
    command.add_argument("--problems", type=positive, default=100, metavar="N")
    command.add_argument("--families", default="", metavar="A,B", help="default: the narrow ones")
    command.add_argument("--k", type=positive, default=4, help="candidates a problem")
    command.add_argument("--temperature", type=float, default=0.7)
    command.add_argument("--seed", type=int, default=0, metavar="N")
    command.add_argument("--out", type=Path, required=True, metavar="FILE.jsonl",
                         help="the journal; a stopped run goes on with it")  # fmt: skip
    command.add_argument("--logits", type=up_to(1000, positive), metavar="K",
                         help="write what hf:ID says of its K likeliest tokens at each place of "
                         "--of to a file.safetensors, for distill --teacher")  # fmt: skip
    command.add_argument("--of", type=Path, metavar="FILE.jsonl", help="traces or candidates")


def _teach(options: argparse.Namespace, words: list[str]) -> int:
    if options.logits or options.of:
        return _record(options)
    from distillkit.problems.equations import NARROW, make_problems
    from distillkit.runtime.progress import Screen, rows_progress
    from distillkit.runtime.session import start
    from distillkit.traces.candidates import candidate_ids
    from distillkit.traces.filters import CORRECT, judge, pass_at_k, reject
    from distillkit.traces.teachers import teacher as open_teacher

    teacher = open_teacher(options.teacher, start(seed=options.seed))
    families = tuple(filter(None, options.families.split(","))) or NARROW
    problems = teacher.problems(families)
    if problems is None:
        problems = make_problems(options.problems, families, "train", options.seed)
    if not problems:
        known = ", ".join(sorted({problem.family for problem in teacher.problems()}))
        raise ValueError(f"no problem of {options.families} was recorded: choose from {known}")
    problems = problems[: options.problems]
    screen = Screen()
    teacher.say = screen.say
    ids = candidate_ids(problems, teacher.tries(options.k))
    on_done = rows_progress(screen, "candidates", ids, options.out)
    rows = teacher.sample(problems, options.k, options.temperature, options.seed, options.out,
                          on_done)  # fmt: skip
    _, funnel = reject(rows)
    screen.say(str(funnel))
    right: dict[str, list[bool]] = {}
    for row in rows:
        if row["finish"] == "error":  # no answer is not a wrong one
            continue
        wrong = judge(row, (CORRECT,))["correct"]
        right.setdefault(row["problem"]["id"], []).append(not wrong)
    if not right:
        raise ValueError(f"no request got an answer: remove the lines from {options.out} whose "
                         '"finish" is "error", and run the same command again')  # fmt: skip
    k = min(map(len, right.values()))
    for tries in sorted({1, k}):
        mean = sum(pass_at_k(len(r), sum(r), tries) for r in right.values()) / len(right)
        print(f"pass@{tries}: {100 * mean:.0f} %")
    print(f"journal: {options.out}")
    return 0


def _record(options: argparse.Namespace) -> int:
    from distillkit.pipeline.distill_file import record_file
    from distillkit.runtime.session import start

    if not (options.logits and options.of):
        raise ValueError("--logits K and --of FILE.jsonl go together")
    machine = start(seed=options.seed)
    record_file(options.teacher, options.of, options.logits, options.out, options.seed, machine)
    return 0


def _distill_options(command: argparse.ArgumentParser) -> None:
    from distillkit.pipeline.recipes import SOFT_OBJECTIVES

    command.add_argument("file", type=Path, metavar="FILE.jsonl")
    command.add_argument("--out", type=Path, required=True, metavar="DIR",
                         help="for adapter and report; a stopped run goes on in it")  # fmt: skip
    _add_student(command)
    command.add_argument("--traces", type=positive, metavar="N", help="default: all, one a problem")
    command.add_argument("--epochs", type=up_to(1000, above_zero), metavar="X")
    command.add_argument("--rate", type=above_zero, metavar="X", help="peak learning rate")
    command.add_argument("--batch-size", type=positive, metavar="N", help="of all processes")
    command.add_argument("--precision", choices=("no", "bf16", "fp16"), default="",
                         help="mixed precision; default: as the student is held")  # fmt: skip
    command.add_argument("--optimizer", choices=("adamw", "adamw-8bit"), default="adamw")
    command.add_argument("--objective", choices=("sft", *SOFT_OBJECTIVES),
                         default="sft", help="the next token, or a teacher's word")  # fmt: skip
    command.add_argument("--beta", type=float, metavar="X", help="of jsd, between 0 and 1")
    command.add_argument("--teacher", default="", metavar="NAME",
                         help="self (the untouched student with solved examples in its prompt) | "
                         "ID of a model | FILE.safetensors of teach --logits")  # fmt: skip
    command.add_argument("--on-policy", action="store_true",
                         help="learn on the student's own texts to the file's prompts")  # fmt: skip


def _distill(options: argparse.Namespace, words: list[str]) -> int:
    from distillkit.pipeline.distill_file import Goal, distill_file
    from distillkit.pipeline.recipes import settings_for
    from distillkit.runtime.session import start

    goal = Goal(options.objective, options.teacher, options.beta, options.on_policy)
    machine = start(options.tier, options.seed or 0, options.dtype)
    settings = settings_for(machine, student=options.student, quant=QUANTS.get(options.quant),
                            traces=options.traces or 0, epochs=options.epochs, rate=options.rate,
                            batch_size=options.batch_size, teacher=str(options.file),
                            general=0.0, shares={}, families=())  # fmt: skip
    distill_file(settings, options.file, options.out, options.precision, options.optimizer,
                 words, goal)  # fmt: skip
    return 0


def _lesson_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("number", nargs="?", metavar="NN", help="default: list them all")
    command.add_argument("--copy", action="store_true", help="make a copy of your own to work in")
    command.add_argument("--to", type=Path, metavar="DIR", help="default: notebooks/mine")
    command.add_argument("--lang", default="en", choices=("en", "zh"), help="zh: in Chinese")


def _lesson(options: argparse.Namespace, words: list[str]) -> int:
    from distillkit.runtime.session import command_name
    from distillkit.teaching.lesson import all_lessons, copy_lesson, lesson_path

    if options.number is None:
        if options.copy or options.to or options.lang != "en":
            raise ValueError("say which lesson: lesson 03 --copy")
        for lesson in all_lessons().values():
            print(f"{lesson.number}  {lesson.title}: {lesson.expected()}")
        return 0
    if options.to and not options.copy:
        raise ValueError("--to says where a copy goes: add --copy")
    if options.copy:
        print(f"your copy: {copy_lesson(options.number, options.to, options.lang)}")
        print("the results of the kit's own run stand in "
              f"{lesson_path(options.number, options.lang)}")  # fmt: skip
    else:
        print(f"the lesson: {lesson_path(options.number, options.lang)}")
        lang = "" if options.lang == "en" else f" --lang {options.lang}"
        print(f"a copy of your own: {command_name()} lesson {options.number} --copy{lang}")
    opener = "python3 kit.py lab" if command_name() != "distillkit" else "jupyter lab"
    print(f"open it with: {opener}, with VS Code, or upload it to Colab")
    return 0


def _grades_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("pages", type=Path, metavar="FOLDER", help="the learners' pages")
    command.add_argument("--out", type=Path, default=Path("grades.csv"), metavar="FILE.csv")


def _grades(options: argparse.Namespace, words: list[str]) -> int:
    from distillkit.runtime.progress import printable
    from distillkit.teaching.grades import grade

    for line in grade(options.pages, options.out):
        print(printable(line))
    return 0


def _instructor_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("--to", type=Path, required=True, metavar="DIR", help="for the pages")


def _instructor(options: argparse.Namespace, words: list[str]) -> int:
    from distillkit.teaching.instructor.folder import write_kit

    write_kit(options.to, all_exercises())
    return 0


def all_exercises() -> dict:
    """Import the checks of every lesson; return the exercises by name."""
    import importlib

    from distillkit.teaching.record import KNOWN

    for path in sorted(Path(__file__).parent.glob("lessons/l*/checks*.py")):
        importlib.import_module(f"distillkit.lessons.{path.parent.name}.{path.stem}")
    return KNOWN


def _lab(options: argparse.Namespace, words: list[str]) -> int:
    from distillkit.teaching.lab import open_lab

    open_lab(words[1:])
    return 0


def _prefetch_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("--to", type=Path, required=True, metavar="FOLDER")
    command.add_argument("names", nargs="*", metavar="NAME", help="default: both students")
    command.add_argument("--dtype", choices=("float32", "bfloat16"), default="",
                         help="converted weights in this type, which processes share in memory: "
                         "for one machine that many use")  # fmt: skip


def _prefetch(options: argparse.Namespace, words: list[str]) -> int:
    from distillkit.models.loading import prefetch

    students = ["smollm2-135m-instruct", "qwen2.5-coder-0.5b-instruct"]
    prefetch(options.to, options.names or students, dtype=options.dtype)
    return 0


def _usb_options(command: argparse.ArgumentParser) -> None:
    from distillkit.pipeline.usb import SYSTEMS

    command.add_argument("--to", type=Path, required=True, metavar="FOLDER")
    command.add_argument("--systems", nargs="+", choices=SYSTEMS, default=[*SYSTEMS],
                         help="default: all three")  # fmt: skip
    command.add_argument("--python", nargs="+", default=[], metavar="3.X",
                         help="the learners' versions (default: this one's)")  # fmt: skip


def _usb(options: argparse.Namespace, words: list[str]) -> int:
    from distillkit.pipeline.usb import fill

    fill(options.to, options.systems, options.python)
    return 0


def _claims(options: argparse.Namespace, words: list[str]) -> int:
    from distillkit.teaching.claims import ledger, listing

    print(listing(ledger()))
    return 0


def _doctor(options: argparse.Namespace, words: list[str]) -> int:
    from distillkit.doctor import examine

    return 1 if examine() else 0


COMMANDS = {  # name -> help, its options, what it does
    "demo": ("distil a small model and report before and after", _demo_options, _demo),
    "evaluate": ("score a run on your own questions", _evaluate_options, _evaluate),
    "ask": ("let the student of a run solve your own equations", _ask_options, _ask),
    "chat": ("talk to the student of a run, or to a .gguf file", _chat_options, _chat),
    "export": ("write the student for other programs: GGUF, Ollama, …", _export_options, _export),
    "teach": ("sample and journal a teacher's candidates", _teach_options, _teach),
    "distill": ("train on a file of traces or candidates", _distill_options, _distill),
    "lab": ("open the first lesson in JupyterLab, with its options", lambda command: None, _lab),
    "lesson": ("list the lessons, find or copy one", _lesson_options, _lesson),
    "claims": ("what was measured of each claim, with intervals", lambda command: None, _claims),
    "grades": ("make a table of the pages that a class handed in", _grades_options, _grades),
    "instructor": ("write slides, answer key, test and plans", _instructor_options, _instructor),
    "prefetch": ("fill a folder with models for offline use", _prefetch_options, _prefetch),
    "usb": ("fill a folder with all that a class needs offline", _usb_options, _usb),
    "doctor": ("say what this machine can do and what is wrong", lambda command: None, _doctor),
}
