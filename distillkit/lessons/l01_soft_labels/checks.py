"""Exercises on soft and hard labels, and on their balance.

Dimension key: N positions, V vocabulary, B examples, C classes.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from distillkit.teaching.exercise import Exercise, Mistake, hint  # noqa: F401 (checks.hint)
from distillkit.teaching.kl_mistakes import kl_mistakes
from distillkit.training import losses


def _log_probs(student_NV: Tensor, teacher_NV: Tensor, s: float, t: float) -> tuple[Tensor, Tensor]:
    """Return the log-probabilities of the student at temperature s and the teacher at t."""
    return (student_NV / s).log_softmax(-1), (teacher_NV.detach() / t).log_softmax(-1)


def _kl(teacher_NV: Tensor, student_NV: Tensor) -> Tensor:
    """Return sum p_teacher (log p_teacher − log p_student) for log-probabilities: (N,)."""
    return (teacher_NV.exp() * (teacher_NV - student_NV)).sum(-1)


def _swapped(student_NV: Tensor, teacher_NV: Tensor, temperature: float = 1.0) -> Tensor:
    student, teacher = _log_probs(student_NV, teacher_NV, temperature, temperature)
    return temperature**2 * _kl(student, teacher).mean()


def _scaled(power: int, reduce: str = "mean"):
    """Make soft losses with another power of T or another reduction."""

    def wrong(student_NV: Tensor, teacher_NV: Tensor, temperature: float = 1.0) -> Tensor:
        student, teacher = _log_probs(student_NV, teacher_NV, temperature, temperature)
        kl_N = _kl(teacher, student)
        reduced = {"mean": kl_N.mean(), "sum": kl_N.sum(), "none": kl_N}
        everything = kl_N.sum() / student_NV.numel()
        return temperature**power * reduced.get(reduce, everything)

    return wrong


def _one_side(side: str):
    """Make soft losses that divide only one side's logits by the temperature."""

    def wrong(student_NV: Tensor, teacher_NV: Tensor, temperature: float = 1.0) -> Tensor:
        s, t = (temperature, 1.0) if side == "student" else (1.0, temperature)
        student, teacher = _log_probs(student_NV, teacher_NV, s, t)
        return temperature**2 * _kl(teacher, student).mean()

    return wrong


def _log_of_softmax(student_NV: Tensor, teacher_NV: Tensor, temperature: float = 1.0) -> Tensor:
    student = (student_NV / temperature).softmax(-1)
    teacher = (teacher_NV.detach() / temperature).softmax(-1)
    return temperature**2 * (teacher * (teacher.log() - student.log())).sum(-1).mean()


def _student_log_of_softmax(
    student_NV: Tensor, teacher_NV: Tensor, temperature: float = 1.0
) -> Tensor:
    student = (student_NV / temperature).softmax(-1)
    teacher = (teacher_NV.detach() / temperature).softmax(-1)
    return temperature**2 * F.kl_div(student.log(), teacher, reduction="batchmean")


def _probabilities_to_kl_div(
    student_NV: Tensor, teacher_NV: Tensor, temperature: float = 1.0
) -> Tensor:
    student = (student_NV / temperature).softmax(-1)
    teacher = (teacher_NV.detach() / temperature).softmax(-1)
    return temperature**2 * F.kl_div(student, teacher, reduction="batchmean")


def _not_detached(student_NV: Tensor, teacher_NV: Tensor, temperature: float = 1.0) -> Tensor:
    student, teacher = (student_NV / temperature), (teacher_NV / temperature)
    return temperature**2 * _kl(teacher.log_softmax(-1), student.log_softmax(-1)).mean()


def _cross_entropy(student_NV: Tensor, teacher_NV: Tensor, temperature: float = 1.0) -> Tensor:
    student, teacher = _log_probs(student_NV, teacher_NV, temperature, temperature)
    return -(temperature**2) * (teacher.exp() * student).sum(-1).mean()


def _first_axis(student_NV: Tensor, teacher_NV: Tensor, temperature: float = 1.0) -> Tensor:
    student = (student_NV / temperature).log_softmax(0)
    teacher = (teacher_NV.detach() / temperature).log_softmax(0)
    return temperature**2 * _kl(teacher, student).mean()


