"""A lesson is one master, one folder and one row: it is added to a copy of the kit, and removed."""

import shutil
from pathlib import Path

import nbformat
import pytest

from notebooks import build, lists
from tests import forked

ROOT = Path(__file__).resolve().parent.parent
ROW = "99,A dummy lesson,Try the kit.,,,,20,98,no,no\n"
TASK = "99,twice,3,easy\n"
FOLDER = {  # what the lesson has in the package
    "distillkit/lessons/l99_dummy/__init__.py": "",
    "distillkit/lessons/l99_dummy/checks.py": """\
from distillkit.teaching.exercise import Exercise, Mistake

twice = Exercise("twice", lambda x: 2 * x, [(1,), (3,)], [Mistake("a square", lambda x: x * x)])
""",
}
IMPORT = "from distillkit.lessons.l99_dummy import checks"
MASTER = f"""\
# %% [markdown]
# # A dummy lesson
#
# Plan {{reading}} minutes. Before it comes **{{lesson 07}}**.
#
# {{exercise twice}}

# %% tags=["setup"]
import distillkit as dk

machine = dk.start_lesson("99")

# %%
{IMPORT}


def twice(x):
    # >>> solution
    return x + x
    # <<< stub: return None  # your code here


twice = checks.twice(twice)
"""


@pytest.fixture
def kit(forked_kernels, tmp_path, monkeypatch):
    """A copy of the kit, in which notebooks run with the copy."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.delenv("DISTILLKIT_FAST", raising=False)
    aside = shutil.ignore_patterns("__pycache__", "mine")
    for name in ("distillkit", "data", "notebooks"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=aside)
    shutil.copy(ROOT / "README.md", tmp_path)
    return tmp_path


def command(kit, *words):
    """Run a command of the copied kit; return the exit code and all it said."""
    process = forked.Process(forked.command, words, kit / "said", cwd=kit)
    process.join()
    return process.exitcode, (kit / "said").read_text("utf-8")


def test_a_lesson_is_a_master_a_folder_and_a_row(kit, capsys):
    folder, table = kit / "notebooks", kit / "data" / "lessons.csv"
    readmes = {path: path.read_text("utf-8") for path in (kit / "README.md", folder / "README.md")}
    master, rows = folder / "src" / "99_dummy.py", table.read_text("utf-8")
    built = [folder / "99_dummy.ipynb", folder / "solutions" / "99_dummy.ipynb"]

    # added
    for name, text in FOLDER.items():
        (kit / name).parent.mkdir(exist_ok=True)
        (kit / name).write_text(text, encoding="utf-8")
    master.write_text(MASTER, encoding="utf-8")
    table.write_text(rows + ROW, encoding="utf-8")
    tasks = kit / "data" / "exercises.csv"
    asked = tasks.read_text("utf-8")
    tasks.write_text(asked + TASK, encoding="utf-8")
    assert build.main(["--check", "99"], folder) == 1, "nothing is built yet"
    assert "99_dummy.ipynb is missing" in capsys.readouterr().err
    assert build.main(["99"], folder) == 0, capsys.readouterr().err
    assert build.main(["--check", "99"], folder) == 0, capsys.readouterr().err
    learner, solved = (nbformat.read(path, as_version=4).cells for path in built)
    for cells in (learner, solved):
        assert "Plan 20 minutes. Before it comes **07 Before and after**." in cells[0].source
    assert learner[2].outputs[0].text.startswith("twice: not attempted yet, using the kit's")
    assert solved[2].outputs[0].text == "✓ twice\n"
    front, guide = (path.read_text("utf-8") for path in readmes)
    assert "- [99 A dummy lesson](notebooks/99_dummy.ipynb): Try the kit.\n" in front
    row = "| [99 A dummy lesson](99_dummy.ipynb) | not measured yet | 20 | 1, 3 min | 98 | no |"
    assert row in guide and "| 99 | `twice` | 3 | easy |\n" in guide
    code, said = command(kit, "lesson", "99")
    assert code == 0 and str(built[0]) in said
    code, said = command(kit, "lesson")
    assert code == 0 and "99  A dummy lesson: minutes not measured yet" in said

    # removed, one part after the other: `--check` names what is left
    capsys.readouterr()
    master.unlink()
    assert build.main(["--check", "00"], folder) == 1
    assert "lesson 99 has a row in data/lessons.csv and no master" in capsys.readouterr().err
    table.write_text(rows, encoding="utf-8")
    assert build.main(["--check", "00"], folder) == 1
    said = capsys.readouterr().err
    assert "99_dummy.ipynb has no master" in said
    for page in ("README.md", "notebooks/README.md"):
        assert f"the lessons in {page} are not what data/lessons.csv says" in said
    tasks.write_text(asked, encoding="utf-8")
    for path in (*built, *(kit / name for name in FOLDER)):
        path.unlink()
    lists.write_lists(folder)
    assert {path: path.read_text("utf-8") for path in readmes} == readmes
    lists.check_lists(folder)  # raises BuildError if anything is left
    assert command(kit, "lesson", "99")[0] == 1
