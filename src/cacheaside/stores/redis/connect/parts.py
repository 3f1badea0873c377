"""Commands for several servers: which goes where, and the replies put together again."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from cacheaside.stores.redis.connect.away import Away, ConnectionAway
from cacheaside.stores.redis.connect.fleet import Fleet
from cacheaside.stores.redis.wire.replies import Command

__all__ = ["Part", "in_order", "no_servers", "parts_of"]


@dataclass(slots=True)
class Part:
    """What goes to one server, in the order given.

    place: of the server, in `Fleet.primaries`. positions: of the commands, in the whole.
    """

    place: int
    commands: list[Command] = field(default_factory=list)
    positions: list[int] = field(default_factory=list)


def parts_of(fleet: Fleet, commands: Sequence[Command]) -> list[Part]:
    """One part for each server that is concerned, by place. A command without arguments goes to the first server."""
    parts: dict[int, Part] = {}
    for position, command in enumerate(commands):
        place = 0
        if len(command) > 1:
            place = fleet.place_of(command[1])
        part = parts.get(place)
        if part is None:
            part = parts[place] = Part(place)
        part.commands.append(command)
        part.positions.append(position)
    return [parts[place] for place in sorted(parts)]


def in_order(parts: Iterable[Part], replies: Iterable[Sequence[Any]], count: int) -> list[Any]:
    """The replies to all `count` commands, from those to each part."""
    whole: list[Any] = [None] * count
    for part, answered in zip(parts, replies, strict=True):
        for position, reply in zip(part.positions, answered, strict=True):
            whole[position] = reply
    return whole


def no_servers() -> ConnectionAway:
    """What calls are told before it was found out who the servers are."""
    return ConnectionAway(
        "which servers there are has not been found out yet", endpoint="redis", reason=Away.REFUSED
    )
