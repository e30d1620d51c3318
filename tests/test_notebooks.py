"""Every lesson runs from top to bottom in fast mode: as a learner left it, and with solutions."""

import ast
import re
from importlib.metadata import version
from pathlib import Path

import nbformat
import pytest

from distillkit.teaching.lesson import all_lessons
from notebooks import build, running
from tests import forked

ROOT = Path(__file__).resolve().parent.parent
MASTERS = sorted((ROOT / "notebooks" / "src").glob("[0-9][0-9]_*.py"))
HANGS_S = 1500  # of a cell, and of a lesson: not a budget, `benchmarks.speed.lessons` measures time
# Run with the answers from top to bottom, as every build runs all of them: one lesson that only
# asks for a guess, and one more with the version of ipywidgets that Colab has
# (tests/ipywidgets7.sh).
WHOLE = ("00", "05") if version("ipywidgets").startswith("7.") else ("00",)
SWEEP = """\
import gc
import sys

if "distillkit.teaching.widgets" in sys.modules:
    from distillkit import plots
    from distillkit.teaching.widgets import Explorer
    from tests.explorers import sweep

    def drawn(figure, **_):  # it was laid out and compressed where the lesson shows it
        figure.set_layout_engine("none")
        figure.canvas.draw()
        return b"drawn"

    plots.to_png = drawn
    # by its type: asking isinstance of a dead weak proxy raises
    for explorer in [o for o in gc.get_objects() if issubclass(type(o), Explorer)]:
        sweep(explorer)
"""


