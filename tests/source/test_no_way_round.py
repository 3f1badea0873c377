"""Every way to the source goes through its limit: where it is reached, each of them is refused."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

import pytest

from cacheaside import Admission, Cache, Contract, Overloaded, Served
from cacheaside.source.limit import Turn
from cacheaside.testing import Clock

TTL = Contract("60s")


class Shop:
    """A cache whose source has one turn, which is taken, and no queue."""

    def __init__(self) -> None:
        self.cache = Cache(namespace="round")
        self.db = self.cache.source(
            "db", open=contextlib.nullcontext, limit=Admission(1, queue_max=0, adaptive=False)
        )
        self.loads = 0
        for source in (self.db, self.cache._host.default_source):
            source.limit.queue_max = 0

        @self.cache.read("row", TTL, source=self.db)
        def row(resource: None, key: int) -> int:
            self.loads += 1
            return key

        @self.cache.read("arow", TTL, source=self.db)
        async def arow(resource: None, key: int) -> int:
            self.loads += 1
            return key

        @arow.batch
        async def arows(resource: None, keys: list[int]) -> list[int]:
            self.loads += 1
            return keys

        @self.cache.read("outer", TTL)
        def outer(key: int) -> int:
            return row(key)

        self.row: Any = row
        self.arow: Any = arow
        self.outer: Any = outer

    def take_all(self) -> list[tuple[Any, Turn]]:
        taken = []
        for source in (self.db, self.cache._host.default_source):
            while (turn := source.limit.take()) is not None:
                taken.append((source, turn))
        return taken


@pytest.fixture
def shop() -> Shop:
    return Shop()


WAYS: dict[str, Callable[[Shop], Any]] = {
    "a read": lambda s: s.row(1),
    "lookup": lambda s: s.row.lookup(1),
    "strong": lambda s: s.row.strong(1),
    "strong terms": lambda s: s.row.using(consistency="strong")(1),
    "not stored": lambda s: s.row.using(store=False)(1),
    "high priority": lambda s: s.row.using(priority="high")(1),
    "refresh": lambda s: s.row.refresh(1),
    "many": lambda s: s.row.many([1, 2]),
    "inline": lambda s: s.cache.blocking.get_or_load("key", lambda: 1, TTL),
}
AWAITED: dict[str, Callable[[Shop], Any]] = {
    "a read": lambda s: s.arow(1),
    "strong": lambda s: s.arow.strong(1),
    "refresh": lambda s: s.arow.refresh(1),
    "many, batched": lambda s: s.arow.many([1, 2, 3]),
    "inline": lambda s: s.cache.get_or_load("key", lambda: 1, TTL),
}


@pytest.mark.parametrize(
    "state", ["enabled", "disabled", "disabled, nothing shared", "after a purge", "cleared"]
)
@pytest.mark.parametrize("way", WAYS)
def test_nothing_on_a_thread_goes_round_the_limit(shop: Shop, way: str, state: str) -> None:
    """Whatever is asked, whatever the state of the cache: no load begins without a turn."""
    in_state(shop, state)
    if state == "after a purge":
        shop.row.purge(1)
    taken, before = shop.take_all(), shop.loads
    with pytest.raises(Overloaded):
        WAYS[way](shop)
    assert shop.loads == before
    for source, turn in taken:
        source.limit.give_back(turn)
    WAYS[way](shop)


@pytest.mark.parametrize("state", ["enabled", "disabled", "disabled, nothing shared", "cleared"])
@pytest.mark.parametrize("way", AWAITED)
async def test_nothing_on_a_loop_goes_round_the_limit(shop: Shop, way: str, state: str) -> None:
    """The same, awaited."""
    in_state(shop, state)
    taken, before = shop.take_all(), shop.loads
    with pytest.raises(Overloaded):
        await AWAITED[way](shop)
    assert shop.loads == before
    for source, turn in taken:
        source.limit.give_back(turn)
    await AWAITED[way](shop)


def in_state(shop: Shop, state: str) -> None:
    if state.startswith("disabled"):
        shop.cache.disable(share_loads=state == "disabled")
    elif state == "cleared":
        shop.cache.clear()


def test_a_load_inside_a_load_does_not_go_round_it(shop: Shop) -> None:
    """An inner load of another source takes a turn of that, or is refused; the outer read gets its error."""
    turn = shop.db.limit.take()
    assert turn is not None
    with pytest.raises(Overloaded, match=r"\(inside the load of outer\)"):
        shop.outer(1)
    assert shop.loads == 0
    shop.db.limit.give_back(turn)


def test_what_is_held_is_served_within_its_contract(shop: Shop) -> None:
    """Past the limit a value within grace is served; without grace the read is refused, with a time to come again."""
    clock = Clock()
    with clock.use(shop.cache):
        graceful = shop.row.using(grace="5m")
        assert graceful(1) == 1
        clock.advance("2m")
        shop.take_all()
        assert graceful.lookup(1).served is Served.GRACE
        with pytest.raises(Overloaded) as refused:
            shop.row(1)
        assert refused.value.retry_after_s > 0


async def test_who_would_rather_fail_is_not_served_late(shop: Shop) -> None:
    """Under on_overload="fail" a value past its ttl is not served while there is no room for its refresh."""
    clock = Clock()
    with clock.use(shop.cache):
        failing = shop.arow.using(grace="5m", on_overload="fail")
        assert await failing(1) == 1
        clock.advance("2m")
        taken = shop.take_all()
        with pytest.raises(Overloaded):
            await soon_raises(failing)
        assert shop.db.limit.refused >= 1
        for source, turn in taken:
            source.limit.give_back(turn)
        assert (await failing.lookup(1)).refreshing  # there is room for it again


async def soon(condition: Callable[[], bool]) -> None:
    for _ in range(10_000):
        if condition():
            return
        await asyncio.sleep(0)
    raise AssertionError("it did not come true")


async def soon_raises(read: Any) -> None:
    """Read until the refusal of the refresh has been noted."""
    for _ in range(1_000):
        await read(1)
        await asyncio.sleep(0)


async def test_a_wait_in_vain_is_answered_by_what_landed_meanwhile(shop: Shop) -> None:
    """(1) a read waits for a turn (2) a strong read of the same key is served before it, and stored (3) the wait ends
    without a turn: the read has the value, fresh, instead of an error."""
    source = shop.cache.source("slow", open=contextlib.nullcontext, limit=1, timeout="400ms")

    @shop.cache.read("late", TTL, source=source)
    async def late(resource: None, key: int) -> int:
        return key

    running = source.limit.take()
    assert running is not None
    read = asyncio.create_task(late.lookup(1))
    await soon(lambda: len(source.limit) == 1)
    strong = asyncio.create_task(late.using(priority="high", consistency="strong")(1))
    await soon(lambda: len(source.limit) == 2)
    after = source.limit.ask(lambda: True, priority=0)
    source.limit.give_back(running)
    assert await strong == 1
    found = await read
    assert (found.value, found.served, found.source_error) == (1, Served.FRESH, "Overloaded")
    assert after.granted
    stats = shop.cache.stats()
    assert stats.sources["slow"].refused["normal"]["late"] == 1
    served = stats.endpoints["late"].served
    assert (served["loaded"], served["collapsed"], sum(served.values())) == (1, 1, 2)
    assert (
        stats.endpoints["late"].hits + stats.endpoints["late"].misses_total == stats.endpoints["late"].reads
    )
    source.limit.give_back(after)


async def test_refreshes_do_not_queue_and_repeats_draw_on_the_budget(shop: Shop) -> None:
    """With a full house no refresh behind readers takes a place in the queue, which is for first tries. A second load,
    for a reader whose first was overtaken by a write, is a repeat, and is refused once the budget is spent."""
    source = shop.cache.source("busy", open=contextlib.nullcontext, limit=Admission(1, queue_max=100))
    tags, load = shop.cache.tag("rows", int), asyncio.Event()

    @shop.cache.read("busy", Contract("60s", grace="1h"), source=source, tags=lambda key: [tags(key)])
    async def busy(resource: None, key: int) -> int:
        if key == 99:
            await load.wait()
        return key

    clock = Clock()
    with clock.use(shop.cache):
        for key in range(20):
            await busy(key)
        clock.advance("2m")
        leader = asyncio.create_task(busy(99))
        await soon(lambda: source.limit.holders == 1)
        joined = asyncio.create_task(busy(99))
        for _ in range(3):
            await asyncio.sleep(0)
        assert [await busy(key) for key in range(20)] == list(range(20))
        assert shop.cache.stats().endpoints["busy"].refreshes_paced == 20
        assert (len(source.limit), source.limit.refused) == (0, 0)
        firsts = [asyncio.create_task(busy(key)) for key in range(100, 120)]
        await soon(lambda: len(source.limit) == 20)
        while source.limit.budget.spend():
            pass
        await shop.cache.invalidate(tags(99))
        load.set()
        assert await asyncio.gather(leader, *firsts) == [99, *range(100, 120)]
        with pytest.raises(Overloaded, match="retry budget"):
            await joined


async def test_a_refusal_is_never_remembered() -> None:
    """It is of the moment, and of whoever was refused: remembered as an error of the key, what a warm-up was refused
    would be told to readers for whom there is room."""
    cache = Cache(namespace="refused")
    db = cache.source("db", open=contextlib.nullcontext, limit=Admission(1, queue_max=0, adaptive=False))
    failing = False

    @cache.read("row", Contract("60s", error_ttl={Exception: "30s"}), source=db)
    async def row(resource: None, key: int) -> int:
        if failing:
            raise KeyError(key)
        return key

    turn = db.limit.take()
    assert turn is not None
    with pytest.raises(Overloaded):
        await row.using(priority="low")(1)
    db.limit.give_back(turn)
    assert await row.using(priority="high")(1) == 1
    failing = True
    with pytest.raises(KeyError):
        await row(2)
    failing = False
    with pytest.raises(KeyError):
        await row(2)


async def test_a_batch_that_waits_in_vain_is_answered_by_what_landed_meanwhile(shop: Shop) -> None:
    """What holds for one read holds for each key of those that are loaded together."""
    source = shop.cache.source("slow", open=contextlib.nullcontext, limit=1, timeout="400ms")

    @shop.cache.read("late", TTL, source=source)
    async def late(resource: None, key: int) -> int:
        return key

    @late.batch
    async def lates(resource: None, keys: list[int]) -> list[int]:
        return keys

    running = source.limit.take()
    assert running is not None
    reads = asyncio.create_task(late.many([1, 2], return_exceptions=True))
    await soon(lambda: len(source.limit) == 1)
    strong = asyncio.create_task(late.using(priority="high", consistency="strong")(1))
    await soon(lambda: len(source.limit) == 2)
    after = source.limit.ask(lambda: True, priority=0)
    source.limit.give_back(running)
    assert await strong == 1
    one, two = await reads
    assert one == 1
    assert isinstance(two, Overloaded)
    source.limit.give_back(after)
