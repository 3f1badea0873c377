"""What a flow may ask of the world. Everything that differs between asyncio, threads and the simulator is here.

Plain methods never wait. `async` methods may, and are the only places where a flow can be suspended or cancelled.
"""

from __future__ import annotations

from collections.abc import Awaitable, Coroutine, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, NamedTuple, Protocol

import msgspec

from cacheaside.flow.call import Call, Record, Standing
from cacheaside.flow.flights import Flight, Flights, Landing
from cacheaside.lookup import Forward, NotStored
from cacheaside.policy.freshness import Held
from cacheaside.types import Generation, TagId

__all__ = [
    "Clock",
    "Crew",
    "Failure",
    "Flow",
    "Found",
    "Glance",
    "Heard",
    "Lease",
    "Leased",
    "Loaded",
    "Loads",
    "Near",
    "Nest",
    "Ports",
    "Position",
    "Refreshing",
    "Seen",
    "Stamped",
    "Tier",
    "TierAway",
    "Waiting",
]

Flow = Coroutine[Any, Any, Any]


class TierAway(Exception):
    """The tier did not answer, or not in time. Never leaves the flows: a read goes on without it."""

    @property
    def brief(self) -> str:
        """The same without arguments of calls, for the log."""
        return str(self)


class Clock(Protocol):
    """Seconds on a clock that never goes back."""

    def now(self) -> float: ...


class Position(NamedTuple):
    """A place in the log of heard changes, and the moment it was taken."""

    number: int
    at: float


class Waiting(Protocol):
    """A wait for whoever loads a key, in another process."""

    async def woken(self, within_s: float) -> None:
        """Return when it may be done, or after `within_s` at most; sooner is harmless."""

    def close(self) -> None:
        """Wait no longer."""


class Heard(Protocol):
    """The log of changes of tags that this process heard, and the way to make it hear more."""

    def position(self) -> Position:
        """Here, now: every change heard later is after it."""

    async def sync(self) -> None:
        """Return when everything acknowledged before this call was heard: a heartbeat sent after the call began."""

    def still(self, tags: Sequence[TagId], since: Position) -> bool:
        """True when it is shown that none of `tags` changed after `since`, a mark that expired meanwhile included."""

    def hear(self, tags: Sequence[TagId], calls: Sequence[Call] = ()) -> None:
        """Log a change of each of `tags`, drop from L1 what was computed from them, close their flights.

        `calls` are those whose own keys are among `tags`."""

    def owe(self, tags: Sequence[TagId], calls: Sequence[Call] = ()) -> None:
        """The tier did not acknowledge a change of `tags`. As `hear`; and until a later try is acknowledged, which is
        made behind the caller, they count as changing all the time: nothing is kept, stored or fetched for them."""

    def waiting(self, key: TagId) -> Waiting:
        """Begin to wait for the process that loads `key`: what it says from now on is not missed. Close it."""


class Found(msgspec.Struct, frozen=True):
    """What is held under a key. `entry` is the holder's own."""

    held: Held
    value: Any
    is_error: bool
    entry: Any = None

    @classmethod
    def of(cls, record: Record) -> Found:
        """A record as something found; jittered alike in every process."""
        standing = record.standing
        held = Held(
            record.loaded_at,
            record.ttl_s,
            record.grace,
            standing is Standing.OUTDATED,
            record.salt,
            standing is Standing.UNCERTAIN,
        )
        return cls(held, record.held, record.is_error)


