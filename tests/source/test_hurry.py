"""A load waits for its turn as the highest priority of those who wait for it, whoever began it."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import Any

import pytest

from cacheaside import Admission, Cache, Contract
from cacheaside.flow.fill import Boarded
from cacheaside.flow.lead import lead
from cacheaside.source.limit import Limit, Refused, Turn
from tests.held import WAIT_S

HIGH, NORMAL, LOW = range(3)


def heard() -> bool:
    return True


async def comes(condition: Callable[[], object]) -> None:
    """Return when `condition` holds, and let the loop and threads run until then."""
    async with asyncio.timeout(WAIT_S):
        while not condition():  # noqa: ASYNC110 - turns of a limit set no event
            await asyncio.sleep(0.001)


class Shop:
    """A cache in front of a source with one turn, and the keys in the order in which they were loaded."""

    def __init__(self, *, queue: int = 16) -> None:
        self.cache = Cache(namespace="hurry")
        self.db = self.cache.source(
            "db", open=contextlib.nullcontext, limit=Admission(1, queue_max=queue, adaptive=False)
        )
        self.loaded: list[int] = []

        @self.cache.read("row", Contract("60s"), source=self.db)
        def row(resource: None, key: int) -> int:
            self.loaded.append(key)
            return key

        @self.cache.read("arow", Contract("60s", grace="60s"), source=self.db)
        async def arow(resource: None, key: int) -> int:
            self.loaded.append(key)
            return key

        self.row: Any = row
        self.arow: Any = arow

    def take(self) -> Turn:
        turn = self.db.limit.take()
        assert turn is not None
        return turn


async def test_a_warm_up_does_not_hold_up_a_reader_who_joins_it() -> None:
    """The load that a warm-up waits to begin goes before those of normal priority once a reader of high priority
    shares it."""
    shop = Shop()
    turn = shop.take()
    warming = asyncio.create_task(shop.cache.warm([("arow", (1,))]))
    await comes(lambda: shop.db.limit.waiting == (0, 0, 1))
    others = [asyncio.create_task(shop.arow(key)) for key in (2, 3)]
    await comes(lambda: shop.db.limit.waiting == (0, 2, 1))
    reading = asyncio.create_task(shop.arow.using(priority="high")(1))
    await comes(lambda: shop.db.limit.waiting == (1, 2, 0))
    shop.db.limit.give_back(turn)
    assert await reading == 1
    await asyncio.gather(warming, *others)
    assert shop.loaded == [1, 2, 3]


@pytest.mark.blocks_loop
async def test_on_threads_too() -> None:
    """A thread of low priority waits for its turn; another of normal priority joins it, and is not shed for a third."""
    shop = Shop(queue=1)
    turn = shop.take()
    answers: list[Any] = []
    low = threading.Thread(target=lambda: answers.append(shop.row.using(priority="low")(1)))
    low.start()
    await comes(lambda: shop.db.limit.waiting == (0, 0, 1))
    joins = threading.Thread(target=lambda: answers.append(shop.row(1)))
    joins.start()
    await comes(lambda: shop.db.limit.waiting == (0, 1, 0))
    refused = shop.db.limit.ask(heard, priority=NORMAL)
    assert refused.refused is Refused.FULL
    shop.db.limit.give_back(turn)
    low.join(WAIT_S)
    joins.join(WAIT_S)
    assert answers == [1, 1]


async def test_a_refresh_that_readers_wait_for_is_no_repeat() -> None:
    """Once they have joined it, it waits for its turn although the budget for repeats is spent."""
    shop = Shop()
    endpoint = shop.cache._host.endpoints["arow"]
    ports = shop.cache._host.ports
    while shop.db.limit.budget.spend():
        pass
    flight, _ = ports.flights.board(endpoint.call((1,)).key, endpoint.call((1,)).tags, pinned=True)

    turn = shop.take()
    reading = asyncio.create_task(shop.arow(1))
    await comes(lambda: flight.waiting == 2)
    await lead([Boarded(endpoint.call((1,)), flight)], ports)
    await comes(lambda: len(shop.db.limit) or shop.db.limit.refused)
    assert not shop.db.limit.refused
    shop.db.limit.give_back(turn)
    assert await reading == 1


def test_only_who_waits_hurries() -> None:
    """A turn that was granted, refused or given up stays what it is; so does one that waits as high already."""
    limit = Limit(1, 2)
    holding = limit.ask(heard, priority=LOW)
    first, second = limit.ask(heard, priority=NORMAL), limit.ask(heard, priority=LOW)
    refused = limit.ask(heard, priority=LOW)
    for turn in (holding, refused):
        limit.hurry(turn, HIGH)
    limit.hurry(first, LOW)
    assert (holding.priority, refused.priority, first.priority) == (LOW, LOW, NORMAL)
    limit.hurry(second, HIGH)
    assert limit.waiting == (1, 1, 0)
    limit.give_up(first)
    limit.hurry(first, HIGH)
    assert limit.waiting == (1, 0, 0)
    limit.give_back(holding)
    assert second.granted
    limit.give_back(second)
    assert (limit.holders, limit.held, len(limit)) == (0, 0, 0)


def test_who_hurries_may_have_a_turn_at_once() -> None:
    """A heavy load at the head of its priority keeps those behind it waiting; one that leaves them does not wait for
    it."""
    limit = Limit(2, 4)
    holding = limit.ask(heard, priority=NORMAL)
    heavy = limit.ask(heard, priority=LOW, weight=2)
    light = limit.ask(heard, priority=LOW)
    assert not heavy.granted
    assert not light.granted
    limit.hurry(light, HIGH)
    assert light.granted
    limit.give_back(holding)
    limit.give_back(light)
    assert heavy.granted
