"""`cache.stats()`: every read is a hit or a miss, and every number is one that can be counted by hand."""

from __future__ import annotations

import asyncio
import json
import random
import threading
from dataclasses import fields, replace
from typing import Any

import pytest

from cacheaside import Cache, Contract, EndpointStats, Forward, NotStored
from cacheaside.observe.stats import Distribution
from tests.endpoint.world import World

MINUTE = Contract("60s", jitter=0)


class Failed(Exception):
    """The loader's own."""


def stats(world: World, name: str = "rows") -> EndpointStats:
    return world.cache.stats().endpoints[name]


def rows_of(world: World, contract: Contract = MINUTE, **options: Any) -> Any:
    @world.read("rows", contract, **options)
    def rows(key: int) -> int | None:
        if key < 0:
            raise Failed
        return key or None

    return rows


async def test_nothing_happened_yet(world: World) -> None:
    """An endpoint nobody asked has zeros everywhere, and rates that do not divide by them."""
    rows_of(world)
    one = stats(world)
    assert (one.reads, one.hits, one.misses_total, one.loads) == (0, 0, 0, 0)
    assert (one.hit_rate, one.miss_rate, one.loads_per_missed_key, one.loads_per_read) == (0, 0, 0, 0)
    assert (one.fill.count, one.fill.mean_s, one.fill.p99_s, one.age_at_serve.p50_s) == (0, 0, 0, 0)


async def test_hits_and_misses_by_reason(world: World) -> None:
    """Each way to miss is counted under its own name, and all reads are accounted for."""
    tag = world.cache.tag("rows", int)
    contract = Contract("60s", stale_after_invalidation="1s", jitter=0)
    rows = rows_of(world, contract, tags=lambda key: [tag(key)])
    await world.do(rows, 1)
    await world.do(rows, 1)
    await world.do(rows.lookup, 1)
    world.t += 60
    await world.do(rows, 1)
    world.t += 30
    await world.invalidate(tag(1))
    await world.do(rows, 1)
    await world.do(rows.strong, 1)
    world.cache.disable()
    await world.do(rows, 1)
    world.cache.enable()

    @world.read("outer", MINUTE)
    def outer(key: int) -> int:
        return key

    assert stats(world).misses == {
        "absent": 1, "evicted": 0, "expired": 1, "invalidated": 1, "strong": 1, "bypass": 1, "away": 0,
        "nested": 0,
    }  # fmt: skip
    assert (stats(world).hits, stats(world).misses_total, stats(world).reads) == (2, 5, 7)
    assert (stats(world).loads, stats(world).loads_per_missed_key) == (5, 1.0)
    assert stats(world).hit_rate == pytest.approx(2 / 7)
    assert stats(world).miss_rate == pytest.approx(5 / 7)
    assert stats(world).loads_per_read == pytest.approx(5 / 7)
    assert (stats(world).stored, stats(world).not_stored["contract"]) == (4, 1)


@pytest.mark.blocks_loop
async def test_a_nested_read_is_counted_as_one() -> None:
    """A read inside another endpoint's load is a hit when what is held can be shown to be valid, else a miss."""
    cache = Cache()

    @cache.read("inner", MINUTE)
    def inner(key: int) -> int:
        return key

    @cache.read("outer", MINUTE)
    def outer(key: int, again: int) -> int:
        return inner(key)

    assert [outer(1, 1), outer(1, 2)] == [1, 1]
    one = cache.stats().endpoints["inner"]
    assert (one.misses["nested"], one.hits, one.reads, one.loads) == (1, 1, 2, 1)


async def test_grace_and_outdated_hits_are_counted_apart(world: World) -> None:
    """Hits past ttl and hits after an invalidation are hits, and are told from fresh ones."""
    tag = world.cache.tag("rows", int)
    contract = Contract("60s", grace="60s", stale_after_invalidation="60s", jitter=0)
    rows = rows_of(world, contract, tags=lambda key: [tag(key)])
    await world.do(rows, 1)
    world.t += 61
    assert (await world.do(rows.lookup, 1)).served == "grace"
    await world.do(rows.using(grace=0), 1)
    await world.invalidate(tag(1))
    assert (await world.do(rows.lookup, 1)).served == "outdated"
    await world.cache.aclose()
    one = stats(world)
    assert (one.grace, one.outdated) == (1, 1)
    assert one.hits + one.misses_total == one.reads == 4


async def test_a_remembered_error_is_one_hit(world: World) -> None:
    """An exception served from the cache is a hit, counted once and under its own name too."""
    rows = rows_of(world, Contract("60s", error_ttl={Failed: "5s"}, jitter=0))
    for _ in range(4):
        with pytest.raises(Failed):
            await world.do(rows, -1)
    one = stats(world)
    assert (one.loads, one.loads_failed, one.misses["absent"]) == (1, 1, 1)
    assert (one.remembered_errors, one.hits, one.reads) == (3, 3, 4)


