"""An exported file, read by others: by transformers, and by llama.cpp where it is installed."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import torch
from gguf import GGUFReader
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers import modeling_gguf_pytorch_utils as reader

from distillkit.models.chats import Message
from distillkit.models.gguf import parsed_once
from distillkit.runtime.session import quiet

WHY = ("xllamacpp is not installed (pip install xllamacpp): with it this cell would ask the file "
       "in llama.cpp, the program that most people will run it in")  # fmt: skip


@lru_cache(maxsize=1)
def opened(path: Path) -> GGUFReader:
    """Return a GGUF file's reader, kept: it takes some ten seconds to parse the vocabulary."""
    return GGUFReader(path)


def read_back(path: Path) -> tuple[AutoModelForCausalLM, AutoTokenizer]:
    """Return model (in float32) and tokenizer as transformers reads them from a GGUF file."""
    bar, reader.tqdm = reader.tqdm, lambda tensors, **_: tensors  # `quiet` does not reach this one
    try:
        with quiet(), parsed_once(opened(path), path) as where:
            model = AutoModelForCausalLM.from_pretrained(**where, dtype=torch.float32)
            return model.eval(), AutoTokenizer.from_pretrained(**where)
    finally:
        reader.tqdm = bar


def served(path: Path, chats: Sequence[Sequence[Message]], limit: int = 128) -> list[str]:
    """Return llama.cpp's greedy answers to chats, [] (and says why) without `xllamacpp`."""
    if not importlib.util.find_spec("xllamacpp"):
        print(WHY)
        return []
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path, params.n_ctx = str(path), 2048
    params.cpuparams.n_threads, params.verbosity = torch.get_num_threads(), 0
    server = xllamacpp.Server(params)
    asked = {"temperature": 0, "max_tokens": limit}
    replies = [server.handle_chat_completions({"messages": [*chat], **asked}) for chat in chats]
    return [reply["choices"][0]["message"]["content"] for reply in replies]
