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
# # An algorithm distilled
#
# Until now a student learned *what* a teacher says. Here it learns *how* a
# teacher learns. It reads whole learning histories, from the first blunder to
# the sure hand at the end, and is trained to foretell the next move. Then its
# weights are frozen, and it meets a task that nobody has solved before. Does it
# get better while it plays?
#
# **Afterwards you can**
# - turn histories into tokens without giving the answer away;
# - write the causal mask of a transformer, and see what happens without it;
# - tell a distilled *algorithm* from a copied *result*, with the controls that
#   tell them apart;
# - say when a student's words should be sampled and when the likeliest is best.
#
# **Time:** the cells run for a few minutes on two CPU cores (the set-up cell
# says how many); with reading and exercises, plan {reading} minutes, about
# {exercises} of them for the exercises.
# **Hardware:** any laptop. There is no language model in this lesson, and
# nothing is downloaded.

# %% tags=["setup"]
import distillkit as dk

machine = dk.start_lesson("13")

# %% [markdown]
# ## Predict first
#
# A **bandit** has five arms. Each arm pays 1 or nothing, with a chance of its
# own that stays as it is. You have 60 pulls. What you lose against somebody who
# knew the best arm from the start is the **regret**. Pulling any arm costs
# about 20 in 60 pulls. A good learner, Thompson sampling, loses about 7.
#
# A transformer has read thousands of histories of this learner. Its weights are
# frozen, and it meets new bandits. **Write a guess into the next cell:** what
# does it lose in 60 pulls? And if it always makes the move that it finds
# likeliest, instead of drawing one?

# %%
guess_drawn = None  # regret after 60 pulls, moves drawn
guess_likeliest = None  # the same, always the likeliest move

# %%
import numpy as np
import torch
from distillkit.lessons.l13_algorithm import bandits, checks, figures, imitation

numbers = np.random.default_rng(machine.seed)

# %% [markdown]
# ## Ways to play
#
# Thompson sampling keeps count of what each arm paid. Before each pull it draws
# for every arm a chance that fits this count, and pulls the arm whose draw is
# highest. An arm that is hardly known may draw high, so it is tried; a bad one
# that is well known never does. **UCB1** adds a bonus for doubt instead of
# drawing. The **Gittins index** also knows how many pulls are left; it is close
# to the best that is possible. All bandits are played side by side:

# %%
chances = bandits.draw_bandits(1000, numbers)
ways = (bandits.uniform, bandits.ucb, bandits.thompson, bandits.gittins)
curves = {}
for way in ways:
    actions, rewards = bandits.play(way, chances, numbers)
    curves[way.__name__] = bandits.regret(chances, actions)
dk.show(*figures.draw_regret(curves))

# %% [markdown]
# A straight line means that nothing is learned any more. A curve that becomes
# flat has found the best arm. In 95 of 100 of these bandits the best arm is the
# first, third or fifth: remember this for later.
#
# ## Histories become tokens
#
# The source is Thompson sampling. Here is one of its histories: the arm that
# was pulled, and what it paid.

# %%
n = 64 if machine.fast else 4096
taught = bandits.draw_bandits(n, numbers)
actions, rewards = bandits.play(bandits.thompson, taught, numbers)
print("arms pay", " ".join(f"{100 * chance:.0f} %" for chance in taught[0]))
print("pulled  ", *(actions[0] + 1))
print("paid    ", *rewards[0])
actions, rewards = torch.tensor(actions), torch.tensor(rewards)

# %% [markdown]
# A pull becomes one token: 1 + 2 · arm + reward, with arms counted from 0.
# Token 0 says "nothing yet". At place t stands what is known *before* pull t,
# and the label there is the arm of pull t:
#
# | place | 0 | 1 | 2 | … |
# |---|---|---|---|---|
# | token | 0 | pull 0 | pull 1 | … |
# | label | arm of pull 0 | arm of pull 1 | arm of pull 2 | … |
#
# ### Exercise 1
#
# Write `to_tokens`: `actions` and `rewards`, whole numbers of the shape [B, T]
# (B histories, T pulls), in; the tokens [B, T] out.
#
# {exercise to_tokens}


# %%
def to_tokens(actions_BT, rewards_BT):
    # >>> solution
    pulls_BT = 1 + 2 * actions_BT + rewards_BT
    start = torch.zeros_like(pulls_BT[:, :1])
    return torch.cat([start, pulls_BT[:, :-1]], 1)
    # <<< stub: return None  # your code here


to_tokens = checks.to_tokens(to_tokens)

