"""Cut a model smaller: whole decoder layers (depth), or channels of its MLPs (width).

What comes out is an ordinary `transformers` model, a copy: its configuration says what it is, so it
is saved, loaded, trained and exported like any other.  Which parts go is decided by an importance:
the lower, the sooner.

Dimension key: D decoder layers, T tokens, E hidden width, C channels of an MLP.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from distillkit.models.downloads import ModelError

FAMILIES = ("qwen2", "llama")
CHANNELS = 32  # MLP sizes stay multiples of it, as blocks of GGUF files and fast kernels need


def drop_layers(model: Any, layers: Collection[int]) -> Any:
    """Return a copy of a causal model without these decoder layers (0 is next to the embedding).

    Raises ModelError for another family and for an adapter that is not merged, ValueError for a
    layer that is not there or if none would be left.
    """
    with skipping(model, layers):
        return copy.deepcopy(model)


def cut_channels(model: Any, kept: Sequence[Tensor]) -> Any:
    """Return a copy of a causal model whose MLPs keep these channels: C numbers for each layer.

    A channel is a row of `gate_proj`, the same row of `up_proj` and that column of `down_proj`.
    Raises ModelError as `drop_layers`, ValueError unless each layer keeps as many as the others.
    """
    _must_be_plain(model)
    sizes = {n for c_C in kept for n in (len(c_C), len(set(c_C.tolist())))}  # none twice
    if len(kept) != model.config.num_hidden_layers or len(sizes) != 1 or sizes == {0}:
        raise ValueError(f"each of the {model.config.num_hidden_layers} layers must keep the same "
                         f"number of channels, not {sorted(sizes)}")  # fmt: skip
    pruned = copy.deepcopy(model)
    for layer, channels_C in zip(pruned.base_model.layers, kept, strict=True):
        mlp, channels_C = layer.mlp, channels_C.to(model.device)
        mlp.gate_proj = _part(mlp.gate_proj, 0, channels_C)
        mlp.up_proj = _part(mlp.up_proj, 0, channels_C)
        mlp.down_proj = _part(mlp.down_proj, 1, channels_C)
        mlp.intermediate_size = len(channels_C)
    pruned.config.intermediate_size = sizes.pop()
    return pruned


def _part(linear: nn.Linear, dim: int, kept: Tensor) -> nn.Linear:
    """Return a linear layer with some of its outputs (dim 0) or inputs (dim 1)."""
    weight = linear.weight.detach().index_select(dim, kept)
    part = nn.Linear(*weight.shape[::-1], bias=linear.bias is not None,
                     device="meta", dtype=weight.dtype)  # fmt: skip
    part.weight = nn.Parameter(weight, requires_grad=linear.weight.requires_grad)
    if linear.bias is not None:
        bias = linear.bias.detach()
        part.bias = nn.Parameter((bias[kept] if dim == 0 else bias).clone(),
                                 requires_grad=linear.bias.requires_grad)  # fmt: skip
    return part


@contextmanager
def skipping(model: Any, layers: Collection[int]) -> Iterator[Any]:
    """Leave decoder layers out for a while, without a copy; the model is whole again afterwards.

    Raises as `drop_layers`.
    """
    _must_be_plain(model)
    whole, types = model.base_model.layers, getattr(model.config, "layer_types", None)
    if not {*layers} <= {*range(len(whole))} or len({*layers}) >= len(whole):
        raise ValueError(f"of layers 0 to {len(whole) - 1} at least one must stay, and {layers} "
                         "cannot be left out")  # fmt: skip
    kept = [i for i in range(len(whole)) if i not in layers]
    try:
        _put(model, [whole[i] for i in kept], types and [types[i] for i in kept])
        yield model
    finally:
        _put(model, whole, types)


def _put(model: Any, layers: Sequence[nn.Module], types: list[str] | None) -> None:
    """Make these a model's decoder layers: numbered anew, and the configuration says so."""
    model.base_model.layers = nn.ModuleList(layers)
    for i, layer in enumerate(layers):
        layer.self_attn.layer_idx = i  # where its keys and values are in the cache
    model.config.num_hidden_layers = len(layers)
    if types:
        model.config.layer_types = types


