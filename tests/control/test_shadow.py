"""Shadow mode: hits are compared with the source behind their readers, and each difference has a reason."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from typing import Any

import msgspec
import pytest

from cacheaside import Admission, Cache, Contract
from cacheaside.endpoint.fields import different_fields
from cacheaside.endpoint.shadow import AT_ONCE_MAX, ShadowReport
from cacheaside.source.limit import Turn
from cacheaside.testing.servers import Server
from tests.control.conftest import SECRETS, happens, until
from tests.endpoint.world import World


class View(msgspec.Struct, frozen=True):
    name: str
    cents: int


class Shop:
    """One row, read through an endpoint that names a tag."""

    def __init__(self, world: World, contract: Contract) -> None:
        self.world = world
        self.row = View("lamp", 100)
        self.loads = 0
        self.inside: Any = None
        self.products = products = world.cache.tag("products", int)

        def product(number: int) -> View:
            self.loads += 1
            if self.inside is not None:
                self.inside()
            return self.row

        self.product = world.read("product", contract, tags=lambda number: [products(number)])(product)

    async def report(self, compared: int) -> ShadowReport:
        async with asyncio.timeout(10):
            while True:
                found = self.world.cache.control.state().endpoints["product"].shadow_report
                assert found is not None
                if found.compared >= compared:
                    return found
                await asyncio.sleep(0.001)


@pytest.fixture
async def shop(world: World) -> Shop:
    made = Shop(world, Contract("60s", jitter=0))
    world.cache.control.shadow("product", 100)
    await world.do(made.product, 1)
    return made


async def test_a_value_that_is_the_same_is_counted_so(shop: Shop, world: World) -> None:
    """A hit is loaded as well, behind its reader, who gets what was cached; what was loaded is not stored."""
    assert await world.do(shop.product, 1) == shop.row
    found = await shop.report(1)
    assert (found.same, sum(found.differences.values()), found.failed) == (1, 0, {})
    assert shop.loads == 2
    assert world.cache.stats().endpoints["product"].stored == 1


async def test_a_change_that_nobody_told_is_within_the_window(shop: Shop, world: World) -> None:
    """Its fields, its age and the names of its tags are told; no key and no value is."""
    shop.row = View("lamp", 250)
    world.t += 7
    assert (await world.do(shop.product, 1)).cents == 100
    found = await shop.report(1)
    assert found.differences["within_window"] == 1
    assert found.fields == {"cents": 1}
    (example,) = found.examples
    assert (example.why, example.fields, example.age_s) == ("within_window", ("cents",), 7.0)
    assert set(example.tags) == {"product", "products", "everything"}
    assert "250" not in repr(found)
    assert "lamp" not in repr(found)


async def test_a_value_that_changes_meanwhile_is_not_called_stale(shop: Shop, world: World) -> None:
    """The value was served, then a write is told, then the load sees the new row: both were right when they were
    read."""

    def write() -> None:
        shop.inside = None
        shop.row = View("lamp", 300)
        world.cache.blocking.invalidate(shop.products(1))

    shop.inside = write
    await world.do(shop.product, 1)
    found = await shop.report(1)
    assert found.differences["changed_between"] == 1


async def test_a_value_served_after_its_invalidation_was_heard_is_a_violation(
    shop: Shop, world: World
) -> None:
    """As a defect of the cache would serve it: the entry is kept in L1 although its tag changed and that was heard."""
    table = shop.product.endpoint.table
    entry = table.entries[1]
    stamps = dict(table.stamps)
    shop.row = View("lamp", 300)
    await world.invalidate(shop.products(1))
    entry.until = 0.0
    table.entries[1] = entry  # what the drop should have taken away
    table.stamps.update(stamps)
    assert (await world.do(shop.product, 1)).cents == 100
    found = await shop.report(1)
    assert found.differences["violation"] == 1
    assert found.examples[0].changed == ("products",)


async def test_what_the_contract_allows_to_be_out_of_date_is_within_the_window(world: World) -> None:
    """stale_after_invalidation was asked for: no violation."""
    shop = Shop(world, Contract("60s", stale_after_invalidation="30s", jitter=0))
    await world.do(shop.product, 1)
    world.cache.control.shadow("product", 100)
    shop.row = View("lamp", 300)
    await world.invalidate(shop.products(1))
    assert (await world.do(shop.product, 1)).cents == 100
    assert (await shop.report(1)).differences["within_window"] == 1


async def test_what_was_stored_before_it_was_switched_on_is_not_accused(world: World) -> None:
    """Under what such an entry was stored nobody noted: a difference of it is unexplained."""
    shop = Shop(world, Contract("60s", jitter=0))
    await world.do(shop.product, 1)
    world.cache.control.shadow("product", 100)
    shop.row = View("lamp", 300)
    await world.do(shop.product, 1)
    assert (await shop.report(1)).differences["unexplained"] == 1


async def test_a_load_that_fails_harms_nobody(shop: Shop, world: World) -> None:
    """The reader has its value; the failure is counted by its class."""

    def fail() -> None:
        raise ConnectionError("of the source")

    shop.inside = fail
    assert (await world.do(shop.product, 1)).cents == 100
    assert (await shop.report(1)).failed == {"ConnectionError": 1}


async def test_only_the_share_that_was_asked_for_is_compared(shop: Shop, world: World) -> None:
    """At 10 % about a tenth of the hits, at 0 none: and then the fast path is open again."""
    world.cache.control.shadow("product", 10)
    drawn = 0
    for _ in range(2000):
        await world.do(shop.product, 1)
        if not world.is_async or _ % 10 == 0:
            await asyncio.sleep(0)
    drawn = (await shop.report(1)).compared
    report = world.cache.control.state().endpoints["product"].shadow_report
    assert report is not None
    assert 100 < drawn + report.left_out < 320
    world.cache.control.reset("product")
    assert shop.product.endpoint.table.stamps is None
    assert shop.product.__globals__["_gate"] is world.cache._host.gate


async def test_a_reader_may_change_what_it_was_given() -> None:
    """The comparison is with what was served, not with what the reader made of it."""
    cache = Cache(namespace="shop")

    @cache.read("rows", Contract("60s"))
    async def rows(number: int) -> list[int]:
        return [number]

    await rows(1)
    cache.control.shadow("rows", 100)
    (await rows(1)).append(2)

    def same() -> int:
        report = cache.control.state().endpoints["rows"].shadow_report
        return 0 if report is None else report.same

    await happens(lambda: same() == 1)
    await cache.aclose()


async def test_comparisons_are_bounded() -> None:
    """However many hits are drawn, few loads are under way for them; the others are left out, and counted."""
    cache = Cache(namespace="shop")
    go, running, most = asyncio.Event(), 0, 0
    go.set()

    @cache.read("product", Contract("60s"))
    async def product(number: int) -> int:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await go.wait()
        running -= 1
        return number

    await product(1)
    go.clear()
    cache.control.shadow("product", 100)
    for _ in range(50):
        await product(1)
        await asyncio.sleep(0)
    report = cache.control.state().endpoints["product"].shadow_report
    assert report is not None
    assert report.left_out == 50 - AT_ONCE_MAX
    go.set()
    await happens(lambda: not running)
    assert most == AT_ONCE_MAX
    await cache.aclose()


def test_a_comparison_may_end_while_another_begins() -> None:
    """(1) one has been counted (2) a reader looks whether any of those under way is overdue (3) the one ends, on its
    thread (4) the reader goes on, and gets its value."""
    cache = Cache(namespace="shop")

    @cache.read("product", Contract("60s"))
    def product(number: int) -> int:
        return number

    product(1)
    cache.control.shadow("product", 100)
    shadow = cache._host.endpoints["product"].shadow
    assert shadow is not None
    end, count = threading.Event(), shadow._count

    def counted(*found: Any) -> None:
        count(*found)
        assert end.wait(20.0)

    class Moment(float):
        """What the time of each that is under way is compared with, in step 2."""

        def __ge__(self, until_s: float) -> bool:
            end.set()
            until(lambda: len(shadow._under_way) < AT_ONCE_MAX)
            return super().__ge__(until_s)

    shadow._count = counted  # type: ignore[method-assign]
    for _ in range(AT_ONCE_MAX):
        product(1)
    until(lambda: shadow.report().compared == AT_ONCE_MAX)
    shadow._now = lambda: Moment(cache._host.clock.now())
    assert product(1) == 1
    until(lambda: shadow.report().compared == AT_ONCE_MAX + 1)
    cache.close()


def test_fields_are_named_and_keys_of_data_are_not() -> None:
    """A class declares the names of its fields; the keys of a mapping may be anybody's name."""

    @dataclasses.dataclass
    class Row:
        name: str
        cents: int

    assert different_fields(View("a", 1), View("b", 1)) == ("name",)
    assert different_fields(Row("a", 1), Row("a", 2)) == ("cents",)
    assert different_fields({"ann": 1}, {"ann": 2}) == ()
    assert different_fields(View("a", 1), None) == ()


