"""Make the labelled set of lesson 05: real candidates, and marked mutations of good ones.

    python -m benchmarks.recordings.label_candidates [--each 24] [--seed 0]

Writes `data/labelled_candidates.jsonl`.  Every line has a text, its finish, and `faults`: what is
wrong with it by construction (a mutation) or by reading (a real one; `read_candidates.csv` has what
was noted).  "harmless" mutations look unusual and are usable.
"""

import argparse
import random
import re
from collections import Counter
from pathlib import Path

from benchmarks.runner import DATA
from distillkit.runtime.files import read_csv, read_jsonl, write_jsonl
from distillkit.runtime.session import data_path
from distillkit.traces.filters import reject
from distillkit.traces.teachers import RECORDED
from distillkit.traces.templates import THINK

OUT = DATA / "labelled_candidates.jsonl"
READ = Path(__file__).with_name("read_candidates.csv")
CHINESE = ("两边同时减去这个数", "所以我们得到", "现在除以系数", "移项得到")
DANISH = ("så trækker vi tallet fra på begge sider", "nu dividerer vi med tallet foran",
          "det giver os løsningen", "vi flytter leddet over på den anden side")  # fmt: skip
TALK = ("To solve this equation we need to think carefully about what happens on both sides, "
        "because whatever we do to one side we also have to do to the other side, and if we keep "
        "this in mind at every single step we can be sure that the result which we reach in the "
        "end is the only one. ")  # fmt: skip
PROSE = ("First the numbers go to the right:", "Now I divide by the factor:", "This leaves:")


def body(text):
    """Return the steps, a list of lines, and the answer."""
    parsed = THINK.parse(text)
    return parsed.reasoning.split("\n"), parsed.answer


def joined(lines, answer):
    """Put a text together again."""
    return THINK.render("\n".join(lines), answer)


def other_number(line, rng):
    """Change one number of a line."""
    found = rng.choice(list(re.finditer(r"[0-9]+", line)))
    changed = str(int(found[0]) + rng.choice([1, 2, 3]))
    return line[: found.start()] + changed + line[found.end() :]


def cut(text, rng):
    return text[: rng.randint(len(text) // 3, len(text) - 12)]


def inserted(words):
    def change(text, rng):
        lines, answer = body(text)
        lines.insert(rng.randint(1, len(lines)), rng.choice(words))
        return joined(lines, answer)

    return change


def repeated(text, rng):
    lines, answer = body(text)
    at = rng.randrange(len(lines))
    return joined([*lines[:at], *[lines[at]] * rng.choice([2, 3, 6]), *lines[at + 1 :]], answer)


def wrong_step(text, rng):
    lines, answer = body(text)
    at = rng.randrange(len(lines) - 1)
    return joined([*lines[:at], other_number(lines[at], rng), *lines[at + 1 :]], answer)


def wrong_answer(text, rng):
    before, answer = text.split("<answer>")
    return before + "<answer>" + other_number(answer, rng)


def tag_lost(text, rng):
    return text.replace(rng.choice(["<think>", "</think>", "<answer>", "</answer>"]), "", 1)


def goes_on(text, rng):
    ends = ["\nI hope this helps!", "\nSolve for x: 2x = 4", " <answer>7</answer>"]
    return text + rng.choice(ends)


def minus(text, rng):
    return text.replace("-", "−")


def spaces(text, rng):
    return "\n" + text.replace("\n", "  \n").replace("</think>", "\n</think>\n")


def fraction(text, rng):
    before, answer = text.split("<answer>x = ")
    factor = rng.choice([2, 3])
    number = int(answer.removesuffix("</answer>"))
    return f"{before}<answer>x = {factor * number}/{factor}</answer>"


MUTATIONS = {  # name -> (change, the faults it makes, how the text ends)
    "cut off": (cut, ["finished", "template"], "length"),
    "Chinese in between": (inserted(CHINESE), ["one language"], "stop"),
    "Danish in between": (inserted(DANISH), ["one language"], "stop"),
    "long paragraph": (inserted([TALK]), ["short"], "stop"),
    "repetition": (repeated, ["no repetition"], "stop"),
    "right answer by a wrong step": (wrong_step, ["steps"], "stop"),
    "wrong answer after right steps": (wrong_answer, ["correct"], "stop"),
    "a tag is lost": (tag_lost, ["template"], "stop"),
    "goes on after the answer": (goes_on, ["template"], "stop"),
    "harmless: another minus sign": (minus, [], "stop"),
    "harmless: spaces": (spaces, [], "stop"),
    "harmless: prose between the steps": (inserted(PROSE), [], "stop"),
    "harmless: the answer as a fraction": (fraction, [], "stop"),
}


def main():
    """Write the set and print how many lines it has of each kind."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--each", type=int, default=24)
    arguments.add_argument("--seed", type=int, default=0)
    options = arguments.parse_args()
    rng = random.Random(options.seed)
    recorded = {row["id"]: row for row in read_jsonl(data_path(RECORDED))}
    noted = {row["id"]: row["faults"].split() for row in read_csv(READ)}
    rows = [labelled(recorded[id], "real", noted[id]) for id in noted]
    good = [c for c in reject(list(recorded.values()))[0]
            if len(body(c["text"])[0]) > 2 and c["id"] not in noted]  # fmt: skip
    for name, (change, faults, finish) in MUTATIONS.items():
        fitting = [c for c in good if name != "harmless: another minus sign" or "-" in c["text"]]
        for candidate in rng.sample(fitting, options.each):
            text = change(candidate["text"], rng)
            rows.append(labelled({**candidate, "text": text, "finish": finish}, name, faults))
    write_jsonl(OUT, rows)
    print(Counter(row["origin"] for row in rows))


def labelled(candidate, origin, faults):
    """Return a candidate with its label and without what the rules do not read."""
    return {
        "id": f"{candidate['id']}, {origin}", "origin": origin, "faults": faults,
        "problem": candidate["problem"], "teacher": {"template": "think"},
        "text": candidate["text"], "finish": candidate["finish"],
    }  # fmt: skip


if __name__ == "__main__":
    main()
