"""Soft and hard labels on real digits: data, teacher, small student, paired seeds.

Dimension key: B digits, P pixels (64), C classes (10).  One seed draws the student's digits and its
first weights, so that two ways of teaching are compared on the same student.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy
import torch
from torch import Tensor, nn

from distillkit.runtime.busy import one_thread
from distillkit.training.losses import cross_entropy, distillation_loss

CLASSES, PIXELS = 10, 64
HIDDEN = 16  # the student's only hidden layer
TEST = 600  # digits that are kept for the test
STEPS, RATE = 300, 0.01  # of the student, the same for each way of teaching


@dataclass(frozen=True)
class Digits:
    """8 × 8 pictures with pixels from 0 to 1: a pool to learn from and a test set nobody sees."""

    pool_BP: Tensor
    pool_labels_B: Tensor
    test_BP: Tensor
    test_labels_B: Tensor


def load_digits(seed: int = 0) -> Digits:
    """Split scikit-learn's 1,797 digits into a pool and TEST test digits.

    Source: UCI "Optical Recognition of Handwritten Digits" (Alpaydin and Kaynak 1998).
    Raises ImportError that names the mend where scikit-learn is missing.
    """
    package = find_spec("sklearn")  # its file is read, because its import takes seconds
    if package is None:
        raise ImportError("the digits come with scikit-learn: pip install scikit-learn")
    folder = Path(package.submodule_search_locations[0]) / "datasets" / "data"
    table = numpy.loadtxt(folder / "digits.csv.gz", delimiter=",")
    pixels, labels = table[:, :-1], table[:, -1]
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))
    pixels_BP = torch.tensor(pixels, dtype=torch.float32)[order] / 16
    labels_B = torch.tensor(labels, dtype=torch.long)[order]
    return Digits(pixels_BP[TEST:], labels_B[TEST:], pixels_BP[:TEST], labels_B[:TEST])


class Ensemble(nn.Module):
    """Several nets that answer together: the mean of their log-probabilities."""

    def __init__(self, members: Iterable[nn.Module]):
        super().__init__()
        self.members = nn.ModuleList(members)

    def forward(self, images_BP: Tensor) -> Tensor:
        return torch.stack([m(images_BP).log_softmax(-1) for m in self.members]).mean(0)


@one_thread()
def train_teacher(data: Digits, members: int = 5, epochs: int = 40, seed: int = 0) -> Ensemble:
    """Train the teacher on the labels of the whole pool; returns it in evaluation mode.

    Each member has two hidden layers of 128 units and dropout 0.3.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        nets = []
        for _ in range(members):
            net = nn.Sequential(
                nn.Linear(PIXELS, 128), nn.ReLU(), nn.Dropout(0.3),
                nn.Linear(128, 128), nn.ReLU(), nn.Dropout(0.3), nn.Linear(128, CLASSES),
            )  # fmt: skip
            optimizer = torch.optim.Adam(net.parameters(), lr=2e-3)
            for _ in range(epochs):
                for batch in torch.randperm(len(data.pool_BP)).split(64):
                    loss = cross_entropy(net(data.pool_BP[batch]), data.pool_labels_B[batch])
                    optimizer.zero_grad()
                    loss.backward()
                    optimizer.step()
            nets.append(net)
    return Ensemble(nets).eval()


@torch.no_grad()
def ask(model: nn.Module, images_BP: Tensor) -> Tensor:
    """Return the logits [B, C] in evaluation mode, without a gradient."""
    was_training = model.training
    logits_BC = model.eval()(images_BP)
    model.train(was_training)
    return logits_BC


def smoothed_labels(labels_B: Tensor, smoothing: float = 0.1) -> Tensor:
    """Return the logits [B, C] of a "teacher" that knows the label only: label smoothing.

    1 - smoothing on the label, the rest spread evenly over all classes (Szegedy et al. 2015).
    """
    one_hot_BC = nn.functional.one_hot(labels_B, CLASSES).float()
    return (one_hot_BC * (1 - smoothing) + smoothing / CLASSES).log()


def choose_digits(data: Digits, n: int, seed: int, without: int | None = None) -> Tensor:
    """Return n places in the pool drawn by `seed`, none of them showing the digit `without`.

    Raises ValueError if the pool has fewer.
    """
    order = torch.randperm(len(data.pool_BP), generator=torch.Generator().manual_seed(seed))
    if without is not None:
        order = order[data.pool_labels_B[order] != without]
    if len(order) < n:
        raise ValueError(f"the pool has {len(order)} such digits, not {n}")
    return order[:n]


