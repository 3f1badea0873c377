"""Kill switch, ramp and overrides of one process, in both colours."""

from __future__ import annotations

import asyncio
import re
import threading
from typing import Any

import pytest

from cacheaside import Cache, Contract, Forward, Served
from cacheaside.errors import DeclarationError, UsageError
from tests.control.conftest import happens
from tests.endpoint.world import World

MINUTE = Contract("60s", jitter=0)


class Rows:
    """A source that counts, and changes when it is told to."""

    def __init__(self) -> None:
        self.loads: list[int] = []
        self.version = 0

    def load(self, number: int) -> int:
        self.loads.append(number)
        return self.version


def product_of(world: World, rows: Rows, contract: Contract = MINUTE, name: str = "product") -> Any:
    def product(number: int) -> int:
        return rows.load(number)

    return world.read(name, contract)(product)


async def test_a_killed_endpoint_is_read_from_the_source_until_it_is_reset(world: World) -> None:
    """Nothing stored is served, from the moment `kill` has returned; what is still valid is served after `reset`."""
    rows = Rows()
    product = product_of(world, rows)
    assert [await world.do(product, 1), await world.do(product, 1)] == [0, 0]
    assert len(rows.loads) == 1
    rows.version = 1
    world.cache.control.kill("product")
    assert [await world.do(product, 1), await world.do(product, 1)] == [1, 1]
    found = await world.do(product.lookup, 1)
    assert (found.forward, found.stored) == (Forward.BYPASS, False)
    assert len(rows.loads) == 4
    world.cache.control.reset("product")
    assert await world.do(product, 1) == 0  # within its ttl, and nobody told of a change
    assert len(rows.loads) == 4


async def test_what_is_invalidated_while_it_is_killed_is_not_served_after(world: World) -> None:
    """Invalidations go out, and are heard, as ever."""
    rows = Rows()
    product = product_of(world, rows)
    await world.do(product, 1)
    world.cache.control.kill("product")
    rows.version = 1
    await world.do(product.invalidate, 1)
    world.cache.control.reset("product")
    assert await world.do(product, 1) == 1


async def test_the_whole_cache_can_be_killed_and_one_endpoint_spared(world: World) -> None:
    """Without a name it is all endpoints, those declared later too; other endpoints go on when one is named."""
    rows = Rows()
    first, second = product_of(world, rows), product_of(world, rows, name="stock")
    for one in (first, second):
        await world.do(one, 1)
    world.cache.control.kill("product")
    assert (await world.do(first.lookup, 1)).forward is Forward.BYPASS
    assert (await world.do(second.lookup, 1)).served is Served.FRESH
    world.cache.control.kill()
    assert (await world.do(second.lookup, 1)).forward is Forward.BYPASS
    later = product_of(world, rows, name="later")
    assert (await world.do(later.lookup, 1)).forward is Forward.BYPASS
    world.cache.control.reset()
    assert (await world.do(second.lookup, 1)).served is Served.FRESH


async def test_get_or_load_is_killed_too(world: World) -> None:
    """Reads without a decorator are endpoints like any other to the switch of the whole cache."""
    rows = Rows()

    def load() -> int:
        return rows.load(1)

    await world.get_or_load("a", world.coloured(load), MINUTE)
    world.cache.control.kill()
    await world.get_or_load("a", world.coloured(load), MINUTE)
    assert len(rows.loads) == 2


async def test_many_callers_of_a_killed_key_share_one_load() -> None:
    """The switch turns no herd loose: single flight is kept."""
    cache = Cache(namespace="shop")
    loads, entered, go = 0, asyncio.Event(), asyncio.Event()

    @cache.read("product", MINUTE)
    async def product(number: int) -> int:
        nonlocal loads
        loads += 1
        entered.set()
        await go.wait()
        return number

    cache.control.kill("product")
    readers = [asyncio.create_task(product(1)) for _ in range(50)]
    await entered.wait()
    await asyncio.sleep(0)
    go.set()
    assert await asyncio.gather(*readers) == [1] * 50
    assert loads == 1
    await cache.aclose()


