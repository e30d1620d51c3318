"""The picture of the whole flow: pure `draw_…(…) -> (Figure, caption)`."""

from __future__ import annotations

from typing import Any

from distillkit.plots import BLUE, GREY, Drawn, new_figure

BOXES = ("problems", "teacher", "candidates", "rules", "traces", "student")
AND_GENERAL = ", and from {} general texts, so that it does not forget how to talk"


def counts_of(report: dict[str, Any]) -> dict[str, str]:
    """Return what stands below each box, from the report of a run of the main job."""
    funnel, traces = report["funnel"], report["traces"]
    sizes = {who: report[who]["name"].split("-")[-2] for who in ("teacher", "student")}
    return {
        "problems": f"{funnel['problems']} equations",
        "teacher": f"{sizes['teacher']} weights",
        "candidates": f"{funnel['total']} texts",
        "rules": f"{funnel['kept']} kept",
        "traces": f"{traces['equations']} chosen{_of_general(traces, ' + {} general')}",
        "student": f"{sizes['student']} weights",
    }


def draw_flow(report: dict[str, Any]) -> Drawn:
    """Draw the boxes from problems to student with the counts of a run below them."""
    figure, axes = new_figure(8.6, 1.6, xlim=(-0.5, 5.5), ylim=(-0.7, 0.7))
    axes.axis("off")
    counts = counts_of(report)
    for x, name in enumerate(BOXES):
        model = name in ("teacher", "student")
        box = {"boxstyle": "round,pad=0.5", "fc": BLUE if model else "white", "ec": BLUE}
        axes.text(x, 0.2, name, ha="center", va="center", fontsize=11, bbox=box,
                  color="white" if model else "black")  # fmt: skip
        axes.text(x, -0.55, counts[name], ha="center", fontsize=9)
        if x:
            arrow = {"arrowstyle": "->", "color": GREY, "lw": 1.5}
            axes.annotate("", xy=(x - 0.36, 0.2), xytext=(x - 0.64, 0.2), arrowprops=arrow)
    taken, kept = report["traces"]["equations"], report["funnel"]["kept"]
    some = f"{taken} of them" if taken < kept else "all of them"
    return figure, (
        f"From left to right: of {counts['candidates']} the rules let {kept} pass. The student "
        f"learns from {some}{_of_general(report['traces'], AND_GENERAL)}."
    )


def _of_general(traces: dict[str, int], words: str) -> str:
    """Return words with the number of general texts, "" if the student learned from none."""
    return words.format(traces["general"]) if traces["general"] else ""
