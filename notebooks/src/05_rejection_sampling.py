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
# # Rejection sampling
#
# A teacher writes several solutions of one problem. Some are wrong. Rules
# throw those away, and the student learns from what is left. This is the
# recipe behind about 600,000 of the 800,000 examples of DeepSeek-R1 (the others
# are general data): **sample, judge, keep**.
#
# **Afterwards you can**
# - write rules that reject bad traces, and measure how good each rule is;
# - say how many candidates a problem needs (pass@k);
# - say, with numbers, when rejecting pays and what the 80/20 mix is for;
# - let a student learn from its own answers, with the control that this needs.
#
# **Time:** the cells run for a few minutes on two CPU cores (the set-up cell
# says how many); with reading and exercises, plan {reading} minutes, about
# {exercises} of them for the exercises.
# **Hardware:** any laptop; no model is loaded. Training was done before, and
# every table says with which command.

# %% tags=["setup"]
import distillkit as dk

machine = dk.start_lesson("05")

# %% [markdown]
# ## Predict first
#
# The recorded teacher wrote 1,200 candidates. A second teacher is the *same*
# model, badly compressed: every weight matrix and every input was rounded to
# 8 bits with one single scale.
#
# **Write two guesses into the next cell.** Of 100 candidates of the damaged
# teacher, how many are usable? And a student that learns from its verified
# candidates only: how many of 100 new equations does it solve, if the student
# of the good teacher solves 75?

# %%
guess_usable = None  # of 100 candidates
guess_student = None  # of 100 equations

# %%
import random
from collections import Counter

from distillkit.lessons.l05_rejection import checks, figures

recorded = dk.teacher("recorded")
problems = recorded.problems()[: 40 if machine.fast else None]
candidates = recorded.sample(problems)
labelled = dk.read_jsonl(dk.data_path("labelled_candidates.jsonl"))
print(f"{len(candidates)} candidates, {len(labelled)} labelled ones")

# %% [markdown]
# ## The rules, one by one
#
# A rule is a function: a candidate in; `""` or the reason to reject it out.
# The labelled set has real candidates that a person has read, and good ones
# into which one fault was put on purpose. Here is one example for each rule.

# %%
for rule in dk.RULES:
    bad = next(
        row
        for row in labelled
        if rule.name in row["faults"] and dk.judge(row)[rule.name]
    )
    print(f"--- {rule.name}: {dk.judge(bad)[rule.name]}")
    print(bad["text"][:150])

# %% [markdown]
# ## How good is a rule?
#
# Two questions, two numbers:
#
# - **precision**: of the candidates that it rejects, how many are faulty?
#   Low precision throws good work away.
# - **recall**: of the faulty ones, how many does it reject? Low recall lets
#   bad work through.
#
# ### Exercise 1: precision and recall
#
# {exercise precision_recall}
#
# Two lists of True and False in, in the same order: `rejected` and `faulty`.
# The pair (precision, recall) out. A share of nothing is 1: a rule that
# rejects nothing has accused nobody wrongly.


# %%
def precision_recall(rejected, faulty):
    # >>> solution
    both = sum(r and f for r, f in zip(rejected, faulty))
    precision = both / sum(rejected) if any(rejected) else 1.0
    recall = both / sum(faulty) if any(faulty) else 1.0
    return precision, recall
    # <<< stub: return None  # your code here


precision_recall = checks.precision_recall(precision_recall)

# %%
judged = [dk.judge(row) for row in labelled]
counts, left = {}, list(zip(labelled, judged))
print(f"precision_recall is {dk.whose(precision_recall)}")
for rule in dk.RULES:
    rejected = [bool(verdict[rule.name]) for _, verdict in left]
    faulty = [rule.name in row["faults"] for row, _ in left]
    precision, recall = precision_recall(rejected, faulty)
    both = sum(r and f for r, f in zip(rejected, faulty))
    counts[rule.name] = both, sum(rejected), sum(faulty)
    left = [pair for pair, r in zip(left, rejected) if not r]
    print(
        f"{rule.name:14} precision {precision:.2f}, recall {recall:.2f} "
        f"({sum(faulty)} faulty)"
    )
