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


def served() -> str:
    """The files in llama.cpp: the texts of transformers or others, tokens a second, memory."""
    same, path = "data/served_same.csv", "data/served_speed.csv"
    texts = [
        f"{r['form']} | {r['same']} of {r['n']} | {rate(r)} | {percent(r['theirs_exact'])} %"
        for r in rows(same)
    ]
    lines = [
        f"{r['form']} | {r['true_bits']} | {rate(r)} | {plain(r['answer_tokens'])} "
        f"| {plain(r['tokens_alone'], 1)} | {plain(r['tokens_at_once'], 1)} "
        f"| {plain(r['seconds_per_1000'])} | "
        + (plain(r["peak_mb"]) if r["peak_mb"] else "not measured")
        for r in rows(path)
    ]
    return section(
        "Served by llama.cpp",
        origin(same, "python -m benchmarks.speed.served_forms same", WILSON, "greedy"),
        table("form | same text | exact in transformers | exact in llama.cpp", texts),
        """Transformers calculates in float32 with the same rounded weights; where texts differ the
        command writes down at which token, and how near the two tokens were.""",
        origin(path, "python -m benchmarks.speed.served_forms speed", WILSON),
        table(
            "form | true bits a weight | exact | tokens an answer | tokens/s, one at a time "
            "| tokens/s, eight at once | s per 1,000 answers | MB of the process, largest",
            lines,
        ),
        """Narrow equations on two cores, one run; the teacher is Qwen2.5-Coder-1.5B at 8 bits with
        six solved examples in its prompt.  This build of llama.cpp (xllamacpp 2026.10) does not use
        the processor's matrix units (AMX), and this machine does not say how much energy it
        uses.""",
    )
