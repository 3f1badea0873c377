"""The pool: bounded, counted, one snapshot a read, and safe to cancel."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from contextlib import closing
from datetime import date
from typing import TYPE_CHECKING

import pytest

from cacheaside.demo.database import READERS, Database, Writer, connect
from cacheaside.demo.views import select_flight, select_plane
from tests.demo.conftest import ID

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from cacheaside.demo.database import Session


@pytest.fixture
async def database(built: Path) -> AsyncIterator[Database]:
    database = Database()
    await asyncio.to_thread(database.open, built)
    yield database
    await database.close()


def versions(connection: sqlite3.Connection) -> int:
    return int(connection.execute("SELECT sum(version) FROM flights").fetchone()[0])


async def test_every_query_of_a_reader_is_counted(database: Database) -> None:
    """SELECTs are counted as SQLite runs them; the transaction around them is not a query."""
    async with database.session() as session:
        await session.read(select_flight, ID["island"])
        assert database.queries == 1
        await session.read(select_plane, "N298JB", date(2013, 6, 28))
    assert database.queries == 3
    assert len(database.read_s) == 2


async def test_a_read_sees_one_snapshot(database: Database, built: Path) -> None:
    """What is committed between two queries of a read is not seen by the second."""

    def twice(connection: sqlite3.Connection) -> tuple[int, int]:
        first = versions(connection)
        with closing(connect(built)) as other:
            other.execute("UPDATE flights SET version = version + 1")
        return first, versions(connection)

    async with database.session() as session:
        first, second = await session.read(twice)
        assert first == second
        assert await session.read(versions) > second


async def test_readers_cannot_write(database: Database) -> None:
    """A view that tries to change a row fails, and the connection stays usable."""
    async with database.session() as session:
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            await session.read(lambda connection: connection.execute("DELETE FROM flights"))
        assert await session.read(versions)


async def test_sessions_wait_for_a_free_connection(database: Database) -> None:
    """No more sessions are open than there are connections; the next one gets the first that is given back."""
    open_sessions = [database.session() for _ in range(READERS)]
    for session in open_sessions:
        await session.__aenter__()

    async def one_more() -> int:
        async with database.session() as late:
            return await late.read(versions)

    waiting = asyncio.create_task(one_more())
    await asyncio.sleep(0)
    assert not waiting.done()
    await open_sessions.pop().__aexit__(None, None, None)
    assert await waiting
    for session in open_sessions:
        await session.__aexit__(None, None, None)


async def test_a_cancelled_read_keeps_its_connection_until_its_thread_is_done(database: Database) -> None:
    """Cancelling a caller gives its connection to nobody else while its thread still reads from it."""
    reading, finish = threading.Event(), threading.Event()

    def slow(connection: sqlite3.Connection) -> None:
        reading.set()
        finish.wait(10)

    async def cancelled_reader() -> None:
        async with database.session() as session:
            await session.read(slow)

    task = asyncio.create_task(cancelled_reader())
    await asyncio.to_thread(reading.wait, 10)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    others: list[Session] = [database.session() for _ in range(READERS - 1)]
    for session in others:
        await session.__aenter__()
    last = database.session()
    waiting = asyncio.create_task(last.__aenter__())
    await asyncio.sleep(0)
    assert not waiting.done()
    finish.set()
    await waiting
    for session in [*others, last]:
        await session.__aexit__(None, None, None)


async def test_a_failed_write_leaves_no_trace(built: Path) -> None:
    """The writer's transaction is rolled back whole when its work fails, and committed when it returns."""
    writer = await asyncio.to_thread(Writer, built)

    def fail(connection: sqlite3.Connection) -> None:
        connection.execute("DELETE FROM flights")
        raise LookupError

    with pytest.raises(LookupError):
        await writer.run(fail)
    assert await writer.run(versions)
    await writer.close()


async def test_a_database_far_away_takes_that_much_longer(built: Path) -> None:
    """A read is on its way for the distance, and holds its connection meanwhile as a read of any other kind does."""
    far = Database(distance_s=0.02)
    await asyncio.to_thread(far.open, built)
    async with far.session() as session:
        assert await session.read(versions)
    assert far.read_s[0] >= 0.02
    await far.close()
