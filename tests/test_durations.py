"""Durations and sizes as people write them."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cacheaside import DeclarationError
from cacheaside.durations import byte_count, seconds

UNITS_S = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (0, 0), (60, 60), (0.25, 0.25), ("0s", 0), ("60s", 60), ("250ms", 0.25), ("5m", 300), ("2h", 7200),
        ("1d", 86400), ("1h30m", 5400), ("1m 30s", 90), ("1.5m", 90), ("0.5s", 0.5), (timedelta(minutes=2), 120),
        (timedelta(milliseconds=5), 0.005),
    ],
)  # fmt: skip
def test_a_duration_in_seconds(written: Any, expected: float) -> None:
    """Numbers are seconds; strings are sums of numbers with units; a timedelta is what it is."""
    assert seconds(written, name="ttl") == pytest.approx(expected)


@pytest.mark.parametrize(
    "written",
    ["", "s", "60", "60 sec", "1w", "-1s", "1h-1m", "1,5s", "60S", "s60", "1e3s", "∞", -1, -0.5, math.nan, math.inf,
     True, False, None, [], b"60s", timedelta(seconds=-1), 10**400, "9" * 400 + "d", 1j],
)  # fmt: skip
def test_what_is_no_duration(written: Any) -> None:
    """Anything else is refused by the option's name, however large, and never taken for something near it."""
    with pytest.raises(DeclarationError, match=r"^grace="):
        seconds(written, name="grace")


@given(st.lists(st.tuples(st.integers(0, 10_000), st.sampled_from(sorted(UNITS_S))), min_size=1, max_size=4))
def test_parts_add_up(parts: list[tuple[int, str]]) -> None:
    """A string of parts is the sum of them, with or without spaces between."""
    expected = sum(number * UNITS_S[unit] for number, unit in parts)
    for gap in ("", " "):
        text = gap.join(f"{number}{unit}" for number, unit in parts)
        assert seconds(text, name="ttl") == pytest.approx(expected)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (1, 1), (65536, 65536), ("1B", 1), ("64KiB", 65536), ("64kib", 65536), ("10MB", 10**7), ("1.5KB", 1500),
        ("2 GiB", 2**31), (" 1GB ", 10**9), ("1MiB", 2**20),
    ],
)  # fmt: skip
def test_a_size_in_bytes(written: Any, expected: int) -> None:
    """Numbers are bytes; units are powers of 1000, or of 1024 with an i."""
    assert byte_count(written, name="max_bytes") == expected


@pytest.mark.parametrize(
    "written",
    [0, -1, 1.5, True, None, "", "64", "64 K", "0B", "0.5B", "-1KB", "many", [], b"1KB", "9" * 400 + "GiB"],
)
def test_what_is_no_size(written: Any) -> None:
    """Anything else is refused by the option's name."""
    with pytest.raises(DeclarationError, match=r"^max_bytes="):
        byte_count(written, name="max_bytes")
