"""What befalls the server and the connections on which its changes are heard."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

from cacheaside.testing.simulator.scenario import Scenario
from cacheaside.testing.simulator.scheduler import Scheduler

if TYPE_CHECKING:
    from cacheaside.testing.simulator.shared import Shared

__all__ = ["begin"]

PATIENCE_STEPS: Final = 300
PATIENCE_S: Final = 6.0
STALL_MAX_S: Final = 6.0
FULL_MAX_S: Final = 2.0
CLOCK_STEPS_S: Final = (-30.0, -3.0, -0.8, -0.2, -0.1, 0.2, 3.0, 1000.0)


def begin(shared: Shared, scheduler: Scheduler, scenario: Scenario) -> None:
    """Have everything happen that the scenario asks for, each at a moment of its own."""

    def spawn(number: int, what: Callable[[], Awaitable[None]], name: str) -> None:
        for _ in range(number):
            scheduler.spawn(_some_time(scheduler, what), name)

    server = shared.server

    async def evict() -> None:
        server.evict(marks=False)

    async def evict_mark() -> None:
        server.evict(marks=True)

    async def flush() -> None:
        server.flush()

    async def fill() -> None:
        server.is_full = True
        await scheduler.sleep(scheduler.random() * FULL_MAX_S)
        server.is_full = False

    async def cut() -> None:
        _a_process(shared, scheduler).cut(noticed=scheduler.chance(0.5))

    async def stall() -> None:
        _a_process(shared, scheduler).stall(scheduler.random() * STALL_MAX_S)

    async def step() -> None:
        by_s = CLOCK_STEPS_S[scheduler.pick(len(CLOCK_STEPS_S))]
        shared.set_clock(by_s)

    async def fail_over() -> None:
        shared.fail_over()

    spawn(scenario.evictions, evict, "eviction")
    spawn(scenario.marks_evicted, evict_mark, "eviction")
    spawn(scenario.flushes, flush, "flush")
    spawn(scenario.fillings, fill, "no room")
    spawn(scenario.cuts, cut, "cut")
    spawn(scenario.stalls, stall, "stall")
    spawn(scenario.clock_steps, step, "clock step")
    spawn(scenario.failovers, fail_over, "failover")


async def _some_time(scheduler: Scheduler, what: Callable[[], Awaitable[None]]) -> None:
    if scheduler.chance(0.3):
        await scheduler.sleep(scheduler.random() * PATIENCE_S)
    await scheduler.later(scheduler.pick(PATIENCE_STEPS))
    await what()


def _a_process(shared: Shared, scheduler: Scheduler):  # type: ignore[no-untyped-def]
    return shared.processes[scheduler.pick(len(shared.processes))].listener
