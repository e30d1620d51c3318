"""Runs a notebook, finds errors that stop nothing, strips what changes, compares two runs."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path

from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode

from distillkit.teaching.widgets import ERROR_CLASS, SCRIPT, VIEW

SLOW = re.compile(r"^this machine (is busy|computes in float32): .*\n", re.MULTILINE)

STATE = "application/vnd.jupyter.widget-state+json"


class BuildError(Exception):
    """A master or a notebook breaks a rule; the message names all that were found."""


def execute(
    notebook: NotebookNode,
    folder: Path,
    timeout: float = 1800,
    hooks: Mapping[str, Callable] | None = None,
    **env: str,
) -> dict:
    """Run a notebook in place, in `folder`, with more environment variables; return widget state.

    `hooks` are those of a `NotebookClient`, such as `on_cell_executed`.
    Raises BuildError if a cell fails or takes longer than `timeout` seconds.
    """
    client = NotebookClient(
        notebook, timeout=timeout, kernel_name="python3", record_timing=False,
        coalesce_streams=True, extra_arguments=["--log-level=40"],
        resources={"metadata": {"path": str(folder)}}, **(hooks or {}),
    )  # fmt: skip
    try:
        client.execute(env={**os.environ, "PYTHONHASHSEED": "0", **env})
    except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
        raise BuildError(str(error)) from None
    return notebook.metadata.pop("widgets", {}).get(STATE, {}).get("state", {})


def hidden_errors(notebook: NotebookNode, widgets: dict) -> list[str]:
    """Find errors that stopped nothing: in outputs, in stderr, in the state of widgets."""
    outputs = [(cell.id, out) for cell in notebook.cells for out in cell.get("outputs", [])]
    found = []
    for model, widget in widgets.items():
        state = widget["state"]
        where = f"widget {state.get('_model_name', model)}"
        outputs += [(where, out) for out in state.get("outputs", [])]
        texts = [v for v in state.values() if isinstance(v, str)]
        found += [f"{where}: {text[:300]}" for text in texts
                  if ERROR_CLASS in text or "Traceback (most" in text]  # fmt: skip
    for where, out in outputs:
        if out["output_type"] == "error":
            found.append(f"{where}: {out['ename']}: {out['evalue']}")
        elif "Traceback (most" in str(out.get("text", out.get("data", ""))):
            found.append(f"{where}: a traceback in the output: {str(out)[-300:]}")
    return found


def clean(notebook: NotebookNode) -> None:
    """Strip views of widgets, scripts, timing, counts of the kernel, pages of data/, and the lines
    that say how busy or slow this machine was, which is not the reader's.

    Raises BuildError for a cell that was not run, and for a widget without a picture beside it,
    which would be an empty place on a web page.
    """
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    for count, cell in enumerate(code, 1):
        if cell.execution_count is None:
            raise BuildError(f"{cell.id}: this cell was not run")
        cell.execution_count = count
        cell.metadata.pop("execution", None)
        cell.outputs = [out for out in cell.outputs if SCRIPT not in out.get("data", {})]
        for out in cell.outputs:
            if out.get("data", {}).pop(VIEW, None) and "image/png" not in out.data:
                raise BuildError(f"{cell.id}: a widget without its static twin (image/png)")
            if "srcdoc=" in out.get("data", {}).get("text/html", ""):  # a page: its words are kept
                del out.data["text/html"]
            if out.output_type == "stream":
                out.text = SLOW.sub("", out.text)
            if out.output_type == "execute_result":
                out.execution_count = count
    notebook.metadata.language_info = NotebookNode(name="python")


def readable(out: NotebookNode) -> str:
    """Return what an output says in words."""
    return str(out.get("text") or out.get("data", {}).get("text/plain", ""))


def shape(notebook: NotebookNode) -> list[tuple]:
    """Return kinds and words of all outputs with every number masked; not the set-up's."""
    cells = [cell for cell in notebook.cells if "setup" not in cell.metadata.get("tags", [])]
    return [(cell.id, out.output_type, sorted(out.get("data", {})),
             re.sub(r"[-−+]?\d[\d.,]*(e[-+]?\d+)?|\s+", "#", readable(out)))
            for cell in cells for out in cell.get("outputs", [])]  # fmt: skip
