"""The demo, the ledger, the student that carries further, its ranks, and its size."""

from __future__ import annotations

from collections import Counter

from benchmarks.report import parts
from benchmarks.report.parts import (
    PAIRED,
    SEEDS,
    WILSON,
    change,
    clock,
    distinct,
    gap,
    mean,
    noted,
    origin,
    percent,
    plain,
    rate,
    row,
    rows,
    section,
    spread,
    table,
    values,
)
from distillkit.evaluation.statistics import p_words, wilson
from distillkit.pipeline.report import learned
from distillkit.runtime.files import read_json

REPORT = "data/demo_report.json"


def claims() -> str:
    """The ledger: every claim with its finding."""
    found = rows("data/claims.csv")
    counts = Counter(claim["finding"] for claim in found)
    lines = []
    for claim in found:
        words = f"{claim['claim']} | {claim['sentence']} | {claim['lesson']} | {claim['finding']}"
        middle, low, high = (claim[end].replace("-", "−") for end in ("effect", "low", "high"))
        found_so = f"{middle} ({low} to {high}) {claim['unit']}; {claim['n']}"
        measured = f"{found_so} | {claim['date']} | `{claim['command']}`"
        lines.append(f"{words} | {measured if middle else 'not measured yet | | '}")
    return section(
        "The ledger of claims",
        "> [`data/claims.csv`](../../data/claims.csv) · 95 % intervals; the effect is positive "
        "where it speaks for the claim",
        f"""Of {len(found)} claims on distillation {counts["holds"]} hold, for {counts["not shown"]}
        the interval holds 0 (not shown), {counts["refuted"]} are refuted and {counts["open"]} are
        open.  `python3 kit.py claims` prints each with its experiment, its controls and what was
        expected before the run.""",
        table(" | claim | lesson | found | effect | date | command", lines),
    )


def recipe() -> str:
    """How few traces the demo needs, and how many a step."""
    path, command, lines = "data/demo_recipe.csv", "benchmarks.experiments.demo_recipe", []
    old = rows(path, recipe="128 + 32, 8 a step")
    for name in distinct(rows(path), "recipe"):
        own = rows(path, recipe=name)
        moved = "" if own == old else change(gap(old, own), bold=True)
        steps, tokens, seconds = (mean(values(own, key, 1)) for key in
                                  ("steps", "trace_tokens", "train_seconds"))  # fmt: skip
        lines.append(f"{name} | {spread(values(own), end=100)} | {moved} "
                     f"| {steps} | {tokens} | {seconds}")  # fmt: skip
    return section(
        "Fewer traces, smaller steps",
        origin(path, f"python -m {command}", SEEDS, PAIRED),
        table(
            "solutions + general examples | right in 100 | difference | steps | tokens "
            "| seconds of training",
            lines,
        ),
        """The second recipe is the demo's.  As expected before the run it solves as many equations
        in two thirds of the seconds; with three seeds that leaves room for a difference of 9 either
        way.  Seconds are those of a processor that computes in float32.""",
        noted(
            """the same in bfloat16 on two cores with AVX-512, right in 100, before the rows above.
            Seeds 0, 1, 2: 128 + 32 with 8 a step 94 to 95; 104 with 8 a step 85, 90, 89; 104 with
            4 a step 91, 97, 98; 88 + 22 with 4 a step 93, 92, 90.  Seeds 3, 4, 5: 95, 95, 84; 85,
            95, not run; 94, 89, not run; 85, 92, not run.  Training took 42 to 54 s in the first
            recipe and 30 to 33 s in the others, and the demo with the first one 106 s (105–115)
            from the command to the table."""
        ),
    )


def lenient(scores: dict) -> str:
    """Write how often the right value stands anywhere in the text, with its interval."""
    low, high = wilson(round(scores["lenient"] * scores["n"]), scores["n"])
    return rate({"exact": scores["lenient"], "low": low, "high": high})


def gain(report: dict) -> str:
    """Write the paired gain of a run over the examples in the prompt, with its p-value."""
    points = (100 * report["change"][end] for end in ("difference", "low", "high"))
    middle, low, high = (parts.signed(value) for value in points)
    return f"{middle} points ({low} to {high}, {p_words(report['change']['p'])})"


