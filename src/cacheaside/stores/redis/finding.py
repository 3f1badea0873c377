"""One attempt to find the primaries and to listen to them, on a thread of its own: it may wait for one server while the
keeper hears the others."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Protocol

from cacheaside.stores.redis.away import Away, ConnectionAway
from cacheaside.stores.redis.ear import Ear
from cacheaside.stores.redis.fleet import Fleet, Topology
from cacheaside.stores.redis.server import ServerAddress

__all__ = ["Finder", "find"]


class Finder(Protocol):
    """Who is told what an attempt came to: the keeper."""

    def found(
        self, attempt: object, fleet: Fleet | None, ears: list[Ear], why: ConnectionAway | None
    ) -> bool: ...


def find(
    reference: weakref.ref[Finder],
    attempt: object,
    topology: Topology,
    listen: Callable[[ServerAddress], Ear],
    have: set[ServerAddress],
    within_s: float,
) -> None:
    """Find the primaries, and listen to those that nobody listens to."""
    fleet: Fleet | None = None
    ears: list[Ear] = []
    why: ConnectionAway | None = None
    try:
        fleet = topology.find(within_s)
        for address in fleet.primaries:
            if address not in have:
                # Each for itself: else one that stays away would keep those after it from being listened to again.
                try:
                    ears.append(listen(address))
                except ConnectionAway as away:
                    why = away
    except ConnectionAway as away:
        why = away
    except Exception as error:  # noqa: BLE001 - else nobody would ever try again
        why = ConnectionAway(f"no connection ({error!r})", endpoint="the shared tier", reason=Away.REFUSED)
    keeper = reference()
    if keeper is None or not keeper.found(attempt, fleet, ears, why):
        for ear in ears:
            ear.close()
