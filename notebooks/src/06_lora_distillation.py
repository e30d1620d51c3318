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
# The traces are there. Now the student learns them. You write the training
# loop yourself, watch the student learn one trace by heart, and then let your
# loop teach it 64. After that we look at **LoRA**, the small addition that is
# trained in place of the whole model, and at the memory that it saves.
#
# **Afterwards you can**
# - write a training loop for a language model, and name its usual mistakes;
# - say what a finished training function adds to it, and why it is faster;
# - write a LoRA layer and say how many numbers it trains;
# - say before you start whether a training fits into your memory.
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
# of its layers. Then it learns from 64 verified solutions, each of them once.
#
# **Write two guesses into the next cell.** How many of 100 weights does LoRA
# train? And of 24 new equations with the unknown on both sides, how many does
# the student solve afterwards?

# %%
guess_trained = None  # of 100 weights
guess_solved = None  # of 24 equations

# %%
import math
import signal
import tempfile
from pathlib import Path

import torch
import torch.nn.functional as F
from distillkit.lessons.l06_lora import checks, figures

loaded = dk.load(machine.student, machine.device, machine.dtype)
student, tokenizer = loaded.model, loaded.tokenizer

# %% [markdown]
# ## What is learned
#
# The traces are those of lesson 05: a real teacher's, verified. Equations with
# the unknown on both sides are hardest, so they are taken three times as often.
# One general example comes with every four equations, as a precaution: lesson
# 05 could not show that it is needed.

# %%
n_traces, n_test = (4, 2) if machine.fast else (64, 24)
teacher = dk.teacher("recorded")
kept, funnel = dk.reject(teacher.sample(teacher.problems(dk.NARROW)))
chosen = dk.to_traces(dk.choose(kept, n_traces, machine.seed, dk.HARD))
general = dk.read_jsonl(dk.data_path("general.jsonl"))
traces = dk.mix(chosen, general, 0.2, machine.seed)
print(f"{len(chosen)} of {len(kept)} verified solutions; {len(traces)} traces")
one = chosen[0]
print(one["prompt"][-1]["content"], one["completion"][0]["content"], sep="\n")

# %% [markdown]
# A model reads numbers, not text. `pair_of` cuts a trace into the tokens of the
# question and those of the answer. A special token ends the answer: without it
# the student would never learn to stop.
#
# ### Exercise 1: a batch
#
# {exercise padded}
#
# Several traces go through the model at once, as the rows of one tensor, and
# rows must have the same length. Write `padded`: a list of pairs (question's
# tokens, answer's tokens) in, two tensors of shape [rows, longest] out. `ids`
# holds the tokens, question first, filled up with 0 **on the right**. `answer`
# is True where a token belongs to the answer. A token sees only what stands on
# its left, so no real token ever sees the filling.


# %%
def padded(pairs):
    # >>> solution
    longest = max(len(question) + len(answer) for question, answer in pairs)
    ids = torch.zeros(len(pairs), longest, dtype=torch.long)
    marks = torch.zeros(len(pairs), longest, dtype=torch.bool)
    for row, (question, answer) in enumerate(pairs):
        end = len(question) + len(answer)
        ids[row, :end] = torch.tensor(question + answer)
        marks[row, len(question) : end] = True
    return ids, marks
    # <<< stub: return None  # your code here


padded = checks.padded(padded)


# %%
def pair_of(trace):
    (row,) = dk.encode([trace], tokenizer)
    border = row.labels.count(-100)  # the kit marks the question so
    return row.ids[:border], row.ids[border:]


def batch_of(some):
    return [t.to(machine.device) for t in padded([pair_of(t) for t in some])]


ids, answer = batch_of([one])
words = [tokenizer.decode([token]) for token in ids[0].tolist()]
border = len(pair_of(one)[0])
print("the model reads → it should say next")
for at in [*range(border - 3, border + 5), len(words) - 2]:
    learned = "learned" if answer[0, at + 1] else "not learned"
    print(f"{at:3} {words[at]!r:>14} → {words[at + 1]!r:<14} {learned}")

