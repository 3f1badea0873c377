"""One process of the service that is drilled: a cached read of real rows, and a change that invalidates it.

`python -m cacheaside.drill.rig.service`; started by `ground`. It shares over CACHEASIDE_URL, as any service would.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

from cacheaside import Cache, Contract, LoadTimeout, Overloaded, Served, Unacknowledged
from cacheaside.demo.pipes import Parent, leave_signals_to_the_parent
from cacheaside.demo.views import FlightView
from cacheaside.drill.rig.messages import (
    ASK,
    CHANGE,
    NAMESPACE,
    Listening,
    Reply,
    Request,
    ServicePulse,
    ToSource,
)
from cacheaside.drill.rig.wire import Answering, Asking, dialled, listening
from cacheaside.drill.settings import admission_of

__all__ = ["main"]

DEADLINE: Final = "150ms"
"""Longer than is usual: all processes of a drill share one machine, and what is to be late is what a drill makes so."""
UNDER_WAY_MAX: Final = 10_000
"""Requests that a process has under way; more fail at once."""
_PULSE_S: Final = 0.1


class SourceFailed(Exception):
    """The source refused a query."""


class _Service:
    """The cache, its one source, and the requests under way."""

    def __init__(self, options: argparse.Namespace, source: Asking) -> None:
        self.cache = Cache(
            os.environ["CACHEASIDE_URL"],
            namespace=NAMESPACE,
            max_unsynced=options.max_unsynced,
            deadline=DEADLINE,
        )
        self._tasks: set[asyncio.Task[None]] = set()

        @asynccontextmanager
        async def session() -> AsyncIterator[Asking]:
            yield source

        self._source = self.cache.source(
            "drill-db", open=session, limit=admission_of(options.limit), timeout=options.timeout
        )
        self._flights = self.cache.tag("flights", int)
        contract = Contract(ttl=options.ttl, grace=options.grace)

        @self.cache.read(
            "flight", contract, source=self._source, tags=lambda flight_id: [self._flights(flight_id)]
        )
        async def flight(session: Asking, flight_id: int) -> FlightView | None:
            reply = await session.ask(ASK, flight_id)
            if reply.how != "source":
                raise SourceFailed(reply.why)
            return reply.view

        self._flight = flight
        self._session = source

    def asked(self, request: Request, answer: Callable[[Reply], None]) -> None:
        """A request begins."""
        if len(self._tasks) >= UNDER_WAY_MAX:
            return answer(Reply(request.number, "failed", why="the service has too many requests under way"))
        work = self._change if request.word == CHANGE else self._read
        task = asyncio.ensure_future(work(request, answer))
        self._tasks.add(task)
        return task.add_done_callback(self._tasks.discard)

    def pulse(self) -> ServicePulse:
        """How its source stands."""
        limit = self._source.limit
        return ServicePulse(time.monotonic(), limit.holders, len(limit))

    async def _read(self, request: Request, answer: Callable[[Reply], None]) -> None:
        try:
            found = await self._flight.lookup(request.flight_id)
        except Overloaded:
            reply = Reply(request.number, "refused")
        except (LoadTimeout, SourceFailed, OSError) as error:
            reply = Reply(request.number, "failed", why=type(error).__name__)
        else:
            how = "joined" if found.served is Served.COLLAPSED else found.tier.value
            reply = Reply(
                request.number, how, version=0 if found.value is None else found.value.versions[0][1]
            )
        answer(reply)

    async def _change(self, request: Request, answer: Callable[[Reply], None]) -> None:
        version = 0
        try:
            async with self.cache.changing(self._flights(request.flight_id)):
                reply = await self._session.ask(CHANGE, request.flight_id)
                version = reply.version
        except Unacknowledged:
            answer(Reply(request.number, "source", version=version, acknowledged=False))
        except OSError as error:
            answer(Reply(request.number, "failed", version=version, why=type(error).__name__))
        else:
            answer(Reply(request.number, reply.how, version=version))


async def _serve(options: argparse.Namespace) -> None:
    parent: Parent[ToSource] = Parent(ToSource)
    service = _Service(options, await dialled(options.source))
    try:
        async with listening(lambda: Answering(service.asked)) as port, asyncio.TaskGroup() as group:
            parent.tell(Listening(port))
            telling = group.create_task(_tell(parent, service))
            async for _ in parent.orders():
                pass
            telling.cancel()
    finally:
        await service.cache.aclose()


async def _tell(parent: Parent[ToSource], service: _Service) -> None:
    while True:
        parent.tell(service.pulse())
        await asyncio.sleep(_PULSE_S)


def main() -> None:
    """Run one service process."""
    leave_signals_to_the_parent()
    parser = argparse.ArgumentParser()
    parser.add_argument("--source", type=int, required=True)
    parser.add_argument("--limit", type=int, required=True)
    parser.add_argument("--timeout", type=float, required=True)
    parser.add_argument("--ttl", type=float, required=True)
    parser.add_argument("--grace", type=float, required=True)
    parser.add_argument("--max-unsynced", type=float, required=True)
    asyncio.run(_serve(parser.parse_args()))


if __name__ == "__main__":
    main()
