"""The HTTP service: three endpoints over cached reads, and the writer that changes the rows behind them.

`python -m cacheaside.demo.service`; started by `run`, which gives the orders. It listens on loopback, on a port that
the operating system chose.
"""

from __future__ import annotations

import argparse
import asyncio
import socket
from collections.abc import Sequence
from contextlib import closing, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import msgspec
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from cacheaside.demo.build import REPLAY_START
from cacheaside.demo.catalog import board, cache, database, flight, plane
from cacheaside.demo.database import Writer, connect
from cacheaside.demo.dataset import new_york_day
from cacheaside.demo.gauges import Gauges
from cacheaside.demo.messages import Begin, End, Listening, Rest
from cacheaside.demo.pipes import Parent, leave_signals_to_the_parent
from cacheaside.demo.replay import Replay, ReplayClock, Update, planned
from cacheaside.demo.timeline import Hold

__all__ = ["application", "main"]

_HOUR_S: Final = 3600
_BACKLOG: Final = 1024
_KEEP_ALIVE_S: Final = 60  # connections rest while the other side has its turn
_PULSE_S: Final = 0.25
_PLAN_SLACK_S: Final = 10.0
_encoder: Final = msgspec.json.Encoder()


def application(clock: ReplayClock) -> Starlette:
    """The routes. `clock` says which hour a departures board begins with, and which day a plane's legs are of."""

    async def get_flight(request: Request) -> Response:
        return _answer(await flight(request.path_params["flight_id"]))

    async def get_departures(request: Request) -> Response:
        now = int(clock.now())
        hour = datetime.fromtimestamp(now - now % _HOUR_S, UTC)
        return _answer(await board(request.path_params["origin"], hour))

    async def get_plane(request: Request) -> Response:
        today = new_york_day(int(clock.now()))
        return _answer(await plane(request.path_params["tailnum"], today))

    return Starlette(
        routes=[
            Route("/flights/{flight_id:int}", get_flight),
            Route("/airports/{origin}/departures", get_departures),
            Route("/planes/{tailnum}", get_plane),
        ]
    )


def _answer(view: Any) -> Response:
    if view is None:
        return Response(b'{"detail":"not found"}', 404, media_type="application/json")
    return Response(_encoder.encode(view), media_type="application/json")


async def _serve(options: argparse.Namespace) -> None:
    parent = Parent()
    if options.without_cache:
        cache.disable(share_loads=False)
    database.open(options.database)
    writer = Writer(options.database)
    clock = ReplayClock(REPLAY_START, options.speed)
    replay = Replay(writer, _unannounced if options.without_invalidation else cache.changing, clock)
    try:
        # asyncio sets TCP_NODELAY only on sockets that name their protocol; without it each answer waits 40 ms for the
        # client's delayed acknowledgement of its headers.
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listening:
            listening.bind(("127.0.0.1", 0))
            listening.listen(_BACKLOG)
            config = uvicorn.Config(
                application(clock),
                log_level="warning",
                access_log=False,
                lifespan="off",
                ws="none",
                timeout_keep_alive=_KEEP_ALIVE_S,
                timeout_graceful_shutdown=1,
            )
            server = uvicorn.Server(config)
            async with asyncio.TaskGroup() as group:
                group.create_task(_answer_requests(server, listening, parent))
                parent.tell(Listening(listening.getsockname()[1]))
                gauges = Gauges(cache, database, replay, clock)
                await _take_orders(parent, replay, gauges, _plan(options))
                server.should_exit = True
    finally:
        await writer.close()
        await cache.aclose()
        await database.close()


async def _answer_requests(server: uvicorn.Server, listening: socket.socket, parent: Parent) -> None:
    await server.serve([listening])
    parent.hang_up()  # a server that was stopped from outside takes no more orders


async def _take_orders(parent: Parent, replay: Replay, gauges: Gauges, plan: Sequence[Update | Hold]) -> None:
    async with asyncio.TaskGroup() as group:
        replaying = group.create_task(replay.run(plan))
        reporting: asyncio.Task[None] | None = None
        async for order in parent.orders():
            if reporting is not None:
                reporting.cancel()
            match order:
                case Begin():
                    replay.turn(runs=True)
                    reporting = group.create_task(_report(parent, gauges))
                case Rest():
                    replay.turn(runs=False)
                    parent.tell(gauges.pulse(final=False))
                case End():
                    replay.stop()
                    await replaying
                    await replay.store_acknowledged()
                    parent.tell(gauges.pulse(final=True))
        replay.stop()
        if reporting is not None:
            reporting.cancel()


async def _report(parent: Parent, gauges: Gauges) -> None:
    while True:
        await asyncio.sleep(_PULSE_S)
        parent.tell(gauges.pulse(final=False))


def _plan(options: argparse.Namespace) -> list[Update | Hold]:
    until = REPLAY_START + int((options.seconds + _PLAN_SLACK_S) * options.speed)
    with closing(connect(options.database)) as connection:
        return planned(connection, REPLAY_START, until)


def _unannounced(*_tags: object) -> nullcontext[None]:
    """Instead of `cache.changing`, to show that the check of staleness can fail."""
    return nullcontext()


def main() -> None:
    """Run the service process."""
    leave_signals_to_the_parent()
    parser = argparse.ArgumentParser()
    parser.add_argument("--database", type=Path, required=True)
    parser.add_argument("--speed", type=float, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--without-cache", action="store_true")
    parser.add_argument("--without-invalidation", action="store_true")
    asyncio.run(_serve(parser.parse_args()))


if __name__ == "__main__":
    main()
