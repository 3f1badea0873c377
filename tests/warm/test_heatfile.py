"""The file of heat: whole or refused, and bounded."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cacheaside import UsageError
from cacheaside.warm import heatfile
from cacheaside.warm.heatfile import Hot, heat_of, is_heat, text_of

HOT = [Hot("product", msgspec.Raw(b'{"id":%d}' % n), 100.0 - n) for n in range(20)]
MADE = text_of("shop", 1.5, HOT, bytes_max=10_000)


def test_what_is_written_is_read_again() -> None:
    """Namespace, moment, keys in their order, arguments and heat come back."""
    heat = heat_of(MADE, "f", namespace="shop")
    assert (heat.namespace, heat.written_at) == ("shop", 1.5)
    assert [(h.endpoint, bytes(h.args), h.heat) for h in heat.keys] == [
        (h.endpoint, bytes(h.args), h.heat) for h in HOT
    ]
    assert is_heat(MADE)


@given(st.integers(0, len(MADE) - 1))
def test_a_file_that_was_cut_is_refused(size: int) -> None:
    """However many of its bytes are there, it is all or nothing."""
    with pytest.raises(UsageError):
        heat_of(MADE[:size], "f")


@given(st.integers(0, len(MADE) - 1), st.integers(1, 255))
def test_a_file_that_was_changed_is_refused(place: int, mask: int) -> None:
    """Any one byte that is another, in the head or below, is found."""
    changed = bytearray(MADE)
    changed[place] ^= mask
    with pytest.raises(UsageError) as refused:
        heat_of(bytes(changed), "f", namespace="shop")
    assert str(refused.value).startswith("f: ")


@given(st.binary(max_size=300))
def test_whatever_else_lies_there_is_refused(content: bytes) -> None:
    """Any other content is an error that says so, and no other kind of error."""
    with pytest.raises(UsageError):
        heat_of(content, "f")


def test_the_file_of_another_service_is_refused_by_name() -> None:
    """A namespace that is not this cache's is named."""
    with pytest.raises(UsageError, match="namespace 'shop', and this cache is 'bank'"):
        heat_of(MADE, "f", namespace="bank")


def test_another_version_is_refused_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of a later format is not guessed at."""
    monkeypatch.setattr(heatfile, "VERSION", 2)
    later = text_of("shop", 1.5, HOT, bytes_max=10_000)
    monkeypatch.undo()
    with pytest.raises(UsageError, match="version 2 of the format"):
        heat_of(later, "f")


def test_the_coolest_are_left_out_where_room_ends() -> None:
    """A file takes as many keys as go into its bound, from the hottest on, and is no longer than that."""
    small = text_of("shop", 1.5, HOT, bytes_max=900)
    keys = heat_of(small, "f").keys
    assert len(small) <= 900
    assert 0 < len(keys) < len(HOT)
    assert [k.heat for k in keys] == [h.heat for h in HOT[: len(keys)]]


def test_a_file_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is longer than any file that is written is not looked at."""
    monkeypatch.setattr(heatfile, "FILE_MAX_BYTES", 100)
    with pytest.raises(UsageError, match="longer than 100 bytes"):
        heat_of(MADE, "f")
