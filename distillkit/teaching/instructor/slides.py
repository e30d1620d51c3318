"""A lesson as slides: one page that needs no network, shown by any browser, printed one a sheet.

A section whose text fits on one slide is shown whole.  Of a longer one stand on slides: the first
sentences of each paragraph, those with something in **bold** and the questions in *italics*, all
lists, tables and formulas, and each picture.  The whole text is in the notes of the section's first
slide.  Solutions are nowhere.
"""

from __future__ import annotations

import base64
import math
import re
import struct
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, field
from html import escape

from distillkit.teaching.instructor.sections import (
    CHECKED,
    HELP,
    QUESTION,
    Code,
    Figure,
    Section,
    Taught,
)
from distillkit.teaching.instructor.typeset import html, page

ROOM = 11.5  # lines of text on a slide
PICTURE = 8.5  # of them for a picture: a question may stand above it
WIDTH = 72  # characters in a line
TITLE = 2.5  # lines that the first slide's large heading takes
HEADING = 42  # characters in a line of a heading
WHOLE = re.compile("(?i)predict|guess|exercise")  # sections whose text is never cut short
SHOWN = re.compile("Experiment|Look back")  # sections whose printed results are shown
FIRST = 3  # sentences of a paragraph that are kept where not all of it is
SHORT = 40  # characters: a sentence like "**Not shown.**" says nothing without the next one
TALL = 1.0  # height over width of a picture that a slide cannot show
SKIPPED = re.compile(r"\*\*(Time|Hardware|How to use)|\*Sources")
SENTENCE = re.compile(r"([.?!][*\"”)]*)\s+(?=[*“\"(]*[A-Z`$])")
EMPHASIS = re.compile(r"\*\*[^*]+\*\*|\*[^*]+\*")
QUOTED = re.compile(r"```.*?```|`[^`]+`", re.S)
LISTED = re.compile(r"- |\d+\. ")
BLANK = "\ue002"  # a blank inside of emphasis: no sentence ends there
PRINTED = 14  # lines of a printed table that is shown
COLUMNS = {74: "", 96: "fine"}  # characters in a printed line -> the class of its size


@dataclass
class Slide:
    """A heading, HTML below it, and what the instructor reads."""

    heading: str
    body: list[str] = field(default_factory=list)
    lines: float = 0.0
    notes: str = ""


def sentences(paragraph: str) -> list[str]:
    """Cut a paragraph of Markdown into sentences; emphasised words stay together."""
    text = " ".join(paragraph.split())
    text = EMPHASIS.sub(lambda found: found[0].replace(" ", BLANK), text)
    return [part.replace(BLANK, " ") for part in SENTENCE.sub(r"\1\n", text).split("\n")]


def asked_in(text: str) -> list[str]:
    """Return the questions in italics of a Markdown text: what to ask at an explorer."""
    spans = re.findall(r"(?<![*\w])\*([^*]+\?)\*(?![*\w])", QUOTED.sub("", text))
    return [" ".join(span.split()) for span in spans if len(span.split()) > 3]


def gist(paragraph: str) -> str:
    """Return the sentences of a paragraph that a slide shows."""
    kept, before = [], False
    for at, sentence in enumerate(sentences(paragraph)):
        strong = any(len(span.split()) > 3 or span.startswith("**")
                     for span in EMPHASIS.findall(sentence))  # fmt: skip
        if strong or at < FIRST or before:
            kept.append(sentence)
        before = strong and len(sentence) < SHORT
    return " ".join(kept)


def blocks(text: str) -> list[str]:
    """Cut Markdown into paragraphs, lists, tables, formulas and code."""
    found: list[str] = []
    for part in re.split(r"(```.*?```|\$\$.*?\$\$)", text, flags=re.S):
        if part.startswith(("```", "$$")):
            found.append(part)
            continue
        for chunk in re.split(r"\n\s*\n", part):
            lines, kind = [], ""
            for line in filter(str.strip, chunk.split("\n")):
                now = _kind(line, kind)
                if lines and now != kind:
                    found.append("\n".join(lines))
                    lines = []
                kind = now
                lines.append(line)
            if lines:
                found.append("\n".join(lines))
    return found


