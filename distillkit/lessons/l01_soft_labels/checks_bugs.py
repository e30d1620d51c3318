"""Exercises "find the bug": three soft losses as they were published, and half mends of them."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from distillkit.teaching.exercise import Exercise, Mistake, hint  # noqa: F401 (checks.hint)
from distillkit.teaching.kl_mistakes import kl_mistakes
from distillkit.training import losses


def _right(s: Tensor, t: Tensor, T: float) -> Tensor:
    return losses.soft_loss(s, t, T)


def _probes() -> list[tuple[Tensor, Tensor, float]]:
    """Return (student, teacher, temperature): plain ones, then with a sure teacher."""
    numbers = torch.Generator().manual_seed(8)
    draw = [tuple(2 * torch.randn(3, 5, generator=numbers) for _ in range(2)) for _ in range(2)]
    sure = torch.tensor([[300.0, 0.0, -300.0], [0.0, 1.0, 2.0]])
    against = (sure.flip(-1), sure, 2.0)
    return [(*draw[0], 1.0), (*draw[1], 4.0), against, (torch.zeros(2, 3), sure, 2.0)]


def _kl_div(reduce=lambda terms: terms.sum(-1).mean(), power: int = 2):
    """Make PyTorch's route with a reduction of the terms (N, V) and a power of T."""

    def loss(s: Tensor, t: Tensor, T: float) -> Tensor:
        log_q, p = (s / T).log_softmax(-1), (t / T).softmax(-1)
        return T**power * reduce(F.kl_div(log_q, p, reduction="none"))

    return loss


def _reversed(s: Tensor, t: Tensor, T: float) -> Tensor:
    log_q, log_p = (s / T).log_softmax(-1), (t / T).log_softmax(-1)
    return T**2 * F.kl_div(log_p, log_q.exp(), reduction="batchmean")


def _no_log(s: Tensor, t: Tensor, T: float) -> Tensor:
    q, p = (s / T).softmax(-1), (t / T).softmax(-1)
    return T**2 * F.kl_div(q, p, reduction="batchmean")


def _two_logs(s: Tensor, t: Tensor, T: float) -> Tensor:
    log_q, log_p = (s / T).log_softmax(-1), (t / T).log_softmax(-1)
    return T**2 * F.kl_div(log_q, log_p, reduction="batchmean")


def _late_log(s: Tensor, t: Tensor, T: float) -> Tensor:
    q, p = (s / T).softmax(-1), (t / T).softmax(-1)
    return T**2 * F.kl_div(q.log(), p, reduction="batchmean")


def _typed(log=torch.log, after=lambda terms: terms):
    """Make the formula typed as it stands, with a log and something done to its terms."""

    def loss(s: Tensor, t: Tensor, T: float) -> Tensor:
        p, q = (t / T).softmax(-1), (s / T).softmax(-1)
        return T**2 * after(p * (log(p) - log(q))).sum(-1).mean()

    return loss


def _half_typed(s: Tensor, t: Tensor, T: float) -> Tensor:
    p, q = (t / T).softmax(-1), (s / T).softmax(-1)
    return T**2 * (p * ((t / T).log_softmax(-1) - q.log())).sum(-1).mean()


_NO_SQUARE = "the bug is mended, but T² got lost on the way"
_REVERSED = "this is KL(student ‖ teacher): in kl_div the student comes first, the teacher second"
_LATE = "right as long as no probability rounds to 0; use log_softmax instead of softmax, then log"

mended_a = Exercise(
    "mended_a",
    reference=_right,
    hints=(
        "A is too small. By which factor?",
        "The sum over the classes belongs to the KL divergence; only the examples are averaged."
        " kl_div has a name for that reduction.",
        "p, log_q = (t / T).softmax(-1), (s / T).log_softmax(-1)",
    ),
    probes=_probes,
    gradient_of=0,
    mistakes=[
        Mistake(
            "this is still too small, by the number of classes: the sum over the classes is a "
            "part of the KL divergence; the mean goes over the examples only",
            _kl_div(torch.mean),
        ),
        Mistake(
            "now nothing is divided: the loss grows with the number of examples in the batch",
            _kl_div(torch.sum),
        ),
        Mistake(_NO_SQUARE, _kl_div(power=0)),
        Mistake(_REVERSED, _reversed),
    ],
    slips=kl_mistakes(torch.mean),
)

mended_b = Exercise(
    "mended_b",
    reference=_right,
    hints=(
        "What does kl_div want as its first argument: probabilities, or their logarithms?",
        "Only the student's side changes. Stay in log-space: not softmax and then log.",
        "p, log_q = (t / T).softmax(-1), (s / T).log_softmax(-1)",
    ),
    probes=_probes,
    gradient_of=0,
    mistakes=[
        Mistake(
            "kl_div still gets probabilities of the student; it takes log-probabilities there",
            _no_log,
        ),
        Mistake(
            "now both are log-probabilities: the teacher's must be probabilities, or say "
            "log_target=True (this half mend was published, too)",
            _two_logs,
        ),
        Mistake(_LATE, _late_log),
        Mistake(_REVERSED, _reversed),
        Mistake(_NO_SQUARE, _kl_div(power=0)),
    ],
    slips=kl_mistakes(torch.mean),
)

_EPSILONS = [10.0**-n for n in range(5, 13)]
_SMALL = (
    "a small number inside the log hides the NaN and gives another loss: on input 3 the student "
    "is wrong by hundreds of nats, and this cannot be more than a few tens"
)
mended_c = Exercise(
    "mended_c",
    reference=_right,
    hints=(
        "What is the logarithm of a probability that was rounded to 0?",
        "Both logarithms come straight from the logits. The probabilities of the teacher are "
        "then exp of its own.",
        "log_p = (t / T).log_softmax(-1)",
    ),
    probes=_probes,
    gradient_of=0,
    mistakes=[
        Mistake("this is still NaN or infinite on the sure student: stay in log-space", _typed()),
        Mistake("the teacher is mended; the student's log is still taken of a 0", _half_typed),
        Mistake(
            "nan_to_num hides the fault: the gradient is gone or infinite where it matters most",
            _typed(after=torch.nan_to_num),
        ),
        *(Mistake(_SMALL, _typed(lambda x, e=e: (x + e).log())) for e in _EPSILONS),
        *(Mistake(_SMALL, _typed(lambda x, e=e: x.clamp(min=e).log())) for e in _EPSILONS),
        Mistake(_NO_SQUARE, _kl_div(power=0)),
    ],
    slips=kl_mistakes(torch.mean),
)
