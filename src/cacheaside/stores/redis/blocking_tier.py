"""The shared tier from threads: plain hits in few steps, each in an exchange of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from cacheaside.flow.blocking import run_blocking
from cacheaside.flow.ports import TierAway
from cacheaside.stores.redis.plain import AWAY, ELSE, PlainHits, Quick
from cacheaside.stores.redis.tier import RedisTier
from cacheaside.stores.redis.wire.commands import Exchange
from cacheaside.stores.redis.wire.names import generation_prefix
from cacheaside.stores.redis.wire.stamp import TAGS_MAX
from cacheaside.types import TagId

__all__ = ["BlockingTier"]

R = TypeVar("R")


class BlockingTier(RedisTier):
    """As `RedisTier`, over a transport whose coroutines never suspend."""

    def __init__(self, *parts: Any, namespace: str, moment: Callable[[], int], **options: Any) -> None:
        """moment: as `PlainHits` has it."""
        super().__init__(*parts, namespace=namespace, **options)
        self._plain_hits = PlainHits(self._servers, self._owed, self._clock, self._everything, self, moment)
        self._generation = generation_prefix(namespace)

    def value(self, endpoint: Quick, key: TagId, more: Sequence[TagId]) -> Any:
        """The value that the tier holds under `key`, which depends on that, on the namespace and on the tags `more`, if
        it is valid and surely fresh; else an `Else`."""
        return run_blocking(self.look(endpoint, key, more))

    async def look(self, endpoint: Quick, key: TagId, more: Sequence[TagId]) -> Any:
        """The same, over a transport that may suspend too."""
        if not self._servers.one_up or len(more) > TAGS_MAX:
            return ELSE
        asking = self._asking()
        if asking.known is None:
            return ELSE
        prefix = self._generation
        command = ("MGET", key, f"{prefix}{key}}}", *[f"{prefix}{tag}}}" for tag in more])
        try:
            (values,) = await self._transport.execute([command])
            if type(values) is not list or len(values) != len(command) - 1:
                return ELSE  # a flow asks again, and says what is wrong
            wish = endpoint, key, 0, None, more
            ((_, answer),) = self._plain_hits.answers([wish], values, asking.known, asking.owing)
        except TierAway:
            self._counts.away += 1
            return AWAY
        return answer

    async def say(self, exchange: Exchange[R], *, writes: bool = False) -> R:
        """What the servers answer, once there was an attempt to reach them; for what is no entry and no generation."""
        await self._be_ready()
        return await self._say(exchange, writes=writes)
