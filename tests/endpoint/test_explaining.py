"""`explain` says what a read would do, shows why, and changes nothing."""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import Callable
from typing import Any

import pytest

from cacheaside import Cache, Contract, Served, Tier, UsageError
from cacheaside.endpoint.seeing import host_of
from cacheaside.observe.explanation import Does, Explanation, TagState
from cacheaside.testing import Clock


class Shop:
    """One cache under a clock that stands still; what the source has is in `rows`."""

    def __init__(self, clock: Clock, **options: Any) -> None:
        self.clock = clock
        self.cache = Cache(namespace="shop", **options)
        self.cache._use_clock(clock.now)
        self.products = self.cache.tag("products", int)
        self.boards = self.cache.tag("boards", str)
        self.rows: dict[int, Any] = {}
        self.loads = 0

    def endpoint(self, contract: Contract, name: str = "product", **options: Any) -> Any:
        """An endpoint that reads `rows`."""

        def load(product_id: int) -> list[int] | None:
            self.loads += 1
            row = self.rows.get(product_id, [product_id])
            if isinstance(row, Exception):
                raise row
            return row  # type: ignore[no-any-return]

        options.setdefault("tags", lambda product_id: [self.products(product_id)])
        return self.cache.read(name, contract, **options)(load)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def shop(clock: Clock) -> Shop:
    return Shop(clock)


def states(seen: Explanation) -> dict[str, TagState]:
    """The state of each tag by its name, without the implicit ones."""
    return {one.name: one.state for one in seen.tags if one.role in ("declared", "value")}


def test_a_key_that_was_never_loaded(shop: Shop) -> None:
    """Nothing is held, the next read loads because of that, and explaining loads nothing."""
    product = shop.endpoint(Contract("60s"))
    seen = product.explain(42)
    assert (seen.l1.looked, seen.l1.held, seen.l1.why) == (True, False, "absent")
    assert seen.l2 is None
    assert (seen.next_read.does, seen.next_read.forward) == (Does.LOAD, "absent")
    assert seen.key == product.key(42)
    assert seen.arguments == {"product_id": "42"}
    assert shop.loads == 0


def test_a_fresh_value_and_what_is_left_of_it(shop: Shop, clock: Clock) -> None:
    """Age, the time until it is stale, the bound that applies and what is left of that, by the policy's own numbers."""
    product = shop.endpoint(Contract("60s", grace="5m", jitter=0))
    product(42)
    clock.advance(20)
    seen = product.explain(42)
    assert (seen.l1.held, seen.l1.kind, seen.l1.freshness) == (True, "value", "fresh")
    assert seen.l1.age_s == pytest.approx(20, abs=0.01)
    assert seen.l1.fresh_left_s == pytest.approx(40, abs=0.01)
    assert (seen.l1.bound_s, seen.l1.bound_left_s) == (360, pytest.approx(340, abs=0.01))
    assert seen.next_read.does is Does.SERVE
    assert (seen.next_read.served, seen.next_read.tier) == (Served.FRESH, Tier.L1)
    assert states(seen) == {"products(42)": TagState.CURRENT}


def test_a_stale_value_is_served_and_refreshed(shop: Shop, clock: Clock) -> None:
    """Past its ttl and within grace the next read serves it with one load behind; past both it loads."""
    product = shop.endpoint(Contract("60s", grace="5m"))
    product(42)
    clock.advance(90)
    seen = product.explain(42)
    assert (seen.l1.freshness, seen.next_read.does, seen.next_read.served) == (
        "stale", Does.SERVE_AND_REFRESH, Served.GRACE,
    )  # fmt: skip
    assert (seen.l1.fresh_left_s or 0) < 0
    clock.advance(300)
    seen = product.explain(42)
    assert (seen.l1.freshness, seen.next_read.does, seen.next_read.forward) == (
        "expired",
        Does.LOAD,
        "expired",
    )
    assert shop.loads == 1


def test_which_tag_put_it_out_of_date(shop: Shop) -> None:
    """Of several tags the one whose change dropped the entry is named, by family and argument."""
    product = shop.endpoint(
        Contract("60s"), value_tags=lambda value: [shop.boards("JFK"), shop.boards("LGA")]
    )
    product(42)
    shop.cache.blocking.invalidate(shop.boards("LGA"))
    seen = product.explain(42)
    assert (seen.l1.held, seen.l1.why) == (False, "invalidated")
    assert seen.l1.invalidated_by == shop.boards("LGA").id
    assert states(seen) == {"products(42)": TagState.UNKNOWN, "boards('LGA')": TagState.MOVED}
    assert (seen.next_read.does, seen.next_read.forward) == (Does.LOAD, "invalidated")
    assert "boards('LGA')" in str(seen)


