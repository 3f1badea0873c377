"""The scheduler: what it may interleave, and what it must not."""

from __future__ import annotations

from random import Random

import pytest

from cacheaside.testing.simulator.scheduler import PARK, POINT, STEADY, Cancelled, Livelock, Scheduler


def orders(points: int) -> set[str]:
    """Every order in which two tasks with `points` points each were stepped, over many seeds."""
    seen = set()
    for seed in range(400):
        scheduler = Scheduler(Random(seed), 0.0)
        steps: list[str] = []

        async def task(name: str, steps: list[str] = steps) -> None:
            for _ in range(points):
                steps.append(name)
                await POINT
            steps.append(name)

        scheduler.spawn(task("a"), "a")
        scheduler.spawn(task("b"), "b")
        scheduler.run()
        seen.add("".join(steps))
    return seen


def test_every_order_is_tried() -> None:
    """Two tasks of three steps have twenty orders, and chance finds them all."""
    assert len(orders(2)) == 20


def test_time_stands_still_while_somebody_can_go_on() -> None:
    """Without hurry the clock moves only when nobody is left who could make a step."""
    scheduler = Scheduler(Random(1), 0.0)
    seen: list[float] = []

    async def sleeper() -> None:
        await scheduler.sleep(5.0)
        seen.append(scheduler.clock.time)

    async def busy() -> None:
        for _ in range(50):
            await POINT
        seen.append(scheduler.clock.time)

    start = scheduler.clock.time
    scheduler.spawn(sleeper(), "sleeper")
    scheduler.spawn(busy(), "busy")
    scheduler.run()
    assert seen == [start, start + 5.0]


def test_a_parked_task_can_be_cancelled() -> None:
    """Cancelling a task that waits wakes it with the cancellation, and its clean-up runs."""
    scheduler = Scheduler(Random(2), 0.0)
    ended: list[str] = []

    async def waiter() -> None:
        try:
            await PARK
        finally:
            ended.append("cleaned up")

    async def canceller() -> None:
        await scheduler.later(5)
        assert task.parked
        await scheduler.cancel_soon(task)

    task = scheduler.spawn(waiter(), "waiter")
    scheduler.spawn(canceller(), "canceller")
    scheduler.run()
    assert ended == ["cleaned up"]
    assert isinstance(task.error, Cancelled)


def test_a_steady_task_is_not_cancelled_where_it_is() -> None:
    """A task at a place where no task can be cancelled goes on, and is cancelled at the next place where it can be."""
    scheduler = Scheduler(Random(3), 0.0)
    reached: list[str] = []

    async def steady() -> None:
        await STEADY
        reached.append("past the steady place")
        await POINT
        reached.append("past the other")

    task = scheduler.spawn(steady(), "steady")
    task.held = task.step(None) is not None
    assert not scheduler.cancel(task)
    scheduler.spawn(scheduler.cancel_soon(task), "canceller")
    scheduler.run()
    assert reached[:1] == ["past the steady place"]


def test_a_killed_task_does_not_clean_up() -> None:
    """A task that is killed makes no further step during the schedule, not even in its `finally`."""
    scheduler = Scheduler(Random(4), 0.0)
    reached: list[str] = []

    async def victim() -> None:
        try:
            await POINT
            await POINT
        finally:
            reached.append("cleaned up")

    task = scheduler.spawn(victim(), "victim")

    async def killer() -> None:
        scheduler.kill(task)

    scheduler.spawn(killer(), "killer")
    scheduler.run()
    assert reached in ([], ["cleaned up"])
    assert task.died
    assert task.done == (reached == ["cleaned up"])


def test_going_round_in_a_circle_is_noticed() -> None:
    """A schedule that never ends is reported instead of run for ever."""
    scheduler = Scheduler(Random(5), 0.0)

    async def circle() -> None:
        while True:
            await POINT

    scheduler.spawn(circle(), "circle")
    with pytest.raises(Livelock):
        scheduler.run()
    scheduler.close()
