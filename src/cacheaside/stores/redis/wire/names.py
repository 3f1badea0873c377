"""The names of keys on the server, and the cluster slots they live in.

    shop:product:1~k3f9:i42                 an entry: its key, as logs and people know it
    shop:!{shop:product:1~k3f9:i42}         the generation of a tag, here an entry's own
    shop:!{shop:tag~products:i42}!          the writers under way for a tag: a set
    shop:!{shop:product:1~k3f9:i42}?        somebody waits for the one that loads the key: its end is announced
    shop:?{shop:product:1~k3f9:i42}         the lease of the key: who loads it
    shop:+{shop:shop-db}7                   a seat at a source: one process of those that share its limit
    shop:!control                           what operators changed of the whole fleet
    shop:?control                           somebody changes that

No key holds a brace or a `!` (`cacheaside.keys`), so none of these meet, and the braces hold the whole id: an entry,
its own generation and its writers share a slot, hence a connection, where what is sent first takes effect first.

All of a namespace begins with `shop:`, for one pattern in an access list; what is to be told of begins with `shop:!`,
one prefix, which no entry and no lease has: a fill that nobody waits for is not announced.
"""

from __future__ import annotations

from binascii import crc_hqx
from typing import Final

from cacheaside.keys.text import escaped
from cacheaside.types import TagId

__all__ = [
    "SLOTS",
    "changed_tag",
    "changes_prefix",
    "control_lease_name",
    "control_name",
    "everything_pattern",
    "generation_name",
    "generation_prefix",
    "is_declared",
    "kind_of",
    "lease_name",
    "seat_name",
    "slot_of",
    "waiting_key",
    "waiting_name",
    "writers_name",
]

SLOTS: Final = 16_384
"""How many slots a cluster has."""


def changes_prefix(namespace: str) -> str:
    """What the names of all generations and writers of a namespace begin with, and no entry's."""
    return f"{escaped(namespace)}:!"


def everything_pattern(namespace: str) -> str:
    """What matches every key of a namespace, for an access list or a scan."""
    return f"{escaped(namespace)}:*"


def control_name(namespace: str) -> str:
    """Where the control state of a namespace is kept; no tag's, since those have a brace there."""
    return f"{changes_prefix(namespace)}control"


def control_lease_name(namespace: str) -> str:
    """What stands while somebody changes it."""
    return f"{escaped(namespace)}:?control"


def generation_prefix(namespace: str) -> str:
    """What the id of a tag of this namespace follows in the name of its generation; a "}" comes after."""
    return f"{changes_prefix(namespace)}{{"


def generation_name(tag: TagId) -> str:
    """Where the generation of a tag is kept, or of an entry's own tag, which is its key."""
    return f"{tag[: tag.index(':')]}:!{{{tag}}}"


def writers_name(tag: TagId) -> str:
    """Where the writers under way for a tag are kept, in the same slot."""
    return f"{tag[: tag.index(':')]}:!{{{tag}}}!"


def is_declared(tag: TagId) -> bool:
    """Whether `tag` was declared, and is not an entry's own."""
    return tag.startswith("tag~", tag.index(":") + 1)


def kind_of(tag: TagId) -> str:
    """What a tag was declared as, or the endpoint of an entry's own, without arguments; as it is written in keys."""
    kind = tag.split(":", 2)[1].removeprefix("tag~")
    return "everything" if kind == "%2A" else kind


def waiting_name(key: TagId) -> str:
    """What stands, in the same slot, while somebody waits for the one that loads `key`."""
    return f"{key[: key.index(':')]}:!{{{key}}}?"


def lease_name(key: TagId) -> str:
    """Where it is kept who loads `key`, in the same slot."""
    return f"{key[: key.index(':')]}:?{{{key}}}"


def seat_name(namespace: str, source: str, number: int) -> str:
    """Where one of the processes that share the limit of a source says that it is there; all in one slot."""
    own = escaped(namespace)
    return f"{own}:+{{{own}:{escaped(source)}}}{number}"


def waiting_key(name: bytes, prefix: bytes) -> TagId | None:
    """The key that somebody waits for under `name`; None when it is no such name."""
    return changed_tag(name[:-1], prefix) if name.endswith(b"?") else None


def changed_tag(name: bytes, prefix: bytes) -> TagId | None:
    """The tag whose generation or writers are kept under `name`; None when it is no such name.

    prefix: `changes_prefix` in bytes.
    """
    if not name.startswith(prefix + b"{"):
        return None
    tag = name[len(prefix) + 1 :].removesuffix(b"!")
    if not tag.endswith(b"}") or not tag.startswith(prefix[:-1]) or not tag.isascii():
        return None
    return TagId(tag[:-1].decode("ascii"))


def slot_of(name: str | bytes) -> int:
    """The cluster slot of a name: CRC16 of it, or of what its first braces hold if that is not empty.

    The Redis Cluster specification's algorithm; its CRC16 (XMODEM: polynomial 0x1021, from 0) is `binascii.crc_hqx`.
    """
    key = name.encode() if isinstance(name, str) else name
    start = key.find(b"{")
    if start >= 0:
        end = key.find(b"}", start + 1)
        if end > start + 1:
            key = key[start + 1 : end]
    return crc_hqx(key, 0) % SLOTS
