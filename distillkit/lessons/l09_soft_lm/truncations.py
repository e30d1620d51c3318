"""Five ways to use K of a teacher's probabilities, so that they can be compared.

Dimension key: N positions, V vocabulary, K tokens.
"""

from __future__ import annotations

import torch
from torch import Tensor

from distillkit.training.losses import forward_kl
from distillkit.training.top_k import top_and_rest


def naive(student_NV: Tensor, teacher_NV: Tensor, k: int) -> Tensor:
    """Return the K terms of the KL as they are: no KL, for they do not sum to 1."""
    top = teacher_NV.log_softmax(-1).topk(k)
    student = student_NV.log_softmax(-1).gather(-1, top.indices)
    return (top.values.exp() * (top.values - student)).sum(-1)


def renormalised(student_NV: Tensor, teacher_NV: Tensor, k: int) -> Tensor:
    """Return the KL of both distributions, each renormalised over the teacher's K tokens."""
    top = teacher_NV.topk(k)
    return forward_kl(student_NV.gather(-1, top.indices), top.values)


def with_rest(student_NV: Tensor, teacher_NV: Tensor, k: int) -> Tensor:
    """Return the KL over K tokens and the rest as one more outcome."""
    ids_NK = teacher_NV.topk(k).indices
    return forward_kl(top_and_rest(student_NV, ids_NK), top_and_rest(teacher_NV, ids_NK))


def sampled(student_NV: Tensor, teacher_NV: Tensor, k: int, seed: int = 0) -> Tensor:
    """Return the mean of log p - log q over K tokens that the teacher draws: right on average.

    Source: the idea of Anshumann et al. 2025, arXiv 2503.16870; here without importance weights.
    """
    logs_NV = teacher_NV.log_softmax(-1)
    generator = torch.Generator().manual_seed(seed)
    drawn_NK = torch.multinomial(logs_NV.exp(), k, replacement=True, generator=generator)
    gap_NK = (logs_NV - student_NV.log_softmax(-1)).gather(-1, drawn_NK)
    return gap_NK.mean(-1)


def whole(student_NV: Tensor, teacher_NV: Tensor, k: int) -> Tensor:
    """Return the KL over all tokens, whatever K is."""
    return forward_kl(student_NV, teacher_NV)


WAYS = {"naive": naive, "renormalised": renormalised, "K and the rest": with_rest,
        "K drawn": sampled, "all": whole}  # fmt: skip


def compare(student_NV: Tensor, teacher_NV: Tensor, k: int) -> dict[str, tuple[float, float, int]]:
    """Return for each way: mean loss, relative error of its gradient, negative positions.

    The gradient is that of the mean loss with respect to the student's logits; its error is the
    length of the difference from that of the KL over all tokens, over the latter's length.
    """
    found, right = {}, None
    for name, way in reversed(WAYS.items()):
        leaf_NV = student_NV.detach().float().requires_grad_()
        loss_N = way(leaf_NV, teacher_NV.float(), k)
        (slope_NV,) = torch.autograd.grad(loss_N.mean(), leaf_NV)
        right = slope_NV if right is None else right
        error = ((slope_NV - right).norm() / right.norm()).item()
        found[name] = (loss_N.mean().item(), error, int((loss_N < -1e-5).sum()))
    return {name: found[name] for name in WAYS}
