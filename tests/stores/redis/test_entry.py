"""From bytes to a record: the quick way says what the general one says, and a stamp is worth what its tags say now."""

from __future__ import annotations

from typing import Any
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cacheaside.flow.call import Standing
from cacheaside.stores.redis.entry import (
    MASK,
    identified,
    opened,
    plain_opened,
    plain_stamp,
    stamp_of,
    standing_of,
)
from cacheaside.stores.redis.envelope import Envelope, Wire, decode, encode
from cacheaside.stores.redis.generations import UNKNOWN_IDENTITY, Identity, generation_bytes
from cacheaside.stores.redis.rejected import Rejected
from cacheaside.stores.redis.seal import KeyRing
from cacheaside.stores.redis.stamp import Stamp
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
    servers,
    words,
)

SEVEN = Identity(7)


def current_stamp(identity: Identity, current: dict[TagId, Generation]) -> bytes:
    """What `plain_opened` is told: one server, and the generations in the order of the tags' ids."""
    return plain_stamp(identity) + b"".join(generation_bytes(current[tag]) for tag in sorted(current))


def plain_of(one: Envelope, declared: tuple[TagId, ...]) -> bytes:
    """The stamp by which `one` would be current."""
    own = by_tag(one.stamp)
    identity = own[declared[0]][1] if declared else SEVEN
    return current_stamp(identity, {tag: own[tag][0] for tag in declared})


def is_plain(one: Envelope, declared: tuple[TagId, ...]) -> bool:
    """Whether it is of the most usual kind."""
    return (
        bool(declared)
        and not one.absent
        and set(one.stamp.tags) == set(declared)
        and len(set(one.stamp.identities)) == 1
    )


def assert_same(found: tuple[bytes, int, float], general: Envelope | Rejected) -> None:
    assert isinstance(general, Envelope)
    assert found == (general.value, general.loaded_at_us, general.load_s)
    assert not general.absent


@given(envelopes(), st.booleans(), st.booleans())
def test_the_quick_way_takes_every_usual_entry_and_no_other(
    made: tuple[Envelope, tuple[TagId, ...]], signed: bool, compressed: bool
) -> None:
    """Beside the generations that it was stamped with, an entry is opened quickly exactly if it is a row, unsigned, not
    compressed, of one server, with declared tags alone; and to the same value, start and duration."""
    one, declared = made
    wire = Wire(KeyRing(b"s" * 32) if signed else None, 1 if compressed else None)
    data = encode(one, KEY, declared, wire)
    found = plain_opened(data, KEY, plain_of(one, declared))
    was_compressed = compressed and data[3] & 0x04
    assert (found is not None) == (is_plain(one, declared) and not signed and not was_compressed)
    if found is not None:
        assert_same(found, decode(data, KEY, declared, wire))


@given(envelopes(), st.data())
def test_the_quick_way_takes_no_other_generation_or_server(
    made: tuple[Envelope, tuple[TagId, ...]], data: st.DataObject
) -> None:
    """Beside any generations and any server, it opens an entry only if those are the entry's own."""
    one, declared = made
    own = by_tag(one.stamp)
    now = {
        tag: data.draw(st.sampled_from([own[tag][0], Generation(own[tag][0] ^ 1)]) | words)
        for tag in declared
    }
    identity = data.draw(st.sampled_from(one.stamp.identities or (SEVEN,)) | servers)
    found = plain_opened(encode(one, KEY, declared), KEY, current_stamp(identity, now))
    seen: dict[TagId, Generation | None] = {tag: identified(g, identity) for tag, g in now.items()}
    if found is not None:
        assert is_plain(one, declared)
        assert all(own[tag] == (now[tag], identity) for tag in declared)
        assert standing_of(one.stamp, seen) is Standing.CURRENT


def resealed(body: bytes, key: str) -> bytes:
    """With a checksum that is right, as of a writer that wrote just this."""
    return body + crc32(body, crc32(key.encode())).to_bytes(4, "little")


@given(
    st.lists(words, min_size=3, max_size=3),
    st.binary(max_size=20),
    st.lists(st.tuples(st.integers(0, 60), st.integers(0, 255)), max_size=3),
    st.integers(0, 40),
    st.booleans(),
)
def test_whatever_is_changed_in_an_entry_both_ways_agree(
    generations: list[Generation],
    value: bytes,
    changes: list[tuple[int, int]],
    cut: int,
    sealed: bool,
) -> None:
    """Cut short or with other bytes in it, sealed anew or not: what the quick way opens, the general one opens to the
    same, or says that it was stamped for other tags by a digest that the quick way has no need of."""
    stamp = Stamp(DECLARED, tuple(generations), (SEVEN,) * 3)
    data = bytearray(encode(envelope(value=value, stamp=stamp), KEY, DECLARED))
    for at, byte in changes:
        data[at % len(data)] = byte
    body = bytes(data[: len(data) - cut])
    changed = resealed(body[:-4], KEY) if sealed else body
    now = dict(zip(DECLARED, generations, strict=True))
    found = plain_opened(changed, KEY, current_stamp(SEVEN, now))
    general = decode(changed, KEY, DECLARED)
    if found is not None and general is not Rejected.OTHER_TAGS:
        assert_same(found, general)


