"""Rows written and responses served, as the tests of the check put them down."""

from __future__ import annotations

from typing import Final

from cacheaside.demo.history import Commit, From, Range, Served, Written

__all__ = ["SAME", "commit", "served", "written"]

SAME: Final = -1.0
"""Acknowledged when it was done."""


def commit(
    committed_at: float, done_at: float | None, *, process: int = 0, acknowledged_at: float | None = SAME
) -> Commit:
    return Commit(committed_at, process, done_at, done_at if acknowledged_at == SAME else acknowledged_at)


def written(
    version: int,
    committed_at: float,
    done_at: float | None,
    *,
    acknowledged_at: float | None = SAME,
    process: int = 0,
    flight_id: int = 1,
    expected_dep: int = 100,
    origin: str = "JFK",
) -> Written:
    by = commit(committed_at, done_at, process=process, acknowledged_at=acknowledged_at)
    return Written(flight_id, version, origin, expected_dep, by)


def served(
    started_at: float,
    *versions: tuple[int, int],
    lasting: float = 0.01,
    listing: Range | None = None,
    process: int = 0,
    source: From = "source",
) -> Served:
    endpoint = "board" if listing else "flight"
    return Served(endpoint, started_at, started_at + lasting, versions, listing, process, source)
