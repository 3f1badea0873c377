"""What a read costs the server, by its own count, where the process holds nothing."""

from __future__ import annotations

import asyncio
from typing import Final

from cacheaside import Contract
from cacheaside.testing.servers import Server
from tests.live.service import Service, Start, ask, until

HELD_NOWHERE: Final = {"l1_entries": 0, "max_unsynced": "1h"}
"""No heartbeat falls into the test: the first comes with the connection, the next minutes later."""
LOOK: Final = {"mget": 1}
"""The entry, and the generations of its tags: for a hit that is all."""
LOAD: Final = {"mget": 2, "set": 4, "exists": 2, "del": 2}
MISS: Final = {"mget": 3, "set": 4, "exists": 2, "del": 2}
"""Look. Lease and stamp: SET for the lease and for each of two tags, MGET, EXISTS for each tag. Store: SET, DEL for the
lease and for who waits, MGET."""


async def counts(server: Server) -> dict[str, int]:
    """Calls by command since the server started, of those that reads make."""
    found: dict[str, int] = {}
    for line in str(await ask(server, "INFO", "commandstats")).splitlines():
        name, _, figures = line.partition(":")
        verb = name.removeprefix("cmdstat_")
        if verb in MISS:
            found[verb] = int(figures.partition("calls=")[2].partition(",")[0])
    return found


class Costs:
    """Counts what was asked of the server in between."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._before: dict[str, int] = {}

    async def begin(self) -> None:
        self._before = await counts(self._server)

    async def end(self) -> dict[str, int]:
        after = await counts(self._server)
        more = {verb: calls - self._before.get(verb, 0) for verb, calls in after.items()}
        return {verb: calls for verb, calls in more.items() if calls}


async def started(processes: Start, server: Server, colour: str, contract: Contract) -> tuple[Service, Costs]:
    service = processes(server.url, colour=colour, contract=contract, **HELD_NOWHERE)
    await service.ready()
    shared = service.cache._host.shared
    assert shared is not None

    async def is_short() -> bool:
        """Whether the short way is open: the namespace's generation is known."""
        await service.get(-1)
        return shared.hearing.everything() is not None

    await until(is_short)
    costs = Costs(server)
    await costs.begin()
    return service, costs


async def test_a_miss_looks_once(server: Server, processes: Start, colour: str) -> None:
    """A key that is not there is asked for once: look; lease and stamp; store. A hit is the look alone."""
    service, costs = await started(processes, server, colour, Contract("60s"))
    assert await service.get(1) == 0
    assert await costs.end() == MISS
    await costs.begin()
    assert await service.get(1) == 0
    assert await costs.end() == LOOK


async def test_what_was_invalidated_is_looked_at_once(server: Server, processes: Start, colour: str) -> None:
    """An entry that is there, and is out of date, is judged by what the look has shown."""
    service, costs = await started(processes, server, colour, Contract("60s"))
    await service.get(1)
    await service.write(1, 7)
    await costs.begin()
    assert await service.get(1) == 7
    assert await costs.end() == MISS


async def test_what_may_be_served_out_of_date_is_looked_at_once(
    server: Server, processes: Start, colour: str
) -> None:
    """So is one that its contract lets be served while it is refreshed: the refresh does not look."""
    contract = Contract("60s", grace="60s", stale_after_invalidation="60s")
    service, costs = await started(processes, server, colour, contract)
    await service.get(1)
    await service.write(1, 7)
    tally = service.product.endpoint.tally
    stored = tally.stored
    await costs.begin()
    assert await service.get(1) == 0
    await until(lambda: tally.stored > stored)
    assert await costs.end() == MISS
    assert await service.get(1) == 7


async def test_a_herd_looks_once(server: Server, processes: Start) -> None:
    """All who ask for a key in one turn of a loop share one look and one load."""
    service, costs = await started(processes, server, "asyncio", Contract("60s"))
    assert await asyncio.gather(*[service.get(1) for _ in range(500)]) == [0] * 500
    assert await costs.end() == MISS
    assert service.rows.loads.count(1) == 1
