"""The builder: stubs and solutions, rules for notebooks, `--check`, and learners' own work."""

import json
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import nbformat
import pytest

from distillkit.teaching.widgets import SCRIPT, page
from notebooks import build, languages, lists, running
from notebooks.running import BuildError
from tests import forked

pytestmark = pytest.mark.usefixtures("forked_kernels")
ROOT = Path(__file__).resolve().parent.parent
MASTER = '''\
# %% [markdown]
# # A lesson
#
# A sentence.

# %% tags=["setup"]
import distillkit as dk

machine = dk.start_lesson("00")

# %%
def double(x):
    """Return twice x."""
    # >>> solution
    secret = x + x
    return secret
    # <<< stub: return None  # your code here


print("double of", 21, "is", double(21))

# %% [markdown]
# The end.
'''
TABLE = """\
number,title,about,minutes,machine,date,reading,before,weights,tensors
00,A lesson,Be first.,1,2 CPU cores,2026-11-22,15,nothing,no,no
01,A second lesson,Come later.,planned,,,,,,
"""
EXERCISES = "lesson,exercise,minutes,level\n01,later,7,easy\n"
VIEW = "application/vnd.jupyter.widget-view+json"


def checkout(folder):
    """Write a table of lessons and two READMEs with empty lists; return where the master goes."""
    (folder / "data").mkdir()
    (folder / "data" / "lessons.csv").write_text(TABLE, encoding="utf-8")
    (folder / "data" / "exercises.csv").write_text(EXERCISES, encoding="utf-8")
    for path in (folder / "README.md", folder / "notebooks" / "README.md"):
        path.parent.mkdir(exist_ok=True)
        path.write_text("before\n<!-- lessons --><!-- /lessons -->\nafter\n")
    (folder / "notebooks" / "src").mkdir()
    return folder / "notebooks" / "src" / "00_a_lesson.py"


@pytest.fixture
def lesson(tmp_path, monkeypatch):
    """Return `write(text)`: a master in a folder of its own; lessons start without torch there."""
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path / 'stand-in'}")
    (tmp_path / "stand-in" / "distillkit").mkdir(parents=True)
    (tmp_path / "stand-in" / "distillkit" / "__init__.py").write_text(
        "import os\ndef start_lesson(number): print('fast', repr(os.environ['DISTILLKIT_FAST']))\n"
    )
    path = checkout(tmp_path)

    def write(text=MASTER):
        path.write_text(text, encoding="utf-8")
        return path

    return write


def cells_of(path):
    return nbformat.read(path, as_version=4).cells


# --- stubs and solutions -------------------------------------------------------------------


def test_a_stub_stands_in_the_place_of_the_solution():
    source = (
        "def f(x):\n    # >>> solution\n    y = x\n    return y\n    # <<< stub: return None\nf(1)"
    )
    assert build.cut(source, solution=False) == "def f(x):\n    return None\nf(1)"
    assert build.cut(source, solution=True) == "def f(x):\n    y = x\n    return y\nf(1)"


def test_two_exercises_in_a_cell():
    one = "# >>> solution\na = 1\n# <<< stub: a = None"
    assert build.cut(f"{one}\nb = 2\n{one}", False) == "a = None\nb = 2\na = None"


@pytest.mark.parametrize(
    "source",
    [
        "# >>> solution\na = 1",
        "a = 1\n# <<< stub: a = None",
        "# >>> solution\n# >>> solution\n# <<< stub: a = None",
        "# >>> solution\na = 1\n# <<< stub:",
    ],
)
def test_a_marker_without_its_partner_is_refused(source):
    with pytest.raises(BuildError, match=r"marker|followed"):
        build.cut(source, solution=False)


# --- what is built -------------------------------------------------------------------------


def test_both_notebooks_are_built_run_and_checked(lesson):
    master = lesson()
    build.build(master)
    learner, solved = (build.notebook_path(master, s) for s in (False, True))
    assert solved.parent.name == "solutions" and solved.name == learner.name == "00_a_lesson.ipynb"
    assert "secret" not in learner.read_text() and "# your code here" in learner.read_text()
    assert "secret = x + x" in solved.read_text() and "your code here" not in solved.read_text()
    assert "double of 21 is None" in cells_of(learner)[2].outputs[0].text
    assert "double of 21 is 42" in cells_of(solved)[2].outputs[0].text
    assert "fast ''" in cells_of(learner)[1].outputs[0].text, "kept outputs are of full mode"
    for path in (learner, solved):
        notebook = json.loads(path.read_text())
        assert set(notebook["metadata"]) == {"distillkit", "kernelspec", "language_info"}
        code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
        assert [cell["execution_count"] for cell in code] == [1, 2]
        assert [cell["metadata"] for cell in code] == [{"tags": ["setup"]}, {}]
        nbformat.validate(notebook)
    build.check(master, run=True)
    before = learner.read_bytes()
    build.build(master)
    assert learner.read_bytes() == before, "building twice gives the same bytes"


