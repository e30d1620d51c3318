"""Prune, then distil: what is lost by a cut, which cut, and what brings it back.

    python -m benchmarks.experiments.pruning

Two parents: Qwen-0.5B with the broad adapter merged, and SmolLM2-135M, which is first taught two
kinds.  (The recorded rows of Qwen are of the adapter that came with the kit until 2026-11-27, which
had learned seven of today's thirteen kinds, the ones asked here among them.) An arm is a parent, a
way to choose what goes, and a repair.  The cuts take 3, 6 or 11 of Qwen's 24 layers (4, 8 or 13 of
SmolLM's 30), about 10, 20 and 33 % of the weights, or as many weights from the MLPs of all layers.
All repairs learn the same 384 solutions in 48 steps; they and the texts that importance is read
from are the seed's.  The equations asked are of the kinds repaired with ("exact") and of others
that the parent knows ("others"); the general loss is that of pages of Python's documentation, which
none of them learned.  The forms of few bits are rounded as a GGUF file keeps them.  "one layer"
leaves out each of Qwen's layers alone, "one by one" up to eight, with an answer of each.
"""

import copy
import gc
from functools import cache

import torch
from peft import PeftModel

from benchmarks.runner import RUNS, STUDENT, Experiment, main, scored
from distillkit.evaluation.scoring import evaluate, summary
from distillkit.models.downloads import one_at_a_time
from distillkit.models.gguf_writer import round_weights
from distillkit.models.loading import load
from distillkit.models.pruning import (
    block_influence,
    channel_activation,
    channels_like,
    cut_channels,
    drop_layers,
    from_scratch,
    hidden_states,
    highest,
    leave_one_out,
    lowest,
)
from distillkit.pipeline.recipes import TEST_SEED
from distillkit.problems.equations import NARROW, make_problems
from distillkit.runtime.files import read_jsonl, whole_folder
from distillkit.runtime.session import data_path
from distillkit.traces.filters import to_traces
from distillkit.traces.teachers import Solver
from distillkit.training.loop import TrainingConfig, distill
from distillkit.training.lora import READY, lora, with_adapter
from distillkit.training.objectives import Match, mean_loss, next_token
from distillkit.training.packing import Example, encode
from distillkit.training.states import MatchStates, handed_on

QWEN, SMOLLM = "qwen", "smollm"
TRACES, TEXTS, LIMIT = 384, 64, 256
SHOWN = 2  # the question whose answer is kept
PART = 1024  # tokens at once
KINDS_OF = {  # what is repaired and asked, and what else the parent knows
    QWEN: (NARROW, ("brackets-both", "large", "letters", "unsimplified")),
    SMOLLM: (("one-step",), ("two-step",)),
}
FORM = {QWEN: "collect", SMOLLM: "terse"}
LAYERS = {QWEN: {10: 3, 20: 6, 33: 11}, SMOLLM: {10: 4, 20: 8, 33: 13}}
DEPTH = ("block influence", "leave-one-out", "neighbours", "last layers", "random layers")
WIDTH = ("activation", "random channels")
ALL, MIDDLE = (10, 20, 33), (20,)
STATES = "forward KL and states"
TOP = "forward KL, head and last 3 layers"
# how -> objective, what is trained, the peak of the rate
REPAIRS = {
    "plain": ("next token", "LoRA", 5e-4),
    "forward KL": ("KL", "LoRA", 5e-4),
    STATES: ("states", "LoRA", 5e-4),
    "forward KL, LoRA near the cut": ("KL", "LoRA near", 5e-4),
    "forward KL, all weights near the cut": ("KL", "near", 1e-4),
    "forward KL, all weights near the cut, rate 3e-4": ("KL", "near", 3e-4),
    TOP: ("KL", "top", 1e-4),
    "same shape from scratch": ("KL", "scratch", 5e-4),
}
CHOSEN, WIDE, LAST = "leave-one-out", "activation", "last layers"
COMMON = [  # for both parents
    ("none", "before"),
    *((way, "before") for way in DEPTH if way != "neighbours"),
    (WIDE, "before"),
    ("none", "plain"),
    *((CHOSEN, how) for how in REPAIRS if "rate" not in how and "LoRA near" not in how),
    *((WIDE, how) for how in ("forward KL", "same shape from scratch")),
    *((LAST, how) for how in ("forward KL", TOP)),
]
ONLY_QWEN = [
    ("neighbours", "before"),
    ("random channels", "before"),
    *((CHOSEN, how) for how in REPAIRS if "rate" in how or "LoRA near" in how),
    *((WIDE, how) for how in ("plain", STATES, TOP)),
    *((way, "forward KL") for way in ("block influence", "random layers", "random channels")),
]
ONE_LAYER = (QWEN, "one layer", "before")
ONE_BY_ONE = {(QWEN, f"one by one, {way}", "before"): way
              for way in ("block influence", "leave-one-out", "last layers")}  # fmt: skip
