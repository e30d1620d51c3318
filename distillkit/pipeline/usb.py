"""A folder for a USB stick: this checkout, the students, and wheels for several systems.

On a machine without a network `python3 kit.py lab` in that folder (or in a copy of it) installs
from `wheels/` alone and finds the students in `models/`.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from distillkit.models.downloads import fetch

ROOT = Path(__file__).resolve().parents[2]
STUDENTS = ("smollm2-135m-instruct", "qwen2.5-coder-0.5b-instruct")
CPU_WHEELS = "https://download.pytorch.org/whl/cpu"
OURS = (".binder", ".ci", ".devcontainer", ".gitignore", "LICENSE", "README.md", "benchmarks",
        "constraints.txt", "data", "distillkit", "environment.yml", "kit.py", "notebooks",
        "pyproject.toml", "setup.py", "tests")  # fmt: skip
CACHES = ("__pycache__", ".hypothesis", ".ipynb_checkpoints")
# system -> what markers of requirements ask for, and pip's words for its wheels
SYSTEMS = {
    "linux": (
        {"sys_platform": "linux", "platform_system": "Linux", "os_name": "posix",
         "platform_machine": "x86_64"},
        [f"manylinux_2_{n}_x86_64" for n in (28, 27, 26, 24, 17)] + ["manylinux2014_x86_64"],
    ),
    "windows": (
        {"sys_platform": "win32", "platform_system": "Windows", "os_name": "nt",
         "platform_machine": "AMD64"},
        ["win_amd64"],
    ),
    "macos": (
        {"sys_platform": "darwin", "platform_system": "Darwin", "os_name": "posix",
         "platform_machine": "arm64", "platform_release": "23.0"},
        ["macosx_14_0_arm64"],
    ),
}  # fmt: skip


def needed(environment: Mapping[str, str], pins: Mapping[str, str]) -> list[str]:
    """List what `kit.py lab` installs on a system, each with its pinned version if it has one.

    Follows the requirements of the packages that are installed here, with the markers of that
    system; what only that system needs has no pin, and pip takes the newest.
    """
    found: dict[str, str] = {}
    left = [Requirement("distillkit[lab,quant]"), Requirement("setuptools")]
    seen = set()
    while left:
        need = left.pop()
        name = canonicalize_name(need.name)
        if name != "distillkit":
            found[name] = pins.get(name) or f"{name}{need.specifier}"
        for extra in {"", *need.extras} - {e for n, e in seen if n == name}:
            seen.add((name, extra))
            left += _requirements(name, {**environment, "extra": extra})
    return sorted(found.values())


def _requirements(name: str, environment: Mapping[str, str]) -> list[Requirement]:
    try:
        lines = requires(name) or []
    except PackageNotFoundError:  # what only the other system needs
        return []
    needs = map(Requirement, lines)
    return [n for n in needs if n.marker is None or n.marker.evaluate(dict(environment))]


def pins_of(constraints: str) -> dict[str, str]:
    """Read the lines "name==version" of constraints.txt: name -> line."""
    lines = [line.split("#")[0].strip() for line in constraints.splitlines()]
    return {canonicalize_name(line.split("==")[0]): line for line in lines if "==" in line}


def fill(
    folder: str | Path,
    systems: Iterable[str] = SYSTEMS,
    pythons: Iterable[str] = (),
    say: Callable[[str], None] = print,
) -> None:
    """Fill a folder: the checkout, `models/`, and `wheels/` for systems and versions of Python.

    `pythons` are versions such as "3.12", by default this one's.  What is complete is not fetched
    again.  Raises ValueError for a folder with other things in it, and for a kit that was not
    installed from a checkout; OSError with pip's own words, and ModelError.
    """
    folder = Path(folder).expanduser().resolve()
    if not (ROOT / "kit.py").exists():
        raise ValueError("this kit was not installed from a checkout: clone the repository, and "
                         "run python3 kit.py usb there")  # fmt: skip
    if folder == ROOT or ROOT in folder.parents:
        raise ValueError(f"{folder} lies inside the checkout: name a folder outside of it")
    if folder.exists() and any(folder.iterdir()) and not (folder / "kit.py").exists():
        raise ValueError(f"{folder} has other things in it: name a new or an empty folder")
    for path in project_files():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / path, folder / path)
    say(f"{folder}: the checkout is copied")
    for name in STUDENTS:
        fetch(name, folder / "models", say)
    pins = pins_of((ROOT / "constraints.txt").read_text(encoding="utf-8"))
    for python in pythons or [f"{sys.version_info.major}.{sys.version_info.minor}"]:
        for system in systems:
            environment, platforms = SYSTEMS[system]
            full = f"{python}.9"  # the first releases of a version are refused by some packages
            about = {**environment, "python_version": python, "python_full_version": full}
            say(f"wheels for {system}, Python {python} …")
            _download(folder / "wheels", needed(about, pins), platforms, full, system == "linux")
    size = sum(file.stat().st_size for file in (folder / "wheels").iterdir())
    say(f"{folder / 'wheels'}: {len([*(folder / 'wheels').iterdir()])} files, {size / 1e9:.1f} GB")
    say(f"done. On each machine: copy {folder.name} to its disk, then python3 kit.py lab there")


def project_files() -> list[Path]:
    """List the files of the project, relative to the checkout; an instructor's own stay at home.

    They are those that git knows.  Without git: what stands below the names in `OURS`, without
    learners' copies and caches.
    """
    if (ROOT / ".git").exists():
        with suppress(OSError):  # there is no git
            listed = subprocess.run(["git", "-C", str(ROOT), "ls-files", "-z"],
                                    capture_output=True, encoding="utf-8")  # fmt: skip
            names = [name for name in listed.stdout.split("\0") if (ROOT / name).is_file()]
            if "kit.py" in names:
                return [Path(name) for name in names]
    found = [path for name in OURS for path in (ROOT / name, *(ROOT / name).rglob("*"))]
    files = [path.relative_to(ROOT) for path in found if path.is_file()]
    return [path for path in files if not _made_by_working(path)]


def _made_by_working(path: Path) -> bool:
    return path.parts[:2] == ("notebooks", "mine") or any(
        part in CACHES or part.endswith(("_cache", ".egg-info")) for part in path.parts
    )


def _download(
    to: Path, wanted: Sequence[str], platforms: Sequence[str], python: str, cpu_index: bool
) -> None:
    words = ["--dest", str(to), "--no-deps", "--only-binary", ":all:", "--implementation", "cp",
             "--python-version", python, "--progress-bar", "off"]  # fmt: skip
    words += [word for platform in platforms for word in ("--platform", platform)]
    if cpu_index and _answers(CPU_WHEELS):
        words += ["--extra-index-url", CPU_WHEELS]
    done = subprocess.run([sys.executable, "-m", "pip", "download", *words, *wanted],
                          capture_output=True, text=True)  # fmt: skip
    if done.returncode:
        raise OSError("pip could not fetch the wheels: " + done.stderr.strip()[-600:])


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=3):
            return True
    except OSError:
        return False
