"""The service's cached reads: how an application uses cacheaside.

Each read says how old its value may be (the contract), where it comes from (the source) and what it is computed
from (the tags). Whoever changes a row names the same tags (`replay`), and needs to know none of these functions.
"""

from __future__ import annotations

import os
from datetime import date, datetime

from cacheaside import Cache, Contract
from cacheaside.demo.database import READERS, Database, Session
from cacheaside.demo.views import Board, FlightView, PlaneView, select_board, select_flight, select_plane

__all__ = [
    "BOARD",
    "STATUS",
    "board",
    "boards",
    "cache",
    "database",
    "flight",
    "flights",
    "origins",
    "plane",
    "planes",
]

# Without a URL everything is kept in this process. With one, processes share what they loaded, and hear of each other's
# writes. A departure that happened is written down whether or not that server is there: the write goes on, and what it
# invalidates is told when the server is back. Where a write had better fail, this would be left at "raise".
cache = Cache(
    os.environ.get("CACHEASIDE_URL"),
    namespace="flights",
    max_unsynced=os.environ.get("CACHEASIDE_MAX_UNSYNCED", "2s"),
    when_away="retry",
)
database = Database()
db = cache.source("flights-db", open=database.session, limit=READERS, timeout="10s")

# How old an answer may be. Every change of a row invalidates what was computed from it, so these are the bounds for
# when that goes wrong: a writer that bypasses the service, an invalidation that never arrives.
STATUS = Contract(ttl="10s", grace="50s", absent_ttl="60s")
BOARD = Contract(ttl="10s", grace="20s", absent_ttl="60s")

flights = cache.tag("flights", int)
planes = cache.tag("planes", str)
# A board lists flights, and one that moves into its hours is not on it yet: it has no flight's tag to go by. So a
# collection has a tag of its own, for whoever changes what belongs to it.
boards = cache.tag("boards", str)
# One change of very many flights names the airport they leave from, not each of them.
origins = cache.tag("origins", str)


@cache.read(
    "flight",
    STATUS,
    source=db,
    tags=lambda flight_id: [flights(flight_id)],
    value_tags=lambda view: [origins(view.origin)],  # known only when the flight is
)
async def flight(session: Session, flight_id: int) -> FlightView | None:
    """A flight with its carrier and its plane."""
    return await session.read(select_flight, flight_id)


@cache.read(
    "board",
    BOARD,
    source=db,
    tags=lambda origin: [boards(origin)],
)
async def board(session: Session, origin: str, since: datetime) -> Board | None:
    """Departures from an airport in the hours after `since`. Time is an argument: nothing is read from a clock."""
    return await session.read(select_board, origin, since)


@cache.read(
    "plane",
    STATUS,
    source=db,
    tags=lambda tailnum: [planes(tailnum)],
    value_tags=lambda view: [origins(leg.origin) for leg in view.legs],
)
async def plane(session: Session, tailnum: str, day: date) -> PlaneView | None:
    """A plane with the flights it has on one day."""
    return await session.read(select_plane, tailnum, day)
