"""JupyterLab as a learner meets it: the copy that opens, and what is in sight."""

import json
import sys
from fnmatch import fnmatch
from pathlib import Path

import nbformat
import pytest

from distillkit import cli
from distillkit.teaching import lab
from distillkit.teaching import lesson as lessons

pytest.importorskip("jupyterlab")
from jupyterlab.labapp import LabApp


@pytest.fixture
def started(tmp_path, monkeypatch):
    """A checkout with one lesson; returns its folder and the words that JupyterLab got."""
    folder, words = tmp_path / "notebooks", []
    folder.mkdir()
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("the lesson")])
    nbformat.write(notebook, folder / "00_start_here.ipynb")
    monkeypatch.setattr(lessons, "notebooks_folder", lambda: folder)
    monkeypatch.setenv("DISTILLKIT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(LabApp, "launch_instance", words.extend)
    return folder, words


def test_lab_opens_a_copy_of_the_first_lesson_and_keeps_it(started):
    folder, words = started
    assert cli.main(["lab", "--no-browser", "--port=8899"]) == 0
    mine = folder / "mine" / "00_start_here.ipynb"
    assert nbformat.read(mine, 4).cells[0].source == "the lesson"
    assert words[-2:] == ["--no-browser", "--port=8899"]
    app = LabApp()
    app.load_config_environ()
    app.parse_command_line(words)
    assert app.config.LabApp.default_url == "/lab/tree/mine/00_start_here.ipynb"
    assert app.config.ServerApp.root_dir == str(folder)
    mine.write_text("my work")
    assert cli.main(["lab"]) == 0
    assert mine.read_text() == "my work"


def test_a_learner_sees_lessons_and_no_builder_files(started):
    listed = ["00_start_here.ipynb", "README.md", "mine"]
    for name in (*listed, "src", "solutions", "build.py", "__pycache__"):
        hidden = any(fnmatch(name, pattern) for pattern in lab.HIDDEN)
        assert hidden is (name not in listed), name


def test_the_news_are_not_asked_for_and_pages_are_shown_as_pages(started, tmp_path):
    assert cli.main(["lab"]) == 0
    (words,) = [w for w in started[1] if w.startswith("--LabApp.app_settings_dir=")]
    folder = Path(words.partition("=")[2])
    written = json.loads((folder / "overrides.json").read_text())
    assert written["@jupyterlab/apputils-extension:notification"]["fetchNews"] == "false"
    schemas = Path(sys.prefix) / "share" / "jupyter" / "lab" / "schemas"
    for plugin, settings in written.items():
        package, _, name = plugin.partition(":")
        known = json.loads((schemas / package / f"{name}.json").read_text())["properties"]
        assert set(settings) <= set(known), "JupyterLab has renamed a setting"


def test_an_installed_package_has_no_notebooks_to_open(monkeypatch, capsys):
    monkeypatch.setattr(lessons, "notebooks_folder", lambda: None)
    assert cli.main(["lab"]) == 1
    assert "the notebooks are not part of the installed package" in capsys.readouterr().err


def test_a_missing_jupyterlab_is_a_sentence(started, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "jupyterlab.labapp", None)
    assert cli.main(["lab"]) == 1
    assert 'pip install "distillkit[lab]"' in capsys.readouterr().err
