"""What is stored: exact in size, the same in every process."""

from __future__ import annotations

import msgspec
import pytest

from bench.shared.values import SIZES, product


@pytest.mark.parametrize("size", [*SIZES, 120, 300, 1_024])
def test_a_value_is_as_large_as_its_table_says(size: int) -> None:
    """Packed by msgspec, the value of any key takes exactly the named bytes."""
    assert {len(msgspec.msgpack.encode(product(k, size))) for k in (0, 1, 999, 50_000)} == {size}


def test_the_value_of_a_key_is_always_the_same() -> None:
    """Processes that load the same key load equal values; two keys have two values."""
    assert product(7, 200) == product(7, 200)
    assert product(7, 200) != product(8, 200)


def test_values_cannot_be_compressed_away() -> None:
    """A value's text does not repeat itself, so that no cache stores or sends much less than the others."""
    text = product(7, 4_096).text
    assert len({text[at : at + 8] for at in range(0, len(text), 8)}) > len(text) / 8 * 0.99
