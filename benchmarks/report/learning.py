"""What a student learns from: decoding, templates, rules, general examples, forms, how many."""

from __future__ import annotations

from benchmarks.report.parts import (
    PAIRED,
    SEEDS,
    WILSON,
    change,
    distinct,
    for_each_seed,
    gain_of,
    gap,
    mean,
    noted,
    origin,
    percent,
    plain,
    rate,
    rate_of,
    row,
    rows,
    section,
    spread,
    table,
    values,
)

RUN = "python -m benchmarks.experiments."


def decoding() -> str:
    """Right, well-formed and different answers by decoding strategy."""
    path, lines = "data/decoding_strategies.csv", []
    for strategy in distinct(rows(path), "strategy"):
        own = rows(path, strategy=strategy)
        columns = ("candidates", "right", "formed", "different")
        written, right, formed, different = (sum(int(r[c]) for r in own) for c in columns)
        shares = f"{percent(right / written)} % | {percent(formed / written)} %"
        solved = rate_of(sum(int(r["right"]) > 0 for r in own), len(own))
        each = f"{plain(written / len(own))} | {shares} | {plain(different / len(own), 1)}"
        lines.append(f"{strategy} | {each} | {solved}")
    asked = len(distinct(rows(path), "problem"))
    return section(
        "Decoding strategies",
        origin(
            path,
            f"{RUN}decoding",
            "seed 0 of the sampler",
            f"{asked} equations",
            *distinct(rows(path), "student"),
            WILSON,
        ),
        table(
            "strategy | candidates an equation | right | in the asked form "
            "| different texts an equation | equations with a right candidate",
            lines,
        ),
        """The untouched student with six solved examples in its prompt.  Rows "plain" and "beams"
        are the code of lesson 02.  A temperature that costs right answers makes different ones,
        which is what a teacher's candidates are for.""",
    )


def templates() -> str:
    """Steps against the answer alone, and five templates."""
    path, splits = "data/templates.csv", ("taught", "other")

    def trained(template: str, split: str, form: str = "terse") -> list[dict]:
        return rows(path, template=template, form=form, stage="distilled", split=split)

    def shown(template: str, split: str) -> dict:
        return row(path, template=template, stage="few-shot", split=split)

    def learned(template: str, form: str = "terse") -> str:
        found = (trained(template, split, form) for split in splits)
        return " | ".join(spread(values(some), end=100) for some in found)

    lines = []
    for name in ("think", "boxed", "headings", "json", "answer-only"):
        before = " | ".join(rate(shown(name, split)) for split in splits)
        lines.append(f"`{name}` | {before} | {learned(name)}")
    lines.append(f"`think`, sums written out in full | | | {learned('think', 'arithmetic')}")
    taught, other = (gap(trained("answer-only", s), trained("think", s)) for s in splits)
    steps, alone = ([percent(shown(name, split)["exact"]) for split in splits]
                    for name in ("think", "answer-only"))  # fmt: skip
    longer = gap(trained("think", "taught"), trained("think", "taught", "arithmetic"))
    return section(
        "Steps against the answer alone",
        origin(path, f"{RUN}templates", WILSON, SEEDS),
        table(
            "template | few-shot, kinds taught | few-shot, other kinds "
            "| distilled, kinds taught, % | distilled, other kinds, %",
            lines,
        ),
        f"""The same 64 equations and solutions in each template.  Steps and answer against the
        answer alone: {change(taught)} points, on kinds never taught {change(other)}.  Most of that
        is not the teaching: untrained, with six examples in the prompt, the student has
        {steps[0]} % with steps and {alone[0]} % without, on other kinds {steps[1]} % and
        {alone[1]} %.  Tags, `\\boxed{{}}`, headings or JSON make no difference that three seeds can
        show, and sums written out in full do not help here: {change(longer)}.""",
    )


