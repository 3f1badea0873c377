"""Generations and identities as they stand on the wire.

A generation is 8 random bytes from the operating system: a generator of our own would give a parent and its forked
child the same ones. A missing or unreadable one is None, which equals no generation: a miss, never a stale hit.

After the 8 bytes a 0x01 and up to 55 more may follow: where the change came from. Only the 8 are compared.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b
from typing import Final, NewType

from cacheaside.types import Generation

__all__ = [
    "GENERATION_BYTES",
    "UNKNOWN_IDENTITY",
    "Identity",
    "RandomBytes",
    "generation_bytes",
    "identity_of",
    "new_generations",
    "parsed_generation",
]

RandomBytes = Callable[[int], bytes]
"""So many unpredictable bytes, never the same twice: `os.urandom`, except under the simulator."""

Identity = NewType("Identity", int)
"""A server's history in 32 bits: what it calls itself, as long as it has not gone back to old data."""

UNKNOWN_IDENTITY: Final = Identity(0)
"""Of a server that does not tell. No server that does gets this number."""

GENERATION_BYTES: Final = 8
_WITH_ORIGIN_MAX_BYTES: Final = 64
_ORIGIN_FOLLOWS: Final = 0x01


def new_generations(count: int, random_bytes: RandomBytes) -> list[bytes]:
    """`count` generations that were never there before. Call it again for each transmission.

    Sent twice, one could revive an entry: (1) a bump to g1 lands, and its answer is lost (2) a fill stores under g1
    (3) another writer bumps to g2 (4) g1, sent again, lands: what was stored under it is valid once more.
    """
    drawn = random_bytes(count * GENERATION_BYTES)
    if len(drawn) != count * GENERATION_BYTES:
        raise ValueError(f"random_bytes gave {len(drawn)} bytes, not {count * GENERATION_BYTES}.")
    return [drawn[at : at + GENERATION_BYTES] for at in range(0, len(drawn), GENERATION_BYTES)]


def generation_bytes(generation: Generation) -> bytes:
    """As it stands on the wire."""
    return generation.to_bytes(GENERATION_BYTES, "big")


def parsed_generation(stored: bytes | None) -> Generation | None:
    """What is stored under a tag's name; None where nothing is, or nothing that this library wrote."""
    if stored is None or len(stored) < GENERATION_BYTES:
        return None
    if len(stored) > GENERATION_BYTES and (
        len(stored) > _WITH_ORIGIN_MAX_BYTES or stored[GENERATION_BYTES] != _ORIGIN_FOLLOWS
    ):
        return None
    return Generation(int.from_bytes(stored[:GENERATION_BYTES], "big"))


def identity_of(*names: str) -> Identity:
    """The identity of a server that goes by `names`, such as its `master_replid`; unknown when it has none.

    Two histories share one by chance once in 2^32 changes.
    """
    if not any(names):
        return UNKNOWN_IDENTITY
    digest = blake2b("\0".join(names).encode(), digest_size=4, person=b"cacheaside srvid").digest()
    return Identity(int.from_bytes(digest, "big") or 1)
