"""asyncio: each load is a task of its own, so that one caller's cancellation does not end what others wait for.

Callers may sit on several event loops; a flight is shared by all of them.
"""

from __future__ import annotations

import asyncio
import atexit
import inspect
import time
import weakref
from collections.abc import Callable, Sequence
from typing import Any, Final

from cacheaside.errors import LoadTimeout
from cacheaside.flow.flights import Flight, Flights, Landing
from cacheaside.flow.ports import Flow

__all__ = ["AsyncCrew"]

CHECK_LEADER_S: Final = 0.5
"""How often a follower on another event loop looks whether its leader's loop still runs."""
CLEAN_UP_S: Final = 1.0
"""How long a load whose time is over may take to close its resource before those who wait are told."""
BACKGROUND_MAX: Final = 256
"""Refreshes under way at once, over all event loops."""
SWEEP_MIN: Final = 64


_all: weakref.WeakSet[AsyncCrew] = weakref.WeakSet()


class _Run:
    """The task that flies some flights, on its loop."""

    __slots__ = ("deadline", "flights", "loop", "task", "timeout_s", "watchdog")

    def __init__(
        self,
        task: asyncio.Task[Any],
        loop: asyncio.AbstractEventLoop,
        flights: Sequence[Flight],
        timeout_s: float,
    ) -> None:
        self.task = task
        self.loop = loop
        self.flights = flights
        self.timeout_s = timeout_s
        self.deadline = time.monotonic() + timeout_s + CLEAN_UP_S
        self.watchdog: asyncio.TimerHandle | None = None

    def gone(self) -> bool:
        """Whether nobody runs the task now, and perhaps never will: its loop stands still."""
        return self.loop.is_closed() or not self.loop.is_running()

    def unwanted(self) -> bool:
        """Whether nobody waits for any of its flights."""
        return all(flight.waiting <= 0 for flight in self.flights)

    def pinned(self) -> bool:
        """Whether it is a refresh, which needs nobody to wait for it."""
        return any(flight.pinned for flight in self.flights)

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


def _task(loop: asyncio.AbstractEventLoop, flow: Flow) -> asyncio.Task[Any]:
    task = loop.create_task(flow)
    # When a loop is closed under its tasks, asyncio reports each; those of ours are nobody's to look after.
    task._log_destroy_pending = False  # type: ignore[attr-defined]  # noqa: SLF001 - as asyncio's own runners do
    return task


def _waker(landed: asyncio.Future[None], loop: asyncio.AbstractEventLoop) -> Callable[[], None]:
    def set_landed() -> None:
        if not landed.done():
            landed.set_result(None)

    def wake() -> None:
        try:
            if loop is _running_loop():
                set_landed()
            else:
                loop.call_soon_threadsafe(set_landed)
        except RuntimeError:
            return  # the waiter's loop is closed

    return wake