def test_a_cell_with_the_tag_is_folded_away_in_both(lesson):
    master = lesson()
    text = master.read_text().replace("# %%\ndef", '# %% tags=["hide-input"]\ndef')
    master.write_text(text)
    for solution in (False, True):
        folded = [c.metadata for c in build.assemble(master, solution).cells if "def" in c.source]
        assert folded == [{"tags": ["hide-input"], "jupyter": {"source_hidden": True}}]


def test_ids_are_the_same_in_both_and_stay_when_a_cell_comes_in(lesson):
    ids = [[c.id for c in build.assemble(lesson(), s).cells] for s in (False, True)]
    assert ids[0] == ids[1] == ["a-lesson", "import-distillkit-as-dk", "def-double-x", "the-end"]
    more = MASTER.replace("# %%\ndef", "# %%\n1 + 1\n\n# %%\ndef").replace("# The end.", "# # $")
    assert [c.id for c in build.assemble(lesson(more), False).cells][3] == ids[0][2]
    twice = lesson(MASTER + "\n# %%\nprint(1)\n\n# %%\nprint(1)\n")
    assert [c.id for c in build.assemble(twice, False).cells][-2:] == ["print-1", "print-1-2"]


def test_the_set_up_cell_and_badges_have_the_one_address(lesson):
    address = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["urls"]["Repository"]
    first, setup = build.assemble(lesson(), True).cells[:2]
    name = address.removeprefix("https://github.com/")
    path = "notebooks/solutions/00_a_lesson.ipynb"
    assert f"(https://colab.research.google.com/github/{name}/blob/HEAD/{path})" in first.source
    assert f"({address}/blob/HEAD/{path})" in first.source and "\n\n# A lesson\n" in first.source
    assert f'"{address}/archive/HEAD.zip"' in setup.source
    for place in ("notebooks", "distillkit"):
        for file in (ROOT / place).rglob("*.py"):
            assert name not in file.read_text(encoding="utf-8"), f"{file.name} repeats the address"


def test_the_set_up_cell_never_changes_the_base_image(lesson):
    source = build.assemble(lesson(), False).cells[1].source
    assert re.findall(r"%pip .*", source) == ["%pip install -q {KIT} {here}"]
    (asked,) = re.findall(
        r'here = "--no-deps (.*)" if "google.colab" in sys.modules else ""', source
    )
    asked = asked.split()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed = {re.split(r"[><=]", line)[0] for line in project["dependencies"]}
    assert asked and set(asked) <= needed - {"numpy", "torch", "transformers"}
    assert "ipywidgets" not in asked


SHELL = """\
import sys

class Shell:
    def run_line_magic(self, name, words):  # IPython fills in what stands in braces
        print(name, words.format(**globals()))
        sys.exit()

get_ipython = Shell
sys.path.insert(0, "")
"""
KIT = "def start_lesson(number): print('lesson', number, 'of', __file__)"


@pytest.fixture
def set_up(lesson, tmp_path):
    """Return `run(folder, colab)`: what a set-up cell says there, as IPython runs it."""
    from IPython.core.inputtransformer2 import TransformerManager

    source = build.assemble(lesson(), False).cells[1].source
    code = SHELL + TransformerManager().transform_cell(source)

    def run(folder, before=""):
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        words = [sys.executable, "-I", "-S", "-c", before + code]  # no packages but Python's own
        done = subprocess.run(words, cwd=tmp_path / folder, capture_output=True, text=True)
        return done.stdout + done.stderr

    return run


@pytest.mark.parametrize("folder", ["distillkit/notebooks/mine", "distillkit", ".", "a/b"])
def test_the_set_up_cell_finds_a_clone_around_it_or_beside_it(set_up, tmp_path, folder):
    """Beside a clone, its folder is a package without a file, and `dk` was empty."""
    clone = tmp_path / "distillkit" / "distillkit"
    clone.mkdir(parents=True)
    (clone / "doctor.py").touch()
    (clone / "__init__.py").write_text(KIT)
    assert set_up(folder) == f"lesson 00 of {clone / '__init__.py'}\n"