def rejection() -> str:
    """Any candidates, right answers, verified ones, of a good and of a damaged teacher."""
    path, lines = "data/rejection.csv", []
    for teacher in ("good", "damaged"):
        anything = rows(path, teacher=teacher, arm="everything")
        for arm in ("everything", "right answers", "verified"):
            own = rows(path, teacher=teacher, arm=arm)
            moved = "" if own == anything else change(gap(anything, own), 1, bold=True)
            usable = mean(values(own, "usable", 1), 1)
            right = spread(values(own), end=100)
            lines.append(f"{teacher} | {arm} | {usable} | {right} | {moved}")
    good, damaged = (rows(path, teacher=t, arm="verified") for t in ("good", "damaged"))
    of_good, of_damaged = (
        percent(int(found[0]["pool_usable"]) / int(found[0]["pool"])) for found in (good, damaged)
    )
    return section(
        "Is rejecting bad traces worth it?",
        origin(path, f"{RUN}rejection", SEEDS, PAIRED),
        table(
            "teacher | learns from | usable of 64 | right in 100 | difference from everything",
            lines,
        ),
        f"""64 traces of the same problems in every arm.  Of the good teacher's candidates
        {of_good} % are usable, of the same teacher after naive int8 {of_damaged} %.
        The damaged one's verified traces teach as well as the good one's:
        {change(gap(good, damaged))}.  Claim 6 of the ledger pools both teachers.""",
    )


def general_share() -> str:
    """What is forgotten without general examples."""
    path = "data/general_share.csv"
    none = rows(path, share="0.0")
    lines = []
    for share in ("0.0", "0.2", "0.5"):
        own = rows(path, share=share)
        moved = moved_loss = ""
        if own != none:
            moved = change(gap(none, own), bold=True)
            moved_loss = change(gap(none, own, "general_loss", 1), 3, bold=True)
        loss = spread(values(own, "general_loss", 1), 3)
        right = spread(values(own), end=100)
        lines.append(f"{percent(share)} % | {right} | {moved} | {loss} | {moved_loss}")
    untouched = row(path, share="untouched")
    return section(
        "General examples beside the equations",
        origin(path, f"{RUN}general_share", SEEDS, PAIRED),
        table(
            "share of general examples | right in 100 | difference "
            "| loss on general answers, nats a token | difference",
            lines,
        ),
        f"""48 equations in every arm, and {untouched["held_out"]} general answers that no arm
        learned; the untouched student's loss on them is {plain(untouched["general_loss"], 3)}.  No
        arm answers a general question in the form of an equation.  Nothing is shown for or against
        a share of 20 %.""",
    )


CURRICULUM = "data/curriculum.csv"


def curriculum() -> str:
    """Which solutions, which words, which order."""
    told = {
        "base": "form `arithmetic`, the baseline",
        "one-operation": "form `one-operation`",
        "check": "form `check` (puts the solution back in)",
        "terse": "form `terse`",
        "collect": "form `collect`",
        "columns": "form `columns`",
        "one wording": "the kit's own words only",
        "easy to hard": "easy families first",
        "half the problems twice": "half of the equations, twice",
    }
    base = rows(CURRICULUM, recipe="base")
    lines = []
    for recipe, name in told.items():
        own = rows(CURRICULUM, recipe=recipe)
        moved = "" if recipe == "base" else change(gap(base, own), 1, bold=True)
        tokens = mean(values(own, "answer_tokens", 1))
        lines.append(f"{name} | {spread(values(own), 1, 100)} | {moved} | {tokens}")
    shown = row(CURRICULUM, recipe="few-shot")
    return section(
        "Which solutions, which words, which order",
        origin(CURRICULUM, f"{RUN}curriculum", SEEDS, PAIRED),
        table("change | right in 100 | difference | tokens an answer", lines),
        f"""64 of the solver's solutions with general examples, one change at a time; unseen
        equations of the same kinds in other people's words (untouched with examples:
        {rate(shown)}).  A long form is more to learn: with 64 solutions it loses, with thousands
        `collect` reaches the broad equations
        ([above](#a-student-that-carries-further)).""",
    )


