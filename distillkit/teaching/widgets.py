"""Pictures that a learner moves: a pure `draw(**params) -> (Figure, caption)` behind controls.

The picture travels as PNG bytes into `ipywidgets.Image.value`.  There is no pyplot and no
`Output` here, because JupyterLab may run a control's callback on another thread.
"""

from __future__ import annotations

import base64
import math
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from html import escape
from typing import Any

from matplotlib.figure import Figure

from distillkit import plots
from distillkit.runtime.session import data_path

VIEW = "application/vnd.jupyter.widget-view+json"
ERROR_CLASS = "distillkit-error"  # marks a failed redraw in the widget's state
SCRIPT = "application/javascript"
NAME_SLIDERS = """(() => {  // also those that are drawn later, when they are scrolled into view
  if (window.distillkitNames) return;
  const name = () => document.querySelectorAll(".widget-slider").forEach(slider => {
    const words = slider.querySelector(".widget-label")?.textContent;
    slider.querySelectorAll(".noUi-handle:not([aria-label])")
      .forEach(handle => handle.setAttribute("aria-label", words));
    const readout = slider.querySelector(".widget-readout");
    if (!readout) return;
    const choice = slider.classList.contains("distillkit-choice");  // nobody reads what is typed
    if (choice) readout.contentEditable = "false";
    readout.setAttribute("role", choice ? "status" : "textbox");
    readout.setAttribute("aria-label", words);
  });
  window.distillkitNames = new MutationObserver(name);
  window.distillkitNames.observe(document.body, {
    childList: true, subtree: true, attributeFilter: ["class"],  // a class may come later
  });
  name();
})();"""
PATIENCE = 0.5  # seconds after which an explorer says that it is working
_DRAWING = threading.RLock()  # Matplotlib is not safe for two threads at once

Draw = Callable[..., tuple[Figure, str]]


@dataclass(frozen=True)
class Shown:
    """A picture and the sentence below it, which is the picture's alternative text, too."""

    png: bytes
    caption: str

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> tuple[dict, dict]:
        return _bundle(self.png, self.caption)

    def _ipython_display_(self) -> None:
        from IPython.display import display  # only a notebook calls this

        data, metadata = self._repr_mimebundle_()
        display(data, metadata=metadata, raw=True)
        below = f"<p>{escape(self.caption, quote=False)}</p>"
        display({"text/html": below, "text/plain": self.caption}, raw=True)


_last: list[Figure] = []  # the figure that was drawn last


def numbers() -> None:
    """Print the numbers behind the picture that was drawn last, also by moving a control."""
    with _DRAWING:
        print(plots.numbers(_last[0]) if _last else "no picture was drawn yet")


def show(figure: Figure, caption: str) -> Shown:
    """Return an object that a notebook displays as the figure with its caption below."""
    with _DRAWING:
        _last[:] = [figure]
        return Shown(plots.to_png(figure, colors=128), caption)


@dataclass(frozen=True)
class Page:
    """A page of the kit's data/, shown in a notebook with all that it holds: no address, no server.

    It may run its own scripts and nothing else: it sees neither the notebook nor the network.
    """

    name: str
    height: int = 700  # pixels

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> tuple[dict, dict]:
        path = data_path(self.name)
        text = escape(path.read_text(encoding="utf-8"))
        html = (
            f'<iframe title="{escape(self.name)}" srcdoc="{text}" sandbox="allow-scripts" '
            f'style="width:100%;height:{self.height}px;border:1px solid #868c96"></iframe>'
            f"<p>The file to take along: <code>{escape(str(path))}</code></p>"
        )
        words = f"Here a run shows the page data/{self.name}; any browser opens that file, too."
        return {"text/html": html, "text/plain": words}, {}


def page(name: str, height: int = 700) -> Page:
    """Return an object that a notebook displays as the page `data/NAME`, `height` pixels high.

    Raises FileNotFoundError for a page that the kit does not have.
    """
    data_path(name)
    return Page(name, height)


