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
# # Decoding strategies
#
# A language model does not write. It gives a probability to every possible
# next token, and **you** decide which one to take. That decision is called
# *decoding*. The same model, asked the same question, gives one answer with
# one strategy and eight different answers with another. What a teacher's traces
# look like depends on this choice. So distillation begins with it.
#
# **Afterwards you can**
# - say what temperature, top-k and top-p do to the next token;
# - write greedy decoding, sampling and one step of beam search;
# - choose a strategy for a student's answers and another for a teacher's
#   traces, and give a reason with numbers.
#
# **Time:** the cells run for a few minutes on two CPU cores (the set-up cell
# says how many); with reading and exercises, plan {reading} minutes, about
# {exercises} of them for the exercises.
# **Hardware:** any laptop with 4 GB of free memory. The first run downloads a
# model.

# %% tags=["setup"]
import distillkit as dk

machine = dk.start_lesson("02")

# %% [markdown]
# ## Predict first
#
# Our student, not trained yet, sees six solved equations and then a new one.
# It answers 48 equations in two ways:
#
# - **greedy**: always the likeliest token, one answer;
# - **sampling** at temperature 0.7, eight answers for each equation.
#
# **Write two guesses into the next cell.** Greedy is right on how many of
# 100 equations? And on how many of 100 is at least *one* of the eight sampled
# answers right?

# %%
guess_greedy = None  # of 100
guess_one_of_eight = None  # of 100

# %%
import torch
from distillkit.lessons.l02_decoding import checks, figures

student = dk.load(machine.student, machine.device, machine.dtype)
model, tokenizer = student.model, student.tokenizer


def ids_of(text):
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    return torch.tensor(ids, device=model.device)


# %% [markdown]
# ## What a model gives you
#
# Tokens in, one number for each token of the vocabulary out: the **logits**.
# Softmax turns them into probabilities.

# %%
logits = dk.decoding.next_logits(model, ids_of("The capital of France is"))
probs = logits.softmax(-1)
print(f"{len(probs):,} probabilities, sum {probs.sum():.3f}")
for p, token in zip(*(t.tolist() for t in probs.topk(5))):
    print(f"{100 * p:6.2f} %  {tokenizer.decode([token])!r}")

# %% [markdown]
# Three settings change the distribution from which the next token is drawn:
#
# - **Temperature T** divides the logits. Below 1 the likely get likelier; at
#   T → 0 only the likeliest is left. Above 1 all become more alike.
# - **Top-k** keeps the k likeliest tokens and cuts the rest (0: keep all).
# - **Top-p** adds up the probabilities, the likeliest token first, and stops
#   when the sum reaches p. Only the tokens in the sum are kept: few where the
#   model is sure, many where it is not.
#
# *Type a beginning of your own. Find one where the model is sure of the next
# token and one where it is not, then set top-p to 0.9 for both. How many
# tokens are left in each?*


# %%
def draw_next(prompt, temperature, top_k, top_p):
    if not prompt.strip():
        raise ValueError("type a few words first")
    logits = dk.decoding.next_logits(model, ids_of(prompt[:500]))
    best = logits.topk(figures.SHOWN).indices.tolist()
    texts = [tokenizer.decode([token]) for token in best]
    return figures.draw_next_token(logits, texts, temperature, top_k, top_p)


dk.explore(
    draw_next,
    prompt="Two plus two is",
    temperature=[0.1, 0.3, 0.7, 1.0, 1.5, 3.0],
    top_k=[0, 1, 3, 10, 100],
    top_p=[0.1, 0.5, 0.9, 0.99, 1.0],
    static=[
        {"temperature": 1.0, "top_k": 0, "top_p": 1.0},
        {"temperature": 0.3, "top_k": 0, "top_p": 1.0},
        {"temperature": 3.0, "top_k": 0, "top_p": 1.0},
        {"temperature": 1.0, "top_k": 0, "top_p": 0.5},
    ],
)

