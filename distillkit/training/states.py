"""What a cut student can learn from its parent besides the words: the states between the layers.

Dimension key: N supervised positions, E hidden width, L nodes of the tree.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

import torch
from torch import Tensor

from distillkit.training.objectives import Batch, Match, ModelOut, name_of


def handed_on(layers: int, dropped: Collection[int]) -> list[int]:
    """Return, for each layer that is kept, the parent's layer whose output it should give.

    It is the last one before the next layer that is kept: a layer next to a cut has to do the work
    of those that are gone.
    """
    kept = [i for i in range(layers) if i not in dropped]
    return [*(i - 1 for i in kept[1:]), layers - 1]


def states_gap(student_NE: Tensor, parent_NE: Tensor) -> Tensor:
    """Return |student - parent|² / |parent|² at each position: [N]; no gradient to the parent.

    The size of hidden states grows from layer to layer: divided by it, all layers count alike.
    """
    parent_NE = parent_NE.detach()
    return (student_NE - parent_NE).pow(2).sum(-1) / parent_NE.pow(2).sum(-1)


class MatchStates:
    """`Match`, and being like the parent between the layers, too.

    To the divergence `weight` times `gap(student_NE, parent_NE)` is added, a mean over the
    layers: behind the student's layer number i its hidden states should be those behind the
    parent's layer `behind[i]`.  It watches both models inside a `with` block and must be used
    there.  Raises ValueError for another number of layers, and for a student that is its own
    parent.  Source: Muralidharan et al. 2024, arXiv 2407.14679, sec. 3 (intermediate states).
    """

    def __init__(
        self, match: Match, student: Any, behind: Sequence[int], weight: float = 1.0,
        gap: Callable[[Tensor, Tensor], Tensor] = states_gap,
    ):  # fmt: skip
        self.match, self.weight, self.behind, self.gap = match, weight, list(behind), gap
        self._layers = {"student": _layers(student), "parent": _layers(match.teacher)}
        if len(self._layers["student"]) != len(self.behind):
            raise ValueError(f"{len(self.behind)} of the parent's layers are named for "
                             f"{len(self._layers['student'])} of the student")  # fmt: skip
        if {*self._layers["student"]} & {*self._layers["parent"]}:
            raise ValueError("the student has layers of the parent, whose states would pass for "
                             "its own: give it a copy, such as `drop_layers` makes")  # fmt: skip
        self._seen: dict[tuple[str, int], Tensor] = {}
        self._hooks: list[Any] = []

    def __enter__(self) -> MatchStates:
        for name, numbers in (("student", range(len(self.behind))), ("parent", {*self.behind})):
            for i in numbers:
                self._hooks.append(self._layers[name][i].register_forward_hook(self._see(name, i)))
        return self

    def __exit__(self, *_: object) -> None:
        for hook in self._hooks:
            hook.remove()
        self._hooks, self._seen = [], {}

    def _see(self, name: str, i: int) -> Any:
        def hook(_: torch.nn.Module, __: tuple, out_1LE: Tensor) -> None:
            self._seen[name, i] = out_1LE[0]

        return hook

    def __call__(self, out: ModelOut, batch: Batch) -> Tensor:
        """Return the weighted sum over the supervised positions, in nats and squared distances."""
        loss = self.match(out, batch)  # the parent reads here
        own_N, beginning = batch["nodes_N"], self.match.beginning
        its_N = own_N - len(beginning.student) if beginning else own_N  # it reads the rest alone
        far_N = 0.0
        for i, j in enumerate(self.behind):
            student, parent = self._seen["student", i], self._seen["parent", j].to(out[0].device)
            far_N += self.gap(student[own_N].float(), parent[its_N].float())
        return loss + self.weight * (batch["weights_N"] * far_N).sum() / len(self.behind)

    @property
    def depends_on(self) -> list:
        """Return what a run's mark says of this objective."""
        return [self.match.depends_on, self.behind, self.weight, name_of(self.gap)]


def _layers(model: Any) -> Any:
    causal = model.get_base_model() if hasattr(model, "get_base_model") else model
    return causal.base_model.layers