def new_student(seed: int) -> nn.Sequential:
    """Build the small student (one hidden layer of 16 units) with first weights from `seed`."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(nn.Linear(PIXELS, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, CLASSES))


@one_thread()
def train_student(
    data: Digits,
    teacher_BC: Tensor,
    places: Tensor,
    alpha: float,
    temperature: float,
    seed: int,
    steps: int = STEPS,
    loss: Callable[..., Tensor] = distillation_loss,
) -> nn.Sequential:
    """Train a new student on the pool's digits at `places`, all of them in each step (Adam).

    `teacher_BC` are the teacher's logits on the whole pool; alpha = 0 is hard labels only,
    alpha = 1 soft labels only; `loss` takes student, teacher, labels, alpha and temperature.
    """
    student = new_student(seed)
    optimizer = torch.optim.Adam(student.parameters(), lr=RATE)
    images, labels, soft = data.pool_BP[places], data.pool_labels_B[places], teacher_BC[places]
    for _ in range(steps):
        value = loss(student(images), soft, labels, alpha, temperature)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
    return student


def error_rate(logits_BC: Tensor, labels_B: Tensor) -> float:
    """Return the errors in 100 digits."""
    return 100 * (logits_BC.argmax(-1) != labels_B).float().mean().item()


def student_errors(
    data: Digits,
    teacher_BC: Tensor,
    seeds: Iterable[int],
    n: int = 100,
    alpha: float = 1.0,
    temperature: float = 4.0,
    **how: Any,
) -> list[float]:
    """Return the errors in 100 test digits of one student a seed; equal seeds are pairs.

    `how` goes to `train_student`: steps, loss.
    """
    errors = []
    for seed in seeds:
        places = choose_digits(data, n, seed)
        student = train_student(data, teacher_BC, places, alpha, temperature, seed, **how)
        errors.append(error_rate(ask(student, data.test_BP), data.test_labels_B))
    return errors


def new_pair(
    seed: int,
    members: int = 5,
    epochs: int = 40,
    n: int = 100,
    temperature: float = 4.0,
    **how: Any,
) -> tuple[float, float]:
    """Return the errors in 100 of a hard and of a soft student where `seed` draws everything anew.

    Split, teacher, the student's digits and first weights: what one fixed teacher and one fixed
    test set cannot show.
    """
    data = load_digits(seed=seed)
    teacher_BC = ask(train_teacher(data, members, epochs, seed), data.pool_BP)
    hard, soft = (
        student_errors(data, teacher_BC, [seed], n, alpha, temperature, **how)[0]
        for alpha in (0.0, 1.0)
    )
    return hard, soft


# --- the digit that the student never saw ---------------------------------------------------------


@dataclass(frozen=True)
class Missing:
    """The logits of a student that never saw `digit`, on spare pool digits and on the test."""

    digit: int
    spare_BC: Tensor
    spare_labels_B: Tensor
    test_BC: Tensor
    test_labels_B: Tensor

    def best_bias(self) -> float:
        """Return the smallest bias with the fewest errors on the spare digits (not on the test)."""
        return min(
            (b / 4 for b in range(81)),
            key=lambda b: error_rate(add_bias(self.spare_BC, self.digit, b), self.spare_labels_B),
        )

    def of_class(self, digit: int, bias: float = 0.0) -> float:
        """Return how many in 100 test digits of one class are recognised with the bias added."""
        one_B = self.test_labels_B == digit
        logits_BC = add_bias(self.test_BC, self.digit, bias)
        return 100 - error_rate(logits_BC[one_B], self.test_labels_B[one_B])

    def found(self, bias: float = 0.0) -> tuple[float, float]:
        """Return how many in 100 of the missing digit are recognised, and the errors in 100."""
        errors = error_rate(add_bias(self.test_BC, self.digit, bias), self.test_labels_B)
        return self.of_class(self.digit, bias), errors


def add_bias(logits_BC: Tensor, digit: int, bias: float) -> Tensor:
    """Return the logits with `bias` added to those of one class."""
    changed_BC = logits_BC.clone()
    changed_BC[:, digit] += bias
    return changed_BC


def miss_digit(
    data: Digits,
    teacher_BC: Tensor,
    seed: int,
    digit: int = 3,
    n: int = 300,
    alpha: float = 1.0,
    temperature: float = 4.0,
    **how: Any,
) -> Missing:
    """Train a student on n digits without one class, as in Hinton et al. 2015, sec. 3.

    The pool digits that it was not trained on (the missing class included) are the spare ones, on
    which a bias can be chosen.
    """
    places = choose_digits(data, n, seed, without=digit)
    student = train_student(data, teacher_BC, places, alpha, temperature, seed, **how)
    spare = torch.ones(len(data.pool_BP), dtype=torch.bool)
    spare[places] = False
    return Missing(
        digit, ask(student, data.pool_BP[spare]), data.pool_labels_B[spare],
        ask(student, data.test_BP), data.test_labels_B,
    )  # fmt: skip
