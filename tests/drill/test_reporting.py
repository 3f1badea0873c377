"""Reports for people: complete, safe, and in need of nothing."""

from __future__ import annotations

import re
from dataclasses import replace
from xml.etree import ElementTree

import msgspec
import pytest

from cacheaside.drill.judging import compared
from cacheaside.drill.report import Comparison, Report, as_json
from cacheaside.drill.reporting.charts import charts_of
from cacheaside.drill.reporting.html import html_of
from cacheaside.drill.reporting.markdown import markdown_of
from cacheaside.drill.reporting.plot import Chart, Line, svg_of
from tests.drill.runs import DEAD, GOOD, report_of

REPORT = report_of(GOOD, cold_s=1.0)
COMPARISON = compared("The case", "What it means.", REPORT, report_of(DEAD))
BOTH = pytest.mark.parametrize("report", [REPORT, COMPARISON], ids=["report", "comparison"])


@BOTH
def test_a_page_needs_nothing_else(report: Report | Comparison) -> None:
    """No script, no address, no file: the page is whole wherever it is opened."""
    page = html_of(report)
    assert not re.search(r"<script|<link|<img|<iframe|@import|url\(|https?:|\bsrc=|\bon\w+=", page)


@BOTH
def test_a_page_is_well_formed(report: Report | Comparison) -> None:
    """Every element is closed and every text escaped."""
    page = html_of(report).replace("<!doctype html>", "").replace('<meta charset="utf-8">', "")
    page = re.sub(r'<meta name="viewport"[^>]*>', "", page).replace("<br>", "<br/>")
    root = ElementTree.fromstring(page)
    assert len(root.findall(".//figure")) == (4 if report is REPORT else 8)
    assert "100 requests a second <of 40 keys>" in "".join(root.itertext())


def test_the_span_of_a_fault_is_shaded_where_it_was() -> None:
    """From its beginning to its end, on the axis of seconds after it began."""
    lasting = replace(REPORT, fault_ended=REPORT.fault_began + 3.0)
    for chart in charts_of(lasting):
        svg = ElementTree.fromstring(svg_of(chart))
        (shade,) = svg.findall(".//rect[@class='fault']")
        width = 640 - 52 - 14
        seconds = REPORT.points[-1].at + REPORT.window_s
        assert float(shade.attrib["x"]) == pytest.approx(52 + width * REPORT.fault_began / seconds, abs=0.2)
        assert float(shade.attrib["width"]) == pytest.approx(width * 3.0 / seconds, abs=0.2)


def test_a_line_is_where_its_values_are() -> None:
    """Twice the value is twice as high; where there is none, the line is broken."""
    chart = Chart(title="t", unit="u", at=[0, 1, 2, 3], lines=[Line("a", "k", [10.0, 20.0, None, 20.0])])
    path = re.search(r'<path class="line k" d="([^"]+)"', svg_of(chart))
    assert path is not None
    assert [word[0] for word in path[1].split() if word[0] in "ML"] == ["M", "L", "M"]
    heights = [190 - 26 - float(y) for y in re.findall(r"[ML][\d.]+ ([\d.]+)", path[1])]
    assert heights[1] == pytest.approx(2 * heights[0], rel=0.01)


def test_what_has_a_name_cannot_become_markup() -> None:
    """A namespace or target with angle brackets stays text."""
    page = html_of(replace(REPORT, target="<b>x</b>", namespace="<i>"))
    assert "<b>x</b>" not in page
    assert "&lt;b&gt;x&lt;/b&gt;" in page


@BOTH
def test_json_has_everything(report: Report | Comparison) -> None:
    """The data come first: they can be read back whole."""
    assert msgspec.json.decode(as_json(report), type=type(report)) == report


@BOTH
def test_markdown_says_the_verdict_and_each_finding(report: Report | Comparison) -> None:
    """Someone who reads the text alone knows what was found, and why."""
    text = markdown_of(report)
    for one in [report] if isinstance(report, Report) else [report.protected, report.unprotected]:
        for finding in one.findings:
            assert f"{finding.rule}: {finding.why}" in text
        for step in one.steps:
            assert step in text


def test_a_table_survives_a_bar() -> None:
    """A bar in a text does not end its cell."""
    text = markdown_of(replace(REPORT, title="a|b"))
    rows = [row for row in text.splitlines() if row.startswith("|")]
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} <= {4, 5}


def test_a_run_of_nothing_is_still_a_page() -> None:
    """No answers and no readings: a page with empty pictures, and no crash."""
    assert "<svg" in html_of(replace(REPORT, points=[], recovered_at=None, recovery_s=None))
