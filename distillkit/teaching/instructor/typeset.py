"""Markdown and formulas as HTML that needs no network, and the frame of a page.

A formula becomes an SVG picture by Matplotlib's own TeX, in the colour of the text around it, with
the TeX as its alternative text.
"""

from __future__ import annotations

import re
from functools import cache
from html import escape
from pathlib import Path

from distillkit.runtime.files import write_atomic

MARK = "<!-- written by distillkit instructor -->"
KEPT = re.compile(  # what Markdown must not see: code stays code, formulas become pictures
    r"(?P<code>^```.*?^```|`[^`\n]+`|^ {4}\S.*?$)"
    r"|\$\$(?P<display>.+?)\$\$|\$(?P<inline>[^$\s](?:[^$]*[^$\s])?)\$",
    re.S | re.M,
)
LACKED = {r"\\tfrac(?![a-z])": r"\\frac", r"\\[bB]ig(?![a-z])": ""}  # TeX -> what Matplotlib has
UNITS = 100  # of a drawing, in one em
STYLE = """:root{color-scheme:light dark;--ink:#1d2127;--paper:#fff;--soft:#f2f4f7;--line:#868c96;
--mark:#0b5394}
@media(prefers-color-scheme:dark){:root{--ink:#e4e7eb;--paper:#16191d;--soft:#22262c;
--mark:#8fc1ff}}
*{box-sizing:border-box}
body{font:1rem/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper);margin:0}
a{color:var(--mark)}code,pre{font-family:ui-monospace,Menlo,Consolas,"DejaVu Sans Mono",monospace}
code{font-size:.92em}pre{background:var(--soft);padding:.6em .8em;overflow-x:auto;line-height:1.35;
font-size:.85em;border-radius:.3em}pre code{font-size:1em}
table{border-collapse:collapse}th,td{text-align:left;vertical-align:top;padding:.3em .7em;
border-bottom:1px solid var(--line)}th{border-bottom-width:2px}
td p,li p{margin:0}small{display:block;font-size:.8em;line-height:1.35}
.n{text-align:right;font-variant-numeric:tabular-nums}
.kept{white-space:nowrap}.tex{vertical-align:middle;max-width:100%;height:auto}
.display{display:block;margin:.7em 0;overflow-x:auto}
"""
SHEET = """body{max-width:54rem;margin:0 auto;padding:1.5rem 1rem 4rem}
.wide{overflow-x:auto}h2{margin-top:2.5em;border-top:2px solid var(--line);padding-top:.6em}
h3{margin-top:2em}summary{cursor:pointer}
@media print{:root{color-scheme:light;--ink:#000;--paper:#fff;--soft:#f2f4f7;--mark:#000}
body{font-size:10pt;max-width:none;padding:0}@page{size:A4;margin:16mm}
h2{break-before:page;border:0}h2,h3{break-after:avoid}tr,li,pre{break-inside:avoid}
pre{white-space:pre-wrap}.wide,.display{overflow:visible}}
"""


def html(text: str) -> str:
    """Set Markdown, with tables and formulas, as HTML.

    Raises ImportError that says what to do without mistune, ValueError for a formula that
    Matplotlib cannot set.
    """
    kept: list[str] = []

    def keep(found: re.Match) -> str:
        if found["code"]:
            return found["code"]
        display = found["display"] is not None
        kept.append(formula(found["display"] or found["inline"], display))
        return f"\ue000{len(kept) - 1}\ue001"

    def whole(found: re.Match) -> str:  # no line ends between a formula and its comma
        drawn = kept[int(found[1])]
        return f'<span class="kept">{drawn}{found[2]}</span>' if found[2] else drawn

    made = _markdown()(KEPT.sub(keep, text))
    return re.sub("\ue000(\\d+)\ue001([,.;:)?!]*)", whole, made)


@cache
def _markdown():
    try:
        import mistune
    except ImportError as error:  # it comes with JupyterLab
        raise ImportError('the pages need mistune: pip install "distillkit[lab]"') from error
    return mistune.create_markdown(escape=False, plugins=["table"])


@cache
def formula(tex: str, display: bool = False) -> str:
    """Draw a formula in TeX as inline SVG; raises ValueError for TeX that Matplotlib lacks."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.path import Path as Outline
    from matplotlib.textpath import text_to_path

    words = " ".join(tex.split())
    words = words.replace(r"\frac", r"\dfrac") if display else words
    for lacked, known in LACKED.items():
        words = re.sub(lacked, known, words)
    font = FontProperties(size=UNITS, math_fontfamily="stix")
    points, codes = text_to_path.get_text_path(font, f"${words}$", ismath=True)
    wide, high, deep = text_to_path.get_text_width_height_descent(f"${words}$", font, True)
    letters = {Outline.MOVETO: "M", Outline.LINETO: "L", Outline.CURVE3: "Q", Outline.CURVE4: "C"}
    drawn = [
        letters[code] + " ".join(f"{value:.0f}" for value in at) if code in letters else "Z"
        for at, code in Outline(points, codes).iter_segments(simplify=False)
    ]
    up, below = high - deep + 5, deep + 5  # a little air: a hair may stand out
    svg = (
        f'<svg class="tex" role="img" aria-label="{escape(words)}" '
        f'viewBox="0 {-up:.0f} {wide:.0f} {up + below:.0f}" '
        f'style="width:{wide / UNITS:.2f}em;vertical-align:{-below / UNITS:.2f}em">'
        f'<path fill="currentColor" transform="scale(1 -1)" d="{"".join(drawn)}"/></svg>'
    )
    return f'<span class="display">{svg}</span>' if display else svg


def page(title: str, body: str, style: str = SHEET, script: str = "") -> str:
    """Return a whole page that asks for no other file."""
    code = f"<script>{script}</script>" if script else ""
    return f"""<!DOCTYPE html>
{MARK}
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1">
<title>{escape(title)}</title><style>{STYLE}{style}</style></head>
<body>{body}{code}</body></html>
"""


def table(heads: list[str], rows: list[list[str]], name: str, numbers: tuple[int, ...] = ()) -> str:
    """Return an HTML table of cells that are HTML already; `numbers` are columns set right."""

    def cells(row: list[str], tag: str) -> str:
        more = ' scope="col"' if tag == "th" else ""
        kinds = [' class="n"' if at in numbers else "" for at in range(len(row))]
        return "".join(f"<{tag}{more}{k}>{cell}</{tag}>" for k, cell in zip(kinds, row))

    body = "\n".join(f"<tr>{cells(row, 'td')}</tr>" for row in rows)
    return (
        f'<div class="wide" role="group" tabindex="0" aria-label="{escape(name)}"><table>'
        f"<thead><tr>{cells(heads, 'th')}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def write_page(path: Path, text: str) -> Path:
    """Write a page; raises FileExistsError if the path holds anything but an earlier such page."""
    if path.exists() and MARK not in path.read_text(encoding="utf-8", errors="replace")[:200]:
        raise FileExistsError(f"{path} exists and is kept: choose another folder with --to")
    return write_atomic(path, text)
