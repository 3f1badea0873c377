"""The bracket around a write, in both colours."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from typing import Any

import pytest

from cacheaside import Cache, Contract, DeclarationError, NotStored, Unacknowledged, UsageError
from tests.endpoint.world import World

MINUTE = Contract("60s", jitter=0)


class Aborted(Exception):
    """What ends a block early."""


class Table:
    """One row, read through the cache and changed in brackets."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.row = "old"
        self.rows = world.cache.tag("rows", int)
        self.others = world.cache.tag("others", int)

        @world.read("row", MINUTE, tags=lambda key: [self.rows(key)])
        def read(key: int) -> str:
            return self.row

        self.endpoint = read

    async def read(self) -> Any:
        return await self.world.do(self.endpoint.lookup, 1)

    async def change(self, inside: Callable[[Any], Any], *tags: Any) -> None:
        """A bracket in this world's colour around `inside`, which may be a coroutine function."""
        bracket = self.world.cache.changing(*(tags or (self.rows(1),)))
        if self.world.is_async:
            async with bracket as change:
                await self.world.do(inside, change)
        else:
            with bracket as change:
                await self.world.do(inside, change)


async def test_a_committed_write_is_seen_by_every_later_read(world: World) -> None:
    """When the block has ended no read returns what was there before."""
    table = Table(world)
    assert (await table.read()).value == "old"

    def commit(change: Any) -> None:
        table.row = "new"

    await table.change(commit)
    lookup = await table.read()
    assert (lookup.value, lookup.stored) == ("new", True)
    assert (await table.read()).hit


async def test_inside_the_block_nothing_is_stored(world: World) -> None:
    """Before the commit a read may load the old row; it is returned, and nobody else gets it."""
    table = Table(world)
    await table.read()

    async def commit(change: Any) -> None:
        lookup = await table.read()
        assert (lookup.value, lookup.not_stored) == ("old", NotStored.WRITER)
        table.row = "new"
        assert (await table.read()).value == "new"

    await table.change(commit)
    assert (await table.read()).value == "new"


async def test_a_tag_may_be_added_inside(world: World) -> None:
    """What is found out within the transaction joins the write by `change.add`."""
    table = Table(world)
    await table.read()

    async def commit(change: Any) -> None:
        assert (await table.read()).hit
        await world.do(change.add, table.rows(1), table.rows(1))
        assert (await table.read()).not_stored is NotStored.WRITER
        table.row = "new"

    await table.change(commit, table.others(1))
    assert (await table.read()).stored
    assert (await table.read()).value == "new"


@pytest.mark.parametrize("ends_by_exception", [False, True])
async def test_a_tag_added_without_await_is_invalidated_all_the_same(ends_by_exception: bool) -> None:
    """A forgotten `await` costs the mark, not the invalidation: the tag is part of the write from the call on."""
    table = Table(World("async"))
    await table.read()

    def commit(change: Any) -> None:
        with pytest.warns(RuntimeWarning, match=r"'Change\.add' was never awaited"):
            change.add(table.rows(1))
        table.row = "new"
        if ends_by_exception:
            raise Aborted

    with contextlib.suppress(Aborted):
        await table.change(commit, table.others(1))
    assert (await table.read()).value == "new"


async def test_a_tag_added_twice_is_marked_when_it_is_awaited() -> None:
    """What a call without `await` left unmarked, the next one marks."""
    table = Table(World("async"))

    async def commit(change: Any) -> None:
        change.add(table.rows(1)).close()
        assert (await table.read()).stored
        await change.add(table.rows(1))
        assert (await table.read()).not_stored is NotStored.WRITER

    await table.change(commit, table.others(1))
    assert (await table.read()).stored


async def test_an_add_that_is_awaited_too_late_marks_nothing() -> None:
    """Awaited after the block, it says so, and what is read then is stored."""
    table = Table(World("async"))
    late: list[Any] = []
    await table.change(lambda change: late.append(change.add(table.rows(1))), table.others(1))
    with pytest.raises(UsageError, match="after its block has ended"):
        await late[0]
    assert (await table.read()).stored


async def test_an_exception_leaves_the_outcome_unknown(world: World) -> None:
    """A block that ends by an exception may have committed: nothing is stored until no commit can be under way."""
    table = Table(world)
    await table.read()

    def fail(change: Any) -> None:
        raise Aborted

    with pytest.raises(Aborted):
        await table.change(fail)
    world.t += 29
    lookup = await table.read()
    assert (lookup.value, lookup.not_stored) == ("old", NotStored.WRITER)
    table.row = "new, committed after all"
    world.t += 1
    lookup = await table.read()
    assert (lookup.value, lookup.stored) == ("new, committed after all", True)


async def test_a_known_rollback_frees_the_tags_at_once(world: World) -> None:
    """After `rolled_back()` reads are stored again as soon as the block ends, by exception or not."""
    for ends_by_exception in (True, False):
        table = Table(World("async" if world.is_async else "blocking"))
        await table.read()

        def roll_back(change: Any, raises: bool = ends_by_exception) -> None:
            change.rolled_back()
            if raises:
                raise Aborted

        if ends_by_exception:
            with pytest.raises(Aborted):
                await table.change(roll_back)
        else:
            await table.change(roll_back)
        assert (await table.read()).stored
        assert (await table.read()).hit


