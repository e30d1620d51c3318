"""Run an attempt: for a limited time, with seeds, without its printing, and with the gradient of
its result."""

from __future__ import annotations

import ctypes
import inspect
import io
import linecache
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, replace
from typing import Any


class Endless(BaseException):
    """An attempt ran for too long and was stopped; no `except Exception` in it can catch this."""


STOPPED = (Exception, KeyboardInterrupt, SystemExit, Endless)  # what an attempt may raise


@dataclass
class Trial:
    """What a function did with one probe."""

    value: Any = None
    error: BaseException | None = None
    arguments: tuple = ()  # afterwards, to see whether they were changed
    gradients: list | None = None  # of the arguments asked for; None: not asked for
    gradient_error: BaseException | None = None
    printed: str = ""
    yielded: bool = False  # the value is the list of what a generator gave
    seconds: float = 0.0


@contextmanager
def _same_state() -> Iterator[None]:
    """Seed the generators for one run; put them back afterwards, and whether torch has gradients.

    A run that is stopped may not get to the end of its `with torch.no_grad()`.
    """
    import numpy
    import torch

    state, numbers, grad = random.getstate(), numpy.random.get_state(), torch.is_grad_enabled()
    with torch.random.fork_rng(devices=[]):
        random.seed(0)
        numpy.random.seed(0)
        torch.default_generator.manual_seed(0)  # torch.manual_seed takes 1,000 times as long
        try:
            yield
        finally:
            random.setstate(state)
            numpy.random.set_state(numbers)
            torch.set_grad_enabled(grad)


@contextmanager
def _at_most(seconds: float) -> Iterator[None]:
    """Raise Endless in this thread after so many seconds, and again each second while it goes on.

    A loop in Python is stopped; one long call into C ends first.
    """
    thread, over = ctypes.c_ulong(threading.get_ident()), threading.Event()
    lock, throw = threading.Lock(), ctypes.pythonapi.PyThreadState_SetAsyncExc

    def watch() -> None:
        wait = seconds
        while not over.wait(wait):
            with lock:
                if not over.is_set():
                    throw(thread, ctypes.py_object(Endless))
            wait = 1.0

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        with lock:
            throw(thread, None)  # what was thrown and has not arrived yet


def run_once(function: Callable, arguments: tuple, seconds: float) -> Trial:
    """Call the function and return what happened; what it raises or prints is kept.

    A generator is run to its end: its value is the list of what it yields.  After `seconds` it is
    stopped: the error is then Endless.
    """
    done, printed, began = Trial(arguments=arguments), io.StringIO(), time.perf_counter()
    try:
        with _same_state(), redirect_stdout(printed), _at_most(seconds):
            done.value = function(*arguments)
            done.yielded = inspect.isgenerator(done.value)
            if done.yielded:
                done.value = list(done.value)
    except STOPPED as error:
        done.error = error
    done.printed, done.seconds = printed.getvalue(), time.perf_counter() - began
    return done


def with_gradients(
    done: Trial, function: Callable, arguments: tuple, traced: tuple, seconds: float
) -> Trial:
    """Add the gradients of a weighted sum of the result; no gradient counts as zeros.

    That of a module is the gradient of its only weight.
    """
    import torch

    given = [value.clone() if isinstance(value, torch.Tensor) else value for value in arguments]
    leaves = [_leaf(given[at]).requires_grad_() for at in traced]
    zeros = [torch.zeros_like(leaf) for leaf in leaves]
    with torch.enable_grad():
        again = run_once(function, tuple(given), seconds)
        done = replace(done, gradients=zeros, seconds=done.seconds + again.seconds,
                       gradient_error=again.error)  # fmt: skip
        parts = again.value if isinstance(again.value, list | tuple) else [again.value]
        parts = [p for p in parts if isinstance(p, torch.Tensor) and p.requires_grad]
        if not parts:
            return done
        try:
            total = sum((part * _weights(part)).sum() for part in parts)
            found = torch.autograd.grad(total, leaves, allow_unused=True)
        except RuntimeError as error:
            return replace(done, gradient_error=error)
    gradients = [z if g is None else g for z, g in zip(zeros, found, strict=True)]
    return replace(done, gradients=gradients)


def _leaf(value: Any) -> Any:
    """Return what the gradient is taken of: a tensor itself, or the only weight of a module."""
    import torch

    return next(value.parameters()) if isinstance(value, torch.nn.Module) else value


def _weights(part: Any) -> Any:
    """Return 1, 2, 3, … in the shape of a tensor: each of its numbers counts differently."""
    import torch

    return torch.arange(1, part.numel() + 1).reshape(part.shape).to(part.dtype)


def one_line(error: BaseException, function: Callable | None = None) -> str:
    """Return "Type: message (at: the line of the function)" of an exception, in one line."""
    words = " ".join(f"{type(error).__name__}: {error}".split())
    words = words if len(words) <= 200 else words[:199] + "…"
    code = getattr(function, "__code__", None)
    step, line = error.__traceback__, None
    while code is not None and step is not None:
        if step.tb_frame.f_code.co_filename == code.co_filename:
            line = step.tb_lineno
        step = step.tb_next
    text = linecache.getline(code.co_filename, line).strip() if line else ""
    return f"{words} (at: {text})" if text else words
