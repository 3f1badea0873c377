"""A loop that hears too: it reads what comes, sends heartbeats, and leaves no descriptor behind."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
from collections.abc import Iterator
from typing import Any, cast

import pytest

from cacheaside.stores.redis.listen.ear import Ear
from cacheaside.stores.redis.listen.watch import LoopWatch

BEAT_S = 0.005


class Connection:
    """An ear, as far as a watch knows it."""

    def __init__(self) -> None:
        self.ours, self.theirs = socket.socketpair()
        self.ours.setblocking(False)
        self.gone: object = None

    def fileno(self) -> int:
        return self.ours.fileno()

    def read(self) -> bytes:
        try:
            return self.ours.recv(100)
        except BlockingIOError:
            return b""

    def close(self) -> None:
        self.ours.close()
        self.theirs.close()


class Keeper:
    """Writes down what it is asked for."""

    def __init__(self) -> None:
        self.heard = b""
        self.pumped = 0
        self.beats = 0

    def pump(self, ear: Any) -> None:
        self.pumped += 1
        self.heard += ear.read()

    def beat_if_due(self) -> None:
        self.beats += 1


@pytest.fixture
def connection() -> Iterator[Connection]:
    made = Connection()
    yield made
    made.close()


def ear(connection: Connection) -> Ear:
    return cast(Ear, connection)


def is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


async def turns(condition: Any) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - callbacks of the loop set no event
            await asyncio.sleep(0.001)


async def test_what_comes_is_read_by_the_loop(connection: Connection) -> None:
    """What was there before it began to watch, and what comes later."""
    keeper = Keeper()
    connection.theirs.send(b"before ")
    watch = LoopWatch(keeper, asyncio.get_running_loop(), BEAT_S)
    watch.add(ear(connection))
    await turns(lambda: keeper.heard == b"before ")
    connection.theirs.send(b"later")
    await turns(lambda: keeper.heard == b"before later")
    watch.end()
    await turns(lambda: not watch._descriptors)


async def test_heartbeats_are_sent_by_the_loop(connection: Connection) -> None:
    """Again and again while there is something to hear, until it ends."""
    keeper = Keeper()
    watch = LoopWatch(keeper, asyncio.get_running_loop(), BEAT_S)
    await asyncio.sleep(0)
    assert watch._timer is None
    watch.add(ear(connection))
    await turns(lambda: keeper.beats > 2)
    watch.end()
    await turns(lambda: watch._timer is None)
    beats = keeper.beats
    await asyncio.sleep(3 * BEAT_S)
    assert keeper.beats == beats


async def test_it_watches_by_a_descriptor_of_its_own(connection: Connection) -> None:
    """The ear's own may be closed by another thread at any time, and its number be another file's; and watching twice
    is once."""
    keeper = Keeper()
    watch = LoopWatch(keeper, asyncio.get_running_loop(), 60.0)
    watch.add(ear(connection))
    watch.add(ear(connection))
    await turns(lambda: watch._descriptors)
    await asyncio.sleep(0)
    (own,) = watch._descriptors.values()
    assert own != connection.fileno()
    watch.remove(ear(connection))
    await turns(lambda: not watch._descriptors)
    assert not is_open(own)
    assert is_open(connection.fileno())
    watch.remove(ear(connection))
    watch.end()
    await asyncio.sleep(0)


async def test_an_ear_that_is_gone_is_watched_no_longer(connection: Connection) -> None:
    """It is not added, and one that is watched is let go at the next sign of life."""
    keeper = Keeper()
    watch = LoopWatch(keeper, asyncio.get_running_loop(), 60.0)
    watch.add(ear(connection))
    await turns(lambda: watch._descriptors)
    pumped = keeper.pumped
    connection.gone = "lost"
    connection.theirs.send(b"x")
    await turns(lambda: not watch._descriptors)
    watch.add(ear(connection))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert (watch._descriptors, keeper.pumped) == ({}, pumped)
    watch.end()
    await asyncio.sleep(0)


async def test_an_ear_that_is_closed_already_is_skipped(connection: Connection) -> None:
    """Between deciding and watching, another thread may have closed it."""
    keeper = Keeper()
    watch = LoopWatch(keeper, asyncio.get_running_loop(), 60.0)
    connection.close()
    watch.add(ear(connection))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert watch._descriptors == {}
    watch.end()
    await asyncio.sleep(0)


async def test_a_keeper_that_is_gone_ends_it(connection: Connection) -> None:
    """A watch keeps no cache alive; without one it watches nothing."""
    keeper = Keeper()
    watch = LoopWatch(keeper, asyncio.get_running_loop(), BEAT_S)
    watch.add(ear(connection))
    await turns(lambda: watch._descriptors)
    del keeper
    gc.collect()
    await turns(lambda: not watch._descriptors and watch._timer is None)


def test_a_loop_that_was_closed_is_watched_from_no_more(connection: Connection) -> None:
    """Its descriptors are closed by whoever comes next, and nothing is raised."""
    keeper = Keeper()
    loop = asyncio.new_event_loop()
    watch = LoopWatch(keeper, loop, BEAT_S)
    watch.add(ear(connection))
    loop.run_until_complete(turns(lambda: watch._descriptors))
    (own,) = watch._descriptors.values()
    loop.close()
    watch.remove(ear(connection))
    assert not is_open(own)
    watch.add(ear(connection))
    watch.end()
    assert watch._descriptors == {}


def test_a_child_lets_go(connection: Connection) -> None:
    """It closes its copies without a word to the loop, whose poll set is the parent's too; the ear's own descriptor is
    the ear's to close."""
    keeper = Keeper()
    loop = asyncio.new_event_loop()
    watch = LoopWatch(keeper, loop, 60.0)
    watch.add(ear(connection))
    loop.run_until_complete(turns(lambda: watch._descriptors))
    (own,) = watch._descriptors.values()
    watch.begin_as_child()
    assert watch._descriptors == {}
    assert not is_open(own)
    assert is_open(connection.fileno())
    loop.close()
