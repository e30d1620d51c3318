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
# # Chain-of-thought templates
#
# A teacher's solution is text. A **template** says how that text is written:
# where the steps stand, where the answer stands, and how a program can find
# it again. The student learns the template together with the mathematics, and
# every number in this series is read out of it.
#
# **Afterwards you can**
# - write a template and a parser that survives what models really write;
# - say which tokens of an example are learned, and why the others are not;
# - compare templates with numbers, not by taste.
#
# **Time:** the cells run for a few minutes on two CPU cores (the set-up cell
# says how many); with reading and exercises, plan {reading} minutes, about
# {exercises} of them for the exercises.
# **Hardware:** any laptop with 4 GB of free memory. The first run downloads a
# model.

# %% tags=["setup"]
import distillkit as dk

machine = dk.start_lesson("03")

# %% [markdown]
# ## Predict first
#
# The same 64 solved equations are written in five templates, and a student is
# trained on each. Four templates show the steps; the fifth shows the answer
# only.
#
# **Write two guesses into the next cell.** How many of 100 new equations does
# the student solve that learned `<think>steps</think><answer>…</answer>`? And
# the one that learned the answer only?

# %%
guess_think = None  # of 100
guess_answer_only = None  # of 100

# %%
from collections import Counter

from distillkit.lessons.l03_templates import checks, figures

student = dk.load(machine.student, machine.device, machine.dtype)
tokenizer = student.tokenizer

# %% [markdown]
# ## Five ways to write one solution
#
# Each template has an **instruction** (it stands in the system message), a
# way to **render** steps and answer as text, and a **pattern** that reads the
# text back.

# %%
problem = dk.make_problem("3x + 5 = 20")
for template in dk.TEMPLATES.values():
    print(f"--- {template.name}: {template.instruction}")
    print(dk.render_solution(problem, template))

# %% [markdown]
# ### Exercise 1: write
#
# {exercise write_think}
#
# Write `write_think`: a list of steps and an answer in, a text in the first
# template out. The line ends must be as above, to the letter.


# %%
def write_think(steps, answer):
    # >>> solution
    lines = "\n".join(steps)
    return f"<think>\n{lines}\n</think>\n<answer>{answer}</answer>"
    # <<< stub: return None  # your code here


write_think = checks.write_think(write_think)

# %%
steps = ["3x = 20 - 5", "3x = 15", "x = 15 / 3", "x = 5"]
same = write_think(steps, "x = 5") == dk.render_solution(problem, dk.THINK)
print(f"{dk.whose(write_think)} writes what dk.render_solution writes:", same)

# %% [markdown]
# ## What the student sees
#
# A chat template puts the messages into one text, and the tokenizer cuts it
# into tokens. The loss looks only at the **completion**: the steps, the
# answer, and the end token. The prompt is read, never learned. Without the
# end token in the loss the student would never learn to stop.
#
# *Type an equation of your own and change the template. Which template has
# the fewest tokens to learn? Which one spends tokens on its own signs?*


# %%
def draw_example(equation, template):
    problem = dk.make_problem(equation)
    form = dk.TEMPLATES[template]
    reply = {"role": "assistant", "content": dk.render_solution(problem, form)}
    prompt = dk.messages(problem.text, form)
    (example,) = dk.encode(
        [{"prompt": prompt, "completion": [reply]}], tokenizer
    )
    tokens = [tokenizer.decode([token]) for token in example.ids]
    return figures.draw_mask(tokens, example.labels)


dk.explore(
    draw_example,
    equation="3x + 5 = 20",
    template=list(dk.TEMPLATES),
    static=[{"template": name} for name in ("think", "json", "answer-only")],
)

# %% [markdown]
# ### Exercise 2: the loss mask
#
# {exercise with_labels}
#
# Write `with_labels`: token numbers of a prompt and of a completion and the
# end token in; the pair (ids, labels) out. A label of −100 means "do not
# learn this token". Do not shift: the model's loss compares each prediction
# with the *next* label itself.


# %%
def with_labels(prompt, completion, end):
    # >>> solution
    ids = prompt + completion + [end]
    labels = [-100] * len(prompt) + completion + [end]
    return ids, labels
    # <<< stub: return None  # your code here


with_labels = checks.with_labels(with_labels)

