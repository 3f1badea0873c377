"""Whose turn it is to load, where a lease behaves strangely: nobody waits for nothing, nor counts it as loading."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from cacheaside import Contract
from cacheaside.flow.call import Record
from cacheaside.flow.ports import Leased, Ports, Seen, Stamped
from cacheaside.flow.read import read, refresh
from cacheaside.policy.passing import PASS_S
from tests.flow.recorded import World

WAITED_S = 0.5
LOAD_S = 0.25


class Leasing:
    """A tier that says of its one lease what `says` holds, in that order, and at last the same again and again; it has
    no entries. Implements `Heard.waiting` too: a wait takes `WAITED_S`."""

    def __init__(self, world: World, says: list[Leased]) -> None:
        self.world = world
        self.t = 1000.0
        self.says = says
        self.asked = 0
        self.stored: list[Record] = []
        world.cache._use_clock(self.now)

    def now(self) -> float:
        return self.t

    def _said(self) -> Seen:
        return Seen(None, self.says.pop(0) if len(self.says) > 1 else self.says[0])

    @property
    def ports(self) -> Ports:
        real = self.world.ports
        return replace(real, tier=Tier(self, real.tier), heard=Heard(self, real.heard), clock=self)  # type: ignore[arg-type]


class Tier:
    def __init__(self, leasing: Leasing, real: Any) -> None:
        self._leasing = leasing
        self._real = real

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    async def fetch(self, call: Any) -> None:
        return None

    async def stamp(self, tags: Any, lease: Any = None) -> Stamped:
        self._leasing.asked += 1
        stamped: Stamped = await self._real.stamp(tags)
        return stamped if lease is None else stamped._replace(seen=self._leasing._said())

    async def peek(self, call: Any, *, ask: bool) -> Seen:
        return self._leasing._said()

    async def store(self, records: Any, recheck: Any, lease: Any = None, *, free: bool = False) -> Any:
        self._leasing.stored += [record for _, record in records]
        return await self._real.store(records, recheck)


class Heard:
    def __init__(self, leasing: Leasing, real: Any) -> None:
        self._leasing = leasing
        self._real = real

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def waiting(self, key: Any) -> Heard:
        return self

    async def woken(self, within_s: float) -> None:
        self._leasing.t += min(WAITED_S, within_s)

    def close(self) -> None:
        return


@pytest.fixture
def world() -> World:
    return World(shared=True)


def leasing(world: World, *says: Leased) -> Leasing:
    found = Leasing(world, list(says))

    @world.cache.read("value", Contract(ttl="1s", jitter=0))
    def value(key: int) -> int:
        found.t += LOAD_S
        return key

    return found


def test_a_lease_that_is_nobodys_and_cannot_be_had_is_done_without(world: World) -> None:
    """What is neither given nor held twice in a row is no lease: the load begins without one, and is shared."""
    one = leasing(world, Leased.NOBODYS)
    found = world.run(read(world.call("value", 1), one.ports))
    assert (found.value, found.stored) == (1, True)
    assert one.asked == 2
    assert len(one.stored) == 1


@pytest.mark.parametrize(
    "says",
    [
        (Leased.NOBODYS, Leased.MINE),
        (Leased.NOBODYS, Leased.ANOTHERS, Leased.NOBODYS, Leased.NOBODYS, Leased.MINE),
    ],
)
def test_a_lease_that_has_just_ended_is_asked_for_again(world: World, says: tuple[Leased, ...]) -> None:
    """One that was held a moment ago is free now."""
    one = leasing(world, *says)
    world.run(read(world.call("value", 1), one.ports))
    assert one.says == [Leased.MINE]


def test_waiting_for_others_is_no_part_of_a_load(world: World) -> None:
    """A load that waited for another process's lease in vain took as long as the load itself, and is as old: the waits
    for those who die do not make the next lease, and the next wait, longer."""
    one = leasing(world, Leased.ANOTHERS)
    for key in range(3):
        began = one.t
        found = world.run(read(world.call("value", key), one.ports))
        assert found.stored
        assert one.t - began == pytest.approx(2.0 + LOAD_S)  # the patience for a lease of 1 s
        assert found.age_s == pytest.approx(LOAD_S)
    stats = world.cache._host.endpoints["value"].tally.fill
    assert stats.mean_s == pytest.approx(LOAD_S)
    assert [record.load_s for record in one.stored] == pytest.approx([LOAD_S] * 3)
    assert [record.loaded_at for record in one.stored][-1] == pytest.approx(one.t - LOAD_S)


@pytest.mark.parametrize("says", [Leased.ANOTHERS, Leased.NOBODYS, Leased.EVERYBODYS])
def test_an_early_refresh_without_the_lease_stands_down(world: World, says: Leased) -> None:
    """What is still fresh is loaded before its time by nobody but the holder of the lease; and its next refresh is put
    off for a moment, without a failure being told of."""
    one = leasing(world, Leased.MINE, says)
    call = world.call("value", 1)
    world.run(read(call, one.ports))
    world.run(refresh(call, one.ports, replaces=one.t - LOAD_S, early=True))
    assert len(one.stored) == 1
    tally = world.cache._host.endpoints["value"].tally
    assert (tally.loads, tally.refreshes, tally.refreshes_failed) == (1, 1, 0)
    assert one.ports.near.refresh_delayed(call) == ""
    assert not one.ports.flights.is_open(call.key)


def test_an_early_refresh_that_readers_wait_for_does_not_stand_down(world: World) -> None:
    """Who joined it found nothing fresh any more: it loads, lease or no lease."""
    one = leasing(world, Leased.ANOTHERS)
    call = world.call("value", 1)
    world.tier.meanwhile["stamp"] = lambda: one.ports.flights.board(call.key, call.tags)
    world.run(refresh(call, one.ports, replaces=one.t, early=True))
    assert len(one.stored) == 1


def test_a_key_that_left_nothing_to_store_is_loaded_without_a_lease(world: World) -> None:
    """After a load that left nothing, the next ask for no lease, for a while, and until one leaves something."""
    one = leasing(world, Leased.MINE)
    asked: list[bool] = []
    tier, stores = one.ports.tier, {1: False}

    class Asked:
        def __getattr__(self, name: str) -> Any:
            return getattr(tier, name)

        async def stamp(self, tags: Any, lease: Any = None) -> Stamped:
            asked.append(lease is not None)
            return await tier.stamp(tags, lease)

    @world.cache.read("draft", Contract(ttl="60s", store=lambda _: stores[1]))
    def draft(key: int) -> int:
        return key

    call, ports = world.call("draft", 1), replace(one.ports, tier=Asked())  # type: ignore[arg-type]
    for _ in range(3):
        world.run(read(call, ports))
    assert asked == [True, False, False]
    one.t += PASS_S
    world.run(read(call, ports))
    assert asked == [True, False, False, True]
    stores[1] = True
    world.run(read(call, ports))
    assert asked[-1] is False
    world.cache.blocking.invalidate_all()
    world.run(read(call, ports))
    assert asked[-1] is True


def test_an_early_refresh_asks_for_the_lease_whatever_a_load_left(world: World) -> None:
    """A load of the key has failed just now, so that it is to be loaded without a lease; but what is to be refreshed is
    there, and fresh: it is loaded with the lease or not at all."""
    one = leasing(world, Leased.MINE, Leased.ANOTHERS)
    call = world.call("value", 1)
    world.run(read(call, one.ports))
    one.ports.near.pass_by(call, PASS_S)
    world.run(refresh(call, one.ports, replaces=one.t - LOAD_S, early=True))
    tally = world.cache._host.endpoints["value"].tally
    assert (tally.loads, tally.refreshes, tally.refreshes_failed) == (1, 1, 0)
    one.says = [Leased.MINE]
    world.run(refresh(call, one.ports, replaces=one.t - LOAD_S, early=True))
    assert tally.loads == 2
