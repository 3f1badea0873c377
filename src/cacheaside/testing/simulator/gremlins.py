"""What goes wrong on its own: readers and writers that are cancelled, loads that are stopped, writers that die."""

from __future__ import annotations

from collections.abc import Callable

from cacheaside.testing.simulator.readers import Counts
from cacheaside.testing.simulator.scheduler import POINT, Scheduler, Task

__all__ = ["canceller", "killer", "stopper"]

PATIENCE_STEPS = 40


async def _soon(scheduler: Scheduler) -> None:
    for _ in range(scheduler.pick(PATIENCE_STEPS)):
        await POINT


async def canceller(scheduler: Scheduler, tasks: list[Task]) -> None:
    """Cancel one of `tasks` at some point."""
    await _soon(scheduler)
    task = tasks[scheduler.pick(len(tasks))]
    for _ in range(PATIENCE_STEPS):
        if task.done or scheduler.cancel(task):
            return
        await POINT


async def killer(scheduler: Scheduler, tasks: list[Task]) -> None:
    """Kill one of `tasks`: it does not even clean up."""
    await _soon(scheduler)
    scheduler.kill(tasks[scheduler.pick(len(tasks))])


async def stopper(scheduler: Scheduler, counts: Counts, is_fill: Callable[[Task], bool]) -> None:
    """Cancel a load under way, as an orderly shutdown does."""
    for _ in range(PATIENCE_STEPS):
        await POINT
        fills = [task for task in scheduler.tasks if not task.done and is_fill(task)]
        if fills and scheduler.chance(0.3) and scheduler.cancel(fills[scheduler.pick(len(fills))]):
            counts.hard = True
            return
