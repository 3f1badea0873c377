"""Many callers at once, tasks or threads, from one description of what a caller does."""

from __future__ import annotations

import asyncio
import threading
from functools import partial
from typing import Any

import pytest

from bench.rows import TASKS, THREADS
from bench.shared.crowd import Crowd, run_now


@pytest.mark.parametrize("kind", [TASKS, THREADS])
async def test_every_caller_runs_and_answers_in_order(kind: str) -> None:
    """The results come in the order of the callers, whichever kind runs them, run after run."""
    crowd = Crowd(kind)

    async def caller(number: int) -> int:
        await crowd.pause(0)
        return number * number

    for callers in (3, 8, 5):
        ran = await crowd.run([partial(caller, number) for number in range(callers)])
        assert ran.results == [number * number for number in range(callers)]
        assert ran.wall_s > 0


async def test_threads_are_all_there_before_the_first_begins() -> None:
    """No thread reads while others are still being started: each waits for all."""
    crowd = Crowd(THREADS)
    together = threading.Barrier(12)

    async def caller() -> int:
        return together.wait(
            timeout=10
        )  # more callers at once than a pool that starts them one by one would have

    ran = await crowd.run([caller] * 12)
    assert sorted(ran.results) == list(range(12))


async def test_a_plain_function_is_read_as_a_coroutine_function_is() -> None:
    """Callers await what a thread's cache returns at once."""

    async def one(k: int) -> int:
        return k

    assert await Crowd(TASKS).reading(one)(7) == 7
    read: Any = Crowd(THREADS).reading(lambda k: k)
    assert run_now(read(7)) == 7


@pytest.mark.parametrize("kind", [TASKS, THREADS])
async def test_what_a_caller_raises_ends_the_run(kind: str) -> None:
    """An error in one caller is no shorter row: it is raised."""

    async def caller() -> None:
        raise LookupError("of the caller")

    with pytest.raises(LookupError, match="of the caller"):
        await Crowd(kind).run([caller] * 2)


def test_a_threads_caller_never_suspends() -> None:
    """A caller that would wait for an event loop has none in its thread, and says so."""
    with pytest.raises(RuntimeError, match="suspended"):
        run_now(asyncio.sleep(0))
