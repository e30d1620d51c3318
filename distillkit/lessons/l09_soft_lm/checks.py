"""The exercises on distributions over the next token: divergences, records, places, calibration.

Dimension key: N positions, V vocabulary, K recorded tokens.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from distillkit.evaluation import calibration
from distillkit.teaching.exercise import Exercise, Mistake, hint  # noqa: F401 (checks.hint)
from distillkit.teaching.kl_mistakes import kl_mistakes
from distillkit.training import losses
from distillkit.training.top_k import top_and_rest


def _logs(student_NV: Tensor, teacher_NV: Tensor, s: float, t: float) -> tuple[Tensor, Tensor]:
    return (student_NV / s).log_softmax(-1), (teacher_NV.detach() / t).log_softmax(-1)


def _kl(p_NV: Tensor, q_NV: Tensor) -> Tensor:
    return (p_NV.exp() * (p_NV - q_NV)).sum(-1)


def _probes(*more: tuple) -> list[tuple]:
    """Return (student, teacher, temperature, …): plain, warm, and logits of hundreds."""
    numbers = torch.Generator().manual_seed(9)
    pairs = [tuple(2 * torch.randn(3, 5, generator=numbers) for _ in "st") for _ in range(3)]
    large = torch.tensor([[300.0, 0.0, -300.0], [0.0, 1.0, 2.0]])
    pairs.append((large.flip(-1), large))
    more = more or ((),) * 4
    return [(*pair, t, *rest) for pair, t, rest in zip(pairs, (1.0, 2.0, 0.5, 1.0), more,
                                                      strict=True)]  # fmt: skip


def _wrong_kl(forward: bool, kind: str):
    """Make one of the usual wrong KLs; `forward` says which one was asked for."""

    def wrong(student_NV: Tensor, teacher_NV: Tensor, temperature: float = 1.0) -> Tensor:
        s = 1.0 if kind == "teacher only" else temperature
        t = 1.0 if kind == "student only" else temperature
        student, teacher = _logs(student_NV, teacher_NV, s, t)
        if kind == "graph":
            teacher = (teacher_NV / t).log_softmax(-1)
        if kind == "log of softmax":
            student, teacher = student.exp().log(), teacher.exp().log()
        p, q = (teacher, student) if forward else (student, teacher)
        if kind == "swapped":
            p, q = q, p
        if kind == "weights without gradient":
            return (p.detach().exp() * (p - q)).sum(-1)
        if kind == "cross-entropy":
            return -(p.exp() * q).sum(-1)
        kl_N = _kl(p, q)
        reduced = {"mean": kl_N.mean(), "vocabulary": kl_N / student_NV.shape[-1],
                   "T squared": temperature**2 * kl_N, "positions": _kl(p.T, q.T)}  # fmt: skip
        return reduced.get(kind, kl_N)

    return wrong


_ONE_SIDE = (
    "the temperature divides the {} logits only: both distributions must be softened alike, or a "
    "student that is equal to the teacher still has a loss"
)
_COMMON = {
    "student only": _ONE_SIDE.format("student's"),
    "teacher only": _ONE_SIDE.format("teacher's"),
    "log of softmax": "log(softmax(x)) is -inf where a probability rounds to 0, and the loss is "
    "then NaN: log_softmax never leaves log-space",
    "mean": "one number a position is asked for: the door weighs the positions and takes the mean",
    "vocabulary": "it is divided by the vocabulary: a divergence is a sum over the tokens",
    "positions": "the sum runs over the positions: it must run over the tokens, the last axis",
    "T squared": "T² is taken care of by `dk.Match`: here it would count twice",
    "graph": "the teacher gets a gradient: detach its logits, it is not trained here",
}

forward_kl = Exercise(
    "forward_kl",
    reference=losses.forward_kl,
    probes=_probes,
    gradient_of=(0, 1),
    hints=(
        "Whose probabilities are the weights of the sum?",
        "Divide both logits by the temperature and take log_softmax of both; the teacher's is "
        "detached. The sum runs over the tokens, the last axis.",
        "q = (student_NV / temperature).log_softmax(-1)",
    ),
    mistakes=[
        Mistake(
            "the directions are swapped: this is KL(student ‖ teacher), the reverse one; the "
            "forward one weighs by the teacher",
            _wrong_kl(True, "swapped"),
        ),
        Mistake(
            "this is the cross-entropy: the gradient is right, but the teacher's own entropy is "
            "still in it, so a perfect student would not get 0",
            _wrong_kl(True, "cross-entropy"),
        ),
        *(Mistake(words, _wrong_kl(True, kind)) for kind, words in _COMMON.items()),
    ],
    slips=kl_mistakes(lambda kl_N: kl_N, squared=False),
)

reverse_kl = Exercise(
    "reverse_kl",
    reference=losses.reverse_kl,
    probes=_probes,
    gradient_of=(0, 1),
    hints=(
        "What is changed over, and what stays as it was in forward_kl?",
        "The student's probabilities are the weights, and log q - log p is summed. Both carry "
        "a gradient of the student.",
        "q = (student_NV / temperature).log_softmax(-1)",
    ),
    mistakes=[
        Mistake(
            "the name says reverse and the code runs forward: the reverse one weighs by the "
            "student",
            _wrong_kl(False, "swapped"),
        ),
        Mistake(
            "the value is right, but the student's probabilities in front carry no gradient: here "
            "the weights themselves are learned",
            _wrong_kl(False, "weights without gradient"),
        ),
        Mistake(
            "this is the cross-entropy of the teacher under the student: without the student's own "
            "entropy its minimum is one single token",
            _wrong_kl(False, "cross-entropy"),
        ),
        *(Mistake(words, _wrong_kl(False, kind)) for kind, words in _COMMON.items()),
    ],
    slips=kl_mistakes(lambda kl_N: kl_N, squared=False, forward=False),
)


def _wrong_jsd(kind: str):
    def wrong(
        student_NV: Tensor, teacher_NV: Tensor, temperature: float = 1.0, beta: float = 0.5
    ) -> Tensor:
        student, teacher = _logs(student_NV, teacher_NV, temperature, temperature)
        if kind == "graph":
            teacher = (teacher_NV / temperature).log_softmax(-1)
        b = {"swapped": 1 - beta, "half": 0.5}.get(kind, beta)
        logs = torch.tensor([b, 1 - b]).log()
        mixture = torch.logaddexp(teacher + logs[0], student + logs[1])
        if kind == "mean of logs":
            mixture = b * teacher + (1 - b) * student
        if kind == "mean of logits":
            both = b * teacher_NV.detach() + (1 - b) * student_NV
            mixture = (both / temperature).log_softmax(-1)
        if kind == "turned":
            return beta * _kl(mixture, teacher) + (1 - beta) * _kl(mixture, student)
        first, second = beta * _kl(teacher, mixture), (1 - beta) * _kl(student, mixture)
        if kind == "one part":
            return first
        if kind == "weights swapped":
            return (1 - beta) * _kl(teacher, mixture) + beta * _kl(student, mixture)
        return (first + second) / (beta * (1 - beta) if kind == "scaled" else 1.0)

    return wrong


def _wrong_mixture(mixture: Callable[[Tensor, Tensor, Tensor], Tensor]) -> Callable:
    """Make divergences from another mixture of (teacher's logs, student's logs, β)."""

    def wrong(
        student_NV: Tensor, teacher_NV: Tensor, temperature: float = 1.0, beta: float = 0.5
    ) -> Tensor:
        q, p = _logs(student_NV, teacher_NV, temperature, temperature)
        m = mixture(p, q, torch.tensor(beta))
        return beta * _kl(p, m) + (1 - beta) * _kl(q, m)

    return wrong


jsd = Exercise(
    "jsd",
    reference=losses.jsd,
    probes=lambda: _probes((0.5,), (0.1,), (0.9,), (0.3,)),
    gradient_of=(0, 1),
    atol=1e-5,
    hints=(
        "How is log(β p + (1 - β) q) written with log p and log q?",
        "torch.logaddexp(log p + log β, log q + log(1 - β)) is log m. Then two KLs to m: the "
        "teacher's with weight β, the student's with 1 - β.",
        "share = torch.tensor([beta, 1 - beta]).log()",
    ),
    mistakes=[
        Mistake(
            "the mixture weighs the wrong way round: m = β teacher + (1 − β) student",
            _wrong_jsd("swapped"),
        ),
        Mistake(
            "the two KLs have each other's weight: β belongs to KL(teacher ‖ m)",
            _wrong_jsd("weights swapped"),
        ),
        Mistake(
            "the mixture is half of each whatever β is: m = β teacher + (1 − β) student",
            _wrong_jsd("half"),
        ),
        Mistake(
            "the mixture averages log-probabilities: that is a geometric mean, and it does not sum "
            "to 1; average the probabilities (logaddexp does it in log-space)",
            _wrong_jsd("mean of logs"),
        ),
        Mistake(
            "the mixture averages logits: average the probabilities",
            _wrong_jsd("mean of logits"),
        ),
        Mistake(
            "the KLs are turned round: KL(teacher ‖ m) and KL(student ‖ m)",
            _wrong_jsd("turned"),
        ),
        Mistake("KL(student ‖ m) is missing, with weight 1 − β", _wrong_jsd("one part")),
        Mistake(
            "this is the scaled one, divided by β(1 − β): the lesson does that later",
            _wrong_jsd("scaled"),
        ),
        Mistake(_COMMON["graph"], _wrong_jsd("graph")),
    ],
    slips=[
        Mistake(
            "β and 1 − β are added to logarithms: add log β and log(1 − β)",
            _wrong_mixture(lambda p, q, b: torch.logaddexp(p + b, q + 1 - b)),
        ),
        Mistake(
            "the teacher is missing in the mixture: its share alone is there",
            _wrong_mixture(lambda p, q, b: torch.logaddexp(b.log(), q + (1 - b).log())),
        ),
        Mistake(
            "the student is missing in the mixture: its share alone is there",
            _wrong_mixture(lambda p, q, b: torch.logaddexp(p + b.log(), (1 - b).log())),
        ),
        Mistake(
            "both have the share 1 − β in the mixture: the teacher's is β",
            _wrong_mixture(lambda p, q, b: torch.logaddexp(p, q) + (1 - b).log()),
        ),
        Mistake(
            "both have the share β in the mixture: the student's is 1 − β",
            _wrong_mixture(lambda p, q, b: torch.logaddexp(p, q) + b.log()),
        ),
        Mistake(
            "everything is NaN: the logarithm of a negative share is; the shares are β and 1 − β",
            _wrong_mixture(lambda p, q, b: torch.logaddexp(p + b.log(), q + (b - 1).log())),
        ),
        Mistake(
            "the shares multiply the log-probabilities: add their logarithms",
            _wrong_mixture(lambda p, q, b: torch.logaddexp(p * b, q * (1 - b))),
        ),
        Mistake(
            "the mixture is left as probabilities: the KLs take logarithms, so .log()",
            _wrong_mixture(lambda p, q, b: b * p.exp() + (1 - b) * q.exp()),
        ),
    ],
)

# --- K recorded tokens ----------------------------------------------------------------------------


def _recorded() -> list[tuple[Tensor, Tensor, Tensor]]:
    """Return (student logits, ids of the teacher's likeliest tokens, their logs and the rest's)."""
    numbers = torch.Generator().manual_seed(3)
    probes = []
    for v, k in ((6, 2), (9, 4), (5, 1)):
        student, teacher = (2 * torch.randn(3, v, generator=numbers) for _ in "st")
        ids = teacher.topk(k).indices
        probes.append((student, ids, top_and_rest(teacher, ids)))
    return probes


def _top_k_kl(student_NV: Tensor, ids_NK: Tensor, logs_NJ: Tensor) -> Tensor:
    """Return KL(teacher ‖ student) over K tokens and the rest as one more outcome: (N,)."""
    return _kl(logs_NJ, top_and_rest(student_NV, ids_NK))


def _wrong_top_k(kind: str):
    def wrong(student_NV: Tensor, ids_NK: Tensor, logs_NJ: Tensor) -> Tensor:
        student = student_NV.log_softmax(-1).gather(-1, ids_NK)
        teacher = logs_NJ[:, :-1]
        if kind in ("both", "teacher"):
            teacher = teacher.log_softmax(-1)
        if kind == "both":
            student = student.log_softmax(-1)
        kl_N = _kl(teacher, student)
        if kind == "clamped":
            return kl_N.clamp(min=0)
        if kind == "free":
            return kl_N + logs_NJ[:, -1].exp() * logs_NJ[:, -1]
        if kind == "own places":
            own_NK = student_NV.topk(ids_NK.shape[-1]).indices
            return _kl(logs_NJ, top_and_rest(student_NV, own_NK))
        if kind == "swapped":
            return _kl(top_and_rest(student_NV, ids_NK), logs_NJ)
        return kl_N

    return wrong


def _student_as(
    logs: Callable[[Tensor], Tensor] = lambda z: z.log_softmax(-1),
    rest: Callable[[Tensor], Tensor] = lambda q: q.logsumexp(-1, keepdim=True),
) -> Callable:
    """Make KLs from other logarithms of the student, or another rest of it."""

    def wrong(student_NV: Tensor, ids_NK: Tensor, logs_NJ: Tensor) -> Tensor:
        q = logs(student_NV)
        others = q.scatter(-1, ids_NK, -torch.inf)
        return _kl(logs_NJ, torch.cat([q.gather(-1, ids_NK), rest(others)], -1))

    return wrong


top_k_kl = Exercise(
    "top_k_kl",
    reference=_top_k_kl,
    probes=_recorded,
    gradient_of=0,
    hints=(
        "What does the student give to all tokens that are not among the K?",
        "Its rest is the sum over all tokens but those K: scatter -inf there, then logsumexp."
        " Behind the K it makes K + 1 log-probabilities, as the teacher's are.",
        "q = student_NV.log_softmax(-1)",
    ),
    mistakes=[
        Mistake(
            "the K tokens alone do not sum to 1, so this is no KL and can be negative: the rest of "
            "teacher and student is one more outcome",
            _wrong_top_k("naive"),
        ),
        Mistake(
            "both are renormalised over the K tokens: what the student puts outside of them costs "
            "nothing, so it may put anything there",
            _wrong_top_k("both"),
        ),
        Mistake(
            "the teacher is renormalised over its K tokens: the student learns that all others are "
            "impossible",
            _wrong_top_k("teacher"),
        ),
        Mistake(
            "a negative value is clamped to 0: the gradient is gone wherever that happens",
            _wrong_top_k("clamped"),
        ),
        Mistake(
            "the student's rest is missing, or is taken over all tokens, whose logarithm is 0: put "
            "-inf at the K before the logsumexp",
            _wrong_top_k("free"),
        ),
        Mistake(
            "the directions are swapped: the teacher's probabilities are the weights",
            _wrong_top_k("swapped"),
        ),
        Mistake(
            "these are the student's own likeliest tokens: gather it at the teacher's ids",
            _wrong_top_k("own places"),
        ),
    ],
    slips=[
        Mistake(
            "softmax gives the student's probabilities: log-probabilities are compared, so "
            "log_softmax",
            _student_as(lambda z: z.softmax(-1)),
        ),
        Mistake(
            "the student's softmax runs over the positions: over the last axis, the tokens",
            _student_as(lambda z: z.log_softmax(0)),
        ),
        Mistake(
            "the student's logits are taken as they are: log_softmax makes them logarithms of "
            "probabilities",
            _student_as(lambda z: z),
        ),
        Mistake(
            "the student's rest is a plain sum of logarithms: logsumexp adds the probabilities",
            _student_as(rest=lambda q: q.masked_fill(q.isinf(), 0.0).sum(-1, keepdim=True)),
        ),
    ],
)

# --- which places are learned ---------------------------------------------------------------------


def _learned_places(ids: list[int], prompt: int, ends: list[int]) -> list[int]:
    """Return the places whose *next* token is the student's own, its first end token included."""
    places = []
    for place in range(prompt - 1, len(ids) - 1):
        places.append(place)
        if ids[place + 1] in ends:
            break
    return places


