"""A teacher's word, recorded: its K likeliest tokens at each place of some texts, and the rest.

A place is known by its context: all tokens before it.  So the records are read on any prefix tree,
and a place that several texts share is there once.

Dimension key: N supervised positions, K tokens, J = K + 1 (the last is the rest), V vocabulary.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from distillkit.runtime.files import digest, put_in_place
from distillkit.training.losses import forward_kl
from distillkit.training.objectives import (
    Batch,
    Beginning,
    ModelOut,
    name_of,
    read_teacher,
    weighted_sum,
)
from distillkit.training.packing import Example, pack, parts_of

PART = 512  # tokens that are read at once
Divergence = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def contexts(batch: Batch) -> list[int]:
    """Return a 64-bit mark of all tokens up to each supervised node of a tree."""
    ids = batch["input_ids"][0].to("cpu", torch.int32).numpy()
    seen_NL = (batch["attention_mask"][0, 0][batch["nodes_N"]] == 0).cpu().numpy()
    marks = (hashlib.blake2b(ids[seen].tobytes(), digest_size=8).digest() for seen in seen_NL)
    return [int.from_bytes(mark, "big", signed=True) for mark in marks]


def top_and_rest(student_NV: torch.Tensor, ids_NK: torch.Tensor) -> torch.Tensor:
    """Return log-probabilities [N, K + 1] of K tokens and of all others together.

    They are logits, too: their softmax is what they say, so every divergence takes them.
    """
    logits_NV = student_NV.float()
    whole_N1 = logits_NV.logsumexp(-1, keepdim=True)
    rest_N1 = logits_NV.scatter(-1, ids_NK, -torch.inf).logsumexp(-1, keepdim=True)
    return torch.cat([logits_NV.gather(-1, ids_NK), rest_N1], -1) - whole_N1


@dataclass(frozen=True, eq=False)
class TopK:
    """Records of a teacher: for each context K token ids, and log-probabilities with the rest's.

    `about` says which teacher, which vocabulary, how many tokens K are, and how many `columns` of
    logits are words: those behind are padding.
    """

    about: dict[str, str]
    marks: list[int]
    ids_RK: torch.Tensor
    logs_RJ: torch.Tensor
    _row: dict[int, int] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self):
        self._row.update(zip(self.marks, range(len(self.marks)), strict=True))

    @property
    def columns(self) -> int | None:
        """Return how many columns of logits are words; None: older records do not say it."""
        return int(self.about["columns"]) if "columns" in self.about else None

    def at(self, batch: Batch, k: int | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        """Return ids [N, k] and log-probabilities [N, k + 1] at a tree's supervised positions.

        Fewer tokens than recorded add to the rest.  Raises ValueError for a place not recorded.
        """
        rows = [self._row.get(mark) for mark in contexts(batch)]
        if None in rows:
            raise ValueError(
                f"{rows.count(None)} of {len(rows)} places are not in the teacher's records: "
                "record it on the traces that you train on, with the same prompts"
            )
        device = batch["nodes_N"].device
        ids_NK, logs_NJ = self.ids_RK[rows].long(), self.logs_RJ[rows].float()
        k = ids_NK.shape[1] if k is None else k
        if not 0 < k <= ids_NK.shape[1]:
            raise ValueError(f"{ids_NK.shape[1]} tokens are recorded at each place, not {k}")
        rest_N1 = logs_NJ[:, k:].logsumexp(-1, keepdim=True)
        logs_NJ = torch.cat([logs_NJ[:, :k], rest_N1], -1).log_softmax(-1)
        return ids_NK[:, :k].to(device), logs_NJ.to(device)

    def save(self, path: Path) -> None:
        """Write the records as safetensors, whole and on disk, or not at all."""
        tensors = {"marks": torch.tensor(self.marks), "ids": self.ids_RK.int(),
                   "logs": self.logs_RJ.half()}  # fmt: skip
        temporary = path.with_name(f".{path.name}.{os.getpid()}")
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file({k: t.contiguous() for k, t in tensors.items()}, temporary,
                  metadata={"distillkit": json.dumps(self.about)})  # fmt: skip
        put_in_place(temporary, path)


def load_top_k(path: str | Path, tokenizer: Any = None) -> TopK:
    """Read a teacher's records; with the student's `tokenizer`, its vocabulary is compared.

    Raises ValueError for another file and for records in another vocabulary.
    """
    try:
        with safe_open(path, "pt") as file:
            about = json.loads((file.metadata() or {}).get("distillkit", "null"))
            marks, ids, logs = (file.get_tensor(n) for n in ("marks", "ids", "logs"))
    except (SafetensorError, ValueError) as error:
        raise ValueError(f"{path} holds no teacher's records ({error})") from error
    fits = ids.shape[1] + 1 == logs.shape[1] and len(marks) == len(ids)
    if not isinstance(about, dict) or not fits or not str(about.get("columns", 0)).isdecimal():
        raise ValueError(f"{path} holds no teacher's records: write them with teach --logits")
    if tokenizer is not None and about.get("vocabulary") != vocabulary_mark(tokenizer):
        raise ValueError(
            f"{path}: {about.get('teacher')} writes in another vocabulary than this student: "
            "its token numbers mean other words. Take a teacher of the student's family"
        )
    return TopK(about, marks.tolist(), ids, logs)


def vocabulary_mark(tokenizer: Any) -> str:
    """Return a mark of which token has which number."""
    return digest(sorted(tokenizer.get_vocab().items()))


def record(
    teacher: Any, tokenizer: Any, examples: Sequence[Example], k: int, name: str,
    beginning: Beginning | None = None, on_part: Callable[[int, int], None] | None = None,
) -> TopK:  # fmt: skip
    """Let a teacher read examples and keep its `k` likeliest tokens at each supervised position.

    It may read another `beginning` than the student will.  `on_part(done, all)` counts the parts.
    """
    found: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}
    parts, kept = parts_of(examples, PART), {}
    v = max(tokenizer.get_vocab().values()) + 1  # the columns behind are padding, and no words
    for done, part in enumerate(parts, 1):
        batch = pack(part)
        logits_NV = read_teacher(teacher, batch, beginning=beginning, kept=kept).logits_NV[:, :v]
        ids_NK = logits_NV.topk(k, dim=-1).indices
        rows = zip(ids_NK, top_and_rest(logits_NV, ids_NK), strict=True)
        found.update(zip(contexts(batch), rows, strict=True))
        if on_part:
            on_part(done, len(parts))
    marks = sorted(found)
    ids_RK, logs_RJ = (torch.stack([found[mark][i] for mark in marks]) for i in (0, 1))
    about = {"teacher": name, "k": str(k), "vocabulary": vocabulary_mark(tokenizer),
             "columns": str(v), "examples": "yes" if beginning else "no"}  # fmt: skip
    return TopK(about, marks, ids_RK.int(), logs_RJ.half())


@dataclass(frozen=True, eq=False)
class MatchTopK:
    """The objective of being like a recorded teacher: a divergence of K tokens and the rest.

    `divergence(student_NJ, teacher_NJ)` gets log-probabilities of `k` tokens (default: all that are
    recorded) and of the rest, and returns one number a position, [N]: never below zero and no more
    than the one over all tokens.  Raises ValueError for a function that needs more arguments.
    """

    records: TopK
    divergence: Divergence = forward_kl
    k: int | None = None

    def __post_init__(self):
        try:
            inspect.signature(self.divergence).bind(None, None)
        except TypeError as error:
            raise ValueError(
                "a divergence gets the student's and the teacher's numbers here and nothing else "
                f"({error}): give each other argument a default, such as temperature=1.0"
            ) from error

    def __call__(self, out: ModelOut, batch: Batch) -> torch.Tensor:
        """Return the weighted sum of the divergence over the supervised positions, in nats."""
        ids_NK, logs_NJ = self.records.at(batch, self.k)
        words_NV = out.logits_NV[:, : self.records.columns]
        loss_N = self.divergence(top_and_rest(words_NV, ids_NK), logs_NJ)
        return weighted_sum(loss_N, batch)

    @property
    def depends_on(self) -> list:
        """Return what a run's mark says of this objective."""
        records = self.records
        return [name_of(self.divergence), self.k, records.about, records.marks,
                records.logs_RJ[:, 0].tolist()]  # fmt: skip
