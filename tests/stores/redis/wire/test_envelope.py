"""The envelope: what is written comes back, and nothing else does."""

from __future__ import annotations

import tracemalloc
import zlib
from dataclasses import replace
from struct import pack

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cacheaside.stores.redis.wire.deflate import deflated
from cacheaside.stores.redis.wire.envelope import OVERHEAD_MAX_BYTES, PLAIN, Envelope, Wire, decode, encode
from cacheaside.stores.redis.wire.generations import Identity
from cacheaside.stores.redis.wire.rejected import Rejected
from cacheaside.stores.redis.wire.seal import CHECKSUM_BYTES, KeyRing, checksum
from cacheaside.stores.redis.wire.stamp import Stamp
from cacheaside.types import Generation, TagId
from tests.stores.redis.examples import (
    CATEGORY,
    DECLARED,
    EVERYTHING,
    KEY,
    PRODUCT,
    by_tag,
    envelope,
    envelopes,
)

SIGNED = Wire(ring=KeyRing(b"0123456789abcdef"))
ALL_WIRES = [
    PLAIN,
    SIGNED,
    replace(PLAIN, compress_from_bytes=0),
    replace(SIGNED, compress_from_bytes=0),
]


def resealed(body: bytes, key: str = KEY) -> bytes:
    """Bytes of anyone's making behind a good checksum, so that what comes after it is put to the test."""
    return body + checksum(key, body)


def body_of(made: Envelope, declared: tuple[TagId, ...] = DECLARED, wire: Wire = PLAIN) -> bytes:
    return encode(made, KEY, declared, wire)[:-CHECKSUM_BYTES]


@pytest.mark.parametrize("wire", ALL_WIRES, ids=["plain", "signed", "compressed", "both"])
@given(made=envelopes(), key=st.sampled_from([KEY, "s:a:", "shop2:x:i1"]))
def test_what_is_written_comes_back(wire: Wire, made: tuple[Envelope, tuple[TagId, ...]], key: str) -> None:
    """Every field of every entry comes back, whichever order the call names its tags in."""
    given_, declared = made
    found = decode(encode(given_, key, declared, wire), key, tuple(reversed(declared)), wire)
    assert isinstance(found, Envelope)
    assert (found.value, found.loaded_at_us, found.absent) == (
        given_.value,
        given_.loaded_at_us,
        given_.absent,
    )
    assert by_tag(found.stamp) == by_tag(given_.stamp)
    assert len(found.stamp.tags) == len(given_.stamp.tags)
    assert found.load_s == pytest.approx(given_.load_s, rel=1e-3, abs=1e-7)


@given(load_s=st.floats(allow_nan=False))
def test_a_load_of_any_length_is_written(load_s: float) -> None:
    """How long a load took is an estimate: what no load can have taken is written as the nearest that can be."""
    found = decode(encode(envelope(load_s=load_s), KEY, DECLARED), KEY, DECLARED)
    assert isinstance(found, Envelope)
    assert 0 <= found.load_s <= 65_504


@pytest.mark.parametrize(("wire", "beyond"), [(PLAIN, 27), (SIGNED, 40)], ids=["plain", "signed"])
def test_an_envelope_is_small(wire: Wire, beyond: int) -> None:
    """Tags that follow from the call take 8 bytes each; all else 27 bytes, 40 with a MAC."""
    value = b"v" * 200
    data = encode(envelope(value=value), KEY, DECLARED, wire)
    assert len(data) - len(value) == beyond + 8 * len(DECLARED)


def test_a_tag_found_in_the_value_is_named() -> None:
    """A reader learns the names of the tags that its call does not declare, of any namespace."""
    other = TagId("warehouse:tag~bins:i1")
    tags = (*DECLARED, CATEGORY, other)
    data = encode(envelope(tags), KEY, DECLARED)
    found = decode(data, KEY, DECLARED)
    assert isinstance(found, Envelope)
    assert set(found.stamp.tags) == set(tags)
    assert b"shop:tag~categories" not in data
    assert b"tag~categories:i7" in data


