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
# # A teacher's traces
#
# A **rationale** is the text between question and answer: the steps. The
# student learns them word by word, so the teacher's habits become the
# student's, its mistakes included. This lesson looks at real candidates of a
# real teacher before anything is filtered.
#
# **Afterwards you can**
# - draw a rationale out of a model with solved examples in its prompt;
# - use four kinds of teacher through one method, and lose nothing when a
#   recording is stopped;
# - find the first wrong step of a solution with a program;
# - say what a set of traces costs, and what a teacher's terms allow.
#
# **Time:** the cells run for a few minutes on two CPU cores (the set-up cell
# says how many); with reading and exercises, plan {reading} minutes, about
# {exercises} of them for the exercises.
# **Hardware:** any laptop with 4 GB of free memory. The first run downloads a
# model.

# %% tags=["setup"]
import distillkit as dk

machine = dk.start_lesson("04")

# %% [markdown]
# ## Predict first
#
# A teacher with 1.5 billion weights saw six solved examples and wrote four
# candidates for each of 300 equations, at temperature 0.7.
#
# **Write two guesses into the next cell.** Of 100 candidates, how many obey
# every rule (form, answer, each step)? And on how many of 100 equations do all
# four candidates have the right answer?

# %%
guess_usable = None  # of 100 candidates
guess_all_four = None  # of 100 equations

# %%
import tempfile
from collections import Counter
from fractions import Fraction
from pathlib import Path

from distillkit.lessons.l04_traces import checks, figures

# %% [markdown]
# ## Drawing the steps out
#
# Ask for the answer only, and a model must find it in one step of its own. Ask
# for steps first, with a few solved examples, and each token may lean on those
# before it. That is chain-of-thought prompting. Our *student* is the model
# here, untouched, on the same equations in both ways.

# %%
student = dk.load(machine.student, machine.device, machine.dtype)
model, tokenizer = student.model, student.tokenizer
n, limit = (3, 12) if machine.fast else (24, 128)
asked = dk.make_problems(max(100, n), dk.NARROW, "test", 100)[:n]
right = {}
for name in ("answer-only", "think"):
    rows = dk.evaluate(model, tokenizer, asked, dk.TEMPLATES[name], dk.SHOTS,
                       max_new_tokens=limit)  # fmt: skip
    right[name] = [100.0 * row["lenient"] for row in rows]
    low, high = dk.wilson(sum(row["lenient"] for row in rows), n)
    tokens = sum(row["tokens"] for row in rows) / n
    print(f"{name:12} {sum(right[name]) / n:3.0f} % right "
          f"({100 * low:.0f} to {100 * high:.0f}, n = {n}), "
          f"{tokens:.0f} tokens an answer")  # fmt: skip
print(
    dk.statistics.conclusion(
        ("answer only", "steps first"),
        *right.values(),
        "right answers in 100",
        "equations",
    )
)

# %% [markdown]
# ## Four kinds of teacher, one method
#
# `sample(problems, k, temperature, seed, journal)` is the same for all:
#
# | name | who writes |
# |---|---|
# | `solver` | exact steps by a program; no model, no mistakes |
# | `recorded` | the candidates of a real model, stored beside the kit |
# | `hf:NAME` | a model on this machine |
# | `openai:NAME@URL` | any OpenAI-compatible server: Ollama, vLLM, DeepSeek |

# %%
recorded = dk.teacher("recorded")
local = dk.Local(model, tokenizer, student.name, student.source,
                 max_new_tokens=limit)  # fmt: skip
problem = recorded.problems(("both-sides",))[0]
for teacher in (dk.teacher("solver"), recorded, local):
    (candidate,) = teacher.sample([problem], k=1, temperature=0.7)
    print(f"--- {teacher.name}")
    print(candidate["text"][:240])

# %% [markdown]
# A server is asked in the same way. If you have
# [Ollama](https://ollama.com), run `ollama pull qwen2.5:7b` and this cell asks
# it. Without a server you see what a clear error looks like.

# %%
server = dk.teacher(
    "openai:qwen2.5:7b@http://localhost:11434/v1", max_retries=0
)
try:
    print(server.sample([problem], k=1)[0]["text"])
except dk.TeacherError as error:
    print(error)

# %% [markdown]
# ## Look at candidates
#
# *Move through the recorded equations. Find one where a candidate has the
# right answer but a wrong step, and one where all four make the same slip.*