ARMS = [
    *((QWEN, *arm) for arm in (*COMMON, *ONLY_QWEN)),
    *((SMOLLM, *arm) for arm in COMMON),
    ONE_LAYER,
    *ONE_BY_ONE,
]
# In all sizes, also in few bits
MAIN = {(CHOSEN, "forward KL"), (CHOSEN, STATES), (WIDE, "forward KL")}
FEW_BITS, MORE = ("q8_0", "q4_0"), ("q5_0", "q4_k")  # the second ones for the whole Qwen, too
SIZES = {arm: ALL if arm[2] == "before" or arm[1:] in MAIN else MIDDLE for arm in ARMS}
ONCE = [*((parent, way, "before") for parent in (QWEN, SMOLLM) for way in ("none", LAST)),
        ONE_LAYER, *ONE_BY_ONE]  # fmt: skip


def traces(parent, n, split_seed, kinds=None):
    """Return exact solutions in the form that the parent writes."""
    problems = make_problems(n, kinds or KINDS_OF[parent][0], "train", split_seed)
    return to_traces(Solver(form=FORM[parent]).sample(problems))


HELD = {}


def loaded(parent, device):
    """Return a parent, whole and in float32, with its tokenizer; it is held until another one is
    asked for."""
    if parent not in HELD:
        HELD.clear()
        gc.collect()
        name = STUDENT if parent == QWEN else "smollm2-135m-instruct"
        found = load(name, device, "float32", say=lambda _: None)
        model = (PeftModel.from_pretrained(found.model, data_path(READY)).merge_and_unload().eval()
                 if parent == QWEN else taught(found.model, found.tokenizer))  # fmt: skip
        HELD[parent] = model, found.tokenizer
    return HELD[parent]


def taught(model, tokenizer):
    """Teach SmolLM2 two kinds of equations, once for all arms and seeds."""
    folder = RUNS / "pruning" / "smollm"
    with one_at_a_time(folder, say=lambda _: None):
        if not folder.exists():
            rows = traces(SMOLLM, 4 * TRACES, 500, sum(KINDS_OF[SMOLLM], ()))
            config = TrainingConfig(rate=2e-3, batch_size=16, precision="bf16", part_tokens=PART)
            run = distill(model, tokenizer, rows, config=config)
            with whole_folder(folder) as place:
                run.student.merge_and_unload().save_pretrained(place)
    return type(model).from_pretrained(folder, dtype=torch.float32).to(model.device).eval()


def passages(tokenizer):
    """Return pages of Python's documentation, the first 128 tokens of each, as examples."""
    pages = read_jsonl(data_path("python_topics.jsonl"))
    return [Example(ids, ids) for ids in (tokenizer(p["text"])["input_ids"][:128] for p in pages)]