async def test_hits_survive_what_happens_to_the_entry(world: World) -> None:
    """A counter never goes back: hits of entries that were replaced, invalidated, purged or evicted stay counted."""
    world.cache = world.new_cache(l1_entries=4)
    tag = world.cache.tag("rows", int)
    rows = rows_of(world, tags=lambda key: [tag(key)])
    ends = [
        lambda: world.do(rows.refresh, 1),
        lambda: world.invalidate(tag(1)),
        lambda: world.do(rows.invalidate, 1),
        lambda: world.do(rows.purge, 1),
        lambda: world.do(rows.many, range(10, 40)),
    ]
    for number, end in enumerate(ends, 1):
        await world.do(rows, 1)
        before = stats(world).hits
        for _ in range(10):
            await world.do(rows, 1)
        assert stats(world).hits == before + 10
        await end()
        assert stats(world).hits == before + 10, number
    assert stats(world).evicted >= 26
    assert stats(world).entries <= 4


async def test_not_stored_by_reason(world: World) -> None:
    """A load whose value was returned and not kept is counted under the reason."""
    rows = rows_of(world, Contract("60s", store=lambda value: value != 2, max_bytes=3, jitter=0))
    for key in (0, 1, 2, 10**9):
        await world.do(rows, key)
    one = stats(world)
    assert (one.loads, one.stored) == (4, 1)
    assert one.not_stored == dict.fromkeys(NotStored, 0) | {"contract": 2, "too_large": 1}
    assert one.stored + sum(one.not_stored.values()) + one.loads_failed == one.keys_loaded


async def test_refreshes_are_loads_and_no_reads(world: World) -> None:
    """A refresh, behind readers or called, asks the source and answers nobody."""
    rows = rows_of(world, Contract("60s", grace="60s", jitter=0))
    await world.do(rows, 1)
    await world.do(rows.refresh, 1)
    with pytest.raises(Failed):
        await world.do(rows.refresh, -1)
    one = stats(world)
    assert (one.reads, one.loads, one.refreshes, one.refreshes_failed) == (1, 3, 2, 1)


async def test_fill_latency(world: World) -> None:
    """The histogram of fills holds each load once, from its beginning to its landing, in whole buckets."""
    waits = {1: 0.010, 2: 0.010, 3: 2.0}

    @world.read("slow", MINUTE)
    def slow(key: int) -> int:
        world.t += waits[key]
        return key

    for key in waits:
        await world.do(slow, key)
        await world.do(slow, key)
    fill = stats(world, "slow").fill
    assert fill.count == sum(n for _, n in fill.buckets_us) == 3
    assert fill.mean_s == pytest.approx(2.020 / 3, rel=1e-3)
    assert 0.010 <= fill.p50_s <= 0.010 * 1.125
    assert 2.0 <= fill.p99_s <= 2.0 * 1.125
    assert all(isinstance(number, int) for pair in fill.buckets_us for number in pair)
    assert fill.buckets_us == tuple(sorted(fill.buckets_us))


async def test_age_at_serve(world: World) -> None:
    """What was served was as old as that: sampled at most once a second for a fresh entry, each time otherwise."""
    rows = rows_of(world, Contract("60s", grace="60s", jitter=0))
    await world.do(rows, 1)
    for _ in range(5):
        world.t += 10
        for _ in range(3):
            await world.do(rows, 1)
    age = stats(world).age_at_serve
    assert (age.count, age.mean_s) == (5, 30.0)
    assert 30 <= age.p50_s <= 30 * 1.125
    assert 50 <= age.p99_s <= 50 * 1.125
    assert stats(world).hits == 15


async def test_one_load_for_many_callers() -> None:
    """A thousand callers of one key are one load: 999 of their misses are collapsed."""
    cache = Cache()
    release = asyncio.Event()

    @cache.read("rows", MINUTE)
    async def rows(key: int) -> int:
        await release.wait()
        return key

    readers = [asyncio.ensure_future(rows(1)) for _ in range(1000)]
    await asyncio.sleep(0)
    release.set()
    assert await asyncio.gather(*readers) == [1] * 1000
    one = cache.stats().endpoints["rows"]
    assert (one.loads, one.misses["absent"], one.collapsed) == (1, 1000, 999)
    assert (one.loads_per_missed_key, one.hits) == (1.0, 0)


async def test_a_load_that_a_write_outran_is_repeated_and_says_so() -> None:
    """A caller who came after a write cannot be answered by a load that began before it: loads per missed key shows."""
    cache = Cache()
    tag = cache.tag("rows", int)
    started, release = asyncio.Event(), asyncio.Event()

    @cache.read("rows", MINUTE, tags=lambda key: [tag(key)])
    async def rows(key: int) -> int:
        started.set()
        await release.wait()
        return key

    first = asyncio.ensure_future(rows(1))
    await started.wait()
    await cache.invalidate(tag(1))
    second = asyncio.ensure_future(rows(1))
    await asyncio.sleep(0)
    release.set()
    assert await asyncio.gather(first, second) == [1, 1]
    one = cache.stats().endpoints["rows"]
    assert (one.misses["absent"], one.loads, one.not_stored["moved"]) == (2, 2, 1)


