"""The batched sampler: shared prompt prefix computed once, finished rows replaced at once.

Dimension key: R rows (sequences being written), S new tokens a row, Q query heads, H key/value
heads, G = Q/H, P prefix tokens, T tokens of a row after the prefix, D head width, V vocabulary.
"""

from __future__ import annotations

import contextlib
import hashlib
import math
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakSet

import torch
from transformers import AttentionInterface

from distillkit.generation.going_back import Draft, GoBack
from distillkit.models.chats import token_ids
from distillkit.models.loading import (
    must_agree,
    must_be_numbers,
    own_logits,
    refuse_other_attention,
)

CPU_TOKENS = 512  # of prompts that are read at once on a CPU
CARD_TOKENS = 2**14  # and on a card, whose memory they would fill


@dataclass
class Completion:
    """One sampled text; `finish` is 'eos', 'stop' (stop text seen), 'length' (cut off) or 'stuck'
    (a line did not hold however often it was written again)."""

    text: str
    finish: str
    tokens: int  # that were written, those that were taken back included
    seconds: float  # its share of the wall-clock time of the steps it took part in
    ids: list[int] = field(default_factory=list, compare=False)  # its tokens, with the end token

    def record(self) -> dict[str, Any]:
        """Return what a file keeps of it: all but its tokens."""
        return {"text": self.text, "finish": self.finish, "tokens": self.tokens,
                "seconds": self.seconds}  # fmt: skip