# %% [markdown]
# ## A transformer that is small enough to read
#
# Two blocks of 64 units. In each block a place *asks* (query) all places that
# it may look at. How well their *keys* fit says how much of their *values* it
# takes:
#
# $$\mathrm{softmax}\left(\frac{Q K^\top}{\sqrt{d}} + \text{mask}\right) V$$
#
# `distillkit/lessons/l13_algorithm/imitation.py` has all of it on a page. One
# thing is missing, and it is yours.
#
# ### Exercise 2
#
# Write `causal_mask`: the number of places n in; [n, n] of True and False out.
# Row i is the place that looks, column j the one that is looked at. True means:
# may look.
#
# {exercise causal_mask}


# %%
def causal_mask(n):
    # >>> solution
    return torch.ones(n, n, dtype=torch.bool).tril()
    # <<< stub: return None  # your code here


causal_mask = checks.causal_mask(causal_mask)

# %%
print(causal_mask(4).int())
model = imitation.Player(machine.seed, mask=causal_mask)
print(sum(p.numel() for p in model.parameters()), "weights")

# %% [markdown]
# ## Watching learners
#
# The loss is the usual one: cross-entropy of the next pull, at all 60 places of
# a history at once. Only pulls are foretold, never rewards. How low can it get?
# Thompson sampling *draws*, so nobody can foretell it for certain: its own
# doubt is the floor. (You may stop the training with the square button: what
# was learned stays.)

# %%
steps, batch = (10, 8) if machine.fast else (300, 64)
tokens = to_tokens(actions, rewards)
losses = {
    "whole histories": imitation.imitate(
        model,
        tokens,
        actions,
        steps,
        batch,
        seed=machine.seed,
        on_step=dk.Steps("watching learners"),
    )
}
floor = bandits.own_doubt(actions[:64].numpy(), rewards[:64].numpy())
dk.show(*figures.draw_losses(losses, floor))

# %% [markdown]
# ## It plays
#
# New bandits, frozen weights. The model sees its own pulls and what they paid,
# nothing else. Before each pull it says a probability for every arm, and one of
# them is *drawn*.

# %%
few = 8 if machine.fast else 256
new = bandits.draw_bandits(few, np.random.default_rng(99))


def play(model, chances, greedy=False):
    found = imitation.roll_out(model, torch.tensor(chances), 1, greedy)
    return [part.numpy() for part in found]


pulled, paid, beliefs = play(model, new)
lost = {"distilled, drawn": bandits.regret(new, pulled)}
print(f"regret after 60 pulls: {lost['distilled, drawn'][:, -1].mean():.1f}")

# %% [markdown]
# *Follow one game. What does the model do after its first success? When is it
# sure? Does it ever go back to an arm that disappointed?* Beside it stands what
# Thompson sampling would do with the same history: for each arm the exact
# probability that it is the best one.

# %%


def draw_game(game, pull):
    one = beliefs[game], pulled[game], paid[game], new[game]
    return figures.draw_beliefs(*one, pull)


dk.explore(
    draw_game,
    game=(0, few - 1, 1),
    pull=(0, 59, 1),
    static=[
        {"game": 0, "pull": 0},
        {"game": 0, "pull": 3},
        {"game": 0, "pull": 15},
        {"game": 0, "pull": 59},
    ],
)

# %% [markdown]
# No line of code here counts successes, and no weight changes. The counting,
# the doubt and the growing sureness are in the forward pass: the transformer
# has become a learning algorithm.
#
# ## Drawn or likeliest?
#
# Code that plays often takes the likeliest move. Here is the same model both
# ways, beside its source and the Gittins index on the same bandits.

# %%
greedy, *_ = play(model, new, greedy=True)
lost["distilled, likeliest"] = bandits.regret(new, greedy)
for way in (bandits.thompson, bandits.gittins):
    lost[way.__name__] = bandits.regret(new, bandits.play(way, new, numbers)[0])
dk.show(*figures.draw_regret(lost))

# %% [markdown]
# Drawn, the student loses what its source loses. Taking the likeliest move it
# is *better than its teacher*. The model says for each arm how probable it is
# that the arm is best. Thompson draws from that, and so tries bad arms to the
# end; in 60 pulls this does not pay back. Always the likeliest arm still
# explores: an arm that disappoints soon is the likeliest no more.
#
# One often reads that such a student *must* be sampled. This one must not. For
# others it holds, above all where the likeliest move is always the same one:
# see the finished learner below.
#
# ## Find the bug
#
# Somebody trains the same model without a token for "nothing yet". The loss
# falls as never before. They are pleased.

# %%


def pairs(actions_BT, rewards_BT):
    tokens_BT = 1 + 2 * actions_BT + rewards_BT
    return tokens_BT[:, :-1], actions_BT[:, :-1]


