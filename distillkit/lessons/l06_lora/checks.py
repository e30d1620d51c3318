"""The exercises on training and on LoRA: a batch, the loop, the layer by hand, what it holds.

Dimension key: B traces, L positions, V vocabulary; N rows, I inputs, O outputs, R rank.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from math import cos, pi, sin
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from distillkit.teaching.exercise import Exercise, Mistake, hint  # noqa: F401 (checks.hint)
from distillkit.training import memory
from distillkit.training.loop import learning_rate
from distillkit.training.losses import cross_entropy

Batch = tuple[Tensor, Tensor]  # ids [B, L], and which of them belong to the answer

# --- a batch --------------------------------------------------------------------------------------


def _padded(pairs: Sequence[tuple[list[int], list[int]]]) -> Batch:
    """Return ids [B, L], filled up with zeros on the right, and True where the answer stands."""
    longest = max(len(prompt) + len(answer) for prompt, answer in pairs)
    ids_BL = torch.zeros(len(pairs), longest, dtype=torch.long)
    answer_BL = torch.zeros(len(pairs), longest, dtype=torch.bool)
    for row, (prompt, answer) in enumerate(pairs):
        end = len(prompt) + len(answer)
        ids_BL[row, :end] = torch.tensor(prompt + answer)
        answer_BL[row, len(prompt) : end] = True
    return ids_BL, answer_BL


def _wrong_padded(mark: Callable[[int, int, int], slice], left: bool = False) -> Callable:
    """Return a batch whose answers stand where `mark` says: (prompt, end, longest) -> a slice."""

    def padded(pairs: Sequence[tuple[list[int], list[int]]]) -> Batch:
        ids_BL, answer_BL = _padded(pairs)
        answer_BL[:] = False
        for row, (prompt, answer) in enumerate(pairs):
            end = len(prompt) + len(answer)
            answer_BL[row, mark(len(prompt), end, ids_BL.shape[1])] = True
            if left:
                shift = ids_BL.shape[1] - end
                ids_BL[row], answer_BL[row] = ids_BL[row].roll(shift), answer_BL[row].roll(shift)
        return ids_BL, answer_BL

    return padded


def _answer_first(pairs: Sequence[tuple[list[int], list[int]]]) -> Batch:
    ids_BL, _ = _padded([(answer, prompt) for prompt, answer in pairs])
    place_L = torch.arange(ids_BL.shape[1])
    return ids_BL, torch.stack([place_L < len(answer) for _, answer in pairs])


def _filled_with_less(pairs: Sequence[tuple[list[int], list[int]]]) -> Batch:
    ids_BL, answer_BL = _padded(pairs)
    for row, (prompt, answer) in enumerate(pairs):
        ids_BL[row, len(prompt) + len(answer) :] = -100
    return ids_BL, answer_BL


padded = Exercise(
    "padded",
    reference=_padded,
    hints=(
        "How long is the longest row, and from where to where does the answer stand in each?",
        "Make two tensors of zeros, [rows, longest]: one of dtype long, one of dtype bool. Fill"
        " one row after the other: the ids from 0 to its end, True from len(question) to its end.",
        "longest = max(len(question) + len(answer) for question, answer in pairs)",
    ),
    probes=[([([5, 8, 2], [7, 4])],), ([([1, 6], [3, 9, 9, 4]), ([2], [5, 4])],),
            ([([4], [4]), ([7, 7, 7], [1, 2]), ([3, 1], [6])],)],
    mistakes=[
        Mistake("the prompt is marked, too: only the answer is learned",
                _wrong_padded(lambda n, end, _: slice(0, end))),
        Mistake("the prompt is marked and the answer is not: it should be the other way round",
                _wrong_padded(lambda n, *_: slice(0, n))),
        Mistake("the filling is marked, too: the student would learn to write token 0",
                _wrong_padded(lambda n, *_: slice(n, None))),
        Mistake("the last token of the answer is not marked: the student must learn to stop",
                _wrong_padded(lambda n, end, _: slice(n, end - 1))),
        Mistake("the first token of the answer is not marked: it begins at len(prompt)",
                _wrong_padded(lambda n, end, _: slice(n + 1, end))),
        Mistake("the last token of the prompt is marked: the answer begins at len(prompt)",
                _wrong_padded(lambda n, end, _: slice(n - 1, end))),
        Mistake("the rows are filled up on the left: fill on the right, where no token looks",
                _wrong_padded(lambda n, end, _: slice(n, end), left=True)),
    ],
    slips=[
        Mistake("the marks stand one place too early: the answer begins at len(prompt); the shift "
                "by one comes later, in the loop",
                _wrong_padded(lambda n, end, _: slice(n - 1, end - 1))),
        Mistake("ids and marks have changed places: return the ids first",
                lambda pairs: _padded(pairs)[::-1]),
        Mistake("the answer stands before the prompt: first the prompt, then the answer",
                _answer_first),
        Mistake("the filling is 0, not -100: which tokens are learned is said by the marks",
                _filled_with_less),
    ],
)  # fmt: skip

# --- the loop -------------------------------------------------------------------------------------


def _train(student: Any, batches: Sequence[Batch], rates: Sequence[float]) -> Iterator[float]:
    """Train what requires a gradient, in place; yield the loss of each step, in nats a token."""
    trained = [p for p in student.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, weight_decay=0.0)
    for (ids_BL, answer_BL), rate in zip(batches, rates, strict=True):
        optimizer.param_groups[0]["lr"] = rate
        said_BLV = student(ids_BL).logits[:, :-1]  # each token predicts the next one
        next_BL, learned_BL = ids_BL[:, 1:], answer_BL[:, 1:]
        loss = cross_entropy(said_BLV[learned_BL], next_BL[learned_BL])
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        yield loss.item()


class _Small:
    """A student of a few numbers: frozen embeddings and a trained head.

    It is no Module, because the check compares losses: of an argument that changes it would
    compare each number to the last bit.
    """

    def __init__(self, seed: int) -> None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.module = torch.nn.Sequential(torch.nn.Embedding(9, 6), torch.nn.Linear(6, 9))
        self.module[0].requires_grad_(False)

    def __call__(self, input_ids: Tensor, **_: Any) -> SimpleNamespace:
        return SimpleNamespace(logits=self.module(input_ids))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.module, name)


def _trainings() -> list[tuple]:
    one = (torch.tensor([[1, 4, 2, 8, 5, 7]]), torch.tensor([[0, 0, 0, 1, 1, 1]]).bool())
    two = (torch.tensor([[3, 1, 6, 2, 2], [5, 8, 4, 0, 0]]),
           torch.tensor([[0, 0, 1, 1, 1], [0, 0, 1, 0, 0]]).bool())  # fmt: skip
    return [(_Small(0), [one] * 4, [0.05] * 4),
            (_Small(1), [two, one, two, one, two], [0.1, 0.1, 0.05, 0.03, 0.01])]  # fmt: skip


def _wrong_train(
    loss_of: Callable[[Tensor, Tensor, Tensor], Tensor],
    update: Sequence[str] = ("backward", "step", "zero_grad"),
) -> Callable:
    """Return a loop with this loss of (logits, ids, answer) and these calls after it."""

    def train(student: Any, batches: Sequence[Batch], rates: Sequence[float]) -> Iterator[float]:
        trained = [p for p in student.parameters() if p.requires_grad]
        optimizer = torch.optim.AdamW(trained, weight_decay=0.0)
        for (ids, answer), rate in zip(batches, rates, strict=True):
            optimizer.param_groups[0]["lr"] = rate
            loss = loss_of(student(ids).logits, ids, answer)
            for call in update:
                loss.backward() if call == "backward" else getattr(optimizer, call)()
            yield loss.item()

    return train


def _right(logits: Tensor, ids: Tensor, answer: Tensor) -> Tensor:
    return cross_entropy(logits[:, :-1][answer[:, 1:]], ids[:, 1:][answer[:, 1:]])


train = Exercise(
    "train",
    reference=_train,
    hints=(
        "The logits at position 0 are about which token? And which tokens are to be learned?",
        "All but the last logits go with all but the first tokens and marks. Choose with the"
        " marks, take the cross-entropy, then: a gradient, a step, an empty gradient.",
        "said, asked = logits[:, :-1], ids[:, 1:]",
    ),
    probes=_trainings,
    rtol=1e-3,  # Adam divides by the gradient's size: rounding shows
    mistakes=[
        Mistake(
            "there is no shift: the logits at a position are about the next token, so "
            "logits[:, :-1] go with ids[:, 1:]",
            _wrong_train(lambda z, ids, m: cross_entropy(z[m], ids[m])),
        ),
        Mistake(
            "the shift goes the wrong way: position 0 predicts token 1, not the other way round",
            _wrong_train(
                lambda z, ids, m: cross_entropy(z[:, 1:][m[:, 1:]], ids[:, :-1][m[:, 1:]])
            ),
        ),
        Mistake(
            "the mask is not shifted: it says which tokens are learned, so answer[:, 1:] goes with "
            "ids[:, 1:]",
            _wrong_train(
                lambda z, ids, m: cross_entropy(z[:, :-1][m[:, :-1]], ids[:, 1:][m[:, :-1]])
            ),
        ),
        Mistake(
            "the prompt is not masked: only tokens of the answer are learned",
            _wrong_train(lambda z, ids, m: cross_entropy(z[:, :-1].flatten(0, 1),
                                                         ids[:, 1:].flatten())),
        ),
        Mistake(
            "the sum is right, but it is divided by all tokens: take the mean over the answer's",
            _wrong_train(lambda z, ids, m: _right(z, ids, m) * m[:, 1:].sum() / m[:, 1:].numel()),
        ),
        Mistake(
            "that is the sum: take the mean over the answer's tokens, or long answers count more",
            _wrong_train(lambda z, ids, m: _right(z, ids, m) * m[:, 1:].sum()),
        ),
        Mistake(
            "there is a softmax too many: cross_entropy takes logits and makes its own",
            _wrong_train(lambda z, ids, m: _right(z.softmax(-1), ids, m)),
        ),
        Mistake(
            "zero_grad() is missing: backward() adds, so old gradients stay in the sum",
            _wrong_train(_right, ("backward", "step")),
        ),
        Mistake(
            "nothing is learned, the loss of each batch stays as it was: first loss.backward(), "
            "then optimizer.step(), and optimizer.zero_grad() after or before the two",
            _wrong_train(_right, ("step", "backward", "zero_grad")),
        ),
        Mistake(
            "step() comes before backward(): each step uses the gradient of the batch before",
            _wrong_train(_right, ("step", "zero_grad", "backward")),
        ),
    ],
)  # fmt: skip

# --- the rates ------------------------------------------------------------------------------------


def _falling(steps: int, peak: float) -> list[float]:
    """Return the kit's rate of each step: a warm-up, then a cosine to zero."""
    return [learning_rate(step, steps, peak) for step in range(steps)]


