"""`flow.ports.Heard` in both colours: the same hearing, waited for by a future or by an event."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence

from cacheaside.coherence.hearing import Hearing
from cacheaside.flow.call import Call
from cacheaside.flow.ports import Clock, Position, TierAway
from cacheaside.types import TagId

__all__ = ["AioHeard", "BlockingHeard", "waker"]

POLL_S = 0.05
"""The pause before another look at what another process stores, where nobody can say that it is done."""


class _Heard:
    def __init__(self, hearing: Hearing, clock: Clock, deadline_s: float) -> None:
        self._hearing = hearing
        self._clock = clock
        self._deadline_s = deadline_s

    def position(self) -> Position:
        return self._hearing.position()

    def still(self, tags: Sequence[TagId], since: Position) -> bool:
        return self._hearing.still(tags, since)

    def hear(self, tags: Sequence[TagId], calls: Sequence[Call] = ()) -> None:
        self._hearing.hear(tags, calls)

    def owe(self, tags: Sequence[TagId], calls: Sequence[Call] = ()) -> None:
        self._hearing.owe(tags, calls)


class AioHeard(_Heard):
    """For event loops; every loop of the process."""

    async def sync(self) -> None:
        loop = asyncio.get_running_loop()
        answered = loop.create_future()
        wake = waker(loop, answered)
        if not self._hearing.when_synced(self._clock.now(), wake):
            raise TierAway("changes are not listened to")
        await _within(answered, self._deadline_s)
        if not answered.done():
            self._hearing.forget_synced(wake)
            raise TierAway(f"a heartbeat was not answered within {self._deadline_s:g} s")

    async def woken(self, key: TagId, within_s: float) -> bool:
        loop = asyncio.get_running_loop()
        done = loop.create_future()
        wake = waker(loop, done)
        if not self._hearing.when_done(key, wake):
            await asyncio.sleep(min(POLL_S, within_s))
            return False
        try:
            await _within(done, within_s)
        finally:
            self._hearing.forget_done(key, wake)
        return done.done()


class BlockingHeard(_Heard):
    """For threads: it blocks, and never suspends."""

    async def sync(self) -> None:
        answered = threading.Event()
        wake = answered.set
        if not self._hearing.when_synced(self._clock.now(), wake):
            raise TierAway("changes are not listened to")
        if not answered.wait(self._deadline_s):
            self._hearing.forget_synced(wake)
            raise TierAway(f"a heartbeat was not answered within {self._deadline_s:g} s")

    async def woken(self, key: TagId, within_s: float) -> bool:
        done = threading.Event()
        wake = done.set
        if not self._hearing.when_done(key, wake):
            done.wait(min(POLL_S, within_s))
            return False
        try:
            return done.wait(within_s)
        finally:
            self._hearing.forget_done(key, wake)


async def _within(future: asyncio.Future[None], within_s: float) -> None:
    """Return when `future` is done, or after `within_s`."""
    await asyncio.wait([future], timeout=within_s)


def waker(loop: asyncio.AbstractEventLoop, future: asyncio.Future[None]) -> Callable[[], None]:
    """What sets `future`, of `loop`, from any thread; once, and harmlessly after."""

    def done() -> None:
        if not future.done():
            future.set_result(None)

    def wake() -> None:
        try:
            loop.call_soon_threadsafe(done)
        except RuntimeError:
            return  # the waiter's loop is closed

    return wake
