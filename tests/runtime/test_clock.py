"""Time: only the monotonic clock counts, and waiting is real whatever clock a test gives."""

from __future__ import annotations

import contextlib
import time
from typing import Any

import pytest

from cacheaside import Cache, Contract, LoadTimeout, Served
from cacheaside.runtime.clock import SystemClock
from tests.held import Callers, HeldCalls


@pytest.mark.parametrize("jump_s", [-86_400.0, 86_400.0])
def test_a_jump_of_the_wall_clock_changes_nothing(jump_s: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Setting the system's date, back or forth, neither keeps an entry longer nor drops it."""
    cache = Cache(namespace="clock")

    @cache.read("value", Contract(ttl="60s", jitter=0))
    def value(key: int) -> int:
        return key

    value(1)
    wall = time.time()
    monkeypatch.setattr(time, "time", lambda: wall + jump_s)
    monkeypatch.setattr(time, "time_ns", lambda: int((wall + jump_s) * 1e9))
    found = value.lookup(1)
    assert found.served is Served.FRESH
    assert 0 <= found.age_s < 60


def test_the_clock_is_read_anew_each_time() -> None:
    """A hit sees the time that it is, not one that somebody ticked: after a standstill nothing is served too long."""
    cache = Cache(namespace="clock")
    now = 1000.0
    cache._use_clock(lambda: now)

    @cache.read("value", Contract(ttl="60s", jitter=0))
    def value(key: int) -> float:
        return now

    assert (value(1), value(1)) == (1000.0, 1000.0)
    now += 60.001  # the process stood still for a minute: no timer of ours ran
    assert value(1) == now


def test_the_clock_never_goes_back() -> None:
    """The clock of a cache is the kernel's monotonic one."""
    clock = SystemClock()
    readings = [clock.now() for _ in range(1_000)]
    assert readings == sorted(readings)
    assert abs(clock.now() - time.monotonic()) < 1


def test_a_clock_that_stands_still_does_not_keep_followers_waiting() -> None:
    """The timeout of a source is real time: a test's clock neither ends it early nor keeps it from ending."""
    cache = Cache(namespace="clock")
    cache._use_clock(lambda: 1000.0)
    source = cache.source("brief", open=contextlib.nullcontext, timeout="50ms")
    held: Any = HeldCalls()

    @cache.read("value", Contract(ttl="60s"), source=source)
    def value(resource: None, key: int) -> int:
        result: int = held()
        return result

    leader, follower = Callers(), Callers()
    leader.start(value, 1)
    held.until_began()
    follower.start(value, 1)
    follower.join()
    assert [type(error) for error in follower.errors] == [LoadTimeout]
    held.let_go(1)
    leader.join()