dk.show(*figures.draw_rules(counts))

# %% [markdown]
# Each rule sees only what the rules before it let through, as in the funnel
# below: a text that was cut off has no answer, and the rule for answers should
# not get the credit for it.
#
# One rule misses a lot. Look at what it lets through:

# %%
missed = [
    row
    for row, verdict in zip(labelled, judged)
    if "one language" in row["faults"] and not verdict["one language"]
]
print(Counter(row["origin"] for row in missed))
print(missed[0]["text"])

# %% [markdown]
# The rule compares *scripts* (Latin, Chinese, Cyrillic, …), not languages.
# Chinese in an English solution is seen, Danish is not: it has the same
# letters. That rule is missing, and you will write it.
#
# ### Exercise 2: a rule of your own
#
# {exercise foreign_line}
#
# A line of another language has few common English words. Write
# `foreign_line`: a text and a set of `known` words in; out comes the first line
# with at least three words of which fewer than half are known, or `""`. A word
# is two or more letters in a row, in small letters:
# `re.findall(r"[^\W\d_]{2,}", line.lower())` finds them.

# %%
import re


def foreign_line(text, known):
    # >>> solution
    for line in text.split("\n"):
        words = re.findall(r"[^\W\d_]{2,}", line.lower())
        hits = sum(word in known for word in words)
        if len(words) >= 3 and 2 * hits < len(words):
            return line
    return ""
    # <<< stub: return None  # your code here


foreign_line = checks.foreign_line(foreign_line)

# %% [markdown]
# A rule is tried before it is used. `checks.ENGLISH` has common English
# words. Type a line of a language that you know: does the rule see it? Does it
# refuse good English?

# %%
LINES = [
    "Nous divisons les deux côtés par trois.",
    "We divide both sides by three.",
    "type your line here",
]


def my_rule(candidate, parsed):
    line = foreign_line(candidate["text"], checks.ENGLISH)
    return f"another language: {line}" if line else ""


for line in LINES:
    refused = bool(foreign_line(line, checks.ENGLISH))
    print(f"{line:42} → {'refused' if refused else 'passes'}")
mine = dk.Rule(f"new rule ({dk.whose(foreign_line)})", my_rule)
kits = next(rule for rule in dk.RULES if rule.name == "one language")
print("\nrule" + 35 * " " + "precision  recall")
for rules in ([kits], [mine], [kits, mine]):
    rejected = [any(dk.judge(row, rules).values()) for row in labelled]
    faulty = ["one language" in row["faults"] for row in labelled]
    precision, recall = precision_recall(rejected, faulty)
    name = " + ".join(rule.name for rule in rules)
    print(f"{name:38} {precision:9.2f}  {recall:6.2f}")
_, without = dk.reject(candidates)
_, funnel = dk.reject(candidates, rules=[*dk.RULES, mine])
print(
    f"\nof {len(candidates)} recorded candidates {without.kept} are kept "
    f"without this rule, {funnel.kept} with it"
)

# %% [markdown]
# Each of the two rules sees a half of the foreign lines, and together they see
# all. That is no reason to be proud: the 24 Danish lines are made of six
# sentences, and a rule that was written after looking at its test set looks
# better than it is. Try a language that it has not met. Of the recorded
# candidates it rejects none: only one of them has a sentence, in English.
#
# **The claim.** *Rules remove mixed languages, long paragraphs and wrong
# answers.* All rules together on the labelled set:

# %%
out = [any(verdict.values()) for verdict in judged]
bad = [bool(row["faults"]) for row in labelled]
both = sum(r and f for r, f in zip(out, bad))
for name, of in (("precision", sum(out)), ("recall", sum(bad))):
    low, high = dk.wilson(both, of)
    print(
        f"{name}: {100 * both / of:.0f} % "
        f"({100 * low:.0f} to {100 * high:.0f}, n = {of})"
    )
for mark, mutation in (("faults", "mutations"), ("real", "real ones")):
    rows = [
        i
        for i, row in enumerate(labelled)
        if (row["origin"] == "real") == (mark == "real")
    ]
    hit = sum(out[i] and bad[i] for i in rows)
    print(f"recall on {mutation}: {hit} of {sum(bad[i] for i in rows)}")

