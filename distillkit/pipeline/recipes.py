"""What a run is made of: settings, tiers, curricula, and its unseen problems."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from distillkit.problems.equations import (
    FAR,
    NARROW,
    OUT_OF_DISTRIBUTION,
    SMALL,
    Problem,
    make_problems,
)
from distillkit.problems.wordings import reworded, worded_problems
from distillkit.runtime.session import Session
from distillkit.traces.templates import SHOTS

PLAIN_TOKENS = 128  # of a plain answer of the untouched student, where none is recorded
SOFT_OBJECTIVES = ("forward-kl", "reverse-kl", "jsd")  # functions of `training.losses`, with _
TEST_SEED = 100  # the test equations are the same in every run; the seed moves the training


@dataclass(frozen=True)
class Settings:
    """Everything a run depends on; kept in `settings.json`, so that a resumed run is the same."""

    tier: str
    student: str
    teacher: str
    families: tuple[str, ...]
    traces: int
    test: int
    ood: int
    seed: int
    general: float = 0.2
    k: int = 4
    rate: float = 5e-4
    batch_size: int = 8
    shares: dict[str, float] = field(default_factory=dict)  # a family not named here counts 1
    epochs: float = 1.0
    width: int = 160
    quant: str = ""
    dtype: str = "float32"
    curriculum: str = "narrow"
    max_new_tokens: int = 128


# Steps that move a term across are the hardest, so the teacher's both-sides equations count three
# times; data/ablation_training.csv neither confirms nor refutes that this helps.  On two cores 104
# traces, four a step, take two thirds of the seconds of 128 and 32 general examples, eight a step,
# and teach as much (data/demo_recipe.csv); what general examples keep in so short a run is not
# shown (data/general_share.csv).
# SmolLM2-135M learns the form at once, but its arithmetic is too weak for these families: it gets
# the one kind that needs a single operation.
HARD = {"both-sides": 3.0}
TIERS = {
    "cpu": {"teacher": "recorded", "families": NARROW, "traces": 104, "shares": HARD, "test": 48,
            "ood": 30, "batch_size": 4, "general": 0.0},
    "gpu": {"teacher": "recorded", "families": NARROW, "traces": 200, "shares": HARD, "test": 100,
            "ood": 60},
    "tiny": {"teacher": "solver", "families": ("one-step",), "traces": 200, "test": 48, "ood": 0,
             "rate": 2e-3},
}  # fmt: skip


# What is taught and asked.  "broad" is for equations as other people write them: more terms, other
# letters and words, larger numbers, systems, word problems; its solutions are longer, so everything
# takes longer.
WIDE = {**dict.fromkeys(SMALL, 1), "fractions": 2, "near": 1, "large": 1, "scaled": 6, "systems": 3,
        "pairs": 2, "stories": 3, "broad": 10}  # fmt: skip
CURRICULA = {
    "narrow": {},
    "broad": {"teacher": "solver:collect", "families": tuple(WIDE), "shares": WIDE,
              "traces": 3200, "batch_size": 4, "general": 0.2,
              "max_new_tokens": 640},  # more than the longest solution taught
}  # fmt: skip


def settings_for(machine: Session, curriculum: str = "narrow", **asked: object) -> Settings:
    """Return the tier's settings with what was asked for in their place (None: the default)."""
    base = Settings(
        tier=machine.tier,
        student=machine.student,
        seed=machine.seed,
        dtype=machine.dtype,
        curriculum=curriculum,
        **{**TIERS[machine.tier], **CURRICULA[curriculum]},
    )
    return replace(base, **{name: value for name, value in asked.items() if value is not None})


def unseen_problems(settings: Settings) -> tuple[list[Problem], list[Problem]]:
    """Return the unseen equations: of the taught families, and of families never taught.

    A shorter test is the beginning of a longer one, so that the teacher's recorded answers serve
    every length.
    """
    kinds = FAR if settings.curriculum == "broad" else OUT_OF_DISTRIBUTION
    test = maker(settings.curriculum)(max(100, settings.test), settings.families, "test", TEST_SEED)
    ood = make_problems(max(60, settings.ood), kinds, "ood", TEST_SEED, avoid=test)
    return test[: settings.test], ood[: settings.ood]


def in_turn(families: Iterable[str], shares: Mapping[str, float]) -> list[str]:
    """Return the families, each as often as its share, to be made one after the other."""
    return [family for family in families for _ in range(round(shares.get(family, 1)))]


def maker(curriculum: str) -> Callable[..., list[Problem]]:
    """Return what makes a curriculum's problems: in the kit's words, or in other people's."""
    return worded_problems if curriculum == "broad" else make_problems


def broad_problems(n: int, seed: int = TEST_SEED) -> list[Problem]:
    """Return n unseen broad equations in other people's words."""
    return reworded(make_problems(n, ("broad",), "test", seed), seed)


def examples(curriculum: str) -> Sequence[Problem]:
    """Return the solved examples of a few-shot prompt, worded as the curriculum's questions are.

    With examples in other words than the questions the form is not taken over.
    """
    return SHOTS if curriculum == "narrow" else reworded(SHOTS, TEST_SEED)