def _soft_loss_probes() -> list[tuple[Tensor, Tensor, float]]:
    """Return (student logits, teacher logits, temperature): plain, warm and with large logits."""
    numbers = torch.Generator().manual_seed(5)
    draw = [(2 * torch.randn(3, 5, generator=numbers), 2 * torch.randn(3, 5, generator=numbers))
            for _ in range(3)]  # fmt: skip
    large = torch.tensor([[300.0, 0.0, -300.0], [0.0, 1.0, 2.0]])
    probes = [(*pair, t) for pair, t in zip(draw, (1.0, 2.0, 4.0), strict=True)]
    return [*probes, (large.flip(-1), large, 1.0)]


def _several(power: int = 2, swap: bool = False, reduce: str = "mean", side: str = ""):
    """Make soft losses with several of the faults above at once."""

    def wrong(student_NV: Tensor, teacher_NV: Tensor, temperature: float = 1.0) -> Tensor:
        s = 1.0 if side == "teacher" else temperature
        t = 1.0 if side == "student" else temperature
        student, teacher = _log_probs(student_NV, teacher_NV, s, t)
        kl_N = _kl(student, teacher) if swap else _kl(teacher, student)
        return temperature**power * (kl_N.mean() if reduce == "mean" else kl_N.sum())

    return wrong


_SWAP, _SQUARE = "the arguments of the KL divergence are swapped", "T² is missing"
_SUM = "it is a sum over the examples, not a mean"
_SIDE = "the temperature divides the logits of one side only"
_TWO_AT_ONCE = [
    Mistake(f"two things at once: {one}; and {other}", _several(**how))
    for one, other, how in (
        (_SWAP, _SQUARE, {"swap": True, "power": 0}),
        (_SWAP, _SUM, {"swap": True, "reduce": "sum"}),
        (_SQUARE, _SUM, {"power": 0, "reduce": "sum"}),
        (_SQUARE, _SIDE, {"power": 0, "side": "student"}),
        (_SQUARE, _SIDE, {"power": 0, "side": "teacher"}),
        (_SWAP, _SIDE, {"swap": True, "side": "student"}),
        (_SWAP, _SIDE, {"swap": True, "side": "teacher"}),
    )
]

_NAN = (
    "log(softmax(x)) is -inf as soon as a probability rounds to 0, and the loss is then NaN or "
    "inf: use log_softmax, which never leaves log-space"
)
soft_loss = Exercise(
    "soft_loss",
    reference=losses.soft_loss,
    hints=(
        "Teacher and student both give a probability to each class. Whose probability decides how "
        "much a difference counts?",
        "Divide both logits by T, take log_softmax of both. Then p times (log p minus log q), "
        "summed over the classes. The mean over the examples comes last, and T² before it.",
        "student_log = (student_BC / temperature).log_softmax(-1)",
    ),
    probes=_soft_loss_probes,
    gradient_of=(0, 1),
    mistakes=[
        Mistake(
            "the arguments of the KL divergence are swapped: this is KL(student ‖ teacher); "
            "distillation weighs by the teacher, KL(teacher ‖ student)",
            _swapped,
        ),
        Mistake(
            "T² is missing: the gradient shrinks by 1/T² when the temperature grows, so "
            "multiply the mean by temperature ** 2",
            _scaled(0),
        ),
        Mistake("this multiplies by T; the gradient shrinks by 1/T², so use T²", _scaled(1)),
        Mistake(
            "this is the sum over the examples, and the mean is asked for: with a sum the "
            "step grows with the size of the batch",
            _scaled(2, "sum"),
        ),
        Mistake(
            "this divides by examples × classes; sum over the classes first, then take "
            'the mean over the examples (in kl_div: reduction="batchmean")',
            _scaled(2, "all"),
        ),
        Mistake(
            "this is one loss for each example; a single number is asked for, their mean",
            _scaled(2, "none"),
        ),
        Mistake(
            "the temperature is applied to the student only: divide the teacher's logits, too",
            _one_side("student"),
        ),
        Mistake(
            "the temperature is applied to the teacher only: divide the student's logits, too",
            _one_side("teacher"),
        ),
        Mistake(_NAN, _log_of_softmax),
        Mistake(_NAN, _student_log_of_softmax),
        Mistake(
            "the student's probabilities stand where its log-probabilities belong (kl_div wants "
            "those first, too): log_softmax, not softmax",
            _probabilities_to_kl_div,
        ),
        Mistake(
            "the value is right, but the teacher learns, too: detach its logits, or the "
            "gradient flows into both models",
            _not_detached,
        ),
        Mistake(
            "this is the cross-entropy between teacher and student; the KL divergence is less "
            "by the teacher's own entropy, so that it is 0 when they agree",
            _cross_entropy,
        ),
        Mistake(
            "the softmax runs over the examples: take it over the classes, dim=-1",
            _first_axis,
        ),
        Mistake(
            "the sign is turned: log p of the teacher minus log q of the student, not the other "
            "way round; a KL divergence is never negative",
            lambda s, t, T=1.0: -losses.soft_loss(s, t, T),
        ),
        *_TWO_AT_ONCE,
    ],
    slips=kl_mistakes(torch.mean),
)