def front() -> str:
    """Return what the front page says of the demo."""
    report = read_json(parts.ROOT / REPORT)
    before, shown, after = (report[stage]["test"] for stage in ("before", "few_shot", "after"))
    others = report["few_shot"]["ood"], report["after"]["ood"]
    asked = parts.filled(
        f"""{report["student"]["name"].split("/")[-1]} is asked {after["n"]} unseen equations.
        With six solved examples in its prompt it gives **{percent(shown["exact"])} %** exact
        answers in the asked form (95 % interval {rate(shown).split("(")[1]}.  After training on
        {report["traces"]["equations"]} verified traces it needs no examples and gives
        **{rate(after)}**: {gain(report)}.  The teacher that wrote these traces reaches
        {percent(report["teacher"]["exact"]["test"]["exact"])} % itself.  Without examples and
        without training the student gives {rate(before)} in that form; but if its text may go on
        to its end, the right value stands in it for {lenient(report["finished"]["test"])}.  On
        {others[0]["n"]} equations of kinds that it was never taught it gives {rate(others[0])}
        with the examples, before training, and {rate(others[1])} after training.
        (`python3 kit.py demo --test {after["n"]}`, seed {report["seed"]},
        {report["machine"]}, {report["settings"]["dtype"]}, {report["date"]}, in
        {clock(report["seconds"]["total"])} with all downloads, on a processor without bfloat16
        products.  On one that has them, the demo of 2026-11-27, 128 traces then, took 2 min 15 s.
        Both ran without a GPU.)"""
    )
    far = {split: [row("data/generalisation.csv", split=split, family="all", stage=stage)
                   for stage in ("few-shot", "distilled")]
           for split in ("outside", "stories", "never taught")}  # fmt: skip
    of = {split: f"{rate(old)} → **{rate(new)}**" for split, (old, new) in far.items()}
    new = far["outside"][1]
    mended = {split: [row("data/going_back.csv", split=split, way=way, seed="0")
                      for way in ("greedy", "going back")]
              for split in ("outside", "broad")}  # fmt: skip
    return (
        asked
        + "\n\n"
        + parts.filled(
            f"""The student that comes with the kit learned thirteen kinds (`--curriculum broad`,
        {plain(new["traces"])} of a solver's solutions, systems and stories among them);
        `python3 kit.py chat data/adapter_broad` talks to it.  Against the untouched one with six
        examples, {new["n"]} questions each: equations that nobody here
        wrote (reasoning-gym) {of["outside"]}; stories that were not told in training
        {of["stories"]}; solutions that are fractions, which it was never taught,
        {of["never taught"]}: what is not taught gets worse.
        (`python -m benchmarks.experiments.generalisation`, seed {new["seed"]}, {new["machine"]},
        {new["dtype"]}, {new["date"]}.)"""
        )
        + "\n\n"
        + parts.filled(
            f"""A false line does not follow from the first equation of its own text, and that can
        be checked without the right answer.  If such lines are written again (`chat` does it, with
        fewer tries), {rate(mended["outside"][1])} of the same {mended["outside"][1]["n"]} equations
        of reasoning-gym are right, and of broad ones {rate(mended["broad"][0])} →
        **{rate(mended["broad"][1])}**.  This result belongs to student and checker together,
        because the checker can calculate.
        (`python -m benchmarks.experiments.going_back`, the first of three streams of random
        numbers, {mended["broad"][1]["machine"]}, {mended["broad"][1]["dtype"]},
        {mended["broad"][1]["date"]}.)"""
        )
    )


