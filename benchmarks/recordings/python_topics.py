"""Pages of Python's own documentation, to search in, and questions about them.

    python -m benchmarks.recordings.python_topics

Copies 55 of the help topics that come with CPython 3.11 (written by the Python Software Foundation,
PSF licence) into data/python_topics.json.  The 60 questions in data/python_questions.jsonl were
written for the kit: in other words than the page, each with the words on the page that answer it.
"""

import importlib.util
from pathlib import Path

from benchmarks.runner import DATA
from distillkit.models.downloads import expect
from distillkit.runtime.files import write_json

SHA256 = "abaa56a64551d8eead1b19cbae3c6db443f99f0cab81df07bed3cb75c0db9346"  # of CPython 3.11.7
CHOSEN = [  # the others repeat these, or are long
    "assert", "assignment", "async", "attribute-references", "binary", "bitwise",
    "booleans", "break", "class", "comparisons", "context-managers", "continue", "conversions",
    "debugger", "del", "dict", "dynamic-features", "else", "exceptions", "exprlists",
    "floating", "for", "function", "global", "identifiers", "if", "imaginary", "import", "in",
    "integers", "lambda", "lists", "naming", "nonlocal", "numeric-types", "operator-summary",
    "pass", "power", "raise", "return", "sequence-types", "shifting", "slicings",
    "string-methods", "strings", "subscriptions", "truth", "try", "typesmapping", "typesseq",
    "typesseq-mutable", "unary", "while", "with", "yield",
]  # fmt: skip


def main():
    """Write the topics, if the running Python has the very file."""
    source = Path(importlib.util.find_spec("pydoc_data.topics").origin)
    expect(source, SHA256, remove=False)
    from pydoc_data.topics import topics

    about = {"source": "pydoc_data/topics.py of CPython 3.11.7", "sha256": SHA256,
             "licence": "PSF-2.0, see python_topics_licence.md"}  # fmt: skip
    print(write_json(DATA / "python_topics.json",
                     {**about, "topics": {name: topics[name] for name in CHOSEN}}))  # fmt: skip


if __name__ == "__main__":
    main()