class Near(Protocol):
    """L1: what this process holds."""

    def find(self, call: Call) -> Found | None: ...

    def why_absent(self, call: Call) -> Forward:
        """Why nothing is held, as far as it is remembered."""

    def keep(self, call: Call, record: Record, since: Position) -> NotStored | None:
        """Hold `record`, unless one of its tags was heard to change after `since` (the in-flight rule)."""

    def touch(self, call: Call, found: Found) -> None:
        """A fresh entry was served off the fast path: count it, and let its hits be fast again."""

    def early(self, call: Call, found: Found, now: float) -> bool:
        """Whether a fresh entry is due to be refreshed early."""

    def drop(self, call: Call) -> None:
        """Remove what is held for `call`, value and all."""

    def remember_tags(self, call: Call, tags: Sequence[TagId]) -> None:
        """The value of `call` named `tags`, too late for it to be stored: the next load is to stamp them before."""

    def remembered_tags(self, call: Call) -> tuple[TagId, ...]:
        """Tags that the value of `call` is likely to name."""

    def delay_refresh(self, call: Call, failure: str) -> None:
        """A refresh failed: for a while the reads of this key do not start another."""

    def refresh_delayed(self, call: Call) -> str | None:
        """The failure that delays the next refresh, "" for one that stood down; None when one may start."""

    def pass_by(self, call: Call, for_s: float) -> None:
        """A load of `call` left nothing to store: for so long load it without a lease, unless it is given to
        `keep` before."""

    def passes(self, call: Call) -> bool:
        """Whether the last load of `call` left nothing to store, so that no lease is worth waiting for."""


class Lease(NamedTuple):
    """The right to be the one that loads for `call`, over all processes. For efficiency only: nothing relies on it.

    until: the moment, by this process's clock, when it ends at the earliest.
    """

    call: Call
    owner: str
    lifetime_s: float
    until: float

    @property
    def key(self) -> TagId:
        """What is leased."""
        return self.call.key


class Leased(Enum):
    """Whose turn it is to load a key."""

    MINE = auto()
    """This process has the lease."""
    ANOTHERS = auto()
    """Another process has it."""
    NOBODYS = auto()
    """Nobody's: there is no lease."""
    EVERYBODYS = auto()
    """What was loaded last could not be stored, so that to wait for one another is of no use for a while."""


class Seen(NamedTuple):
    """What is stored under a key, as `Tier.fetch` gives it, and who has its lease."""

    record: Record | None
    leased: Leased


class Stamped(NamedTuple):
    """What a load begins under: the generation of each tag, and the tags that a writer is under way for.

    seen: with a lease, what there was when it was asked for: another process may have stored, and given its lease back,
    since this one looked.
    """

    generations: tuple[Generation, ...]
    writers: frozenset[TagId]
    seen: Seen | None = None


class Tier(Protocol):
    """Where generations, marks and stored entries live: Redis, or this process alone. Raises `TierAway`."""

    async def stamp(self, tags: Sequence[TagId], lease: Lease | None = None) -> Stamped:
        """The generation of each tag, created where missing; *then* whether a writer is under way; and `lease`, if it
        is free. In that order: before the generations are read, a look for writers shows nothing (`flow.fill`)."""

    async def hand_back(self, lease: Lease) -> None:
        """Give `lease` back, and tell who waits."""

    def fetch(self, call: Call) -> Awaitable[Record | None]:
        """What is stored under the call's key, judged by the generations that its tags have now: in one round trip,
        or two when the entry names tags that the call does not."""

    async def fetch_many(self, calls: Sequence[Call]) -> list[Record | None]:
        """As `fetch`, for each; in as many round trips as one."""

    async def peek(self, call: Call, *, ask: bool) -> Seen:
        """What is stored for `call`, and who has its lease; ask: *after* asking its holder to tell (`Waiting.woken`)
        when it is done.

        In that order: (1) a fetch finds nothing (2) the holder stores, and tells nobody (3) who asks only now to be
        told waits for the lease to run out."""

    async def store(
        self,
        records: Sequence[tuple[Call, Record]],
        recheck: Sequence[TagId],
        lease: Lease | None = None,
        *,
        free: bool = False,
    ) -> tuple[Generation | None, ...]:
        """Store `records`, give `lease` back and tell who waits, then read the generations of `recheck`; in one round
        trip. None: missing, or due to change. free: leave the key to everybody for a while."""

    async def bump(self, tags: Sequence[TagId]) -> None:
        """Give each tag a new generation, unlike any before; each transmission another one."""

    async def mark(self, tags: Sequence[TagId], writer: str, lifetime_s: float) -> None:
        """Add `writer` to the writers under way of each tag, for `lifetime_s`; *then* bump the tags.

        Bumped before: (1) the tag gets g1 (2) a fill stamps g1, sees no writer, loads the old row (3) the writer is
        added, commits, dies: what the fill stores under g1 is never invalidated."""

    async def release(self, tags: Sequence[TagId], writer: str) -> None:
        """Remove `writer`, and no other, from the writers under way of each tag."""

    async def remove(self, call: Call) -> None:
        """Delete what is stored for `call`."""


