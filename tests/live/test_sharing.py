"""What one process loaded the others read, each from the tier that is nearest."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import msgspec

from cacheaside import Contract, Served, Tier
from tests.live.service import MINUTE, Rows, Service, Start, ask, stat, until

if TYPE_CHECKING:
    from cacheaside.testing.servers import Server


class Product(msgspec.Struct, frozen=True):
    key: int
    category: int


async def test_a_load_is_shared(server: Server, processes: Start, colour: str, rows: Rows) -> None:
    """What one process loaded another reads from the tier, and from then on from what it holds itself."""
    one, other = processes(server.url, colour=colour), processes(server.url, colour=colour)
    rows.values[1] = 10
    first = await one.lookup(1)
    assert (first.value, first.tier, first.served, first.stored) == (10, Tier.SOURCE, Served.LOADED, True)
    found = await other.lookup(1)
    assert (found.value, found.tier, found.served) == (10, Tier.L2, Served.FRESH)
    for service in (one, other):
        # Not yet while it hears of the first load's beginning, which gave the tags their generations.
        await until(lambda service=service: _is_held(service))
    held = await other.lookup(1)
    assert (held.value, held.tier, held.served) == (10, Tier.L1, Served.FRESH)
    assert rows.loads == [1]
    assert 0 <= first.age_s <= found.age_s <= held.age_s


async def _is_held(service: Service) -> bool:
    return (await service.lookup(1)).tier is Tier.L1


async def test_both_colours_share_what_a_process_holds(server: Server, processes: Start, rows: Rows) -> None:
    """In one process sync and async code have one L1, and an invalidation in either reaches it."""
    service = processes(server.url)
    with_threads = service.cache.tag("numbers", int)

    def tags(key: int) -> list[Any]:
        return [with_threads(key)]

    @service.cache.read("sync", MINUTE, tags=tags)
    def sync(key: int) -> int:
        return rows.load(key)

    @service.cache.read("awaited", MINUTE, tags=tags)
    async def awaited(key: int) -> int:
        return rows.load(key)

    threads = Service.__new__(Service)
    threads.is_async = False

    async def are_held() -> bool:
        return [(await threads.do(sync.lookup, 1)).tier, (await awaited.lookup(1)).tier] == [Tier.L1, Tier.L1]

    await until(are_held)
    assert rows.loads == [1, 1]
    rows.values[1] = 5
    await threads.do(service.cache.blocking.invalidate, with_threads(1))
    assert [await threads.do(sync, 1), await awaited(1)] == [5, 5]
    rows.values[1] = 6
    await service.cache.invalidate(with_threads(1))
    assert [await awaited(1), await threads.do(sync, 1)] == [6, 6]


async def test_without_an_l1(server: Server, processes: Start, colour: str, rows: Rows) -> None:
    """With l1_entries=0 nothing is held here, every hit is the tier's, and an invalidation is seen at once."""
    one = processes(server.url, colour=colour, l1_entries=0)
    other = processes(server.url, colour=colour, l1_entries=0)
    await one.get(1)
    assert [await other.get(1) for _ in range(3)] == [0, 0, 0]
    assert (await other.lookup(1)).tier is Tier.L2
    assert rows.loads == [1]
    await one.write(1, 7)
    assert await other.get(1) == 7
    assert rows.loads == [1, 1]
    assert other.cache.stats().entries == 0


async def test_tags_from_the_value(server: Server, processes: Start, colour: str) -> None:
    """A tag that only the value tells is found by another process, and its invalidation there is everyone's."""
    one, other = processes(server.url, colour=colour), processes(server.url, colour=colour)
    rows: dict[int, int] = {1: 100}
    loads: list[int] = []

    def declare(service: Service) -> tuple[Any, Any]:
        categories = service.cache.tag("categories", int)

        def load(key: int) -> Product:
            loads.append(key)
            return Product(key, rows[key])

        load.__annotations__ = {"key": int, "return": Product}
        read = service.read("detail", MINUTE, value_tags=lambda product: [categories(product.category)])
        return read(load), categories

    (first, categories), (second, others) = declare(one), declare(other)
    await one.ready()
    assert await one.do(first, 1) == Product(1, 100)
    # The first that names a tag gives it a generation, which is a change of it: the next knows it.
    await until(lambda: _is_shared(one, first, other, second))
    loads.clear()
    rows[1] = 200
    await one.invalidate(categories(100))
    found = await one.do(first, 1)
    assert found == Product(1, 200)
    await until(lambda: _answers(other, second, Product(1, 200)))
    rows[1] = 300
    await other.invalidate(others(200))
    await until(lambda: _answers(one, first, Product(1, 300)))
    assert loads == [1, 1, 1]


