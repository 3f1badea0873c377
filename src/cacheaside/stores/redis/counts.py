"""What happened between this process and its shared tier, as integers."""

from __future__ import annotations

from dataclasses import dataclass, field

from cacheaside.stores.redis.wire.rejected import Rejected

__all__ = ["Counts"]


@dataclass(slots=True)
class Counts:
    """Added to where things happen; under threads an increment may, rarely, be lost.

    away: exchanges without an answer. refused: those that a server answered with an error. stores_refused: entries that
    a full server did not take. unstorable: entries that the wire does not take. from_the_future: entries of a clock
    that was set back. rejected: what lay under an entry's key and was none, by why.
    """

    away: int = 0
    refused: int = 0
    stores_refused: int = 0
    unstorable: int = 0
    from_the_future: int = 0
    rejected: dict[Rejected, int] = field(default_factory=lambda: dict.fromkeys(Rejected, 0))
