"""Lesson 00: the picture of the flow tells the numbers of the report."""

import distillkit as dk
from distillkit.lessons.l00_start_here import figures


def test_the_flow_has_the_reports_numbers_below_its_boxes():
    report = dk.read_json(dk.data_path("demo_report.json"))
    figure, caption = figures.draw_flow(report)
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert [text for text in texts if text in figures.BOXES] == list(figures.BOXES)
    assert f"{report['funnel']['kept']} kept" in texts and "1.5B weights" in texts
    total, kept = report["funnel"]["total"], report["funnel"]["kept"]
    assert f"of {total} texts the rules let {kept} pass" in caption
    assert caption.endswith("learns from 104 of them.") and "104 chosen" in texts
    report["traces"] = {"equations": kept, "general": 32}
    figure, caption = figures.draw_flow(report)
    assert "all of them, and from 32 general texts, so that it does not forget" in caption
    assert f"{kept} chosen + 32 general" in [text.get_text() for text in figure.axes[0].texts]