@pytest.mark.parametrize("by", ["key", "tag", "everything"])
def test_an_outdated_value_that_may_be_served(shop: Shop, by: str) -> None:
    """Within stale_after_invalidation it is held still, and the cause is named: its own key, a tag, everything."""
    product = shop.endpoint(Contract("60s", stale_after_invalidation="30s"))
    product(42)
    told: dict[str, Callable[[], None]] = {
        "key": lambda: product.invalidate(42),
        "tag": lambda: shop.cache.blocking.invalidate(shop.products(42)),
        "everything": shop.cache.blocking.invalidate_all,
    }
    told[by]()
    seen = product.explain(42)
    expected = {"key": seen.key, "tag": shop.products(42).id, "everything": host_of(shop.cache).everything}[
        by
    ]
    assert (seen.l1.held, seen.l1.freshness, seen.l1.invalidated_by) == (True, "outdated", expected)
    assert [one.tag for one in seen.invalidated_by] == [expected]
    assert (seen.next_read.does, seen.next_read.served) == (Does.SERVE_AND_REFRESH, Served.OUTDATED)
    assert seen.l1.bound_s == 30


def test_an_absent_row_and_a_remembered_error(shop: Shop) -> None:
    """What is held in place of a value is told apart from one; the class of an error is named, not its words."""
    product = shop.endpoint(Contract("60s", absent_ttl="5s", error_ttl={KeyError: "5s"}))
    shop.rows = {1: None, 2: KeyError("a secret")}
    product.lookup(1)
    with pytest.raises(KeyError):
        product(2)
    assert product.explain(1).l1.kind == "no such row"
    seen = product.explain(2)
    assert (seen.l1.kind, seen.l1.error, seen.next_read.does) == ("error", "KeyError", Does.RAISE)
    assert "a secret" not in str(seen)
    assert "a secret" not in str(seen.as_dict())


def test_the_contract_and_the_switch_are_said(shop: Shop) -> None:
    """A strong endpoint loads because its contract says so; a disabled cache because it is off."""
    product, strong = shop.endpoint(Contract("60s")), shop.endpoint(Contract.never_stale(), name="strong")
    product(1)
    assert strong.explain(1).next_read.forward == "strong"
    shop.cache.disable()
    seen = product.explain(1)
    assert (seen.enabled, seen.next_read.does, seen.next_read.forward) == (False, Does.LOAD, "bypass")
    assert seen.l1.why == "the cache is switched off"


def test_a_write_under_way_is_named(shop: Shop) -> None:
    """Inside `changing` its tag has a writer, whose mark ends at a known time at the latest; after it there is none."""
    product = shop.endpoint(Contract("60s"))
    with shop.cache.changing(shop.products(42)):
        seen = product.explain(42)
        (tag,) = [one for one in seen.tags if one.role == "declared"]
        assert tag.writer is True
        assert tag.writer_ends_in_s == pytest.approx(30, abs=0.5)
        assert "a write of products(42) is under way" in str(seen)
    (tag,) = [one for one in product.explain(42).tags if one.role == "declared"]
    assert tag.writer is False


def test_a_load_under_way_here_is_joined(shop: Shop) -> None:
    """While a thread loads the key, the next read would wait for it, and who waits is counted."""
    begun, may_end = threading.Event(), threading.Event()

    @shop.cache.read("slow", Contract("60s"))
    def slow(key: int) -> int:
        begun.set()
        assert may_end.wait(20)
        return key

    reader = threading.Thread(target=slow, args=(1,))
    reader.start()
    try:
        assert begun.wait(20)
        seen = slow.explain(1)  # type: ignore[attr-defined]
        assert (seen.load.here, seen.load.waiting) == (True, 1)
        assert seen.source is not None
        assert (seen.source.name, seen.source.held, seen.source.waiting) == ("inline", 1, 0)
        assert "inline: 1 of 1024 loads under way" in str(seen)
        assert (seen.next_read.does, seen.next_read.forward) == (Does.JOIN, "absent")
        assert slow.explain(2).next_read.does is Does.LOAD  # type: ignore[attr-defined]
    finally:
        may_end.set()
        reader.join()
    assert slow.explain(1).load.here is False  # type: ignore[attr-defined]


def test_a_failed_refresh_is_named(shop: Shop, clock: Clock) -> None:
    """While an older value is served because the source fails, the class of the failure is said."""
    product = shop.endpoint(Contract("60s", grace="5m"))
    product(1)
    clock.advance(70)
    shop.rows[1] = ConnectionError("postgres://secret")
    product(1)
    host = host_of(shop.cache)
    for _ in range(2000):
        if host.l1.refresh_delayed(host.facades["product"].told("explain", (1,), {})):
            break
        threading.Event().wait(0.005)
    seen = product.explain(1)
    assert seen.load.delayed_by == "ConnectionError"
    assert (seen.next_read.does, seen.next_read.error) == (Does.SERVE, "ConnectionError")
    assert "secret" not in str(seen)


