"""Shadow: load what was just served from the cache, behind its reader, and have the two compared.

The load is one like any other, through the source's limit, and of the lowest priority there; but nobody joins it,
and it is not stored: what readers get does not depend on it. The order is what tells a stale value from one that
changed:

1. the position in the log is taken, *then* the value is served (by whoever calls this)
2. the generations are read, *then* the source is asked, then they are read again (`flow.fill`)
3. a heartbeat is sent, and answered: all that was acknowledged before step 2 has been heard
4. *then* the log is asked whether a tag changed after step 1

The log asked before step 3: (1) an invalidation is acknowledged after the value was served (2) its news is on its way
(3) the load finds other generations, the log knows of nothing: a value that only changed would count as a violation.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import msgspec

from cacheaside.flow.call import Call
from cacheaside.flow.flights import LAST
from cacheaside.flow.lead import alone
from cacheaside.flow.ports import Ports, Position, TierAway
from cacheaside.types import Generation, TagId

__all__ = ["Compared", "load_to_compare"]


class Compared(msgspec.Struct, frozen=True):
    """What the source says now.

    value: raw, or as the cache holds it when `packed`. error: the loader's own. stamp: the generations that it was
    loaded under; None when the tier did not answer. moved: a tag changed meanwhile. still: as `policy.difference`.
    """

    value: Any
    packed: bool
    error: BaseException | None
    stamp: Mapping[TagId, Generation] | None
    moved: bool
    still: bool


async def load_to_compare(call: Call, since: Position, ports: Ports) -> Compared:
    """Load `call`, which was served after `since` was taken, and neither store nor share it."""
    # Of the last priority: nobody waits for it, so whatever somebody waits for goes first.
    asking = Call(
        call.endpoint,
        call.slot,
        call.key,
        call.tags,
        call.values,
        replace(call.terms, strong=True, store=False, priority=LAST),
        bypass=True,
        unshared=True,
    )
    landing = await alone(asking, ports)
    still = False
    try:
        await ports.heard.sync()
        still = ports.heard.still(tuple(landing.stamp or call.tags), since)
    except TierAway:
        pass  # not shown
    return Compared(landing.value, landing.packed, landing.error, landing.stamp, landing.moved, still)
