"""A cell that stops: an error in the text of an exercise must not take the rest of the notebook
with it, and a typed equation that cannot be read is answered in a sentence."""

from __future__ import annotations

import re
from typing import Any

from distillkit.problems.algebra import ParseError, SolutionError
from distillkit.teaching.attempt import one_line
from distillkit.teaching.record import KNOWN, say

CHECKED = re.compile(r"^(\w+) = checks\w*\.\1\(\1\)", re.MULTILINE)  # f = checks.f(f)


def watch() -> None:
    """Look at every cell that runs from now on; without IPython there is nothing to look at."""
    if (shell := _shell()) is not None:
        shell.events.register("post_run_cell", after_cell)  # a second time changes nothing
        shell.set_custom_exc((ParseError, SolutionError), in_a_sentence)


def _shell() -> Any:
    try:
        from IPython import get_ipython
    except ImportError:
        return None
    return get_ipython()


def in_a_sentence(shell: Any, kind: type, error: Exception, trace: Any, **_: Any) -> None:
    """Say what is wrong with a typed equation, in place of fifty lines of calls."""
    say(
        f"✗ This equation cannot be used: {error}.\n"
        "  Type a linear equation such as 3(x - 2) = 15, and run this cell again."
    )


def after_cell(result: Any) -> None:
    """After a cell that stopped, give the kit's function to each exercise that it should check.

    Jupyter goes on after such a cell, because the builder gave it the tag "raises-exception".
    """
    error = result.error_before_exec or result.error_in_exec
    if error is None or not isinstance(error, Exception):  # the learner pressed the stop button
        return
    for name in CHECKED.findall(result.info.raw_cell):
        if name in KNOWN:
            _shell().user_ns[name] = KNOWN[name].reference
            say(
                f"✗ {name}: the cell stops before the check: {one_line(error)}\n"
                f"  The lesson goes on with the kit's {name}; change yours and run this again."
            )
