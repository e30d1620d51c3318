"""Shared fixtures: a tiny random chat model that needs no download, and a real small one.

Properties are tried on 30 examples; `python3 kit.py test --hypothesis-profile=long` tries 2,000.
"""

from __future__ import annotations

import copy
import os
import signal
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import settings

settings.register_profile("kit", deadline=None, max_examples=30)  # a busy machine is not a failure
settings.register_profile("long", deadline=None, max_examples=2000)
settings.load_profile("kit")

os.environ["DISTILLKIT_PROGRESS"] = ""  # tests solve no exercise in the name of a person

# A suite started in the background inherits "ignore Ctrl-C", and so would its children.
signal.signal(signal.SIGINT, signal.default_int_handler)

CHATML = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}"
    "<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


@dataclass
class Tiny:
    """A model and its tokenizer, as `distillkit.models.loading.load` gives them."""

    model: Any
    tokenizer: Any


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Whatever uses the real model is `real`, for `-m "not real"`, and comes last.

    Meanwhile another process of tests may fetch the model.
    """
    for item in items:
        if "smollm" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.real)
    items.sort(key=lambda item: item.get_closest_marker("real") is not None)


def byte_tokenizer():
    """Build a tokenizer with one token a byte and the three special tokens of ChatML."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    core = Tokenizer(models.BPE(vocab={char: i for i, char in enumerate(alphabet)}, merges=[]))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    core.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=core,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        additional_special_tokens=["<|im_start|>"],
    )
    tokenizer.chat_template = CHATML
    return tokenizer


def merging_tokenizer():
    """Build the same with five merges, and with words parted as GPT-2 does."""
    import json

    from tokenizers import Tokenizer

    tokenizer = byte_tokenizer()
    state = json.loads(tokenizer.backend_tokenizer.to_str())
    merges = [("t", "h"), ("th", "e"), ("Ġ", "t"), ("Ġ", "the"), ("e", "r")]
    for token in state["added_tokens"]:
        token["id"] += len(merges)
    state["model"]["vocab"] |= {a + b: 256 + at for at, (a, b) in enumerate(merges)}
    state["model"]["merges"] = merges
    state["pre_tokenizer"]["use_regex"] = True
    tokenizer._tokenizer = Tokenizer.from_str(json.dumps(state))
    return tokenizer


def tiny_model(kind: str, tokenizer, **options):
    """Build a random model of two layers with grouped heads; `kind` is "Qwen2" or "Llama"."""
    import torch
    import transformers

    settings = {"Gemma3": "Gemma3TextConfig"}.get(kind, f"{kind}Config")
    usual = dict(
        vocab_size=len(tokenizer), hidden_size=32, intermediate_size=64, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=1024,
        initializer_range=0.4, bos_token_id=None, eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id, tie_word_embeddings=True,
    )  # fmt: skip
    config = getattr(transformers, settings)(**usual | options)
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return getattr(transformers, f"{kind}ForCausalLM")(config).eval()


@pytest.fixture(scope="session")
def forked_kernels():
    """Start Jupyter's kernels with the long imports done."""
    from tests import forked

    with forked.kernels():
        yield


@pytest.fixture(scope="session")
def tiny():
    """A tiny random Qwen2, float32: read it, do not change it."""
    tokenizer = byte_tokenizer()
    return Tiny(tiny_model("Qwen2", tokenizer), tokenizer)


@pytest.fixture(scope="session")
def tiny_llama(tiny):
    """The same with Llama's architecture."""
    return Tiny(tiny_model("Llama", tiny.tokenizer), tiny.tokenizer)


@pytest.fixture
def fresh_tiny(tiny):
    """A copy of `tiny` that a test may train."""
    return Tiny(copy.deepcopy(tiny.model), tiny.tokenizer)


@pytest.fixture(scope="session")
def tiny_folder(tiny, tmp_path_factory):
    """The tiny model as a safetensors folder that `distillkit.models.loading.load` accepts."""
    folder = tmp_path_factory.mktemp("tiny") / "model"
    tiny.model.save_pretrained(folder)
    tiny.tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def smollm():
    """The real SmolLM2-135M-Instruct: about 93 MB once, then from the kit's cache."""
    from distillkit.models import loading

    return loading.load("smollm2-135m-instruct")


@pytest.fixture(scope="session")
def mutant():
    """Return `change(module, old, new)`: the module anew, with one piece of its source replaced.

    A check that a wrong version passes too checks nothing, so the checks are tried on mutants.
    """
    import inspect
    import types

    def change(module, old, new):
        source = inspect.getsource(module)
        assert old in source, f"{old!r} is no longer in {module.__name__}: choose another mutant"
        changed = types.ModuleType(module.__name__)
        exec(compile(source.replace(old, new), f"mutant of {module.__name__}", "exec"),
             changed.__dict__)  # fmt: skip
        return changed

    return change
