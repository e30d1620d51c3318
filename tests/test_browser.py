"""A lesson in a real JupyterLab, in a real browser: Run All, then a slider moved by keyboard."""

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import nbformat
import pytest

from notebooks import build
from tests.chromium import browser, need

ROOT = Path(__file__).resolve().parent.parent
PICTURE = ROOT / "runs" / "tests" / "browser.png"  # kept for whoever wants to look
ERROR = (  # an exception, a warning, a widget that could not be shown, a drawing that failed
    ".jp-RenderedText[data-mime-type*=error], .jp-RenderedText[data-mime-type*=stderr], "
    ".jupyter-widgets-error-widget, .distillkit-error"
)

LATE_CLASS = """async () => {
  const turn = () => new Promise(resolve => setTimeout(resolve));
  const slider = document.createElement("div");
  slider.className = "widget-slider";
  slider.innerHTML = '<div class="widget-readout" contenteditable="true">1</div>';
  document.body.append(slider);
  await turn();
  slider.classList.add("distillkit-choice");
  await turn();
  const typed = slider.firstChild.isContentEditable;
  slider.remove();
  return typed;
}"""
SETTINGS = {
    "notebook-extension/tracker": {"windowingMode": "none"},  # every cell is in the page
    "apputils-extension/notification": {"fetchNews": "false"},
}


@pytest.fixture
def laboratory(tmp_path):
    """Start JupyterLab with settings of its own; return its folder and `address(path)`."""
    need("jupyterlab", "playwright")
    token, folder = secrets.token_hex(16), tmp_path / "notebooks"
    folder.mkdir()
    for name, value in SETTINGS.items():
        path = tmp_path / "settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(value))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    ours = {f"JUPYTER_{name}_DIR": str(tmp_path / name) for name in ("CONFIG", "DATA", "RUNTIME")}
    ours |= {"JUPYTERLAB_SETTINGS_DIR": str(tmp_path / "settings")}
    ours |= {"JUPYTERLAB_WORKSPACES_DIR": str(tmp_path / "work"), "IPYTHONDIR": str(tmp_path / "i")}
    ours |= {"PYTHONPATH": str(ROOT), "DISTILLKIT_FAST": "1"}
    options = {
        "ServerApp.port": port, "ServerApp.port_retries": 0, "ServerApp.ip": "127.0.0.1",
        "IdentityProvider.token": token, "ServerApp.root_dir": folder,
        "LabApp.check_for_updates_class": "jupyterlab.NeverCheckForUpdate",
    }  # fmt: skip
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"]
    with open(tmp_path / "lab.log", "w") as log:
        server = subprocess.Popen(
            [*command, *(f"--{name}={value}" for name, value in options.items())],
            env={**os.environ, **ours}, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip

    def address(path):
        return f"http://127.0.0.1:{port}/{path}?token={token}"

    try:
        wait_for(address("api/status"), server, tmp_path / "lab.log")
        yield folder, address
    finally:
        os.killpg(server.pid, signal.SIGTERM)  # the kernels, too
        server.wait(20)


def wait_for(url, server, log, seconds=90):
    """Return once the server answers; fails with its log if it stops or does not answer."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and server.poll() is None:
        try:
            urllib.request.urlopen(url, timeout=5).close()
            return
        except OSError:
            time.sleep(0.3)
    pytest.fail(f"JupyterLab does not answer:\n{log.read_text()[-2000:]}")


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="kills a group of processes as POSIX does")
def test_a_slider_moved_by_keyboard_changes_the_picture(laboratory):
    folder, address = laboratory
    masters = sorted((ROOT / "notebooks" / "src").glob("[0-9][0-9]_*.py"))
    master = next(m for m in masters if "explore(" in m.read_text(encoding="utf-8"))
    notebook = build.assemble(master, solution=False)
    first = next(at for at, cell in enumerate(notebook.cells) if "explore(" in cell.source)
    del notebook.cells[first + 1 :]  # what follows needs no browser: the lesson runs elsewhere
    nbformat.write(notebook, folder / f"{master.stem}.ipynb")
    with browser() as started:
        page = started.new_page(viewport={"width": 1280, "height": 720})
        page.set_default_timeout(180_000)
        try:
            move_a_slider(page, address(f"lab/tree/{master.stem}.ipynb"))
        finally:
            PICTURE.parent.mkdir(parents=True, exist_ok=True)
            page.screenshot(path=PICTURE)
    print(f"screenshot: {PICTURE}")


def move_a_slider(page, url):
    """Open a lesson, run all of it, move a slider by keyboard and see the picture change."""
    page.goto(url)
    page.get_by_text("| Idle").wait_for()  # cells that are run before the kernel is ready get lost
    page.locator('#jp-MainMenu .lm-MenuBar-item:has-text("Run")').click()
    page.locator('.lm-Menu-item:has-text("Run All Cells")').first.click()
    explorer = page.locator(".jp-OutputArea-output:has(.noUi-handle)").first
    explorer.wait_for()
    prompts = "[...document.querySelectorAll('.jp-CodeCell .jp-InputPrompt')]"
    page.wait_for_function(f"{prompts}.every(p => /[0-9]/.test(p.textContent))")
    assert page.locator(ERROR).all_inner_texts() == []
    for slider in explorer.locator(".widget-slider").all():
        words = slider.locator(".widget-label").inner_text()
        assert slider.get_by_role("slider", name=words, exact=True).count() == 1
        choice, typed = slider.evaluate(
            "s => [s.classList.contains('distillkit-choice'),"
            " s.querySelector('.widget-readout').isContentEditable]"
        )
        assert typed is not choice, "a value is typed exactly where it is read"
    assert page.evaluate(LATE_CLASS) is False, (
        "ipywidgets may set a slider's class after drawing it"
    )
    picture = explorer.locator("img.widget-image").first
    handle = explorer.locator(".noUi-handle").first
    picture.scroll_into_view_if_needed()
    assert picture.evaluate("image => image.clientWidth <= image.naturalWidth"), "enlarged: blurred"
    before, seen = picture.get_attribute("src"), picture.screenshot()
    value = handle.get_attribute("aria-valuenow")
    handle.focus()
    page.keyboard.press("ArrowRight")
    changed = "([image, src]) => image.src !== src && image.complete && image.naturalWidth > 0"
    page.wait_for_function(changed, arg=[picture.element_handle(), before])
    assert handle.get_attribute("aria-valuenow") != value
    assert picture.screenshot() != seen, "another file, but the same picture"
    assert page.locator(ERROR).all_inner_texts() == []