# %% [markdown]
# How high the recall on mutations is depends on how many of each kind *we* put
# in: the kit's rules miss one kind only, another language in the same letters.
# Read the table rule by rule, and for the whole trust the real ones.
#
# ## The funnel
#
# *Choose a family, and how many candidates a problem has. Which rule does most
# of the work? When does "not a duplicate" begin to matter?*

# %%
families = ["all", *dict.fromkeys(p.family for p in problems)]


def draw_kept(family, k):
    some = [dict(c) for c in candidates if c["candidate"] < k]
    if family != "all":
        some = [c for c in some if c["problem"]["family"] == family]
    return figures.draw_kept(dk.reject(some)[1].rows())


dk.explore(
    draw_kept,
    family=families,
    k=(1, 4, 1),
    static=[
        {"family": "all", "k": 4},
        {"family": "both-sides", "k": 4},
        {"family": "brackets", "k": 4},
    ],
)

# %% [markdown]
# ### Exercise 3: what is kept
#
# {exercise keep}
#
# Write `keep`. Each candidate is a tuple (problem, text, obeys); `obeys` says
# whether it passed every rule. Return the candidates that obey, in their
# order: at most `most` for each problem, and never the same text twice for
# one problem.


# %%
def keep(candidates, most):
    # >>> solution
    kept, texts = [], {}
    for candidate in candidates:
        problem, text, obeys = candidate
        known = texts.setdefault(problem, set())
        if obeys and len(known) < most and text not in known:
            known.add(text)
            kept.append(candidate)
    return kept
    # <<< stub: return None  # your code here


keep = checks.keep(keep)

# %%
simple = [
    (
        c["problem"]["id"],
        " ".join(c["text"].split()),
        not any(dk.judge(c).values()),
    )
    for c in candidates
]
print(f"keep is {dk.whose(keep)}")
for most in (1, 2, 4):
    kept = keep(simple, most)
    print(
        f"at most {most} a problem: {len(kept)} traces of "
        f"{len({problem for problem, *_ in kept})} problems"
    )

# %% [markdown]
# ## How many candidates?
#
# With $c$ right ones among $n$ candidates, what is the chance that $k$ of them,
# drawn without looking, include at least one right one? The chance that *none*
# is right is the number of ways to draw $k$ from the wrong ones, divided by the
# number of ways to draw $k$ at all:
#
# $$\text{pass@}k = 1 - \binom{n-c}{k} \Big/ \binom{n}{k}$$
#
# ### Exercise 4: pass@k
#
# {exercise pass_at_k}
#
# Write it. `math.comb(n, k)` is $\binom{n}{k}$.

# %%
from math import comb


def pass_at_k(n, c, k):
    # >>> solution
    return 1 - comb(n - c, k) / comb(n, k)
    # <<< stub: return None  # your code here


pass_at_k = checks.pass_at_k(pass_at_k)

# %%
rng = random.Random(0)
print(f"the formula is {dk.whose(pass_at_k)}")
print(" n  c  k   formula   simulated   1 - (1 - c/n)^k")
for n, c, k in ((8, 2, 1), (8, 2, 4), (8, 6, 2)):
    pool = [True] * c + [False] * (n - c)
    hits = sum(any(rng.sample(pool, k)) for _ in range(20_000))
    print(
        f"{n:2} {c:2} {k:2}   {pass_at_k(n, c, k):7.3f}   "
        f"{hits / 20_000:9.3f}   {1 - (1 - c / n) ** k:15.3f}"
    )

# %% [markdown]
# The last column is the formula that many people write first. It draws *with*
# replacement and is too low: the same wrong candidate may come twice.
#
# Now with real candidates: the untouched student, eight for each of 48
# equations, from lesson 02.

# %%
strategies = dk.data("decoding_strategies")
warm = ["T 0.3", "T 0.7", "T 1", "T 1.5"]
right = strategies.where(strategy=warm).arms("strategy", "right")
dk.show(*figures.draw_pass_at_k(right, 8))

