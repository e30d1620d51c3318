"""What does a student lose when its weights are rounded to be shipped?

    python -m benchmarks.experiments.shipped_forms

The distilled student of `data/adapter_broad/`, merged and rounded as each kind of GGUF file holds
it, then read back: so the rounding of the weights is measured (llama.cpp also rounds the
activations).  Nothing is drawn at random.  All forms answer the same unseen broad equations in
other people's words, computed in the type `dtype`; `right` has a 1 for each that was solved.  `kl`
and `same_top` compare the next-token probabilities, computed in float32, with those before the
rounding, at every token of 16 verified solutions.  The K-quants need `libgguf`, the forms nf4
`bitsandbytes`.
"""

import torch

from benchmarks.runner import Experiment, main, marks, scored
from distillkit.evaluation.scoring import evaluate
from distillkit.lessons.l12_ship_it.rounding import in_blocks
from distillkit.models.gguf_writer import KINDS, round_weights
from distillkit.pipeline.demo import read_run, student_of
from distillkit.pipeline.recipes import TEST_SEED, broad_problems
from distillkit.runtime.session import data_path
from distillkit.traces.filters import to_traces
from distillkit.traces.teachers import teacher
from distillkit.training.lora import READY
from distillkit.training.losses import forward_kl
from distillkit.training.objectives import read_teacher
from distillkit.training.packing import encode, pack

TEXTS, LIMIT = 16, 560  # verified solutions that are read; tokens of an answer
ADAPTER = "adapter, base in bf16"
BESIDE, INTO = "nf4, adapter beside it", "nf4, adapter merged into it"
FEWER = {f"{bits} bits in blocks of 32, no file format": bits for bits in (4, 3, 2)}
ARMS = (*(kind for kind in KINDS if kind != "f16"), *FEWER, ADAPTER, BESIDE, INTO)


def texts(tokenizer):
    """Return verified solutions, each as a batch of its own."""
    solved = teacher("solver:collect").sample(broad_problems(TEXTS, TEST_SEED - 1), k=1)
    return [pack([example]) for example in encode(to_traces(solved), tokenizer)]


def into_form(arm, student):
    """Bring a student with its adapter into a form, in place; returns bytes and weights of it."""
    model = student.model
    weights = [p for name, p in model.named_parameters() if "lora_" not in name]
    if arm in (BESIDE, INTO):
        size = sum(stored_bytes(p) for p in weights)
        n = sum(p.numel() * (2 if getattr(p, "quant_state", None) else 1) for p in weights)
        if arm == INTO:
            student.model = model = model.merge_and_unload()
        model.dequantize()  # the same weights, in matrices that are fast everywhere
        return size, n
    if arm == ADAPTER:
        for p in weights:
            p.data.copy_(p.bfloat16())
        n = sum(p.numel() for name, p in model.named_parameters() if "lora_" in name)
        return (data_path(READY) / "adapter_model.safetensors").stat().st_size, n
    student.model = model = model.merge_and_unload()
    if arm in KINDS:
        stored = round_weights(model, arm)
        return sum(t.bytes for t in stored), sum(t.weights for t in stored)
    weights = [*model.parameters()]
    for p in weights:
        if p.dim() > 1:
            p.data.copy_(in_blocks(p.data, FEWER[arm]))
    bits = [32 if p.dim() == 1 else FEWER[arm] + 0.5 for p in weights]
    n = [p.numel() for p in weights]
    return round(sum(b * m for b, m in zip(bits, n)) / 8), sum(n)


def stored_bytes(weight):
    """Return the bytes of weights that bitsandbytes holds in four bits, or in 16 as others."""
    state = getattr(weight, "quant_state", None)
    if not state:
        return 2 * weight.numel()
    scales = [state.absmax, *([state.state2.absmax] if state.nested else [])]
    return weight.numel() + sum(s.numel() * s.element_size() for s in scales)


def run(arm, seed, bench):
    """Compare one form with the student as trained, and ask it."""
    folder = data_path(READY)
    report, device = read_run(folder), bench.machine.device
    student = student_of(report, folder, device, "float32")
    trees = texts(student.tokenizer)
    before = [read_teacher(student.model, tree).logits_NV.float() for tree in trees]
    if arm in (BESIDE, INTO):
        del student
        student = student_of(report, folder, device, "float32", "nf4")
    size, n = into_form(arm, student)
    after = [read_teacher(student.model, tree).logits_NV.float() for tree in trees]
    kl_N = torch.cat([forward_kl(new, old) for new, old in zip(after, before, strict=True)])
    same = [new.argmax(-1) == old.argmax(-1) for new, old in zip(after, before, strict=True)]
    student.model.to(getattr(torch, bench.machine.dtype))
    answers = evaluate(student.model, student.tokenizer, broad_problems(bench.test),
                       max_new_tokens=LIMIT, width=bench.test)  # fmt: skip
    return {
        "bytes": size, "true_bits": round(8 * size / n, 2), "kl": f"{kl_N.mean().item():.2e}",
        "same_top": round(torch.cat(same).float().mean().item(), 4), **scored(answers),
        "right": marks([row["exact"] for row in answers]),
    }  # fmt: skip


EXPERIMENT = Experiment(
    csv="shipped_forms.csv",
    key="form",
    columns="form bytes true_bits n exact format lenient low high answer_tokens kl same_top right "
    "dtype machine date",
    arms=ARMS,
    run=run,
    test=200,
)

if __name__ == "__main__":
    main(EXPERIMENT, __doc__)
