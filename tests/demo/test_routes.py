"""The service over HTTP: answers that say where they came from, and changes that are seen by the next request."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec
import pytest
from starlette.requests import Request

from cacheaside.demo.build import REPLAY_START
from cacheaside.demo.catalog import cache, database
from cacheaside.demo.database import Writer
from cacheaside.demo.ledger import Ledger
from cacheaside.demo.messages import CHANGES, FROM, HOLDS
from cacheaside.demo.replay import ReplayClock, Update
from cacheaside.demo.routes import application
from cacheaside.demo.timeline import Change, Hold
from cacheaside.demo.writes import Writes
from tests.demo.conftest import ID

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from starlette.responses import Response
    from starlette.types import Receive


class Client:
    """Calls the application's routes, as a server would have them called."""

    def __init__(self, writer: Writer) -> None:
        self.ledger = Ledger(lambda: 0)
        writes = Writes(writer, cache.changing, self.ledger, 0)
        self._application = application(ReplayClock(REPLAY_START, 1.0), writes)

    async def get(self, path: str) -> Response:
        return await self._call("GET", path, b"")

    async def post(self, path: str, change: Update | Hold) -> Response:
        return await self._call("POST", path, msgspec.json.encode(change))

    async def _call(self, method: str, path: str, body: bytes) -> Response:
        scope = {"type": "http", "method": method, "path": path, "headers": [], "query_string": b""}
        for route in self._application.routes:
            match, more = route.matches(scope)
            if match.name == "FULL":
                found: Response = await more["endpoint"](Request({**scope, **more}, _once(body)))
                return found
        raise LookupError(path)


def _once(body: bytes) -> Receive:
    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": body, "more_body": False}

    return receive


@pytest.fixture
async def client(built: Path) -> AsyncIterator[Client]:
    await asyncio.to_thread(database.open, built)
    writer = await asyncio.to_thread(Writer, built)
    cache.clear()
    yield Client(writer)
    cache.clear()
    await writer.close()
    while database._idle:
        (await database.take()).close()


async def test_an_answer_says_where_it_came_from(client: Client) -> None:
    """The first read of a flight is a load of its own, one beside it joins that, and the next is a hit in L1."""
    path = f"/flights/{ID['island']}"
    first, beside = await asyncio.gather(client.get(path), client.get(path))
    assert {first.headers[FROM], beside.headers[FROM]} == {"source", "joined"}
    again = await client.get(path)
    assert (again.status_code, again.headers[FROM]) == (200, "l1")
    assert again.body == first.body


async def test_no_such_row_is_an_answer_too(client: Client) -> None:
    """What does not exist is a 404, with where that came from."""
    for came_from in ("source", "l1"):
        missing = await client.get("/flights/999")
        assert (missing.status_code, missing.headers[FROM]) == (404, came_from)


async def test_a_change_is_seen_by_the_next_request(client: Client) -> None:
    """When a change was answered it is done: noted, and no later read shows what it replaced."""
    path = f"/flights/{ID['island']}"
    await client.get(path)
    departed = Update(Change(REPLAY_START, ID["island"], "departed", REPLAY_START, None), "JFK", "N821JB")
    assert (await client.post(CHANGES, departed)).status_code == 204
    assert b'"status":"departed"' in bytes((await client.get(path)).body)
    assert len(client.ledger.changes) == 1


async def test_a_hold_is_seen_on_every_flight_it_put_off(client: Client) -> None:
    """A change of many flights is one request, and what each of them was shown as is out of date."""
    path = f"/flights/{ID['first leg']}"
    await client.get(path)
    assert (await client.post(HOLDS, Hold(REPLAY_START + 2 * 3600, "JFK"))).status_code == 204
    assert b'"status":"held"' in bytes((await client.get(path)).body)