def test_between_processes_a_write_elsewhere_is_no_violation(
    server: Server, namespace: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Another process writes and invalidates again and again while this one is read from its memory: with every hit
    compared there are differences, all of them explained by what the contract or the moment allows, and none of them a
    violation."""
    row = 0
    caches = [Cache(server.url, namespace=namespace, secrets=SECRETS, deadline="5s") for _ in range(2)]
    tags = [cache.tag("products", int) for cache in caches]
    products = tags[0]

    @caches[0].read("product", Contract("60s"), tags=lambda number: [products(number)])
    def product(number: int) -> int:
        return row

    caches[0].control.shadow("product", 100)
    stop = threading.Event()

    def write() -> None:
        nonlocal row
        while not stop.is_set():
            with caches[1].changing(tags[1](1)):
                row += 1
            stop.wait(0.003)

    writer = threading.Thread(target=write)
    with caplog.at_level(logging.WARNING, logger="cacheaside"):
        product(1)
        writer.start()
        deadline = time.monotonic() + 30
        while True:
            product(1)
            report = caches[0].control.state().endpoints["product"].shadow_report
            assert report is not None
            if report.compared >= 300 and report.differences["changed_between"]:
                break
            assert time.monotonic() < deadline, report
        stop.set()
        writer.join(10)
    print(report)
    assert report.differences["violation"] == 0
    assert report.failed == {}
    assert not caplog.records
    for cache in caches:
        cache.close()


async def test_comparing_goes_last_at_the_source(world: World) -> None:
    """What nobody waits for takes a turn of the lowest priority, whatever the endpoint's own is."""

    class Resource:
        def __enter__(self) -> None:
            pass

        def __exit__(self, *exc: object) -> None:
            pass

    db = world.cache.source("db", open=Resource, limit=2)

    def product(_resource: None, number: int) -> int:
        return number

    contract = Contract("60s", priority="high", jitter=0)
    read = world.cache.read("product", contract, source=db)(world.coloured(product))
    await world.do(read, 1)
    world.cache.control.shadow("product", 100)
    await world.do(read, 1)
    await happens(lambda: world.cache.control.state().endpoints["product"].shadow_report.same == 1)  # type: ignore[union-attr]
    assert list(db.limit.given) == [1, 0, 1]


async def test_a_comparison_takes_no_turn_of_a_load_that_it_was_begun_in() -> None:
    """A hit inside another endpoint's load is compared by a load of its own, which waits until its source has room: it
    would not borrow the turn of a load that goes on meanwhile, and stand there beside it."""
    cache = Cache(namespace="shop")
    peak = inside = 0
    going, go_on = asyncio.Event(), asyncio.Event()

    @asynccontextmanager
    async def opened() -> AsyncIterator[None]:
        nonlocal inside, peak
        inside += 1
        peak = max(peak, inside)
        try:
            yield
        finally:
            inside -= 1

    db = cache.source("db", open=opened, limit=Admission(4, adaptive=False))

    @cache.read("inner", Contract("60s"), source=db)
    async def inner(resource: None, number: int) -> int:
        return number

    @cache.read("outer", Contract("60s"), source=db)
    async def outer(resource: None, number: int) -> int:
        value: int = await inner(number)
        taken.extend(filter(None, [db.limit.take() for _ in range(3)]))
        going.set()
        await go_on.wait()
        return value

    taken: list[Turn] = []
    await inner(1)
    cache.control.shadow("inner", 100)
    reading = asyncio.create_task(outer(1))
    await going.wait()
    shadow = cache._host.endpoints["inner"].shadow
    assert shadow is not None
    await happens(lambda: len(db.limit) or shadow.report().compared)
    go_on.set()
    assert await reading == 1
    assert len(taken) == 3
    await happens(lambda: shadow.report().compared)
    assert (peak, shadow.report().same) == (1, 1)
    await cache.aclose()


async def test_comparisons_leave_the_source_to_readers() -> None:
    """They have half of its turns at most, and begin while nobody waits for one: else a reader would wait for what
    nobody waits for, and a refresh that finds the source full would be put off. What is left out is counted."""
    cache = Cache(namespace="shop")
    go_on = asyncio.Event()
    db = cache.source("db", open=nullcontext, limit=Admission(4, adaptive=False))

    @cache.read("product", Contract("60s"), source=db)
    async def product(resource: None, number: int) -> int:
        if cache.control.state().endpoints["product"].shadow and number < 4:
            await go_on.wait()
        return number

    for number in range(4):
        await product(number)
    cache.control.shadow("product", 100)
    shadow = cache._host.endpoints["product"].shadow
    assert shadow is not None
    for number in range(4):
        await product(number)
    await happens(lambda: db.limit.held)
    assert (db.limit.held, len(db.limit), shadow.report().left_out) == (2, 0, 2)
    assert await asyncio.gather(product(10), product(11)) == [10, 11]
    taken = [db.limit.take(), db.limit.take()]
    waiting = db.limit.ask(lambda: True)
    await product(0)
    assert shadow.report().left_out == 3
    go_on.set()
    await happens(lambda: shadow.report().compared == 2)
    for turn in (*taken, waiting):
        assert turn is not None
        db.limit.give_back(turn)
    await product(0)
    await happens(lambda: shadow.report().compared == 3)
    await cache.aclose()


async def test_what_is_not_to_be_stored_says_nothing_of_the_key(server: Server, namespace: str) -> None:
    """A comparison, and a read of what is killed, leave nothing behind because they are to; that is no reason for
    others to load the key without a lease from then on (hit-for-miss)."""
    cache = Cache(server.url, namespace=namespace, deadline="5s")
    loads = 0

    @cache.read("product", Contract("60s"))
    async def product(number: int) -> int:
        nonlocal loads
        loads += 1
        if number == 2 and loads > 2:
            raise KeyError(number)
        return number

    endpoint = cache._host.endpoints["product"]
    await product(1)
    await product(2)
    cache.control.shadow("product", 100)
    await product(1)
    await product(2)
    assert endpoint.shadow is not None
    shadow = endpoint.shadow
    await happens(lambda: shadow.report().compared == 2)
    assert (shadow.report().same, dict(shadow.report().failed)) == (1, {"KeyError": 1})
    assert not endpoint.table.passing
    cache.control.reset()
    cache.control.kill("product")
    assert await product(1) == 1
    with pytest.raises(KeyError):
        await product(2)
    assert not endpoint.table.passing
    await cache.aclose()
