"""A process's way to the server: requests and answers travel, get lost, and may land long after they were given up."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import Any, Final

from cacheaside.stores.redis.connect.away import Away, ConnectionAway
from cacheaside.stores.redis.connect.fleet import Fleet
from cacheaside.stores.redis.wire.replies import Command
from cacheaside.testing.simulator.scenario import Scenario
from cacheaside.testing.simulator.scheduler import POINT, Scheduler
from cacheaside.testing.simulator.server import Server

__all__ = ["DEADLINE_S", "SimulatedTransport"]

DEADLINE_S: Final = 0.05
LATE_STEPS: Final = 200
LATE_S: Final = 4.0
LAG_STEPS: Final = 40


class SimulatedTransport:
    """Implements `stores.redis.fleet.Transport`. Each command has an instant of its own between call and answer."""

    def __init__(self, server: Server, scheduler: Scheduler, scenario: Scenario) -> None:
        self._server = server
        self._scheduler = scheduler
        self._unavailable = scenario.unavailable
        self._lag = scenario.lag
        self._fleet: Fleet | None = None

    def use(self, fleet: Fleet) -> None:
        self._fleet = fleet

    async def execute(self, commands: Sequence[Command]) -> list[Any]:
        """There and back. Lost on the way there, on the way back, or there only after the caller has given up."""
        scheduler, server = self._scheduler, self._server
        await self._travel()
        if self._fleet is None or self._fleet.primaries[0] != server.address:
            raise _away(maybe_sent=False)
        term = server.term
        if not scheduler.chance(self._unavailable):
            replies = await self._land(commands, term)
            await self._travel()
            if len(replies) < len(commands):
                raise _away(maybe_sent=True)
            return replies
        fate = scheduler.random()
        if fate < 0.5:
            scheduler.spawn(self._late(commands, term), "late")
        elif fate < 0.7:
            await self._land(commands, term)
        elif fate < 0.8:
            await self._land(commands[: scheduler.pick(len(commands))], term)
        if scheduler.chance(0.1):
            await scheduler.sleep(DEADLINE_S)
        else:
            await POINT
        raise _away(maybe_sent=True)

    def _travel(self) -> Awaitable[None]:
        scheduler = self._scheduler
        return scheduler.later(scheduler.pick(LAG_STEPS)) if scheduler.chance(self._lag) else POINT

    async def _land(self, commands: Sequence[Command], term: int) -> list[Any]:
        """Execute what still gets there: a server that is no longer the primary takes no more."""
        server = self._server
        if server.term != term:
            return []
        if len(commands) == 1 or self._scheduler.chance(0.7):
            replies = [server.execute(command) for command in commands]
        else:
            replies = []
            for command in commands:
                replies.append(server.execute(command))
                await POINT
                if server.term != term:
                    return replies[:-1]
        server.tell()
        return replies

    async def _late(self, commands: Sequence[Command], term: int) -> None:
        scheduler = self._scheduler
        if scheduler.chance(0.2):
            await scheduler.sleep(scheduler.random() * LATE_S)
        else:
            await scheduler.later(scheduler.pick(LATE_STEPS))
        await self._land(commands, term)


def _away(*, maybe_sent: bool) -> ConnectionAway:
    return ConnectionAway(
        "the simulated network lost it", endpoint="primary", reason=Away.LOST, maybe_sent=maybe_sent
    )
