"""What keeps herds from the source, over real servers: how much is loaded, and who waits for it.

The same under virtual time, with what happens without each: `tests/sim/test_herds.py`.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import pytest

from cacheaside import Admission, Contract, Overloaded, Served
from cacheaside.policy.pacing import refreshes_at_once
from cacheaside.stores.redis.wire.names import lease_name
from tests.held import HeldLoads
from tests.live.service import Rows, Service, Start, ask, until

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from cacheaside.testing.servers import Server

WAITED = frozenset((Served.LOADED, Served.COLLAPSED))


class Loads:
    """A loader that takes a while, and says when each load began; by process."""

    def __init__(self, load_s: float) -> None:
        self.load_s = load_s
        self.began: list[tuple[int, float]] = []
        self.running: Counter[int] = Counter()
        self.at_once = 0

    def of(self, number: int) -> Callable[[int], Awaitable[int]]:
        """The loader of process `number`."""

        async def load(key: int) -> int:
            self.began.append((number, time.monotonic()))
            self.running[key] += 1
            self.at_once = max(self.at_once, self.running[key])
            try:
                await asyncio.sleep(self.load_s)
            finally:
                self.running[key] -= 1
            return key

        return load


async def _services(start: Start, server: Server, number: int, **options: Any) -> list[Service]:
    services = [start(server.url, **options) for _ in range(number)]
    for service in services:
        await service.ready()
    return services


async def _read_for(seconds: float, reads: list[Callable[[], Awaitable[Any]]]) -> list[Any]:
    """Every read again and again for so long; what they found."""
    found: list[Any] = []
    end = time.monotonic() + seconds

    async def reader(read: Callable[[], Awaitable[Any]]) -> None:
        while time.monotonic() < end:
            found.append(await read())
            await asyncio.sleep(0.002)

    await asyncio.gather(*(reader(read) for read in reads))
    return found


@pytest.mark.parametrize("l1_entries", [1000, 0], ids=["with-l1", "without-l1"])
async def test_a_hot_key_that_is_refreshed_early_never_expires(
    server: Server, processes: Start, l1_entries: int
) -> None:
    """Of four processes that read one key all the time, one refreshes it before it is stale, about once a ttl: of their
    reads fewer than one in a hundred waits for a load."""
    services = await _services(processes, server, 4, l1_entries=l1_entries)
    loads = Loads(0.1)
    contract = Contract("1500ms", early_refresh=1.0, jitter=0)
    hot = [one.cache.read("hot", contract)(loads.of(number)) for number, one in enumerate(services)]
    await hot[0](1)
    loads.began.clear()
    found = await _read_for(6.0, [lambda endpoint=endpoint: endpoint.lookup(1) for endpoint in hot])
    waited = sum(one.served in WAITED for one in found)
    print(
        f"{len(found)} reads, of which {waited} waited; loads by process: {Counter(n for n, _ in loads.began)}"
    )
    assert waited < len(found) / 100
    assert loads.at_once == 1
    assert 3 <= len(loads.began) <= 6.0 / 0.75 + 1


async def test_without_early_refresh_readers_wait(server: Server, processes: Start) -> None:
    """What the test above is about: without it, each end of a ttl is waited for in every process."""
    services = await _services(processes, server, 4)
    loads = Loads(0.1)
    contract = Contract("500ms", jitter=0)
    hot = [one.cache.read("hot", contract)(loads.of(number)) for number, one in enumerate(services)]
    await hot[0](1)
    found = await _read_for(2.0, [lambda endpoint=endpoint: endpoint.lookup(1) for endpoint in hot])
    assert sum(one.served in WAITED for one in found) >= 4
    assert loads.at_once == 1


async def test_what_is_not_stored_is_loaded_by_all_at_once(server: Server, processes: Start) -> None:
    """Once a value was found not to be stored, no process waits for another's load of it any more, also when the server
    has forgotten; until a value is stored."""
    services = await _services(processes, server, 2)
    rounds = [HeldLoads() for _ in range(4)]
    now: dict[int, HeldLoads] = {}

    def declare(number: int) -> Any:
        async def load(key: int) -> int:
            value: int = await now[number](key)
            return value

        return services[number].cache.read("draft", Contract("60s", store=lambda value: value > 0))(load)

    drafts = [declare(0), declare(1)]
    for number in (0, 1):
        now[number] = rounds[0]
        rounds[0].let_go(-1)
        assert await drafts[number](1) == -1
    await until(lambda: _gone(server, lease_name(drafts[0].key(1))))
    now[0], now[1] = rounds[1], rounds[2]
    one = asyncio.create_task(drafts[0](1))
    await rounds[1].until_began()
    other = asyncio.create_task(drafts[1](1))
    await rounds[2].until_began()  # while the first still loads
    rounds[1].let_go(-1)
    rounds[2].let_go(7)
    assert [await one, await other] == [-1, 7]
    now[0] = rounds[3]
    assert (await drafts[0].lookup(1)).hit
    assert rounds[3].began == 0
    for service, draft in zip(services, drafts, strict=True):
        await draft(1)
        assert not service.cache._host.l1.passes(service.cache._host.endpoints["draft"].call((1,)))


async def test_where_nothing_is_held_a_key_is_passed_until_this_process_stores_it(
    server: Server, processes: Start
) -> None:
    """What another process stored is fetched the short way, which tells nobody: with an L1 that holds nothing the key
    is loaded without a lease until a load here has left something."""
    services = await _services(processes, server, 2, l1_entries=0)
    values = [-1, 7]

    def declare(number: int) -> Any:
        async def load(key: int) -> int:
            return values[number]

        return services[number].cache.read("draft", Contract("60s", store=lambda value: value > 0))(load)

    drafts = [declare(0), declare(1)]
    l1, call = services[0].cache._host.l1, services[0].cache._host.endpoints["draft"].call((1,))
    assert [await draft(1) for draft in drafts] == [-1, 7]
    assert l1.passes(call)
    assert await drafts[0](1) == 7
    assert l1.passes(call)
    values[0] = 8
    await drafts[0].invalidate(1)
    assert await drafts[0](1) == 8
    assert not l1.passes(call)


async def _gone(server: Server, name: str) -> bool:
    return not await ask(server, "EXISTS", name)


@pytest.mark.parametrize("why", ["tag", "everything", "flush"])
async def test_refreshes_after_a_mass_invalidation_leave_room(
    server: Server, victim: Server, processes: Start, why: str
) -> None:
    """Keys that are invalidated together and may be served stale are all loaded again, at the pace that leaves a
    quarter of the source's turns to readers: nobody who may be served stale waits, nobody is refused, and who has
    nothing to be served waits for little more than a load."""
    used = victim if why == "flush" else server
    (service,) = await _services(processes, used, 1)
    cache, keys, limit, load_s = service.cache, 300, 4, 0.02
    source = cache.source("db", open=nullcontext, limit=limit)
    group = cache.tag("group")
    loads = Loads(load_s)
    contract = Contract("10m", stale_after_invalidation="10m", jitter=0)
    load = loads.of(0)

    @cache.read("many", contract, source=source, tags=[group()])
    async def many(_: None, key: int) -> int:
        return await load(key)

    @cache.read("new", Contract("10m"), source=source)
    async def new(_: None, key: int) -> int:
        return await load(-1 - key)

    await many.many(list(range(keys)))
    loads.began.clear()
    if why == "tag":
        await cache.invalidate(group())
    elif why == "everything":
        await cache.invalidate_all()
    else:
        await ask(used, "FLUSHALL")
        await until(lambda: _is(many, 0, Served.OUTDATED))
    waits: list[float] = []
    renewed: Counter[Served] = Counter()
    cold = iter(range(10_000))

    async def others() -> None:
        while True:
            began = time.monotonic()
            await new(next(cold))
            waits.append(time.monotonic() - began)
            await asyncio.sleep(0.02)

    side = asyncio.create_task(others())
    try:
        left = set(range(keys))
        async with asyncio.timeout(30):
            while left:
                for key in tuple(left):
                    found = await many.lookup(key)
                    renewed[found.served] += 1
                    if found.served is not Served.OUTDATED:
                        left.discard(key)
                await asyncio.sleep(0.005)
    finally:
        side.cancel()
    waits.sort()
    stats = cache.stats().endpoints
    print(f"{why}: {renewed}; others' waits: median {waits[len(waits) // 2]:.3f} s, most {waits[-1]:.3f} s")
    print(f"loads at once {source.limit.holders_peak}, refreshes at once {source.pace.peak}")
    assert set(renewed) == {Served.OUTDATED, Served.FRESH}
    assert source.limit.holders_peak <= limit
    assert source.pace.peak <= refreshes_at_once(limit)
    assert source.limit.refused == 0
    assert stats["many"].refreshes_failed == 0
    assert stats["many"].refreshes_paced > 0
    assert waits[len(waits) // 2] < 5 * load_s


async def _is(endpoint: Any, key: int, *served: Served) -> bool:
    return (await endpoint.lookup(key)).served in served


async def test_jitter_spreads_what_was_filled_together(server: Server, processes: Start) -> None:
    """Of 300 entries that were filled together some are stale, and loaded again, long before others; without jitter
    none is before its ttl, and then all are."""
    (service,) = await _services(processes, server, 1)
    early_s, ttl_s = 2.2, 3.0
    for jitter in (0.6, 0.0):
        loads = Loads(0.0)
        contract = Contract(ttl_s, jitter=jitter, grace="60s")
        many = service.cache.read(f"many{jitter}", contract)(loads.of(0))
        left = set(range(300))
        await many.many(list(left))
        loads.began.clear()
        stale_at: list[float] = []
        fresh_late: set[int] = set()
        async with asyncio.timeout(20):
            while left:
                for key in tuple(left):
                    found = await many.lookup(key)
                    if found.served is Served.GRACE:
                        left.discard(key)
                        stale_at.append(found.age_s)
                    elif found.age_s > early_s:
                        fresh_late.add(key)
                await asyncio.sleep(0.01)
        await until(lambda loads=loads: len(loads.began) >= 200)
        before = sum(at < early_s for at in stale_at)
        print(f"jitter {jitter}: {before} of 300 stale before {early_s} s, {len(fresh_late)} fresh after it")
        if jitter:
            assert before > 60
            assert len(fresh_late) > 30
        else:
            assert min(stale_at) >= ttl_s


async def test_a_missing_row_is_asked_for_once(server: Server, processes: Start) -> None:
    """With `absent_ttl`, three processes that ask for a missing row again and again load it once; else each time."""
    services = await _services(processes, server, 3)
    began: Counter[str] = Counter()
    for name, contract in (("no", Contract("60s")), ("yes", Contract("60s", absent_ttl="30s"))):

        async def load(key: int, name: str = name) -> int | None:
            began[name] += 1
            return None

        for service in services:

            async def row(key: int, load: Any = load) -> int | None:
                found: int | None = await load(key)
                return found

            endpoint = service.cache.read(name, contract, ignore=["load"])(row)
            for _ in range(10):
                assert await endpoint(1) is None
    assert began == {"no": 30, "yes": 1}


async def test_a_failing_source_is_asked_once_a_ttl(server: Server, processes: Start) -> None:
    """With `error_ttl` a process that reads a key whose load fails asks the source once, not once a read."""
    (service,) = await _services(processes, server, 1)
    rows = Rows()

    async def row(key: int) -> int:
        rows.loads.append(key)
        raise ConnectionError("away")

    remembered = service.cache.read("yes", Contract("60s", error_ttl={ConnectionError: "30s"}))(row)
    forgotten = service.cache.read("no", Contract("60s"))(row)
    for endpoint, loads in ((remembered, 1), (forgotten, 10)):
        rows.loads.clear()
        for _ in range(10):
            with pytest.raises(ConnectionError):
                await endpoint(1)
        assert len(rows.loads) == loads


def _with_resource(load: Callable[[int], Awaitable[int]]) -> Callable[[None, int], Awaitable[int]]:
    async def loaded(resource: None, key: int) -> int:
        return await load(key)

    return loaded


async def test_a_process_that_is_full_leaves_the_key_to_one_other(server: Server, processes: Start) -> None:
    """A load that its source's limit refused has shown nothing of the key: the lease goes to the next process, and not
    the key to all of them at once, which would load it once each from a source that is overloaded."""
    loads = Loads(0.3)
    services = await _services(processes, server, 4)
    reads = []
    for number, service in enumerate(services):
        source = service.cache.source("db", open=nullcontext, limit=Admission(1, queue_max=1, adaptive=False))
        read = service.cache.read("held", Contract("60s"), source=source)
        reads.append(read(_with_resource(loads.of(number))))
    full = services[0].cache._host.sources["db"].limit
    turn = full.take()
    assert turn is not None
    first = asyncio.create_task(reads[0](1))
    await until(lambda: len(full) == 1)
    others = [asyncio.create_task(read(1)) for read in reads[1:]]
    await until(lambda: all(len(one.cache._host.ports.flights) for one in services))
    await asyncio.sleep(0.1)  # they wait for the lease of the first
    assert not loads.began
    full.ask(lambda: True, priority=0)  # it sheds the first
    with pytest.raises(Overloaded):
        await first
    assert await asyncio.gather(*others) == [1, 1, 1]
    assert len(loads.began) == 1