# %% [markdown]
# ### Exercise 1: top-p
#
# {exercise nucleus}
#
# Write `nucleus`: probabilities of shape [V] and `top_p` in, a distribution of
# the same shape out. Keep the fewest likeliest tokens whose sum reaches
# `top_p`. The others get 0, and what is left sums to 1 again.


# %%
def nucleus(probs_V, top_p):
    # >>> solution
    sorted_V, order_V = probs_V.sort(descending=True)
    inside = sorted_V.cumsum(-1) - sorted_V < top_p
    kept_V = torch.zeros_like(probs_V)
    kept_V[order_V[inside]] = sorted_V[inside]
    return kept_V / kept_V.sum()
    # <<< stub: return None  # your code here


nucleus = checks.nucleus(nucleus)

# %%
second = dk.next_token_probs(logits[None], top_p=0.9)[0]
same = torch.allclose(nucleus(probs, 0.9), second)
print("yours equals the sampler's:", same)
print("tokens left of", len(probs), "at top-p 0.9:", int((second > 0).sum()))

# %% [markdown]
# ## How much is left to chance?
#
# The **entropy** counts, in bits, how undecided a distribution is: 0 when the
# next token is sure, 1 for a fair coin. Below, the model reads a solved
# equation, and we take the mean over all its tokens.

# %%
text = dk.chat_text(
    tokenizer, dk.messages("Solve for x: 3x + 5 = 20", dk.THINK, dk.SHOTS)
)
solution = "<think>\n3x = 20 - 5\n3x = 15\nx = 15 / 3\nx = 5\n</think>"
prompt, answer = ids_of(text), ids_of(solution + "\n<answer>5</answer>")
with torch.inference_mode():
    both = torch.cat([prompt, answer])[None]
    steps = model(both, logits_to_keep=len(answer) + 1).logits[0, :-1].float()


def mean_entropy(**setting):
    rows = dk.next_token_probs(steps, **setting)
    return sum(dk.decoding.entropy(row) for row in rows) / len(rows)


by_T = {T: mean_entropy(temperature=T) for T in (0.1, 0.5, 1.0, 1.5, 2.0, 3.0)}
for T, bits in by_T.items():
    print(f"T = {T:3.1f}: {bits:6.3f} bits")
print(f"T = 2, top-p 0.9: {mean_entropy(temperature=2.0, top_p=0.9):.3f} bits")
print(f"T = 2, top-k 5:   {mean_entropy(temperature=2.0, top_k=5):.3f} bits")
dk.show(*figures.draw_sharpening(by_T, by_T[1.0]))

# %% [markdown]
# ## Greedy: always the likeliest
#
# ### Exercise 2: the loop
#
# {exercise greedy_text}
#
# `next_logits(ids)` gives the logits for the token after a list of token
# numbers. Write new tokens, the likeliest each time, until the `stop` token is
# written or `limit` tokens are. Return the new tokens, `stop` included.


# %%
def greedy_text(next_logits, prompt, limit, stop):
    # >>> solution
    new = []
    while len(new) < limit and stop not in new:
        new.append(int(next_logits(prompt + new).argmax()))
    return new
    # <<< stub: return None  # your code here


greedy_text = checks.greedy_text(greedy_text)

# %% [markdown]
# The same loop stands in `dk.decoding.write`, with one thing more: a cache, so
# that each step reads only the newest token. We compare three routes: yours,
# the kit's, and `generate` of transformers.

# %%
question = dk.chat_text(tokenizer, dk.messages("Solve for x: 2x = 6", dk.THINK))
start, limit = ids_of(question), 12 if machine.fast else 24
end = tokenizer.eos_token_id


def read(ids):
    with torch.inference_mode():
        return dk.decoding.next_logits(model, torch.tensor(ids))


