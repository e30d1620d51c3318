"""What does a finished student gain from four tries, if nobody knows the right answer?

    python -m benchmarks.experiments.several_tries

The student that comes with the kit answers each question once, greedily, and four times at
temperature 0.7.  One answer is taken: the first of the four; the one that most of them give
(`majority`); the first that contradicts itself nowhere (`contradiction`), or the first of all; the
greedy one, and "again": if it contradicts itself, the first of the four that does not; and, as the
most that any choice could reach, a right one of the five if there is one.

A row a split, way and seed: `sound` is the share of answers taken that contradict themselves
nowhere, `sound_right` of those that are right besides, `tokens` what a question costs if one answer
is written after the other and only as far as needed, `right` has a 1 for each right answer.
Expected before the run: the first of four is 2 to 6 points below the greedy answer; votes bring 3
to 8 points, answers without a contradiction 8 to 15, but none of these in stories, where it is the
equation that is wrong; elsewhere 98 of 100 answers without a contradiction are right.  ("again"
was added when the first 100 questions had been seen.)
Texts are kept in `runs/several_tries/`.
"""

from functools import cache

from benchmarks.experiments.generalisation import ARMS as SPLITS
from benchmarks.experiments.generalisation import LIMIT
from benchmarks.runner import Experiment, counted, gained, main, marks
from distillkit.evaluation.choosing import contradiction, majority
from distillkit.evaluation.scoring import evaluate, score
from distillkit.runtime.session import start
from distillkit.traces.teachers import Local
from distillkit.training.lora import ready_student

K, TEMPERATURE, WIDTH = 4, 0.7, 200
ARMS = ("outside", "broad", "systems", "stories")
WAYS = {  # the greedy answer and four tries -> the answer that is taken, and all that were written
    "greedy": lambda greedy, tries: (greedy, [greedy]),
    "first": lambda greedy, tries: (tries[0], tries[:1]),
    "majority": lambda greedy, tries: (voted(tries), tries),
    "own steps": lambda greedy, tries: until_sound(tries),
    "again": lambda greedy, tries: until_sound([greedy, *tries]),
    "any": lambda greedy, tries: right_one([greedy, *tries]),
}


def run(arm, seed, bench):
    """Ask all questions of a split once and four times."""
    asked = SPLITS[arm](bench.test)
    student = merged(bench.machine.tier, bench.machine.dtype)
    once = evaluate(student.model, student.tokenizer, asked, max_new_tokens=LIMIT, width=WIDTH,
                    journal=bench.folder / f"{arm}.jsonl")  # fmt: skip
    often = Local(
        student.model, student.tokenizer, student.name, student.source, student.sha256, shots=(),
        max_new_tokens=LIMIT, width=WIDTH,
    ).sample(asked, K, TEMPERATURE, seed, bench.folder / f"{arm}-{seed}.jsonl")  # fmt: skip
    greedy, tries = list(map(judged, once)), list(map(judged, often))
    groups = [tries[at : at + K] for at in range(0, len(tries), K)]
    before, rows = [one["exact"] for one in greedy], []
    for way, take in WAYS.items():
        taken = [take(one, four) for one, four in zip(greedy, groups, strict=True)]
        tokens = sum(t["tokens"] for _, written in taken for t in written)
        rows.append({"way": way, **rated(before, [answer for answer, _ in taken], tokens)})
    return rows


@cache
def merged(tier, dtype):
    """Return the student that comes with the kit, its adapter merged: half as many products."""
    student = ready_student(start(tier, dtype=dtype))
    student.model.merge_adapter()
    return student


def judged(row):
    """Return what a try is worth, and what can be said of it without the right answer."""
    verdict = score(row["text"], row["finish"], row["problem"]["answer"])
    return {**verdict, "sound": not contradiction(row["text"]), "tokens": row["tokens"]}


def voted(tries):
    """Return the first try whose answer most tries give; those out of form do not vote."""
    answers = [t["read"] if t["format"] else None for t in tries]
    best = majority(answers)
    return tries[answers.index(best)] if best is not None else tries[0]


def right_one(tries):
    """Return a right try if there is one, which only the key can tell, and all tries."""
    return next((t for t in tries if t["exact"]), tries[0]), tries


def until_sound(tries):
    """Return the first try that contradicts itself nowhere, and those written until then; the first
    of all if there is none."""
    at = next((at for at, t in enumerate(tries) if t["sound"]), None)
    return (tries[0], tries) if at is None else (tries[at], tries[: at + 1])


def rated(before, answers, tokens):
    """Return how many answers are right, against the greedy ones; how many contradict themselves
    nowhere, and how many are right besides; of all `tokens`, those that a question cost."""
    n, right = len(answers), [answer["exact"] for answer in answers]
    sound = [answer["exact"] for answer in answers if answer["sound"]]
    counts = counted(right)
    return {
        **counts,
        **gained(before, right),
        "exact": counts["right"],
        "tokens": round(tokens / n, 1),
        "sound": round(len(sound) / n, 4),
        "sound_right": round(sum(sound) / n, 4),
        "right": marks(right),
    }


EXPERIMENT = Experiment(
    csv="several_tries.csv",
    key="split",
    columns="split way seed n exact low high gain gain_low gain_high tokens sound sound_right "
    "right dtype machine date",
    arms=ARMS,
    run=run,
)

if __name__ == "__main__":
    main(EXPERIMENT, __doc__)
