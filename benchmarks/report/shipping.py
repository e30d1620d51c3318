"""The student in other programs' hands."""

from __future__ import annotations

from benchmarks.report.parts import noted, section


def shipped() -> str:
    """True bits, what rounding keeps of an adapter, and who reads the files."""
    return section(
        "In other programs' hands",
        noted(
            """the student of [`data/adapter_broad/`](../../data/adapter_broad/)
            (Qwen2.5-Coder-0.5B) as `export` writes it, true bits a weight: bf16 16.00, `q8_0` 8.50,
            `q6_k` 8.09, `q5_1` 6.69, `q5_k` 6.59, `q5_0` 6.33, `q4_k` 6.12, `q4_1` 5.97, `q4_0`
            5.61; the publisher's "Q4_K_M" of this model has 6.24.  Its rows of 896 are no multiple
            of the 256 that K-quants need, so most matrices fall back to blocks of 32, and the
            embedding, which is the output head, too, keeps 8.5 bits."""
        ),
        noted(
            """the kit's base comes from that publisher's file, most of whose matrices lie on the
            grid of Q5_0: rounded to `q5_0` again, 92 % of an adapter's update is left in the middle
            matrix and 13 % in the worst; to `q8_0` all of it; to `q4_0`, another grid, all of it in
            the sum, with an error of 8 to 17 % of the weights (16 rows of each of 168 matrices).
            Rounded to 4 bits *before* the merge and again after it, half of the update is left."""
        ),
        noted(
            """exact answers of each form are still to be measured
            (`python -m benchmarks.experiments.shipped_forms`, claim 17)."""
        ),
        """AutoTrain 0.8.36's own reader (installed without its pins), TRL 1.16.0's `SFTTrainer` and
        llama.cpp (xllamacpp 2026.10) read what `export` writes; these tests run where the packages
        can be had.""",
    )
