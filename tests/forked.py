"""Processes that begin with the long imports done: forks of one that has computed nothing yet.

Torch, transformers and Jupyter take a process 5 to 8 s to import, longer than most of what tests
ask of it.  Elsewhere than on Linux each process is a new one and imports them itself.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any
from unittest.mock import patch

ROOT = Path(__file__).resolve().parent.parent
FORKS = sys.platform == "linux"
CONTEXT = multiprocessing.get_context("forkserver" if FORKS else "spawn")
IMPORTED = [  # not the kit itself: some kernels get another one
    "accelerate", "ipykernel.debugger", "ipykernel.kernelapp", "ipywidgets",
    "matplotlib.backends.backend_agg", "matplotlib.figure", "nbformat", "peft", "torch",
    "transformers.models.auto.tokenization_auto", "transformers.models.llama.modeling_llama",
    "transformers.models.qwen2.modeling_qwen2",
]  # fmt: skip


class Process(CONTEXT.Process):
    """A process that runs `work(*words)` in a folder; it ends with the tests.

    `env` is its whole environment; what its PYTHONPATH names is found before all else.
    """

    def __init__(self, work, *words: Any, cwd=ROOT, env=None):
        super().__init__(target=work, args=words, daemon=True)
        self.cwd, self.env = str(cwd), dict(os.environ if env is None else env)
        if FORKS:
            start_server()
        self.start()

    def run(self):
        os.chdir(self.cwd)
        os.environ.clear()
        os.environ.update(self.env)
        sys.path[:0] = filter(None, self.env.get("PYTHONPATH", "").split(os.pathsep))
        super().run()


def start_server():
    """Start the process that is forked, once; strings hash in it as in kernels that are built."""
    from multiprocessing import forkserver

    CONTEXT.set_forkserver_preload(IMPORTED)
    with patch.dict(os.environ, PYTHONHASHSEED="0"):
        forkserver.ensure_running()


class Kernel(Process):
    """A kernel for Jupyter, which asks of it what a `subprocess.Popen` has."""

    stdin = stdout = stderr = None

    def __init__(self, command: list[str], cwd=None, env=None, **_):
        super().__init__(kernel, command, cwd=cwd or os.getcwd(), env=env)
        while self.exitcode is None and os.getpgid(self.pid) != self.pid:
            time.sleep(0.001)  # Jupyter signals to its group, which must not be that of the tests

    def run(self):
        os.setpgid(0, 0)
        super().run()

    def poll(self) -> int | None:
        return self.exitcode

    def wait(self) -> int:
        self.join()
        return self.exitcode

    def send_signal(self, number: int):
        os.kill(self.pid, number)


def kernel(command: list[str]):
    """Do what a kernel's command does: [python, "-m", "ipykernel_launcher", *words]."""
    from ipykernel.kernelapp import launch_new_instance

    ends_with = f"--IPKernelApp.parent_handle={os.getppid()}"
    launch_new_instance(argv=[*command[3:], ends_with])


def kernels():
    """Return a context in which every kernel that this process starts is a fork."""
    place = "jupyter_client.provisioning.local_provisioner.launch_kernel"
    return patch(place, Kernel) if FORKS else nullcontext()


def command(words: list[str], said: Path, encoding: str = "utf-8"):
    """Do what `python -m distillkit` does; all that it says goes to a file, in this encoding."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(encoding=encoding, errors="strict")
    with open(said, "wb") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    from distillkit.cli import main

    sys.exit(main(words))
