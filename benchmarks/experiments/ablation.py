"""What does each change to the training recipe do alone: seconds, tokens, accuracy?

    python -m benchmarks.experiments.ablation

Trains Qwen-0.5B on few traces, so that there is room above and below.  Accuracy is on unseen
equations of the narrow families; training seconds are without loading and evaluation.
"""

from functools import cache

import torch

from benchmarks.runner import Experiment, main
from distillkit.evaluation.scoring import evaluate, summary
from distillkit.pipeline.recipes import HARD, TEST_SEED
from distillkit.problems.equations import NARROW, make_problems
from distillkit.runtime.files import read_jsonl
from distillkit.runtime.session import data_path
from distillkit.traces.filters import choose, mix, reject, to_traces
from distillkit.traces.teachers import Recorded
from distillkit.training import gradients
from distillkit.training.loop import TrainingConfig, distill
from distillkit.training.lora import lora, upper_part
from distillkit.training.packing import pack

TRACES = 64
ARMS = {  # each differs from "base" in one thing, but for the last
    "base": {},
    "sequences apart": {"apart": True},
    "batch 4": {"batch_size": 4},
    "rate 1e-3": {"rate": 1e-3},
    "upper half of the layers": {"upper": 0.5},
    "three times as many both-sides": {"shares": HARD},
    "half the traces twice": {"epochs": 2},
    "20 % general data": {"general": 0.2},
    "batch 4 + upper half + more both-sides": {"batch_size": 4, "upper": 0.5, "shares": HARD},
}


@cache
def verified():
    """Return the recorded teacher's candidates that obey every rule."""
    teacher = Recorded()
    return reject(teacher.sample(teacher.problems(NARROW)))[0]


def train(student, seed, batch_size=8, rate=5e-4, upper=1.0, epochs=1, general=0.0, shares=None,
          apart=False):  # fmt: skip
    """Return the number of different traces and the training run."""
    traces = to_traces(choose(verified(), TRACES // epochs, seed, shares))
    if general:
        traces = mix(traces, read_jsonl(data_path("general.jsonl")), general, seed)
    adapter = lora(layers=upper_part(student.model, upper))
    gradients.pack = pack_apart if apart else pack
    config = TrainingConfig(rate, batch_size, epochs, seed)
    return len(traces), distill(student.model, student.tokenizer, traces, adapter, config)


def pack_apart(examples):
    """Lay examples out side by side: packed without padding, but nothing is shared."""
    trees, first = [pack([example]) for example in examples], 0
    for tree in trees:
        tree["nodes_N"] += first
        first += tree["input_ids"].numel()
    names = [name for name in trees[0] if name != "attention_mask"]
    joined = {name: torch.cat([tree[name] for tree in trees], -1) for name in names}
    sees = torch.block_diag(*((tree["attention_mask"][0, 0] == 0).float() for tree in trees))
    mask = torch.zeros(sees.shape).masked_fill(sees == 0, -torch.inf)
    return {**joined, "attention_mask": mask[None, None]}


def run(arm, seed, bench):
    """Train once, and ask."""
    student = bench.load()
    traces, trained = train(student, seed, **ARMS[arm])
    test = make_problems(bench.test, NARROW, "test", TEST_SEED)
    answers = evaluate(trained.student, student.tokenizer, test, width=len(test), max_new_tokens=96)
    trained.student.unload()  # never merged: 16-bit weights would not come back the same
    after = summary(answers)
    return {
        "traces": traces,
        "tokens": trained.tokens,
        "computed_tokens": sum(row["computed"] for row in trained.log),
        "train_seconds": round(trained.seconds, 1),
        "test": len(test),
        "exact": round(after["exact"], 4),
        "format": round(after["format"], 4),
        "last_loss": round(trained.log[-1]["loss"], 4),
    }


EXPERIMENT = Experiment(
    csv="ablation_training.csv",
    key="change",
    columns="change seed traces tokens computed_tokens train_seconds test exact format last_loss "
    "dtype machine date",
    arms=ARMS,
    run=run,
    test=60,
)

if __name__ == "__main__":
    main(EXPERIMENT, __doc__)
