"""A read that the tier has not answered asks it no more: not for a stamp, not for a lease, nor to store."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from cacheaside import Contract, Forward, NotStored
from cacheaside.flow.ports import Ports
from cacheaside.flow.read import read
from cacheaside.flow.read_many import read_many
from cacheaside.lookup import Lookup
from tests.flow.recorded import World

MINUTE = Contract(ttl="60s")
ASKS = ("fetch", "fetch_many", "stamp", "peek", "store", "remove", "hand_back")


class Asked:
    """A cache in one colour, and a shared tier that can be away; `asked` are the exchanges it was asked for."""

    def __init__(self, *, is_async: bool) -> None:
        self.is_async = is_async
        self.world = World(shared=True)
        self.ports: Ports = self.world.ports
        if is_async:
            world, real = self.world, self.world.cache._host.ports
            self.ports = replace(real, tier=world.tier, heard=world.heard, near=world.near, shared=True)

    def read(self, name: str, load: Callable[[int], Any]) -> Any:
        """Declare an endpoint whose loader is `load`, which may be a coroutine function."""
        if not self.is_async:
            return self.world.cache.read(name, MINUTE, value_tags=lambda value: [self.tag(value)])(load)

        async def loaded(key: int) -> int:
            found: Any = load(key)
            return found if isinstance(found, int) else await found

        return self.world.cache.read(name, MINUTE, value_tags=lambda value: [self.tag(value)])(loaded)

    def tag(self, value: int) -> Any:
        return self.world.cache.tag("numbers", int)(value)

    async def run(self, flow: Any) -> Any:
        """`flow`, in this colour; the tier answers nothing."""
        self.world.log.clear()
        return await flow if self.is_async else self.world.run(flow)

    @property
    def asked(self) -> list[str]:
        return self.world.steps(*[f"tier.{one}" for one in ASKS])


@pytest.fixture(params=[True, False], ids=["asyncio", "threads"])
def one(request: pytest.FixtureRequest) -> Asked:
    return Asked(is_async=request.param)


def number(key: int) -> int:
    return key


async def test_a_read_without_an_answer_asks_once(one: Asked) -> None:
    """Asked in vain for what it holds, the tier is asked for nothing else: the value is loaded, and kept nowhere."""
    one.read("value", number)
    one.world.tier.away = set(ASKS)
    found: Lookup[int] = await one.run(read(one.world.call("value", 1), one.ports))
    assert one.asked == ["tier.fetch"]
    assert (found.value, found.forward, found.not_stored) == (1, Forward.AWAY, NotStored.AWAY)
    assert one.world.cache.stats().entries == 0


async def test_a_tier_that_is_back_at_once_is_not_asked_either(one: Asked) -> None:
    """What is loaded without a stamp is not kept, whoever answers by then."""
    one.read("value", number)
    one.world.tier.away = {"fetch"}
    assert not (await one.run(read(one.world.call("value", 1), one.ports))).stored
    assert one.asked == ["tier.fetch"]
    assert one.world.cache.stats().entries == 0


async def test_a_read_that_was_asked_for_before_asks_nothing(one: Asked) -> None:
    """Where the shortest way to a hit had no answer, the flow that follows does not ask."""
    one.read("value", number)
    found = await one.run(read(one.world.call("value", 1), one.ports, in_vain=True))
    assert (one.asked, found.forward) == ([], Forward.AWAY)


@pytest.mark.parametrize("batched", [True, False])
async def test_many_keys_without_an_answer_ask_once(one: Asked, batched: bool) -> None:
    """So do many, whether they are loaded one by one or together."""
    value = one.read("value", number)
    if batched:
        value.batch(_many if one.is_async else _many_blocking)
    calls = [one.world.call("value", key) for key in range(3)]
    one.world.tier.away = set(ASKS)
    found = await one.run(read_many(calls, one.ports, batched=batched, keys_max=2, at_once=2))
    assert [answer.value for answer in found] == [0, 1, 2]
    assert one.asked == ["tier.fetch_many"]


async def _many(keys: Any) -> dict[int, int]:
    return {key: key for key in keys}


def _many_blocking(keys: Any) -> dict[int, int]:
    return {key: key for key in keys}


@pytest.mark.parametrize("step", ["stamp", "store"])
async def test_a_load_that_loses_the_tier_asks_no_more(one: Asked, step: str) -> None:
    """A tier that does not answer later on in a read is the last that this read asks too."""
    one.read("value", number)
    one.world.tier.away = set(ASKS) - {"fetch"} if step == "stamp" else {"store"}
    await one.run(read(one.world.call("value", 1), one.ports))
    assert one.asked[-1] == f"tier.{step}"
    assert len([asked for asked in one.asked if asked.removeprefix("tier.") in one.world.tier.away]) == 1


async def test_reads_inside_a_load_ask_once_between_them(one: Asked) -> None:
    """A read inside a load that has no answer ends the asking for all of them, however deep, and for the load: the read
    around them has waited once."""

    async def both(key: int) -> int:
        first = await read(one.world.call("middle", key), one.ports)
        second = await read(one.world.call("inner", key + 1), one.ports)
        return int(first.value + second.value)

    def both_blocking(key: int) -> int:
        return _sent(both(key))

    async def middle(key: int) -> int:
        return int((await read(one.world.call("inner", key), one.ports)).value)

    def middle_blocking(key: int) -> int:
        return _sent(middle(key))

    one.read("inner", number)
    one.read("middle", middle if one.is_async else middle_blocking)
    one.read("outer", both if one.is_async else both_blocking)
    # While the outer one begins to load.
    one.world.tier.meanwhile["stamp"] = lambda: one.world.tier.away.update(ASKS)
    found = await one.run(read(one.world.call("outer", 1), one.ports))
    assert (found.value, found.stored) == (3, False)
    assert one.asked == ["tier.fetch", "tier.stamp", "tier.fetch"]
    assert one.world.cache.stats().entries == 0


def _sent(flow: Any) -> int:
    try:
        flow.send(None)
    except StopIteration as end:
        return int(end.value)
    raise AssertionError("it suspended")


async def test_reads_inside_a_load_in_vain_ask_nothing(one: Asked) -> None:
    """A load of a read that asked in vain does not ask for what is read inside it."""

    async def around(key: int) -> int:
        return int((await read(one.world.call("inner", key), one.ports)).value)

    def around_blocking(key: int) -> int:
        return _sent(around(key))

    one.read("inner", number)
    one.read("outer", around if one.is_async else around_blocking)
    one.world.tier.away = {"fetch"}
    found = await one.run(read(one.world.call("outer", 1), one.ports))
    assert (found.value, found.stored) == (1, False)
    assert one.asked == ["tier.fetch"]