# %% [markdown]
# Look at the first line that is learned. The model reads the **last** token of
# the question and should say the **first** of the answer. So what it says at
# position 0 has to be compared with the token at position 1, and so on: that is
# the *shift*. And only the answer counts: that is the *mask*.
#
# ## The training loop
#
# The **loss** is the cross-entropy of lesson 01, $-\log p(\text{next token})$,
# as a mean over the tokens of the answer. `backward()` computes how the loss
# changes with each trained number: the gradient. The optimizer **AdamW** keeps
# two running means for each number, of its gradient and of the gradient's
# square (the *moments*), and moves the number by about the **rate** at a step.
#
# ### Exercise 2: the loop
#
# {exercise train}
#
# Write what one step does, from `ids` and `answer` of a batch to `loss`, and
# from the loss to the next weights:
#
# - `student(ids).logits.float()` has the shape [B, L, V]: for each position a
#   number for each of the V words;
# - the shift, and then the mask;
# - the loss: `F.cross_entropy` takes logits [N, V] and tokens [N];
# - three calls that make the weights move, in the right order.
#
# (`rates` has one rate a step. `yield` hands out the loss after each step, so
# that we can watch.)


# %%
def train(student, batches, rates):
    trained = [p for p in student.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, weight_decay=0.0)
    for (ids, answer), rate in zip(batches, rates):
        optimizer.param_groups[0]["lr"] = rate
        # >>> solution
        logits = student(ids).logits.float()
        said, asked = logits[:, :-1], ids[:, 1:]
        learned = answer[:, 1:]
        loss = F.cross_entropy(said[learned], asked[learned])
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        # <<< stub: raise NotImplementedError  # your code here
        yield loss.item()


train = checks.train(train)

# %% [markdown]
# ### One trace, by heart
#
# The best test of a loop is a task that it cannot miss: one trace, again and
# again. The student gets an *adapter*: its own weights stay as they are, and
# small matrices beside them are trained (the second half of the lesson). *How
# many steps does it need? Predict.*


# %%
def renewed(student):
    """Give the student a new adapter, in place of the one that it may have."""
    base = student.unload() if hasattr(student, "unload") else student
    torch.manual_seed(machine.seed)
    return dk.with_adapter(base, dk.lora(r=16))


steps = 2 if machine.fast else 10
student = renewed(student)
losses = figures.watch(
    train(student, [batch_of([one])] * steps, [5e-4] * steps), steps
)
print(f"The loop is {dk.whose(train)}, the batch {dk.whose(padded)}.")
print("loss:", *(f"{loss:.3f}" for loss in losses))

# %%
limit = 24 if machine.fast else 128
question = dk.chat_text(tokenizer, one["prompt"])
print("The student writes: first the trace, from memory …", flush=True)
((said,),) = dk.sample(student, tokenizer, [question], max_new_tokens=limit)
print("word for word:", said.text == one["completion"][0]["content"])
other = dk.make_problem("7x - 4 = 3x + 16")
count = dk.Count("a new equation", 1)
(row,) = dk.evaluate(
    student, tokenizer, [other], max_new_tokens=limit, on_done=count
)
print(f"{other.equation}:", row["text"], sep="\n")
print("solved:", row["exact"])

# %% [markdown]
# The loss falls to almost nothing, and the student recites: your loop works. A
# *new* equation is another matter. From one trace it takes over the form of the
# answer; how to compute is something that it must have known before.
#
# ## 64 traces
#
# First the **baseline**, what is to be beaten: the untouched student with six
# solved examples in its prompt ("few-shot"). Without them it would not find
# the form at all. The 24 equations are new, and all of the hardest kind.

# %%
test = dk.make_problems(100, ("both-sides",), "test", 100)[:n_test]


