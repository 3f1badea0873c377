"""Each test by itself: no cache carries anything over from one to the next."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from cacheaside.testing.inside import Switches, count_anew, every_host, forget

__all__ = ["isolated"]


@contextmanager
def isolated(*, strict: bool = True) -> Iterator[None]:
    """Empty every cache of this process, and set its counters to zero, before the block and after it.

    After it, clock and switches are as they were, and refreshes on threads have been waited for, up to 5 s. What a
    cache declares stays. Under pytest-xdist each worker is a process with caches of its own.

    strict: inside, a value that cannot be stored is an error, in the caches that exist when the block begins.
    """
    before = {host: Switches.of(host) for host in every_host()}
    for host in before:
        forget(host)
        count_anew(host)
        host.strict = strict
    try:
        yield
    finally:
        for host in every_host():
            host.blocking_crew.close()
            forget(host)
            count_anew(host)
            if host in before:
                before[host].restore(host)