async def test_a_read_after_kill_waits_for_no_load_from_before() -> None:
    """A load that began before may end with what another process has stored: who comes after the switch has its own."""
    cache = Cache(namespace="shop")
    loads, entered, go = 0, asyncio.Event(), asyncio.Event()

    @cache.read("product", MINUTE)
    async def product(number: int) -> int:
        nonlocal loads
        loads += 1
        mine = loads
        if mine == 1:
            entered.set()
            await go.wait()
        return mine

    before = asyncio.create_task(product(1))
    await entered.wait()
    cache.control.kill("product")
    assert await product(1) == 2
    go.set()
    assert await before == 1
    await cache.aclose()


async def test_a_killed_endpoint_keeps_to_the_limit_of_its_source(world: World) -> None:
    """Loads after `kill` pass the source's limit as all others do."""
    running, most, lock = 0, 0, threading.Lock()
    cache = world.cache

    class Resource:
        def __enter__(self) -> None:
            nonlocal running, most
            with lock:
                running += 1
                most = max(most, running)

        def __exit__(self, *exc: object) -> None:
            nonlocal running
            with lock:
                running -= 1

    source = cache.source("db", open=Resource, limit=2)

    def product(_resource: None, number: int) -> int:
        return number

    read = cache.read("product", MINUTE, source=source)(world.coloured(product))
    cache.control.kill("product")
    if world.is_async:
        await asyncio.gather(*[read(number) for number in range(20)])
    else:
        threads = [threading.Thread(target=read, args=(number,)) for number in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            await asyncio.to_thread(thread.join, 10)
    assert 0 < most <= 2


async def test_a_ramp_caches_its_share_of_the_keys_and_no_other(world: World) -> None:
    """At 25 % a quarter of the keys is served from the cache, the same at every read; all others are loaded."""
    rows = Rows()
    product = product_of(world, rows)
    world.cache.control.ramp("product", 25)
    inside = set()
    for number in range(400):
        await world.do(product, number)
        if (await world.do(product.lookup, number)).forward is not Forward.BYPASS:
            inside.add(number)
    assert 60 < len(inside) < 140
    world.cache.control.ramp("product", 50)
    for number in inside:
        assert (await world.do(product.lookup, number)).served is Served.FRESH  # held all the while
    world.cache.control.ramp("product", 0)
    assert (await world.do(product.lookup, min(inside))).forward is Forward.BYPASS
    world.cache.control.ramp("product", 100)
    assert (await world.do(product.lookup, min(inside))).served is Served.FRESH


async def test_many_keys_under_a_ramp_are_one_batch(world: World) -> None:
    """Keys outside the ramp are loaded together with those that the cache misses, through the batch loader."""
    batches: list[list[int]] = []
    product = product_of(world, Rows())

    def load_many(numbers: list[int]) -> list[int]:
        batches.append(list(numbers))
        return [0 for _ in numbers]

    product.batch(world.coloured(load_many))
    world.cache.control.ramp("product", 50)
    keys = list(range(40))
    assert await world.do(product.many, keys) == [0] * 40
    assert [sorted(batch) for batch in batches] == [keys]
    await world.do(product.many, keys)
    assert len(batches) == 2
    assert 5 < len(batches[1]) < 35
    inside = set(keys) - set(batches[1])
    assert {number for number in keys if (await world.do(product.lookup, number)).hit} == inside


async def test_many_keys_of_a_killed_endpoint_come_from_the_source(world: World) -> None:
    """What is held is not served by `many` either, and reads are counted by their reason."""
    rows = Rows()
    product = product_of(world, rows)
    await world.do(product.many, [1, 2, 3])
    rows.version = 1
    world.cache.control.kill("product")
    assert await world.do(product.many, [1, 2, 3, 2]) == [1, 1, 1, 1]
    assert world.cache.stats().endpoints["product"].misses["bypass"] == 3


async def test_an_override_judges_what_is_held_at_once(world: World) -> None:
    """A shorter ttl counts for entries that are there already, and for their hits on the fast path."""
    rows = Rows()
    product = product_of(world, rows)
    await world.do(product, 1)
    world.t += 10
    await world.do(product, 1)
    assert len(rows.loads) == 1
    world.cache.control.override("product", ttl="5s", for_="10m")
    rows.version = 1
    assert await world.do(product, 1) == 1
    assert (await world.do(product.lookup, 1)).bound_s == 5.0


async def test_an_override_ends_by_itself(world: World) -> None:
    """After its time the declared contract counts again; no call is needed for that."""
    rows = Rows()
    product = product_of(world, rows)
    world.cache.control.override("product", ttl="5s", for_="10s")
    await world.do(product, 1)
    world.t += 7
    await world.do(product, 1)
    assert len(rows.loads) == 2
    world.t += 4
    await happens(lambda: product.endpoint.terms.ttl_s == 60.0)  # the thread looks, by the clock of the cache
    world.t += 20
    await world.do(product, 1)
    assert len(rows.loads) == 2
    assert not world.cache.control.state().endpoints["product"].is_changed


def test_a_review_of_contracts_shows_what_was_declared() -> None:
    """An override is no declaration."""
    cache = Cache(namespace="shop")

    @cache.read("product", MINUTE)
    def product(number: int) -> int:
        return number

    cache.control.override("product", ttl="5s", for_="10m")
    assert cache.contracts()[0].ttl_s == 60.0
    cache.close()


async def test_a_call_with_options_of_its_own_is_overridden_too(world: World) -> None:
    """An override counts over `using`; where the two contradict each other the call is as it was written."""
    rows = Rows()
    product = product_of(world, rows, Contract("60s", grace="5m", jitter=0))
    await world.do(product, 1)
    world.t += 10
    world.cache.control.override("product", ttl="5s", grace=0, for_="10m")
    assert (await world.do(product.using(ttl="1h").lookup, 1)).forward is Forward.EXPIRED
    world.cache.control.override("product", grace="1h", for_="10m")
    found = await world.do(product.using(consistency="strong", grace=0).lookup, 1)
    assert found.forward is Forward.STRONG


def test_an_override_is_refused_that_contradicts_the_contract() -> None:
    """What `Contract` would refuse is refused, with the endpoint's name, and nothing is changed."""
    cache = Cache(namespace="shop")

    @cache.read("product", Contract("60s"))
    def product(number: int) -> int:
        return number

    @cache.read("seat", Contract.never_stale())
    def seat(number: int) -> int:
        return number

    control = cache.control
    for changes, named in [
        ({"stale_after_invalidation": "10m"}, "stale_after_invalidation"),
        ({"ttl": 0}, "ttl"),
        ({"tll": "5s"}, "tll"),
        ({"error_ttl": {}}, "error_ttl"),
        ({"store": lambda value: True}, "store"),
        ({}, "names options"),
    ]:
        with pytest.raises(DeclarationError, match="product") as raised:
            control.override("product", for_="1m", **changes)  # type: ignore[arg-type]
        assert named in str(raised.value)
    with pytest.raises(DeclarationError, match=r'for_="10m"'):
        control.override("product", ttl="5s")
    with pytest.raises(DeclarationError, match="30 days"):
        control.override("product", ttl="5s", for_="31d")
    with pytest.raises(DeclarationError, match="does not loosen"):
        control.override("seat", consistency="bounded", for_="1m")
    with pytest.raises(DeclarationError, match="does not loosen"):
        control.override("seat", store=True, for_="1m")
    with pytest.raises(UsageError, match="name the endpoint"):
        control.override("*", ttl="5s", for_="1m")
    assert not any(one.is_changed for one in control.state().endpoints.values())
    assert product.endpoint.terms.ttl_s == 60.0  # type: ignore[attr-defined]
    cache.close()


def test_an_unknown_endpoint_is_an_error_that_names_the_known() -> None:
    """Whoever misspells a name at night is told which there are."""
    cache = Cache(namespace="shop")
    with pytest.raises(UsageError, match="none yet"):
        cache.control.kill("product")

    @cache.read("product", MINUTE)
    def product(number: int) -> int:
        return number

    for wrong in (lambda: cache.control.kill("produkt"), lambda: cache.control.ramp("produkt", 5)):
        with pytest.raises(UsageError, match="there are product"):
            wrong()
    for percent in (-1, 101, True, "5", float("nan")):
        with pytest.raises(DeclarationError, match="0 to 100"):
            cache.control.ramp("product", percent)  # type: ignore[arg-type]
    cache.close()


def test_the_state_says_what_is_changed_and_until_when() -> None:
    """`state()` is plain data, and its text fits a terminal at night."""
    cache = Cache(namespace="shop")

    @cache.read("product", MINUTE)
    def product(number: int) -> int:
        return number

    cache.control.ramp("product", 25, for_="10m")
    cache.control.kill("product")
    cache.control.reset("product", "kill")
    found = cache.control.state()
    one = found.endpoints["product"]
    assert (one.killed, one.ramp, one.said_by) == (False, 25.0, {"ramp": "code"})
    assert 590 < one.ends_in_s["ramp"] <= 600
    assert "product: ramp 25 % (by the code, ends in" in str(found)
    assert re.search(r"ends in (10m|9m\d+s)\)", str(found))  # a duration as contracts write it, not 599 s
    assert found.as_dict()["endpoints"]["product"]["ramp"] == 25.0
    cache.close()


def test_each_change_is_a_line_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """What was changed, by whom, and when it was taken back; once each, and nothing where nothing is changed."""
    cache = Cache(namespace="shop")

    @cache.read("product", MINUTE)
    def product(number: int) -> int:
        return number

    with caplog.at_level("INFO", logger="cacheaside"):
        product(1)
        cache.control.kill("product")
        cache.control.kill("product")
        cache.control.reset()
    assert [one.getMessage() for one in caplog.records] == [
        "cache shop: control: product: KILLED (by the code)",
        "cache shop: control: product: as declared",
    ]
    cache.close()


def test_endpoints_made_on_the_spot_meet_changes_without_waiting_for_each_other() -> None:
    """`get_or_load` registers what it makes under the lock of the cache, and changes are laid on all there is: neither
    waits for the other while the other waits for it."""
    cache = Cache(namespace="shop")
    stop = threading.Event()

    def change() -> None:
        while not stop.is_set():
            cache.control.kill()
            cache.control.state()
            cache.control.reset()

    def load() -> None:
        for number in range(100):
            cache.blocking.get_or_load(number, lambda: 1, Contract(60 + number), type=int)
        stop.set()

    threads = [threading.Thread(target=target, daemon=True) for target in (change, load)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert not any(thread.is_alive() for thread in threads), "each waits for the other"
    assert len(cache.control.state().endpoints) == 100
    cache.close()


def test_changing_while_threads_read_is_safe(seed: int) -> None:
    """However changes and reads meet, each read sees one state whole: after `kill` has returned no read that begins
    later is served from the cache, and after `reset` none is kept from it."""
    cache = Cache(namespace="shop")

    @cache.read("product", Contract("1h"))
    def product(number: int) -> int:
        return number

    stop, wrong, reads = threading.Event(), [], 0
    epoch = [0, False]  # changed before and after each switch: a read in between may see either
    errors: list[BaseException] = []

    def read() -> None:
        nonlocal reads
        try:
            while not stop.is_set():
                before = tuple(epoch)
                found = product.lookup(1)
                if tuple(epoch) == before and before[0] % 2 == 0:
                    reads += 1
                    if (found.forward is Forward.BYPASS) is not before[1]:
                        wrong.append((before, found))
        except BaseException as error:  # noqa: BLE001
            errors.append(error)

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for number in range(300):
        epoch[0] += 1
        (cache.control.kill if number % 2 == 0 else cache.control.reset)("product")
        epoch[1] = number % 2 == 0
        epoch[0] += 1
        threading.Event().wait(0.001)
    stop.set()
    for thread in threads:
        thread.join(10)
    assert not errors
    assert not wrong
    assert reads
    cache.close()
