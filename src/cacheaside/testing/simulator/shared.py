"""The world of several processes around one server."""

from __future__ import annotations

from random import Random
from typing import Final

from cacheaside.testing.simulator.listening import RemoteHeard
from cacheaside.testing.simulator.process import Process
from cacheaside.testing.simulator.remote import RemoteTier
from cacheaside.testing.simulator.rows import Rows
from cacheaside.testing.simulator.scenario import Scenario
from cacheaside.testing.simulator.scheduler import Scheduler
from cacheaside.testing.simulator.server import Server

__all__ = ["LISTENER", "shared"]

EVICTED_STEPS: Final = 200
LISTENER: Final = "listener"
"""The name of the tasks that never end."""


def shared(scheduler: Scheduler, rows: Rows, scenario: Scenario, random: Random) -> list[Process]:
    """The processes, connected and listening."""
    server = Server(random, scheduler.clock)
    processes = [Process(index, scheduler, rows, scenario) for index in range(scenario.processes)]
    heard = [RemoteHeard(process, server, scenario.unavailable) for process in processes]

    def acknowledged(by: int, feed: int) -> None:
        for index, one in enumerate(heard):
            if index != by:
                one.owes(feed)

    for process, own in zip(processes, heard, strict=True):
        tier = RemoteTier(process.index, server, scheduler, process.marks, scenario, acknowledged)
        process.l1.may_answer = own.may_answer
        process.connect(tier, own, shared=True)
        server.promised.append(process.marks)
        scheduler.spawn(own.listen(), LISTENER)
    for _ in range(scenario.evictions):
        scheduler.spawn(_evict(scheduler, server), "eviction")
    return processes


async def _evict(scheduler: Scheduler, server: Server) -> None:
    await scheduler.later(scheduler.pick(EVICTED_STEPS))
    server.evict(scheduler.pick(1000))
