"""The database of a drill as a process: real rows in SQLite, behind a capacity that can be overloaded.

`python -m cacheaside.drill.rig.source`; started by `ground`. What a query costs is the capacity's; what it answers is
read from the rows at its end. A caller that went away does not end it.
"""

from __future__ import annotations

import argparse
import asyncio
import sqlite3
import statistics
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Final

from cacheaside.demo.database import connect
from cacheaside.demo.pipes import Parent, leave_signals_to_the_parent
from cacheaside.demo.views import select_flight
from cacheaside.drill.capacity import Capacity, Sharing
from cacheaside.drill.rig.messages import CHANGE, Listening, Reply, Request, Slow, SourcePulse, ToSource
from cacheaside.drill.rig.wire import Answering, listening
from cacheaside.drill.series import Reading

__all__ = ["main"]

_PULSE_S: Final = 0.1
_TIMES_MAX: Final = 10_000


class _Database:
    """Queries in the order they end."""

    def __init__(self, connection: sqlite3.Connection, sharing: Sharing) -> None:
        self._connection = connection
        self._sharing = sharing
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._under_way: dict[int, tuple[float, Request, Callable[[Reply], None]]] = {}
        self._times_ms: list[float] = []
        self._loads = self._loads_peak = self._loads_done = (
            0  # what changes rows is no load, and past their limit
        )

    def asked(self, request: Request, answer: Callable[[Reply], None]) -> None:
        """A query begins."""
        now = time.monotonic()
        self._take(now)
        number = self._sharing.arrive(now)
        if number is None:
            return answer(Reply(request.number, "failed", why="too many queries at once"))
        self._under_way[number] = (now, request, answer)
        self._loads += request.word != CHANGE
        self._loads_peak = max(self._loads_peak, self._loads)
        return self._set_timer()

    def slow_down(self, times: float) -> None:
        """From now on."""
        now = time.monotonic()
        self._take(now)
        self._sharing.slow_down(now, times)
        self._set_timer()

    def pulse(self) -> SourcePulse:
        """How it stands."""
        times, self._times_ms = self._times_ms, []
        peak, self._loads_peak = self._loads_peak, self._loads
        reading = Reading(time.monotonic(), peak, self._loads_done, self._sharing.refused)
        return SourcePulse(reading, statistics.median(times) if times else None)

    def _tick(self) -> None:
        self._take(time.monotonic())
        self._set_timer()

    def _take(self, now: float) -> None:
        for number in self._sharing.take(now):
            began, request, answer = self._under_way.pop(number)
            if request.word != CHANGE:
                self._loads -= 1
                self._loads_done += 1
            if len(self._times_ms) < _TIMES_MAX:
                self._times_ms.append((now - began) * 1e3)
            answer(self._run(request))

    def _run(self, request: Request) -> Reply:
        if request.word == CHANGE:
            row = self._connection.execute(
                "UPDATE flights SET version = version + 1 WHERE id = ? RETURNING version",
                (request.flight_id,),
            ).fetchone()
            return Reply(request.number, "source", version=0 if row is None else row[0])
        view = select_flight(self._connection, request.flight_id)
        return Reply(request.number, "source", version=0 if view is None else view.versions[0][1], view=view)

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        due = self._sharing.due()
        self._timer = (
            None if due is None else self._loop.call_later(max(0.0, due - time.monotonic()), self._tick)
        )


async def _serve(options: argparse.Namespace) -> None:
    parent: Parent[ToSource] = Parent(ToSource)
    capacity = Capacity(slots=options.slots, service_s=options.service, contention=options.contention)
    with closing(connect(options.database)) as connection:
        database = _Database(connection, Sharing(capacity))
        async with listening(lambda: Answering(database.asked)) as port, asyncio.TaskGroup() as group:
            parent.tell(Listening(port))
            telling = group.create_task(_tell(parent, database))
            async for order in parent.orders():
                match order:
                    case Slow(times):
                        database.slow_down(times)
            telling.cancel()


async def _tell(parent: Parent[ToSource], database: _Database) -> None:
    while True:
        parent.tell(database.pulse())
        await asyncio.sleep(_PULSE_S)


def main() -> None:
    """Run the source."""
    leave_signals_to_the_parent()
    parser = argparse.ArgumentParser()
    parser.add_argument("--database", type=Path, required=True)
    parser.add_argument("--slots", type=int, required=True)
    parser.add_argument("--service", type=float, required=True)
    parser.add_argument("--contention", type=float, required=True)
    asyncio.run(_serve(parser.parse_args()))


if __name__ == "__main__":
    main()
