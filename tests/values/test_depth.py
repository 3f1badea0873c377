"""The depth of stored bytes, against the depth of the values they were made from."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from cacheaside.values.depth import nests_within

ATOMS = (
    st.none() | st.booleans() | st.integers(-(1 << 63), (1 << 64) - 1) | st.floats() | st.binary() | st.dates()
    | st.text(st.characters(exclude_categories=["Cs"])) | st.binary(min_size=250, max_size=300)
    | st.builds(msgspec.msgpack.Ext, st.integers(-128, 127).filter(lambda code: code != -1), st.binary(max_size=20))
)  # fmt: skip
VALUES = st.recursive(
    ATOMS,
    lambda inner: (
        st.lists(inner, max_size=20)
        | st.dictionaries(
            st.text(st.characters(exclude_categories=["Cs"])) | st.integers(0, 9), inner, max_size=20
        )
    ),
    max_leaves=40,
)


def depth(value: Any) -> int:
    if isinstance(value, list) and value:
        return 1 + max(depth(item) for item in value)
    if isinstance(value, dict) and value:
        return 1 + max(depth(item) for item in value.values())
    return 0


@given(VALUES)
def test_the_depth_of_bytes_is_the_depth_of_the_value(value: Any) -> None:
    """Exactly as deep as the value nests, whatever bytes its texts and numbers hold."""
    data = msgspec.msgpack.encode(value)
    assert nests_within(data, depth(value))
    assert depth(value) == 0 or not nests_within(data, depth(value) - 1)


def test_every_length_of_head_is_understood() -> None:
    """Containers, texts and bytes of each size class are stepped over to what follows them."""
    for size in (0, 1, 15, 16, 31, 32, 255, 256, 65_535, 65_536):
        for filler in (
            "a" * size,
            b"\x91" * size,
            [0] * size,
            dict.fromkeys(range(size), 0),
            msgspec.msgpack.Ext(5, b"\x91" * size),
        ):
            data = msgspec.msgpack.encode([filler, [[[1]]]])
            assert nests_within(data, 4)
            assert not nests_within(data, 3)


@given(st.binary(max_size=60), st.integers(0, 5))
def test_malformed_bytes_end(data: bytes, levels: int) -> None:
    """Any bytes get an answer; whether they mean anything is for the decoder to say."""
    assert nests_within(data, levels) in (True, False)
    assert nests_within(data, 60)
