"""What a step of training minimises: the next token of a trace, or what a teacher says there.

An objective takes what the student says at the supervised nodes of a prefix tree, and the tree as
`pack` made it, and returns the weighted *sum* of a loss over them: the mean is taken over the whole
batch, also when it is computed in parts and by several processes.

Dimension key: L nodes of the tree, E hidden width, N supervised positions, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple
from weakref import WeakSet

import torch
from peft import PeftModel
from peft.helpers import disable_input_dtype_casting
from torch.nn.attention import SDPBackend, sdpa_kernel
from transformers import DynamicCache

from distillkit.models.chats import Message, chat_text, token_ids
from distillkit.models.loading import must_agree, own_logits, refuse_other_attention
from distillkit.problems.equations import Problem
from distillkit.traces.templates import SHOTS, THINK, Template, messages
from distillkit.training.losses import IGNORE, forward_kl, negative_log_likelihood
from distillkit.training.packing import Example, pack, parts_of, supervised

HEAD_ROUND = 16  # rows of the head's product: few different sizes, and a tile of AMX is 16 rows
# cuDNN's attention is left out: behind a mask its gradient is NaN when the tree has 64 nodes more
# than a multiple of 128 (seen on an H200, torch 2.11 for CUDA 13).
ATTENTION = [SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH]


class ModelOut(NamedTuple):
    """What a model says at the supervised positions: logits, and the last layer's hidden states."""

    logits_NV: torch.Tensor
    hidden_NE: torch.Tensor


Batch = dict[str, torch.Tensor]
Objective = Callable[[ModelOut, Batch], torch.Tensor]
Divergence = Callable[[torch.Tensor, torch.Tensor, float], torch.Tensor]


class Beginning(NamedTuple):
    """What a teacher reads (tokens) in place of the beginning that all texts of a student share."""

    student: list[int]
    teacher: list[int]


def beginning_of(tokenizer, student: Sequence[Message], teacher: Sequence[Message]) -> Beginning:
    """Return how a student's texts begin and what a teacher reads instead, from a chat of each.

    The chats end alike, in the same question: what they share at their end is left out.
    """
    bare, shown = (token_ids(tokenizer, chat_text(tokenizer, chat)) for chat in (student, teacher))
    differ = (i for i in range(1, len(bare) + 1) if bare[-i:] != shown[-i:])
    same = next(differ, len(bare) + 1)
    return Beginning(bare[: 1 - same], shown[: 1 - same])


def solved_examples(
    tokenizer, template: Template = THINK, shots: Sequence[Problem] = SHOTS
) -> Beginning:
    """Return the beginning by which a teacher sees solved examples that the student does not."""
    return beginning_of(tokenizer, messages("?", template), messages("?", template, shots))


def fits(beginning: Beginning, examples: Sequence[Example]) -> bool:
    """Say whether all examples begin as the student's texts do, and the teacher may see more."""
    cut = len(beginning.student)
    return all(example.ids[:cut] == beginning.student for example in examples)


def read(model: Any, batch: Batch, before: DynamicCache | None = None) -> ModelOut:
    """Run a causal model, with or without an adapter, over a tree that `pack` has made.

    `before` holds the keys and values of what every node of the tree sees besides.  The output head
    is computed at the supervised nodes only: it is a quarter of a 0.5B model's work and its logits
    are most of the memory.  Raises ModelError for a model in which a token does not see all tokens
    before it.
    """
    causal = model.get_base_model() if isinstance(model, PeftModel) else model
    refuse_other_attention(causal, int(batch["position_ids"].max()) + 1, ours=False)
    tree = {name: batch[name] for name in ("input_ids", "position_ids", "attention_mask")}
    n = len(batch["nodes_N"])
    filled = torch.nn.functional.pad(batch["nodes_N"], (0, -n % HEAD_ROUND))
    # Autocast casts where it must; PEFT's own cast to the adapter's type would only be undone
    twice = isinstance(model, PeftModel) and torch.is_autocast_enabled(model.device.type)
    with sdpa_kernel(ATTENTION), disable_input_dtype_casting(model, active=twice):
        logits_1NV, hidden_1NE = own_logits(causal, lambda hidden: hidden[:, filled],
                                            past_key_values=before, **tree)  # fmt: skip
    return ModelOut(logits_1NV.squeeze(0)[:n], hidden_1NE.squeeze(0)[:n])  # [0, :n] copies twice


