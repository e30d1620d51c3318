"""Traces as training examples, and batches in which nothing is computed twice.

All traces begin with the same instruction, so a part of a batch is laid out as a prefix tree: a
beginning that several examples share is there once, and every token sees exactly the tokens of its
own example before it.  There is no padding, and the gradient is that of separate sequences.

Dimension key: L nodes of the tree, N supervised positions.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from distillkit.generation.sampler import shared_length
from distillkit.models.chats import as_text, chat_text, token_ids, unwritten
from distillkit.traces.filters import Trace
from distillkit.training.losses import IGNORE

ROUND = 32  # trees of few different sizes: oneDNN prepares, and keeps, code for each new size


@dataclass
class Example:
    """Token ids of prompt and completion; only the completion's labels are not -100.

    `weights`, one a token, say how much each label counts in the mean (default: 1 each).
    `kind` changes nothing: the log tells the losses of several kinds apart.
    """

    ids: list[int]
    labels: list[int]
    weights: list[float] | None = None
    kind: str = ""

    def tokens(self) -> list[tuple[int, int, float]]:
        """Return each token with its label and its weight.  Raises ValueError if one is missing."""
        weights = [1.0] * len(self.ids) if self.weights is None else self.weights
        return list(zip(self.ids, self.labels, weights, strict=True))


def encode(traces: Sequence[Trace | Example], tokenizer) -> list[Example]:
    """Turn prompt-completion traces into examples: the loss sees the completion and its end.

    What is an example already stays as it is.  Raises ValueError for a trace whose completion is
    empty.
    """
    examples = []
    for trace in traces:
        if isinstance(trace, Example):
            examples.append(trace)
            continue
        completion = trace["completion"][0]["content"]
        if not completion.strip():
            raise ValueError(f"trace {trace.get('id')!r} has an empty completion")
        prompt = chat_text(tokenizer, trace["prompt"], completion)
        own = as_text(tokenizer, unwritten(prompt, completion))
        # Apart, so that no token can span the border: sampling cuts there, too
        prompt_ids = token_ids(tokenizer, prompt)
        own_ids = [*token_ids(tokenizer, own), tokenizer.eos_token_id]  # it must learn to stop
        kind = "equations" if "family" in trace else "general text"
        labels = [IGNORE] * len(prompt_ids) + own_ids
        examples.append(Example(prompt_ids + own_ids, labels, kind=kind))
    return examples


def batches(
    examples: int, size: int, epochs: float, seed: int, shuffle: bool = True
) -> list[list[int]]:
    """Return the batches of all epochs as lists of indices, each epoch shuffled by the seed.

    Raises ValueError for a batch of no examples.
    """
    if size < 1:
        raise ValueError(f"a batch has at least one example, not {size}: set batch_size")
    plan: list[list[int]] = []
    for epoch in range(math.ceil(epochs)):
        order = list(range(examples))
        if shuffle:
            random.Random(f"batches-{seed}-{epoch}").shuffle(order)
        plan += [order[i : i + size] for i in range(0, examples, size)]
    return plan[: max(1, round(epochs * math.ceil(examples / size)))]


@dataclass(frozen=True)
class Stream:
    """The batches of a run: `draw(step)` gives those of step 0, 1, …, `steps` - 1.

    `draw` returns traces or examples, the same for the same step, the same on every process:
    a random draw takes its seed from the step.  It may ask the student, which is at that step
    the same again when a stopped run goes on (`distill` starts at its last checkpoint and draws
    from there).  `depends_on` holds, as plain values, everything else that the data follow from:
    problems, seed, sampling settings.  It is a part of the run's mark, so a checkpoint made with
    other values is refused.
    """

    draw: Callable[[int], Sequence[Trace | Example]]
    steps: int
    depends_on: object

    def batch(self, step: int, tokenizer) -> list[Example]:
        """Return the examples of a step.  Raises ValueError if there are none."""
        examples = encode(self.draw(step), tokenizer)
        if not examples:
            raise ValueError(f"there are no examples for step {step + 1}")
        return examples


def in_epochs(
    examples: Sequence[Example], size: int, epochs: float, seed: int, shuffle: bool = True
) -> Stream:
    """Return the stream of all epochs over fixed examples, as `batches` orders them.

    Raises ValueError without examples or epochs.
    """
    if not examples:
        raise ValueError("there are no traces to train on: did every candidate get rejected?")
    plan = batches(len(examples), size, epochs, seed, shuffle)
    if not plan:
        raise ValueError(f"{epochs} epochs of batches of {size} are no training")
    return Stream(lambda step: [examples[i] for i in plan[step]], len(plan), [plan, examples])


def weight_of(examples: Sequence[Example]) -> float:
    """Return the weights' sum over the positions that the loss is taken over."""
    return sum(weight for example in examples
               for _, label, weight in example.tokens()[1:] if label != IGNORE)  # fmt: skip


def supervised(examples: Sequence[Example]) -> int:
    """Return how many positions the loss of these examples is taken over."""
    return sum(label != IGNORE for example in examples for label in example.labels[1:])


def parts_of(examples: Sequence[Example], most: int) -> list[list[Example]]:
    """Cut a batch into parts whose trees have at most `most` nodes; one long example is a part.

    The gradient is the sum over the parts, so the parts change the memory and not the result.
    """
    parts: list[list[Example]] = []
    nodes, last = 0, []
    for example in sorted(examples, key=lambda e: e.ids):  # neighbours share most
        own = len(example.ids) - shared_length(last, example.ids)
        if parts and nodes + own <= most:
            parts[-1].append(example)
            nodes += own
        else:
            parts.append([example])
            nodes = len(example.ids)
        last = example.ids
    return parts


def pack(examples: Sequence[Example]) -> dict[str, torch.Tensor]:
    """Lay examples out as one prefix tree.

    Returns input_ids and position_ids (1, L), attention_mask (1, 1, L, L; added to the scores: 0
    where a node sees another, else -inf), and the supervised pairs: nodes_N predicts labels_N,
    and counts weights_N.
    """
    tokens: list[int] = []
    parents: list[int] = []
    nodes: list[int] = []
    labels: list[int] = []
    weights: list[float] = []
    child: dict[tuple[int, int], int] = {}  # (node, token) -> the node that token leads to
    for example in examples:
        at = -1  # before the first token
        for token, label, weight in example.tokens():
            if label != IGNORE and at >= 0:
                nodes.append(at)
                labels.append(label)
                weights.append(weight)
            if (at, token) not in child:
                child[at, token] = len(tokens)
                tokens.append(token)
                parents.append(at)
            at = child[at, token]
    filler = -len(tokens) % ROUND
    tokens += [0] * filler  # each sees itself alone and nothing depends on it
    parents += [-1] * filler
    sees_LL = torch.eye(len(tokens), dtype=torch.bool)
    for node, parent in enumerate(parents):
        if parent >= 0:
            sees_LL[node] |= sees_LL[parent]  # itself and all that its parent sees
    return {
        "input_ids": torch.tensor([tokens]),
        "position_ids": sees_LL.sum(-1)[None] - 1,  # how deep it lies
        "attention_mask": torch.zeros(sees_LL.shape).masked_fill(~sees_LL, -torch.inf)[None, None],
        "nodes_N": torch.tensor(nodes, dtype=torch.long),
        "labels_N": torch.tensor(labels, dtype=torch.long),
        "weights_N": torch.tensor(weights, dtype=torch.float32),
    }
