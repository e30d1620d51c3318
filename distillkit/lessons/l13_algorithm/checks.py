"""The exercises on histories: tokens, the causal mask, and a bug whose loss is too good.

Dimension key: B histories, T pulls.
"""

from __future__ import annotations

import torch
from torch import Tensor

from distillkit.lessons.l13_algorithm import imitation
from distillkit.teaching.exercise import Exercise, Mistake, hint  # noqa: F401 (checks.hint)


def _histories() -> list[tuple[Tensor, Tensor]]:
    numbers = torch.Generator().manual_seed(13)
    return [
        (torch.randint(5, (n, t), generator=numbers), torch.randint(2, (n, t), generator=numbers))
        for n, t in ((2, 6), (3, 4), (5, 5))
    ]


def _wrong_tokens(kind: str):
    def wrong(actions_BT: Tensor, rewards_BT: Tensor) -> Tensor:
        pulls = 1 + 2 * actions_BT + rewards_BT
        start = torch.zeros_like(pulls[:, :1])
        if kind == "no one":
            pulls = pulls - 1
        if kind == "no reward":
            pulls = 1 + 2 * actions_BT
        if kind == "mixed up":
            pulls = 1 + actions_BT + 5 * rewards_BT
        if kind == "collide":
            pulls = 1 + actions_BT + rewards_BT
        if kind == "too long":
            return torch.cat([start, pulls], 1)
        if kind == "other way":
            return torch.cat([pulls[:, 1:], start], 1)
        if kind == "rolled":
            return pulls.roll(1, 1)
        if kind == "across":
            return torch.cat([torch.zeros_like(pulls[:1]), pulls[:-1]], 0)
        return pulls if kind == "no shift" else torch.cat([start, pulls[:, :-1]], 1)

    return wrong


to_tokens = Exercise(
    "to_tokens",
    reference=imitation.to_tokens,
    probes=_histories,
    hints=(
        "Which pulls are known when the third one is to be chosen?",
        "Number a pull 1 + 2 · arm + reward. Then put a column of zeros in front and leave the "
        "last pull out: torch.cat([...], 1).",
        "pulls_BT = 1 + 2 * actions_BT + rewards_BT",
    ),
    mistakes=[
        Mistake(
            "place t holds pull t itself: the answer stands in sight, the loss falls to 0 and "
            "nothing is learned; move everything one place to the right",
            _wrong_tokens("no shift"),
        ),
        Mistake(
            "the shift goes to the left: place t holds a pull that is still to come",
            _wrong_tokens("other way"),
        ),
        Mistake(
            "the last pull has come round to the front (roll does that): place 0 must hold 0",
            _wrong_tokens("rolled"),
        ),
        Mistake(
            "there is one place too many: after the last pull nothing is foretold, leave it out",
            _wrong_tokens("too long"),
        ),
        Mistake(
            "the rows are shifted, and each history sees its neighbour's pulls: shift along the "
            "pulls, dimension 1",
            _wrong_tokens("across"),
        ),
        Mistake(
            "the arm is there, and whether it paid is not: nobody could learn from that",
            _wrong_tokens("no reward"),
        ),
        Mistake(
            "different pulls get the same number (arm 0 that paid, arm 1 that did not): two "
            "numbers an arm",
            _wrong_tokens("collide"),
        ),
        Mistake(
            "0 is a pull and the beginning at once: pulls are numbered from 1",
            _wrong_tokens("no one"),
        ),
        Mistake(
            "the numbers are different for each pull, but not as asked: 1 + 2 · arm + reward",
            _wrong_tokens("mixed up"),
        ),
    ],
)


def _wrong_mask(kind: str):
    def wrong(n: int) -> Tensor:
        ones = torch.ones(n, n, dtype=torch.bool)
        return {
            "future": ones.triu(),
            "not itself": ones.tril(-1),
            "everything": ones,
            "blocked": ones.triu(1),
            "only itself": torch.eye(n, dtype=torch.bool),
            "one too far": ones.tril(1),
            "number": ones.tril().float(),
            "added": torch.zeros(n, n).masked_fill(ones.triu(1), -torch.inf),
        }[kind]

    return wrong


