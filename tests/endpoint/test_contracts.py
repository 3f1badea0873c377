"""Contracts kept: how long a value is served, and what is not."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from cacheaside import Contract, Forward, NotStored, Served
from tests.endpoint.world import World


class SourceDown(Exception):
    """The source's own."""


class NotFound(Exception):
    """An answer as good as a value."""


class Rows:
    """A source of one number, which can be changed, can fail, and says when it was asked."""

    def __init__(self, world: World, contract: Contract, **options: Any) -> None:
        self.world = world
        self.row: Any = 1
        self.loads = 0
        self.asked = threading.Event()

        @world.read("rows", contract, **options)
        def rows(key: int) -> int | str | None:
            self.loads += 1
            self.asked.set()
            if isinstance(self.row, Exception):
                raise self.row
            return self.row

        self.rows = rows

    async def read(self, **changes: Any) -> Any:
        return await self.world.do((self.rows.using(**changes) if changes else self.rows).lookup, 1)

    async def refreshed(self) -> None:
        """Return when the refresh behind the readers has been stored: reading within ttl alone joins its load."""
        await self.world.until(self.asked)
        await self.read(grace=0, stale_after_invalidation=0)
        self.asked.clear()


async def test_a_value_is_fresh_for_ttl_and_no_longer(world: World) -> None:
    """Up to ttl a value is served; from that moment on the source is asked, and the lookup says why."""
    rows = Rows(world, Contract("60s", jitter=0))
    await rows.read()
    rows.row = 2
    world.t += 59.999
    assert (await rows.read()).value == 1
    world.t += 0.001
    lookup = await rows.read()
    assert (lookup.value, lookup.served, lookup.forward) == (2, Served.LOADED, Forward.EXPIRED)


async def test_age_runs_from_the_start_of_the_load(world: World) -> None:
    """A load that takes long makes a value that is old when it arrives."""

    @world.read("slow", Contract("60s", jitter=0))
    def slow(key: int) -> int:
        world.t += 45
        return key

    assert (await world.do(slow.lookup, 1)).age_s == 45
    world.t += 14
    assert (await world.do(slow.lookup, 1)).age_s == 59
    world.t += 1
    assert (await world.do(slow.lookup, 1)).forward is Forward.EXPIRED


async def test_grace_serves_while_one_caller_refreshes(world: World) -> None:
    """Past ttl and within grace a read is answered at once with the old value, and one load runs behind it."""
    rows = Rows(world, Contract("60s", grace="5m", jitter=0))
    await rows.read()
    rows.asked.clear()
    rows.row = 2
    world.t += 61
    lookup = await rows.read()
    assert (lookup.value, lookup.served, lookup.hit) == (1, Served.GRACE, True)
    assert (lookup.refreshing, lookup.age_s, lookup.bound_s) == (True, 61.0, 360.0)
    await rows.refreshed()
    lookup = await rows.read()
    assert (lookup.value, lookup.served, lookup.age_s) == (2, Served.FRESH, 0.0)
    assert rows.loads == 2
    assert world.cache.stats().endpoints["rows"].refreshes == 1


async def test_grace_ends(world: World) -> None:
    """Past ttl + grace nothing is served but what the source says now."""
    rows = Rows(world, Contract("60s", grace="5m", jitter=0))
    await rows.read()
    rows.row = 2
    world.t += 360
    lookup = await rows.read()
    assert (lookup.value, lookup.forward) == (2, Forward.EXPIRED)


async def test_grace_serves_while_the_source_fails_and_says_so(world: World) -> None:
    """When the refresh failed, readers within grace get the old value, and the class of the failure."""
    rows = Rows(world, Contract("60s", grace="5m", jitter=0))
    await rows.read()
    rows.asked.clear()
    rows.row = SourceDown("host=10.0.0.7")
    world.t += 61
    assert (await rows.read()).served is Served.GRACE
    with pytest.raises(SourceDown):
        await rows.refreshed()
    rows.loads = 0
    lookup = await rows.read()
    assert (lookup.value, lookup.served) == (1, Served.GRACE)
    assert (lookup.source_error, lookup.refreshing) == ("SourceDown", False)
    assert rows.loads == 0, "for a while the failing source is left alone"
    rows.row = 2
    world.t += 2
    rows.asked.clear()
    assert (await rows.read()).refreshing
    await rows.refreshed()
    assert (await rows.read()).value == 2


async def test_grace_is_over_when_the_source_fails_past_it(world: World) -> None:
    """Past grace a failing source is the caller's to know: nothing older than the contract is ever served."""
    rows = Rows(world, Contract("60s", grace="5m", jitter=0))
    await rows.read()
    rows.row = SourceDown()
    world.t += 361
    with pytest.raises(SourceDown):
        await rows.read()


