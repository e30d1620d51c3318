# %% [markdown]
# # Start here
#
# **After this lesson** you can say what distillation is, you have seen one
# small model before and after it, and you know what your machine can do.
#
# **Hardware:** any computer with 6 GB of memory; no GPU is needed. The first
# run downloads the small model (about 400 MB), once for the whole series. The
# cell below prints how long the lesson takes.
#
# **How to use a lesson:** run the cells from top to bottom. Where a cell says
# `your code here`, try it yourself. A lesson also runs to its end when you
# leave everything as it is.

# %% tags=["setup"]
import distillkit as dk

machine = dk.start_lesson("00")

# %% [markdown]
# ## Guess first, then run
#
# A small language model gets equations such as `3(x - 2) = 15`. It has to
# answer in a fixed form, with its steps. Asked plainly, it hardly ever does.
# Then it is trained for a few minutes on solutions that a model of three times
# its size wrote, and it gets 100 equations that it has never seen.
#
# How many of the 100 does it solve now? Write your guess into the cell.

# %%
# >>> solution
guess = 90
# <<< stub: guess = None  # your number, 0 to 100

# %% [markdown]
# ## See it first
#
# **Distillation** means: a small model, the *student*, learns from what a
# large one, the *teacher*, writes. One does it because a small model costs a
# fraction for each answer and fits on a laptop or a phone, where no text
# leaves the machine. The price: it can do one thing well, not everything.
#
# Here is such a student, a language model with half a billion weights. It
# comes with an **adapter**: a small file with what it has learned. We can
# switch the adapter off, and then it is the untouched model.
#
# *Type an equation of your own.* It may have brackets and any letter.

# %%
from distillkit.lessons.l00_start_here import figures

mine = "5x - 2 = 2x + 31"

ready = dk.ready_student(machine)
limit = 24 if machine.fast else 192  # tokens; a token is about half a word


def ask(equation, who):
    print(f"asking the {who} student: up to {limit} tokens …", flush=True)
    problem = dk.make_problem(equation)
    (row,) = dk.evaluate(
        ready.model, ready.tokenizer, [problem], max_new_tokens=limit
    )
    return row


with ready.model.disable_adapter():
    before = ask(mine, "untouched")
after = ask(mine, "taught")
for when, row in (("before", before), ("after", after)):
    print(f"\n--- the student {when}:\n{row['text'].strip()}")
    if row["finish"] == "length":
        print(f"(cut here, after {limit} tokens)")
    form = "in the asked form" if row["format"] else "not in the asked form"
    value = "right value" if row["lenient"] else "no right value"
    print(f"→ {form}, {value}; the solution is {row['problem']['answer']}")

# %% [markdown]
# Two things changed. The student now obeys the **form** that a program can
# read: steps between `<think>` and `</think>`, the result between `<answer>`
# and `</answer>`. And it takes small steps, one a line, each of which it can
# do. Perhaps the untouched student found the value, too: look again. It
# is often right and hardly ever in the form.
#
# And the teacher? It has three times as many weights and does not run here. For
# 160 equations its text was recorded:

# %%
path = dk.data_path("teacher_test_qwen2.5-coder-1.5b.jsonl")
said = {row["problem"]["equation"]: row["text"] for row in dk.read_jsonl(path)}
print(said.get(mine, "Your equation is not among them. The first one:"))
if mine not in said:
    print(*next(iter(said.items())), sep="\n")

# %% [markdown]
# (The student above was taught longer than the one in the report below: by
# 3,072 solutions that the kit's own solver wrote. Lesson 06 tells more.)
#
# ## The idea in one picture
#
# A **teacher** model writes several solutions of each problem: the
# *candidates*. Rules check every one. What passes is a *trace*: a text that
# the **student** is trained on. Afterwards the student answers problems that
# neither training nor the rules have seen. The numbers below the boxes are
# those of a real run, whose report is stored beside the kit.

# %%
report = dk.read_json(dk.data_path("demo_report.json"))
dk.show(*figures.draw_flow(report))

# %% [markdown]
# The rules stand in a row, and each one stops some texts. Of
# several texts that say the same about one problem, only the first is "not a
# duplicate".

