"""A model and its tokenizer as one GGUF file, which llama.cpp, Ollama and others run.

Source of the format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gguf
import numpy as np
from gguf import GGMLQuantizationType as Kind

from distillkit.models.downloads import ModelError

# What `gguf` writes, and the K-quants, which it only reads: `libgguf` writes those
KINDS = {kind.name.lower(): kind for kind in (
    Kind.BF16, Kind.F16, Kind.Q8_0, Kind.Q5_1, Kind.Q5_0, Kind.Q4_1, Kind.Q4_0,
    Kind.Q6_K, Kind.Q5_K, Kind.Q4_K)}  # fmt: skip
# Their blocks have 256 values: a row that is no multiple of it is kept in blocks of 32, as
# llama.cpp does
IN_SMALL_BLOCKS = {Kind.Q6_K: Kind.Q8_0, Kind.Q5_K: Kind.Q5_1, Kind.Q4_K: Kind.Q5_0}
ARCHITECTURES = {"qwen2": gguf.MODEL_ARCH.QWEN2, "llama": gguf.MODEL_ARCH.LLAMA}
SYSTEM_KEY = "distillkit.system"  # the system message that the student was trained with
# How a tokenizer parts a text before its merges, and llama.cpp's name for it
WORDS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|"
REST = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
AS_BYTES = {"type": "ByteLevel", "add_prefix_space": False}
BY_REGEX = {"type": "Split", "behavior": "Isolated", "invert": False}
PARTED_BY = {
    "qwen2": [BY_REGEX | {"pattern": {"Regex": WORDS + r"\p{N}" + REST}},
              AS_BYTES | {"use_regex": False}],
    "llama-bpe": [BY_REGEX | {"pattern": {"Regex": WORDS + r"\p{N}{1,3}" + REST}},
                  AS_BYTES | {"use_regex": False}],
    "smollm": [{"type": "Digits", "individual_digits": True}, AS_BYTES | {"use_regex": True}],
    "gpt-2": [AS_BYTES | {"use_regex": True}],
}  # fmt: skip


@dataclass(frozen=True)
class Stored:
    """A tensor of the file: its name there and in the model, its shape, how its values are kept."""

    name: str
    source: str
    shape: tuple[int, ...]
    kind: Kind

    @property
    def weights(self) -> int:
        """Return how many values it holds."""
        return int(np.prod(self.shape))

    @property
    def bytes(self) -> int:
        """Return how many bytes these take: whole blocks, with the scales of each."""
        block, size = gguf.GGML_QUANT_SIZES[self.kind]
        return self.weights // block * size


def plan(model, kind: str) -> list[Stored]:
    """Say how each tensor of a model would be kept in a file of the kind `kind`.

    Vectors stay in float32: they are few.  A row that is no multiple of the kind's block is kept in
    smaller blocks (see `IN_SMALL_BLOCKS`) or else in float16.  The embedding is the output head,
    too, if both are tied: it is there once, and has 8 bits where the kind has fewer.  Raises
    ModelError for a model that is not written here.
    """
    shapes = {source: tuple(values.shape) for source, values in model.state_dict().items()}
    return [Stored(name, source, shapes[source], _kind_of(name, shapes[source], KINDS[kind]))
            for source, name in tensor_names(model).items()]  # fmt: skip


def tensor_names(model) -> dict[str, str]:
    """Return llama.cpp's name of each tensor of a model that is stored; a tied head is not.

    Raises ModelError for a model that is not written here.
    """
    names = gguf.get_tensor_name_map(_architecture(model.config), model.config.num_hidden_layers)
    found = {source: names.get_name(source, try_suffixes=(".weight", ".bias"))
             for source in model.state_dict()
             if source != "lm_head.weight" or not model.config.tie_word_embeddings}  # fmt: skip
    if odd := [source for source, name in found.items() if name is None]:
        raise ModelError(f"{odd[0]}: llama.cpp has no such part in a {model.config.model_type}")
    return found


def writable(model, kind: str) -> list[Stored]:
    """Return the plan; raises ModelError where K-quants are in it and libgguf is not installed."""
    stored = plan(model, kind)
    if {t.kind for t in stored} & {*IN_SMALL_BLOCKS} and not importlib.util.find_spec("libgguf"):
        raise ModelError(f"{kind} needs libgguf, which is not installed: pip install libgguf, or "
                         "take another format")  # fmt: skip
    return stored


def true_bits(stored: list[Stored]) -> float:
    """Return the bits a weight that a file really takes, whatever its kind is called."""
    return 8 * sum(t.bytes for t in stored) / sum(t.weights for t in stored)


def write_gguf(model, tokenizer, path: Path, kind: str, about: Mapping[str, str]) -> list[Stored]:
    """Write model and tokenizer to a new file; `about` are more texts for its head, by their key.

    Rounds once, from the model's own weights: give it float32.  Returns the tensors as they are
    kept.  Raises ModelError for a model or a tokenizer that llama.cpp could not read back.
    """
    stored = writable(model, kind)
    weights = model.state_dict()
    writer = gguf.GGUFWriter(path, gguf.MODEL_ARCH_NAMES[_architecture(model.config)])
    try:
        writer.add_file_type(_file_type(kind))
        writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
        _add_shape(writer, model.config)
        _add_tokenizer(writer, tokenizer, len(model.get_input_embeddings().weight))
        for key, text in about.items():
            writer.add_string(key, text)
        for tensor in stored:  # first what will come, then the values, one tensor in memory a time
            block, size = gguf.GGML_QUANT_SIZES[tensor.kind]
            row_bytes = (*tensor.shape[:-1], tensor.shape[-1] // block * size)
            writer.add_tensor_info(tensor.name, row_bytes, np.dtype(np.uint8), tensor.bytes,
                                   tensor.kind)  # fmt: skip
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
        for tensor in stored:
            values = weights[tensor.source].detach().float().cpu().numpy()
            values = _in_pairs(values, tensor.source, model.config)
            writer.write_tensor_data(encoded(values, tensor.kind))
    finally:
        writer.close()
    return stored


def round_weights(model, kind: str) -> list[Stored]:
    """Round a model's weights in place as a file of the kind `kind` holds them: `write_gguf`, read.

    Returns the tensors as they would be kept.  Raises ModelError as `writable` does.
    """
    stored = writable(model, kind)
    weights = model.state_dict()
    for tensor in stored:
        if tensor.kind != Kind.F32:
            values = weights[tensor.source]
            rows = encoded(values.detach().float().cpu().numpy(), tensor.kind)
            values.copy_(values.new_tensor(gguf.dequantize(rows, tensor.kind)))
    return stored


def _architecture(config) -> gguf.MODEL_ARCH:
    """Return llama.cpp's name for a model; raises ModelError for what would be written wrong."""
    rope = getattr(config, "rope_parameters", None) or {}
    odd = {
        "layers of another kind": set(getattr(config, "layer_types", None) or ())
        - {"full_attention"},
        f"positions of the type {rope.get('rope_type')}": rope.get("rope_type") != "default",
        "biases": getattr(config, "attention_bias", False) or getattr(config, "mlp_bias", False),
    }
    found = [words for words, is_so in odd.items() if is_so]
    if config.model_type not in ARCHITECTURES or found:
        raise ModelError(
            f"a {config.model_type} with {', '.join(found) or 'its own layers'} is not written as "
            f"GGUF here: only plain {' and '.join(ARCHITECTURES)}; take --format safetensors and "
            "llama.cpp's own converter"
        )
    return ARCHITECTURES[config.model_type]


