"""How the service writes: each change in a transaction of its own, inside a bracket that names what it invalidates.

While the shared tier is away a write goes on (`when_away="retry"`, see `catalog`): the database has it, and the other
processes are told when the tier is back.

Beside each change, in the same transaction, it is written down which row version it made and when; for the check, and
not what a service would do.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

from cacheaside import Tag
from cacheaside.demo.catalog import boards, flights, origins, planes
from cacheaside.demo.database import Writer
from cacheaside.demo.ledger import Ledger
from cacheaside.demo.replay import Update
from cacheaside.demo.timeline import HOLD_AHEAD_S, HOLD_S, Change, Hold

__all__ = ["Writes"]

Bracket = Callable[..., AbstractAsyncContextManager[Any]]


class Writes:
    """The changes that one process makes. `process` is its number."""

    def __init__(self, writer: Writer, bracket: Bracket, ledger: Ledger, process: int) -> None:
        self._writer = writer
        self._bracket = bracket
        self._ledger = ledger
        self._process = process
        self.held = 0
        """Bulk holds made so far."""

    async def update(self, update: Update) -> None:
        """Change one flight."""
        tags = [flights(update.change.flight_id), boards(update.origin)]
        if update.tailnum is not None:
            tags.append(planes(update.tailnum))
        await self._commit(tags, lambda connection: self._write_change(connection, update.change))

    async def hold(self, hold: Hold) -> None:
        """Put off departures from an airport: very many flights in one commit, named by the airport."""
        await self._commit(
            [origins(hold.origin), boards(hold.origin)], lambda connection: self._write_hold(connection, hold)
        )
        self.held += 1

    async def _commit(self, tags: Sequence[Tag], write: Callable[[sqlite3.Connection], int]) -> None:
        async with self._bracket(*tags):
            commit_id = await self._writer.run(write)
        self._ledger.done(commit_id)

    def _write_change(self, connection: sqlite3.Connection, change: Change) -> int:
        connection.execute(
            "UPDATE flights SET status = ?, expected_dep = ?, expected_arr = ?, version = version + 1 WHERE id = ?",
            (change.status, change.expected_dep, change.expected_arr, change.flight_id),
        )
        return self._record(connection, [change.flight_id])

    def _write_hold(self, connection: sqlite3.Connection, hold: Hold) -> int:
        waiting = connection.execute(
            "SELECT id FROM flights WHERE origin = ? AND expected_dep BETWEEN ? AND ?"
            " AND status IN ('scheduled', 'delayed')",
            (hold.origin, hold.at, hold.at + HOLD_AHEAD_S),
        )
        flight_ids = [row[0] for row in waiting]
        connection.executemany(
            "UPDATE flights SET status = 'held', expected_dep = expected_dep + ?, version = version + 1 WHERE id = ?",
            [(HOLD_S, flight_id) for flight_id in flight_ids],
        )
        return self._record(connection, flight_ids)

    def _record(self, connection: sqlite3.Connection, flight_ids: Sequence[int]) -> int:
        """Write down the versions just made. The last thing in a transaction, so that `committed_at` is close."""
        committed = connection.execute(
            "INSERT INTO commits (process, committed_at) VALUES (?, ?)", (self._process, time.monotonic())
        )
        commit_id = committed.lastrowid
        assert commit_id is not None
        connection.executemany(
            "INSERT INTO history SELECT id, version, ?, origin, expected_dep FROM flights WHERE id = ?",
            [(commit_id, flight_id) for flight_id in flight_ids],
        )
        return commit_id