_TRIED: WeakSet = WeakSet()  # models that read a prefix tree as they read its texts


def must_read_alike(model: Any) -> None:
    """Let a model read two short texts as a prefix tree and one by one, once a model.

    Raises ModelError if it says something else, or if it cannot read a tree.
    """
    causal = model.get_base_model() if isinstance(model, PeftModel) else model

    def both() -> tuple[torch.Tensor, torch.Tensor]:
        v = causal.get_input_embeddings().weight.shape[0]
        texts = [[i % v for i in ids] for ids in ((7, 40, 11, 12, 5, 17), (7, 40, 11, 9, 30, 2, 6))]
        tree = pack([Example(ids, [IGNORE] * 3 + ids[3:]) for ids in texts])
        with torch.no_grad(), torch.autocast(causal.device.type, enabled=False):
            batch = {name: x.to(causal.device) for name, x in tree.items()}
            batch["attention_mask"] = batch["attention_mask"].to(causal.dtype)
            own = [causal(torch.tensor([ids], device=causal.device)).logits[0, 2:-1]
                   for ids in texts]  # fmt: skip
            return read(causal, batch).logits_NV, torch.cat(own)

    must_agree(causal, _TRIED, both)


def read_teacher(
    teacher: Any, batch: Batch, adapter: bool = True, beginning: Beginning | None = None,
    kept: dict[str, DynamicCache] | None = None,
) -> ModelOut:  # fmt: skip
    """Let a teacher read the student's tree: in eval mode, without a gradient, on its own device.

    `adapter=False` switches its adapter off meanwhile.  Mode and adapter are then as before.  With
    another `beginning` it reads that in place of the student's, once if its keys and values may be
    `kept`.  Raises ValueError for texts that do not begin as the student's do.
    """
    must_read_alike(teacher)
    here = {name: tensor.to(teacher.device) for name, tensor in batch.items()}
    mode, learns = teacher.training, [(p, p.requires_grad) for p in teacher.parameters()]
    teacher.eval()
    try:
        with torch.no_grad(), nullcontext() if adapter else teacher.disable_adapter():
            cache = None
            if beginning:
                here, kept = _behind(beginning, here), {} if kept is None else kept
                cache = kept.get("cache") or kept.setdefault("cache", _keys(teacher, beginning))
            here["attention_mask"] = here["attention_mask"].to(teacher.dtype)
            said = read(teacher, here, cache)
            if cache:
                cache.crop(-here["input_ids"].shape[1])  # the next tree stands in the same place
    except BaseException:
        if kept:
            kept.pop("cache", None)  # some layers may have read the tree, which does not fit
        raise
    finally:
        teacher.train(mode)
        for parameter, wanted in learns:  # PEFT thaws a frozen adapter that it switches on again
            parameter.requires_grad_(wanted)
    return ModelOut(*(tensor.to(batch["nodes_N"].device) for tensor in said))


def _keys(teacher: Any, beginning: Beginning) -> DynamicCache:
    causal = teacher.get_base_model() if isinstance(teacher, PeftModel) else teacher
    cache = DynamicCache()
    ids = torch.tensor([beginning.teacher], device=teacher.device)
    causal.base_model(ids, past_key_values=cache, use_cache=True)
    return cache


def _behind(beginning: Beginning, batch: Batch) -> Batch:
    """Return the tree without the student's beginning, as it stands behind the teacher's."""
    cut, put = len(beginning.student), len(beginning.teacher)
    mask_LL = batch["attention_mask"][0, 0]
    alike = batch["input_ids"][0, :cut].tolist() == beginning.student
    if not alike or not (mask_LL[batch["nodes_N"], :cut] == 0).all():
        raise ValueError(
            "the teacher is to see solved examples, but a text does not begin with the template's "
            "instruction: write the prompts as `messages` does, or show no examples"
        )
    rest_LL = mask_LL[cut:, cut:]
    return {
        "input_ids": batch["input_ids"][:, cut:],
        "position_ids": (batch["position_ids"][:, cut:] - cut).clamp(min=0) + put,
        "attention_mask": torch.cat([rest_LL.new_zeros(len(rest_LL), put), rest_LL], 1)[None, None],
        "nodes_N": batch["nodes_N"] - cut,
    }