async def _is_shared(one: Service, first: Any, other: Service, second: Any) -> bool:
    await one.do(first, 1)
    return (await other.do(second.lookup, 1)).tier is not Tier.SOURCE


async def _answers(service: Service, endpoint: Any, value: Any) -> bool:
    return bool(await service.do(endpoint, 1) == value)


async def test_absent_rows(server: Server, processes: Start, colour: str) -> None:
    """That there is no such row is shared for absent_ttl, and not at all without one."""
    one, other = processes(server.url, colour=colour), processes(server.url, colour=colour)
    loads: list[str] = []

    def declare(service: Service, name: str, contract: Contract) -> Any:
        def load(key: int) -> int | None:
            loads.append(name)
            return None

        return service.read(name, contract)(load)

    kept = [declare(service, "kept", Contract("60s", absent_ttl="60s")) for service in (one, other)]
    unkept = [declare(service, "unkept", MINUTE) for service in (one, other)]
    assert [await one.do(kept[0], 1), await other.do(kept[1], 1), await other.do(kept[1], 1)] == [None] * 3
    assert loads == ["kept"]
    assert [await one.do(unkept[0], 1), await other.do(unkept[1], 1)] == [None] * 2
    assert loads == ["kept", "unkept", "unkept"]


async def test_grace_is_served_from_the_tier(server: Server, processes: Start, colour: str) -> None:
    """An entry past its ttl and within grace is served by a process that never held it, while it is refreshed."""
    contract = Contract("50ms", grace="60s", jitter=0)
    one = processes(server.url, colour=colour, contract=contract)
    other = processes(server.url, colour=colour, contract=contract)
    await one.write(1, 1)
    await one.get(1)
    one.rows.values[1] = 2

    past = time.monotonic() + 0.05
    await until(lambda: time.monotonic() > past)
    found = await other.lookup(1)
    assert (found.served, found.tier, found.value, found.refreshing) == (Served.GRACE, Tier.L2, 1, True)
    await until(lambda: _answers(other, other.product, 2))


async def test_stale_after_invalidation(server: Server, processes: Start, colour: str, rows: Rows) -> None:
    """Where the contract allows it, what was invalidated elsewhere is served, known to be so, while one refreshes."""
    contract = Contract("60s", stale_after_invalidation="60s")
    one = processes(server.url, colour=colour, contract=contract)
    other = processes(server.url, colour=colour, contract=contract)
    await one.get(1)
    await one.write(1, 1)
    found = await other.lookup(1)
    assert (found.served, found.tier, found.value) == (Served.OUTDATED, Tier.L2, 0)
    await until(lambda: _answers(other, other.product, 1))
    await until(lambda: _answers(one, one.product, 1))
    assert set(rows.loads) == {1}


async def test_many_are_one_round_trip(server: Server, processes: Start, colour: str, rows: Rows) -> None:
    """`many` asks the tier for all that is not held here with one MGET, and only for that."""
    one, other = processes(server.url, colour=colour), processes(server.url, colour=colour)
    keys = list(range(50))
    await one.do(one.product.many, keys)
    await other.ready()
    before = await _mgets(server)
    assert await other.do(other.product.many, keys) == [0] * 50
    assert await _mgets(server) == before + 1
    assert await other.do(other.product.many, keys) == [0] * 50
    assert await _mgets(server) == before + 1
    assert sorted(key for key in rows.loads if key >= 0) == keys


async def test_a_batch_is_filled_and_shared(server: Server, processes: Start, colour: str) -> None:
    """What a batch loader loaded for one process another finds in the tier, key by key."""
    one, other = processes(server.url, colour=colour), processes(server.url, colour=colour)
    asked: list[list[int]] = []

    def declare(service: Service) -> Any:
        def load(key: int) -> int:
            raise AssertionError("the batch loader is for many")

        number = service.read("number")(load)

        def batch(keys: list[int]) -> dict[int, int]:
            asked.append(list(keys))
            return {key: key * 10 for key in keys}

        async def awaited(keys: list[int]) -> dict[int, int]:
            return batch(keys)

        number.batch(awaited if service.is_async else batch)
        return number

    first, second = declare(one), declare(other)
    assert await one.do(first.many, [1, 2, 3]) == [10, 20, 30]
    assert await other.do(second.many, [2, 3, 4, 5]) == [20, 30, 40, 50]
    assert asked == [[1, 2, 3], [4, 5]]


