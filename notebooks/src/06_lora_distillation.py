# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # LoRA distillation
#
# The traces are there. Now the student learns them. Training all of its
# weights would need four numbers of memory for each: the weight, its gradient
# and two of the optimizer's. **LoRA** freezes the weights and trains a small
# addition to each matrix. That is what makes a language model trainable on a
# laptop or on one consumer card.
#
# **Afterwards you can**
# - write a LoRA layer and say how many numbers it trains;
# - say before you start whether a training fits into your memory;
# - train a real student on verified traces, stop it, and go on;
# - see a wrong learning rate in the first steps.
#
# **Time:** the cells run for a few minutes on two CPU cores (the set-up cell
# says how many); with reading and exercises, plan {reading} minutes, about
# {exercises} of them for the exercises.
# **Hardware:** a laptop with 6 GB of free memory. The first run downloads a
# model.

# %% tags=["setup"]
import distillkit as dk

machine = dk.start_lesson("06")

# %% [markdown]
# ## Predict first
#
# The student has 494 million weights. LoRA of rank 16 is put on every matrix
# of its layers. Then it learns from 64 verified solutions, once.
#
# **Write two guesses into the next cell.** How many of 100 weights does LoRA
# train? And of 24 new equations, how many does the student solve afterwards?

# %%
guess_trained = None  # of 100 weights
guess_solved = None  # of 24 equations

# %%
import importlib.util
import inspect
import signal
import tempfile
from pathlib import Path

import torch
from distillkit.lessons.l06_lora import checks, figures

student = dk.load(machine.student, machine.device, machine.dtype)
model, tokenizer = student.model, student.tokenizer


# %% [markdown]
# ## The idea
#
# A matrix $W$ of a trained model is large and of full rank. What a *small* task
# has to change in it is not: a matrix of low rank is enough. So keep $W$ as it
# is and learn two thin matrices:
#
# $$y = x\,W^\top + \frac{\alpha}{r}\; x\,A^\top B^\top$$
#
# with $A \in \mathbb{R}^{r \times \text{in}}$ and
# $B \in \mathbb{R}^{\text{out} \times r}$.
#
# $A$ begins random and $B$ begins at zero, so nothing changes before the first
# step. The factor $\alpha/r$ is meant to keep the size of the update alike when
# the rank changes. (For high ranks $\alpha/\sqrt{r}$ does it better:
# Kalajdzievski 2023, arXiv 2312.03732.)
#
# ### Exercise 1: the layer
#
# {exercise lora_layer}
#
# Write `lora_layer`: x of shape [N, in], W [out, in], A [r, in], B [out, r]
# and the number alpha in; y of shape [N, out] out.


# %%
def lora_layer(x, W, A, B, alpha):
    # >>> solution
    return x @ W.T + alpha / len(A) * (x @ A.T @ B.T)
    # <<< stub: return None  # your code here


lora_layer = checks.lora_layer(lora_layer)

# %% [markdown]
# The same layer in `peft`, the library that the kit trains with. We fill $B$
# with random numbers, because a $B$ of zeros would prove nothing.

# %%
adapted = dk.with_adapter(model, dk.lora(r=4, alpha=8))
layer = dk.layers_of(adapted)["0.self_attn.o_proj"]
A, B = layer.lora_A["default"].weight, layer.lora_B["default"].weight
torch.nn.init.normal_(B, std=0.1)
W = layer.base_layer.weight
x = torch.randn(3, W.shape[1], device=W.device, dtype=W.dtype)
with torch.no_grad():
    theirs = layer(x).float()
    ours = lora_layer(x.float(), W.float(), A.float(), B.float(), 8)
error = ((ours - theirs).norm() / theirs.norm()).item()
print(f"relative difference from peft: {error:.1e} ({W.dtype})")
model = adapted.unload()

# %% [markdown]
# In bfloat16 a number has about two and a half decimal digits, so a difference
# of some thousandths is rounding. In float32 it is below a millionth.
#
# ## How many numbers are trained?
#
# ### Exercise 2: count
#
# {exercise trained_parameters}
#
# Write `trained_parameters`: a list of shapes (outputs, inputs) of matrices and
# the rank in; the number of trained numbers out.


# %%
def trained_parameters(shapes, r):
    # >>> solution
    return sum(r * (outputs + inputs) for outputs, inputs in shapes)
    # <<< stub: return None  # your code here


trained_parameters = checks.trained_parameters(trained_parameters)