def shrink(folder, layers, heads):
    """Write a random model with the lessons' small student's tokenizer and shapes, but fewer layers
    and heads, into a folder: a process's work."""
    import torch

    from distillkit.models.loading import load

    loaded = load("smollm2-135m-instruct", say=lambda _: None)
    config = loaded.model.config
    for size in ("hidden_size", "intermediate_size", "num_key_value_heads"):
        setattr(config, size, getattr(config, size) * heads // config.num_attention_heads)
    config.num_attention_heads, config.num_hidden_layers = heads, layers
    torch.manual_seed(0)
    for part in (type(loaded.model)(config), loaded.tokenizer):
        part.save_pretrained(folder / loaded.name.split("/")[-1])


@pytest.fixture(scope="module", autouse=True)
def small_student(forked_kernels, tmp_path_factory):
    """Give lessons a smaller student than their small one: what it writes counts nowhere.

    A lesson's time in fast mode is mostly the model's reading of the same long prompts, and its
    head: 49,152 tokens for each that is written.
    """
    folder = tmp_path_factory.mktemp("m")
    process = forked.Process(shrink, folder, 3, 3)
    process.join()
    assert process.exitcode == 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DISTILLKIT_MODELS", str(folder))
        yield


def run(notebook, folder, **env):
    """Run a notebook in fast mode and sweep its explorers; return cells run and widgets."""
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    notebook.cells.append(nbformat.v4.new_code_cell(SWEEP, id="sweep"))
    env = {"DISTILLKIT_FAST": "1", "PYTHONPATH": str(ROOT), **env}
    widgets = running.execute(notebook, folder, timeout=HANGS_S, **env)
    counted = [cell.execution_count for cell in code]
    return counted, widgets


def check_the_run(notebook, widgets, counted, number):
    """Check what holds for a lesson in either form: every cell ran, and nothing is wrong."""
    assert counted == [*range(1, len(counted) + 1)], "every code cell ran once, in order"
    assert running.hidden_errors(notebook, widgets) == []
    setup = notebook.cells[1].outputs[0].text
    assert "fast mode" in setup and f"lesson {number}" in setup
    assert f"ipywidgets {version('ipywidgets')}" in setup, "the kernel is of another environment"


def with_answers(master):
    """Return a learner's notebook with each solved exercise before its stub, and these pairs.

    All other cells of the two notebooks are the same, so both are tried in one run: the answer
    where the lesson has got to, then the stub, with which the lesson goes on.
    """
    notebook, solved = (build.assemble(master, solution) for solution in (False, True))
    cells, pairs = [], []
    for stub, answer in zip(notebook.cells, solved.cells, strict=True):
        if stub.cell_type == "code" and stub.source != answer.source:
            answer.id += "-solved"
            pairs.append((answer, stub))
            cells.append(answer)
        cells.append(stub)
    notebook.cells = cells
    return notebook, pairs


@pytest.mark.slow
@pytest.mark.timeout(HANGS_S)
@pytest.mark.parametrize("master", MASTERS, ids=lambda m: m.stem)
def test_a_lesson_runs_to_its_end_and_its_answers_get_their_ticks(master, tmp_path):
    notebook, pairs = with_answers(master)
    lines = master.read_text(encoding="utf-8").split("\n")
    asked = sum(line.startswith("# %%") and "[markdown]" not in line for line in lines)
    counted, widgets = run(notebook, tmp_path)
    assert len(counted) == asked + len(pairs)
    check_the_run(notebook, widgets, counted, master.name[:2])
    checked = 0
    for answer, stub in pairs:
        names = re.findall(r"= checks\w*\.(\w+)\(", stub.source)
        said = "".join(running.readable(out) for out in answer.outputs).splitlines()
        assert names or answer.source.startswith("guess = "), "an exercise without its check"
        assert {f"✓ {name}" for name in names} <= set(said)
        said = "".join(running.readable(out) for out in stub.outputs)
        assert said.count(": not attempted yet, using the kit's") == len(names)
        checked += len(names) or 1
    assert checked == sum(line.strip() == build.OPEN for line in lines)


@pytest.mark.slow
@pytest.mark.timeout(HANGS_S)
@pytest.mark.parametrize(
    "master", [m for m in MASTERS if m.name[:2] in WHOLE], ids=lambda m: m.stem
)
def test_a_solved_lesson_runs_to_its_end(master, tmp_path):
    """Here the lesson goes on with the answers, as it does for whoever has written them."""
    notebook = build.assemble(master, solution=True)
    counted, widgets = run(notebook, tmp_path)
    check_the_run(notebook, widgets, counted, master.name[:2])
    ends = [cell.outputs[0].text for cell in notebook.cells if "dk.progress()" in cell.source]
    assert all(re.search(r"^(\d+) of \1 done$", said, re.MULTILINE) for said in ends)
    assert bool(ends) == ("= checks." in master.read_text(encoding="utf-8"))


def test_every_master_is_in_the_table_and_the_other_way_round():
    numbers = [master.name[:2] for master in MASTERS]
    written = [n for n, lesson in all_lessons().items() if not lesson.planned]
    assert numbers == written
    for lesson in all_lessons().values():
        measured = lesson.minutes not in ("", "planned")
        assert bool(lesson.machine and lesson.date) == measured, f"{lesson}: where, and when?"
        assert re.fullmatch(r"[A-Z][^.]+\.", lesson.about), f"{lesson}: one sentence"
        described = [lesson.reading, lesson.before, lesson.weights, lesson.tensors]
        assert [bool(words) for words in described] == 4 * [not lesson.planned], lesson


@pytest.mark.parametrize("master", MASTERS, ids=lambda m: m.stem)
def test_a_lesson_needs_two_lines_to_import_the_kit(master):
    found = []
    for node in ast.walk(ast.parse(master.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            found.append(node.module)
        elif isinstance(node, ast.Import):
            found += [f"{alias.name} as {alias.asname}" for alias in node.names]
    folders = (ROOT / "distillkit" / "lessons").glob(f"l{master.name[:2]}_*")
    own = [f"distillkit.lessons.{folder.name}" for folder in folders]
    kit = [name for name in found if name.startswith("distillkit")]
    assert kit == ["distillkit as dk", *own]


def test_the_sweep_finds_an_explorer_that_fails_at_an_end(tmp_path):
    source = (
        "from distillkit import plots\nfrom distillkit.teaching.widgets import explore\n"
        "def draw(x=1):\n"
        "    figure, axes = plots.new_figure()\n"
        "    1 / (x - 3)\n"
        "    return figure, 'nothing'\n"
        "seen = explore(draw, static=[{'x': 1}], x=(0, 3, 1, 1))"
    )
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source)])
    with pytest.raises(running.BuildError, match="ZeroDivisionError"):
        run(notebook, tmp_path)
