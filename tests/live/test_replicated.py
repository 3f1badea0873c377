"""A primary with a replica, watched by Sentinels: the other takes over, and what is lost with it is not served."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from cacheaside import Contract, Forward, Served, Tier
from cacheaside.errors import Unacknowledged
from cacheaside.testing.servers import Replicated, Server
from tests.live.service import Rows, Service, Start, ask, until
from tests.live.test_outage import recovers

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def replicated() -> Iterator[Replicated]:
    with Replicated() as started:
        yield started


def url_of(replicated: Replicated) -> str:
    """For a client: the Sentinels, and the name of the service."""
    hosts = ",".join(f"{host}:{port}" for host, port in replicated.sentinel_addresses)
    return f"redis+sentinel://{hosts}/{replicated.service}"


async def _reads(service: Service, key: int, value: int) -> bool:
    return bool(await service.get(key) == value)


async def test_a_failover_that_lost_an_invalidation(
    replicated: Replicated, processes: Start, rows: Rows
) -> None:
    """When the replica takes over without an invalidation that the primary had acknowledged, no process returns what
    was stored before it: without grace, or with "forget". Reads go on all the time, and nobody has to do anything."""
    url = url_of(replicated)
    one, threads = processes(url), processes(url, colour="threads")
    forgetting = processes(
        url, on_failover="forget", contract=Contract("60s", grace="60s"), namespace="other"
    )
    for service in (one, threads, forgetting):
        await service.get(1)
        await recovers(service)
    old = await asyncio.to_thread(lambda: replicated.primary)
    replica = await asyncio.to_thread(lambda: replicated.replica)
    assert await ask(old, "WAIT", "1", "5000") == 1
    await _cut(old, replica)
    await one.write(1, 1)
    await forgetting.invalidate(forgetting.products(1))
    await until(lambda: _reads(threads, 1, 1))
    await asyncio.to_thread(old.kill)
    waiting = asyncio.create_task(asyncio.to_thread(replicated.wait_failover, old))
    while not waiting.done():
        for service in (one, threads):
            assert await service.get(1) == 1
        await asyncio.sleep(0.01)
    new = await waiting
    assert new is replica
    assert await ask(new, "EXISTS", one.product.key(1)) == 1
    for service in (one, threads, forgetting):
        await until(lambda service=service: service.cache._host.shared.servers.all_up)
        assert await service.get(1) == 1
        await recovers(service)
    late = processes(url)
    assert await late.get(1) == 1
    await one.write(1, 2)
    await until(lambda: _reads(threads, 1, 2))


async def _cut(old: Server, replica: Server) -> None:
    """Have the replica stand still, so that what the primary acknowledges now is lost with it."""
    await ask(replica, "REPLICAOF", "127.0.0.1", "1")
    await until(lambda: _has_no_replica(old))


async def _has_no_replica(server: Server) -> bool:
    return "connected_slaves:0" in str(await ask(server, "INFO", "replication"))


async def test_an_invalidation_that_replicas_must_have(
    replicated: Replicated, processes: Start, rows: Rows
) -> None:
    """With wait_replicas an invalidation that no replica has is not acknowledged, and is once one has it; reads do not
    suffer from the wait."""
    service = processes(url_of(replicated), wait_replicas=1, deadline="1s", l1_entries=0)
    await service.ready()
    await service.write(1, 1)
    assert await service.get(1) == 1
    primary, replica = await asyncio.to_thread(lambda: (replicated.primary, replicated.replica))
    replica.freeze()
    try:
        writing = asyncio.create_task(service.write(1, 2))
        while not writing.done():
            found = await service.lookup(-1)
            assert (found.tier, found.forward) == (Tier.L2, None)
            await asyncio.sleep(0.005)
        with pytest.raises(Unacknowledged):
            await writing
        assert await service.get(1) == 2
        assert (await service.lookup(1)).forward is not Forward.ABSENT
    finally:
        replica.thaw()
    await until(lambda: not service.cache._host.shared.owed)
    assert primary.is_running
    assert (await service.lookup(1)).served is not Served.GRACE
