"""Values without parts as text: a tag letter, then the value in characters that mean nothing else."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from cacheaside.keys.limits import ENCODED_MAX_CHARS, check_size
from cacheaside.keys.moments import date_text, datetime_text, time_text, timedelta_text
from cacheaside.keys.text import escaped

__all__ = ["ATOMS", "DECIMALS_LIMIT", "DECIMALS_MAX_CHARS", "int_text"]

DECIMALS_LIMIT = 1 << 128
DECIMALS_MAX_CHARS = 41
"""The longest text of an int that is written in decimals."""


def int_text(value: int) -> str:
    if -DECIMALS_LIMIT < value < DECIMALS_LIMIT:
        return f"i{value}"
    check_size(value.bit_length() // 4, "int")
    return f"h{value:x}"


def _str_text(value: str) -> str:
    if len(value) > ENCODED_MAX_CHARS:
        check_size(len(value), "str")
    text = escaped(value)
    if len(text) >= ENCODED_MAX_CHARS:
        check_size(len(text) + 1, "str")
    return "s" + text


def _bytes_text(value: bytes) -> str:
    check_size(2 * len(value) + 1, "bytes")
    return "x" + value.hex()


def _float_text(value: float) -> str:
    return f"d{value!r}"  # a NaN is written `nan` whatever its payload


def _decimal_text(value: Decimal) -> str:
    check_size(len(value.as_tuple().digits), "Decimal")
    # Scientific text keeps sign, digits and exponent apart. The context decides on `e` or `E`, hence lower().
    return "m" + str(value).lower()


ATOMS: dict[type, Callable[[Any], str]] = {
    int: int_text,
    str: _str_text,
    type(None): lambda _: "n",
    bool: lambda value: "t" if value else "f",
    bytes: _bytes_text,
    float: _float_text,
    Decimal: _decimal_text,
    UUID: lambda value: "u" + value.hex,
    date: date_text,
    datetime: datetime_text,
    time: time_text,
    timedelta: timedelta_text,
}
"""The text of a value of exactly this class."""
