"""Every lesson runs from top to bottom in fast mode: as a learner left it, and with solutions."""

import os
import time
from importlib.metadata import version
from pathlib import Path

import nbformat
import pytest

from distillkit.lessons import all_lessons
from notebooks import build, running

ROOT = Path(__file__).resolve().parent.parent
MASTERS = sorted((ROOT / "notebooks" / "src").glob("[0-9][0-9]_*.py"))
BUDGET_S = float(os.environ.get("DISTILLKIT_BUDGET_S", "120"))  # the aim is 60; machines are noisy
SWEEP = """\
import gc
import sys

if "distillkit.widgets" in sys.modules:
    from distillkit.widgets import Explorer
    # by its type: asking isinstance of a dead weak proxy raises
    for explorer in [o for o in gc.get_objects() if issubclass(type(o), Explorer)]:
        print("settings drawn:", explorer.sweep())
        for setting in explorer.extremes():
            explorer.move(**setting)  # through the widgets, as a hand would
            bad = explorer.error
            assert bad is None or isinstance(bad, ValueError), f"{setting}: {bad!r}"
        explorer.move(**explorer.start)
        assert explorer.error is None, explorer.error
"""


def run(notebook, folder, **env):
    """Run a notebook in fast mode and sweep its explorers; return seconds, cells run, widgets."""
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    notebook.cells.append(nbformat.v4.new_code_cell(SWEEP, id="sweep"))
    began = time.monotonic()
    env = {"DISTILLKIT_FAST": "1", "PYTHONPATH": str(ROOT), **env}
    widgets = running.execute(notebook, folder, timeout=4 * BUDGET_S, **env)
    counted = [cell.execution_count for cell in code]
    return time.monotonic() - began, counted, widgets


@pytest.mark.slow
@pytest.mark.parametrize("master", MASTERS, ids=lambda m: m.stem)
@pytest.mark.parametrize("solution", [False, True], ids=["learner", "solution"])
def test_a_lesson_runs_to_its_end(master, solution, tmp_path):
    notebook = build.assemble(master, solution)
    asked = master.read_text(encoding="utf-8").count("\n# %%")
    asked -= master.read_text(encoding="utf-8").count("\n# %% [markdown]")
    seconds, counted, widgets = run(notebook, tmp_path)
    assert counted == [*range(1, asked + 1)], "every code cell ran once, in order"
    assert running.hidden_errors(notebook, widgets) == []
    setup = notebook.cells[1].outputs[0].text
    assert "fast mode" in setup and f"lesson {master.name[:2]}" in setup
    assert f"ipywidgets {version('ipywidgets')}" in setup, "the kernel is of another environment"
    print(f"{master.stem}: {len(counted)} code cells in {seconds:.0f} s")
    assert seconds < BUDGET_S, f"{seconds:.0f} s in fast mode; DISTILLKIT_BUDGET_S moves the limit"


def test_every_master_is_in_the_table_and_the_other_way_round():
    numbers = [master.name[:2] for master in MASTERS]
    written = [n for n, lesson in all_lessons().items() if lesson.minutes != "planned"]
    assert numbers == written
    for lesson in all_lessons().values():
        measured = lesson.minutes not in ("", "planned")
        assert bool(lesson.machine and lesson.date) == measured, f"{lesson}: where, and when?"


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        ("lambda x: 1 / (x - 3)", "ZeroDivisionError"),
        ("lambda x: [][x]", "IndexError"),
    ],
)
def test_the_sweep_finds_an_explorer_that_fails_at_an_end(draw, message, tmp_path):
    source = (
        "from distillkit import plots\nfrom distillkit.widgets import explore\n"
        f"broken = {draw}\n"
        "def draw(x=1):\n"
        "    figure, axes = plots.new_figure()\n"
        "    if x != 1: broken(x)\n"
        "    return figure, 'nothing'\n"
        "seen = explore(draw, static=[{'x': 1}], x=(0, 3, 1, 1))"
    )
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source)])
    with pytest.raises(running.BuildError, match=message):
        run(notebook, tmp_path)