# %%
reply = {"role": "assistant", "content": dk.render_solution(problem, dk.THINK)}
chat = dk.messages(problem.text, dk.THINK)
(example,) = dk.encode([{"prompt": chat, "completion": [reply]}], tokenizer)
text = dk.chat_text(tokenizer, chat)
prompt = tokenizer(text, add_special_tokens=False)["input_ids"]
own = tokenizer(reply["content"], add_special_tokens=False)["input_ids"]
ids, labels = with_labels(prompt, own, tokenizer.eos_token_id)
same = (ids, labels) == (example.ids, example.labels)
print(f"{dk.whose(with_labels)} gives what dk.encode gives:", same)

# %% [markdown]
# ## What models really write
#
# These answers were recorded: the untouched student, 20 equations, each
# template, without and with six solved examples in the prompt. We parse all of
# them and count why a text was refused.

# %%
path = dk.data_path("template_outputs.jsonl")
recorded = dk.read_jsonl(path)
print(recorded[0]["student"])
for stage in ("untouched", "few-shot"):
    for name, template in dk.TEMPLATES.items():
        rows = [r for r in recorded if r["stage"] == stage]
        rows = [r for r in rows if r["template"] == name]
        why = Counter(template.parse(r["text"]).problem or "read" for r in rows)
        print(f"{stage:10} {name:12}", dict(why))

# %% [markdown]
# An instruction alone is hardly obeyed by a model this small; examples in the
# prompt are. One template is the exception: headings. Perhaps that is because
# Markdown is common in what it was trained on. These texts were refused
# (*length*: cut off by the limit; *stop*: it ended at the template's closing
# text; *eos*: the model ended by itself):


# %%
def obeyed(row):
    return dk.TEMPLATES[row["template"]].parse(row["text"]).ok


refused = [r for r in recorded if not obeyed(r)]
for name in ("think", "boxed", "json", "answer-only"):
    row = next(r for r in refused if r["template"] == name)
    print(f"--- {name}, {row['question']} ({row['finish']})")
    print(row["text"][:160])

# %% [markdown]
# ### Exercise 3: read
#
# {exercise read_think}
#
# Write `read_think`: a text in, the answer out, or `None` if the template was
# not obeyed. The rules:
#
# - spaces and line ends around the text, between the tags and around the
#   answer do not matter;
# - there is exactly one `<think>…</think>` and then one
#   `<answer>…</answer>`, no tag inside them, and nothing before or after;
# - an empty answer counts as not obeyed;
# - no text may stop the function. It is tested with eleven texts.
#
# *Hint:* `re.fullmatch` with `re.DOTALL`, and `(?:(?!</?answer>).)*` for "any
# text without this tag".


# %%
import re


def read_think(text):
    # >>> solution
    inside = r"(?:(?!</?think>|</?answer>).)*"
    pattern = rf"<think>{inside}</think>\s*<answer>({inside})</answer>"
    found = re.fullmatch(pattern, text.strip(), re.DOTALL)
    return (found[1].strip() or None) if found else None
    # <<< stub: return None  # your code here


read_think = checks.read_think(read_think)

# %%
texts = [r["text"] for r in recorded]
kits = [p.answer if (p := dk.THINK.parse(t)).ok else None for t in texts]
same = sum(read_think(t) == answer for t, answer in zip(texts, kits))
print(
    f"{dk.whose(read_think)} reads {same} of {len(texts)} recorded texts "
    "as the kit's parser does"
)

# %% [markdown]
# Why so strict? A parser that repairs everything hides what the student has
# not learned, and it gives a wrong answer where two are written. The kit
# reports both: **exact** (strict: form and value) and **lenient** (a right
# value anywhere in a text without the form).
#
# ## Now live
#
# Ask and check, in two small functions. `generate` builds the prompt, here with
# six solved examples in it (**few-shot**), and lets the student write the
# likeliest token again and again, up to the template's closing text. `exact` is
# strict: the text was not cut off, it can be read, and what was read has the
# right value. (`dk.same_value` compares numbers, so that 1/2 and 0.5 are
# the same.)

# %%
asked = dk.make_problem("4x - 9 = 2x + 5", split="test")
limit = 24 if machine.fast else 128


def generate(problem, template):
    chat = dk.messages(problem.text, template, dk.SHOTS)
    prompt = dk.chat_text(tokenizer, chat)
    how = {"max_new_tokens": limit, "stop": template.stop}
    ((written,),) = dk.sample(student.model, tokenizer, [prompt], **how)
    return written  # its text, and how it ended


