"""Builds the notebooks from their masters, runs them and keeps their outputs.

    python -m notebooks.build            build every lesson: for learners, and with solutions
    python -m notebooks.build 00 03      build these lessons
    python -m notebooks.build --text     write only what needs no run: the lists of lessons in the
                                         READMEs, and texts of notebooks whose code did not change
    python -m notebooks.build --check    prove that notebooks and lists are what would be built

Every build writes the lists of lessons, too; they follow from data/lessons.csv.  A lesson with
texts in another language (notebooks/languages.py) gets a notebook in that language, too.
`--check --run` runs the lessons as well and compares the outputs, numbers aside.
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import json
import re
import sys
import time
import tomllib
from pathlib import Path

import jupytext
import nbformat
from nbformat import NotebookNode

from distillkit.runtime.files import write_atomic
from notebooks.languages import FIELD, LANGUAGES, facts, is_wide, unwrapped
from notebooks.lists import (
    CLOSE,
    OPEN,
    check_lists,
    languages_of,
    masters_of,
    row_of,
    tasks_of,
    title_of,
    worded,
    write_lists,
)
from notebooks.running import BuildError, clean, execute, hidden_errors, readable, shape

ROOT = Path(__file__).resolve().parent.parent
MAX_CELLS, MAX_COLUMNS, MAX_BYTES = 60, 80, 300_000
CHECKED = re.compile(r"^\w+ = checks\w*\.(\w+)\(", re.M)  # f = checks.f(f)
HIDDEN = "hide-input"  # the tag of a code cell whose picture matters more than its code
SHOWN = {"show", "show_arms", "explore", "page"}  # these return what a cell displays
COLAB_LACKS = "gguf"  # pure Python packages of the kit that Colab's base image does not have

BADGES = """\
[![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)]\
(https://colab.research.google.com/github/{name}/blob/HEAD/{path})
[![View on GitHub](https://img.shields.io/badge/view_on-GitHub-555)]\
({address}/blob/HEAD/{path})

"""
SETUP = """\
# Run this cell first: it finds the kit or, as in Colab, installs it.
import importlib.util
import pathlib
import sys

above = [pathlib.Path.cwd(), *pathlib.Path.cwd().parents]
places = [place for p in above for place in (p, p / "distillkit")]
kits = [p for p in places if (p / "distillkit" / "doctor.py").exists()]
sys.path[:0] = map(str, kits[:1])
found = importlib.util.find_spec("distillkit")
if found is None or found.origin is None:  # a mere folder of that name
    KIT = "{address}/archive/HEAD.zip"
    here = "--no-deps {lacks}" if "google.colab" in sys.modules else ""
    %pip install -q {{KIT}} {{here}}
    importlib.invalidate_caches()
import distillkit as dk

machine = dk.start_lesson("{number}")"""


def cut(source: str, solution: bool) -> str:
    """Return a code cell with its solutions, or with a stub of one line in place of each.

    Raises BuildError for a marker without its partner.
    """
    kept, inside = [], False
    for line in source.split("\n"):
        bare = line.strip()
        if bare == OPEN and not inside:
            inside = True
        elif bare.startswith(CLOSE) and inside:
            inside = False
            if not solution:
                kept.append(line.replace(CLOSE, "", 1))
        elif bare.startswith((OPEN, CLOSE.strip())):
            raise BuildError(f"a marker without its partner: {bare}")
        elif solution or not inside:
            kept.append(line)
    if inside:
        raise BuildError(f"{OPEN!r} is not followed by {CLOSE!r}")
    return "\n".join(kept)


def solution_lines(master: NotebookNode) -> set[str]:
    """Return the lines that only solutions hold: none may be in a learner's notebook."""
    hidden, given = set(), set()
    for cell in (cell for cell in master.cells if cell.cell_type == "code"):
        parts = re.split(rf"^[ \t]*{OPEN}$(.*?)^[ \t]*{CLOSE}", cell.source, flags=re.M | re.S)
        given.update(line.strip() for part in parts[::2] for line in part.split("\n"))
        hidden.update(line.strip() for part in parts[1::2] for line in part.split("\n"))
    return {line for line in hidden - given if line.strip("()[]{}:, ") not in ("", "else", "try")}


def address() -> str:
    """Return the repository's public address; it stands only in pyproject.toml."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return project["project"]["urls"]["Repository"].rstrip("/")


def gather(cells: list[NotebookNode]) -> list[NotebookNode]:
    """Put each text in another language into its English cell, as `metadata.texts[lang]`.

    Raises BuildError for a text that is not below its English one, or lacks what that one says.
    """
    kept = []
    for cell in cells:
        lang = cell.metadata.get("lang", "en")
        if lang == "en":
            cell.metadata["texts"] = {}
            kept.append(cell)
            continue
        where = f'lang="{lang}" of {cell.source[:40]!r}'
        if lang not in LANGUAGES:
            raise BuildError(f"{where}: notebooks/languages.py has no such language")
        english = kept[-1] if kept else cell
        texts = english.metadata.get("texts", {lang: ""})
        if not english.cell_type == cell.cell_type == "markdown" or lang in texts:
            raise BuildError(f"{where}: it is not the one text right below its English one")
        missing = facts(english.source) - facts(cell.source)
        missing |= {*FIELD.findall(english.source)} ^ {*FIELD.findall(cell.source)}
        if missing:
            raise BuildError(f"{where}: the English text has another {sorted(missing)}")
        texts[lang] = cell.source
    return kept


def read_master(path: Path) -> NotebookNode:
    """Read a py:percent master and fill in what its texts say of lessons.

    The cells are the English ones; a text has those in other languages as `metadata.texts`.
    Raises BuildError unless its first code cell is the set-up and its heading is the row's title.
    """
    notebook = jupytext.reads(path.read_text(encoding="utf-8"), fmt="py:percent")
    notebook.cells = gather(notebook.cells)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    asked = f'import distillkit as dk\nmachine = dk.start_lesson("{path.name[:2]}")'
    first = code[0].source.replace("\n\n", "\n") if code else ""
    if first != asked or code[0].metadata.get("tags") != ["setup"]:
        raise BuildError(f'the first code cell must be\n# %% tags=["setup"]\n{asked}')
    texts = [cell for cell in notebook.cells if cell.cell_type == "markdown"]
    rows = sorted(task.exercise for task in tasks_of(path))
    told = [name for cell in texts for name in re.findall(r"\{exercise ([\w ]+)\}", cell.source)]
    called = [name for cell in code for name in re.findall(CHECKED, cell.source)]
    for what, names in (("said", " ".join(told).split()), ("checked", called)):
        if sorted(names) != rows:
            raise BuildError(f"{what} are {sorted(names)}, data/exercises.csv has {rows}")
    for cell in texts:
        cell.source = worded(cell.source, path)
        for lang, text in cell.metadata["texts"].items():
            cell.metadata["texts"][lang] = unwrapped(worded(text, path, lang))
    for cell in texts[:1]:
        for lang, text in {"en": cell.source, **cell.metadata["texts"]}.items():
            title = title_of(row_of(path), lang)
            for heading in re.findall(r"^# (.+)", text, re.M):
                if heading != title:
                    raise BuildError(f"the heading is {heading!r}, the table says {title!r}")
    return notebook


def top(path: Path, solution: bool, lang: str) -> str:
    """Return what stands above a lesson's heading: badges, and links to its other languages."""
    repository, root = address(), path.parents[2]
    here = notebook_path(path, solution, lang).relative_to(root).as_posix()
    name = repository.removeprefix("https://github.com/")
    lines = [BADGES.format(name=name, path=here, address=repository)]
    for other in [] if solution else sorted({"en", *languages_of(path)} - {lang}):
        place = notebook_path(path, False, other).relative_to(root).as_posix()
        link = f"{repository}/blob/HEAD/{place}"
        lines.append(LANGUAGES[other].top.format(link=link, number=path.name[:2]) + "\n\n")
    return "".join(lines)


def assemble(path: Path, solution: bool, lang: str = "en") -> NotebookNode:
    """Build the notebook of a master without running it; a text without `lang` stays English."""
    master, repository, number = read_master(path), address(), path.name[:2]
    cells, ids = [], {}
    for at, cell in enumerate(master.cells):
        first = cell.source.replace(f"{OPEN}\n", "").split("\n", 1)[0]
        words = re.findall(r"[a-z0-9]+", first.lower())
        name = "-".join(words)[:40].strip("-") or cell.cell_type
        ids[name] = ids.get(name, 0) + 1
        source, metadata = cell.source, {}
        if cell.cell_type == "markdown":
            source = cell.metadata["texts"].get(lang, source)
            if at == 0:
                source = top(path, solution, lang) + source + LANGUAGES[lang].outputs
        elif cell.metadata.get("tags") == ["setup"]:
            source = SETUP.format(number=number, address=repository, lacks=COLAB_LACKS)
            metadata = {"tags": ["setup"]}
        elif cell.cell_type == "code":
            source = cut(source, solution)
            if CHECKED.search(source):  # an error here must not stop Run All
                metadata = {"tags": ["raises-exception"]}
            if HIDDEN in cell.metadata.get("tags", []):  # JupyterLab and VS Code fold it away
                metadata = {"tags": [HIDDEN], "jupyter": {"source_hidden": True}}
        new = getattr(nbformat.v4, f"new_{cell.cell_type}_cell")
        cells.append(new(source, id=name + (f"-{ids[name]}" if ids[name] > 1 else ""),
                         metadata=metadata))  # fmt: skip
    kernel = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
    metadata = {"kernelspec": kernel, "language_info": {"name": "python"}}
    notebook = nbformat.v4.new_notebook(cells=cells, metadata=metadata)
    notebook.metadata["distillkit"] = {"lesson": number, "sources": fingerprint(notebook)}
    return notebook


def still_english(master: Path, lang: str) -> str:
    """Say how many texts of a lesson are not there in another language."""
    texts = [c.metadata["texts"] for c in read_master(master).cells if c.cell_type == "markdown"]
    missing = sum(lang not in text for text in texts)
    return f"{master.name[:2]} {lang}: {missing} of {len(texts)} texts are still English"


def fingerprint(notebook: NotebookNode) -> str:
    """Return a hash of what a person can edit: the kinds and sources of the cells."""
    sources = [[cell.cell_type, cell.source.rstrip()] for cell in notebook.cells]
    return hashlib.sha256(json.dumps(sources).encode()).hexdigest()[:16]


def changed_by_hand(path: Path) -> bool:
    """Say whether a notebook on disk is no longer what a build wrote there."""
    if not path.exists():
        return False
    notebook = nbformat.read(path, as_version=4)
    return notebook.metadata.get("distillkit", {}).get("sources") != fingerprint(notebook)


def faults(notebook: NotebookNode) -> list[str]:
    """List the rules that a notebook breaks: size, columns, headings, and outputs if it has any."""
    found = []
    if len(notebook.cells) > MAX_CELLS:
        found.append(f"{len(notebook.cells)} cells, {MAX_CELLS} are allowed")
    titles = [line for cell in notebook.cells if cell.cell_type == "markdown"
              for line in cell.source.split("\n") if line.startswith("# ")]  # fmt: skip
    if len(titles) != 1:
        found.append(f"one H1 heading is asked for, not {len(titles)}")
    outputs = [(cell.id, out) for cell in notebook.cells for out in cell.get("outputs", [])]
    for cell in notebook.cells:
        for line in cell.source.split("\n"):
            link = cell.cell_type == "markdown" and (
                "://" in line or line.startswith("|") or is_wide(line)
            )
            setup = "setup" in cell.metadata.get("tags", [])  # its address has any length
            if len(line) > MAX_COLUMNS and not link and not setup:
                found.append(f"{cell.id}: {len(line)} columns, {MAX_COLUMNS} are allowed: {line}")
        if cell.cell_type == "code" and loses_a_figure(cell.source):
            words = "is neither the cell's last line nor returned, assigned or passed on"
            found.append(f"{cell.id}: one of {sorted(SHOWN)} {words}, so its figure is not seen")
    for where, out in outputs:
        text = json.dumps({**out, "data": {**out.get("data", {}), "image/png": ""}})
        if re.search(r"\bat 0x[0-9a-f]{6}", text):
            found.append(f"{where}: it shows a place in memory, which changes from run to run")
        words = out.get("metadata", {}).get("image/png", {}).get("alt")
        if "image/png" in out.get("data", {}) and not words:
            found.append(f"{where}: a picture without words for whoever cannot see it (alt)")
        if out.get("name") == "stderr":
            found.append(f"{where}: it wrote to stderr: {out['text'][:200]}")
        if str(ROOT) in text or f"{Path.home()}/" in text:
            found.append(f"{where}: its output names a folder of this machine")
    size = sum(len(json.dumps(out)) for _, out in outputs)
    if size > MAX_BYTES:
        found.append(f"outputs of {size // 1000} KB, {MAX_BYTES // 1000} KB are allowed")
    return found + hidden_errors(notebook, {})


def loses_a_figure(source: str) -> bool:
    """Say whether a call of SHOWN stands in a line of its own that is not the cell's last one.

    A notebook displays that one alone: nothing inside of a function, a loop or another block.
    """
    try:
        tree = ast.parse(source)
    except SyntaxError:  # a magic command
        return False
    lines = (line for line in ast.walk(tree) if isinstance(line, ast.Expr))
    calls = (line.value for line in lines if line is not tree.body[-1])
    functions = (getattr(call, "func", None) for call in calls)
    return any(getattr(f, "attr", getattr(f, "id", "")) in SHOWN for f in functions)


def notebook_path(master: Path, solution: bool, lang: str = "en") -> Path:
    """Return where the notebook of a master belongs."""
    folder = master.parent.parent / ("" if lang == "en" else lang)
    return (folder / "solutions" if solution else folder) / f"{master.stem}.ipynb"


def forms(master: Path) -> list[tuple[bool, str]]:
    """Return what is built of a master, (solution, lang): the English learner's notebook first."""
    return [(False, "en"), (True, "en"), *((False, lang) for lang in languages_of(master))]


def build(master: Path, text_only: bool = False) -> None:
    """Build, run and write the notebooks of a master; nothing is written if a rule is broken.

    With `text_only` nothing is run: the outputs of the notebooks on disk are kept, and BuildError
    is raised if their code is not the master's.  Another language has the outputs of English.
    """
    done = []
    for solution, lang in forms(master):
        path, notebook = notebook_path(master, solution, lang), assemble(master, solution, lang)
        if changed_by_hand(path):
            raise BuildError(
                f"{path.name} was changed since it was built, and is kept.  To keep the changes, "
                "move it elsewhere; to drop them, delete it; then build again"
            )
        path.parent.mkdir(exist_ok=True)
        began = time.monotonic()
        refuse(faults(notebook))
        if lang != "en":
            take_outputs(notebook, done[0][1], path)
        elif text_only:
            refuse([] if path.exists() else [f"{path.name} is missing: build it without --text"])
            take_outputs(notebook, nbformat.read(path, as_version=4), path)
        else:
            refuse(
                hidden_errors(
                    notebook,
                    execute(notebook, path.parent, DISTILLKIT_FAST="", DISTILLKIT_PROGRESS=""),
                )
            )
            clean(notebook)
        refuse(faults(notebook) + ([] if solution else leaks(master, notebook)))
        done.append((path, notebook, time.monotonic() - began))
    for path, notebook, seconds in done:
        write_atomic(path, nbformat.writes(notebook) + "\n")
        print(f"built {path.relative_to(master.parent.parent)} in {seconds:.0f} s")


def take_outputs(notebook: NotebookNode, other: NotebookNode, path: Path) -> None:
    """Take the outputs of another notebook; raises BuildError if its code is another."""
    ours, theirs = ([cell for cell in n.cells if cell.cell_type == "code"]
                    for n in (notebook, other))  # fmt: skip
    if [cell.source for cell in ours] != [cell.source for cell in theirs]:
        raise BuildError(f"the code of {path.name} is to change, too: build it without --text")
    for cell, kept in zip(ours, theirs):
        cell.outputs, cell.execution_count = kept.outputs, kept.execution_count


def refuse(found: list[str]) -> None:
    """Raise BuildError if anything was found."""
    if found:
        raise BuildError("\n  ".join(found))


def leaks(master: Path, notebook: NotebookNode) -> list[str]:
    """List the lines of solutions that a learner's notebook holds, in cells or in outputs."""
    hidden = solution_lines(read_master(master))
    texts = [(cell.id, cell.source) for cell in notebook.cells]
    for cell in notebook.cells:
        texts += [(cell.id, readable(out)) for out in cell.get("outputs", [])]
    lines = [(where, line.strip()) for where, text in texts for line in text.split("\n")]
    return [f"{at}: this line of a solution leaks: {line}" for at, line in lines if line in hidden]


def check(master: Path, run: bool = False) -> None:
    """Raise BuildError unless the notebooks on disk are what the master builds."""
    results = []  # of each code cell in the English notebook
    for solution, lang in forms(master):
        path, built = notebook_path(master, solution, lang), assemble(master, solution, lang)
        refuse([] if path.exists() else [f"{path.name} is missing: build it"])
        found = nbformat.read(path, as_version=4)
        ours, theirs = ([[c.cell_type, c.id, c.source, c.metadata] for c in n.cells]
                        for n in (built, found))  # fmt: skip
        if ours != theirs or built.metadata != found.metadata:
            at = next((a[1] for a, b in zip(ours, theirs) if a != b), "number of cells")
            raise BuildError(f"{path.name} is not what {master.name} builds ({at}): build it again")
        counts = [cell.execution_count for cell in found.cells if cell.cell_type == "code"]
        refuse([] if counts == [*range(1, len(counts) + 1)] else [f"{path.name} was not run"])
        refuse(faults(found) + ([] if solution else leaks(master, found)))
        outputs = [cell.outputs for cell in found.cells if cell.cell_type == "code"]
        results = results or outputs
        if lang != "en" and outputs != results:
            raise BuildError(f"{lang}/{path.name} has other outputs than English: build it again")
        if run and lang == "en":
            refuse(
                hidden_errors(
                    built, execute(built, path.parent, DISTILLKIT_FAST="", DISTILLKIT_PROGRESS="")
                )
            )
            clean(built)
            other = [f"{a} became {b}" for a, b in zip(shape(found), shape(built)) if a != b]
            same = len(shape(found)) == len(shape(built))
            refuse(other if same else ["the number of outputs is not the same"])


def main(words: list[str] | None = None, folder: Path = ROOT / "notebooks") -> int:
    """Build or check the lessons that are asked for; the exit code says whether all went well."""
    options = argparse.ArgumentParser(prog="python -m notebooks.build", description=__doc__)
    what = options.add_mutually_exclusive_group()
    what.add_argument("--check", action="store_true", help="compare, write nothing")
    what.add_argument("--text", action="store_true", help="run nothing, keep the outputs")
    options.add_argument("--run", action="store_true", help="with --check: compare outputs, too")
    options.add_argument("lessons", nargs="*", metavar="NN", help="default: all")
    asked = options.parse_args(words)
    masters = masters_of(folder)
    chosen = [master for n, master in masters.items() if not asked.lessons or n in asked.lessons]
    failed = [f"no lesson {number}" for number in sorted({*asked.lessons} - {*masters})]
    for master in chosen:
        try:
            check(master, asked.run) if asked.check else build(master, asked.text)
            print(
                "".join(f"{still_english(master, lang)}\n" for lang in languages_of(master)), end=""
            )
        except BuildError as error:
            failed.append(f"{master.name}:\n  {error}")
    try:
        check_lists(folder) if asked.check else write_lists(folder)
    except BuildError as error:
        failed.append(f"the lists of lessons:\n  {error}")
    print("\n".join(failed) if failed else f"{len(chosen)} lessons: all good", file=sys.stderr)
    return 1 if failed or not chosen else 0


if __name__ == "__main__":
    sys.exit(main())
