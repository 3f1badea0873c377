"""The tier of a cache without a server: generations and marks of this process alone; values live in L1 only.

A tag's generation is the number of its last change in the log. Elsewhere a counter would not do, since one that
restarts brings old entries back; here the log, the entries and the fills under way live and die together, numbers
are never given twice, and a tag that the log has forgotten takes the number of the last one forgotten: what was
stamped before matches nothing, at the cost of a miss.

A change of generation and the drop from L1 are one step under one lock (`L1.changed`), so what L1 holds is valid
whenever it is looked at under that lock.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from cacheaside.flow.call import Call, Record
from cacheaside.flow.flights import Flights
from cacheaside.flow.ports import Clock, Lease, Leased, Position, Seen, Stamped, Waiting
from cacheaside.stores.l1.store import L1
from cacheaside.stores.l1.table import Remembered
from cacheaside.types import Generation, TagId

__all__ = ["EmbeddedHeard", "EmbeddedTier"]


class EmbeddedTier:
    """Implements `flow.ports.Tier`; no method suspends. Thread-safe by the lock of L1."""

    def __init__(self, l1: L1, clock: Clock) -> None:
        self._l1 = l1
        self._clock = clock
        self._marks: dict[TagId, dict[str, float]] = {}

    def _generations(self, tags: Sequence[TagId]) -> tuple[Generation, ...]:
        with self._l1.lock:
            last = self._l1.log.last
            return tuple([Generation(last(tag)) for tag in tags])

    async def stamp(self, tags: Sequence[TagId], lease: Lease | None = None) -> Stamped:
        return Stamped(self._generations(tags), await self.writers(tags))

    async def hand_back(self, lease: Lease) -> None:
        """Nobody else loads."""

    async def fetch(self, call: Call) -> Record | None:
        """The entry in L1, as a record stamped now: under the lock, what L1 holds is valid."""
        with self._l1.lock:
            table = self._l1.table_of(call)
            entry = table.entries.get(call.slot)
            if entry is None or entry.until < 0 or type(entry.value) is Remembered:
                return None
            if not self._l1.covers(entry, call):
                return None
            held = table.held(entry, call.terms)
            extra = tuple(tag for tag in cast(tuple[TagId, ...], entry.tags) if tag not in call.tags)
            tags = call.tags + extra
            stamp = self._generations(tags)
            return Record(entry.value, 0, entry.loaded_at, held.ttl_s, held.grace, False, tags, stamp, 0.0)

    async def fetch_many(self, calls: Sequence[Call]) -> list[Record | None]:
        return [await self.fetch(call) for call in calls]

    async def peek(self, call: Call, *, ask: bool) -> Seen:
        return Seen(await self.fetch(call), Leased.NOBODYS)

    async def store(
        self,
        records: Sequence[tuple[Call, Record]],
        recheck: Sequence[TagId],
        lease: Lease | None = None,
        *,
        free: bool = False,
    ) -> tuple[Generation | None, ...]:
        return self._generations(recheck)

    async def remove(self, call: Call) -> None:
        """Values live in L1 only."""

    async def bump(self, tags: Sequence[TagId]) -> None:
        """The new generation comes with `EmbeddedHeard.hear`, in the same step as the drop."""

    async def writers(self, tags: Sequence[TagId]) -> frozenset[TagId]:
        """Those of `tags` that a writer is under way for."""
        with self._l1.lock:
            self.expire()
            return frozenset(tag for tag in tags if tag in self._marks)

    def marks(self, tag: TagId) -> float | None:
        """When the last of the writers under way for `tag` ends at the latest; None without any. Ends none."""
        with self._l1.lock:
            return max(self._marks.get(tag, {}).values(), default=None)

    async def mark(self, tags: Sequence[TagId], writer: str, lifetime_s: float) -> None:
        await self.enlist(tags, writer, lifetime_s)
        await self.bump(tags)

    async def enlist(self, tags: Sequence[TagId], writer: str, lifetime_s: float) -> None:
        """Add `writer` to the writers under way of each tag."""
        with self._l1.lock:
            until = self._clock.now() + lifetime_s
            for tag in tags:
                self._marks.setdefault(tag, {})[writer] = until

    async def release(self, tags: Sequence[TagId], writer: str) -> None:
        with self._l1.lock:
            for tag in tags:
                self._leave(tag, writer)

    def _leave(self, tag: TagId, writer: str) -> None:
        writers = self._marks.get(tag)
        if writers is not None:
            writers.pop(writer, None)
            if not writers:
                del self._marks[tag]

    def expire(self) -> None:
        """End the marks whose time is over, and log that: what was loaded under them may be older than a commit."""
        with self._l1.lock:
            if not self._marks:
                return
            now = self._clock.now()
            over = [
                (tag, who)
                for tag, writers in self._marks.items()
                for who, until in writers.items()
                if until <= now
            ]
            for tag, writer in over:
                self._leave(tag, writer)
            if over:
                self._l1.changed(tuple(dict.fromkeys(tag for tag, _ in over)))

    def clear(self) -> None:
        """Forget the writers under way. For tests: a commit of theirs would leave old values."""
        with self._l1.lock:
            self._marks.clear()


class EmbeddedHeard:
    """Implements `flow.ports.Heard`: what happens in this process is heard as it happens."""

    def __init__(self, l1: L1, tier: EmbeddedTier, clock: Clock, flights: Sequence[Flights]) -> None:
        self._l1 = l1
        self._tier = tier
        self._clock = clock
        self._flights = flights

    def position(self) -> Position:
        self._tier.expire()
        return Position(self._l1.log.number, self._clock.now())

    async def sync(self) -> None:
        self._tier.expire()

    def still(self, tags: Sequence[TagId], since: Position) -> bool:
        with self._l1.lock:
            return self._l1.log.unchanged(tags, since.number)

    def hear(self, tags: Sequence[TagId], calls: Sequence[Call] = ()) -> None:
        self._l1.changed(tags, calls)
        for flights in self._flights:
            flights.close_touching(tags)

    def owe(self, tags: Sequence[TagId], calls: Sequence[Call] = ()) -> None:
        """There is no tier that could fail to acknowledge."""
        self.hear(tags, calls)

    def waiting(self, key: TagId) -> Waiting:
        """No other process loads."""
        raise AssertionError("there are no leases to wait for without a shared tier")
