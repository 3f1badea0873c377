"""Is what the tier holds valid now? Shown by the tier itself, not by what this process heard."""

from __future__ import annotations

from cacheaside.flow.call import Call, Record
from cacheaside.flow.ports import Found, Ports, TierAway
from cacheaside.policy.freshness import Freshness, judge
from cacheaside.types import Generation

__all__ = ["shown_valid"]


async def shown_valid(call: Call, ports: Ports) -> tuple[Record, float] | None:
    """A fresh record whose stamp is current by the tier itself, not by what this process heard."""
    try:
        record, generations = await ports.tier.fetch(call)
        if record is None or record.is_error or not await _valid(call, record, generations, ports):
            return None
    except TierAway:
        return None
    now = ports.clock.now()
    fresh = judge(Found.of(record).held, call.terms, now) is Freshness.FRESH
    return (record, now) if fresh else None


async def _valid(
    call: Call, record: Record, generations: tuple[Generation | None, ...], ports: Ports
) -> bool:
    """Whether the stamp covers every tag declared now and equals the current generations."""
    current = dict(zip(call.tags, generations, strict=True))
    if not set(call.tags) <= set(record.tags):
        return False
    late = tuple(tag for tag in record.tags if tag not in current)
    if late:
        current.update(zip(late, await ports.tier.generations(late), strict=True))
    return all(current[tag] == own for tag, own in zip(record.tags, record.generations, strict=True))
