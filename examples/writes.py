"""A flight changes its gate: its page and its board follow at once, and nothing else is loaded again."""

from __future__ import annotations

import asyncio

import msgspec

from cacheaside import Cache, Contract
from cacheaside.mapping import Rows

cache = Cache(namespace="airport")
flights = cache.tag("flights", int)
boards = cache.tag("boards", str)
rows = Rows("flights").tag(flights, "id").tag(boards, "origin", when=["gate"])

TABLE = {
    7: {"id": 7, "origin": "JFK", "gate": "A1"},
    8: {"id": 8, "origin": "EWR", "gate": "B2"},
}


class Flight(msgspec.Struct, frozen=True):
    id: int
    origin: str
    gate: str


@cache.read("flight", Contract(ttl="5m"), tags=lambda flight_id: [flights(flight_id)])
async def flight(flight_id: int) -> Flight:
    return msgspec.convert(TABLE[flight_id], Flight)


@cache.read("board", Contract(ttl="5m"), tags=lambda origin: [boards(origin)])
async def board(origin: str) -> tuple[Flight, ...]:
    return tuple(msgspec.convert(row, Flight) for row in TABLE.values() if row["origin"] == origin)


async def move(flight_id: int, gate: str) -> None:
    before = TABLE[flight_id]
    after = before | {"gate": gate}
    async with cache.changing(*rows.changed(before, after)):
        TABLE[flight_id] = after  # the commit


async def main() -> None:
    for _ in range(3):
        await asyncio.gather(flight(7), flight(8), board("JFK"), board("EWR"))
    await move(7, "A9")
    assert (await flight(7)).gate == "A9"
    assert (await board("JFK"))[0].gate == "A9"
    await asyncio.gather(flight(8), board("EWR"))
    loads = {name: numbers.loads for name, numbers in cache.stats().endpoints.items()}
    print(loads)
    assert loads == {"flight": 3, "board": 3}


if __name__ == "__main__":
    asyncio.run(main())
