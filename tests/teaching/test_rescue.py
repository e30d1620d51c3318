"""A cell that stops before its check: the lesson goes on with the kit's function."""

import atexit

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
    monkeypatch.setattr(record, "_LOST", [])
    shell.user_ns["checks"] = checks
    rescue.watch()
    rescue.watch()
    yield shell
    atexit.unregister(shell.atexit_operations)  # a second each, in the end


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


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("", "between one and four equations were expected"),
        (None, "None is no text: write it between quotation marks"),
        ("x", "no equals sign in 'x'"),
        ("2x + 3 = 7; import os", "no equals sign in 'import os'"),
        ("1,5x = 3", "a comma stands between two equations: write 1.5 with a point, not 1,5"),
        ("2x = 2x + 1", "no single solution"),
        ("x + y = 3", "no single solution"),
    ],
)
def test_a_typed_equation_that_cannot_be_used_is_answered_in_a_sentence(
    shell, typed, words, capsys
):
    result = shell.run_cell(f"from distillkit import make_problem\nmake_problem({typed!r})")
    assert isinstance(result.error_in_exec, ValueError), "the cells after it do not run"
    printed = capsys.readouterr()
    said = " ".join(printed.out.split())  # it is folded
    assert said.startswith(f"✗ This equation cannot be used: {words}. Type a linear equation")
    assert "Traceback" not in printed.out + printed.err
    shell.run_cell("int('x')")
    assert "ValueError" in capsys.readouterr().out, "other errors are shown as ever"


def test_other_cells_are_left_alone(shell, capsys):
    shell.run_cell("x = 1 / 0")
    shell.run_cell("def softened(z, t): return (z / t).softmax(-1)" + CHECK)
    assert shell.user_ns["softened"] is not checks.softened.reference
    assert "goes on" not in capsys.readouterr().out
