"""Does a teacher's whole distribution teach more than its words?  And a student's own texts?

    python -m benchmarks.experiments.soft_labels

The first arms learn 64 of the 1.5B teacher's traces: its words alone, or its 64 likeliest tokens at
each place (`record_logits`).  In the others the untouched student teaches itself: with six solved
examples in its prompt it is the teacher, without them the student.  All but one of these begin
with a cold start, 32 of the teacher's own unverified texts (forward KL); then 128 texts in 8 steps
follow, of the teacher or of the student, in either direction; with more steps, other rates and a
lower temperature for what moves it.
"""

import random
from dataclasses import dataclass
from functools import partial

import torch

from benchmarks.recordings.record_logits import LOGITS, demo_traces
from benchmarks.runner import Experiment, main, scored
from distillkit.evaluation.calibration import confidences, ece
from distillkit.evaluation.scoring import evaluate
from distillkit.generation.sampler import sample
from distillkit.pipeline.recipes import TEST_SEED
from distillkit.problems.equations import NARROW, make_problems, overlap
from distillkit.runtime.session import data_path
from distillkit.traces.teachers import Local
from distillkit.traces.templates import SHOTS, chat_text, messages
from distillkit.training.loop import RECIPE, TrainingConfig, distill
from distillkit.training.lora import lora, with_adapter
from distillkit.training.losses import forward_kl, jsd, reverse_kl
from distillkit.training.objectives import Match, next_token, read_teacher, solved_examples
from distillkit.training.on_policy import example_of, own_texts
from distillkit.training.packing import pack
from distillkit.training.top_k import MatchTopK, load_top_k

TRACES, COLD, SIZE, STEPS, LIMIT, SAMPLED = 64, 32, 16, 8, 96, 16
KLS = {"forward": forward_kl, "reverse": reverse_kl}
RECORDED = {
    "words alone": None,
    "forward KL": (forward_kl, 64),
    "reverse KL": (reverse_kl, 64),
    "JSD 0.5": (partial(jsd, beta=0.5), 64),
    "forward KL, 4 tokens and the rest": (forward_kl, 4),
}


@dataclass(frozen=True)
class Own:
    """How a student teaches itself after the cold start: whose texts, direction, and settings."""

    texts: str = ""
    direction: str = "reverse"
    steps: int = STEPS
    rate: float = RECIPE.rate
    temperature: float = 1.0
    cold: int = COLD


SELF = {
    "itself, cold start": Own(),
    "itself, student's texts, reverse": Own("student"),
    "itself, teacher's texts, forward": Own("teacher", "forward"),
    "itself, student's texts, forward": Own("student", "forward"),
    "itself, teacher's texts, reverse": Own("teacher"),
    "itself, student's texts, reverse, no cold start": Own("student", cold=0),
    "itself, student's texts, reverse, 24 steps": Own("student", steps=24),
    "itself, student's texts, reverse, rate 2e-4": Own("student", rate=2e-4),
    "itself, student's texts, reverse, rate 1e-3": Own("student", rate=1e-3),
    "itself, student's texts, reverse, temperature 0.7": Own("student", temperature=0.7),
}
FEW_SHOT = "untouched, six solved examples"
ARMS = [FEW_SHOT, *RECORDED, *SELF]


def run(arm, seed, bench):
    """Train one way, ask, and look at what the student writes by itself."""
    student = bench.load()
    test = make_problems(bench.test, NARROW, "test", TEST_SEED)
    if arm == FEW_SHOT:
        answers = evaluate(student.model, student.tokenizer, test, shots=SHOTS, width=len(test),
                           max_new_tokens=LIMIT)  # fmt: skip
        return scored(answers)
    make = partial(from_itself, bench=bench) if arm in SELF else from_records
    model, log = make(arm, seed, student)
    answers = evaluate(model, student.tokenizer, test, width=len(test), max_new_tokens=LIMIT)
    sure = confidences(model, own_answers(student.tokenizer, answers))
    bench.keep("soft_labels_answers.jsonl", [
        {"arm": arm, "seed": seed, "id": answer["id"], "sure": round(p, 4),
         "exact": answer["exact"]} for p, answer in zip(sure, answers, strict=True)
    ], "arm", "seed")  # fmt: skip
    row = {**scored(answers), "sure": round(sum(sure) / len(sure), 4),
           "ece": round(ece(sure, [answer["exact"] for answer in answers]), 4),
           **seen(model, student.tokenizer, answers, seed),
           "train_seconds": round(sum(r["seconds"] for r in log)), "steps": len(log),
           "last_loss": round(log[-1]["loss"], 4)}  # fmt: skip
    model.unload()
    return row


