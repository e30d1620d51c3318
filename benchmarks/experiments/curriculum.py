"""Which solutions, which words, how many?  One change at a time, on the same equations.

    python -m benchmarks.experiments.curriculum

Trains Qwen-0.5B on the solver's solutions of the narrow families and of brackets on both sides,
with general examples, and asks unseen equations of these families in other people's words.  Every
recipe differs from "base" (the form "arithmetic", in other people's words) in one thing.
"""

from benchmarks.runner import Experiment, main, scored
from distillkit.evaluation.scoring import evaluate
from distillkit.evaluation.slips import slips
from distillkit.pipeline.recipes import TEST_SEED, examples
from distillkit.problems.equations import FAMILIES, SMALL, make_problems
from distillkit.problems.trace_forms import FORMS
from distillkit.problems.wordings import reworded
from distillkit.runtime.files import read_jsonl
from distillkit.runtime.session import data_path
from distillkit.traces.filters import choose, mix, reject, to_traces
from distillkit.traces.teachers import Solver
from distillkit.training.loop import TrainingConfig, distill

LIMIT = 240  # tokens of an answer; longer than any solution
UNTRAINED = {"untouched": (), "few-shot": examples("broad")}  # name -> examples in the prompt
ARMS = {
    **UNTRAINED,
    "base": {},
    **{form: {"form": form} for form in FORMS if form != "arithmetic"},
    "one wording": {"words": False},
    "easy to hard": {"sort": True},
    "half the problems twice": {"epochs": 2},
    **{f"{128 // n} solutions {n} times": {"traces": 128, "epochs": n} for n in (4, 16)},
    **{f"{n} traces": {"traces": n} for n in (8, 16, 32, 128, 256, 512, 1024)},
}


def taught(student, seed, traces=64, form="arithmetic", words=True, sort=False, epochs=1):
    """Return the trained model and what training took."""
    problems = make_problems(traces // epochs, SMALL, "train", seed)
    if words:
        problems = reworded(problems, seed)
    kept, _ = reject(Solver(form=form).sample(problems))
    chosen = choose(kept, traces // epochs, seed)
    if sort:
        chosen.sort(key=lambda c: list(FAMILIES).index(c["problem"]["family"]))
    general = read_jsonl(data_path("general.jsonl"))
    rows = mix(to_traces(chosen), general, 0.2, seed, or_fewer=True)
    if sort:  # mixing has shuffled: the general examples stay where they came to stand
        places = [i for i, row in enumerate(rows) if "family" in row]
        for place, row in zip(places, to_traces(chosen), strict=True):
            rows[place] = row
    config = TrainingConfig(epochs=epochs, seed=seed, shuffle=not sort)
    trained = distill(student.model, student.tokenizer, rows, config=config)
    return trained.student, {
        "solutions": len(chosen),
        "traces": len(rows) * epochs,
        "trace_tokens": trained.tokens,
        "train_seconds": round(trained.seconds, 1),
    }


def run(arm, seed, bench):
    """Train once (or not at all), and ask."""
    student, shots = bench.load(), UNTRAINED.get(arm, ())
    model, about = student.model, {"seed": 0, "solutions": 0, "traces": 0}
    if arm not in UNTRAINED:
        model, about = taught(student, seed, **ARMS[arm])
    asked = reworded(make_problems(bench.test, SMALL, "test", TEST_SEED), TEST_SEED)
    answers = evaluate(model, student.tokenizer, asked, shots=shots, width=len(asked),
                       max_new_tokens=LIMIT)  # fmt: skip
    print(arm, seed, slips(answers), flush=True)
    if arm not in UNTRAINED:
        model.unload()  # never merged: 16-bit weights would not come back the same
    return {"split": "worded", **about, **scored(answers)}


EXPERIMENT = Experiment(
    csv="curriculum.csv",
    key="recipe",
    columns="recipe seed split n exact low high format lenient answer_tokens solutions traces "
    "trace_tokens train_seconds dtype machine date",
    arms=ARMS,
    run=run,
    once=UNTRAINED,
)

if __name__ == "__main__":
    main(EXPERIMENT, __doc__)
