"""Who runs flows in the simulator: as an event loop does, or as threads do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from cacheaside.errors import LoadTimeout
from cacheaside.flow.flights import Flight, Flights, Landing
from cacheaside.flow.ports import Flow
from cacheaside.testing.simulator.scheduler import PARK, Cancelled, Scheduler, Task
from cacheaside.testing.simulator.verdicts import Violation
from cacheaside.testing.simulator.watched import WatchedFlights

__all__ = ["LoopCrew", "ThreadCrew"]

BACKGROUND_MAX: Final = 2
CHECK_LEADER_S: Final = 1.0


class _Crew:
    """What both have in common: refreshes behind a caller, a few at a time."""

    def __init__(self, scheduler: Scheduler, flights: WatchedFlights) -> None:
        self._scheduler = scheduler
        self._flights = flights
        self._behind = 0
        self.behind_max = BACKGROUND_MAX

    def behind(self, flow: Flow) -> bool:
        if self._behind >= self.behind_max:
            flow.close()
            return False
        self._behind += 1
        task = self._scheduler.spawn(flow, "refresh")
        task.nest = None
        self._scheduler.when_done(task, self._behind_done)
        return True

    def _landing(self, flight: Flight) -> Landing | None:
        if flight.landing is None and flight.key in self._scheduler.current.boards:
            self._flights.abandoned(flight.key)
        return flight.landing

    def _behind_done(self) -> None:
        self._behind -= 1


class _Run:
    """A fill under way as a task of its own."""

    __slots__ = ("flights", "task", "waiting")

    def __init__(self, task: Task, flights: Sequence[Flight]) -> None:
        self.task = task
        self.flights = flights
        self.waiting = 0

    def ended(self, flights: Flights) -> Callable[[], None]:
        """What is to be done when the task has ended."""

        def land() -> None:
            for flight in self.flights:
                flights.land(flight, None)

        return land


class LoopCrew(_Crew):
    """As `runtime.aio`: a fill is a task, which goes on when its leader is cancelled, and ends with its last waiter."""

    async def fly(self, flights: Sequence[Flight], fill: Flow, timeout_s: float) -> None:
        run = _Run(self._scheduler.spawn(fill, f"fill of {' '.join(one.key for one in flights)}"), flights)
        for flight in flights:
            flight.run = run
        # A task that is cancelled before its first step never runs at all, so its fill cannot land what it boarded.
        self._scheduler.when_done(run.task, run.ended(self._flights))

    async def wait(self, flight: Flight) -> Landing | None:
        wake = self._scheduler.wake()
        if not self._flights.watch(flight, wake):
            return self._landing(flight)
        run: _Run = flight.run
        run.waiting += 1
        try:
            await PARK
        except Cancelled:
            run.waiting -= 1
            self.leave([flight])
            raise
        finally:
            wake.task = None
        run.waiting -= 1
        return self._landing(flight)

    def leave(self, flights: Sequence[Flight]) -> None:
        for flight in flights:
            run: _Run | None = flight.run
            if self._flights.leave(flight) and run is not None:
                self._stop_unwanted(flight, run)

    def _stop_unwanted(self, flight: Flight, run: _Run) -> None:
        if all(one.waiting <= 0 for one in run.flights) and not any(one.pinned for one in run.flights):
            if run.waiting > 0:
                raise Violation(
                    "flight", f"the load of {flight.key} is stopped while {run.waiting} wait for it"
                )
            self._scheduler.spawn(self._scheduler.cancel_soon(run.task), "stop")

    async def surely(self, flow: Flow) -> Any:
        return await self._scheduler.join(self._scheduler.spawn(flow, "surely"))

    async def together(self, flows: Sequence[Flow], at_once: int) -> list[Any]:
        tasks = [self._scheduler.spawn(flow, "together") for flow in flows]
        results: list[Any] = []
        try:
            for task in tasks:
                try:
                    results.append(await self._scheduler.join(task))
                except Exception as error:  # noqa: BLE001 - a result like any other
                    results.append(error)
        except Cancelled:
            for task in tasks:
                if not task.done:
                    self._scheduler.spawn(self._scheduler.cancel_soon(task), "stop")
            raise
        return results


class ThreadCrew(_Crew):
    """As `runtime.blocking`: the leader loads itself, followers wait for it, and look whether it lives."""

    async def fly(self, flights: Sequence[Flight], fill: Flow, timeout_s: float) -> None:
        leader = (self._scheduler.current, self._scheduler.clock.time + timeout_s)
        for flight in flights:
            flight.run = leader
        await fill

    async def wait(self, flight: Flight) -> Landing | None:
        scheduler = self._scheduler
        wake = scheduler.wake()
        if not self._flights.watch(flight, wake):
            return self._landing(flight)
        try:
            while not flight.landed:
                wake.task = scheduler.current
                left_s = CHECK_LEADER_S
                if flight.run is not None:
                    left_s = min(left_s, max(0.0, flight.run[1] - scheduler.clock.time))
                scheduler.at(scheduler.clock.time + left_s, wake)
                await PARK
                self._look(flight)
        finally:
            wake.task = None
            self._flights.leave(flight)
        return self._landing(flight)

    def leave(self, flights: Sequence[Flight]) -> None:
        for flight in flights:
            self._flights.leave(flight)

    def _look(self, flight: Flight) -> None:
        if flight.landed or flight.run is None:
            return
        leader, deadline = flight.run
        if leader.died or leader.done:
            self._flights.land(flight, None)
        elif self._scheduler.clock.time >= deadline:
            self._flights.close([flight])
            raise LoadTimeout(f"{flight.key}: no answer in time", endpoint=flight.key, source="")

    async def surely(self, flow: Flow) -> Any:
        return await flow

    async def together(self, flows: Sequence[Flow], at_once: int) -> list[Any]:
        results: list[Any] = []
        try:
            for flow in flows:
                try:
                    results.append(await flow)
                except Exception as error:  # noqa: BLE001 - a result like any other
                    results.append(error)
        finally:
            for flow in flows[len(results) :]:
                flow.close()
        return results