def from_records(arm, seed, student):
    """Train on 64 of the recorded teacher's traces."""
    chosen = random.Random(f"soft-{seed}").sample(demo_traces(), TRACES)
    objective = next_token
    if how := RECORDED[arm]:
        divergence, k = how
        records = load_top_k(data_path(LOGITS), student.tokenizer)
        objective = MatchTopK(records, divergence, k)
    done = distill(student.model, student.tokenizer, chosen, config=TrainingConfig(seed=seed),
                   objective=objective)  # fmt: skip
    return done.student, done.log


def from_itself(arm, seed, student, bench):
    """Let the untouched student, with examples in its prompt, teach itself without them."""
    own = SELF[arm]
    problems = make_problems(COLD + SIZE * own.steps, NARROW, "train", 11 + seed)
    assert not overlap(problems, make_problems(bench.test, NARROW, "test", TEST_SEED))
    torch.manual_seed(seed)
    teacher = Local(student.model, student.tokenizer, student.name, student.source, student.sha256,
                    max_new_tokens=LIMIT)  # fmt: skip
    asked = problems if own.texts == "teacher" else problems[:COLD]
    journal = bench.folder / f"own-{seed}-{len(problems)}-{len(asked)}.jsonl"
    rows = teacher.sample(asked, 1, 1.0, seed, journal)
    texts = [example_of(student.tokenizer, chat_text(student.tokenizer, messages(p.text)),
                        row["text"], row["finish"] != "length")
             for p, row in zip(asked, rows, strict=True)]  # fmt: skip
    model = with_adapter(student.model, lora())
    match = partial(Match, model, adapter=False, beginning=solved_examples(student.tokenizer))
    train = partial(distill, model, student.tokenizer)
    log = []
    if own.cold:
        log += train(texts[:COLD], objective=match(forward_kl),
                     config=TrainingConfig(seed=seed)).log  # fmt: skip
    if own.texts == "student":
        prompts = [messages(p.text) for p in problems[COLD:]]
        texts = own_texts(model, student.tokenizer, prompts, SIZE, own.steps, own.temperature,
                          LIMIT, seed)  # fmt: skip
    if own.texts:
        config = TrainingConfig(rate=own.rate, batch_size=SIZE, seed=seed)
        log += train(texts if own.texts == "student" else texts[COLD:], config=config,
                     objective=match(KLS[own.direction])).log  # fmt: skip
    return model, log


def own_answers(tokenizer, answers):
    """Return a model's answers as examples."""
    return [example_of(tokenizer, chat_text(tokenizer, messages(row["problem"]["text"])),
                       row["text"], row["finish"] != "length") for row in answers]  # fmt: skip


def seen(model, tokenizer, answers, seed):
    """Return entropy, different texts and KL to the few-shot prompt of what a model samples."""
    prompts = [chat_text(tokenizer, messages(row["problem"]["text"])) for row in answers]
    drawn = sample(model, tokenizer, prompts[:SAMPLED], 4, 1.0, max_new_tokens=LIMIT, seed=seed)
    texts = [example_of(tokenizer, prompt, row.text, row.finish != "length")
             for prompt, rows in zip(prompts, drawn, strict=False) for row in rows]  # fmt: skip
    entropy, kl, places = 0.0, 0.0, 0
    for at in range(0, len(texts), 4):
        batch = {name: t.to(model.device) for name, t in pack(texts[at : at + 4]).items()}
        ours = read_teacher(model, batch).logits_NV
        theirs = read_teacher(model, batch, False, solved_examples(tokenizer)).logits_NV
        logs = ours.float().log_softmax(-1)
        entropy -= (logs.exp() * logs).sum().item()
        kl += reverse_kl(ours, theirs).sum().item()
        places += len(ours)
    return {
        "entropy": round(entropy / places, 4),
        "kl_to_few_shot": round(kl / places, 4),
        "different_of_4": round(sum(len({r.text for r in rows}) for rows in drawn) / len(drawn), 2),
    }


EXPERIMENT = Experiment(
    csv="soft_labels.csv",
    key="arm",
    columns="arm seed n exact format lenient low high answer_tokens ece sure entropy "
    "kl_to_few_shot different_of_4 steps last_loss train_seconds dtype machine date",
    arms=ARMS,
    run=run,
    once=(FEW_SHOT,),
)

if __name__ == "__main__":
    main(EXPERIMENT, __doc__)
