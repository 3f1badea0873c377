"""Integers beyond 64 bits."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cacheaside.errors import ValueEncodingError
from cacheaside.values import codec_for
from cacheaside.values.wide import WIDE_MARK

WIDE = st.integers(1 << 64) | st.integers(max_value=-(1 << 63) - 1)


class Holder(msgspec.Struct):
    number: int
    many: dict[str, list[int]]
    anything: Any = None
    raw: bytes = b""


@given(WIDE, st.integers(), st.binary(max_size=5))
def test_wide_integers_round_trip_wherever_they_stand(wide: int, number: int, raw: bytes) -> None:
    """In fields, containers and untyped parts, beside values of every other kind."""
    codec = codec_for(Holder, endpoint="numbers")
    value = Holder(wide, {"a": [number, wide]}, [wide, {"k": -wide}, raw], raw)
    data, decoded = codec.roundtrip(value)
    assert data[:1] == WIDE_MARK
    assert decoded == codec.decode(data) == codec.decode_own(data) == value


@given(st.integers(-(1 << 63), (1 << 64) - 1))
def test_ordinary_integers_keep_the_ordinary_form(number: int) -> None:
    """The slower form is written only where it has to be."""
    assert codec_for(int, endpoint="n").encode(number)[:1] != WIDE_MARK


def test_the_stored_form_has_not_changed() -> None:
    """The bytes of a wide integer, as earlier versions wrote them."""
    codec = codec_for(int, endpoint="n")
    assert codec.encode(1 << 64) == bytes.fromhex("c1c70901010000000000000000")
    assert codec.decode(bytes.fromhex("c1c70901ff0000000000000000")) == -(1 << 64)


@pytest.mark.parametrize("data", [b"\xc1", b"\xc1\xc1", b"\xc1\xd4\x02\x00", b"\xc1\xa1a", b"\xd4\x01\x00"])
def test_malformed_wide_bytes_are_refused(data: bytes) -> None:
    """A mark alone, a mark twice, another extension, another type, an extension without the mark."""
    with pytest.raises(ValueEncodingError):
        codec_for(int, endpoint="n").decode(data)