# %% [markdown]
# A higher temperature makes one candidate worse and eight candidates different.
# Where a program can check the answers, one right candidate of eight is enough,
# and up to a point that is a good exchange: at 0.7 one candidate is right less
# often than at 0.3 (70 and 78 %), but one of eight more often (88 and 81 %).
# Too high is bad for both: at 1.5 it is 6 % and 31 %.
#
# ## Experiment: does rejecting pay?
#
# **The claim.** *Rejection sampling keeps the good drafts.* Two teachers: the
# recorded one, and the same model after naive 8-bit rounding. Three ways to
# choose the same number of traces: any candidate; a right answer; every rule.
# `python -m benchmarks.experiments.rejection` makes it again.

# %%
rows = dk.data("rejection")
for row in rows:
    row["usable"] *= 100 / row["traces"]  # a share, in percent
names = ("teacher", "arm")
for arm, found in rows.arms(names, "usable").items():
    print(f"{arm:24} {sum(found) / len(found):4.0f} % of its traces are usable")
arms = rows.arms(names)
dk.show_arms(arms, "good, verified")

# %%
for teacher in ("good", "damaged"):
    dk.compare(arms, f"{teacher}, everything", f"{teacher}, verified")
dk.compare(arms, "good, verified", "damaged, verified")
for arm in ("everything", "verified"):
    pairs = zip(arms[f"good, {arm}"], arms[f"damaged, {arm}"])
    arms[f"mean of both, {arm}"] = [(a + b) / 2 for a, b in pairs]
dk.compare(arms, "mean of both, everything", "mean of both, verified")

# %% [markdown]
# **Not shown.** The verified traces were better or as good in every run, but
# with three seeds chance is not ruled out. Both teachers share seeds and
# equations: together they do not make six independent runs, so their mean is
# taken for each seed.
#
# **Check a compressed model before you trust it**: the weights look the same,
# the answers do not. The damaged teacher writes fewer usable candidates. Its
# student was not measurably worse, with rules or without them. As long as a
# teacher is right now and then, and a program can tell when, its traces can be
# used. Checking every step and not only the answer makes no difference here,
# because these teachers seldom have a right answer by wrong steps.
#
# ## Experiment: the 80/20 mix
#
# **The claim.** *80 % reasoning and 20 % general data is a good mix.* The same
# equations in every arm, with 0, 20 or 50 % general questions beside them.
# *Loss* is that on general answers that were held out; *tags* counts held-out
# general questions that the student answers as if they were equations.
# `python -m benchmarks.experiments.general_share` makes it again.

# %%
rows = dk.data("general_share")
(start,) = rows.where(share="untouched")
trained = rows.where(share=[0.0, 0.2, 0.5])
tags = max(row["equation_form"] for row in trained)
print(f"loss before any training: {100 * start['general_loss']:.1f}")
print(f"tags: {start['equation_form']} before, at most {tags} after training")
for row in trained:
    row["arm"] = f"{100 * row['share']:.0f} % general"
    row["loss"] = 100 * row["general_loss"]
exact, loss = trained.arms("arm"), trained.arms("arm", "loss")
hundredths = "hundredths of a nat of loss"
others = ("20 % general", "50 % general")
dk.compare(exact, "0 % general", *others)
dk.compare(loss, "0 % general", *others, unit=hundredths)
dk.show_arms(loss, unit=f"{hundredths} on held-out general answers")

# %% [markdown]
# **Not shown.** The mean loss on general answers is 0.01 to 0.02 above that
# before the training in every arm. But two of the nine runs are below it, so
# with three seeds this may be chance, and so may the hundredth by which the
# arms differ. No general question is answered with tags; perhaps the new habit
# is tied to its own system message. What a share of 20 % costs or gains in
# right answers is not settled either: look at the intervals; in another table
# it gains 8, +1 to +14 (`ablation_training.csv`). It may pay in longer
# trainings; the demo of lesson 00 does without it, to save time. What *can* be
# forgotten, and fast, are other kinds of equations: see lesson 07.
#
# ## Experiment: the student as its own teacher
#
# **The claim.** *A student can go on without a teacher.* One learned from 32 of
# the solver's solutions. In each of two rounds it wrote four solutions of each
# of 64 new equations, and the rules kept what was right: one for each of the
# hardest 48 (few right ones of four), or of all that were solved, if fewer.
# Then a new adapter learned from
# everything so far. Two controls: the *first* solutions alone, *repeated* for
# as many steps as round 2; and the *solver's* solutions of all 128 new
# equations. `python -m benchmarks.experiments.self_improvement` makes it
# again.

