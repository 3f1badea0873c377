"""When a change was done, and when the shared tier had acknowledged it."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest

from cacheaside import Cache
from cacheaside.demo.ledger import Ledger, owed_by, owes
from cacheaside.testing.servers import Server

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cacheaside import Tag


CACHE = Cache(namespace="ledger")
ROWS = CACHE.tag("rows", int)


class Owing:
    """Stands for a cache that owes these tags, or none."""

    def __init__(self) -> None:
        self.tags: set[Tag] = set()

    def __call__(self, tags: Sequence[Tag]) -> bool:
        return not self.tags.isdisjoint(tags)


@pytest.fixture
def owing() -> Owing:
    return Owing()


@pytest.fixture
def ledger(owing: Owing) -> Ledger:
    return Ledger(owing)


def test_what_is_acknowledged_at_once_is_noted_so(ledger: Ledger, owing: Owing) -> None:
    """Where its tags are not owed when a change is done, it is acknowledged, and not before it was done."""
    owing.tags = {ROWS(2)}
    ledger.done(1, [ROWS(1)])
    change = ledger.news()[-1]
    assert change.acknowledged_at is not None
    assert change.acknowledged_at >= change.done_at
    assert ledger.news() == []
    assert ledger.changes == {1: change}


def test_what_is_owed_is_told_again_when_it_is_not(ledger: Ledger, owing: Owing) -> None:
    """A change with a tag that is owed is acknowledged when it is not any more; its news are the old and the new."""
    owing.tags = {ROWS(1)}
    ledger.done(1, [ROWS(0), ROWS(1)])
    (owed,) = ledger.news()
    assert owed.acknowledged_at is None
    assert not ledger.settle()
    owing.tags = set()
    before = time.monotonic()
    assert ledger.settle()
    (paid,) = ledger.news()
    assert (paid.commit_id, paid.done_at) == (1, owed.done_at)
    assert paid.acknowledged_at is not None
    assert paid.acknowledged_at >= before


async def test_whoever_ends_waits_for_what_is_owed_but_not_for_ever(ledger: Ledger, owing: Owing) -> None:
    """The end waits until nothing is owed, and gives up when its time is over."""
    owing.tags = {ROWS(1)}
    ledger.done(1, [ROWS(1)])
    assert not await ledger.settled(0.0)
    waiting = asyncio.create_task(ledger.settled(30.0))
    await asyncio.sleep(0)
    owing.tags = set()
    assert await waiting


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        yield server


async def test_a_cache_owes_what_its_server_did_not_acknowledge(server: Server) -> None:
    """With its server there a cache owes nothing; a change made while it is away is owed until it is back."""
    cache = Cache(server.url, namespace="ledger", when_away="retry")
    rows = cache.tag("rows", int)
    ledger = Ledger(lambda tags: owes(cache, tags))
    async with cache:
        async with cache.changing(rows(1)):
            pass
        ledger.done(1, [rows(1)])
        assert ledger.changes[1].acknowledged_at is not None
        await asyncio.to_thread(server.kill)
        async with cache.changing(rows(2)):
            pass
        ledger.done(2, [rows(2)])
        assert ledger.changes[2].acknowledged_at is None
        assert owed_by(cache) == 1
        assert not owes(cache, [rows(1)])
        await asyncio.to_thread(server.start)
        assert await ledger.settled(30.0)
    assert ledger.changes[2].acknowledged_at is not None


def test_a_cache_without_a_server_owes_nothing() -> None:
    """In one process an invalidation is acknowledged when the call returns."""
    assert owed_by(CACHE) == 0
    assert not owes(CACHE, [ROWS(1)])