# %%
problems = recorded.problems()
everything = recorded.sample(problems)
by_problem = {}
for candidate in everything:
    by_problem.setdefault(candidate["problem"]["id"], []).append(candidate)
hard_first = sorted(
    by_problem.values(),
    key=lambda four: -sum(any(dk.judge(c).values()) for c in four),
)


def draw_problem(rank):
    return figures.draw_candidates(hard_first[rank])


dk.explore(
    draw_problem,
    rank=(0, len(hard_first) - 1, 1),
    static=[{"rank": rank} for rank in (0, 20, 40, 299)],
)

# %% [markdown]
# ## Exercise 1: a step checker
#
# {exercise first_wrong}
#
# A step is right if it is still true when the solution is put in. Each line is
# a pair (left, right); a side is a dictionary from the unknown to its factor,
# and from `""` to the number without the unknown: `3x - 4` is
# `{"x": 3, "": -4}`. Return the number (0, 1, …) of the first line that is
# false at the solution, or `None`.


# %%
def first_wrong(lines, solution):
    # >>> solution
    def at(side):
        return sum(v * (solution if name else 1) for name, v in side.items())

    for number, (left, right) in enumerate(lines):
        if at(left) != at(right):
            return number
    return None
    # <<< stub: return None  # your code here


first_wrong = checks.first_wrong(first_wrong)

# %%
steps = ["3x - 8x = 13 + 7", "-5x = 21", "x = -4"]
found = first_wrong([dk.parse_equation(step) for step in steps], Fraction(-4))
print("first wrong line:", found, "→", steps[found])
kits = dk.first_wrong_step("3x - 7 = 8x + 13", "\n".join(steps))
print("the kit's checker:", kits)

# %% [markdown]
# The kit's checker asks for a little more: a line with the unknown must have
# the *same* solution as the equation and no other, or rewrite an expression,
# as `3(x + 2) = 3x + 6` does. `x = x` is true, too, but it says nothing.
#
# ## How good is this teacher?

# %%
usable = {c["id"]: not any(dk.judge(c).values()) for c in everything}
exact = {
    c["id"]: dk.score(c["text"], c["finish"], c["problem"]["answer"])["exact"]
    for c in everything
}
print("family         exact   usable   all four right   at least one")
for family in dict.fromkeys(p.family for p in problems):
    fours = by_problem.values()
    fours = [f for f in fours if f[0]["problem"]["family"] == family]
    flat = [c["id"] for four in fours for c in four]
    every = sum(all(exact[c["id"]] for c in four) for four in fours)
    some = sum(any(exact[c["id"]] for c in four) for four in fours)
    print(f"{family:14} {100 * sum(exact[i] for i in flat) / len(flat):4.0f} %"
          f" {100 * sum(usable[i] for i in flat) / len(flat):6.0f} %"
          f" {100 * every / len(fours):12.0f} %"
          f" {100 * some / len(fours):12.0f} %")  # fmt: skip
texts = Counter(c["problem"]["id"] + c["text"] for c in everything)
print(f"{len(everything)} candidates, {len(texts)} different texts")

# %% [markdown]
# A wrong step in a candidate with a right answer is a lie that the student
# would learn: such a candidate is exact and not usable.
#
# ## What do traces cost?
#
# ### Exercise 2: the price
#
# {exercise price}
#
# A server charges for tokens that are read and for tokens that are written,
# each with a price for a *million*. Every candidate is one request, and each
# request reads the whole prompt.
#
# Write `price`. In: the *number* of problems, the number `k` of candidates for
# each, the tokens that one request reads (`prompt_tokens`) and writes
# (`answer_tokens`), the price of a million read ones (`per_in`) and of a
# million written ones (`per_out`). Out: the price of all requests.


# %%
def price(problems, k, prompt_tokens, answer_tokens, per_in, per_out):
    # >>> solution
    one = prompt_tokens * per_in + answer_tokens * per_out
    return problems * k * one / 1_000_000
    # <<< stub: return None  # your code here


price = checks.price(price)

# %%
chat = dk.messages(problem.text, dk.THINK, dk.SHOTS)
prompt_tokens = len(
    tokenizer.apply_chat_template(
        chat, tokenize=True, add_generation_prompt=True, return_dict=False
    )
)
answer_tokens = sum(c["tokens"] for c in everything) / len(everything)
each_seconds = sum(c["seconds"] for c in everything) / len(everything)
print(f"prompt {prompt_tokens} tokens, answer {answer_tokens:.0f} on average")
print(f"recorded on two cores: {each_seconds:.1f} s a candidate")