def demo() -> str:
    """The main job: before, after, teacher, time and memory."""
    report = read_json(parts.ROOT / REPORT)
    seconds, funnel = report["seconds"], report["funnel"]
    stages = (
        ("untouched, asked plainly (recorded, up to 512 tokens)", report["before"]),
        ("untouched, six solved examples in the prompt", report["few_shot"]),
        ("distilled, no examples", report["after"]),
        ("the teacher, six solved examples", report["teacher"]["exact"]),
    )
    lines = []
    for name, scores in stages:
        cells = (f"{rate(some)} | {lenient(some)}" for some in (scores["test"], scores["ood"]))
        lines.append(f"{name} | {' | '.join(cells)}")
    n, other = report["after"]["test"]["n"], report["after"]["ood"]["n"]
    return section(
        "The demo",
        f"> `python3 kit.py demo --test {n}` → [`{REPORT}`](../../{REPORT}) · "
        f"{report['machine']} · {report['settings']['dtype']} · seed {report['seed']} · n = {n} "
        f"and {other} · {report['date']} · in a fresh clone · {WILSON}",
        table(
            f" | exact, {n} of the kinds taught | right value anywhere in the text "
            f"| exact, {other} of other kinds | right value anywhere",
            lines,
        ),
        f"""Over the examples in the prompt: {gain(report)}.  The teacher wrote {funnel["total"]}
        candidates; the rules keep {funnel["kept"]} different ones for {funnel["problems_kept"]} of
        {funnel["problems"]} problems, and {learned(report["traces"])}
        were learned.  The run took {clock(seconds["total"])}, {plain(seconds["download"])} s of
        them downloads and {plain(seconds["train"])} s training
        ({plain(report["tokens_per_second"]["train"])} tokens/s); peak memory
        {plain(report["peak_memory_bytes"] / 1e9, 1)} GB.""",
        """The untouched student explains at length, so its plain answers were recorded once, with
        room for 512 tokens (`python -m benchmarks.recordings.long_before`); all else is asked in
        the run.  [`data/README.md`](../../data/README.md) has the same for 60 other equations.""",
        noted(
            """the same command with the recipe until then (128 traces, 32 general examples, 8 a
            step), seed 0, in a fresh clone on two cores that compute in bfloat16 (2026-11-27):
            few-shot 80 % (71–87) → 95 % (89–98), +15 points (+7 to +24, p = 0.001), in 2 min 15 s,
            26 s of them downloads and 58 s training (291 tokens/s); peak memory 3.6 GB."""
        ),
        noted(
            """the same command, seed 0 too, took 5 min 49 s on 2026-11-26, when the plain answers
            were asked in the run, and gave 94 % (88–97).  It took 4 min 0 s on 2026-11-22 (3 min
            11 s at a quieter time): 95 % (89–98), few-shot 79 % (70–86), other kinds 0 % → 50 %
            (33–67), peak memory 3.6 GB.  On 2026-11-26 beside a load of 10 to 15 on the two cores
            it took 36 min 47 s, with the table's answers.  The first version (160 traces, all in
            float32) took 9 min 39 s and gave 97 % (92–99): with one seed no difference can be
            claimed."""
        ),
        noted(
            """`python3 kit.py demo` (n = 48) in a fresh clone, seed 0, bfloat16: few-shot 75 %
            (61–85) → 94 % (83–98), teacher 94 % (83–98), in 3 min 28 s after the installation,
            downloads included, peak memory 4.9 GB; again on 2026-11-26 in 5 min 15 s, peak memory
            4.2 GB.  On another machine of two cores, where bfloat16 rounds differently (2026-11-23,
            twice the same): few-shot 77 % → 90 % (78–95), teacher 94 %, 3 min 3 s.  The
            installation took 1 minute (2026-11-26, an idle machine)."""
        ),
        noted(
            """`python3 kit.py demo --tier tiny` (first version; SmolLM2-135M, one-step equations,
            solver teacher, fresh clone): 0 % (0–7) → 25 % (15–39), n = 48, in the asked form 0 % →
            100 %; few-shot 0 % (0–7); 3 min 20 s; peak memory 2.1 GB."""
        ),
    )


