"""How much one key may hold. Past a limit a value is refused by its type, never cut."""

from __future__ import annotations

from cacheaside.errors import KeyEncodingError

__all__ = [
    "DEPTH_MAX_LEVELS",
    "ENCODED_MAX_CHARS",
    "KEY_MAX_CHARS",
    "NAMESPACE_MAX_CHARS",
    "check_depth",
    "check_size",
]

ENCODED_MAX_CHARS = 65_536
"""The longest canonical encoding of one value, and of one list of arguments, in characters."""

DEPTH_MAX_LEVELS = 32
"""How deep containers, records and `__cache_key__` results may nest, in levels."""

KEY_MAX_CHARS = 200
"""The longest key that is written out, in characters; a longer one ends in a hash instead."""

NAMESPACE_MAX_CHARS = 100
"""The longest namespace, escaped, in characters. In a key that is hashed, 159 are kept of what comes before its
arguments: the namespace, the ":" after it and "tag~" are read off keys again, so they must be among them. Of names of
endpoints and tags nothing is read off, so they may be cut: the hash is over all of them."""


def check_size(size_chars: int, kind: str) -> None:
    """Refuse what would be longer than `ENCODED_MAX_CHARS`."""
    if size_chars > ENCODED_MAX_CHARS:
        raise KeyEncodingError(
            f"A {kind} makes a cache key longer than {ENCODED_MAX_CHARS:,} characters: "
            "pass an id or a digest of it, or name the parameter in ignore=."
        )


def check_depth(depth_levels: int, kind: str) -> None:
    """Refuse what nests deeper than `DEPTH_MAX_LEVELS`, a container that holds itself included."""
    if depth_levels > DEPTH_MAX_LEVELS:
        raise KeyEncodingError(
            f"A {kind} in a cache key nests deeper than {DEPTH_MAX_LEVELS} levels (or holds itself): "
            "pass the parts that identify it, flattened."
        )