def draw_cost(per_in, per_out, usable_share, traces):
    one = price(1, 1, prompt_tokens, answer_tokens, per_in, per_out)
    return figures.draw_cost(each_seconds, one, usable_share, traces)


dk.explore(
    draw_cost,
    per_in=(0.0, 5.0, 0.1, 0.3),
    per_out=(0.0, 20.0, 0.1, 1.2),
    usable_share=(0.05, 1.0, 0.05, 0.9),
    traces=[128, 1_000, 10_000, 800_000],
    static=[
        {"usable_share": 0.9, "traces": 128},
        {"usable_share": 0.35, "traces": 128},
        {"usable_share": 0.9, "traces": 800_000},
    ],
)

# %% [markdown]
# ## The journal: stopped and resumed
#
# Recording a teacher takes long: the 1,200 candidates above took most of an
# hour on two cores, and a larger teacher needs hours. Every candidate is one
# line, written at once; the line before them says what they depend on, and a
# journal of another teacher, prompt or seed is refused. Below we stop in the
# middle, tear the last line as a crash would, and ask again: only what is
# missing is made.

# %%
folder = Path(tempfile.mkdtemp())
journal, few = folder / "candidates.jsonl", asked[:3]


def stop_after(count):
    seen = []

    def on_done(row):
        seen.append(row)
        if len(seen) == count:
            raise KeyboardInterrupt

    return on_done


try:
    local.sample(few, k=2, journal=journal, on_done=stop_after(3))
except KeyboardInterrupt:
    print("stopped:", len(journal.read_text().splitlines()), "lines on disk")
with open(journal, "a") as file:
    file.write('{"id": "torn')
again = []
rows = local.sample(few, k=2, journal=journal, on_done=again.append)
print(f"resumed: {len(rows)} candidates, {len(again)} of them made now")
whole = local.sample(few, k=2)
same = sum(a["text"] == b["text"] for a, b in zip(rows, whole))
print(f"{same} of {len(rows)} texts are the same as without the stop")

# %% [markdown]
# Each candidate has random numbers of its own, so a resumed recording writes
# what an unbroken one writes. In bfloat16 a rounding error can now and then
# turn a token; in float32 that is very rare.

# %% [markdown]
# ## Whose words are these?
#
# Each candidate carries who wrote it and how. You cannot add this later.

# %%
for key, value in everything[0]["teacher"].items():
    print(f"{key:9} {value}")
needed = ("name", "source", "sha256", "template", "sampling", "seed")
told = sum(all(c["teacher"].get(k) not in (None, "") for k in needed)
           for c in everything)  # fmt: skip
low, high = dk.wilson(told, len(everything))
print(f"{told} of {len(everything)} candidates say all of it "
      f"({100 * low:.1f} to {100 * high:.0f} %)")  # fmt: skip

# %% [markdown]
# **Terms differ, and they are about the output, too** (as we read them in
# 2025 and 2026; read the current text before you publish a student):
#
# | teacher | may its output train another model? |
# |---|---|
# | Qwen2.5 0.5B, 1.5B, 7B, 14B, 32B | Apache-2.0: no limit on outputs |
# | Qwen2.5 3B, 72B | licences of their own: read them |
# | DeepSeek-R1 | MIT; its authors allow distillation explicitly |
# | Llama 3.1, 3.3 | yes, but the new model's name must begin with "Llama" |
# | Gemma 1 to 3 | a model trained on its output is bound by its terms, too |
# | Gemma 4 | Apache-2.0: no limit on outputs |
# | OpenAI, Anthropic, Google APIs | not for models that compete with theirs |
#
# **Unintended distillation.** Text from the web holds more and more answers of
# models. Whoever trains on it distils teachers whose terms nobody looked up.
# The only remedy: every record says where its text comes from.
#
# ## Experiment: how many examples does a teacher need?
#
# Our small student plays the teacher: the same equations, 0, 2 or 6 solved
# examples in the prompt; two candidates each. What share is usable?

# %%
shares = {}
for shots in ((), dk.SHOTS[:2], dk.SHOTS):
    local.shots = shots
    found = local.sample(asked, k=2, seed=1)
    good = [not any(dk.judge(c).values()) for c in found]
    name = f"{len(shots)} examples"
    shares[name] = [50.0 * (a + b) for a, b in zip(good[::2], good[1::2])]
    low, high = dk.wilson(sum(good), len(good))
    print(f"{name}: {100 * sum(good) / len(good):3.0f} % usable "
          f"({100 * low:.0f} to {100 * high:.0f})")  # fmt: skip