def short_training(pairs, name):
    student = imitation.Player(machine.seed, bandits.PULLS - 1, causal_mask)
    seen, labels = pairs(actions, rewards)
    steps = 10 if machine.fast else 50
    losses[name] = imitation.imitate(
        student, seen, labels, steps, batch, on_step=dk.Steps(name)
    )
    return student


wrong = short_training(pairs, "without a first token")
lost_wrong = bandits.regret(new[:64], play(wrong, new[:64])[0])
print(f"loss {losses['without a first token'][-1]:.3f}, ", end="")
print(f"regret {lost_wrong[:, -1].mean():.1f}")

# %% [markdown]
# A loss far below the floor is not good news: nobody can foretell a draw. And
# it plays no better than chance.
#
# ### Exercise 3
#
# Mend `pairs`, still without a first token. It returns two tensors [B, T - 1]:
# the tokens of all pulls but the last, and for each of them the arm to
# foretell.
#
# {exercise mended_pairs}


# %%
def mended_pairs(actions_BT, rewards_BT):
    # >>> solution
    tokens_BT = 1 + 2 * actions_BT + rewards_BT
    return tokens_BT[:, :-1], actions_BT[:, 1:]
    # <<< stub: return None  # your code here


mended_pairs = checks.mended_pairs(mended_pairs)

# %%
short_training(mended_pairs, "mended")
dk.show(*figures.draw_losses(losses, floor))

# %% [markdown]
# ## Experiment: an algorithm, or its result?
#
# **The claim.** *A learning algorithm can be distilled.* What could explain the
# success away? Perhaps the student only learned *which arms are usually good*.
# Perhaps it copies a finished player and needs no learning. So there are
# controls, all with the same transformer:
#
# - **finished learner**: sixty pulls of what Thompson sampling has become after
#   its sixty pulls; it learns no more in them;
# - **last tenth**: the last six pulls of each history; and a model with **a
#   tenth in sight** that reads all of a history, but only six pulls at once;
# - **half in sight**: the same with thirty;
# - **shuffled**: whole histories with their pulls in any order.
#
# Five seeds, 8,192 histories, 4,000 new bandits each.
# `python -m benchmarks.experiments.algorithm_distillation` makes it again; the
# rows are from a card, a few of the third seed from two CPU cores.

# %%
rows = dk.data("algorithm_distillation")
known = rows.where(odds="as in training")
arms = known.arms(["arm", "policy"], "regret")
drawn = {name: found for name, found in arms.items() if "sampled" in name}
source = "references, thompson"
unit = "regret after 60 pulls"
dk.show_arms({source: arms[source], **drawn}, source, unit)

# %% [markdown]
# **The algorithm is distilled.** With frozen weights the student of Thompson
# sampling loses 6.7 in 60 pulls, as its source does, and the student of UCB1
# loses what UCB1 loses. Whoever learned from the *finished* learner loses more
# than twice as much. Here are the curves:

# %%
curves = known.arms(["arm", "policy"], "curve")
shown = (
    source,
    "thompson, sampled",
    "finished learner, sampled",
    "last tenth, sampled",
    "shuffled, sampled",
)
seeds = {
    name: [[float(x) for x in text.split()] for text in curves[name]]
    for name in shown
}
dk.show(*figures.draw_regret(seeds, "seed", every=5))

# %% [markdown]
# The line of the finished learner's student is nearly straight: it loses 1.4 in
# the first five pulls and 1.2 in the last five. It hardly learns. It is below
# somebody who pulls any arm (20), mostly because it knows which arms are
# usually good. Shuffled histories teach something (an arm that paid often is
# pulled often), but not *when* to stop trying.
#
# **A control that did its work.** The last tenth of each history loses 10.0,
# and one would like to say: because no learning is in it. But a model that saw
# all of every history, six pulls at a time, loses 10.1 (in the tables: "last
# tenth in sight"). So here the short memory alone explains the loss. It does
# not explain everything: with the odds turned round, below, the last tenth
# loses 13.8 and this control 12.2, and there the missing beginning counts, too.
# We had expected the last tenth to be flat; it is not. With half in sight 7.5
# are lost.
#
# The same models, always taking the likeliest move:

# %%
likeliest = {name: found for name, found in arms.items() if "greedy" in name}
best = "references, gittins"
dk.show_arms(
    {source: arms[source], best: arms[best], **likeliest}, source, unit
)