async def test_without_a_decorator(server: Server, processes: Start, colour: str) -> None:
    """`get_or_load` shares by its key, and a tag given to it reaches every process."""
    one, other = processes(server.url, colour=colour), processes(server.url, colour=colour)
    loads: list[str] = []
    days = one.cache.tag("days", int), other.cache.tag("days", int)

    async def read(service: Service, tag: Any) -> Any:
        def load() -> list[str]:
            loads.append("report")
            return [f"report {len(loads)}"]

        async def awaited() -> list[str]:
            return load()

        cache = service.cache
        if service.is_async:
            return await cache.get_or_load(("report", 1), awaited, MINUTE, tags=[tag(1)])
        return await service.do(cache.blocking.get_or_load, ("report", 1), load, MINUTE, tags=[tag(1)])

    assert [await read(one, days[0]), await read(other, days[1])] == [["report 1"]] * 2
    await one.invalidate(days[0](1))
    assert await read(one, days[0]) == ["report 2"]

    async def is_new() -> bool:
        return bool(await read(other, days[1]) == ["report 2"])

    await until(is_new)
    assert len(loads) == 2


async def test_strong_reads(server: Server, processes: Start, colour: str, rows: Rows) -> None:
    """A strong read is the source's, whatever is held anywhere, and what it loaded is shared."""
    one, other = processes(server.url, colour=colour), processes(server.url, colour=colour)
    await one.get(1)
    await other.get(1)
    rows.values[1] = 3  # and nobody was told
    assert await other.do(other.product.strong, 1) == 3
    assert await other.get(1) == 3
    one.cache.clear()
    assert await one.get(1) == 3
    assert rows.loads == [1, 1]


async def test_refresh(server: Server, processes: Start, colour: str, rows: Rows) -> None:
    """`refresh` loads anew, and another process that holds nothing finds what it loaded."""
    one, other = processes(server.url, colour=colour), processes(server.url, colour=colour)
    await one.get(1)
    rows.values[1] = 4
    await one.do(one.product.refresh, 1)
    found = await other.lookup(1)
    assert (found.value, found.tier) == (4, Tier.L2)


async def test_reads_inside_loads(server: Server, processes: Start, colour: str, rows: Rows) -> None:
    """A page that is computed from a product in one process is out of date in all when the product changes."""
    pages: list[Any] = []
    for service in (one := processes(server.url, colour=colour), processes(server.url, colour=colour)):

        def declare(service: Service) -> Any:
            if service.is_async:

                async def awaited(key: int) -> int:
                    return 100 + int(await service.product(key))

                return service.read("page")(awaited)

            def page(key: int) -> int:
                return 100 + int(service.product(key))

            return service.read("page")(page)

        pages.append((service, declare(service)))
    (_, first), (other, second) = pages
    assert await one.do(first, 1) == 100
    found = await other.do(second.lookup, 1)
    assert (found.value, found.tier) == (100, Tier.L2)
    await one.write(1, 1)
    assert await one.do(first, 1) == 101
    await until(lambda: _answers(other, second, 101))
    assert rows.loads == [1, 1]


async def test_purge(server: Server, processes: Start, colour: str, rows: Rows) -> None:
    """`purge` removes the value itself from the tier, and from what every process holds."""
    one, other = processes(server.url, colour=colour), processes(server.url, colour=colour)
    await one.get(1)
    await other.get(1)
    key = one.product.key(1)
    assert await ask(server, "EXISTS", key) == 1
    await one.do(one.product.purge, 1)
    assert await ask(server, "EXISTS", key) == 0
    await until(lambda: not other.cache.stats().entries)
    assert one.cache.stats().entries == 0


async def test_an_endpoints_own_invalidation(
    server: Server, processes: Start, colour: str, rows: Rows
) -> None:
    """`product.invalidate(key)` puts that key out of date everywhere, and no other."""
    one, other = processes(server.url, colour=colour), processes(server.url, colour=colour)
    for key in (1, 2):
        await one.get(key)
        await other.get(key)
    rows.values.update({1: 5, 2: 5})
    await one.do(one.product.invalidate, 1)
    assert await one.get(1) == 5
    await until(lambda: _answers(other, other.product, 5))
    assert [await one.get(2), await other.get(2)] == [0, 0]


async def test_everything_at_once(server: Server, processes: Start, colour: str, rows: Rows) -> None:
    """`invalidate_all` puts the whole namespace out of date in every process, and no other namespace."""
    one, other = processes(server.url, colour=colour), processes(server.url, colour=colour)
    neighbour = processes(server.url, colour=colour, namespace=f"{one.cache.namespace}-too")
    for service in (one, other, neighbour):
        await service.get(1)
    rows.values[1] = 9
    cache = one.cache
    await one.do(cache.invalidate_all if one.is_async else cache.blocking.invalidate_all)
    assert await one.get(1) == 9
    await until(lambda: _answers(other, other.product, 9))
    assert await neighbour.get(1) == 0


async def _mgets(server: Server) -> int:
    said = await stat(server, "commandstats", "cmdstat_mget")
    return int(said.partition("calls=")[2].partition(",")[0] or 0)
