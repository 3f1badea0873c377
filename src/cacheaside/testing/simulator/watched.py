"""The shipped parts of a process, each with a checker beside it that says when what they do is wrong."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any, Final

from cacheaside.coherence.hearing import Hearing
from cacheaside.flow.call import Call, Record
from cacheaside.flow.flights import Flight, Flights
from cacheaside.flow.ports import Clock, Position
from cacheaside.lookup import NotStored
from cacheaside.stores.l1.gate import Gate
from cacheaside.stores.l1.store import L1
from cacheaside.testing.simulator.marks import Marks
from cacheaside.testing.simulator.scheduler import Scheduler
from cacheaside.testing.simulator.verdicts import Violation
from cacheaside.testing.simulator.views import EVERYTHING
from cacheaside.types import TagId

__all__ = ["INTERLUDE_STEPS", "NO_LOCK", "WatchedFlights", "WatchedHearing", "WatchedL1"]

INTERLUDE_STEPS: Final = 30
BOARDS_MAX: Final = 2
"""Flights that one read may be on for one key: it starts over once at most."""


class NoLock:
    """One thread steps everything, so nothing needs a lock."""

    def __enter__(self) -> None:
        return

    def __exit__(self, *_: object) -> None:
        return


NO_LOCK: Final = NoLock()


class WatchedL1(L1):
    """L1 that says when something is kept that must not be."""

    def __init__(
        self, clock: Clock, entries_max: int, bytes_max: int, marks: Marks, gate: Gate, *, shared: bool
    ) -> None:
        super().__init__(
            clock,
            entries_max=entries_max,
            bytes_max=bytes_max,
            everything=EVERYTHING,
            gate=gate,
            shared=shared,
        )
        self._marks = marks
        self._vouched_by: dict[tuple[str, Hashable], int] = {}

    def vouched_for_by(self, identity: int) -> None:
        """Say that something is held as valid that a server's older history vouches for, and not `identity`."""
        for table in self._tables.values():
            for slot, entry in table.entries.items():
                if entry.until >= 0 and self._vouched_by[table.name, slot] != identity:
                    raise Violation("G1", f"{table.name}({slot}) is held on the word of an older history")

    def keep(self, call: Call, record: Record, since: Position) -> NotStored | None:
        entries = self.table_of(call).entries
        before = entries.get(call.slot)
        refused = super().keep(call, record, since)
        if refused is None:
            now = entries.get(call.slot)
            if (
                before is not None
                and now is not before
                and before.until >= 0
                and record.loaded_at < before.loaded_at
            ):
                raise Violation("order", f"{call.key}: an entry is replaced by one that was loaded earlier")
            self._marks.nothing_stored_under(record.tags, call.key)
            if self.log.unsettled is not None and self.log.unsettled(record.tags):
                raise Violation("owed", f"{call.key} was kept although a change of one of its tags is owed")
            if now is not before:
                self._vouched_by[call.endpoint.name, call.slot] = record.generations[0] >> 64
        return refused


class WatchedFlights(Flights):
    """Flights that say when a read joins what it must not join, or boards too often."""

    def __init__(self, scheduler: Scheduler) -> None:
        super().__init__(NO_LOCK)
        self._scheduler = scheduler
        self._began: dict[Flight, int] = {}
        self._heard: dict[TagId, int] = {}

    def board(self, key: TagId, tags: Sequence[TagId], **how: Any) -> tuple[Flight, bool]:
        flight, leads = super().board(key, tags, **how)
        boards = self._scheduler.current.boards
        boards[key] = boards.get(key, 0) + 1
        self._scheduler.current.aboard[key] = flight
        if boards[key] > BOARDS_MAX:
            raise Violation("flight", f"one read was on {boards[key]} flights of {key}")
        if leads:
            self._leads(flight)
        else:
            self._joins(flight)
        return flight, leads

    def alone(self, key: TagId, tags: Sequence[TagId]) -> Flight:
        self._scheduler.current.boards.setdefault(key, 0)
        return super().alone(key, tags)

    def abandoned(self, key: TagId) -> None:
        """A flight that the current read was on ended without a result: it may board another."""
        self._scheduler.current.boards[key] -= 1

    def _leads(self, flight: Flight) -> None:
        for other in self._began:
            if other.key == flight.key and other.is_open:
                raise Violation("flight", f"two open flights of {flight.key}")
        self._began[flight] = self._scheduler.steps

    def _joins(self, flight: Flight) -> None:
        began = self._began[flight]
        late = [tag for tag in flight.tags if self._heard.get(tag, -1) > began]
        if late:
            raise Violation(
                "flight", f"a read joins a load of {flight.key} that began before {late[0]} changed"
            )

    def land(self, flight: Flight, landing: object) -> None:
        super().land(flight, landing)  # type: ignore[arg-type]
        self._began.pop(flight, None)

    def heard(self, tags: Sequence[TagId]) -> None:
        """Note that a change of `tags` was heard: who comes now must not join a load that began before."""
        for tag in tags:
            self._heard[tag] = self._scheduler.steps


class WatchedHearing(Hearing):
    """Hearing that tells the checkers what was heard."""

    def watched_by(self, scheduler: Scheduler, flights: WatchedFlights, marks: Marks) -> None:
        """Have these told."""
        self._scheduler = scheduler
        self._watched_flights = flights
        self._watched_marks = marks

    def heard(self, tags: Sequence[TagId] | None) -> None:
        super().heard(tags)
        if tags is None:
            self._scheduler.interlude(INTERLUDE_STEPS)

    def flushed(self) -> None:
        super().flushed()
        self._scheduler.interlude(INTERLUDE_STEPS)

    def hear(self, tags: Sequence[TagId], calls: Sequence[Call] = ()) -> None:
        super().hear(tags, calls)
        self._watched_flights.heard(tags)
        self._watched_marks.heard(tags, self._scheduler.current)