class Glance(Protocol):
    """What a read saw in the tier before its flow began: the flow goes on from there, and does not look again.

    arrived: a moment of `Flights` after the read came, and after all others that may share what it begins to load.
    """

    @property
    def arrived(self) -> int: ...

    async def record(self, call: Call) -> Record | None:
        """As `Tier.fetch`, of what was seen, by what was known and owed when it was asked for; fetched where that does
        not tell. Not for L1: no position in the log of changes was taken before it was asked for."""


class Failure(msgspec.Struct, frozen=True):
    """The loader's own exception for one call."""

    error: BaseException


class Loaded(msgspec.Struct, frozen=True):
    """One result per call, in order: a value or a `Failure`; and what the loader read through other endpoints.

    nested: generation by tag of what it read. oldest: the start of the oldest load among it.
    vouched: False when something it read cannot be vouched for; the results may not be stored.
    in_vain: a read inside asked the tier, which did not answer; this load asks it no more.
    """

    results: Sequence[Any]
    nested: dict[TagId, Generation]
    oldest: float | None
    vouched: bool
    in_vain: bool = False


class Nest(Protocol):
    """An outer load, as the reads inside it see it: what they read becomes part of the outer entry's stamp.

    in_vain: one of them asked the tier, which did not answer: none of them asks it any more.
    """

    in_vain: bool

    @property
    def ttl_s(self) -> float:
        """The smallest ttl of the loads around: what is that old would make their values older than they may be."""

    def joined(self, stamp: dict[TagId, Generation], loaded_at: float) -> None: ...

    def unvouched(self) -> None: ...


class Refreshing(Protocol):
    """A refresh that has its place among those of its source."""

    def end(self) -> None:
        """It is over."""


class Loads(Protocol):
    """The source, behind its limit."""

    def may_refresh(self, call: Call) -> bool:
        """Whether the source of `call` bears another load that nobody waits for."""

    def refreshing(self, call: Call) -> Refreshing | None:
        """Such a load begins, to be ended by whoever asked; None when it may not."""

    async def load(
        self,
        calls: Sequence[Call],
        *,
        in_vain: bool = False,
        repeats: bool = False,
        aboard: Sequence[Flight] = (),
    ) -> Loaded:
        """in_vain: the tier was asked, and did not answer: what is read inside does not ask it. repeats: it is nobody's
        first try, but a refresh, or a load after another that could not answer: refused first under pressure. aboard:
        the flights that it is for, of which it has the priority."""

    def nest(self) -> Nest | None:
        """The load that this code is running inside of, if any."""


class Crew(Protocol):
    """Who runs flows beside or behind this one, and waits."""

    async def fly(self, flights: Sequence[Flight], fill: Flow, timeout_s: float) -> None:
        """Run `fill` for `flights`: on asyncio as a task of its own, which one caller's cancellation does not end;
        in a thread, here and now. Nobody waits for it longer than `timeout_s`."""

    async def wait(self, flight: Flight) -> Landing | None:
        """The flight's landing; None when it will never land (its leader was cancelled or died)."""

    def leave(self, flights: Sequence[Flight]) -> None:
        """The caller goes without waiting for these; a load that nobody waits for is stopped where it can be."""

    def behind(self, flow: Flow) -> bool:
        """Run `flow` behind the caller; False, with the flow closed, when too much is waiting already."""

    async def surely(self, flow: Flow) -> Any:
        """Run `flow` to its end even when the caller is cancelled meanwhile."""

    async def together(self, flows: Sequence[Flow], at_once: int) -> list[Any]:
        """Each flow's result or exception, in order; `at_once` of them concurrently where the world has a way to."""


@dataclass(frozen=True, slots=True)
class Ports:
    """The world as one flow sees it.

    shared: whether the tier stores values that other processes fill too.
    mark_lifetime_s: how long a mark stands when its writer never comes back; outlasts any commit.
    """

    clock: Clock
    near: Near
    heard: Heard
    tier: Tier
    loads: Loads
    flights: Flights
    crew: Crew
    shared: bool
    mark_lifetime_s: float
