"""Is what the tier holds valid now? Shown by the tier itself, not by what this process heard."""

from __future__ import annotations

from cacheaside.flow.call import Call, Record, Standing
from cacheaside.flow.ports import Found, Ports
from cacheaside.policy.freshness import Freshness, judge

__all__ = ["shown_valid"]


async def shown_valid(call: Call, ports: Ports) -> tuple[Record, float] | None:
    """A fresh record whose stamp is current by the tier itself, not by what this process heard. Raises `TierAway`."""
    record = await ports.tier.fetch(call)
    if record is None or record.is_error or record.standing is not Standing.CURRENT:
        return None
    now = ports.clock.now()
    fresh = judge(Found.of(record).held, call.terms, now) is Freshness.FRESH
    return (record, now) if fresh else None
