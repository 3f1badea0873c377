"""The load: many readers over HTTP in a process of their own, each asking again as soon as it was answered.

`python -m cacheaside.demo.load`; started by `run`, which gives the orders. A closed loop: latencies are those of
the readers there are, and say nothing of requests that would have come in the meantime.
"""

from __future__ import annotations

import argparse
import asyncio
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any, Final
from urllib.parse import quote

import aiohttp
import msgspec
from yarl import URL

from cacheaside.demo.build import REPLAY_START
from cacheaside.demo.database import connect
from cacheaside.demo.dataset import new_york_day
from cacheaside.demo.history import Range, Served
from cacheaside.demo.messages import Begin, End, Listening, LoadEnded, LoadPulse, TurnEnded
from cacheaside.demo.pipes import Parent, leave_signals_to_the_parent
from cacheaside.demo.popularity import Zipf
from cacheaside.demo.views import Versions

__all__ = ["Demand", "main"]

EXPONENT: Final = 0.99
"""Of Zipf's law; the value that YCSB made customary."""

_FLIGHT_SHARE: Final = 0.60
_BOARD_SHARE: Final = 0.25  # the rest asks for planes
_DAYS_AROUND: Final = 3
_KEEP_ALIVE_S: Final = 60.0  # connections rest while the other side has its turn
_PULSE_S: Final = 0.25
_TIMEOUT_S: Final = 10.0
_FAILURES_KEPT: Final = 5
_PAUSE_AFTER_FAILURE_S: Final = 0.05


class Demand:
    """What the readers ask for: the same sequence for the same seed and database.

    They ask for the flights of the replayed day and the three days either side, for the planes that fly them, and
    for the boards of the three airports; which of each is popular is drawn from the seed. One tail number in six
    is unknown to the registry, and is asked for like the others.
    """

    def __init__(self, connection: sqlite3.Connection, seed: int) -> None:
        self._random = Random(seed)
        today = new_york_day(REPLAY_START)
        week = [(today + timedelta(days)).isoformat() for days in (-_DAYS_AROUND, _DAYS_AROUND)]
        where = "FROM flights WHERE day BETWEEN ? AND ?"
        self._flights = self._zipf(connection.execute(f"SELECT id {where} ORDER BY 1", week))
        tails = f"SELECT DISTINCT tailnum {where} AND tailnum IS NOT NULL ORDER BY 1"
        self._planes = self._zipf(connection.execute(tails, week))
        self._origins = self._zipf(connection.execute(f"SELECT DISTINCT origin {where} ORDER BY 1", week))

    def draw(self) -> tuple[str, str]:
        """An endpoint's name and the path to ask for."""
        share = self._random.random()
        if share < _FLIGHT_SHARE:
            return "flight", f"/flights/{self._flights.draw()}"
        if share < _FLIGHT_SHARE + _BOARD_SHARE:
            return "board", f"/airports/{self._origins.draw()}/departures"
        return "plane", f"/planes/{quote(self._planes.draw())}"

    def _zipf(self, rows: sqlite3.Cursor) -> Zipf[Any]:
        things = [row[0] for row in rows]
        self._random.shuffle(things)
        return Zipf(things, EXPONENT, self._random)


class _Shown(msgspec.Struct):
    """What the check needs of a response's body; the rest is skipped over."""

    versions: Versions
    origin: str | None = None
    since: datetime | None = None
    until: datetime | None = None


def _range(shown: _Shown) -> Range | None:
    if shown.origin is None or shown.since is None or shown.until is None:
        return None
    return Range(shown.origin, int(shown.since.timestamp()), int(shown.until.timestamp()))


