"""The losses of distillation, in log-space, with the reduction spelled out.

Dimension key: N positions, V vocabulary, B examples, C classes.
"""

from __future__ import annotations

import torch

IGNORE = -100  # the label of a position that is not trained on


def cross_entropy(logits_NV: torch.Tensor, labels_N: torch.Tensor) -> torch.Tensor:
    """Return the mean of -log p(label), in nats, over positions whose label is not -100.

    Raises ValueError if no position is left (the mean of nothing would be NaN).
    """
    kept_N = labels_N != IGNORE
    if not kept_N.any():
        raise ValueError("every label is -100: nothing to train on")
    if not kept_N.all():  # indexing copies the logits, the largest tensor of all
        logits_NV, labels_N = logits_NV[kept_N], labels_N[kept_N]
    return -logits_NV.log_softmax(-1, dtype=torch.float32).gather(-1, labels_N[:, None]).mean()


def soft_loss(
    student_NV: torch.Tensor, teacher_NV: torch.Tensor, temperature: float = 1.0
) -> torch.Tensor:
    """Return T² · KL(teacher ‖ student) at temperature T, in nats, mean over positions.

    T² keeps the gradient's size when T grows (Hinton et al. 2015, arXiv 1503.02531, sec. 2).
    Models of one family may pad their vocabulary differently: the shared first columns count.
    The teacher gets no gradient.  Raises ValueError unless temperature > 0.
    """
    if temperature <= 0:
        raise ValueError(f"temperature must be above 0, not {temperature}")
    v = min(student_NV.shape[-1], teacher_NV.shape[-1])
    student = (student_NV[..., :v].float() / temperature).log_softmax(-1)
    teacher = (teacher_NV[..., :v].detach().float() / temperature).log_softmax(-1)
    # 0 · log 0 = 0: a token that the teacher rules out (logit -inf) adds nothing
    gap_NV = (teacher - student).masked_fill(teacher.isneginf(), 0.0)
    kl_N = (teacher.exp() * gap_NV).sum(-1)
    return temperature**2 * kl_N.mean()


def distillation_loss(
    student_BC: torch.Tensor,
    teacher_BC: torch.Tensor,
    labels_B: torch.Tensor,
    alpha: float = 0.5,
    temperature: float = 2.0,
) -> torch.Tensor:
    """Return alpha · soft loss + (1 - alpha) · hard loss (Hinton et al. 2015, sec. 2).

    Raises ValueError unless 0 <= alpha <= 1.
    """
    if not 0 <= alpha <= 1:
        raise ValueError(f"alpha must be between 0 and 1, not {alpha}")
    soft = soft_loss(student_BC, teacher_BC, temperature)
    return alpha * soft + (1 - alpha) * cross_entropy(student_BC, labels_B)
