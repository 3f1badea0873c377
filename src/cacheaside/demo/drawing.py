"""Tables and the report as a terminal shows them."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from cacheaside.demo.closing import examples, explained, slowest, verdict
from cacheaside.demo.figures import StageFigures
from cacheaside.demo.report import Phase, Report
from cacheaside.demo.stage_table import COLUMNS, rows
from cacheaside.demo.stages import WITH, WITHOUT
from cacheaside.demo.table import ENDPOINT_COLUMNS, comparison, endpoint_lines

__all__ = ["drawn_comparison", "drawn_stages", "print_report"]


def drawn_comparison(without: Phase | None, with_: Phase | None) -> Table:
    """Both sides beside each other."""
    table = Table(box=None, padding=(0, 2, 0, 0), show_edge=False)
    table.add_column("", no_wrap=True)
    table.add_column(WITHOUT, justify="right")
    table.add_column(WITH, justify="right", style="bold")
    table.add_column("", no_wrap=True)
    for line in comparison(without, with_):
        table.add_row(
            line.name, line.without, line.with_, Text(line.factor, style="red" if line.worse else "green")
        )
    return table


def drawn_stages(stages: Iterable[StageFigures], *, current: str | None = None) -> Table:
    """A line for each stage; the `current` one stands out."""
    table = Table(box=None, padding=(0, 1, 0, 0), show_edge=False)
    for name in COLUMNS:
        table.add_column(name, justify="right" if name else "left", no_wrap=True)
    for row in rows(stages):
        *figures, errors, too_old = row
        faults = [Text(said, style="" if said == "0" else "bold red") for said in (errors, too_old)]
        table.add_row(*figures, *faults, style="bold" if row[0] == current else None)
    return table


def print_report(console: Console, report: Report, heading: str) -> None:
    """The final tables and the verdict."""
    console.print(f"\n{heading}\n", soft_wrap=True, style="bold")
    console.print(drawn_comparison(report.without_cache, report.with_cache))
    for sentence in slowest(report):
        console.print(Text(sentence))
    console.print()
    endpoints = Table(box=None, padding=(0, 1, 0, 0), show_edge=False)
    for name in ENDPOINT_COLUMNS:
        endpoints.add_column(name, justify="left" if name == "endpoint" else "right")
    for row in endpoint_lines(report.with_cache):
        endpoints.add_row(*row)
    console.print(endpoints)
    console.print()
    if report.outages:
        console.print(drawn_stages(report.stages))
        console.print()
    console.print(Text(verdict(report), style="bold green" if report.sound else "bold red"))
    for sentence in explained(report):
        console.print(Padding(Text(sentence), (0, 0, 0, 2)))
    for example in examples(report):
        console.print(f"  {example}", soft_wrap=True, highlight=False)
