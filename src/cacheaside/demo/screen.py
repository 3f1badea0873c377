"""What a run shows: a live screen on a terminal, lines of text elsewhere."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
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
from cacheaside.demo.drawing import drawn_comparison, drawn_stages
from cacheaside.demo.figures import StageFigures, stage_figures
from cacheaside.demo.gathered import Gathered, StageLog
from cacheaside.demo.report import Phase, phase_report
from cacheaside.demo.stage_table import in_a_line
from cacheaside.demo.stages import Stage, Turn, seconds_of

__all__ = ["LiveScreen", "PlainScreen"]

_FRAMES_PER_S: Final = 4
_LINE_EVERY_S: Final = 2.0
_SPARKS: Final = "▁▂▃▄▅▆▇█"
_SPARKS_SHOWN: Final = 24
_LATEST: Final = 1000
"""Answers that a latency on the screen is taken from."""
_NEW_YORK_SUMMER: Final = timedelta(hours=-4)


class _Run:
    """What both screens know of a run."""

    def __init__(self, heading: str) -> None:
        self._heading = heading
        self._planned: Sequence[Turn] = ()
        self._gathered: Mapping[bool, Gathered] = {}
        self._now: Turn | None = None
        self._stage: Stage | None = None
        self._is_judging = False

    def starting(self, planned: Sequence[Turn], gathered: Mapping[bool, Gathered]) -> None:
        """Processes are started for these turns; what each side's say is gathered there."""
        self._planned, self._gathered = planned, gathered

    def turn(self, turn: Turn) -> None:
        """A turn begins."""
        self._now = turn

    def stage(self, stage: Stage) -> None:
        """A stage begins."""
        self._stage = stage

    def stage_ends(self, stage: Stage) -> None:
        """It is over; what it showed stays until the next."""

    def judging(self) -> None:
        """The turns are over, and every answer is compared with the history."""
        self._is_judging = True

    def _logs(self) -> list[tuple[Gathered, StageLog]]:
        return [(gathered, log) for gathered in self._gathered.values() for log in gathered.stages.values()]

    def _figures(self) -> list[StageFigures]:
        """Of every stage so far; what is too old as far as a part of the answers was looked at."""
        now = time.monotonic()
        return [stage_figures(gathered, log, log.watched, now) for gathered, log in self._logs()]


class PlainScreen(_Run):
    """Lines of text: one when a stage means something new, and one when it ends."""

    def __init__(self, console: Console, heading: str) -> None:
        super().__init__(heading)
        self._console = console
        self._next_line_at = 0.0
        self._explained: set[str] = set()

    def __enter__(self) -> Self:
        self._say(self._heading)
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
            self._say(f"reading flights into SQLite: {flights:,} of {FLIGHT_ROWS:,}")

    def starting(self, planned: Sequence[Turn], gathered: Mapping[bool, Gathered]) -> None:
        """Processes are started for these turns."""
        super().starting(planned, gathered)
        self._say(f"starting, for {sum(map(seconds_of, planned)):g} s of load")

    def stage(self, stage: Stage) -> None:
        """A stage begins."""
        super().stage(stage)
        if stage.name not in self._explained:
            self._explained.add(stage.name)
            self._say(f"{stage.name}: {stage.means}")

    def stage_ends(self, stage: Stage) -> None:
        """It is over."""
        self._say(in_a_line(next(one for one in self._figures() if one.name == stage.name)))

    def judging(self) -> None:
        """The turns are over."""
        self._say("comparing every answer with the database's history")

    def _say(self, words: str) -> None:
        self._console.print(words, soft_wrap=True)


class LiveScreen(_Run):
    """A screen redrawn four times a second."""

    def __init__(self, console: Console, heading: str) -> None:
        super().__init__(heading)
        self._flights = 0
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

    def _draw(self) -> RenderableType:
        shown: list[RenderableType] = [Text(self._heading, style="bold"), Text()]
        if self._now is None or self._stage is None:
            shown.append(self._preparation())
        else:
            shown += [self._progress(self._stage), _replayed(self._gathered[self._now.cache]), Text()]
            shown += self._numbers(self._stage)
        return Padding(Group(*shown), (1, 1, 0, 1))

    def _numbers(self, stage: Stage) -> list[RenderableType]:
        if not any(one.event for turn in self._planned for one in turn.stages):
            return [drawn_comparison(*(self._phase(cache) for cache in (False, True)))]
        means = "Every answer is compared with the database's history." if self._is_judging else stage.means
        return [
            drawn_stages(self._figures(), current=None if self._is_judging else stage.name),
            Text(),
            Text(means),
            Text(self._afterwards(), style="dim"),
        ]

    def _afterwards(self) -> str:
        checked = sum(log.watched.checked for _, log in self._logs())
        owed = sum(gathered.owed for gathered in self._gathered.values())
        return f"{checked:,} answers checked so far · {owed:,} invalidations owed to other processes"

    def _phase(self, cache: bool) -> Phase | None:
        gathered = self._gathered[cache]
        log = gathered.current
        totals = gathered.totals(latest=_LATEST)
        return (
            None
            if log is None or totals is None
            else phase_report(cache=cache, totals=totals, findings=log.watched)
        )

    def _progress(self, stage: Stage) -> RenderableType:
        total_s = sum(map(seconds_of, self._planned))
        now = time.monotonic()
        done_s = min(total_s, sum(log.seconds(now) for _, log in self._logs()))
        return _bar(f"{stage.name:17}", done_s, total_s, f"{done_s:.0f} of {total_s:g} s")

    def _preparation(self) -> RenderableType:
        if self._planned or not self._flights:
            return Text("starting processes" if self._planned else "looking for the flights", style="dim")
        return _bar("reading flights into SQLite", self._flights, FLIGHT_ROWS, f"{self._flights:,}")


def _replayed(gathered: Gathered) -> RenderableType:
    line = Table.grid(padding=(0, 2))
    when = "" if gathered.clock is None else _new_york(gathered.clock)
    line.add_row(
        Text(when),
        Text(_sparks(gathered.rates[-_SPARKS_SHOWN:]), style="cyan"),
        Text("requests/s", style="dim"),
    )
    return line


def _bar(name: str, done: float, total: float, said: str) -> RenderableType:
    line = Table.grid(padding=(0, 2))
    line.add_row(Text(name, style="bold"), ProgressBar(total=total, completed=done, width=40), Text(said))
    return line


def _sparks(values: Sequence[float]) -> str:
    top = max(values, default=0.0)
    return "".join(_SPARKS[min(7, int(value / top * 8))] for value in values) if top else ""


def _new_york(instant: float) -> str:
    return f"{datetime.fromtimestamp(instant, UTC) + _NEW_YORK_SUMMER:%d %B %Y, %H:%M} in New York"
