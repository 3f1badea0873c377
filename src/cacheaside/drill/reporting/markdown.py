"""A report as Markdown. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from cacheaside.drill.report import Comparison, Report
from cacheaside.drill.reporting.words import VERDICTS, mark, phases, tiles

__all__ = ["markdown_of"]


def markdown_of(report: Report | Comparison) -> str:
    """The report, ending in a line break."""
    lines = _comparison(report) if isinstance(report, Comparison) else _report(report, 1)
    return "\n".join(lines).rstrip() + "\n"


def _comparison(report: Comparison) -> list[str]:
    both = (report.protected, report.unprotected)
    rows = [
        (name, value, other)
        for (name, value, _), (_, other, _) in zip(tiles(both[0]), tiles(both[1]), strict=True)
    ]
    return [
        f"# Drill: {report.title}",
        "",
        report.means,
        "",
        f"**{'Shown' if report.shown else 'Not shown'}:** {report.why}.",
        "",
        *_table(("", "with admission", "without"), rows),
        "",
        "## With admission",
        "",
        *_report(report.protected, 0),
        "## Without admission",
        "",
        *_report(report.unprotected, 0),
    ]


def _report(report: Report, level: int) -> list[str]:
    head = [f"{'#' * level} Drill: {report.title}", ""] if level else []
    return [
        *head,
        f"**{VERDICTS[report.verdict]}** Target: {report.target}, namespace `{report.namespace}`.",
        *(["", f"Called off: {report.aborted}."] if report.aborted else []),
        "",
        *(f"- {mark(one)} {one.rule}: {one.why}" for one in report.findings),
        "",
        *_table(("", "before", "broken and cold", "after"), phases(report)),
        "",
        *_table(("figure", "", "compare"), tiles(report)),
        "",
        "What was done:",
        "",
        *(f"{place}. {step}" for place, step in enumerate(report.steps, 1)),
        "",
        *(
            ["With:", "", *(f"- {name}: {value}" for name, value in report.setting.items()), ""]
            if report.setting
            else []
        ),
    ]


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    right = ["---", *["---:"] * (len(head) - 1)]
    return [_row(head), _row(right), *(_row(row) for row in rows)]


def _row(cells: Sequence[str]) -> str:
    cells = [cell.replace("|", "\\|") for cell in cells]
    return f"| {' | '.join(cells)} |"