async def test_grace_does_not_outlive_an_invalidation(world: World) -> None:
    """A value known to be out of date is not served in grace."""
    tag = world.cache.tag("rows", int)
    rows = Rows(world, Contract("60s", grace="5m", jitter=0), tags=lambda key: [tag(key)])
    await rows.read()
    await world.invalidate(tag(1))
    rows.row = SourceDown()
    with pytest.raises(SourceDown):
        await rows.read()


async def test_stale_after_invalidation(world: World) -> None:
    """Within that age the old value is served behind a refresh, and the lookup says that it is out of date."""
    tag = world.cache.tag("rows", int)
    contract = Contract("60s", stale_after_invalidation="20s", jitter=0)
    rows = Rows(world, contract, tags=lambda key: [tag(key)])
    await rows.read()
    rows.asked.clear()
    rows.row = 2
    world.t += 10
    await world.invalidate(tag(1))
    lookup = await rows.read()
    assert (lookup.value, lookup.served, lookup.refreshing) == (1, Served.OUTDATED, True)
    assert (lookup.age_s, lookup.bound_s, lookup.hit) == (10.0, 20.0, True)
    await rows.refreshed()
    assert (await rows.read()).value == 2
    await world.invalidate(tag(1))
    rows.row = 3
    world.t += 20
    lookup = await rows.read()
    assert (lookup.value, lookup.forward) == (3, Forward.INVALIDATED)


async def test_absent_rows_are_not_kept_by_default(world: World) -> None:
    """None means that the source has no such row, and is asked for each time."""
    rows = Rows(world, Contract("60s", grace="5m", jitter=0))
    rows.row = None
    for _ in range(2):
        lookup = await rows.read()
        assert (lookup.value, lookup.stored, lookup.not_stored) == (None, False, NotStored.CONTRACT)
    assert rows.loads == 2


async def test_absent_rows_are_kept_for_absent_ttl(world: World) -> None:
    """With absent_ttl a missing row is a hit for that long, without grace."""
    rows = Rows(world, Contract("60s", grace="5m", absent_ttl="5s", jitter=0))
    rows.row = None
    await rows.read()
    world.t += 4.9
    lookup = await rows.read()
    assert (lookup.value, lookup.hit, lookup.bound_s) == (None, True, 5.0)
    rows.row = 1
    world.t += 0.1
    assert (await rows.read()).value == 1


async def test_errors_are_remembered_for_error_ttl(world: World) -> None:
    """An exception class named in error_ttl is raised again without asking, for that long; others are not."""
    rows = Rows(world, Contract("60s", grace="5m", error_ttl={NotFound: "5s"}, jitter=0))
    rows.row = NotFound()
    for _ in range(3):
        with pytest.raises(NotFound):
            await rows.read()
    assert rows.loads == 1
    world.t += 5
    rows.row = SourceDown()
    for _ in range(2):
        with pytest.raises(SourceDown):
            await rows.read()
    assert rows.loads == 3
    rows.row = 7
    assert (await rows.read()).value == 7


async def test_store_false_keeps_nothing(world: World) -> None:
    """With store=False each read loads; only concurrent ones share."""
    rows = Rows(world, Contract("60s", store=False))
    for _ in range(2):
        lookup = await rows.read()
        assert (lookup.served, lookup.not_stored) == (Served.LOADED, NotStored.CONTRACT)
    assert rows.loads == 2


async def test_store_decides_by_the_value(world: World) -> None:
    """A function in store= is asked about each value."""
    rows = Rows(world, Contract("60s", store=lambda value: value > 1))
    for row, stored in ((1, False), (1, False), (2, True)):
        rows.row = row
        assert (await rows.read()).stored is stored
    assert (await rows.read()).hit


async def test_a_store_function_that_fails_keeps_nothing(world: World) -> None:
    """When store= itself raises, the caller gets the value, and nothing is kept."""
    rows = Rows(world, Contract("60s", store=lambda value: value["no"]))
    for _ in range(2):
        lookup = await rows.read()
        assert (lookup.value, lookup.not_stored) == (1, NotStored.UNSTORABLE)


async def test_max_bytes(world: World) -> None:
    """A value whose encoding is larger than max_bytes is returned and not kept."""
    rows = Rows(world, Contract("60s", max_bytes=100))
    rows.row = "x" * 101
    for _ in range(2):
        lookup = await rows.read()
        assert (lookup.value, lookup.not_stored) == ("x" * 101, NotStored.TOO_LARGE)
    rows.row = "x" * 90
    assert (await rows.read()).stored


