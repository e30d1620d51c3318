"""The batched sampler: shared prompt prefix computed once, finished rows replaced at once.

Dimension key: R rows (sequences being written), S new tokens a row, Q query heads, H key/value
heads, G = Q/H, P prefix tokens, T tokens of a row after the prefix, D head width, V vocabulary.
"""

from __future__ import annotations

import contextlib
import hashlib
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch.nn.functional import pad
from transformers import AttentionInterface


@dataclass
class Completion:
    """One sampled text; `finish` is 'eos', 'stop' (stop text seen) or 'length' (cut off)."""

    text: str
    finish: str
    tokens: int
    seconds: float  # its share of the wall-clock time of the steps it took part in


@dataclass
class _Row:
    prompt: int
    candidate: int
    generator: torch.Generator | None
    length: int  # tokens after the prefix that are in the cache
    ids: list[int] = field(default_factory=list)
    seconds: float = 0.0


class SharedPrefixCache:
    """Keys and values of many rows behind one prefix, which is stored and multiplied once.

    A row's own tokens lie at the start of its buffer, so rows of different lengths need no
    padding: a query at position t of its row sees the whole prefix and the row's tokens 0..t.
    """

    def __init__(self, rows: int, tokens: int):
        self.shape = rows, tokens
        self.prefix: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}  # layer -> two (H, P, D)
        self.own: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}  # layer -> two (R, H, T, D)
        self.slots = slice(0, 0)  # the rows of the next forward pass
        self.starts_R: torch.Tensor | None = None  # where their new tokens go; None: the prefix

    def attend(self, layer: int, q_RQSD, k_RHSD, v_RHSD, scale: float):
        """Store the new keys and values and return the attention output, (R, S, Q, D)."""
        r, q, s, d = q_RQSD.shape
        h = k_RHSD.shape[1]
        if self.starts_R is None:
            self.prefix[layer] = k_RHSD[0], v_RHSD[0]
            mask = torch.ones(s, s, dtype=torch.bool, device=q_RQSD.device).tril()
            k_HPD, v_HPD = k_RHSD[0][:, :0], v_RHSD[0][:, :0]
            k_RHTD, v_RHTD = k_RHSD, v_RHSD
        else:
            if layer not in self.own:
                empty = k_RHSD.new_zeros(self.shape[0], h, self.shape[1], d)
                self.own[layer] = empty, empty.clone()
            rows_R = torch.arange(self.slots.start, self.slots.stop, device=q_RQSD.device)
            at_RS = self.starts_R[:, None] + torch.arange(s, device=q_RQSD.device)
            reach = int(self.starts_R.max()) + s
            for store, new in zip(self.own[layer], (k_RHSD, v_RHSD), strict=True):
                store[rows_R[:, None], :, at_RS] = new.transpose(1, 2)
            k_RHTD, v_RHTD = (store[self.slots, :, :reach] for store in self.own[layer])
            mask = torch.arange(reach, device=q_RQSD.device) <= at_RS[..., None]  # (R, S, T)
            k_HPD, v_HPD = self.prefix[layer]
        p = k_HPD.shape[1]
        grouped = q_RQSD.reshape(r, h, q // h * s, d) * scale  # (R, H, G*S, D)
        flat = grouped.transpose(0, 1).reshape(h, -1, d)  # one product for all rows
        with_prefix = (flat @ k_HPD.transpose(1, 2)).view(h, r, q // h * s, p).transpose(0, 1)
        with_own = (grouped @ k_RHTD.transpose(2, 3)).view(r, h, q // h, s, -1)
        mask = mask.expand(r, s, -1)[:, None, None]
        with_own = with_own.masked_fill(~mask, float("-inf")).flatten(2, 3)
        weights = torch.cat([with_prefix, with_own], -1).float().softmax(-1).to(q_RQSD.dtype)
        out = weights[..., p:] @ v_RHTD
        if p:
            flat = weights[..., :p].transpose(0, 1).reshape(h, -1, p)
            out = out + (flat @ v_HPD).view(h, r, q // h * s, d).transpose(0, 1)
        return out.reshape(r, q, s, d).transpose(1, 2)

    def branch(self, first: int, n: int, k: int) -> None:
        """Copy each of the `n` rows from `first` on into `k` neighbours."""
        for store in (store for pair in self.own.values() for store in pair):
            store[first : first + n * k] = store[first : first + n].repeat_interleave(k, 0)

    def move(self, source: int, target: int) -> None:
        """Put row `source` in the place of row `target`."""
        for store in (store for pair in self.own.values() for store in pair):
            store[target] = store[source]


def _attention(module, query, key, value, attention_mask, scaling, kv=None, **_):
    return kv.attend(module.layer_idx, query, key, value, scaling), None


AttentionInterface.register("distillkit", _attention)


@contextlib.contextmanager
def shared_prefix_attention(model) -> Iterator[torch.nn.Module]:
    """Give the model our attention for a while and yield its base (adapters stay active)."""
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    before, training = base.config._attn_implementation, base.training
    base.set_attn_implementation("distillkit")
    base.eval()
    try:
        yield base
    finally:
        base.set_attn_implementation(before)
        base.train(training)


def next_token_probs(
    logits_RV: torch.Tensor,
    temperature: float = 1.0,
    top_k: int = 0,
    top_p: float = 1.0,
) -> torch.Tensor:
    """Return the distribution that is sampled, (R, V): temperature, then top-k, then top-p.

    Top-p keeps the smallest set of most likely tokens whose probability reaches `top_p`
    (Holtzman et al. 2020, sec. 3.1).  Raises ValueError for a setting out of range.
    """
    if temperature <= 0 or top_k < 0 or not 0 < top_p <= 1:
        raise ValueError("need temperature > 0, top_k >= 0 and 0 < top_p <= 1")
    logits_RV = logits_RV.float() / temperature
    if 0 < top_k < logits_RV.shape[-1]:
        kth = logits_RV.topk(top_k).values[..., -1:]
        logits_RV = logits_RV.masked_fill(logits_RV < kth, float("-inf"))
    probs_RV = logits_RV.softmax(-1)
    if top_p < 1:
        sorted_RV, order_RV = probs_RV.sort(descending=True)
        outside = sorted_RV.cumsum(-1) - sorted_RV >= top_p
        probs_RV = probs_RV.scatter(-1, order_RV, sorted_RV.masked_fill(outside, 0.0))
        probs_RV = probs_RV / probs_RV.sum(-1, keepdim=True)
    return probs_RV


def pick(logits_RV, rows: Sequence[_Row], temperature, top_k, top_p) -> list[int]:
    """Choose one token a row: the likeliest at temperature 0, else by the row's own generator."""
    if temperature == 0:
        return logits_RV.argmax(-1).tolist()
    cumulative = next_token_probs(logits_RV, temperature, top_k, top_p).cumsum(-1)
    draws = torch.stack([torch.rand(1, generator=row.generator) for row in rows])
    draws = draws.to(cumulative.device) * cumulative[:, -1:]
    # right=True: the first token whose cumulative probability is *above* the draw, so that
    # a token of probability zero is never chosen
    return torch.searchsorted(cumulative, draws, right=True).clamp_max(
        cumulative.shape[-1] - 1).squeeze(-1).tolist()  # fmt: skip


def common_prefix(prompts: Sequence[list[int]]) -> int:
    """Return how many leading tokens all prompts share, leaving each at least one of its own."""
    return min(shared_length(min(prompts), max(prompts)), min(map(len, prompts)) - 1)


def shared_length(one: Sequence[int], other: Sequence[int]) -> int:
    """Return how many leading tokens two sequences share."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((i for i, (a, b) in pairs if a != b), min(len(one), len(other)))


@torch.inference_mode()
def sample(
    model,
    tokenizer,
    prompts: Sequence[str],
    k: int = 1,
    temperature: float = 0.0,
    top_k: int = 0,
    top_p: float = 1.0,
    max_new_tokens: int = 128,
    stop: str = "",
    seed: int = 0,
    width: int = 64,
    on_done: Callable[[int, int, Completion], None] | None = None,
) -> list[list[Completion]]:
    """Write `k` completions for each prompt; temperature 0 is greedy.

    Every candidate has its own random stream (from `seed`, prompt and candidate number), so its
    text does not depend on the batch it was in.  `on_done(prompt, candidate, completion)` is
    called as each one ends.  `width` rows are computed together.  Returns one list a prompt.
    Raises ValueError for a setting out of range and for a prompt without tokens.
    """
    if not prompts:
        return []
    ids = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in prompts]
    if k < 1 or max_new_tokens < 1 or not all(ids):
        raise ValueError("need k >= 1, max_new_tokens >= 1 and prompts that are not empty")
    shared = common_prefix(ids)
    own = [row[shared:] for row in ids]
    width = max(k, min(width, k * len(prompts)))
    stops = _stop_ids(model, tokenizer)
    results: list[list[Completion | None]] = [[None] * k for _ in prompts]
    waiting = deque(sorted(range(len(prompts)), key=lambda i: -len(own[i])))
    cache = SharedPrefixCache(width, max(map(len, own)) + max_new_tokens)
    rows: list[_Row] = []
    with shared_prefix_attention(model) as base:
        device = base.device
        head = base.get_output_embeddings()

        def forward(tokens: list[list[int]], starts: list[int], slots: slice) -> torch.Tensor:
            """Compute the logits after each row's last token, (R, V)."""
            lengths = torch.tensor([len(row) for row in tokens], device=device)
            longest = int(lengths.max())
            batch = torch.stack([pad(torch.tensor(row), (0, longest - len(row))) for row in tokens])
            cache.slots, cache.starts_R = slots, torch.tensor(starts, device=device)
            at = shared + cache.starts_R[:, None] + torch.arange(longest, device=device)
            hidden = base.base_model(
                batch.to(device), position_ids=at, use_cache=False, kv=cache
            ).last_hidden_state
            return head(hidden[torch.arange(len(tokens), device=device), lengths - 1])

        if shared:
            cache.starts_R = None
            prefix = torch.tensor([ids[0][:shared]], device=device)
            base.base_model(prefix, use_cache=False, kv=cache)
        else:
            _empty_prefix(cache, base)
        while rows or waiting:
            began = time.perf_counter()
            free = (width - len(rows)) // k
            if waiting and (free >= max(1, width // k // 8) or not rows):
                new = [waiting.popleft() for _ in range(min(free, len(waiting)))]
                first = len(rows)
                logits = forward([own[i] for i in new], [0] * len(new),
                                 slice(first, first + len(new)))  # fmt: skip
                cache.branch(first, len(new), k)
                logits = logits.repeat_interleave(k, 0)
                fresh = [
                    _Row(i, c, _generator(seed, prompts[i], c), len(own[i]))
                    for i in new for c in range(k)
                ]  # fmt: skip
                rows += fresh
                stepped = fresh
            else:
                logits = forward([[row.ids[-1]] for row in rows], [row.length for row in rows],
                                 slice(0, len(rows)))  # fmt: skip
                for row in rows:
                    row.length += 1
                stepped = rows
            chosen = pick(logits, stepped, temperature, top_k, top_p)
            share = (time.perf_counter() - began) / len(stepped)
            for row, token in zip(stepped, chosen, strict=True):
                row.ids.append(token)
                row.seconds += share
            for slot in reversed(range(len(rows))):
                row = rows[slot]
                done = _finished(row, tokenizer, stops, stop, max_new_tokens)
                if done:
                    results[row.prompt][row.candidate] = done
                    last = rows.pop()
                    if last is not row:
                        cache.move(len(rows), slot)
                        rows[slot] = last
                    if on_done:
                        on_done(row.prompt, row.candidate, done)
    return results


def _finished(row: _Row, tokenizer, stops: set[int], stop: str, limit: int) -> Completion | None:
    if row.ids[-1] in stops:
        finish = "eos"
    elif stop and stop in tokenizer.decode(row.ids[-len(stop) - 4 :]):
        finish = "stop"
    elif len(row.ids) >= limit:
        finish = "length"
    else:
        return None
    text = tokenizer.decode(row.ids, skip_special_tokens=True)
    if finish == "stop":
        text = text[: text.find(stop) + len(stop)]
    return Completion(text, finish, len(row.ids), row.seconds)


def _stop_ids(model, tokenizer) -> set[int]:
    ids = getattr(model.generation_config, "eos_token_id", None)
    ids = ids if isinstance(ids, list) else [ids]
    return {i for i in (*ids, tokenizer.eos_token_id) if i is not None}


def _generator(seed: int, prompt: str, candidate: int) -> torch.Generator:
    digest = hashlib.sha256(f"{seed}\0{prompt}\0{candidate}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:7], "big"))


def _empty_prefix(cache: SharedPrefixCache, base) -> None:
    config = base.config
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    empty = torch.zeros(config.num_key_value_heads, 0, width, dtype=base.dtype, device=base.device)
    cache.prefix = dict.fromkeys(range(config.num_hidden_layers), (empty, empty))
