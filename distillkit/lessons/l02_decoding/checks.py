"""The exercises on decoding.  Dimension key: V vocabulary, B beams."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from distillkit.teaching.exercise import Exercise, Mistake, hint  # noqa: F401 (checks.hint)

# --- top-p ----------------------------------------------------------------------------------------


def _nucleus(probs_V: Tensor, top_p: float) -> Tensor:
    """Keep the fewest likeliest tokens that reach top_p together; make them sum to 1."""
    sorted_V, order_V = probs_V.sort(descending=True)
    before_V = sorted_V.cumsum(-1) - sorted_V  # what the likelier tokens have together
    kept_V = torch.zeros_like(probs_V)
    inside = before_V < top_p
    kept_V[order_V[inside]] = sorted_V[inside]
    return kept_V / kept_V.sum()


def _nucleus_probes() -> list[tuple]:
    """Sorted and unsorted distributions; in one the limit is reached exactly."""
    return [
        (torch.tensor([0.5, 0.25, 0.15, 0.1]), 0.6),
        (torch.tensor([0.1, 0.2, 0.6, 0.1]), 0.7),
        (torch.tensor([0.125, 0.5, 0.25, 0.125]), 0.75),
        (torch.tensor([0.05, 0.05, 0.9]), 0.5),
        (torch.tensor([0.3, 0.4, 0.3]), 1.0),
    ]


def _not_crossing(probs_V: Tensor, top_p: float) -> Tensor:
    sorted_V, order_V = probs_V.sort(descending=True)
    kept_V = torch.zeros_like(probs_V)
    inside = sorted_V.cumsum(-1) <= top_p
    kept_V[order_V[inside]] = sorted_V[inside]
    return kept_V / kept_V.sum()


def _not_normalised(probs_V: Tensor, top_p: float) -> Tensor:
    return torch.where(_nucleus(probs_V, top_p) > 0, probs_V, 0.0)


def _threshold(probs_V: Tensor, top_p: float) -> Tensor:
    kept_V = torch.where(probs_V >= 1 - top_p, probs_V, 0.0)
    return kept_V / kept_V.sum()


def _left_sorted(probs_V: Tensor, top_p: float) -> Tensor:
    return _nucleus(probs_V, top_p).sort(descending=True).values


def _unsorted(probs_V: Tensor, top_p: float) -> Tensor:
    kept_V = torch.where(probs_V.cumsum(-1) - probs_V < top_p, probs_V, 0.0)
    return kept_V / kept_V.sum()


def _softmax_again(probs_V: Tensor, top_p: float) -> Tensor:
    kept = _nucleus(probs_V, top_p) > 0
    return probs_V.masked_fill(~kept, float("-inf")).softmax(-1)


nucleus = Exercise(
    "nucleus",
    reference=_nucleus,
    hints=(
        "The first token alone has 60 %, and top_p is 0.5. How many tokens may be left?",
        "Sort, likeliest first, and sum up. A token stays if the sum *before* it is below "
        "top_p. Then put each one back at its own place, and divide by the sum.",
        "sorted_V, order_V = probs_V.sort(descending=True)",
    ),
    probes=_nucleus_probes,
    mistakes=[
        Mistake(
            "the token with which the sum reaches top_p is cut: it belongs to the nucleus, else "
            "nothing is left when the first token alone has more than top_p",
            _not_crossing,
        ),
        Mistake(
            "what is left does not sum to 1: divide by its sum, because it is drawn from",
            _not_normalised,
        ),
        Mistake(
            "each token is compared with a limit of its own: top-p limits the sum of the likeliest",
            _threshold,
        ),
        Mistake(
            "the probabilities come back sorted: each must stand at the place of its token again",
            _left_sorted,
        ),
        Mistake(
            "the sum runs over the tokens in their own order: sort them, likeliest first",
            _unsorted,
        ),
        Mistake(
            "softmax of probabilities: these are no logits, divide them by their sum",
            _softmax_again,
        ),
    ],
)

# --- the greedy loop ------------------------------------------------------------------------------


def _greedy_text(next_logits, prompt: list[int], limit: int, stop: int) -> list[int]:
    """Write the likeliest token, again and again, until `stop` is written or `limit` tokens are."""
    new: list[int] = []
    while len(new) < limit and stop not in new:
        new.append(int(next_logits(prompt + new).argmax()))
    return new


@dataclass(frozen=True)
class Story:
    """A model in one line: the next token is the sum of all so far, and 1, modulo `tokens`."""

    tokens: int = 11

    def __call__(self, ids: list[int]) -> Tensor:
        """Return logits (V,) for the token after `ids`."""
        logits_V = torch.linspace(-1.0, 0.0, self.tokens)
        logits_V[(sum(ids) + 1) % self.tokens] = 5.0
        return logits_V


def _story_probes() -> list[tuple]:
    """Texts that the stop token ends, one that the limit ends, and one that begins with it."""
    return [
        (Story(), [1], 12, 4),
        (Story(), [3, 5], 3, 10),
        (Story(), [4, 4], 8, 4),
        (Story(7), [2], 1, 6),
    ]


def _greedy(
    see=lambda prompt, new: prompt + new,
    result=lambda prompt, new, stop: new,
    ends=lambda prompt, new, stop: stop in new,
    choose=torch.argmax,
    goes_on=lambda new, limit, stop: len(new) < limit,
):
    """Make greedy loops that read, end, choose or return something else."""

    def wrong(next_logits, prompt: list[int], limit: int, stop: int) -> list[int]:
        new: list[int] = []
        while goes_on(new, limit, stop) and len(new) < 1000 and not ends(prompt, new, stop):
            new.append(int(choose(next_logits(see(prompt, new)))))
        return result(prompt, new, stop)

    return wrong


greedy_text = Exercise(
    "greedy_text",
    reference=_greedy_text,
    hints=(
        "What are the two reasons to stop?",
        "A while loop with both conditions; in it the model reads prompt + new, and argmax of "
        "its answer is the next token.",
        "new = []",
    ),
    probes=_story_probes,
    mistakes=[
        Mistake(
            "it does not stop at the stop token: a student that never stops repeats itself",
            _greedy(ends=lambda prompt, new, stop: False),
        ),
        Mistake(
            "the stop token is missing at the end: it is written, too, and it is how you know that "
            "the text was not cut off",
            _greedy(result=lambda prompt, new, stop: [t for t in new if t != stop]),
        ),
        Mistake(
            "the prompt is in the answer: return the new tokens only",
            _greedy(result=lambda prompt, new, stop: prompt + new),
        ),
        Mistake(
            "the model sees the prompt only, never what was written: give it prompt + new",
            _greedy(see=lambda prompt, new: prompt),
        ),
        Mistake(
            "the model sees what was written last only: it needs the whole text, prompt + new",
            _greedy(see=lambda prompt, new: (prompt + new)[-1:]),
        ),
        Mistake(
            "a stop token in the prompt ends it at once: look at the new tokens only",
            _greedy(ends=lambda prompt, new, stop: stop in prompt + new),
        ),
        Mistake(
            "it writes one token more than `limit`: < or <=, that is the question",
            lambda next_logits, prompt, limit, stop: _greedy()(
                next_logits, prompt, limit + 1, stop
            ),
        ),
        Mistake(
            "it takes the least likely token: argmax, not argmin",
            _greedy(choose=torch.argmin),
        ),
    ],
    slips=[
        Mistake(
            "it goes on until both are true, the limit reached and the stop token written: it ends "
            "at the first of the two, so both conditions stand in the `while` with `and`",
            _greedy(
                ends=lambda *_: False,
                goes_on=lambda new, limit, stop: len(new) < limit or stop not in new,
            ),
        ),
        Mistake(
            "the limit is not used: a text without a stop token would never end",
            _greedy(goes_on=lambda new, limit, stop: stop not in new),
        ),
        Mistake(
            "it writes nothing: the loop goes on while the stop token is *not* in the new tokens",
            _greedy(goes_on=lambda new, limit, stop: stop in new),
        ),
    ],
)

# --- one step of beam search ----------------------------------------------------------------------


def _beam_step(scores_B: Tensor, log_probs_BV: Tensor, beams: int) -> list[tuple[int, int]]:
    """Return the (row, token) of the `beams` likeliest continuations, the best first."""
    total_BV = scores_B[:, None] + log_probs_BV
    places = total_BV.flatten().topk(beams).indices.tolist()
    return [divmod(place, log_probs_BV.shape[-1]) for place in places]


def _beam_probes() -> list[tuple]:
    """A case in which the sum decides, one with a weak row, and more beams than rows."""
    numbers = torch.Generator().manual_seed(5)
    random_BV = torch.randn(3, 6, generator=numbers).log_softmax(-1)
    return [
        (torch.tensor([-0.5, -3.0]),
         torch.tensor([[0.5, 0.3, 0.2], [0.98, 0.01, 0.01]]).log(), 2),
        (torch.tensor([-2.0, -0.1]), torch.tensor([[0.2, 0.5, 0.3], [0.6, 0.1, 0.3]]).log(), 2),
        (torch.tensor([-1.0, -1.5, -1.2]), random_BV, 3),
        (torch.tensor([0.0]), random_BV[:1], 3),
    ]  # fmt: skip


def _steps(
    total=lambda scores_B, log_probs_BV: scores_B[:, None] + log_probs_BV,
    pairs=lambda places, rows, width: [divmod(p, width) for p in places],
    largest=True,
):
    """Make steps with another total, another way to read the places, or the worst ones."""

    def wrong(scores_B: Tensor, log_probs_BV: Tensor, beams: int) -> list[tuple[int, int]]:
        rows, width = log_probs_BV.shape
        found = total(scores_B, log_probs_BV).flatten().topk(beams, largest=largest)
        return pairs(found.indices.tolist(), rows, width)

    return wrong


def _each_row_its_best(scores_B: Tensor, log_probs_BV: Tensor, beams: int) -> list[tuple[int, int]]:
    return list(enumerate(log_probs_BV.argmax(-1).tolist()))[:beams]


beam_step = Exercise(
    "beam_step",
    reference=_beam_step,
    hints=(
        "Two beginnings of a text compete. How likely is a beginning with one token more?",
        "Add the score of each row to its log-probabilities, make one flat list of the whole "
        "table, take the best places. divmod turns a place into row and token.",
        "total_BV = scores_B[:, None] + log_probs_BV",
    ),
    probes=_beam_probes,
    mistakes=[
        Mistake(
            "the scores of the beginnings are not used: a text is as likely as the product of all "
            "its tokens, so add scores_B",
            _steps(total=lambda scores_B, log_probs_BV: log_probs_BV),
        ),
        Mistake(
            "logarithms are multiplied: the log of a product is the sum of the logs",
            _steps(total=lambda scores_B, log_probs_BV: scores_B[:, None] * log_probs_BV),
        ),
        Mistake(
            "every row keeps its own best token: the rows must compete, one may leave two children "
            "and another none",
            _each_row_its_best,
        ),
        Mistake(
            "row and token have changed places",
            _steps(pairs=lambda places, rows, width: [divmod(p, width)[::-1] for p in places]),
        ),
        Mistake(
            "the place is divided by the number of rows: a row is as long as the vocabulary",
            _steps(pairs=lambda places, rows, width: [divmod(p, rows) for p in places]),
        ),
        Mistake(
            "it keeps the least likely ones: log-probabilities are negative, the best is nearest 0",
            _steps(largest=False),
        ),
    ],
)

# --- bonus: min-p ---------------------------------------------------------------------------------


def _min_p(probs_V: Tensor, share: float) -> Tensor:
    """Keep the tokens with at least `share` of the likeliest one's probability; sums to 1."""
    kept_V = torch.where(probs_V >= share * probs_V.max(), probs_V, 0.0)
    return kept_V / kept_V.sum()