# %%
shape = dk.memory.shape_of(model.config)
total = shape.matrices() + shape.others()
print(f"{total:,} weights; the seven matrices of a layer: {shape.linears()}")
for r in (1, 4, 16, 64):
    trained = shape.layers * trained_parameters(shape.linears(), r)
    print(f"r = {r:2}: {trained:>10,} trained, {100 * trained / total:.2f} %")
adapted = dk.with_adapter(model, dk.lora(r=16))
counted = sum(p.numel() for p in adapted.parameters() if p.requires_grad)
mine = shape.layers * trained_parameters(shape.linears(), 16)
print("yours equals peft's count:", mine == counted)
model = adapted.unload()

# %% [markdown]
# ## Does it fit?
#
# What is in memory during training:
#
# - the **weights**: 4 bytes each in float32, 2 in bfloat16, about half a byte
#   in NF4, the 4-bit type of QLoRA;
# - for each **trained** number 16 bytes: itself, its gradient, and the two
#   moments of Adam, all in float32;
# - the **activations** that the gradient needs again: they grow with the number
#   of tokens that are computed at once;
# - the **logits**: learned tokens × 151,936 words, three times in float32.
#
# ### Exercise 3: what does not depend on the batch
#
# {exercise fixed_memory}
#
# Write `fixed_memory`: the number of `weights`, of `trained` numbers, the
# `bits` of a frozen weight, and `full` in; bytes out. If `full` is true, all
# `weights` are trained in float32, and there is no adapter.


# %%
def fixed_memory(weights, trained, bits, full):
    # >>> solution
    if full:
        return 16 * weights
    return weights * bits / 8 + 16 * trained
    # <<< stub: return None  # your code here


fixed_memory = checks.fixed_memory(fixed_memory)

# %%
adapter = shape.adapter(16)
for name, bits, full in (
    ("all weights, float32", 32, True),
    ("LoRA on float32", 32, False),
    ("LoRA on bfloat16", 16, False),
    ("QLoRA on NF4", 4.127, False),
):
    size = fixed_memory(total, adapter, bits, full)
    print(f"{name:22} {size / 1e9:5.2f} GB")

# %% [markdown]
# The kit's calculator adds what depends on the batch, and it knows that NF4
# holds the layers' matrices only: the embedding stays in 16 bits. *Find the
# largest model that trains on a 6 GB card. How much memory do more tokens at
# once cost?* On a real card (an H200, `data/card.csv`) the 0.5B student took
# at most 3.1 GB in bfloat16 and 2.4 GB in NF4; torch allocated at most 9 %
# more than the calculator says.

# %%
WAYS = {
    "all weights, float32": ("float32", None),
    "LoRA, float32": ("float32", 16),
    "LoRA, bfloat16": ("bfloat16", 16),
    "LoRA, int8": ("int8", 16),
    "QLoRA, NF4": ("nf4", 16),
}


def draw_needs(model_name, rank, tokens):
    sizes = dk.memory.SHAPES[model_name]
    taught = tokens * 2 // 3
    needs = {
        name: dk.memory.training(sizes, kind, r and rank, tokens, taught)
        for name, (kind, r) in WAYS.items()
    }
    return figures.draw_memory(needs)


dk.explore(
    draw_needs,
    model_name=list(dk.memory.SHAPES),
    rank=[1, 4, 8, 16, 64, 256],
    tokens=[64, 192, 512, 2048, 4096],
    static=[
        {"model_name": "Qwen2.5-0.5B", "rank": 16, "tokens": 192},
        {"model_name": "Qwen2.5-1.5B", "rank": 16, "tokens": 192},
        {"model_name": "Qwen2.5-7B", "rank": 16, "tokens": 192},
        {"model_name": "Qwen2.5-0.5B", "rank": 16, "tokens": 4096},
    ],
)

# %% [markdown]
# A formula is worth as much as its check. These peaks were measured: every
# tensor that was alive at once, counted while a batch was trained.
# `python -m benchmarks.speed.memory` does it again.

# %%
print("model          type      tokens  measured  formula")
for row in dk.read_csv(dk.data_path("memory.csv")):
    found, expected = float(row["measured_mb"]), float(row["formula_mb"])
    print(
        f"{row['model']:14} {row['dtype']:9} {row['tokens']:>6} "
        f"{found:6.0f} MB {expected:5.0f} MB "
        f"({100 * (expected / found - 1):+.0f} %)"
    )

# %% [markdown]
# Answering needs no gradient and no optimizer. What grows there is the *KV
# cache*: the keys and values of all earlier tokens, in every layer, for every
# text that is written at the same time. *At which number of texts does the
# cache of a 7B model need more than its NF4 weights?*


