"""What a read does when its source is past its limit: the contract's `on_overload`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from cacheaside.errors import Overloaded
from cacheaside.flow.call import Call
from cacheaside.flow.ports import Ports
from cacheaside.lookup import Forward, Lookup, Tier
from cacheaside.policy.freshness import Freshness, judge
from cacheaside.policy.verdict import RULES, SERVED, Verdict

__all__ = ["LATE", "PACED", "held_instead", "must_not_be_late"]

_OVERLOADED: Final = Overloaded.__name__
PACED: Final = _OVERLOADED
"""What keeps a refresh that its source has no room for: for who would rather fail it is as good as refused, so that the
read goes forward itself."""
LATE: Final[Mapping[Freshness, Forward]] = {
    Freshness.STALE: Forward.EXPIRED,
    Freshness.OUTDATED: Forward.INVALIDATED,
}
"""Why a read goes forward that must not be late."""


def must_not_be_late(call: Call, delayed_by: str | None) -> bool:
    """Whether what is held and past its ttl may not be served, since its refresh was refused."""
    return delayed_by == _OVERLOADED and call.terms.fails_on_overload


def held_instead(
    call: Call, error: BaseException | None, forward: Forward, ports: Ports
) -> Lookup[Any] | None:
    """For a read whose load ended with `error`, a refusal: what L1 holds by now, within the contract.

    There was nothing when the read came; but: (1) it misses (2) it waits for a turn (3) a strong read, or a load that
    could not be joined, lands and is kept (4) the wait is over, in vain: what is kept now is as good as any load.
    """
    if not isinstance(error, Overloaded) or call.bypass or call.terms.strong or call.terms.fails_on_overload:
        return None
    found = ports.near.find(call)
    if found is None or found.is_error:
        return None
    now = ports.clock.now()
    freshness = judge(found.held, call.terms, now)
    if RULES[freshness] is Verdict.FILL:
        return None
    call.endpoint.tally.collapsed += 1  # it went forward, and another's load answered it
    value = call.endpoint.unpack(found.value)
    age_s = now - found.held.loaded_at
    how = SERVED[freshness]
    return Lookup(value, how, forward, Tier.L1, age_s, call.terms.bound_s, source_error=_OVERLOADED)
