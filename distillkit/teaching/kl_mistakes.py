"""Mistakes that several lessons' divergences share, by the part of the formula they are in."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from distillkit.teaching.exercise import Mistake

_SIDES = (("the student's logits", True, False), ("the teacher's logits", False, True),
          ("both models' logits", True, True))  # fmt: skip
_LOGS: dict[str, Callable[[Tensor, float], Tensor]] = {
    "{} are multiplied by the temperature: divide them":
        lambda z, T: (z * T).log_softmax(-1),
    "{} are not divided by the temperature":
        lambda z, T: z.log_softmax(-1),
    "the temperature is divided by {}, and it should be the other way round":
        lambda z, T: (T / z).log_softmax(-1),
    "of {} come probabilities where logarithms are asked for: log_softmax, not softmax":
        lambda z, T: (z / T).softmax(-1),
    "the softmax of {} runs over the examples: over the last axis, -1":
        lambda z, T: (z / T).log_softmax(0),
    "the softmax of {} is missing":
        lambda z, T: z / T,
}  # fmt: skip
_TERMS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "the weights in front are logarithms: .exp() makes them probabilities":
        lambda a, b: a * (a - b),
    "the weights in front are missing: each difference counts with its probability":
        lambda a, b: a - b,
    "the two logarithms are added: take their difference":
        lambda a, b: a.exp() * (a + b),
    "the sign is turned: the other logarithm is to be subtracted":
        lambda a, b: a.exp() * (b - a),
    "the second logarithm is missing, and what is left is an entropy":
        lambda a, b: a.exp() * a,
    "the first logarithm is missing":
        lambda a, b: a.exp() * b,
    "the probability is divided by the difference: multiply":
        lambda a, b: a.exp() / (a - b),
}  # fmt: skip
_SUMS: dict[str, Callable[[Tensor], Tensor]] = {
    "the sum over the last axis, the outcomes, is a mean here: a divergence is a sum":
        lambda terms: terms.mean(-1),
    "the sum runs over the first axis: it runs over the outcomes, the last axis":
        lambda terms: terms.sum(0),
}  # fmt: skip
_ALONE = "these are the probabilities alone: multiply by the difference of the logarithms"
_SQUARE_ALONE = (
    "T² alone comes out: the loss is missing, or its terms are the probabilities, whose sum is 1; "
    "multiply them by the difference of the logarithms"
)
_SQUARES: dict[str, Callable[[Tensor, float], Tensor]] = {
    "this multiplies by T; the gradient shrinks by 1/T², so use T²": lambda kl, T: T * kl,
    "this multiplies by 2T: the square is T ** 2": lambda kl, T: 2 * T * kl,
    "this multiplies by T³: the square is asked for, T²": lambda kl, T: T**3 * kl,
    "this divides by T²: multiply by it": lambda kl, T: kl / T**2,
    "T² is divided by the loss: multiply": lambda kl, T: T**2 / kl,
    "T² is missing": lambda kl, T: kl,
}


def kl_mistakes(
    reduce: Callable[[Tensor], Tensor], squared: bool = True, forward: bool = True
) -> list[Mistake]:
    """Return the mistakes of a divergence of (student, teacher, temperature).

    `reduce` makes the loss from one number a position; `squared` tells whether T² belongs to it;
    `forward` whether the teacher's probabilities are the weights.
    """

    def made(
        student: Callable = _log,
        teacher: Callable = _log,
        term: Callable = lambda a, b: a.exp() * (a - b),
        total: Callable = lambda terms: terms.sum(-1),
        whole: Callable = lambda kl, T: T**2 * kl if squared else kl,
    ) -> Callable:
        def wrong(s: Tensor, t: Tensor, T: float = 1.0) -> Tensor:
            log_q, log_p = student(s, T), teacher(t.detach(), T)
            first, second = (log_p, log_q) if forward else (log_q, log_p)
            return whole(reduce(total(term(first, second))), T)

        return wrong

    found = [
        Mistake(words.format(side), made(logs if students else _log, logs if teachers else _log))
        for words, logs in _LOGS.items() for side, students, teachers in _SIDES
    ]  # fmt: skip
    found += [Mistake(words, made(term=term)) for words, term in _TERMS.items()]
    alone = _SQUARE_ALONE if squared else _ALONE
    found.append(Mistake(alone, made(term=lambda a, b: a.exp())))
    found += [Mistake(words, made(total=total)) for words, total in _SUMS.items()]
    if squared:
        found += [Mistake(words, made(whole=whole)) for words, whole in _SQUARES.items()]
    return found


def _log(z: Tensor, T: float) -> Tensor:
    return (z / T).log_softmax(-1)