# %%
def draw_answering(model_name, texts, tokens):
    sizes = dk.memory.SHAPES[model_name]
    return figures.draw_memory({
        kind: dk.memory.answering(sizes, kind, texts, tokens)
        for kind in ("float32", "bfloat16", "int8", "nf4")
    })  # fmt: skip


dk.explore(
    draw_answering,
    model_name=list(dk.memory.SHAPES),
    texts=[1, 8, 32, 128],
    tokens=[128, 512, 2048, 8192],
    static=[
        {"model_name": "Qwen2.5-0.5B", "texts": 1, "tokens": 512},
        {"model_name": "Qwen2.5-7B", "texts": 1, "tokens": 512},
        {"model_name": "Qwen2.5-7B", "texts": 32, "tokens": 2048},
        {"model_name": "Llama-3.1-8B", "texts": 32, "tokens": 2048},
    ],
)

# %% [markdown]
# Here is the cache of the student on this machine, counted and by the formula.
# The prompt is the same, the number of texts is not.

# %%
question = tokenizer("Solve for x: 3x + 7 = 22", return_tensors="pt")
ids = question["input_ids"].to(model.device)
for texts in (1, 4):
    with torch.inference_mode():
        cache = model(ids.expand(texts, -1), use_cache=True).past_key_values
    counted = sum(t.nbytes for pair in cache for t in pair[:2])
    expected = dk.memory.answering(
        shape, "bfloat16", texts, ids.shape[1], model.dtype.itemsize
    )["KV cache"]
    print(
        f"{texts} × {ids.shape[1]} tokens: {counted:,} bytes counted, "
        f"{expected:,.0f} by the formula"
    )

# %% [markdown]
# ## Training
#
# The traces are those of lesson 05: a real teacher's, verified. Equations with
# the unknown on both sides are hardest, so they are taken three times as often.
# One general example comes with every four equations, as a precaution: lesson
# 05 could not show that it is needed.

# %%
n_traces, n_test = (8, 2) if machine.fast else (64, 24)
teacher = dk.teacher("recorded")
kept, funnel = dk.reject(teacher.sample(teacher.problems(dk.NARROW)))
chosen = dk.to_traces(dk.choose(kept, n_traces, machine.seed, dk.HARD))
general = dk.read_jsonl(dk.data_path("general.jsonl"))
traces = dk.mix(chosen, general, 0.2, machine.seed)
test = dk.make_problems(100, dk.NARROW, "test", 100)[:n_test]
print(
    f"{len(kept)} verified candidates, {len(chosen)} chosen, "
    f"{len(traces)} with general examples; {len(test)} new equations"
)

# %% [markdown]
# First the baseline: the untouched student with six solved examples in its
# prompt. Without them it would not find the form at all.

# %%
limit = 24 if machine.fast else 128
before = dk.evaluate(
    model, tokenizer, test, shots=dk.SHOTS, max_new_tokens=limit
)
print(f"few-shot: {sum(r['exact'] for r in before)} of {len(before)} solved")

# %% [markdown]
# This is the whole of training, with nothing but its ideas. `dk.distill` does
# the same (a test compares their losses), and besides computes shared
# beginnings once, fits into the memory and can be stopped.

# %%
print(inspect.getsource(dk.train_plainly))

# %% [markdown]
# The loss looks at the solution and its end token, never at the question
# (lesson 03). We stop the training on purpose after a third, as Ctrl-C would,
# and go on with the same call: weights, optimizer and the order of the data
# are read back from the folder.

