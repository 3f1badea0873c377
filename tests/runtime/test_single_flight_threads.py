"""Single flight over threads: the leader loads on its own thread, and may fail, hang or die."""

from __future__ import annotations

import contextlib
import gc
import threading
import time
from typing import Any

import pytest

from cacheaside import Cache, Contract, LoadTimeout, UsageError
from cacheaside.flow.blocking import run_blocking
from cacheaside.flow.flights import Flight
from cacheaside.runtime import blocking
from cacheaside.runtime.blocking import BlockingCrew
from tests.held import Callers, HeldCalls, until_waiting


@pytest.fixture
def cache() -> Cache:
    return Cache(namespace="flight")


@pytest.fixture
def held() -> HeldCalls:
    return HeldCalls()


@pytest.fixture
def value(cache: Cache, held: HeldCalls) -> Any:
    @cache.read("value", Contract(ttl="60s"))
    def value(key: int) -> int:
        result: int = held(key)
        return result

    return value


@pytest.fixture
def brief(cache: Cache, held: HeldCalls) -> Any:
    source = cache.source("brief", open=contextlib.nullcontext, timeout="50ms")

    @cache.read("brief", Contract(ttl="60s"), source=source)
    def brief(resource: None, key: int) -> int:
        result: int = held(key)
        return result

    return brief


def flights(cache: Cache) -> Any:
    return cache._host._blocking_flights


def test_many_threads_share_one_load(cache: Cache, value: Any, held: HeldCalls) -> None:
    """However many threads miss a key at once, the source is asked once."""
    callers = Callers()
    callers.start(value, 1, times=64)
    until_waiting(flights(cache), value.key(1), 64)
    held.let_go(7)
    callers.join()
    assert callers.results == [7] * 64
    assert held.began == 1
    assert len(flights(cache)) == 0
    assert cache.stats().endpoints["value"].collapsed == 63


def test_a_failed_load_tells_every_thread_the_true_error(cache: Cache, value: Any, held: HeldCalls) -> None:
    """All threads that share a load that fails get the loader's own exception, and nothing is cached."""
    callers = Callers()
    callers.start(value, 1, times=16)
    until_waiting(flights(cache), value.key(1), 16)
    error = ZeroDivisionError("the row is odd")
    held.let_go(error)
    callers.join()
    assert len(callers.errors) == 16
    assert all(one is error for one in callers.errors)
    held.outcome = 7
    assert value(1) == 7


@pytest.mark.parametrize("signal", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_the_followers_of_a_killed_leader_take_over(cache: Cache, signal: type[BaseException]) -> None:
    """When what ends a load is no answer to it, the leader gets it and the followers load for themselves."""
    held = HeldCalls()
    killed: list[threading.Thread] = []

    @cache.read("value", Contract(ttl="60s"))
    def value(key: int) -> int:
        held(key)
        if threading.current_thread() in killed:
            raise signal
        return 7

    leader, followers = Callers(), Callers()
    leader.start(value, 1)
    killed += leader._threads
    held.until_began()
    followers.start(value, 1, times=8)
    until_waiting(flights(cache), value.key(1), 9)
    held.let_go()
    leader.join()
    followers.join()
    assert [type(error) for error in leader.errors] == [signal]
    assert followers.results == [7] * 8
    assert held.began == 2


def test_a_hung_leader_is_given_up(cache: Cache, brief: Any, held: HeldCalls) -> None:
    """Followers of a thread that hangs get LoadTimeout at the source's timeout; who comes later loads anew."""
    leader, followers = Callers(), Callers()
    leader.start(brief, 1)
    held.until_began()
    followers.start(brief, 1, times=4)
    followers.join()
    assert [type(error) for error in followers.errors] == [LoadTimeout] * 4
    leader.start(brief, 1)
    held.until_began(2)
    held.let_go(7)
    leader.join()
    assert leader.results == [7, 7]
    assert len(flights(cache)) == 0


def test_a_flight_whose_thread_died_is_taken_over(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    """A follower finds out that its leader's thread is no more, and that the load will never end."""
    monkeypatch.setattr(blocking, "CHECK_LEADER_S", 0.01)
    crew = BlockingCrew(flights(cache))
    flight, leads = flights(cache).board("key", ())
    assert leads
    dead = threading.Thread(target=lambda: None)
    dead.start()
    dead.join()
    flight.run = blocking._Leader(dead, time.monotonic() + 60, 60)
    assert run_blocking(crew.wait(flight)) is None
    assert not flights(cache).is_open("key")


def test_a_flight_that_nobody_flies_is_taken_over(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    """A leader that is killed between boarding and flying leaves a flight that its followers do not wait for."""
    monkeypatch.setattr(blocking, "CHECK_LEADER_S", 0.01)
    flight, _ = flights(cache).board("key", ())
    assert run_blocking(BlockingCrew(flights(cache)).wait(flight)) is None
    assert not flights(cache).is_open("key")


def test_a_read_from_within_its_own_storing_says_so(cache: Cache) -> None:
    """A value_tags= function that reads what is being stored would wait for itself; it is an error instead."""
    names = cache.tag("names", str)

    @cache.read("name", Contract(ttl="60s"), value_tags=lambda value: [names(name(1))])
    def name(key: int) -> str:
        return "lamp"

    cache._be_strict(True)
    with pytest.raises(UsageError, match="this very thread"):
        name(1)


def test_a_suspending_flow_is_refused() -> None:
    """A flow that suspends on a thread has met a port that is wrong: this is said at once, not waited for."""

    class Suspends:
        def __await__(self) -> Any:
            yield

    async def flow() -> None:
        await Suspends()

    with pytest.raises(AssertionError, match="suspended"):
        run_blocking(flow())


def test_a_landed_flight_needs_no_wait(cache: Cache) -> None:
    """Waiting for a flight that has landed returns its landing at once."""
    crew = BlockingCrew(flights(cache))
    flight: Flight = flights(cache).alone("key", ())
    flights(cache).land(flight, None)
    assert run_blocking(crew.wait(flight)) is None


def test_together_gives_each_result_or_exception(cache: Cache) -> None:
    """On a thread, flows that would run side by side run in turn, and one's failure does not end the others."""

    async def good(number: int) -> int:
        return number

    async def bad() -> int:
        raise KeyError("bad")

    results = run_blocking(BlockingCrew(flights(cache)).together([good(1), bad(), good(2)], 1))
    assert results[0] == 1
    assert isinstance(results[1], KeyError)
    assert results[2] == 2


def test_together_leaves_no_flow_behind_that_it_did_not_run(cache: Cache) -> None:
    """What ends the thread's work in the middle ends the flows that were still to come, without a warning."""

    async def flow(signal: type[BaseException] | None) -> None:
        if signal is not None:
            raise signal

    crew = BlockingCrew(flights(cache))
    with pytest.raises(KeyboardInterrupt):
        run_blocking(crew.together([flow(None), flow(KeyboardInterrupt), flow(None)], 3))
    gc.collect()
