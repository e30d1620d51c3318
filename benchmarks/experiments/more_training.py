"""Does the student that comes with the kit gain by more training, and by which?

    python -m benchmarks.experiments.more_training

It learned 3,200 of the solver's solutions.  Its adapter, cut to rank 12, is trained on: with others
of the same thirteen kinds in the same shares (and the general examples), or mostly with equations
of one operation and large numbers ("drills"), for of its 42 wrong answers to 200 questions of
`outside` (`generalisation_answers.jsonl`, in bfloat16) 41 first go wrong in a product, a sum or a
difference of numbers.  Then it is asked these 200 questions, greedily and in the same type as the
student before.
A row an arm: `gain` is that over the student before, paired; `right` has a 1 for each right
answer.  An arm is one training run: of how much another one differs, the row says nothing.
Expected before the runs: the same kinds at a peak rate of 3e-4, 800 solutions: 79 to 83 in 75
minutes of training on two cores in float32; drills at 1e-4: 82 to 88.  With 80.5 of these, 20 of 39
mistakes were products, most of them with a lost zero; so the next arm writes out what a product is
made of (`34 * 20 = 30 * 20 + 4 * 20 = 600 + 80 = 680`), at 2e-4, expected: 84 to 90.
The adapters and the answers are kept in `runs/more_training/`.
"""

import random
import re
from collections.abc import Sequence
from fractions import Fraction

from benchmarks.experiments.generalisation import ARMS as SPLITS
from benchmarks.experiments.generalisation import LIMIT
from benchmarks.runner import Experiment, gained, main, marks, rows_of, scored
from distillkit.evaluation.scoring import evaluate
from distillkit.pipeline.recipes import CURRICULA, in_turn, maker
from distillkit.problems.equations import Problem, belongs, canonical, make_problem
from distillkit.problems.solver import places
from distillkit.problems.wordings import reworded
from distillkit.runtime.files import read_csv, read_jsonl
from distillkit.runtime.session import data_path
from distillkit.traces.filters import Trace, mix, to_traces
from distillkit.traces.teachers import Solver
from distillkit.training.loop import TrainingConfig, distill
from distillkit.training.lora import ready_student

BROAD = CURRICULA["broad"]
SEED = 1
LEARNS = {  # solutions of the same kinds, drills, general share, products by places?, peak rate
    "nothing": (0, 0, 0, False, 0),
    "same kinds, 3e-4": (800, 0, BROAD["general"], False, 3e-4),
    "drills, 1e-4": (60, 450, 0, False, 1e-4),
    "drills, products by places, 2e-4": (60, 360, 0, True, 2e-4),
}


def run(arm, seed, bench):
    """Train the student, which is not done twice, and ask it."""
    folder, asked = bench.folder / arm, SPLITS["outside"](bench.test)
    student, spent = trained_on(arm, bench.machine, asked, folder)
    found = evaluate(student.model, student.tokenizer, asked, max_new_tokens=LIMIT, width=200,
                     journal=folder / "outside.jsonl")  # fmt: skip
    right = [row["exact"] for row in found]
    before = rows_of(EXPERIMENT, read_csv(bench.out), "nothing") if spent else []
    gain = gained([mark == "1" for mark in before[0]["right"]], right) if before else {}
    return {**scored(found), **gain, "right": marks(right), **spent}


def trained_on(learns, machine, asked, folder):
    """Return the student, its adapter merged, and what its training took."""
    student = ready_student(machine)
    rate, spent = LEARNS[learns][-1], {}
    if rate:
        rows = traces_for(learns, asked)
        config = TrainingConfig(rate, BROAD["batch_size"], seed=SEED)
        more = distill(student.model, student.tokenizer, rows, config=config,
                       out=folder / "training", on_step=told)  # fmt: skip
        spent = {"trace_tokens": more.tokens, "train_seconds": round(more.seconds)}
    student.model.merge_adapter()
    return student, spent


def traces_for(learns: str, asked: Sequence[Problem]) -> list[Trace]:
    """Return the traces: none of a problem that is asked."""
    solutions, drills, share, written_out, _ = LEARNS[learns]
    unseen = [make_problem(problem.text.split(":")[-1]) for problem in asked]
    turns = in_turn(BROAD["families"], BROAD["shares"])
    problems = maker("broad")(solutions, turns, "train", SEED, avoid=unseen)
    problems += reworded(drilled(drills, [*unseen, *problems]), SEED)
    solved = Solver(form="collect").sample(problems)
    if written_out:
        solved = [{**one, "text": by_places(one["text"])} for one in solved]
    traces = to_traces(solved)
    return mix(traces, read_jsonl(data_path("general.jsonl")), share, SEED, or_fewer=True)


def by_places(text: str) -> str:
    """Write out what a product is made of: `34 * 20 = 30 * 20 + 4 * 20 = 600 + 80 = 680`."""

    def written_out(found: re.Match) -> str:
        one, other = sorted(map(Fraction, found.group(1, 2)), key=lambda n: len(places(n)))
        parts = " + ".join(f"{place} * {one}" for place in places(other))
        return f"{found[1]} * {found[2]} = {parts} = {found[3]}"

    return re.sub(r"(?m)^(\d+) \* (\d+) = (\d+ \+ .*)$", written_out, text)


def drilled(n: int, avoid: Sequence[Problem]) -> list[Problem]:
    """Return n different equations of one operation, products, sums and quotients in turn."""
    rng, found = random.Random(f"drills-{SEED}"), []
    seen = {canonical(problem.equation) for problem in avoid}
    while len(found) < n:
        equation = (product, total, quotient)[len(found) % 3](rng)
        key = canonical(equation)
        if key not in seen and belongs(key, "train"):
            seen.add(key)
            found.append(make_problem(equation, "drill", "train"))
    return found


def product(rng: random.Random) -> str:
    """x/a = b: b of two to six digits, a of one digit, or of that and a zero."""
    b = of_digits(rng.choice((2, 2, 3, 3, 4, 4, 5, 6)), rng)
    return f"x/{rng.randint(2, 9) * rng.choice((1, 10, 10))} = {rng.choice((b, b, b, -b))}"


def total(rng: random.Random) -> str:
    """x + a = b or x - a = b: b of three to seven digits, a not longer."""
    digits = rng.choice((3, 3, 4, 4, 5, 5, 6, 7))
    a, b = of_digits(rng.randint(2, digits), rng), of_digits(digits, rng)
    return f"x {rng.choice('+-')} {a} = {rng.choice((b, b, b, -b))}"


def quotient(rng: random.Random) -> str:
    """ax = b: a of two to six digits, the solution of two."""
    a = of_digits(rng.choice((2, 2, 2, 3, 4, 4, 5, 6)), rng)
    return f"{a}x = {a * rng.randint(11, 99)}"


def of_digits(n: int, rng: random.Random) -> int:
    """Draw a number of n digits."""
    return rng.randint(10 ** (n - 1), 10**n - 1)


def told(row):
    """Say every tenth step how far the training is."""
    if row["step"] % 10 == 0:
        speed = row["tokens"] / row["seconds"]
        print(f"step {row['step']} of {row['steps']}, loss {row['loss']:.4f}, "
              f"{speed:.0f} tokens/s", flush=True)  # fmt: skip


EXPERIMENT = Experiment(
    csv="more_training.csv",
    key="learns",
    columns="learns n exact low high format lenient answer_tokens gain gain_low gain_high "
    "trace_tokens train_seconds right dtype machine date",
    arms=tuple(LEARNS),
    run=run,
    test=200,
    once=tuple(LEARNS),
)

if __name__ == "__main__":
    main(EXPERIMENT, __doc__)
