"""What does a finished student gain if a line that does not hold is written again?

    python -m benchmarks.experiments.going_back

Begins with what the student that comes with the kit answered to 200 questions of a split, greedily
(`generalisation_answers.jsonl`, in bfloat16).  An answer that contradicts itself (`contradiction`:
neither the question nor the right answer is asked for) is cut where it does (`sound_part`: each
line is compared with the first equation of the same text) and written on from there, drawn at
temperature 1 until the text is further than where it failed, greedily behind that.  After each line
it is looked at again; a refused text is not drawn again (`distillkit.generation.going_back`); a
text has 24 tries and 640 tokens more.  One that does not come to its end leaves the old answer as
it was.  The seeds are three streams of random numbers, written at once.  The control is
`several_tries.csv`: to the first 100 of these questions, whole answers that contradict themselves
are written anew, up to four times.

A row a split, way and seed: `sound` is the share of answers that contradict themselves nowhere,
`sound_right` of those that are right besides, `tokens` what a question costs, the tokens that were
taken back included, `right` has a 1 for each right one.
Expected before the run, of the first 100 questions: outside 77 to 87, broad 75 to 84; of the
answers without a contradiction 99 in 100 are right; 1.5 times the greedy tokens.
The other 100 questions of `outside` had been looked at, with 12 tries and 320 tokens: 81 to 90, 90,
88, and to 89, 90, 87 if a text only ever goes back to the line that failed.
Two forms before that drew only the line that is written again, also where the text went further
back, and drew what was refused again.  With 12 tries and 320 tokens: outside 77 to 85, 84, 85,
broad 75 to 82, 84, 81 (expected were 88 and 90).  With one seed, n = 200, the whole answer anew in
float32, temperature 0.7, back to the start of the line, eight tries: 85 (79-89), broad 86 (81-90),
systems 61 (54-67), stories 81 (74-85) of 100, but 26 of 216 texts held without going back once, for
they were computed in another type.
Texts are kept in `runs/going_back/`.
"""

from benchmarks.experiments.several_tries import WIDTH, judged, merged, rated
from benchmarks.runner import DATA, Experiment, main
from distillkit.evaluation.choosing import sound_part
from distillkit.generation.going_back import TRIES_HERE, GoBack
from distillkit.generation.sampler import sample
from distillkit.models.loading import fingerprint
from distillkit.runtime.files import Journal, read_jsonl
from distillkit.traces.templates import THINK, prompt_text

ARMS = ("outside", "broad")
STREAMS, MOST = 3, 640
FORM = "a tree of what was refused"  # what the texts depend on besides: how a text goes back
BACK = GoBack(lambda _, text: sound_part(text), tries=24)


def run(arm, seed, bench):
    """Write on, from where it contradicts itself, what a recorded answer contradicts itself in.

    Raises ValueError for a stream of random numbers that is not written.
    """
    if not 0 <= seed < STREAMS:
        raise ValueError(f"there are {STREAMS} streams of random numbers: no seed is above "
                         f"{STREAMS - 1}, and {seed} was asked for")  # fmt: skip
    student = merged(bench.machine.tier, bench.machine.dtype)
    recorded = read_jsonl(DATA / "generalisation_answers.jsonl")
    recorded = [row for row in recorded if row["split"] == arm][: bench.test]
    lengths = [len(student.tokenizer(row["text"])["input_ids"]) for row in recorded]
    greedy = [judged({**row, "tokens": n}) for row, n in zip(recorded, lengths, strict=True)]
    unsound = [at for at, row in enumerate(greedy) if not row["sound"]]
    texts = go_back(student, [recorded[at] for at in unsound], bench.folder / f"{arm}.jsonl")
    after, spent = list(greedy), 0
    for at in unsound:
        text = texts[recorded[at]["problem"]["id"], seed]
        new = judged({**text, "problem": recorded[at]["problem"]})
        after[at] = new if new["sound"] else after[at]
        spent += text["tokens"]
    before = [row["exact"] for row in greedy]
    return [{"way": "greedy", **rated(before, greedy, sum(lengths))},
            {"way": "going back", **rated(before, after, sum(lengths) + spent)}]  # fmt: skip


def go_back(student, rows, journal):
    """Write on each recorded answer that contradicts itself, from where it does, with all streams
    of random numbers at once; return the texts by question and stream."""
    about = {"model": fingerprint(student.model), "most": MOST, "tries": BACK.tries,
             "temperature": BACK.temperature, "tries_here": TRIES_HERE, "form": FORM}  # fmt: skip
    with Journal(journal, about) as book:
        texts = {(row["id"], row["stream"]): row for row in book}
        left = [row for row in rows
                if any((row["problem"]["id"], n) not in texts for n in range(STREAMS))]  # fmt: skip

        def add(at, stream, text):
            row = {"id": left[at]["problem"]["id"], "stream": stream, **text.record()}
            if (row["id"], stream) not in texts:
                book.add(row)
                texts[row["id"], stream] = row

        prompts = [prompt_text(student.tokenizer, row["problem"]["text"]) for row in left]
        sample(student.model, student.tokenizer, prompts, k=STREAMS, stop=THINK.stop,
               max_new_tokens=MOST, width=WIDTH, on_done=add, back=BACK,
               begun=[sound_part(row["text"]) for row in left])  # fmt: skip
    return texts


EXPERIMENT = Experiment(
    csv="going_back.csv",
    key="split",
    columns="split way seed n exact low high gain gain_low gain_high tokens sound "
    "sound_right right dtype machine date",
    arms=ARMS,
    run=run,
    test=200,
)

if __name__ == "__main__":
    main(EXPERIMENT, __doc__)
