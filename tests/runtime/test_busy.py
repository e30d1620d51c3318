"""Other programs on this machine: what is seen of them, and what follows for the threads."""

import os
import sys

import pytest
import torch

from distillkit.runtime import busy

FREE = {
    "user": 0,
    "nice": 0,
    "system": 0,
    "idle": 0,
    "iowait": 0,
    "irq": 0,
    "softirq": 0,
    "steal": 0,
}


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A machine of two cores; `uses(a, b, …)` says how many cores others use, look by look."""
    stat, looks = tmp_path / "stat", []
    now = dict(FREE)

    def write():
        own = " ".join(map(str, now.values()))
        others = "9 0 0 0 0 0 0 0"  # a core that is not this process's, busy all the time
        stat.write_text(f"cpu  1 2 3\ncpu0 {own} 0 0\ncpu1 {own} 0 0\ncpu2 {others} 0 0\nintr 5\n")

    def sleep(seconds):
        used = looks.pop(0)
        ticks = round(100 * seconds)
        now["user"] += round(ticks * used / 2)
        now["steal"] += round(ticks * used / 2)
        now["idle"] += round(ticks * (2 - used))
        write()

    for name, value in {"STAT": stat, "CORES": tmp_path}.items():
        monkeypatch.setattr(busy, name, value)
    monkeypatch.setattr(busy.time, "sleep", sleep)
    monkeypatch.setattr(busy.os, "cpu_count", lambda: 3)
    monkeypatch.setattr(busy.os, "sched_getaffinity", lambda _: {0, 1}, raising=False)
    monkeypatch.delitem(sys.modules, "torch")
    for name in (*busy.SLEEP, busy.CHOSEN, "OMP_NUM_THREADS"):
        monkeypatch.setenv(name, "kept")  # so that what the test sets is undone
        monkeypatch.delenv(name)
    write()
    return lambda *used: looks.extend(used)


def test_an_idle_machine_is_left_as_it_is(machine):
    machine(0.1)
    assert busy.share_the_cores() == "" and not {*busy.SLEEP} & {*os.environ}


def test_threads_sleep_where_others_use_the_cores(machine):
    machine(1.0, 0.9)
    assert "threads sleep" in busy.share_the_cores()
    assert {name: os.environ[name] for name in busy.SLEEP} == busy.SLEEP


def test_asked_again_after_torch_it_says_what_was_chosen(machine, monkeypatch):
    """The command line asks first and throws the answer away; the session's line shows it."""
    machine(1.0, 0.9)
    busy.share_the_cores()
    monkeypatch.setitem(sys.modules, "torch", torch)
    assert "threads sleep" in busy.share_the_cores()


def test_only_the_cores_that_this_process_may_use_are_looked_at(tmp_path, monkeypatch):
    looks = iter(["0 0 0 0", "100 0 0 900"])  # of core 1: a tenth of it is used
    stat = tmp_path / "stat"

    def sleep(_):
        ticks = f"{next(looks)} 0 0 0 0 0 0"
        stat.write_text(f"cpu  5 5 5 5 5 5 5 5\ncpu0 {ticks[::-1]}\ncpu1 {ticks}\n")

    sleep(0)
    monkeypatch.setattr(busy, "STAT", stat)
    monkeypatch.setattr(busy.time, "sleep", sleep)
    monkeypatch.setattr(busy.os, "sched_getaffinity", lambda _: {1}, raising=False)
    assert busy.cores_in_use(1) == pytest.approx(0.1)


def test_a_program_that_just_starts_is_no_reason(machine):
    machine(2.0, 0.2)
    assert busy.share_the_cores() == "" and not {*busy.SLEEP} & {*os.environ}


@pytest.mark.parametrize("name", busy.SLEEP)
def test_the_users_own_setting_wins(machine, monkeypatch, name):
    monkeypatch.setenv(name, "mine")
    assert busy.share_the_cores() == ""
    assert os.environ[name] == "mine" and len({*busy.SLEEP} & {*os.environ}) == 1


def test_one_thread_waits_for_nobody(machine, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert busy.share_the_cores() == ""


def test_after_torch_it_is_too_late(machine, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", torch)
    assert busy.share_the_cores() == ""


def test_elsewhere_nothing_is_changed(machine, monkeypatch, tmp_path):
    monkeypatch.setattr(busy, "STAT", tmp_path / "none")
    assert busy.share_the_cores() == ""


def test_a_core_of_two_halves_is_counted_once(tmp_path, monkeypatch):
    monkeypatch.setattr(busy, "CORES", tmp_path)
    for cpu, siblings in enumerate(("0,2", "1,3", "0,2", "1,3")):
        path = tmp_path / f"cpu{cpu}" / "topology" / "thread_siblings_list"
        path.parent.mkdir(parents=True)
        path.write_text(siblings)
    assert busy._whole_cores() == 2


@pytest.mark.skipif(not busy.STAT.exists(), reason="reads what Linux counts")
def test_the_cores_in_use_are_counted_here():
    assert 0 <= busy.cores_in_use(0.05) <= os.cpu_count()


def test_the_slowdown_is_the_mean_over_what_is_undisturbed(monkeypatch):
    """A clock by which every second product is held up for nine times as long as it takes."""
    now, calls = [0.0], []
    monkeypatch.setattr(busy.time, "perf_counter", lambda: now[0])

    def linear(x, w):
        calls.append(1)
        now[0] += 10.0 if len(calls) % 2 else 1.0

    monkeypatch.setattr(torch.nn.functional, "linear", linear)
    assert busy.slowdown(300) == pytest.approx(5.5, rel=0.05)
    assert busy.busy_words() == "this machine is busy: everything takes about 5.5 times longer"


def test_an_idle_machine_is_not_called_busy(monkeypatch):
    monkeypatch.setattr(busy, "slowdown", lambda: 1.2)
    assert busy.busy_words() == ""


def test_one_thread_is_for_a_while():
    before = torch.get_num_threads()
    with pytest.raises(KeyError), busy.one_thread():
        assert torch.get_num_threads() == 1
        raise KeyError
    assert torch.get_num_threads() == before