async def test_two_writers_of_one_tag(world: World) -> None:
    """The end of one write does not free a tag that another still changes."""
    table = Table(world)

    async def inner_and_outer(change: Any) -> None:
        def commit(change: Any) -> None:
            table.row = "inner"

        await table.change(commit)
        assert (await table.read()).not_stored is NotStored.WRITER
        table.row = "outer"

    await table.change(inner_and_outer)
    lookup = await table.read()
    assert (lookup.value, lookup.stored) == ("outer", True)


async def test_a_bracket_takes_tags_of_its_cache(world: World) -> None:
    """A tag of another cache, or no tag at all, is refused before anything is marked."""
    table = Table(world)
    other = Cache(namespace="other").tag("rows", int)
    for wrong in (other(1), "rows:1", table.rows):
        with pytest.raises(UsageError, match=r"cache\.changing got"):
            world.cache.changing(wrong)
    assert (await table.read()).stored


async def test_a_wrong_tag_inside_is_refused(world: World) -> None:
    """`change.add` checks its tags as well, and the write goes on without it."""
    table = Table(world)

    async def add(change: Any) -> None:
        with pytest.raises(UsageError, match="namespace 'other'"):
            await world.do(change.add, Cache(namespace="other").tag("rows", int)(1))

    await table.change(add)
    assert (await table.read()).stored


async def test_a_change_is_over_when_its_block_is(world: World) -> None:
    """Adding a tag after the block would mark it for nothing: it is refused."""
    table = Table(world)
    kept: list[Any] = []
    await table.change(kept.append)
    with pytest.raises(UsageError, match="after its block has ended"):
        await world.do(kept[0].add, table.rows(1))
    assert (await table.read()).stored


async def test_a_bracket_of_no_tags_is_none(world: World) -> None:
    """A write that turns out to change nothing known is allowed, and marks nothing."""
    table = Table(world)
    await table.read()
    async with world.cache.changing():
        assert (await table.read()).hit
    assert (await table.read()).hit


@pytest.mark.blocks_loop
async def test_both_colours_share_one_truth() -> None:
    """A write in sync code reaches what async code reads, and the reverse."""
    for writer, reader in (("async", "blocking"), ("blocking", "async")):
        table = Table(World(reader))
        await table.read()
        table.row = "new"
        bracket = table.world.cache.changing(table.rows(1))
        if writer == "async":
            async with bracket:
                pass
        else:
            with bracket:
                pass
        assert (await table.read()).value == "new"


NOWHERE = "redis://127.0.0.1:1/0"
"""A server that is not there."""


def away(colour: str, when_away: Any) -> Table:
    """A table behind a cache whose shared tier is away."""
    world = World(colour)
    world.cache = world.new_cache(url=NOWHERE, deadline="2s", when_away=when_away)
    return Table(world)


@pytest.mark.blocks_loop
@pytest.mark.parametrize("colour", ["async", "blocking"])
async def test_without_the_tier_nothing_is_written_by_default(colour: str) -> None:
    """Before the block the caller is told, so that nothing is written; and nothing is owed."""
    table, entered = away(colour, "raise"), list[Any]()
    with pytest.raises(Unacknowledged, match="rows"):
        await table.change(entered.append)
    assert entered == []
    assert table.world.cache.stats().shared.owed == 0  # type: ignore[union-attr]
    await table.world.cache.aclose()


@pytest.mark.blocks_loop
@pytest.mark.parametrize("colour", ["async", "blocking"])
async def test_without_the_tier_a_write_may_go_on_and_is_told_later(colour: str) -> None:
    """By "retry" the block runs, its tags are owed, and this process stores nothing of them until they are paid."""
    table = away(colour, "retry")
    assert (await table.read()).value == "old"

    def commit(change: Any) -> None:
        table.row = "new"

    await table.change(commit)
    assert table.world.cache.stats().shared.owed == 1  # type: ignore[union-attr]
    assert (await table.read()).value == "new"
    table.row = "newer"
    assert (await table.read()).value == "newer"
    await table.world.cache.aclose()


def test_thousands_of_tags_cost_each_the_same() -> None:
    """A bracket that is refused, over tens of thousands of tags, is done with them in one pass."""
    cache = Cache("redis://127.0.0.1:1", namespace="many", deadline="50ms")
    tag = cache.tag("t", int)
    tags = [tag(number) for number in range(60_000)]
    begun = time.monotonic()
    with pytest.raises(Unacknowledged), cache.changing(*tags):
        raise AssertionError("nothing is written")
    assert time.monotonic() - begun < 5.0, "quadratic, it takes longer than that by far"
    cache.close()


def test_a_refused_invalidation_of_everything_says_so() -> None:
    """By the namespace's name, and not by that of an inner tag."""
    with Cache("redis://127.0.0.1:1", namespace="shop", deadline="50ms") as cache:
        with pytest.raises(Unacknowledged, match=r"^everything in namespace shop: ") as raised:
            cache.blocking.invalidate_all()
        assert len(raised.value.tags) == 1


def test_more_tags_than_an_entry_of_a_shared_tier_can_have_are_refused() -> None:
    """Where it is declared; without a shared tier any number will do."""
    contract = Contract("60s")
    with Cache("redis://127.0.0.1:1", namespace="shop") as cache:
        cache.read("most", contract, max_tags=255)(_loaded)
        with pytest.raises(DeclarationError, match=r"max_tags=256: .* fewer, coarser tags"):
            cache.read("more", contract, max_tags=256)(_loaded)
    Cache(namespace="alone").read("more", contract, max_tags=256)(_loaded)


def _loaded(key: int) -> int:
    return key
