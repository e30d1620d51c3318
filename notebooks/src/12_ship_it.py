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
# # Ship it
#
# A student that lives in a notebook helps nobody. Here it becomes a file that
# other programs run: merged, rounded to few bits, with its tokenizer and its
# chat template inside. The commonest complaint of people who train models is
# "the exported model talks differently". Here you see why, and prove that yours
# does not.
#
# **Afterwards you can**
# - merge an adapter and say why it is done once, and not into rounded weights;
# - round a block of weights to 8 bits, byte for byte as the file format wants;
# - say how many bits a weight a file *really* has, whatever its name says;
# - prove that a file holds your student, and the template of its training;
# - find the three faults that make exported models talk nonsense.
#
# **Time:** the cells run for a few minutes on two CPU cores (the set-up cell
# says how many); with reading and exercises, plan {reading} minutes, about
# {exercises} of them for the exercises.
# **Hardware:** a laptop with 8 GB of free memory, and 600 MB of disk for a file
# that is removed in the end. The first run downloads a model.

# %% tags=["setup"]
import distillkit as dk

machine = dk.start_lesson("12")

# %% [markdown]
# ## Predict first
#
# The student that comes with the kit has 494 million weights of 32 bits. With
# fewer bits it is smaller and, on many machines, faster. At some point it
# breaks.
#
# **Write a guess into the next cell.** With how many bits a weight does it
# solve fewer than half as many one-step equations: 8, 6, 5, 4, 3 or 2?

# %%
guess_bits = None  # bits a weight

# %%
import dataclasses
import json
import shutil
import tempfile
from pathlib import Path

import torch
from distillkit.lessons.l12_ship_it import checks, figures, rounding, serving

loaded = dk.ready_student(dataclasses.replace(machine, dtype="float32"))
model, tokenizer = loaded.model, loaded.tokenizer

# %% [markdown]
# ## Merge
#
# Other programs want one matrix a layer, not a base and an adapter. So the
# update is added to the base: $W' = W + s\,BA$. That is exact, in 32 bits. A
# file has fewer, so somewhere it must be rounded. *Where* makes a difference.
#
# Here are some rows of one of the student's layers, and a way to merge that was
# published: the base is held in 4 bits already (QLoRA does so), and the update
# is merged into that.