def amount() -> str:
    """How many solutions, and whether repeating them does as well."""
    counts = (8, 16, 32, 64, 128, 256, 512, 1024)
    once = {n: rows(CURRICULUM, recipe="base" if n == 64 else f"{n} traces") for n in counts}
    again = {n: rows(CURRICULUM, recipe=f"{n} solutions {128 // n} times") for n in (8, 32)}

    def right(found: list[dict]) -> str:
        if len(found) < 3:  # too few seeds for an interval
            return ", ".join(map(plain, values(found))) + " (one seed)" * (len(found) == 1)
        return spread(values(found), end=100)

    lines = [
        "each seen once | " + " | ".join(right(once[n]) for n in counts),
        "again and again, for as many steps as 128 | "
        + " | ".join(right(again[n]) if n in again else "" for n in counts),
    ]
    shown = for_each_seed(row(CURRICULUM, recipe="few-shot"), once[128])
    eight = ", ".join(plain(value) for value in values(once[8]))
    return section(
        "How many solutions",
        origin(CURRICULUM, f"{RUN}curriculum", "right in 100", SEEDS),
        table("solutions | " + " | ".join(map(plain, counts)), lines),
        f"""In the form `arithmetic`; the three seeds of 8 solutions: {eight}.  128 solutions beat
        the six examples in the prompt by {change(gap(shown, once[128]))}, 256 by
        {change(gap(shown, once[256]))}.  Repeating helps, new solutions help more: 32 seen four
        times {change(gap(once[32], again[32]))} over once; in place of them 128 seen once
        {change(gap(again[32], once[128]))}, and in place of 8 seen sixteen times
        {change(gap(again[8], once[128]))}.""",
    )


def self_improvement() -> str:
    """Can a student go on by itself?"""
    path = "data/self_improvement.csv"
    told = {
        "first": "32 of the solver's solutions",
        "round 1": "and its own verified ones, round 1",
        "round 2": "and its own verified ones, round 2",
        "first, repeated": "the same 32, repeated for as many steps",
        "solver's": "and the solver's solutions of the new equations",
    }
    of = {stage: rows(path, stage=stage) for stage in told}
    lines = []
    for stage, name in told.items():
        moved = "" if stage == "first" else change(gap(of["first"], of[stage]), bold=True)
        lines.append(f"{name} | {spread(values(of[stage]), end=100)} | {moved}")
    repeated, solver = (change(gap(of[s], of["round 2"])) for s in ("first, repeated", "solver's"))
    return section(
        "Can a student go on by itself?",
        origin(path, f"{RUN}self_improvement", SEEDS, PAIRED),
        table("learns from | right in 100 | difference from the first", lines),
        f"""In the kit's own words.  In each round the student writes four solutions of each of 64
        new equations and learns what the rules keep.  Two rounds against the same 32 solutions
        repeated: {repeated}; against the solver's: {solver}.  So the gain is mostly more steps;
        the student's verified solutions are not measurably worse than perfect ones.""",
    )


def own_errors() -> str:
    """Problems that the student gets wrong, or any?"""
    path = "data/own_errors.csv"
    told = {
        "first": "64 solutions",
        "own errors": "then those of what it got wrong of 192 new problems",
        "as many": "or just as many of any problems",
        "equal minutes": "or more of any problems, for the minutes that the answers took",
    }
    of = {arm: rows(path, arm=arm) for arm in told}
    lines = []
    for arm, name in told.items():
        moved = "" if arm == "first" else change(gap(of["first"], of[arm]), bold=True)
        chosen = spread(values(of[arm], "chosen", 1))
        lines.append(f"{name} | {chosen} | {spread(values(of[arm]), end=100)} | {moved}")
    same, minutes = (change(gap(of[arm], of["own errors"])) for arm in ("as many", "equal minutes"))
    return section(
        "Problems that it gets wrong, or any?",
        origin(path, f"{RUN}own_errors", "five paired seeds", PAIRED),
        table("learns | more solutions | right in 100 | difference from the first", lines),
        f"""The kinds with one unknown and small numbers.  Own errors against as many others:
        {same}; against equal minutes: {minutes}.  Expected before the run: 3 to 8 points better
        than as many, worse than equal minutes.  Asking costs time in which more is learned from any
        problems; why as many of any problems teach more, too, was not tested (a few kinds alone, a
        few steps at the full rate?).  Trained on a card; an answered token is counted as a trained
        one, as it is on two cores.""",
    )


