"""The student's own texts as training data: sampled anew at each step, for a teacher to judge."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from distillkit.generation.sampler import sample
from distillkit.models.chats import Message, as_text, chat_text, token_ids
from distillkit.training.losses import IGNORE
from distillkit.training.packing import Example, Stream, batches


def own_texts(
    student: Any, tokenizer: Any, prompts: Sequence[Sequence[Message]], size: int, steps: int,
    temperature: float = 1.0, max_new_tokens: int = 128, seed: int = 0,
) -> Stream:  # fmt: skip
    """Return the stream of what a student writes to `size` prompts at each of `steps` steps.

    `student` is the model that is trained, with its adapter; the labels are its own tokens, and a
    text that was cut off at `max_new_tokens` has no end token.  The loss must come from a teacher:
    to learn one's own samples by cross-entropy teaches nothing (Agarwal et al. 2023, arXiv
    2306.13649, sec. 3).  Raises ValueError without prompts or steps.
    """
    if not prompts or steps < 1:
        raise ValueError("there are no prompts or no steps to write texts for")
    epochs = math.ceil(steps / math.ceil(len(prompts) / size))
    plan = batches(len(prompts), size, epochs, seed)[:steps]
    texts = [chat_text(tokenizer, prompt) for prompt in prompts]

    def draw(step: int) -> list[Example]:
        chosen = [texts[i] for i in plan[step]]
        rows = sample(student, tokenizer, chosen, temperature=temperature,
                      max_new_tokens=max_new_tokens, seed=seed * 100_003 + step,
                      width=len(chosen))  # fmt: skip
        return [_example(token_ids(tokenizer, text), row.ids)
                for text, (row,) in zip(chosen, rows, strict=True)]  # fmt: skip

    depends_on = [texts, plan, temperature, max_new_tokens, seed]
    return Stream(draw, steps, depends_on)


def example_of(tokenizer: Any, prompt: str, text: str, ended: bool) -> Example:
    """Return a prompt with a text behind it: the labels are the text, and its end if it ended."""
    own_ids = token_ids(tokenizer, as_text(tokenizer, text)) if text else []
    return _example(token_ids(tokenizer, prompt), own_ids + [tokenizer.eos_token_id] * ended)


def _example(prompt_ids: list[int], own_ids: list[int]) -> Example:
    return Example(prompt_ids + own_ids, [IGNORE] * len(prompt_ids) + own_ids)
