"""The lessons: their table, how one starts, and a working copy of one for a learner."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, metadata, requires, version
from pathlib import Path

from distillkit import __version__
from distillkit.runtime.busy import WORTH_SAYING, busy_words
from distillkit.runtime.files import as_json, read_csv, read_json
from distillkit.runtime.session import (
    LAYER,
    Session,
    command_name,
    data_path,
    product_seconds,
    start,
)
from distillkit.teaching.record import say

# The float32 products, in GFLOP/s, of a machine as fast as the one whose minutes are given: at 104
# training and answering took about 5 times as long (61 and 56 tokens/s for 291 and 287)
AS_FAST = 500
SHOWN = ("torch", "transformers", "ipywidgets")  # packages whose versions a lesson prints


@dataclass(frozen=True)
class Lesson:
    """A row of data/lessons.csv; of a planned lesson only the first four fields are filled.

    `minutes` were measured on `machine` on `date`; they are empty if nobody has measured them yet.
    """

    number: str
    title: str
    about: str  # one sentence: what a learner does
    minutes: str  # to run all cells, or "planned"
    machine: str
    date: str
    reading: str  # minutes with reading and exercises, an estimate
    before: str  # what a learner should know
    weights: str  # which files a learner has to have: "no" if none
    tensors: str  # "yes" if the code uses PyTorch tensors

    @property
    def planned(self) -> bool:
        """Whether the lesson is not written yet."""
        return self.minutes == "planned"

    def expected(self) -> str:
        """Say in words how long the lesson takes to run from top to bottom."""
        if self.minutes in ("", "planned"):
            return self.minutes or "minutes not measured yet"
        whose = f"measured on {self.machine}, {self.date}"
        return f"runs for about {self.minutes} min ({whose})"


@dataclass(frozen=True)
class LessonSession(Session):
    """A session inside a lesson; `fast` asks for small settings that only show that it runs."""

    fast: bool = False


def all_lessons(path: Path | None = None) -> dict[str, Lesson]:
    """Read the table of lessons, number -> lesson, in the order of the series."""
    return {row["number"]: Lesson(**row) for row in read_csv(path or data_path("lessons.csv"))}


def find(number: str) -> Lesson:
    """Return the lesson with a number such as "03"; raises ValueError that lists them all."""
    lessons = all_lessons()
    if number.zfill(2) not in lessons:
        raise ValueError(f"there is no lesson {number!r}: choose one of {', '.join(lessons)}")
    return lessons[number.zfill(2)]


def is_fast() -> bool:
    """Say whether the environment asks for fast mode (DISTILLKIT_FAST=1)."""
    return os.environ.get("DISTILLKIT_FAST", "") not in ("", "0")


def versions() -> str:
    """Write the versions of the kit, of Python and of the packages that matter most."""
    found = {"python": platform.python_version()}
    for package in SHOWN:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "missing"
    return " · ".join([f"distillkit {__version__}", *(f"{k} {v}" for k, v in found.items())])


def faults() -> list[str]:
    """List the packages of the kit that are missing or of a wrong version, each with its mend."""
    try:
        from packaging.requirements import Requirement
    except ImportError:  # every package of the kit brings it
        return [f"torch is missing: {_mend('torch')}"]
    try:
        lines = requires("distillkit") or []
    except PackageNotFoundError:  # a checkout that was never installed
        lines = SHOWN
    found = []
    for need in map(Requirement, lines):
        if need.marker and not need.marker.evaluate({"extra": ""}):
            continue
        mend = _mend(f"{need.name}{need.specifier}")
        try:
            here = version(need.name)
        except PackageNotFoundError:
            found.append(f"{need.name} is missing: {mend}")
            continue
        if not need.specifier.contains(here, prereleases=True):
            found.append(f"{need.name} {here} is installed, {need.specifier} is needed: {mend}")
    return found


def no_torch(found: list[str]) -> bool:
    """Return whether torch is among the faults found: nothing else can run without it."""
    return any(fault.startswith("torch is missing") for fault in found)


def _mend(requirement: str) -> str:
    if command_name() != "distillkit":
        return f"{command_name()} doctor installs it into .venv: choose .venv as the kernel"
    return f'pip install --no-deps "{requirement}", then restart the kernel'


def longer_words(lesson: Lesson, machine: Session) -> str:
    """Say how much longer than its minutes a lesson with the student takes in float32, or "".

    The minutes are of two cores that compute in bfloat16.
    """
    if (lesson.weights, machine.tier, machine.dtype) != ("the student", "cpu", "float32"):
        return ""
    rows, (inputs, outputs) = 256, LAYER
    gflops = 2e-9 * rows * inputs * outputs / product_seconds("float32", rows=rows)["float32"]
    times = AS_FAST / gflops
    if times < WORTH_SAYING:
        return ""
    return f"this machine computes in float32: expect up to {times:.2g} times as many minutes"


def start_lesson(number: str, seed: int = 0) -> LessonSession:
    """Print what this machine is and how long the lesson takes, and return the session.

    In fast mode the tier is `tiny`.  Raises ValueError for an unknown lesson and RuntimeError,
    which says what to do, where torch is missing.
    """
    lesson, fast, wrong = find(number), is_fast(), faults()
    print(versions())
    for fault in wrong:
        say(f"FAULT: {fault}")
    if no_torch(wrong):
        raise RuntimeError("the lesson needs torch: see the line FAULT above")
    from distillkit.teaching import rescue  # imports torch

    rescue.watch()
    machine = start("tiny" if fast else None, seed)
    say(str(machine))
    say(f"lesson {lesson.number}, {lesson.title}: {lesson.expected()}")
    for words in (longer_words(lesson, machine), busy_words()):
        if words:
            print(words)
    if fast:
        print("fast mode (DISTILLKIT_FAST): small settings, the numbers mean nothing")
    return LessonSession(**vars(machine), fast=fast)


def notebooks_folder() -> Path | None:
    """Return the folder of the lessons in a checkout, None for an installed package."""
    folder = Path(__file__).resolve().parents[2] / "notebooks"
    return folder if (folder / "src").is_dir() else None


def address() -> str:
    """Return the repository's public address from the package's metadata, "" if unknown."""
    try:
        pairs = metadata("distillkit").get_all("Project-URL") or []
    except PackageNotFoundError:
        return ""
    return next((p.partition(", ")[2] for p in pairs if p.startswith("Repository, ")), "")


def lesson_path(number: str, lang: str = "en") -> Path:
    """Return a lesson's notebook in a language.

    Raises FileNotFoundError that says where else to find it, or that it is in English only.
    """
    lesson, folder = find(number), notebooks_folder()
    if folder is None:
        raise FileNotFoundError(
            "the notebooks are not part of the installed package: open one at "
            f"{address()}/tree/HEAD/notebooks, or clone that repository"
        )
    place = "" if lang == "en" else lang
    for path in (folder / place).glob(f"{lesson.number}_*.ipynb"):
        return path
    lacks = f"is not there in the language {lang} yet" if place else "is not built yet"
    raise FileNotFoundError(f"lesson {lesson.number}, {lesson.title}, {lacks}")


def copy_lesson(number: str, to: Path | None = None, lang: str = "en") -> Path:
    """Copy a lesson into the folder `to`, which may be new, without the results of the kit's run:
    a guess is to come before its answer.

    The default is notebooks/mine, for a language other than English a folder of its name in there.
    Raises FileExistsError rather than write over a learner's work.
    """
    source = lesson_path(number, lang)
    own = source.parent / "mine" if lang == "en" else source.parents[1] / "mine" / lang
    target = (to or own) / source.name
    notebook = read_json(source)
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            cell |= {"outputs": [], "execution_count": None}
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        with open(target, "x", encoding="utf-8", newline="\n") as file:
            file.write(as_json(notebook))
    except FileExistsError:
        raise FileExistsError(f"{target} exists and is kept: choose another --to DIR") from None
    return target