def _kind_of(name: str, shape: tuple[int, ...], kind: Kind) -> Kind:
    small = gguf.GGML_QUANT_SIZES[kind][0] > 1 and kind != Kind.Q8_0
    if name in ("token_embd.weight", "output.weight") and small:
        kind = Kind.Q8_0
    return stored_as(shape, kind)


def stored_as(shape: tuple[int, ...], kind: Kind) -> Kind:
    """Return how a tensor of this shape is kept where a kind is asked for: see `plan`."""
    if len(shape) == 1:
        return Kind.F32
    for chosen in (kind, IN_SMALL_BLOCKS.get(kind, kind)):
        if shape[-1] % gguf.GGML_QUANT_SIZES[chosen][0] == 0:
            return chosen
    return Kind.F16


def encoded(values: np.ndarray, kind: Kind) -> np.ndarray:
    """Round float32 rows to a kind; returns the bytes of each row."""
    if kind not in IN_SMALL_BLOCKS:
        return gguf.quantize(values, kind).view(np.uint8)
    import libgguf

    return np.asarray(libgguf.quantize_rows(values, int(kind)))


def _file_type(kind: str) -> int:
    names = {"q4_k": "Q4_K_S", "q5_k": "Q5_K_S"}  # _M holds some tensors in more bits
    return int(getattr(gguf.LlamaFileType, f"MOSTLY_{names.get(kind, kind.upper())}"))


