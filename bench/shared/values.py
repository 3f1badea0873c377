"""The values that the shared tier holds, the same for every cache: exact in size, cheap to decode, not compressible."""

from __future__ import annotations

import hashlib
from functools import cache

import msgspec

SIZES = (200, 4_096)
"""Bytes of a value in msgspec's msgpack."""
FIRST_ID = 1_000_000
"""From here on ids are of one size when packed."""


class Product(msgspec.Struct, frozen=True):
    """An immutable value. Most of it is text, so that its size matters to server and wire more than to decoders."""

    product_id: int
    name: str
    price_cents: int
    currency: str
    in_stock: bool
    text: str


def product(k: int, size: int) -> Product:
    """The value of key `k`, `size` bytes when packed. The same for every call."""
    empty = len(msgspec.msgpack.encode(_product(k, ""))) - 1  # without the head of an empty text
    head = 1 if size - empty <= 32 else 2 if size - empty <= 257 else 3
    return _product(k, _text(k, size - empty - head))


def _product(k: int, text: str) -> Product:
    return Product(FIRST_ID + k, "a chair", 4_900, "EUR", True, text)


@cache
def _text(k: int, length: int) -> str:
    return hashlib.shake_256(k.to_bytes(8, "big")).hexdigest(length)[:length]