# %%
layers = rounding.rows_of(model)
names = list(layers)
name = names[len(names) // 2 + 5]
base, update = layers[name]
print(f"{name}: rows {base.shape}")
size = abs(update).mean() / abs(base).mean()
print(f"the update is {100 * size:.1f} % as large as the weights")


def in_four_bits(values):
    return rounding.rounded(values, "q4_0")


def published_merge(base, update, rounded):
    return rounded(rounded(base) + update)


# %% [markdown]
# ### Exercise 1: find the bug, a merge into 4 bits
#
# Mend it: base and update [O, I] (numpy) and a function that rounds in; what
# the file holds out.
#
# {exercise mended_merge}


# %%
def mended_merge(base, update, rounded):
    # >>> solution
    return rounded(base + update)
    # <<< stub: return None  # published_merge, mended


mended_merge = checks.mended_merge(mended_merge)

# %%
merges = {"published": published_merge, "mended": mended_merge}
for way, merge in merges.items():
    left = []
    for rows in layers.values():
        moved = merge(*rows, in_four_bits) - in_four_bits(rows.base)
        along, size = (moved * rows.update).sum(), (rows.update**2).sum()
        left.append(along / size if size else 1.0)
    middle = sorted(left)[len(left) // 2]
    print(
        f"{way:10} {100 * middle:4.0f} % of the update is left in the "
        f"middle layer, {100 * min(left):.0f} % in the worst"
    )

# %% [markdown]
# A weight that lies on the grid already stays where it is, unless the update
# moves it by more than half a step. Most updates are smaller. Rounded once, the
# update decides for many weights *which* neighbour is the nearest: every
# single weight is wrong, and the sum of them is nearly right.
#
# ## Eight bits, by hand
#
# **Q8_0** is the simplest format that is used much. 32 weights of a row are a
# **block**. The one farthest from zero becomes 127 or −127; the scale
# $d = \max|w| / 127$ is kept in 16 bits, and each weight as the whole number
# nearest to $w / d$ in 8 bits. 34 bytes for 32 weights.
#
# ### Exercise 2
#
# Write `quantise_q8_0`: 32 float32 weights (numpy) in, 34 bytes out, first the
# scale. Halves are rounded away from zero: `np.sign(x) * np.floor(np.abs(x) +
# 0.5)`. So that your bytes are the library's also where a weight lies exactly
# between two numbers, multiply by $1/d$ instead of dividing by $d$; both are
# float32, and $d$ goes into 16 bits (`np.float16`) only when it is written. In
# a block of zeros $d$ is 0, and so is every number.
#
# {exercise quantise_q8_0}

# %%
import numpy as np


def quantise_q8_0(values):
    # >>> solution
    d = np.abs(values).max() / np.float32(127)
    inverse = np.float32(1) / d if d else np.float32(0)
    x = values * inverse
    steps = np.sign(x) * np.floor(np.abs(x) + 0.5)
    return np.float16(d).tobytes() + steps.astype(np.int8).tobytes()
    # <<< stub: return None  # your code here


quantise_q8_0 = checks.quantise_q8_0(quantise_q8_0)

# %% [markdown]
# Now on the real layer, block by block, against the library that writes files.
# And back: whole numbers times the scale.

# %%
weights = base + update
blocks = weights.reshape(-1, 32)
ours = b"".join(map(quantise_q8_0, blocks))
kinds = dk.gguf_writer.KINDS
theirs = dk.gguf_writer.encoded(weights, kinds["q8_0"]).tobytes()
same = np.mean([a == b for a, b in zip(ours, theirs)])
whose = dk.whose(quantise_q8_0)
print(f"{whose} against the library's: {100 * same:.2f} % of the bytes equal")
rows = np.frombuffer(ours, np.uint8).reshape(-1, 34)
scales = rows[:, :2].copy().view(np.float16).astype(np.float32)
back = scales * rows[:, 2:].view(np.int8)
lost = np.linalg.norm(back - blocks) / np.linalg.norm(blocks)
print(f"{len(ours):,} bytes for {weights.size:,} weights; error {lost:.2%}")

# %% [markdown]
# The other kinds differ in what a block keeps. **Q4_0** and **Q5_0** have a
# scale and 16 or 32 steps; **Q4_1** and **Q5_1** also the lowest value.
# **K-quants** (`q4_k`, …) have blocks of 256 whose scales are rounded, too.
# They are written by `libgguf`; without it they are left out of the list.
#
# *At which kind do you begin to see that weights are moved?*


# %%
def draw_block(kind):
    return figures.draw_block(blocks[0], kind)


short = [kind for kind in rounding.HERE if not kind.endswith("_k")]
dk.explore(
    draw_block,
    kind=short,
    static=[{"kind": kind} for kind in ("q8_0", "q5_0", "q4_1", "q4_0")],
)

# %% [markdown]
# ## Which layers suffer?
#
# On the left the error of the weights in every matrix, on the right how much of
# the *adapter's update* is still there after the rounding. *Compare `q5_0` with
# `q4_0`, which has one bit fewer. What is odd?*

# %%
surveys = {}


def draw_survey(kind):
    if kind not in surveys:
        surveys[kind] = rounding.survey(layers, kind)
    return figures.draw_survey(surveys[kind], kind)


dk.explore(
    draw_survey,
    kind=rounding.HERE,
    static=[{"kind": kind} for kind in ("q8_0", "q5_1", "q5_0", "q4_0")],
)

# %% [markdown]
# `q5_0` rounds these weights *less* than `q4_0`, and yet a part of the update
# is gone: little in most matrices, three quarters in one. The reason lies in
# where this base comes from: the kit downloads a publisher's *4-bit file* (few
# people have a hub at hand), and most of its matrices were kept as Q5_0 there.
# They lie **exactly on that grid**. This is the bug of exercise 1, hidden in a
# file that calls itself 32 bits. Whoever merges into weights that were rounded
# before should ship on *another*, finer grid.
#
# ## True bits
#
# ### Exercise 3
#
# A file's name says "4 bits". Write `true_bits`: `parts` in, one (weights,
# weights in a block, bytes of a block) for each tensor; the bits a weight that
# the file really takes out.
#
# {exercise true_bits}


# %%
def true_bits(parts):
    # >>> solution
    size = sum(n // block * block_bytes for n, block, block_bytes in parts)
    return 8 * size / sum(n for n, block, block_bytes in parts)
    # <<< stub: return None  # your code here


true_bits = checks.true_bits(true_bits)

# %%
from collections import Counter

import gguf

merged = model.merge_and_unload()
for kind in ("bf16", "q8_0", "q5_0", "q4_k", "q4_0"):
    stored = dk.gguf_writer.plan(merged, kind)
    parts = [(t.weights, *gguf.GGML_QUANT_SIZES[t.kind]) for t in stored]
    held = Counter()
    for tensor in stored:
        held[tensor.kind.name] += tensor.weights / 1e6
    shown = ", ".join(f"{n:.0f} M {k}" for k, n in held.most_common(3))
    print(f"{kind:5} {true_bits(parts):5.2f} bits a weight: {shown}")

# %% [markdown]
# **"Q4_K" is not 4 bits here.** K-quants need rows of a multiple of 256
# weights, and this student's rows have 896. So most matrices fall back to
# blocks of 32: Q5_0 with 5.5 bits. The embedding is the output head at the same
# time and keeps 8.5. Only one matrix a layer, whose rows have 4,864, has the
# 4.5 bits of the name. The publisher's "Q4_K_M" of this model has 6.24 bits a
# weight, over 630 million weights: it stores the embedding twice. Ask for bits,
# not for names.
#
# ## Experiment: where does it break?
#
# **The claim.** *A student can be deployed: merged, quantised, Ollama,
# AutoTrain.* Live: the student's matrices, the head included, are rounded in
# blocks of 32 with Q4_0's rule in 8, 3 and 2 bits (there are no files of 3 or 2
# bits by this rule). Each is asked the same equations, and its next
# tokens are compared with those before the rounding, along a solution. The
# sums are computed in the type of numbers that is fastest here.

# %%
bits = (4, 2) if machine.fast else (8, 3, 2)
limit = 12 if machine.fast else 80
n = 2 if machine.fast else 24
problems = dk.make_problems(n, ("one-step",), "test", 12)
solved = dk.messages(problems[-1].text)
answer = dk.render_solution(problems[-1])
text = dk.chat_text(
    tokenizer, [*solved, {"role": "assistant", "content": answer}]
)
ids = torch.tensor([tokenizer(text, add_special_tokens=False)["input_ids"]])
student = dk.ready_student(machine).model.merge_and_unload()


def rounded_to(bits):
    for p, exact in zip(student.parameters(), merged.parameters()):
        whole = bits is None or p.dim() == 1
        p.data.copy_(exact if whole else rounding.in_blocks(exact, bits))


def look(name):
    how = {"on_done": dk.Count(name, len(problems)), "max_new_tokens": limit}
    rows = dk.evaluate(student, tokenizer, problems, **how)
    with torch.no_grad():
        logs = student(ids).logits[0].float().log_softmax(-1)
    return sum(row["exact"] for row in rows), logs


rounded_to(None)
right, before = look("not rounded")
found = {"not rounded": (right, 0.0)}
for each in bits:
    rounded_to(each)
    still, logs = look(f"{each} bits")
    kl = (before.exp() * (before - logs)).sum(-1).mean().item()
    found[f"{each} bits"] = (still, kl)
rounded_to(None)
dk.show(*figures.draw_break(found, len(problems)))

# %% [markdown]
# With 8 bits nothing is lost that 24 equations could show. With 3 bits the
# distance is a thousand times as large, and still nearly all of these one-step
# equations are solved; with 2 bits none. **An easy test sees late what the
# rounding has taken away.** 24 short equations are a look, not a measurement.
#
# **Measured**: the exact answers of the files that `export` writes, to 200
# harder equations in other people's words (`python -m
# benchmarks.experiments.shipped_forms`).

# %%
forms = figures.compared(dk.data("shipped_forms"))
for name, form in forms.items():
    print(
        f"{name:24} {form['exact']:5.1f} %, {form['gap']:+5.1f} against bf16 "
        f"({form['gap_low']:+.1f} to {form['gap_high']:+.1f}); right value "
        f"in any form {form['lenient']:.1f} %"
    )
dk.show(*figures.draw_forms(forms))

# %% [markdown]
# **Eight bits change nothing that can be seen.** Q8_0 has 1.0 right answers in
# 100 fewer than bf16 (3.5 fewer to 1.5 more), and no form down to Q5_K can be
# told from it. Then it falls: Q5_0 6.5 fewer (1.5 to 11.5), Q4_K 9.5 (4.0 to
# 15.0), **Q4_0 23** (16 to 30). Three bits leave 15 %, two bits nothing.
#
# Two rows do not follow the bits. Both have the base in NF4, and in the first
# the adapter stays *beside* it in 16 bits. **Merged** and rounded to NF4
# again, the same student has 46 right answers in 100 fewer: most of what the
# adapter changed is smaller than a step of the grid. (An adapter that was
# trained beside an NF4 base, as QLoRA does, would lose less beside it.)
#
# And see how little it takes. Along right solutions Q4_0's likeliest next
# token is still the same at 99.9 % of the places. But an answer has 283 tokens,
# so one odd token in 800 spoils every third answer. A distance that is
# averaged over tokens does not show that. Ask the file that you ship your own
# questions.
#
# ## Look back at your guess

# %%
half = [name for name, (n, _) in found.items() if n < right / 2]
print("fewer than half as many:", ", ".join(half) or "none")
if guess_bits is not None:
    print(f"Your guess was {guess_bits} bits.")

# %% [markdown]
# ## The file
#
# One file for llama.cpp, Ollama, LM Studio and many others: **GGUF**. In it are
# the tensors, the shape of the model, the vocabulary with its merges, the
# special tokens and the chat template. `distillkit export RUN --to DIR` writes
# it; here is the same, step by step.

# %%
folder = Path(tempfile.mkdtemp(prefix="shipped-"))
path = folder / "student-q8_0.gguf"
writer = dk.gguf_writer
about = {writer.SYSTEM_KEY: dk.THINK.instruction}
print("writing …")
stored = writer.write_gguf(merged, tokenizer, path, "q8_0", about)
print(f"{path.name}: {path.stat().st_size / 1e6:.0f} MB, {len(stored)} tensors")
print(f"{writer.true_bits(stored):.2f} bits a weight")
head = serving.opened(path).fields
for key in ("general.architecture", "tokenizer.ggml.pre", writer.SYSTEM_KEY):
    print(f"{key:24} {str(head[key].contents())[:50]!r}")
end = head["tokenizer.ggml.eos_token_id"].contents()
print(f"{'end token':24} {end}: {tokenizer.decode([end])!r}")

# %% [markdown]
# **Proof 1: it holds your student.** Another program reads it back
# (transformers has a GGUF reader of its own), and both read the same text.

# %%
print("reading …")
again, theirs = serving.read_back(path)
with torch.no_grad():
    one, two = (m(ids).logits[0].log_softmax(-1) for m in (merged, again))
kl = (one.exp() * (one - two)).sum(-1).mean()
agree = (one.argmax(-1) == two.argmax(-1)).float().mean()
print(f"KL {kl:.1e} nats a token, at {len(one)} places")
print(f"the likeliest next token is the same at {100 * agree:.1f} % of them")
del again, one, two

# %% [markdown]
# **Proof 2: it is asked as it was trained.** The chat template in the file and
# that of the training write the same bytes, whatever the chat.

# %%
several = [
    {"role": "system", "content": "Löse. “√”"},
    {"role": "user", "content": "½x = −4 \U0001f600"},
    {"role": "assistant", "content": "x = −8"},
    {"role": "user", "content": "{{ .System }} {% if %} 再来"},
]
for chat in (dk.messages("2x = 4"), several[1:2], several):
    ours, read = (dk.chat_text(t, chat).encode() for t in (tokenizer, theirs))
    print(f"{len(ours):4} bytes, equal: {ours == read}")

# %% [markdown]
# **Proof 3: it says the same words** in llama.cpp, the program that most people
# will run it in.

# %%
limit = 12 if machine.fast else 96
questions = ("2x + 3 = 11", "x/4 = 3")
chats = [dk.messages(question) for question in questions]
prompts = [dk.chat_text(tokenizer, chat) for chat in chats]
here = dk.sample(merged, tokenizer, prompts, max_new_tokens=limit)
print(here[0][0].text)
for (ours,), other in zip(here, serving.served(path, chats, limit)):
    print("llama.cpp writes the same:", other.strip() == ours.text.strip())

# %% [markdown]
# Here that is two answers. Of the answers to 100 unseen equations, written
# greedily by an earlier student of seven kinds of equations, all 100 are the
# same, at 8 bits and at bf16 (`python -m benchmarks.speed.served_forms same`;
# transformers calculates in float32 with the same rounded weights). So what
# changes a student is the rounding, not the other program.
#
# **Ollama** takes the same file with a `Modelfile` beside it. Its language for
# templates is another one (Go's), and a template that was typed by hand is
# where most exported models go wrong. The kit cuts it out of the tokenizer's
# own and compares the two. `num_predict` is the most tokens of an answer: more
# than the longest solution that this student was taught. (No Ollama was run
# here.)

# %%
print(dk.modelfile(tokenizer, path.name, dk.THINK.instruction, 640))

# %% [markdown]
# ## Find the bug: it does not stop
#
# "My model never stops", "it answers its own questions", "it worked in the
# notebook": nearly always it is one of these two.

# %%


def published_template(chat):
    text = ""
    for turn in chat:
        text += f"<|im_start|>{turn['role']}\n{turn['content']}\n"
    return text


def published_fields(words, end):
    return {"tokenizer.ggml.tokens": words}


# %% [markdown]
# ### Exercise 4: mend them
#
# `mended_template`: a chat in, its text out, as the training wrote it: every
# turn ends with `<|im_end|>` and a line end, and the answer's turn
# (`assistant`) is open. `mended_fields`: the list of all tokens
# and the token that ends an answer in; the fields of the file out. The second
# field is `tokenizer.ggml.eos_token_id`.
#
# {exercise mended_template mended_fields}


# %%
def mended_template(chat):
    # >>> solution
    text = ""
    for turn in chat:
        text += f"<|im_start|>{turn['role']}\n{turn['content']}<|im_end|>\n"
    return text + "<|im_start|>assistant\n"
    # <<< stub: return None  # published_template, mended


def mended_fields(words, end):
    # >>> solution
    place = words.index(end)
    return {
        "tokenizer.ggml.tokens": words,
        "tokenizer.ggml.eos_token_id": place,
    }
    # <<< stub: return None  # published_fields, mended


mended_template = checks.mended_template(mended_template)
mended_fields = checks.mended_fields(mended_fields)

# %% [markdown]
# The student under each of them. The text is written token by token; it ends at
# the end token that the fields name, or at the limit.

# %%
words = tokenizer.convert_ids_to_tokens(range(len(tokenizer)))
limit = 16 if machine.fast else 60


def half_mended(chat):
    return mended_template(chat).replace("<|im_end|>\n", "\n")


def talk(student, template, fields):
    found = fields(words, tokenizer.eos_token)
    ends = {found.get("tokenizer.ggml.eos_token_id")} - {None}
    text = template(dk.messages("2x = 8"))
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    likeliest = dk.decoding.likeliest
    new = dk.decoding.write(student, torch.tensor(ids), likeliest, limit, ends)
    return f"({len(new)} tokens) " + tokenizer.decode(new)


for what, template, fields in (
    ("mended", mended_template, mended_fields),
    ("no end token in the file", mended_template, published_fields),
    ("only the end token left out of the prompt", half_mended, mended_fields),
    ("the published template", published_template, mended_fields),
):
    print(f"--- {what} {talk(student, template, fields)}")

# %% [markdown]
# Mended, it solves the equation and stops by itself. Without the end token in
# the file it solves it, too, and nobody stops it: behind the answer come an
# apology and more, up to the limit. Under the published template the question
# runs into the answer: the answer begins in the middle, so no program finds its
# `<think>`, and the rest is babble.
#
# One thing was not expected. With *only* the end tokens left out of the prompt
# this student writes the very same solution, token by token: 3,200 traces under
# one system message made it sure of what comes. A fault that one test does not
# show is still there; compare bytes, not answers.
#
# ## Other ways out
#
# **The adapter alone** is 13 MB, and it fits its base and no other. What goes
# with it is a page that says what it can do and where it comes from:

# %%
run = dk.data_path("adapter_broad")
dk.export(run, folder / "adapter", "adapter")
page = (folder / "adapter" / "README.md").read_text(encoding="utf-8")
print(page[:1500])

# %% [markdown]
# **AutoTrain** and TRL train further on the same data: one chat a line in
# `messages`. AutoTrain Advanced has not been worked on since January 2025; its
# own reader was tried on this folder, and TRL's `SFTTrainer` takes the same
# file.

# %%
teacher = dk.teacher("solver:collect")
problems = dk.make_problems(2, dk.NARROW, "train", 12)
traces = dk.to_traces(teacher.sample(problems, k=1))
shutil.copytree(run, folder / "run")
lines = [json.dumps(trace, ensure_ascii=False) + "\n" for trace in traces]
(folder / "run" / "traces.jsonl").write_text("".join(lines), encoding="utf-8")
dk.export(folder / "run", folder / "autotrain", "autotrain")
print(sorted(file.name for file in (folder / "autotrain").iterdir()))
line = (folder / "autotrain" / "train.jsonl").read_text(encoding="utf-8")
print(line[:300])

# %% [markdown]
# ## What does it cost to run?
#
# Measured on two cores: the same 100 equations for the teacher (with six solved
# examples in its prompt) and for the distilled student (without). This machine
# does not tell how much energy it uses, so the last column takes 15 watts, a
# laptop's, as given.

# %%
rows = dk.data("sizes")
print(f"{'':10} exact   MB  tokens  seconds for 1,000   kJ at 15 W")
for row in rows:
    seconds = 1000 * row["seconds_together"]
    print(
        f"{row['who']:10} {row['exact']:4.0f} % {row['megabytes']:5} "
        f"{row['answer_tokens']:6.0f} {seconds:14.0f} "
        f"{15 * seconds / 1000:15.1f}"
    )

# %% [markdown]
# A third of the teacher's bytes, and about two thirds of its time. It could be
# less: this student was taught to write every sum out, so it writes twice as
# many tokens. The prompt is what it saves: no solved examples are read.
#
# That was the kit's own sampler. Here are the files of an earlier student, of
# seven kinds of equations, in llama.cpp, on two cores again: 24 equations of
# the kind that it was taught, first one answer at a time, then eight at once
# (`python -m benchmarks.speed.served_forms speed`). *Which file would you give
# away? Look at the table of forms above before you say.*

# %%
rows = dk.data("served_speed")
print(f"{'':8} bits   MB  exact  tokens/s: alone, eight  seconds for 1,000")
for row in rows:
    print(
        f"{row['form']:8} {row['true_bits']:4.1f} {row['megabytes']:4} "
        f"{row['exact']:4.0f} % {row['tokens_alone']:15.1f} "
        f"{row['tokens_at_once']:7.1f} {row['seconds_per_1000']:13,.0f}"
    )

# %% [markdown]
# Eight bits are twice as fast as 16: every weight is read for every token.
# Below eight bits little is gained here: a weight has to be unpacked before it
# is used, and eight answers at once share what is read. (One run each; the Q8_0
# file, timed twice on one day, differed by 30 %, so look at no smaller
# difference.) The teacher, at eight bits too, takes twice as long for an answer
# alone and more than four times as long if eight are written at once, although
# it writes half as many tokens. And on these easy equations
# Q4_0 looks as good as the others: a test that is too easy does not see what
# the rounding took away. The table of forms above does: it asks harder ones.
#
# ## Use it
#
# On the left the untouched model, on the right the same one with your adapter.
# *Ask something of your own (it takes some seconds). What did the training
# change that nobody asked for?*

# %%
serving.opened.cache_clear()  # lets go of the file
shutil.rmtree(folder, ignore_errors=True)
merged = student = loaded = None  # makes room in memory
loaded = dk.ready_student(machine)
model, tokenizer = loaded.model, loaded.tokenizer
asked = ("2x + 3 = 11", "4x - 1 = 7", "Name a fruit.")
limit = 12 if machine.fast else 90
told = {}


def ask(questions):
    chats = [dk.messages(question) for question in questions]
    prompts = [dk.chat_text(tokenizer, chat) for chat in chats]
    after = dk.sample(model, tokenizer, prompts, max_new_tokens=limit)
    with model.disable_adapter():
        before = dk.sample(model, tokenizer, prompts, max_new_tokens=limit)
    for question, (old,), (new,) in zip(questions, before, after):
        told[question] = {"before": old.text, "after": new.text}


ask(asked)


def draw_chat(question):
    if question not in told:
        ask([question])
    return figures.draw_chat(question, told[question])


dk.explore(
    draw_chat,
    question=asked[0],
    static=[{"question": question} for question in asked],
)

# %% [markdown]
# In a terminal: `distillkit chat RUN`, or `distillkit chat FILE.gguf`.
#
# ## The same from the command line
#
# ```
# distillkit export runs/demo --to shipped --format gguf-q8_0
# distillkit chat shipped/student-q8_0.gguf
# distillkit export runs/demo --to for-autotrain --format autotrain
# ```
#
# ## What can go wrong
#
# - **The adapter on another base.** Another file of the same name may be
#   rounded in another way. `export` compares the checksum and refuses.
# - **Merged several times**, each time saved in 16 bits: every time something
#   is rounded away. Keep the adapter and the base; merge from them.
# - **The head is stored twice.** In small models the embedding is a quarter of
#   the weights. If it is tied to the head, it belongs in the file once.
# - **More tokens in the model than in the tokenizer.** The embedding is padded;
#   the file must name every row.
# - **A default system message.** Some templates write one if there is none. The
#   student then gets a prompt that it never saw in training.
#
# ## Questions
#
# <details><summary>1. Why is the embedding kept in 8 bits when everything else
# has 4?</summary>
#
# It is the output head, too: its error goes straight into the logits of every
# token, and no later layer can mend it. In this student it is 28 % of the
# weights, so it costs bytes, and true bits.
# </details>
#
# <details><summary>2. A phone has 4 GB of memory and reads 20 GB a second. How
# fast can the Q8_0 file be at best?</summary>
#
# Every token needs every weight once: 525 MB. 20 GB/s / 0.525 GB is 38 tokens a
# second at most, for one answer at a time. Q4_0 has 347 MB: 58.
# </details>
#
# <details><summary>3. Two programs run the same file greedily, and the texts
# differ in one of 100. Is something wrong?</summary>
#
# Not necessarily: sums in another order and rounded activations differ in the
# last digits. If the two likeliest tokens are nearly equal, that decides. Look
# at the margin where the texts part.
# </details>

# %%
dk.progress()

# %% [markdown]
# ## Where to go next
#
# - Export a run of your own, and send somebody the folder.
# - Read `distillkit/models/gguf_writer.py`: a whole file format on a few pages.
# - Add a kind to `benchmarks/experiments/shipped_forms.py`.
#
# *Sources.* The GGUF format (ggml-org/ggml, docs/gguf.md); Dettmers et al.,
# *QLoRA* (arXiv 2305.14314), for bases in 4 bits; Frantar et al., *GPTQ*
# (arXiv 2210.17323), for a rounding that looks at what it does to the output.
