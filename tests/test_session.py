"""The session: what it chooses, and that it says why."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from distillkit import session


@pytest.mark.parametrize(("gain", "kind"), [(0.9, "float32"), (1.2, "float32"), (3.1, "bfloat16")])
def test_products_are_rounded_only_where_it_pays(monkeypatch, gain, kind):
    monkeypatch.setattr(session, "bfloat16_gain", lambda: gain)
    kit = session.start("cpu")
    assert (kit.dtype, kit.matmul) == ("float32", kind)
    assert f"products in {kind}" in str(kit)
    assert torch.get_float32_matmul_precision() == session.MATMUL[kind]
    assert ("products in bfloat16" in session.machine()) == (kind == "bfloat16")


@pytest.mark.parametrize("kind", session.MATMUL)
def test_the_products_can_be_chosen(monkeypatch, kind):
    monkeypatch.setattr(session, "bfloat16_gain", lambda: pytest.fail("measured in vain"))
    assert session.start("tiny", matmul=kind).matmul == kind
    assert torch.get_float32_matmul_precision() == session.MATMUL[kind]


@pytest.mark.parametrize("before", session.MATMUL.values())
def test_measuring_the_gain_leaves_the_products_as_they_were(before):
    torch.set_float32_matmul_precision(before)
    assert 0.05 < session.bfloat16_gain(rows=8) < 50
    assert torch.get_float32_matmul_precision() == before


def test_rounded_products_stay_close():
    torch.manual_seed(0)
    x, w = torch.rand(64, 896) - 0.5, torch.rand(128, 896) - 0.5
    exact = (x.double() @ w.double().T).float()
    session.set_matmul("bfloat16")
    torch.testing.assert_close(x @ w.T, exact, atol=0.01 * exact.abs().max().item(), rtol=0)


def test_an_unknown_type_of_products_is_named():
    with pytest.raises(ValueError, match=r"'int3'.*float32, bfloat16"):
        session.start("cpu", matmul="int3")


def test_an_unknown_tier_is_named():
    with pytest.raises(ValueError, match=r"'big'.*tiny, cpu, gpu"):
        session.start("big")


def test_importing_the_kit_imports_no_torch():
    """What a learner waits for in the first cell; torch comes when something needs it."""
    code = (
        "import sys, distillkit as dk, distillkit.cli;"
        "dk.make_problems(3); dk.TEMPLATES; dk.extract('x = 1');"
        "print([m for m in ('torch', 'transformers', 'peft', 'accelerate') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "[]", done.stdout + done.stderr