# %%
for rule, stopped in report["funnel"]["stopped"].items():
    print(f"{stopped:5} stopped by the rule: {rule}")
print(f"{report['funnel']['kept']:5} kept")

# %% [markdown]
# ## What can this machine do?
#
# The kit chooses a *tier*, a size of machine: which student, on which device,
# in which precision. The same code runs on each tier.

# %%
for name in ("tier", "device", "dtype", "student"):
    print(f"{name:8} {getattr(machine, name)}")
for reason in machine.why:
    print("because:", reason)

# %% [markdown]
# If a line looks wrong, run `python3 kit.py doctor` in a terminal: it names
# what is missing and how to mend it.
#
# ## The result
#
# The main job of the kit does the whole picture above. On a laptop that takes
# several minutes, so the cell shows the stored report of such a run.
# If you want to wait, set `run_it_here = True`: it then runs here, on your
# tier. An interrupted run goes on where it was.

# %%
run_it_here = False  # True: do the main job on this machine

if run_it_here:
    from pathlib import Path

    folder = Path("runs") / f"first-{machine.tier}"
    report = dk.run_demo(dk.settings_for(machine), folder)
print(f"{report['student']['name']}, {report['machine']}")
print(f"{report['date']}, seed {report['seed']}, {report['command']}")
print(f"{report['seconds']['total'] / 60:.0f} minutes in all")

# %%
for row in dk.accuracy_table(report):
    print("".join(cell.ljust(width) for cell, width in zip(row, (48, 24, 20))))

# %% [markdown]
# The first row counts the right value anywhere in the text, when the student
# may write as long as it wants. All other rows ask for the *form*, too: steps
# and answer in their tags. In brackets: the 95 % interval.

# %%
change = report["change"]
share, low, high = (100 * change[k] for k in ("difference", "low", "high"))
few, after = (100 * report[k]["test"]["exact"] for k in ("few_shot", "after"))
print(
    "On the kinds it was taught, the student gained "
    f"{share:.0f} points\nover six examples in the prompt ({few:.0f} % → "
    f"{after:.0f} %; 95 % interval {low:+.0f} to {high:+.0f}, one seed)."
)
if guess is not None:
    measured = 100 * report["after"]["test"]["exact"]
    print(f"Your guess: {guess} %. Measured: {measured:.0f} %.")

# %%
caption = (
    "Compare the blue bar with the hatched one of the same kind: where it is "
    "longer and the thin intervals lie apart, training did more than examples "
    "in the prompt."
)
dk.show(dk.draw_accuracy(report["families"]), caption)

# %% [markdown]
# ## What can go wrong
#
# - **The untouched student is not as weak as it looks.** It fails the *form*:
#   left to finish, it writes the right value for most of these equations. With
#   six solved examples in the prompt it finds the form, too, and that is the
#   baseline to beat. A report without these rows would flatter the method.
# - **The skill is narrow.** Look at the column "other kinds": there, no gain
#   over the examples in the prompt can be shown.
# - **One seed is one run.** The intervals above count the luck of the test
#   equations, not the luck of the training. Later lessons repeat runs.
#
# ## The map of the series

# %%
for lesson in dk.all_lessons().values():
    print(f"{lesson.number}  {lesson.title}: {lesson.expected()}")

# %% [markdown]
# ## Questions
#
# <details><summary>Why not train the student on correct answers only, without
# the steps?</summary>
#
# Each step is a small calculation that a small model can do; the answer at
# once is not. A later lesson measures how much that matters.
# </details>
#
# <details><summary>Why does the teacher write several solutions of each
# problem, if most are thrown away?</summary>
#
# Because some are wrong. With several tries, nearly every problem gets one
# that passes the rules. Most of what is thrown away here is not wrong: it is a
# copy. Lesson 05 counts how many tries are needed.
# </details>
#
# <details><summary>Could the student become better than its teacher?</summary>
#
# On a narrow task, yes: it is trained on the teacher's *checked* texts only.
# Compare the rows "after distillation" and "the teacher itself", and look at
# the intervals before you claim it.
# </details>
#
# ## Where to go next
#
# Lesson 01 looks at what a teacher's answer holds besides the right label.
# If you came for language models and are in a hurry, go to lesson 03.
