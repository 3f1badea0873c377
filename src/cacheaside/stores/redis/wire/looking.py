"""What is asked of a server by somebody who explains one key: everything that concerns it, and nothing is changed.

MGET and PTTL, both on every service's access list. A server that is not let say PTTL leaves those moments out. To the
server's own eviction an MGET is a use of the key, like any read.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from cacheaside.flow.ports import Leased
from cacheaside.stores.redis.wire.commands import Commands, Exchange, Fetched, Wanted
from cacheaside.stores.redis.wire.names import lease_name, writers_name
from cacheaside.stores.redis.wire.replies import Command, values_in
from cacheaside.types import TagId

__all__ = ["Seen", "Writing", "looking", "writers_of"]

_NOT_THERE: Final = -2


class Writing(NamedTuple):
    """Whether a writer is under way for a tag, and when its mark ends; each None where the server did not say."""

    under_way: bool | None
    ends_in_s: float | None


class Seen(NamedTuple):
    """holder: whoever has the lease, as it signed. The moments are seconds from now, None where there is none."""

    leased: Leased
    fetched: Fetched
    holder: str | None
    lease_ends_in_s: float | None
    entry_ends_in_s: float | None
    writers: dict[TagId, Writing]


def looking(commands: Commands, wanted: Wanted) -> Exchange[Seen]:
    """All that concerns the key of `wanted`, in one round trip."""
    peeking, writing = commands.peek(wanted), writers_of(wanted.tags)
    lease = lease_name(wanted.key)
    own: tuple[Command, ...] = (("MGET", lease), ("PTTL", lease), ("PTTL", wanted.key))
    first = len(peeking.commands)

    def read(replies: Sequence[Any]) -> Seen:
        leased, fetched = peeking.read(replies[:first])
        (holder,) = values_in(own[0], replies[first])
        lease_ends, entry_ends = map(_left_s, replies[first + 1 : first + 3])
        signed = None if holder is None else holder.decode("ascii", "replace")[:64]
        return Seen(leased, fetched, signed, lease_ends, entry_ends, writing.read(replies[first + 3 :]))

    return Exchange((*peeking.commands, *own, *writing.commands), read, resend=True)


def writers_of(tags: Sequence[TagId]) -> Exchange[dict[TagId, Writing]]:
    """The writers under way of each tag, and until when."""
    commands: tuple[Command, ...] = tuple([("PTTL", writers_name(tag)) for tag in tags])

    def read(replies: Sequence[Any]) -> dict[TagId, Writing]:
        return {
            tag: Writing(reply != _NOT_THERE, _left_s(reply)) if _is_number(reply) else Writing(None, None)
            for tag, reply in zip(tags, replies, strict=True)
        }

    return Exchange(commands, read, resend=True)


def _is_number(reply: Any) -> bool:
    return isinstance(reply, int) and not isinstance(reply, bool)


def _left_s(reply: Any) -> float | None:
    return reply / 1000 if _is_number(reply) and reply >= 0 else None
