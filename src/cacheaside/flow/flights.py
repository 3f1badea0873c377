"""Single flight: who loads a key, who waits for it, and whom a landing may answer.

**Joining is a read too** (docs/protocol.md, R6 to R9). A load that began before a write was acknowledged must not
answer a caller that came after it:

1. flight F reads the generation of its tag and begins to load the old row
2. a writer commits and its invalidation is acknowledged
3. caller C arrives, joins F
4. F lands with the old row: C would read a value older than an acknowledged write

So a flight closes to joiners before its fill looks at the generations once more. When they moved, or could not be
read, the landing answers only those who arrived before the flight began: their read is older than its load. The
others start over; the flight they then share began after all of them arrived, so nobody starts over twice.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from itertools import count
from types import TracebackType
from typing import Any, Final, NamedTuple

import msgspec

from cacheaside.contract import PRIORITIES
from cacheaside.lookup import NotStored
from cacheaside.types import Generation, TagId

__all__ = ["LAST", "Flight", "FlightSeen", "Flights", "Landing", "answers"]

LAST: Final = len(PRIORITIES) - 1


class Landing(msgspec.Struct, frozen=True):
    """How a load ended.

    value: as the cache holds it, or raw when it could not be packed. error: the loader's own exception.
    stamp: the generations it was loaded under; None when they could not be read.
    moved: a tag changed between the beginning of the load and its landing, or that could not be ruled out.
    """

    value: Any
    packed: bool
    error: BaseException | None
    loaded_at: float
    stamp: dict[TagId, Generation] | None
    moved: bool
    not_stored: NotStored | None
    traceback: TracebackType | None = None
    """The error's own traceback: raising one instance for many callers would make it longer with each of them."""
    context: BaseException | None = None
    """What the loader was handling when it raised; what a caller handles when it is told is that caller's own."""
    as_of: int | None = None
    """Not loaded but fetched, and shown to be valid at this moment: it answers only those who arrived before."""


class Flight:
    """One load in progress, and those who wait for it. All fields are guarded by the lock of `Flights`."""

    __slots__ = (
        "from_source",
        "hurry",
        "is_open",
        "key",
        "landed",
        "landing",
        "pinned",
        "priority",
        "private",
        "run",
        "started",
        "tags",
        "waiters",
        "waiting",
        "withdrawn",
    )

    def __init__(self, key: TagId, tags: Sequence[TagId], started: int, priority: int = LAST) -> None:
        self.key = key
        self.tags = tags
        self.started = started
        self.is_open = True
        self.landed = False
        self.landing: Landing | None = None
        self.waiting = 0
        self.pinned = False
        self.private = False
        """Nobody can join it."""
        self.from_source = False
        """It may land with nothing that was stored, by whomever."""
        self.priority = priority
        """The highest, which is the least number, of those who lead it or joined it."""
        self.hurry: Callable[[int], None] | None = None
        """Once its load had to wait for a turn of its source: has it, if it still does, wait among those of a higher
        priority."""
        self.withdrawn = False
        """Ended before it began, because what it was to load had landed meanwhile: look in L1 again."""
        self.waiters: list[Callable[[], None]] = []
        self.run: Any = None
        """What runs the load: the crew's own (an asyncio task, a thread's id)."""


class FlightSeen(NamedTuple):
    """What is seen of a flight: its tags, how many wait for it, and whether it may land with nothing stored."""

    tags: Sequence[TagId]
    waiting: int
    from_source: bool


def answers(flight: Flight, landing: Landing, arrived: int) -> bool:
    """Whether `landing` may answer a read that arrived at `arrived`."""
    if landing.as_of is not None:
        return arrived < landing.as_of
    return not landing.moved or flight.started > arrived


