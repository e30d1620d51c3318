"""The digits inside data/soft_labels.html, the page that needs no installation.

    python -m distillkit.lessons.l01_soft_labels.page

trains the teacher (42 s beside much other work on two cores) and writes the page's last part anew.
A line is a digit: its label, a letter a pixel (a = 0, q = 16), and for the pool the teacher's
log-probabilities in steps of 1/50, two characters each.

Dimension key: B digits, P pixels (64), C classes (10).
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from distillkit.lessons.l01_soft_labels.digits import Digits, ask, load_digits, train_teacher
from distillkit.runtime.files import write_atomic
from distillkit.runtime.session import data_path

PAGE = "soft_labels.html"
OPEN, CLOSE = '<script type="text/plain" id="digits">\n', "</script>"
SIGNS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
STEPS = 50  # in one nat


def write_lines(data: Digits, teacher_BC: Tensor) -> str:
    """Return the test digits and then the pool with the teacher's log-probabilities, as lines."""
    steps_BC = (-teacher_BC.log_softmax(-1) * STEPS).round().long().clamp(0, len(SIGNS) ** 2 - 1)
    said = ["".join(SIGNS[s // 64] + SIGNS[s % 64] for s in row) for row in steps_BC.tolist()]
    tests = zip(data.test_BP, data.test_labels_B.tolist(), [""] * len(data.test_BP))
    pool = zip(data.pool_BP, data.pool_labels_B.tolist(), said)
    return "".join(
        f"{label}{''.join(chr(97 + round(16 * x)) for x in pixels_P.tolist())}{words}\n"
        for pixels_P, label, words in (*tests, *pool)
    )


def read_lines(page: str) -> tuple[Digits, Tensor]:
    """Return the digits of a page and the teacher's log-probabilities [B, C] on its pool.

    Raises ValueError for a page without them.
    """
    if OPEN not in page:
        raise ValueError("this page has no part for the digits")
    lines = page.split(OPEN, 1)[1].split(CLOSE, 1)[0].split()
    tests, pool = ([line for line in lines if (len(line) > 65) is long] for long in (False, True))

    def pixels(some: list[str]) -> Tensor:
        return torch.tensor([[ord(sign) - 97 for sign in line[1:65]] for line in some]) / 16

    def labels(some: list[str]) -> Tensor:
        return torch.tensor([int(line[0]) for line in some])

    def step(line: str, c: int) -> int:
        return SIGNS.index(line[65 + 2 * c]) * 64 + SIGNS.index(line[66 + 2 * c])

    teacher_BC = torch.tensor([[-step(line, c) / STEPS for c in range(10)] for line in pool])
    return Digits(pixels(pool), labels(pool), pixels(tests), labels(tests)), teacher_BC


def refresh(path: Path, data: Digits, teacher_BC: Tensor) -> None:
    """Write the part of the page that holds the digits; the rest stays as it is.

    Raises ValueError for a page without that part.
    """
    page = path.read_text(encoding="utf-8")
    if OPEN not in page:
        raise ValueError(f"{path} has no part for the digits")
    before, rest = page.split(OPEN, 1)
    after = rest.split(CLOSE, 1)[1]
    write_atomic(path, before + OPEN + write_lines(data, teacher_BC) + CLOSE + after)


if __name__ == "__main__":
    DIGITS = load_digits()
    refresh(data_path(PAGE), DIGITS, ask(train_teacher(DIGITS), DIGITS.pool_BP))
