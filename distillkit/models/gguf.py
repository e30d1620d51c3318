"""GGUF to safetensors, once: exact float32 weights, embedding and output tied, in the cache."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING

from distillkit.models.downloads import ModelError, explained, need_space, one_at_a_time
from distillkit.runtime.files import read_json, whole_folder, write_json
from distillkit.runtime.session import cache_dir, quiet

if TYPE_CHECKING:
    import numpy as np
    from gguf import GGUFReader, ReaderTensor

WEIGHTS = "model.safetensors"
STORED = {"float32": ("F32", 4), "bfloat16": ("BF16", 2)}  # name and bytes of a number in a file
STAMP = "distillkit.json"  # written last into a converted folder: what it is and from where


@dataclass(frozen=True)
class Resolved:
    """A folder that transformers can load, and where it came from."""

    name: str
    path: Path
    source: str
    sha256: str


def converted(
    name: str, gguf: Path, source: str, sha256: str, say: Callable, target: Path | None = None
) -> Resolved:
    """Turn a GGUF file into a safetensors folder in the cache, once; embedding and output tied."""
    target = target or cache_dir() / "models" / f"{gguf.stem.lower()}-{sha256[:8]}"
    if (target / STAMP).exists():
        return stamped(target)
    with one_at_a_time(target, say):
        if (target / STAMP).exists():  # another process made it meanwhile
            return stamped(target)
        say(f"converting {gguf.name} to safetensors, once (a minute or two)")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            need_space(target.parent, 7 * gguf.stat().st_size)  # 5 to 6 bits a weight become 32
            with whole_folder(target) as folder:
                with quiet():
                    _write_float32(gguf, folder)
                stamp(folder, name, source, sha256)
        except OSError as error:
            raise explained(error, target) from error
    return stamped(target)


@contextmanager
def parsed_once(reader: GGUFReader, file: Path) -> Iterator[dict[str, str | Path]]:
    """Let transformers read a file from its reader; yields what `from_pretrained` is to be given.

    It would parse the file again for the configuration, the tokenizer and the model each, and the
    words of a vocabulary take many seconds.
    """
    import gguf

    kept, gguf.GGUFReader = gguf.GGUFReader, lambda _: reader
    try:
        yield {"pretrained_model_name_or_path": file.parent, "gguf_file": file.name}
    finally:
        gguf.GGUFReader = kept


def _write_float32(file: Path, folder: Path) -> None:
    import torch
    from gguf import GGUFReader
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    from distillkit.models.gguf_writer import tensor_names

    reader = GGUFReader(file)
    with parsed_once(reader, file) as where:
        AutoTokenizer.from_pretrained(**where).save_pretrained(folder)
        config = AutoConfig.from_pretrained(**where)
        with torch.device("meta"):  # its parts and their names, without any weights
            model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
        try:
            names = tensor_names(model)
        except ModelError:
            # Of another family: transformers knows its names, and takes several times the memory
            model = AutoModelForCausalLM.from_pretrained(**where, dtype=torch.float32)
            del model.config.quantization_config
            model.hf_quantizer = None  # the weights are plain float32 now
            model.save_pretrained(folder, max_shard_size="1000GB")
            return
    stored = {tensor.name: tensor for tensor in reader.tensors}
    if gone := [name for name in names.values() if name not in stored]:
        raise ModelError(f"{file} is no whole model: it has no {gone[0]}")
    _write_one_by_one(stored, names, model, folder)


def _write_one_by_one(stored: dict[str, ReaderTensor], names: dict[str, str], model,
                      folder: Path) -> None:  # fmt: skip
    """Write the tensors of a file as float32, with one of them in memory at a time."""
    import numpy as np
    from gguf import dequantize

    from distillkit.models.gguf_writer import in_halves

    names = dict(sorted(names.items()))
    if "lm_head.weight" in names and _alike(stored["token_embd.weight"], stored["output.weight"]):
        # Qwen's files store the shared matrix twice; the output copy has more bits
        del names["lm_head.weight"]
        names["model.embed_tokens.weight"] = "output.weight"
        model.config.tie_word_embeddings = True
    shapes = {source: list(model.get_parameter(source).shape) for source in names}

    def values() -> Iterator[np.ndarray]:
        for source, name in names.items():
            found = dequantize(stored[name].data, stored[name].tensor_type)
            if list(found.shape) != shapes[source]:
                raise ModelError(f"the GGUF file is damaged: {name} has the shape {found.shape}, "
                                 f"and {tuple(shapes[source])} is expected")  # fmt: skip
            yield np.ascontiguousarray(in_halves(found, source, model.config), np.float32)

    write_tensors(folder / WEIGHTS, "float32", shapes, values())
    model.config.architectures = [type(model).__name__]
    model.config.save_pretrained(folder)
    model.generation_config.save_pretrained(folder)


def write_tensors(
    path: Path, dtype: str, shapes: dict[str, list[int]], tensors: Iterable[np.ndarray]
) -> None:
    """Write a safetensors file of one type, with one tensor in memory at a time.

    `tensors` are the bytes of those that `shapes` names, in its order.
    Source of the format: https://huggingface.co/docs/safetensors (a head in JSON, then the bytes).
    """
    kind, size = STORED[dtype]
    head, end = {"__metadata__": {"format": "pt"}}, 0
    for name, shape in shapes.items():
        begin, end = end, end + size * prod(shape)
        head[name] = {"dtype": kind, "shape": shape, "data_offsets": [begin, end]}
    text = json.dumps(head, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for values in tensors:
            file.write(values)


def _alike(a, b, rows: int = 4096) -> bool:
    """Tell whether two stored matrices are one, rounded to different numbers of bits."""
    from gguf import dequantize

    return all(
        abs(dequantize(a.data[at : at + rows], a.tensor_type)
            - dequantize(b.data[at : at + rows], b.tensor_type)).max() < 0.05
        for at in range(0, len(a.data), rows)
    )  # fmt: skip


def stamp(folder: Path, name: str, source: str, sha256: str) -> None:
    """Write last into a folder what its model is, and the SHA-256 of the file it came from."""
    size = (folder / WEIGHTS).stat().st_size
    write_json(folder / STAMP, {"name": name, "source": source, "sha256": sha256, "bytes": size})


def stamped(folder: Path) -> Resolved:
    """Read what a converted folder is; raises ModelError if its weights are cut short."""
    found = read_json(folder / STAMP)
    weights = folder / WEIGHTS
    size = weights.stat().st_size if weights.exists() else 0
    if size != found["bytes"]:
        raise ModelError(
            f"{weights} has {size} bytes instead of {found['bytes']}: remove the folder {folder} "
            "and run the command again"
        )
    return Resolved(found["name"], folder, found["source"], found["sha256"])
