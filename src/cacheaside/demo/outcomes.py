"""What became of the requests: what is new since the last pulse."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

import msgspec

from cacheaside.demo.history import From, Range, Served
from cacheaside.demo.messages import Failure, LoadPulse
from cacheaside.demo.views import Versions

__all__ = ["Outcomes"]


class _Shown(msgspec.Struct):
    """What the check needs of a response's body; the rest is skipped over."""

    versions: Versions
    origin: str | None = None
    since: datetime | None = None
    until: datetime | None = None


def _range(shown: _Shown) -> Range | None:
    if shown.origin is None or shown.since is None or shown.until is None:
        return None
    return Range(shown.origin, int(shown.since.timestamp()), int(shown.until.timestamp()))


class Outcomes:
    """Noted by the readers, and by those who make changes."""

    def __init__(self) -> None:
        self._decoder = msgspec.json.Decoder(_Shown)
        self._under_way: Counter[str] = Counter()
        self._absent = 0
        self._overlapping = 0
        self._failures: list[Failure] = []
        self._served: list[Served] = []

    @contextmanager
    def asking(self, path: str) -> Iterator[None]:
        """The time of one request."""
        self._overlapping += self._under_way[path] > 0
        self._under_way[path] += 1
        try:
            yield
        finally:
            self._under_way[path] -= 1

    def answered(
        self,
        endpoint: str,
        started_at: float,
        ended_at: float,
        status: int,
        body: bytes,
        process: int,
        source: str,
    ) -> None:
        """Note one answer. An unknown plane's 404 is an answer like any other; nothing is to be compared in it."""
        if status not in (200, 404):
            self.refused(started_at, f"{endpoint}: status {status}: {body[:200].decode(errors='replace')}")
            return
        came_from = msgspec.convert(source, From)
        if status == 404:
            self._absent += 1
            self._served.append(Served(endpoint, started_at, ended_at, (), None, process, came_from))
            return
        shown = self._decoder.decode(body)
        self._served.append(
            Served(endpoint, started_at, ended_at, shown.versions, _range(shown), process, came_from)
        )

    def refused(self, started_at: float, why: str) -> None:
        """Note a request without a proper answer."""
        self._failures.append(Failure(started_at, why))

    def pulse(self, span_s: float) -> LoadPulse:
        """What is new since the last pulse."""
        pulse = LoadPulse(
            span_s=span_s,
            absent=self._absent,
            overlapping=self._overlapping,
            failures=self._failures,
            served=self._served,
        )
        self._absent = self._overlapping = 0
        self._failures, self._served = [], []
        return pulse