# %%
rows = dk.data("self_improvement")
stages = rows.arms("stage")
for name in ("round 1", "round 2"):
    some = rows.where(stage=name)
    print(
        f"{name}: new ones solved:",
        *(f"{row['solved']} of {row['asked']}" for row in some),
    )
for name in ("first", "first, repeated", "solver's"):
    dk.compare(stages, name, "round 2")
dk.show_arms(stages, "first")

# %% [markdown]
# **Not what it looks like.** Two rounds add about 27 right answers in 100, with
# no teacher at all. But the first 32 solutions, seen nearly four times, add at
# least as much! The student had not yet learned all that is in them. What looks
# like new knowledge may be more steps: without this control we would have
# praised the wrong thing. Compared with the solver's solutions, of which there
# are half more, the student's own are not measurably worse.
#
# What the rules do: each kept solution is right line by line, so errors do not
# grow from round to round. Problems that the student cannot solve at all
# never enter: the method sharpens what is there.
#
# ## Experiment: its errors, or any problems?
#
# It sounds clever: ask the student, and teach it what it got *wrong*. A student
# learned 64 solutions. Then it answered 192 new problems, and learned the
# solver's solutions of those that it failed (20 to 53 of them). Two controls:
# *as many* solutions of any problems; and *equal minutes*: asking takes time,
# and in that time about 200 solutions of any problems can be learned. *Predict:
# which of the three is best, and which is worst?* `python -m
# benchmarks.experiments.own_errors` makes it again.

# %%
ways = dk.data("own_errors").arms("arm")
for name in ("as many", "equal minutes"):
    dk.compare(ways, name, "own errors")
dk.show_arms(ways, "first")

# %% [markdown]
# **The errors are the worst choice.** We had expected 3 to 8 points *more* than
# with as many of any problems. Two explanations, neither of them tested: what a
# student gets wrong is of few kinds, and learning these alone it forgets the
# others; and a few steps at the full rate shake what was learned before,
# whatever is in them: even "as many" is no better than the first 64 alone. Only
# enough new problems of all kinds help. If you want to teach errors, mix them
# with the rest (lesson 07), and count the minutes of asking.

# %% [markdown]
# ### Bonus: choose without the right answer
#
# {exercise majority}
#
# The rule "correct" needs the right answer. Without it, candidates can **vote**
# (self-consistency, Wang et al. 2022). Write `majority`. In: a list of answers
# (`None` where none could be read) and a function `same(a, b)`. Out: the answer
# that is the same as most of the others; if several have as many, the first of
# them. `None` does not vote; without any vote `None` comes out.


# %%
def majority(answers, same):
    # >>> solution
    given = [answer for answer in answers if answer is not None]
    votes = [sum(same(a, b) for b in given) for a in given]
    return given[votes.index(max(votes))] if given else None
    # <<< stub: return None  # your code here


majority = checks.majority(majority)

# %%
tries = {}
for candidate in candidates:
    tries.setdefault(candidate["problem"]["id"], []).append(candidate)


def answer_of(candidate):
    return dk.THINK.parse(candidate["text"]).answer or None


def is_right(answer, candidate):
    return dk.same_value(answer, candidate["problem"]["answer"])


single = [is_right(answer_of(c), c) for c in candidates]
voted = [
    is_right(majority([answer_of(c) for c in some], dk.same_value), some[0])
    for some in tries.values()
]
print(f"majority is {dk.whose(majority)}")
for name, right in (("one candidate", single), ("majority of four", voted)):
    low, high = dk.wilson(sum(right), len(right))
    print(f"{name:17} {100 * sum(right) / len(right):5.1f} % right", end=" ")
    print(f"({100 * low:.1f} to {100 * high:.1f}, n = {len(right)})")