def more_training() -> str:
    """More solutions of the same kinds, and drills of what the student calculates wrongly."""
    path, lines = "data/more_training.csv", []
    before = row(path, learns="nothing")
    for more in [r for r in rows(path) if r["learns"] != "nothing"]:
        spent = f"{plain(more['trace_tokens'])} | {plain(float(more['train_seconds']) / 60)}"
        gain = change(gain_of(more), bold=True)
        lines.append(f"{more['learns']} | {spent} | {rate(more)} | {gain}")
    return section(
        "More training, and which?",
        origin(path, f"{RUN}more_training", WILSON),
        table(
            "learns, peak rate | tokens | minutes | right | gain over the questions, paired", lines
        ),
        f"""The student that comes with the kit, trained on, and 200 questions of `outside`: before
        that it has {rate(before)}; greedy answers.  *Same kinds*: 800 other solutions of the
        thirteen kinds.  *Drills*: 450 equations of one operation with large numbers and 60
        solutions of the thirteen kinds, because of its 42 wrong answers in bfloat16 41 go wrong in
        a product, a sum or a difference.  *Products by places*: 360 and 60, and
        `34 * 20 = 30 * 20 + 4 * 20 = 600 + 80 = 680`, because products were half of the mistakes.
        Expected before the runs: 79 to 83, 82 to 88 and 84 to 90 right in 100.  No arm gains.  The
        rate of the first training had fallen to nothing and each of these begins anew; the arms
        differ in what is learned and in the rate, so which of both does the harm was not tested.
        One training run each: the intervals say nothing of another one.""",
    )


def several_tries() -> str:
    """Four tries more, without the right answer."""
    path, lines, sound, right = "data/several_tries.csv", [], 0.0, 0.0
    ways = ("first", "majority", "own steps", "again", "any")
    for split in distinct(rows(path), "split"):
        of = {way: rows(path, split=split, way=way) for way in ("greedy", *ways)}
        shares = [spread(values(of[way]), end=100) for way in ways]
        gain = change(gap(of["greedy"], of["again"]), bold=True)
        cost = [mean(values(of[way], "tokens", 1)) for way in ("greedy", "again")]
        shown = [mean(values(of["again"], column)) for column in ("sound", "sound_right")]
        greedy = percent(of["greedy"][0]["exact"])
        lines.append(" | ".join([split, greedy, *shares, gain, *cost, *shown]))
        for r in of["again"] if split != "stories" else ():
            sound += float(r["sound"]) * int(r["n"])
            right += float(r["sound_right"]) * int(r["n"])
    return section(
        "Asked again, and nobody knows the answer",
        origin(path, f"{RUN}several_tries", SEEDS, PAIRED),
        table(
            "split | greedy | first of four at temperature 0.7 | votes of the four | first of the "
            "four without a contradiction | greedy, or again | a right one among the five "
            "| again against greedy | tokens of a question, greedy | again | of 100 questions, "
            "with an answer without a contradiction | and it is right",
            lines,
        ),
        f"""The student that comes with the kit.  An answer contradicts itself if a line, or the
        answer, does not follow from its own first equation; then the first of four more that does
        not is taken ("again").  Neither key nor question is needed for it.  {plain(right)} of
        {plain(sound)} answers to equations that contradict themselves nowhere are right (greedy
        ones count in each seed); in stories the first line itself is wrong.  Expected before the
        run: the first of four 2 to 6 points below greedy, votes 3 to 8 above, answers without a
        contradiction 8 to 15 above except in stories, 98 of 100 of these right.  The first of four
        is worse than that, and votes bring nothing over greedy.""",
    )


