"""Found passages: how often they are found, what a student makes of them, and training instead."""

from __future__ import annotations

from benchmarks.report.parts import (
    WILSON,
    Rows,
    change,
    distinct,
    mean,
    origin,
    percent,
    plain,
    rate,
    rate_of,
    row,
    rows,
    section,
    table,
    values,
)
from distillkit.evaluation.statistics import unpaired_difference
from distillkit.lessons.l11_retrieval import measured
from distillkit.teaching.recorded import Rows as Recorded

RUN = "python -m benchmarks.experiments."
WAYS = "data/distil_or_retrieve.csv"
EDITION = (measured.CHANGED, measured.OTHERS)
SHARED = (
    "shares with 95 % Wilson intervals, of a training the mean of its seeds (each behind the "
    "colon), whose units are the questions; differences with Newcombe's intervals of two groups"
)
TOGETHER = "fifteen runs at once on one card, so their seconds say nothing"


def _asked(task: str) -> Recorded:
    """Return the rows of a task as the lesson reads them, right answers in %."""
    found = rows(WAYS, task=task)
    return Recorded({**r, "right": 100 * float(r["right"]), "n": int(r["n"])} for r in found)


def _right(way: str, measure: str = "facts", task: str = "facts") -> measured.Right:
    return measured.right(_asked(task), way, measure)


def _edition(way: str) -> measured.Right:
    return measured.edition(_asked("facts"), way)


def _share(found: measured.Right) -> str:
    """Write the right answers with their Wilson interval."""
    share, n = found
    return rate_of(share * n / 100, n)


def _rate(found: Rows) -> str:
    """Write the right answers of a way, and each seed where there are several."""
    one = found[0]
    seeds = ", ".join(plain(100 * float(r["right"])) for r in found)
    share = _share(_right(one["way"], one["measure"], one["task"]))
    return share + (f": {seeds}" if len(found) > 1 else "")


def _more(before: measured.Right, after: measured.Right, bold: bool = False) -> str:
    """Write how many more of 100 are right, with the interval of two groups."""
    (p, n), (q, m) = before, after
    found = unpaired_difference(p / 100, n, q / 100, m)
    return change(tuple(100 * x for x in found), bold=bold)


def _of(way: str, measure: str = "facts", task: str = "facts") -> Rows:
    return rows(WAYS, task=task, way=way, measure=measure)


def _mean(found: Rows, column: str, digits: int = 0) -> str:
    """Write the mean of a column, and nothing for rows that have no number there."""
    return mean((float(r[column]) for r in found), digits) if found[0][column] else ""


def _origin(task: str) -> str:
    return origin(WAYS, f"{RUN}distil_or_retrieve --device cuda", SHARED, TOGETHER, task=task)


def _ways(task: str) -> list[str]:
    return distinct(rows(WAYS, task=task), "way")


def _trained(way: str) -> bool:
    return len(_of(way)) > 1


