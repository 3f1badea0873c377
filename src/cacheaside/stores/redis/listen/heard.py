"""`flow.ports.Heard` in both colours: the same hearing, waited for by a future or by a bell."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

from cacheaside.bell import Bell
from cacheaside.coherence.hearing import Hearing
from cacheaside.flow.call import Call
from cacheaside.flow.ports import Clock, Position, TierAway
from cacheaside.types import TagId

__all__ = ["AioHeard", "BlockingHeard", "PlainHeard", "waker"]

POLL_S: Final = 0.05
"""The pause before another look at what another process stores, where nobody can say that it is done."""
LOOK_S: Final = 0.5
"""The same, where it can be said: a message may be lost with the connection, and a holder that died says nothing."""


class PlainHeard:
    """The half of `flow.ports.Heard` that waits for nothing, the same in all colours."""

    def __init__(self, hearing: Hearing) -> None:
        self._hearing = hearing

    def position(self) -> Position:
        return self._hearing.position()

    def still(self, tags: Sequence[TagId], since: Position) -> bool:
        return self._hearing.still(tags, since)

    def hear(self, tags: Sequence[TagId], calls: Sequence[Call] = ()) -> None:
        self._hearing.hear(tags, calls)

    def owe(self, tags: Sequence[TagId], calls: Sequence[Call] = ()) -> None:
        self._hearing.owe(tags, calls)


class _Patient(PlainHeard):
    def __init__(self, hearing: Hearing, clock: Clock, deadline_s: float) -> None:
        super().__init__(hearing)
        self._clock = clock
        self._deadline_s = deadline_s


class AioHeard(_Patient):
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

    def waiting(self, key: TagId) -> AioWaiting:
        return AioWaiting(key, self._hearing)


class AioWaiting:
    """Implements `flow.ports.Waiting` on the running loop."""

    def __init__(self, key: TagId, hearing: Hearing) -> None:
        self._key = key
        self._hearing = hearing
        self._loop = asyncio.get_running_loop()
        self._event = asyncio.Event()
        self._hears = hearing.when_done(key, self._wake)

    def _wake(self) -> None:
        try:
            self._loop.call_soon_threadsafe(self._event.set)
        except RuntimeError:
            return  # the loop is closed

    async def woken(self, within_s: float) -> None:
        if not self._hears:
            await asyncio.sleep(min(POLL_S, within_s))
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(min(LOOK_S, within_s)):
                await self._event.wait()
        self._event.clear()

    def close(self) -> None:
        self._hearing.forget_done(self._key, self._wake)


class BlockingHeard(_Patient):
    """For threads: it blocks, and never suspends."""

    async def sync(self) -> None:
        answered = Bell()
        wake = answered.ring
        if not self._hearing.when_synced(self._clock.now(), wake):
            raise TierAway("changes are not listened to")
        if not answered.wait(self._deadline_s):
            self._hearing.forget_synced(wake)
            raise TierAway(f"a heartbeat was not answered within {self._deadline_s:g} s")

    def waiting(self, key: TagId) -> BlockingWaiting:
        return BlockingWaiting(key, self._hearing)


class BlockingWaiting:
    """Implements `flow.ports.Waiting` in a thread."""

    def __init__(self, key: TagId, hearing: Hearing) -> None:
        self._key = key
        self._hearing = hearing
        self._bell = Bell()
        self._wake = self._bell.ring
        self._hears = hearing.when_done(key, self._wake)

    async def woken(self, within_s: float) -> None:
        self._bell.wait(min(LOOK_S if self._hears else POLL_S, within_s))

    def close(self) -> None:
        self._hearing.forget_done(self._key, self._wake)


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
