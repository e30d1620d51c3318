"""Going back: a line that does not hold is taken back and written again, from where it began.

Rejection sampling of lines in the place of whole answers.  What holds is for the caller to say,
for example `distillkit.evaluation.choosing.sound_part`, which needs no right answer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch

TRIES_HERE = 4  # in vain, before a text goes back further than its line


@dataclass(frozen=True)
class GoBack:
    """What is asked after each line: `keep(prompt, text)` returns the beginning that holds.

    `prompt` is the number of the prompt.  What is behind that beginning is written again, drawn at
    `temperature` where the text is greedy otherwise, at most `tries` times in a text: then it ends
    where it is.  What is taken back counts against the limit of tokens.
    """

    keep: Callable[[int, str], str]
    tries: int = 12
    temperature: float = 1.0  # as likely as the model says: what is drawn is checked


class WayBack:
    """Where one text goes on when a line of it does not hold.

    The line is written again.  After `TRIES_HERE` tries that brought the text no further it goes
    back 1, 2, 3 … lines more, for the fault may lie above: a line can hold and yet lead nowhere.
    The text is drawn until it is further than ever: greedily it would come to the same line.
    """

    def __init__(self, tries: int):
        self.tries, self.furthest, self.in_vain = tries, -1, 0
        self.drawn = False  # whether the text is drawn from here on

    @property
    def stuck(self) -> bool:
        """Whether a line did not hold after all tries."""
        return self.tries < 0

    def beginning(self, text: str, kept: str) -> str:
        """Return the beginning of `text` to go on from, given the one that holds: all of it if all
        holds."""
        reached = kept.count("\n") + kept.count("=")
        self.drawn = kept != text or reached <= self.furthest
        if kept == text:
            return text
        self.tries -= 1
        self.in_vain = 0 if reached > self.furthest else self.in_vain + 1
        self.furthest = max(self.furthest, reached)
        lines = kept.splitlines(keepends=True)
        more = max(0, self.in_vain - TRIES_HERE + 1)
        return "".join(lines[: max(0, len(lines) - more)])


@dataclass
class Branch:
    """One token behind a beginning: how likely it is there, which share of the texts that go on
    with it is refused, and the tokens behind it in refused texts."""

    prob: float = 0.0  # 0: not known, for the token was given
    share: float = 0.0
    after: dict[int, Branch] = field(default_factory=dict)


class Refused:
    """What one text must not become again, as a tree of tokens: it becomes something else.

    Drawing without replacement: as long as it goes back to the same place, what is drawn and holds
    has the distribution that it has if lines are drawn until one holds, in fewer tries.
    Source: Shi et al. 2020, arXiv 2002.09067, alg. 1.
    """

    def __init__(self):
        self.first: dict[int, Branch] = {}

    def after(self, ids: Sequence[int]) -> dict[int, Branch]:
        """Return the tokens behind `ids` in refused texts; none if no such text begins so."""
        branches = self.first
        for token in ids:
            if token not in branches:
                return {}
            branches = branches[token].after
        return branches

    def add(self, ids: Sequence[int], probs: Sequence[float]) -> None:
        """Refuse a text of one token or more; `probs` are the probabilities of its last tokens: of
        those before them, which were given, nobody knows how likely they are."""
        path, branches = [], self.first
        for token in ids:
            path.append(branches.setdefault(token, Branch()))
            branches = path[-1].after
        for branch, prob in zip(reversed(path), reversed(probs), strict=False):
            branch.prob = prob
        path[-1].share = 1.0
        for branch in reversed(path[:-1]):
            below = sum(other.prob * other.share for other in branch.after.values())
            branch.share = max(branch.share, below)

    def left(self, ids: Sequence[int], probs_V: torch.Tensor) -> torch.Tensor:
        """Return the probabilities of the token behind `ids` without what is refused, (V,), which
        do not add up to 1; all of them if less than 1e-6 is left."""
        after = self.after(ids)
        if not after:
            return probs_V
        left_V = probs_V.clone()
        shares = left_V.new_tensor([branch.share for branch in after.values()])
        left_V[list(after)] *= (1 - shares).clamp(min=0)
        return left_V if left_V.sum() > 1e-6 else probs_V