# --- soft labels: the softmax at a temperature ------------------------------------------------


def _softened(logits_BC: Tensor, temperature: float) -> Tensor:
    """Return softmax(logits / temperature): (B, C)."""
    return (logits_BC / temperature).softmax(-1)


def _logit_probes() -> list[tuple[Tensor, float]]:
    """Return (logits, temperature): plain, warm, cold, and with large logits."""
    numbers = torch.Generator().manual_seed(6)
    probes = [(2 * torch.randn(3, 5, generator=numbers), t) for t in (1.0, 4.0, 0.5)]
    return [*probes, (torch.tensor([[300.0, 0.0, 299.0], [0.0, 1.0, 2.0]]), 1.0)]


softened = Exercise(
    "softened",
    reference=_softened,
    hints=(
        "Which numbers does the temperature change: the logits, or the probabilities?",
        "Divide first, then one softmax. Each row belongs to one example, so the softmax runs "
        "over the last axis.",
        "return (logits_BC / ...).softmax(...)",
    ),
    probes=_logit_probes,
    mistakes=[
        Mistake(
            "this multiplies by the temperature: a higher T then sharpens; divide the logits by T",
            lambda z, t: (z * t).softmax(-1),
        ),
        Mistake("the temperature is not used: divide the logits by it", lambda z, t: z.softmax(-1)),
        Mistake(
            "this divides the probabilities, and they no longer add up to 1: divide the logits, "
            "before the softmax",
            lambda z, t: z.softmax(-1) / t,
        ),
        Mistake(
            "this takes the softmax twice: divide the logits by T, then one softmax",
            lambda z, t: (z.softmax(-1) / t).softmax(-1),
        ),
        Mistake(
            "the softmax runs over the examples: each row must add up to 1, so dim=-1",
            lambda z, t: (z / t).softmax(0),
        ),
        Mistake(
            "these are log-probabilities: softmax is asked for, not log_softmax",
            lambda z, t: (z / t).log_softmax(-1),
        ),
        Mistake(
            "the formula is right, but exp of a large logit is infinite, and inf / inf is NaN: "
            "use softmax, which subtracts the largest logit first",
            lambda z, t: (z / t).exp() / (z / t).exp().sum(-1, keepdim=True),
        ),
    ],
)


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


def _combined(way):
    """Make balanced losses from (soft loss, hard loss, alpha) in another way."""

    def wrong(
        student_BC: Tensor, teacher_BC: Tensor, labels_B: Tensor, alpha: float, temperature: float
    ) -> Tensor:
        soft = losses.soft_loss(student_BC, teacher_BC, temperature)
        return way(soft, F.cross_entropy(student_BC, labels_B), alpha)

    return wrong


