"""What a run shows: a live screen on a terminal, lines of text elsewhere, and the final tables for both."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Final, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.padding import Padding
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from cacheaside.demo.dataset import FLIGHT_ROWS
from cacheaside.demo.history import Findings
from cacheaside.demo.messages import LoadPulse, ServicePulse
from cacheaside.demo.report import Phase, Report
from cacheaside.demo.standing import Standing
from cacheaside.demo.table import ENDPOINT_COLUMNS, Line, comparison, endpoint_lines, in_a_line, verdict

__all__ = ["LiveScreen", "PlainScreen", "print_report"]

_FRAMES_PER_S: Final = 4
_LINE_EVERY_S: Final = 2.0
_SPARKS: Final = "▁▂▃▄▅▆▇█"
_SPARKS_SHOWN: Final = 24
_NAMES: Final = {False: "without the cache", True: "with the cache"}
_NEW_YORK_SUMMER: Final = timedelta(hours=-4)


class PlainScreen:
    """A line every two seconds."""

    def __init__(self, console: Console, heading: str) -> None:
        self._console = console
        self._heading = heading
        self._standing = Standing(cache=False, seconds=0)
        self._next_line_at = 0.0

    def __enter__(self) -> Self:
        self._console.print(self._heading, soft_wrap=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        return None

    def preparing(self, flights: int) -> None:
        """So many flights are in the database."""
        if self._due() or flights == FLIGHT_ROWS:
            self._console.print(f"reading flights into SQLite: {flights:,} of {FLIGHT_ROWS:,}")

    def begins(self, *, cache: bool, seconds: float) -> None:
        """A phase begins."""
        self._standing = Standing(cache=cache, seconds=seconds)
        self._next_line_at = time.monotonic() + _LINE_EVERY_S
        self._console.print(f"{_NAMES[cache]}: {seconds:g} s of load")

    def load_pulse(self, pulse: LoadPulse) -> None:
        """The load's report."""
        self._standing.load_pulse(pulse)

    def service_pulse(self, pulse: ServicePulse, watched: Findings) -> None:
        """The service's report."""
        self._standing.service_pulse(pulse, watched)
        if not pulse.final and self._due() and (phase := self._standing.phase()):
            self._console.print(f"  {self._standing.elapsed_s:4.1f} s  {in_a_line(phase)}", soft_wrap=True)

    def ended(self, phase: Phase) -> None:
        """A phase has its report."""
        self._console.print(f"  ended   {in_a_line(phase)}", soft_wrap=True)

    def _due(self) -> bool:
        now = time.monotonic()
        if now < self._next_line_at:
            return False
        self._next_line_at = now + _LINE_EVERY_S
        return True


class LiveScreen:
    """A screen redrawn four times a second."""

    def __init__(self, console: Console, heading: str) -> None:
        self._heading = heading
        self._flights = 0
        self._standing: Standing | None = None
        self._done: dict[bool, Phase] = {}
        self._live = Live(
            console=console, get_renderable=self._draw, refresh_per_second=_FRAMES_PER_S, transient=True
        )

    def __enter__(self) -> Self:
        self._live.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._live.__exit__(kind, error, traceback)

    def preparing(self, flights: int) -> None:
        """So many flights are in the database."""
        self._flights = flights

    def begins(self, *, cache: bool, seconds: float) -> None:
        """A phase begins."""
        self._standing = Standing(cache=cache, seconds=seconds)

    def load_pulse(self, pulse: LoadPulse) -> None:
        """The load's report."""
        if self._standing:
            self._standing.load_pulse(pulse)

    def service_pulse(self, pulse: ServicePulse, watched: Findings) -> None:
        """The service's report."""
        if self._standing:
            self._standing.service_pulse(pulse, watched)

    def ended(self, phase: Phase) -> None:
        """A phase has its report."""
        self._done[phase.cache] = phase
        self._standing = None

    def _draw(self) -> RenderableType:
        standing = self._standing
        if standing is None:
            shown: list[RenderableType] = [self._preparation()]
        else:
            shown = [_progress(standing), _replayed(standing)]
        phases = dict(self._done)
        if standing and (phase := standing.phase()):
            phases[standing.cache] = phase
        if phases:
            shown += [Text(), _table(comparison(phases.get(False), phases.get(True)))]
        return Padding(Group(Text(self._heading, style="bold"), Text(), *shown), (1, 1, 0, 1))

    def _preparation(self) -> RenderableType:
        if not self._flights or self._done:
            return Text(
                "starting the next processes" if self._done else "looking for the flights", style="dim"
            )
        return _bar("reading flights into SQLite", self._flights, FLIGHT_ROWS, f"{self._flights:,}")


def _progress(standing: Standing) -> RenderableType:
    number = 2 if standing.cache else 1
    done_s = min(standing.elapsed_s, standing.seconds)
    return _bar(
        f"{number}/2 {_NAMES[standing.cache]}",
        done_s,
        standing.seconds,
        f"{done_s:.0f} of {standing.seconds:g} s",
    )


def _replayed(standing: Standing) -> RenderableType:
    line = Table.grid(padding=(0, 2))
    when = "" if standing.clock is None else _new_york(standing.clock)
    line.add_row(
        Text(when),
        Text(_sparks(standing.rates[-_SPARKS_SHOWN:]), style="cyan"),
        Text("requests/s", style="dim"),
    )
    return line


def _bar(name: str, done: float, total: float, said: str) -> RenderableType:
    line = Table.grid(padding=(0, 2))
    line.add_row(Text(name, style="bold"), ProgressBar(total=total, completed=done, width=40), Text(said))
    return line


def _sparks(values: list[float]) -> str:
    top = max(values, default=0.0)
    return "".join(_SPARKS[min(7, int(value / top * 8))] for value in values) if top else ""


def _new_york(instant: float) -> str:
    return f"{datetime.fromtimestamp(instant, UTC) + _NEW_YORK_SUMMER:%d %B %Y, %H:%M} in New York"


def _table(lines: list[Line]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), show_edge=False)
    table.add_column("", no_wrap=True)
    table.add_column(_NAMES[False], justify="right")
    table.add_column(_NAMES[True], justify="right", style="bold")
    table.add_column("", style="green")
    for line in lines:
        table.add_row(line.name, line.without, line.with_, line.factor)
    return table


def print_report(console: Console, report: Report, heading: str) -> None:
    """The final tables and the verdict."""
    console.print(f"\n{heading}\n", soft_wrap=True, style="bold")
    console.print(_table(comparison(report.without_cache, report.with_cache)))
    console.print()
    endpoints = Table(box=None, padding=(0, 1, 0, 0), show_edge=False)
    for name in ENDPOINT_COLUMNS:
        endpoints.add_column(name, justify="left" if name == "endpoint" else "right")
    for row in endpoint_lines(report.with_cache):
        endpoints.add_row(*row)
    console.print(endpoints)
    console.print()
    console.print(Text(verdict(report), style="bold green" if report.sound else "bold red"))
    for phase in (report.without_cache, report.with_cache):
        for example in phase.staleness.examples + phase.failures:
            console.print(f"  {_NAMES[phase.cache]}: {example}", soft_wrap=True, highlight=False)
