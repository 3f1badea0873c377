"""A report as one HTML page that needs nothing else: no script, no network, no font. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from html import escape
from typing import Final

from cacheaside.drill.report import Comparison, Report
from cacheaside.drill.reporting.charts import charts_of
from cacheaside.drill.reporting.plot import Chart, svg_of
from cacheaside.drill.reporting.style import STYLE
from cacheaside.drill.reporting.words import VERDICTS, mark, phases, tiles

__all__ = ["html_of"]

_WHO: Final = "cacheaside drill"


def html_of(report: Report | Comparison) -> str:
    """The page."""
    body = _comparison(report) if isinstance(report, Comparison) else _alone(report)
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{escape(report.title)} · {_WHO}</title>",
            f"<style>{STYLE}</style></head><body><main>",
            *body,
            "</main></body></html>\n",
        ]
    )


def _alone(report: Report) -> Iterator[str]:
    yield f'<header><p class="kind">{_WHO} {escape(report.drill)}</p><h1>{escape(report.title)}</h1>'
    yield f'<p class="verdict {_kind(report)}">{escape(VERDICTS[report.verdict])}</p>'
    yield f'<p class="target">Target: {escape(report.target)}, namespace <code>{escape(report.namespace)}</code></p>'
    if report.aborted:
        yield f"<p>Called off: {escape(report.aborted)}.</p>"
    yield "</header>"
    yield _tiles(report)
    yield from _findings(report)
    yield '<section class="charts">'
    for chart in charts_of(report):
        yield _figure(chart)
    yield "</section>"
    yield from _rest(report)


def _comparison(report: Comparison) -> Iterator[str]:
    both = (("With admission", report.protected), ("Without admission", report.unprotected))
    yield f'<header><p class="kind">{_WHO} metastable</p><h1>{escape(report.title)}</h1>'
    shown = "Shown" if report.shown else "Not shown"
    yield f'<p class="verdict {"held" if report.shown else "broken"}">{shown}: {escape(report.why)}.</p>'
    yield f'<p class="means">{escape(report.means)}</p></header>'
    yield '<section class="pair heads">'
    for name, one in both:
        yield f'<div><h2>{name}</h2><p class="verdict {_kind(one)}">{escape(VERDICTS[one.verdict])}</p>'
        yield f"{_tiles(one)}</div>"
    yield "</section>"
    for left, right in zip(charts_of(report.protected), charts_of(report.unprotected), strict=True):
        # One scale for both: what is compared by eye has to be.
        top, log = max(left.top, right.top), left.log or right.log
        yield '<section class="pair">'
        until = max(chart.at[-1] for chart in (left, right)) if left.at and right.at else None
        for chart in (left, right):
            yield _figure(replace(chart, log=log, until=until), top=top)
        yield "</section>"
    yield '<section class="pair">'
    for _, one in both:
        yield f"<div>{''.join(_findings(one))}{''.join(_rest(one))}</div>"
    yield "</section>"


def _kind(report: Report) -> str:
    return report.verdict.replace(" ", "-")


def _tiles(report: Report) -> str:
    parts = [
        f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd><dd class='than'>{escape(than)}</dd></div>"
        for name, value, than in tiles(report)
    ]
    return f'<dl class="tiles">{"".join(parts)}</dl>'


def _findings(report: Report) -> Iterator[str]:
    yield '<section><h2>Findings</h2><ul class="findings">'
    for one in report.findings:
        kind = {True: "held", False: "broken", None: "open"}[one.held]
        yield (
            f'<li class="{kind}"><span class="mark" aria-label="{kind}">{mark(one)}</span>'
            f"<div><strong>{escape(one.rule)}</strong><br>{escape(one.why)}</div></li>"
        )
    yield "</ul></section>"


def _figure(chart: Chart, *, top: float | None = None) -> str:
    keys = "".join(
        f'<span class="key"><i class="{shape} {line.kind}"></i>{escape(line.name)}</span>'
        for shape, lines in (("swatch", chart.stacked), ("dash", chart.lines))
        for line in lines
        if any(line.values)
    )
    unit = f"{chart.unit}, logarithmic" if chart.log else chart.unit
    return (
        f'<figure><figcaption><strong>{escape(chart.title)}</strong> <span class="unit">{escape(unit)}</span>'
        f'<span class="keys">{keys}</span></figcaption>{svg_of(chart, top)}</figure>'
    )


def _rest(report: Report) -> Iterator[str]:
    yield "<section><h2>Before, broken, after</h2>"
    yield _table(("", "before", "broken and cold", "after"), phases(report))
    yield "</section><section><h2>What was done</h2><ol>"
    for step in report.steps:
        yield f"<li>{escape(step)}</li>"
    yield "</ol>"
    if report.setting:
        yield '<dl class="setting">'
        for name, value in report.setting.items():
            yield f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>"
        yield "</dl>"
    yield "</section>"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    top = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    body = "".join(
        f"<tr><th>{escape(row[0])}</th>{''.join(f'<td>{escape(cell)}</td>' for cell in row[1:])}</tr>"
        for row in rows
    )
    return f'<div class="wide"><table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>'