def test_the_set_up_cell_installs_the_kit_where_there_is_none(set_up, tmp_path):
    (tmp_path / "distillkit").mkdir()  # a folder of that name which is no clone
    assert set_up(".") == f"pip install -q {build.address()}/archive/HEAD.zip \n"


def test_the_set_up_cell_leaves_colabs_packages_alone(set_up):
    colab = "import sys; sys.modules['google.colab'] = None\n"
    kit = f"{build.address()}/archive/HEAD.zip"
    assert set_up("x", colab) == f"pip install -q {kit} --no-deps {build.COLAB_LACKS}\n"


# --- what is refused -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('tags=["setup"]', "", "first code cell"),
        ('start_lesson("00")', 'start_lesson("01")', "first code cell"),
        ("# A sentence.", "# " + "long " * 17, "columns"),
        ("secret = x + x", "secret = " + "x + " * 20 + "x", "columns"),
        ("# # A lesson", "# ## A lesson", "one H1"),
        ("# # A lesson", "# # A title", "the heading is 'A title'"),
        ("# A sentence.", "# See {lesson 77}.", "{lesson 77}: data/lessons.csv has no such row"),
        ("# The end.", "# # The end", "one H1"),
        ("# %% [markdown]\n# The end.", "# %%\n1\n\n" * 57 + "# %%\n1", "60 are allowed"),
        ('print("double', 'print("x\\n" * 100_000, "double', "300 KB"),
        ('print("double', '1 / 0; print("double', "ZeroDivisionError"),
        ('print("double', 'import sys; sys.stderr.write("hm")\nprint("double', "stderr"),
        ('print("double', 'import os; print(os.path.expanduser("~/x"))\nprint("double', "folder"),
        ('print("double', 'print(object())\nprint("double', "place in memory"),
        ('print("double of"', 'print("return secret")\nprint("double of"', "leaks"),
        ('print("double', 'show = print\nshow(1)\nprint("double', "figure is not seen"),
    ],
)
def test_a_broken_rule_is_refused_and_nothing_is_written(lesson, old, new, message):
    assert old in MASTER
    master = lesson(MASTER.replace(old, new))
    with pytest.raises(BuildError, match=message):
        build.build(master)
    assert not list(master.parent.parent.rglob("*.ipynb"))


@pytest.mark.parametrize(
    ("source", "lost"),
    [
        ("dk.show(*f(x))\nprint(1)", True),
        ("dk.show_arms(a)\nprint(1)", True),
        ("dk.explore(d)\nx = 1", True),
        ("page('p.html')\nx = 1", True),
        ("def f():\n    dk.show(x)", True),
        ("def f():\n    dk.show(x)\n\n\nf()", True),
        ("for x in y:\n    dk.show(x)", True),
        ("if x:\n    dk.show(x)", True),
        ("dk.show(*f(x))", False),
        ("print(1)\ndk.explore(d)", False),
        ("shown = dk.show(x)\nshown", False),
        ("def f():\n    return dk.show(x)\n\n\nf()", False),
        ("display(dk.show(x))\nprint(1)", False),
        ("%pip install x\ndk.show(x)\nprint(1)", False),
        ("", False),
    ],
)
def test_a_figure_that_nobody_sees_is_found(source, lost):
    assert build.loses_a_figure(source) is lost


def test_links_and_tables_may_be_wide(lesson):
    wide = f"# [a]({'https://example.org/' + 'x' * 80})\n#\n# |{' a |' * 30}"
    notebook = build.assemble(lesson(MASTER.replace("# A sentence.", wide)), False)
    assert build.faults(notebook) == []


def test_a_picture_needs_words_for_whoever_cannot_see_it(lesson):
    notebook = build.assemble(lesson(MASTER), False)
    cell = next(cell for cell in notebook.cells if cell.cell_type == "code")
    picture = nbformat.v4.new_output("display_data", {"image/png": "iVBORw0K"})
    cell.outputs = [picture]
    assert [words for words in build.faults(notebook) if "without words" in words]
    picture.metadata = {"image/png": {"alt": "Both lines fall."}}
    assert build.faults(notebook) == []


def run_cell(source, folder):
    """Run a notebook of one cell; return it and the state of its widgets."""
    cell = nbformat.v4.new_code_cell(source)
    notebook = nbformat.v4.new_notebook(cells=[cell])
    return notebook, running.execute(notebook, folder)


