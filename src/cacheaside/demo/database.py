"""SQLite for an asyncio service: a bounded pool of readers and one writer, each call in a thread of its own.

Every SELECT that reaches SQLite over a reader is counted where SQLite itself reports it, below any cache.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any, Concatenate, Final, ParamSpec, Self, TypeVar

__all__ = ["READERS", "Database", "Session", "Writer", "connect"]

P = ParamSpec("P")
T = TypeVar("T")

READERS: Final = 8
"""How many reads SQLite is given at a time."""
_BUSY_TIMEOUT_S: Final = 5.0


def connect(path: Path) -> sqlite3.Connection:
    """A connection in WAL mode that begins no transaction by itself; for one thread at a time."""
    connection = sqlite3.connect(
        path, isolation_level=None, check_same_thread=False, timeout=_BUSY_TIMEOUT_S, cached_statements=64
    )
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("PRAGMA mmap_size = 268435456")
    return connection


class Database:
    """A pool of `READERS` read-only connections, empty until `open`."""

    def __init__(self, distance_s: float = 0.0) -> None:
        self.distance_s = distance_s
        """How long a read is on its way, as over a network, while it holds its connection."""
        self._threads = ThreadPoolExecutor(READERS, thread_name_prefix="reader")
        self._idle: list[sqlite3.Connection] = []
        self._free = asyncio.Semaphore(0)
        self._counting = threading.Lock()
        self.queries = 0
        """SELECT statements run by readers so far."""
        self.read_s: list[float] = []
        """How long each read took from its call to its result, the wait for a thread included."""

    def open(self, path: Path) -> None:
        """Connect to the file `path`."""
        for _ in range(READERS):
            self.give_back(self._reader(path))

    def session(self) -> Session:
        """One connection for the time of an `async with`; waits while all are in use."""
        return Session(self)

    async def close(self) -> None:
        """Wait for reads under way, then close every connection."""
        await asyncio.to_thread(self._threads.shutdown)
        for connection in self._idle:
            connection.close()

    async def take(self) -> sqlite3.Connection:
        """A connection to give back with `give_back`; for `Session`."""
        await self._free.acquire()
        return self._idle.pop()

    def give_back(self, connection: sqlite3.Connection) -> None:
        """Make a taken connection available again; for `Session`, on the event loop's thread."""
        self._idle.append(connection)
        self._free.release()

    def submit(self, work: Callable[[], T]) -> Future[T]:
        """Run `work` in one of the readers' threads; for `Session`."""
        return self._threads.submit(work)

    def _reader(self, path: Path) -> sqlite3.Connection:
        connection = connect(path)
        connection.execute("PRAGMA query_only = ON")
        connection.set_trace_callback(self._count)
        return connection

    def _count(self, statement: str) -> None:
        if statement.lstrip().startswith("SELECT"):
            with self._counting:
                self.queries += 1


class Session:
    """One reader's connection, lent for one load."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._connection: sqlite3.Connection | None = None
        self._last: Future[Any] | None = None

    async def __aenter__(self) -> Self:
        self._connection = await self._database.take()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        connection, self._connection = self._connection, None
        assert connection is not None
        if self._last is None or self._last.done():
            self._database.give_back(connection)
            return
        # The caller was cancelled and its thread is still reading: the connection is free when that has
        # ended.
        loop = asyncio.get_running_loop()
        give_back = self._database.give_back
        self._last.add_done_callback(lambda _: loop.call_soon_threadsafe(give_back, connection))

    async def read(
        self, view: Callable[Concatenate[sqlite3.Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """What `view(connection, …)` returns. Its queries see one snapshot, taken after this call began."""
        connection = self._connection
        assert connection is not None, "a session is used inside `async with`"

        def in_snapshot() -> T:
            connection.execute("BEGIN")
            try:
                return view(connection, *args, **kwargs)
            finally:
                connection.execute("ROLLBACK")  # nothing was written

        began = time.monotonic()
        if self._database.distance_s:
            await asyncio.sleep(self._database.distance_s)
        future = self._database.submit(in_snapshot)
        self._last = future
        result = await asyncio.wrap_future(future)
        self._database.read_s.append(time.monotonic() - began)
        return result


class Writer:
    """The one connection that writes, with a thread of its own."""

    def __init__(self, path: Path) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="writer")
        self._connection = connect(path)

    async def run(
        self, work: Callable[Concatenate[sqlite3.Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """What `work(connection, …)` returns; it runs in one transaction, committed when this returns."""

        def in_transaction() -> T:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                result = work(self._connection, *args, **kwargs)
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")
            return result

        return await asyncio.get_running_loop().run_in_executor(self._thread, in_transaction)

    async def close(self) -> None:
        """Wait for a write under way, then close the connection."""
        await asyncio.to_thread(self._thread.shutdown)
        self._connection.close()
