"""JupyterLab for a learner: it opens a copy of the first lesson and shows what a learner needs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from distillkit.runtime.files import write_json
from distillkit.runtime.session import cache_dir
from distillkit.teaching.lesson import copy_lesson, lesson_path

# What only builds the lessons, and the answers, are not listed; they are there all the same.
HIDDEN = ["src", "solutions", "*.py", "__pycache__", "*.pyc", ".DS_Store", "*~"]
SETTINGS = {  # in place of JupyterLab's own defaults; a learner's settings go before these
    "@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": False},
    "@jupyterlab/docmanager-extension:plugin": {"defaultViewers": {"markdown": "Markdown Preview"}},
}


def own_copy(number: str) -> Path:
    """Return a learner's copy of a lesson, made if it is missing.

    Raises FileNotFoundError where there are no notebooks, as in an installed package.
    """
    path = lesson_path(number)
    mine = path.parent / "mine" / path.name
    return mine if mine.exists() else copy_lesson(number)


def lab_words(folder: Path, first: Path, settings: Path) -> list[str]:
    """Return JupyterLab's options: its folder, the notebook it opens, where its defaults are."""
    return [
        f"--ServerApp.root_dir={folder}",
        f"--LabApp.default_url=/lab/tree/{first.relative_to(folder).as_posix()}",
        f"--LabApp.app_settings_dir={settings}",
        f"--ContentsManager.hide_globs={HIDDEN}",
    ]


def open_lab(words: Sequence[str]) -> None:
    """Start JupyterLab with more words of its command line; returns when it was stopped.

    Raises ImportError that says what to do where it is not installed.
    """
    try:
        from jupyterlab.labapp import LabApp
    except ImportError as error:
        raise ImportError('JupyterLab is missing: pip install "distillkit[lab]"') from error
    first, settings = own_copy("00"), cache_dir() / "lab"
    write_json(settings / "overrides.json", SETTINGS)
    LabApp.launch_instance([*lab_words(first.parent.parent, first, settings), *words])