# %%
folder = Path(tempfile.mkdtemp())
steps = -(-len(traces) // 4)
live = dk.Live(figures.draw_training)


def on_step(row):
    live.add(row)
    if row["step"] == steps // 3:
        signal.raise_signal(signal.SIGINT)


config = dk.TrainingConfig(batch_size=4, seed=machine.seed)
run = dk.distill(
    model, tokenizer, traces, config=config, out=folder, on_step=on_step
)
print(
    f"stopped after step {run.log[-1]['step']} of {steps}; "
    f"finished: {run.finished}"
)
print("on disk:", sorted(path.name for path in folder.iterdir()))

# %%
run = dk.distill(
    run.student, tokenizer, traces, config=config, out=folder, on_step=live.add
)
whole = [row["step"] for row in run.log] == list(range(1, steps + 1))
print(f"finished: {run.finished}; every step once: {whole}")
print(f"{run.tokens:,} tokens in {run.seconds:.0f} s of training")

# %%
after = dk.evaluate(run.student, tokenizer, test, max_new_tokens=limit)
solved = {
    "few-shot": [row["exact"] for row in before],
    "distilled": [row["exact"] for row in after],
}
for name, right in solved.items():
    low, high = dk.wilson(sum(right), len(right))
    print(
        f"{name:10} {100 * sum(right) / len(right):3.0f} % "
        f"({100 * low:.0f} to {100 * high:.0f}, n = {len(right)})"
    )
gain, low, high = dk.paired_difference(*solved.values())
print(
    f"difference {100 * gain:+.0f} points "
    f"({100 * low:+.0f} to {100 * high:+.0f})"
)
dk.show(*figures.draw_before_after(solved))

# %% [markdown]
# The distilled student sees *no* examples in its prompt: what the prompt had to
# say is now in the weights. On 24 equations a difference of a few points
# cannot be told from chance. The recorded run of lesson 00 (128 traces, 100
# equations) has 79 % and 95 %. The steps of the curve with a higher loss are
# those with general examples: free text is harder to foresee than an equation.
#
# ## What was learned?
#
# $BA$ is a matrix of rank 16 at most. Its singular values say how many
# directions it really uses. *Move the layer, the matrix and the rank. Are early
# and late layers alike?*

# %%
updates = {
    name: dk.decomposed(*dk.factors(layer))[1].tolist()
    for name, layer in dk.layers_of(run.student).items()
}
names = [name.split(".", 1)[1] for name in updates if name.startswith("0.")]


def draw_update(layer, matrix, rank):
    name = f"{layer}.{matrix}"
    return figures.draw_spectrum(updates[name], rank, name)


dk.explore(
    draw_update,
    layer=(0, shape.layers - 1, 1),
    matrix=names,
    rank=(1, 16, 1),
    static=[
        {"layer": 2, "matrix": "self_attn.v_proj", "rank": 4},
        {"layer": shape.layers - 2, "matrix": "self_attn.v_proj", "rank": 4},
        {"layer": 2, "matrix": "mlp.down_proj", "rank": 4},
        {"layer": shape.layers - 2, "matrix": "mlp.down_proj", "rank": 4},
    ],
)

# %% [markdown]
# Some matrices learn few directions, others use all sixteen. Does the *student*
# need them all? An adapter that was trained for two hours (rank 16, on `demo
# --curriculum broad`) was cut to a lower rank, by its singular values, and
# asked again. `python -m benchmarks.experiments.ranks` makes it again.

# %%
rows = dk.read_csv(dk.data_path("ranks.csv"))
print(rows[0]["machine"], rows[0]["dtype"], "n =", rows[0]["n"])
exact = {"narrow": {}, "broad": {}}
for r in rows:
    shares = [100 * float(r[key]) for key in ("exact", "low", "high")]
    exact[r["split"]][int(r["rank"])] = shares
untouched = exact["narrow"].pop(0)[0]
for split, found in exact.items():
    for rank, (middle, low, high) in sorted(found.items()):
        size = 2 * shape.adapter(rank) / 1e6
        print(
            f"{split:6}, rank {rank:2}: {middle:3.0f} % ({low:.0f} to "
            f"{high:.0f}), {size:.1f} MB in 16 bits"
        )
dk.show(*figures.draw_ranks(exact["narrow"], untouched))

# %% [markdown]
# The figure shows the narrow kinds. The broad equations need more of the rank.
# Their solutions are three times as long, and one wrong step is enough to fail.
#
# ## The trap: the learning rate
#
# LoRA wants a rate about ten times that of training all weights. Too low, and
# nothing is learned in the few steps there are; too high, and the first steps
# destroy what the model knows. The same traces in the same order:

# %%
model, losses = run.student.unload(), {}
few = traces[: 4 if machine.fast else 24]
for rate in (5e-5, 5e-4, 5e-3):
    config = dk.TrainingConfig(rate=rate, batch_size=4, seed=machine.seed)
    attempt = dk.distill(model, tokenizer, few, config=config)
    losses[f"rate {rate:g}"] = [row["loss"] for row in attempt.log]
    model = attempt.student.unload()
dk.show(*figures.draw_rates(losses))

# %% [markdown]
# Twice the kit's rate, three runs each of 64 traces, 60 equations asked:

# %%
for name in ("base", "rate 1e-3"):
    rows = dk.read_csv(dk.data_path("ablation_training.csv"))
    rows = [r for r in rows if r["change"] == name]
    share = ", ".join(f"{100 * float(r['exact']):.0f} %" for r in rows)
    last = ", ".join(f"{float(r['last_loss']):.3f}" for r in rows)
    print(f"{name:10} exact answers: {share}; last loss: {last}")

# %% [markdown]
# Two of the three students are as good and one is far worse. Three runs prove
# little, but one run alone would not have shown the risk.

# %% [markdown]
# ## QLoRA
#
# QLoRA holds the frozen weights in 4 bits and trains the same adapter on top.
# It saves memory, not time: the weights are unpacked for every product. The
# library for it is `bitsandbytes`; it works on NVIDIA cards and, more slowly,
# on most CPUs.

# %%
if importlib.util.find_spec("bitsandbytes"):
    small = dk.load(machine.student, machine.device, machine.dtype, quant="nf4")
    config = dk.TrainingConfig(batch_size=4, seed=machine.seed)
    qlora = dk.distill(small.model, small.tokenizer, few, config=config)
    for name, holder, run_ in (
        ("whole", model, attempt),
        ("NF4", small.model, qlora),
    ):
        size = sum(p.nbytes for p in holder.parameters()) / 1e9
        print(
            f"{name:5} weights and adapter {size:.2f} GB, training "
            f"{run_.tokens / run_.seconds:.0f} tokens/s"
        )
    print(
        f"last loss: {losses['rate 0.0005'][-1]:.3f} whole, "
        f"{qlora.log[-1]['loss']:.3f} NF4"
    )
else:
    kind = "bfloat16" if machine.dtype == "bfloat16" else "float32"
    for name in (kind, "nf4"):
        parts = dk.memory.training(shape, name)
        print(f"{name:9} {sum(parts.values()) / 1e9:.2f} GB (by the formula)")
    print(
        "bitsandbytes is not installed here, so this cell only counts. "
        "`pip install bitsandbytes` in the kit's environment runs it."
    )

# %% [markdown]
# ## Experiment: the reasoning or the answer?
#
# **The claim.** *Teaching the reasoning beats teaching the answer.* The same 64
# equations, three seeds. One student learned `x = 5` only, one the steps and
# then the answer. They are asked equations of the kinds they were taught, and
# of other kinds. `python -m benchmarks.experiments.templates` makes it again.

# %%
rows = dk.read_csv(dk.data_path("templates.csv"))
rows = [r for r in rows if r["stage"] == "distilled"]
rows = [r for r in rows if r["form"] == "terse"]
for split in ("taught", "other"):
    found = {}
    for name in ("answer-only", "think"):
        found[name] = [
            100 * float(r["exact"]) for r in rows
            if (r["split"], r["template"]) == (split, name)
        ]  # fmt: skip
        shares = ", ".join(f"{share:.0f}" for share in found[name])
        print(f"{split} kinds, {name:11}: {shares} of 100")
    print(
        dk.statistics.conclusion(
            ("the answer alone", "steps and answer"),
            *found.values(),
            "right answers in 100",
        )
    )

# %% [markdown]
# **Careful.** Untrained, with six examples in its prompt, the same student
# solves 80 of 100 with steps and 22 without (lesson 03). Most of the difference
# comes from *writing* steps. Training added about 12 points to the one, 3 to
# the other.
#
# ## Experiment: how little data is enough?
#
# **The claim.** *A little good data is enough.* One student a number of
# solutions and a seed, asked 100 new equations of the kinds it was taught, in
# other people's words: `9 - 4*k = 33. What is k?`. *Each seen once*: more
# solutions are more steps, too. *As many steps as 128*: fewer solutions, seen
# again and again. `python -m benchmarks.experiments.curriculum` makes it again.

# %%
rows = dk.read_csv(dk.data_path("curriculum.csv"))
rows = [r for r in rows if r["split"] == "worded"]
few_shot = next(r for r in rows if r["recipe"] == "few-shot")
once, again = "each seen once", "as many steps as 128"
curves = {once: {}, again: {}}
for row in rows:
    name = row["recipe"]
    kinds = [once] * (name == "base" or name.endswith(" traces"))
    kinds += [again] * (name.endswith(" times") or name == "128 traces")
    for kind in kinds:
        curves[kind].setdefault(int(row["solutions"]), []).append(row)
for kind, curve in curves.items():
    for count, runs in sorted(curve.items()):
        minutes = sum(float(r["train_seconds"]) for r in runs) / len(runs) / 60
        shares = ", ".join(f"{100 * float(r['exact']):.0f}" for r in runs)
        print(
            f"{kind}: {count:5} solutions, {minutes:4.1f} min of training: "
            f"{shares} of 100"
        )
    curves[kind] = {count: [100 * float(r["exact"]) for r in runs]
                    for count, runs in curve.items()}  # fmt: skip
dk.show(*figures.draw_curve(curves, 100 * float(few_shot["exact"])))

# %%
unit = "right answers in 100"
print(
    dk.statistics.conclusion(
        ("32 solutions, seen once", "four times"),
        curves[once][32],
        curves[again][32],
        unit,
    )
)
for few, times in ((32, "four"), (8, "sixteen")):
    names = (f"{few} solutions, {times} times", "128 solutions, seen once")
    print(
        dk.statistics.conclusion(
            names, curves[again][few], curves[again][128], unit
        )
    )

# %% [markdown]
# **It holds, and how little depends on what is asked.** 64 solutions do as
# well as six examples in each prompt; from there to 512, twice the data halves
# what is wrong. A part of it is more steps: seen again and again, a few
# solutions gain. But as many steps with more solutions gain more (in place of 8
# surely; in place of 32 it may be chance). In the wording of the training set
# 32 solutions were enough (lesson 05: 93 of 100, repeated). In other people's
# words they were not, probably because repeating adds no new words.
#
# ## A student to go on with
#
# Two hours of training do not fit into a lesson. The result comes with the kit,
# cut to rank 12: `data/adapter_broad/`. It was made from the weights of
# the 4-bit file of Qwen2.5-Coder-0.5B-Instruct. *Ask it equations of your own:
# any letter, several terms, brackets.*

# %%
mine = "7(t - 3) + 12 = 4t - 2(t + 8)"

del attempt, run, model, student  # make room
ready = dk.ready_student(machine)
(row,) = dk.evaluate(ready.model, ready.tokenizer, [dk.make_problem(mine)],
                     max_new_tokens=24 if machine.fast else 560)  # fmt: skip
print(row["text"])
print("right:", row["exact"], "| the answer is", row["problem"]["answer"])

# %% [markdown]
# All answers that this student was taught are whole numbers. Here it is right
# up to `t = -7 / 5`, and then it makes a whole number of it: a student does
# what it was shown. Ask it for one with a whole answer, too.
#
# ## Look back at your guesses

# %%
print(f"trained: {100 * adapter / total:.1f} of 100 weights")
print(f"solved: {sum(solved['distilled'])} of {len(test)} equations")
if guess_trained is not None or guess_solved is not None:
    print(f"Your guesses were {guess_trained} and {guess_solved}.")

# %% [markdown]
# ## What can go wrong
#
# - **The adapter is merged into 16-bit weights and saved.** Each merge rounds;
#   merging and taking it out again does not give the old weights back.
# - **The wrong base.** An adapter is a *difference*. On other weights it is
#   noise. The kit keeps the base's checksum in the report.
# - **All of a batch at once.** The peak comes from the largest part, not from
#   the mean. The kit cuts a batch into parts and adds their gradients.
# - **Only the attention has adapters.** That is cheaper, but there are more
#   weights in the other matrices.
# - **A long training on few traces.** The loss falls, the student recites.
#
# ## Questions
#
# <details><summary>1. Why does B begin at zero and A does not?</summary>
#
# With both at zero no gradient would ever reach either of them: each one's
# gradient is multiplied by the other. With B at zero the update begins at zero,
# and B gets a gradient at once.
# </details>
#
# <details><summary>2. The adapter has 2 % of the weights. Why is training not
# fifty times as fast?</summary>
#
# Forward and backward still go through all matrices. What is saved is the
# product that gives the frozen weights' own gradient (a third), and the memory.
# </details>
#
# <details><summary>3. Does a higher rank cost more time in use?</summary>
#
# Not after merging: W + BA is one matrix of the same size as W.
# </details>

# %%
dk.progress()

# %% [markdown]
# ## Where to go next
#
# - **{lesson 07}**: any equation, step by step, and what is left.
# - Read `distillkit/training/loop.py`: `train_step` and `distill` are a page.
# - Add a rank of your own to `ARMS` in `benchmarks/experiments/ranks.py`.
#
# *Sources.* Hu et al., *LoRA* (arXiv 2106.09685); Dettmers et al., *QLoRA*
# (arXiv 2305.14314); Eckart and Young, *The approximation of one matrix by
# another of lower rank* (1936).