@given(made=envelopes(), flip=st.integers(1, 255), place=st.floats(0, 1, exclude_max=True))
def test_no_changed_byte_is_taken(made: tuple[Envelope, tuple[TagId, ...]], flip: int, place: float) -> None:
    """An entry with any one byte changed is rejected, signed or not."""
    for wire in (PLAIN, SIGNED):
        data = bytearray(encode(made[0], KEY, made[1], wire))
        data[int(place * len(data))] ^= flip
        assert isinstance(decode(bytes(data), KEY, made[1], wire), Rejected)


def test_no_byte_and_no_length_is_overlooked() -> None:
    """Each byte of a signed entry matters, each of its beginnings is too short, and nothing may follow it."""
    data = encode(envelope((*DECLARED, CATEGORY)), KEY, DECLARED, SIGNED)
    for at in range(len(data)):
        for bit in range(8):
            changed = data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1 :]
            assert isinstance(decode(changed, KEY, DECLARED, SIGNED), Rejected), (at, bit)
        assert isinstance(decode(data[:at], KEY, DECLARED, SIGNED), Rejected), at
    assert isinstance(decode(data + b"\0", KEY, DECLARED, SIGNED), Rejected)


@given(
    data=st.binary(max_size=300),
    prefix=st.sampled_from([b"", b"\xc1\xa5", b"\xc1\xa5\x01\x00", b"\xc1\xa5\x01\x04"]),
)
@example(data=b"", prefix=b"")
def test_any_bytes_are_judged(data: bytes, prefix: bytes) -> None:
    """Whatever lies under a key, sealed well or not at all, is an entry or a reason, never an exception."""
    for wire in (PLAIN, SIGNED, replace(PLAIN, value_max_bytes=10)):
        for found in (prefix + data, resealed(prefix + data)):
            assert isinstance(decode(found, KEY, DECLARED, wire), (Envelope, Rejected))


@given(
    made=envelopes(),
    changes=st.lists(st.tuples(st.integers(0, 120), st.integers(0, 255)), min_size=1, max_size=4),
    cut=st.integers(0, 40),
    compress=st.booleans(),
)
def test_a_well_sealed_lie_is_judged(
    made: tuple[Envelope, tuple[TagId, ...]], changes: list[tuple[int, int]], cut: int, compress: bool
) -> None:
    """Counts, sizes and names that do not fit what is there lead to a reason, not to an exception or a large value."""
    wire = Wire(compress_from_bytes=0 if compress else None)
    body = bytearray(body_of(made[0], made[1], wire))
    for at, byte in changes:
        body[at % len(body)] = byte
    found = decode(resealed(bytes(body[: max(0, len(body) - cut)])), KEY, made[1], Wire(value_max_bytes=5000))
    if isinstance(found, Envelope):
        assert len(found.value) <= 5000
        assert len(found.stamp.tags) == len(found.stamp.generations) == len(found.stamp.identities) <= 510
        assert set(made[1]) <= set(found.stamp.tags)
        assert not any(set("{}! ") & set(tag) for tag in found.stamp.tags)


@pytest.mark.parametrize(
    "data", [b"", b"\x93\x01\x02\x03", b'{"a": 1}', b"\x80\x04K\x01.", "é".encode(), b"\xc1", b"\xc1\xa6\x01"]
)
def test_what_others_wrote_is_foreign(data: bytes) -> None:
    """MessagePack, JSON, pickles and text are told from entries by their first bytes."""
    assert decode(data, KEY, DECLARED) is Rejected.FOREIGN


@pytest.mark.parametrize(
    ("at", "byte"), [(2, 0), (2, 2), (2, 255), (3, 0x08), (3, 0x0C), (3, 0x10), (3, 0x80)]
)
def test_a_newer_format_is_told_from_damage(at: int, byte: int) -> None:
    """Another format number, or a flag without a meaning yet, is of another version, whatever seals it."""
    body = bytearray(body_of(envelope()))
    body[at] = byte
    assert decode(resealed(bytes(body)), KEY, DECLARED) is Rejected.UNKNOWN_VERSION
    assert decode(bytes(body) + b"a longer seal of the future", KEY, DECLARED) is Rejected.UNKNOWN_VERSION


@pytest.mark.parametrize("wire", [PLAIN, SIGNED], ids=["plain", "signed"])
def test_an_entry_does_not_move(wire: Wire) -> None:
    """An entry copied under another key is refused there."""
    other = KEY.replace("42", "43")
    data = encode(envelope(), KEY, DECLARED, wire)
    expected = Rejected.CORRUPT if wire is PLAIN else Rejected.BAD_MAC
    assert decode(data, other, DECLARED, wire) is expected


