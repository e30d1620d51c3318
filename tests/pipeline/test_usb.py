"""A folder for a USB stick: what goes into it, for which system, and what is left alone."""

import shutil
import subprocess
from types import SimpleNamespace

import pytest

from distillkit import cli
from distillkit.pipeline import usb

PINS = usb.pins_of((usb.ROOT / "constraints.txt").read_text(encoding="utf-8"))


def names(system, python="3.12"):
    environment, _ = usb.SYSTEMS[system]
    about = {**environment, "python_version": python, "python_full_version": f"{python}.0"}
    return {line.split("=")[0].split(">")[0] for line in usb.needed(about, PINS)}


def test_a_system_gets_what_the_lessons_need_and_what_only_it_needs():
    assert {"torch", "transformers", "jupyterlab", "ipywidgets", "setuptools"} <= names("linux")
    assert "bitsandbytes" in names("windows") and "pytest" not in names("linux")
    assert names("windows") - names("linux") >= {"colorama"}
    assert "appnope" in names("macos") and "appnope" not in names("windows")
    environment, _ = usb.SYSTEMS["linux"]
    lines = usb.needed({**environment, "python_version": "3.12"}, PINS)
    assert PINS["torch"] in lines and PINS["jupyterlab"] in lines


PRIVATE = (".env", "grades.csv", "instructor/solutions.html", "pages/ada.html", "progress.html")


@pytest.fixture
def small(tmp_path, monkeypatch):
    """A small checkout, and pip and the models' download noted instead of run."""
    root = tmp_path / "checkout"
    for name in ("kit.py", "constraints.txt", "distillkit/models/a.py", "notebooks/1.ipynb",
                 "notebooks/mine/1.ipynb", "runs/demo/report.json", ".venv/bin/python",
                 "tests/__pycache__/a.pyc", "models/large.gguf", *PRIVATE):  # fmt: skip
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("torch==2.13.0\n")

    def run(command, **how):
        if command[0] == "git":
            return git(command, **how)
        calls.append(command)
        to = tmp_path / "stick" / "wheels"
        to.mkdir(exist_ok=True)
        (to / f"{len(calls)}.whl").write_bytes(b"wheel")
        return SimpleNamespace(returncode=calls.fails, stderr="no wheel for that")

    class Calls(list):
        fails = 0

    calls, git = Calls(), subprocess.run
    monkeypatch.setattr(usb, "ROOT", root)
    monkeypatch.setattr(usb, "fetch", lambda name, folder, say: folder.mkdir(exist_ok=True))
    monkeypatch.setattr(usb, "_answers", lambda address: True)
    monkeypatch.setattr(usb.subprocess, "run", run)
    return SimpleNamespace(root=root, stick=tmp_path / "stick", calls=calls)


def test_the_folder_holds_the_checkout_and_wheels_for_every_system(small):
    said = []
    usb.fill(small.stick, pythons=["3.11", "3.12"], say=said.append)
    found = {str(p.relative_to(small.stick)) for p in small.stick.rglob("*") if p.is_file()}
    assert {"kit.py", "distillkit/models/a.py", "notebooks/1.ipynb"} <= found
    assert not [name for name in found if "mine" in name or "pycache" in name or "runs" in name]
    assert "models/large.gguf" not in found and ".venv/bin/python" not in found
    assert not found & {*PRIVATE}
    assert len(small.calls) == 6
    for call in small.calls:
        text = " ".join(map(str, call))
        assert "--no-deps" in text and "--only-binary :all:" in text and "torch==2.13.0" in text
        assert ("download.pytorch.org" in text) == ("manylinux" in text)
    assert sum("win_amd64" in call for call in small.calls) == 2
    assert "6 files" in said[-2] and "python3 kit.py lab" in said[-1]


@pytest.mark.skipif(not shutil.which("git"), reason="needs git")
def test_of_a_clone_only_what_git_knows_is_copied(small):
    def git(*words):
        subprocess.run(["git", "-C", str(small.root), *words], check=True, capture_output=True)

    def copied():
        usb.fill(small.stick, ["linux"], say=lambda _: None)
        files = [p.relative_to(small.stick) for p in small.stick.rglob("*") if p.is_file()]
        return {path.as_posix() for path in files if path.parts[0] != "wheels"}

    (small.root / "notebooks" / "keys ü.txt").write_text("private")
    git("init", "-q")
    assert [path.as_posix() for path in usb.project_files()].count("kit.py") == 1, "nothing added"
    git("add", "kit.py", "constraints.txt", "notebooks/1.ipynb", "distillkit")
    (small.root / "distillkit" / "models" / "a.py").unlink()
    assert copied() == {"kit.py", "constraints.txt", "notebooks/1.ipynb"}
    git("add", "notebooks/keys ü.txt")
    assert "notebooks/keys ü.txt" in copied()


@pytest.mark.skipif(not (usb.ROOT / ".git").exists(), reason="not a clone")
def test_the_names_of_the_project_are_those_that_git_knows():
    assert {path.parts[0] for path in usb.project_files()} == {*usb.OURS}


def test_a_folder_of_somebody_else_is_not_written_to(small):
    small.stick.mkdir()
    (small.stick / "thesis.doc").write_text("years of work")
    with pytest.raises(ValueError, match="has other things in it"):
        usb.fill(small.stick)
    with pytest.raises(ValueError, match="inside the checkout"):
        usb.fill(small.root / "stick")
    assert [p.name for p in small.stick.iterdir()] == ["thesis.doc"] and not small.calls
    (small.root / "kit.py").unlink()
    with pytest.raises(ValueError, match="clone the repository"):
        usb.fill(small.stick / "new")


def test_a_learners_copies_on_the_stick_stay_when_it_is_filled_again(small):
    usb.fill(small.stick, ["linux"], say=lambda _: None)
    mine = small.stick / "notebooks" / "mine" / "1.ipynb"
    mine.parent.mkdir()
    mine.write_text("my answers")
    usb.fill(small.stick, ["linux"], say=lambda _: None)
    assert mine.read_text() == "my answers"


def test_pips_own_words_are_said_when_a_wheel_is_missing(small, capsys):
    small.calls.fails = 1
    assert cli.main(["usb", "--to", str(small.stick), "--systems", "macos"]) == 1
    assert "no wheel for that" in capsys.readouterr().err
