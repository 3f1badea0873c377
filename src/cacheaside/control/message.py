"""The control state of a fleet as it lies in the shared tier: signed, always, and worth nothing without its signature.

    CAc1 | key id (1 byte) | HMAC-SHA256 (32 bytes) | JSON

Whoever can write to the server can put anything there. What the signature holds back: changing a word, naming another
namespace, making the state last longer, and, in a process that has heard of a newer one, going back to an older (each
has a version that only grows). What it cannot: *deleting* the state, or giving an older one, until that ends, to a
process that begins; others put theirs back when they see it. So the state has an end, and a kill switch that must hold
against somebody who has the server is thrown by the file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from hashlib import blake2b, sha256
from hmac import compare_digest
from hmac import new as hmac_of
from typing import Any, Final

import msgspec

from cacheaside.control.words import ENDPOINTS_MAX, LASTS_MAX_S, as_lever, checked_word
from cacheaside.errors import DeclarationError
from cacheaside.policy.levers import LEVERS, Layer, Lever, Word

__all__ = ["MESSAGE_MAX_BYTES", "Ignored", "Keys", "Message", "opened", "signed"]

MESSAGE_MAX_BYTES: Final = 65_536
AHEAD_MAX_S: Final = 5.0
"""By how much a message may seem to be of the future: what two processes may differ on of their server's clock."""
_MAGIC: Final = b"CAc1"
_MAC_BYTES: Final = 32
_HEAD_BYTES: Final = len(_MAGIC) + 1 + _MAC_BYTES


class Ignored(StrEnum):
    """Why a message is not followed. Each is counted."""

    FOREIGN = "foreign"
    """Not of this library, or of a format that this version does not know."""
    TOO_LARGE = "too_large"
    UNKNOWN_KEY = "unknown_key"
    """Signed with a secret that this process does not have."""
    FORGED = "forged"
    """The signature is not that of these words."""
    MALFORMED = "malformed"
    """Signed, and it says what cannot be."""
    OTHER_NAMESPACE = "other_namespace"
    EXPIRED = "expired"
    FROM_THE_FUTURE = "from_the_future"
    REPLAYED = "replayed"
    """Older than one that this process has heard."""


class Message(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All that the fleet is told. Moments are of the server's clock, in seconds; version, issued_s, id: its place
    in the order of all messages."""

    namespace: str
    version: int
    issued_s: float
    expires_s: float
    id: str
    endpoints: dict[str, dict[str, tuple[Any, float | None]]]

    @property
    def order(self) -> tuple[int, float, str]:
        """Of two messages the one with the greater order counts."""
        return self.version, self.issued_s, self.id

    @property
    def layer(self) -> Layer:
        """Its words; each ends with the message at the latest. A lever that this version does not know is left out."""
        return {
            name: {
                as_lever(lever): Word(
                    checked_word(name, lever, to),
                    self.expires_s if until is None else min(until, self.expires_s),
                )
                for lever, (to, until) in levers.items()
                if lever in LEVERS
            }
            for name, levers in self.endpoints.items()
        }


class Keys:
    """The secrets that messages are signed with: the first signs, every one is accepted, as for entries."""

    def __init__(self, secrets: Sequence[bytes]) -> None:
        # A key of its own for this use: the same secrets sign entries.
        own = [blake2b(secret, digest_size=32, person=b"cacheaside ctrl").digest() for secret in secrets]
        self._keys = [(blake2b(key, digest_size=1).digest(), key) for key in own]

    def __bool__(self) -> bool:
        return bool(self._keys)

    def __repr__(self) -> str:
        return f"<control keys: {len(self._keys)}>"

    def sign(self, body: bytes) -> bytes:
        """`body`, signed."""
        key_id, key = self._keys[0]
        return _MAGIC + key_id + hmac_of(key, _MAGIC + key_id + body, sha256).digest() + body

    def rejects(self, data: bytes) -> Ignored | None:
        """Why `data` is not what one of these signed."""
        key_id, mac, body = data[4:5], data[5:_HEAD_BYTES], data[_HEAD_BYTES:]
        keys = [key for one, key in self._keys if one == key_id]
        if not keys:
            return Ignored.UNKNOWN_KEY
        for key in keys:
            if compare_digest(hmac_of(key, _MAGIC + key_id + body, sha256).digest(), mac):
                return None
        return Ignored.FORGED


def signed(message: Message, keys: Keys) -> bytes:
    """The message as it is stored; a `DeclarationError` when it says too much."""
    data = keys.sign(msgspec.json.encode(message))
    if len(data) > MESSAGE_MAX_BYTES or len(message.endpoints) > ENDPOINTS_MAX:
        raise DeclarationError(
            f"the fleet would be told {len(data):,} bytes about {len(message.endpoints):,} endpoints, more than "
            f"{MESSAGE_MAX_BYTES:,} or {ENDPOINTS_MAX:,}: reset what is not needed any more."
        )
    return data


def opened(data: bytes, namespace: str, keys: Keys, server_now_s: float) -> Message | Ignored:
    """The message in `data`, or why it is none to follow. Nothing is decoded before the signature is checked."""
    if len(data) > MESSAGE_MAX_BYTES:
        return Ignored.TOO_LARGE
    if len(data) <= _HEAD_BYTES or not data.startswith(_MAGIC):
        return Ignored.FOREIGN
    if (why := keys.rejects(data)) is not None:
        return why
    try:
        message = _DECODER.decode(data[_HEAD_BYTES:])
        message.layer  # noqa: B018 - checks each word
    except (msgspec.MsgspecError, DeclarationError, ValueError):
        return Ignored.MALFORMED
    if message.namespace != namespace:
        return Ignored.OTHER_NAMESPACE
    if message.issued_s > server_now_s + AHEAD_MAX_S:
        return Ignored.FROM_THE_FUTURE
    if not message.issued_s < message.expires_s <= message.issued_s + LASTS_MAX_S + AHEAD_MAX_S:
        return Ignored.MALFORMED
    return Ignored.EXPIRED if message.expires_s <= server_now_s else message


_DECODER: Final = msgspec.json.Decoder(Message)


def words_of(layer: Layer) -> dict[str, dict[str, tuple[Any, float | None]]]:
    """A layer as a message holds it."""
    return {
        name: {lever: (word.to, word.until) for lever, word in levers.items()}
        for name, levers in layer.items()
        if levers
    }


def without_ended(layer: Layer, now: float) -> dict[str, Mapping[Lever, Word]]:
    """What of a layer has not ended."""
    left = {
        name: {lever: word for lever, word in levers.items() if not word.has_ended(now)}
        for name, levers in layer.items()
    }
    return {name: levers for name, levers in left.items() if levers}
