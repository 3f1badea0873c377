"""The shipped shared tier of one process, with a checker beside it that says when what it does is wrong."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cacheaside.flow.call import Call, Record
from cacheaside.flow.ports import Lease, Seen, Stamped
from cacheaside.stores.redis.blocking_tier import BlockingTier
from cacheaside.stores.redis.wire.names import generation_name, writers_name
from cacheaside.testing.simulator.marks import Marks
from cacheaside.testing.simulator.scheduler import Scheduler
from cacheaside.testing.simulator.server import Server
from cacheaside.types import TagId

__all__ = ["SharedMarks", "WatchedTier"]

_BITS: int = (1 << 64) - 1


class SharedMarks:
    """The marks that the writers of all processes rely on, looked at where the server changes."""

    def __init__(self, server: Server, marks: Sequence[Marks]) -> None:
        self._server = server
        self._marks = marks
        self._stored: dict[bytes, Record] = {}
        server.on_set = self._set
        server.on_mark_lost = self.lost

    def sealed(self, data: bytes, record: Record) -> None:
        """`record` is about to be stored as `data`."""
        self._stored[data] = record

    def _set(self, name: str, data: bytes) -> None:
        record = self._stored.get(data)
        if record is None or not any(marks.stand for marks in self._marks):
            return
        held = self._server.data
        for tag, generation in zip(record.tags, record.generations, strict=True):
            if held.get(generation_name(tag)) != (generation & _BITS).to_bytes(8, "big"):
                return
        for marks in self._marks:
            marks.nothing_stored_under(record.tags, record.tags[0])

    def lost(self, tag: TagId) -> None:
        """The server lost the marks of `tag` before their time."""
        for marks in self._marks:
            marks.lost(tag)

    def still_there(self, tags: Sequence[TagId]) -> None:
        """See that nobody's mark was cleared by another."""
        kept = {tag: self._server.members(writers_name(tag)) for tag in tags}
        for marks in self._marks:
            marks.still_there(tags, kept)


class WatchedTier(BlockingTier):
    """`BlockingTier`, watched: with its short way to a plain hit, which the simulator awaits."""

    def watched_by(self, scheduler: Scheduler, marks: Marks, shared: SharedMarks) -> None:
        """Have these told."""
        self._scheduler = scheduler
        self._watched = marks
        self._shared_marks = shared

    async def mark(self, tags: Sequence[TagId], writer: str, lifetime_s: float) -> None:
        self._watched.enlisting(tags, writer, lifetime_s)
        await super().mark(tags, writer, lifetime_s)
        self._watched.enlisted(tags, writer, self._scheduler.current)

    async def release(self, tags: Sequence[TagId], writer: str) -> None:
        self._watched.releasing(tags, writer)
        await super().release(tags, writer)
        self._shared_marks.still_there(tags)

    async def stamp(self, tags: Sequence[TagId], lease: Lease | None = None) -> Stamped:
        step = self._scheduler.steps
        stamped = await super().stamp(tags, lease)
        if stamped.seen is not None:
            _asked(stamped.seen.record, step)
        return stamped

    async def peek(self, call: Call, *, ask: bool) -> Seen:
        step = self._scheduler.steps
        seen = await super().peek(call, ask=ask)
        _asked(seen.record, step)
        return seen

    def _entry(self, call: Call, record: Record) -> Any:
        entry = super()._entry(call, record)
        if entry is not None:
            self._shared_marks.sealed(entry[1], record)
        return entry


def _asked(record: Record | None, step: int) -> None:
    if record is not None:
        record.held.asked_step = step