def next_token(out: ModelOut, batch: Batch) -> torch.Tensor:
    """Return the weighted sum of -log p(next token), in nats: cross-entropy, the default."""
    nll_N = negative_log_likelihood(out.logits_NV, batch["labels_N"])
    return (batch["weights_N"] * nll_N).sum()


def weighted_sum(loss_N: torch.Tensor, batch: Batch) -> torch.Tensor:
    """Return the weighted sum of what a divergence says of each supervised position.

    Raises ValueError unless it has said one number a position.
    """
    weights_N = batch["weights_N"]
    if loss_N.shape != weights_N.shape:
        raise ValueError(
            f"a divergence returns one number a position, not a mean or a sum: {len(weights_N)} "
            f"numbers were to come, and what came has the shape {[*loss_N.shape]}. The mean is "
            "taken afterwards, over the whole batch"
        )
    return (weights_N * loss_N).sum()


def mean_loss(model: Any, examples: Sequence[Example], part_tokens: int = 1024) -> float:
    """Return the mean of -log p(next token) over the supervised positions, in nats, untrained.

    Examples of a part of at most `part_tokens` tokens are read at once.  Raises ValueError if there
    is no such position.
    """
    if not supervised(examples):
        raise ValueError("there is nothing to take a mean of: no examples, or every label is -100")
    total = 0.0
    for part in parts_of(examples, part_tokens):
        batch = {name: tensor.to(model.device) for name, tensor in pack(part).items()}
        nll_N = negative_log_likelihood(read_teacher(model, batch).logits_NV, batch["labels_N"])
        total += nll_N.sum().item()
    return total / supervised(examples)


@dataclass(frozen=True, eq=False)
class Match:
    """The objective of being like a teacher at every supervised position: T² · divergence.

    `divergence(student_NV, teacher_NV, temperature=1.0)` is `forward_kl`, `reverse_kl`, `jsd`, or
    one of your own: it returns one number a position, [N], and leaves T² to this class, which keeps
    the gradient's size by it (Hinton et al. 2015, sec. 2).  Fix other settings with
    `functools.partial(jsd, beta=0.1)`: a run that goes on knows the function by its name, and a
    lambda has none.
    The teacher reads the same tree as the student.  It may be the student itself, a model with an
    adapter, which is then read with `adapter=False`: that is what it was before training.  With a
    `beginning` it sees what the student does not, such as `solved_examples`; its weights must then
    stay as they are.
    """

    teacher: Any
    divergence: Divergence = forward_kl
    temperature: float = 1.0
    adapter: bool = True
    beginning: Beginning | None = None
    _kept: dict[str, DynamicCache] = field(default_factory=dict, init=False, repr=False)

    def __call__(self, out: ModelOut, batch: Batch) -> torch.Tensor:
        """Return the weighted sum of the divergence over the supervised positions, in nats."""
        # After the student: autocast would keep weights that it first saw without a gradient
        said = read_teacher(self.teacher, batch, self.adapter, self.beginning, self._kept)
        loss_N = self.divergence(out.logits_NV, said.logits_NV, self.temperature)
        return self.temperature**2 * weighted_sum(loss_N, batch)

    @property
    def depends_on(self) -> list:
        """Return what a run's mark says of this objective, the teacher's weights by a few."""
        frozen = [p for p in self.teacher.parameters() if not p.requires_grad or self.adapter]
        return [name_of(self.divergence), self.temperature, self.adapter, self.beginning,
                [p.flatten()[:4].tolist() for p in frozen]]  # fmt: skip


def name_of(function: Callable) -> object:
    """Return a function's name and what `partial` has fixed of it: the same in any process."""
    if isinstance(function, partial):
        return [name_of(function.func), function.args, sorted(function.keywords.items())]
    return getattr(function, "__qualname__", type(function).__qualname__)


def description(objective: Objective) -> object:
    """Return what a run's mark says of an objective: its `depends_on`, or else its name."""
    return getattr(objective, "depends_on", None) or name_of(objective)
