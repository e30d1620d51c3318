"""GGUF to safetensors, once: exact float32 weights, embedding and output tied, in the cache."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from distillkit.models.downloads import ModelError, explained, need_space, one_at_a_time
from distillkit.runtime.files import read_json, whole_folder, write_json
from distillkit.runtime.session import cache_dir, quiet

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
                weights = folder / "model.safetensors"
                write_json(folder / STAMP, {"name": name, "source": source, "sha256": sha256,
                                            "bytes": weights.stat().st_size})  # fmt: skip
        except OSError as error:
            raise explained(error, target) from error
    return stamped(target)


def _write_float32(gguf: Path, folder: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(
        gguf.parent, gguf_file=gguf.name, dtype=torch.float32
    )
    tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    if not model.config.tie_word_embeddings:
        # Qwen's files store the shared matrix twice; the output copy has more bits
        embedding, output = model.get_input_embeddings(), model.get_output_embeddings()
        if (embedding.weight - output.weight).abs().max() < 0.05:
            embedding.weight.data.copy_(output.weight.data)
            model.config.tie_word_embeddings = True
            model.tie_weights()
    del model.config.quantization_config
    model.hf_quantizer = None  # the weights are plain float32 now
    model.save_pretrained(folder, max_shard_size="1000GB")
    tokenizer.save_pretrained(folder)


def stamped(folder: Path) -> Resolved:
    """Read what a converted folder is; raises ModelError if its weights are cut short."""
    stamp = read_json(folder / STAMP)
    weights = folder / "model.safetensors"
    size = weights.stat().st_size if weights.exists() else 0
    if size != stamp["bytes"]:
        raise ModelError(
            f"{weights} has {size} bytes instead of {stamp['bytes']}: remove the folder {folder} "
            "and run the command again"
        )
    return Resolved(stamp["name"], folder, stamp["source"], stamp["sha256"])