class Live:
    """A picture that is drawn again while a cell runs, its caption on top: `live.add(row)`.

    `draw` gets all rows so far.  A picture takes a moment, so at most one in `every` seconds is
    made, and one for a row whose `step` is its `steps`, the last.
    """

    def __init__(self, draw: Callable[[list[dict]], tuple[Figure, str]], every: float = 2.0):
        self.draw, self.every, self.rows = draw, every, []
        self._handle, self._at = None, -math.inf

    def add(self, row: dict) -> None:
        """Take the next row and draw, unless a picture was made a moment ago."""
        self.rows.append(row)
        now = time.monotonic()
        if now - self._at < self.every and row["step"] != row["steps"]:
            return
        self._at = now
        figure, caption = self.draw(self.rows)
        figure.suptitle(caption, fontsize=10, parse_math=False)  # who waits wants to read it
        shown = show(figure, caption)
        data, metadata = shown._repr_mimebundle_()
        if self._handle is None:
            from IPython.display import display

            self._handle = display(data, metadata=metadata, raw=True, display_id=True)
        else:
            self._handle.update(data, metadata=metadata, raw=True)


class _Line:
    """A line of words that is written anew while a cell runs."""

    def __init__(self, what: str, total: int = 0):
        self.what, self.total, self.done = what, total, 0
        self._began, self._handle = time.monotonic(), None

    def _left(self) -> str:
        """Say how long the rest takes at this pace, or how long all took."""
        spent = self._spent()
        left = spent / self.done * (self.total - self.done)
        return f"about {left:.0f} s left" if left else f"{spent:.0f} s"

    def _spent(self) -> float:
        return time.monotonic() - self._began

    def _say(self, words: str) -> None:
        from IPython.display import display

        data = {"text/plain": words}
        if self._handle is None:
            self._handle = display(data, raw=True, display_id=True)
        else:
            self._handle.update(data, raw=True)


class Count(_Line):
    """A line that counts answers while a cell runs: `evaluate(..., on_done=Count("few-shot", 24))`.

    It says how many are done and how many are right; between two answers it counts tokens, and
    says how long the rest takes at this pace if the last text has as many tokens as it may.
    """

    def __init__(self, what: str, total: int):
        super().__init__(what, total)
        self.right, self._at, self._first = 0, -math.inf, None
        self._say(f"{what}: the model reads what it is asked …")

    def __call__(self, row: Mapping[str, Any]) -> None:
        """Take the next answer, a row of `evaluate`."""
        self.done, self.right = self.done + 1, self.right + row["exact"]
        if self.done == self.total:
            self._say(f"{self._answered()}; {self._spent():.0f} s")

    def step(self, tokens: int, most: int) -> None:
        """Take the number of tokens written one after the other, and how many it can become."""
        spent = self._spent()
        if self._first is None:  # the prompts are read before it, which says nothing of the pace
            self._first = tokens, spent
        if self.done < self.total and spent - self._at >= 1.0:
            self._at, words = spent, f"{self._answered()}; token {tokens} of at most {most}"
            since = tokens - self._first[0]
            if since:
                left = (spent - self._first[1]) / since * (most - tokens)
                words += f", at most {left:.0f} s left"
            self._say(words)

    def _answered(self) -> str:
        return f"{self.what}: {self.done} of {self.total} answered, {self.right} solved"


class Steps(_Line):
    """A line that counts steps while a cell trains: `distill(..., on_step=Steps("forward KL"))`."""

    def __init__(self, what: str):
        super().__init__(what)
        self._say(f"{what}: the first step …")

    def __call__(self, row: Mapping[str, Any]) -> None:
        """Take the next row of a training's log."""
        self.done, self.total = row["step"], row["steps"]  # not every step may be told
        self._say(f"{self.what}: step {row['step']} of {row['steps']}, loss {row['loss']:.3f}; "
                  + self._left())  # fmt: skip


def counted(what: str, items: Iterable, total: int | None = None) -> Iterator:
    """Yield the items while a line counts those that are done and says how long the rest takes:
    `for seed in counted("students", range(20))`; `total` is for items that have no length.
    """
    line = _Line(what, len(items) if total is None else total)
    line._say(f"{what}: 0 of {line.total} done …")
    for item in items:
        yield item
        line.done += 1
        line._say(f"{what}: {line.done} of {line.total} done; {line._left()}")


