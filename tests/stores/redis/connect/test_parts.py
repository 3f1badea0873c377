"""What goes to which server of a cluster, and the replies in their order again."""

from __future__ import annotations

import random
from array import array
from collections import defaultdict

from cacheaside.stores.redis.connect.fleet import Fleet
from cacheaside.stores.redis.connect.parts import in_order, parts_of
from cacheaside.stores.redis.connect.server import ServerAddress
from cacheaside.stores.redis.wire.names import SLOTS

THREE = Fleet(
    tuple(ServerAddress("127.0.0.1", port) for port in (1, 2, 3)),
    array("H", [slot * 3 // SLOTS for slot in range(SLOTS)]),
)


def test_each_command_goes_to_its_first_arguments_server(seed: int) -> None:
    """Whatever the mix, every command is in the part of its slot's owner, and order holds within a part."""
    chance = random.Random(seed)
    commands = [("SET", f"k{chance.randrange(50)}", n) for n in range(500)]
    expected = defaultdict(list)
    for command in commands:
        expected[THREE.place_of(command[1])].append(command)
    parts = parts_of(THREE, commands)
    assert {part.place: part.commands for part in parts} == dict(expected)
    assert [part.place for part in parts] == sorted(expected)


def test_replies_come_back_in_the_order_of_the_commands(seed: int) -> None:
    """The reply at a position is that to the command at this position."""
    chance = random.Random(seed)
    commands = [("ECHO", f"k{chance.randrange(1000)}") for _ in range(200)]
    parts = parts_of(THREE, commands)
    assert len(parts) == 3
    replies = [[command[1] for command in part.commands] for part in parts]
    assert in_order(parts, replies, len(commands)) == [name for _, name in commands]


def test_names_of_every_kind_have_a_slot() -> None:
    """Text and bytes name the same key; a command without one goes to the first server."""
    parts = parts_of(THREE, [("GET", "7"), ("GET", b"7")])
    assert len(parts) == 1
    assert parts[0].place == THREE.place_of("7")
    assert [part.place for part in parts_of(THREE, [("PING",)])] == [0]
    assert parts_of(THREE, []) == []


def test_one_primary_takes_everything() -> None:
    """Without slots there is one part, which is the whole."""
    (part,) = parts_of(Fleet(THREE.primaries[:1]), [("GET", "a"), ("GET", "b")])
    assert (part.place, part.positions) == (0, [0, 1])