# %% [markdown]
# A candidate can also speak against itself. `dk.contradiction(text)` compares
# each of its lines, and its answer, with its *own first equation*: the rule
# "steps", with that equation in the place of the problem. It returns the first
# thing that does not follow, and `""` if everything does. Of four candidates,
# take the first one that does not contradict itself.


# %%
def first_sound(some):
    sound = [c for c in some if not dk.contradiction(c["text"])]
    return (sound or some)[0]


picked = [first_sound(some) for some in tries.values()]
picked = [is_right(answer_of(c), c) for c in picked]
sound = [c for c in candidates if not dk.contradiction(c["text"])]
trusted = [is_right(answer_of(c), c) for c in sound]
print(f"first without a contradiction {100 * sum(picked) / len(picked):.1f} %")
print(
    f"{len(trusted)} of {len(candidates)} candidates contradict themselves "
    f"nowhere; {100 * sum(trusted) / len(trusted):.1f} % of these are right"
)

# %% [markdown]
# This teacher begins with a step, so a number that it copies wrongly into its
# first line is not seen. The student that comes with the kit writes the
# equation down first. It was asked questions of four kinds, 100 each: once
# (greedy), and four times at temperature 0.7, with three seeds. "Own steps" is
# `first_sound` of the four. "Again" keeps the greedy answer unless it
# contradicts itself; then it takes the first of the four that does not.
# `python -m benchmarks.experiments.several_tries` makes the table again.

# %%
several = dk.data("several_tries")
ways = ["greedy", "first", "majority", "own steps", "again"]
for split in dict.fromkeys(row["split"] for row in several):
    some = several.where(split=split)
    print(f"\n{split}:")
    dk.compare(some.arms("way"), *ways)
    again = some.where(way="again")
    share = sum(row["sound"] for row in again) / len(again)
    right = sum(row["sound_right"] for row in again) / len(again)
    print(f"again, without a contradiction: {100 * share:.0f} of 100", end=", ")
    print(f"of these right: {100 * right:.0f}")

# %% [markdown]
# **Of the answers to equations that contradict themselves nowhere, not one is
# wrong.** This student cannot tell when it is wrong, but its steps can. So ask
# once, and again if the answer contradicts itself: that mends systems, where
# most goes wrong, and stories a little; the points outside and in broad
# equations may be chance, by three seeds. Votes help against one of the
# candidates, as above, but not against the greedy answer, although we had
# expected 3 to 8 points: at temperature 0.7 each try is worse, and four of them
# only make up for it. In stories the check sees little, for there the first
# line is wrong, the equation itself.
#
# A whole answer is much to throw away for one wrong line. `dk.sound_part(text)`
# returns the beginning that holds: the lines before the first one that does not
# follow, and of that line what stands before the false `=`.

# %%
recorded = dk.read_jsonl(dk.data_path("generalisation_answers.jsonl"))
broad = [row["text"] for row in recorded if row["split"] == "broad"]
unsound = [text for text in broad if dk.contradiction(text)]
holds = [len(dk.sound_part(text)) / len(text) for text in unsound]
print(f"{len(unsound)} of {len(broad)} answers contradict themselves;", end=" ")
print(
    f"the part that holds is {100 * sum(holds) / len(holds):.0f} % of them.\n"
)
print(f"{dk.sound_part(unsound[0])} ...\n")
print(f"does not follow: {dk.contradiction(unsound[0])}")

# %% [markdown]
# So **keep what holds, and reject only the line**: the student writes on from
# there, and after each line it is looked at again. That is rejection sampling
# with a line in the place of an answer. But a student that is wrong is often
# sure of it, and then it draws the same false line again and again. So what was
# refused once is not drawn again. What comes out has the same distribution, for
# it would have been rejected anyway; it only comes out earlier:

# %%
from itertools import count

shares = {"67 * 6 = 302": 0.90, "67 * 6 = 402": 0.07, "67 * 6 = 412": 0.03}


def tries_needed(holds: str, may_repeat: bool, rng: random.Random) -> int:
    """Draw lines until one holds; return how many were drawn."""
    left = dict(shares)
    for drawn in count(1):
        (line,) = rng.choices([*left], [*left.values()])
        if line == holds:
            return drawn
        if not may_repeat:
            del left[line]