@pytest.mark.parametrize(
    "source",
    [
        "from ipywidgets import interact\ninteract(lambda x: 1 / (x - x), x=(0, 3, 1));",
        "import ipywidgets as w\nout = w.Output()\nwith out:\n    1 / 0\nout",
        "import ipywidgets as w\nw.HTML('<p class=\"distillkit-error\">The drawing failed</p>')",
        "import traceback\ntry:\n    1 / 0\nexcept Exception:\n    traceback.print_exc()",
        "import traceback\ntry:\n    1 / 0\nexcept Exception:\n    print(traceback.format_exc())",
    ],
)
def test_errors_that_stop_nothing_are_found(source, tmp_path):
    notebook, widgets = run_cell(source, tmp_path)
    assert running.hidden_errors(notebook, widgets)


def test_no_error_is_found_where_there_is_none(tmp_path):
    source = "import ipywidgets as w\nprint('1 / 0 is an error')\nw.IntSlider()"
    notebook, widgets = run_cell(source, tmp_path)
    assert not running.hidden_errors(notebook, widgets) and "widgets" not in notebook.metadata
    with pytest.raises(BuildError, match="static twin"):
        running.clean(notebook)


def test_the_view_of_a_widget_goes_and_its_picture_stays(tmp_path):
    source = (
        "from IPython.display import display\n"
        f"view = {{'model_id': 'a', 'version_major': 2, 'version_minor': 0}}\n"
        f"data = {{'{VIEW}': view, 'image/png': 'iVBORw0K', 'text/plain': 'strip'}}\n"
        "display(data, raw=True)"
    )
    notebook, _ = run_cell(source, tmp_path)
    (out,) = notebook.cells[0].outputs
    assert VIEW in out.data
    running.clean(notebook)
    assert set(out.data) == {"image/png", "text/plain"}


def test_scripts_go_and_of_a_page_the_words_stay():
    data, _ = page("soft_labels.html")._repr_mimebundle_()
    outputs = [{SCRIPT: "let a", "text/plain": ""}, data]
    cell = nbformat.v4.new_code_cell("page()", execution_count=1)
    cell.outputs = [nbformat.v4.new_output("display_data", out) for out in outputs]
    running.clean(nbformat.v4.new_notebook(cells=[cell]))
    assert [set(out.data) for out in cell.outputs] == [{"text/plain"}]
    assert "data/soft_labels.html" in cell.outputs[0].data["text/plain"]


def test_how_busy_or_slow_this_machine_was_is_not_shown_to_readers():
    cell = nbformat.v4.new_code_cell("dk.start_lesson()", execution_count=1)
    busy = "this machine is busy: everything takes about 3.9 times longer\n"
    slow = "this machine computes in float32: expect up to 4.8 times as many minutes\n"
    cell.outputs = [nbformat.v4.new_output("stream", text=f"lesson 05\n{slow}{busy}\n")]
    running.clean(nbformat.v4.new_notebook(cells=[cell]))
    assert cell.outputs[0].text == "lesson 05\n\n"


@pytest.mark.skipif(not forked.FORKS, reason="starts ordinary kernels")
def test_a_kernel_begins_with_the_long_imports_done(tmp_path, monkeypatch):
    (tmp_path / "named.py").touch()
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    source = "import os, sys, named\nprint('torch' in sys.modules, sys.flags.hash_randomization)"
    notebook, _ = run_cell(f"{source}\nprint(os.getcwd())", tmp_path)
    assert notebook.cells[0].outputs[0].text == f"True 0\n{tmp_path}\n"


def test_a_cell_that_takes_too_long_is_stopped(tmp_path):
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell("import time\ntime.sleep(60)")]
    )
    with pytest.raises(BuildError, match="tim"):
        running.execute(notebook, tmp_path, timeout=1)


def test_a_cell_that_was_not_run_is_refused():
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1")])
    with pytest.raises(BuildError, match="was not run"):
        running.clean(notebook)


# --- check and learners' work --------------------------------------------------------------


@pytest.fixture(scope="module")
def built(forked_kernels, tmp_path_factory):
    """A checkout with a lesson, built once; tests work on copies of it."""
    folder = tmp_path_factory.mktemp("built")
    with pytest.MonkeyPatch.context() as patch:
        path = folder / "stand-in" / "distillkit"
        path.mkdir(parents=True)
        (path / "__init__.py").write_text("def start_lesson(number): pass\n")
        patch.setenv("PYTHONPATH", str(folder / "stand-in"))
        checkout(folder).write_text(MASTER, encoding="utf-8")
        assert build.main([], folder / "notebooks") == 0
    return folder


