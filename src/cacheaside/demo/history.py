"""What the database was told when, and what the service showed when: the two sides of the check in `judgement`. Pure.

A change is *done* when whoever made it is told so: the block of `cache.changing` has ended. It is *acknowledged* when
the shared tier has said that what was computed from it is invalidated: at the same moment, unless the tier was away.

All moments are seconds of one monotonic clock.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Final, Literal

from msgspec import Struct

__all__ = ["Commit", "From", "History", "Range", "Served", "Written"]

From = Literal["l1", "l2", "joined", "source"]
"""Where an answer came from: its process, the shared tier, a load that another read began, a load of its own."""

_HOUR_S: Final = 3600


@dataclass(slots=True)
class Commit:
    """One commit, by one of the service's processes. What has not come yet, or never came, is None."""

    committed_at: float
    process: int = 0
    done_at: float | None = None
    acknowledged_at: float | None = None


@dataclass(frozen=True, slots=True)
class Written:
    """One row version, made by one commit."""

    flight_id: int
    version: int
    origin: str
    expected_dep: int
    commit: Commit


class Range(Struct, frozen=True, array_like=True):
    """What a list claims to be complete for: flights from `origin` expected to leave in `[since, until)`."""

    origin: str
    since: int
    until: int


class Served(Struct, frozen=True, array_like=True):
    """One response: when its request started, when it had arrived, what it was built from, and who gave it.

    versions: pairs of flight id and row version; none in an answer that there is no such row.
    """

    endpoint: str
    started_at: float
    ended_at: float
    versions: tuple[tuple[int, int], ...]
    range: Range | None = None
    process: int = 0
    source: From = "source"


class History:
    """All row versions by flight. Version 1 is the row as it was built; each commit makes the next one.

    A ValueError says that a version is missing between two others, or was committed before its predecessor.
    """

    def __init__(self, written: Iterable[Written] = ()) -> None:
        self._by_flight: defaultdict[int, list[Written]] = defaultdict(list)
        self._by_hour: defaultdict[tuple[str, int], dict[int, None]] = defaultdict(dict)
        for one in sorted(written, key=lambda one: (one.flight_id, one.version)):
            self.add(one)

    def add(self, one: Written) -> None:
        """Append the next version of a flight."""
        earlier = self._by_flight[one.flight_id]
        _require_next(one, earlier)
        earlier.append(one)
        self._by_hour[one.origin, one.expected_dep // _HOUR_S][one.flight_id] = None

    def writes(self, flight_id: int) -> Sequence[Written]:
        """All writes of a flight, in order; the first made version 2."""
        return self._by_flight.get(flight_id, ())

    def after(self, flight_id: int, version: int) -> Sequence[Written]:
        """The writes that came after this version, in order."""
        return self.writes(flight_id)[version - 1 :]

    def ever_in(self, wanted: Range) -> Iterator[int]:
        """Flights that some write put into the range."""
        hours = range(wanted.since // _HOUR_S, (wanted.until - 1) // _HOUR_S + 1)
        return iter(
            dict.fromkeys(chain.from_iterable(self._by_hour.get((wanted.origin, h), ()) for h in hours))
        )


def _require_next(one: Written, earlier: Sequence[Written]) -> None:
    if one.version != len(earlier) + 2:
        raise ValueError(
            f"history of flight {one.flight_id} jumps to version {one.version} after {len(earlier) + 1}"
        )
    if earlier and one.commit.committed_at < earlier[-1].commit.committed_at:
        raise ValueError(
            f"version {one.version} of flight {one.flight_id} was committed before its predecessor"
        )