@pytest.mark.parametrize("half", [b"\x7e\x00", b"\x7c\x00", b"\xfc\x00", b"\xbc\x00"])
def test_a_load_of_no_duration_is_no_entry(half: bytes) -> None:
    """A duration that is no number, endless or below zero is refused by both ways: what is decided by it would be
    wrong."""
    data = encode(envelope(), KEY, DECLARED)
    changed = resealed(data[:12] + half + data[14:-4], KEY)
    assert decode(changed, KEY, DECLARED) is Rejected.CORRUPT
    assert plain_opened(changed, KEY, plain_of(envelope(), DECLARED)) is None


@given(st.binary(max_size=120), st.lists(words, max_size=4), servers)
def test_no_bytes_break_the_quick_way(data: bytes, generations: list[Generation], identity: Identity) -> None:
    """Whatever another program put under the key, it is refused and nothing is raised."""
    stamp = plain_stamp(identity) + b"".join(map(generation_bytes, generations))
    for tried in (data, b"\xc1\xa5\x01\x00" + data, resealed(b"\xc1\xa5\x01\x00" + data, KEY)):
        assert plain_opened(tried, KEY, stamp) is None or generations


def test_an_entry_of_another_key_is_not_opened() -> None:
    """Copied from another key, it has the wrong checksum."""
    data = encode(envelope(), KEY, DECLARED)
    assert plain_opened(data, KEY, plain_of(envelope(), DECLARED)) is not None
    assert plain_opened(data, "shop:product:1~k3f9abcd:i43", plain_of(envelope(), DECLARED)) is None


# -- opening in general --------------------------------------------------------------------------------------------


class Asked:
    """A call, as far as opening needs it."""

    def __init__(self, tags: tuple[TagId, ...]) -> None:
        self.key = KEY
        self.tags = tags


def call(*tags: TagId) -> Any:
    return Asked(tags)


def test_tags_that_the_call_does_not_declare_are_to_be_asked_for() -> None:
    """They are named, in the order of the stamp, and those that are declared are not."""
    data = encode(envelope((*DECLARED, CATEGORY)), KEY, DECLARED)
    found = opened(data, call(*DECLARED))
    assert not isinstance(found, Rejected)
    assert found.named == (CATEGORY,)
    assert opened(encode(envelope(), KEY, DECLARED), call(*DECLARED)).named == ()  # type: ignore[union-attr]


def test_what_is_no_entry_says_why() -> None:
    """The reason is passed on."""
    assert opened(b"something else", call(*DECLARED)) is Rejected.FOREIGN
    assert opened(encode(envelope(), KEY, DECLARED), call(KEY)) is Rejected.OTHER_TAGS


# -- what a stamp is worth -----------------------------------------------------------------------------------------


@given(words, words, servers, servers)
def test_a_generation_counts_with_who_said_it(
    one: Generation, other: Generation, identity: Identity, another: Identity
) -> None:
    """Two are the same exactly if both their bits and their servers are; each is found again in it."""
    first, second = identified(one, identity), identified(other, another)
    assert (first == second) is ((one, identity) == (other, another))
    assert (first & MASK, first >> 64) == (one, identity)


@given(st.lists(st.tuples(words, servers), min_size=1, max_size=5))
def test_a_records_stamp_goes_to_the_wire_and_back(said: list[tuple[Generation, Identity]]) -> None:
    """From what flows know to what is stored, nothing of it is lost."""
    tags = [TagId(f"shop:tag~t:i{number}") for number in range(len(said))]
    stamp = stamp_of(tags, [identified(*one) for one in said])
    assert list(zip(stamp.generations, stamp.identities, strict=True)) == said
    assert list(stamp.tags) == tags


STAMP = Stamp((KEY, PRODUCT), (Generation(1), Generation(2)), (SEVEN, SEVEN))


@pytest.mark.parametrize(
    ("key", "product", "standing"),
    [
        ((1, 7), (2, 7), Standing.CURRENT),
        ((1, 7), (3, 7), Standing.OUTDATED),
        ((1, 7), None, Standing.OUTDATED),
        (None, (2, 7), Standing.OUTDATED),
        ((1, 8), (2, 7), Standing.UNCERTAIN),
        ((1, 7), (2, 8), Standing.UNCERTAIN),
        ((1, 8), (3, 7), Standing.OUTDATED),
        ((1, 8), None, Standing.OUTDATED),
        ((1, 0), (2, 0), Standing.CURRENT),
    ],
)
def test_the_standing_of_a_stamp(
    key: tuple[int, int] | None, product: tuple[int, int] | None, standing: Standing
) -> None:
    """Out of date if a generation moved or is missing, whoever says so; else uncertain if another server says one; else
    current. A server that does not tell who it is, or is trusted, is no other one."""
    assert UNKNOWN_IDENTITY == 0
    said = {KEY: key, PRODUCT: product}
    now = {tag: None if one is None else identified(one[0], Identity(one[1])) for tag, one in said.items()}
    assert standing_of(STAMP, now) is standing


def test_a_tag_that_nobody_asked_about_is_out_of_date() -> None:
    """What is not known is not current."""
    assert standing_of(STAMP, {KEY: identified(1, SEVEN), EVERYTHING: None}) is Standing.OUTDATED