@pytest.fixture
def copied(built, tmp_path):
    shutil.copytree(built, tmp_path, dirs_exist_ok=True)
    return tmp_path / "notebooks"


def change(path, at, **parts):
    notebook = nbformat.read(path, as_version=4)
    notebook.cells[at].update(parts)
    nbformat.write(notebook, path)


def test_check_passes_on_what_was_built_and_writes_nothing(copied, capsys):
    before = {p: p.read_bytes() for p in copied.rglob("*.ipynb")}
    assert build.main(["--check"], copied) == 0
    assert "1 lessons: all good" in capsys.readouterr().err
    assert before == {p: p.read_bytes() for p in copied.rglob("*.ipynb")}


@pytest.mark.parametrize("name", ["00_a_lesson.ipynb", "solutions/00_a_lesson.ipynb"])
@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"source": "print(1)"}, "is not what"),
        ({"id": "other"}, "is not what"),
        ({"metadata": {"collapsed": True}}, "is not what"),
        ({"execution_count": None}, "was not run"),
        ({"outputs": [nbformat.v4.new_output("error", ename="E", evalue="", traceback=[])]}, "E"),
        ({"outputs": [nbformat.v4.new_output("stream", text="x" * 300_001)]}, "300 KB"),
    ],
)
def test_check_sees_every_difference(copied, capsys, name, parts, message):
    change(copied / name, 2, **parts)
    assert build.main(["--check"], copied) == 1
    assert message in capsys.readouterr().err


def test_check_sees_a_changed_master_a_missing_notebook_and_widget_state(copied, capsys):
    master = copied / "src" / "00_a_lesson.py"
    master.write_text(MASTER.replace("The end.", "An end."), encoding="utf-8")
    assert build.main(["--check"], copied) == 1
    master.write_text(MASTER, encoding="utf-8")
    path = copied / "00_a_lesson.ipynb"
    notebook = nbformat.read(path, as_version=4)
    notebook.metadata["widgets"] = {}
    nbformat.write(notebook, path)
    assert build.main(["--check"], copied) == 1
    path.unlink()
    assert build.main(["--check"], copied) == 1
    assert "is missing" in capsys.readouterr().err
    assert build.main(["--check", "07"], copied) == 1
    assert "no lesson 07" in capsys.readouterr().err


def test_a_leaked_solution_is_seen_even_if_the_cut_is_broken(copied, monkeypatch):
    master = copied / "src" / "00_a_lesson.py"
    monkeypatch.setattr(build, "cut", lambda source, solution: source)
    leaked = build.leaks(master, build.assemble(master, False))
    assert [line.rpartition(": ")[2] for line in leaked] == ["secret = x + x", "return secret"]


def test_numbers_in_outputs_may_differ_and_words_may_not():
    def notebook(text):
        out = nbformat.v4.new_output("stream", text=text)
        return nbformat.v4.new_notebook(
            cells=[nbformat.v4.new_code_cell("1", id="a", outputs=[out])]
        )

    first = running.shape(notebook("loss 0.25 after 3 steps, p = 1.2e-05"))
    assert first == running.shape(notebook("loss  -11.5 after 12 steps, p = 0.4"))
    assert first != running.shape(notebook("loss 0.25 after 3 hours, p = 1.2e-05"))


def test_a_notebook_that_a_learner_changed_is_kept(copied, capsys):
    path = copied / "00_a_lesson.ipynb"
    change(path, 2, source="def double(x):\n    return 2 * x")
    mine = path.read_bytes()
    assert build.main(["00"], copied) == 1
    message = capsys.readouterr().err
    assert "was changed since it was built" in message and "move it elsewhere" in message
    assert path.read_bytes() == mine


def test_what_is_no_change_by_hand(copied):
    path = copied / "00_a_lesson.ipynb"
    assert not build.changed_by_hand(path)
    change(path, 2, outputs=[], execution_count=7)  # run again
    assert not build.changed_by_hand(path)
    assert not build.changed_by_hand(copied / "99_new.ipynb")
    path.write_text(json.dumps(nbformat.v4.new_notebook()))  # not from the builder
    assert build.changed_by_hand(path)


def test_a_new_master_is_built_over_an_old_notebook(copied, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(copied.parent / "stand-in"))
    (copied / "src" / "00_a_lesson.py").write_text(MASTER.replace("The end.", "An end."))
    assert build.main(["00"], copied) == 0
    assert cells_of(copied / "00_a_lesson.ipynb")[3].source == "An end."


