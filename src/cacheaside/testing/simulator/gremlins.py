"""What goes wrong on its own: readers and writers that are cancelled, loads that are stopped, writers that die."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from cacheaside.testing.simulator.readers import Counts
from cacheaside.testing.simulator.scheduler import Scheduler, Task

__all__ = ["canceller", "killer", "stopper"]

PATIENCE_STEPS: Final = 80
TRIES_MAX: Final = 5


async def canceller(scheduler: Scheduler, tasks: list[Task]) -> None:
    """Cancel one of `tasks` at some point."""
    await scheduler.later(scheduler.pick(PATIENCE_STEPS))
    await scheduler.cancel_soon(tasks[scheduler.pick(len(tasks))])


async def killer(scheduler: Scheduler, tasks: list[Task]) -> None:
    """Kill one of `tasks`: it does not even clean up."""
    await scheduler.later(scheduler.pick(PATIENCE_STEPS))
    scheduler.kill(tasks[scheduler.pick(len(tasks))])


async def stopper(scheduler: Scheduler, counts: Counts, is_fill: Callable[[Task], bool]) -> None:
    """Cancel a load under way, as an orderly shutdown does."""
    for _ in range(TRIES_MAX):
        await scheduler.later(scheduler.pick(PATIENCE_STEPS))
        fills = [task for task in scheduler.tasks if not task.done and is_fill(task)]
        if fills and scheduler.cancel(fills[scheduler.pick(len(fills))]):
            counts.hard = True
            return