def from_scratch(model: Any, seed: int) -> Any:
    """Return a model of the same shape with random weights: what a cut must be better than."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        fresh = type(model)(copy.deepcopy(model.config))
    return fresh.to(model.device, model.dtype).eval()


def channels_like(model: Any, layers: int) -> int:
    """Return how many channels each MLP keeps if a cut in width is to cost as much as in depth.

    As many weights as `layers` decoder layers have go, to the nearest multiple of 32 channels; but
    32 stay, though the MLPs may have fewer weights than are to go.
    """
    layer = model.base_model.layers[0]
    weights = layers * sum(p.numel() for p in layer.parameters())
    channel = 3 * model.config.hidden_size * model.config.num_hidden_layers
    left = round((model.config.intermediate_size - weights / channel) / CHANNELS)
    return max(1, left) * CHANNELS


# --- what may go ---------------------------------------------------------------------------------


def lowest(importance_D: Tensor, n: int) -> list[int]:
    """Return the n layers of the lowest importance, in their order."""
    return sorted(importance_D.argsort(stable=True)[:n].tolist())


def highest(importance_DC: Tensor, size: int) -> list[Tensor]:
    """Return the `size` channels of the highest importance in each layer, in their order."""
    return [*importance_DC.topk(size).indices.sort().values]


@torch.no_grad()
def hidden_states(model: Any, ids: Sequence[int]) -> Tensor:
    """Return what goes into each decoder layer and what comes out of the last: [D + 1, T, E].

    `output_hidden_states` of transformers is not that: its last row has gone through the final
    norm.  The model should be in eval mode.
    """
    states: list[Tensor] = []
    layers = model.base_model.layers
    hooks = [layers[0].register_forward_pre_hook(lambda _, inputs: states.append(inputs[0][0]))]
    hooks += [layer.register_forward_hook(lambda _, __, out: states.append(out[0]))
              for layer in layers]  # fmt: skip
    try:
        model.base_model(torch.tensor([ids], device=model.device), use_cache=False)
    finally:
        for hook in hooks:
            hook.remove()
    return torch.stack(states).float()


def block_influence(hidden: Sequence[Tensor], span: int = 1) -> Tensor:
    """Return 1 - cos(what goes in, what comes out) of each `span` layers in a row: [D + 1 - span].

    `hidden` are the states [D + 1, T, E] of each text; the mean is over all tokens.  Source: Men et
    al. 2024, arXiv 2403.03853, sec. 3.1; of several layers in a row: Gromov et al. 2024, arXiv
    2403.17887, sec. 3.2.
    """
    changes = [1 - torch.cosine_similarity(h[:-span], h[span:], dim=-1) for h in hidden]
    return torch.cat(changes, dim=1).mean(1)


def leave_one_out(model: Any, loss: Callable[[Any], float]) -> Tensor:
    """Return how much a loss of the model grows when each layer alone is left out: [D]."""
    whole = loss(model)
    grown = []
    for i in range(model.config.num_hidden_layers):
        with skipping(model, [i]):
            grown.append(loss(model) - whole)
    return torch.tensor(grown)


@torch.no_grad()
def mlp_activations(model: Any, ids: Sequence[int]) -> Tensor:
    """Return what each MLP's `down_proj` reads of a text, one number a channel: [D, T, C]."""
    read: list[Tensor] = []
    hooks = [layer.mlp.down_proj.register_forward_pre_hook(
                 lambda _, inputs: read.append(inputs[0][0].float()))
             for layer in model.base_model.layers]  # fmt: skip
    try:
        model.base_model(torch.tensor([ids], device=model.device), use_cache=False)
    finally:
        for hook in hooks:
            hook.remove()
    return torch.stack(read)


def channel_activation(model: Any, texts: Sequence[Sequence[int]]) -> Tensor:
    """Return the mean |activation| of each channel of each MLP over all tokens: [D, C].

    Source: Muralidharan et al. 2024 ("Minitron"), arXiv 2407.14679, sec. 2.2.
    """
    sums = [mlp_activations(model, ids).abs().sum(1) for ids in texts]
    return torch.stack(sums).sum(0) / sum(map(len, texts))


def _must_be_plain(model: Any) -> None:
    kind = getattr(model.config, "model_type", "?")
    if kind not in FAMILIES:
        raise ModelError(f"a {kind} is not cut here, only {' and '.join(FAMILIES)}")
    if any(name.endswith("_proj") and type(module) is not nn.Linear
           for name, module in model.named_modules()):  # fmt: skip
        raise ModelError("the model has an adapter, or weights in 4 or 8 bits: merge the adapter, "
                         "load it in 16 or 32 bits, then cut")  # fmt: skip