@cache
def importance_of(parent, way, seed, span=1):
    """Return the importance of layers or channels, read from the seed's texts."""
    model, tokenizer = loaded(parent, None)
    examples = encode(traces(parent, TEXTS, 31 + seed), tokenizer)
    texts = [example.ids for example in examples]
    if way == "activation":
        return channel_activation(model, texts).cpu()
    if way == "leave-one-out":
        return leave_one_out(model, lambda m: mean_loss(m, examples))
    if way == "block influence":
        return block_influence([hidden_states(model, ids).cpu() for ids in texts], span)
    rng, layers = torch.Generator().manual_seed(1000 + seed), model.config.num_hidden_layers
    if way == "random channels":
        return torch.rand(layers, model.config.intermediate_size, generator=rng)
    if way == "random layers":
        return torch.rand(layers, generator=rng)
    return -torch.arange(layers)  # the last layers go first


def gone_of(parent, way, n, seed):
    """Return the n layers that go."""
    if way != "neighbours":
        return lowest(importance_of(parent, way, seed), n)
    first = importance_of(parent, "block influence", seed, span=n).argmin().item()
    return [*range(first, first + n)]


def cut(model, parent, way, size, seed):
    """Return a cut copy of a parent, and the layers that are gone."""
    n = min(LAYERS[parent][size], model.config.num_hidden_layers - 1)
    if way in WIDTH:
        kept = highest(importance_of(parent, way, seed), channels_like(model, n))
        return cut_channels(model, kept), []
    gone = gone_of(parent, way, n, seed)
    return drop_layers(model, gone), gone


def trainable(model, part, gone):
    """Return what `distill` is to train: the model, adapter or True, and which weights learn."""
    kept = [i for i in range(model.config.num_hidden_layers + len(gone)) if i not in gone]
    near = [i for i, k in enumerate(kept) if {k - 1, k + 1} & {*gone}]
    if "LoRA" in part:
        return with_adapter(model, lora(layers=near if "near" in part else None))
    top = range(len(kept) - 3, len(kept))
    chosen = [f".layers.{i}." for i in (near if part == "near" else top)]
    if part == "top":
        chosen += ["embed_tokens", "lm_head", "model.norm"]  # the head is the embedding
    for name, p in model.named_parameters():
        p.requires_grad_(part == "scratch" or any(word in name for word in chosen))
    return model


def repaired(model, whole, tokenizer, parent, how, gone, seed):
    """Return the cut model after training, merged, and the run."""
    objective, part, rate = REPAIRS[how]
    if part == "scratch":
        model = from_scratch(model, seed)
    student = trainable(model, part, gone)
    config = TrainingConfig(rate=rate, seed=seed, precision="bf16", part_tokens=PART)
    rows = traces(parent, TRACES, 61 + seed)
    match = next_token if objective == "next token" else Match(whole)
    if objective == "states":
        behind = handed_on(whole.config.num_hidden_layers, gone)
        with MatchStates(match, student, behind) as states:
            run = distill(student, tokenizer, rows, config=config, objective=states)
    else:
        run = distill(student, tokenizer, rows, adapter=False, config=config, objective=match)
    return (run.student.merge_and_unload() if "LoRA" in part else run.student), run


def in_form(model, kind):
    """Return a copy with its weights rounded as a GGUF file of this kind keeps them, and the bytes
    of the file's weights."""
    copied = copy.deepcopy(model)
    return copied, sum(tensor.bytes for tensor in round_weights(copied, kind))


def answered(model, tokenizer, parent, bench, others=False):
    """Let a model answer unseen equations, of the kinds repaired with or of the others."""
    problems = make_problems(bench.test, KINDS_OF[parent][others], "test", TEST_SEED)
    return evaluate(model, tokenizer, problems, width=len(problems), max_new_tokens=LIMIT)


def losses(model, tokenizer, parent, bench):
    """Return the loss on exact solutions of the equations that are asked, and the general one."""
    asked = make_problems(bench.test, KINDS_OF[parent][0], "test", TEST_SEED)
    solved = encode(to_traces(Solver(form=FORM[parent]).sample(asked)), tokenizer)
    found = {"loss": solved, "general_loss": passages(tokenizer)}
    return {name: round(mean_loss(model, examples), 4) for name, examples in found.items()}


