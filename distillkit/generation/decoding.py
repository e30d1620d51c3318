"""Decoding written out: greedy, sampling and beam search, one token after the other.

`sampler` does the first two for many prompts at once; this is the same in a form to read aloud.

Dimension key: B beams, T tokens of the prompt, V vocabulary.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection

import torch
from transformers import DynamicCache

from distillkit.generation.sampler import next_token_probs


@torch.inference_mode()
def next_logits(model, prompt_T: torch.Tensor) -> torch.Tensor:
    """Return the logits of the token that follows the prompt, (V,), in float32."""
    return model(prompt_T[None], logits_to_keep=1).logits[0, -1].float()


@torch.inference_mode()
def probabilities(model, prompt_T: torch.Tensor, text_T: torch.Tensor) -> list[float]:
    """Return the probability that each token of a text had after the prompt and those before it."""
    ids_T = torch.cat([prompt_T, text_T])
    logits_TV = model(ids_T[None], logits_to_keep=len(text_T) + 1).logits[0, :-1].float()
    return logits_TV.softmax(-1).gather(-1, text_T[:, None])[:, 0].tolist()


def likeliest(logits_V: torch.Tensor) -> int:
    """Choose the likeliest token: greedy decoding."""
    return int(logits_V.argmax())


def drawn(
    temperature: float = 1.0,
    top_k: int = 0,
    top_p: float = 1.0,
    generator: torch.Generator | None = None,
) -> Callable[[torch.Tensor], int]:
    """Return a way to choose that draws a token from the (cut and sharpened) distribution."""

    def choose(logits_V: torch.Tensor) -> int:
        probs_V = next_token_probs(logits_V, temperature, top_k, top_p)
        return int(torch.multinomial(probs_V, 1, generator=generator))

    return choose


@torch.inference_mode()
def write(
    model,
    prompt_T: torch.Tensor,
    choose: Callable[[torch.Tensor], int],
    max_new_tokens: int = 64,
    stops: Collection[int] = (),
    cache: DynamicCache | None = None,
) -> list[int]:
    """Write token by token until a stop token or the limit; `choose` maps logits (V,) to a token.

    The cache keeps the keys and values of what was read, so each step reads one new token.  Whoever
    gives one that holds a beginning of the prompt need not have that read again.
    """
    new: list[int] = []
    cache = DynamicCache() if cache is None else cache
    unread_T = prompt_T[cache.get_seq_length() :]
    while len(new) < max_new_tokens and not (new and new[-1] in stops):
        out = model(unread_T[None], past_key_values=cache, use_cache=True, logits_to_keep=1)
        new.append(choose(out.logits[0, -1].float()))
        unread_T = prompt_T.new_tensor([new[-1]])
    return new


@torch.inference_mode()
def beam_search(
    model,
    prompt_T: torch.Tensor,
    beams: int = 4,
    max_new_tokens: int = 64,
    stops: Collection[int] = (),
    length_penalty: float = 1.0,
) -> list[int]:
    """Keep the `beams` likeliest beginnings at every step; return the best finished text.

    Best is the log-probability divided by length ** length_penalty.  It ends as soon as `beams`
    texts are finished.  Raises ValueError unless beams >= 1.
    """
    if beams < 1:
        raise ValueError(f"beams must be at least 1, not {beams}")
    cache, unread_BT = DynamicCache(), prompt_T[None]
    texts: list[list[int]] = [[]]
    scores_B = torch.zeros(1, device=prompt_T.device)
    finished: list[tuple[float, list[int]]] = []
    for length in range(1, max_new_tokens + 1):
        out = model(unread_BT, past_key_values=cache, use_cache=True, logits_to_keep=1)
        total_BV = scores_B[:, None] + out.logits[:, -1].float().log_softmax(-1)
        # Even if every stop token is among them, enough are left to go on with
        best = total_BV.flatten().topk(min((1 + len(stops)) * beams, total_BV.numel()))
        alive = []
        for rank, (score, place) in enumerate(zip(best.values.tolist(), best.indices.tolist())):
            row, token = divmod(place, total_BV.shape[-1])
            if token not in stops and length < max_new_tokens:
                alive.append((score, row, token))
            elif rank < beams:
                finished.append((score / length**length_penalty, [*texts[row], token]))
        if len(finished) >= beams or not alive:
            break
        alive = alive[:beams]
        texts = [[*texts[row], token] for _, row, token in alive]
        scores_B = torch.tensor([score for score, _, _ in alive], device=prompt_T.device)
        unread_BT = prompt_T.new_tensor([[token] for _, _, token in alive])
        cache.reorder_cache(torch.tensor([row for _, row, _ in alive], device=prompt_T.device))
    return max(finished, key=lambda pair: pair[0], default=(0.0, []))[1]


@torch.inference_mode()
def log_prob(model, prompt_T: torch.Tensor, new: list[int]) -> float:
    """Return log p(new tokens | prompt) in nats; raises ValueError for no tokens."""
    if not new:
        raise ValueError("there are no new tokens to score")
    new_N = prompt_T.new_tensor(new)
    logits = model(torch.cat([prompt_T, new_N])[None], logits_to_keep=len(new) + 1).logits[0]
    steps = logits[:-1].float().log_softmax(-1)  # the last row predicts what was not written
    return float(steps.gather(-1, new_N[:, None]).sum())


def entropy(probs_V: torch.Tensor) -> float:
    """Return the entropy of a distribution in bits: 0 for a sure one, log2 V for an even one."""
    return float(-torch.xlogy(probs_V, probs_V).sum() / math.log(2))


def support(probs_V: torch.Tensor) -> int:
    """Return how many tokens can be drawn at all."""
    return int((probs_V > 0).sum())
