"""The servers of one deployment: which of them is the primary of which slot, and how that is found out."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from cacheaside.stores.redis.connect.server import ServerAddress
from cacheaside.stores.redis.wire.names import slot_of
from cacheaside.stores.redis.wire.replies import Command

__all__ = ["Fleet", "Topology", "Transport"]


@dataclass(frozen=True, slots=True)
class Fleet:
    """The primaries as last seen.

    owners: for each of the 16,384 slots of a cluster, the place of its primary in `primaries`; None where one
    primary holds everything (a single server, or the one that Sentinel names).
    """

    primaries: tuple[ServerAddress, ...]
    owners: array[int] | None = None

    @property
    def is_cluster(self) -> bool:
        """Whether keys of one command must share a slot."""
        return self.owners is not None

    def place_of(self, name: str | bytes) -> int:
        """The place in `primaries` of the server that holds `name`."""
        return 0 if self.owners is None else self.owners[slot_of(name)]


class Topology(Protocol):
    """How the primaries are found: a fixed address, Sentinels, or the nodes of a cluster."""

    def find(self, within_s: float) -> Fleet:
        """Ask who the primaries are now. Blocks its thread, for `within_s` at most. Raises `ConnectionAway`."""


class Transport(Protocol):
    """Commands to the primaries of a fleet, in one colour: asyncio suspends, threads block without suspending."""

    async def execute(self, commands: Sequence[Command]) -> list[Any]:
        """The replies to `commands`, in their order, each sent to the primary of its first argument's slot.

        What concerns one slot takes effect in the order given. An error of a server is an `ErrorReply` among the
        replies, a redirection too; none is followed, and no command is ever sent twice. Raises `ConnectionAway`, within
        the deadline, when a server does not answer.
        """

    def use(self, fleet: Fleet) -> None:
        """From now on these are the primaries. Connections to others are given up. From any thread."""
