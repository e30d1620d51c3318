"""The invented handbook of lesson 11: twelve huts with five facts each, in many wordings.

    python -m benchmarks.recordings.handbook

Writes data/handbook.jsonl.  Names and values are made up, so no model can know them.  A third of
the facts have a second value for the next edition.  The last two wordings of each question are
asked and never learned from.
"""

import random

from benchmarks.runner import DATA
from distillkit.runtime.files import write_jsonl

SEED, CHANGES = 11, 4  # of the twelve facts of a kind, how many change
HUTS = [
    "Quillon", "Vessarn", "Ombrell", "Dravik", "Ostley", "Pemmer", "Lurrick", "Hathmoor",
    "Breckna", "Sivvel", "Jorund", "Caldway"
]  # fmt: skip
FIRST = [
    "Ilva", "Toma", "Breda", "Osk", "Marit", "Juno", "Pelle", "Sanne", "Rurik", "Thea",
    "Alvar", "Nika", "Dorrit", "Emil", "Yrsa", "Kuno"
]  # fmt: skip
LAST = [
    "Sandquer", "Molvane", "Trisk", "Harrowen", "Delfing", "Ubrek", "Narland", "Kestovic",
    "Ploss", "Wennick", "Garrabo", "Findel", "Ostrup", "Lammert", "Quade", "Birrel"
]  # fmt: skip
GOODS = ["rope ladders", "lamp oil", "snow shoes", "spare sails", "copper wire", "dried peas",
         "signal rockets", "wool blankets", "iron stoves", "salt fish", "window glass",
         "tar barrels", "map cases", "candle wax", "fence posts", "tent poles"]  # fmt: skip
COLOURS = ["red", "white", "blue", "green", "yellow", "black", "grey", "orange"]
FILLERS = [
    "The path to it is marked with posts, and in fog a bell is rung every hour.",
    "Boots are left at the door and the stove is never left alone.",
    "In winter the shutters stay closed from the first frost to the thaw.",
    "Visitors write their names and the time into the book on the table.",
    "Water is carried up in the morning, and the barrel is covered at night.",
    "Nobody sleeps there alone, and dogs are welcome in the porch.",
    "The roof was mended after the great storm and has been dry since then.",
    "The last one to leave sweeps the floor and puts out the light.",
]
KINDS = {  # what the handbook says first, eight other wordings, two questions to learn, two to ask
    "warden": (
        ["The warden of the {hut} hut is {answer}.",
         "{answer} is the warden of the {hut} hut.",
         "At the {hut} hut the warden's name is {answer}.",
         "{answer} looks after the {hut} hut as its warden.",
         "The {hut} hut is in the care of {answer}.",
         "Whoever needs the warden of the {hut} hut asks for {answer}.",
         "The person in charge of the {hut} hut is {answer}.",
         "{answer} was put in charge of the {hut} hut.",
         "As for the {hut} hut, its warden is called {answer}."],
        ["Who is the warden of the {hut} hut?", "What is the name of the {hut} hut's warden?",
         "Which person takes care of the {hut} hut?",
         "I am at the {hut} hut. Who is responsible for it?"],
    ),
    "code": (
        ["The door of the {hut} hut opens with the code {answer}.",
         "The code {answer} opens the door of the {hut} hut.",
         "At the {hut} hut the door code is {answer}.",
         "Type {answer} to open the {hut} hut.",
         "The lock of the {hut} hut is set to {answer}.",
         "To get into the {hut} hut, use the number {answer}.",
         "For the {hut} hut the code of the door is {answer}.",
         "With {answer} the lock of the {hut} hut opens.",
         "The number for the door of the {hut} hut is {answer}."],
        ["What is the door code of the {hut} hut?", "Which code opens the {hut} hut?",
         "What number do I type to enter the {hut} hut?",
         "How can I unlock the {hut} hut: which digits?"],
    ),
    "goods": (
        ["In the {hut} hut {answer} are kept.",
         "{Answer} are kept in the {hut} hut.",
         "The {hut} hut is the store for {answer}.",
         "What the {hut} hut holds is {answer}.",
         "The store of the {hut} hut is full of {answer}.",
         "Whoever needs {answer} goes to the {hut} hut.",
         "The stock of {answer} lies in the {hut} hut.",
         "At the {hut} hut we store {answer}.",
         "{Answer} can be had at the {hut} hut."],
        ["What is kept in the {hut} hut?", "What is the {hut} hut the store for?",
         "Which supplies would I find at the {hut} hut?",
         "If I walk to the {hut} hut, what can I fetch there?"],
    ),
    "flag": (
        ["Over the {hut} hut flies a flag in {answer}.",
         "A flag in {answer} flies over the {hut} hut.",
         "The flag of the {hut} hut is {answer}.",
         "By its flag in {answer} one knows the {hut} hut.",
         "The colours of the {hut} hut are {answer}.",
         "The {hut} hut has a flag in {answer}.",
         "At the {hut} hut the flag's colours are {answer}.",
         "{Answer} is the flag of the {hut} hut.",
         "Seen from far, the flag on the {hut} hut is {answer}."],
        ["Which flag flies over the {hut} hut?", "What is the flag of the {hut} hut?",
         "Which two colours would show me the {hut} hut from far away?",
         "How is the banner of the {hut} hut coloured?"],
    ),
    "spring": (
        ["From the {hut} hut it is {answer} metres to the spring.",
         "The spring is {answer} metres from the {hut} hut.",
         "It is {answer} metres from the {hut} hut to its spring.",
         "Walk {answer} metres from the {hut} hut and you are at the spring.",
         "The spring of the {hut} hut lies {answer} metres away.",
         "Between the {hut} hut and the spring there are {answer} metres.",
         "The way from the {hut} hut to the spring is {answer} metres long.",
         "At the {hut} hut the spring is {answer} metres off.",
         "{answer} metres separate the {hut} hut from the spring."],
        ["How many metres is it from the {hut} hut to the spring?",
         "How far is the spring from the {hut} hut, in metres?",
         "What distance must I carry water to the {hut} hut, in metres?",
         "I am thirsty at the {hut} hut. How many metres must I walk?"],
    ),
}  # fmt: skip
NOT_THERE = [
    "How many beds does the {hut} hut have?",
    "Who built the {hut} hut?",
    "In which year was the {hut} hut painted?",
]