def explore(draw: Draw, *, static: Sequence[dict], **controls: Any) -> Explorer:
    """Return `draw` behind one control for each parameter, with a strip of the static settings.

    A control is (low, high, step) or (low, high, step, start) for a slider of whole numbers or
    floats, a list for a choice, a text for a text box, True or False for a check box.  A control
    without a start of its own starts where the first static setting has it.  `draw` raises
    ValueError for a setting that cannot be drawn; the learner reads its message.  Whatever goes
    wrong in the first drawing or in the strip is raised here, so that a run of the lesson sees it.
    """
    explorer = Explorer(draw, static, controls)
    if explorer.box is not None:
        _name_sliders()
    return explorer


def _name_sliders() -> None:
    """Let a screen reader say which slider it is on: ipywidgets gives their handles no name."""
    from IPython import get_ipython  # it is there where ipywidgets is

    if getattr(get_ipython(), "kernel", None) is not None:
        from IPython.display import display

        display({SCRIPT: NAME_SLIDERS, "text/plain": ""}, raw=True)


class Explorer:
    """A picture with its controls; `move` sets them from code, `error` is what went wrong last."""

    def __init__(self, draw: Draw, static: Sequence[dict], controls: dict[str, Any]) -> None:
        if not static:
            raise ValueError("static needs three or four settings, each a dict of parameters")
        unknown = {name for setting in static for name in setting} - set(controls)
        if unknown:
            raise ValueError(f"static sets {sorted(unknown)}, which no control sets")
        self.draw, self.static, self.error = draw, [dict(s) for s in static], None
        self.specs = controls
        self.start = {n: _start(n, spec, self.static[0]) for n, spec in controls.items()}
        self.params = dict(self.start)
        self.strip = self._draw_strip()
        self.controls: dict[str, Any] = {}
        self.box = self.image = self.caption = self.message = None
        self._silent = self._busy = False
        self._build()

    def _build(self) -> None:
        """Make the widgets and draw for the first time; without ipywidgets only draw."""
        try:
            import ipywidgets as w
        except ImportError:
            self.draw(**self.params)
            return
        png, words = self._png(self.params)
        self.controls = {n: _control(w, n, s, self.start[n]) for n, s in self.specs.items()}
        wide = w.Layout(max_width="100%", height="auto", align_self="flex-start")  # never enlarged
        self.image = w.Image(value=png, format="png", layout=wide)
        self.caption, self.message = w.HTML(), w.HTML()
        self._say(words)
        rows = w.Layout(display="flex", flex_flow="row wrap", grid_gap="0 1.5em")
        row = w.Box(list(self.controls.values()), layout=rows)
        self.box = w.VBox([row, self.message, self.image, self.caption])
        for control in self.controls.values():
            control.observe(self._moved, names="value")

    def _png(self, params: dict) -> tuple[bytes, str]:
        with _DRAWING:
            figure, words = self.draw(**params)
            _last[:] = [figure]
            return plots.to_png(figure), words

    def _say(self, words: str) -> None:
        self.caption.value = f'<p style="line-height:1.4">{escape(words, quote=False)}</p>'

    def _moved(self, change: Any = None) -> None:
        """Draw again; a failure becomes a line of text, because nobody sees a traceback here."""
        if self._silent:
            return
        with _DRAWING:
            for name, control in self.controls.items():
                self.params[name] = _tidy(self.specs[name], control.value)
            self.error, line = None, ""
            self._busy, wait = True, threading.Timer(PATIENCE, self._working)
            wait.start()
            try:
                png, words = self._png(self.params)
            except Exception as error:
                self.error, line = error, _error_line(error)
            finally:
                wait.cancel()
                self._busy = False
            if self.box is None:
                return
            if self.error is None:
                self.image.value = png
                self._say(words)
            self.message.value = line

    def _working(self) -> None:
        """Say that the picture below is not the one that was asked for yet."""
        if self._busy and self.message is not None:
            self.message.value = '<p role="status" style="margin:0">working …</p>'

    def move(self, **params: Any) -> Explorer:
        """Set controls from code, as a learner would with the mouse; `error` tells how it went."""
        unknown = set(params) - set(self.start)
        if unknown:
            raise ValueError(f"no control is called {sorted(unknown)}: {sorted(self.start)}")
        self._silent = True
        try:
            for name, value in params.items() if self.controls else ():
                self.controls[name].value = value
        finally:
            self._silent = False
        self.params = {**self.params, **params}
        self._moved()
        return self

    def _draw_strip(self) -> Shown:
        panels, words = [], []
        with _DRAWING:
            for setting in self.static:
                figure, caption = self.draw(**{**self.start, **setting})
                title = ", ".join(f"{_words(n)} = {v}" for n, v in setting.items())
                panels.append((figure, title, caption))
                words.append(f"{title}: {caption}")
            return Shown(plots.to_png(plots.draw_strip(panels), colors=128), "\n".join(words))

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> tuple[dict, dict]:
        data, metadata = _bundle(self.strip.png, self.strip.caption)
        if self.box is not None:
            model = {"version_major": 2, "version_minor": 0, "model_id": self.box.model_id}
            data[VIEW] = model
        return data, metadata


