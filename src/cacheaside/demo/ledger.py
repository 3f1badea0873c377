"""When each change of this process was done, and when the shared tier had acknowledged what it invalidates."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable
from typing import Final

import msgspec

from cacheaside import Cache
from cacheaside.demo.messages import Done

__all__ = ["Ledger", "owed_by", "store_moments"]

_LOOK_EVERY_S: Final = 0.01


def owed_by(cache: Cache) -> int:
    """How many invalidations of this process the shared tier has yet to acknowledge."""
    shared = cache.stats().shared
    return 0 if shared is None else shared.owed


class Ledger:
    """Told of every change when it is done. `owed` is asked for what is not acknowledged: none means that all is."""

    def __init__(self, owed: Callable[[], int]) -> None:
        self._owed = owed
        self.changes: dict[int, Done] = {}
        """By the numbers of their commits."""
        self._waiting: list[Done] = []
        self._news: list[Done] = []

    def done(self, commit_id: int) -> None:
        """Whoever made the change is told now that it is done."""
        change = Done(commit_id, time.monotonic())
        self.changes[commit_id] = change
        self._waiting.append(change)
        if not self.settle():
            self._news.append(change)

    def settle(self) -> bool:
        """Note what is acknowledged by now; True when everything is.

        All or nothing: a change counts as acknowledged once this process owes nothing at all, so a little late, and
        never too early.
        """
        if self._waiting and not self._owed():
            now = time.monotonic()
            settled = [msgspec.structs.replace(change, acknowledged_at=now) for change in self._waiting]
            self._waiting = []
            self._news += settled
            self.changes.update((change.commit_id, change) for change in settled)
        return not self._waiting

    async def watch(self) -> None:
        """Settle what can be, until cancelled."""
        while True:
            self.settle()
            await asyncio.sleep(_LOOK_EVERY_S)

    async def settled(self, within_s: float) -> bool:
        """Wait until everything is acknowledged; False when it is not by then."""
        deadline = time.monotonic() + within_s
        while not self.settle():
            if time.monotonic() > deadline:
                return False
            await asyncio.sleep(_LOOK_EVERY_S)
        return True

    def news(self) -> list[Done]:
        """What is new since this was last asked."""
        news, self._news = self._news, []
        return news


def store_moments(connection: sqlite3.Connection, changes: list[Done]) -> None:
    """Store when each change was done and acknowledged."""
    connection.executemany(
        "UPDATE commits SET done_at = ?, acknowledged_at = ? WHERE id = ?",
        [(change.done_at, change.acknowledged_at, change.commit_id) for change in changes],
    )