class Flights:
    """The flights of a process: at most one open flight a key. No method waits.

    `lock` is reentrant: a coroutine that the garbage collector ends lands its flight wherever that happens to be.
    """

    def __init__(self, lock: AbstractContextManager[Any]) -> None:
        self._lock = lock
        self._open: dict[TagId, Flight] = {}
        self._in_the_air: dict[TagId, int] = {}
        self._moments = count(1)

    def moment(self) -> int:
        """A number greater than any before: tells who arrived before which flight began."""
        return next(self._moments)

    def take_off(self, key: TagId) -> bool:
        """A load of `key` begins; whether another is under way. Pair it with `touch_down`."""
        with self._lock:
            under_way = self._in_the_air.get(key, 0)
            self._in_the_air[key] = under_way + 1
            return under_way > 0

    def touch_down(self, key: TagId) -> None:
        """A load of `key` has ended."""
        with self._lock:
            left = self._in_the_air.get(key, 0) - 1
            if left > 0:
                self._in_the_air[key] = left
            else:
                self._in_the_air.pop(key, None)

    def is_open(self, key: TagId) -> bool:
        """Whether a load of `key` that would take joiners is under way."""
        return key in self._open

    def seen(self, key: TagId) -> FlightSeen | None:
        """The open flight of `key`, as it is now; None when there is none."""
        with self._lock:
            flight = self._open.get(key)
            return None if flight is None else FlightSeen(flight.tags, flight.waiting, flight.from_source)

    def board(
        self,
        key: TagId,
        tags: Sequence[TagId],
        *,
        pinned: bool = False,
        from_source: bool = False,
        priority: int = LAST,
    ) -> tuple[Flight, bool]:
        """Join the open flight of `key`, or lead a new one (True). A pinned flight needs no waiter to go on.

        from_source: nothing stored may answer. So such a read does not join a flight that might: (1) it waits for what
        another process stores (2) the cache is switched off, or the endpoint killed (3) a read comes, which is to be
        answered by the source (4) the flight lands with what was stored long ago.

        priority: a flight hurries when somebody of a higher one joins it. Else: (1) a warm-up leads it, and waits for a
        turn of its source behind everybody (2) a reader of high priority joins, and waits behind everybody.
        """
        hurry = None
        with self._lock:
            flight = self._open.get(key)
            if flight is not None and not set(tags) <= set(flight.tags):
                # It was stamped with fewer tags than this read depends on: an invalidation of the others, acknowledged
                # before this read came, would have closed it, had it been known to concern it.
                self._close(flight)
                flight = None
            if flight is not None and from_source and not flight.from_source:
                self._close(flight)
                flight = None
            leads = flight is None
            if flight is None:
                flight = self._open[key] = Flight(key, tags, self.moment(), priority)
                flight.from_source = from_source
            elif priority < flight.priority:
                flight.priority = priority
                hurry = flight.hurry
            flight.waiting += leads or not pinned
            flight.pinned |= pinned
        if hurry is not None:
            hurry(priority)
        return flight, leads

    def alone(self, key: TagId, tags: Sequence[TagId]) -> Flight:
        """A flight that nobody can join."""
        flight = Flight(key, tags, self.moment())
        flight.is_open = False
        flight.private = True
        flight.waiting = 1
        return flight

    def close(self, flights: Sequence[Flight]) -> None:
        """Let nobody join any more."""
        with self._lock:
            for flight in flights:
                self._close(flight)

    def close_touching(self, tags: Sequence[TagId]) -> None:
        """Close the flights that loads of `tags` are on: who comes after this change begins a load of its own."""
        with self._lock:
            if self._open:
                changed = set(tags)
                for flight in list(self._open.values()):
                    if not changed.isdisjoint(flight.tags):
                        self._close(flight)

    def close_all(self) -> None:
        """Let nobody join any load that is under way."""
        with self._lock:
            for flight in list(self._open.values()):
                self._close(flight)

    def land(self, flight: Flight, landing: Landing | None) -> None:
        """End the flight and wake all who wait. None: it will never have a result. Only the first call counts."""
        with self._lock:
            self._close(flight)
            if flight.landed:
                return
            flight.landed = True
            flight.landing = landing
            waiters, flight.waiters = flight.waiters, []
        for wake in waiters:
            wake()

    def withdraw(self, flight: Flight) -> None:
        """End a flight that need not fly; whoever joined it looks again."""
        flight.withdrawn = True
        self.land(flight, None)

    def watch(self, flight: Flight, wake: Callable[[], None]) -> bool:
        """Have `wake` called when the flight lands; False when it has landed already. `wake` must not raise."""
        with self._lock:
            if flight.landed:
                return False
            flight.waiters.append(wake)
            return True

    def leave(self, flight: Flight) -> bool:
        """One waiter goes. True when nobody is left who wants the load: it is closed, and may be stopped."""
        with self._lock:
            flight.waiting -= 1
            if flight.waiting > 0 or flight.pinned or flight.landed:
                return False
            self._close(flight)
            return True

    def forget(self, lock: AbstractContextManager[Any]) -> None:
        """After a fork: the leaders stayed in the parent, and so may the holder of the lock."""
        self._lock = lock
        self._open.clear()
        self._in_the_air.clear()

    def __len__(self) -> int:
        return len(self._open)

    def _close(self, flight: Flight) -> None:
        flight.is_open = False
        if self._open.get(flight.key) is flight:
            del self._open[flight.key]
