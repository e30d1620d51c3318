"""What does a finished student gain if a line that does not hold is written again?

    python -m benchmarks.experiments.going_back

Begins with what the student that comes with the kit answered to 100 questions of a split, greedily
(`generalisation_answers.jsonl`, in bfloat16).  An answer that contradicts itself (`contradiction`:
neither the question nor the right answer is asked for) is cut where it does (`sound_part`: each
line is compared with the first equation of the same text) and written on from there, the rest of
that line drawn at temperature 1, greedily behind it.  After each line it is looked at again
(`distillkit.generation.going_back`); a text has twelve tries and 320 tokens more.  One that does
not come to its end leaves the old answer as it was.  The seeds are three streams of random numbers,
written at once.  The control is `several_tries.csv`: to the same questions, whole answers that
contradict themselves are written anew, up to four times.

A row a split, way and seed: `sound` is the share of answers that contradict themselves nowhere,
`sound_right` of those that are right besides, `tokens` what a question costs, the tokens that were
taken back included, `right` has a 1 for each right one.
Expected before the run: outside 79 to 88, broad 80 to 90; of the answers without a contradiction 99
in 100 are right; 1.3 times the greedy tokens.
A first form was run with one seed, n = 200: the whole answer anew in float32, temperature 0.7, back
to the start of the line, two tries a line and one line more, eight in all.  It gave 85 (79-89),
broad 86 (81-90), systems 61 (54-67), stories 81 (74-85) of 100, but 26 of 216 texts held without
going back once, for they were computed in another type; 152 were stuck.
Texts are kept in `runs/going_back/`.
"""

from benchmarks.experiments.several_tries import WIDTH, merged
from benchmarks.runner import DATA, Experiment, counted, gained, main, marks
from distillkit.evaluation.choosing import contradiction, sound_part
from distillkit.evaluation.scoring import score
from distillkit.generation.going_back import GoBack
from distillkit.generation.sampler import sample
from distillkit.runtime.files import read_jsonl, write_jsonl
from distillkit.traces.templates import THINK, prompt_text

ARMS = ("outside", "broad")
STREAMS, MOST = 3, 320


def run(arm, seed, bench):
    """Write on, from where it contradicts itself, what a recorded answer contradicts itself in."""
    student = merged(bench.machine.tier, bench.machine.dtype)
    recorded = read_jsonl(DATA / "generalisation_answers.jsonl")
    recorded = [row for row in recorded if row["split"] == arm][: bench.test]
    greedy = [{**judged(row), "tokens": len(student.tokenizer(row["text"])["input_ids"])}
              for row in recorded]  # fmt: skip
    unsound = [at for at, row in enumerate(greedy) if not row["sound"]]
    kept = bench.folder / f"{arm}-{bench.test}.jsonl"
    if not kept.exists():
        write_jsonl(kept, go_back(student, [recorded[at] for at in unsound]))
    texts = [row for row in read_jsonl(kept) if row["stream"] == seed]
    after = list(greedy)
    for at, text in zip(unsound, texts, strict=True):
        new = judged(text)
        spent = greedy[at]["tokens"] + text["tokens"]
        after[at] = {**(new if new["sound"] else greedy[at]), "tokens": spent}
    before = [row["exact"] for row in greedy]
    return [{"way": way, **rated(before, rows)}
            for way, rows in (("greedy", greedy), ("going back", after))]  # fmt: skip


def go_back(student, rows):
    """Write on answers from where they contradict themselves, greedily and each going back to where
    it holds, with all streams of random numbers at once; return the texts."""
    prompts = [prompt_text(student.tokenizer, row["problem"]["text"]) for row in rows]
    written = sample(student.model, student.tokenizer, prompts, k=STREAMS, stop=THINK.stop,
                     max_new_tokens=MOST, width=WIDTH, begun=[sound_part(r["text"]) for r in rows],
                     back=GoBack(lambda _, text: sound_part(text)))  # fmt: skip
    return [{"problem": row["problem"], **vars(text), "stream": stream}
            for row, texts in zip(rows, written, strict=True)
            for stream, text in enumerate(texts)]  # fmt: skip


def judged(row):
    """Return what an answer is worth, and what can be said of it without the right answer."""
    verdict = score(row["text"], row["finish"], row["problem"]["answer"])
    return {**verdict, "sound": not contradiction(row["text"])}


def rated(before, rows):
    """Return how many answers are right, against the greedy ones; how many contradict themselves
    nowhere, and how many are right besides; what a question cost."""
    n, right = len(rows), [row["exact"] for row in rows]
    counts = counted(right)
    return {
        **counts,
        **gained(before, right),
        "exact": counts["right"],
        "tokens": round(sum(row["tokens"] for row in rows) / n, 1),
        "sound": round(sum(row["sound"] for row in rows) / n, 4),
        "sound_right": round(sum(row["sound"] and row["exact"] for row in rows) / n, 4),
        "right": marks(right),
    }


EXPERIMENT = Experiment(
    csv="going_back.csv",
    key="split",
    columns="split way seed n exact low high gain gain_low gain_high tokens sound "
    "sound_right right dtype machine date",
    arms=ARMS,
    run=run,
)

if __name__ == "__main__":
    main(EXPERIMENT, __doc__)
