"""Explorers, moved to both ends of all their controls; also imported inside of lessons' kernels."""

from __future__ import annotations

from typing import Any

from distillkit.teaching.widgets import Explorer

NONSENSE = ("", " ", "?" * 300, "x = = <b>&</b> $1/0$ ∞ 😀\n")  # what is typed into text boxes


def extremes(explorer: Explorer) -> list[dict]:
    """Return settings at both ends of every control, one at a time and all together, each once."""
    ends = {name: _ends(spec) for name, spec in explorer.specs.items()}
    alone = [{name: value} for name, values in ends.items() for value in values]
    low, high = ({n: values[at] for n, values in ends.items()} for at in (0, -1))
    settings = [{**explorer.start, **setting} for setting in [*alone, low, high]]
    return [setting for at, setting in enumerate(settings) if setting not in settings[:at]]


def _ends(spec: Any) -> list:
    if isinstance(spec, bool):
        return [False, True]
    if isinstance(spec, str):
        return [*NONSENSE]
    return list(spec) if isinstance(spec, list) else [spec[0], spec[1]]


def sweep(explorer: Explorer) -> None:
    """Move an explorer to all of its `extremes`, as a hand would, and back to its start.

    A ValueError for what was typed into a text box is the right answer and passes; anything else
    that `draw` raises is an AssertionError.
    """
    texts = {name for name, spec in explorer.specs.items() if isinstance(spec, str)}
    for setting in extremes(explorer):
        explorer.move(**setting)
        typed = any(setting[name] != explorer.start[name] for name in texts)
        bad = explorer.error
        assert bad is None or (typed and isinstance(bad, ValueError)), f"{setting}: {bad!r}"
    explorer.move(**explorer.start)
    assert explorer.error is None, explorer.error
