"""THE table: what a read does with what is held.

Rule 1: every reason to serve, refresh or fill lives in this file.
Rule 2: this file does not know about tiers, threads or clocks.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto
from typing import Final

from cacheaside.lookup import Forward, Served
from cacheaside.policy.freshness import Freshness

__all__ = ["FORWARD", "RULES", "SERVED", "Verdict"]


class Verdict(Enum):
    """What a read does."""

    SERVE = auto()
    SERVE_AND_REFRESH = auto()
    """Serve what is held; one load behind it, shared by all who ask."""
    FILL = auto()
    """Wait for one load, shared by all who ask."""


RULES: Final[Mapping[Freshness, Verdict]] = {
    Freshness.FRESH: Verdict.SERVE,
    Freshness.STALE: Verdict.SERVE_AND_REFRESH,
    Freshness.OUTDATED: Verdict.SERVE_AND_REFRESH,
    Freshness.EXPIRED: Verdict.FILL,
    Freshness.INVALIDATED: Verdict.FILL,
    Freshness.ABSENT: Verdict.FILL,
}

SERVED: Final[Mapping[Freshness, Served]] = {
    Freshness.FRESH: Served.FRESH,
    Freshness.STALE: Served.GRACE,
    Freshness.OUTDATED: Served.OUTDATED,
}

FORWARD: Final[Mapping[Freshness, Forward]] = {
    Freshness.EXPIRED: Forward.EXPIRED,
    Freshness.INVALIDATED: Forward.INVALIDATED,
    Freshness.ABSENT: Forward.ABSENT,
}
