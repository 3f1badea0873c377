"""A server that comes back with old data brings old generations back; what was stored under them is not believed."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from cacheaside import Contract, Served, Tier
from cacheaside.testing.proxy import Proxy
from cacheaside.testing.servers import Server
from tests.live.service import MINUTE, Rows, Service, Start, ask, clients, until
from tests.live.test_outage import recovers

if TYPE_CHECKING:
    from collections.abc import Iterator


GRACE = Contract("60s", grace="60s")


async def set_back(server: Server, service: Service, rows: Rows, *contracts: str) -> None:
    """Store products 1, save, invalidate with an acknowledgement, and bring the server back as it was saved."""
    await service.get(1)
    await recovers(service)
    await ask(server, "SAVE")
    rows.values[1] = 1
    await service.invalidate(service.products(1))
    assert await service.get(1) == 1
    await asyncio.to_thread(server.restart, kill=True)
    assert await ask(server, "EXISTS", service.product.key(1)), "the server came back with nothing"
    await until(lambda: service.cache._host.shared.servers.all_up)


@pytest.mark.parametrize("on_failover", ["distrust", "forget"])
async def test_an_old_snapshot_is_not_served(
    victim: Server, processes: Start, colour: str, rows: Rows, on_failover: str
) -> None:
    """Without grace, no process returns a value that a server with an old snapshot brought back: neither the one
    that saw it go, nor one that starts after."""
    service = processes(victim.url, colour=colour, on_failover=on_failover)
    await set_back(victim, service, rows)
    late = processes(victim.url, colour=colour, on_failover=on_failover)
    assert [await late.get(1), await service.get(1)] == [1, 1]
    await recovers(service)
    assert [await service.get(1), await late.get(1)] == [1, 1]


async def test_distrust_serves_grace(victim: Server, processes: Start, colour: str, rows: Rows) -> None:
    """With grace, and "distrust", it counts as past its ttl: served once more while it is refreshed, and then new."""
    service = processes(victim.url, colour=colour, contract=GRACE)
    await set_back(victim, service, rows)
    found = await service.lookup(1)
    assert (found.value, found.served, found.tier, found.refreshing) == (0, Served.GRACE, Tier.L2, True)
    await until(lambda: _reads(service, 1, 1))
    late = processes(victim.url, colour=colour, contract=GRACE)
    assert (await late.lookup(1)).served is Served.FRESH
    assert await late.get(1) == 1


async def test_forget_serves_nothing(victim: Server, processes: Start, colour: str, rows: Rows) -> None:
    """With "forget" nothing that was stored before is served, grace or not, once this process knows."""
    service = processes(victim.url, colour=colour, contract=GRACE, on_failover="forget")
    await set_back(victim, service, rows)
    assert await service.get(1) == 1
    await until(lambda: not service.cache._host.shared.owed)
    await recovers(service)


async def test_trust_serves_it(victim: Server, processes: Start, colour: str, rows: Rows) -> None:
    """With "trust" what came back is served until its ttl ends, as the word says."""
    service = processes(victim.url, colour=colour, on_failover="trust")
    await set_back(victim, service, rows)
    found = await service.lookup(1)
    assert (found.value, found.served, found.tier) == (0, Served.FRESH, Tier.L2)


async def test_strong_reads_and_loads_do_not_believe_it(
    victim: Server, processes: Start, colour: str, rows: Rows
) -> None:
    """Neither a strong read nor a read inside a load takes what an old snapshot brought back, grace or not."""
    service = processes(victim.url, colour=colour, contract=GRACE)
    if service.is_async:

        async def awaited(key: int) -> int:
            return 100 + int(await service.product(key))

        page = service.read("page", MINUTE)(awaited)
    else:

        def plain(key: int) -> int:
            return 100 + int(service.product(key))

        page = service.read("page", MINUTE)(plain)
    await set_back(victim, service, rows)
    assert await service.do(page, 1) == 101
    assert await service.do(service.product.strong, 1) == 1


@pytest.fixture
def debugged() -> Iterator[Server]:
    """A server that takes DEBUG commands."""
    with Server(config={"enable-debug-command": "yes"}) as started:
        yield started


async def test_reloading_is_no_other_history(
    debugged: Server, processes: Start, colour: str, rows: Rows
) -> None:
    """A server that saves and reads what it saved, in one step, lost nothing: what it holds is served on."""
    service = processes(debugged.url, colour=colour, l1_entries=0)
    await service.ready()
    await service.get(1)
    await ask(debugged, "DEBUG", "RELOAD")
    await until(lambda: _is_shared(service, 1))
    assert rows.loads.count(1) == 1


async def _is_shared(service: Service, key: int) -> bool:
    return (await service.lookup(key)).tier is Tier.L2


async def _reads(service: Service, key: int, value: int) -> bool:
    return bool(await service.get(key) == value)


@pytest.mark.parametrize("old", ["goes on", "is frozen"])
async def test_another_server_at_the_same_address(
    server: Server,
    victim: Server,
    proxy: Proxy,
    processes: Start,
    colour: str,
    rows: Rows,
    old: str,
) -> None:
    """When an address is moved to a server that lost an acknowledged invalidation, and the connection that hears still
    leads to the old one, no value is believed by the new one's word: its history is not the one that was heard."""
    await ask(victim, "REPLICAOF", *server.address)
    await until(lambda: _is_linked(victim))
    service = processes(f"redis://{proxy.host}:{proxy.port}/0", colour=colour)
    await service.get(1)
    await recovers(service)
    assert int(await ask(server, "WAIT", "1", "5000")) == 1
    await ask(victim, "REPLICAOF", "NO", "ONE")
    await service.write(1, 1)
    proxy._upstream = victim.address
    for client in await clients(server):
        if not client["name"].endswith("-ear"):
            await ask(server, "CLIENT", "KILL", "ID", client["id"])
    if old == "is frozen":
        server.freeze()
    try:
        for _ in range(50):
            assert await service.get(1) == 1
            await asyncio.sleep(0.005)
    finally:
        server.thaw()


async def _is_linked(replica: Server) -> bool:
    return "master_link_status:up" in str(await ask(replica, "INFO", "replication"))


async def test_a_clock_that_was_set_back(server: Server, processes: Start, rows: Rows) -> None:
    """When the server's clock goes back, entries would look younger than they are: everything is forgotten."""
    one, other = processes(server.url), processes(server.url)
    await one.get(1)
    await other.get(1)
    states: Any = one.cache._host.shared.servers.states
    base = states[0].base
    # As if it had been an hour ahead until now.
    states[0].base = type(base)(base.at, base.low_s + 3600, base.high_s + 3600)
    rows.values[1] = 2
    await until(lambda: _reads(one, 1, 2))
    await until(lambda: _reads(other, 1, 2))
    await until(lambda: not one.cache._host.shared.owed)