print(dk.statistics.conclusion(("2 examples", "6 examples"),
                               shares["2 examples"], shares["6 examples"],
                               "usable candidates in 100",
                               "equations"))  # fmt: skip

# %% [markdown]
# ### Exercise 3: your own examples
#
# Choose equations for the prompt: the kit writes their solutions. Can three
# examples of yours do better than the kit's six? Look at the table of families
# above: which kind does a teacher need to see? Write three equations into the
# list `mine`, *before* you look at the result: the best of many tries is too
# good by luck.

# %%
mine = ["3x + 5 = 20"]  # your equations here

if not machine.fast:
    local.shots = [dk.make_problem(equation, "example") for equation in mine]
    found = local.sample(asked, k=2, seed=1)
    good = [not any(dk.judge(c).values()) for c in found]
    print(f"yours: {100 * sum(good) / len(good):.0f} % usable")
    mine_shares = [50.0 * (a + b) for a, b in zip(good[::2], good[1::2])]
    print(dk.statistics.conclusion(("the kit's six", "yours"),
                                   shares["6 examples"], mine_shares,
                                   "usable candidates in 100",
                                   "equations"))  # fmt: skip

# %% [markdown]
# ### Bonus: after a power cut
#
# {exercise still_to_ask}
#
# Each candidate costs time or money, so `sample` writes each one into a
# **journal** at once: one JSON object per line. A crash may tear the last line.
# Write `still_to_ask`: the journal's text and the list of `wanted` ids in; the
# ids that are not in it out, in the order of `wanted`. A torn last line does
# not count; any other broken line is an error.

# %%
import json


def still_to_ask(journal, wanted):
    # >>> solution
    lines, done = journal.split("\n"), set()
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            done.add(json.loads(line)["id"])
        except ValueError:
            if number < len(lines):
                raise
    return [name for name in wanted if name not in done]
    # <<< stub: return None  # your code here


still_to_ask = checks.still_to_ask(still_to_ask)

# %%
torn = '{"id": "a", "text": "x = 3"}\n{"id": "b", "text": "x ='
print("to ask again:", still_to_ask(torn, ["a", "b", "c"]))

# %% [markdown]
# ## Look back at your guesses

# %%
share = 100 * sum(usable.values()) / len(usable)
every = sum(all(exact[c["id"]] for c in f) for f in by_problem.values())
print(f"usable: {share:.0f} of 100 candidates")
print(f"all four right: {100 * every / len(by_problem):.0f} of 100 equations")
if guess_usable is not None or guess_all_four is not None:
    print(f"Your guesses were {guess_usable} and {guess_all_four}.")

# %% [markdown]
# ## What can go wrong
#
# - **One candidate each.** A hard equation then has no trace at all, and the
#   student never sees the kind it needs most.
# - **Only the answer is checked.** Right answers by wrong steps stay in.
# - **Examples that are test questions.** The examples in the prompt, the
#   training equations and the test equations must be three different sets.
# - **A teacher that talks.** Each token of a long explanation costs time in
#   training and in use, and only some of them help the student.
# - **No record of the settings.** Without temperature, seed, template and the
#   file's checksum nobody can make the traces again.
#
# ## Questions
#
# <details><summary>1. Why is the solver not simply the best teacher?
# </summary>
#
# For linear equations it is. Most tasks have no solver: then a model must
# write, and a program can at best *check*. The lesson is about that case.
# </details>
#
# <details><summary>2. Four candidates of one equation are not independent.
# Where does that matter?</summary>
#
# In every interval. Pair or group by equation, as the experiment above does.
# </details>
#
# <details><summary>3. The student sees no examples in its prompt when it is
# trained. Why?</summary>
#
# The student is to answer without examples when it is used. What the teacher
# takes from the examples in its prompt, the student learns by training: it
# moves from the prompt into the weights.
# </details>

# %%
dk.progress()

# %% [markdown]
# ## Where to go next
#
# - **{lesson 05}**: the rules one by one.
# - Read `distillkit/traces/teachers.py` and `distillkit/traces/candidates.py`.
#
# *Sources.* Magister et al., *Teaching Small Language Models to Reason*
# (arXiv 2212.08410); the licence texts named above.
