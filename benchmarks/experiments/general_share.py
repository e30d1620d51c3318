"""What is forgotten without general examples?  0, 20 and 50 % of them beside the same equations.

    python -m benchmarks.experiments.general_share

Trains Qwen-0.5B on the recorded teacher's verified solutions and general examples, and measures
equations solved, the loss on general answers that were held out, and how many held-out questions
are answered in the form of an equation.
"""

import torch

from benchmarks.experiments.ablation import verified
from benchmarks.runner import Experiment, main, scored
from distillkit.evaluation.scoring import evaluate
from distillkit.generation.sampler import sample
from distillkit.models.chats import chat_text
from distillkit.pipeline.recipes import TEST_SEED
from distillkit.problems.equations import NARROW, make_problems
from distillkit.runtime.files import read_jsonl
from distillkit.runtime.session import data_path
from distillkit.traces.filters import choose, mix, to_traces
from distillkit.training.gradients import CompletionLoss
from distillkit.training.loop import TrainingConfig, distill
from distillkit.training.lora import lora, with_adapter
from distillkit.training.packing import encode, pack, supervised

TRACES, HELD_OUT = 48, 18  # solutions in every arm, general examples that none learns from
ARMS = ("untouched", "0.0", "0.2", "0.5")  # shares of general examples


def held_out():
    """Return general examples that none learns from, and the others."""
    general = read_jsonl(data_path("general.jsonl"))
    return general[::4][:HELD_OUT], [g for i, g in enumerate(general) if i % 4]


def run(arm, seed, bench):
    """Train once (or not at all), ask, and measure what is left of the general ability."""
    student = bench.load()
    held, general = held_out()
    if arm == "untouched":
        model = with_adapter(student.model, lora())  # a fresh adapter changes nothing
        about = {"traces": 0, "general": 0}
    else:
        chosen = to_traces(choose(verified(), TRACES, seed))
        rows = mix(chosen, general, float(arm), seed)
        config = TrainingConfig(seed=seed)
        trained = distill(student.model, student.tokenizer, rows, config=config)
        model = trained.student
        about = {"traces": len(chosen), "general": len(rows) - len(chosen),
                 "trace_tokens": trained.tokens,
                 "train_seconds": round(trained.seconds)}  # fmt: skip
    test = make_problems(bench.test, NARROW, "test", TEST_SEED)
    answers = evaluate(model, student.tokenizer, test, width=len(test))
    loss, tags = general_ability(model, student.tokenizer, held)
    model.unload()
    return {**scored(answers), **about, "held_out": len(held), "general_loss": round(loss, 4),
            "equation_form": tags}  # fmt: skip


def general_loss(model, tokenizer, held):
    """Return the mean loss (nats a token) on held-out answers."""
    measure, total, count = CompletionLoss(model).eval(), 0.0, 0
    half = model.dtype == torch.bfloat16
    with torch.no_grad(), torch.autocast(model.device.type, torch.bfloat16, enabled=half):
        for example in encode(held, tokenizer):
            tree = {name: tensor.to(model.device) for name, tensor in pack([example]).items()}
            total += measure(**tree).item()
            count += supervised([example])
    return total / count


def general_ability(model, tokenizer, held):
    """Return the loss on held-out answers, and how many answers have an equation's tags."""
    prompts = [chat_text(tokenizer, row["prompt"]) for row in held]
    texts = sample(model, tokenizer, prompts, 1, 0.0, max_new_tokens=48)
    tags = sum("<think>" in t.text or "<answer>" in t.text for (t,) in texts)
    return general_loss(model, tokenizer, held), tags


EXPERIMENT = Experiment(
    csv="general_share.csv",
    key="share",
    columns="share seed n exact format lenient low high answer_tokens traces general held_out "
    "general_loss equation_form trace_tokens train_seconds dtype machine date",
    arms=ARMS,
    run=run,
    once=("untouched",),
)

if __name__ == "__main__":
    main(EXPERIMENT, __doc__)
