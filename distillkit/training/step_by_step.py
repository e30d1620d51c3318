"""Distilling step by step: a label and its rationale as one text, or as two tasks of one model.

A model with an encoder and two tasks is told by a prefix which one is meant (Hsieh et al. 2023,
arXiv 2305.02301, sec. 3.2).  A decoder reads from left to right, so here the word that says which
stands *behind* the question: the two tasks share everything before it, and a prefix tree computes
that once.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from distillkit.models.chats import as_text, chat_text, token_ids
from distillkit.problems.judging import Question
from distillkit.training.losses import IGNORE
from distillkit.training.packing import Example

SYSTEM = "Answer in the form that the last line asks for."
LABEL = "Result:"
RATIONALE = "Steps:"
STEPS_FIRST = "Steps, then result:"
LABEL_FIRST = "Result, then steps:"
Piece = tuple[str, float | None]  # a part of a completion, and the share of the loss it gets


def asked(tokenizer: Any, question: Question, mode: str) -> str:
    """Return the prompt of a question in a mode: the chat, with the mode as its last line."""
    chat = [{"role": "system", "content": SYSTEM},
            {"role": "user", "content": f"{question.text}\n{mode}"}]  # fmt: skip
    return chat_text(tokenizer, chat)


def label_text(question: Question) -> str:
    """Write the label as the student is to give it."""
    return f"<answer>{question.label}</answer>"


def rationale_text(question: Question) -> str:
    """Write the rationale as the student is to give it."""
    return f"<think>\n{question.rationale}\n</think>"


def written(
    tokenizer: Any, question: Question, mode: str, pieces: Sequence[Piece], kind: str = ""
) -> Example:
    """Return one text to learn: the prompt of a mode, then the pieces with their shares.

    A piece's share of the loss is spread evenly over its tokens, however many they are; the end
    token belongs to the last piece.  Without a share (None) each token has a weight of 1, as in
    ordinary training.
    """
    prompt_ids = token_ids(tokenizer, asked(tokenizer, question, mode))
    ids, weights = list(prompt_ids), [0.0] * len(prompt_ids)
    for at, (text, share) in enumerate(pieces, 1):
        own = token_ids(tokenizer, as_text(tokenizer, text))
        own = own + [tokenizer.eos_token_id] * (at == len(pieces))
        ids += own
        weights += [1.0 if share is None else share / len(own)] * len(own)
    labels = [IGNORE] * len(prompt_ids) + ids[len(prompt_ids) :]
    return Example(ids, labels, weights, kind)


def label_only(tokenizer: Any, question: Question) -> list[Example]:
    """Return what ordinary fine-tuning on labels learns."""
    return [written(tokenizer, question, LABEL, [(label_text(question), 1.0)])]


def steps_first(tokenizer: Any, question: Question, alpha: float | None = None) -> list[Example]:
    """Return rationale and label as one text; with an alpha that share is the label's."""
    return [one_text(tokenizer, question, STEPS_FIRST, alpha)]


def label_first(tokenizer: Any, question: Question, alpha: float | None = None) -> list[Example]:
    """Return label and rationale as one text; with an alpha that share is the label's."""
    return [one_text(tokenizer, question, LABEL_FIRST, alpha)]


def one_text(tokenizer: Any, question: Question, mode: str, alpha: float | None) -> Example:
    """Return both in the order of a mode, with a line break between them."""
    label = label_text(question), alpha
    rationale = rationale_text(question), None if alpha is None else 1 - alpha
    first, last = (label, rationale) if mode == LABEL_FIRST else (rationale, label)
    return written(tokenizer, question, mode, [(first[0] + "\n", first[1]), last])


def two_tasks(
    tokenizer: Any, question: Question, alpha: float = 0.5, shuffled: bool = False
) -> list[Example]:
    """Return the label and the rationale as two tasks: loss = alpha label + (1 - alpha) rationale.

    Each is a mean over its own tokens.  `shuffled` puts the rationale's tokens into an order that
    says nothing, the same for the same question: the control for what a rationale teaches.
    Source: Hsieh et al. 2023, eq. 4.
    """
    label = written(tokenizer, question, LABEL, [(label_text(question), alpha)], "label")
    rationale = written(
        tokenizer, question, RATIONALE, [(rationale_text(question), 1 - alpha)], "rationale"
    )
    if shuffled:
        first = len(rationale.labels) - sum(y != IGNORE for y in rationale.labels)
        middle = rationale.ids[first:-1]
        random.Random(f"shuffled-{question.id}").shuffle(middle)
        rationale.ids[first:-1] = rationale.labels[first:-1] = middle
    return [label, rationale]
