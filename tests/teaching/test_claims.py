"""The ledger of claims: complete, and no finding that its interval does not give."""

from __future__ import annotations

import pytest

from distillkit import cli
from distillkit.runtime.session import data_path
from distillkit.teaching import claims as kit
from distillkit.teaching.lesson import all_lessons

HEAD = data_path("claims.csv").read_text(encoding="utf-8").splitlines()[0]


def test_every_claim_has_its_experiment_and_a_lesson():
    claims = kit.ledger()
    assert [c.claim for c in claims] == list(range(1, 21))
    lessons = all_lessons()
    for claim in claims:
        assert claim.experiment and claim.sentence
        assert claim.lesson in lessons or claim.lesson == "later"


def test_what_was_measured_names_n_date_and_command():
    measured = [c for c in kit.ledger() if c.finding != "open"]
    assert len(measured) >= 3
    for claim in measured:
        assert claim.low <= claim.effect <= claim.high
        assert claim.unit and claim.n and claim.command
        assert len(claim.date) == 10


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [(0.1, 2, "holds"), (-1, 1, "not shown"), (0, 1, "not shown"), (-2, -0.1, "refuted")],
)
def test_the_interval_gives_the_verdict(low, high, words):
    assert kit.finding(low, high) == words


@pytest.mark.parametrize(
    "row",
    ["1,s,01,e,holds,1,-1,2,u,n,2026-01-01,c", "1,s,01,e,open,1,0.5,2,u,n,2026-01-01,c",
     "1,s,01,e,holds,,,,,,,"],
)  # fmt: skip
def test_a_verdict_that_the_interval_does_not_give_is_refused(monkeypatch, tmp_path, row):
    (tmp_path / "claims.csv").write_text(f"{HEAD}\n{row}\n", encoding="utf-8")
    monkeypatch.setattr(kit, "data_path", lambda name: tmp_path / name)
    with pytest.raises(ValueError, match="claim 1"):
        kit.ledger()


def test_the_command_prints_it(capsys):
    assert cli.main(["claims"]) == 0
    printed = capsys.readouterr().out
    assert "20 claims: " in printed and "+5.8 fewer errors in 100 digits" in printed
    assert ", 0 open" in printed and "not measured yet" not in printed


def test_an_open_claim_says_that_it_is_not_measured(monkeypatch, tmp_path):
    row = "1,s,01,e,open,,,,,,,"
    (tmp_path / "claims.csv").write_text(f"{HEAD}\n{row}\n", encoding="utf-8")
    monkeypatch.setattr(kit, "data_path", lambda name: tmp_path / name)
    assert "not measured yet" in kit.listing(kit.ledger())
