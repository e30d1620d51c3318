"""The training loop with nothing but its ideas: what `distill` does, on padded batches.

No parts, no 16 bits, no processes, no resuming: read this first, then `training`.

Dimension key: B examples, L positions, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch

from distillkit.training.loop import learning_rate
from distillkit.training.losses import IGNORE, cross_entropy
from distillkit.training.packing import Example


def padded(examples: Sequence[Example]) -> dict[str, torch.Tensor]:
    """Return input_ids, labels and attention_mask [B, L] of examples filled up on the right."""
    longest = max(len(example.ids) for example in examples)

    def rectangle(rows: list[list[int]], filler: int) -> torch.Tensor:
        return torch.tensor([row + [filler] * (longest - len(row)) for row in rows])

    return {
        "input_ids": rectangle([e.ids for e in examples], 0),
        "labels": rectangle([e.labels for e in examples], IGNORE),
        "attention_mask": rectangle([[1] * len(e.ids) for e in examples], 0),
    }


def train_plainly(
    student,
    batches: Sequence[Sequence[Example]],
    rate: float,
) -> Iterator[float]:
    """Train what requires a gradient of a student; yield the loss of each step.

    It is trained in place, in the mode and on the device it is in; the loss is
    the mean of -log p(next token) over the labels that are not -100, in nats.
    """
    trained = [p for p in student.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, weight_decay=0.0)
    for step, examples in enumerate(batches):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, len(batches), rate)
        batch = {k: t.to(student.device) for k, t in padded(examples).items()}
        labels_BL = batch.pop("labels")
        logits_BLV = student(**batch).logits
        said_BLV = logits_BLV[:, :-1]  # each token predicts the next one
        next_BL = labels_BL[:, 1:]
        loss = cross_entropy(said_BLV.flatten(0, 1), next_BL.flatten())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        yield loss.item()
