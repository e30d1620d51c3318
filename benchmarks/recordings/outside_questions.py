"""Linear equations by others, as questions for `distillkit evaluate`: none of them is trained on.

In an environment of its own, as neither package is one of the kit's:

    pip install reasoning-gym==0.1.25 mathgenerator==1.5.0
    python -m benchmarks.recordings.outside_questions runs

Writes 200 questions a file: `outside.jsonl` (reasoning-gym's simple equations, seed 0: the wrong
answers to these were read before the curriculum was widened), `outside_fresh.jsonl` (the same, seed
1000: nobody had looked at these), `outside_fractions.jsonl` (mathgenerator's one unknown, solutions
mostly below 1) and `outside_systems.jsonl` (its systems of two).  Of mathgenerator's, those are
left out whose own answer is wrong (10 in 100 with one unknown), that lack a term ("8x +  = 48") or
have no single solution.
"""

import json
import random
import re
import sys
from fractions import Fraction
from pathlib import Path

SIZE = 200


def single(question):
    """Say whether a system of two has all its terms and one solution."""
    text = question.split("solve")[0].replace("- ", "-").replace("+ ", "")
    factors = [int(n + "1" * (n in ("", "-"))) for n in re.findall("(-?[0-9]*)[xy]", text)]
    return len(factors) == 4 and factors[0] * factors[3] != factors[1] * factors[2]


def write(path, draw):
    """Write different questions of a generator, seeded."""
    random.seed(0)
    found = {}
    while len(found) < SIZE:
        question, answer = draw()
        found.setdefault(question, answer)
    rows = ({"question": question, "answer": answer} for question, answer in found.items())
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def one_unknown(algebra):
    """Draw an equation a x + b = c with a right answer."""
    while True:
        equation, answer = (text.strip("$") for text in algebra.basic_algebra())
        said = re.fullmatch(r"([0-9]*)x \+ ([0-9]+) = ([0-9]+)", equation)
        a, b, c = (int(number or 1) for number in said.groups())
        if Fraction(answer) == Fraction(c - b, a):
            return f"Solve for x: {equation}", f"x = {answer}"


def system(algebra):
    """Draw a system with one solution."""
    while True:
        question, answer = (text.replace("$", "") for text in algebra.system_of_equations())
        if single(question):
            return question, answer


if __name__ == "__main__":
    import reasoning_gym
    from mathgenerator import algebra

    folder = Path(sys.argv[1])
    # The question at place i has the seed plus i: seeds nearer than 200 would share questions
    for seed, name in ((0, "outside.jsonl"), (1000, "outside_fresh.jsonl")):
        asked = reasoning_gym.create_dataset("simple_equations", size=SIZE, seed=seed)
        (folder / name).write_text("".join(json.dumps(question) + "\n" for question in asked))
    write(folder / "outside_fractions.jsonl", lambda: one_unknown(algebra))
    write(folder / "outside_systems.jsonl", lambda: system(algebra))