for may_repeat in (True, False):
    rng = random.Random(0)
    needed = [
        tries_needed("67 * 6 = 402", may_repeat, rng) for _ in range(2000)
    ]
    how = "refused lines may come again" if may_repeat else "they may not"
    print(f"{how}: {sum(needed) / len(needed):.1f} tries")

# %% [markdown]
# A fault may also lie further up, in a line that holds and leads nowhere. So
# after four tries in vain the text goes back 1, 2, 3 ... lines more, and is
# drawn until it is further than where it failed. `GoBack` does all this in the
# kit's sampler, and `distillkit chat` beside you. `python -m
# benchmarks.experiments.going_back` makes the table again: three streams of
# random numbers, 200 questions of each kind (above: the first 100 of them).

# %%
back = dk.data("going_back")
for split in dict.fromkeys(row["split"] for row in back):
    print(f"\n{split}:")
    some = back.where(split=split)
    dk.compare(some.arms("way"), "greedy", "going back")
    for way, tokens in some.arms("way", "tokens").items():
        print(f"{way}: {sum(tokens) / len(tokens):.0f} tokens a question")

# %% [markdown]
# Not one answer that contradicts itself nowhere is wrong, and few questions are
# left without one. To write the line again costs about 320 tokens a question
# (outside) and 360 (broad). To write the whole answer again ("again", above)
# cost about 525 and 620. Of the first 100 questions 89 and 93 are right now; we
# had expected 87 and 84, because two earlier forms, which drew the same false
# lines again, had brought less. But it is no longer the student alone that
# solves the equation: the checker can calculate. And no checker helps where
# nothing can be checked.

# %% [markdown]
# ## Look back at your guesses

# %%
damaged = dk.data("rejection").where(teacher="damaged")[0]
usable = damaged["pool_usable"] / damaged["pool"]
reached = arms["damaged, verified"]
print(f"damaged teacher: {100 * usable:.0f} of 100 candidates usable")
print(f"its student, verified traces: {sum(reached) / len(reached):.0f} of 100")
if guess_usable is not None or guess_student is not None:
    print(f"Your guesses were {guess_usable} and {guess_student}.")

# %% [markdown]
# ## What can go wrong
#
# - **Only the answer is checked.** Then lucky candidates stay: right answers
#   by wrong steps.
# - **Only easy problems survive.** Each rejected problem is a hard one. Count
#   *problems kept*, not only candidates kept.
# - **Duplicates.** Without that rule an easy problem counts four times.
# - **The rule is learned, not the task.** A student, trained against a rule,
#   finds what the rule does not see. Read some kept candidates yourself.
# - **Test equations among the candidates.** The kit compares equations by
#   meaning, so that `21 = 3(n + 4)` and `3x + 12 = 21` count as one.
#
# ## Questions
#
# <details><summary>1. Which is worse here, low precision or low recall?
# </summary>
#
# Low recall, probably: a wrong trace is taught (how much that harms was not
# shown above). Low precision only costs candidates, and more can be sampled.
# Where each candidate is expensive, it is the other way round.
# </details>
#
# <details><summary>2. Why is "finished" the first rule?</summary>
#
# Each candidate is counted at the first rule it breaks. A text that was cut
# off breaks others, too, and they would get the blame.
# </details>
#
# <details><summary>3. The damaged teacher's verified traces are all right. Why
# can its student still be worse?</summary>
#
# They are not a fair sample of the problems: what survives is what a damaged
# model can solve, the easy ones.
# </details>

# %%
dk.progress()

# %% [markdown]
# ## Where to go next
#
# - **{lesson 06}**: how the kept traces change the student.
# - Read `distillkit/traces/filters.py`: the rules, the funnel and pass@k.
#
# *Sources.* DeepSeek-AI, *DeepSeek-R1* (arXiv 2501.12948, sec. 2.3.3); Chen et
# al., *Evaluating Large Language Models Trained on Code* (arXiv 2107.03374,
# eq. 1); Zelikman et al., *STaR* (arXiv 2203.14465); Wang et al.,
# *Self-consistency improves chain of thought reasoning* (arXiv 2203.11171).
