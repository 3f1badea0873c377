"""Threads: a flow over ports that never suspend is run by one `send`."""

from __future__ import annotations

import threading
from collections.abc import Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeVar

from cacheaside.errors import LoadTimeout
from cacheaside.flow.flights import Flight, Flights, Landing
from cacheaside.flow.ports import Clock, Flow

__all__ = ["BlockingCrew", "run_blocking"]

T = TypeVar("T")

CHECK_LEADER_S: Final = 1.0
"""How often a follower looks whether its leader's thread still lives."""
BACKGROUND_THREADS: Final = 4
BACKGROUND_WAITING_MAX: Final = 64


def run_blocking(flow: Coroutine[Any, Any, T]) -> T:
    """Run `flow` to its end here and now. A flow that suspends is a bug of this library, and says so."""
    try:
        flow.send(None)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]
    flow.close()
    raise AssertionError(f"{flow!r} suspended: a blocking port must never wait by suspending")


class _Leader:
    """Which thread runs a flight's load, and until when its followers wait for it."""

    __slots__ = ("deadline", "thread", "timeout_s")

    def __init__(self, thread: threading.Thread, deadline: float, timeout_s: float) -> None:
        self.thread = thread
        self.deadline = deadline
        self.timeout_s = timeout_s


class BlockingCrew:
    """Implements `flow.ports.Crew` for threads: the leader loads on its own thread, followers block."""

    def __init__(self, flights: Flights, clock: Clock) -> None:
        self._flights = flights
        self._clock = clock
        self._lock = threading.Lock()
        self._pool: ThreadPoolExecutor | None = None
        self._behind = 0

    async def fly(self, flights: Sequence[Flight], fill: Flow, timeout_s: float) -> None:
        leader = _Leader(threading.current_thread(), self._clock.now() + timeout_s, timeout_s)
        for flight in flights:
            flight.run = leader
        await fill

    async def wait(self, flight: Flight) -> Landing | None:
        if flight.landed:
            return flight.landing
        landed = threading.Event()
        if not self._flights.watch(flight, landed.set):
            return flight.landing
        try:
            while not landed.wait(min(CHECK_LEADER_S, self._left_s(flight))):
                leader = flight.run
                if leader is not None and not leader.thread.is_alive():
                    self._flights.land(flight, None)
                elif self._left_s(flight) <= 0:
                    # Its thread cannot be interrupted: let others try again, and tell this caller the truth.
                    self._flights.close([flight])
                    raise _hung(flight)
        finally:
            self._flights.leave(flight)
        return flight.landing

    def _left_s(self, flight: Flight) -> float:
        leader = flight.run
        return CHECK_LEADER_S if leader is None else max(0.0, leader.deadline - self._clock.now())

    def leave(self, flights: Sequence[Flight]) -> None:
        """A load on a thread cannot be stopped; nobody waits for it."""
        for flight in flights:
            self._flights.leave(flight)

    def behind(self, flow: Flow) -> bool:
        with self._lock:
            if self._behind >= BACKGROUND_THREADS + BACKGROUND_WAITING_MAX:
                flow.close()
                return False
            if self._pool is None:
                self._pool = ThreadPoolExecutor(BACKGROUND_THREADS, thread_name_prefix="cacheaside-behind")
            self._behind += 1
            pool = self._pool
        try:
            pool.submit(self._run_behind, flow)
        except RuntimeError:  # the interpreter is shutting down
            self._done_behind()
            flow.close()
            return False
        return True

    def _run_behind(self, flow: Flow) -> None:
        try:
            run_blocking(flow)
        finally:
            self._done_behind()

    def _done_behind(self) -> None:
        with self._lock:
            self._behind -= 1

    async def surely(self, flow: Flow) -> Any:
        return await flow

    async def together(self, flows: Sequence[Flow]) -> list[Any]:
        results: list[Any] = []
        for flow in flows:
            try:
                results.append(await flow)
            except Exception as error:
                results.append(error)
        return results

    def close(self) -> None:
        """Wait for the refreshes under way, start no others that wait."""
        with self._lock:
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown(wait=True, cancel_futures=True)

    def forget(self) -> None:
        """After a fork: the pool's threads stayed in the parent."""
        self._lock = threading.Lock()
        self._pool = None
        self._behind = 0


def _hung(flight: Flight) -> LoadTimeout:
    return LoadTimeout(
        f"{flight.key}: the load that this read shares had no answer after {flight.run.timeout_s:g} s.",
        endpoint=flight.key,
        source="",
    )
