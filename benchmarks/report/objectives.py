"""What a training minimises: a second task, whole distributions, and a student with parts cut."""

from __future__ import annotations

from benchmarks.report.parts import (
    PAIRED,
    SEEDS,
    WILSON,
    change,
    distinct,
    for_each_seed,
    gap,
    mean,
    noted,
    origin,
    plain,
    rate,
    row,
    rows,
    section,
    spread,
    table,
    values,
)

RUN = "python -m benchmarks.experiments."


def step_by_step() -> str:
    """A rationale as a second task."""
    path, sizes = "data/step_by_step.csv", (32, 64, 128, 256)

    def of(task: str, way: str, size: int = 256) -> list[dict]:
        return rows(path, task=task, way=way, size=size)

    lines = []
    for task in distinct(rows(path), "task"):
        for way in distinct(rows(path, task=task), "way"):
            learned = (spread(values(of(task, way, size), "right"), end=100) for size in sizes)
            lines.append(f"{task} | {way} | {' | '.join(learned)}")
    base = of("equations", "label only")

    def times(task: str) -> str:
        both, alone = (values(of(task, way), "computed_tokens", 1)
                       for way in ("two tasks", "label only"))  # fmt: skip
        return plain(sum(both) / sum(alone), 1)

    return section(
        "A rationale as a second task",
        origin(path, f"{RUN}step_by_step --device cuda", "right in 100", SEEDS, PAIRED),
        table("task | learned and asked | " + " | ".join(f"{n} questions" for n in sizes), lines),
        f"""32 steps in every arm.  Asked for the label alone after 256 questions, the rationale as
        a second task gives {change(gap(base, of("equations", "two tasks"), "right"), 1)} right
        answers in 100 over labels only; its tokens shuffled give
        {change(gap(base, of("equations", "two tasks, shuffled steps"), "right"), 1)}.  Judging
        whether a worked solution is right stays at guessing in every mode that does not write the
        steps.  On a prefix tree the second task costs its own tokens: {times("equations")} times
        the nodes of the labels alone on equations, {times("judging")} on judging.""",
    )


def soft_labels() -> str:
    """Whole distributions, and own texts."""
    path = "data/soft_labels.csv"
    untouched = "untouched, six solved examples"
    words = rows(path, arm="words alone")
    lines = [f"{untouched} | {rate(row(path, arm=untouched))} | | | | "]
    for arm in distinct(rows(path), "arm"):
        if arm != untouched:
            own = rows(path, arm=arm)
            moved = "" if own == words else change(gap(words, own), 1, bold=True)
            sure = f"{mean(values(own, 'ece'))} | {mean(values(own, 'kl_to_few_shot', 1), 3)}"
            different = mean(values(own, "different_of_4", 1), 1)
            right = spread(values(own), end=100)
            lines.append(f"{arm} | {right} | {moved} | {sure} | {different}")
    cold = rows(path, arm="itself, cold start")
    first = "itself, student's texts, reverse"
    own = rows(path, arm=first)
    prompt = for_each_seed(row(path, arm=untouched), own)

    def moved_by(setting: str) -> str:
        other = rows(path, arm=f"{first}, {setting}")
        return f"{change(gap(own, other), 1)}, {change(gap(prompt, other), 1)}"

    broken = [plain(right) for right in values(rows(path, arm=f"{first}, rate 1e-3"))]
    return section(
        "Whole distributions, and own texts",
        origin(path, f"{RUN}soft_labels --device cuda", WILSON, SEEDS, PAIRED),
        table(
            "learns | right in 100 | difference from words alone | calibration error, points "
            "| KL to the few-shot prompt, nats a token | different texts of 4",
            lines,
        ),
        f"""The first arms learn 64 verified traces of the 1.5B teacher: its words, or its 64
        likeliest tokens at each place.  Reverse KL and JSD from the untouched student fail: its
        first token in the asked form gets no gradient (one run of reverse KL writes the form all
        the same, with wrong values).  In the others the student is its own teacher, with the
        examples in its prompt: after a cold start of 32 unverified texts come 128 texts, of the
        teacher or its own.  On its own texts (reverse KL) the KL to the teacher falls from
        {mean(values(cold, "kl_to_few_shot", 1), 2)} to {mean(values(own, "kl_to_few_shot", 1), 2)}
        nats a token, the calibration error from {mean(values(cold, "ece"))} to
        {mean(values(own, "ece"))} points; right answers
        {change(gap(cold, own), 1)}.  Without a cold start reverse KL on own texts learns
        nothing.""",
        f"""What moves it?  Own texts, reverse KL, begins with 8 steps, a rate of 5e-4 and sampling
        at temperature 1, and is {change(gap(prompt, own), 1)} right answers against the prompt with
        examples.  Other settings, first against these, then against the prompt: 24 steps
        {moved_by("24 steps")}; a rate of 2e-4 {moved_by("rate 2e-4")}; temperature 0.7
        {moved_by("temperature 0.7")}.  None of the three can be told from the first setting.
        Against the prompt, neither 24 steps nor the lower temperature can; the first setting and
        the lower rate are below it.  A rate of 1e-3 breaks the student:
        {", ".join(broken[:-1])} and {broken[-1]} right in the three runs.  These intervals count
        how trainings differ; all are asked the same {own[0]["n"]} equations.""",
        noted(
            """the first setting on two idle cores, seed 0: 197 s of sampling and training in its
            steps, 526 s the whole run with its evaluations, 4.4 GB at its end, 77 of 100 (68–84)
            right."""
        ),
    )