@pytest.mark.parametrize(
    "declared", [(KEY, EVERYTHING), (KEY, EVERYTHING, CATEGORY), (*DECLARED, CATEGORY), ()]
)
def test_a_stamp_for_other_tags_is_no_entry(declared: tuple[TagId, ...]) -> None:
    """After a declaration has changed, what was stored for the tags before is told from what was invalidated."""
    assert decode(encode(envelope(), KEY, DECLARED), KEY, declared) is Rejected.OTHER_TAGS


def test_generations_stay_with_their_servers() -> None:
    """On a cluster each generation comes from a server of its own, and each comes back with it."""
    generations = (Generation(1), Generation(2), Generation(3))
    stamp = Stamp(DECLARED[::-1], generations, (Identity(9), Identity(0), Identity(5)))
    found = decode(encode(envelope(stamp=stamp), KEY, DECLARED), KEY, DECLARED)
    assert isinstance(found, Envelope)
    assert found.stamp.tags != stamp.tags
    assert by_tag(found.stamp) == by_tag(stamp)


class TestSize:
    """Nothing large is made from what is small, and nothing larger than agreed is taken."""

    def test_the_value_is_bounded_when_written(self) -> None:
        """A value beyond the bound is refused when it is stored, by its key and sizes."""
        with pytest.raises(ValueError, match=r"i42: a value of 11 bytes; at most 10 are stored"):
            encode(envelope(value=b"v" * 11), KEY, DECLARED, Wire(value_max_bytes=10))

    @pytest.mark.parametrize("wire", ALL_WIRES, ids=["plain", "signed", "compressed", "both"])
    @pytest.mark.parametrize("size", [0, 1, 1000])
    def test_the_value_is_bounded_when_read(self, wire: Wire, size: int) -> None:
        """A value as large as the bound is read, and one byte more is too large, compressed or not."""
        data = encode(envelope(value=b"v" * size), KEY, DECLARED, wire)
        found = decode(data, KEY, DECLARED, replace(wire, value_max_bytes=size))
        assert isinstance(found, Envelope)
        assert found.value == b"v" * size
        if size:
            assert decode(data, KEY, DECLARED, replace(wire, value_max_bytes=size - 1)) is Rejected.TOO_LARGE

    def test_what_is_far_too_large_is_not_even_summed_up(self) -> None:
        """Bytes longer than any entry of the agreed size are refused before their seal is looked at."""
        data = b"\xc1\xa5\x01\x00" + bytes(OVERHEAD_MAX_BYTES + 11)
        assert decode(data, KEY, DECLARED, Wire(value_max_bytes=10)) is Rejected.TOO_LARGE

    @pytest.mark.parametrize("claimed", [0, 1, 1000, 1 << 20])
    def test_a_bomb_does_not_go_off(self, claimed: int) -> None:
        """64 MiB packed small, claiming to be less, are refused within twice the memory that they claim."""
        packed = deflated(bytes(64 << 20))
        body = bytearray(body_of(envelope(value=b"")))
        body[3] |= 0x04
        data = resealed(bytes(body) + pack(">I", claimed) + packed)
        tracemalloc.start()
        try:
            found = decode(data, KEY, DECLARED, Wire(value_max_bytes=1 << 20))
            peak_bytes = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert found is Rejected.CORRUPT
        assert peak_bytes < 2 * claimed + len(data) + 50_000

    def test_a_claim_beyond_the_bound_is_not_tried(self) -> None:
        """A compressed value that states a size beyond the bound is too large, whatever it would turn out to be."""
        body = bytearray(body_of(envelope(value=b"")))
        body[3] |= 0x04
        data = resealed(bytes(body) + pack(">I", 11) + deflated(b"short"))
        assert decode(data, KEY, DECLARED, Wire(value_max_bytes=10)) is Rejected.TOO_LARGE

    @pytest.mark.parametrize(
        "payload",
        [
            b"",
            b"\0\0\0",
            pack(">I", 5) + deflated(b"four"),
            pack(">I", 3) + deflated(b"four"),
            pack(">I", 4) + deflated(b"four")[:-1],
            pack(">I", 4) + deflated(b"four") + b"more",
            pack(">I", 4) + zlib.compress(b"four"),
            pack(">I", 4) + b"\xff\xff\xff",
        ],
    )
    def test_a_broken_stream_is_corrupt(self, payload: bytes) -> None:
        """A compressed value that is cut, followed by more, or not of its stated size is no value."""
        body = bytearray(body_of(envelope(value=b"")))
        body[3] |= 0x04
        assert decode(resealed(bytes(body) + payload), KEY, DECLARED) is Rejected.CORRUPT

    def test_compression_that_saves_nothing_is_left_out(self) -> None:
        """What does not get smaller is stored as it is."""
        value = bytes(range(256))
        assert encode(envelope(value=value), KEY, DECLARED, Wire(compress_from_bytes=0)) == encode(
            envelope(value=value), KEY, DECLARED
        )

    def test_compression_begins_at_its_threshold(self) -> None:
        """A value below the threshold is stored as it is, one at it is compressed."""
        wire = Wire(compress_from_bytes=1000)
        plain, packed = (
            len(encode(envelope(value=bytes(size)), KEY, DECLARED, wire)) for size in (999, 1000)
        )
        assert packed < 100 < 999 < plain

    def test_more_tags_than_fit_are_refused(self) -> None:
        """An entry names 255 tags of either kind, and says so of more."""
        many = tuple(TagId(f"shop:tag~t:i{n}") for n in range(256))
        for declared in (many, ()):
            with pytest.raises(ValueError, match=r"i42: 256 tags do not fit"):
                encode(envelope(many), KEY, declared)
        found = decode(encode(envelope(many[1:]), KEY, ()), KEY, ())
        assert isinstance(found, Envelope)
        assert by_tag(found.stamp) == by_tag(envelope(many[1:]).stamp)

    def test_the_largest_stamp_stays_within_its_bound(self) -> None:
        """255 tags of either kind, the longest names and 255 servers are within the stated bound, and near it."""
        declared = tuple(TagId(f"shop:tag~d:i{n}") for n in range(255))
        named = tuple(TagId(f"other:{n:0194}") for n in range(255))
        count = len(declared) + len(named)
        identities = tuple(Identity(n % 255) for n in range(count))
        stamp = Stamp(declared + named, tuple(map(Generation, range(count))), identities)
        data = encode(envelope(value=b"", stamp=stamp), KEY, declared, replace(SIGNED, value_max_bytes=0))
        assert OVERHEAD_MAX_BYTES - 10 <= len(data) <= OVERHEAD_MAX_BYTES
        assert isinstance(decode(data, KEY, declared, replace(SIGNED, value_max_bytes=0)), Envelope)


