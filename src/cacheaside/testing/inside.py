"""A cache from the inside: the one place where what is shipped for tests reaches past its public face."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from cacheaside.cache import Cache
from cacheaside.endpoint import host as hosts
from cacheaside.endpoint.host import Host
from cacheaside.errors import Unacknowledged, UsageError
from cacheaside.flow import write as writing
from cacheaside.flow.blocking import run_blocking
from cacheaside.source.source import Source
from cacheaside.tally import Tally

__all__ = ["Switches", "count_anew", "every_host", "forget", "host_of", "source_of"]


def host_of(cache: Cache) -> Host:
    """What `cache` is made of."""
    return cache._host  # noqa: SLF001 - see above


def every_host() -> list[Host]:
    """Those of every cache in this process that is still referred to."""
    return list(hosts._hosts)  # noqa: SLF001 - see above


def source_of(source: Source[object] | Cache) -> Source[object]:
    """A source, or for a cache the one of its endpoints that name none."""
    if isinstance(source, Cache):
        return host_of(source).default_source
    if isinstance(source, Source):
        return source
    raise UsageError(
        f"A fault is for a source, what cache.source(…) returned, or for a Cache; not for a {type(source).__name__}."
    )


@dataclass(frozen=True, slots=True)
class Switches:
    """What a test may change of a cache, as it was."""

    enabled: bool
    strict: bool
    now: Callable[[], float]
    levers: Callable[[], None]
    """Puts back what `cache.control` was told."""

    @classmethod
    def of(cls, host: Host) -> Switches:
        """As they are now."""
        return cls(host.enabled, host.strict, host.clock.read, host.levers())

    def restore(self, host: Host) -> None:
        """Set them as they were."""
        host.enabled = self.enabled
        host.gate.switch(on=self.enabled)
        host.strict = self.strict
        if host.clock.read is not self.now:
            host.use_clock(self.now)
        self.levers()


def forget(host: Host) -> None:
    """Drop what a cache holds, its marks of writers included. What is being loaded is not kept. What a shared tier
    holds is invalidated, where the tier can be reached: for every process of the namespace, which costs them
    misses."""
    host.async_crew.sweep()
    if host.shared is not None:
        with suppress(Unacknowledged):
            run_blocking(writing.invalidate((host.everything,), host.blocking_ports))
    host.l1.clear()
    host.forget_writes()


def count_anew(host: Host) -> None:
    """Set every counter of a cache to zero."""
    for endpoint in list(host.endpoints.values()):
        Tally.__init__(endpoint.tally)
        endpoint.table.hits = 0
