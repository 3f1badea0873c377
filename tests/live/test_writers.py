"""Writers in other processes, and what becomes of what they wrote when they die in the middle of it."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from cacheaside import NotStored, Tier
from tests.held import HeldLoads
from tests.live.child import Child
from tests.live.service import MINUTE, Rows, Service, Start, ask, until

if TYPE_CHECKING:
    from cacheaside.testing.servers import Server


WRITER = """
cache = Cache(sys.argv[1], namespace=sys.argv[2], commit_timeout="700ms", deadline="5s")
products = cache.tag(sys.argv[3], int)
with cache.changing(products(1)):
    say("marked")
    listen()
say("ended")
"""


def writer(server: Server, service: Service, tag: str = "products") -> Child:
    """A process that begins to write what `products(1)` is about, and ends when it is told to."""
    return Child(WRITER, server.url, service.cache.namespace, tag)


async def _reads(service: Service, key: int, value: int) -> bool:
    return bool(await service.get(key) == value)


async def _is_held(service: Service, key: int) -> bool:
    return (await service.lookup(key)).tier is Tier.L1


async def test_the_bracket_of_another_process(
    server: Server, processes: Start, colour: str, rows: Rows
) -> None:
    """While another process writes, what is loaded is not stored; when it has ended, nobody reads what was before."""
    service = processes(server.url, colour=colour)
    await until(lambda: _is_held(service, 1))
    with writer(server, service) as other:
        assert await other.line() == "marked"
        await until(lambda: _is_not_stored(service))
        rows.values[1] = 1
        other.tell("go on")
        assert await other.line() == "ended"
        assert await service.get(1) == 1
        await until(lambda: _is_held(service, 1))
        assert await other.end() == (0, "")


async def _is_not_stored(service: Service) -> bool:
    return (await service.lookup(1)).not_stored is NotStored.WRITER


@pytest.mark.parametrize("commits", [False, True], ids=["before its commit", "after its commit"])
async def test_a_writer_that_is_killed(
    server: Server, processes: Start, colour: str, rows: Rows, commits: bool
) -> None:
    """A writer killed between its mark and its last word leaves nothing stale in any process, and once its mark has
    expired all is shared again."""
    services = [processes(server.url, colour=colour) for _ in range(2)]
    for service in services:
        await until(lambda service=service: _is_held(service, 1))
    with writer(server, services[0]) as other:
        assert await other.line() == "marked"
        for service in services:
            await until(lambda service=service: _reads_the_source(service))
        rows.values[1] = int(commits)
        other.kill()
    for service in services:
        assert await service.get(1) == int(commits)
    for service in services:
        await until(lambda service=service: _is_held(service, 1))
        assert await service.get(1) == int(commits)


async def _reads_the_source(service: Service) -> bool:
    return (await service.lookup(1)).tier is Tier.SOURCE


async def test_a_load_that_a_killed_writer_overtook(server: Server, processes: Start, rows: Rows) -> None:
    """A load that began before a writer's commit and ends after its death is returned and never stored, also when the
    writer's mark has expired by then."""
    one = processes(server.url)
    held = HeldLoads()

    @one.cache.read("slow", MINUTE, tags=lambda key: [one.products(key)])
    async def slow(key: int) -> int:
        seen = rows.values.get(key, 0)
        await held(key)
        return seen

    await one.ready()
    with writer(server, one) as dying:
        assert await dying.line() == "marked"
        loading = asyncio.create_task(slow.lookup(1))
        await held.until_began()
        rows.values[1] = 1  # its commit: the load has read the row before it
        dying.kill()
    await until(lambda: _no_mark(server, one))
    late = asyncio.create_task(slow(1))  # it came after the commit, and must not share the load from before
    for _ in range(20):
        await asyncio.sleep(0)
    held.let_go()
    first = await loading
    assert (first.value, first.stored) == (0, False)
    assert await late == 1
    assert await slow(1) == 1


async def _no_mark(server: Server, service: Service) -> bool:
    tag = service.products(1).id
    return not await ask(server, "EXISTS", f"{service.cache.namespace}:!{{{tag}}}!")


async def test_a_mark_on_a_tag_that_only_the_value_names(server: Server, processes: Start) -> None:
    """The same, for a tag that is found in the value: neither the mark that stood when the load began, nor its end, is
    overlooked."""
    one = processes(server.url)
    categories = one.cache.tag("categories", int)
    held = HeldLoads()

    @one.cache.read("named", MINUTE, value_tags=lambda value: [categories(1)])
    async def named(key: int) -> int:
        value: int = await held(key)
        return value

    await one.ready()
    await one.cache.invalidate(categories(1))  # it has a generation
    with writer(server, one, "categories") as dying:
        assert await dying.line() == "marked"
        loading = asyncio.create_task(named.lookup(1))
        await held.until_began()
        dying.kill()
    name = f"{one.cache.namespace}:!{{{categories(1).id}}}!"
    # Only asked for by a fill is it sure to be gone: a server expires what nobody looks at whenever it likes.
    await until(lambda: _is_over(server, name))
    held.let_go(0)
    assert not (await loading).stored


async def _is_over(server: Server, name: str) -> bool:
    return bool(await ask(server, "PTTL", name) < 0)


async def test_two_writers_of_one_tag(server: Server, processes: Start, colour: str, rows: Rows) -> None:
    """A writer that ends does not take another's mark with it."""
    service = processes(server.url, colour=colour)
    await service.ready()
    with writer(server, service) as first, writer(server, service) as second:
        assert await first.line() == "marked"
        assert await second.line() == "marked"
        first.tell("go on")
        assert await first.line() == "ended"
        assert (await service.lookup(1)).not_stored is NotStored.WRITER
        rows.values[1] = 2
        second.tell("go on")
        assert await second.line() == "ended"
        assert await service.get(1) == 2
        await until(lambda: _is_held(service, 1))


async def test_a_write_whose_outcome_is_unknown(
    server: Server, processes: Start, colour: str, rows: Rows
) -> None:
    """A block left by an error may have committed: other processes store nothing until the commit cannot be under way
    any more; after a rollback that is known they do at once."""
    one = processes(server.url, colour="threads", commit_timeout="500ms")
    other = processes(server.url, colour=colour)
    await other.ready()

    def fail(*, rolled_back: bool) -> None:
        with suppress(ConnectionError), one.cache.changing(one.products(1)) as change:
            if rolled_back:
                change.rolled_back()
            raise ConnectionError("lost during COMMIT")

    await asyncio.to_thread(lambda: fail(rolled_back=False))
    assert (await other.lookup(1)).not_stored is NotStored.WRITER
    rows.values[1] = 1
    await until(lambda: _is_held(other, 1))
    assert await other.get(1) == 1
    await asyncio.to_thread(lambda: fail(rolled_back=True))
    found: Any = await other.lookup(1)
    assert found.not_stored in (None, NotStored.MOVED)
