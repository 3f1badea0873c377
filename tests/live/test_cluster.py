"""A cluster of three primaries with a replica each: everything works over its slots, and when a primary is lost."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from cacheaside import Tier
from cacheaside.testing.servers import Cluster
from tests.live.service import MINUTE, Rows, Service, Start, ask, until

if TYPE_CHECKING:
    from collections.abc import Iterator


KEYS = list(range(60))


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with Cluster() as started:
        yield started


def url_of(cluster: Cluster) -> str:
    """For a client: nodes to begin with."""
    nodes = ",".join(f"{host}:{port}" for host, port in (node.address for node in cluster.nodes[:3]))
    return f"redis+cluster://{nodes}"


async def _reads(service: Service, key: int, value: int) -> bool:
    return bool(await service.get(key) == value)


async def _is_held(service: Service, key: int) -> bool:
    return (await service.lookup(key)).tier is Tier.L1


async def test_keys_of_every_node(cluster: Cluster, processes: Start, colour: str, rows: Rows) -> None:
    """Keys and tags on all nodes are filled once, read by others, invalidated everywhere, alone and as many."""
    one, other = (processes(url_of(cluster), colour=colour) for _ in range(2))
    assert await one.do(one.product.many, KEYS) == [0] * len(KEYS)
    owners = {(await asyncio.to_thread(cluster.owner, one.product.key(key))).port for key in KEYS[:20]}
    assert len(owners) == 3
    for key in KEYS[:10]:
        assert (await other.lookup(key)).tier is Tier.L2
    assert await other.do(other.product.many, KEYS) == [0] * len(KEYS)
    assert sorted(rows.loads) == KEYS
    for key in KEYS[:10]:
        await one.write(key, 1)
        assert await one.get(key) == 1
    for key in KEYS[:10]:
        await until(lambda key=key: _reads(other, key, 1))
    await one.changing(1, 2)
    assert await one.get(1) == 2
    await until(lambda: _reads(other, 1, 2))
    rows.values.update(dict.fromkeys(KEYS, 3))
    cache = one.cache
    await one.do(cache.invalidate_all if one.is_async else cache.blocking.invalidate_all)
    assert await one.do(one.product.many, KEYS) == [3] * len(KEYS)
    for key in KEYS[:10]:
        await until(lambda key=key: _reads(other, key, 3))
        await until(lambda key=key: _is_held(other, key))


async def test_tags_of_other_nodes(cluster: Cluster, processes: Start) -> None:
    """A tag that lives on another node than the entry, declared or found in the value, invalidates it all the same."""
    one, other = (processes(url_of(cluster)) for _ in range(2))
    value = 0

    def declare(service: Service) -> tuple[Any, Any]:
        shelves = service.cache.tag("shelves", int)

        async def load(key: int) -> list[int]:
            return [value, key]

        load.__annotations__ = {"key": int, "return": list[int]}
        read = service.read("shelf", MINUTE, value_tags=lambda found: [shelves(found[1] % 5)])
        return read(load), shelves

    (first, shelves), (second, _) = declare(one), declare(other)
    for key in range(10):
        await until(lambda key=key: _shares(first, second, key))
    value = 1
    for number in range(5):
        await one.cache.invalidate(shelves(number))

    async def are_new() -> bool:
        return all([await endpoint(key) == [1, key] for endpoint in (first, second) for key in range(10)])

    await until(are_new)


async def _shares(first: Any, second: Any, key: int) -> bool:
    await first(key)
    return (await second.lookup(key)).tier is not Tier.SOURCE


async def test_a_primary_is_lost(cluster: Cluster, processes: Start, rows: Rows) -> None:
    """When a primary is killed, reads go on, writes say what they could not, and its replica is used once it took over;
    what the other nodes hold is served all the time."""
    one = processes(url_of(cluster), when_away="retry", max_unsynced="500ms")
    other = processes(url_of(cluster), colour="threads", when_away="retry", max_unsynced="500ms")
    for service in (one, other):
        await service.do(service.product.many, KEYS)
        for key in KEYS[:20]:
            await until(lambda service=service, key=key: _is_held(service, key))
    # Not the one that holds the namespace's own generation: that is another story.
    everything = f"{one.cache.namespace}:!{{{one.cache._host.everything}}}"
    owner = await asyncio.to_thread(cluster.owner, everything)
    lost = next(node for node in await asyncio.to_thread(lambda: cluster.primaries) if node is not owner)
    await asyncio.to_thread(lost.kill)
    waiting = asyncio.create_task(asyncio.to_thread(cluster.wait_failover, lost))
    number = 0
    while not waiting.done():
        number += 1
        for key in KEYS[:20]:
            await one.write(key, number)
            assert await one.get(key) == number
        await asyncio.sleep(0.02)
    await waiting
    for service in (one, other):
        await until(lambda service=service: service.cache._host.shared.servers.all_up)
    await until(lambda: not one.cache._host.shared.owed)
    for key in KEYS[:20]:
        assert await one.get(key) == number
        await until(lambda key=key: _reads(other, key, number))
        await until(lambda key=key: _is_held(other, key))
    assert await ask(owner, "PING") == "PONG"
