"""Found passages: how often they are found, and what a student makes of them."""

from __future__ import annotations

from benchmarks.report.parts import (
    WILSON,
    distinct,
    origin,
    percent,
    plain,
    rate,
    row,
    rows,
    section,
    table,
)

RUN = "python -m benchmarks.experiments."


def reading() -> str:
    """Questions about invented facts, by what stands in the prompt."""
    path = "data/distil_or_retrieve.csv"
    facts = rows(path, task="facts")
    measures = distinct(facts, "measure")

    def line(way: str) -> str:
        known = {r["measure"]: r for r in facts if r["way"] == way}
        right = (rate(known[m], "right") if m in known else "" for m in measures)
        return f"{way} | {plain(known['facts']['prompt_tokens'])} | {' | '.join(right)}"

    def obeyed(way: str) -> str:
        r = row(path, way=way, measure="facts, an instruction in a passage")
        return f"{round(float(r['obeyed']) * int(r['n']))} times in {r['n']}"

    return section(
        "Reading found passages",
        origin(path, f"{RUN}distil_or_retrieve --device cuda", WILSON, task="facts"),
        table(
            f"in the prompt | its tokens | {' | '.join(measures)}",
            map(line, distinct(facts, "way")),
        ),
        f"""An invented handbook, questions in other words than its own; the untouched student;
        three passages of 40 words that BM25 finds.  The arms that train are still to be run, so
        claim 12 is open.  The right passage was found for every question: what fails is the
        reading.  "Must answer" takes away the leave to say that it is not in the handbook; "not
        there" are questions that it does not answer, met when the student says so.  An order
        planted in a passage is obeyed {obeyed("retrieved")} with quotes,
        {obeyed("retrieved, unquoted")} without: quotes do not stop it.""",
    )


def recall() -> str:
    """How often the right passage is found."""
    path, sizes = "data/recall.csv", (16, 32, 64, 128, 256)
    lines = []
    for corpus in distinct(rows(path), "corpus"):
        for retriever in distinct(rows(path, corpus=corpus), "retriever"):
            for k, told in (("3", "3 passages"), ("256 words", "256 words")):
                own = {int(r["size"]): r for r in rows(path, corpus=corpus, retriever=retriever,
                                                       k=k)}  # fmt: skip
                found = (rate(own[size], "recall") if size in own else "" for size in sizes)
                lines.append(f"{corpus} | {retriever} | {told} | {' | '.join(found)}")
    hidden, white = (row(path, corpus="handbook", retriever=name, size=64, k=3)["recall"]
                     for name in ("hidden states", "hidden states, whitened"))  # fmt: skip
    return section(
        "Finding the passage",
        origin(path, f"{RUN}recall", WILSON),
        table(
            "corpus | retriever | among | "
            + " | ".join(f"{size} words a passage" for size in sizes),
            lines,
        ),
        f"""60 questions in other words than the text's: about 55 of Python's help topics, and about
        the handbook.  With a fixed number of passages larger ones find more; with a fixed number of
        words to read the size hardly matters from 32 words on.  Means of the student's hidden
        states are far behind, and whitening does not help them on the handbook
        ({percent(hidden)} % without, {percent(white)} % with it).""",
    )