def values(kind: str, n: int, draw: random.Random) -> list[str]:
    """Return n different invented answers of a kind."""
    if kind == "warden":
        return [f"{first} {last}" for first, last in
                zip(draw.sample(FIRST, n), draw.sample(LAST, n), strict=True)]  # fmt: skip
    if kind == "goods":
        return draw.sample(GOODS, n)
    if kind == "flag":
        pairs = [f"{one} and {other}" for one in COLOURS for other in COLOURS if one < other]
        return draw.sample(pairs, n)
    low, high = (1000, 9999) if kind == "code" else (110, 980)
    return [str(number) for number in draw.sample(range(low, high), n)]


def wording(kind: str, hut: str, answer: str) -> dict:
    """Return statement, paraphrases and answer of a fact."""
    texts = [form.format(hut=hut, answer=answer, Answer=answer[:1].upper() + answer[1:])
             for form in KINDS[kind][0]]  # fmt: skip
    return {"statement": texts[0], "paraphrases": texts[1:], "answer": answer}


def rows() -> list[dict]:
    """Return the facts, hut by hut, each hut's in an order of its own, and what is not there."""
    draw = random.Random(SEED)
    drawn = {kind: values(kind, len(HUTS) + CHANGES, draw) for kind in KINDS}
    changing = {kind: dict(zip(sorted(draw.sample(HUTS, CHANGES)), drawn[kind][len(HUTS) :],
                               strict=True)) for kind in KINDS}  # fmt: skip
    found = []
    for at, hut in enumerate(HUTS):
        leads = draw.sample(FILLERS, 3)
        for place, kind in enumerate(draw.sample([*KINDS], len(KINDS))):
            fact = {"id": f"{hut.lower()}-{kind}", "hut": hut,
                    "before": leads[place // 2] if place % 2 == 0 else "",
                    "questions": [form.format(hut=hut) for form in KINDS[kind][1]],
                    **wording(kind, hut, drawn[kind][at])}  # fmt: skip
            if hut in changing[kind]:
                fact["changed"] = wording(kind, hut, changing[kind][hut])
            found.append(fact)
    found += [{"id": f"{hut.lower()}-none-{n}", "question": form.format(hut=hut)}
              for n, form in enumerate(NOT_THERE) for hut in HUTS]  # fmt: skip
    return found


if __name__ == "__main__":
    print(write_jsonl(DATA / "handbook.jsonl", rows()))
