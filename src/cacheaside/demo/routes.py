"""The HTTP interface: three reads, each answered with where the value came from, and two ways to change rows."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from cacheaside import Lookup, Served
from cacheaside.demo.catalog import board, flight, plane
from cacheaside.demo.dataset import new_york_day
from cacheaside.demo.history import From
from cacheaside.demo.messages import CHANGES, FROM, HOLDS
from cacheaside.demo.replay import ReplayClock, Update
from cacheaside.demo.timeline import Hold
from cacheaside.demo.writes import Writes

__all__ = ["application"]

_HOUR_S: Final = 3600
_encoder: Final = msgspec.json.Encoder()
_updates: Final = msgspec.json.Decoder(Update)
_holds: Final = msgspec.json.Decoder(Hold)


def application(clock: ReplayClock, writes: Writes) -> Starlette:
    """The routes. `clock` says which hour a departures board begins with, and which day a plane's legs are of."""

    async def get_flight(request: Request) -> Response:
        return _answer(await flight.lookup(request.path_params["flight_id"]))

    async def get_departures(request: Request) -> Response:
        now = int(clock.now())
        hour = datetime.fromtimestamp(now - now % _HOUR_S, UTC)
        return _answer(await board.lookup(request.path_params["origin"], hour))

    async def get_plane(request: Request) -> Response:
        today = new_york_day(int(clock.now()))
        return _answer(await plane.lookup(request.path_params["tailnum"], today))

    async def post_change(request: Request) -> Response:
        await writes.update(_updates.decode(await request.body()))
        return Response(status_code=204)

    async def post_hold(request: Request) -> Response:
        await writes.hold(_holds.decode(await request.body()))
        return Response(status_code=204)

    return Starlette(
        routes=[
            Route("/flights/{flight_id:int}", get_flight),
            Route("/airports/{origin}/departures", get_departures),
            Route("/planes/{tailnum}", get_plane),
            Route(CHANGES, post_change, methods=["POST"]),
            Route(HOLDS, post_hold, methods=["POST"]),
        ]
    )


def _answer(found: Lookup[Any]) -> Response:
    headers = {FROM: _came_from(found)}
    if found.value is None:
        return Response(b'{"detail":"not found"}', 404, headers, media_type="application/json")
    return Response(_encoder.encode(found.value), 200, headers, media_type="application/json")


def _came_from(found: Lookup[Any]) -> From:
    if found.served is Served.COLLAPSED:
        return "joined"
    return found.tier.value
