"""Lesson 13: bandits, their learners, the transformer that imitates one, and the figures."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from distillkit.lessons.l13_algorithm import bandits, figures
from distillkit.lessons.l13_algorithm.imitation import (
    Player,
    causal_mask,
    imitate,
    roll_out,
    to_tokens,
)


@pytest.fixture(scope="module")
def chances():
    return bandits.draw_bandits(600, np.random.default_rng(0))


@pytest.fixture(scope="module")
def histories(chances):
    actions, rewards = bandits.play(bandits.thompson, chances, np.random.default_rng(1))
    return torch.tensor(actions), torch.tensor(rewards)


@pytest.mark.parametrize(("odd", "share"), [(0.95, 0.95), (0.05, 0.05)])
def test_the_best_arm_stands_where_the_odds_say_and_chances_stay_uniform(odd, share):
    chances_BK = bandits.draw_bandits(4000, np.random.default_rng(2), odd)
    assert (chances_BK.argmax(-1) % 2 == 0).mean() == pytest.approx(share, abs=0.015)
    assert np.quantile(chances_BK, [0.25, 0.5, 0.75]) == pytest.approx([0.25, 0.5, 0.75], abs=0.02)
    assert len({*chances_BK.argmax(-1)}) == bandits.ARMS


def test_a_history_pays_what_its_arm_pays_and_regret_counts_the_gap():
    chances_BK = np.array([[0.0, 1.0], [1.0, 0.25]])
    actions, rewards = bandits.play(lambda *_: np.zeros(2, int), chances_BK,
                                    np.random.default_rng(0), pulls=3)  # fmt: skip
    assert actions.tolist() == [[0, 0, 0]] * 2 and rewards.tolist() == [[0, 0, 0], [1, 1, 1]]
    assert bandits.regret(chances_BK, actions).tolist() == [[1, 2, 3], [0, 0, 0]]
    assert bandits.regret(chances_BK, actions + 1)[:, -1].tolist() == [0, 2.25]


def test_the_learners_are_as_good_as_they_are_known_to_be(chances):
    lost = {
        policy.__name__: bandits.regret(
            chances, bandits.play(policy, chances, np.random.default_rng(3))[0]
        )[:, -1].mean()
        for policy in (bandits.uniform, bandits.ucb, bandits.thompson, bandits.gittins)
    }
    assert lost["gittins"] < lost["thompson"] < lost["ucb"] < 0.7 * lost["uniform"]
    assert lost["uniform"] == pytest.approx(60 * (5 / 6 - 1 / 2), rel=0.05)


def test_ucb_pulls_each_arm_once_first():
    wins, losses = np.array([[1, 0, 0], [1, 1, 1]]), np.array([[0, 1, 0], [0, 0, 5]])
    assert bandits.ucb(wins, losses, None)[0] == 2
    assert bandits.ucb(wins, losses, None)[1] != 2


def test_the_gittins_index_of_the_last_pull_is_the_mean_and_more_pulls_left_raise_it():
    index = bandits.gittins_indices(12)
    for wins, losses in ((0, 0), (3, 1), (2, 6)):
        mean = (wins + 1) / (wins + losses + 2)
        assert index[0, wins, losses] == pytest.approx(mean, abs=0.006)
    assert np.all(np.diff(index[:, 0, 0]) >= 0) and index[11, 0, 0] > 0.65
    # two pulls left of a new arm: 1/2 + 1/2 (2/3 - fee) = fee, so 5/9
    assert index[1, 0, 0] == pytest.approx(5 / 9, abs=0.006)


def test_the_chance_to_be_best_is_the_share_of_draws():
    wins, losses = np.array([[3, 0, 1, 0, 0]]), np.array([[1, 2, 0, 0, 5]])
    drawn = np.random.default_rng(4).beta(1 + wins[0], 1 + losses[0], (40_000, 5)).argmax(-1)
    share = np.bincount(drawn, minlength=5) / 40_000
    assert bandits.best_chances(wins, losses)[0] == pytest.approx(share, abs=0.01)


def test_the_sources_own_doubt_is_that_of_the_first_pull_at_first():
    actions, rewards = np.array([[2], [4]]), np.array([[1], [0]])
    assert bandits.own_doubt(actions, rewards) == pytest.approx(np.log(5), rel=1e-3)
    sure = np.array([[0] * 40]), np.array([[1] * 40])
    assert bandits.own_doubt(*sure) < 0.5


def test_a_place_sees_nothing_of_its_own_pull_or_of_later_ones(histories):
    actions, rewards = (x[:4].clone() for x in histories)
    model = Player(0)
    before = model(to_tokens(actions, rewards))
    actions[:, 20:], rewards[:, 20:] = (actions[:, 20:] + 1) % 5, 1 - rewards[:, 20:]
    after = model(to_tokens(actions, rewards))
    assert torch.equal(before[:, :21], after[:, :21])
    assert not torch.allclose(before[:, 21:], after[:, 21:])


def test_without_the_mask_later_pulls_show_through(histories):
    tokens = to_tokens(*(x[:2] for x in histories))
    model = Player(0, mask=lambda n: torch.ones(n, n, dtype=torch.bool))
    other = tokens.clone()
    other[:, -1] = (other[:, -1] + 1) % 10
    assert not torch.equal(model(tokens)[:, 0], model(other)[:, 0])
    assert causal_mask(3).tolist() == [[True, False, False], [True, True, False], [True] * 3]


def test_it_learns_to_play_and_stops_when_asked(histories):
    actions, rewards = histories
    model, rows = Player(0), []
    losses = imitate(model, to_tokens(actions, rewards), actions, 20, 16, on_step=rows.append)
    assert losses[-1] < 1.4, "a blind player has log 5 = 1.6"
    assert rows[-1] == {"step": 20, "steps": 20, "loss": losses[-1]} and len(rows) == 2

    def stop(row):
        raise KeyboardInterrupt

    assert len(imitate(model, to_tokens(actions, rewards), actions, 30, 4, on_step=stop)) == 1


@pytest.mark.parametrize(("steps_done", "kept"), [(0, 0), (3, 1), (10, 1), (13, 2)])
def test_a_training_that_is_stopped_keeps_its_last_loss(histories, monkeypatch, steps_done, kept):
    actions, rewards = (x[:8] for x in histories)
    model, asked, forward = Player(0), [], Player.forward

    def stops(self, tokens_BL):
        asked.append(1)
        if len(asked) > steps_done:
            raise KeyboardInterrupt
        return forward(self, tokens_BL)

    monkeypatch.setattr(Player, "forward", stops)
    losses = imitate(model, to_tokens(actions, rewards), actions, 30, 2)
    assert len(losses) == kept
    words = figures.draw_losses({"a": losses}, 0.9)[1]
    assert ("none yet" in words) == (not kept)


def test_a_short_context_is_trained_on_stretches_and_plays_with_its_last_places(histories):
    actions, rewards = histories
    model = Player(0, context=6)
    assert imitate(model, to_tokens(actions, rewards), actions, 10, 4)
    chances = torch.full((3, 5), 0.5)
    played, paid, beliefs = roll_out(model, chances, 0)
    assert played.shape == paid.shape == (3, 60) and beliefs.shape == (3, 60, 5)
    seen = 1 + 2 * played + paid
    expected = model(seen[:, 53:59])[:, -1].softmax(-1)
    assert torch.allclose(beliefs[:, 59], expected, atol=1e-6)


def test_greedy_takes_the_likeliest_and_a_seed_plays_the_same_again():
    model, chances = Player(1), torch.rand(4, 5, generator=torch.Generator().manual_seed(0))
    played, _, beliefs = roll_out(model, chances, 3, greedy=True, pulls=9)
    assert torch.equal(played, beliefs.argmax(-1))
    first, again = (roll_out(model, chances, 5, pulls=9)[0] for _ in "ab")
    assert torch.equal(first, again) and not torch.equal(first, played)


def test_regret_is_drawn_with_a_band_a_way():
    figure, words = figures.draw_regret({"a": np.ones((4, 6)), "b": [[1, 2], [3, 4], [5, 6]]},
                                        "seed", every=5)  # fmt: skip
    assert len(figure.axes[0].lines) == 2 and len(figure.axes[0].collections) == 2
    assert "a 1.0; b 4.0" in words and words.startswith("Regret after 10 pulls")


def test_beliefs_stand_beside_thompsons():
    beliefs = np.tile([0.1, 0.6, 0.1, 0.1, 0.1], (3, 1))
    actions, rewards = np.array([1, 1, 0]), np.array([1, 0, 0])
    chances = np.array([0.1, 0.9, 0.2, 0.3, 0.4])
    figure, words = figures.draw_beliefs(beliefs, actions, rewards, chances, 2)
    names = [label.get_text() for label in figure.axes[0].get_xticklabels()]
    assert names[1] == "2nd ★\n90 %\n1 of 2" and names[0].endswith("0 of 0")
    assert words.startswith("Pull 2 was the 2nd arm, which did not pay.")
    bars = [bar.get_height() for bar in figure.axes[0].patches]
    assert bars[5:] == pytest.approx(
        bandits.best_chances(np.array([[0, 1, 0, 0, 0]]), np.array([[0, 1, 0, 0, 0]]))[0]
    )
    assert figures.draw_beliefs(beliefs, actions, rewards, chances, 0)[1].startswith("Nothing")
    near = np.array([[0.21, 0.2, 0.2, 0.2, 0.19]])
    assert "by 1 point in all" in figures.draw_beliefs(near, actions, rewards, chances, 0)[1]


def test_losses_are_drawn_with_the_floor():
    figure, words = figures.draw_losses({"a": [1.5, 1.0]}, 0.9)
    assert len(figure.axes[0].lines) == 2
    assert "a 1.00" in words and "0.90 nats" in words
