"""The rarer wrong answers of lessons 05 and 06 are refused, and each is called by its name."""

from __future__ import annotations

import pytest

from distillkit.lessons.l05_rejection import checks as rejection
from distillkit.lessons.l06_lora import checks as lora
from distillkit.teaching.exercise import WRONG, Exercise

SLIPS = [
    (exercise, slip)
    for checks in (rejection, lora)
    for exercise in vars(checks).values()
    if isinstance(exercise, Exercise)
    for slip in exercise.slips
]


@pytest.mark.parametrize(("exercise", "slip"), SLIPS)
def test_a_rarer_wrong_answer_is_refused_and_named(exercise, slip):
    """Once five were accepted: small letters, // 2, only neighbours, no warm-up, alpha // r."""
    outcome = exercise.judge(slip.function)
    assert outcome.kind == WRONG
    assert outcome.message.startswith(f"✗ {exercise.name}: {slip.message}")
