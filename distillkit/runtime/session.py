"""Which machine is this, and what follows: tier, device, precision, folders, seeds."""

from __future__ import annotations

import contextlib
import os
import platform
import random
import sys
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from distillkit.runtime.busy import share_the_cores

STUDENTS = {  # tier -> name in data/models.json: on every machine the file that was measured
    "tiny": "smollm2-135m-instruct",
    "cpu": "qwen2.5-coder-0.5b-instruct",
    "gpu": "qwen2.5-coder-0.5b-instruct",
}


LAYER = 896, 4864  # inputs and outputs of Qwen-0.5B's widest layer
CLEAR = 3  # a type that takes so many times as long is not measured further
CPUINFO = Path("/proc/cpuinfo")  # Linux's; Windows names the maker in platform.processor()


@dataclass(frozen=True)
class Session:
    """What this machine can do and why: the answer to "where will my code run?"."""

    tier: str
    device: str
    dtype: str
    student: str
    seed: int
    why: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return f"{self.tier} tier: " + "; ".join(self.why)


def start(tier: str | None = None, seed: int = 0, dtype: str | None = None) -> Session:
    """Choose tier, device and precision, and say why; `tier` and `dtype` override the choice.

    `dtype` is the type of a student's weights and activations on a CPU: "float32", or "bfloat16"
    where a short measurement shows that it pays; the adapter that is trained stays in float32.
    Raises ValueError for an unknown name or for `gpu` without a CUDA device.
    """
    sharing = before_torch()
    import torch

    cuda = torch.cuda.is_available()
    tier = tier or os.environ.get("DISTILLKIT_TIER") or None
    if tier is not None and tier not in STUDENTS:
        raise ValueError(f"unknown tier {tier!r}: choose one of {', '.join(STUDENTS)}")
    if tier == "gpu" and not cuda:
        raise ValueError("tier 'gpu' needs a CUDA device and torch sees none: use --tier cpu")
    if dtype not in (None, "float32", "bfloat16", "float16"):
        raise ValueError(f"unknown dtype {dtype!r}: choose one of float32, bfloat16, float16")
    tier = tier or ("gpu" if cuda else "cpu")
    if tier != "gpu":
        reason = "no CUDA device" if not cuda else f"tier {tier} asked for"
        threads = torch.get_num_threads()
        device, why = "cpu", [reason, f"{threads} CPU thread{'s' * (threads > 1)}"]
        if sharing:
            why.append(sharing)
        if not dtype and tier == "tiny":
            dtype, because = "float32", "small enough to be the same on every machine"
        else:
            dtype, because = (dtype, "asked for") if dtype else _faster_dtype()
        why.append(f"{dtype} ({because})")
    else:
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", 0)))  # several processes: one each
        device, why = "cuda", [torch.cuda.get_device_name()]
        because = "asked for" if dtype else "the 16-bit type this card computes fast"
        dtype = dtype or ("bfloat16" if torch.cuda.is_bf16_supported(False) else "float16")
        why.append(f"{dtype}, {because}")
    student = STUDENTS[tier]
    why.append(f"student = {student}")
    seed_everything(seed)
    return Session(tier, device, dtype, student, seed, why)


def before_torch() -> str:
    """Set what torch reads when it is imported; return what `share_the_cores` says."""
    steady_products()
    large_pages()
    return share_the_cores()


def steady_products() -> None:
    """Ask MKL for its reproducible mode on an AMD processor; a setting of the user's own wins.

    torch's products in float32 are MKL's.  In this mode each is computed in the same way every time
    (Intel: Conditional Numerical Reproducibility), and on AMD also sooner: by itself MKL chooses
    slower code there (`python -m benchmarks.speed.products`).  It has no effect after the first
    product.
    """
    cpuinfo = CPUINFO.read_text() if CPUINFO.exists() else ""
    if "AuthenticAMD" in cpuinfo + platform.processor():
        os.environ.setdefault("MKL_CBWR", "AUTO")


def large_pages() -> None:
    """Ask torch to keep large tensors in pages of 2 MB; a setting of the user's own wins.

    Freed tensors then leave fewer holes, so the peak of a training is lower.  Only Linux has such
    pages.  It has no effect after the first tensor.
    """
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")


def product_seconds(*kinds: str, rows: int = 256) -> dict[str, float]:
    """Return how long one product of a student's layer takes here in each type: the best of six.

    It is the best of two where the types are far from each other.
    """
    import torch

    inputs, outputs = LAYER
    x, w = torch.rand(rows, inputs), torch.rand(outputs, inputs)
    layers = {kind: (x.to(getattr(torch, kind)), w.to(getattr(torch, kind))) for kind in kinds}
    best = dict.fromkeys(kinds, float("inf"))
    for turn in range(6):  # in turn, so that another program's load hits both
        if turn == 2 and max(best.values()) > CLEAR * min(best.values()):
            break
        for kind, (x, w) in layers.items():
            began = time.perf_counter()
            torch.nn.functional.linear(x, w)
            best[kind] = min(best[kind], time.perf_counter() - began)
    return best


def bfloat16_gain(rows: int = 256) -> float:
    """Measure how many times as fast products in bfloat16 are here, for one layer of a student.

    Processors with matrix units (AMX) gain; most laptops do not.
    """
    best = product_seconds("float32", "bfloat16", rows=rows)
    return best["float32"] / best["bfloat16"]


def _faster_dtype() -> tuple[str, str]:
    gain = bfloat16_gain()
    if gain < 1.5:  # not worth the digits
        return "float32", "bfloat16 is not faster here"
    return "bfloat16", f"{gain:.1f} times as fast here as float32, and half its memory"


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
    here = Path(__file__).resolve().parents[1]
    for folder in (here.parent / "data", here / "data"):
        if (folder / name).exists():
            return folder / name
    raise FileNotFoundError(
        f"data file {name!r} is neither in {here.parent / 'data'} nor in {here / 'data'}: "
        "install the kit again or run it from a checkout"
    )


def command_name() -> str:
    """Return how a person calls the kit here: through kit.py in a checkout, else by its name."""
    in_checkout = (Path(__file__).resolve().parents[2] / "kit.py").exists()
    return "python3 kit.py" if in_checkout else "distillkit"


def processor() -> str:
    """Describe the processor in a few words."""
    import torch

    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return f"{platform.machine()} CPU, {torch.get_num_threads()} threads"


def peak_memory_bytes() -> int:
    """Return the largest memory this process has held: resident on CPU, allocated on CUDA."""
    import torch

    if torch.cuda.is_available() and torch.cuda.max_memory_allocated():
        return torch.cuda.max_memory_allocated()
    # Linux, whose getrusage remembers the process that started this one as well
    with contextlib.suppress(OSError, StopIteration):
        lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
        return next(1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))
    try:
        import resource
    except ImportError:  # Windows has no resource module
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Silence transformers' progress bars, advice and deprecation notes for a while."""
    from transformers.utils import logging

    before = logging.get_verbosity()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # peft calls transformers by an old name
        try:
            yield
        finally:
            logging.set_verbosity(before)
            logging.enable_progress_bar()
