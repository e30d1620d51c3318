"""The session: what it chooses, and that it says why."""

from __future__ import annotations

import logging
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from distillkit.runtime import session

PAGES = Path("/sys/kernel/mm/transparent_hugepage/enabled")


@pytest.mark.parametrize(("gain", "kind"), [(0.9, "float32"), (1.2, "float32"), (3.1, "bfloat16")])
def test_bfloat16_is_taken_only_where_it_pays(monkeypatch, gain, kind):
    monkeypatch.setattr(session, "bfloat16_gain", lambda: gain)
    machine = session.start("cpu")
    assert machine.dtype == kind
    assert f"{kind} (" in str(machine)


@pytest.mark.parametrize("kind", ["float32", "bfloat16"])
def test_the_type_can_be_chosen(monkeypatch, kind):
    monkeypatch.setattr(session, "bfloat16_gain", lambda: pytest.fail("measured in vain"))
    assert session.start("tiny", dtype=kind).dtype == kind


def test_the_tiny_tier_is_the_same_on_every_machine(monkeypatch):
    monkeypatch.setattr(session, "bfloat16_gain", lambda: 9.0)
    assert session.start("tiny").dtype == "float32"


@pytest.mark.parametrize(("gain", "products"), [(3.0, 12), (1.0, 12), (4.0, 4), (0.125, 4)])
def test_the_gain_is_a_ratio_of_times_and_a_clear_one_is_not_measured_further(
    monkeypatch, gain, products
):
    """A clock by which every float32 product takes so much longer than a bfloat16 product."""
    now, cost, done = [0.0], {torch.float32: gain, torch.bfloat16: 1.0}, []
    monkeypatch.setattr(session.time, "perf_counter", lambda: now[0])

    def linear(x, w):
        done.append(x.dtype)
        now[0] += cost[x.dtype] * (x.dtype == w.dtype)

    monkeypatch.setattr(torch.nn.functional, "linear", linear)
    assert session.bfloat16_gain(rows=8) == gain
    assert len(done) == products


def test_the_gain_is_measured_here():
    assert 0.05 < session.bfloat16_gain(rows=8) < 50


@pytest.fixture
def maker(monkeypatch, tmp_path):
    """A processor of a maker, as Linux or (`windows=True`) Windows names it."""
    monkeypatch.setenv("MKL_CBWR", "kept")  # so that what the test sets is undone
    monkeypatch.delenv("MKL_CBWR")

    def made_by(name, windows=False):
        path = tmp_path / "cpuinfo"
        if not windows:
            path.write_text(f"processor\t: 0\nvendor_id\t: {name}\n")
        monkeypatch.setattr(session, "CPUINFO", path)
        monkeypatch.setattr(
            session.platform, "processor", lambda: f"AMD64 Family 25, {name}" if windows else ""
        )

    return made_by


@pytest.mark.parametrize("windows", [False, True])
@pytest.mark.parametrize(
    ("name", "mode"), [("AuthenticAMD", "AUTO"), ("GenuineIntel", None), ("", None)]
)
def test_mkl_is_asked_for_steady_products_on_amd_alone(maker, name, mode, windows):
    maker(name, windows)
    session.steady_products()
    assert os.environ.get("MKL_CBWR") == mode


@pytest.mark.parametrize("own", ["", "COMPATIBLE"])
def test_the_users_own_mode_of_mkl_wins(maker, monkeypatch, own):
    maker("AuthenticAMD")
    monkeypatch.setenv("MKL_CBWR", own)
    session.start("tiny")
    assert os.environ["MKL_CBWR"] == own


def test_a_session_asks_for_steady_products(maker):
    maker("AuthenticAMD")
    session.start("tiny")
    assert os.environ["MKL_CBWR"] == "AUTO"


@pytest.mark.parametrize(("own", "mode"), [(None, "1"), ("0", "0")])
def test_large_pages_are_asked_for_and_the_users_own_setting_wins(monkeypatch, own, mode):
    monkeypatch.setenv("THP_MEM_ALLOC_ENABLE", own or "")
    if own is None:
        monkeypatch.delenv("THP_MEM_ALLOC_ENABLE")
    session.start("tiny")
    assert os.environ["THP_MEM_ALLOC_ENABLE"] == mode


@pytest.mark.skipif(
    not PAGES.exists() or "[never]" in PAGES.read_text(), reason="no large pages here"
)
def test_a_command_keeps_large_tensors_in_large_pages():
    code = (
        "from distillkit.cli import main; main(['lesson', '→']); import torch;"
        "kept = torch.ones(20_000_000); print(open('/proc/self/smaps').read())"
    )
    env = {name: value for name, value in os.environ.items() if name != "THP_MEM_ALLOC_ENABLE"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=300, env=env
    )
    assert re.search(r"^VmFlags:.* hg\b", done.stdout, re.MULTILINE)


def test_an_unknown_type_is_named():
    with pytest.raises(ValueError, match=r"'int3'.*float32, bfloat16"):
        session.start("cpu", dtype="int3")


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
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert done.stdout.strip() == "[]", done.stdout + done.stderr


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux")
def test_the_peak_of_a_process_is_not_that_of_the_one_that_started_it():
    look = "from distillkit.runtime.session import peak_memory_bytes; print(peak_memory_bytes())"
    start = (
        "import subprocess, sys; held = b'x' * 900_000_000; "
        f"subprocess.run([sys.executable, '-c', {look!r}])"
    )
    found = subprocess.run([sys.executable, "-c", start], capture_output=True, text=True)
    assert 10**7 < int(found.stdout) < 600 * 10**6


def test_a_library_does_not_ask_a_learner_for_kernels_that_the_kit_never_downloads():
    assert not logging.getLogger("bitsandbytes.backends.cpu.ops").isEnabledFor(logging.WARNING)


@pytest.fixture
def old_card(monkeypatch):
    """A card that only emulates bfloat16, as a T4 does."""
    cuda = {"is_available": lambda: True, "set_device": lambda _: None,
            "get_device_name": lambda: "T4", "manual_seed_all": lambda _: None,
            "is_bf16_supported": lambda including_emulation=True: including_emulation}  # fmt: skip
    for name, value in cuda.items():
        monkeypatch.setattr(torch.cuda, name, value)


@pytest.mark.parametrize("dtype", [None, "float16"])
def test_a_card_that_emulates_bfloat16_gets_float16(old_card, dtype):
    machine = session.start("gpu", dtype=dtype)
    assert (machine.device, machine.dtype) == ("cuda", "float16")


@pytest.mark.parametrize(("tier", "message"), [("foo", "unknown tier 'foo'"), ("gpu", "sees none")])
def test_the_tier_of_the_environment_is_checked_too(monkeypatch, tier, message):
    monkeypatch.setenv("DISTILLKIT_TIER", tier)
    with pytest.raises(ValueError, match=message):
        session.start()
