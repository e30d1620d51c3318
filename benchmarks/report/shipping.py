"""The student in other programs' hands."""

from __future__ import annotations

from benchmarks.report.parts import (
    WILSON,
    change,
    noted,
    origin,
    percent,
    plain,
    rate,
    rows,
    section,
    table,
)
from distillkit.evaluation.statistics import paired_difference


def shipped() -> str:
    """Exact answers and true bits by form, what rounding keeps of an adapter, and who reads it."""
    path = "data/shipped_forms.csv"
    found = rows(path)
    marks = {r["form"]: [mark == "1" for mark in r["right"]] for r in found}
    lines = []
    for r in sorted(found, key=lambda r: -float(r["true_bits"])):
        lost = [100 * end for end in paired_difference(marks["bf16"], marks[r["form"]])]
        moved = "" if r["form"] == "bf16" else change(tuple(lost), bold=True)
        size = f"{plain(int(r['bytes']) / 1e6)} | {r['true_bits']}"
        near = f"{float(r['kl']):.2g} | {percent(r['same_top'])} %"
        lines.append(f"{r['form']} | {size} | {rate(r)} | {moved} | {near}")
    return section(
        "In other programs' hands",
        origin(
            path,
            "python -m benchmarks.experiments.shipped_forms",
            WILSON,
            "differences over the same questions with 95 % bootstrap intervals",
        ),
        table(
            "form | MB | true bits a weight | exact | difference from bf16, points "
            "| KL to before the rounding, nats a token | same likeliest token",
            lines,
        ),
        """The student of [`data/adapter_broad/`](../../data/adapter_broad/) (Qwen2.5-Coder-0.5B) as
        `export` writes it, on unseen broad equations in other people's words.  Its rows of 896 are
        no multiple of the 256 that K-quants need, so most matrices fall back to blocks of 32, and
        the embedding, which is the output head, too, keeps more bits; the publisher's "Q4_K_M" is
        no 4-bit file either.""",
        noted(
            """the publisher's "Q4_K_M" of this model has 6.24 bits a weight.  The kit's base comes
            from that file, most of whose matrices lie on the grid of Q5_0: rounded to `q5_0` again,
            92 % of an adapter's update is left in the middle matrix and 13 % in the worst; to
            `q8_0` all of it; to `q4_0`, another grid, all of it in the sum, with an error of 8 to
            17 % of the weights (lesson 12, 16 rows of each of 168 matrices).  Rounded to 4 bits
            *before* the merge and again after it, half of the update is left."""
        ),
        """AutoTrain 0.8.36's own reader (installed without its pins), TRL 1.16.0's `SFTTrainer` and
        llama.cpp (xllamacpp 2026.10) read what `export` writes; these tests run where the packages
        can be had.""",
    )