class _Outcomes:
    """What became of the requests: latencies for the whole run, and what is new since the last pulse."""

    def __init__(self) -> None:
        self.latencies_s: dict[str, list[float]] = {"flight": [], "board": [], "plane": []}
        self.absent = 0
        self.overlapping = 0
        self.failed = 0
        self.failures: list[str] = []
        self._decoder = msgspec.json.Decoder(_Shown)
        self._under_way: Counter[str] = Counter()
        self._fresh_s: list[float] = []
        self._fresh_failed = 0
        self._served: list[Served] = []

    @contextmanager
    def asking(self, path: str) -> Iterator[None]:
        """The time of one request."""
        self.overlapping += self._under_way[path] > 0
        self._under_way[path] += 1
        try:
            yield
        finally:
            self._under_way[path] -= 1

    def answered(self, endpoint: str, started_at: float, ended_at: float, status: int, body: bytes) -> None:
        """Note one answer. An unknown plane's 404 is an answer like any other; nothing is to be compared in it."""
        if status not in (200, 404):
            self.refused(f"{endpoint}: status {status}: {body[:200].decode(errors='replace')}")
            return
        self.latencies_s[endpoint].append(ended_at - started_at)
        self._fresh_s.append(ended_at - started_at)
        if status == 404:
            self.absent += 1
            return
        shown = self._decoder.decode(body)
        self._served.append(Served(endpoint, started_at, ended_at, shown.versions, _range(shown)))

    def refused(self, why: str) -> None:
        """Note a request without a proper answer."""
        self.failed += 1
        self._fresh_failed += 1
        if len(self.failures) < _FAILURES_KEPT:
            self.failures.append(why)

    def pulse(self, span_s: float) -> LoadPulse:
        """What is new since the last pulse."""
        fresh = sorted(self._fresh_s)
        pulse = LoadPulse(
            requests=len(fresh),
            absent=self.absent,
            overlapping=self.overlapping,
            failed=self._fresh_failed,
            span_s=span_s,
            p50_ms=_quantile_ms(fresh, 0.5),
            p99_ms=_quantile_ms(fresh, 0.99),
            served=self._served,
        )
        self._fresh_s, self._fresh_failed, self._served = [], 0, []
        return pulse

    def ended(self, span_s: float) -> LoadEnded:
        """The whole of it."""
        latencies = {name: sorted(values) for name, values in self.latencies_s.items()}
        latencies["all"] = sorted(one for values in latencies.values() for one in values)
        return LoadEnded(
            requests={name: len(values) for name, values in latencies.items()},
            absent=self.absent,
            overlapping=self.overlapping,
            failed=self.failed,
            failures=self.failures,
            span_s=span_s,
            p50_ms={name: _quantile_ms(values, 0.5) for name, values in latencies.items()},
            p99_ms={name: _quantile_ms(values, 0.99) for name, values in latencies.items()},
        )


def _quantile_ms(ordered: list[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] * 1e3 if ordered else 0.0


class _Load:
    """The readers, who work in turns."""

    def __init__(
        self, session: aiohttp.ClientSession, base: str, demand: Demand, readers: int, parent: Parent
    ) -> None:
        self._session = session
        self._base = base
        self._demand = demand
        self._readers = readers
        self._parent = parent
        self._outcomes = _Outcomes()
        self._span_s = 0.0

    async def turn(self, seconds: float) -> None:
        """Ask for so long, and tell the parent how it goes and when everything is answered."""
        began = last = time.monotonic()
        async with asyncio.TaskGroup() as group:
            reading = [group.create_task(self._read(began + seconds)) for _ in range(self._readers)]
            while not all(task.done() for task in reading):
                await asyncio.wait(reading, timeout=_PULSE_S)
                now = time.monotonic()
                self._parent.tell(self._outcomes.pulse(now - last))
                last = now
        self._span_s += last - began
        self._parent.tell(TurnEnded())

    def ended(self) -> LoadEnded:
        """All turns together."""
        return self._outcomes.ended(self._span_s)

    async def _read(self, until: float) -> None:
        while (started_at := time.monotonic()) < until:
            endpoint, path = self._demand.draw()
            try:
                with self._outcomes.asking(path):
                    async with self._session.get(URL(self._base + path, encoded=True)) as response:
                        body = await response.read()
            except (aiohttp.ClientError, TimeoutError) as error:
                self._outcomes.refused(f"{endpoint}: {type(error).__name__}: {error}")
                await asyncio.sleep(_PAUSE_AFTER_FAILURE_S)
            else:
                self._outcomes.answered(endpoint, started_at, time.monotonic(), response.status, body)


async def _main(options: argparse.Namespace) -> None:
    parent = Parent()
    with closing(connect(options.database)) as connection:
        demand = Demand(connection, options.seed)
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=options.connections, keepalive_timeout=_KEEP_ALIVE_S),
        timeout=aiohttp.ClientTimeout(total=_TIMEOUT_S),
        cookie_jar=aiohttp.DummyCookieJar(),
    ) as session:
        load = _Load(session, f"http://127.0.0.1:{options.port}", demand, options.connections, parent)
        parent.tell(Listening())
        await _take_orders(parent, load)


async def _take_orders(parent: Parent, load: _Load) -> None:
    async with asyncio.TaskGroup() as group:
        turn: asyncio.Task[None] | None = None
        async for order in parent.orders():
            match order:
                case Begin(seconds):
                    turn = group.create_task(load.turn(seconds))
                case End():
                    parent.tell(load.ended())
        if turn is not None:
            turn.cancel()


def main() -> None:
    """Run the load process."""
    leave_signals_to_the_parent()
    parser = argparse.ArgumentParser()
    parser.add_argument("--database", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--connections", type=int, required=True)
    parser.add_argument("--seed", type=int, required=True)
    asyncio.run(_main(parser.parse_args()))


if __name__ == "__main__":
    main()
