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
# # A sampler distilled
#
# A diffusion model makes a picture out of noise in many small steps, and each
# step asks a net. Here a student learns to do in one step what its teacher does
# in two. Then the student is the teacher. Six times over, 64 steps become one.
# No point of the *data* is the target: what is distilled is a *procedure*. You
# see all of it, in a plane, in two minutes.
#
# **Afterwards you can**
# - train a diffusion model and sample it with DDIM that you wrote;
# - say what one big step must aim at to land where two small ones land, and
#   test it to the last digit;
# - halve a sampler from 64 steps to 1, and measure what is lost;
# - find the fault in a loss that was published under this name.
#
# **Time:** the cells run for a few minutes on two CPU cores (the set-up cell
# says how many); with reading and exercises, plan {reading} minutes, about
# {exercises} of them for the exercises.
# **Hardware:** any laptop. There is no language model in this lesson, and
# nothing is downloaded.

# %% tags=["setup"]
import distillkit as dk

machine = dk.start_lesson("14")

# %% [markdown]
# ## Predict first
#
# The data are points in eight heaps on a circle. The teacher goes from noise to
# data in 64 steps. If it takes a single step instead, all points land near the
# middle, in none of the heaps. **Write a guess into the next cell:** how many
# of the eight heaps does a student reach in *one* step, after six halvings?
#
# (A point is *near* a heap if it lies at most three times the heap's spread
# from its middle. A heap is *reached* if at least half as many points as it
# should get are near it: a sixteenth of all.)

# %%
guess_heaps = None  # 0 to 8

# %%
from functools import partial

import torch
from distillkit.lessons.l14_sampler import checks, diffusion, figures, quality

numbers = torch.Generator().manual_seed(machine.seed)

# %% [markdown]
# ## From data to noise
#
# A clock $t$ runs from 0 to 1. At the time $t$ a point $x$ has become
#
# $$z_t = \alpha_t\, x + \sigma_t\, \varepsilon \qquad
# \alpha_t = \cos(\pi t/2) \quad \sigma_t = \sin(\pi t/2)$$
#
# with noise $\varepsilon$ from a normal distribution. At $t = 1$ nothing of the
# point is left. (α² + σ² = 1: the clock's hand goes round a quarter circle.)

# %%
n = 64 if machine.fast else 2048
data = diffusion.draw_data(n, numbers)
start = torch.randn(n, 2, generator=numbers)
times = (0.0, 0.25, 0.5, 0.75, 1.0)
dk.show(*figures.draw_noising(data[:500], start[:500], times))

# %% [markdown]
# ## The teacher
#
# A small net looks at $z_t$ and $t$ and guesses the point $x$ under the noise.
# Inside it foretells $v = \alpha\varepsilon - \sigma x$, and $x = \alpha z -
# \sigma v$ follows. Why not the noise, as many do? At $t = 1$, $z$ *is* the
# noise: foretelling it there says nothing about the point, and $x = (z - \sigma
# \varepsilon)/\alpha$ divides by 0. One step begins exactly there.
#
# The loss is the squared error of $x$, weighted with $\max(\alpha^2/\sigma^2,
# 1)$. (You may stop with the square button: what was learned stays.)

# %%
steps, batch = (5, 32) if machine.fast else (2000, 512)
teacher = diffusion.Denoiser(machine.seed)
losses = diffusion.train(
    teacher,
    diffusion.diffusion_loss(teacher),
    steps,
    batch,
    rate=1e-2,
    on_step=dk.Steps("the teacher"),
)
print(f"loss {losses[0]:.2f}, then {losses[-1]:.2f}")

# %% [markdown]
# The loss stays far above 0, and that is right. From pure noise nobody can tell
# the heap, so the best guess is the mean of all of them. A guess is no sample
# yet.
#
# ## Exercise 1: a step of DDIM
#
# A sampler goes from $t$ to an earlier $s$. It believes the guess $x$ for a
# moment: then the noise in $z_t$ is known, too. It keeps both and writes down
# what $z_s$ would be.
#
# Write `ddim_step`: `z` and the guess `x` [B, 2], the times `t` and `s` [B, 1]
# in; the new z [B, 2] out. `diffusion.alpha_sigma(t)` returns α and σ.
#
# {exercise ddim_step}


# %%
def ddim_step(z_BD, x_BD, t_B1, s_B1):
    # >>> solution
    alpha, sigma = diffusion.alpha_sigma(t_B1)
    alpha_s, sigma_s = diffusion.alpha_sigma(s_B1)
    noise_BD = (z_BD - alpha * x_BD) / sigma
    return alpha_s * x_BD + sigma_s * noise_BD
    # <<< stub: return None  # your code here