def exact(written, problem, read):
    answer = read(written.text)
    in_form = answer is not None and written.finish != "length"
    return in_form and dk.same_value(answer, problem.answer)


def reader(template):
    def read(text):
        parsed = template.parse(text)
        return parsed.answer if parsed.ok else None

    return read


for name, template in dk.TEMPLATES.items():
    written = generate(asked, template)
    read = read_think if name == "think" else reader(template)
    verdict = "exact" if exact(written, asked, read) else "not exact"
    print(f"--- {name}: {verdict}, {written.tokens} tokens")
    print(written.text[:200])

# %% [markdown]
# `dk.evaluate` does the same for many equations at once, and it takes your
# parser.

# %%
some = dk.make_problems(2 if machine.fast else 8, dk.NARROW, "test", seed=3)
model, how = student.model, {"shots": dk.SHOTS, "max_new_tokens": limit}
rows = dk.evaluate(model, tokenizer, some, read=read_think, **how)
right = sum(row["exact"] for row in rows)
who = {"yours": "your parser", "the kit's": "the kit's parser"}
print(f"{right} of {len(some)} exact, read by {who[dk.whose(read_think)]}")

# %% [markdown]
# ## Experiment: does the template matter?
#
# **The claim.** A template gives clear, consistent and readable output. And a
# student that shows its steps solves more.
#
# For each template one student was trained on the same 64 equations and
# solutions (three seeds), with 20 % general examples, and asked 100 new
# equations. The row "arithmetic" is the first template with every sum and
# product written out. `python -m benchmarks.experiments.templates` makes it
# again.

# %%
everything = dk.data("templates")
taught = everything.where(split="taught")
trained = taught.where(stage="distilled")
distilled = trained.where(form="terse").arms("template")
distilled |= trained.where(form="arithmetic").arms("form")
few = taught.where(stage="few-shot").arms("template")
in_form = taught.arms(("template", "stage"), "format")
print("answers in the asked form, %   untouched  few-shot  after training")
for name in dk.TEMPLATES:
    means = [in_form[f"{name}, {stage}"] for stage in ("untouched", "few-shot")]
    means.append(trained.where(form="terse").arms("template", "format")[name])
    shown = "".join(f"{sum(m) / len(m):11.0f}" for m in means)
    print(f"{name:28}{shown}")
first = {name: values[0] for name, values in few.items()}
dk.show(*figures.draw_templates(first, distilled))

# %%
dk.show_arms(distilled, "think")

# %% [markdown]
# The last column is the paired difference from "think": the same seed, the
# same equations. Three seeds give wide intervals, and where the interval
# holds 0, nothing can be claimed. Look at *in form* after training, too: does
# the student obey every template, or only some?
#
# ### Steps against the answer alone
#
# The last template is a claim of its own: *teaching the reasoning beats
# teaching the answer*. It is measured on the taught kinds of equations and on
# kinds that no student was taught.

# %%
pair = ["answer-only", "think"]
for split in ("taught", "other"):
    rows = everything.where(split=split, template=pair, form=["terse", ""])
    print(f"{split} kinds:")
    dk.compare(rows.where(stage="distilled").arms("template"), *pair)
    for name, right in rows.where(stage="few-shot").arms("template").items():
        print(f"  untrained, examples in the prompt, {name}: {right[0]:.0f}")

# %% [markdown]
# **Careful.** Most of the difference is there without training: an untrained
# student, too, solves far more when its examples show steps. So *writing* steps
# beats answering at once. That *teaching* them gains more than showing them in
# the prompt is not what this experiment compares.

# %% [markdown]
# ## Experiment: what do the steps look like?
#
# The template says where the steps stand, not what they are. The kit's solver
# can write one solution in several forms:

# %%
equation = "7x - 12 = 4x + 30"
forms = {name: steps_of(equation) for name, steps_of in dk.FORMS.items()}
print(figures.columns(forms))

# %% [markdown]
# *Which form would you teach? Which step could go wrong in each?*
#
# Here, again, one student a way and a seed: 64 solutions of the same equations,
# 100 new ones. The base way has the form "arithmetic" and asks in other
# people's words (`9 - 4*k = 33. What is k?`). Every other way differs from it
# in one thing: the form; the kit's own words only; easy families first; half
# of the equations, twice. `python -m benchmarks.experiments.curriculum` makes
# it again.

