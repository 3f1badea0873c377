"""One value that all processes of a namespace share and that is no entry: the control state of the fleet."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import Any, Final, Protocol, TypeVar

from cacheaside.stores.redis.wire.commands import Exchange
from cacheaside.stores.redis.wire.names import control_lease_name, control_name
from cacheaside.stores.redis.wire.replies import Command, count_in, done, values_in, was_set

__all__ = ["Kept", "Says"]

R = TypeVar("R")


class Says(Protocol):
    """A tier, as far as it is needed here."""

    def say(self, exchange: Exchange[R], *, writes: bool = False) -> Awaitable[R]:
        """What the servers answer. Raises `TierAway`."""


_HELD: Final = b"1"


class Kept:
    """Raises `TierAway`. Its name begins as those of generations do, so that each process is told when it changes."""

    def __init__(self, namespace: str, tier: Says) -> None:
        self.name = control_name(namespace)
        self._lease = control_lease_name(namespace)
        self._tier = tier

    async def get(self) -> bytes | None:
        """What is kept."""
        asking: Command = ("MGET", self.name)

        def read(replies: Sequence[Any]) -> bytes | None:
            return values_in(asking, replies[0])[0]

        return await self._tier.say(Exchange((asking,), read, resend=True))

    async def put(self, data: bytes, lifetime_ms: int) -> None:
        """Keep `data` in the place of what is kept."""
        setting: Command = ("SET", self.name, data, "PX", str(lifetime_ms))
        await self._tier.say(
            Exchange((setting,), lambda replies: done(setting, replies[0]), resend=True), writes=True
        )

    async def lease(self, lifetime_ms: int) -> bool:
        """Be the one who changes it, for so long; False when another is."""
        leasing: Command = ("SET", self._lease, _HELD, "NX", "PX", str(lifetime_ms))
        return await self._tier.say(
            Exchange((leasing,), lambda replies: was_set(leasing, replies[0]), resend=False), writes=True
        )

    async def hand_back(self) -> None:
        """Be it no longer."""
        deleting: Command = ("DEL", self._lease)

        def read(replies: Sequence[Any]) -> None:
            count_in(deleting, replies[0])

        await self._tier.say(Exchange((deleting,), read, resend=False), writes=True)
