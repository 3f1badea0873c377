"""Invalidations whose caller is interrupted: by a signal's handler, by a cancellation, by the end of its loop."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from cacheaside import Contract
from cacheaside.flow import write
from cacheaside.flow.ports import Ports
from tests.flow.recorded import World


class Interrupted(BaseException):
    """What a signal's handler raises."""


@pytest.fixture
def world() -> World:
    return World(shared=True)


@pytest.fixture
def value(world: World) -> Any:
    numbers = world.cache.tag("numbers", int)

    @world.cache.read("value", Contract(ttl="60s"), tags=lambda key: [numbers(key)])
    def value(key: int) -> int:
        return key

    return value


@pytest.fixture
def tags(world: World) -> tuple[Any, ...]:
    return (world.cache.tag("numbers", int)(1).id,)


def interrupt() -> None:
    raise Interrupted


@pytest.mark.parametrize("moment", ["bump", "hear"])
def test_a_thread_that_is_interrupted_owes(world: World, tags: Any, moment: str) -> None:
    """An invalidation that a signal's handler interrupts, wherever, is owed and heard, and the handler's exception is
    the caller's."""
    world.tier.meanwhile["bump"] = interrupt
    if moment == "hear":
        world.tier.meanwhile.clear()
        world.heard.meanwhile["hear"] = interrupt
    with pytest.raises(Interrupted):
        world.run(write.invalidate(tags, world.ports))
    assert world.log[-1] == "heard.owe"
    assert world.log.count("heard.owe") == 1


@pytest.mark.parametrize("moment", ["bump", "release"])
def test_a_bracket_that_is_interrupted_at_its_end_owes(world: World, tags: Any, moment: str) -> None:
    """The end of a bracket that is interrupted before its invalidation is acknowledged owes it; after that it need not,
    and its mark expires."""
    world.run(write.begin(tags, "writer", world.ports))
    world.tier.meanwhile[moment] = interrupt
    with pytest.raises(Interrupted):
        world.run(write.finish(tags, "writer", world.ports))
    assert ("heard.owe" in world.log) is (moment == "bump")


def test_a_purge_that_is_interrupted_owes(world: World, value: Any) -> None:
    """A purge that is interrupted while it invalidates owes that, and what is held here is gone."""
    world.tier.meanwhile["bump"] = interrupt
    with pytest.raises(Interrupted):
        world.run(write.purge(world.call("value", 1), world.ports))
    assert world.steps("heard.owe", "near.drop") == ["heard.owe", "near.drop"]


class Silent:
    """A tier that does not answer. asked: how often it was."""

    def __init__(self) -> None:
        self.asked = 0

    async def bump(self, tags: Any) -> None:
        self.asked += 1
        await asyncio.get_running_loop().create_future()


def on_a_loop(world: World, tier: Any) -> Ports:
    return replace(world.ports, tier=tier, crew=world.cache._host.async_crew)


async def cancelled(flow: Any) -> None:
    """The caller waits no longer, and the loop goes on."""
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(flow, 0.01)


async def left_alone(flow: Any) -> None:
    """The program ends while the invalidation is under way."""
    task = asyncio.create_task(flow)
    for _ in range(3):
        await asyncio.sleep(0)
    assert not task.done()


async def left_at_once(flow: Any) -> None:
    """It ends before the invalidation's own task took its first step."""
    asyncio.get_running_loop().create_task(flow)


def run_and_cancelled(main: Any, world: World) -> None:
    asyncio.run(main)


def run_and_dropped(main: Any, world: World) -> None:
    """Run, then close the loop under whatever is left, which the crew finds when it is used again."""
    loop = asyncio.new_event_loop()
    loop.set_exception_handler(lambda loop, context: None)  # a task was destroyed while it was pending
    loop.run_until_complete(main)
    loop.close()
    world.cache._host.async_crew.sweep()
    gc.collect()


@pytest.mark.parametrize("run", [run_and_cancelled, run_and_dropped])
@pytest.mark.parametrize("leave", [cancelled, left_alone, left_at_once])
def test_a_caller_that_is_cancelled_owes(
    world: World, tags: Any, run: Callable[[Any, World], None], leave: Callable[[Any], Any]
) -> None:
    """An invalidation whose caller is cancelled, or whose loop ends, is owed and heard, whether or not it had begun."""
    silent = Silent()
    ports = on_a_loop(world, silent)
    run(leave(write.to_its_end(write.invalidate(tags, ports), tags, ports)), world)
    assert "heard.owe" in world.log
    assert silent.asked == (leave is not left_at_once)


async def test_a_caller_that_is_cancelled_owes_at_once(world: World, tags: Any) -> None:
    """The loop goes on, and the invalidation with it; this process does not wait for its end."""
    ports = on_a_loop(world, Silent())
    await cancelled(write.to_its_end(write.invalidate(tags, ports), tags, ports))
    assert world.log == ["heard.owe"]


def test_a_flow_that_is_closed_owes(world: World, tags: Any) -> None:
    """A coroutine that is closed where it waits, as one collected with its loop, owes what it was to tell."""

    class Waits:
        async def bump(self, tags: Any) -> None:
            await asyncio.Event().wait()

    async def begun() -> None:
        flow = write.invalidate(tags, replace(world.ports, tier=Waits()))  # type: ignore[arg-type]
        flow.send(None)
        flow.close()

    asyncio.run(begun())
    assert world.log == ["heard.owe"]


async def test_a_rolled_back_bracket_that_is_cancelled_owes_nothing(world: World, tags: Any) -> None:
    """Nothing was written, so nobody need hear of it."""
    ports = on_a_loop(world, Silent())
    await cancelled(write.to_its_end(asyncio.Event().wait(), (), ports))
    assert world.log == []