# %% [markdown]
# **The trap has two sides.** For Thompson's student, which sees its whole
# history, the likeliest move is the better one: 4.0 instead of 6.7, and the
# Gittins index, which is close to the best possible, has 3.8. Where the data
# show no exploring (the finished learner, the last tenth), the likeliest move
# is always the same arm, and the regret is 17 and more. But exploring in the
# data is not enough: with shuffled histories the likeliest move loses more than
# a drawn one (16.2 instead of 11.6), and with a half or a tenth in sight no
# gain can be shown. With UCB1, which draws nothing, it makes hardly a
# difference (0.06 less). So "one must sample" and "one must take the likeliest"
# are both wrong in general: ask what the probabilities *mean*.
#
# ## Out of distribution: the odds are turned round
#
# In training the best arm was the first, third or fifth in 95 of 100 bandits.
# Now it is the second or fourth as often. An algorithm does not care; a student
# that has learned *where* the best arm usually is, does.

# %%
turned = bandits.draw_bandits(few, np.random.default_rng(98), odd=0.05)
here = bandits.regret(turned, play(model, turned)[0])[:, -1].mean()
print(f"yours: {lost['distilled, drawn'][:, -1].mean():.1f} and {here:.1f}")
other = rows.where(odds="turned round").arms(["arm", "policy"], "regret")
for name in (source, *drawn):
    dk.compare(
        {"as in training": arms[name], "turned round": other[name]},
        "as in training",
        "turned round",
        unit=f"regret ({name})",
    )

# %% [markdown]
# **What looks the same may be different things.** The students of whole
# histories play as well when the odds are turned round (Thompson's loses 0.04
# more, 0.01 to 0.07: not chance, but nearly nothing): they have the algorithm.
# With half in sight it is 0.6 more (0.4 to 0.8); the others lose 2 to 4 more,
# because a part of what they know is *where*. Always the likeliest, the
# finished learner's student now loses more than somebody who pulls any arm
# (24.6 against 19.9).
#
# ## Whose states does the student see?
#
# In lesson 09 the question was whose *texts* a student learns from. It is the
# same question here. A student that plays sees the histories that *it* makes,
# and it has learned from those of its source. As long as it plays like the
# source, these are the same histories, blunders included, because the source
# made them, too. The finished learner made none: its student has never seen a
# bad beginning, and it has nothing to say there. In lesson 09 this was mended
# by letting the student write and the teacher judge. Here it is mended before:
# the teacher's own mistakes stay in the data.
#
# ## Look back at your guess

# %%
for what, guess, name in (
    ("drawn", guess_drawn, "thompson, sampled"),
    ("likeliest", guess_likeliest, "thompson, greedy"),
):
    print(f"{what}: {sum(arms[name]) / len(arms[name]):.1f}", end="")
    print(f"; your guess was {guess}" if guess is not None else "")

# %% [markdown]
# ## What can go wrong
#
# - **The answer in sight.** No shift, or no mask: the loss falls below what is
#   possible, and the student plays blindly. Know your floor.
# - **Nobody learns in the data.** Then no learning can be distilled, however
#   many histories there are.
# - **The context is shorter than a history.** What has left the context is
#   forgotten.
# - **Regret by coins.** Compare the *chances* of the arms, not what they
#   happened to pay: the mean is the same, the noise is not.
# - **Training and test bandits from one seed.** Then a student that remembers
#   looks like one that learns.
#
# ## Questions
#
# <details><summary>1. The rewards are in the tokens and never in the labels.
# Why not foretell them, too?</summary>
#
# It would make a model of the bandit, which is another thing (and also useful).
# The student is asked what to *do*. A reward that was drawn by itself in play
# would be a dream: what counts is what the bandit pays.
# </details>
#
# <details><summary>2. The labels are one drawn pull each. What would a soft
# label be here?</summary>
#
# Thompson's own probabilities, `bandits.best_chances`: the distribution instead
# of one draw. As a KL the loss could fall to 0 instead of to the floor, and
# fewer histories would do. Lesson 01's idea, again.
# </details>
#
# <details><summary>3. Can the student become better than its source by more
# training?</summary>
#
# Not by foretelling it better: at the floor it *is* the source. It got better
# by being *used* in another way. </details>

# %%
dk.progress()

# %% [markdown]
# ## Where to go next
#
# - **{lesson 14}**: here 60 moves stayed 60. There, 64 steps become
#   one.
# - Distil UCB1 instead: `bandits.ucb` draws nothing. Where is the floor then?
# - Read `imitation.py`: `Block` is 20 lines.
#
# *Sources.* Laskin et al., *In-context reinforcement learning with algorithm
# distillation* (arXiv 2210.14215); Thompson 1933 (Biometrika 25); Auer, Cesa-
# Bianchi and Fischer, *Finite-time analysis of the multiarmed bandit problem*
# (2002); Lattimore, *Regret analysis of the finite-horizon Gittins index
# strategy* (2016).
