"""Stamps whose numbers do not fit what is there."""

from __future__ import annotations

from struct import pack

import pytest

from cacheaside.stores.redis.wire.generations import Identity
from cacheaside.stores.redis.wire.rejected import Rejected
from cacheaside.stores.redis.wire.stamp import HEAD_BYTES, Stamp, pack_stamp, unpack_stamp
from cacheaside.types import Generation, TagId
from tests.stores.redis.examples import KEY

NO_DECLARED_DIGEST = 0  # CRC-32 of nothing


def unpacked(body: bytes) -> tuple[Stamp, int] | Rejected:
    return unpack_stamp(body, 0, len(body), KEY, ())


def packed(named: int, servers: list[int], places: bytes, names: bytes) -> bytes:
    """A stamp of no declared tags, by hand."""
    head = pack(">BBHB", 0, named, NO_DECLARED_DIGEST, len(servers))
    generations = b"".join(pack(">Q", n) for n in range(named))
    return head + b"".join(pack(">I", server) for server in servers) + places + generations + names


def test_a_stamp_by_hand_is_a_stamp() -> None:
    """The stamps of this file are like those that are written, but for what each test changes."""
    tags = (TagId("shop:a"), TagId("shop:b"))
    body = packed(2, [5, 9], b"\1\0", b"\1a\1b")
    stamp = Stamp(tags, (Generation(0), Generation(1)), (Identity(9), Identity(5)))
    assert unpacked(body) == (stamp, len(body))
    assert pack_stamp(stamp, KEY, ()) == body


@pytest.mark.parametrize(
    ("body", "what"),
    [
        (packed(1, [], b"", b"\1a"), "a generation of no server"),
        (packed(1, [5, 9], b"\0", b"\1a"), "more servers than generations"),
        (packed(0, [5], b"", b""), "a server and no generation"),
        (packed(2, [5, 9], b"\0\2", b"\1a\1b"), "a server that is not listed"),
        (packed(2, [5], b"", b"\1a"), "fewer names than stated"),
        (packed(1, [5], b"", b"\2a"), "a name longer than what is left"),
        (packed(1, [5], b"", b"\0"), "a name without characters"),
        (packed(1, [5], b"", b"\2!a"), "a name without a namespace"),
        (packed(1, [5], b"", b"\xca" + b"a" * 202), "a name longer than any key"),
        (packed(255, [5], b"", b"")[:100], "more generations than there is room for"),
        (packed(0, [], b"", b"")[: HEAD_BYTES - 1], "less than a head"),
        (b"", "nothing"),
    ],
)
def test_a_stamp_that_does_not_add_up_is_corrupt(body: bytes, what: str) -> None:
    """Each count, place and length is held against what is there."""
    assert unpacked(body) is Rejected.CORRUPT, what


def test_an_entry_without_tags_has_a_stamp() -> None:
    """No tags, no servers: the smallest stamp there is."""
    assert unpacked(packed(0, [], b"", b"")) == (Stamp((), (), ()), HEAD_BYTES)