def ask(student, name, shots=()):
    """Return which of the test equations are solved; count while it runs."""
    count = dk.Count(name, n_test)
    rows = dk.evaluate(
        student, tokenizer, test, dk.THINK, shots, None, limit, on_done=count
    )
    return [row["exact"] for row in rows]


with student.disable_adapter():  # this is the untouched student
    solved = {"few-shot": ask(student, "few-shot", dk.SHOTS)}

# %% [markdown]
# Then the training. With one rate from the first step to the last, the student
# jumps about until the end, and the last batch decides where it lands. (With
# `rates = [5e-4] * 20` we found 16 of 24 solved: one run on two CPU cores, seed
# 0. One run proves little; try it.) The usual way is to begin small (*warm-up*)
# and to fall to zero (*cosine*).
#
# ### Exercise 3: the rates
#
# {exercise falling}
#
# Write `falling`: the number of steps and the peak in, a list of rates out. The
# first `warm = max(1, steps // 20)` steps rise evenly: peak / warm, 2 peak /
# warm, …, peak. The other n steps fall: for t = 0, 1, …, n − 1 the rate is
# peak · (1 + cos(π t / n)) / 2.
#
# The cell after it trains with these rates, on four traces at a step, each
# trace once, and asks the same 24 equations again.


# %%
def falling(steps, peak):
    # >>> solution
    warm = max(1, steps // 20)
    n = steps - warm
    rise = [peak * (step + 1) / warm for step in range(warm)]
    fall = [peak * (1 + math.cos(math.pi * t / n)) / 2 for t in range(n)]
    return rise + fall
    # <<< stub: return None  # your code here


falling = checks.falling(falling)

# %%
batches = [batch_of(traces[i : i + 4]) for i in range(0, len(traces), 4)]
rates = falling(len(batches), 5e-4)
student = renewed(student)
losses = figures.watch(train(student, batches, rates), len(batches))
solved["distilled"] = ask(student, f"after the loop ({dk.whose(train)})")
for name, right in solved.items():
    low, high = dk.wilson(sum(right), n_test)
    print(
        f"{name:9} {100 * sum(right) / n_test:3.0f} % "
        f"(95 % interval: {100 * low:.0f} to {100 * high:.0f})"
    )
layers = dk.layers_of(student).items()
updates = {name: dk.decomposed(*dk.factors(layer))[1] for name, layer in layers}
dk.show(*figures.draw_before_after(solved))

# %% [markdown]
# The distilled student sees *no* examples in its prompt: what the prompt had to
# say is now in the weights. The **interval** says how far the true share may be
# from the one we found, as only 24 equations were asked. The steps of the curve
# with a high loss are those with general examples: free text is harder to
# predict than an equation.
#
# ## What a real loop adds
#
# `dk.train_plainly` is your loop with your rates and one thing more: a gradient
# that is too long is made shorter (*clipping*), so that no single batch can
# throw the student off. Read its 25 lines with `dk.train_plainly??`. It gets
# the batches as the kit encodes them.
#
# `dk.distill` does the same once more, and computes less. *Before you run it:
# what in your loop is computed for nothing?*

# %%
size = 1 if machine.fast else 4
few = traces[: 2 if machine.fast else 16]
config = dk.TrainingConfig(batch_size=size, shuffle=False, seed=machine.seed)
rows = dk.encode(few, tokenizer)
plain = [rows[i : i + size] for i in range(0, len(rows), size)]
student = renewed(student)
losses = figures.watch(
    dk.train_plainly(student, plain, config.rate), len(plain)
)

live, student = dk.Live(dk.plots.draw_training), renewed(student)
run = dk.distill(student, tokenizer, few, config=config, on_step=live.add)
for loss, row in zip(losses, run.log):
    print(f"step {row['step']}: plain {loss:.3f}, distill {row['loss']:.3f}")
filled = sum(len(b) * max(len(row.ids) for row in b) for b in plain)
computed = sum(row["computed"] for row in run.log)
learned = sum(len(pair_of(trace)[1]) for trace in few)
print(f"tokens computed: plain {filled:,}, distill {computed:,}")
print(f"rows of logits: plain {filled:,}, distill {learned:,}")

# %% [markdown]
# The losses are the same but for rounding, and a test of the kit compares them.
# Two things are saved. All questions begin with the same instruction, and
# `distill` computes it once for a whole batch. And the logits, one for each of
# 151,936 words, are made only where something is learned. Both are a matter of
# bookkeeping; nothing of the idea has changed. How much time it saves (the
# pictures say it) depends on the machine, and on how much the traces share.
#
# ## Stop, and go on
#
# A training may take a night, and a laptop may be closed. With `out=` the kit
# writes weights, moments and log to a folder. Here we stop after the first step
# as Ctrl-C (in Jupyter: the black square) would, and call the same again.

# %%
folder = Path(tempfile.mkdtemp())


def stop_early(row):
    signal.raise_signal(signal.SIGINT)  # as Ctrl-C does


student = renewed(student)
part = dk.distill(
    student, tokenizer, few, config=config, out=folder, on_step=stop_early
)
print(f"{len(part.log)} of {len(plain)} steps, finished: {part.finished}")
print("on disk:", sorted(path.name for path in folder.iterdir()))

live = dk.Live(dk.plots.draw_training)
whole = dk.distill(
    student, tokenizer, few, config=config, out=folder, on_step=live.add
)
same = [r["loss"] for r in whole.log] == [r["loss"] for r in run.log]
print(f"finished: {whole.finished}; the losses of the unbroken run: {same}")

# %% [markdown]
# ## LoRA: a small addition
#
# Training *all* weights would need four numbers of memory for each: the weight,
# its gradient and AdamW's two moments. A matrix $W$ of a trained model is
# large. What a *small* task has to change in it is little, so a matrix of low
# **rank** is enough: one that is a product of two thin ones. LoRA keeps $W$ and
# learns these two:
#
# $$y = x\,W^\top + \frac{\alpha}{r}\; x\,A^\top B^\top$$
#
# with $A \in \mathbb{R}^{r \times \text{in}}$ and
# $B \in \mathbb{R}^{\text{out} \times r}$. The picture is drawn to scale. *Move
# the rank. At which rank is nothing saved any more?*

# %% tags=["hide-input"]
shape = dk.memory.shape_of(student.config)
sizes = dict(zip(("q", "k", "v", "o", "gate", "up", "down"), shape.linears()))


def draw_shapes(matrix, rank):
    return figures.draw_shapes(*sizes[matrix], rank)


dk.explore(
    draw_shapes,
    matrix=list(sizes),
    rank=[1, 4, 16, 64, 256],
    static=[{"matrix": "q", "rank": 16}, {"matrix": "down", "rank": 16}],
)

# %% [markdown]
# $A$ begins random and $B$ begins at zero, so nothing changes before the first
# step. The factor $\alpha/r$ is meant to keep the size of the update alike when
# the rank changes. (For high ranks $\alpha/\sqrt{r}$ does it better:
# Kalajdzievski 2023, arXiv 2312.03732.)
#
# ### Exercise 4: the layer
#
# {exercise lora_layer}
#
# Write `lora_layer`: x of shape [N, in], W [out, in], A [r, in], B [out, r]
# and the number alpha in; y of shape [N, out] out.


# %%
def lora_layer(x, W, A, B, alpha):
    # >>> solution
    update = x @ A.T @ B.T
    return x @ W.T + alpha / len(A) * update
    # <<< stub: return None  # your code here


lora_layer = checks.lora_layer(lora_layer)

# %% [markdown]
# The same layer in `peft`, the library that the kit trains with. We fill $B$
# with random numbers, because a $B$ of zeros would prove nothing.

# %%
student = renewed(student)
layer = dk.layers_of(student)["0.self_attn.o_proj"]
A, B = layer.lora_A["default"].weight, layer.lora_B["default"].weight
torch.nn.init.normal_(B, std=0.1)
W = layer.base_layer.weight
x = torch.randn(3, W.shape[1], device=W.device, dtype=W.dtype)
with torch.no_grad():
    theirs = layer(x).float()
    ours = lora_layer(x.float(), W.float(), A.float(), B.float(), alpha=32)
error = ((ours - theirs).norm() / theirs.norm()).item()
print(f"{dk.whose(lora_layer)} and peft's: relative difference {error:.1e}")

# %% [markdown]
# In bfloat16 a number has about two and a half decimal digits, so a difference
# of some thousandths is rounding. In float32 it is below a millionth.
#
# ### Exercise 5: count
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
total = shape.matrices() + shape.others()
for r in (1, 4, 16, 64):
    trained = shape.layers * trained_parameters(shape.linears(), r)
    print(f"r = {r:2}: {trained:>10,} trained, {100 * trained / total:.2f} %")
counted = sum(p.numel() for p in student.parameters() if p.requires_grad)
count = shape.layers * trained_parameters(shape.linears(), 16)
print(f"{dk.whose(trained_parameters)} equals peft's: {count == counted}")

# %% [markdown]
# ### What did it learn?
#
# Here is what *your* loop put into $BA$ above. A matrix is a sum of directions,
# and its *singular values* say how large each of them is. *Move the layer, the
# matrix and the rank. Are early and late layers alike?*

# %% tags=["hide-input"]
names = [name.split(".", 1)[1] for name in updates if name.startswith("0.")]


def draw_update(layer, matrix, rank):
    name = f"{layer}.{matrix}"
    return figures.draw_spectrum(updates[name].tolist(), rank, name)


dk.explore(
    draw_update,
    layer=(0, shape.layers - 1, 1),
    matrix=names,
    rank=(1, 16, 1),
    static=[
        {"layer": 2, "matrix": "self_attn.v_proj", "rank": 4},
        {"layer": shape.layers - 2, "matrix": "mlp.down_proj", "rank": 4},
    ],
)

# %% [markdown]
# Some matrices learn few directions, others use all sixteen. Does the *student*
# need them all? The adapter of `demo --curriculum broad` (rank 16, 914,000
# tokens) was cut to a lower rank, by its singular values, and asked again.
# `python -m benchmarks.experiments.ranks` makes it again.

# %%
dk.show(*figures.draw_ranks(dk.data("ranks")))

# %% [markdown]
# Rank 12 cannot be told from 16. At rank 8 both kinds of equations have a few
# fewer, which may be chance: this is one run. Below that only narrow ones were
# asked. Rank 1 never finds the form: no answer is exact, though 44 of 100 texts
# give the right value.
#
# ## The trap: the learning rate
#
# LoRA wants a rate about ten times that of training all weights. Too low, and
# nothing is learned in the few steps there are; too high, and the first steps
# destroy what the model knows. Your loop again, two traces a step, the
# same traces in the same order.

# %%
steps, curves = 1 if machine.fast else 8, {}
pairs = [batch_of(chosen[i : i + 2]) for i in range(0, 2 * steps, 2)]
for rate in (5e-5, 5e-4, 5e-3):
    student = renewed(student)
    losses = train(student, pairs, falling(steps, rate))
    name = f"rate {rate:g}"
    curves[name] = [*dk.counted(f"steps with {name}", losses, steps)]
print(f"The loop is {dk.whose(train)}.")
dk.show(*figures.draw_rates(curves))

# %% [markdown]
# A rate only twice as high may do harm, too, and not in every run. Three
# students of 64 traces each, 60 equations asked:

# %%
rows = dk.data("ablation_training").where(change=["base", "rate 1e-3"])
dk.show_arms(rows.arms("change"))

# %% [markdown]
# Two of the three students are as good and one is far worse. Three runs prove
# little, but one run alone would not have shown the risk.
#
# ## Does it fit?
#
# What is in memory during training:
#
# - the **weights**: 4 bytes each in float32, 2 in bfloat16, about half a byte
#   in NF4, the 4-bit type of **QLoRA** (LoRA on a base that is frozen in 4
#   bits);
# - for each **trained** number 16 bytes: itself, its gradient, and the two
#   moments of Adam, all in float32;
# - the **activations** that the gradient needs again: they grow with the number
#   of tokens that are computed at once;
# - the **logits** and their gradient: learned tokens × 151,936 words each, in
#   the type that is computed in.
#
# ### Exercise 6: what does not depend on the batch
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
ways = {"LoRA on float32": 32, "LoRA on bfloat16": 16, "QLoRA on NF4": 4.127}
size = fixed_memory(total, 0, 32, True)
print(f"{'all weights, float32':20} {size / 1e9:5.2f} GB")
for name, bits in ways.items():
    size = fixed_memory(total, shape.adapter(16), bits, False)
    print(f"{name:20} {size / 1e9:5.2f} GB")

# %% [markdown]
# The last line is too small: it counts every weight as packed. NF4 packs the
# matrices of the layers only; the embedding, 136 of the 494 million weights,
# stays in 16 bits, and that is 0.2 GB more. The kit's calculator knows this,
# and it adds what depends on the batch. *Find the largest model that trains on
# a 6 GB card. How much memory do more tokens at once cost?*

# %% tags=["hide-input"]
WAYS = {
    "all weights, float32": ("float32", None),
    "LoRA, float32": ("float32", 16),
    "LoRA, bfloat16": ("bfloat16", 16),
    "QLoRA, NF4": ("nf4", 16),
}


def draw_needs(model_name, tokens):
    sizes, learned = dk.memory.SHAPES[model_name], tokens * 2 // 3
    return figures.draw_memory(
        {
            name: dk.memory.training(sizes, kind, r, tokens, learned)
            for name, (kind, r) in WAYS.items()
        }
    )


dk.explore(
    draw_needs,
    model_name=list(dk.memory.SHAPES),
    tokens=[64, 384, 512, 2048, 4096],
    static=[
        {"model_name": "Qwen2.5-0.5B", "tokens": 384},
        {"model_name": "Qwen2.5-7B", "tokens": 384},
    ],
)

# %% [markdown]
# A formula is worth as much as its check. The peaks of many trainings were
# measured (`python -m benchmarks.speed.memory`). And QLoRA saves memory, not
# time: the weights are unpacked for every product. The library for it is
# `bitsandbytes`; with it, `dk.load(…, quant="nf4")` gives such a student.

# %%
rows = dk.data("memory").where(model="Qwen2.5-0.5B")
off = [100 * (r["formula_mb"] / r["measured_mb"] - 1) for r in rows]
print(f"{len(rows)} trainings: {min(off):+.0f} to {max(off):+.0f} % off")
for r in dk.data("card").where(way=["LoRA", "NF4"], cap_gb=0, part_tokens=256):
    speed = f"{r['train_tokens_per_second']:.0f} tokens/s"
    print(f"{r['way']:4} on the card: {r['train_peak_gb']} GB, {speed}")

# %% [markdown]
# ## Experiment: the reasoning or the answer?
#
# **The claim.** *Teaching the reasoning beats teaching the answer.* The same 64
# equations, three times. One student learned `x = 5` only, one the steps and
# then the answer. A **seed** is the number that all chance of a run comes from;
# the two students of one seed form a **pair**. `python -m
# benchmarks.experiments.templates` makes it again.

# %%
rows = dk.data("templates").where(stage="distilled", form="terse")
rows = rows.where(split="taught", template=["answer-only", "think"])
dk.show_arms(rows.arms("template"), "answer-only")

# %% [markdown]
# **Careful.** Untrained, with six examples in its prompt, the same student
# solves 80 of 100 with steps and 22 without (lesson 03). Most of the difference
# comes from *writing* steps. Training added about 12 points to the one, 3 to
# the other.
#
# ## Experiment: how little data is enough?
#
# **The claim.** *A little good data is enough.* One student for each number of
# solutions and seed, asked 100 new equations of the kinds it was taught, in
# other people's words: `9 - 4*k = 33. What is k?`. *Each seen once*: more
# solutions are more steps, too. *As many steps as 128*: fewer solutions, seen
# again and again. `python -m benchmarks.experiments.curriculum` makes it again.

# %%
rows = dk.data("curriculum").where(split="worded")
few_shot = rows.where(recipe="few-shot")[0]["exact"]
dk.show(*figures.draw_curve(figures.amounts(rows), few_shot))

# %%
again = ["8 solutions 16 times", "32 solutions 4 times", "128 traces"]
dk.show_arms(rows.where(recipe=again).arms("recipe"), "128 traces")

# %% [markdown]
# **The claim holds, and how little is enough depends on the question.** 64
# solutions do as well as six examples in each prompt; from there to 512, twice
# the data halves what is wrong. A part of it is more steps: seen again and
# again, a few solutions gain. But as many steps with more solutions gain more
# (compared with 8 solutions surely, compared with 32 perhaps by chance). In the
# wording of the training set 32 solutions were enough (lesson 05: 93 of 100,
# repeated). In other people's words they were not, probably because repeating
# adds no new words.
#
# ## A student to go on with
#
# A million tokens do not fit into a lesson (on two cores they take over an
# hour). The result comes with the kit, cut to rank 12: `data/adapter_broad/`.
# It was made from the weights of the 4-bit file of Qwen2.5-Coder-0.5B-Instruct.
# *Ask it equations of your own: any letter, several terms, brackets.*

# %%
mine = ["5(t - 9) + 23 = 2t + 13 - 4t", "7(t - 3) + 12 = 4t - 2(t + 8)"]

layer = layers = loaded = part = run = student = whole = None  # make room
ready = dk.ready_student(machine)
for row in dk.evaluate(
    ready.model,
    ready.tokenizer,
    [dk.make_problem(equation) for equation in mine],
    max_new_tokens=24 if machine.fast else 640,
    on_done=dk.Count("the ready student", len(mine)),
):
    print(f"{row['problem']['equation']}\n{row['text']}")
    print(f"right: {row['exact']}, it is {row['problem']['answer']}\n")

# %% [markdown]
# The first one is solved, in a dozen steps. The second is right up to
# `t = -7 / 5`, and then the student makes a whole number of it: all answers
# that it was taught are whole numbers. A student does what it was shown.
#
# ## Look back at your guesses

# %%
print(f"trained: {100 * shape.adapter(16) / total:.1f} of 100 weights")
print(f"solved: {sum(solved['distilled'])} of {n_test} equations")
if guess_trained is not None or guess_solved is not None:
    print(f"Your guesses were {guess_trained} and {guess_solved}.")

# %% [markdown]
# ## What can go wrong
#
# - **The adapter is merged into 16-bit weights and saved.** Each merge rounds;
#   merging and taking it out again does not give the old weights back.
# - **The wrong base.** An adapter is a *difference*. On other weights it is
#   noise. The kit keeps the base's checksum in the report.
# - **All of a batch at once.** The peak of memory comes from the largest part,
#   not from the mean. The kit cuts a batch into parts and adds their gradients.
# - **Only the attention has adapters.** That is cheaper, but there are more
#   weights in the other matrices.
# - **A long training on few traces.** The loss falls, the student recites. You
#   have seen it.
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
