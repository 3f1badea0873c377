"""Durations as people write them: seconds, `timedelta`, or strings like `"90s"`, `"1h30m"`, `"250ms"`."""

from __future__ import annotations

import math
import re
import sys
from datetime import timedelta
from typing import Final

from cacheaside.errors import DeclarationError

__all__ = ["Duration", "Size", "byte_count", "seconds"]

Duration = str | int | float | timedelta
"""A length of time: seconds as a number, a `timedelta`, or a string of numbers with units (ms, s, m, h, d)."""

Size = str | int
"""A number of bytes, or a string with a unit (B, KB, KiB, MB, MiB, GB, GiB)."""

_UNIT_S: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_PART: Final = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_UNIT_BYTES: Final = {
    "b": 1,
    "kb": 10**3,
    "kib": 2**10,
    "mb": 10**6,
    "mib": 2**20,
    "gb": 10**9,
    "gib": 2**30,
}
_SIZE: Final = re.compile(r"(\d+(?:\.\d+)?)\s*([A-Za-z]+)")


def seconds(value: object, *, name: str) -> float:
    """A `Duration` in seconds, finite and not negative; for anything else a `DeclarationError` names option `name`."""
    result = _parse(value, name)
    if not math.isfinite(result) or result < 0:
        raise DeclarationError(f"{name}={value!r} must be a finite duration of zero or more.")
    return result


def _parse(value: object, name: str) -> float:
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value) if abs(value) <= sys.float_info.max else math.inf
    if isinstance(value, str):
        text = value.replace(" ", "")
        parts = _PART.findall(text)
        if parts and "".join(number + unit for number, unit in parts) == text:
            return sum(float(number) * _UNIT_S[unit] for number, unit in parts)
    raise DeclarationError(
        f"{name}={value!r} is not a duration: write seconds (60), a timedelta, "
        'or a string with units ("90s", "1h30m", "250ms").'
    )


def byte_count(value: object, *, name: str) -> int:
    """A `Size` in whole bytes, at least 1; for anything else a `DeclarationError` names option `name`."""
    result: int | None = None
    if isinstance(value, int) and not isinstance(value, bool):
        result = value
    elif isinstance(value, str) and (match := _SIZE.fullmatch(value.strip())):
        unit = _UNIT_BYTES.get(match[2].lower())
        size = 0.0 if unit is None else float(match[1]) * unit
        result = int(size) if math.isfinite(size) else None
    if result is None or result < 1:
        raise DeclarationError(
            f'{name}={value!r} is not a size: write bytes (65536) or a string with a unit ("64KiB", "10MB").'
        )
    return result
