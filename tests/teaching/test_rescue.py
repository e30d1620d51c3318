"""A cell that stops before its check: the lesson goes on with the kit's function."""

import pytest

IPython = pytest.importorskip("IPython")

from distillkit.lessons.l01_soft_labels import checks  # noqa: E402
from distillkit.teaching import record, rescue  # noqa: E402

CHECK = "\nsoftened = checks.softened(softened)"


@pytest.fixture
def shell(monkeypatch):
    from IPython.core.interactiveshell import InteractiveShell

    shell = InteractiveShell()
    monkeypatch.setattr(rescue, "_shell", lambda: shell)
    monkeypatch.setattr(record, "KNOWN", {"softened": checks.softened})
    monkeypatch.setattr(record, "_HERE", [])
    shell.user_ns["checks"] = checks
    rescue.watch()
    rescue.watch()
    return shell


@pytest.mark.parametrize(
    ("cell", "words"),
    [
        ("def softened(z, t) return z" + CHECK, "SyntaxError"),
        ("x = 1 / 0" + CHECK, "ZeroDivisionError"),
        ("def softened(z, t=unknown): return z" + CHECK, "NameError"),
    ],
)
def test_the_kits_function_takes_its_place(shell, cell, words, capsys):
    shell.run_cell(cell)
    assert shell.user_ns["softened"] is checks.softened.reference
    said = capsys.readouterr().out
    assert f"✗ softened: the cell stops before the check: {words}" in said
    assert said.count("goes on with the kit's softened") == 1


def test_other_cells_are_left_alone(shell, capsys):
    shell.run_cell("x = 1 / 0")
    shell.run_cell("def softened(z, t): return (z / t).softmax(-1)" + CHECK)
    assert shell.user_ns["softened"] is not checks.softened.reference
    assert "goes on" not in capsys.readouterr().out
