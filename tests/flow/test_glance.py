"""A read that saw what the tier holds before its flow began: the flow goes on from there."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from cacheaside import Forward, NotStored, Served, Tier
from cacheaside.flow.call import Call, Record
from cacheaside.flow.ports import TierAway
from cacheaside.flow.read import read
from tests.flow.test_asked_in_vain import Asked, number


class Saw:
    """Implements `flow.ports.Glance`: what a test says that was seen, at a moment that is now."""

    def __init__(self, one: Asked, found: Record | TierAway | None) -> None:
        self.arrived = one.ports.flights.moment()
        self._found = found

    async def record(self, call: Call) -> Record | None:
        if isinstance(self._found, TierAway):
            raise self._found
        return self._found


@pytest.fixture(params=[True, False], ids=["asyncio", "threads"])
def one(request: pytest.FixtureRequest) -> Asked:
    made = Asked(is_async=request.param)
    made.read("value", number)
    return made


def a_record(call: Call, value: int) -> Record:
    packed = call.endpoint.pack(value)
    generations: Any = tuple(range(len(call.tags)))
    return Record(
        packed.held, 1, 0.0, call.terms.ttl_s, False, False, call.tags, generations, 0.1, packed.encoded
    )


async def test_a_miss_that_was_seen_is_not_looked_for(one: Asked) -> None:
    """The load begins as after a look: under a stamp, and stored."""
    found = await one.run(read(one.world.call("value", 1), one.ports, glance=Saw(one, None)))
    assert (found.value, found.served, found.stored) == (1, Served.LOADED, True)
    assert "tier.fetch" not in one.asked
    assert one.asked[-1] == "tier.store"


async def test_what_was_seen_is_served_and_not_kept(one: Asked) -> None:
    """No position in the log was taken before it was asked for, so that a change heard since would go unnoticed."""
    call = one.world.call("value", 1)
    record = a_record(call, 7)
    now = one.ports.clock.now()
    fresh = {name: getattr(record, name) for name in record.__struct_fields__} | {"loaded_at": now}
    found = await one.run(read(call, one.ports, glance=Saw(one, Record(**fresh))))
    assert (found.value, found.tier) == (7, Tier.L2)
    assert one.asked == []
    assert one.world.cache.stats().entries == 0


async def test_what_was_seen_too_late_is_loaded(one: Asked) -> None:
    """It is judged as what is fetched: past its ttl it is filled."""
    call = one.world.call("value", 1)
    found = await one.run(read(call, one.ports, glance=Saw(one, a_record(call, 7))))
    assert (found.value, found.forward) == (1, Forward.EXPIRED)
    assert "tier.fetch" not in one.asked


async def test_a_tier_that_went_away_since_is_not_asked(one: Asked) -> None:
    """A read waits for the tier once."""
    found = await one.run(read(one.world.call("value", 1), one.ports, glance=Saw(one, TierAway())))
    assert (found.value, found.forward, found.not_stored) == (1, Forward.AWAY, NotStored.AWAY)
    assert one.asked == []


async def test_it_arrived_before_its_flow_began() -> None:
    """A load that began after a read had come answers it, although a tag moved meanwhile and its flow began later."""
    one = Asked(is_async=True)
    began, may_go, loads = asyncio.Event(), asyncio.Event(), []

    async def held(key: int) -> int:
        loads.append(key)
        began.set()
        await may_go.wait()
        return key

    cached = one.read("held", held)
    call = one.world.call("held", 1)
    early = Saw(one, None)
    first = asyncio.ensure_future(read(call, one.ports, glance=Saw(one, None)))
    await began.wait()
    second = asyncio.ensure_future(read(call, one.ports, glance=early))
    late = asyncio.ensure_future(read(call, one.ports, glance=Saw(one, None)))
    await asyncio.sleep(0)
    await cached.invalidate(1)
    may_go.set()
    assert [found.value for found in await asyncio.gather(first, second, late)] == [1, 1, 1]
    assert (await second).served is Served.COLLAPSED
    assert len(loads) == 2, "the last one came when the load was under way"
