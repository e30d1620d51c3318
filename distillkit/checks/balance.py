"""The exercise on the balance of hard and soft labels.  Dimension key: B examples, C classes."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from distillkit import losses
from distillkit.checks.core import Exercise, Mistake


def _balance_probes() -> list[tuple]:
    """Return (student, teacher, labels, alpha, temperature); the teacher is not always right."""
    numbers = torch.Generator().manual_seed(7)
    probes = []
    for alpha, temperature in ((0.0, 2.0), (1.0, 3.0), (0.3, 1.0), (0.3, 4.0)):
        student, teacher = (2 * torch.randn(3, 5, generator=numbers) for _ in range(2))
        probes.append((student, teacher, torch.tensor([0, 4, 2]), alpha, temperature))
    return probes


def _balance(soft_power: int = 2, hard_power: int = 0, hard_temperature: bool = False):
    """Make balanced losses with T to other powers, or with the hard loss at temperature T."""

    def wrong(
        student_BC: Tensor, teacher_BC: Tensor, labels_B: Tensor, alpha: float, temperature: float
    ) -> Tensor:
        soft = losses.soft_loss(student_BC, teacher_BC, temperature)
        hard = F.cross_entropy(student_BC / (temperature if hard_temperature else 1.0), labels_B)
        soft = temperature ** (soft_power - 2) * soft
        return alpha * soft + (1 - alpha) * temperature**hard_power * hard

    return wrong


def _weighted(soft_share, hard_share, hard_loss=F.cross_entropy):
    """Make balanced losses with other weights or another hard loss."""

    def wrong(
        student_BC: Tensor, teacher_BC: Tensor, labels_B: Tensor, alpha: float, temperature: float
    ) -> Tensor:
        soft = losses.soft_loss(student_BC, teacher_BC, temperature)
        return soft_share(alpha) * soft + hard_share(alpha) * hard_loss(student_BC, labels_B)

    return wrong


def _teacher_as_label(
    student_BC: Tensor, teacher_BC: Tensor, labels_B: Tensor, alpha: float, temperature: float
) -> Tensor:
    return losses.distillation_loss(
        student_BC, teacher_BC, teacher_BC.argmax(-1), alpha, temperature
    )


balanced_loss = Exercise(
    "balanced_loss",
    reference=losses.distillation_loss,
    probes=_balance_probes,
    gradient_of=0,
    mistakes=[
        Mistake(
            "alpha and 1 - alpha have changed places: alpha = 1 is the teacher alone",
            _weighted(lambda a: 1 - a, lambda a: a),
        ),
        Mistake(
            "the hard loss always counts in full: multiply it by 1 - alpha",
            _weighted(lambda a: a, lambda a: 1.0),
        ),
        Mistake(
            "the soft loss always counts in full: multiply it by alpha",
            _weighted(lambda a: 1.0, lambda a: 1 - a),
        ),
        Mistake("alpha is not used: this is the plain sum", _weighted(lambda a: 1, lambda a: 1)),
        Mistake(
            "cross_entropy takes logits and does the softmax itself: here it is done twice",
            _weighted(lambda a: a, lambda a: 1 - a, lambda z, y: F.cross_entropy(z.softmax(-1), y)),
        ),
        Mistake(
            "T² is missing in the soft loss: the balance then changes with the temperature",
            _balance(soft_power=0),
        ),
        Mistake(
            "T² is there twice: soft_loss has it already, do not multiply again",
            _balance(soft_power=4),
        ),
        Mistake(
            "T² multiplies the hard loss, too: it belongs to the soft loss only",
            _balance(hard_power=2),
        ),
        Mistake(
            "the hard loss is taken at temperature T: the label has no temperature, use T = 1",
            _balance(hard_temperature=True),
        ),
        Mistake(
            "the hard loss uses the teacher's favourite class: it needs the true labels, which "
            "correct a teacher that is wrong",
            _teacher_as_label,
        ),
    ],
)