# %%
others = ("traces", "times", "few-shot", "untouched")  # more than one change
rows = dk.data("curriculum").where(split="worded")
for row in rows:
    row["one change"] = not any(word in row["recipe"] for word in others)
ways = rows.where(**{"one change": True})
for name, found in ways.arms("recipe", "answer_tokens").items():
    print(f"{name:24} {sum(found) / len(found):4.0f} tokens an answer")
dk.show_arms(ways.arms("recipe"), "base")

# %% [markdown]
# So many comparisons, and one interval in twenty misses 0 by luck alone. Three
# seeds show only large differences: after 64 solutions the two longest forms
# are worse. That is not the last word. A long form is more to learn; after
# 3,072 solutions "collect" solves most of the hardest equations (lesson 07).

# %% [markdown]
# ### Bonus: braces in pairs
#
# {exercise read_boxed}
#
# An early version of this kit cut `\boxed{\frac{1}{2}}` at the first `}`.
# Write `read_boxed`: a text in; what stands in the last box out, with its
# braces in pairs, or `None` if no box is closed.


# %%
def read_boxed(text):
    # >>> solution
    start = text.rfind("\\boxed{")
    if start < 0:
        return None
    depth = 0
    for at in range(start + len("\\boxed"), len(text)):
        depth += (text[at] == "{") - (text[at] == "}")
        if depth == 0:
            return text[start + len("\\boxed{") : at]
    return None
    # <<< stub: return None  # your code here


read_boxed = checks.read_boxed(read_boxed)

# %%
boxes = [r"x = \boxed{\frac{-3}{4}}", r"\boxed{4}, no: \boxed{x = {5}}"]
for text in boxes:
    print(f"{text:28} → {read_boxed(text)}")

# %% [markdown]
# ## Look back at your guesses

# %%
mean = {name: sum(found) / len(found) for name, found in distilled.items()}
print(f"think: {mean['think']:.0f} of 100 equations solved")
print(f"answer-only: {mean['answer-only']:.0f} of 100 equations solved")
if guess_think is not None or guess_answer_only is not None:
    print(f"Your guesses were {guess_think} and {guess_answer_only}.")

# %% [markdown]
# ## What can go wrong
#
# - **The template of training is not that of use.** One space more in the
#   prompt, and a small student may fall back into its old habits. The exported
#   student must get the same text, byte for byte (lesson 12).
# - **Prompt tokens in the loss.** The student learns to write questions.
# - **No end token in the loss.** It never stops and runs into the limit.
# - **A stop text that the answer may contain.** Stop at the first `}` of a box,
#   and an answer such as `\frac{1}{2}` is cut in half. So `boxed` has none.
# - **Repairing in the parser.** Then nobody sees that the student does not
#   obey, and two answers in one text count as right by luck.
# - **Copying a large model's talk.** Small students have been found to learn
#   less from long free reasoning (Li et al. 2025, arXiv 2502.12143). More
#   *computed lines* are another matter: see the last experiment.
#
# ## Questions
#
# <details><summary>1. Why does the reasoning stand before the answer?
# </summary>
#
# A model writes from left to right. Only what is written already can help the
# next token. Reasoning after the answer is an explanation, not a calculation.
# </details>
#
# <details><summary>2. The template costs tokens. Are they lost?</summary>
#
# Partly: the tags are always the same, so they are learned after a few
# examples and cost time only. The steps are what buys right answers.
# </details>
#
# <details><summary>3. Why is the instruction in the system message, when the
# student is trained on one template only?</summary>
#
# It can tie the new habit to that message: with another system message the
# student still answers general questions in its old way (lesson 05 counts it).
# </details>

# %%
dk.progress()

# %% [markdown]
# ## Where to go next
#
# - **{lesson 04}**: who writes the solutions, and what they may cost.
# - **{lesson 05}**: rules that throw bad traces away.
# - Read `distillkit/traces/templates.py` and `distillkit/training/packing.py`:
#   this lesson is these two files.
# - Wei et al., *Chain-of-Thought Prompting Elicits Reasoning in Large Language
#   Models* (arXiv 2201.11903).
#
# *Sources.* The form `<think>…</think><answer>…</answer>` is that of
# DeepSeek-R1 (arXiv 2501.12948); what is measured here is ours.