mine = greedy_text(read, start.tolist(), limit, end)
kits = dk.decoding.write(model, start, dk.decoding.likeliest, limit, {end})
words = {"max_new_tokens": limit, "eos_token_id": end, "pad_token_id": end}
words["attention_mask"] = torch.ones_like(start)[None]
words["repetition_penalty"] = 1.0  # some models bring another one
theirs = model.generate(start[None], do_sample=False, **words)
theirs = theirs[0, len(start) :].tolist()
print("yours = the kit's:", mine == kits)
print("the kit's = generate:", kits == theirs)
print(tokenizer.decode(kits))

# %% [markdown]
# In bfloat16 two tokens can have exactly the same logit, and a route that adds
# numbers in another order may take the other one. In float32 this is very
# rare.
#
# ## Sampling: draw the next token
#
# One line changes: the token is drawn from the probabilities. With the same
# random numbers the kit and `generate` draw the same text.

# %%
setting = {"temperature": 0.7, "top_k": 50, "top_p": 0.9}
torch.manual_seed(1)
kits = dk.decoding.write(
    model, start, dk.decoding.drawn(**setting), limit, {end}
)
torch.manual_seed(1)
theirs = model.generate(start[None], do_sample=True, **setting, **words)
print("the kit's = generate:", kits == theirs[0, len(start) :].tolist())
for seed in range(3):
    torch.manual_seed(seed)
    new = dk.decoding.write(model, start, dk.decoding.drawn(0.7), limit, {end})
    print(f"seed {seed}: {tokenizer.decode(new)!r}")

# %% [markdown]
# ## Beam search: keep several beginnings
#
# Greedy decoding can miss a likely text because it begins with a less likely
# word. Beam search keeps the B likeliest *beginnings*. At every step each of
# them is continued with every token, and the B best are kept. Probabilities
# of tokens are multiplied, so their logarithms are added.
#
# ### Exercise 3: one step
#
# {exercise beam_step}
#
# `scores_B` holds the log-probability of each beginning, `log_probs_BV` that of
# each next token. Return a list of the `beams` best continuations, best first,
# each as a pair (row, token).


# %%
def beam_step(scores_B, log_probs_BV, beams):
    # >>> solution
    total_BV = scores_B[:, None] + log_probs_BV
    places = total_BV.flatten().topk(beams).indices.tolist()
    return [divmod(place, log_probs_BV.shape[-1]) for place in places]
    # <<< stub: return None  # your code here


beam_step = checks.beam_step(beam_step)

# %%
beams = 4
kits = dk.decoding.beam_search(model, start, beams, limit, {end})
more = {"num_beams": beams, "early_stopping": True, "do_sample": False}
theirs = model.generate(start[None], **more, **words)
greedy = dk.decoding.write(model, start, dk.decoding.likeliest, limit, {end})
print("the kit's = generate:", kits == theirs[0, len(start) :].tolist())
for name, new in (("greedy", greedy), (f"{beams} beams", kits)):
    score = dk.decoding.log_prob(model, start, new)
    print(f"{name:7}  log p = {score:7.2f}  {tokenizer.decode(new)!r}")

# %% [markdown]
# ## Experiment: which strategy solves equations?
#
# **The claims.** A lower temperature sharpens; T → 0 is greedy decoding;
# beams find likelier texts; top-k and top-p cut the tail. You have seen the
# first and the last. What do they do to *right answers*?
#
# The run is too long for a lesson, so it was recorded: the untouched student,
# six solved examples in its prompt, 48 unseen equations, eight candidates for
# each sampled strategy. `python -m benchmarks.experiments.decoding` makes it
# again.

# %%
recorded = dk.read_csv(dk.data_path("decoding_strategies.csv"))
NUMBERS = ("candidates", "right", "formed", "different")
for row in recorded:
    row.update({name: int(row[name]) for name in NUMBERS})
sampled = [n for n in dict.fromkeys(r["strategy"] for r in recorded)
           if n == "greedy" or n.startswith("T ")]  # fmt: skip