ddim_step = checks.ddim_step(ddim_step)

# %% [markdown]
# Your step, again and again, from $t = 1$ to 0. The same noise with fewer and
# fewer steps, against fresh data. The **Wasserstein distance** says how far the
# points would have to be moved, seen from 128 sides; the floor is what two
# samples of the data differ by.

# %%
fresh = diffusion.draw_data(n, numbers)
print("steps  Wasserstein  heaps  near a heap")


def line(name, points):
    found = quality.measured(points, fresh)
    print(f"{name:>5} {found['wasserstein']:12.3f} {found['modes']:6}", end="")
    print(f"{100 * found['near']:11.0f} %")


line("data", data)
paths = {}
for count in (64, 32, 16, 8, 4, 2, 1):
    path = diffusion.ddim(teacher, start, count, ddim_step)
    paths["teacher", count] = path
    line(count, path[-1])

# %% [markdown]
# From 32 steps on more of them help little. With two it falls apart, with one
# all points go to the mean of all heaps. The path is a curve; a big step goes
# straight on.
#
# ## Exercise 2: what must one step aim at?
#
# The student has half as many steps. Its one step from $t$ to $t - 1/N$ should
# end at the $z''$ where two steps of the teacher end: first to $t - 0.5/N$,
# then to $t - 1/N$. A step of DDIM is
#
# $$z'' = \alpha''\, x + \frac{\sigma''}{\sigma_t} (z - \alpha_t\, x)$$
#
# It is a line in $x$. So there is one $x$, and only one, that leads there. That
# is the student's target.
#
# Write `two_step_target`: `z` and `t`, the student's number of `steps` N, and
# the `teacher`, a function of (z, t) that returns its guess; the target [B, 2]
# out. You have `ddim_step`.
#
# {exercise two_step_target}


# %%
def two_step_target(z_BD, t_B1, steps, teacher):
    # >>> solution
    middle, end = t_B1 - 0.5 / steps, t_B1 - 1 / steps
    half_BD = ddim_step(z_BD, teacher(z_BD, t_B1), t_B1, middle)
    whole_BD = ddim_step(half_BD, teacher(half_BD, middle), middle, end)
    alpha, sigma = diffusion.alpha_sigma(t_B1)
    alpha_e, sigma_e = diffusion.alpha_sigma(end)
    ratio = sigma_e / sigma
    return (whole_BD - ratio * z_BD) / (alpha_e - ratio * alpha)
    # <<< stub: return None  # your code here


two_step_target = checks.two_step_target(two_step_target)

# %% [markdown]
# Does it land there? One step with your target, against two steps of the
# teacher, at a place of the 8-step student:

# %%
with torch.no_grad():
    t, middle, end = (torch.full((n, 1), i / 16) for i in (10, 9, 8))
    z = diffusion.noised(data, t, numbers)
    one = ddim_step(z, two_step_target(z, t, 8, teacher), t, end)
    two = ddim_step(z, teacher(z, t), t, middle)
    two = ddim_step(two, teacher(two, middle), middle, end)
    wide = ddim_step(z, teacher(z, t), t, end)
print(f"one step to your target: {(one - two).abs().max():.0e} beside two")
print(f"one wide step of the teacher: {(wide - two).abs().max():.0e} beside")

# %% [markdown]
# ## Halving
#
# A student begins as a copy of its teacher and learns your target, at noised
# points of the data. Then it is the teacher of the next one. The weight
# max(SNR, 1) matters now: SNR = α²/σ² is 0 at $t = 1$, and the last student is
# asked there and nowhere else.

# %%
each = 2 if machine.fast else 300
rule = partial(diffusion.halving_loss, target=two_step_target)
students = diffusion.halve(
    teacher,
    each,
    batch,
    rule=rule,
    on_step=lambda count: dk.Steps(f"{2 * count} steps to {count}"),
)

# %%
print("steps  Wasserstein  heaps  near a heap")
line("data", data)
for count, student in students.items():
    path = diffusion.ddim(student, start, count, ddim_step)
    paths["halved", count] = path
    line(count, path[-1])

# %% [markdown]
# *Take away steps. When does the teacher fail? What does the halved one do
# instead of turning a corner?*

# %%


def draw_steps(sampler, steps):
    return figures.draw_sampler(paths[sampler, steps], fresh)


dk.explore(
    draw_steps,
    sampler=["teacher", "halved"],
    steps=[64, 32, 16, 8, 4, 2, 1],
    static=[
        {"sampler": "teacher", "steps": 64},
        {"sampler": "teacher", "steps": 2},
        {"sampler": "halved", "steps": 2},
        {"sampler": "halved", "steps": 1},
    ],
)

