"""Waiting for what is heard, in both colours: for a heartbeat, and for another process's load."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from cacheaside.coherence.hearing import Hearing
from cacheaside.flow.blocking import run_blocking
from cacheaside.flow.ports import TierAway
from cacheaside.stores.redis.listen import heard as heards
from cacheaside.stores.redis.listen.heard import AioHeard, BlockingHeard, waker
from cacheaside.types import TagId
from tests.coherence.near import Near
from tests.stores.redis.conftest import wait_for
from tests.stores.redis.examples import EVERYTHING, KEY, PRODUCT

LONG_S = 30.0
"""Longer than any of these tests takes: what ends earlier was woken."""


class World:
    """A hearing of one node, whose heartbeats are answered by whoever `answers`."""

    def __init__(self, deadline_s: float = LONG_S) -> None:
        self.near = Near()
        self.hearing = Hearing(
            self.near, self, (), lambda until: None, everything=EVERYTHING, max_unsynced_s=1e9
        )
        self.hearing.expect(("one",))
        self.hearing.listening("one")
        self.hearing.synced("one", self.now())
        self.asked = threading.Event()
        self.hearing.beat_soon = self.asked.set
        self.aio = AioHeard(self.hearing, self, deadline_s)
        self.blocking = BlockingHeard(self.hearing, self, deadline_s)

    def now(self) -> float:
        return time.monotonic()

    def deaf(self) -> World:
        """Nobody listens."""
        self.hearing.restart()
        return self

    def answer(self) -> None:
        """From a thread of its own, as the keeper would."""

        def run() -> None:
            assert self.asked.wait(LONG_S)
            self.hearing.synced("one", self.now())

        threading.Thread(target=run).start()

    def sync(self, colour: str) -> None:
        """As a flow in that colour."""
        if colour == "aio":
            asyncio.run(self.aio.sync())
        else:
            run_blocking(self.blocking.sync())

    @property
    def waiting(self) -> int:
        return len(self.hearing._beat_waiters) + len(self.hearing._done_waiters)


colours = pytest.mark.parametrize("colour", ["aio", "blocking"])


@colours
def test_a_sync_ends_with_the_answer(colour: str) -> None:
    """It asks for a heartbeat, and returns when one that was sent after it began is answered."""
    world = World()
    world.answer()
    world.sync(colour)
    assert world.waiting == 0


@colours
def test_a_sync_without_an_answer_ends_at_the_deadline(colour: str) -> None:
    """It says so, and is waited for by nobody any more."""
    world = World(deadline_s=0.01)
    with pytest.raises(TierAway, match=r"a heartbeat was not answered within 0\.01 s"):
        world.sync(colour)
    assert world.waiting == 0
    world.hearing.synced("one", world.now())


@colours
def test_a_sync_with_nobody_listening_ends_at_once(colour: str) -> None:
    """Nobody could answer."""
    with pytest.raises(TierAway, match="changes are not listened to"):
        World().deaf().sync(colour)


async def test_a_sync_that_is_cancelled_leaves_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two wait for the same heartbeat, and one of them goes."""
    world = World()
    tasks = [asyncio.ensure_future(world.aio.sync()) for _ in range(2)]
    await asyncio.sleep(0)
    tasks[0].cancel()
    world.hearing.synced("one", world.now())
    await tasks[1]
    with pytest.raises(asyncio.CancelledError):
        await tasks[0]


