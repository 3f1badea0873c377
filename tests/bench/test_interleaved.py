"""The benchmark's clockwork: a row is timed as what it says, or not at all."""

from __future__ import annotations

import asyncio

import pytest

from bench.interleaved import Calls, Case, Plan, Ready, WrongAnswer, time_cases
from bench.rows import Table

CALL = Table("hit", "call", floor="floor", is_async=False)
AWAIT = Table("hit", "await", floor="floor", is_async=True)
PLAN = Plan(seed=7, rounds=3, batch_s=1e-4)


def silent(_line: str) -> None:
    return


def case_that_loads(times: int) -> Case:
    """A statement declared to load nothing, whose loader runs `times` times a call."""
    loads = Calls()

    def f() -> None:
        loads.count += times

    return Case(CALL, "loads", "f()", lambda: Ready({"f": f}, loads, 0))


def test_a_row_that_loads_when_it_should_not_stops_the_run() -> None:
    """A hit that was a miss under way is not reported as a time."""
    with pytest.raises(WrongAnswer, match=r"loads in .* calls, expected 0"):
        time_cases([case_that_loads(1)], PLAN, silent)


def test_a_row_that_keeps_its_promise_is_timed_once_a_round() -> None:
    """The row says how often its statement ran, and no time is negative."""
    (row,) = time_cases([case_that_loads(0)], PLAN, silent)
    assert row.calls > 0
    assert 0 < row.min_ns <= row.median_ns


def test_each_async_row_runs_in_an_event_loop_of_its_own() -> None:
    """Background work of one cache cannot be timed with another."""
    seen: dict[str, set[int]] = {"a": set(), "b": set()}

    def case(name: str) -> Case:
        async def f() -> None:
            seen[name].add(id(asyncio.get_running_loop()))

        return Case(AWAIT, name, "await f()", lambda: Ready({"f": f}, Calls(), 0))

    time_cases([case("a"), case("b")], PLAN, silent)
    assert len(seen["a"]) == len(seen["b"]) == 1
    assert seen["a"] != seen["b"]


def test_what_a_cache_left_running_is_ended_with_its_row() -> None:
    """A row's background task is cancelled when the run ends."""
    ended: list[bool] = []

    async def background() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(True)

    async def prepare() -> Ready:
        task = asyncio.ensure_future(background())
        return Ready({"task": task}, Calls(), 0)

    time_cases([Case(AWAIT, "leaves a task", "pass", prepare)], PLAN, silent)
    assert ended == [True]


def orders(seed: int) -> list[str]:
    ran: list[str] = []

    def case(name: str) -> Case:
        def f() -> None:
            if not ran or ran[-1] != name:
                ran.append(name)

        return Case(CALL, name, "f()", lambda: Ready({"f": f}, Calls(), 0))

    time_cases([case(name) for name in "abcdefgh"], Plan(seed, 4, 1e-4), silent)
    return ran


def test_the_seed_repeats_the_order_of_the_rounds() -> None:
    """Two runs of one seed take the rows in the same order; another seed takes them in another."""
    first = orders(3)
    assert orders(3) == first
    assert orders(4) != first
