"""Reads inside a load: which load this code runs in, and what it has read through other endpoints."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextvars import ContextVar
from threading import RLock

from cacheaside.source.footing import Footing
from cacheaside.source.source import Source
from cacheaside.types import Generation, TagId

__all__ = ["OpenNest", "current", "scope"]


class OpenNest:
    """Implements `flow.ports.Nest`. Reads may come from several tasks or threads that the loader started.

    home: the cache that the load is of. name, keys: its endpoint, and what it loads. footing: what it stands on, once
    its turn has come. inside: the loads under way that its loader began. in_vain: see `flow.ports.Nest`.
    """

    __slots__ = (
        "_lock", "closed", "footing", "home", "in_vain", "inside", "keys", "name", "oldest", "outer", "reads_inside",
        "source", "stamp", "ttl_s", "vouched",
    )  # fmt: skip

    def __init__(
        self,
        source: Source[object],
        outer: OpenNest | None,
        home: object = None,
        name: str = "",
        keys: frozenset[TagId] = frozenset(),
        ttl_s: float = math.inf,
    ) -> None:
        self._lock = RLock()
        self.source = source
        self.name = name
        self.keys = keys
        self.ttl_s: float = ttl_s if outer is None else min(ttl_s, outer.ttl_s)
        self.inside: dict[OpenNest, None] = {}
        self.outer = outer
        self.home = home
        self.footing: Footing | None = None
        self.stamp: dict[TagId, Generation] = {}
        self.oldest: float | None = None
        self.vouched = True
        self.in_vain = False
        self.reads_inside = False
        """A load was begun inside of it: how long it takes says little of its source."""
        self.closed = False

    def joined(self, stamp: dict[TagId, Generation], loaded_at: float) -> None:
        """Something loaded at `loaded_at` under `stamp` was read; two generations of one tag cannot both be right."""
        with self._lock:
            for tag, generation in stamp.items():
                if self.stamp.setdefault(tag, generation) != generation:
                    self.vouched = False
            self.oldest = loaded_at if self.oldest is None else min(self.oldest, loaded_at)

    def unvouched(self) -> None:
        """Something that cannot be vouched for was read."""
        self.vouched = False

    def around(self) -> Iterator[OpenNest]:
        """This load and those around it that go on, from the innermost."""
        nest: OpenNest | None = self
        while nest is not None:
            if not nest.closed:
                yield nest
            nest = nest.outer

    def footing_of(self, source: Source[object]) -> Footing | None:
        """The footing of this load, or of the nearest around it, that is of `source`."""
        nest: OpenNest | None = self
        while nest is not None:
            if nest.source is source and nest.footing is not None:
                return nest.footing
            nest = nest.outer
        return None


scope: ContextVar[OpenNest | None] = ContextVar("cacheaside_scope", default=None)
"""The load that this context runs inside of. Anything but None takes reads off the fast path."""


def current() -> OpenNest | None:
    """The load under way that this code runs inside of, if any.

    A task or thread that outlived the load it was started in belongs to the load around that one; outside of all, its
    reads are ordinary ones, and fast again.
    """
    nest = scope.get()
    if nest is None or not nest.closed:
        return nest
    while nest is not None and nest.closed:
        nest = nest.outer
    scope.set(nest)
    return nest