balanced_loss = Exercise(
    "balanced_loss",
    reference=losses.distillation_loss,
    hints=(
        "At alpha = 1, who teaches alone?",
        "You have both losses already: soft_loss (with its T² inside) and F.cross_entropy, "
        "which takes logits. Multiply one by alpha and the other by 1 - alpha.",
        "soft = soft_loss(student_BC, teacher_BC, temperature)",
    ),
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
    slips=[
        Mistake(words, _combined(way))
        for words, way in {
            "the hard loss is subtracted: both are added": lambda s, h, a: a * s - (1 - a) * h,
            "the hard loss is missing": lambda s, h, a: a * s,
            "the soft loss is missing": lambda s, h, a: (1 - a) * h,
            "alpha is divided by the soft loss: multiply": lambda s, h, a: a / s + (1 - a) * h,
            "the soft loss is missing, only its weight is there": lambda s, h, a: a + (1 - a) * h,
            "1 - alpha is divided by the hard loss: multiply":
                lambda s, h, a: a * s + (1 - a) / h,
            "the hard loss is missing, only its weight is there":
                lambda s, h, a: a * s + (1 - a),
            "the hard loss weighs 1 - alpha, not 1 + alpha": lambda s, h, a: a * s + (1 + a) * h,
            "the hard loss weighs 1 - alpha, not alpha - 1": lambda s, h, a: a * s + (a - 1) * h,
            "both losses weigh alpha: the hard one weighs 1 - alpha":
                lambda s, h, a: a * s + a * h,
            "the hard loss weighs 1 - alpha, not 2 - alpha": lambda s, h, a: a * s + (2 - a) * h,
            "the hard loss weighs 1 - alpha, not -alpha": lambda s, h, a: a * s - a * h,
        }.items()
    ] + [
        Mistake("in soft_loss student and teacher have changed places",
                lambda s, t, y, a, T: losses.distillation_loss(t, s, y, a, T)
                + (1 - a) * (F.cross_entropy(s, y) - F.cross_entropy(t, y))),
        Mistake("student and teacher have changed places",
                lambda s, t, y, a, T: losses.distillation_loss(t, s, y, a, T)),
    ],
)  # fmt: skip

# --- bonus: a teacher of whom only the k largest logits are known ---------------------------------


def _top_k_loss(student_BC: Tensor, teacher_BC: Tensor, k: int) -> Tensor:
    """Return KL(teacher ‖ student) over the teacher's k likeliest classes and one for the rest."""
    places_Bk = teacher_BC.topk(k).indices
    teacher, student = (_with_rest(x, places_Bk) for x in (teacher_BC.detach(), student_BC))
    return _kl(teacher, student).mean()


def _with_rest(logits_BC: Tensor, places_Bk: Tensor) -> Tensor:
    """Return the log-probabilities at the places, and that of all other classes together."""
    log_BC = logits_BC.log_softmax(-1)
    rest_B1 = log_BC.scatter(-1, places_Bk, float("-inf")).logsumexp(-1, keepdim=True)
    return torch.cat([log_BC.gather(-1, places_Bk), rest_B1], -1)


def _top_k(renormalised: bool = False, own: bool = False, rest: bool = True):
    """Make top-k losses that renormalise, look at the student's classes or drop the rest."""

    def wrong(student_BC: Tensor, teacher_BC: Tensor, k: int) -> Tensor:
        places_Bk = teacher_BC.topk(k).indices
        theirs_Bk = student_BC.topk(k).indices if own else places_Bk
        teacher = _with_rest(teacher_BC.detach(), places_Bk)
        student = _with_rest(student_BC, theirs_Bk)
        if not rest:
            teacher, student = teacher[:, :-1], student[:, :-1]
        if renormalised:
            teacher, student = teacher.log_softmax(-1), student.log_softmax(-1)
        return _kl(teacher, student).mean()

    return wrong


def _top_k_probes() -> list[tuple[Tensor, Tensor, int]]:
    numbers = torch.Generator().manual_seed(9)
    return [(*(2 * torch.randn(3, 6, generator=numbers) for _ in range(2)), k) for k in (1, 2, 4)]


top_k_loss = Exercise(
    "top_k_loss",
    reference=_top_k_loss,
    hints=(
        "What is the probability that the right class is none of the k?",
        "Take log_softmax of both, gather the teacher's k classes from both, and add one column: "
        "the logsumexp of all others. The columns are then a distribution of k + 1 classes.",
        "places_Bk = teacher_BC.topk(k).indices",
    ),
    probes=_top_k_probes,
    gradient_of=0,
    mistakes=[
        Mistake(
            "the rest is left out: the sum is then no KL divergence, and it can be negative",
            _top_k(rest=False),
        ),
        Mistake(
            "the k are made to add up to 1: the student may then put anything on the rest, and "
            "nobody tells it",
            _top_k(rest=False, renormalised=True),
        ),
        Mistake(
            "each side has its own k classes: compare both at the teacher's places",
            _top_k(own=True),
        ),
    ],
)
