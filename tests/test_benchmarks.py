"""The benchmarks are run by hand; here they are started, and their growing CSV is checked."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parent.parent / "benchmarks"
SCRIPTS = [p for p in sorted(FOLDER.glob("*.py")) if "argparse" in p.read_text(encoding="utf-8")]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda p: p.stem)
def test_a_benchmark_starts_and_says_how_it_is_called(script, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", [str(script), "--help"])
    monkeypatch.syspath_prepend(str(FOLDER))
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(script), run_name="__main__")
    assert ended.value.code == 0
    assert "usage: " in capsys.readouterr().out
    first = script.read_text(encoding="utf-8").split('"""')[1]
    assert f"python benchmarks/{script.name}" in first, "its docstring names the command"


def test_rows_are_added_under_one_header_and_found_again(tmp_path):
    rows = runpy.run_path(str(FOLDER / "rows.py"))
    path, fields = tmp_path / "results.csv", ("name", "seed", "exact")
    assert rows["done"](path, "name", "seed") == set()
    rows["append"](path, fields, [{"name": "a, b", "seed": 0, "exact": 0.5}])
    rows["append"](path, fields, [{"name": "c", "seed": 1}])
    assert path.read_text().splitlines() == ["name,seed,exact", '"a, b",0,0.5', "c,1,"]
    assert rows["done"](path, "name", "seed") == {("a, b", "0"), ("c", "1")}