def test_text_is_written_without_a_run_and_code_is_not(copied, monkeypatch, capsys):
    monkeypatch.setattr(build, "execute", lambda *words, **more: pytest.fail("it was run"))
    master, paths = copied / "src" / "00_a_lesson.py", sorted(copied.rglob("*.ipynb"))
    master.write_text(MASTER.replace("The end.", "After {reading} minutes: {lesson 01}."))
    assert build.main(["--check"], copied) == 1
    kept = [cells_of(path)[2] for path in paths]
    assert build.main(["--text"], copied) == 0 and build.main(["--check"], copied) == 0
    assert [cells_of(path)[2] for path in paths] == kept
    for path in paths:
        assert cells_of(path)[3].source == "After 15 minutes: 01 A second lesson."
    before = [path.read_bytes() for path in paths]
    master.write_text(MASTER.replace('print("double of"', 'print("twice"'))
    assert build.main(["--text"], copied) == 1
    assert "the code of 00_a_lesson.ipynb is to change" in capsys.readouterr().err
    assert [path.read_bytes() for path in paths] == before
    paths[0].unlink()
    assert build.main(["--text"], copied) == 1
    assert "00_a_lesson.ipynb is missing: build it without --text" in capsys.readouterr().err


# --- the lists of lessons ------------------------------------------------------------------


def test_the_lists_follow_from_the_table(copied):
    front, guide = ((f / "README.md").read_text() for f in (copied.parent, copied))
    assert front == (
        "before\n<!-- lessons -->\n\n- [00 A lesson](notebooks/00_a_lesson.ipynb): Be first.\n"
        "- 01 A second lesson (planned): Come later.\n\n<!-- /lessons -->\nafter\n"
    )
    assert "\n| [00 A lesson](00_a_lesson.ipynb) | 1 | 15 | none | nothing | no | no |\n" in guide
    assert guide.startswith("before\n<!-- lessons -->\n\n| lesson | minutes to run |")
    assert guide.endswith("\n\nPlanned: 01 A second lesson.\n\n<!-- /lessons -->\nafter\n")


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        ("data/lessons.csv", ",15,nothing", ",20,nothing", "the lessons in notebooks/README.md"),
        ("data/lessons.csv", "01,A second", "01,Another", "the lessons in README.md are not"),
        ("data/lessons.csv", "00,A", "02,A", "data/lessons.csv has no row for lesson 00"),
        ("data/lessons.csv", "first.,1", "first.,planned", "lesson 00 is written"),
        ("data/lessons.csv", "later.,planned", "later.,", "lesson 01 has a row"),
        ("data/lessons.csv", "Be first", "Be second", "the lessons in README.md are not"),
        ("README.md", "/lessons", "lessons", "README.md has no list of lessons"),
        ("notebooks/README.md", "| 15 |", "| 16 |", "the lessons in notebooks/README.md"),
    ],
)
def test_check_finds_a_list_or_a_row_that_is_stale(copied, capsys, file, old, new, message):
    path = copied.parent / file
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    assert build.main(["--check"], copied) == 1
    assert message in capsys.readouterr().err


def test_check_finds_a_notebook_without_a_master(copied, capsys):
    shutil.copy(copied / "00_a_lesson.ipynb", copied / "solutions" / "01_old.ipynb")
    assert build.main(["--check"], copied) == 1
    assert "solutions/01_old.ipynb has no master" in capsys.readouterr().err


# --- exercises ------------------------------------------------------------------------------

ASKED = MASTER.replace("A sentence.", "{exercises} minutes.\n# {exercise double}").replace(
    'print("double', 'double = checks.double(double)\nprint("double'
)


def test_an_exercise_says_its_minutes_and_where_help_is(lesson):
    master = lesson(ASKED)
    rows = master.parents[2] / "data" / "exercises.csv"
    rows.write_text(EXERCISES + "00,double,4,easy\n00,more,9,bonus\n", encoding="utf-8")
    with pytest.raises(BuildError, match=r"said are \[.double.\], data/exercises.csv has"):
        build.assemble(master, solution=False)
    rows.write_text(EXERCISES + "00,double,4,easy\n", encoding="utf-8")
    notebook = build.assemble(master, solution=False)
    said = " ".join(notebook.cells[0].source.split())
    assert "4 minutes. *About 4 minutes, easy. Stuck?" in said
    assert '`checks.hint("double")`' in said
    tags = [cell.metadata.get("tags") for cell in notebook.cells]
    assert tags == [None, ["setup"], ["raises-exception"], None]


