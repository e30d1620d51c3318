"""Ways to start the kit, tried: seconds from nothing to a lesson's first executed cell.

    python -m benchmarks.speed.ways [--only kit usb …]

Each way begins with an empty folder and empty caches of its own (pip's, uv's, the kit's; what the
machine's own package index does is not counted separately), and ends when the first cell of lesson
01 has been executed.  Tried are `kit.py` in a fresh clone; a USB folder that `kit.py usb` filled
(its filling is not counted), without any network; the file that Binder installs from; Colab's case,
a lesson alone whose first cell installs the kit from an archive into an environment that has the
other packages already; and uv.  `hub` is another question: two users on one machine, one read-only
folder of models; it reports the private memory of each learner's process while it answers.
Appends to `benchmarks/results/ways.csv`.  A devcontainer, Binder itself, Colab itself and
Windows or macOS are not run here.
"""

import argparse
import functools
import http.server
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from datetime import date
from pathlib import Path

import nbformat

from benchmarks.runner import ROOT, STUDENT, append
from distillkit.runtime.session import processor
from notebooks.build import address

OUT = ROOT / "benchmarks" / "results" / "ways.csv"
LESSON = "notebooks/01_soft_and_hard_labels.ipynb"
FIRST = """
import sys, nbclient, nbformat
notebook = nbformat.read(sys.argv[1], 4)
notebook.cells = [cell for cell in notebook.cells if cell.cell_type == "code"][:1]
nbclient.NotebookClient(notebook, timeout=900, kernel_name="python3").execute()
print("".join(out.get("text", "") for out in notebook.cells[0].outputs))
"""
# Linux: no network but the machine's own loop, over which a notebook talks to its kernel
OFFLINE = ["unshare", "-rn", "sh", "-c", 'ip link set lo up && exec "$@"', "sh"]
HUB = """
import re, sys, time
from pathlib import Path
import distillkit as dk
machine = dk.start()
student = dk.load({student!r}, machine.device, machine.dtype, say=lambda _: None)
prompts = [dk.chat_text(student.tokenizer, dk.messages("2x + 3 = 11"))]
dk.sample(student.model, student.tokenizer, prompts, max_new_tokens=48)
print("ready", flush=True)
sys.stdin.readline()
text = Path("/proc/self/smaps_rollup").read_text()
private = sum(int(kb) for kb in re.findall(r"^Private_\\w+: +(\\d+)", text, re.M))
print(private // 1024, int(re.search(r"^Rss: +(\\d+)", text, re.M)[1]) // 1024, flush=True)
sys.stdin.readline()  # what two share is private again once one of them has ended
"""


class Place:
    """An empty folder with empty caches, in which commands are run."""

    def __init__(self, folder):
        self.folder, home = Path(folder), Path(folder) / "home"
        home.mkdir()
        config = [p for p in (Path.home() / ".config/pip/pip.conf",) if p.exists()]
        self.env = {
            **{k: v for k, v in os.environ.items() if not k.startswith(("DISTILLKIT", "PYTHON"))},
            "HOME": str(home), "XDG_CACHE_HOME": str(home / "cache"), "UV_LINK_MODE": "copy",
            **({"PIP_CONFIG_FILE": str(config[0])} if config else {}),
        }  # fmt: skip

    def run(self, *words, cwd=None, network=True):
        """Run a command; raises CalledProcessError with its output shown."""
        words = [*([] if network else OFFLINE), *map(str, words)]
        done = subprocess.run(words, cwd=cwd or self.folder, env=self.env, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)  # fmt: skip
        if done.returncode:
            print(done.stdout[-3000:])
        done.check_returncode()
        return done.stdout

    def clone(self):
        """Clone the checkout as it was committed last."""
        self.run("git", "clone", "-q", ROOT, "distillkit")
        return self.folder / "distillkit"

    def first_cell(self, python, notebook, **how):
        """Execute the first cell of a lesson with an environment's Python."""
        said = self.run(python, "-c", FIRST, notebook, cwd=Path(notebook).parent, **how)
        assert "lesson 01" in said, said


def kit(place):
    """`python3 kit.py lab` in a clone."""
    began = time.perf_counter()
    clone = place.clone()
    place.run(sys.executable, "kit.py", "lab", "--version", cwd=clone)
    place.first_cell(clone / ".venv/bin/python", clone / LESSON)
    return time.perf_counter() - began


def usb(place):
    """A copy of a USB folder, without a network."""
    stick = place.folder / "stick"
    place.run(ROOT / ".venv/bin/python", "-m", "distillkit", "usb", "--to", stick,
              "--systems", "linux", cwd=ROOT)  # fmt: skip
    began = time.perf_counter()
    disk = place.folder / "disk"
    shutil.copytree(stick, disk)
    place.run(sys.executable, "kit.py", "lab", "--version", cwd=disk, network=False)
    place.first_cell(disk / ".venv/bin/python", disk / LESSON, network=False)
    return time.perf_counter() - began