causal_mask = Exercise(
    "causal_mask",
    reference=imitation.causal_mask,
    probes=[(1,), (2,), (5,)],
    hints=(
        "Place 2 holds pull 1. Which places hold what was known then?",
        "A square of True, of which the part above the diagonal is taken away: tril keeps the "
        "lower left part, the diagonal included.",
        "torch.ones(n, n, dtype=torch.bool)",
    ),
    mistakes=[
        Mistake(
            "everything may look at everything: later pulls give the answer away, the loss falls "
            "far below the source's own doubt, and in play there is nothing later to look at",
            _wrong_mask("everything"),
        ),
        Mistake(
            "this looks into the future only: rows are who looks, columns are what is looked at",
            _wrong_mask("future"),
        ),
        Mistake(
            "this is what is *forbidden*, as nn.MultiheadAttention wants it: here True means may "
            "look",
            _wrong_mask("blocked"),
        ),
        Mistake(
            "a place must see itself: it holds the last pull, and the first row would be empty "
            "(its softmax is NaN)",
            _wrong_mask("not itself"),
        ),
        Mistake(
            "each place sees one place too far: that is the pull it has to foretell",
            _wrong_mask("one too far"),
        ),
        Mistake(
            "each place sees itself alone: it knows the last pull and nothing more",
            _wrong_mask("only itself"),
        ),
        Mistake(
            "the places are right, but True and False are asked for, not numbers",
            _wrong_mask("number"),
        ),
        Mistake(
            "this mask is one to be added to the scores: the model here wants True and False",
            _wrong_mask("added"),
        ),
    ],
)  # fmt: skip


def _pairs(actions_BT: Tensor, rewards_BT: Tensor) -> tuple[Tensor, Tensor]:
    tokens_BT = 1 + 2 * actions_BT + rewards_BT
    return tokens_BT[:, :-1], actions_BT[:, 1:]


def _wrong_pairs(kind: str):
    def wrong(actions_BT: Tensor, rewards_BT: Tensor) -> tuple[Tensor, Tensor]:
        tokens = 1 + 2 * actions_BT + rewards_BT
        return {
            "the bug": (tokens[:, :-1], actions_BT[:, :-1]),
            "whole": (tokens, actions_BT),
            "backwards": (tokens[:, 1:], actions_BT[:, :-1]),
            "late": (tokens[:, 1:], actions_BT[:, 1:]),
            "tokens": (tokens[:, :-1], tokens[:, 1:]),
            "two": (tokens[:, :-2], actions_BT[:, 2:]),
            "rows": (tokens[:-1], actions_BT[1:]),
        }[kind]

    return wrong


mended_pairs = Exercise(
    "mended_pairs",
    reference=_pairs,
    probes=_histories,
    hints=(
        "Which pull does the label at a place belong to, and which one the token there?",
        "The token of pull t goes with the action of pull t + 1: one of the two slices must begin "
        "one later.",
        "tokens_BT = 1 + 2 * actions_BT + rewards_BT",
    ),
    mistakes=[
        Mistake("this is the bug itself: token and label are of the same pull",
                _wrong_pairs("the bug")),
        Mistake("nothing is cut now, and still token and label are of the same pull",
                _wrong_pairs("whole")),
        Mistake("both begin one later: they are of the same pull again", _wrong_pairs("late")),
        Mistake("the shift goes the wrong way: this learns to say what was pulled *before*",
                _wrong_pairs("backwards")),
        Mistake("the label is the next token, reward included: nobody can foretell the coin; the "
                "label is the action alone", _wrong_pairs("tokens")),
        Mistake("one pull lies between token and label: the last reward is never seen",
                _wrong_pairs("two")),
        Mistake("histories are paired with their neighbours: cut along the pulls",
                _wrong_pairs("rows")),
    ],
)  # fmt: skip
