"""Two small systems without a language model: a bandit learner and a sampler."""

from __future__ import annotations

from benchmarks.report.parts import (
    PAIRED,
    SEEDS,
    change,
    distinct,
    gap,
    mean,
    origin,
    plain,
    rows,
    section,
    spread,
    table,
    values,
)

RUN = "python -m benchmarks.experiments."


def algorithm() -> str:
    """A learning algorithm distilled."""
    path = "data/algorithm_distillation.csv"
    odds = ("as in training", "turned round")

    def lost(arm: str, policy: str, how: str = odds[0]) -> list[dict]:
        return rows(path, arm=arm, policy=policy, odds=how)

    def cells(arm: str, policy: str) -> str:
        found = (values(lost(arm, policy, how), "regret", 1) for how in odds)
        return " | ".join(spread(numbers, 1) for numbers in found)

    learners = distinct(rows(path, arm="references"), "policy")
    lines = [f"the learner itself: {name} | {cells('references', name)} | | " for name in learners]
    for arm in distinct(rows(path), "arm"):
        if arm != "references":
            lines.append(f"{arm} | {cells(arm, 'sampled')} | {cells(arm, 'greedy')}")
    base = lost("thompson", "sampled")
    worse = change(gap(base, lost("finished learner", "sampled"), "regret", 1), 1)
    return section(
        "A learning algorithm distilled",
        origin(path, f"{RUN}algorithm_distillation --device cuda", SEEDS, PAIRED),
        table(
            "learned from | regret after 60 pulls, sampled | the same, odds turned round "
            "| greedy | greedy, odds turned round",
            lines,
        ),
        f"""8,192 histories of 60 pulls, a transformer of 105,000 weights, new bandits of five arms.
        With frozen weights a student of Thompson sampling does what Thompson sampling does, also
        when the best arm is where it seldom was in training.  One that learned from sixty pulls of
        the *finished* learner loses more: {worse}.  The last tenth of each history gives
        {mean(values(lost("last tenth", "sampled"), "regret", 1), 1)}, but with six pulls of
        everything in sight it is
        {mean(values(lost("last tenth in sight", "sampled"), "regret", 1), 1)}: with the odds of the
        training the short memory explains it; turned round, the last tenth loses more.  Taking the
        likeliest pull in place of drawing one, the student of Thompson sampling comes near the
        Gittins index, and the finished learner gets worse: which is right depends on the student.
        """,
    )


def sampler() -> str:
    """A sampler distilled."""
    path, steps = "data/sampler_distillation.csv", (64, 16, 8, 4, 2, 1)
    names = {
        "teacher, DDIM": "the teacher, DDIM",
        "progressive": "halved six times",
        "direct": "directly, 64 to 1",
        "consistency": "consistency distillation",
        "wrong loss": "a loss that was published as this",
    }

    def of(arm: str, count: int | str = 1) -> list[dict]:
        return rows(path, arm=arm, steps=count)

    def cell(arm: str, count: int) -> str:
        if str(count) not in distinct(rows(path, arm=arm), "steps"):
            return ""
        found = values(of(arm, count), "wasserstein", 1)
        if max(found) > 1000:
            return "above 1,000"
        digits = 3 if max(found) < 1 else 2
        return spread(found, digits) if count == 1 else mean(found, digits)

    lines = [f"{name} | {' | '.join(cell(arm, count) for count in steps)}"
             for arm, name in names.items()]  # fmt: skip
    whole, halved, direct = of("teacher, DDIM", 64), of("progressive"), of("direct")
    floor = spread(values(of("data", ""), "wasserstein", 1), 3)
    near = 100 - sum(values(halved, "near")) / len(halved)
    return section(
        "A sampler distilled",
        origin(path, f"{RUN}sampler_distillation", SEEDS, PAIRED),
        table(
            f"sliced Wasserstein distance from the data, by steps | {' | '.join(map(str, steps))}",
            lines,
        ),
        f"""Eight modes in a plane.  Two samples of the data differ by {floor}.  One step costs
        {change(gap(whole, halved, "wasserstein", 1), 3)} over the teacher's 64, and
        {plain(near)} of 100 points land between the modes (the teacher:
        {plain(100 - sum(values(whole, "near")) / len(whole))}).  Step by step is not needed here:
        with as many training steps and questions to the teacher the direct student is better
        ({change(gap(halved, direct, "wasserstein", 1), 3)}).""",
    )