def total(name):
    rows = [r for r in recorded if r["strategy"] == name]
    return {
        "strategy": name,
        "problems": len(rows),
        "solved": sum(r["right"] > 0 for r in rows),
        **{key: sum(r[key] for r in rows) for key in NUMBERS},
    }


totals = [total(name) for name in sampled]
print(recorded[0]["student"], "on", recorded[0]["machine"])
print("strategy           right  in form  different texts  one of k right")
for t in totals:
    of, n = t["candidates"], t["problems"]
    print(
        f"{t['strategy']:17} {100 * t['right'] / of:3.0f} % "
        f"{100 * t['formed'] / of:6.0f} % {t['different'] / n:12.1f}"
        f" of {of // n} {100 * t['solved'] / n:14.0f} %"
    )

# %%
dk.show(*figures.draw_strategies(totals, k=8))

# %% [markdown]
# The intervals in the picture treat candidates as independent. Eight
# candidates for one equation are not, so the intervals of the single
# candidates are too narrow. A fair comparison pairs the *equations*:


# %%
def shares(name):
    rows = [r for r in recorded if r["strategy"] == name]
    return [100 * r["right"] / r["candidates"] for r in rows]


def solved(name):
    rows = [r for r in recorded if r["strategy"] == name]
    return [100.0 * (r["right"] > 0) for r in rows]


for name in sampled[1:]:
    gap, low, high = dk.statistics.paired(shares("greedy"), shares(name))
    one, below, above = dk.statistics.paired(solved("greedy"), solved(name))
    print(
        f"{name:17} against greedy: one candidate {gap:+4.0f} points "
        f"({low:+.0f} to {high:+.0f}), one of 8 {one:+4.0f} "
        f"({below:+.0f} to {above:+.0f})"
    )

# %% [markdown]
# And beam search: is the likelier text the better one?

# %%
plain = {
    name: [r for r in recorded if r["strategy"] == name]
    for name in ("greedy, plain", "4 beams")
}
scores = [[float(r["log_prob"]) for r in rows] for rows in plain.values()]
gap, low, high = dk.statistics.paired(*scores)
print(
    f"log p of the text, beams minus greedy: {gap:+.3f} nats "
    f"(95 % interval {low:+.3f} to {high:+.3f}, {len(scores[0])} equations)"
)
gaps = [b - a for a, b in zip(*scores)]
more, less = (sum(g > 0.01 for g in gaps), sum(g < -0.01 for g in gaps))
print(f"likelier on {more}, less likely on {less}, the same on the others")
right = [[100.0 * r["right"] for r in rows] for rows in plain.values()]
gap, low, high = dk.statistics.paired(*right)
print(f"right answers: {gap:+.0f} points ({low:+.0f} to {high:+.0f})")
seconds = [sum(float(r["seconds"]) for r in rows) for rows in plain.values()]
print(f"time: {seconds[1] / seconds[0]:.1f} times as long")

# %% [markdown]
# Beam search keeps the best *beginnings*; a text that begins worse and ends
# better can be lost on the way. And this search ends as soon as four texts are
# finished, and takes the one with the best log p *per token*. A likelier text
# that is longer, and not finished yet, is lost then: so it ended below greedy
# decoding on two equations. On short solutions, where the model is sure of most
# tokens, little is left to gain.
#
# ## Why rejection sampling needs a temperature
#
# Rejection sampling (lesson 05) asks a teacher k times and keeps the answers
# that pass the rules. At T = 0 all k answers are the same text: if it is wrong,
# asking again does not help. A temperature above 0 gives different attempts,
# and one right attempt is enough. The price: at a high temperature each
# attempt is worse. The column *one of k right* shows where the two forces meet.
#
# For a **student's final answer** there is often no checker (lesson 05 shows
# one), and only one attempt. There greedy decoding, or a low temperature, is
# the usual choice.

