"""What a read would do, found out by running `flow.read` itself in a world where nothing takes effect.

No decision is made here a second time. The flow asks the same policy about the same entries; the ports that it is
given look at what is there, and end the rehearsal where a real read would load or wait. Nothing is counted, kept,
touched, boarded, leased or loaded; no port suspends.
"""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from dataclasses import replace
from typing import Any, Final

import msgspec

from cacheaside.contract import Terms
from cacheaside.flow.blocking import run_blocking
from cacheaside.flow.call import Call, Packed, Reads, Record
from cacheaside.flow.flights import Flight, Flights, FlightSeen, Landing
from cacheaside.flow.ports import Flow, Found, Lease, Loads, Near, Ports, Position, Stamped, TierAway
from cacheaside.flow.read import read
from cacheaside.lookup import Forward, Lookup, NotStored
from cacheaside.tally import Tally
from cacheaside.types import TagId

__all__ = ["Rehearsed", "rehearse"]


class Rehearsed(msgspec.Struct, frozen=True):
    """How the read went: an answer, or the class of a remembered error, or a load, led or joined, and why.

    lease: what the load would ask for before it begins; None where it would ask for none.
    """

    answer: Lookup[Any] | None = None
    error: str | None = None
    forward: Forward | None = None
    joins: bool = False
    lease: Lease | None = None


def rehearse(
    call: Call, ports: Ports, record: Record | TierAway | None, under_way: FlightSeen | None, lock: Any
) -> Rehearsed:
    """The next read of `call`.

    record: what the shared tier holds, judged as it judges it for a read; or that it did not answer. under_way: the
    flight of this key that takes joiners, if there is one. lock: for flights of the rehearsal's own.
    """
    endpoint = _Uncounted(call.endpoint)
    flights = Flights(lock)
    if under_way is not None:
        flights.board(call.key, under_way.tags, from_source=under_way.from_source)
    dry = replace(
        ports,
        near=_Untouched(ports.near),
        heard=_Still(ports.heard.position),
        tier=_Told(record),
        loads=_Outermost(ports.loads, call),
        flights=flights,
        crew=_Nobody(),
    )
    own = msgspec.structs.replace(call, endpoint=endpoint)
    try:
        return Rehearsed(answer=run_blocking(read(own, dry)))
    except _Remembered as remembered:
        return Rehearsed(error=remembered.name)
    except _Ends as ended:
        forward = next((why for why, count in endpoint.tally.forward.items() if count), None)
        return Rehearsed(forward=forward, joins=ended.joins, lease=ended.lease)


class _Ends(BaseException):
    """Here a read would ask for its turn to load, load, or wait for a load that it joined. No `Exception`: a fill makes
    of those what every caller is told."""

    def __init__(self, *, joins: bool = False, lease: Lease | None = None) -> None:
        super().__init__()
        self.joins = joins
        self.lease = lease


class _Remembered(Exception):
    """In place of an exception that is remembered: to raise that one would change it for those who are told it."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


_LOOKS: Final = frozenset(("passes",))
"""What ports may be asked besides, since it changes nothing."""


def _looked(port: Any, name: str) -> Any:
    if port is not None and name in _LOOKS:
        return getattr(port, name)
    raise AssertionError(
        f"a rehearsal changes nothing: is {name} but a look? Then it belongs among those above."
    )


class _Uncounted:
    """The endpoint, with a tally that nobody reads. Implements `flow.call.Reads`."""

    def __init__(self, endpoint: Reads) -> None:
        self.name = endpoint.name
        self.terms: Terms = endpoint.terms
        self.tags_max = endpoint.tags_max
        self.timeout_s = endpoint.timeout_s
        self.tally = Tally()
        self.tally.fill = endpoint.tally.fill
        """Only read: how long a lease is asked for follows from it."""

    def pack(self, value: Any) -> Packed:
        raise AssertionError("a rehearsal loads nothing")

    def held_from(self, encoded: bytes) -> Any:
        return encoded

    def unpack(self, held: Any) -> Any:
        """Not for any caller."""
        return held

    def value_tags(self, value: Any) -> tuple[TagId, ...]:
        return ()

    def report_unstorable(self, error: Exception) -> None:
        """Nothing is packed."""

    def report_failed_refresh(self, failure: str) -> None:
        """Nothing is refreshed."""


class _Untouched:
    """L1, looked at only. Implements `flow.ports.Near`."""

    def __init__(self, near: Near) -> None:
        self._near = near
        self.why_absent = near.why_absent
        self.early = near.early
        self.remembered_tags = near.remembered_tags
        self.refresh_delayed = near.refresh_delayed

    def __getattr__(self, name: str) -> Any:
        return _looked(self._near, name)

    def find(self, call: Call) -> Found | None:
        found = self._near.find(call)
        if found is None or not found.is_error:
            return found
        return Found(found.held, _Remembered(type(found.value).__name__), True, found.entry)

    def keep(self, call: Call, record: Record, since: Position) -> NotStored | None:
        return None

    def touch(self, call: Call, found: Found) -> None:
        """No hit."""

    def drop(self, call: Call) -> None:
        """What is there stays."""

    def remember_tags(self, call: Call, tags: Sequence[TagId]) -> None:
        """Nothing is learned."""

    def delay_refresh(self, call: Call, failure: str) -> None:
        """Nothing failed."""


class _Still:
    """The log as it is. The part of `flow.ports.Heard` that a read asks before it loads."""

    def __init__(self, position: Any) -> None:
        self.position = position

    def __getattr__(self, name: str) -> Any:
        return _looked(None, name)


class _Told:
    """The shared tier, as it was just looked at. The part of `flow.ports.Tier` that a read asks before it loads."""

    def __init__(self, record: Record | TierAway | None) -> None:
        self._record = record

    def fetch(self, call: Call) -> Awaitable[Record | None]:
        return self._fetched()

    async def stamp(self, tags: Sequence[TagId], lease: Lease | None = None) -> Stamped:
        raise _Ends(lease=lease)

    async def _fetched(self) -> Record | None:
        if isinstance(self._record, TierAway):
            raise self._record
        return self._record

    def __getattr__(self, name: str) -> Any:
        return _looked(None, name)


class _Outermost:
    """What is explained is a read outside of any load. Implements `flow.ports.Loads`."""

    def __init__(self, loads: Loads, asked: Call) -> None:
        self._loads = loads
        self._asked = asked
        """Of the endpoint itself, whose source is asked."""

    def __getattr__(self, name: str) -> Any:
        return _looked(None, name)

    def may_refresh(self, call: Call) -> bool:
        return self._loads.may_refresh(self._asked)

    def nest(self) -> None:
        return None

    async def load(self, calls: Sequence[Call], **how: Any) -> Any:
        raise _Ends


class _Nobody:
    """Who runs loads: the rehearsal ends instead. Implements `flow.ports.Crew`."""

    async def fly(self, flights: Sequence[Flight], fill: Flow, timeout_s: float) -> None:
        await fill
        raise _Ends

    async def wait(self, flight: Flight) -> Landing | None:
        raise _Ends(joins=True)

    def leave(self, flights: Sequence[Flight]) -> None:
        """Nobody was there."""

    def behind(self, flow: Flow) -> bool:
        flow.close()
        return True

    async def surely(self, flow: Flow) -> Any:
        flow.close()
        raise _Ends

    async def together(self, flows: Sequence[Flow], at_once: int) -> list[Any]:
        for flow in flows:
            flow.close()
        raise _Ends
