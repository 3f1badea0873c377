"""`flow.ports.Heard` in the simulator's colour, as `stores.redis.heard` is in those of event loops and threads."""

from __future__ import annotations

from typing import Final

from cacheaside.coherence.hearing import Hearing
from cacheaside.flow.ports import TierAway
from cacheaside.stores.redis.listen.heard import PlainHeard
from cacheaside.testing.simulator.process import Process
from cacheaside.testing.simulator.scheduler import POINT, Scheduler, Wake
from cacheaside.types import TagId

__all__ = ["SimulatedHeard", "SimulatedWaiting"]

DEADLINE_S: Final = 0.05
POLL_S: Final = 0.05
LOOK_S: Final = 0.5


class _Answer:
    """What may come at any moment, and is waited for now and then: as an event."""

    __slots__ = ("_came", "_scheduler", "_wake")

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._wake: Wake | None = None
        self._came = False

    def __call__(self) -> None:
        self._came = True
        if self._wake is not None:
            self._wake()

    async def within(self, within_s: float) -> bool:
        """Whether it came, since the last wait or within so long."""
        if self._came:
            await POINT
        else:
            self._wake = self._scheduler.wake()
            try:
                await self._scheduler.parked(self._wake, within_s)
            finally:
                self._wake = None
        came, self._came = self._came, False
        return came


class SimulatedHeard(PlainHeard):
    """Implements `flow.ports.Heard`."""

    def __init__(self, hearing: Hearing, process: Process) -> None:
        super().__init__(hearing)
        self._process = process
        self._scheduler: Scheduler = process.scheduler

    async def sync(self) -> None:
        scheduler = self._scheduler
        answer = _Answer(scheduler)
        if not self._hearing.when_synced(self._process.clock.now(), answer):
            raise TierAway("changes are not listened to")
        if not await answer.within(DEADLINE_S):
            self._hearing.forget_synced(answer)
            raise TierAway("a heartbeat was not answered in time")

    def waiting(self, key: TagId) -> SimulatedWaiting:
        return SimulatedWaiting(key, self._hearing, self._scheduler)


class SimulatedWaiting:
    """Implements `flow.ports.Waiting`."""

    def __init__(self, key: TagId, hearing: Hearing, scheduler: Scheduler) -> None:
        self._key = key
        self._hearing = hearing
        self._answer = _Answer(scheduler)
        self._hears = hearing.when_done(key, self._answer)

    async def woken(self, within_s: float) -> None:
        await self._answer.within(min(LOOK_S if self._hears else POLL_S, within_s))

    def close(self) -> None:
        self._hearing.forget_done(self._key, self._answer)
