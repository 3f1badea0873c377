"""The shared tier on uvloop, whose transports are of other classes and whose turns cannot be looked into."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

import pytest

from cacheaside import Tier
from tests.live.service import Rows, Service, until

if TYPE_CHECKING:
    from cacheaside.testing.servers import Server

uvloop = pytest.importorskip("uvloop", reason="uvloop is not made for this platform")

Run = Callable[[Coroutine[Any, Any, None]], None]


@pytest.fixture
def run() -> Run:
    """Runs on a uvloop of its own."""

    def run(main: Coroutine[Any, Any, None]) -> None:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(main)

    return run


@pytest.mark.parametrize("l1_entries", [0, 1000])
def test_many_readers_get_their_own(server: Server, namespace: str, run: Run, l1_entries: int) -> None:
    """Hundreds of reads at once, loaded, then from the tier, each right; and a write of another process is heard."""

    async def main() -> None:
        rows = Rows()
        rows.values = {key: key for key in range(300)}
        one, other = (Service(server.url, rows, namespace=namespace, l1_entries=l1_entries) for _ in range(2))
        try:
            await one.ready()
            await other.ready()
            loads = len(rows.loads)
            for service in (one, one, other, other):
                assert await asyncio.gather(*(service.get(key) for key in range(300))) == list(range(300))
            assert len(rows.loads) - loads == 300
            await one.write(7, 70)
            assert await one.get(7) == 70

            async def is_heard() -> bool:
                return await other.get(7) == 70

            await until(is_heard)
        finally:
            await one.close()
            await other.close()

    run(main())


def test_a_server_that_ends_and_comes_back(victim: Server, namespace: str, run: Run) -> None:
    """Reads go on without it, and share again when it is back."""

    async def main() -> None:
        service = Service(victim.url, namespace=namespace, l1_entries=0)
        try:
            await service.ready()
            await asyncio.to_thread(victim.kill)
            for key in range(20):
                assert (await service.lookup(key)).tier is Tier.SOURCE
            await asyncio.to_thread(victim.start)
            await service.ready()
        finally:
            await service.close()

    run(main())


def test_cancelled_readers_disturb_nobody(server: Server, namespace: str, run: Run) -> None:
    """Half of those who wait for one answer are cancelled; the others get theirs."""

    async def main() -> None:
        service = Service(server.url, namespace=namespace, l1_entries=0)
        try:
            await service.ready()
            await asyncio.gather(*(service.get(key) for key in range(40)))
            readers = [asyncio.ensure_future(service.get(key)) for key in range(40)]
            await asyncio.sleep(0)
            for reader in readers[::2]:
                reader.cancel()
            answers = await asyncio.gather(*readers, return_exceptions=True)
            assert answers[1::2] == [0] * 20
            assert all(isinstance(one, asyncio.CancelledError) for one in answers[::2])
        finally:
            await service.close()

    run(main())
