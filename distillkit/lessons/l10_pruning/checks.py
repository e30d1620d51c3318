"""The exercises on cutting a model: what may go, how it goes, and how near the rest is.

Dimension key: D layers, T tokens, E hidden width, C channels of an MLP, N positions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from distillkit.models import pruning
from distillkit.teaching.exercise import Exercise, Mistake, hint  # noqa: F401 (checks.hint)
from distillkit.training import states

# --- how much a layer changes ---------------------------------------------------------------------


def _states() -> list[tuple[Tensor]]:
    """Return hidden states [D + 1, T, E]: of layers that change little, some or all."""
    numbers = torch.Generator().manual_seed(10)
    first = torch.randn(1, 5, 8, generator=numbers)
    changes = torch.tensor([0.1, 1.0, 0.4, 3.0]).view(-1, 1, 1)
    little = first + (changes * torch.randn(4, 5, 8, generator=numbers)).cumsum(0)
    louder = torch.tensor([1.0, 2.0, 30.0]).view(-1, 1, 1) * torch.randn(1, 3, 6, generator=numbers)
    louder[1:, 0] *= -1
    return [(torch.cat([first, little]),), (louder,), (torch.randn(3, 1, 4, generator=numbers),)]


def _influence(hidden: Tensor) -> Tensor:
    return pruning.block_influence([hidden])


def _wrong_influence(kind: str) -> Callable[[Tensor], Tensor]:
    def wrong(hidden: Tensor) -> Tensor:
        before, after = hidden[:-1], hidden[1:]
        if kind == "first":
            before = hidden[:1].expand_as(after)
        if kind == "flat":
            return 1 - torch.cosine_similarity(before.flatten(1), after.flatten(1), dim=-1)
        if kind == "distance":
            return (after - before).norm(dim=-1).mean(-1)
        if kind == "mean first":
            return 1 - torch.cosine_similarity(before.mean(1), after.mean(1), dim=-1)
        cos = torch.cosine_similarity(before, after, dim=-1)
        return {
            "cosine": cos.mean(-1),
            "tokens": (1 - cos).mean(0),
            "last": (1 - cos)[:, -1],
            "each": 1 - cos,
            "sum": (1 - cos).sum(-1),
        }.get(kind, (1 - cos).mean(-1))

    return wrong


block_influence = Exercise(
    "block_influence",
    reference=_influence,
    probes=_states,
    hints=(
        "Which two rows of `hidden` belong to layer 0?",
        "hidden[:-1] is what goes into each layer, hidden[1:] what comes out. Take the cosine "
        "along the last axis and the mean over the tokens.",
        "cos = torch.cosine_similarity(hidden[:-1], hidden[1:], dim=-1)",
    ),
    mistakes=[
        Mistake(
            "this is the cosine itself: it is 1 for a layer that does nothing, and the influence "
            "of such a layer is 0",
            _wrong_influence("cosine"),
        ),
        Mistake(
            "each layer is compared with what went into the first one: compare what goes into a "
            "layer with what comes out of the same layer",
            _wrong_influence("first"),
        ),
        Mistake(
            "one number a token came out: the mean runs over the tokens, not over the layers",
            _wrong_influence("tokens"),
        ),
        Mistake(
            "only the last token counts here: take the mean over all of them",
            _wrong_influence("last"),
        ),
        Mistake(
            "all tokens were laid end to end before the cosine, so loud tokens decide alone: take "
            "the cosine of each token, then the mean",
            _wrong_influence("flat"),
        ),
        Mistake(
            "the states were averaged over the tokens before the cosine: changes in opposite "
            "directions cancel; take the cosine of each token, then the mean",
            _wrong_influence("mean first"),
        ),
        Mistake(
            "this is a distance: hidden states grow from layer to layer, so later layers would "
            "always seem to matter more; the cosine has no size in it",
            _wrong_influence("distance"),
        ),
        Mistake("the mean over the tokens is missing", _wrong_influence("each")),
        Mistake(
            "this is the sum over the tokens: a longer text would make every layer matter more",
            _wrong_influence("sum"),
        ),
    ],
)

# --- what is lost without a layer -----------------------------------------------------------------


class Losses:
    """The loss of a model without some of its layers, from a table; `loss([])` is the whole one."""

    def __init__(self, whole: float, alone: Sequence[float]):
        self.whole, self.alone = whole, tuple(alone)

    def __call__(self, gone: Sequence[int]) -> float:
        """Return the loss without the layers `gone`; raises IndexError for one that is not there.

        What two layers cost together is more than the sum of both.
        """
        gone = [*gone]
        if any(i not in range(len(self.alone)) for i in gone):
            raise IndexError(f"there is no layer {max(gone)}: they are 0 to {len(self.alone) - 1}")
        lost = sum(self.alone[i] for i in gone)
        return self.whole + lost * (1 + 0.25 * max(0, len(gone) - 1))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Losses) and vars(self) == vars(other)

    __hash__ = None

    def __repr__(self) -> str:
        shown = ", ".join(f"[{i}]: {self([i]):g}" for i in range(len(self.alone)))
        return f"losses {{[]: {self.whole:g}, {shown}, …}}"


def _leave_one_out(loss: Callable[[list[int]], float], layers: int) -> list[float]:
    """Return how much the loss grows without each layer alone."""
    whole = loss([])
    return [loss([i]) - whole for i in range(layers)]


def _wrong_left(kind: str) -> Callable[[Callable, int], list[float]]:
    def wrong(loss: Callable, layers: int) -> list[float]:
        whole = loss([])
        each = range(layers)
        if kind == "only one stays":
            return [loss([j for j in each if j != i]) - whole for i in each]
        if kind == "together":
            return [loss([*range(i + 1)]) - whole for i in each]
        if kind == "before it":
            return [loss([*range(i)]) - whole for i in each]
        return {
            "no difference": [loss([i]) for i in each],
            "turned": [whole - loss([i]) for i in each],
            "ratio": [loss([i]) / whole for i in each],
            "first forgotten": [loss([i]) - whole for i in each[1:]],
        }[kind]

    return wrong


leave_one_out = Exercise(
    "leave_one_out",
    reference=_leave_one_out,
    probes=[
        (Losses(0.5, [3.0, 0.25, 1.0, 0.5]), 4),
        (Losses(1.0, [2.0, -0.125]), 2),
        (Losses(0.25, [1.0, 0.5, 0.25, 2.0, 4.0]), 5),
    ],
    hints=(
        "What is the loss of the whole model, and of the model without layer 3 alone?",
        "Call loss([]) once. For each layer take loss([i]) minus that.",
        "whole = loss([])",
    ),
    mistakes=[
        Mistake(
            "these are the losses themselves: how much the loss *grows* is the difference to "
            "loss([]), and only then does 0 mean 'not needed'",
            _wrong_left("no difference"),
        ),
        Mistake(
            "the sign is turned: a layer that is needed makes the loss grow, and the number should "
            "be positive",
            _wrong_left("turned"),
        ),
        Mistake(
            "the layers go one after the other and stay away: leave out each one *alone*, the "
            "others come back",
            _wrong_left("together"),
        ),
        Mistake(
            "number i is left in and those before it are left out: leave out i alone",
            _wrong_left("before it"),
        ),
        Mistake(
            "the list names what is left *out*: here everything but one layer is",
            _wrong_left("only one stays"),
        ),
        Mistake("this is a ratio: the difference is asked for, in nats", _wrong_left("ratio")),
        Mistake("the first layer is missing: layers count from 0", _wrong_left("first forgotten")),
    ],
)

# --- which channels speak -------------------------------------------------------------------------


def _activations() -> list[tuple[Tensor]]:
    numbers = torch.Generator().manual_seed(4)
    loud = torch.randn(6, 4, generator=numbers) * torch.tensor([0.1, 1.0, 5.0, 1.0])
    loud[0, 3] = 90.0
    swings = torch.tensor([[1.0, -2.0, 0.0], [-1.0, 2.0, 0.5]])
    return [(loud,), (swings,), (torch.randn(3, 5, generator=numbers),)]


def _channel_importance(activations_TC: Tensor) -> Tensor:
    """Return the mean |activation| of each channel."""
    return activations_TC.abs().mean(0)


channel_importance = Exercise(
    "channel_importance",
    reference=_channel_importance,
    probes=_activations,
    hints=(
        "A channel that says -2 and then +2: is it silent?",
        "Take the absolute value first, then the mean over the tokens, axis 0.",
        "size_TC = activations_TC.abs()",
    ),
    mistakes=[
        Mistake(
            "positive and negative activations cancel: a channel that swings from -2 to 2 would "
            "count as silent; take the absolute value before the mean",
            lambda a: a.mean(0),
        ),
        Mistake(
            "the absolute value comes too late: -2 and 2 have cancelled in the mean already",
            lambda a: a.mean(0).abs(),
        ),
        Mistake(
            "one number a token came out: the mean runs over the tokens, axis 0",
            lambda a: a.abs().mean(1),
        ),
        Mistake(
            "this is the sum: with it texts of different lengths could not be compared",
            lambda a: a.abs().sum(0),
        ),
        Mistake(
            "this is the largest one: a single odd token would decide",
            lambda a: a.abs().amax(0),
        ),
        Mistake(
            "this is the root of the mean square: also in use, but outliers count more; here the "
            "mean of the absolute values is asked for",
            lambda a: a.pow(2).mean(0).sqrt(),
        ),
    ],
)

# --- find the bug ---------------------------------------------------------------------------------


def _mlps() -> list[tuple[Tensor, Tensor, Tensor, Tensor, int]]:
    """Return (gate [C, E], up [C, E], down [E, C], importance [C], how many channels stay)."""
    numbers = torch.Generator().manual_seed(6)
    probes = []
    for c, e, n in ((6, 3, 2), (5, 4, 3), (8, 8, 4)):
        gate, up = (torch.randn(c, e, generator=numbers) for _ in "gu")
        down = torch.randn(e, c, generator=numbers)
        probes.append((gate, up, down, torch.rand(c, generator=numbers), n))
    return probes


def _strongest(importance: Tensor, n: int) -> Tensor:
    return importance.topk(n).indices.sort().values


def _mended_cut(
    gate_CE: Tensor, up_CE: Tensor, down_EC: Tensor, importance_C: Tensor, n: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the three matrices with the n most important channels, in their old order."""
    kept = _strongest(importance_C, n)
    return gate_CE[kept], up_CE[kept], down_EC[:, kept]


