"""What closes an envelope: a checksum against accidents, or, where keys are configured, a MAC against forgery.

Either covers the canonical key too, so an entry copied under another key is refused there. A MAC does not
say when: who can write to the server can put back an older entry with its older generations. That one still carries
the signed start of its load, so its contract bounds its age.
"""

from __future__ import annotations

from hashlib import blake2b
from hmac import compare_digest
from typing import Final
from zlib import crc32

from cacheaside.stores.redis.wire.rejected import Rejected

__all__ = ["CHECKSUM_BYTES", "SECRET_MIN_BYTES", "SIGNATURE_BYTES", "KeyRing", "checksum", "checksum_rejects"]

CHECKSUM_BYTES: Final = 4
SECRET_MIN_BYTES: Final = 16
_RESIDUE: Final = 0x2144DF1C  # CRC-32 of anything followed by its CRC-32
_MAC_BYTES: Final = 16
SIGNATURE_BYTES: Final = 1 + _MAC_BYTES
"""A key id and a MAC."""


def checksum(key: str, body: bytes) -> bytes:
    """CRC-32 of the key and the body."""
    # Little-endian, as CRC-32 takes its bits: only so is the checksum of what ends in its own checksum a constant.
    return crc32(body, crc32(key.encode())).to_bytes(CHECKSUM_BYTES, "little")


def checksum_rejects(key: str, sealed: bytes) -> Rejected | None:
    """CORRUPT unless `sealed` ends in the checksum of what comes before it."""
    return None if crc32(sealed, crc32(key.encode())) == _RESIDUE else Rejected.CORRUPT


class KeyRing:
    """The secrets that entries are signed with: the first signs, every one is accepted.

    To change a secret without losing entries: add the new one as the second everywhere, then make it the first
    everywhere, then drop the old one. MAC: keyed BLAKE2b (RFC 7693), 128 bits. A key's id follows from its
    secret, so services cannot disagree on it. Thread-safe.
    """

    __slots__ = ("_by_id", "_signer", "_signer_id")

    def __init__(self, *secrets: bytes) -> None:
        """secrets: of 16 bytes or more each; which are words or short is not checked: use 32 random bytes."""
        if not secrets:
            raise ValueError("KeyRing needs a secret to sign with; without any, entries go unsigned.")
        for number, secret in enumerate(secrets, 1):
            if len(secret) < SECRET_MIN_BYTES:
                raise ValueError(
                    f"Secret {number} of the key ring has {len(secret)} bytes, fewer than {SECRET_MIN_BYTES}: "
                    "use 32 from a random source."
                )
        self._by_id: dict[int, tuple[blake2b, ...]] = {}
        for secret in dict.fromkeys(secrets):
            # Two secrets may share an id; then both are tried.
            self._by_id[_id_of(secret)] = (*self._by_id.get(_id_of(secret), ()), _mac_with(secret))
        self._signer_id = bytes([_id_of(secrets[0])])
        self._signer = _mac_with(secrets[0])

    def __repr__(self) -> str:
        return f"<key ring of {sum(map(len, self._by_id.values()))}>"

    def signature(self, key: str, body: bytes) -> bytes:
        """What closes `body` under `key`: the signing key's id, and the MAC of all before it."""
        mac = self._signer.copy()
        mac.update(_framed(key))
        mac.update(body)
        mac.update(self._signer_id)
        return self._signer_id + mac.digest()

    def rejects(self, key: str, sealed: bytes) -> Rejected | None:
        """Why `sealed` is not signed by one of these keys; None when it is. Compared in constant time."""
        found = sealed[-_MAC_BYTES:]
        framed, body = _framed(key), memoryview(sealed)[:-_MAC_BYTES]
        signers = self._by_id.get(sealed[-SIGNATURE_BYTES])
        if signers is None:
            return Rejected.UNKNOWN_KEY
        for signer in signers:
            mac = signer.copy()
            mac.update(framed)
            mac.update(body)
            if compare_digest(mac.digest(), found):
                return None
        return Rejected.BAD_MAC


def _framed(key: str) -> bytes:
    """The key with its length before it, so that no other key and body run together into the same bytes."""
    encoded = key.encode()
    return len(encoded).to_bytes(4, "big") + encoded


def _id_of(secret: bytes) -> int:
    return blake2b(secret, digest_size=1, person=b"cacheaside keyid").digest()[0]


def _mac_with(secret: bytes) -> blake2b:
    # A key of its own for this use: the same secret may sign other things elsewhere.
    own = blake2b(secret, digest_size=32, person=b"cacheaside entry").digest()
    return blake2b(key=own, digest_size=_MAC_BYTES, person=b"cacheaside entry")