# %% [markdown]
# The halved student jumps straight to where the teacher's curve would have
# ended: the same noise, the same heap. Points between two heaps are where the
# map has to tear: on one side of the line everything goes to one heap, on the
# other side to its neighbour. A net is smooth and draws a bridge.
#
# ## Find the bug
#
# This loss was published, with code, as progressive distillation. The student's
# noise at $t$ is compared with the teacher's at half the time, for the same
# point and the same noise:


# %%
def published(x_BD, noise_BD, t_B1, steps, student, teacher):
    alpha, sigma = diffusion.alpha_sigma(t_B1)
    alpha_h, sigma_h = diffusion.alpha_sigma(t_B1 / 2)
    said_BD = student.noise(alpha * x_BD + sigma * noise_BD, t_B1)
    with torch.no_grad():
        half_BD = alpha_h * x_BD + sigma_h * noise_BD
        told_BD = teacher.noise(half_BD, t_B1 / 2)
    return ((said_BD - told_BD) ** 2).sum(-1).mean()


short = 2 if machine.fast else 150


def try_out(rule, name):
    clouds = {"teacher, 64": paths["teacher", 64][-1]}
    found = diffusion.halve(
        teacher,
        short,
        batch,
        rule=rule,
        on_step=lambda count: dk.Steps(f"{name}, number of steps: {count}"),
    )
    for count in (32, 16, 1):
        path = diffusion.ddim(found[count], start, count, ddim_step)
        clouds[f"{name}, {count}"] = path[-1]
    return dk.show(*figures.draw_clouds(clouds, fresh))


try_out(published, "published")

# %% [markdown]
# Nothing in it takes a step. The number of steps does not even occur: the same
# loss is said to halve 64 and 2. And "half the time" is another place, at which
# another noise is to be foretold.
#
# ### Exercise 3
#
# Mend it: the points `x` and `noise` [B, 2], the times `t` [B, 1], the
# student's number of `steps`, `student` and `teacher` in; the loss out. You
# have `two_step_target`, and `diffusion.weighted(x, target, t)` is the weighted
# squared error. No gradient through the teacher.
#
# {exercise mended_loss}


# %%
def mended_loss(x_BD, noise_BD, t_B1, steps, student, teacher):
    # >>> solution
    alpha, sigma = diffusion.alpha_sigma(t_B1)
    z_BD = alpha * x_BD + sigma * noise_BD
    with torch.no_grad():
        target_BD = two_step_target(z_BD, t_B1, steps, teacher)
    return diffusion.weighted(student(z_BD, t_B1), target_BD, t_B1)
    # <<< stub: return None  # your code here


mended_loss = checks.mended_loss(mended_loss)

# %%
try_out(mended_loss, "mended")

# %% [markdown]
# ## Experiment: what do fewer steps cost?
#
# **The claim.** *A sampler can be distilled step by step.* What could explain
# the success away? Perhaps the steps in between are not needed, and one could
# go from 64 to 1 at once. So there are controls, with equally many training
# steps:
#
# - **teacher, DDIM**: the teacher itself, with fewer steps;
# - **direct**: the student is shown noise and where the teacher's 64 steps
#   ended, at once; the teacher is asked as often as in the halving;
# - **consistency**: neighbours on a path of the teacher must give the same
#   point; it can be sampled with any number of steps;
# - **wrong loss**: the published one;
# - **data**: two samples of the data, the floor.
#
# Five seeds, a new teacher for each, 4,096 points.
# `python -m benchmarks.experiments.sampler_distillation` makes it again,
# in about 20 minutes on one core.

# %%
rows = dk.data("sampler_distillation")
(floor,) = rows.where(arm="data").arms("arm", "wasserstein").values()
ways = {}
for row in sorted(rows, key=lambda row: row["seed"]):
    if row["arm"] != "data":
        found = ways.setdefault(row["arm"], {})
        found.setdefault(row["steps"], []).append(row["wasserstein"])
dk.show(*figures.draw_quality(ways, floor))

# %% [markdown]
# **One step instead of 64.** The teacher itself needs more than 16 steps.
# Halved six times, a student needs one: its points are 0.029 from the data, the
# teacher's 0.025 after 64 steps, two samples of the data 0.022 from each other.
# All eight heaps are reached. The published loss is useless from the first
# halving on (0.48), and later its points fly away, out of the picture.

# %%
best = "teacher, 64 steps"
one = {best: ways["teacher, DDIM"][64], "two samples of the data": floor}
for name in ("progressive", "direct", "consistency"):
    one[f"{name}, 1 step"] = ways[name][1]
