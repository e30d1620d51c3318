"""How does the way of decoding change a student's answers?  (The data of lesson 02.)

    python -m benchmarks.experiments.decoding

The untouched Qwen-0.5B, few-shot, on unseen equations.  Each strategy writes eight candidates an
equation (greedy and beam search one: they always write the same); one row a strategy and equation.
"""

import time

import torch

from benchmarks.runner import Experiment, main
from distillkit.evaluation.scoring import score
from distillkit.generation.decoding import beam_search, likeliest, log_prob, write
from distillkit.generation.sampler import sample
from distillkit.models.chats import chat_text
from distillkit.pipeline.recipes import TEST_SEED
from distillkit.problems.equations import NARROW, make_problems
from distillkit.traces.templates import SHOTS, THINK, messages

K, LIMIT = 8, 96  # candidates, tokens
# the plain code of `distillkit.generation.decoding`, which also gives a text's log-probability
PLAIN = {
    "greedy, plain": lambda model, ids, stops: write(model, ids, likeliest, LIMIT, stops),
    "4 beams": lambda model, ids, stops: beam_search(model, ids, 4, LIMIT, stops),
}
ARMS = {
    "greedy": {"temperature": 0.0},
    "T 0.3": {"temperature": 0.3},
    "T 0.7": {"temperature": 0.7},
    "T 1": {"temperature": 1.0},
    "T 1.5": {"temperature": 1.5},
    "T 1.5, top-p 0.9": {"temperature": 1.5, "top_p": 0.9},
    "T 1.5, top-k 20": {"temperature": 1.5, "top_k": 20},
    **PLAIN,
}


def run(arm, seed, bench):
    """Answer every equation by one strategy."""
    student = bench.load()
    problems = make_problems(bench.test, NARROW, "test", TEST_SEED)
    prompts = [chat_text(student.tokenizer, messages(p.text, THINK, SHOTS)) for p in problems]
    way = plain if arm in PLAIN else sampled
    found = way(student, problems, prompts, ARMS[arm])
    return [{"student": f"{student.name} {bench.machine.dtype}", **row} for row in found]


def sampled(student, problems, prompts, setting):
    """Return one row a problem for a strategy of the sampler."""
    k = K if setting["temperature"] else 1
    began = time.perf_counter()
    found = sample(student.model, student.tokenizer, prompts, k, max_new_tokens=LIMIT,
                   stop=THINK.stop, **setting)  # fmt: skip
    seconds = (time.perf_counter() - began) / len(problems)
    for problem, texts in zip(problems, found, strict=True):
        counts = counted(problem, [t.text for t in texts], [t.finish for t in texts])
        yield {**counts, "tokens": sum(t.tokens for t in texts), "seconds": round(seconds, 2)}


def plain(student, problems, prompts, decode):
    """Return one row a problem for plain decoding, with the text's log-probability."""
    stops = {student.tokenizer.eos_token_id}
    for problem, prompt in zip(problems, prompts, strict=True):
        ids = torch.tensor(student.tokenizer(prompt, add_special_tokens=False)["input_ids"])
        began = time.perf_counter()
        new = decode(student.model, ids, stops)
        seconds = time.perf_counter() - began
        text = student.tokenizer.decode(new, skip_special_tokens=True)
        counts = counted(problem, [text], ["eos" if new[-1] in stops else "length"])
        yield {**counts, "tokens": len(new), "seconds": round(seconds, 2),
               "log_prob": round(log_prob(student.model, ids, new), 4)}  # fmt: skip


def counted(problem, texts, finishes):
    """Count what is right among the candidates of one problem."""
    scores = [score(text, finish, problem.answer) for text, finish in zip(texts, finishes)]
    return {
        "problem": problem.id,
        "family": problem.family,
        "candidates": len(texts),
        "right": sum(s["exact"] for s in scores),
        "formed": sum(s["format"] for s in scores),
        "different": len(set(texts)),
    }


EXPERIMENT = Experiment(
    csv="decoding_strategies.csv",
    key="strategy",
    columns="strategy problem family candidates right formed different tokens log_prob seconds "
    "student machine",
    arms=ARMS,
    run=run,
    test=48,
)

if __name__ == "__main__":
    main(EXPERIMENT, __doc__)