PRUNED, DEPTH, WIDE = "data/pruning.csv", "leave-one-out", "activation"
STATES = "forward KL and states"


def _of_seeds(found: list[dict]) -> str:
    """Write exact answers over seeds; each run's where there are two, or the one of an arm that
    draws nothing at random."""
    if len(found) == 1:
        return rate(found[0])
    right = values(found)
    return spread(right, end=100) if len(right) > 2 else " and ".join(map(plain, right))


def _cut(cut: str, repair: str, size: int = 20, parent: str = "qwen") -> list[dict]:
    """Return the rows of a cut and its repair, in 16 bits."""
    return rows(PRUNED, parent=parent, cut=cut, repair=repair, size=size, form="bf16")


def pruning() -> str:
    """A student with parts cut out: what a cut costs, and what repairs it."""
    lines = []
    for parent in ("qwen", "smollm"):
        whole = rows(PRUNED, parent=parent, form="bf16")
        for cut, repair in dict.fromkeys((r["cut"], r["repair"]) for r in whole):
            if cut.startswith("one "):  # layer after layer: a picture in the lesson
                continue
            there = distinct(rows(PRUNED, parent=parent, cut=cut, repair=repair), "size")
            shown = _cut(cut, repair, 0 if cut == "none" else 20, parent)
            cells = [_of_seeds(_cut(cut, repair, size, parent)) if str(size) in there else ""
                     for size in (0, 10, 20, 33)]  # fmt: skip
            others = [100 * float(r["others"]) for r in shown if r["others"]]
            cells.append(mean(others) if others else "")
            cells.append(mean((float(r["general_loss"]) for r in shown), 1))
            lines.append(f"{parent} | {cut} | {repair} | {' | '.join(cells)}")

    def more(base: str, other: str, cut: str = DEPTH, to: str = "") -> str:
        return change(gap(_cut(cut, base), _cut(to or cut, other)), 1)

    kl, influence = "forward KL", "block influence"
    last = _cut("last layers", "forward KL, head and last 3 layers")
    return section(
        "A student with parts cut out",
        origin(PRUNED, f"{RUN}pruning --device cuda", "float32", WILSON, SEEDS, PAIRED),
        table(
            "parent | cut | repair | right in 100, nothing cut | 10 % cut | 20 % | 33 % "
            "| other kinds, 20 % | loss on other text, nats a token, 20 %",
            lines,
        ),
        f"""Qwen-0.5B with the broad adapter that came with the kit until 2026-11-27 merged (seven
        of today's thirteen kinds), and SmolLM2-135M after 1,536 solutions of two kinds;
        "activation" cuts the MLPs' quietest channels, the others whole layers; a repair is 48 steps
        on 384 solutions.  Of Qwen a fifth is cut in what follows.  The comparison that was planned
        first, forward KL from the parent against plain training, gives {more("plain", kl, WIDE)}
        right answers in 100 in width and {more("plain", kl)} in depth.  With the hidden states
        matched behind the cut, too, the cut in depth gains {more("plain", STATES)} over plain
        training.  Which layers go decides as well: with forward KL block influence is ahead of
        leave-one-out by {more(kl, kl, to=influence)} (of leave-one-out with the states by
        {more(STATES, kl, to=influence)}), and width ahead of block influence by
        {more(kl, kl, influence, WIDE)}. The last quarter of the layers gone, head and last three
        layers tuned: {mean(values(last))}. No repair brings other kinds or other text back.""",
        _in_few_bits(),
    )


def _in_few_bits() -> str:
    """Return a table of whole and of cut models as a GGUF file keeps their weights."""
    lines = []
    for cut, repair in (("none", "before"), (DEPTH, STATES), (WIDE, "forward KL")):
        found = rows(PRUNED, parent="qwen", cut=cut, repair=repair)
        for size, form in dict.fromkeys((r["size"], r["form"]) for r in found):
            these = [r for r in found if (r["size"], r["form"]) == (size, form)]
            gone = "nothing" if size == "0" else f"{size} %"
            megabytes = mean(float(r["bytes"]) / 1e6 for r in these)
            lines.append(f"{gone} | {cut} | {repair} | {form} | {megabytes} | {_of_seeds(these)}")
    return table("cut | by | repair | weights kept as | MB of weights | right in 100", lines)