class TestWaiting:
    """A wait for whoever loads a key."""

    async def test_a_loop_is_woken_from_another_thread(self) -> None:
        """As soon as it is said that the load is done; what was said before the wait began is not missed."""
        world = World()
        waiting = world.aio.waiting(KEY)
        begun = time.monotonic()
        threading.Thread(target=world.hearing.done, args=(KEY,)).start()
        await self.woken_by_word(waiting, monkey=None)
        world.hearing.done(KEY)
        await self.woken_by_word(waiting, monkey=None)
        assert time.monotonic() - begun < LONG_S
        waiting.close()
        assert world.waiting == 0

    async def woken_by_word(self, waiting: Any, monkey: Any) -> None:
        while not waiting._event.is_set():  # noqa: ASYNC110 - set by the thread under test
            await asyncio.sleep(0)
        await waiting.woken(LONG_S)
        assert not waiting._event.is_set(), "once for each word"

    def test_a_thread_is_woken_from_another(self) -> None:
        """The same in a thread."""
        world = World()
        waiting = world.blocking.waiting(KEY)
        threading.Thread(target=world.hearing.done, args=(KEY,)).start()
        wait_for(lambda: waiting._bell.is_rung)
        run_blocking(waiting.woken(LONG_S))
        assert not waiting._bell.is_rung
        waiting.close()
        assert world.waiting == 0

    @colours
    def test_it_looks_now_and_then_by_itself(self, colour: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """A word may be lost with its connection, and a holder that died says nothing."""
        monkeypatch.setattr(heards, "LOOK_S", 0.001)
        monkeypatch.setattr(heards, "POLL_S", LONG_S)
        self.wait(World(), colour, LONG_S)

    @colours
    def test_where_nobody_tells_it_looks_often(self, colour: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """Without anybody to hear from, a short pause lies between two looks."""
        monkeypatch.setattr(heards, "LOOK_S", LONG_S)
        monkeypatch.setattr(heards, "POLL_S", 0.001)
        self.wait(World().deaf(), colour, LONG_S)

    @colours
    @pytest.mark.parametrize("deaf", [False, True])
    def test_it_never_waits_longer_than_its_caller_may(
        self, colour: str, deaf: bool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Whatever the pauses are."""
        monkeypatch.setattr(heards, "LOOK_S", LONG_S)
        monkeypatch.setattr(heards, "POLL_S", LONG_S)
        self.wait(World().deaf() if deaf else World(), colour, 0.001)

    def wait(self, world: World, colour: str, within_s: float) -> None:
        begun = time.monotonic()
        if colour == "aio":

            async def wait() -> None:
                waiting = world.aio.waiting(KEY)
                await waiting.woken(within_s)
                waiting.close()

            asyncio.run(wait())
        else:
            waiting = world.blocking.waiting(KEY)
            run_blocking(waiting.woken(within_s))
            waiting.close()
        assert time.monotonic() - begun < LONG_S / 2
        assert world.waiting == 0

    def test_a_word_after_the_loop_is_closed_is_harmless(self) -> None:
        """Who said that it waits, and whose loop ended without closing it, is skipped."""
        world = World()

        async def begin() -> None:
            world.aio.waiting(KEY)

        asyncio.run(begin())
        world.hearing.done(KEY)

    def test_a_heartbeat_after_the_loop_is_closed_is_harmless(self) -> None:
        """The same for who waits for a heartbeat."""
        loop = asyncio.new_event_loop()
        wake = waker(loop, loop.create_future())
        loop.close()
        wake()


async def test_a_future_is_set_once_from_any_thread() -> None:
    """Woken twice, or after it was cancelled, nothing happens."""
    loop = asyncio.get_running_loop()
    future, other = loop.create_future(), loop.create_future()
    other.cancel()
    for wake in (waker(loop, future), waker(loop, future), waker(loop, other)):
        await asyncio.to_thread(wake)
    await future
    assert other.cancelled()


def test_both_colours_are_the_same_hearing() -> None:
    """Positions, changes and what is owed go through to it."""
    world = World()
    owed: list[object] = []
    world.hearing.owed = owed.append
    asked: list[Callable[..., Any]] = [world.aio.hear, world.blocking.hear, world.aio.owe, world.blocking.owe]
    for heard in (world.aio, world.blocking):
        assert heard.still((PRODUCT,), heard.position())
    for change in asked:
        since = world.aio.position()
        change((PRODUCT,))
        assert not world.blocking.still((PRODUCT,), since)
    assert owed == [(PRODUCT,)] * 2
    assert world.near.dropped[-4:] == [(TagId(PRODUCT),)] * 4
