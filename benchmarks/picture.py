"""Draw the README's picture from a finished demo: accuracy by family, before and after.

    python benchmarks/picture.py RUN [OUT.png]
"""

import sys
from pathlib import Path

from distillkit.plots import draw_accuracy, to_png
from distillkit.records import read_json, write_atomic


def main() -> None:
    """Write the picture of the run in the first argument."""
    families = read_json(Path(sys.argv[1]) / "report.json")["families"]
    default = Path(__file__).parent / "results" / "demo.png"
    out = Path(sys.argv[2]) if sys.argv[2:] else default
    figure = draw_accuracy(families["before"], families["few_shot"], families["after"])
    write_atomic(out, to_png(figure, dpi=120))


if __name__ == "__main__":
    main()
