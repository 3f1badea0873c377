"""asyncio: each load is a task of its own, so that one caller's cancellation does not end what others wait for.

Callers may sit on several event loops; a flight is shared by all of them.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from typing import Any, Final

from cacheaside.flow.flights import Flight, Flights, Landing
from cacheaside.flow.ports import Flow

__all__ = ["AsyncCrew"]

CHECK_LEADER_S: Final = 0.5
"""How often a follower on another event loop looks whether its leader's loop still runs."""
BACKGROUND_MAX: Final = 256


class _Run:
    """The task that flies some flights, on its loop."""

    __slots__ = ("flights", "loop", "task")

    def __init__(
        self, task: asyncio.Task[Any], loop: asyncio.AbstractEventLoop, flights: Sequence[Flight]
    ) -> None:
        self.task = task
        self.loop = loop
        self.flights = flights

    def gone(self) -> bool:
        """Whether the task will never go on: its loop stands still."""
        return self.loop.is_closed() or not self.loop.is_running()

    def is_unwanted(self) -> bool:
        """Whether nobody waits for any of its flights."""
        return all(flight.waiting <= 0 and not flight.pinned for flight in self.flights)

    def stop(self) -> None:
        """Cancel the task, from any thread."""
        try:
            if self.loop is _running_loop():
                self.task.cancel()
            else:
                self.loop.call_soon_threadsafe(self.task.cancel)
        except RuntimeError:
            return  # the loop is closed, and the task with it


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


class AsyncCrew:
    """Implements `flow.ports.Crew` for every event loop of the process."""

    def __init__(self, flights: Flights) -> None:
        self._flights = flights
        self._lock = threading.Lock()
        self._behind: set[asyncio.Task[Any]] = set()
        self._flying: set[asyncio.Task[Any]] = set()

    async def fly(self, flights: Sequence[Flight], fill: Flow, timeout_s: float) -> None:
        loop = asyncio.get_running_loop()
        task = loop.create_task(fill)
        run = _Run(task, loop, flights)
        for flight in flights:
            flight.run = run
        self._flying.add(task)
        task.add_done_callback(self._landed)

    def _landed(self, task: asyncio.Task[Any]) -> None:
        self._flying.discard(task)
        if not task.cancelled():
            task.exception()  # a fill tells its waiters; there is nobody else to tell

    async def wait(self, flight: Flight) -> Landing | None:
        loop = asyncio.get_running_loop()
        landed: asyncio.Future[None] = loop.create_future()
        thread = threading.get_ident()

        def set_landed() -> None:
            if not landed.done():
                landed.set_result(None)

        def wake() -> None:
            if threading.get_ident() == thread:
                set_landed()
                return
            try:
                loop.call_soon_threadsafe(set_landed)
            except RuntimeError:
                return  # the waiter's loop is closed

        if not self._flights.watch(flight, wake):
            return flight.landing
        try:
            if flight.run is None or flight.run.loop is loop:
                await landed
            else:
                await self._wait_for_another_loop(flight, landed)
        except asyncio.CancelledError:
            self.leave([flight])
            raise
        return flight.landing

    async def _wait_for_another_loop(self, flight: Flight, landed: asyncio.Future[None]) -> None:
        while not landed.done():
            await asyncio.wait([landed], timeout=CHECK_LEADER_S)
            if not landed.done() and flight.run.gone():
                self._flights.land(flight, None)

    def leave(self, flights: Sequence[Flight]) -> None:
        """Stop a load when nobody waits for any of its flights any more."""
        for flight in flights:
            if self._flights.leave(flight) and flight.run is not None and flight.run.is_unwanted():
                flight.run.stop()

    def behind(self, flow: Flow) -> bool:
        if len(self._behind) >= BACKGROUND_MAX:
            flow.close()
            return False
        task = asyncio.get_running_loop().create_task(flow)
        self._behind.add(task)
        task.add_done_callback(self._behind_done)
        return True

    def _behind_done(self, task: asyncio.Task[Any]) -> None:
        self._behind.discard(task)
        if not task.cancelled():
            task.exception()

    async def surely(self, flow: Flow) -> Any:
        return await asyncio.shield(asyncio.get_running_loop().create_task(flow))

    async def together(self, flows: Sequence[Flow]) -> list[Any]:
        return await asyncio.gather(*flows, return_exceptions=True)

    async def aclose(self) -> None:
        """Cancel what runs on this loop behind its callers, and wait until it has ended."""
        loop = asyncio.get_running_loop()
        own = [task for task in (*self._behind, *self._flying) if task.get_loop() is loop]
        for task in own:
            task.cancel()
        await asyncio.gather(*own, return_exceptions=True)

    def forget(self) -> None:
        """After a fork: the tasks stayed in the parent."""
        self._behind.clear()
        self._flying.clear()
