"""The primaries of a cluster, as one of its nodes describes it."""

from __future__ import annotations

import time
from array import array
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final

from cacheaside.errors import DeclarationError
from cacheaside.stores.redis.connect.away import Away, ConnectionAway
from cacheaside.stores.redis.connect.deadline import Deadline
from cacheaside.stores.redis.connect.fleet import Fleet
from cacheaside.stores.redis.connect.server import Login, ServerAddress
from cacheaside.stores.redis.connect.topology.asking import ask, first_answer, port_in, text, unfit
from cacheaside.stores.redis.wire.names import SLOTS

__all__ = ["ClusterTopology"]

_NOBODY: Final = 0xFFFF
_UNKNOWN: Final = "?"


class ClusterTopology:
    """Implements `fleet.Topology`: asks the nodes known from the last answer, then `seeds`.

    Nodes are reached as a seed is: with its TLS, and with its `tls_name` where it has one. login: to all of them; its
    user needs CLUSTER SLOTS, and CLUSTER INFO: a node that is cut off from the others describes the cluster as it was,
    and only that tells.
    """

    def __init__(
        self,
        seeds: Sequence[ServerAddress],
        *,
        login: Login | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        if not seeds:
            raise DeclarationError("seeds must name at least one node of the cluster")
        self._seeds = tuple(seeds)
        self._known: tuple[ServerAddress, ...] = ()
        self._login = login or Login()
        self._now = now

    def find(self, within_s: float) -> Fleet:
        """See `fleet.Topology`. Every slot has a primary; where one has none, it raises."""
        asked = list(dict.fromkeys((*self._known, *self._seeds)))
        _, (fleet, nodes) = first_answer(
            asked, self._fleet_by, Deadline.after(within_s, self._now), about="the nodes of the cluster"
        )
        self._known = nodes
        return fleet

    def _fleet_by(self, node: ServerAddress, deadline: Deadline) -> tuple[Fleet, tuple[ServerAddress, ...]]:
        info, ranges = ask(node, self._login, deadline, [("CLUSTER", "INFO"), ("CLUSTER", "SLOTS")])
        state = text(info)  # None where the user has no right to ask: then there is nothing to go by
        if state is not None and "cluster_state:ok" not in state:
            message = "it says that the cluster is down, or that it is cut off from it"
            raise ConnectionAway(message, endpoint=str(node), reason=Away.REFUSED)
        return _fleet_in(ranges, node)


def _fleet_in(ranges: Any, asked: ServerAddress) -> tuple[Fleet, tuple[ServerAddress, ...]]:
    """What CLUSTER SLOTS answered: the primaries, and all nodes, primaries first."""
    if not isinstance(ranges, list):
        raise unfit(asked, ranges, "a list of slots")
    owners = array("H", [_NOBODY]) * SLOTS
    places: dict[ServerAddress, int] = {}
    replicas: list[ServerAddress] = []
    for one in ranges:
        if not isinstance(one, list) or len(one) < 3:
            raise unfit(asked, one, "a range of slots")
        first, last, *nodes = one
        addresses = [_address_in(node, asked) for node in nodes]
        if not _is_range(first, last) or addresses[0] is None:
            raise unfit(asked, one, "a range of slots and its nodes")
        place = places.setdefault(addresses[0], len(places))
        owners[first : last + 1] = array("H", [place]) * (last + 1 - first)
        replicas += [address for address in addresses[1:] if address is not None]
    if unowned := owners.count(_NOBODY):
        message = f"{unowned} of {SLOTS} slots have no primary"
        raise ConnectionAway(message, endpoint=str(asked), reason=Away.REFUSED)
    return Fleet(tuple(places), owners), tuple(dict.fromkeys((*places, *replicas)))


def _is_range(first: Any, last: Any) -> bool:
    return isinstance(first, int) and isinstance(last, int) and 0 <= first <= last < SLOTS


def _address_in(node: Any, asked: ServerAddress) -> ServerAddress | None:
    """Where a node says to be reached: [host, port, id, what else it is known by]."""
    if not isinstance(node, list) or len(node) < 2 or (port := port_in(node[1])) is None:
        return None
    host = asked.host if node[0] in (None, b"", "") else text(node[0])  # none announced: where it was asked
    if host == _UNKNOWN:  # it is to be known by a name, and has none yet
        host = _known_by(node[3] if len(node) > 3 else None).get("ip")
    return replace(asked, host=host, port=port, path=None) if host else None


def _known_by(more: Any) -> dict[str | None, str | None]:
    """What else a node says of itself: pairs, in either version of the protocol."""
    if isinstance(more, dict):
        return {text(name): text(value) for name, value in more.items()}
    parts = [text(part) for part in more] if isinstance(more, list) else []
    return dict(zip(parts[::2], parts[1::2], strict=False))