def _wrong_falling(
    rise: Callable[[int, int], float], fall: Callable[[int, int], float]
) -> Callable:
    """Return rates with another rise, of (step, warm), or another fall, of (t, n)."""

    def falling(steps: int, peak: float) -> list[float]:
        warm = max(1, steps // 20)
        return [peak * rise(i, warm) if i < warm else peak * fall(i - warm, steps - warm)
                for i in range(steps)]  # fmt: skip

    return falling


def _even(i: int, warm: int) -> float:
    return (i + 1) / warm


def _cosine(t: int, n: int) -> float:
    return (1 + cos(pi * t / n)) / 2


def _no_least(steps: int, peak: float) -> list[float]:
    warm = steps // 20
    n = steps - warm
    return [peak * _even(i, warm) for i in range(warm)] + [peak * _cosine(t, n) for t in range(n)]


def _no_brackets(steps: int, peak: float) -> list[float]:
    warm = max(1, steps // 20)
    n = steps - warm
    return [peak * _even(i, warm) for i in range(warm)] + [
        peak * 1 + cos(pi * t / n) / 2 for t in range(n)
    ]


falling = Exercise(
    "falling",
    reference=_falling,
    hints=(
        "How many steps rise, and how many are left to fall?",
        "Make two lists and add them: peak * (step + 1) / warm for the steps that rise, and the"
        " cosine, with t from 0 to n - 1, for the n others.",
        "warm = max(1, steps // 20)",
    ),
    probes=[(20, 5e-4), (60, 1.0), (1, 0.5), (45, 2e-3), (13, 0.3)],
    atol=1e-12,
    mistakes=[
        Mistake("the first rate is 0, so the first step is lost: step + 1, divided by warm",
                _wrong_falling(lambda i, warm: i / warm, _cosine)),
        Mistake("there is no warm-up: the first steps have the whole peak",
                _wrong_falling(lambda i, warm: 1.0, _cosine)),
        Mistake("the rate does not fall: after the warm-up it follows the cosine",
                _wrong_falling(_even, lambda t, n: 1.0)),
        Mistake("it falls in a straight line: the cosine falls slowly at first and at the end",
                _wrong_falling(_even, lambda t, n: 1 - t / n)),
        Mistake("the half is missing: 1 + cos goes from 2 to 0",
                _wrong_falling(_even, lambda t, n: 1 + cos(pi * t / n))),
        Mistake("pi is missing: the cosine falls to its end at π, not at 1",
                _wrong_falling(_even, lambda t, n: (1 + cos(t / n)) / 2)),
        Mistake("the cosine goes below zero: 1 + cos, and then the half",
                _wrong_falling(_even, lambda t, n: cos(pi * t / n))),
    ],
    slips=[
        Mistake(words, _wrong_falling(_even, fall))
        for words, fall in {
            "in the fall: 1 + cos is divided by 2, not multiplied":
                lambda t, n: (1 + cos(pi * t / n)) * 2,
            "in the fall: 1 + cos is halved, not divided by 3":
                lambda t, n: (1 + cos(pi * t / n)) / 3,
            "in the fall: the peak is multiplied by 1 + cos, not divided by it":
                lambda t, n: 1 / (1 + cos(pi * t / n)) / 2,
            "in the fall: the cosine is missing, and every rate is half the peak":
                lambda t, n: 0.5,
            "in the fall: 1 - cos rises; it is 1 + cos":
                lambda t, n: (1 - cos(pi * t / n)) / 2,
            "in the fall: 1 + is missing before the cosine": lambda t, n: cos(pi * t / n) / 2,
            "in the fall: 1 + cos, not 2 + cos": lambda t, n: (2 + cos(pi * t / n)) / 2,
            "in the fall: t is multiplied by n: divide": lambda t, n: (1 + cos(pi * t * n)) / 2,
            "in the fall: t is not divided by n": lambda t, n: (1 + cos(pi * t)) / 2,
            "in the fall: t is missing in the cosine, and every rate is alike":
                lambda t, n: (1 + cos(pi / n)) / 2,
        }.items()
    ] + [
        Mistake(words, _wrong_falling(rise, _cosine))
        for words, rise in {
            "in the warm-up: multiplied by warm where it should be divided":
                lambda i, warm: (i + 1) * warm,
            "in the warm-up: not divided by warm": lambda i, warm: i + 1,
            "in the warm-up: divided by step + 1 where it should be multiplied":
                lambda i, warm: 1 / (i + 1) / warm,
            "in the warm-up: step + 1 is missing, so it does not rise": lambda i, warm: 1 / warm,
            "in the warm-up: step + 1, not step - 1": lambda i, warm: (i - 1) / warm,
            "in the warm-up: step + 1, not step + 2": lambda i, warm: (i + 2) / warm,
        }.items()
    ] + [
        Mistake("the rise is returned alone: the fall comes after it",
                lambda steps, peak: _falling(steps, peak)[:max(1, steps // 20)]),
        Mistake("the fall is returned alone: the rise comes before it",
                lambda steps, peak: _falling(steps, peak)[max(1, steps // 20):]),
        Mistake("one rate too many: n is the steps without the warm-up",
                lambda steps, peak: _falling(steps, peak)[:max(1, steps // 20)]
                + [peak * _cosine(t, steps) for t in range(steps)]),
        Mistake("t goes from 1 to n: begin at 0, so that the fall begins at the peak",
                _wrong_falling(_even, lambda t, n: _cosine(t + 1, n))),
        Mistake("t counts from the end of the warm-up, and n is the number of steps after it: it "
                "goes from 0 to n - 1",
                lambda steps, peak: _falling(steps, peak)[:max(1, steps // 20)]
                + [peak * _cosine(t, steps) for t in range(max(1, steps // 20), steps)]),
        Mistake("below 20 steps there is no warm-up: it has at least one step, max(1, steps // 20)",
                _no_least),
        Mistake("math.cos takes radians: pi, not 180",
                _wrong_falling(_even, lambda t, n: (1 + cos(180 * t / n)) / 2)),
        Mistake("in the fall: it is the cosine, not the sine",
                _wrong_falling(_even, lambda t, n: (1 + sin(pi * t / n)) / 2)),
        Mistake("brackets are missing: the peak is multiplied by the whole (1 + cos) / 2",
                _no_brackets),
        Mistake("`append` puts the second list into the first as one part: add them with +",
                lambda steps, peak: [*(rates := _falling(steps, peak))[: max(1, steps // 20)],
                                     rates[max(1, steps // 20) :]]),
    ],
)  # fmt: skip

# --- the layer ------------------------------------------------------------------------------------


def _lora_layer(x_NI: Tensor, W_OI: Tensor, A_RI: Tensor, B_OR: Tensor, alpha: float) -> Tensor:
    """Return x W' + (alpha / r) x A' B' (Hu et al. 2021, arXiv 2106.09685, eq. 3)."""
    return x_NI @ W_OI.T + alpha / len(A_RI) * (x_NI @ A_RI.T) @ B_OR.T


def _layers() -> list[tuple]:
    random = torch.Generator().manual_seed(0)
    sizes = [(2, 3, 4, 2, 4.0), (1, 5, 3, 1, 2.0), (3, 4, 4, 3, 5.0), (2, 4, 4, 4, 8.0)]
    return [
        (*(torch.randn(shape, generator=random) for shape in ((n, i), (o, i), (r, i), (o, r))), a)
        for n, i, o, r, a in sizes
    ]


lora_layer = Exercise(
    "lora_layer",
    reference=_lora_layer,
    hints=(
        "Which matrices are frozen, and which two learn?",
        "x goes through W as ever; beside it through A and then through B. Only this second way"
        " is multiplied by alpha / r, and r is the number of rows of A.",
        "frozen = x @ W.T",
    ),
    probes=_layers,
    gradient_of=(2, 3),
    mistakes=[
        Mistake(
            "the update is not scaled: it is multiplied by alpha / r",
            lambda x, W, A, B, alpha: x @ W.T + x @ A.T @ B.T,
        ),
        Mistake(
            "alpha is not divided by the rank: a larger r would make larger steps",
            lambda x, W, A, B, alpha: x @ W.T + alpha * (x @ A.T @ B.T),
        ),
        Mistake(
            "it divides by alpha: the factor is alpha / r, not r / alpha",
            lambda x, W, A, B, alpha: x @ W.T + len(A) / alpha * (x @ A.T @ B.T),
        ),
        Mistake(
            "the whole sum is scaled: the frozen part x W' stays as it is",
            lambda x, W, A, B, alpha: alpha / len(A) * (x @ W.T + x @ A.T @ B.T),
        ),
        Mistake(
            "the frozen weights are left out",
            lambda x, W, A, B, alpha: alpha / len(A) * (x @ A.T @ B.T),
        ),
        Mistake(
            "the update is left out: this is the layer before training",
            lambda x, W, A, B, alpha: x @ W.T,
        ),
        Mistake(
            "the value is right, but A and B get no gradient: .detach(), .data or no_grad cuts it",
            lambda x, W, A, B, alpha: _lora_layer(x, W, A.detach(), B.detach(), alpha),
        ),
    ],
    slips=[
        Mistake(
            "r is the number of rows of A: len(A), not len(B)",
            lambda x, W, A, B, alpha: x @ W.T + alpha / len(B) * (x @ A.T @ B.T),
        ),
        Mistake(
            "r is the number of rows of A: A.shape[0], not A.shape[1]",
            lambda x, W, A, B, alpha: x @ W.T + alpha / A.shape[1] * (x @ A.T @ B.T),
        ),
        Mistake(
            "the update is added, not subtracted",
            lambda x, W, A, B, alpha: x @ W.T - alpha / len(A) * (x @ A.T @ B.T),
        ),
        Mistake(
            "// rounds down: alpha / r need not be whole",
            lambda x, W, A, B, alpha: x @ W.T + alpha // len(A) * (x @ A.T @ B.T),
        ),
    ],
)

# --- how many parameters are trained --------------------------------------------------------------


trained_parameters = Exercise(
    "trained_parameters",
    reference=memory.trained_parameters,
    hints=(
        "What shapes do A and B have beside a matrix of outputs × inputs?",
        "A has r × inputs numbers and B outputs × r. Add them, over all shapes.",
        "return sum(r * (outputs + inputs) for ...)",
    ),
    probes=[([(896, 896), (128, 896)], 16), ([(4864, 896)], 8), ([(10, 20), (30, 40)], 1), ([], 4)],
    mistakes=[
        Mistake(
            "that is the frozen matrix: A is r x inputs and B is outputs x r",
            lambda shapes, r: sum(o * i for o, i in shapes),
        ),
        Mistake(
            "A has r x inputs and B outputs x r numbers: their sizes are added, not multiplied",
            lambda shapes, r: sum(r * o * i for o, i in shapes),
        ),
        Mistake(
            "only A is counted: B has outputs x r numbers more",
            lambda shapes, r: sum(r * i for _, i in shapes),
        ),
        Mistake(
            "only B is counted: A has r x inputs numbers more",
            lambda shapes, r: sum(r * o for o, _ in shapes),
        ),
        Mistake(
            "the rank is left out",
            lambda shapes, r: sum(o + i for o, i in shapes),
        ),
    ],
    slips=[
        Mistake(
            "only the first matrix is counted: does the `return` stand inside the loop?",
            lambda shapes, r: memory.trained_parameters(shapes[:1], r) if shapes else None,
        ),
        Mistake(
            "only the last matrix is counted: add to the sum in each round",
            lambda shapes, r: memory.trained_parameters(shapes[-1:], r),
        ),
        Mistake(
            "the frozen matrix is counted, too: only A and B are trained",
            lambda shapes, r: sum(r * (o + i) + o * i for o, i in shapes),
        ),
        Mistake(
            "there is no third matrix of r x r numbers: A is r x inputs and B is outputs x r",
            lambda shapes, r: sum(r * (o + i) + r * r for o, i in shapes),
        ),
    ],
)

# --- what training has to hold --------------------------------------------------------------------


def _fixed_memory(weights: int, trained: int, bits: float, full: bool) -> float:
    """Return the bytes of weights, gradients and Adam's state, without activations.

    `full`: all weights are trained, in float32.  Else the frozen ones have `bits` bits each, and
    the `trained` ones of the adapter, their gradients and two moments are float32.
    """
    if full:
        return weights * 16.0
    return weights * bits / 8 + trained * 16.0


fixed_memory = Exercise(
    "fixed_memory",
    reference=_fixed_memory,
    hints=(
        "For which numbers does Adam keep two moments: for all, or for those that are trained?",
        "A trained number costs 4 bytes each for itself, its gradient and two moments. A frozen"
        " number costs bits / 8 bytes.",
        "if full:",
    ),
    probes=[(494_000_000, 8_800_000, 16, False), (494_000_000, 8_800_000, 4.127, False),
            (494_000_000, 0, 32, True), (1000, 10, 32, False)],
    mistakes=[
        Mistake(
            "Adam's two moments are left out: 4 bytes each for every trained number",
            lambda w, t, bits, full: w * 8.0 if full else w * bits / 8 + t * 8.0,
        ),
        Mistake(
            "the gradients are left out: 4 bytes for every trained number",
            lambda w, t, bits, full: w * 12.0 if full else w * bits / 8 + t * 12.0,
        ),
        Mistake(
            "bits are not bytes: divide by 8",
            lambda w, t, bits, full: w * 16.0 if full else w * bits + t * 16.0,
        ),
        Mistake(
            "frozen weights get no gradient and no moments: only the trained ones have 16 bytes",
            lambda w, t, bits, full: w * 16.0 if full else (w + t) * 16.0,
        ),
        Mistake(
            "the adapter itself is left out: weight, gradient and two moments, 4 bytes each",
            lambda w, t, bits, full: w * 16.0 if full else w * bits / 8,
        ),
        Mistake(
            "the trained numbers are float32, whatever the frozen ones are in",
            lambda w, t, bits, full: w * 16.0 if full else (w + 4 * t) * bits / 8,
        ),
    ],
    slips=[
        Mistake(words, lambda w, t, bits, full, way=way: 16.0 * w if full else way(w, t, bits))
        for words, way in {
            "the trained part is subtracted: both lie in memory":
                lambda w, t, bits: w * bits / 8 - 16 * t,
            "the frozen weights are left out": lambda w, t, bits: 16.0 * t,
            "bits are multiplied by 8: a byte has 8 bits, so divide":
                lambda w, t, bits: w * bits * 8 + 16.0 * t,
            "16 is divided by the number of trained ones: multiply":
                lambda w, t, bits: w * bits / 8 + 16 / t,
            "the number of trained ones is missing: 16 bytes for each":
                lambda w, t, bits: w * bits / 8 + 16,
            "a trained number has 16 bytes, and not one": lambda w, t, bits: w * bits / 8 + t,
            "a trained number has 16 bytes, and not 17": lambda w, t, bits: w * bits / 8 + 17 * t,
            "a trained number has 16 bytes, and not 15": lambda w, t, bits: w * bits / 8 + 15 * t,
            "the weights are divided by their bits: multiply":
                lambda w, t, bits: w / bits / 8 + 16 * t,
            "the bits of a frozen weight are left out": lambda w, t, bits: w / 8 + 16 * t,
            "the number of frozen weights is left out": lambda w, t, bits: bits / 8 + 16 * t,
            "a byte has 8 bits, and not 9": lambda w, t, bits: w * bits / 9 + 16 * t,
            "a byte has 8 bits, and not 7": lambda w, t, bits: w * bits / 7 + 16 * t,
        }.items()
    ] + [
        Mistake(words, lambda w, t, bits, full, way=way: way(w) if full else w * bits / 8 + 16 * t)
        for words, way in {
            "with full training every weight has 16 bytes: 16 is divided by them here":
                lambda w: 16 / w,
            "with full training the number of weights is left out": lambda w: 16,
            "with full training every weight has 16 bytes, and not one": lambda w: w,
            "with full training every weight has 16 bytes, and not 17": lambda w: 17 * w,
            "with full training every weight has 16 bytes, and not 15": lambda w: 15 * w,
            "`full` is not looked at: then all weights are trained, 16 bytes each":
                lambda w: 4 * w,
        }.items()
    ] + [
        Mistake("// rounds down, and of 4.127 bits nothing is left: bits / 8",
                lambda w, t, bits, full: _fixed_memory(w, t, bits // 8 * 8, full)),
        Mistake("with full training no weight is frozen: 16 bytes for each, and nothing more",
                lambda w, t, bits, full: w * bits / 8 + 16 * (w if full else t)),
        Mistake("the adapter's numbers are new ones, beside the frozen ones: subtract nothing",
                lambda w, t, bits, full: _fixed_memory(w if full else w - t, t, bits, full)),
        Mistake("the two cases have changed places: `full` means that all weights are trained",
                lambda w, t, bits, full: _fixed_memory(w, t, bits, not full)),
        Mistake("bytes are asked for, not GB",
                lambda w, t, bits, full: _fixed_memory(w, t, bits, full) / 1e9),
        Mistake("weights and trained have changed places",
                lambda w, t, bits, full: _fixed_memory(t, w, bits, full)),
    ],
)  # fmt: skip