def further() -> str:
    """The student of the broad curriculum on eight splits."""
    path = "data/generalisation.csv"
    told = {
        "narrow": "narrow (one-sided, brackets, both sides)",
        "unknown on both sides": "unknown on both sides, with and without brackets",
        "broad": "broad, in other people's words",
        "fractions": "fractions as factors",
        "systems": "systems of two equations",
        "stories": "stories; none of them was told in training",
        "outside": "outside (simple equations of reasoning-gym 0.1.25)",
        "never taught": "never taught: solutions that are fractions",
    }
    lines = []
    for split, name in told.items():
        shown, after = (row(path, split=split, family="all", stage=stage)
                        for stage in ("few-shot", "distilled"))  # fmt: skip
        points = tuple(100 * float(after[end]) for end in ("gain", "gain_low", "gain_high"))
        gained = change(points, bold=True)
        lines.append(f"{name} | {after['n']} | {rate(shown)} | {rate(after)} | {gained}")
    before, after = (
        row(path, split="stories", family="all", stage=stage) for stage in ("few-shot", "distilled")
    )
    return section(
        "A student that carries further",
        origin(
            path,
            "python -m benchmarks.experiments.generalisation",
            "after `python3 kit.py demo --curriculum broad --out runs/broad`",
            WILSON,
            "gains paired",
            family="all",
        ),
        table(
            "split | n | untouched, six examples in the prompt | distilled | gain, points", lines
        ),
        f"""The broad curriculum teaches {plain(after["traces"])} of the solver's solutions of
        thirteen kinds in the form `collect` (write down, multiply out, sort, add, move, divide;
        whatever a line computes stands in it), asked in other people's words: other letters, signs
        and sentences, either side first, up to six terms, numbers of up to eight digits, systems,
        and stories.""",
        f"""Nobody here wrote the questions of "outside", and nobody had looked at them; the kinds
        that the student lacked were read off its wrong answers to others of that collection.  What
        no training example shows gets worse than it was: of a solution that is a fraction the
        student makes a whole number.  Of the stories the untouched student lacks the form only: a
        right value stands somewhere in its text for {percent(before["lenient"])} %, against
        {percent(after["lenient"])} % after.  One seed.""",
    )


def more_kinds() -> str:
    """As many tokens for seven kinds of equations, or for thirteen."""
    path = "data/more_kinds.csv"
    told = {
        "narrow": "narrow",
        "broad": "broad",
        "fractions": "fractions as factors",
        "systems": "systems",
        "stories": "stories",
        "outside": "outside",
    }
    lines, seen = [], {}
    for split, name in told.items():
        cells = []
        for length in ("", ", 20 minutes"):
            few, many = (rows(path, course=f"{course} kinds{length}", split=split)
                         for course in ("seven", "thirteen"))  # fmt: skip
            seen[split, length] = many
            shares = " | ".join(spread(values(some), end=100) for some in (few, many))
            cells.append(f"{shares} | {change(gap(few, many), bold=True)}")
        lines.append(f"{name} | {' | '.join(cells)}")
    full, short = (mean(values(seen["narrow", length], "trace_tokens", 1e-3)) for length in
                   ("", ", 20 minutes"))  # fmt: skip
    return section(
        "More kinds for as many tokens",
        origin(path, "python -m benchmarks.experiments.more_kinds", SEEDS, PAIRED),
        table(
            "split | seven kinds, in full | thirteen kinds | difference "
            "| seven kinds, 20 minutes | thirteen kinds | difference",
            lines,
        ),
        f"""The untouched student learns the solver's solutions of the seven kinds of the first
        broad curriculum, or of thirteen, which is the curriculum now: in full ({full},000 tokens)
        or as many as two cores compute in about 20 minutes ({short},000).  In each, two of three or
        three of ten solutions are broad ones.  The six kinds more cost broad answers and give all
        the others.  Expected before the run, of thirteen kinds in full: outside above 80, systems
        above 50, fractions above 60, stories above 70, broad 3 to 8 points lower, and in 20 minutes
        nothing above 80 of broad; outside and systems stayed below, broad lost more, three of six
        came true.""",
        noted(
            """on the same card, seed 0, thirteen kinds in 255,000 tokens (narrow, broad, fractions,
            systems, stories, outside of 100): rate 5e-4, 4 traces a step, as above 94, 32, 97, 21,
            62, 58; rate 1e-3 95, 20, 94, 15, 72, 42; 8 a step at 1e-3 98, 23, 86, 18, 70, 54, at
            2e-3 89, 9, 88, 1, 51, 27; 2 a step at 5e-4 95, 29, 92, 20, 78, 48; rank 64 at 1e-3 72,
            5, 69, 5, 24, 22.  In full with a larger share of broad solutions (15 of 39 in place of
            10 of 33): 100, 74, 99, 27, 87, 75.  The student of the kit, taught 2,400 new solutions
            more (692,000 tokens, seed 7): 99, 81, 100, 70, 76, 76.  2026-11-27."""
        ),
        noted(
            """another form was tried first, and that failed: 1,100 solutions in which every sum,
            difference and product is worked out digit by digit from the right (`1639+62 (9+2=11
            3+6+1=10 6+1=7)=1701`), taught to the untouched student in 19 minutes (255,001 tokens,
            seed 0), gave 43 of 100 of reasoning-gym's equations and 20 of 100 broad ones: it loses
            the place of the digit that it needs next.  Nor do zeros in front of the shorter number
            help (`4367 + 0033 = 4397 + 0003 = 4400`), with running sums of products, quotients from
            both sides (59 as 60 - 1) and each row of a system times the other's number, sign and
            all: the student of the kit went on with 484 such solutions (143,614 tokens, rate 3e-4,
            seed 0), outside 77 → 62 of 100, broad 43 → 30 of 60, systems 29 → 31 of 60.  A second
            course in the missing kinds for the student of seven kinds (640 solutions, seed 0) gave
            62 of 100 outside and 3 of 100 systems, and left 70 of 87 broad ones.  2026-11-27."""
        ),
        noted(
            """what came of that on two cores, seed 0 or 11, 100 questions each.  The same changes
            without the zeros, and the equation written again after each group of like terms,
            taught to the untouched student (885 solutions and general examples, 254,905 tokens):
            outside 63, broad 32, systems 8, where the form as it is gave 58, 32 and 21 on a card.
            The student of the kit going on in the form as it is, with 728 solutions of which two in
            three are single sums and products of up to six digits (142,944 tokens): at rate 3e-4
            outside 77 → 65, broad 75 → 57, systems 52 → 40; at 1e-4 outside 74, broad 66.  So a
            short second course takes away whatever it teaches, and the one above says nothing of
            zeros.  A false line drawn anew at temperature 1 and the rest written greedily, up to
            six times: 158 → 168 of 200 outside; most come back as they were, for the student is
            sure that `67 * 6 = 360 + 42 = 302`.  2026-11-28."""
        ),
    )


