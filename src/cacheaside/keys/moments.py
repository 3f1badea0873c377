"""Dates and times as text: everything that Python lets a function see of them, and nothing else.

Two aware datetimes of one instant are different arguments when their offsets or time zones differ, because a
function may format them; `fold` is kept for the same reason.
"""

from __future__ import annotations

from datetime import date, datetime, time, timedelta, timezone, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

from cacheaside.errors import KeyEncodingError
from cacheaside.keys.classes import class_text
from cacheaside.keys.text import escaped

__all__ = ["date_text", "datetime_text", "time_text", "timedelta_text", "zone_text"]

_MICROSECOND = timedelta(microseconds=1)


def date_text(value: date) -> str:
    return "D" + value.isoformat()


def timedelta_text(value: timedelta) -> str:
    return f"w{value // _MICROSECOND}"


def datetime_text(value: datetime) -> str:
    """``N`` a naive datetime, ``Z`` an aware one: local time, offset, fold, zone."""
    return _moment_text("N" if value.tzinfo is None else "Z", value)


def time_text(value: time) -> str:
    return _moment_text("T", value)


def zone_text(value: tzinfo) -> str:
    """A time zone by what names it: nothing but the offset, ``~key``, ``~~name`` or ``~class~key``."""
    if type(value) is timezone:
        offset = value.utcoffset(None)
        name = value.tzname(None)
        return "" if name == timezone(offset).tzname(None) else f"~~{escaped(name)}"
    # pytz names its zones in `zone`, and zoneinfo and the subclasses of it in `key`.
    key = getattr(value, "key", None) or getattr(value, "zone", None)
    if not isinstance(key, str):
        raise KeyEncodingError(
            f"A time zone of type {type(value).__module__}.{type(value).__qualname__} has no name to tell it "
            "from others in a cache key: use zoneinfo.ZoneInfo(...) or datetime.timezone.utc."
        )
    cls: Any = type(value)
    return f"~{escaped(key)}" if cls is ZoneInfo else f"~{class_text(cls)}~{escaped(key)}"


def _moment_text(tag: str, value: datetime | time) -> str:
    fold = "f" if value.fold else ""
    zone = "" if value.tzinfo is None else zone_text(value.tzinfo)
    return f"{tag}{value.isoformat().replace(':', '.')}{fold}{zone}"
