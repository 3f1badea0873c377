"""A few aligned lines for whoever prints a snapshot at a prompt; everything else reads its fields."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from cacheaside.observe.stats import EndpointStats

__all__ = ["table_of"]

_HEAD: Final = ("endpoint", "reads", "hits", "hit rate", "loads", "per missed key", "fill p99")


def table_of(endpoints: Iterable[EndpointStats]) -> str:
    """One line for each endpoint, under a line of headings."""
    rows = [_HEAD, *map(_row, endpoints)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if place == 0 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    )


def _row(one: EndpointStats) -> tuple[str, ...]:
    return (
        one.name,
        f"{one.reads:,}",
        f"{one.hits:,}",
        f"{one.hit_rate:.1%}",
        f"{one.loads:,}",
        f"{one.loads_per_missed_key:.2f}",
        f"{one.fill.p99_s * 1e3:.1f} ms",
    )
