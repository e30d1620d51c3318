"""How low a rank does a learned adapter need?  Cut by singular values, and asked again.

    python3 kit.py demo --curriculum broad --out runs/broad
    python -m benchmarks.experiments.ranks

One row a rank and split; rank 0 is the untouched student with solved examples.
"""

from peft import PeftModel

from benchmarks.runner import RUNS, Experiment, main, scored
from distillkit.evaluation.scoring import evaluate
from distillkit.pipeline.recipes import CURRICULA, TEST_SEED, broad_problems, examples
from distillkit.problems.equations import SMALL, make_problems
from distillkit.runtime.files import read_json
from distillkit.training.lora import cut_rank

RUN = RUNS / "broad"
SPLITS = {
    "narrow": lambda n: make_problems(n, SMALL, "test", TEST_SEED),
    "broad": broad_problems,
}
ARMS = [
    *((rank, "narrow") for rank in (0, 16, 12, 8, 4, 2, 1)),
    *((rank, "broad") for rank in (16, 12, 8)),
]


def run(arm, seed, bench):
    """Cut the adapter of the finished run to a rank, and ask."""
    rank, split = arm
    student = bench.load()
    model, shots = student.model, examples(split)
    if rank:
        base = read_json(RUN / "report.json")["student"]["sha256"]
        if student.sha256 != base:
            raise ValueError(f"{RUN} has learned on another base than {student.source}")
        model, shots = PeftModel.from_pretrained(student.model, RUN / "adapter"), ()
        cut_rank(model, rank)
    answers = evaluate(model, student.tokenizer, SPLITS[split](bench.test), shots=shots, width=100,
                       max_new_tokens=CURRICULA["broad"]["max_new_tokens"])  # fmt: skip
    if rank:
        model.unload()
    return scored(answers)


EXPERIMENT = Experiment(
    csv="ranks.csv",
    key="rank split",
    columns="rank split n exact format lenient low high answer_tokens dtype machine date",
    arms=ARMS,
    run=run,
)

if __name__ == "__main__":
    main(EXPERIMENT, __doc__)
