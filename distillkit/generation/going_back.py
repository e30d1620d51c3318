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

    def __init__(self, tries: int, drawn: bool = False):
        self.tries, self.furthest, self.in_vain = tries, -1, 0
        self.drawn = drawn  # whether the text is drawn from here on

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


class Draft:
    """One text that is looked at line by line: its tokens, and what it must not become again.

    `ids` are its tokens; those that are there at the start were given, and it is drawn from there.
    """

    def __init__(self, back: GoBack, ids: Sequence[int] = ()):
        self.back, self.ids = back, [*ids]
        self.probs: list[float] = []  # of its last tokens, those not given
        self.way, self.refused = WayBack(back.tries, drawn=bool(ids)), Refused()

    @property
    def stuck(self) -> bool:
        """Whether a line did not hold after all tries; then nothing is taken back any more."""
        return self.way.stuck

    def left(self, probs_V: torch.Tensor) -> torch.Tensor | None:
        """Return what the next token is drawn from, (V,), given the probabilities after the text;
        None if it is not drawn, for the text neither went back nor begins as a refused one."""
        if self.stuck or not (self.way.drawn or self.refused.after(self.ids)):
            return None
        return self.refused.left(self.ids, probs_V)

    def add(self, token: int, prob: float) -> None:
        """Write a token that had this probability."""
        self.ids.append(token)
        self.probs.append(prob)

    def look(self, prompt: int, text: str, read: Callable[[list[int]], str]) -> int:
        """Look at the text, whose last line has just ended, take back what does not hold, and
        return how many tokens that is.  `read` says what some tokens say, `text` all of them."""
        kept = text if self.stuck else self.way.beginning(text, self.back.keep(prompt, text))
        if kept == text or self.stuck:
            return 0
        self.refused.add(self.ids, self.probs)
        n = len(self.ids)
        while n and len(read(self.ids[:n])) > len(kept):
            n -= 1
        back = len(self.ids) - n
        del self.ids[n:], self.probs[max(0, len(self.probs) - back) :]
        return back