def _wrong_places(kind: str):
    def wrong(ids: list[int], prompt: int, ends: list[int]) -> list[int]:
        if kind == "one end":
            return _learned_places(ids, prompt, ends[:1])
        right = _learned_places(ids, prompt, ends)
        return {
            "no shift": [place + 1 for place in right],
            "prompt": [*range(right[0]), *right],
            "padding": [*range(prompt - 1, len(ids) - 1)],
            "no end": [place for place in right if ids[place + 1] not in ends],
            "first": right[1:],
        }[kind]

    return wrong


def _until(over: Callable[[list[int], int, list[int]], bool]) -> Callable:
    """Make lists of places that end at the first place that is `over`."""

    def wrong(ids: list[int], prompt: int, ends: list[int]) -> list[int]:
        places = []
        for place in range(prompt - 1, len(ids) - 1):
            places.append(place)
            if over(ids, place, ends):
                break
        return places

    return wrong


learned_places = Exercise(
    "learned_places",
    reference=_learned_places,
    probes=[
        ([5, 6, 7, 8, 2, 0, 0], 2, [2, 3]),
        ([5, 6, 7, 3, 0, 0, 0], 3, [2, 3]),
        ([5, 6, 2, 7, 7, 7, 7], 3, [2, 3]),
        ([5, 2, 9, 3, 2, 2, 2], 2, [2, 3]),
    ],
    hints=(
        "At which place do the logits speak of the answer's first token?",
        "Begin at the prompt's last token and go on until the next token is one of the end "
        "tokens; that place is the last one.",
        "for place in range(prompt - 1, len(ids) - 1):",
    ),
    mistakes=[
        Mistake(
            "the shift is missing: the logits at a place speak of the token after it, so the first "
            "learned place is the prompt's last",
            _wrong_places("no shift"),
        ),
        Mistake("the prompt is in the loss: nobody asked the student to write it",
                _wrong_places("prompt")),
        Mistake("the padding behind the end is in the loss, and pulls the mean down",
                _wrong_places("padding")),
        Mistake("the end token is left out: the student would never learn to stop",
                _wrong_places("no end")),
        Mistake("there are several end tokens, and only the first of the list is looked for",
                _wrong_places("one end")),
        Mistake("the first token of the answer is left out: it is foretold at the prompt's last",
                _wrong_places("first")),
    ],
    slips=[
        Mistake("the end is looked for at the place itself: look at the token after it",
                _until(lambda ids, place, ends: ids[place] in ends)),
        Mistake("the end is looked for before the place: look at the token after it",
                _until(lambda ids, place, ends: ids[place - 1] in ends)),
        Mistake("it stops where the next token is *not* an end token: at the first that is one",
                _until(lambda ids, place, ends: ids[place + 1] not in ends)),
        Mistake("it asks the same token again and again: look at the one after each place",
                _until(lambda ids, place, ends: ids[1] in ends)),
        Mistake("it looks two tokens ahead: look at the one after each place",
                _until(lambda ids, place, ends: ids[min(place + 2, len(ids) - 1)] in ends)),
    ],
)  # fmt: skip