def test_a_stamp_covers_what_the_call_declares() -> None:
    """An entry whose stamp lacks a declared tag is a mistake of the caller, and is not written."""
    with pytest.raises(ValueError, match=r"its stamp lacks 'shop:tag~products:i42'"):
        encode(envelope((KEY, EVERYTHING)), KEY, (KEY, EVERYTHING, PRODUCT))


@pytest.mark.parametrize("load_s", [float("nan"), float("inf"), -1.0])
def test_an_impossible_load_time_is_corrupt(load_s: float) -> None:
    """A load that took no number of seconds, or fewer than none, is not believed."""
    body = bytearray(body_of(envelope()))
    body[12:14] = pack(">e", load_s)
    assert decode(resealed(bytes(body)), KEY, DECLARED) is Rejected.CORRUPT


def test_a_tag_named_twice_is_corrupt() -> None:
    """Each tag is in a stamp once: two generations of one tag cannot both be right."""
    body = body_of(envelope((*DECLARED, CATEGORY, TagId("shop:tag~categories:i8"))))
    assert decode(resealed(body.replace(b":i8", b":i7")), KEY, DECLARED) is Rejected.CORRUPT


@pytest.mark.parametrize(
    "name", [b"tag~categories:{7", b"tag~categories: 7", b"tag~categories:!7", b"tag~categories:\xff7"]
)
def test_a_name_that_is_no_key_is_corrupt(name: bytes) -> None:
    """A named tag goes into the next command, so it is taken only when it is made as keys are."""
    body = body_of(envelope((*DECLARED, TagId("shop:tag~categories:i7"))))
    assert decode(resealed(body.replace(b"tag~categories:i7", name)), KEY, DECLARED) is Rejected.CORRUPT