def published_cut(
    gate_CE: Tensor, up_CE: Tensor, down_EC: Tensor, importance_C: Tensor, n: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Cut each matrix by its own strongest channels: the bug that the lesson shows."""
    by_gate, by_up = (_strongest(w.norm(dim=1), n) for w in (gate_CE, up_CE))
    by_down = _strongest(down_EC.norm(dim=0), n)
    return gate_CE[by_gate], up_CE[by_up], down_EC[:, by_down]


def _wrong_cut(kind: str) -> Callable:
    def wrong(
        gate_CE: Tensor, up_CE: Tensor, down_EC: Tensor, importance_C: Tensor, n: int
    ) -> tuple[Tensor, Tensor, Tensor]:
        kept = _strongest(-importance_C if kind == "weakest" else importance_C, n)
        if kind == "unsorted":
            kept = importance_C.topk(n).indices
        if kind == "first":
            kept = torch.arange(n)
        up, down = (kept,) * 2
        if kind == "up apart":
            up = _strongest(up_CE.norm(dim=1), n)
        if kind == "down apart":
            down = _strongest(down_EC.norm(dim=0), n)
        if kind == "rows of down":
            return gate_CE[kept], up_CE[kept], down_EC[kept % len(down_EC)]
        return gate_CE[kept], up_CE[up], down_EC[:, down]

    return wrong


mended_cut = Exercise(
    "mended_cut",
    reference=_mended_cut,
    probes=_mlps,
    hints=(
        "Channel 7 is made by row 7 of gate and row 7 of up. Which part of down reads it?",
        "Choose the channels once, by the importance. The same numbers cut rows of gate, rows of "
        "up and columns of down.",
        "kept = importance_C.topk(n).indices.sort().values",
    ),
    mistakes=[
        Mistake(
            "each matrix still chooses by its own norms, so row 0 of up no longer belongs to row 0 "
            "of gate: choose once, by the importance",
            published_cut,
        ),
        Mistake(
            "up is cut by other channels than gate: both make the same channel together",
            _wrong_cut("up apart"),
        ),
        Mistake(
            "down is cut by other channels than gate and up: its column c reads channel c",
            _wrong_cut("down apart"),
        ),
        Mistake(
            "down is cut along its rows, and those are the hidden width: its channels are columns",
            _wrong_cut("rows of down"),
        ),
        Mistake(
            "the n *least* important channels are kept: they are those that should go",
            _wrong_cut("weakest"),
        ),
        Mistake(
            "these are the first n channels: the importance says which ones to keep",
            _wrong_cut("first"),
        ),
        Mistake(
            "right channels, by importance and not in their old order: it works, and yet keep the "
            "order, so that two cuts can be compared",
            _wrong_cut("unsorted"),
        ),
    ],
)

# --- how near are the states ----------------------------------------------------------------------


def _pairs() -> list[tuple[Tensor, Tensor]]:
    numbers = torch.Generator().manual_seed(12)
    pairs = []
    for size in (1.0, 20.0, 0.1):
        parent = size * torch.randn(4, 6, generator=numbers)
        pairs.append((parent + 0.3 * size * torch.randn(4, 6, generator=numbers), parent))
    return pairs


def _wrong_gap(kind: str) -> Callable[[Tensor, Tensor], Tensor]:
    def wrong(student_NE: Tensor, parent_NE: Tensor) -> Tensor:
        if kind == "graph":
            return (student_NE - parent_NE).pow(2).sum(-1) / parent_NE.pow(2).sum(-1)
        parent = parent_NE.detach()
        far, size = (student_NE - parent).pow(2), parent.pow(2)
        if kind == "own size":
            return far.sum(-1) / student_NE.pow(2).sum(-1)
        if kind == "own size, constant":
            return far.sum(-1) / student_NE.detach().pow(2).sum(-1)
        return {
            "no size": far.sum(-1),
            "mean square": far.mean(-1),
            "each number": (far / size).mean(-1),
            "root": far.sum(-1).sqrt() / size.sum(-1).sqrt(),
            "mean": (far.sum(-1) / size.sum(-1)).mean(),
            "cosine": 1 - torch.cosine_similarity(student_NE, parent, dim=-1),
        }[kind]

    return wrong


states_gap = Exercise(
    "states_gap",
    reference=states.states_gap,
    probes=_pairs,
    gradient_of=(0, 1),
    hints=(
        "Hidden states of layer 20 are many times as long as those of layer 2. What would a plain "
        "squared distance look at?",
        "The squared length of the difference over the squared length of the parent's states, both "
        "sums along the last axis; the parent is detached.",
        "parent_NE = parent_NE.detach()",
    ),
    mistakes=[
        Mistake(
            "the parent gets a gradient: detach its states, it is not trained",
            _wrong_gap("graph"),
        ),
        Mistake(
            "the squared distance alone: later layers have longer states and would decide alone; "
            "divide by the squared length of the parent's",
            _wrong_gap("no size"),
        ),
        Mistake(
            "this is the mean square: it still grows with the length of the states; divide by the "
            "squared length of the parent's",
            _wrong_gap("mean square"),
        ),
        Mistake(
            "it is divided by the student's own length: the student could make the loss small by "
            "making its states long",
            _wrong_gap("own size"),
        ),
        Mistake(
            "it is divided by the student's own length, here without a gradient: the parent's "
            "length is the measure",
            _wrong_gap("own size, constant"),
        ),
        Mistake(
            "each number is divided by its own: numbers near zero get huge; sum both first, then "
            "divide",
            _wrong_gap("each number"),
        ),
        Mistake(
            "this is the root of it: its gradient does not get smaller as the student gets near",
            _wrong_gap("root"),
        ),
        Mistake(
            "one number a position is asked for: the door weighs the positions and takes the mean",
            _wrong_gap("mean"),
        ),
        Mistake(
            "the cosine does not see the length: states twice as long would be called equal",
            _wrong_gap("cosine"),
        ),
    ],
)
