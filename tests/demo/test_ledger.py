"""When a change was done, and when the shared tier had acknowledged it."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest

from cacheaside import Cache
from cacheaside.demo.ledger import Ledger, owed_by
from cacheaside.testing.servers import Server

if TYPE_CHECKING:
    from collections.abc import Iterator


class Owing:
    """Stands for a cache that owes something, or nothing."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self) -> int:
        return self.count


@pytest.fixture
def owing() -> Owing:
    return Owing()


@pytest.fixture
def ledger(owing: Owing) -> Ledger:
    return Ledger(owing)


def test_what_is_acknowledged_at_once_is_told_once(ledger: Ledger) -> None:
    """Where nothing is owed when a change is done, it is acknowledged, and not before it was done."""
    ledger.done(1)
    (change,) = ledger.news()
    assert change.acknowledged_at is not None
    assert change.acknowledged_at >= change.done_at
    assert ledger.news() == []
    assert ledger.changes == {1: change}


def test_what_is_owed_is_told_again_when_it_is_not(ledger: Ledger, owing: Owing) -> None:
    """A change that is owed is acknowledged when nothing is owed any more; its news are the old and the new."""
    owing.count = 2
    ledger.done(1)
    (owed,) = ledger.news()
    assert owed.acknowledged_at is None
    assert not ledger.settle()
    owing.count = 0
    before = time.monotonic()
    assert ledger.settle()
    (paid,) = ledger.news()
    assert (paid.commit_id, paid.done_at) == (1, owed.done_at)
    assert paid.acknowledged_at is not None
    assert paid.acknowledged_at >= before


def test_one_that_is_owed_holds_back_those_after_it(ledger: Ledger, owing: Owing) -> None:
    """It is not known which changes are owed, so while one is, none counts as acknowledged: never too early."""
    owing.count = 1
    ledger.done(1)
    ledger.done(2)
    owing.count = 0
    ledger.settle()
    first, second = ledger.changes[1].acknowledged_at, ledger.changes[2].acknowledged_at
    assert first is not None
    assert first == second


async def test_whoever_ends_waits_for_what_is_owed_but_not_for_ever(ledger: Ledger, owing: Owing) -> None:
    """The end waits until nothing is owed, and gives up when its time is over."""
    owing.count = 1
    ledger.done(1)
    assert not await ledger.settled(0.0)
    waiting = asyncio.create_task(ledger.settled(30.0))
    await asyncio.sleep(0)
    owing.count = 0
    assert await waiting


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        yield server


async def test_a_cache_owes_what_its_server_did_not_acknowledge(server: Server) -> None:
    """With its server there a cache owes nothing; a change made while it is away is owed until it is back."""
    cache = Cache(server.url, namespace="ledger", when_away="retry")
    rows = cache.tag("rows", int)
    ledger = Ledger(lambda: owed_by(cache))
    async with cache:
        async with cache.changing(rows(1)):
            pass
        ledger.done(1)
        assert ledger.changes[1].acknowledged_at is not None
        await asyncio.to_thread(server.kill)
        async with cache.changing(rows(2)):
            pass
        ledger.done(2)
        assert ledger.changes[2].acknowledged_at is None
        assert owed_by(cache) == 1
        await asyncio.to_thread(server.start)
        assert await ledger.settled(30.0)
    assert ledger.changes[2].acknowledged_at is not None


def test_a_cache_without_a_server_owes_nothing() -> None:
    """In one process an invalidation is acknowledged when the call returns."""
    assert owed_by(Cache(namespace="alone")) == 0
