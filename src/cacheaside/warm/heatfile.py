"""The file that heat is kept in: lines of JSON, a head and then one key a line, hottest first.

    {"format":"cacheaside-heat","version":1,"namespace":"shop","written_at":1764195600.0,"keys":2,"blake2b":"…"}
    {"endpoint":"product","args":{"product_id":42},"heat":118.4}

The head names its digest, over its own other fields and all that follows: a file that was cut, edited or is
another's is refused as a whole. There are arguments in it and no values, so it may go where values may not; it is
readable by its owner alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from hashlib import blake2b
from typing import Any, Final

import msgspec

from cacheaside.errors import UsageError

__all__ = ["FILE_MAX_BYTES", "KEYS_MAX", "UNREADABLE", "Heat", "Hot", "heat_of", "is_heat", "text_of"]

FORMAT: Final = "cacheaside-heat"
VERSION: Final = 1
FILE_MAX_BYTES: Final = 64 * 1024 * 1024
"""No longer file is read."""
KEYS_MAX: Final = 100_000
"""The most keys that a file has."""
_DIGEST_BYTES: Final = 20


class Hot(msgspec.Struct, frozen=True):
    """One key that was asked for. heat: how often, faded by time; args: its arguments by name, as JSON."""

    endpoint: str
    args: msgspec.Raw
    heat: float = 1.0


class _Head(msgspec.Struct, frozen=True, omit_defaults=True):
    format: str
    version: int
    namespace: str
    written_at: float
    keys: int
    blake2b: str = ""


class Heat(msgspec.Struct, frozen=True):
    """What a file says. written_at: seconds since 1970, by the clock of whoever wrote it."""

    namespace: str
    written_at: float
    keys: Sequence[Hot]


_ENCODER: Final = msgspec.json.Encoder()
_HEADS: Final = msgspec.json.Decoder(_Head)
_LINES: Final = msgspec.json.Decoder(Hot)
UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What is raised for text that is no JSON of the wanted form, or is nested too deep."""


def text_of(namespace: str, written_at: float, keys: Iterable[Hot], *, bytes_max: int) -> bytes:
    """The file: as many of `keys`, from the first, as go into `bytes_max`."""
    lines: list[bytes] = []
    size = 512  # the head, whose namespace is bounded
    for hot in keys:
        line = _ENCODER.encode(hot)
        size += len(line) + 1
        if size > bytes_max or len(lines) >= KEYS_MAX:
            break
        lines.append(line)
    head = _Head(FORMAT, VERSION, namespace, written_at, len(lines))
    body = b"".join([line + b"\n" for line in lines])
    signed = msgspec.structs.replace(head, blake2b=_digest(head, body))
    return _ENCODER.encode(signed) + b"\n" + body


def is_heat(text: bytes) -> bool:
    """Whether it calls itself such a file."""
    return text[:256].startswith(b'{"format":"' + FORMAT.encode())


def heat_of(text: bytes, where: str, *, namespace: str | None = None) -> Heat:
    """What the file `where` says. namespace: whose it has to be; None: anybody's.

    Raises `UsageError`, which quotes nothing of it but a namespace.
    """
    if len(text) > FILE_MAX_BYTES:
        raise UsageError(f"{where}: it is longer than {FILE_MAX_BYTES} bytes: is it the right file?")
    first, _, body = text.partition(b"\n")
    head = _head(first, where)
    if head.blake2b != _digest(msgspec.structs.replace(head, blake2b=""), body):
        raise UsageError(
            f"{where}: its digest is not that of its content, so it was cut short or changed. Delete it, and the next "
            "one is written whole; a list of your own has no such head."
        )
    if namespace is not None and head.namespace != namespace:
        raise UsageError(
            f"{where}: it is the heat of namespace {head.namespace!r}, and this cache is {namespace!r}: take the file "
            "of the same service."
        )
    try:
        keys = [_LINES.decode(line) for line in body.splitlines()]
    except UNREADABLE:
        keys = None
    if keys is None or len(keys) != head.keys:
        raise UsageError(f"{where}: its lines are not what its head says. Delete it.")
    return Heat(head.namespace, head.written_at, keys)


def _head(first: bytes, where: str) -> _Head:
    head = None
    with suppress(*UNREADABLE):  # they may quote what they found
        head = _HEADS.decode(first)
    if head is None or head.format != FORMAT:
        raise UsageError(f"{where}: it is no file of heat; its first line says nothing of {FORMAT}.")
    if head.version != VERSION:
        raise UsageError(
            f"{where}: it is written in version {head.version} of the format, and this process reads {VERSION}: it is "
            "from another version of cacheaside. It is written anew while the service runs."
        )
    return head


def _digest(head: _Head, body: bytes) -> str:
    made: Any = blake2b(_ENCODER.encode(head), digest_size=_DIGEST_BYTES)
    made.update(body)
    return str(made.hexdigest())
