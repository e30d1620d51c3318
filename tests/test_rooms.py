"""The plan of the house: which rooms there are, and that imports between them go one way."""

from __future__ import annotations

import ast
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import distillkit as dk

PACKAGE = Path(__file__).resolve().parent.parent / "distillkit"
ROOMS = (  # lowest first: a room imports what stands before it, never what stands after it
    "plots",
    "runtime",
    "models",
    "problems",
    "generation",
    "retrieval",
    "traces",
    "training",
    "evaluation",
    "pipeline",
    "teaching",
    "lessons",
)
FACE = ("__init__", "__main__", "cli", "doctor")  # stands above the rooms and may import any


def name_of(path):
    """Return the dotted name of a module inside the package: training.loop, or training."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and parts[1:] else parts)


MODULES = {name_of(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def imports(module, source, modules=MODULES):
    """Yield the modules of the package that the source of `module` imports."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            paths = [alias.name.split(".") for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            before = (node.module or "").split(".") if node.module else []
            if node.level:
                parts = ["distillkit", *module.split(".")]
                before = parts[: len(parts) - node.level] + before
            paths = [[*before, alias.name] for alias in node.names]
        else:
            continue
        for path in paths:
            if path[0] != "distillkit" or path[1:] == ["__version__"]:
                continue
            inside = path[1:]
            while inside and ".".join(inside) not in modules:
                inside = inside[:-1]  # the last part is a name in the module
            yield ".".join(inside) or "__init__"


def room_of(module):
    return module.partition(".")[0]


def lesson_of(module):
    """Return the folder of a lesson, None outside of them."""
    parts = module.split(".")
    return parts[1] if parts[0] == "lessons" and len(parts) > 1 else None


GRAPH = {
    module: set(imports(module, path.read_text(encoding="utf-8")))
    for module, path in MODULES.items()
}


def against_the_order(module, imported):
    """Return those imported modules that a module may not import."""
    if room_of(module) in FACE:
        return set()
    earlier = ROOMS[: ROOMS.index(room_of(module))]
    own = {m for m in imported if room_of(m) == room_of(module)}
    own = {m for m in own if lesson_of(m) in (None, lesson_of(module))}
    return {m for m in imported - own if room_of(m) not in earlier}


def test_every_module_stands_in_a_room_or_in_the_face():
    assert {room_of(module) for module in MODULES} == {*ROOMS, *FACE}


@pytest.mark.parametrize("module", [m for m in MODULES if room_of(m) not in FACE])
def test_imports_go_down(module):
    wrong = against_the_order(module, GRAPH[module])
    assert not wrong, f"{module} imports {sorted(wrong)}"


def test_no_import_goes_in_a_circle():
    list(TopologicalSorter(GRAPH).static_order())  # raises CycleError, which names the circle


@pytest.mark.parametrize("room", [m for m, p in MODULES.items() if p.name == "__init__.py"][1:])
def test_a_room_says_what_lies_in_it_and_imports_nothing(room):
    """`import distillkit.evaluation.statistics` must not wait for torch."""
    tree = ast.parse(MODULES[room].read_text(encoding="utf-8"))
    words = ast.get_docstring(tree)
    assert len(tree.body) == 1 and words
    inside = [p.stem for p in MODULES[room].parent.glob("*.py") if p.stem != "__init__"]
    if lesson_of(room) is None:
        assert not [name for name in inside if f"`{name}`" not in words]


def test_the_check_sees_every_form_of_import():
    source = """
import distillkit as dk
import distillkit.cli
from distillkit import __version__, plots, teacher
from distillkit.training import loop
from distillkit.training.losses import soft_loss
from .packing import pack
from ..evaluation import scoring
from . import memory
def late():
    from distillkit.models.loading import load
import numpy.linalg
"""
    assert set(imports("training.gradients", source)) == {
        "__init__", "cli", "plots", "training.loop", "training.losses", "training.packing",
        "evaluation.scoring", "training.memory", "models.loading",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("module", "imported", "wrong"),
    [
        ("training.loop", "traces.templates", False),
        ("training.loop", "training.packing", False),
        ("training.loop", "evaluation.scoring", True),
        ("training.loop", "__init__", True),
        ("training.loop", "cli", True),
        ("plots", "runtime.session", True),
        ("lessons.l06_lora.figures", "plots", False),
        ("lessons.l06_lora.figures", "lessons.l06_lora.checks", False),
        ("lessons.l06_lora.figures", "lessons.l05_rejection.figures", True),
        ("teaching.lesson", "lessons.l06_lora.checks", True),
        ("cli", "lessons.l06_lora.checks", False),
    ],
)
def test_the_check_finds_what_goes_up(module, imported, wrong):
    assert bool(against_the_order(module, {imported})) is wrong


@pytest.mark.parametrize("name", dk.__all__)
def test_every_public_name_leads_to_something(name):
    assert getattr(dk, name) is not None
    assert name in dir(dk)


def test_no_public_name_hides_a_module():
    """`import distillkit.problems` sets `dk.problems`, so no public name may be called that."""
    assert set(dk.__all__) & {room_of(module) for module in MODULES} == {"plots"}
    assert dk.plots is sys.modules["distillkit.plots"]


@pytest.mark.parametrize(
    ("code", "slow"),
    [
        ("import distillkit", "torch numpy matplotlib"),
        ("from distillkit.cli import parser; parser('').format_help()",
         "torch numpy matplotlib filelock ssl packaging"),
        ("from distillkit.cli import parser; parser('distill')", "torch matplotlib"),
    ],
)  # fmt: skip
def test_the_package_and_its_help_come_without_what_takes_long(code, slow):
    look = f"import sys; {code}; print({{*{slow.split()}}} & {{*sys.modules}})"
    found = subprocess.run(
        [sys.executable, "-c", look], cwd=PACKAGE.parent, capture_output=True, text=True, check=True
    )
    assert found.stdout == "set()\n"