one = {name: [1000 * x for x in found] for name, found in one.items()}
near = rows.where(steps=[1, 64]).arms(["arm", "steps"], "near")
for name, shares in near.items():
    share = 100 * sum(shares) / len(shares)
    print(f"{name:18} {share:3.0f} % of the points near a heap")
dk.show_arms(one, best, "thousandths of Wasserstein distance")

# %% [markdown]
# **What is lost** is small and real: +0.005 (+0.001 to +0.008) in distance,
# and 91 % of the points lie near a heap instead of 96 %. The rest are on the
# bridges.
#
# **And step by step is not needed, here.** The student that was shown noise and
# the end of 64 steps at once is *better* than the halved one (−0.004, −0.007 to
# −0.001; 94 % near a heap), with as many training steps and as many questions
# to the teacher. Consistency distillation cannot be told from the halving. In a
# plane the map from noise to data is easy to learn in one go; each halving adds
# a small error of its own. What halving gives besides: students of
# 32, 16, 8, 4 and 2 steps on the way, and never more than two questions to the
# teacher for one example. Whether that decides for pictures, a plane cannot
# say. That a distillation *works* does not show that it is *needed*.
#
# ## Whose states does the student see?
#
# Lesson 09 asked whose texts a student learns from, lesson 13 whose histories.
# Here a state is a place $z_t$. The student learns at places that are made of
# *data and noise*, not at those where its own sampling comes by: off-policy, as
# with a teacher's texts. With many steps a small error leads to a place that
# was never practised, and the next error is larger. But each halving takes away
# half of the steps at which this can happen. With one step there is only one
# state, pure noise, and it is the same in training and in use: nothing is left
# to drift. What a distribution over tokens was in lesson 09 is the target $x$
# here: the teacher is asked at the student's place and says what *it* would do
# there.
#
# ## Look back at your guess

# %%
heaps = rows.where(arm="progressive", steps=1).arms("arm", "modes")
print("heaps with one step:", *heaps["progressive"])
if guess_heaps is not None:
    print(f"Your guess was {guess_heaps}.")

# %% [markdown]
# ## What can go wrong
#
# - **Foretelling the noise.** At $t = 1$ it says nothing about the point. A
#   one-step student cannot learn from it.
# - **The plain SNR as a weight.** It is 0 at $t = 1$: the only time that the
#   last student is asked at would not be trained.
# - **A loss with the right name.** "Half the time" is not half the steps. Test
#   the target against two real steps before you train anything.
# - **Only a picture.** Eight heaps look good early on. Compare with the floor
#   of two data samples, and count what lies *between* the heaps.
# - **Trained at times that are never asked.** The student's times are i/N with
#   its own N.
#
# ## Questions
#
# <details><summary>1. Why does the teacher with one step put all points in the
# middle?</summary>
#
# At $t = 1$ the noise says nothing about the point. The guess with the least
# squared error is then the mean of the data, and a step to $t = 0$ goes to the
# guess.
# </details>
#
# <details><summary>2. The student's loss can go to (nearly) 0, the teacher's
# cannot. Why?</summary>
#
# The teacher has to foretell a point that was drawn at random. The student's
# target is a function of $z$ and $t$: two steps of a sampler that draws
# nothing. DDIM is deterministic, and that is what makes it possible to halve
# it. </details>
#
# <details><summary>3. Could the student be better than its teacher of 64
# steps?</summary>
#
# Not by this target: it aims at the teacher's own end. The consistency student
# of this lesson follows the teacher's path, too. A student whose loss compares
# it with the data could; consistency models that are trained without a teacher
# are of that kind.
# </details>

# %%
dk.progress()

# %% [markdown]
# ## Where to go next
#
# - Draw your own data in `diffusion.draw_data`: two moons, your initials.
# - Give the net wider layers. Does the bridge between the heaps get thinner?
# - That was the last lesson. `distillkit claims` lists what all fifteen found,
#   and what they could not show.
#
# *Sources.* Salimans and Ho, *Progressive distillation for fast sampling of
# diffusion models* (arXiv 2202.00512); Song, Meng and Ermon, *Denoising
# diffusion implicit models* (arXiv 2010.02502); Song et al., *Consistency
# models* (arXiv 2303.01469); Luhman and Luhman, *Knowledge distillation in
# iterative generative models for improved sampling speed* (arXiv 2101.02388;
# the direct way); Bonneel et al., *Sliced and Radon Wasserstein
# barycenters of measures* (2015); Székely and Rizzo, *Energy statistics*
# (2013).
