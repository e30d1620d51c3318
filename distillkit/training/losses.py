"""The losses of distillation, in log-space, with the reduction spelled out.

Dimension key: N positions, V vocabulary, B examples, C classes.
"""

from __future__ import annotations

import math

import torch

IGNORE = -100  # the label of a position that is not trained on
AT_ONCE = 2**21  # logits in float32: 8 MiB, which a processor's cache holds


def negative_log_likelihood(logits_NV: torch.Tensor, labels_N: torch.Tensor) -> torch.Tensor:
    """Return -log p(label), in nats, at each position: `-log_softmax(logits)[label]`.

    Computed in float32 a few positions at a time, so that no copy of all logits is written.
    """
    return _NegativeLogLikelihood.apply(logits_NV, labels_N)


class _NegativeLogLikelihood(torch.autograd.Function):
    """log Σ exp(logits) - logits[label]; its gradient is softmax(logits) - onehot(label)."""

    @staticmethod
    def forward(ctx, logits_NV: torch.Tensor, labels_N: torch.Tensor) -> torch.Tensor:
        ctx.rows = max(1, AT_ONCE // logits_NV.shape[-1])
        parts = [part_NV.float().logsumexp(-1) for part_NV in logits_NV.split(ctx.rows)]
        total_N = torch.cat(parts)
        ctx.save_for_backward(logits_NV, labels_N, total_N)
        return total_N - logits_NV.gather(-1, labels_N[:, None])[:, 0].float()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad_N: torch.Tensor) -> tuple[torch.Tensor, None]:
        saved = [tensor.split(ctx.rows) for tensor in (*ctx.saved_tensors, grad_N)]
        grad_NV = torch.empty_like(ctx.saved_tensors[0])
        for out_NV, logits, labels, total, grad in zip(grad_NV.split(ctx.rows), *saved):
            probs_NV = (logits.float() - total[:, None]).exp_()
            probs_NV.scatter_add_(-1, labels[:, None], -torch.ones_like(total)[:, None])
            out_NV.copy_(probs_NV.mul_(grad[:, None]))
        return grad_NV, None


def cross_entropy(logits_NV: torch.Tensor, labels_N: torch.Tensor) -> torch.Tensor:
    """Return the mean of -log p(label), in nats, over positions whose label is not -100.

    Raises ValueError if no position is left (the mean of nothing would be NaN).
    """
    kept_N = labels_N != IGNORE
    if not kept_N.any():
        raise ValueError("every label is -100: nothing to train on")
    if not kept_N.all():  # indexing copies the logits, the largest tensor of all
        logits_NV, labels_N = logits_NV[kept_N], labels_N[kept_N]
    return negative_log_likelihood(logits_NV, labels_N).mean()


def _log_probabilities(
    student_NV: torch.Tensor, teacher_NV: torch.Tensor, temperature: float
) -> tuple[torch.Tensor, torch.Tensor]:
    if not 0 < temperature < math.inf:  # NaN, too
        raise ValueError(f"temperature must be finite and above 0, not {temperature}")
    v = min(student_NV.shape[-1], teacher_NV.shape[-1])
    student = (student_NV[..., :v].float() / temperature).log_softmax(-1)
    teacher = (teacher_NV[..., :v].detach().float() / temperature).log_softmax(-1)
    return student, teacher


def _kl(p_NV: torch.Tensor, q_NV: torch.Tensor) -> torch.Tensor:
    """Return KL(p ‖ q) at each position, of log-probabilities."""
    # 0 · log 0 = 0: a token that p rules out (logit -inf) adds nothing
    gap_NV = (p_NV - q_NV).masked_fill(p_NV.isneginf(), 0.0)
    return (p_NV.exp() * gap_NV).sum(-1)


def forward_kl(
    student_NV: torch.Tensor, teacher_NV: torch.Tensor, temperature: float = 1.0
) -> torch.Tensor:
    """Return KL(teacher ‖ student) at temperature T, in nats, at each position: it covers modes.

    Models of one family may pad their vocabulary differently: the shared first columns count.
    The teacher gets no gradient.  Raises ValueError unless the temperature is finite and above 0.
    Source: Agarwal et al. 2023, arXiv 2306.13649, sec. 2 ("forward KL").
    """
    student, teacher = _log_probabilities(student_NV, teacher_NV, temperature)
    return _kl(teacher, student)


def reverse_kl(
    student_NV: torch.Tensor, teacher_NV: torch.Tensor, temperature: float = 1.0
) -> torch.Tensor:
    """Return KL(student ‖ teacher) at temperature T, in nats, at each position: it seeks a mode.

    Vocabulary, gradient, errors and source are those of `forward_kl`.
    """
    student, teacher = _log_probabilities(student_NV, teacher_NV, temperature)
    return _kl(student, teacher)


def jsd(
    student_NV: torch.Tensor, teacher_NV: torch.Tensor, temperature: float = 1.0, beta: float = 0.5
) -> torch.Tensor:
    """Return the generalised Jensen-Shannon divergence, in nats, at each position.

    β KL(teacher ‖ m) + (1 - β) KL(student ‖ m) with the mixture m = β teacher + (1 - β) student
    (Agarwal et al. 2023, arXiv 2306.13649, sec. 2).  It vanishes at both ends: JSD/β tends to the
    forward KL at β → 0 and JSD/(1 - β) to the reverse one at β → 1.  Code that returns the KLs
    themselves at 0 and 1 makes a jump there; JSD/(β(1 - β)) has none.
    Raises ValueError unless 0 < beta < 1; else as `forward_kl`.
    """
    if not 0 < beta < 1:
        raise ValueError(f"beta must be between 0 and 1, not {beta}: the ends are the KLs")
    lowest = torch.finfo(torch.float32).min  # for -inf, whose gradient is NaN in logaddexp
    both = _log_probabilities(student_NV, teacher_NV, temperature)
    student, teacher = (logs_NV.clamp(min=lowest) for logs_NV in both)
    mixture = torch.logaddexp(teacher + math.log(beta), student + math.log(1 - beta))
    return beta * _kl(teacher, mixture) + (1 - beta) * _kl(student, mixture)


def soft_loss(
    student_NV: torch.Tensor, teacher_NV: torch.Tensor, temperature: float = 1.0
) -> torch.Tensor:
    """Return T² · KL(teacher ‖ student) at temperature T, in nats, mean over positions.

    T² keeps the gradient's size when T grows (Hinton et al. 2015, arXiv 1503.02531, sec. 2).
    Vocabulary, gradient and errors are those of `forward_kl`.
    """
    return temperature**2 * forward_kl(student_NV, teacher_NV, temperature).mean()


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
