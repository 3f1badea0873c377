"""Final keys: what stores, logs and people know an entry or a tag by.

    shop:product:1~k3f9:i42,sen      namespace : endpoint : version ~ fingerprint : arguments
    shop:tag~products:i42            namespace : tag ~ name : parts

Names are escaped and arguments encoded, so each ``:`` and ``~`` of the frame is where it was put: two
different keys cannot meet, nor a tag's key an entry's. A key holds no brace, hence no Redis Cluster hash tag,
and no ``!``: both are left for what stores put around a key. One longer than `KEY_MAX_CHARS` keeps its frame
and ends in ``#`` and 160 bits of BLAKE2b over all of it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from hashlib import blake2b
from typing import Any

from cacheaside.keys.atoms import ATOMS, DECIMALS_LIMIT, DECIMALS_MAX_CHARS
from cacheaside.keys.encode import encoded_list, encoded_text
from cacheaside.keys.limits import KEY_MAX_CHARS
from cacheaside.keys.text import escaped

__all__ = ["KEY_FORMAT", "arguments_key", "arguments_prefix", "key_under", "keys_of_one", "tag_key"]

KEY_FORMAT: int = 1
"""The number of this format, in every key from 2 on. Raise it when any encoding changes: all caches go cold,
and while old and new processes run side by side, an invalidation by one misses the entries of the other."""

_HASH_BYTES = 20
_FRAMES_REMEMBERED = 4096
_FORMAT_MARK = "" if KEY_FORMAT == 1 else f"~{KEY_FORMAT}"


def arguments_key(
    namespace: str, endpoint: str, version: str | int, fingerprint: str, parts: tuple[Any, ...]
) -> str:
    """The key of one call. `version` counts by its text: 1 and "1" are the same version.

    Raises `KeyEncodingError` when a part has no canonical encoding.
    """
    return key_under(arguments_prefix(namespace, endpoint, version, fingerprint), parts)


# typed: 1 and True are equal, and their texts are not.
@lru_cache(maxsize=_FRAMES_REMEMBERED, typed=True)
def arguments_prefix(namespace: str, endpoint: str, version: str | int, fingerprint: str) -> str:
    """What all keys of one endpoint begin with."""
    place = f"{escaped(namespace)}:{escaped(endpoint)}"
    return f"{place}:{escaped(str(version))}~{escaped(fingerprint)}{_FORMAT_MARK}:"


def tag_key(namespace: str, name: str, parts: tuple[Any, ...]) -> str:
    """The key of one tag. Raises `KeyEncodingError` when a part has no canonical encoding."""
    return key_under(_tag_prefix(namespace, name), parts)


@lru_cache(maxsize=_FRAMES_REMEMBERED)
def _tag_prefix(namespace: str, name: str) -> str:
    return f"{escaped(namespace)}:tag~{escaped(name)}{_FORMAT_MARK}:"


def key_under(prefix: str, parts: tuple[Any, ...]) -> str:
    """`prefix` and the encoded `parts`, hashed when that is too long to be written out."""
    key = prefix + (encoded_text(parts[0], 0) if len(parts) == 1 else encoded_list(parts, 0))
    return key if len(key) <= KEY_MAX_CHARS else _hashed(prefix, key)


def keys_of_one(prefix: str) -> Callable[[Any], str]:
    """As `key_under`, for many keys of one part each, under one prefix."""
    all_fit = len(prefix) + DECIMALS_MAX_CHARS <= KEY_MAX_CHARS

    def key_of(part: Any) -> str:
        if type(part) is int and all_fit and -DECIMALS_LIMIT < part < DECIMALS_LIMIT:
            return f"{prefix}i{part}"
        atom = ATOMS.get(type(part))
        key = prefix + (encoded_text(part, 0) if atom is None else atom(part))
        return key if len(key) <= KEY_MAX_CHARS else _hashed(prefix, key)

    return key_of


def _hashed(prefix: str, key: str) -> str:
    digest = blake2b(key.encode("ascii"), digest_size=_HASH_BYTES).hexdigest()
    return f"{prefix[: KEY_MAX_CHARS - len(digest) - 1]}#{digest}"