def going_back() -> str:
    """Lines written again, without the right answer."""
    path, lines, sound, right = "data/going_back.csv", [], 0.0, 0.0
    for split in distinct(rows(path), "split"):
        greedy, after = (rows(path, split=split, way=way) for way in ("greedy", "going back"))
        again = rows("data/several_tries.csv", split=split, way="again")
        gain = change(gap(greedy, after), bold=True)
        cost = [mean(values(of, "tokens", 1)) for of in (greedy, after, again)]
        shown = [mean(values(of, "sound")) for of in (greedy, after)]
        first = [100 * r["right"][: int(again[0]["n"])].count("1") / int(again[0]["n"])
                 for r in after]  # fmt: skip
        lines.append(" | ".join([
            split, percent(greedy[0]["exact"]), spread(values(after), end=100), gain,
            change(gain_of(after[0])), *shown, mean(values(after, "sound_right")),
            mean(first), mean(values(again)), *cost,
        ]))  # fmt: skip
        sound += sum(float(r["sound"]) * int(r["n"]) for r in after)
        right += sum(float(r["sound_right"]) * int(r["n"]) for r in after)
    return section(
        "Lines written again, and nobody knows the answer",
        origin(path, f"{RUN}going_back", SEEDS, PAIRED),
        table(
            "split | greedy | going back | going back against greedy, over the streams | over the "
            "questions, first stream | of 100 questions, with an answer without a contradiction, "
            "greedy | going back | and it is right | of the first 100, right, going back | the "
            "whole answer anew (the table above) | tokens of a question, greedy | going back | the "
            "whole answer anew",
            lines,
        ),
        f"""The student that comes with the kit.  A text is cut where a line does not follow from
        its own first equation and drawn on from there, at temperature 1, until it is further than
        where it failed; behind that it is greedy.  What was refused is not drawn again, and after
        four tries in vain the text goes back a line more each time.  It has 24 tries and 640 tokens
        more at most; then the old answer stays.  {plain(right)} of {plain(sound)} answers that
        contradict themselves nowhere are right (greedy ones count in each stream).  The whole
        answers were written anew on another machine, to the first 100 questions and from greedy
        answers of which 79 and 75 are right.  Expected before the run, of the first 100: 87 and 84.
        The checker calculates, so this is no longer the student alone.  Each stream has the same
        questions, so the intervals over the streams say nothing of other questions.""",
        noted(
            """two forms that were tried first drew only the line that is written again, also where
            the text went further back, and drew again what was refused before.  With twelve tries
            and 320 tokens, three streams, n = 100: outside 77 to 85, 84, 85, broad 75 to 82, 84, 81
            (expected were 88 and 90).  With one seed, n = 200, the whole answer anew in float32,
            temperature 0.7, back to the start of the line and eight tries: outside 85 % (79–89),
            broad 86 % (81–90), systems 61 % (54–67), stories 81 % (74–85); but 26 of 216 texts held
            without going back once, because they were computed in another type.  The last 100
            questions of `outside` were looked at before the table was made, with twelve tries and
            320 tokens: 81 to 90, 90, 88, and to 89, 90, 87 if a text goes back to the line that
            failed and no further."""
        ),
    )


def teacher_forms() -> str:
    """A real teacher's solutions by the form of its examples."""
    path = "data/teacher_forms.csv"
    found = sorted(rows(path), key=lambda r: -int(r["kept"]))
    lines = []
    for r in found:
        kept = rate_of(int(r["kept"]), int(r["n"]))
        lines.append(f"`{r['form']}` | {r['correct']} | {kept} | {r['tokens']}")
    return section(
        "The forms, from a real teacher",
        origin(
            path,
            f"{RUN}teacher_forms",
            *distinct(found, "teacher"),
            "greedy: nothing is drawn at random",
            WILSON,
        ),
        table(
            f"form of its six examples | right of {found[0]['n']} | kept by the rules "
            "| tokens an answer",
            lines,
        ),
        "The teacher has the student's taste: the forms that teach best are those that it writes "
        "best.",
    )
