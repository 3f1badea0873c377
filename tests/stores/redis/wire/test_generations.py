"""Generations and identities on the wire."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cacheaside.stores.redis.wire.generations import (
    UNKNOWN_IDENTITY,
    generation_bytes,
    identity_of,
    new_generations,
    parsed_generation,
)
from cacheaside.types import Generation


@given(st.integers(0, 2**64 - 1).map(Generation))
def test_a_generation_comes_back(generation: Generation) -> None:
    """Each of the 2^64 generations, 0 too, is written in 8 bytes and read as it was."""
    assert parsed_generation(generation_bytes(generation)) == generation


@pytest.mark.parametrize("stored", [None, b"", b"1234567", b"12345678\x02origin", b"version-1", bytes(65)])
def test_what_is_no_generation_matches_nothing(stored: bytes | None) -> None:
    """Nothing, too little, and what another program wrote are all a missing generation."""
    assert parsed_generation(stored) is None


def test_an_origin_may_follow() -> None:
    """A later version may say where a change came from, and this one reads the generation before it."""
    assert parsed_generation(b"\0\0\0\0\0\0\0\x05\x01" + bytes(55)) == Generation(5)
    assert parsed_generation(b"\0\0\0\0\0\0\0\x05\x01" + bytes(56)) is None


def test_generations_are_what_the_system_gives() -> None:
    """Each is 8 of the bytes asked for, in one request, and none is used twice."""
    asked: list[int] = []

    def random_bytes(count: int) -> bytes:
        asked.append(count)
        return bytes(range(count))

    assert new_generations(2, random_bytes) == [bytes(range(8)), bytes(range(8, 16))]
    assert asked == [16]
    assert len(set(new_generations(1000, os.urandom))) == 1000


def test_too_few_random_bytes_are_an_error() -> None:
    """A source of chance that gives less than was asked for would give short generations; it is refused."""
    with pytest.raises(ValueError, match="gave 7 bytes, not 8"):
        new_generations(1, lambda count: bytes(count - 1))


def test_a_server_has_one_identity() -> None:
    """The same names give the same 32 bits in every process; other names, or in another order, other ones."""
    assert identity_of("8d3f", "run") == 0xFC6135E1
    assert len({identity_of("8d3f", "run"), identity_of("8d3frun"), identity_of("run", "8d3f")}) == 3
    assert identity_of() == identity_of("") == UNKNOWN_IDENTITY
