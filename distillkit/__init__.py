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
    "start": "runtime.session",
    "start_lesson": "teaching.lesson",
    "make_problem": "problems.equations",
    "make_problems": "problems.equations",
    "FAMILIES": "problems.equations",
    "NARROW": "problems.equations",
    "OUT_OF_DISTRIBUTION": "problems.equations",
    "TEMPLATES": "traces.templates",
    "SHOTS": "traces.templates",
    "extract": "problems.answers",
    "same_value": "problems.answers",
    "load": "models.loading",
    "sample": "generation.sampler",
    "teacher": "traces.teachers",
    "RULES": "traces.filters",
    "reject": "traces.filters",
    "choose": "traces.filters",
    "to_traces": "traces.filters",
    "pass_at_k": "traces.filters",
    "mix": "traces.filters",
    "lora": "training.lora",
    "TrainingConfig": "training.loop",
    "distill": "training.loop",
    "Stream": "training.packing",
    "Match": "training.objectives",
    "forward_kl": "training.losses",
    "reverse_kl": "training.losses",
    "jsd": "training.losses",
    "evaluate": "evaluation.scoring",
    "summary": "evaluation.scoring",
    "progress": "teaching.exercise",
}
__all__ = list(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'distillkit' has no attribute {name!r}")
    return getattr(import_module(f"distillkit.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME])
