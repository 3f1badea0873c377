"""The stages of a run in words and numbers, a line each; no drawing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from cacheaside.demo.figures import StageFigures

__all__ = ["COLUMNS", "in_a_line", "rows"]

COLUMNS: Final = ("", "req/s", "p50/p99 ms", "L1", "L2", "db", "queries/s", "errors", "too old")
"""L1, L2, db: where answers came from, in percent. too old: missed more than was promised."""


def rows(stages: Iterable[StageFigures]) -> list[Sequence[str]]:
    """Each stage by `COLUMNS`."""
    return [
        (
            one.name,
            f"{one.requests_per_s:,.0f}",
            f"{_ms(one.p50_ms)}/{_ms(one.p99_ms)}",
            _percent(one.from_l1),
            _percent(one.from_l2),
            _percent(one.from_database),
            f"{one.queries_per_s:,.0f}",
            f"{one.failed:,}",
            f"{one.beyond:,}",
        )
        for one in stages
    ]


def in_a_line(one: StageFigures) -> str:
    """A stage in less than 120 characters."""
    shared = f", L2 {_percent(one.from_l2)}" if one.from_l2 else ""
    return (
        f"{one.name:17} {one.seconds:4.1f} s  {one.requests_per_s:,.0f} requests/s, p99 {_ms(one.p99_ms)} ms;"
        f" L1 {_percent(one.from_l1)}{shared}, database {_percent(one.from_database)};"
        f" {one.queries_per_s:,.0f} queries/s, {one.failed} errors, {one.beyond} too old"
    )


def _percent(share: float) -> str:
    return f"{share:.0%}"


def _ms(value: float) -> str:
    return f"{value:.1f}" if value < 10 else f"{value:.0f}"
