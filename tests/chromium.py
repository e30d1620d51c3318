"""Chromium for the tests that look at pages as a person does; they are left out without it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
REQUIRED = os.environ.get("DISTILLKIT_REQUIRE_BROWSER", "") not in ("", "0")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]


def need(*modules: str) -> None:
    """Skip the test, or fail where a browser is asked for, if Chromium or a module is missing."""
    lacking = [m for m in modules if find_spec(m) is None] + ([] if CHROMIUM else ["chromium"])
    if lacking:
        words = f"the browser test was left out, because this machine lacks {', '.join(lacking)}"
        (pytest.fail if REQUIRED else pytest.skip)(words)


@contextmanager
def browser() -> Iterator[Any]:
    """Start Chromium without a window."""
    need("playwright")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        started = play.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        try:
            yield started
        finally:
            started.close()


@contextmanager
def offline(started: Any, path: Path, query: str = "", **how: Any) -> Iterator[Any]:
    """Open a file in a browser without a network; fails if it says or asks for anything.

    `how` are the words of Playwright's `new_context`, such as `viewport`.
    """
    context = started.new_context(offline=True, **how)
    page, said, asked = context.new_page(), [], []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(address := path.as_uri() + query)
    yield page
    context.close()
    assert said == [] and asked == [address]


def accessibility_faults(page: Any, where: str | None = None) -> list[str]:
    """List what axe-core finds wrong: the rule, and the places that break it; in the whole page,
    or in the parts that a CSS selector names."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page, context=where).response["violations"]
    return [f"{rule['id']}: {node['html'][:200]}" for rule in found for node in rule["nodes"]]
