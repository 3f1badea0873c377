"""Threads: a flow over ports that never suspend is run by one `send`."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from time import monotonic
from typing import Any, Final, TypeVar

from cacheaside.bell import Bell
from cacheaside.errors import LoadTimeout, UsageError
from cacheaside.flow.blocking import run_blocking
from cacheaside.flow.flights import Flight, Flights, Landing
from cacheaside.flow.ports import Flow
from cacheaside.runtime.background import Background

__all__ = ["BlockingCrew"]

T = TypeVar("T")

CHECK_LEADER_S: Final = 1.0
"""How often a follower looks whether its leader's thread still lives."""
BACKGROUND_THREADS: Final = 4
BACKGROUND_WAITING_MAX: Final = 64
CLOSE_S: Final = 5.0
"""How long `close` waits for refreshes under way."""


class _Leader:
    """Which thread runs a flight's load, and until when its followers wait for it."""

    __slots__ = ("deadline", "thread", "timeout_s")

    def __init__(self, thread: threading.Thread, deadline: float, timeout_s: float) -> None:
        self.thread = thread
        self.deadline = deadline
        self.timeout_s = timeout_s


class BlockingCrew:
    """Implements `flow.ports.Crew` for threads: the leader loads on its own thread, followers block."""

    def __init__(self, flights: Flights) -> None:
        self._flights = flights
        self._background = Background(
            run_blocking, threads_max=BACKGROUND_THREADS, waiting_max=BACKGROUND_WAITING_MAX
        )

    async def fly(self, flights: Sequence[Flight], fill: Flow, timeout_s: float) -> None:
        leader = _Leader(threading.current_thread(), monotonic() + timeout_s, timeout_s)
        for flight in flights:
            flight.run = leader
        await fill

    async def wait(self, flight: Flight) -> Landing | None:
        if flight.landed:
            return flight.landing
        landed = Bell()
        if not self._flights.watch(flight, landed.ring):
            return flight.landing
        try:
            while not landed.wait(self._look_after_s(flight)):
                leader: _Leader | None = flight.run
                if leader is None or not leader.thread.is_alive():
                    self._flights.land(flight, None)
                elif leader.thread is threading.current_thread():
                    raise _waits_for_itself(flight)
                elif leader.deadline <= monotonic():
                    # Its thread cannot be interrupted: let others try again, and tell this caller the truth.
                    self._flights.close([flight])
                    raise _hung(flight, leader)
        finally:
            self._flights.leave(flight)
        return flight.landing

    def _look_after_s(self, flight: Flight) -> float:
        leader: _Leader | None = flight.run
        if leader is None:
            return CHECK_LEADER_S
        if leader.thread is threading.current_thread():
            return 0.0
        return min(CHECK_LEADER_S, max(0.0, leader.deadline - monotonic()))

    def leave(self, flights: Sequence[Flight]) -> None:
        """A load on a thread cannot be stopped."""
        for flight in flights:
            self._flights.leave(flight)

    def behind(self, flow: Flow) -> bool:
        return self._background.submit(flow)

    async def surely(self, flow: Flow) -> Any:
        return await flow

    async def together(self, flows: Sequence[Flow], at_once: int) -> list[Any]:
        results: list[Any] = []
        left = iter(flows)
        try:
            for flow in left:
                try:
                    results.append(await flow)
                except Exception as error:  # noqa: BLE001 - it is the caller's result
                    results.append(error)
        finally:
            for flow in left:  # one of them was ended by a signal
                flow.close()
        return results

    def close(self) -> None:
        """Start no refresh that waits, and let those under way finish, for up to `CLOSE_S`."""
        self._background.close(CLOSE_S)

    async def aclose(self) -> None:
        """As `close`, without holding up the event loop."""
        if self._background.busy:
            await asyncio.to_thread(self.close)
        else:
            self.close()

    def forget(self) -> None:
        """After a fork: the threads stayed in the parent."""
        self._background.forget()


def _hung(flight: Flight, leader: _Leader) -> LoadTimeout:
    return LoadTimeout(
        f"{flight.key}: the load that this read shares had no answer after {leader.timeout_s:g} s.",
        endpoint=flight.key,
        source="",
    )


def _waits_for_itself(flight: Flight) -> UsageError:
    return UsageError(
        f"{flight.key}: read while this very thread was storing it, by a value_tags= or store= function, or by a "
        "signal handler. Those must not read what they are called for."
    )