def _inside(cache: Cache) -> Any:
    """All that a read could have changed: counters, hits and positions of entries, what is remembered of keys."""
    host = host_of(cache)
    tables = [endpoint.table for endpoint in host.endpoints.values()]
    return (
        cache.stats(),
        [
            (slot, id(e), e.hits, e.until, e.charge, id(e.before), id(e.after))
            for table in tables
            for slot, e in table.entries.items()
        ],
        [(dict(t.gone), dict(t.retries), dict(t.likely), t.hits) for t in tables],
        (host.l1.log.number, len(host.ports.flights), len(host.blocking_ports.flights)),
        [(source.limit.holders, len(source.limit)) for source in (host.default_source,)],
    )


@pytest.mark.parametrize(
    "contract",
    [
        Contract("60s", grace="5m", early_refresh=2.0),
        Contract("60s", stale_after_invalidation="50s", absent_ttl="20s"),
        Contract("60s", error_ttl={ValueError: "30s"}),
        Contract.never_stale(),
    ],
)
def test_it_agrees_with_the_read_that_follows_and_changes_nothing(
    shop: Shop, clock: Clock, contract: Contract, seed: int
) -> None:
    """Over a thousand steps at random: what is explained is what the next `lookup` then does, and explaining left every
    counter, entry and position as it was."""
    rng = random.Random(seed)
    product = shop.endpoint(contract)
    for _ in range(1000):
        key = rng.randrange(4)
        match rng.randrange(5):
            case 0:
                clock.advance(rng.choice([0.5, 11, 37, 61, 200]))
            case 1:
                shop.cache.blocking.invalidate(shop.products(key))
            case 2:
                shop.rows[key] = rng.choice([[rng.random()], None, ValueError()])
            case 3:
                product.invalidate(key)
            case _:
                before = _inside(shop.cache)
                seen = product.explain(key)
                assert _inside(shop.cache) == before
                loads = shop.loads
                try:
                    got = product.lookup(key)
                except ValueError:
                    if seen.next_read.does is Does.RAISE:
                        assert shop.loads == loads
                    else:
                        assert seen.next_read.does is Does.LOAD
                    continue
                _until_quiet(shop)
                read = seen.next_read
                if read.does is Does.LOAD:
                    assert (got.served, got.forward) == (Served.LOADED, read.forward)
                else:
                    assert (got.served, got.tier, got.bound_s) == (read.served, read.tier, read.bound_s)
                    assert got.refreshing == (read.does is Does.SERVE_AND_REFRESH)


def _until_quiet(shop: Shop) -> None:
    """Return when no refresh is under way behind."""
    flights = host_of(shop.cache).blocking_ports.flights
    for _ in range(4000):
        if not len(flights):
            return
        threading.Event().wait(0.001)
    raise AssertionError("a refresh did not end")


def test_cache_explain_takes_the_name_of_an_endpoint(shop: Shop) -> None:
    """`cache.explain` and `cache.blocking.explain` say the same; a wrong name lists those there are."""
    product = shop.endpoint(Contract("60s"))
    product(42)
    own = product.explain(42).as_dict()
    assert shop.cache.blocking.explain("product", 42).as_dict() == own
    assert asyncio.run(shop.cache.explain("product", product_id=42)).as_dict() == own
    with pytest.raises(UsageError, match="no endpoint 'produkt'; known are product"):
        shop.cache.blocking.explain("produkt", 42)
    with pytest.raises(UsageError, match="declared int"):
        product.explain("42")


def test_a_method_is_explained_on_its_instance(shop: Shop) -> None:
    """`service.product.explain(42)` is about the key that the instance's own call has."""

    class Service:
        tenant = "t1"

        @shop.cache.read("of-service", Contract("60s"), vary=lambda self: self.tenant)
        def product(self, product_id: int) -> int:
            return product_id

    service = Service()
    service.product(42)
    assert service.product.explain(42).l1.held
    service.tenant = "t2"
    assert not service.product.explain(42).l1.held


async def test_an_async_endpoint_is_awaited(shop: Shop) -> None:
    """`await product.explain(42)` of an `async def`."""

    @shop.cache.read("awaited", Contract("60s"))
    async def awaited(key: int) -> int:
        return key

    await awaited(1)
    assert (await awaited.explain(1)).next_read.does is Does.SERVE


@pytest.mark.parametrize("killed_before", [True, False])
def test_what_is_killed_joins_only_who_asks_the_source(shop: Shop, killed_before: bool) -> None:
    """A read of a killed endpoint shares the load of another such read, and none that may land with what is stored: so
    it is explained, and so it is read."""
    seen: list[Explanation] = []

    @shop.cache.read("product", Contract("60s"))
    def product(key: int) -> int:
        shop.cache.control.kill("product")
        seen.append(product.explain(key))  # type: ignore[attr-defined]
        return key

    if killed_before:
        shop.cache.control.kill("product")
    product(42)
    assert seen[0].next_read.does is (Does.JOIN if killed_before else Does.LOAD)
    assert seen[0].load.here
