"""Which machine is this, and what follows: tier, device, precision, folders, seeds."""

from __future__ import annotations

import contextlib
import os
import platform
import random
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

STUDENTS = {  # tier -> (name on the hub, name in data/models.json for machines without a hub)
    "tiny": ("HuggingFaceTB/SmolLM2-135M-Instruct", "smollm2-135m-instruct"),
    "cpu": ("Qwen/Qwen2.5-0.5B-Instruct", "qwen2.5-coder-0.5b-instruct"),
    "gpu": ("Qwen/Qwen2.5-0.5B-Instruct", "qwen2.5-coder-0.5b-instruct"),
}


MATMUL = {"float32": "highest", "bfloat16": "medium"}  # ours -> torch's name


@dataclass(frozen=True)
class Session:
    """What this machine can do and why: the answer to "where will my code run?"."""

    tier: str
    device: str
    dtype: str
    student: str
    seed: int
    matmul: str = "float32"
    why: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return f"{self.tier} tier: " + "; ".join(self.why)


def start(tier: str | None = None, seed: int = 0, matmul: str | None = None) -> Session:
    """Choose tier, device and precision, and say why; `tier` and `matmul` override the choice.

    `matmul` is the type in which a CPU multiplies float32 matrices: "float32", or "bfloat16"
    with sums in float32, which is chosen where a short measurement shows that it pays.
    Raises ValueError for an unknown name or for `gpu` without a CUDA device.
    """
    import torch

    cuda = torch.cuda.is_available()
    if tier is not None and tier not in STUDENTS:
        raise ValueError(f"unknown tier {tier!r}: choose one of {', '.join(STUDENTS)}")
    if tier == "gpu" and not cuda:
        raise ValueError("tier 'gpu' needs a CUDA device and torch sees none: use --tier cpu")
    tier = tier or os.environ.get("DISTILLKIT_TIER") or ("gpu" if cuda else "cpu")
    if tier != "gpu":
        reason = "no CUDA device" if not cuda else f"tier {tier} asked for"
        device, dtype, why = "cpu", "float32", [reason, f"{torch.get_num_threads()} CPU threads"]
        matmul, because = (matmul, "asked for") if matmul else _faster_matmul()
        why.append(f"float32, products in {matmul} ({because})")
    else:
        device, matmul, why = "cuda", matmul or "float32", [torch.cuda.get_device_name()]
        dtype = "bfloat16" if torch.cuda.is_bf16_supported() else "float16"
        why.append(f"{dtype}, the 16-bit type this card computes fast")
    set_matmul(matmul)
    student = STUDENTS[tier][0]
    why.append(f"student = {student}")
    seed_everything(seed)
    return Session(tier, device, dtype, student, seed, matmul, why)


def set_matmul(kind: str) -> None:
    """Multiply float32 matrices in "float32" or "bfloat16"; raises ValueError for another name."""
    import torch

    if kind not in MATMUL:
        raise ValueError(f"unknown type of products {kind!r}: choose one of {', '.join(MATMUL)}")
    torch.set_float32_matmul_precision(MATMUL[kind])


@contextlib.contextmanager
def matmul_in(kind: str) -> Iterator[None]:
    """Multiply in "float32" or "bfloat16" for a while, then as before."""
    import torch

    before = torch.get_float32_matmul_precision()
    set_matmul(kind)
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def bfloat16_gain(rows: int = 256) -> float:
    """Measure how many times as fast products in bfloat16 are here, for one layer of a student.

    Processors with matrix units (AMX) gain; most laptops do not.  Takes about 0.2 seconds.
    """
    import torch

    x, w = torch.rand(rows, 896), torch.rand(4864, 896)
    best = dict.fromkeys(MATMUL, float("inf"))
    for _ in range(6):  # in turn, so that another program's load hits both
        for kind in MATMUL:
            with matmul_in(kind):
                began = time.perf_counter()
                torch.nn.functional.linear(x, w)
                best[kind] = min(best[kind], time.perf_counter() - began)
    return best["float32"] / best["bfloat16"]


def _faster_matmul() -> tuple[str, str]:
    gain = bfloat16_gain()
    if gain < 1.5:  # not worth the digits
        return "float32", "bfloat16 is not faster here"
    return "bfloat16", f"{gain:.1f} times as fast here; --matmul float32 for all digits"


def seed_everything(seed: int) -> None:
    """Seed Python, NumPy and torch."""
    import numpy
    import torch

    random.seed(seed)
    numpy.random.seed(seed % 2**32)
    torch.manual_seed(seed)


def cache_dir() -> Path:
    """Return the folder for converted models: DISTILLKIT_CACHE, or the user's cache folder."""
    if os.environ.get("DISTILLKIT_CACHE"):
        return Path(os.environ["DISTILLKIT_CACHE"]).expanduser()
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home())) / "distillkit"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "distillkit"


def data_path(name: str) -> Path:
    """Return the path of a file in `data/`, in a checkout or in an installed package.

    Raises FileNotFoundError that names the places looked at.
    """
    here = Path(__file__).resolve().parent
    for folder in (here.parent / "data", here / "data"):
        if (folder / name).exists():
            return folder / name
    raise FileNotFoundError(
        f"data file {name!r} is neither in {here.parent / 'data'} nor in {here / 'data'}: "
        "install the kit again or run it from a checkout"
    )


def command_name() -> str:
    """Return how a person calls the kit here: through kit.py in a checkout, else by its name."""
    in_checkout = (Path(__file__).resolve().parent.parent / "kit.py").exists()
    return "python3 kit.py" if in_checkout else "distillkit"


def machine() -> str:
    """Describe the processor in a few words."""
    import torch

    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    rounded = torch.get_float32_matmul_precision() == MATMUL["bfloat16"]
    products = ", products in bfloat16" if rounded else ""
    return f"{platform.machine()} CPU, {torch.get_num_threads()} threads{products}"


def peak_memory_bytes() -> int:
    """Return the largest memory this process has held: resident on CPU, allocated on CUDA."""
    import torch

    if torch.cuda.is_available() and torch.cuda.max_memory_allocated():
        return torch.cuda.max_memory_allocated()
    try:
        import resource
    except ImportError:  # Windows has no resource module
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
