"""Which sections the page has, in which order; writing it, and finding what is stale."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from benchmarks.report import (
    checking,
    demo,
    learning,
    machines,
    objectives,
    parts,
    retrieval,
    shipping,
    small_systems,
)
from distillkit.runtime.files import write_atomic

SECTIONS = (
    demo.claims,
    demo.demo,
    demo.recipe,
    demo.further,
    demo.more_kinds,
    demo.ranks,
    demo.sizes,
    learning.decoding,
    learning.templates,
    learning.rejection,
    learning.general_share,
    learning.curriculum,
    learning.amount,
    learning.self_improvement,
    learning.own_errors,
    learning.more_training,
    learning.several_tries,
    learning.going_back,
    learning.teacher_forms,
    objectives.step_by_step,
    objectives.soft_labels,
    objectives.pruning,
    retrieval.recall,
    retrieval.reading,
    retrieval.changing,
    retrieval.skill,
    shipping.shipped,
    shipping.served,
    small_systems.algorithm,
    small_systems.sampler,
    machines.memory,
    machines.few_bits,
    machines.card,
    machines.speed,
    machines.distilling,
    machines.sampling_card,
    machines.busy,
    machines.products,
    machines.ways,
    machines.ablation,
    checking.checks,
)
PAGE, FRONT = "benchmarks/results/README.md", "README.md"
BEGIN, END = "<!-- measured -->", "<!-- /measured -->"
HEAD = """\
<!-- written by `python -m benchmarks.report`; change the tables or benchmarks/report/, not this -->

# What was measured

Every table stands with its command, the file that the command filled, machine, precision, seeds,
number of questions (n) and date.  This page is computed from these files by
`python -m benchmarks.report`, and a test compares them; paragraphs that begin with *Printed, not
kept in a table* hold what a command printed once.  Negative results are here as well.

How to read a number: `94 % (88–97)` is a share with its 95 % interval; `+15 (+7 to +23)` is a
difference with its interval, **bold** in a table if the interval does not hold 0.  Where all seeds
give the same number, their interval has no width, which is chance and no proof.  "x86_64 CPU" is a
machine with matrix units (AMX); for a part of the rows of 2026-11-27 it was one with AVX-512 and
its bfloat16 products, and for those of 2026-11-28 one with neither, which computes in float32.
What each file is and where it comes from says [`data/README.md`](../../data/README.md).
"""


def anchor(title: str) -> str:
    """Return the anchor that GitHub gives a heading."""
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


def page() -> str:
    """Return the results page."""
    sections = [section() for section in SECTIONS]
    titles = [text.split("\n", 1)[0].removeprefix("## ") for text in sections]
    contents = "\n".join(f"- [{title}](#{anchor(title)})" for title in titles)
    return "\n\n".join([HEAD.rstrip(), contents, *sections]) + "\n"


def front(old: str) -> str:
    """Return the front page with the demo's numbers between its two comments.

    Raises ValueError if it lacks them.
    """
    before, begin, rest = old.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"{FRONT} has no place for numbers between {BEGIN} and {END}")
    return f"{before}{BEGIN}\n\n{demo.front()}\n\n{END}{after}"


def made() -> dict[Path, str]:
    """Return the page and the front page as they should be."""
    first = parts.ROOT / FRONT
    return {parts.ROOT / PAGE: page(), first: front(first.read_text(encoding="utf-8"))}


def main(words: list[str] | None = None) -> int:
    """Write what changed, or with --check only name it; the exit code is 1 if that finds any."""
    options = argparse.ArgumentParser(prog="python -m benchmarks.report", description=__doc__)
    options.add_argument("--check", action="store_true", help="compare, write nothing")
    check, stale = options.parse_args(words).check, []
    for path, text in made().items():
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            name = path.relative_to(parts.ROOT)
            stale.append(name)
            if check:
                print(f"{name} is not what the tables hold: python -m benchmarks.report")
            else:
                write_atomic(path, text)
                print(f"wrote {name}")
    return 1 if check and stale else 0
