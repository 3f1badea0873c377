"""Which keys a ramp lets in: the same in every process, and those that are in at 10 % are in at 20 %."""

from __future__ import annotations

from hashlib import blake2b
from typing import Final

__all__ = ["is_in", "place_of"]

_PERSON: Final = b"cacheaside ramp"
_STEPS: Final = 1 << 64


def place_of(key: str) -> float:
    """Where `key` stands between 0 and 100: fixed by its canonical text, even over many keys.

    BLAKE2b (RFC 7693) rather than `hash`, which each process seeds anew. The key holds the endpoint's name, so that two
    endpoints ramp different rows.
    """
    digest = blake2b(key.encode(), digest_size=8, person=_PERSON).digest()
    return 100.0 * (int.from_bytes(digest, "big") / _STEPS)


def is_in(key: str, percent: float) -> bool:
    """Whether the ramp at `percent` lets `key` in. Never fewer keys at a higher one; none at 0, all at 100."""
    return percent >= 100.0 or place_of(key) < percent
