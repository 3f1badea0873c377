"""Values with integers beyond 64 bits, which MessagePack does not have: a slower form, marked by its first byte.

The mark is C1, the one first byte that MessagePack never uses, so no other value begins with it. Such integers
travel as extension 1, big-endian two's complement. As dictionary keys they are not supported.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

__all__ = ["WIDE_MARK", "decode_wide", "encode_wide"]

WIDE_MARK = b"\xc1"

_EXTENSION = 1
_SMALLEST, _LARGEST = -(1 << 63), (1 << 64) - 1
_RAW = (bytes, bytearray, memoryview)


def encode_wide(value: Any, hook: Callable[[Any], Any]) -> bytes:
    """The marked bytes of `value`; raises what msgspec raises."""
    plain = msgspec.to_builtins(value, builtin_types=_RAW, str_keys=False, enc_hook=hook)
    return WIDE_MARK + msgspec.msgpack.encode(_with_extensions(plain))


def decode_wide(data: bytes, annotation: Any, hook: Callable[[type, Any], Any]) -> Any:
    """The value of marked bytes; raises what msgspec raises."""
    plain = msgspec.msgpack.decode(memoryview(data)[1:], ext_hook=_from_extension)
    return msgspec.convert(plain, annotation, builtin_types=_RAW, dec_hook=hook)


def _with_extensions(plain: Any) -> Any:
    cls = type(plain)
    if cls is int and not _SMALLEST <= plain <= _LARGEST:
        return msgspec.msgpack.Ext(
            _EXTENSION, plain.to_bytes(plain.bit_length() // 8 + 1, "big", signed=True)
        )
    if cls is dict:
        return {key: _with_extensions(item) for key, item in plain.items()}
    if cls in (list, tuple, set, frozenset):
        return [_with_extensions(item) for item in plain]
    return plain


def _from_extension(code: int, content: memoryview) -> Any:
    if code != _EXTENSION:
        raise msgspec.ValidationError("unknown extension")
    return int.from_bytes(content, "big", signed=True)