def ranks() -> str:
    """The broad adapter cut to lower ranks."""
    path, lines = "data/ranks.csv", []
    narrow, broad = ({r["rank"]: rate(r) for r in rows(path, split=s)} for s in ("narrow", "broad"))
    names = {"0": "untouched, six examples in the prompt", "16": "16, as trained"}
    for rank in ("0", *sorted(narrow.keys() - {"0"}, key=int, reverse=True)):
        name = names.get(rank, rank)
        lines.append(f"{name} | {narrow[rank]} | {broad.get(rank, 'not run')}")
    return section(
        "What rank an adapter needs",
        origin(path, "python -m benchmarks.experiments.ranks", WILSON),
        table("rank | narrow equations | broad equations", lines),
        """The adapter of the broad run, cut by its singular values.  It does not need all of its
        rank.  Rank 12 comes with the kit
        ([`data/adapter_broad/`](../../data/adapter_broad/), 13 MB).""",
    )


def sizes() -> str:
    """Teacher, untouched and distilled student side by side."""
    path, lines = "data/sizes.csv", []
    for name in ("teacher", "untouched", "distilled"):
        r = row(path, who=name)
        bytes_ = f"{plain(float(r['weights']) / 1e6)} | {plain(r['megabytes'])}"
        tokens = f"{r['prompt_tokens']} | {r['answer_tokens']}"
        seconds = f"{plain(r['seconds_together'], 2)} | {plain(r['seconds_alone'], 1)}"
        lines.append(f"{name} | {bytes_} | {rate(r)} | {tokens} | {seconds}")
    return section(
        "What a smaller model saves",
        origin(path, "python -m benchmarks.experiments.sizes", WILSON),
        table(
            " | weights, millions | MB | exact | tokens of the prompt | of an answer "
            "| seconds an answer, all at once | one at a time",
            lines,
        ),
        """The distilled student is that of the broad curriculum.  It needs no examples in its
        prompt, but writes twice as many tokens.""",
    )
