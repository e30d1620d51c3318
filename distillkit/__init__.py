"""distillkit: learn LLM distillation by doing it on the machine you have.

The names below are loaded when they are first used, so that `import distillkit` is quick.
"""

from __future__ import annotations

import logging
from importlib import import_module
from typing import Any

__version__ = "0.1.0"
logging.getLogger("bitsandbytes").setLevel(logging.ERROR)  # it warns of kernels on a hub, unused

_HOME = {  # public name -> the module it lives in
    "start": "session",
    "start_lesson": "lessons",
    "make_problem": "equations",
    "make_problems": "equations",
    "FAMILIES": "equations",
    "NARROW": "equations",
    "OUT_OF_DISTRIBUTION": "equations",
    "TEMPLATES": "templates",
    "SHOTS": "templates",
    "extract": "answers",
    "same_value": "answers",
    "load": "models",
    "sample": "sampling",
    "teacher": "teachers",
    "RULES": "filters",
    "reject": "filters",
    "choose": "filters",
    "to_traces": "filters",
    "pass_at_k": "filters",
    "mix": "filters",
    "lora": "training",
    "TrainingConfig": "training",
    "distill": "training",
    "Stream": "packing",
    "Match": "objectives",
    "forward_kl": "losses",
    "reverse_kl": "losses",
    "jsd": "losses",
    "evaluate": "evaluation",
    "summary": "evaluation",
}
__all__ = list(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'distillkit' has no attribute {name!r}")
    return getattr(import_module(f"distillkit.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME])
