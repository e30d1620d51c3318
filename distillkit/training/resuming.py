"""What lets a run stop and go on exactly: its mark, journal and checkpoints, and Ctrl-C."""

from __future__ import annotations

import signal
import threading
import time
from pathlib import Path
from typing import Any

from distillkit.runtime.files import Journal, digest
from distillkit.training.checkpoints import LogRow, restore, save
from distillkit.training.lora import layers_of
from distillkit.training.processes import TrainState


def mark_of(model, state: TrainState, *settings: object) -> str:
    """Return what tells this run from others: its settings and data, precision, shapes and base,
    and each layer's scale and dropout.

    Settings are told apart by their `repr`.  The trained weights are no part of it: a run goes on
    from where they are on disk, whatever they are in memory.
    """
    shapes = [(name, tuple(p.shape)) for name, p in state.trained.items()]
    base = [p.flatten()[:4].tolist() for p in model.parameters() if not p.requires_grad]
    how = [(layer.scaling, [getattr(dropout, "p", 0.0) for dropout in layer.lora_dropout.values()])
           for layer in layers_of(model).values()]  # fmt: skip
    return digest([settings, state.accelerator.mixed_precision, shapes, base, how])


class Recording:
    """The journal and the checkpoints of a run in the folder `out`; without one, nothing is kept.

    `done` steps are behind it, and `log` has their rows.  Of several processes the first one
    writes.  Raises ValueError if the folder's checkpoint has another mark.
    """

    def __init__(self, out: Path | None, state: TrainState, mark: str, save_seconds: float):
        self.out, self.state, self.mark, self.save_seconds = out, state, mark, save_seconds
        self.done = 0
        self.log: list[LogRow] = []
        if out:
            with state.accelerator.main_process_first():
                self.done, self.log = restore(
                    out, state.trained, state.optimizer, state.accelerator, mark
                )
        state.accelerator.wait_for_everyone()
        writes = out is not None and state.accelerator.is_main_process
        self.journal = Journal(out / "train.jsonl", {"run": mark}) if writes else None
        self.saved = time.monotonic()

    def __enter__(self) -> Recording:
        return self

    def __exit__(self, *_: object) -> None:
        if self.journal:
            self.journal.close()

    def add(self, row: LogRow) -> None:
        """Add the row of a step to the log and to the journal."""
        self.log.append(row)
        if self.journal:
            self.journal.add(row)

    def save(self, step: int, now: bool) -> None:
        """Write a checkpoint after `step` steps: now, or if the last one is `save_seconds` old."""
        if self.journal and (now or time.monotonic() - self.saved > self.save_seconds):
            state = self.state
            save(self.out, step, state.trained, state.optimizer, state.accelerator, self.mark)
            self.saved = time.monotonic()


class CtrlC:
    """Turns the first Ctrl-C into a flag, so that no step is cut in half; the second one raises."""

    def __init__(self):
        self.asked, self.before = False, None

    def __enter__(self) -> CtrlC:
        if threading.current_thread() is threading.main_thread():
            self.before = signal.signal(signal.SIGINT, self._ask)
        return self

    def __exit__(self, *_: object) -> None:
        if self.before is not None:
            signal.signal(signal.SIGINT, self.before)
            self.before = None

    def _ask(self, number: int, frame: Any) -> None:
        self.asked = True
        self.__exit__()
