"""The load: many readers over HTTP in a process of their own, each asking again as soon as it was answered; and beside
them whoever changes the rows, by requests too.

`python -m cacheaside.demo.load`; started by `side`, which gives the orders. Every request goes to the next of the
service's processes. A closed loop: latencies are those of the readers there are, and say nothing of requests that would
have come in the meantime.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from itertools import cycle
from pathlib import Path
from typing import Final

import aiohttp
import msgspec
from yarl import URL

from cacheaside.demo.build import REPLAY_START
from cacheaside.demo.database import connect
from cacheaside.demo.demand import Demand
from cacheaside.demo.messages import CHANGES, FROM, HOLDS, Begin, Connect, Listening, ToChild, TurnEnded
from cacheaside.demo.outcomes import Outcomes
from cacheaside.demo.pipes import Parent, leave_signals_to_the_parent
from cacheaside.demo.replay import AT_ONCE_MAX, Replay, ReplayClock, Update, planned
from cacheaside.demo.timeline import Hold

__all__ = ["main"]

_KEEP_ALIVE_S: Final = 60.0  # connections rest while the other side has its turn
_PULSE_S: Final = 0.25
_TIMEOUT_S: Final = 10.0
_PAUSE_AFTER_FAILURE_S: Final = 0.05
_PLAN_SLACK_S: Final = 10.0


class _Load:
    """The readers and the writers, who work in turns."""

    def __init__(
        self,
        http: aiohttp.ClientSession,
        demand: Demand,
        readers: int,
        rate: float,
        clock: ReplayClock,
        parent: Parent[ToChild],
    ) -> None:
        self._http = http
        self._demand = demand
        self._readers = readers
        self._parent = parent
        self._outcomes = Outcomes()
        self._replay = Replay(self._change, clock)
        self._pause_s = readers / rate if rate else 0.0
        self._services: Iterator[tuple[int, str]] = iter(())
        self._writers: Iterator[str] = iter(())

    def connect(self, ports: Sequence[int], writers: Sequence[int]) -> None:
        """Where the service's processes listen."""
        self._services = cycle([(number, _base(port)) for number, port in enumerate(ports)])
        self._writers = cycle([_base(port) for port in writers])

    async def replay(self, plan: Sequence[Update | Hold]) -> None:
        """Make the planned changes, in the turns to come."""
        await self._replay.run(plan)

    async def turn(self, seconds: float) -> None:
        """Ask, and make changes, for so long; tell the parent how it goes, and when everything is answered."""
        began = last = time.monotonic()
        self._replay.turn(runs=True)
        async with asyncio.TaskGroup() as group:
            reading = [group.create_task(self._read(began + seconds)) for _ in range(self._readers)]
            while not all(task.done() for task in reading):
                await asyncio.wait(reading, timeout=_PULSE_S)
                now = time.monotonic()
                self._parent.tell(self._outcomes.pulse(now - last))
                last = now
        self._replay.turn(runs=False)
        await self._replay.idle()
        self._parent.tell(self._outcomes.pulse(0.0))  # of changes that came last
        self._parent.tell(TurnEnded())

    async def _read(self, until: float) -> None:
        due_at = time.monotonic() + self._pause_s * self._demand.share()
        while (started_at := await self._next(due_at)) < until:
            due_at = max(due_at, started_at - self._pause_s) + self._pause_s
            endpoint, path = self._demand.draw()
            process, base = next(self._services)
            try:
                with self._outcomes.asking(path):
                    async with self._http.get(URL(base + path, encoded=True)) as response:
                        body = await response.read()
            except (aiohttp.ClientError, TimeoutError) as error:
                self._outcomes.refused(started_at, f"{endpoint}: {type(error).__name__}: {error}")
                await asyncio.sleep(_PAUSE_AFTER_FAILURE_S)
            else:
                source = response.headers.get(FROM, "source")
                self._outcomes.answered(
                    endpoint, started_at, time.monotonic(), response.status, body, process, source
                )

    async def _next(self, due_at: float) -> float:
        """Now, but not before `due_at`. Whoever is late asks at once, and does not make up for all that it missed."""
        await asyncio.sleep(max(0.0, due_at - time.monotonic()))
        return time.monotonic()

    async def _change(self, change: Update | Hold) -> None:
        started_at = time.monotonic()
        path = HOLDS if isinstance(change, Hold) else CHANGES
        try:
            async with self._http.post(
                next(self._writers) + path, data=msgspec.json.encode(change)
            ) as response:
                body = await response.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            self._outcomes.refused(started_at, f"change: {type(error).__name__}: {error}")
        else:
            if response.status != 204:
                said = body[:200].decode(errors="replace")
                self._outcomes.refused(started_at, f"change: status {response.status}: {said}")


def _base(port: int) -> str:
    return f"http://127.0.0.1:{port}"


async def _main(options: argparse.Namespace) -> None:
    parent = Parent[ToChild](ToChild)
    until = REPLAY_START + int((options.seconds + _PLAN_SLACK_S) * options.speed)
    with closing(connect(options.database)) as connection:
        demand = Demand(connection, options.seed)
        plan = planned(connection, REPLAY_START, until)
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(
            limit=options.connections + AT_ONCE_MAX, keepalive_timeout=_KEEP_ALIVE_S
        ),
        timeout=aiohttp.ClientTimeout(total=_TIMEOUT_S),
        cookie_jar=aiohttp.DummyCookieJar(),
    ) as http:
        clock = ReplayClock(REPLAY_START, options.speed)
        load = _Load(http, demand, options.connections, options.rate, clock, parent)
        parent.tell(Listening())
        await _take_orders(parent, load, plan)


async def _take_orders(parent: Parent[ToChild], load: _Load, plan: Sequence[Update | Hold]) -> None:
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(load.replay(plan))]
        async for order in parent.orders():
            match order:
                case Connect(ports, writers):
                    load.connect(ports, writers)
                case Begin(seconds):
                    tasks.append(group.create_task(load.turn(seconds)))
        for task in tasks:
            task.cancel()


def main() -> None:
    """Run the load process."""
    leave_signals_to_the_parent()
    parser = argparse.ArgumentParser()
    parser.add_argument("--database", type=Path, required=True)
    parser.add_argument("--connections", type=int, required=True)
    parser.add_argument("--rate", type=float, required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--speed", type=float, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    asyncio.run(_main(parser.parse_args()))


if __name__ == "__main__":
    main()
