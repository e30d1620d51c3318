"""Does a rationale beside the label help a student that never writes it?  On three tasks.

    python -m benchmarks.experiments.step_by_step

Equations, where the label has to be worked out; worked solutions to be judged, where a wrong number
has to be found; and one step in which a number is moved, where two signs have to differ.  Every arm
learns the same questions in the same number of steps, from an eighth of the data (eight times) to
all of it (once); "label only, equal tokens" goes on until it has computed as many tokens as "two
tasks".
"""

import operator
import random
from functools import cache, partial

from benchmarks.runner import Experiment, counted, main
from distillkit.generation.sampler import sample
from distillkit.pipeline.recipes import TEST_SEED
from distillkit.problems.answers import same_value
from distillkit.problems.equations import NARROW, make_problems
from distillkit.problems.judging import to_check_signs, to_judge, to_solve
from distillkit.training.loop import TrainingConfig, distill
from distillkit.training.packing import Stream, pack, parts_of
from distillkit.training.step_by_step import (
    LABEL,
    LABEL_FIRST,
    STEPS_FIRST,
    asked,
    label_first,
    label_only,
    steps_first,
    two_tasks,
)

ALL, BATCH, STEPS = 256, 8, 32
TASKS = ("equations", "judging", "signs")
SIZES = (32, 64, 128, 256)
LABEL_ONLY, EQUAL_TOKENS = "label only", "label only, equal tokens"
WAYS = {  # what is learned of a question, and what is asked for in the end
    LABEL_ONLY: (label_only, LABEL),
    "one text, steps first": (steps_first, STEPS_FIRST),
    "one text, label first": (label_first, LABEL_FIRST),
    "two tasks": (two_tasks, LABEL),
    "two tasks, shuffled steps": (partial(two_tasks, shuffled=True), LABEL),
    "one text, steps first, label weighs half": (partial(steps_first, alpha=0.5), STEPS_FIRST),
    "one text, label first, label weighs half": (partial(label_first, alpha=0.5), LABEL_FIRST),
    EQUAL_TOKENS: (label_only, LABEL),
}


@cache
def questions(task, n, split, seed):
    """Return n questions of a task, of unseen equations or of those that may be learned."""
    problems = make_problems(2 * n if task == "signs" else n, NARROW, split, seed)
    if task == "equations":
        return [to_solve(problem) for problem in problems]
    found = to_judge(problems, seed) if task == "judging" else to_check_signs(problems, seed)[:n]
    assert len(found) == n
    return found


def batch_of(seed, size, step):
    """Return which of `size` questions are learned at a step, each as often as the others."""
    epoch, at = divmod(step, size // BATCH)
    order = list(range(size))
    random.Random(f"step-by-step-{seed}-{epoch}").shuffle(order)
    return order[at * BATCH : (at + 1) * BATCH]


def run(arm, seed, bench):
    """Train in one way on one task and size, and ask 200 questions."""
    task, way, size = arm
    student = bench.load()
    learned = questions(task, ALL, "train", 31 + seed)[:size]
    write, mode = WAYS[way]

    def draw(step, write=write):
        return [example for i in batch_of(seed, size, step)
                for example in write(student.tokenizer, learned[i])]  # fmt: skip

    def tokens(step, write=write):
        return sum(len(pack([*part])["input_ids"][0]) for part in parts_of(draw(step, write), 4096))

    steps = STEPS
    if way == EQUAL_TOKENS:
        budget = sum(tokens(step, two_tasks) for step in range(STEPS))
        steps = round(STEPS * budget / sum(map(tokens, range(STEPS))))
    stream = Stream(draw, steps, [task, way, size, seed])
    trained = distill(student.model, student.tokenizer, stream, config=TrainingConfig(seed=seed))
    answers = ask(trained.student, student.tokenizer, task, mode, bench.test)
    trained.student.unload()
    return {
        **counted([good for good, _, _ in answers]),
        "form": round(sum(f for _, f, _ in answers) / len(answers), 4),
        "answer_tokens": round(sum(n for _, _, n in answers) / len(answers), 1),
        "steps": steps, "computed_tokens": sum(row["computed"] for row in trained.log),
        "last_loss": round(trained.log[-1]["loss"], 4), "train_seconds": round(trained.seconds, 1),
    }  # fmt: skip


def ask(model, tokenizer, task, mode, n):
    """Ask n unseen questions in a mode; returns (right, in the form, tokens) of each."""
    asked_of = questions(task, n, "test", TEST_SEED)
    prompts = [asked(tokenizer, question, mode) for question in asked_of]
    rows = sample(model, tokenizer, prompts, stop="</answer>", max_new_tokens=192, width=n)
    found = []
    for question, (row,) in zip(asked_of, rows, strict=True):
        _, tag, rest = row.text.partition("<answer>")
        label, end, _ = rest.partition("</answer>")
        same = (same_value if task == "equations" else operator.eq)(label, question.label)
        found.append((bool(tag and end) and same, bool(tag and end), row.tokens))
    return found


EXPERIMENT = Experiment(
    csv="step_by_step.csv",
    key="task way size",
    columns="task way size seed n right low high form answer_tokens steps computed_tokens "
    "last_loss train_seconds dtype machine date",
    arms=[(task, way, size) for task in TASKS for size in SIZES for way in WAYS],
    run=run,
    test=200,
)

if __name__ == "__main__":
    main(EXPERIMENT, __doc__)