# %% [markdown]
# ### Bonus: a limit that moves
#
# {exercise min_p}
#
# Top-p sorts the whole vocabulary. **Min-p** (Nguyen et al. 2024) needs no
# sorting: it keeps every token that has at least a `share` of the probability
# of the likeliest one. Write `min_p`: probabilities [V] and the share in, a
# distribution of shape [V] out.


# %%
def min_p(probs_V, share):
    # >>> solution
    kept_V = torch.where(probs_V >= share * probs_V.max(), probs_V, 0.0)
    return kept_V / kept_V.sum()
    # <<< stub: return None  # your code here


min_p = checks.min_p(min_p)

# %%
print("tokens that are left     top-p 0.9   min-p 0.1")
for T in (0.5, 1.0, 1.5, 2.0):
    warm = (logits / T).softmax(-1)
    by_sum = (nucleus(warm, 0.9) > 0).sum()
    by_share = (min_p(warm, 0.1) > 0).sum()
    print(f"T = {T}: {by_sum:26} {by_share:11}")

# %% [markdown]
# ## Look back at your guesses

# %%
by_name = {t["strategy"]: t for t in totals}
greedy, warm = by_name["greedy"], by_name["T 0.7"]
one = 100 * greedy["right"] / greedy["candidates"]
eight = 100 * warm["solved"] / warm["problems"]
print(f"greedy: {one:.0f} of 100 equations right")
print(f"T = 0.7: at least one of eight right on {eight:.0f} of 100 equations")
if guess_greedy is not None or guess_one_of_eight is not None:
    print(f"Your guesses were {guess_greedy} and {guess_one_of_eight}.")

# %% [markdown]
# ## What can go wrong
#
# - **Comparing models with different decoding.** A model looks worse because
#   it was sampled and the other one was not. Always report the strategy.
# - **Defaults you did not set.** Many models ship a `generation_config` with
#   a temperature, a top-p and a repetition penalty of their own, and
#   `generate` uses them silently.
# - **No stop token.** The text goes on after the answer until the limit. The
#   student must learn to write the stop token: lesson 03 looks at the mask.
# - **Beams for long texts.** The likeliest text is often dull or empty. Beam
#   search was made for translation, where the length is nearly known.
# - **Top-p at a high temperature.** The order matters: here the temperature
#   comes first, so a high T makes the nucleus large.
#
# ## Questions
#
# <details><summary>1. Is sampling at T = 1 "the model's own opinion"?
# </summary>
#
# Yes: at T = 1 without cuts the texts come with exactly the probability that
# the model gives them. Every other setting changes the distribution.
# </details>
#
# <details><summary>2. Can a text that begins with a less likely token be
# likelier as a whole?</summary>
#
# Yes. A less likely first token may lead to tokens that are nearly sure. That
# is why beam search can beat greedy decoding.
# </details>
#
# <details><summary>3. Top-k with k = 1, top-p with p → 0, T → 0: what have
# they in common?</summary>
#
# All three leave only the likeliest token: greedy decoding.
# </details>
#
# <details><summary>4. With many more candidates, would T = 1.5 win in the
# column "one of k right"?</summary>
#
# Perhaps: with enough attempts every text with a probability above 0 comes up.
# But each attempt costs time, and a rule filter must throw more away.
# </details>

# %%
dk.progress()

# %% [markdown]
# ## Where to go next
#
# - **{lesson 03}**: the form in which the answer stands.
# - **{lesson 05}**: many candidates, and rules that choose.
# - Read `distillkit/generation/decoding.py`, which is this lesson, and
#   `distillkit/generation/sampler.py`, which does it for many prompts at once.
# - Holtzman et al., *The Curious Case of Neural Text Degeneration* (arXiv
#   1904.09751): top-p, and why the likeliest text is not the best.
#
# *Sources.* The claims on temperature, beams and cuts are from popular
# articles on distillation; what is measured here is ours. Nguyen et al.,
# *Turning up the heat: min-p sampling* (arXiv 2407.01082).