def test_a_check_that_no_row_or_text_speaks_of_is_refused(lesson):
    with pytest.raises(BuildError, match=r"checked are \['double'\], data/exercises.csv has \[\]"):
        build.assemble(lesson(ASKED.replace("# {exercise double}", "#")), solution=False)


def test_an_exercise_without_a_row_is_refused(lesson):
    with pytest.raises(BuildError, match=r"said are \[.double.\], data/exercises.csv has"):
        build.assemble(lesson(ASKED), solution=False)


def test_minutes_are_summed_and_solutions_kept_for_the_hints(lesson):
    master = lesson(ASKED)
    folder = master.parents[1]
    rows = folder.parent / "data" / "exercises.csv"
    rows.write_text(EXERCISES + "00,double,4,easy\n00,more,9,bonus\n", encoding="utf-8")
    lists.write_lists(folder)
    guide = (folder / "README.md").read_text(encoding="utf-8")
    assert "| 15 | 1 + 1 bonus, 4 min |" in guide and "| 00 | `more` | 9 | bonus |" in guide
    kept = json.loads((folder.parent / "data" / "solutions.json").read_text(encoding="utf-8"))
    words = '    """Return twice x."""\n    secret = x + x\n    return secret'
    assert kept == {"double": f"def double(x):\n{words}"}
    (folder.parent / "data" / "solutions.json").write_text("{}")
    with pytest.raises(BuildError, match=r"data/solutions\.json are not what the masters say"):
        lists.check_lists(folder)


# --- another language ------------------------------------------------------------------------

CHINESE = MASTER.replace(
    "# A sentence.\n",
    """\
# A sentence with `code`, $x^2$ and 1,197 digits: {lesson 01}.

# %% [markdown] lang="zh"
# # 从这里开始
#
# 第一句话，
# 它说的是
# `code`、$x^2$ 和 1,197 个数字。下一课是 **{lesson 01}**。
""",
)


@pytest.fixture
def chinese(copied, monkeypatch):
    """A checkout in which one of two texts is there in Chinese; nothing is run again."""
    monkeypatch.setattr(build, "execute", lambda *words, **more: pytest.fail("it was run"))
    (copied / "src" / "00_a_lesson.py").write_text(CHINESE, encoding="utf-8")
    assert build.main(["--text"], copied) == 0
    return copied


def test_a_text_in_chinese_takes_the_place_of_the_english_one(chinese, capsys):
    english, other = (cells_of(chinese / f"{place}00_a_lesson.ipynb") for place in ("", "zh/"))
    said = "第一句话，它说的是\n`code`、$x^2$ 和 1,197 个数字。下一课是 **01 软标签与硬标签**。"
    assert f"\n\n# 从这里开始\n\n{said}\n\n> 代码" in other[0].source
    assert other[3].source == english[3].source == "The end."
    code = [[cell for cell in cells if cell.cell_type == "code"] for cells in (english, other)]
    assert code[0] == code[1] and "double of 21" in code[1][1].outputs[0].text
    assert [cell.id for cell in english] == [cell.id for cell in other]
    capsys.readouterr()
    assert build.main(["--check"], chinese) == 0
    assert capsys.readouterr().out == "00 zh: 1 of 2 texts are still English\n"


def test_each_language_leads_to_the_other_and_solutions_stay_english(chinese):
    place = f"{build.address()}/blob/HEAD/notebooks"
    english, other, solved = (
        cells_of(chinese / folder / "00_a_lesson.ipynb")[0].source
        for folder in ("", "zh", "solutions")
    )
    assert f"[在线看]({place}/zh/00_a_lesson.ipynb)" in english and "--lang zh`" in english
    assert f"[online]({place}/00_a_lesson.ipynb)" in other and "blob/HEAD/notebooks/zh/" in other
    assert "zh" not in solved
    link = "[00 从这里开始](notebooks/zh/00_a_lesson.ipynb)"
    assert f"中文版: {link}.\n" in (chinese.parent / "README.md").read_text(encoding="utf-8")
    assert "](zh/00_a_lesson.ipynb)" in (chinese / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("at", "parts", "message"),
    [
        (0, {"source": "别的话"}, "is not what"),
        (2, {"source": "print(1)"}, "is not what"),
        (2, {"outputs": []}, "has other outputs than English"),
    ],
)
def test_check_sees_a_changed_notebook_in_chinese(chinese, capsys, at, parts, message):
    change(chinese / "zh" / "00_a_lesson.ipynb", at, **parts)
    assert build.main(["--check"], chinese) == 1
    assert message in capsys.readouterr().err


