"""Who asks: an open load, impatient. The same callers ask a service over loopback, a user's service, and the model.

Requests come as a Poisson process of a given rate, whether or not the last was answered: latencies are those of whoever
comes, and those who would have come while everything stood still are not left out (coordinated omission). A caller
waits for the load's patience, and then asks again, a few times in all: that is what keeps a source overloaded that lost
its cache. It does not repeat what was refused with a time to retry after.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from random import Random
from typing import Any, Final

from cacheaside.drill.series import Answer, How
from cacheaside.drill.settings import Load

__all__ = ["Ask", "Callers"]

UNDER_WAY_MAX: Final = 20_000
"""Requests under way; whoever comes then fails at once."""
AGAIN_S: Final = 0.05
"""How long a caller rests, at least, before it asks again; at most twice as long."""

Ask = Callable[[Any], Awaitable[tuple[How, int]]]
"""Asks once for a key: how it ended, and which version it was. `ConnectionError`: it failed."""


def _never(*_asked: object) -> bool:
    return False


class Callers:
    """Time is the event loop's, real or not. is_stale: whether a version of a key, asked for at that moment, is older
    than it may be."""

    def __init__(
        self, load: Load, random: Random, ask: Ask, is_stale: Callable[[Any, int, float], bool] = _never
    ) -> None:
        self.answers: list[Answer] = []
        self.came = 0
        self._load = load
        self._random = random
        self._ask = ask
        self._is_stale = is_stale
        self._loop = asyncio.get_running_loop()
        self._under_way: set[asyncio.Task[None]] = set()

    def taken(self) -> list[Answer]:
        """What is new since the last call."""
        answers, self.answers = self.answers, []
        return answers

    async def come(self, rate: float, draw: Callable[[], Any]) -> None:
        """One after the other, for ever; each asks for what `draw` says."""
        due = self._loop.time()
        while True:
            due += self._random.expovariate(rate)
            await self.until(due)
            self.came += 1
            self.begin(self._one(draw()))

    async def all_of(self, keys: Iterable[Any], rate: float) -> int:
        """Each key once, evenly; how many were answered."""
        began, before = self._loop.time(), len(self.answers)
        for number, key in enumerate(keys):
            await self.until(began + number / rate)
            self.begin(self._one(key))
        while self._under_way:
            await asyncio.wait(self._under_way)
        return sum(one.answered for one in self.answers[before:])

    def begin(self, work: Coroutine[Any, Any, None]) -> None:
        """Let it run beside everything else."""
        task = asyncio.ensure_future(work)
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def until(self, moment: float) -> None:
        """Come back then."""
        await asyncio.sleep(max(0.0, moment - self._loop.time()))

    async def end(self) -> None:
        """Everybody goes."""
        for task in self._under_way:
            task.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)

    async def _one(self, key: Any) -> None:
        began = asked_at = self._loop.time()
        how: How = "failed"
        version = tries = 0
        if len(self._under_way) <= UNDER_WAY_MAX:
            for tries in range(1, self._load.tries + 1):  # noqa: B007 - told of below
                asked_at = self._loop.time()
                how, version = await self._once(key)
                if how not in ("late", "failed"):
                    break
                await asyncio.sleep(AGAIN_S * (1 + self._random.random()))
        stale = version > 0 and self._is_stale(key, version, asked_at)
        self.answers.append(Answer(began, self._loop.time(), how, key, stale, tries))

    async def _once(self, key: Any) -> tuple[How, int]:
        try:
            async with asyncio.timeout(self._load.patience_s):
                return await self._ask(key)
        except TimeoutError:
            return "late", 0
        except ConnectionError:
            return "failed", 0
