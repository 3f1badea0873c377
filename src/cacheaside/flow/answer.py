"""From what was found or loaded to one caller's `Lookup`."""

from __future__ import annotations

from types import TracebackType
from typing import Any

from cacheaside.flow.call import Call
from cacheaside.flow.flights import Landing
from cacheaside.flow.ports import Found, Ports
from cacheaside.lookup import Forward, Lookup, Served, Tier
from cacheaside.policy.freshness import Freshness
from cacheaside.policy.verdict import SERVED

__all__ = ["as_loaded", "bound_s_of", "landed", "landed_meanwhile", "served"]


def served(
    call: Call,
    found: Found,
    freshness: Freshness,
    now: float,
    *,
    refreshing: bool = False,
    delayed_by: str | None = None,
    tier: Tier = Tier.L1,
) -> Lookup[Any]:
    """What was found as the answer to one caller, or the remembered exception."""
    tally = call.endpoint.tally
    age_s = now - found.held.loaded_at
    how = SERVED[freshness]
    tally.age_at_serve.record(age_s)
    if found.is_error:
        tally.remembered_errors += 1
        raise as_loaded(found.value, None, None)
    if how is Served.FRESH:
        tally.fresh += found.entry is None  # an entry of L1 counts its own hits
    else:
        tally.shared_stale += tier is Tier.L2
        if how is Served.GRACE:
            tally.grace += 1
        else:
            tally.outdated += 1
    value = call.endpoint.unpack(found.value)
    bound_s = bound_s_of(call, found, how)
    return Lookup(value, how, None, tier, age_s, bound_s, refreshing=refreshing, source_error=delayed_by)


def as_loaded(
    error: BaseException, traceback: TracebackType | None, context: BaseException | None
) -> BaseException:
    """The loader's exception as it was raised there, for one more caller: without what other callers added to it."""
    object.__setattr__(error, "__context__", context)  # an exception may be a frozen dataclass
    return error.with_traceback(traceback)


def landed_meanwhile(
    call: Call, found: Found, forward: Forward, ports: Ports, *, counted: bool
) -> Lookup[Any]:
    """What another's load left in L1 while this read was about to load: a hit, or, for a read that was counted as a
    miss already, a load that it shared."""
    now = ports.clock.now()
    if not counted:
        ports.near.touch(call, found)
        return served(call, found, Freshness.FRESH, now)
    call.endpoint.tally.collapsed += 1
    value = call.endpoint.unpack(found.value)
    age_s = now - found.held.loaded_at
    return Lookup(value, Served.COLLAPSED, forward, Tier.SOURCE, age_s, call.terms.bound_s)


def bound_s_of(call: Call, found: Found, how: Served) -> float:
    """The greatest age at which what was found may be served so."""
    if how is Served.OUTDATED:
        return call.terms.stale_after_invalidation_s
    return found.held.ttl_s + (call.terms.grace_s if found.held.grace else 0.0)


def landed(call: Call, landing: Landing, forward: Forward, leads: bool, ports: Ports) -> Lookup[Any]:
    """A landing as the answer to one caller, or the loader's own exception."""
    tally = call.endpoint.tally
    if landing.error is not None:
        tally.failed += 1
        raise as_loaded(landing.error, landing.traceback, landing.context)
    leads = leads and landing.as_of is None
    if leads:
        tally.loaded += 1
    else:
        tally.collapsed += 1
    value = call.endpoint.unpack(landing.value) if landing.packed else landing.value
    return Lookup(
        value,
        Served.LOADED if leads else Served.COLLAPSED,
        forward,
        Tier.SOURCE,
        max(0.0, ports.clock.now() - landing.loaded_at),
        call.terms.bound_s,
        stored=landing.not_stored is None,
        not_stored=landing.not_stored,
    )
