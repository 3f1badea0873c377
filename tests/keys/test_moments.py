"""Dates, times and zones in keys: what a function can see of them counts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo

import pytest

from cacheaside.errors import KeyEncodingError
from cacheaside.keys import encode


def test_aware_datetimes_differ_by_instant_offset_zone_and_fold() -> None:
    """One instant in two zones, a zone by name and by offset, and the readings of a folded hour differ."""
    noon = datetime(2024, 7, 1, 12, tzinfo=UTC)
    paris = ZoneInfo("Europe/Paris")
    folded = datetime(2024, 10, 27, 2, 30, tzinfo=paris)
    values = [
        noon,
        noon.astimezone(paris),
        noon.astimezone(ZoneInfo("Europe/Berlin")),
        noon.astimezone(timezone(timedelta(hours=2))),
        noon.astimezone(timezone(timedelta(hours=2), "CEST")),
        noon.astimezone(ZoneInfo("UTC")),
        noon.replace(tzinfo=None),
        noon.replace(tzinfo=None, fold=1),
        folded,
        folded.replace(fold=1),
    ]
    assert len({encode(value) for value in values}) == len(values)


def test_a_zone_without_a_name_is_refused() -> None:
    """A tzinfo that nothing identifies has no encoding, and the error says which ones have."""

    class Nameless(tzinfo):
        def utcoffset(self, when: datetime | None) -> timedelta:
            return timedelta(hours=1)

        def dst(self, when: datetime | None) -> None:
            return None

        def tzname(self, when: datetime | None) -> None:
            return None

    with pytest.raises(KeyEncodingError, match=r"Nameless has no name.*zoneinfo\.ZoneInfo"):
        encode(datetime(2024, 1, 1, tzinfo=Nameless()))


def test_zones_themselves_are_told_apart() -> None:
    """A time zone is an argument like any other."""
    zones = [
        UTC,
        timezone(timedelta(hours=1)),
        timezone(timedelta(hours=1), "x"),
        ZoneInfo("UTC"),
        ZoneInfo("Asia/Tokyo"),
    ]
    assert len({encode(zone) for zone in zones}) == len(zones)
