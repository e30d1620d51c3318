"""What does a smaller model save?  Teacher, untouched and distilled student, side by side.

    python -m benchmarks.experiments.sizes

Asks each the same unseen narrow equations, all at once and a few one at a time: weights, bytes,
exact answers, seconds.  The distilled student is the one in `data/adapter_broad/`, merged.
"""

import time

from benchmarks.runner import STUDENT, Experiment, main, scored
from distillkit.evaluation.scoring import evaluate
from distillkit.models.chats import chat_text
from distillkit.pipeline.recipes import TEST_SEED
from distillkit.problems.equations import NARROW, make_problems
from distillkit.traces.templates import SHOTS, THINK, messages
from distillkit.training.lora import ready_student

ALONE, LIMIT = 8, 256  # equations asked one at a time; tokens of an answer
ARMS = {"distilled": None, "untouched": STUDENT, "teacher": "qwen2.5-coder-1.5b-instruct"}


def run(arm, seed, bench):
    """Measure one model."""
    if arm == "distilled":
        student, shots = ready_student(bench.machine), ()
        student.model.merge_adapter()
    else:
        student, shots = bench.load(ARMS[arm]), SHOTS
    model, tokenizer = student.model, student.tokenizer
    asked = make_problems(bench.test, NARROW, "test", TEST_SEED)
    evaluate(model, tokenizer, asked[:2], shots=shots)  # the first products are slow
    began = time.perf_counter()
    answers = evaluate(model, tokenizer, asked, shots=shots, width=len(asked), max_new_tokens=LIMIT)
    together = (time.perf_counter() - began) / len(asked)
    began = time.perf_counter()
    evaluate(model, tokenizer, asked[:ALONE], shots=shots, width=1, max_new_tokens=LIMIT)
    alone = (time.perf_counter() - began) / ALONE
    weights = [p for name, p in model.named_parameters() if "lora_" not in name]
    prompt = tokenizer(chat_text(tokenizer, messages(asked[0].text, THINK, shots)))["input_ids"]
    counts = scored(answers)
    return {
        "model": student.name,
        "weights": sum(p.numel() for p in weights),
        "megabytes": round(sum(p.numel() * p.element_size() for p in weights) / 1e6),
        **{name: counts[name] for name in ("n", "exact", "low", "high", "answer_tokens")},
        "prompt_tokens": len(prompt),
        "seconds_together": round(together, 3),
        "seconds_alone": round(alone, 3),
    }


EXPERIMENT = Experiment(
    csv="sizes.csv",
    key="who",
    columns="who model weights megabytes n exact low high answer_tokens prompt_tokens "
    "seconds_together seconds_alone dtype machine date",
    arms=ARMS,
    run=run,
)

if __name__ == "__main__":
    main(EXPERIMENT, __doc__)
