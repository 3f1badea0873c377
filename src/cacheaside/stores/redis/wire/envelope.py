"""An entry as bytes on the server, and back.

    bytes        what
    2            C1 A5: begins no MessagePack, JSON, pickle or UTF-8 text
    1            format number
    1            flags: absent, signed, compression (2 bits); the rest are 0
    8            start of the load on the server's clock, in microseconds since 1970
    2            how long the load took, in seconds, as a half-precision float
    5            how many tags follow from the call, how many are named, a digest of the former, how many servers
    4 a server   its identity; then, if there are several, 1 a tag: which of them gave its generation
    8 a tag      its generation
    n a name     1 of length, and a tag's name
    4            if compressed: the size of the value
    n            the value
    4 or 17      checksum, or key id and MAC, of all before it and the key that it is stored under

Numbers are big-endian, the checksum aside. For tags that follow from the call, of one server, it takes 27 bytes, 40
when signed, and 8 a tag.

Decoding takes any bytes. It judges them from the outside in: whose they are, of which format, how large, sealed by
whom; only then what they say, and every length against what is there. To change the format: raise `FORMAT`. Processes
that know only the older one see a miss, and overwrite; so does this one with theirs, unless it learns to read both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from struct import Struct
from typing import Final

import msgspec

from cacheaside.stores.redis.wire.deflate import deflated, inflated
from cacheaside.stores.redis.wire.rejected import Rejected
from cacheaside.stores.redis.wire.seal import (
    CHECKSUM_BYTES,
    SIGNATURE_BYTES,
    KeyRing,
    checksum,
    checksum_rejects,
)
from cacheaside.stores.redis.wire.stamp import STAMP_MAX_BYTES, Stamp, pack_stamp, unpack_stamp
from cacheaside.types import TagId
from cacheaside.values import VALUE_MAX_BYTES

__all__ = ["FORMAT", "OVERHEAD_MAX_BYTES", "PLAIN", "Envelope", "Wire", "decode", "encode"]

FORMAT: Final = 1

_MAGIC: Final = b"\xc1\xa5"
_HEAD: Final = Struct(">2sBBQe")
_SIZE_BYTES: Final = 4
_ABSENT: Final = 0x01
_SIGNED: Final = 0x02
_COMPRESSION: Final = 0x0C
_DEFLATE: Final = 0x04
_KNOWN: Final = _ABSENT | _SIGNED | _DEFLATE
_LOAD_MAX_S: Final = 65_504.0  # the largest half-precision float
OVERHEAD_MAX_BYTES: Final = _HEAD.size + STAMP_MAX_BYTES + _SIZE_BYTES + SIGNATURE_BYTES
"""The most that an envelope adds to its value, in bytes."""


@dataclass(frozen=True, slots=True)
class Wire:
    """How a cache writes its entries, and what it takes of others.

    ring: the keys to sign with and to ask for; None: neither, and signed entries are refused. compress_from_bytes: the
    size from which values are compressed, unless that saves nothing; None: never. Compressed ones are read either way.
    value_max_bytes: the largest value taken or given, before compression.
    """

    ring: KeyRing | None = None
    compress_from_bytes: int | None = None
    value_max_bytes: int = VALUE_MAX_BYTES


PLAIN: Final = Wire()


class Envelope(msgspec.Struct, frozen=True):
    """A stored entry.

    value: encoded by its endpoint's codec. absent: it says that there is no such row, and has that ttl.
    loaded_at_us: on the server's clock, the earliest moment that the load can have begun at: less the writer's
    uncertainty. load_s: how long the load took, to three digits.
    """

    value: bytes
    loaded_at_us: int
    absent: bool
    load_s: float
    stamp: Stamp


def encode(envelope: Envelope, key: str, declared: Sequence[TagId], wire: Wire = PLAIN) -> bytes:
    """`envelope` as it is stored under `key`, for calls that declare the tags `declared`.

    `ValueError`: it does not fit: the value is larger than the wire takes, or the stamp has too many tags.
    """
    value, flags, size = envelope.value, _ABSENT if envelope.absent else 0, b""
    if len(value) > wire.value_max_bytes:
        raise ValueError(
            f"{key}: a value of {len(value):,} bytes; at most {wire.value_max_bytes:,} are stored."
        )
    if wire.compress_from_bytes is not None and len(value) >= wire.compress_from_bytes:
        smaller = deflated(value)
        if len(smaller) + _SIZE_BYTES < len(value):
            size, value, flags = len(value).to_bytes(_SIZE_BYTES, "big"), smaller, flags | _DEFLATE
    if wire.ring is not None:
        flags |= _SIGNED
    load_s = min(max(envelope.load_s, 0.0), _LOAD_MAX_S)
    head = _HEAD.pack(_MAGIC, FORMAT, flags, envelope.loaded_at_us, load_s)
    body = b"".join((head, pack_stamp(envelope.stamp, key, declared), size, value))
    return body + (checksum(key, body) if wire.ring is None else wire.ring.signature(key, body))


def decode(data: bytes, key: str, declared: Sequence[TagId], wire: Wire = PLAIN) -> Envelope | Rejected:
    """The entry that `data`, found under `key`, holds for a call that declares `declared`; or why it is none.

    Never raises. It allocates in proportion to `data`, and for a compressed value twice its stated size at most, which
    `wire.value_max_bytes` bounds. That the generations are current, and the load's start not in the future, is for the
    caller to judge.
    """
    rejected = _refused(data, key, wire)
    if rejected is not None:
        return rejected
    end = len(data) - (CHECKSUM_BYTES if wire.ring is None else SIGNATURE_BYTES)
    _, _, flags, loaded_at_us, load_s = _HEAD.unpack_from(data)
    found = unpack_stamp(data, _HEAD.size, end, key, declared)
    if isinstance(found, Rejected):
        return found
    stamp, at = found
    value = _inflated(data, at, end, wire) if flags & _COMPRESSION else data[at:end]
    if isinstance(value, Rejected):
        return value
    if len(value) > wire.value_max_bytes:
        return Rejected.TOO_LARGE
    if not isfinite(load_s) or load_s < 0:
        return Rejected.CORRUPT
    return Envelope(value, loaded_at_us, bool(flags & _ABSENT), load_s, stamp)


def _refused(data: bytes, key: str, wire: Wire) -> Rejected | None:
    """Why `data` is not looked into; None when it is whole, sealed as this wire asks, and of a known format."""
    if data[:2] != _MAGIC:
        return Rejected.FOREIGN
    if len(data) < _HEAD.size:
        return Rejected.CORRUPT
    if data[2] != FORMAT or data[3] & ~_KNOWN:
        return Rejected.UNKNOWN_VERSION
    if len(data) > wire.value_max_bytes + OVERHEAD_MAX_BYTES:
        return Rejected.TOO_LARGE
    signed = data[3] & _SIGNED
    if len(data) < _HEAD.size + (SIGNATURE_BYTES if signed else CHECKSUM_BYTES):
        return Rejected.CORRUPT
    if wire.ring is None:
        return Rejected.UNKNOWN_KEY if signed else checksum_rejects(key, data)
    return wire.ring.rejects(key, data) if signed else Rejected.UNSIGNED


def _inflated(data: bytes, at: int, end: int, wire: Wire) -> bytes | Rejected:
    start = at + _SIZE_BYTES
    if start > end:
        return Rejected.CORRUPT
    size_bytes = int.from_bytes(data[at:start], "big")
    if size_bytes > wire.value_max_bytes:
        return Rejected.TOO_LARGE
    value = inflated(memoryview(data)[start:end], size_bytes)
    return Rejected.CORRUPT if value is None else value
