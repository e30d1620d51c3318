"""Is this machine busy with other work, and what follows for the threads of a computation?

OpenMP's threads spin while they wait for each other.  That is fast on an idle machine; where other
programs need the cores, each thread spins while the one that it waits for has none.  Measured on
two cores (`python -m benchmarks.speed.busy --runs 2`, medians): beside one core that is busy all
the time, training goes at 41 tokens/s with threads that spin and 83 with threads that sleep, and 24
answers take 93 and 48 s.  On the idle machine sleeping has a price: 119 tokens/s for 126, and 31 s
for 24.  So it is chosen by the load when a process starts (128 and 80 tokens/s; 26 and 50 s).
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

STAT = Path("/proc/stat")  # Linux only: elsewhere nothing is changed
CORES = Path("/sys/devices/system/cpu")
SLEEP = {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "0"}
CHOSEN = "DISTILLKIT_SHARES_CORES"  # stands in the environment where the kit has chosen to sleep
ENOUGH = 0.5  # of a core that others take from the threads: fewer are no reason
SHORT, LONG = 0.1, 1.0  # seconds of a look: a short one, and a long one if it found others
WORTH_SAYING = 1.5  # times longer
SHARING = "other programs use its cores, so threads sleep while they wait"


def share_the_cores() -> str:
    """Let the threads of this process sleep, not spin, if others need its cores; say so.

    It looks for a tenth of a second, and for one more where it finds others at work.  Returns ""
    where nothing was changed: enough cores are free, or a setting of the user's own is there.
    It has no effect once torch is imported, so it then does nothing.  Asked again, or by a child
    process, it says what was chosen.
    """
    if CHOSEN in os.environ:
        return SHARING
    if "torch" in sys.modules or {*SLEEP} & {*os.environ} or not STAT.exists():
        return ""
    cores = len(os.sched_getaffinity(0))
    threads = min(cores, _whole_cores())
    if os.environ.get("OMP_NUM_THREADS", "").isdigit():
        threads = int(os.environ["OMP_NUM_THREADS"])
    if threads < 2 or any(cores_in_use(s) - (cores - threads) < ENOUGH for s in (SHORT, LONG)):
        return ""
    os.environ.update(SLEEP, **{CHOSEN: "1"})
    return SHARING


def cores_in_use(seconds: float) -> float:
    """Return how many of the cores that this process may use were in use, by whatever program.

    It is the mean over some seconds, while this waited.
    """
    busy, total = _ticks()
    time.sleep(seconds)
    busy_later, total_later = _ticks()
    share = (busy_later - busy) / max(1, total_later - total)
    return share * len(os.sched_getaffinity(0))


def _ticks() -> tuple[int, int]:
    """Return the ticks of the own cores in which something ran, and all: since the start."""
    own, busy, total = {f"cpu{n}" for n in os.sched_getaffinity(0)}, 0, 0
    for line in STAT.read_text().splitlines():
        name, _, numbers = line.partition(" ")
        if name in own:
            ticks = [int(n) for n in numbers.split()[:8]]
            _, _, _, idle, waiting, *_ = ticks  # the others ran something, or the host took them
            busy, total = busy + sum(ticks) - idle - waiting, total + sum(ticks)
    return busy, total


def _whole_cores() -> int:
    """Return the number of cores, each counted once whose two halves run two threads."""
    siblings = {path.read_text() for path in CORES.glob("cpu[0-9]*/topology/thread_siblings_list")}
    return len(siblings) or os.cpu_count() or 1


def slowdown(seconds: float = 0.3) -> float:
    """Return how many times longer a small product takes here on the mean than undisturbed."""
    import torch

    x, w = torch.rand(64, 896), torch.rand(896, 896)
    end, times = time.perf_counter() + seconds, []
    while len(times) < 20 or time.perf_counter() < end:
        began = time.perf_counter()
        torch.nn.functional.linear(x, w)
        times.append(time.perf_counter() - began)
    kept = times[10:]  # the first ones wake the threads up
    return statistics.mean(kept) / statistics.quantiles(kept, n=10)[0]


def busy_words() -> str:
    """Say that everything takes longer on this machine now, "" if it does not."""
    times = slowdown()
    if times < WORTH_SAYING:
        return ""
    return f"this machine is busy: everything takes about {times:.2g} times longer"


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute on one thread for a while: several would only wait for each other in a tiny net."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