def _bundle(png: bytes, caption: str) -> tuple[dict, dict]:
    data = {"image/png": base64.b64encode(png).decode("ascii"), "text/plain": caption}
    return data, {"image/png": {"alt": caption}}


def _error_line(error: Exception) -> str:
    """Say what is wrong with the setting (ValueError) or that the drawing failed (the rest)."""
    if isinstance(error, ValueError):
        words = f"Not possible: {error}."
    else:
        words = f"The drawing failed: {type(error).__name__}: {error}."
    words += " The picture below is still the one before."
    style = "color:#a33c00;font-weight:bold;margin:0"
    return f'<p role="alert" class="{ERROR_CLASS}" style="{style}">⚠ {escape(words)}</p>'


def _words(name: str) -> str:
    return name.replace("_", " ")


def _start(name: str, spec: Any, first: dict) -> Any:
    """Return where a control starts; raises ValueError for a control that makes no sense."""
    if isinstance(spec, bool | str):
        return first.get(name, spec)
    if isinstance(spec, list) and first.get(name, *spec[:1]) in spec:
        return first.get(name, spec[0])
    if isinstance(spec, tuple) and len(spec) in (3, 4) and spec[0] < spec[1] and spec[2] > 0:
        start = spec[3] if len(spec) == 4 else first.get(name, spec[0])
        if spec[0] <= start <= spec[1]:
            return start if _whole(spec) else float(start)
    raise ValueError(f"control {name}={spec!r}: (low, high, step[, start]), a list, text or bool")


def _tidy(spec: Any, value: Any) -> Any:
    """Return a slider's value without the dust of binary fractions (0.30000000000000004)."""
    return round(value, _decimals(spec)) if isinstance(value, float) else value


def _decimals(spec: Any) -> int:
    """Return how many digits behind the point a slider's numbers have."""
    if not isinstance(spec, tuple):
        return 12
    return max(-min(Decimal(str(part)).normalize().as_tuple().exponent, 0) for part in spec)


def _whole(spec: tuple) -> bool:
    return all(isinstance(part, int) for part in spec)


def _control(w: Any, name: str, spec: Any, start: Any) -> Any:
    """Make the widget for one parameter; every kind works from the keyboard."""
    style = {"description_width": "initial"}
    common = {"description": _words(name), "style": style}
    if isinstance(spec, bool):
        return w.Checkbox(value=start, indent=False, **common)
    if isinstance(spec, str):
        return w.Text(value=start, continuous_update=False, **common)
    if isinstance(spec, list):
        if all(isinstance(option, str) for option in spec):
            return w.Dropdown(options=spec, value=start, **common)
        slider = w.SelectionSlider(options=spec, value=start, continuous_update=False, **common)
        slider.add_class("distillkit-choice")
        return slider
    kind, form = w.IntSlider, "d"
    if not _whole(spec):
        kind, form = w.FloatSlider, f".{max(1, _decimals(spec))}f"
    return kind(value=start, min=spec[0], max=spec[1], step=spec[2], readout_format=form,
                continuous_update=False, **common)  # fmt: skip
