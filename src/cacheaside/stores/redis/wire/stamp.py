"""The stamp of an entry as bytes: which generations it was loaded under, and which server gave each.

The tags that follow from the call are not named: their generations stand in the order of the tags' ids. That needs no
trust in the order: a generation is random and never given twice, so one that equals a tag's current generation is
that tag's. Their number and a 16-bit digest of their ids are stored, to tell an entry of a changed declaration from
an invalidated one. Tags found in the value, or read inside its load, are named, since a reader must ask for them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from struct import Struct
from typing import Final
from zlib import crc32

import msgspec

from cacheaside.keys.limits import KEY_MAX_CHARS
from cacheaside.stores.redis.wire.generations import GENERATION_BYTES, Identity
from cacheaside.stores.redis.wire.rejected import Rejected
from cacheaside.types import Generation, TagId

__all__ = ["HEAD_BYTES", "STAMP_MAX_BYTES", "TAGS_MAX", "Stamp", "pack_stamp", "unpack_stamp"]

_HEAD: Final = Struct(
    ">BBHB"
)  # how many declared tags, how many named, digest of the declared, how many servers
HEAD_BYTES: Final = _HEAD.size
_IDENTITY_BYTES: Final = 4
TAGS_MAX: Final = 255
"""The most tags that follow from a call, and the most that are named beside them."""
_IDENTITIES_MAX: Final = 255
_NAME_MAX_BYTES: Final = KEY_MAX_CHARS + 1
STAMP_MAX_BYTES: Final = (
    HEAD_BYTES
    + 2 * TAGS_MAX * (GENERATION_BYTES + 1)
    + _IDENTITIES_MAX * _IDENTITY_BYTES
    + TAGS_MAX * (1 + _NAME_MAX_BYTES)
)
_ABSOLUTE: Final = b"!"
_NAME: Final = re.compile(rb"[\x22-\x7a\x7c\x7e]+")  # what keys are made of: no space, no brace, no "!"


class Stamp(msgspec.Struct, frozen=True):
    """Each tag, the generation it had, and the identity of the server that said so."""

    tags: tuple[TagId, ...]
    generations: tuple[Generation, ...]
    identities: tuple[Identity, ...]


def pack_stamp(stamp: Stamp, key: str, declared: Sequence[TagId]) -> bytes:
    """`stamp` in bytes, readable by who knows `key` and `declared`, the tags that follow from the call.

    `ValueError`: a declared tag is not in the stamp, or there are more than `TAGS_MAX` of either kind.
    """
    own = dict(zip(stamp.tags, zip(stamp.generations, stamp.identities, strict=True), strict=True))
    unnamed = sorted(declared)
    named = [tag for tag in stamp.tags if tag not in declared]
    if len(unnamed) > TAGS_MAX or len(named) > TAGS_MAX:
        raise ValueError(f"{key}: {len(own)} tags do not fit an entry; declare fewer, or set max_tags.")
    try:
        in_order = [own[tag] for tag in (*unnamed, *named)]
    except KeyError as missing:
        raise ValueError(f"{key}: its stamp lacks {missing}, a tag that the call declares.") from None
    identities = [identity for _, identity in in_order]
    distinct = sorted(set(identities))
    if len(distinct) > _IDENTITIES_MAX:
        raise ValueError(
            f"{key}: its generations come from {len(distinct)} servers, more than an entry can name."
        )
    return b"".join((
        _HEAD.pack(len(unnamed), len(named), _digest(unnamed), len(distinct)),
        *[identity.to_bytes(_IDENTITY_BYTES, "big") for identity in distinct],
        # One server stands for all; of several, each generation says which.
        bytes(map(distinct.index, identities)) if len(distinct) > 1 else b"",
        *[generation.to_bytes(GENERATION_BYTES, "big") for generation, _ in in_order],
        *[_packed_name(tag, key) for tag in named],
    ))  # fmt: skip


def _packed_name(tag: TagId, key: str) -> bytes:
    """Short of the namespace it shares with the key; behind a "!" in full."""
    name = tag.encode()
    namespace = _namespace(key)
    name = name.removeprefix(namespace) if name.startswith(namespace) else _ABSOLUTE + name
    if len(name) > _NAME_MAX_BYTES:
        raise ValueError(f"{key}: the id of a tag takes {len(name)} bytes, more than {_NAME_MAX_BYTES}.")
    return bytes([len(name)]) + name


def _namespace(key: str) -> bytes:
    return (key.partition(":")[0] + ":").encode()


def _digest(unnamed: Sequence[TagId]) -> int:
    return crc32("\n".join(unnamed).encode()) & 0xFFFF


def unpack_stamp(
    body: bytes, at: int, end: int, key: str, declared: Sequence[TagId]
) -> tuple[Stamp, int] | Rejected:
    """The stamp in `body` from `at` on, before `end`, and where it stops. Never raises; makes no more than there is
    room for."""
    if end < at + HEAD_BYTES:
        return Rejected.CORRUPT
    unnamed_count, named_count, digest, servers = _HEAD.unpack_from(body, at)
    count = unnamed_count + named_count
    places_at = at + HEAD_BYTES + servers * _IDENTITY_BYTES
    generations_at = places_at + (count if servers > 1 else 0)
    names_at = generations_at + count * GENERATION_BYTES
    if names_at > end or servers > count or (count and not servers):
        return Rejected.CORRUPT
    unnamed = sorted(declared)
    if unnamed_count != len(unnamed) or digest != _digest(unnamed):
        return Rejected.OTHER_TAGS
    identities = _identities(body, at + HEAD_BYTES, servers, places_at, count)
    tags, stop = tuple(unnamed), names_at
    if named_count:
        found = _names(body, names_at, end, named_count, key)
        if found is None:
            return Rejected.CORRUPT
        tags, stop = (*tags, *found[0]), found[1]
        if len(set(tags)) < count:
            return Rejected.CORRUPT
    if identities is None:
        return Rejected.CORRUPT
    return Stamp(tags, _generations(count).unpack_from(body, generations_at), identities), stop


@cache
def _generations(count: int) -> Struct:
    return Struct(f">{count}Q")


def _identities(
    body: bytes, at: int, servers: int, places_at: int, count: int
) -> tuple[Identity, ...] | None:
    table = [
        Identity(int.from_bytes(body[start : start + _IDENTITY_BYTES], "big"))
        for start in range(at, at + servers * _IDENTITY_BYTES, _IDENTITY_BYTES)
    ]
    if servers <= 1:
        return tuple(table) * count
    places = body[places_at : places_at + count]
    if max(places) >= servers:
        return None
    return tuple([table[place] for place in places])


def _names(body: bytes, at: int, end: int, count: int, key: str) -> tuple[list[TagId], int] | None:
    """So many names from `at` on, and where they stop; None when they run over or are no names of tags."""
    names: list[TagId] = []
    namespace = _namespace(key)
    for _ in range(count):
        if at >= end:
            return None
        start, at = at + 1, at + 1 + body[at]
        name = body[start:at]
        if at > end or not 0 < len(name) <= _NAME_MAX_BYTES:
            return None
        name = name[1:] if name.startswith(_ABSOLUTE) else namespace + name
        if _NAME.fullmatch(name) is None or b":" not in name:
            return None
        names.append(TagId(name.decode("ascii")))
    return names, at
