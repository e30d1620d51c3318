"""What can this machine do, and what needs mending?"""

from __future__ import annotations

import shutil

from distillkit.models.downloads import catalog
from distillkit.models.loading import hub_answers
from distillkit.runtime.busy import busy_words
from distillkit.runtime.session import cache_dir, start
from distillkit.teaching import lesson


def examine() -> list[str]:
    """Print versions, tier, models and faults; return the faults."""
    faults = lesson.faults()
    print(lesson.versions())
    if not lesson.no_torch(faults):  # without it nothing else can be found out
        faults = [*faults, *_machine_faults()]
    for fault in faults:
        print(f"FAULT        {fault}")
    print("all good" if not faults else f"{len(faults)} fault(s)")
    return faults


def _machine_faults() -> list[str]:
    """Print what this machine is and has; return what is wrong with its cache."""
    print(start())
    if busy := busy_words():
        print(f"busy         {busy}")
    cache, faults = cache_dir(), []
    for key in catalog():
        here = (cache / "models" / key / "distillkit.json").exists()
        print(f"{key:28} {'ready' if here else 'not converted yet (done on first use)'}")
    hub = "answers" if hub_answers() else "does not answer"
    print(f"model hub    {hub} (the kit's own models need none)")
    free = shutil.disk_usage(next(p for p in (cache, *cache.parents) if p.exists())).free
    print(f"cache        {cache}, {free / 1e9:.0f} GB free")
    if free < 4e9:
        faults.append("less than 4 GB free: free some space or set DISTILLKIT_CACHE elsewhere")
    try:
        cache.mkdir(parents=True, exist_ok=True)
        (cache / ".probe").write_text("")
        (cache / ".probe").unlink()
    except OSError as error:
        faults.append(f"{cache}: {error.strerror}: set DISTILLKIT_CACHE to a folder of yours")
    return faults