class AsyncCrew:
    """Implements `flow.ports.Crew` for every event loop of the process."""

    def __init__(self, flights: Flights) -> None:
        self._flights = flights
        self._flying: dict[asyncio.Task[Any], _Run] = {}
        self._behind: set[asyncio.Task[Any]] = set()
        self._sure: set[asyncio.Task[Any]] = set()
        self._sweep_at = SWEEP_MIN
        self._orphans: list[Any] = []
        _all.add(self)

    async def fly(self, flights: Sequence[Flight], fill: Flow, timeout_s: float) -> None:
        loop = asyncio.get_running_loop()
        if len(self._flying) >= self._sweep_at:
            self.sweep()
        task = _task(loop, fill)
        run = _Run(task, loop, flights, timeout_s)
        self._flying[task] = run
        for flight in flights:
            flight.run = run
        run.watchdog = loop.call_later(timeout_s + CLEAN_UP_S, self._overdue, run)
        task.add_done_callback(self._landed)

    def _landed(self, task: asyncio.Task[Any]) -> None:
        run = self._flying.pop(task, None)
        if run is not None:
            if run.watchdog is not None:
                run.watchdog.cancel()
            for flight in run.flights:
                # A task that was cancelled before its first step has run nothing, its `finally` included.
                self._flights.land(flight, None)
        if not task.cancelled():
            task.exception()  # a fill tells its waiters; there is nobody else to tell

    def _overdue(self, run: _Run) -> None:
        """Tell those who wait that the load will not end: its loader or its clean-up swallows the cancellation."""
        for flight in run.flights:
            self._flights.land(flight, _hung(flight, run))
        run.stop()

    async def wait(self, flight: Flight) -> Landing | None:
        loop = asyncio.get_running_loop()
        landed: asyncio.Future[None] = loop.create_future()
        if not self._flights.watch(flight, _waker(landed, loop)):
            return flight.landing
        try:
            if flight.run is not None and flight.run.loop is loop:
                await landed
            else:
                await self._wait_for_another_loop(flight, landed)
        except BaseException:  # cancelled, or collected with its loop
            self.leave([flight])
            raise
        return flight.landing

    async def _wait_for_another_loop(self, flight: Flight, landed: asyncio.Future[None]) -> None:
        while not landed.done():
            await asyncio.wait([landed], timeout=CHECK_LEADER_S)
            run: _Run | None = flight.run
            if landed.done():
                return
            if run is None or run.gone():
                self._flights.land(flight, None)
            elif time.monotonic() > run.deadline:
                self._overdue(run)  # its loop is blocked, and its own watchdog with it

    def leave(self, flights: Sequence[Flight]) -> None:
        for flight in flights:
            run: _Run | None = flight.run
            if self._flights.leave(flight) and run is not None and run.unwanted() and not run.pinned():
                run.stop()

    def behind(self, flow: Flow) -> bool:
        if len(self._behind) >= BACKGROUND_MAX:
            self.sweep()
        if len(self._behind) >= BACKGROUND_MAX:
            flow.close()
            return False
        task = _task(asyncio.get_running_loop(), flow)
        self._behind.add(task)
        task.add_done_callback(self._behind_done)
        return True

    def _behind_done(self, task: asyncio.Task[Any]) -> None:
        self._behind.discard(task)
        if not task.cancelled():
            task.exception()

    def sweep(self) -> None:
        """Forget the tasks of loops that were closed under them: they will never be done."""
        for task in self._dead(tuple(self._flying)):
            run = self._flying.pop(task, None)
            for flight in () if run is None else run.flights:
                self._flights.land(flight, None)
        self._behind -= self._dead(tuple(self._behind))
        self._sweep_sure()
        self._sweep_at = max(SWEEP_MIN, 2 * len(self._flying))

    def _dead(self, tasks: Sequence[asyncio.Task[Any]]) -> set[asyncio.Task[Any]]:
        dead = {task for task in tasks if task.get_loop().is_closed()}
        for task in dead:
            flow = task.get_coro()
            if inspect.iscoroutine(flow) and inspect.getcoroutinestate(flow) == inspect.CORO_CREATED:
                flow.close()  # else it is reported as never awaited
        return dead

    def _sweep_sure(self) -> None:
        """What was surely to run to its end never will: it is told so where it stands, by closing it."""
        for task in self._dead(tuple(self._sure)):
            self._sure.discard(task)
            flow = task.get_coro()
            if inspect.iscoroutine(flow):
                flow.close()

    async def surely(self, flow: Flow) -> Any:
        self._sweep_sure()
        task = asyncio.get_running_loop().create_task(flow)
        self._sure.add(task)  # a loop holds its tasks weakly
        task.add_done_callback(self._sure.discard)
        return await asyncio.shield(task)

    async def together(self, flows: Sequence[Flow], at_once: int) -> list[Any]:
        results: list[Any] = [None] * len(flows)
        left = iter(enumerate(flows))

        async def work() -> None:
            for place, flow in left:
                try:
                    results[place] = await flow
                except Exception as error:  # noqa: BLE001 - each flow's failure is its own
                    results[place] = error

        try:
            await asyncio.gather(*[work() for _ in range(min(at_once, len(flows)))])
        finally:
            for _, flow in left:
                flow.close()
        return results

    async def aclose(self) -> None:
        """Cancel what runs on this loop behind its callers, and wait until it has ended. What callers wait for goes
        on."""
        own = self._cancelled(tuple(self._behind))
        await asyncio.gather(*own, return_exceptions=True)
        unwanted = self._cancelled([task for task, run in tuple(self._flying.items()) if run.unwanted()])
        await asyncio.gather(*unwanted, return_exceptions=True)

    def _cancelled(self, tasks: Sequence[asyncio.Task[Any]]) -> list[asyncio.Task[Any]]:
        loop, this = asyncio.get_running_loop(), asyncio.current_task()
        own = [task for task in tasks if task.get_loop() is loop and task is not this]
        for task in own:
            task.cancel()
        return own

    def forget(self) -> None:
        """After a fork: the tasks stayed in the parent. They are kept, not finalised: their clean-up would talk on
        connections that are the parent's."""
        self._orphans += [*self._behind, *self._flying, *self._sure]
        self._behind.clear()
        self._flying.clear()
        self._sure.clear()


def _at_exit() -> None:
    for crew in list(_all):
        crew.sweep()


atexit.register(_at_exit)


def _hung(flight: Flight, run: _Run) -> Landing:
    error = LoadTimeout(
        f"{flight.key}: its load had no answer after {run.timeout_s:g} s, and does not let itself be cancelled.",
        endpoint=flight.key,
        source="",
    )
    return Landing(None, False, error, 0.0, None, False, None)
