"""The stages in words."""

from __future__ import annotations

import msgspec

from cacheaside.demo.figures import StageFigures
from cacheaside.demo.stage_table import COLUMNS, in_a_line, rows

STAGE = StageFigures(
    name="without the cache",
    seconds=12.5,
    requests=99_999,
    requests_per_s=12_345.6,
    p50_ms=1.234,
    p99_ms=123.4,
    from_l1=0.425,
    from_l2=0.0,
    from_database=1.0,
    queries_per_s=12_345.6,
    failed=0,
    stale=0,
    beyond=0,
)


def test_a_stage_is_told_by_its_columns() -> None:
    """Each figure stands in its own column, shares in percent."""
    (row,) = rows([STAGE])
    assert dict(zip(COLUMNS, row, strict=True)) == {
        "": "without the cache",
        "req/s": "12,346",
        "p50/p99 ms": "1.2/123",
        "L1": "42%",
        "L2": "0%",
        "db": "100%",
        "queries/s": "12,346",
        "errors": "0",
        "too old": "0",
    }


def test_a_stage_fits_a_line() -> None:
    """A line of progress stays below 140 characters, and names the shared tier only where it answered."""
    assert len(in_a_line(STAGE)) < 140
    assert "L2" not in in_a_line(STAGE)
    assert "L2 12%" in in_a_line(msgspec.structs.replace(STAGE, from_l2=0.12))
