"""From what lies under a key to a record, judged by the generations that its tags have now. Pure.

A generation, as flows see it, is 96 bits (docs/protocol.md, R28): the identity of the server that said so, then its
64. So one that a server says again after it went back to old data, under another identity, is another one.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from struct import Struct
from typing import Any, Final, NamedTuple
from zlib import crc32

from cacheaside.errors import ValueEncodingError
from cacheaside.flow.call import Call, Record, Standing
from cacheaside.stores.redis.wire.envelope import PLAIN, Envelope, Wire, decode
from cacheaside.stores.redis.wire.generations import GENERATION_BYTES, UNKNOWN_IDENTITY, Identity
from cacheaside.stores.redis.wire.rejected import Rejected
from cacheaside.stores.redis.wire.stamp import Stamp
from cacheaside.types import Generation, TagId

__all__ = [
    "Opened",
    "identified",
    "opened",
    "plain_opened",
    "plain_stamp",
    "record_from",
    "stamp_of",
    "standing_of",
]

# Of an entry of one server (`envelope`, `stamp`): how many tags, and of which kinds; what says which server, and what.
_HEAD: Final = Struct(">4sQeBB")
_STAMP_AT: Final = 18
_SAID_BY_BYTES: Final = 5
_PLAIN_START: Final = b"\xc1\xa5\x01\x00"
_RESIDUE: Final = 0x2144DF1C
_VALUE_MAX: Final = PLAIN.value_max_bytes + 4
MASK: Final = (1 << 64) - 1
"""The part of a generation that is not the identity."""


def identified(generation: int, identity: Identity) -> Generation:
    """A generation with the identity of the server that said it."""
    return Generation(identity << 64 | generation)


def stamp_of(tags: Sequence[TagId], generations: Sequence[Generation]) -> Stamp:
    """A record's stamp as it stands on the wire."""
    return Stamp(
        tuple(tags),
        tuple([Generation(one & MASK) for one in generations]),
        tuple([Identity(one >> 64) for one in generations]),
    )


class Opened(NamedTuple):
    """An entry whose generations may have to be asked for still."""

    envelope: Envelope
    named: tuple[TagId, ...]
    """The tags that the call does not declare."""


def plain_stamp(identity: Identity) -> bytes:
    """What comes before the generations in a plain entry: there is one server, and it is `identity`."""
    return b"\x01" + identity.to_bytes(4, "big")


def plain_opened(data: bytes, key: str, stamp: bytes) -> tuple[bytes, int, float] | None:
    """The value, the start of its load in microseconds of the server's clock, and how long that took, of the most usual
    entry: there is a row, unsigned, not compressed, with declared tags alone, all of them current, all said by one
    server. None for whatever else it may be.

    stamp: `plain_stamp`, and the generations that the declared tags have now, in the order of the tags' ids. The digest
    of those ids is not looked at: a generation is given once, so what equals a tag's is that tag's.
    """
    values_at = _STAMP_AT + len(stamp)
    if not data.startswith(stamp, _STAMP_AT) or not 4 <= len(data) - values_at <= _VALUE_MAX:
        return None
    start, loaded_at_us, load_s, declared, named = _HEAD.unpack_from(data)
    if start != _PLAIN_START or named or declared * GENERATION_BYTES + _SAID_BY_BYTES != len(stamp):
        return None
    if crc32(data, crc32(key.encode())) != _RESIDUE or not 0.0 <= load_s < inf:  # not a number, too
        return None
    return data[values_at:-4], loaded_at_us, load_s


def opened(data: bytes, call: Call, wire: Wire = PLAIN) -> Opened | Rejected:
    """The entry in `data`, found under the call's key."""
    envelope = decode(data, call.key, call.tags, wire)
    if isinstance(envelope, Rejected):
        return envelope
    declared = set(call.tags)
    return Opened(envelope, tuple([tag for tag in envelope.stamp.tags if tag not in declared]))


def standing_of(stamp: Stamp, current: dict[TagId, Generation | None]) -> Standing:
    """What a stamp is worth beside the generations that its tags have now, with the identities that say so."""
    standing = Standing.CURRENT
    for tag, own, identity in zip(stamp.tags, stamp.generations, stamp.identities, strict=True):
        now = current.get(tag)
        if now is None or now & MASK != own:
            return Standing.OUTDATED
        if now >> 64 not in (identity, UNKNOWN_IDENTITY):
            standing = Standing.UNCERTAIN
    return standing


def record_from(
    call: Call,
    encoded: bytes,
    loaded_at: float,
    load_s: float,
    *,
    salt: int,
    absent: bool,
    tags: tuple[TagId, ...],
    generations: tuple[Generation, ...],
    standing: Standing,
) -> Record | None:
    """The record; None when the value is not one of its endpoint's. salt: its own, and the same in every process."""
    try:
        held: Any = call.endpoint.held_from(encoded)
    except ValueEncodingError:
        return None
    terms = call.terms
    return Record(
        held,
        len(encoded),
        loaded_at,
        terms.absent_ttl_s if absent else terms.ttl_s,
        not absent,
        False,
        tags,
        generations,
        load_s,
        encoded,
        absent,
        standing,
        salt,
    )