def binder(place):
    """The file from which Binder makes an image, in a plain environment."""
    began = time.perf_counter()
    clone, python = place.clone(), place.folder / "venv/bin/python"
    place.run(sys.executable, "-m", "venv", "venv")
    place.run(python, "-m", "pip", "install", "-q", "-r", ".binder/requirements.txt", cwd=clone)
    place.first_cell(python, clone / LESSON)
    return time.perf_counter() - began


def uv(place):
    """uv, as README says it."""
    began = time.perf_counter()
    place.run(sys.executable, "-m", "venv", "tool")
    place.run("tool/bin/pip", "install", "-q", "uv")
    clone, tool = place.clone(), place.folder / "tool/bin/uv"
    place.run(tool, "venv", "-q", "--python", sys.executable, cwd=clone)
    more = os.environ.get("PIP_FIND_LINKS")
    links = ["--find-links", more] if more else []
    place.run(tool, "pip", "install", "-q", "--torch-backend", "cpu", *links,
              "-c", "constraints.txt", "-e", ".[lab]", cwd=clone)  # fmt: skip
    place.first_cell(clone / ".venv/bin/python", clone / LESSON)
    return time.perf_counter() - began


def colab(place):
    """A lesson alone; the packages are there, the kit is not; the archive comes from a server."""
    site = next((ROOT / ".venv/lib").glob("python*/site-packages"))
    clone = place.clone()
    shutil.make_archive(str(place.folder / "served/archive/HEAD"), "zip", place.folder,
                        "distillkit")  # fmt: skip
    shutil.rmtree(clone)
    place.run(sys.executable, "-m", "venv", "venv")
    own = next((place.folder / "venv/lib").glob("python*/site-packages"))
    (own / "others.pth").write_text(f"{site}\n")  # .pth files in there are not followed: no kit
    (own / "google/colab").mkdir(parents=True)
    (own / "google/colab/__init__.py").touch()
    (own / "in_colab.pth").write_text("import google.colab\n")
    alone = place.folder / "content/lesson.ipynb"
    alone.parent.mkdir()
    handler = functools.partial(http.server.SimpleHTTPRequestHandler,
                                directory=place.folder / "served")  # fmt: skip
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    here = f"http://127.0.0.1:{server.server_port}"
    notebook = nbformat.read(ROOT / LESSON, 4)
    (setup,) = (cell for cell in notebook.cells if "setup" in cell.metadata.get("tags", []))
    assert setup.source.count(address()) == 1, "a fork changes one line"
    setup.source = setup.source.replace(address(), here)
    nbformat.write(notebook, alone)
    began = time.perf_counter()
    place.first_cell(place.folder / "venv/bin/python", alone)
    server.shutdown()
    return time.perf_counter() - began


def hub(place):
    """Two learners at once with one read-only folder; returns the larger private memory (MB)."""
    from distillkit.models.loading import prefetch
    from distillkit.runtime.session import start

    shared = place.folder / "models"
    prefetch(shared, [STUDENT], lambda _: None, start().dtype)
    for path in [*shared.rglob("*"), shared]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    env = {**place.env, "DISTILLKIT_MODELS": str(shared), "PYTHONPATH": str(ROOT)}
    words = [sys.executable, "-c", HUB.format(student=STUDENT)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    learners = [subprocess.Popen(words, env={**env, "HOME": str(place.folder / name)}, **pipes)
                for name in ("ada", "ben")]  # fmt: skip
    for learner in learners:
        while learner.stdout.readline().strip() != "ready":
            assert learner.poll() is None, "a learner's process ended"
    found = []
    for learner in learners:
        learner.stdin.write("\n")
        learner.stdin.flush()
        found.append(learner.stdout.readline().split())
    for learner in learners:
        learner.communicate("\n")
    shared.chmod(0o755)
    (shared / STUDENT).chmod(0o755)
    print("private and resident MB:", found)
    return max(int(private) for private, _ in found)


WAYS = {way.__name__: way for way in (kit, usb, binder, uv, colab, hub)}


def main():
    """Try the ways that are asked for, one after the other."""
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("--only", nargs="+", choices=WAYS, default=[*WAYS])
    for name in arguments.parse_args().only:
        with tempfile.TemporaryDirectory(prefix="way-") as folder:
            value = WAYS[name](Place(folder))
        unit = "MB private" if name == "hub" else "s"
        row = {"way": name, "value": round(value), "unit": unit, "machine": processor(),
               "date": date.today().isoformat()}  # fmt: skip
        append(OUT, list(row), [row])
        print(row, flush=True)


if __name__ == "__main__":
    main()
