"""Exercise checks: `soft_loss = checks.soft_loss(soft_loss)` in a lesson.

Every module in this folder is a concept; its exercises are found by name when first used.
"""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

from distillkit.checks.core import Exercise, Mistake, progress

__all__ = ["Exercise", "Mistake", "exercises", "progress"]


def exercises() -> dict[str, Exercise]:
    """Return every exercise of the kit by name; raises ValueError if two have the same name."""
    found: dict[str, Exercise] = {}
    for module in sorted(info.name for info in iter_modules(__path__)):
        for value in vars(import_module(f"{__name__}.{module}")).values():
            if isinstance(value, Exercise) and found.setdefault(value.name, value) is not value:
                raise ValueError(f"two exercises are called {value.name!r}")
    return found


def __getattr__(name: str) -> Exercise:
    if not name.startswith("_") and name in (found := exercises()):
        return found[name]
    raise AttributeError(f"module 'distillkit.checks' has no exercise {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *exercises()])
