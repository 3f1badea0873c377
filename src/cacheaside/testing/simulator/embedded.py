"""The world without a server: shipped L1, tier and log of one process, with a place to be interrupted at each port."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import Final

from cacheaside.flow.call import Call, Record
from cacheaside.flow.flights import Flights
from cacheaside.flow.ports import Clock, Lease, Stamped
from cacheaside.stores.embedded import EmbeddedHeard, EmbeddedTier
from cacheaside.testing.simulator.marks import Marks
from cacheaside.testing.simulator.scenario import Scenario
from cacheaside.testing.simulator.scheduler import STEADY, Scheduler
from cacheaside.testing.simulator.watched import WatchedFlights, WatchedL1
from cacheaside.types import Generation, TagId

__all__ = ["PointedTier", "WatchedHeard"]

LAG_STEPS: Final = 20


class PointedTier(EmbeddedTier):
    """The embedded tier as threads see it: between any two of its steps another thread may run.

    Before a step or after it: which of the two matters differs from step to step, so schedules take turns.
    """

    def __init__(self, l1: WatchedL1, scheduler: Scheduler, marks: Marks, scenario: Scenario) -> None:
        super().__init__(l1, scheduler.clock)
        self._scheduler = scheduler
        self._watched = marks
        self._before = scenario.before
        self._after = scenario.after
        self._lag = scenario.lag

    def _wait(self) -> Awaitable[None]:
        scheduler = self._scheduler
        if scheduler.chance(self._lag):
            return scheduler.later(scheduler.pick(LAG_STEPS), steady=True)
        return STEADY

    async def stamp(self, tags: Sequence[TagId], lease: Lease | None = None) -> Stamped:
        if self._before:
            await self._wait()
        stamped = await super().stamp(tags, lease)
        if self._after:
            await self._wait()
        return stamped

    async def writers(self, tags: Sequence[TagId]) -> frozenset[TagId]:
        if self._before:
            await self._wait()
        answer = await super().writers(tags)
        if self._after:
            await self._wait()
        return answer

    async def fetch(self, call: Call) -> Record | None:
        if self._before:
            await self._wait()
        answer = await super().fetch(call)
        if self._after:
            await self._wait()
        return answer

    async def store(
        self,
        records: Sequence[tuple[Call, Record]],
        recheck: Sequence[TagId],
        lease: Lease | None = None,
        *,
        free: bool = False,
    ) -> tuple[Generation | None, ...]:
        if self._before:
            await self._wait()
        answer = await super().store(records, recheck, lease, free=free)
        if self._after:
            await self._wait()
        return answer

    async def bump(self, tags: Sequence[TagId]) -> None:
        await self._wait()
        await super().bump(tags)

    async def enlist(self, tags: Sequence[TagId], writer: str, lifetime_s: float) -> None:
        self._watched.enlisting(tags, writer, lifetime_s)
        await self._wait()
        await super().enlist(tags, writer, lifetime_s)
        self._watched.enlisted(tags, writer, self._scheduler.current)

    async def release(self, tags: Sequence[TagId], writer: str) -> None:
        self._watched.releasing(tags, writer)
        await self._wait()
        await super().release(tags, writer)
        self._watched.still_there(tags, self._marks)


class WatchedHeard(EmbeddedHeard):
    """The embedded log, which tells the checkers what was heard."""

    def __init__(
        self,
        l1: WatchedL1,
        tier: PointedTier,
        clock: Clock,
        flights: WatchedFlights,
        marks: Marks,
        scheduler: Scheduler,
    ) -> None:
        every: Sequence[Flights] = (flights,)
        super().__init__(l1, tier, clock, every)
        self._watched_flights = flights
        self._watched_marks = marks
        self._scheduler = scheduler

    def hear(self, tags: Sequence[TagId], calls: Sequence[Call] = ()) -> None:
        super().hear(tags, calls)
        self._watched_flights.heard(tags)
        self._watched_marks.heard(tags, self._scheduler.current)
