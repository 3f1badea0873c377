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
from cacheaside.demo.report import Report
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
    """Lines of text: one for each turn."""

    def __init__(self, console: Console, heading: str) -> None:
        self._console = console
        self._heading = heading
        self._standings: dict[bool, Standing] = {}
        self._now = False
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
        now = time.monotonic()
        if now >= self._next_line_at or flights == FLIGHT_ROWS:
            self._next_line_at = now + _LINE_EVERY_S
            self._console.print(f"reading flights into SQLite: {flights:,} of {FLIGHT_ROWS:,}")

    def starting(self, *, seconds: float) -> None:
        """Processes are started, and each side will be under load for so long."""
        self._standings = {cache: Standing(cache=cache, seconds=seconds) for cache in (False, True)}
        self._console.print(f"starting, for {seconds:g} s of load on each side, in turns")

    def turn(self, *, cache: bool) -> None:
        """A turn begins."""
        self._now = cache

    def turn_ends(self) -> None:
        """The turn is over."""
        standing = self._standings[self._now]
        if phase := standing.phase():
            said = f"{_NAMES[self._now]:17}  {standing.elapsed_s:4.1f} s  {in_a_line(phase)}"
            self._console.print(said, soft_wrap=True)

    def load_pulse(self, pulse: LoadPulse) -> None:
        """The load's report."""
        self._standings[self._now].load_pulse(pulse)

    def service_pulse(self, pulse: ServicePulse, watched: Findings) -> None:
        """The service's report."""
        self._standings[self._now].service_pulse(pulse, watched)


class LiveScreen:
    """A screen redrawn four times a second."""

    def __init__(self, console: Console, heading: str) -> None:
        self._heading = heading
        self._flights = 0
        self._standings: dict[bool, Standing] = {}
        self._now: bool | None = None
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

    def starting(self, *, seconds: float) -> None:
        """Processes are started, and each side will be under load for so long."""
        self._standings = {cache: Standing(cache=cache, seconds=seconds) for cache in (False, True)}

    def turn(self, *, cache: bool) -> None:
        """A turn begins."""
        self._now = cache

    def turn_ends(self) -> None:
        """The turn is over; what it showed stays until the next."""

    def load_pulse(self, pulse: LoadPulse) -> None:
        """The load's report."""
        if self._now is not None:
            self._standings[self._now].load_pulse(pulse)

    def service_pulse(self, pulse: ServicePulse, watched: Findings) -> None:
        """The service's report."""
        if self._now is not None:
            self._standings[self._now].service_pulse(pulse, watched)

    def _draw(self) -> RenderableType:
        shown: list[RenderableType] = [Text(self._heading, style="bold"), Text()]
        if self._now is None:
            shown.append(self._preparation())
        else:
            both = list(self._standings.values())
            shown.append(_progress(both, self._standings[self._now]))
            shown.append(_replayed(self._standings[self._now]))
            shown += [Text(), _table(comparison(*(standing.phase() for standing in both)))]
        return Padding(Group(*shown), (1, 1, 0, 1))

    def _preparation(self) -> RenderableType:
        if self._standings or not self._flights:
            return Text("starting processes" if self._standings else "looking for the flights", style="dim")
        return _bar("reading flights into SQLite", self._flights, FLIGHT_ROWS, f"{self._flights:,}")


def _progress(both: list[Standing], now: Standing) -> RenderableType:
    total_s = sum(standing.seconds for standing in both)
    done_s = min(total_s, sum(standing.elapsed_s for standing in both))
    return _bar(f"{_NAMES[now.cache]:17}", done_s, total_s, f"{done_s:.0f} of {total_s:g} s")


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
