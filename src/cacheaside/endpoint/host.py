"""What the endpoints of one cache share: its L1, its ports in both colours, its switches.

Assembled here once; `Cache` is what users see of it.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable
from typing import Any

from cacheaside.durations import Duration
from cacheaside.endpoint.endpoint import Endpoint
from cacheaside.errors import DeclarationError
from cacheaside.flow.flights import Flights
from cacheaside.flow.ports import Crew, Loads, Ports
from cacheaside.runtime.aio import AsyncCrew
from cacheaside.runtime.blocking import BlockingCrew
from cacheaside.runtime.clock import SystemClock
from cacheaside.source.loads import AsyncLoads, BlockingLoads
from cacheaside.source.source import Source
from cacheaside.stores.embedded import EmbeddedHeard, EmbeddedTier
from cacheaside.stores.l1.gate import Gate
from cacheaside.stores.l1.store import L1
from cacheaside.tags import Home, Tag, TagFamily, tag_ids
from cacheaside.types import TagId

__all__ = ["Host"]

EVERYTHING = "*"
"""The name of the tag that every entry of a namespace depends on."""

_hosts: weakref.WeakSet[Host] = weakref.WeakSet()


class Host:
    """One cache from the inside. Thread-safe."""

    def __init__(
        self,
        namespace: str,
        *,
        home: Home,
        entries_max: int,
        bytes_max: int,
        load_timeout: Duration,
        mark_lifetime_s: float,
    ) -> None:
        self.namespace = namespace
        self.home = home
        self.everything = TagId(TagFamily[[]](namespace, EVERYTHING, ())().id)
        self.default_source: Source[Any] = Source("inline", None, limit=1024, timeout=load_timeout)
        self.sources: dict[str, Source[Any]] = {}
        self.families: dict[str, TagFamily[Any]] = {}
        self.endpoints: dict[str, Endpoint] = {}
        self.enabled = True
        self.shares_loads = True
        self.strict = False
        self.lock = threading.RLock()
        self.clock = SystemClock()
        self.gate = Gate()
        self.l1 = L1(self.clock, entries_max=entries_max, bytes_max=bytes_max, everything=self.everything)
        self._worlds: list[dict[str, Any]] = []
        # Reentrant: a flow that is collected as garbage leaves its flights in whatever code the collector interrupts.
        self._async_flights = Flights(threading.RLock())
        self._blocking_flights = Flights(threading.RLock())
        self.async_crew = AsyncCrew(self._async_flights)
        self.blocking_crew = BlockingCrew(self._blocking_flights)
        self._tier = EmbeddedTier(self.l1, self.clock)
        both = (self._async_flights, self._blocking_flights)
        self._heard = EmbeddedHeard(self.l1, self._tier, self.clock, both)
        # Loads know it by its home, not by itself: contexts that were copied inside a load would keep it alive.
        self.ports = self._ports(AsyncLoads(home), self._async_flights, self.async_crew, mark_lifetime_s)
        self.blocking_ports = self._ports(
            BlockingLoads(home), self._blocking_flights, self.blocking_crew, mark_lifetime_s
        )
        _hosts.add(self)

    def _ports(self, loads: Loads, flights: Flights, crew: Crew, mark_lifetime_s: float) -> Ports:
        return Ports(
            clock=self.clock,
            near=self.l1,
            heard=self._heard,
            tier=self._tier,
            loads=loads,
            flights=flights,
            crew=crew,
            shared=False,
            mark_lifetime_s=mark_lifetime_s,
        )

    @property
    def world(self) -> dict[str, Any]:
        """What all generated code reads: the clock and the gate."""
        return {"_now": self.clock.read, "_gate": self.gate}

    @property
    def everything_tag(self) -> Tag:
        """The tag of the whole namespace."""
        return Tag(self.everything, self.namespace, self.home)

    def is_strict(self) -> bool:
        """Whether a value that cannot be stored is an error (under testing)."""
        return self.strict

    def tag_ids(self, tags: tuple[Tag, ...], where: str) -> tuple[TagId, ...]:
        """The ids of tags of this cache; `where` begins the message about any other."""
        return tag_ids(tags, namespace=self.namespace, home=self.home, where=where)

    def register(self, endpoint: Endpoint, world: dict[str, Any]) -> None:
        """Take in an endpoint and the globals of its generated code."""
        with self.lock:
            if endpoint.name in self.endpoints:
                raise DeclarationError(
                    f"endpoint {endpoint.name!r} is declared already in cache {self.namespace!r}: its name is the "
                    "first part of its keys, so two would share entries. Give this one another name."
                )
            self.endpoints[endpoint.name] = endpoint
            self._worlds.append(world)
            self.l1.add_table(endpoint.table)

    def use_clock(self, now: Callable[[], float]) -> None:
        """Tell the time by `now`, in what was declared already too."""
        self.clock.read = now
        for world in self._worlds:
            world["_now"] = now

    def after_fork(self) -> None:
        """Whoever held a lock or ran a load may have stayed in the parent. The marks of its writers are kept: what
        they commit the child will not hear."""
        self.lock = threading.RLock()
        self.l1.after_fork()
        for flights in (self._async_flights, self._blocking_flights):
            flights.forget(threading.RLock())
        self.async_crew.forget()
        self.blocking_crew.forget()
        for source in (*self.sources.values(), self.default_source):
            source.limit.forget()
        for endpoint in list(self.endpoints.values()):
            endpoint.reports.forget()


def _after_fork_in_child() -> None:
    for host in list(_hosts):
        host.after_fork()


os.register_at_fork(after_in_child=_after_fork_in_child)