def _kind(line: str, before: str) -> str:
    if LISTED.match(line) or (before == "list" and line.startswith("  ")):
        return "list"
    return "table" if line.startswith("|") else "code" if line.startswith("    ") else "text"


def _shortened(block: str, whole: bool) -> str:
    """Return what a slide shows of a block, "" if nothing."""
    if SKIPPED.match(block):
        return ""
    if whole or block.startswith(("```", "$$", "|", "    ")):
        return block
    if LISTED.match(block):
        items = re.split(r"\n(?=- |\d+\. )", block)
        return "\n".join(sentences(item)[0] for item in items)
    return gist(block)


def _joined(found: list[str]) -> list[list[str]]:
    """Put what announces a list, a table or a formula onto the same slide with it."""
    groups: list[list[str]] = []
    for at, block in enumerate(found):
        before = found[at - 1] if at else ""
        announced = before.endswith((":", "**")) and not LISTED.match(before)
        room = ROOM + bool(LISTED.match(block))  # the lines of a list are seldom full
        if groups and announced and sum(map(_lines, [*groups[-1], block])) <= room:
            groups[-1].append(block)
        else:
            groups.append([block])
    return groups


def _lines(block: str) -> float:
    """Return about how many lines of a slide a block of Markdown takes."""
    if block.startswith("$$"):
        return 3.4 if "frac" in block else 2.6
    if block.startswith(("```", "    ")):
        return 0.9 * len(block.splitlines()) + 1
    if block.startswith("|"):
        rows = [row.strip("|").split("|") for row in block.splitlines()]
        wide = WIDTH / len(rows[0])  # about: a browser gives long columns more
        high = [max(math.ceil(len(cell) / wide) for cell in row) for row in rows[2:]]
        return sum(high) + 0.4 * len(high) + 2.2
    if LISTED.match(block):
        items = re.split(r"\n(?=- |\d+\. )", block)
        return sum(math.ceil(len(item) / WIDTH) + 0.1 for item in items) + 0.7
    return math.ceil(len(block) / WIDTH) + 0.7


def _split(block: str) -> list[str]:
    """Cut a list, a paragraph or a table that is too long for a slide."""
    if _lines(block) <= ROOM or block.startswith(("```", "$$", "    ")):
        return [block]
    head, glue = "", "\n"
    if block.startswith("|"):
        *heads, rest = block.split("\n", 2)
        head, pieces = "\n".join([*heads, ""]), rest.split("\n")
    elif LISTED.match(block):
        pieces = re.split(r"\n(?=- |\d+\. )", block)
    else:
        glue, pieces = " ", sentences(block)
    found: list[list[str]] = [[]]
    for piece in pieces:
        if found[-1] and _lines(head + glue.join([*found[-1], piece])) > ROOM:
            found.append([])
        found[-1].append(piece)
    return [head + glue.join(part) for part in found]


