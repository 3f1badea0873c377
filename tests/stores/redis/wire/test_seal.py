"""Signatures: who may have written an entry."""

from __future__ import annotations

from hashlib import blake2b
from itertools import pairwise

import pytest

from cacheaside.stores.redis.wire.envelope import PLAIN, Envelope, Wire, decode, encode
from cacheaside.stores.redis.wire.rejected import Rejected
from cacheaside.stores.redis.wire.seal import KeyRing
from tests.stores.redis.examples import DECLARED, KEY, envelope

OLD, NEW = b"the old secret of the shop", b"the new secret of the shop"


def read(writer: Wire, reader: Wire) -> Envelope | Rejected:
    return decode(encode(envelope(), KEY, DECLARED, writer), KEY, DECLARED, reader)


def test_a_secret_is_changed_without_a_cold_cache() -> None:
    """In each step of a change of secret, what any process writes is read by every other."""
    steps = [KeyRing(OLD), KeyRing(OLD, NEW), KeyRing(NEW, OLD), KeyRing(NEW)]
    for before, after in pairwise(steps):
        for writer in (before, after):
            for reader in (before, after):
                assert isinstance(read(Wire(ring=writer), Wire(ring=reader)), Envelope)


def test_a_dropped_secret_opens_nothing() -> None:
    """What was signed with a secret that is no longer on the ring is refused by that reason."""
    assert read(Wire(ring=KeyRing(OLD)), Wire(ring=KeyRing(NEW))) is Rejected.UNKNOWN_KEY


def test_a_cache_with_keys_takes_nothing_unsigned() -> None:
    """An entry cannot escape the check by not being signed, whatever its checksum."""
    assert read(PLAIN, Wire(ring=KeyRing(NEW))) is Rejected.UNSIGNED


def test_a_cache_without_keys_takes_nothing_it_cannot_check() -> None:
    """A signed entry is not known to be whole to who cannot check the signature."""
    assert read(Wire(ring=KeyRing(NEW)), PLAIN) is Rejected.UNKNOWN_KEY


def test_secrets_that_share_an_id_are_both_tried() -> None:
    """The id of a key is one byte, so two may share it, and what either signed is read."""

    def id_of(secret: bytes) -> bytes:
        return blake2b(secret, digest_size=1, person=b"cacheaside keyid").digest()

    twin = next(secret for n in range(10_000) if id_of(secret := b"another secret %06d" % n) == id_of(NEW))
    for signer in (NEW, twin):
        assert isinstance(read(Wire(ring=KeyRing(signer)), Wire(ring=KeyRing(NEW, twin))), Envelope)
    assert read(Wire(ring=KeyRing(twin)), Wire(ring=KeyRing(NEW))) is Rejected.BAD_MAC


def test_key_and_body_do_not_run_together() -> None:
    """What is cut from the end of a key and put before the body makes another signature."""
    ring = KeyRing(NEW)
    assert ring.signature("shop:ab", b"c") != ring.signature("shop:a", b"bc")


def test_a_weak_ring_is_refused() -> None:
    """A ring needs a secret, and each must be too long to be guessed."""
    with pytest.raises(ValueError, match="needs a secret"):
        KeyRing()
    with pytest.raises(ValueError, match="Secret 2 of the key ring has 15 bytes, fewer than 16"):
        KeyRing(NEW, b"x" * 15)


def test_no_secret_is_shown() -> None:
    """A ring in a log or a traceback shows how many keys it has, and none of them."""
    assert repr(KeyRing(NEW, OLD)) == "<key ring of 2>"
    assert "secret" not in repr(Wire(ring=KeyRing(NEW)))