def _in_pairs(values: np.ndarray, source: str, config) -> np.ndarray:
    """Put the rows of a Llama's queries and keys in llama.cpp's order.

    Positions turn two numbers of a head at a time: transformers takes one of each half of the
    head, llama.cpp two neighbours.  In a Qwen2 it takes the halves, too.
    """
    return _turned(values, source, config, (2, -1))


def in_halves(values: np.ndarray, source: str, config) -> np.ndarray:
    """Put the rows of a Llama's queries and keys back in the order of transformers."""
    return _turned(values, source, config, (-1, 2))


def _turned(values: np.ndarray, source: str, config, parts: tuple[int, int]) -> np.ndarray:
    heads = {"q_proj": config.num_attention_heads, "k_proj": config.num_key_value_heads}
    part = source.split(".")[-2]
    if config.model_type != "llama" or part not in heads:
        return values
    split = values.reshape(heads[part], *parts, *values.shape[1:])
    return np.ascontiguousarray(split.swapaxes(1, 2)).reshape(values.shape)


def _add_shape(writer: gguf.GGUFWriter, config) -> None:
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_key_length(width)
    writer.add_value_length(width)
    writer.add_rope_dimension_count(width)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_vocab_size(config.vocab_size)


def _add_tokenizer(writer: gguf.GGUFWriter, tokenizer, size: int) -> None:
    """Write vocabulary, merges, special tokens and chat template; `size` is the embedding's.

    Ids that no token has are filled, because the file must name every row of the embedding.
    """
    state: dict[str, Any] = json.loads(tokenizer.backend_tokenizer.to_str())
    words = {number: word for word, number in tokenizer.get_vocab().items()}
    if state["model"]["type"] != "BPE" or state["model"].get("byte_fallback"):
        raise ModelError("only tokenizers that merge bytes (as GPT-2, Llama 3 and Qwen) are "
                         "written as GGUF here: take --format safetensors")  # fmt: skip
    if max(words) >= size:
        raise ModelError(f"the tokenizer has token {max(words)}, the model only {size} rows")
    types = [gguf.TokenType.NORMAL if n in words else gguf.TokenType.UNUSED for n in range(size)]
    for token in state["added_tokens"]:
        kind = gguf.TokenType.CONTROL if token["special"] else gguf.TokenType.USER_DEFINED
        types[token["id"]] = kind
    merges = [pair if isinstance(pair, str) else " ".join(pair)
              for pair in state["model"]["merges"]]  # fmt: skip
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(_parting(state["pre_tokenizer"], bool(merges)))
    writer.add_token_list([words.get(number, f"[PAD{number}]") for number in range(size)])
    writer.add_token_types(types)
    if merges:  # the format has no empty lists
        writer.add_token_merges(merges)
    writer.add_eos_token_id(tokenizer.eos_token_id)
    if tokenizer.bos_token_id is not None:
        writer.add_bos_token_id(tokenizer.bos_token_id)
    if tokenizer.pad_token_id is not None:
        writer.add_pad_token_id(tokenizer.pad_token_id)
    writer.add_add_bos_token(False)  # the chat template writes all there was in training
    if tokenizer.chat_template:
        writer.add_chat_template(tokenizer.chat_template)


def _parting(state: dict[str, Any] | None, merges: bool) -> str:
    """Return llama.cpp's name for how a text is parted; raises ModelError if it has none."""
    if not merges:  # then every byte is a token, however the text is parted
        return "gpt-2"
    steps = [{option: value for option, value in step.items() if option != "trim_offsets"}
             for step in (state or {}).get("pretokenizers") or [state or {}]]  # fmt: skip
    found = next((name for name, known in PARTED_BY.items() if known == steps), None)
    if found is None:
        raise ModelError("this tokenizer parts texts in a way that is not known here: llama.cpp "
                         "would make other tokens of them; take --format safetensors")  # fmt: skip
    return found