async def test_max_tags(world: World) -> None:
    """An entry with more tags than max_tags is returned and not kept; its key and the namespace count as two."""
    tag = world.cache.tag("rows", int)
    held = Rows(world, Contract("60s"), tags=[tag(n) for n in range(3)], max_tags=5)
    assert (await held.read()).stored
    world.cache = world.new_cache()
    tag = world.cache.tag("rows", int)
    rows = Rows(world, Contract("60s"), tags=[tag(n) for n in range(4)], max_tags=5)
    assert (await rows.read()).not_stored is NotStored.TOO_MANY_TAGS


async def test_a_value_that_does_not_fit_is_returned_and_not_kept(world: World) -> None:
    """What the annotation does not allow reaches its caller, and no other one."""
    rows = Rows(world, Contract("60s"))
    rows.row = 1.5
    for _ in range(2):
        lookup = await rows.read()
        assert (lookup.value, lookup.not_stored) == (1.5, NotStored.UNSTORABLE)
    assert rows.loads == 2


async def fresh_share(world: World, jitter: float, after_s: float) -> float:
    """The share of entries filled together that are fresh so much later."""
    world.cache = world.new_cache()

    @world.read("many", Contract("100s", jitter=jitter, absent_ttl=0))
    def many(key: int) -> int:
        return key

    for key in range(400):
        await world.do(many, key)
    world.t += after_s
    lookups = [await world.do(many.lookup, key) for key in range(400)]
    assert all(one.age_s <= 100 for one in lookups)
    await world.cache.aclose()
    return sum(one.served is Served.FRESH for one in lookups) / 400


@pytest.mark.parametrize("jitter", [0.1, 0.5, 1.0])
async def test_jitter_never_lengthens(world: World, jitter: float) -> None:
    """Entries become stale within the share of ttl that jitter names, spread over it, and none after ttl."""
    assert await fresh_share(world, jitter, 100 * (1 - jitter)) == 1.0
    assert 0.3 < await fresh_share(world, jitter, 100 * (1 - jitter / 2)) < 0.7
    assert await fresh_share(world, jitter, 100) == 0.0


async def test_within_jitter_nobody_waits(world: World) -> None:
    """An entry that jitter made stale before its ttl is served until then, while one caller refreshes it."""
    rows = Rows(world, Contract("60s", jitter=1.0))
    await rows.read()
    rows.asked.clear()
    world.t += 59.999
    lookup = await rows.read()
    assert (lookup.served, lookup.refreshing, lookup.bound_s) == (Served.GRACE, True, 60.0)
    world.t += 0.001
    lookup = await rows.read()
    assert lookup.age_s < 1


async def test_early_refresh_loads_before_the_value_is_stale(world: World) -> None:
    """A key whose load is slow is refreshed behind its readers while it is fresh: nobody waits when ttl ends."""
    world.t = 0.0
    slow = {"now": True}
    asked = threading.Event()

    @world.read("slow", Contract("60s", early_refresh=2.0, jitter=0))
    def slow_rows(key: int) -> int:
        if slow["now"]:
            world.t += 20
        asked.set()
        return key

    await world.do(slow_rows, 1)
    slow["now"] = False
    asked.clear()
    refreshing_at = None
    while world.t < 60:
        lookup = await world.do(slow_rows.lookup, 1)
        assert lookup.served is Served.FRESH
        if lookup.refreshing:
            refreshing_at = world.t
            break
        world.t += 0.5
    assert refreshing_at is not None, "no read in 60 s started a refresh"
    await world.until(asked)


async def test_never_stale_fails_closed(world: World) -> None:
    """Under never_stale each read is the source's answer, or its failure."""
    rows = Rows(world, Contract.never_stale())
    for row in (1, 2):
        rows.row = row
        lookup = await rows.read()
        assert (lookup.value, lookup.forward) == (row, Forward.STRONG)
    rows.row = SourceDown()
    with pytest.raises(SourceDown):
        await rows.read()


async def test_available_first_serves_through_a_failure(world: World) -> None:
    """available_first goes on with what it has while the source is down, up to its grace."""
    rows = Rows(world, Contract.available_first("60s", grace="1h"))
    await rows.read()
    rows.row = SourceDown()
    world.t += 1800
    assert (await rows.read()).value == 1


async def test_fresh_first_does_not(world: World) -> None:
    """fresh_first tells the caller that the source failed."""
    rows = Rows(world, Contract.fresh_first("60s"))
    await rows.read()
    rows.row = SourceDown()
    world.t += 60
    with pytest.raises(SourceDown):
        await rows.read()
