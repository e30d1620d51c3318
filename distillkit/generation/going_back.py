"""Going back: a line that does not hold is taken back and written again, from where it began.

Rejection sampling of lines in the place of whole answers.  What holds is for the caller to say,
for example `distillkit.evaluation.choosing.sound_part`, which needs no right answer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class GoBack:
    """What is asked after each line: `keep(prompt, text)` returns the beginning that holds.

    `prompt` is the number of the prompt.  The rest of the line behind that beginning is written
    again, drawn at `temperature` where the text is greedy otherwise, at most `tries` times in a
    text: then it ends where it is.  What is taken back counts against the limit of tokens.
    """

    keep: Callable[[int, str], str]
    tries: int = 12
    temperature: float = 1.0  # as likely as the model says: what is drawn is checked


class WayBack:
    """Where one text goes on when a line of it does not hold.

    A line is written again twice; if the text then still comes no further than before, it goes back
    1, 2, 4, 8 … lines more, for the fault may lie above: a line can hold and yet lead nowhere.
    """

    def __init__(self, tries: int):
        self.tries, self.furthest, self.no_further = tries, -1, 0

    @property
    def stuck(self) -> bool:
        """Whether a line did not hold after all tries."""
        return self.tries < 0

    def beginning(self, text: str, kept: str) -> str:
        """Return the beginning of `text` to go on from, given the one that holds: all of it if all
        holds."""
        if kept == text:
            return text
        self.tries -= 1
        reached = kept.count("\n") + kept.count("=")
        self.no_further = 0 if reached > self.furthest else self.no_further + 1
        self.furthest = max(self.furthest, reached)
        lines = kept.splitlines(keepends=True)
        more = 2 ** (self.no_further - 2) if self.no_further > 1 else 0
        return "".join(lines[: max(0, len(lines) - more)])
