"""Confidence, bins, expected error."""

from __future__ import annotations

import pytest
import torch

from distillkit.evaluation import calibration as kit
from distillkit.training.packing import encode
from tests.training.test_loop import TRACES
from tests.training.test_objectives import said_one_by_one


def test_confidence_is_the_probability_of_the_whole_text(tiny):
    """Second route: the product of the probabilities, read alone."""
    examples = encode(TRACES[:2], tiny.tokenizer)
    short = [type(e)(e.ids[:-40], e.labels[:-40]) for e in examples]
    for found, example in zip(kit.confidences(tiny.model, short), short, strict=True):
        own = torch.tensor([label for label in example.labels if label != -100])
        said = said_one_by_one(tiny.model, [example]).softmax(-1)
        product = said.gather(-1, own[:, None]).double().prod().item()
        assert 0 < found < 1 and found == pytest.approx(product, rel=1e-3)


def test_bins_hold_means_shares_and_counts():
    rows = kit.reliability([0.05, 0.31, 0.39, 1.0], [False, True, False, True])
    assert rows == [(0.05, 0.0, 1), (pytest.approx(0.35), 0.5, 2), (1.0, 1.0, 1)]


def test_the_expected_error_weighs_the_bins():
    sure, right = [0.95] * 3 + [0.15], [True, True, True, True]
    assert kit.ece(sure, right) == pytest.approx((3 * 0.05 + 0.85) / 4)
    assert kit.ece([0.5, 0.5], [True, False]) == 0
    with pytest.raises(ValueError, match="no answers"):
        kit.ece([], [])