# --- is it as right as it is sure? ----------------------------------------------------------------


def _ece(confidence: list[float], right: list[bool], bins: int = 10) -> float:
    return calibration.ece(confidence, right, bins)


def _wrong_ece(kind: str):
    def wrong(confidence: list[float], right: list[bool], bins: int = 10) -> float:
        rows = calibration.reliability(confidence, right, bins)
        n = len(confidence)
        if kind == "all at once":
            return abs(sum(confidence) - sum(right)) / n
        if kind == "each answer":
            return sum(abs(c - r) for c, r in zip(confidence, right, strict=True)) / n
        if kind == "signed":
            return sum(count * (sure - good) for sure, good, count in rows) / n
        if kind == "open end":
            boxes: dict[int, float] = {}
            for sure, good in zip(confidence, right, strict=True):
                boxes[int(sure * bins)] = boxes.get(int(sure * bins), 0.0) + sure - good
            return sum(map(abs, boxes.values())) / n
        if kind == "unweighted":
            return sum(abs(sure - good) for sure, good, _ in rows) / len(rows)
        return max(abs(sure - good) for sure, good, _ in rows)

    return wrong


ece = Exercise(
    "ece",
    reference=_ece,
    probes=[  # none on the border of two bins, which may belong to either
        ([0.95, 0.92, 0.91, 0.35, 0.31, 0.05], [True, True, False, True, False, False], 10),
        ([1.0, 0.99, 0.61, 0.55], [True, False, True, True], 10),
        ([0.2, 0.3, 0.8, 0.7, 0.9], [True, False, True, False, True], 2),
        ([1.0, 0.95, 0.41], [False, True, True], 10),
    ],
    hints=(
        "Which answers are compared with one another: all, or those of about the same confidence?",
        "Put each answer into the bin int(confidence * bins), at most the last one. The gap "
        "of a bin is |mean confidence - share right|; weigh it by its count.",
        "boxes = {}",
    ),
    mistakes=[
        Mistake("every bin counts the same: weigh it by how many answers are in it",
                _wrong_ece("unweighted")),
        Mistake("the gaps have signs and cancel: take the absolute value in each bin",
                _wrong_ece("signed")),
        Mistake("over all answers at once the gaps cancel: that is the bins' purpose",
                _wrong_ece("all at once")),
        Mistake("a single answer is right or wrong, so |confidence − right| is large even for a "
                "perfectly calibrated model: compare means of bins", _wrong_ece("each answer")),
        Mistake("this is the largest gap of a bin, the maximum calibration error",
                _wrong_ece("largest")),
        Mistake("a confidence of exactly 1 gets a bin of its own: it belongs to the last one",
                _wrong_ece("open end")),
    ],
)  # fmt: skip