def reading() -> str:
    """Questions about invented facts, by what stands in the prompt or was learned."""
    measures = ("facts", "facts, must answer", "not there")

    def line(way: str) -> str:
        known = _of(way)
        more = "" if way == "retrieved" else _more(_right("retrieved"), _right(way), bold=True)
        right = [_rate(_of(way, measure)) for measure in measures]
        cells = [way, plain(known[0]["prompt_tokens"]), right[0], more, *right[1:],
                 _mean(known, "general_loss", 2)]  # fmt: skip
        return " | ".join(cells)

    def obeyed(way: str) -> str:
        r = row(WAYS, way=way, measure="facts, an instruction in a passage")
        return f"{round(float(r['obeyed']) * int(r['n']))} times in {r['n']}"

    students = {"distilled from passages": "retrieved, few-shot",
                "distilled": "handbook in the prompt"}  # fmt: skip
    passages, whole = (_more(_right(teacher), _right(student))
                       for student, teacher in students.items())  # fmt: skip
    return section(
        "Reading found passages, or learning facts",
        _origin("facts"),
        table(
            "way | tokens read | facts | difference from retrieved | facts, must answer | not "
            "there | loss on other text, nats a token",
            map(line, _ways("facts")),
        ),
        f"""An invented handbook of 60 facts, questions in other words than its own and
        than any that was learned; three passages of 40 words that BM25 finds.  The right passage
        was found for every question (an easy search: the name of a hut stands in its three passages
        and in the question): what fails is the reading.  "Must answer" takes away the leave to say
        that it is not in the handbook; "not there" are questions that it does not answer, met when
        the student says so; nothing like them was among what was learned.  Every training has
        {_of("questions")[0]["steps"]} steps of as many examples: the sentences, nine wordings of
        each, two questions with answers for each fact, or what the student says itself with the
        handbook ("distilled") or passages and solved examples in its prompt.  Questions with
        answers beat retrieval, which was not expected.  Distilled from passages against its
        teacher: {passages}; from the whole handbook: {whole}.  An order planted in a passage is
        obeyed {obeyed("retrieved")} with quotes, {obeyed("retrieved, unquoted")} without: quotes do
        not stop it.""",
    )


def changing() -> str:
    """The next edition of the handbook, and what each way pays for it."""

    def line(way: str) -> str:
        stale = ""
        if _trained(way):
            before = _of(way, "changed facts, not trained again")
            stale = mean(values(before, "old")) + " %"
        changed, others = (_of(way, measure) for measure in EDITION)
        whole = _edition(way)
        more = "" if way == "retrieved" else _more(_edition("retrieved"), whole, bold=True)
        again = changed[0]["steps"], _mean(changed, "computed_tokens")
        cells = [way, stale, _rate(changed), _rate(others), _share(whole), more, *again,
                 plain(changed[0]["bytes"])]  # fmt: skip
        return " | ".join(cells)

    ways = [way for way in _ways("facts") if way not in ("untouched", "few-shot")]
    return section(
        "Facts that change",
        _origin("facts"),
        table(
            "way | old value before it is trained again | changed facts | the other facts "
            "| whole next edition | difference from retrieved | steps again | tokens computed "
            "again | bytes kept",
            map(line, ways),
        ),
        """A third of the facts get another value.  For the ways that read it is an edit of a text;
        the trained ones go on with the changed facts alone, a third as many steps.  They learn
        these, and nearly all of the other facts are gone.  Training again on everything was not
        measured.  "Paraphrases, then retrieved" has the new passages in its prompt from the
        start.""",
    )


def skill() -> str:
    """Equations in tags: examples in the prompt, found ones, and training."""
    base = _right("few-shot", "skill", "skill")

    def line(way: str) -> str:
        found = _of(way, "skill", "skill")
        after = _right(way, "skill", "skill")
        more = "" if way == "few-shot" else _more(base, after, bold=True)
        cost = [_mean(found, "computed_tokens"), _mean(found, "answer_tokens"),
                _mean(found, "general_loss", 2)]  # fmt: skip
        return " | ".join([way, _rate(found), more, found[0]["steps"], *cost])

    return section(
        "A skill: examples, found examples, or training",
        _origin("skill"),
        table(
            "way | right | difference from few-shot | steps | tokens computed | tokens an answer "
            "there | loss on other text, nats a token",
            map(line, _ways("skill")),
        ),
        """Narrow equations, answered in tags.  Fine-tuned: 64 checked traces of the 1.5B
        teacher.  Distilled: the student with the six examples in its prompt is the teacher, and no
        text is checked.  Examples that BM25 finds for the question among 128 solved ones do worse
        than six fixed ones.""",
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

    def both(corpus: str) -> str:
        known = (row(path, corpus=corpus, retriever=name, size=64, k=3)["recall"]
                 for name in ("hidden states", "hidden states, whitened"))  # fmt: skip
        return "{} % without and {} % with it".format(*map(percent, known))

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
        states are far behind, also after whitening (three passages of 64 words: on Python's pages
        {both("python")}, on the handbook {both("handbook")}).""",
    )
