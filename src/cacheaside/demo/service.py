"""One process of the HTTP service: its reads, its writes, and what it reports of itself.

`python -m cacheaside.demo.service`; started by `side`, which gives the orders. It listens on loopback, on a port that
the operating system chose. With CACHEASIDE_URL in its environment it shares what it loads over that server.
"""

from __future__ import annotations

import argparse
import asyncio
import socket
from contextlib import nullcontext
from pathlib import Path
from typing import Final

import uvicorn

from cacheaside.demo.build import REPLAY_START
from cacheaside.demo.catalog import cache, database
from cacheaside.demo.database import Writer
from cacheaside.demo.gauges import Gauges
from cacheaside.demo.ledger import Ledger, owed_by, store_moments
from cacheaside.demo.messages import Begin, End, Listening, Report, Rest, ToChild
from cacheaside.demo.pipes import Parent, leave_signals_to_the_parent
from cacheaside.demo.replay import ReplayClock
from cacheaside.demo.routes import application
from cacheaside.demo.writes import Writes

__all__ = ["main"]

_BACKLOG: Final = 1024
_KEEP_ALIVE_S: Final = 60  # connections rest while the other side has its turn
_PULSE_S: Final = 0.25
_SETTLED_WITHIN_S: Final = 5.0


class _Service:
    """The parts of the process, working in turns."""

    def __init__(self, options: argparse.Namespace, parent: Parent[ToChild]) -> None:
        self._parent = parent
        self._writer = Writer(options.database)
        self._clock = ReplayClock(REPLAY_START, options.speed)
        self._ledger = Ledger(lambda: owed_by(cache))
        bracket = _unannounced if options.without_invalidation else cache.changing
        self._writes = Writes(self._writer, bracket, self._ledger, options.process)
        self._gauges = Gauges(cache, database, self._writes, self._ledger, self._clock)

    async def run(self) -> None:
        """Answer requests and take orders until there are no more."""
        # asyncio sets TCP_NODELAY only on sockets that name their protocol; without it each answer waits 40 ms for the
        # client's delayed acknowledgement of its headers.
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listening:
            listening.bind(("127.0.0.1", 0))
            listening.listen(_BACKLOG)
            config = uvicorn.Config(
                application(self._clock, self._writes),
                log_level="warning",
                access_log=False,
                lifespan="off",
                ws="none",
                timeout_keep_alive=_KEEP_ALIVE_S,
                timeout_graceful_shutdown=1,
            )
            server = uvicorn.Server(config)
            async with asyncio.TaskGroup() as group:
                group.create_task(self._answer_requests(server, listening))
                watching = group.create_task(self._ledger.watch())
                self._parent.tell(Listening(listening.getsockname()[1]))
                await self._take_orders()
                watching.cancel()
                server.should_exit = True

    async def close(self) -> None:
        """Wait for a write under way."""
        await self._writer.close()

    async def _answer_requests(self, server: uvicorn.Server, listening: socket.socket) -> None:
        await server.serve([listening])
        self._parent.hang_up()  # a server that was stopped from outside takes no more orders

    async def _take_orders(self) -> None:
        async with asyncio.TaskGroup() as group:
            reporting: asyncio.Task[None] | None = None
            async for order in self._parent.orders():
                match order:
                    case Begin():
                        self._clock.run()
                        reporting = group.create_task(self._report())
                    case Report():
                        self._tell()
                    case Rest():
                        if reporting is not None:
                            reporting.cancel()
                        self._clock.stand()
                        self._tell(is_last=True)
                    case End():
                        await self._end()
            if reporting is not None:
                reporting.cancel()

    async def _end(self) -> None:
        await self._ledger.settled(_SETTLED_WITHIN_S)
        await self._writer.run(store_moments, list(self._ledger.changes.values()))
        self._tell(is_last=True)

    async def _report(self) -> None:
        while True:
            await asyncio.sleep(_PULSE_S)
            self._tell()

    def _tell(self, *, is_last: bool = False) -> None:
        self._parent.tell(self._gauges.pulse(is_last=is_last))


def _unannounced(*_tags: object) -> nullcontext[None]:
    """Instead of `cache.changing`, to show that the check of staleness can fail."""
    return nullcontext()


async def _serve(options: argparse.Namespace) -> None:
    parent = Parent[ToChild](ToChild)
    if options.without_cache:
        cache.disable(share_loads=False)
    database.distance_s = options.distance / 1e3
    database.open(options.database)
    service = _Service(options, parent)
    try:
        await service.run()
    finally:
        await service.close()
        await cache.aclose()
        await database.close()


def main() -> None:
    """Run one service process."""
    leave_signals_to_the_parent()
    parser = argparse.ArgumentParser()
    parser.add_argument("--database", type=Path, required=True)
    parser.add_argument("--process", type=int, required=True)
    parser.add_argument("--distance", type=float, required=True)
    parser.add_argument("--speed", type=float, required=True)
    parser.add_argument("--without-cache", action="store_true")
    parser.add_argument("--without-invalidation", action="store_true")
    asyncio.run(_serve(parser.parse_args()))


if __name__ == "__main__":
    main()