def of_others(model, tokenizer, parent, bench):
    """Return the right answers to other kinds, with their interval."""
    found = summary(answered(model, tokenizer, parent, bench, others=True))
    return {"others": round(found["exact"], 4), "others_low": round(found["low"], 4),
            "others_high": round(found["high"], 4)}  # fmt: skip


def shape_of(model):
    """Return what a model's size is."""
    weights = sum(p.numel() for p in model.parameters())  # a tied head counts once
    return {"layers": model.config.num_hidden_layers,
            "channels": model.config.intermediate_size, "weights": weights,
            "form": "bf16", "bytes": 2 * weights}  # fmt: skip


def run(arm, seed, bench):
    """Cut, repair and ask: a row a size, and rows for the forms of 8 and 4 bits."""
    parent, way, how = arm
    whole, tokenizer = loaded(parent, bench.machine.device)
    if arm == ONE_LAYER or arm in ONE_BY_ONE:
        return left_out(arm, bench)
    rows = []
    for size in (0,) if way == "none" else SIZES[arm]:
        if size:
            model, gone = cut(whole, parent, way, size, seed or 0)
        else:
            model, gone = copy.deepcopy(whole), []
        row = {"size": size, "gone": " ".join(map(str, gone))}
        if how != "before":
            model, done = repaired(model, whole, tokenizer, parent, how, gone, seed)
            row |= {"steps": len(done.log), "trace_tokens": done.tokens,
                    "last_loss": round(done.log[-1]["loss"], 4),
                    "train_seconds": round(done.seconds, 1)}  # fmt: skip
        about = (tokenizer, parent, bench)
        row |= losses(model, *about)
        if how != "before" or way == "none":
            row |= of_others(model, *about)
        rows.append({**row, **shape_of(model), **scored(answered(model, *about))})
        for kind in forms_of(arm):
            copied, size = in_form(model, kind)
            rows.append({"size": row["size"], **shape_of(model), "form": kind, "bytes": size,
                         **scored(answered(copied, *about))})  # fmt: skip
            del copied
        del model
        gc.collect()
    return rows


def forms_of(arm):
    """Return the forms of few bits in which an arm's models are asked as well."""
    if arm == (QWEN, "none", "before"):
        return FEW_BITS + MORE
    return FEW_BITS if arm[1:] in MAIN or arm[1:] == ("none", "before") else ()


def left_out(arm, bench):
    """Leave out layer after layer, alone or together with those before: a row for each."""
    layers = loaded(QWEN, None)[0].config.num_hidden_layers
    if arm == ONE_LAYER:
        influence = importance_of(QWEN, "block influence", 0).tolist()
        return [without([i], bench) | {"influence": round(influence[i], 4)} for i in range(layers)]
    cuts = [gone_of(QWEN, ONE_BY_ONE[arm], n, 0) for n in range(1, min(9, layers))]
    return [without(gone, bench) for gone in cuts]


def without(gone, bench):
    """Return the row of Qwen without some layers, and one of its answers."""
    whole, tokenizer = loaded(QWEN, None)
    model, about = drop_layers(whole, gone), (tokenizer, QWEN, bench)
    answers = answered(model, *about)
    row = {"gone": " ".join(map(str, gone)), **losses(model, *about), **shape_of(model),
           **scored(answers), "answer": answers[SHOWN]["text"]}  # fmt: skip
    row["size"] = round(100 - 100 * row["weights"] / shape_of(whole)["weights"])
    return row


EXPERIMENT = Experiment(
    csv="pruning.csv",
    key="parent cut repair",
    columns="parent cut repair seed size form layers channels weights bytes n exact format lenient "
    "low high answer_tokens others others_low others_high loss general_loss gone influence answer "
    "steps trace_tokens last_loss train_seconds machine date",
    arms=ARMS,
    run=run,
    once=ONCE,
)

if __name__ == "__main__":
    main(EXPERIMENT, __doc__)