def test_a_lesson_without_texts_in_chinese_has_no_such_notebook(chinese, capsys):
    (chinese / "src" / "00_a_lesson.py").write_text(MASTER, encoding="utf-8")
    assert build.main(["--text"], chinese) == 0 and build.main(["--check"], chinese) == 1
    assert "zh/00_a_lesson.ipynb has no master: delete it" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("1,197 个", "1,179 个", r"another \['1,197'\]"),
        ("$x^2$ 和", "$x^3$ 和", r"another \['x\^2'\]"),
        ("`code`、", "代码、", r"another \['code'\]"),
        ("{lesson 01}**", "{lesson 00}**", r"another \['\{lesson 00\}', '\{lesson 01\}'\]"),
        ("从这里开始", "别的题目", "the heading is '别的题目'"),
        ('lang="zh"', 'lang="xx"', "no such language"),
        ('[markdown] lang="zh"', 'lang="zh"', "not the one text"),
        ('# %% [markdown] lang="zh"', "# %%\n1\n\n" + '# %% [markdown] lang="zh"', "not the one"),
        ("# %% tags", '# %% [markdown] lang="zh"\n# {lesson 01} 1,197\n\n# %% tags', "not the one"),
    ],
)
def test_a_text_in_chinese_that_says_something_else_is_refused(lesson, old, new, message):
    assert old in CHINESE
    with pytest.raises(BuildError, match=message):
        build.assemble(lesson(CHINESE.replace(old, new)), solution=False, lang="zh")


@pytest.mark.parametrize(
    ("text", "joined"),
    [
        ("上一行\n下一行", "上一行下一行"),
        ("上一行，\n**下一行**", "上一行，**下一行**"),
        ("**粗体。**\n下一句", "**粗体。**\n下一句"),
        ("温度\nT 是 4。\n`T` 大", "温度\nT 是 4。`T` 大"),
        ("- 第一条，\n  接着说。\n- 第二条", "- 第一条，接着说。\n- 第二条"),
        ("上一段。\n\n（下一段）\n$$x$$\n完。\n</details>", None),
        ("完。\n1. 第一", None),
    ],
)
def test_lines_of_chinese_are_joined_without_a_space(text, joined):
    assert languages.unwrapped(text) == (joined or text)


# --- the lessons of this checkout ----------------------------------------------------------

TRANSLATED = [
    (master, lang)
    for master in lists.masters_of(ROOT / "notebooks").values()
    for lang in lists.languages_of(master)
]


@pytest.mark.parametrize(("master", "lang"), TRANSLATED, ids=lambda x: getattr(x, "stem", x))
def test_a_translated_lesson_is_whole_and_its_code_and_outputs_are_the_english_ones(master, lang):
    from markdown_it import MarkdownIt

    assert build.still_english(master, lang).split(": ")[1].startswith("0 of ")
    english, other = (cells_of(build.notebook_path(master, False, name)) for name in ("en", lang))
    code = [[cell for cell in cells if cell.cell_type == "code"] for cells in (english, other)]
    assert code[0] == code[1]
    for ours, theirs in zip(english, other, strict=True):
        if ours.cell_type == "markdown":
            assert ours.source != theirs.source
            shown = re.sub(r"<code>.*?</code>|\$.*?\$", "", MarkdownIt().render(theirs.source))
            assert "*" not in shown, f"bold or italic that is not shown as such: {shown}"


def test_the_words_of_other_languages_are_complete():
    from distillkit.cli import parser
    from distillkit.teaching.lesson import all_lessons

    for lang, words in languages.LANGUAGES.items():
        if lang != "en":
            assert {*words.levels} == {*lists.LEVELS} and {*words.titles} >= {*all_lessons()}
        assert parser("lesson").parse_args(["lesson", "00", "--lang", lang]).lang == lang


def test_the_notebooks_of_this_checkout_are_what_the_masters_build(capsys):
    assert build.main(["--check"]) == 0, capsys.readouterr().err


def test_masters_are_plain_python():
    masters = sorted((ROOT / "notebooks" / "src").glob("*.py"))
    assert masters
    for master in masters:
        compile(master.read_text(encoding="utf-8"), master.name, "exec")