@dataclass
class _Row:
    prompt: int
    candidate: int
    draws: list[float]  # its own stream of random numbers, one a token that is written
    length: int  # tokens after the prefix that are in the cache
    ids: list[int] = field(default_factory=list)
    begun: int = 0  # of these were given
    draft: Draft | None = None  # with the same tokens: it may go back
    taken_back: int = 0  # tokens that are no longer there
    seconds: float = 0.0

    @property
    def written(self) -> int:
        """How many tokens were written, those that were taken back included."""
        return len(self.ids) + self.taken_back - self.begun


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
        self.reach = 0  # how many of a row's own places are looked at

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
            for store, new in zip(self.own[layer], (k_RHSD, v_RHSD), strict=True):
                store[rows_R[:, None], :, at_RS] = new.transpose(1, 2)
            k_RHTD, v_RHTD = (store[self.slots, :, : self.reach] for store in self.own[layer])
            mask = torch.arange(self.reach, device=q_RQSD.device) <= at_RS[..., None]  # (R, S, T)
            k_HPD, v_HPD = self.prefix[layer]
        p = k_HPD.shape[1]
        grouped = q_RQSD.reshape(r, h, q // h * s, d) * scale  # (R, H, G*S, D)
        flat = grouped.transpose(0, 1).reshape(h, -1, d)  # one product for all rows
        with_prefix = (flat @ k_HPD.transpose(1, 2)).reshape(h, r, q // h * s, p).transpose(0, 1)
        with_own = (grouped @ k_RHTD.transpose(2, 3)).reshape(r, h, q // h, s, -1)
        mask = mask.expand(r, s, -1)[:, None, None]
        with_own = with_own.masked_fill(~mask, float("-inf")).flatten(2, 3)
        weights = torch.cat([with_prefix, with_own], -1).softmax(-1)  # calculates in float32
        out = weights[..., p:] @ v_RHTD
        if p:
            flat = weights[..., :p].transpose(0, 1).reshape(h, -1, p)
            out = out + (flat @ v_HPD).reshape(h, r, q // h * s, d).transpose(0, 1)
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
    (Holtzman et al. 2020, sec. 3.1).  Raises ValueError for a setting out of range; 1e-6 is as
    good as greedy, and far below it the logits would overflow.
    """
    if not 1e-6 <= temperature < math.inf or top_k < 0 or not 0 < top_p <= 1:  # NaN is neither
        raise ValueError("need temperature >= 1e-6, finite, top_k >= 0 and 0 < top_p <= 1")
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


def pick(logits_RV, draws_R: Sequence[float], temperature, top_k, top_p) -> list[int]:
    """Choose one token a row: the likeliest at temperature 0, else by the row's number in [0, 1).

    The number falls into one token's part of the cumulative probabilities: that token is drawn.
    Raises FloatingPointError for logits that are NaN.
    """
    if temperature == 0:
        return likeliest(logits_RV)
    return by_number(next_token_probs(logits_RV, temperature, top_k, top_p), draws_R)


def likeliest(logits_RV: torch.Tensor) -> list[int]:
    """Choose each row's likeliest token; raises FloatingPointError for logits that are NaN."""
    best_R = logits_RV.max(-1)
    must_be_numbers(best_R.values)
    return best_R.indices.tolist()


def by_number(probs_RV: torch.Tensor, draws_R: Sequence[float]) -> list[int]:
    """Choose one token a row by its number in [0, 1); the probabilities may add up to less than 1.

    Raises FloatingPointError for probabilities that are NaN.
    """
    cumulative_RV = probs_RV.cumsum(-1)
    must_be_numbers(cumulative_RV[:, -1])
    draws_R1 = cumulative_RV.new_tensor(draws_R)[:, None] * cumulative_RV[:, -1:]
    # right=True: the first token whose cumulative probability is *above* the draw, so that
    # a token of probability zero is never chosen
    chosen_R1 = torch.searchsorted(cumulative_RV, draws_R1, right=True)
    return chosen_R1.clamp_max(cumulative_RV.shape[-1] - 1).squeeze(-1).tolist()


def common_prefix(prompts: Sequence[list[int]]) -> int:
    """Return how many leading tokens all prompts share, leaving each at least one of its own."""
    return min(shared_length(min(prompts), max(prompts)), min(map(len, prompts)) - 1)


def shared_length(one: Sequence[int], other: Sequence[int]) -> int:
    """Return how many leading tokens two sequences share."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((i for i, (a, b) in pairs if a != b), min(len(one), len(other)))


class Reader:
    """The forward passes of the sampler: the shared prefix, new prompts, one token for every row.

    It has room for `width` rows of `tokens` tokens each behind the prefix, which is read at once.
    On a CUDA device the step of one token has the same shapes each time and is replayed as a
    graph: its several hundred kernels are so short that launching them one by one takes longer
    than computing them.
    """

    def __init__(self, base, prefix: list[int], width: int, tokens: int):
        self.base, self.prefix = base, len(prefix)
        self.device = base.device
        self.cache = SharedPrefixCache(width, tokens)
        self.graph = StepGraph(self._logits, width, self.device) if _fixed(base) else None
        if prefix:
            base.base_model(torch.tensor([prefix], device=self.device), use_cache=False,
                            kv=self.cache)  # fmt: skip
        else:
            _empty_prefix(self.cache, base)

    def prompts(self, own: Sequence[list[int]], first: int) -> torch.Tensor:
        """Read what follows the prefix into rows `first`, …; the logits after each, (R, V).

        As many rows at once as a device has room for.  On a CPU these are few: what they need then
        stays in its cache, and rows of about the same length need little padding.
        """
        most = CPU_TOKENS if self.device.type == "cpu" else CARD_TOKENS
        n = max(1, most // max(map(len, own)))
        parts = [self._prompts(own[at : at + n], first + at) for at in range(0, len(own), n)]
        return torch.cat(parts)

    def _prompts(self, own: Sequence[list[int]], first: int) -> torch.Tensor:
        lengths = [len(row) for row in own]
        longest = self.cache.reach = max(lengths)
        batch_RS = torch.tensor([row + [0] * (longest - len(row)) for row in own])
        self.cache.slots = slice(first, first + len(own))
        last_R = torch.tensor(lengths, device=self.device) - 1
        return self._logits(batch_RS.to(self.device), torch.zeros_like(last_R), last_R)

    def step(self, last: list[int], starts: list[int]) -> torch.Tensor:
        """Read a token into each of the rows 0, 1, … at its start; the logits after it, (R, V)."""
        tokens_R1 = torch.tensor(last)[:, None].to(self.device)
        starts_R = torch.tensor(starts).to(self.device)
        if self.graph is None:
            self.cache.slots, self.cache.reach = slice(0, len(last)), max(starts) + 1
            return self._logits(tokens_R1, starts_R)
        self.cache.slots, self.cache.reach = slice(0, self.cache.shape[0]), self.cache.shape[1]
        return self.graph(tokens_R1, starts_R)

    def _logits(self, tokens_RS, starts_R, last_R=None) -> torch.Tensor:
        """Read tokens into the cache's `slots`; the logits after place `last_R` (or the last)."""
        self.cache.starts_R = starts_R
        at_RS = self.prefix + starts_R[:, None] + torch.arange(tokens_RS.shape[1],
                                                               device=self.device)  # fmt: skip

        def last_of_each_row(hidden_RSE: torch.Tensor) -> torch.Tensor:
            if last_R is None:
                return hidden_RSE[:, -1]
            return hidden_RSE[torch.arange(len(last_R), device=self.device), last_R]

        logits_RV, _ = own_logits(
            self.base, last_of_each_row, input_ids=tokens_RS, position_ids=at_RS, kv=self.cache
        )
        return logits_RV


class StepGraph:
    """A step of `width` rows in tensors that stay where they are: captured once, then replayed.

    Rows beyond those asked for compute along and nobody reads them.  The first step runs as it is,
    for libraries set themselves up on first use; the second is captured.  A forward pass that waits
    for the host cannot be captured (LLM.int8()); it is then always run as it is.
    """

    def __init__(self, step: Callable[..., torch.Tensor], width: int, device: torch.device):
        self.step = step
        self.tokens_R1 = torch.zeros(width, 1, dtype=torch.long, device=device)
        self.starts_R = torch.zeros(width, dtype=torch.long, device=device)
        self.graph: torch.cuda.CUDAGraph | None = None
        self.logits_RV: torch.Tensor | None = None  # where a replay leaves its result
        self.can_capture = device.type == "cuda"
        self.begun = False

    def __call__(self, tokens_R1: torch.Tensor, starts_R: torch.Tensor) -> torch.Tensor:
        """Return the logits after the given rows' tokens, (R, V), R at most the width."""
        rows = len(starts_R)
        self.tokens_R1[:rows], self.starts_R[:rows] = tokens_R1, starts_R
        if self.can_capture and self.begun and self.graph is None:
            self._capture()
        self.begun = True
        if self.graph is None:
            return self.step(self.tokens_R1, self.starts_R)[:rows]
        self.graph.replay()
        return self.logits_RV[:rows]

    def _capture(self) -> None:
        graph = torch.cuda.CUDAGraph()
        try:
            with torch.cuda.graph(graph, capture_error_mode="thread_local"):
                self.logits_RV = self.step(self.tokens_R1, self.starts_R)
        except RuntimeError:
            self.can_capture = False
            torch.cuda.synchronize()
            return
        self.graph = graph


def _fixed(base) -> bool:
    """Say whether steps have fixed shapes: on a GPU, unless its products wait for the host."""
    return base.device.type == "cuda" and not getattr(base, "is_loaded_in_8bit", False)


class Texts:
    """The texts that are being written: admitted, written on by one token, retired.

    `own` holds each prompt's tokens after the shared prefix, `begun` those that its texts begin
    with; the longest go first.  Row i of `rows` is row i of the reader's cache.  With `back` each
    text is a `Draft`.
    """

    def __init__(
        self,
        reader: Reader,
        own: Sequence[list[int]],
        begun: Sequence[list[int]],
        k: int,
        back: GoBack | None = None,
    ):
        self.reader, self.own, self.begun, self.k, self.back = reader, own, begun, k, back
        self.width = reader.cache.shape[0]
        self.waiting = deque(sorted(range(len(own)), key=lambda i: -len(own[i] + begun[i])))
        self.rows: list[_Row] = []

    def admit(
        self, streams: Callable[[int, int], list[float]]
    ) -> tuple[list[_Row], torch.Tensor] | None:
        """Give waiting prompts the free rows, k each; return the rows and their logits (R, V).

        Returns None if none waits, or while less than an eighth of the rows is free: reading
        several prompts together is cheaper.  `streams(prompt, candidate)` gives a row its numbers.
        """
        free = (self.width - len(self.rows)) // self.k
        if not self.waiting or (self.rows and free < max(1, self.width // self.k // 8)):
            return None
        new = [self.waiting.popleft() for _ in range(min(free, len(self.waiting)))]
        first = len(self.rows)
        logits_RV = self.reader.prompts([self.own[i] + self.begun[i] for i in new], first)
        self.reader.cache.branch(first, len(new), self.k)
        fresh = [self._row(i, c, streams(i, c)) for i in new for c in range(self.k)]
        self.rows += fresh
        return fresh, logits_RV.repeat_interleave(self.k, 0)

    def _row(self, prompt: int, candidate: int, draws: list[float]) -> _Row:
        begun = self.begun[prompt]
        read = len(self.own[prompt]) + len(begun)
        draft = Draft(self.back, begun) if self.back else None
        ids = draft.ids if draft else [*begun]
        return _Row(prompt, candidate, draws, read, ids, len(begun), draft)

    def step(self) -> tuple[list[_Row], torch.Tensor]:
        """Read every row's last token; return the rows and the logits after it, (R, V)."""
        last_R = [(row.ids or self.own[row.prompt])[-1] for row in self.rows]
        logits_RV = self.reader.step(last_R, [row.length for row in self.rows])
        for row in self.rows:
            row.length += 1
        return self.rows, logits_RV

    def retire(
        self, finished: Callable[[_Row], Completion | None]
    ) -> Iterator[tuple[_Row, Completion]]:
        """Take out the rows that ended, the last row fills a gap; yield (row, completion)."""
        for slot in reversed(range(len(self.rows))):
            row = self.rows[slot]
            done = finished(row)
            if done:
                last = self.rows.pop()
                if last is not row:
                    self.reader.cache.move(len(self.rows), slot)
                    self.rows[slot] = last
                yield row, done


_TRIED: WeakSet = WeakSet()  # models that the sampler reads as they read themselves


def must_sample_alike(base) -> None:
    """Let the sampler and the model itself read two short texts, once a model.

    Raises ModelError if they say something else, or if the sampler cannot run the model.
    """

    def read() -> tuple[torch.Tensor, torch.Tensor]:
        v = base.get_input_embeddings().weight.shape[0]
        texts = ((7, 40, 11), (12, 5), (9, 30, 2, 6), (17, 3))
        prefix, *own, last = [[i % v for i in ids] for ids in texts]
        whole = [prefix + ids + [token] for ids, token in zip(own, last, strict=True)]
        own_RV = [base(torch.tensor([ids], device=base.device)).logits[0, -1] for ids in whole]
        with shared_prefix_attention(base):
            reader = Reader(base, prefix, len(own), max(map(len, own)) + 1)
            reader.prompts(own, 0)
            return reader.step(last, [len(ids) for ids in own]), torch.stack(own_RV)

    must_agree(base, _TRIED, read)


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
    on_step: Callable[[int], None] | None = None,
    back: GoBack | None = None,
    begun: Sequence[str] = (),
) -> list[list[Completion]]:
    """Write `k` completions for each prompt; temperature 0 is greedy.

    Every candidate has its own random stream (from `seed`, prompt and candidate number), so its
    text does not depend on the batch it was in.  `on_done(prompt, candidate, completion)` is
    called as each one ends, `on_step(n)` after the n-th token of all rows.  `width` rows are
    computed together.  With `back` a line that does not hold is taken back and written again; its
    tokens count, so that a text costs no more than another.
    `begun` holds what the texts of each prompt begin with; `back` then sees it as a place that it
    went back to: the line is drawn on, and what was begun may be taken back as well.
    Returns one list a prompt.
    Raises ValueError for a setting out of range, for a prompt without tokens and for another number
    of texts in `begun`, ModelError for a model that the sampler would read otherwise than it reads
    itself, MemoryError with what to do.
    """
    if not prompts:
        return []
    ids = [token_ids(tokenizer, text) for text in prompts]
    if k < 1 or max_new_tokens < 1 or not all(ids):
        raise ValueError("need k >= 1, max_new_tokens >= 1 and prompts that are not empty")
    next_token_probs(torch.zeros(1, 1), temperature or 1.0, top_k, top_p)  # refuses early
    if begun and len(begun) != len(prompts):
        raise ValueError(f"begun has {len(begun)} texts for {len(prompts)} prompts: give one each")
    shared = common_prefix(ids)
    own = [row[shared:] for row in ids]
    first = [token_ids(tokenizer, text) for text in begun or [""] * len(prompts)]
    width = max(k, min(width, k * len(prompts)))
    ending = Ending(tokenizer, _stop_ids(model, tokenizer), stop, max_new_tokens)
    results: list[list[Completion | None]] = [[None] * k for _ in prompts]
    mend = Mending(ending) if back else None

    def streams(prompt: int, candidate: int) -> list[float]:
        if temperature == 0 and not back:
            return []
        return _draws(seed, prompts[prompt], candidate, max_new_tokens)

    def write(rows: list[_Row], logits_RV: torch.Tensor) -> None:
        draws_R = [row.draws[row.written] for row in rows if row.draws]
        if not back:
            tokens = pick(logits_RV, draws_R, temperature, top_k, top_p)
            for row, token in zip(rows, tokens, strict=True):
                row.ids.append(token)
            return
        probs_RV = next_token_probs(logits_RV, temperature or back.temperature, top_k, top_p)
        tokens = by_number(probs_RV, draws_R) if temperature else likeliest(logits_RV)
        write_drafts([row.draft for row in rows], tokens, probs_RV, draws_R)

    longest = max(len(a + b) for a, b in zip(own, first, strict=True)) + max_new_tokens
    refuse_other_attention(model, shared + longest)
    must_sample_alike(model.get_base_model() if hasattr(model, "get_base_model") else model)
    with _said_in_words(width), shared_prefix_attention(model) as base:
        reader = Reader(base, ids[0][:shared], width, longest)
        texts, steps = Texts(reader, own, first, k, back), 0
        while texts.rows or texts.waiting:
            began = time.perf_counter()
            rows, logits_RV = texts.admit(streams) or texts.step()
            write(rows, logits_RV)
            share = (time.perf_counter() - began) / len(rows)
            for row in rows:
                row.seconds += share
            for row, done in texts.retire(mend or ending):
                results[row.prompt][row.candidate] = done
                if on_done:
                    on_done(row.prompt, row.candidate, done)
            steps += 1
            if on_step:
                on_step(steps)
    return results


@contextlib.contextmanager
def _said_in_words(width: int) -> Iterator[None]:
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise MemoryError(
            f"the device's memory does not hold {width} texts at once: close other programs that "
            "use it, take a 4-bit student (--quant nf4) or a smaller one, or write fewer texts at "
            "once (`width`)"
        ) from error


class Ending:
    """Says whether a row has ended: end token, stop text, or the limit of tokens."""

    def __init__(self, tokenizer, stops: set[int], stop: str, limit: int):
        self.tokenizer, self.stops, self.stop, self.limit = tokenizer, stops, stop, limit
        self.may_end: dict[int, bool] = {}  # token -> can the stop text end in it?

    def __call__(self, row: _Row) -> Completion | None:
        """Return the completion of a row that has ended, else None."""
        ids, text = row.ids, ""
        ended = bool(ids) and ids[-1] in self.stops  # other special tokens stay: tags may be such
        if row.draft and row.draft.stuck:
            finish = "stuck"
        elif ended:
            finish = "eos"
        elif text := self._stopped(ids):
            finish = "stop"
        elif row.written >= self.limit:
            finish = "length"
        else:
            return None
        text = text or self.tokenizer.decode(ids[:-1] if ended else ids)
        return Completion(text, finish, row.written, row.seconds, list(ids))

    def _stopped(self, ids: list[int]) -> str:
        """Return the text up to the stop text, with it; "" if that is not written yet."""
        if not (ids and self.stop and self._ends_in(ids)):
            return ""
        text, found, _ = self.tokenizer.decode(ids).partition(self.stop)
        return text + found if found else ""

    def _ends_in(self, ids: list[int]) -> bool:
        """Say whether the stop text ends here; for most last tokens the answer is known."""
        if ids[-1] not in self.may_end:  # U+FFFD: a part of a character that others complete
            piece = self.tokenizer.decode([ids[-1]])
            self.may_end[ids[-1]] = self.stop[-1] in piece or "\ufffd" in piece
        longest = len(self.stop.encode()) + 4  # a token a byte, and the rest of a character before
        return self.may_end[ids[-1]] and self.stop in self.tokenizer.decode(ids[-longest:])


class Mending:
    """An `Ending` that looks at each row where a line or the text ends: it may go back."""

    def __init__(self, ending: Ending):
        self.ending = ending

    def __call__(self, row: _Row) -> Completion | None:
        """Return the completion of a row that has ended and holds, else None."""
        done, decode = self.ending(row), self.ending.tokenizer.decode
        if not done and "\n" not in decode(row.ids[-1:]):
            return None
        back = row.draft.look(row.prompt, done.text if done else decode(row.ids), decode)
        row.length -= back  # the last token that stays is read again, at its place
        row.taken_back += back
        return self.ending(row) if back or row.draft.stuck else done


def write_drafts(
    drafts: Sequence[Draft], tokens: list[int], probs_RV: torch.Tensor, draws_R: list[float]
) -> None:
    """Write the next token of each draft: the given one, which may be replaced, or one that is
    drawn by the row's number where the draft says from what."""
    left = {at: left_V for at, draft in enumerate(drafts)
            if (left_V := draft.left(probs_RV[at])) is not None}  # fmt: skip
    if left:
        drawn = by_number(torch.stack([*left.values()]), [draws_R[at] for at in left])
        for at, token in zip(left, drawn, strict=True):
            tokens[at] = token
    tokens_R1 = torch.tensor(tokens, device=probs_RV.device)[:, None]
    chosen = probs_RV.gather(1, tokens_R1)[:, 0].tolist()
    for draft, token, prob in zip(drafts, tokens, chosen, strict=True):
        draft.add(token, prob)


def _stop_ids(model, tokenizer) -> set[int]:
    ids = getattr(model.generation_config, "eos_token_id", None)
    ids = ids if isinstance(ids, list) else [ids]
    return {i for i in (*ids, tokenizer.eos_token_id) if i is not None}


def _draws(seed: int, prompt: str, candidate: int, n: int) -> list[float]:
    """Return n numbers in [0, 1), the same for the same seed, prompt and candidate."""
    digest = hashlib.sha256(f"{seed}\0{prompt}\0{candidate}".encode()).digest()
    generator = torch.Generator().manual_seed(int.from_bytes(digest[:7], "big"))
    return torch.rand(n, generator=generator).tolist()


def _empty_prefix(cache: SharedPrefixCache, base) -> None:
    config = base.config
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    empty = torch.zeros(config.num_key_value_heads, 0, width, dtype=base.dtype, device=base.device)
    cache.prefix = dict.fromkeys(range(config.num_hidden_layers), (empty, empty))
