"""Entries as they lie on servers: every format that was ever released, in bytes.

A row is never changed or removed while its format is read. The rows of the newest format also show what is written.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
from msgspec import structs

from cacheaside.stores.redis.wire.envelope import FORMAT, Envelope, Wire, decode, encode
from cacheaside.stores.redis.wire.generations import Identity, identity_of
from cacheaside.stores.redis.wire.rejected import Rejected
from cacheaside.stores.redis.wire.seal import KeyRing
from cacheaside.stores.redis.wire.stamp import Stamp
from cacheaside.types import Generation, TagId

KEY = TagId("shop:product:1~k3f9abcd:i42")
OTHER_KEY = TagId("shop:product:1~k3f9abcd:i43")
DECLARED = (KEY, TagId("shop:tag~%2A:()"), TagId("shop:tag~products:i42"))
NAMED = (TagId("shop:tag~categories:i7"), TagId("warehouse:tag~bins:sA-1"))
SERVER = identity_of("8d3f0a5e5d0b4c0f9a7be0a6f1d2c3b4a5968778")
WIRE = Wire()
SIGNED = Wire(ring=KeyRing(b"a secret of at least 16 bytes"))

CHANGED = (
    "The bytes of stored entries changed. What is on servers now would be rejected or misread, and processes of "
    "two versions would not read each other's entries. If that is meant: give the new form the next FORMAT in "
    "stores/redis/wire/envelope.py, keep reading the old one for a release, add rows for the new one here and leave "
    "these, and say so in CHANGELOG.md."
)


@dataclass(frozen=True)
class Golden:
    """An entry, how it is written, and its bytes. written: False where the bytes depend on zlib's version."""

    name: str
    format: int
    entry: Envelope
    wire: Wire
    data: str
    written: bool = True


def entry(tags: tuple[TagId, ...], *identities: Identity) -> Envelope:
    generations = tuple(Generation(0x1111111111111111 * (n + 1)) for n in range(len(tags)))
    stamp = Stamp(tags, generations, identities if len(identities) > 1 else identities * len(tags))
    return Envelope(b"\x82\xa2id\x2a\xa4name\xa3cup", 1_790_000_000_123_456, False, 0.25, stamp)


PLAIN = entry(DECLARED, SERVER)

GOLDEN = [
    Golden(
        "plain",
        1,
        PLAIN,
        WIRE,
        "c1a5010000065bfeda27c24034000300840601030c2cb811111111111111112222222222222222333333333333333382"
        "a269642aa46e616d65a3637570ab0f1907",
    ),
    Golden(
        "absent",
        1,
        structs.replace(PLAIN, value=b"\xc0", absent=True),
        WIRE,
        "c1a5010100065bfeda27c24034000300840601030c2cb8111111111111111122222222222222223333333333333333c0"
        "69c1d6c7",
    ),
    Golden(
        "tags of the value",
        1,
        entry((*DECLARED, *NAMED), SERVER),
        WIRE,
        "c1a5010000065bfeda27c24034000302840601030c2cb811111111111111112222222222222222333333333333333344"
        "444444444444445555555555555555117461677e63617465676f726965733a6937182177617265686f7573653a746167"
        "7e62696e733a73412d3182a269642aa46e616d65a3637570947097a6",
    ),
    Golden(
        "several servers",
        1,
        entry(DECLARED, SERVER, Identity(0), Identity(5)),
        WIRE,
        "c1a5010000065bfeda27c240340003008406030000000000000005030c2cb80200011111111111111111222222222222"
        "2222333333333333333382a269642aa46e616d65a36375706d183d0c",
    ),
    Golden(
        "signed",
        1,
        PLAIN,
        SIGNED,
        "c1a5010200065bfeda27c24034000300840601030c2cb811111111111111112222222222222222333333333333333382"
        "a269642aa46e616d65a36375704336984d7574327fd087bd6e06eabea4de",
    ),
    Golden(
        "compressed",
        1,
        structs.replace(PLAIN, value=b"\xda\x01\x00" + b"tea " * 64),
        replace(WIRE, compress_from_bytes=0),
        "c1a5010400065bfeda27c24034000300840601030c2cb811111111111111112222222222222222333333333333333300"
        "000103bbc5c850929aa830923100f12232c9",
        written=False,
    ),
    Golden(
        "compressed and signed",
        1,
        structs.replace(PLAIN, value=b"\xda\x01\x00" + b"tea " * 64),
        replace(SIGNED, compress_from_bytes=0),
        "c1a5010600065bfeda27c24034000300840601030c2cb811111111111111112222222222222222333333333333333300"
        "000103bbc5c850929aa8309231004344c3377e8d7a3f3de834197aeec074ca",
        written=False,
    ),
]


@pytest.mark.parametrize("golden", GOLDEN, ids=lambda golden: golden.name)
def test_stored_bytes_are_still_read(golden: Golden) -> None:
    """What earlier versions stored is read, every field of it."""
    found = decode(bytes.fromhex(golden.data), KEY, DECLARED, golden.wire)
    assert found == golden.entry, CHANGED


@pytest.mark.parametrize("golden", [g for g in GOLDEN if g.written], ids=lambda golden: golden.name)
def test_written_bytes_are_still_the_same(golden: Golden) -> None:
    """What this version stores is read by those that are running beside it."""
    assert golden.format == FORMAT, (
        "Keep the rows of an older format with written=False, and add rows for this one."
    )
    assert encode(golden.entry, KEY, DECLARED, golden.wire).hex() == golden.data.replace(" ", ""), CHANGED


@pytest.mark.parametrize("golden", GOLDEN, ids=lambda golden: golden.name)
def test_a_stored_entry_belongs_to_its_key(golden: Golden) -> None:
    """The bytes of an entry are of no use under another key, in any format."""
    other = (OTHER_KEY, *DECLARED[1:])
    assert decode(bytes.fromhex(golden.data), OTHER_KEY, other, golden.wire) in (
        Rejected.CORRUPT,
        Rejected.BAD_MAC,
    )


def test_the_newest_format_has_rows() -> None:
    """Each format that is written is held by bytes: plain, absent, named, of several servers, signed, compressed."""
    assert len([golden for golden in GOLDEN if golden.format == FORMAT]) >= 6
