"""Time for tests: it stands still, and moves when told to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager

from cacheaside.cache import Cache
from cacheaside.durations import Duration, seconds
from cacheaside.endpoint.host import Host
from cacheaside.testing.inside import forget, host_of

__all__ = ["Clock"]

START_S = 1_000_000.0


class Clock:
    """A clock that a test moves: `clock.advance("61s")`.

    It decides what ages are: ttl, grace, absent_ttl, error_ttl, stale_after_invalidation, early refresh, the delay
    after a failed refresh, and how long the mark of a writer stands. Whoever waits does so in real time all the same:
    for a source's timeout, for a slow load.
    """

    def __init__(self) -> None:
        self._now = START_S

    def now(self) -> float:
        """Seconds; they mean nothing by themselves."""
        return self._now

    def advance(self, duration: Duration) -> None:
        """Let `duration` pass: seconds, a `timedelta`, or a string such as "61s". It cannot be negative."""
        self._now += seconds(duration, name="advance")

    @contextmanager
    def use(self, *caches: Cache) -> Iterator[Clock]:
        """Have `caches` tell the time by this clock inside of the block.

        They are emptied at both ends, since ages by two clocks cannot be compared.
        """
        with used(self.now, [host_of(cache) for cache in caches]):
            yield self


@contextmanager
def used(now: Callable[[], float], hosts: Iterable[Host]) -> Iterator[None]:
    """As `Clock.use`, for caches from the inside."""
    with ExitStack() as ends:
        for host in hosts:
            forget(host)
            ends.callback(forget, host)
            ends.callback(host.use_clock, host.clock.read)
            host.use_clock(now)
        yield