def test_threads_lose_hardly_a_count(seed: int) -> None:
    """Under threads that read, write and evict at once, misses and loads are all counted; of the hits, one that meets
    the end of its entry may be missing, and none is counted twice."""
    cache = Cache(l1_entries=20)
    tag = cache.tag("rows", int)

    @cache.read("rows", Contract("60s", absent_ttl="60s"), tags=lambda key: [tag(key)])
    def rows(key: int) -> int | None:
        return key or None

    calls = [0] * 4

    def counted(number: int) -> None:
        own = random.Random(seed + number)
        for _ in range(1500):
            key = own.randrange(40)
            if own.random() < 0.05:
                cache.blocking.invalidate(tag(key))
                continue
            calls[number] += 1
            (rows.lookup if own.random() < 0.1 else rows)(key)

    threads = [threading.Thread(target=counted, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    one = cache.stats().endpoints["rows"]
    assert sum(calls) * 0.99 <= one.reads <= sum(calls)
    assert one.hits + sum(one.misses.values()) == one.reads
    assert one.keys_loaded == one.stored + sum(one.not_stored.values())


async def test_stats_are_data(world: World) -> None:
    """A snapshot can be written as JSON, names every counter, and holds no key and no value."""
    rows = rows_of(world)
    await world.do(rows, 123456789)
    text = json.dumps(world.cache.stats().as_dict())
    assert "123456789" not in text
    got = json.loads(text)
    assert (got["namespace"], got["entries"]) == ("shop", 1)
    assert got["bytes_used"] >= 1
    one = got["endpoints"]["rows"]
    assert {field.name for field in fields(EndpointStats)} <= set(one)
    assert set(one["misses"]) == {reason.value for reason in Forward}
    assert set(one["not_stored"]) == {reason.value for reason in NotStored}
    assert (one["reads"], one["misses_total"], one["hit_rate"], one["loads_per_missed_key"]) == (1, 1, 0, 1)
    assert one["fill"]["count"] == 1


async def test_a_snapshot_stays_as_it_was(world: World) -> None:
    """What happens later does not change a snapshot that was taken."""
    rows = rows_of(world)
    await world.do(rows, 1)
    before = stats(world)
    for key in (1, 2, 3):
        await world.do(rows, key)
    assert (before.reads, before.misses["absent"], before.fill.count) == (1, 1, 1)


def test_quantiles_of_nothing_and_of_one() -> None:
    """An empty distribution has no quantile but 0; one of one duration has it everywhere."""
    assert Distribution(0, 0, ()).quantile_s(0.5) == 0.0
    one = Distribution(1, 5_000_000, ((5_242_880, 1),))
    assert {one.quantile_s(share) for share in (0.0, 0.5, 0.99, 1.0)} == {5.24288}
    assert one.mean_s == 5.0


def test_a_snapshot_can_be_printed() -> None:
    """At a prompt a snapshot is a table with a line for each endpoint; one endpoint's is its line alone."""
    world = World("blocking")
    rows = rows_of(world, MINUTE)
    for key in (1, 2, 1, 1):
        rows(key)
    snapshot = world.cache.stats()
    assert str(snapshot).splitlines() == [
        "cache shop: entries held 2, bytes 128",
        "endpoint  reads  hits  hit rate  loads  per missed key  fill p99",
        "rows          4     2     50.0%      2            1.00    0.0 ms",
    ]
    assert str(snapshot.endpoints["rows"]).splitlines() == str(snapshot).splitlines()[1:]
    assert str(Cache(namespace="new").stats()).startswith("cache new: entries held 0, bytes 0\nendpoint")


def test_a_source_under_pressure_is_printed() -> None:
    """Whoever looks at the numbers during an overload sees that loads were refused, and why; a calm one is no line."""
    world = World("blocking")
    calm = world.cache.stats()
    pressed = replace(
        calm.sources["inline"],
        refused={"high": {"full": 0, "late": 1}, "low": {"full": 3, "late": 0}},
        given={"high": 5, "low": 1},
        limit=12,
        inflation=2.5,
    )
    lines = str(replace(calm, sources={"inline": pressed})).splitlines()
    assert lines[1] == (
        "source inline: under way 0 of 12 (of 1024: loads take 2.5 times as long as nearly alone), "
        "REFUSED 4 (full 3, late 1) beside 6 turns given"
    )
    assert "source" not in str(calm)


def test_a_cache_that_is_switched_off_says_so() -> None:
    """Whoever looks at the numbers of a process sees why nothing is a hit, printed and as data."""
    cache = Cache(namespace="shop")
    assert "DISABLED" not in str(cache.stats())
    assert cache.stats().as_dict()["enabled"] is True
    cache.disable()
    first = str(cache.stats()).splitlines()[0]
    assert first == "cache shop: DISABLED: every read goes to its source, entries held 0, bytes 0"
    assert cache.stats().as_dict()["enabled"] is False
    cache.enable()
    assert "DISABLED" not in str(cache.stats())
