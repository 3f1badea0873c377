"""A process's way to the server: requests and answers travel, get lost, and may land long after they were given up."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, Final

from cacheaside.flow.call import Call, Record
from cacheaside.flow.ports import TierAway
from cacheaside.testing.simulator.marks import Marks
from cacheaside.testing.simulator.scenario import Scenario
from cacheaside.testing.simulator.scheduler import POINT, Scheduler
from cacheaside.testing.simulator.server import Server
from cacheaside.types import Generation, TagId

__all__ = ["RemoteTier"]

RESENDS_MAX: Final = 2
LATE_STEPS: Final = 200
LAG_STEPS: Final = 40
Effect = Callable[[], Any]


class RemoteTier:
    """Implements `flow.ports.Tier`. Each effect of an operation has an instant of its own between call and answer.

    acknowledged: told how much of the server's feed this process has been acknowledged.
    """

    def __init__(
        self,
        index: int,
        server: Server,
        scheduler: Scheduler,
        marks: Marks,
        scenario: Scenario,
        acknowledged: Callable[[int, int], None],
    ) -> None:
        self._index = index
        self._server = server
        self._scheduler = scheduler
        self._watched = marks
        self._unavailable = scenario.unavailable
        self._lag = scenario.lag
        self._acknowledged = acknowledged

    async def stamp(self, tags: Sequence[TagId]) -> tuple[Generation, ...]:
        return tuple(await self._trip([partial(self._server.create, tag, self._index) for tag in tags]))

    async def writers(self, tags: Sequence[TagId]) -> frozenset[TagId]:
        found = await self._trip([partial(self._server.has_writer, tag) for tag in tags])
        return frozenset(tag for tag, has in zip(tags, found, strict=True) if has)

    async def fetch(self, call: Call) -> tuple[Record | None, tuple[Generation | None, ...]]:
        entry: Effect = partial(self._server.entries.get, call.key)
        generations: list[Effect] = [partial(self._server.generations.get, tag) for tag in call.tags]
        if self._scheduler.chance(0.5):
            record, *found = await self._trip([entry, *generations])
        else:
            *found, record = await self._trip([*generations, entry])
        return record, tuple(found)

    async def generations(self, tags: Sequence[TagId]) -> tuple[Generation | None, ...]:
        return tuple(await self._trip([partial(self._server.generations.get, tag) for tag in tags]))

    async def store(
        self, records: Sequence[tuple[Call, Record]], recheck: Sequence[TagId]
    ) -> tuple[Generation | None, ...]:
        sets: list[Effect] = [partial(self._server.set, call.key, record) for call, record in records]
        gets: list[Effect] = [partial(self._server.generations.get, tag) for tag in recheck]
        return tuple((await self._trip(sets + gets))[len(sets) :])

    async def remove(self, call: Call) -> None:
        await self._trip([partial(self._server.entries.pop, call.key, None)])

    async def bump(self, tags: Sequence[TagId]) -> None:
        for resend in range(RESENDS_MAX + 1):
            # Each transmission carries new ones: the same ones, landing late, would revive what was stored under them.
            new = [self._server.fresh(tag) for tag in tags]
            try:
                await self._trip(
                    [partial(self._server.bump, *one, self._index) for one in zip(tags, new, strict=True)]
                )
            except TierAway:
                if resend == RESENDS_MAX:
                    raise
            else:
                self._acknowledge()
                return

    async def enlist(self, tags: Sequence[TagId], writer: str, lifetime_s: float) -> None:
        self._watched.enlisting(tags, writer, lifetime_s)
        await self._trip([partial(self._server.enlist, tag, writer, lifetime_s, self._index) for tag in tags])
        self._watched.enlisted(tags, writer, self._scheduler.current)
        self._acknowledge()

    async def release(self, tags: Sequence[TagId], writer: str) -> None:
        self._watched.releasing(tags, writer)
        await self._trip([partial(self._server.release, tag, writer) for tag in tags])
        self._server.check_marks(tags)

    def _acknowledge(self) -> None:
        self._acknowledged(self._index, len(self._server.feed))

    async def _trip(self, effects: Sequence[Effect]) -> list[Any]:
        """There and back. Lost on the way there, on the way back, or there only after the caller has given up."""
        scheduler = self._scheduler
        await self._travel()
        if not scheduler.chance(self._unavailable):
            answer = await self._land(effects)
            await self._travel()
            return answer
        fate = scheduler.random()
        if fate < 0.5:
            scheduler.spawn(self._late(effects), "late")
        elif fate < 0.75:
            await self._land(effects)
        await POINT
        raise TierAway

    def _travel(self) -> Awaitable[None]:
        scheduler = self._scheduler
        return scheduler.later(scheduler.pick(LAG_STEPS)) if scheduler.chance(self._lag) else POINT

    async def _land(self, effects: Sequence[Effect]) -> list[Any]:
        if len(effects) == 1 or self._scheduler.chance(0.7):
            return [effect() for effect in effects]
        answer = []
        for effect in effects:
            answer.append(effect())
            await POINT
        return answer

    async def _late(self, effects: Sequence[Effect]) -> None:
        await self._scheduler.later(self._scheduler.pick(LATE_STEPS))
        await self._land(effects)