def slides_of(section: Section) -> list[Slide]:
    """Return the slides of a section, none if it shows nothing; its first one has the notes."""
    taken = 1.3 * (len(section.heading) // HEADING) + (TITLE if section.level == 1 else 0)
    made = [Slide(section.heading, lines=taken)]
    for body, lines in _pieces(section):
        if made[-1].body and made[-1].lines + lines > ROOM:
            made.append(Slide(section.heading, lines=taken))
        made[-1].body.append(body)
        made[-1].lines += lines
    made[0].notes = f"<p>Minutes: {section.minutes}</p>{html(section.text)}"
    return made if made[0].body else []


def _pieces(section: Section) -> Iterator[tuple[str, float]]:
    """Yield what the slides of a section show, in HTML, each with the lines that it takes."""
    if section.tasks:
        names = ", ".join(f'<code>checks.hint("{task.exercise}")</code>' for task in section.tasks)
        minutes = sum(task.minutes for task in section.tasks)
        yield f'<p class="task">{minutes} minutes. Stuck? {names}</p>', 1.8
    fits = sum(_lines(block) for block in blocks(section.text)) <= ROOM
    whole = fits or section.level == 1 or bool(WHOLE.search(section.heading))
    for part in section.parts:
        if isinstance(part, Code):
            yield from _pieces_of_code(part, section)
            continue
        found = [_shortened(b, whole) for b in blocks(HELP.sub("", QUESTION.sub("", part)))]
        pieces = [piece for block in filter(None, found) for piece in _split(block)]
        for group in _joined(pieces):
            yield "".join(map(html, group)), sum(map(_lines, group))
    for asked, answer in section.questions:
        words = html(asked).strip().removeprefix("<p>").removesuffix("</p>")
        folded = f"<details><summary>{words}</summary>{html(answer)}</details>"
        yield folded, 1.5 + _lines(asked) + _lines(answer)


def _pieces_of_code(cell: Code, section: Section) -> Iterator[tuple[str, float]]:
    """Yield an exercise's stub, a table that an experiment printed, and the pictures.

    A picture takes most of a slide.
    """
    texts = []
    if section.tasks and CHECKED.search(cell.source):
        texts.append(CHECKED.split(cell.source)[0].strip())
    if SHOWN.match(section.heading) and cell.printed.count("\n") <= PRINTED:
        texts.append(cell.printed.strip("\n"))
    for text in filter(None, texts):
        longest = max(map(len, text.split("\n")))
        width = next((width for width in COLUMNS if longest <= width), max(COLUMNS))
        lines = [part for line in text.split("\n")
                 for part in textwrap.wrap(line, width, subsequent_indent="  ",
                                           drop_whitespace=False) or [""]]  # fmt: skip
        size = COLUMNS[width]
        taken = (0.6 if size else 0.77) * len(lines) + 1
        if taken <= ROOM:
            body = escape("\n".join(lines))
            yield f'<pre tabindex="0" class="{size}">{body}</pre>', taken
    for figure in cell.figures:
        yield _picture(figure), PICTURE


def height_over_width(figure: Figure) -> float:
    """Return the shape of a picture, from the head of its PNG."""
    wide, high = struct.unpack(">II", base64.b64decode(figure.png[:32])[16:24])
    return high / wide


def _picture(figure: Figure) -> str:
    """Return a picture; what is below it in the lesson is below it here, if it is short."""
    if height_over_width(figure) > TALL:
        return "<p>(A picture that is too tall for a slide: look at it in the notebook.)</p>"
    alt = escape(figure.alt, quote=True)
    below = figure.caption if len(figure.caption) <= 3 * WIDTH else sentences(figure.caption)[0]
    words = f"<figcaption>{escape(below)}</figcaption>" if below else ""
    image = f'<img src="data:image/png;base64,{figure.png}" alt="{alt}">'
    return f"<figure>{image}{words}</figure>"


def deck(taught: Taught) -> str:
    """Return a lesson's slides as a page."""
    all_ = [slide for section in taught.sections for slide in slides_of(section)]
    name = f"{taught.lesson.number} {taught.lesson.title}"
    about = f"<p>Lesson {taught.lesson.number} · about {taught.lesson.reading} minutes</p>"
    parts = []
    for at, slide in enumerate(all_, 1):
        tag = "h1" if at == 1 else "h2"
        notes = f'<aside aria-label="Notes to slide {at}">{slide.notes}</aside>'
        parts.append(
            f'<section role="group" aria-label="Slide {at} of {len(all_)}" tabindex="-1">'
            f"<{tag}>{escape(slide.heading)}</{tag}>{about if at == 1 else ''}"
            f"{''.join(slide.body)}"
            f"{notes if slide.notes else ''}"
            f"<footer>{escape(name)} · {at} of {len(all_)}</footer></section>"
        )
    return page(f"{name}: slides", f"<main>{''.join(parts)}</main>{BUTTONS}", STYLE, SCRIPT)


BUTTONS = """<nav aria-label="Slides" hidden><button id="back">Back</button>
<button id="next">Next</button>
<button id="notes" aria-pressed="false">Notes</button></nav>"""
STYLE = """html{font-size:max(16px,min(2.15vw,3.9vh))}
section{height:100vh;padding:2.2rem 3.5rem 3.4rem;position:relative;overflow:auto;
display:flex;flex-direction:column;outline:0}section>*{flex:none;max-width:100%}
section[hidden]{display:none}h1,h2{color:var(--mark);line-height:1.2;margin:0 0 .7em}
h1{font-size:2.4em;margin-top:.6em}h2{font-size:1.55em}
p,ul,ol{margin:0 0 .7em}li{margin:.1em 0}
section:has(figure) h2{font-size:1.1em;margin-bottom:.4em}
section>figure{margin:0;text-align:center;flex:1 1 0;min-height:50vh;display:flex;
flex-direction:column;align-items:center}
figure img{flex:1 1 0;min-height:0;max-width:100%;object-fit:contain;background:#fff}
pre{margin:0 0 .8em}pre.fine{font-size:.66em}
figcaption{font-size:.75em;margin-top:.3em}
.tex{font-size:1.08em}.display .tex{font-size:1.35em}
.task{align-self:start;background:var(--soft);border-left:.3em solid var(--mark);
padding:.3em .8em}
summary{cursor:pointer;font-weight:600}details{margin:0 0 .9em}details p{margin:.4em 0 0 1.2em}
footer{position:absolute;left:3.5rem;bottom:1rem;font-size:.6em}
aside{display:none;font-size:.8em;border-top:2px solid var(--mark);margin-top:1em;padding-top:.6em}
.notes aside{display:block}.notes footer{position:static;margin-top:1em}
nav{position:fixed;right:1rem;bottom:.7rem;display:flex;gap:.4rem}nav[hidden]{display:none}
button{font:inherit;font-size:.65em;padding:.3em .8em;color:var(--ink);background:var(--soft);
border:1px solid var(--line);border-radius:.3em;cursor:pointer}
button:focus-visible,summary:focus-visible,a:focus-visible{outline:3px solid var(--mark)}
@media print{:root{color-scheme:light;--ink:#000;--paper:#fff;--soft:#f2f4f7;--mark:#0b5394}
@page{size:13.333in 7.5in;margin:0}html{font-size:20pt}nav{display:none!important}
section,section[hidden]{display:flex!important;height:7.49in;overflow:hidden;break-after:page}
section>figure{min-height:3in}}
"""
SCRIPT = """const all = [...document.querySelectorAll("main > section")];
const byId = id => document.getElementById(id);
let at = 0;
function show(n, focus) {
  at = Math.max(0, Math.min(all.length - 1, n || 0));
  all.forEach((slide, i) => { slide.hidden = i !== at; });
  byId("back").disabled = at === 0;
  byId("next").disabled = at === all.length - 1;
  if (focus) { location.replace("#" + (at + 1)); all[at].focus(); scrollTo(0, 0); }
}
byId("back").onclick = () => show(at - 1, true);
byId("next").onclick = () => show(at + 1, true);
byId("notes").onclick = event => {
  const on = document.body.classList.toggle("notes");
  event.target.setAttribute("aria-pressed", on);
};
addEventListener("keydown", event => {
  if (event.altKey || event.ctrlKey || event.metaKey) return;
  const onControl = event.target.closest("button, summary, a, pre");
  const to = {ArrowRight: at + 1, PageDown: at + 1, ArrowLeft: at - 1, PageUp: at - 1,
              Home: 0, End: all.length - 1, " ": onControl ? undefined : at + 1}[event.key];
  if (to === undefined) return;
  event.preventDefault();
  show(to, true);
});
addEventListener("hashchange", () => show(parseInt(location.hash.slice(1)) - 1, false));
document.querySelector("nav").hidden = false;
show(parseInt(location.hash.slice(1)) - 1, false);
"""