def _wrong_min_p(kind: str):
    def wrong(probs_V: Tensor, share: float) -> Tensor:
        most = probs_V.max()
        limits = {"fixed": share, "mean": share * probs_V.mean(), "turned": (1 - share) * most}
        limit = limits.get(kind, share * most)
        kept_V = torch.where(probs_V >= limit, probs_V, 0.0)
        if kind == "not normalised":
            return kept_V
        if kind == "softmax":
            return probs_V.masked_fill(probs_V < limit, float("-inf")).softmax(-1)
        return kept_V / kept_V.sum()

    return wrong


min_p = Exercise(
    "min_p",
    reference=_min_p,
    hints=(
        "What is the limit when the likeliest token has 80 %, and what when it has 8 %?",
        "The limit is the share times the largest probability. What lies below becomes 0; then "
        "divide by the sum.",
        "limit = share * probs_V.max()",
    ),
    probes=[
        (torch.tensor([0.5, 0.3, 0.15, 0.05]), 0.2),
        (torch.tensor([0.05, 0.8, 0.1, 0.05]), 0.1),
        (torch.tensor([0.25, 0.25, 0.3, 0.2]), 0.9),
        (torch.tensor([0.02, 0.9, 0.05, 0.03]), 1.0),
    ],
    mistakes=[
        Mistake(
            "the limit is the share itself: it must move with the likeliest token, that is the "
            "point of min-p",
            _wrong_min_p("fixed"),
        ),
        Mistake("the limit is a share of the mean: take the largest probability",
                _wrong_min_p("mean")),
        Mistake("the limit is turned round: a small share keeps many tokens",
                _wrong_min_p("turned")),
        Mistake("what is left does not sum to 1: divide by its sum",
                _wrong_min_p("not normalised")),
        Mistake(
            "softmax of probabilities is another distribution: what is left is only divided by "
            "its sum",
            _wrong_min_p("softmax"),
        ),
    ],
)  # fmt: skip
