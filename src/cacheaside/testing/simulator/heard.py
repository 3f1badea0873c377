"""`flow.ports.Heard` in the simulator's colour, as `stores.redis.heard` is in those of event loops and threads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from cacheaside.coherence.hearing import Hearing
from cacheaside.flow.call import Call
from cacheaside.flow.ports import Position, TierAway
from cacheaside.testing.simulator.process import Process
from cacheaside.testing.simulator.scheduler import POINT, Scheduler, Wake
from cacheaside.types import TagId

__all__ = ["SimulatedHeard"]

DEADLINE_S: Final = 0.05
POLL_S: Final = 0.05


class _Answer:
    """A wait that remembers whether it was ended by an answer."""

    __slots__ = ("came", "wake")

    def __init__(self, wake: Wake) -> None:
        self.wake = wake
        self.came = False

    def __call__(self) -> None:
        self.came = True
        self.wake()


class SimulatedHeard:
    """Implements `flow.ports.Heard`."""

    def __init__(self, hearing: Hearing, process: Process) -> None:
        self._hearing = hearing
        self._process = process
        self._scheduler: Scheduler = process.scheduler

    def position(self) -> Position:
        return self._hearing.position()

    def still(self, tags: Sequence[TagId], since: Position) -> bool:
        return self._hearing.still(tags, since)

    def hear(self, tags: Sequence[TagId], calls: Sequence[Call] = ()) -> None:
        self._hearing.hear(tags, calls)

    def owe(self, tags: Sequence[TagId], calls: Sequence[Call] = ()) -> None:
        self._hearing.owe(tags, calls)

    async def sync(self) -> None:
        answer = _Answer(self._scheduler.wake())
        if not self._hearing.when_synced(self._process.clock.now(), answer):
            raise TierAway("changes are not listened to")
        await self._park(answer, DEADLINE_S)
        if not answer.came:
            self._hearing.forget_synced(answer)
            raise TierAway("a heartbeat was not answered in time")

    async def woken(self, key: TagId, within_s: float) -> bool:
        scheduler = self._scheduler
        answer = _Answer(scheduler.wake())
        if not self._hearing.when_done(key, answer):
            await scheduler.sleep(min(POLL_S, within_s))
            return False
        try:
            await self._park(answer, within_s)
        finally:
            self._hearing.forget_done(key, answer)
        return answer.came

    async def _park(self, answer: _Answer, within_s: float) -> None:
        """Wait for it, for so long at most."""
        if answer.came:
            await POINT
            return
        await self._scheduler.parked(answer.wake, within_s)
