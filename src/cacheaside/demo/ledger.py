"""When each change of this process was done, and when the shared tier had acknowledged what it invalidates."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from cacheaside import Cache, Tag
from cacheaside.demo.messages import Done

__all__ = ["Ledger", "owed_by", "owes", "store_moments"]

_LOOK_EVERY_S: Final = 0.01

Tags = Sequence[Tag]


def owes(cache: Cache, tags: Tags) -> bool:
    """Whether the shared tier has yet to acknowledge, from this process, that one of `tags` is invalidated."""
    shared = cache._host.shared  # noqa: SLF001 - only a check of the library's word needs to know
    return shared is not None and shared.owed.any_of([tag.id for tag in tags])


def owed_by(cache: Cache) -> int:
    """How many tags that is."""
    shared = cache._host.shared  # noqa: SLF001 - the same
    return 0 if shared is None else len(shared.owed)


class Ledger:
    """Told of every change when it is done. `owes`: whether a change of these tags is yet to be acknowledged."""

    def __init__(self, owes: Callable[[Tags], bool]) -> None:
        self._owes = owes
        self.changes: dict[int, Done] = {}
        """By the numbers of their commits."""
        self._waiting: dict[int, Tags] = {}
        self._news: list[Done] = []

    def done(self, commit_id: int, tags: Tags) -> None:
        """Whoever made the change is told now that it is done."""
        self._tell(Done(commit_id, time.monotonic()))
        self._waiting[commit_id] = tags
        self.settle()

    def settle(self) -> bool:
        """Note what is acknowledged by now; True when everything is.

        Looked at now and then, so that an acknowledgement is noted a little late, and never too early: the moment is
        taken after it is known that nothing is owed, and what was done is owed by then or acknowledged.
        """
        paid = [commit_id for commit_id, tags in self._waiting.items() if not self._owes(tags)]
        now = time.monotonic()
        for commit_id in paid:
            del self._waiting[commit_id]
            self._tell(msgspec.structs.replace(self.changes[commit_id], acknowledged_at=now))
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

    def _tell(self, change: Done) -> None:
        self.changes[change.commit_id] = change
        self._news.append(change)


def store_moments(connection: sqlite3.Connection, changes: list[Done]) -> None:
    """Store when each change was done and acknowledged."""
    connection.executemany(
        "UPDATE commits SET done_at = ?, acknowledged_at = ? WHERE id = ?",
        [(change.done_at, change.acknowledged_at, change.commit_id) for change in changes],
    )
