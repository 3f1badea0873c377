"""What the endpoints of one cache share: its L1, its ports in both colours, its switches.

Assembled here once; `Cache` is what users see of it.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
import weakref
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, Literal, Protocol

from cacheaside.durations import Duration
from cacheaside.endpoint.endpoint import Endpoint
from cacheaside.endpoint.reports import Retried
from cacheaside.errors import DeclarationError, Unacknowledged
from cacheaside.flow.call import Call
from cacheaside.flow.flights import Flights
from cacheaside.flow.ports import Crew, Heard, Loads, Ports, Tier
from cacheaside.lookup import Lookup
from cacheaside.observe.sources import SourceStats
from cacheaside.runtime.aio import AsyncCrew
from cacheaside.runtime.blocking import BlockingCrew
from cacheaside.runtime.clock import SystemClock
from cacheaside.source.admission import Admission
from cacheaside.source.loads import AsyncLoads, BlockingLoads
from cacheaside.source.source import Source
from cacheaside.stores.embedded import EmbeddedHeard, EmbeddedTier
from cacheaside.stores.l1.gate import Gate
from cacheaside.stores.l1.store import L1
from cacheaside.stores.redis.shared import Options, Shared
from cacheaside.tags import EVERYTHING, Home, Tag, TagFamily, family_of, tag_ids
from cacheaside.types import TagId

__all__ = ["HeatSink", "Host", "WhenAway"]

WhenAway = Literal["raise", "retry"]

_hosts: weakref.WeakSet[Host] = weakref.WeakSet()

CLOSED: Final = Gate(0.0)
"""A gate that nobody opens."""


class _Off:
    """What the generated code of an endpoint asks instead of its host, while each of its calls is to be looked at."""

    enabled = False


OFF: Final = _Off()


class HeatSink(Protocol):
    """Who counts what is asked for, where somebody does."""

    def saw(self, call: Call, answer: Lookup[Any]) -> None:
        """A read off the fast path was answered."""

    def close(self) -> None:
        """Write down what was counted. It may wait for the disk."""

    def after_fork(self) -> None:
        """Threads and locks stayed in the parent."""


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
        shared: Options | None = None,
        when_away: WhenAway = "raise",
    ) -> None:
        self.namespace = namespace
        self.when_away = when_away
        self.home = home
        self.everything = TagId(TagFamily[[]](namespace, EVERYTHING, ())().id)
        self.default_source: Source[Any] = Source(
            "inline", None, limit=Admission(1024, adaptive=False), timeout=load_timeout
        )
        self.sources: dict[str, Source[Any]] = {}
        self.families: dict[str, TagFamily[Any]] = {}
        self.endpoints: dict[str, Endpoint] = {}
        self.facades: dict[str, Any] = {}
        """What users call on each endpoint that is a function, by its name."""
        self.enabled = True
        self.shares_loads = True
        self.strict = False
        self.heat: HeatSink | None = None
        self.lock = threading.RLock()
        self.clock = SystemClock()
        self._retried = Retried(namespace, time.monotonic)
        self.gate = Gate() if shared is None else Gate(0.0)
        self.l1 = L1(
            self.clock,
            entries_max=entries_max,
            bytes_max=bytes_max,
            everything=self.everything,
            gate=self.gate,
            shared=shared is not None,
        )
        self._worlds: dict[str, dict[str, Any]] = {}
        self.on_register: Callable[[Endpoint], None] = lambda endpoint: None
        self.on_fork: Callable[[], None] = lambda: None
        self.levers: Callable[[], Callable[[], None]] = lambda: lambda: None
        """Gives what puts back what the program's own code has changed by now. For tests."""
        # Reentrant: a flow that is collected as garbage leaves its flights in whatever code the collector interrupts.
        self._async_flights = Flights(threading.RLock())
        self._blocking_flights = Flights(threading.RLock())
        self.async_crew = AsyncCrew(self._async_flights)
        self.blocking_crew = BlockingCrew(self._blocking_flights)
        both = (self._async_flights, self._blocking_flights)
        self._tier = EmbeddedTier(self.l1, self.clock)
        self.shared: Shared | None = None
        self.quick: tuple[Callable[..., Awaitable[Any] | None], Callable[..., Any]] | None = None
        """Plain hits of a tier where nothing is kept here: from event loops, and from threads."""
        """Where this process holds nothing: how the shared tier is asked for a value, and no more than that."""
        tiers: tuple[Tier, Tier] = self._tier, self._tier
        heard: tuple[Heard, Heard] = (EmbeddedHeard(self.l1, self._tier, self.clock, both),) * 2
        if shared is not None:
            self.shared = Shared(
                namespace,
                shared,
                self.l1,
                self.clock,
                both,
                self.gate.open_until,
                everything=self.everything,
                mark_lifetime_s=mark_lifetime_s,
                bound_s=self._bound_s,
            )
            tiers = self.shared.tier, self.shared.blocking_tier
            heard = self.shared.heard, self.shared.blocking_heard
            self.quick = None if entries_max else self.shared.quick

        def ports(colour: int, loads: Loads, flights: Flights, crew: Crew) -> Ports:
            return Ports(
                clock=self.clock,
                near=self.l1,
                heard=heard[colour],
                tier=tiers[colour],
                loads=loads,
                flights=flights,
                crew=crew,
                shared=shared is not None,
                mark_lifetime_s=mark_lifetime_s,
            )

        # Loads know it by its home, not by itself: contexts that were copied inside a load would keep it alive.
        self.ports = ports(0, AsyncLoads(home), self._async_flights, self.async_crew)
        self.blocking_ports = ports(1, BlockingLoads(home), self._blocking_flights, self.blocking_crew)
        _hosts.add(self)

    def _bound_s(self) -> float:
        """The longest that any entry is of use."""
        return max((e.terms.bound_s for e in list(self.endpoints.values())), default=0.0)

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
            self._worlds[endpoint.name] = world
            self.l1.add_table(endpoint.table)
        self.on_register(endpoint)

    def close_path(self, name: str, *, closed: bool) -> None:
        """Have every read of endpoint `name` come the slow way, or answer hits at once again.

        What its generated code reads are globals of its own: another gate, which never opens, and, where nothing is
        held here, another word on whether the cache is on. So an endpoint that nothing was changed of pays nothing.
        """
        world = self._worlds.get(name)
        if world:  # what `get_or_load` makes has no generated code
            world["_gate"] = CLOSED if closed else self.gate
            world["_host"] = OFF if closed else self

    def add_source(self, source: Source[Any]) -> None:
        """Take in a source, whose limit other processes may share."""
        with self.lock:
            if source.name in self.sources:
                raise DeclarationError(
                    f"source {source.name!r} is declared already in cache {self.namespace!r}."
                )
            self.sources[source.name] = source
        shared_limit = source.admission.shared_limit
        if self.shared is not None and shared_limit is not None:
            self.shared.seats.add(source.name, shared_limit, source.share)

    def source_stats(self) -> dict[str, SourceStats]:
        """What each source let in."""
        with self.lock:
            return {one.name: one.stats() for one in (self.default_source, *self.sources.values())}

    def use_clock(self, now: Callable[[], float]) -> None:
        """Tell the time by `now`, in what was declared already too."""
        self.clock.read = now
        for world in self._worlds.values():
            world["_now"] = now
        if self.shared is not None:
            self.shared.servers.move_clock(now is not time.monotonic, now())

    @contextmanager
    def loudly(self, when_away: WhenAway | None) -> Iterator[None]:
        """Around an invalidation: what is not acknowledged is an error, or a line in the log."""
        try:
            yield
        except Unacknowledged as error:
            if (self.when_away if when_away is None else when_away) == "raise":
                raise
            self.say_retried(error)

    def say_retried(self, error: Unacknowledged) -> None:
        """Log what was not acknowledged, and is tried again."""
        self._retried.say(Counter(map(family_of, map(TagId, error.tags))), error.why)

    def writer_ends_at(self, tag: TagId) -> float | None:
        """Without a server: when the last writer under way for `tag` ends at the latest; None without any."""
        return None if self.shared is not None else self._tier.marks(tag)

    def forget_here(self) -> None:
        """Drop all that this process holds; loads under way are not kept."""
        with self.l1.lock:
            self.l1.clear()
            for flights in (self._async_flights, self._blocking_flights):
                flights.close_all()

    def forget_writes(self) -> None:
        """Forget the writers under way, and what is owed. For tests: a commit of theirs would leave old values."""
        self._tier.clear()
        if self.shared is not None:
            self.shared.owed.clear()

    def close_heat(self) -> None:
        """Write down which keys were asked for, where that is kept. It may wait for the disk."""
        if self.heat is not None:
            self.heat.close()

    async def aclose_heat(self) -> None:
        """As `close_heat`, without holding up the event loop."""
        if self.heat is not None:
            await asyncio.to_thread(self.heat.close)

    def after_fork(self) -> None:
        """Whoever held a lock or ran a load may have stayed in the parent. The marks of its writers are kept: what
        they commit the child will not hear."""
        self.lock = threading.RLock()
        self._retried.forget()
        self.l1.after_fork()
        for flights in (self._async_flights, self._blocking_flights):
            flights.forget(threading.RLock())
        if self.shared is not None:
            self.shared.after_fork()
        self.async_crew.forget()
        self.blocking_crew.forget()
        for source in (*self.sources.values(), self.default_source):
            source.forget()
        for endpoint in list(self.endpoints.values()):
            endpoint.reports.forget()
            if endpoint.shadow is not None:
                endpoint.shadow.forget()
        self.on_fork()
        if self.heat is not None:
            self.heat.after_fork()


def _after_fork_in_child() -> None:
    for host in list(_hosts):
        host.after_fork()


os.register_at_fork(after_in_child=_after_fork_in_child)
