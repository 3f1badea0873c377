"""Read: look in L1, then in the tier, then share one load."""

from __future__ import annotations

from typing import Any, Final

from cacheaside.flow.answer import as_loaded, landed, landed_meanwhile, served
from cacheaside.flow.call import Call, Record, Standing
from cacheaside.flow.fill import Boarded
from cacheaside.flow.flights import answers
from cacheaside.flow.lead import alone, board, lead, never_landed
from cacheaside.flow.nested import load_nested, read_nested
from cacheaside.flow.overload import LATE, PACED, held_instead, must_not_be_late
from cacheaside.flow.ports import Found, Glance, Ports, Position, TierAway
from cacheaside.lookup import Forward, Lookup, Tier
from cacheaside.policy.freshness import early_refresh_at, judge
from cacheaside.policy.verdict import FORWARD, RULES, Verdict

__all__ = ["read", "refresh", "reload", "serve", "serve_record", "share", "start_over", "strong"]

_ABANDONED_MAX: Final = 3
"""Loads that ended without value or error (cancelled) before a read gives up: a loader that cancels itself."""


async def read(
    call: Call, ports: Ports, *, in_vain: bool = False, glance: Glance | None = None
) -> Lookup[Any]:
    """Answer `call` within its terms: from the cache, else by leading or joining one load.

    in_vain: the tier was asked for it already, and did not answer. A read asks it no more after that. glance: what it
    answered.
    """
    nest = ports.loads.nest()
    if nest is not None:
        return await read_nested(call, nest, ports)
    if call.bypass and not call.unshared:
        return await share(call, ports.flights.moment(), Forward.BYPASS, ports)
    if call.terms.strong:
        return await strong(call, ports)
    arrived = ports.flights.moment() if glance is None else glance.arrived
    answer, forward = serve(call, ports)
    if answer is None and in_vain:
        forward = Forward.AWAY
    elif answer is None and ports.shared:
        since = ports.heard.position() if glance is None else None
        try:
            record = await (ports.tier.fetch(call) if glance is None else glance.record(call))
        except TierAway:
            forward = Forward.AWAY
        else:
            answer, forward = serve_record(call, record, since, forward, ports)
    return answer if answer is not None else await share(call, arrived, forward, ports)


def serve(call: Call, ports: Ports) -> tuple[Lookup[Any] | None, Forward]:
    """The answer that L1 has, if the table lets it be served; a refresh is started behind it where due."""
    found = ports.near.find(call)
    now = ports.clock.now()
    freshness = judge(None if found is None else found.held, call.terms, now)
    verdict = RULES[freshness]
    if found is None:
        return None, ports.near.why_absent(call)
    if verdict is Verdict.FILL:
        return None, FORWARD[freshness]
    refreshing, delayed_by = False, None
    if verdict is Verdict.SERVE_AND_REFRESH:
        refreshing, delayed_by = _refresh_behind(call, found, ports)
        if must_not_be_late(call, delayed_by):
            return None, LATE[freshness]
    elif not found.is_error:
        ports.near.touch(call, found)
        if call.terms.early_refresh and ports.near.early(call, found, now):
            refreshing, delayed_by = _refresh_behind(call, found, ports, early=True)
    answer = served(call, found, freshness, now, refreshing=refreshing, delayed_by=delayed_by)
    return answer, Forward.ABSENT


def serve_record(
    call: Call, record: Record | None, since: Position | None, forward: Forward, ports: Ports
) -> tuple[Lookup[Any] | None, Forward]:
    """As `serve`, of what the tier holds. L1 keeps it when it is valid, unless a change was heard since `since`, which
    is a position taken before it was fetched; None: there is none. `forward` stands when there is nothing."""
    if record is None:
        return None, forward
    now = ports.clock.now()
    found = Found.of(record)
    freshness = judge(found.held, call.terms, now)
    verdict = RULES[freshness]
    if verdict is Verdict.FILL:
        return None, FORWARD[freshness]
    if record.standing is Standing.CURRENT and since is not None:
        ports.near.keep(call, record, since)
    refreshing, delayed_by = False, None
    if verdict is Verdict.SERVE_AND_REFRESH:
        refreshing, delayed_by = _refresh_behind(call, found, ports)
        if must_not_be_late(call, delayed_by):
            return None, LATE[freshness]
    elif call.terms.early_refresh and now >= early_refresh_at(found.held, call.terms, record.load_s):
        refreshing, delayed_by = _refresh_behind(call, found, ports, early=True)
    call.endpoint.tally.shared_hits += 1
    answer = served(call, found, freshness, now, refreshing=refreshing, delayed_by=delayed_by, tier=Tier.L2)
    return answer, forward


async def share(call: Call, arrived: int, forward: Forward, ports: Ports) -> Lookup[Any]:
    """Lead or join loads of `call` until one may answer a read that arrived at `arrived`."""
    return await start_over(call, arrived, forward, ports, again=False)


async def start_over(
    call: Call, arrived: int, forward: Forward, ports: Ports, *, again: bool = True
) -> Lookup[Any]:
    """As `share`, for a read that has been counted; `again` when a load has been made for it already."""
    tally = call.endpoint.tally
    counted = again
    abandoned = 0
    while True:
        flight, leads, found = board(call, ports)
        if found is not None:
            return landed_meanwhile(call, found, forward, ports, counted=counted)
        tally.forward[forward] += not counted
        counted = True
        if leads:
            await lead([Boarded(call, flight, again, in_vain=forward is Forward.AWAY)], ports)
        landing = await ports.crew.wait(flight)
        if landing is None:
            tally.abandoned += not flight.withdrawn
            abandoned += not flight.withdrawn
            if abandoned == _ABANDONED_MAX:
                raise never_landed(call, abandoned)
        elif answers(flight, landing, arrived):
            instead = held_instead(call, landing.error, forward, ports)
            if instead is not None:
                return instead
            return landed(call, landing, forward, leads, ports)
        again = True


async def strong(call: Call, ports: Ports) -> Lookup[Any]:
    """Load from the source, alone, and store the result."""
    nest = ports.loads.nest()
    if nest is not None:
        return await load_nested(call, nest, ports)
    forward = Forward.BYPASS if call.bypass else Forward.STRONG
    call.endpoint.tally.forward[forward] += 1
    landing = await alone(call, ports)
    return landed(call, landing, forward, True, ports)


async def reload(call: Call, ports: Ports) -> None:
    """Load from the source, alone, and store the result; it answers no read, and counts as none."""
    call.endpoint.tally.refreshes += 1
    landing = await alone(call, ports)
    if landing.error is not None:
        call.endpoint.tally.refreshes_failed += 1
        raise as_loaded(landing.error, landing.traceback, landing.context)


def _refresh_behind(
    call: Call, found: Found, ports: Ports, *, early: bool = False
) -> tuple[bool, str | None]:
    """Start a refresh of `found` behind this read unless one is under way, a failure delays it, or the source has
    enough of them. early: `found` is still fresh."""
    if ports.flights.is_open(call.key):
        return True, None
    delayed_by = ports.near.refresh_delayed(call)
    if delayed_by is not None:
        return False, delayed_by or None
    if not ports.loads.may_refresh(call):
        call.endpoint.tally.refreshes_paced += 1
        return False, PACED if call.terms.fails_on_overload else None
    started = ports.crew.behind(refresh(call, ports, replaces=found.held.loaded_at, early=early))
    if not started:
        call.endpoint.tally.refreshes_dropped += 1
    return started, None


async def refresh(call: Call, ports: Ports, *, replaces: float | None = None, early: bool = False) -> None:
    """Load and store `call` behind its readers; a failure leaves what is held, and delays the next try.

    replaces, early: as `Boarded` has them.
    """
    # Asked again here: many of them may have been started since this one's reader asked.
    step = ports.loads.refreshing(call)
    if step is None:
        call.endpoint.tally.refreshes_paced += 1
        return
    try:
        await _refresh(call, ports, replaces, early=early)
    finally:
        step.end()


async def _refresh(call: Call, ports: Ports, replaces: float | None, *, early: bool) -> None:
    flight, leads = ports.flights.board(call.key, call.tags, pinned=True, priority=call.terms.priority)
    if not leads:
        return
    call.endpoint.tally.refreshes += 1
    await lead([Boarded(call, flight, replaces=replaces, early=early)], ports)
    landing = await ports.crew.wait(flight)
    if flight.withdrawn:
        ports.near.delay_refresh(call, "")
        return
    if landing is None or landing.error is not None:
        call.endpoint.tally.refreshes_failed += 1
        failure = "cancelled" if landing is None else type(landing.error).__name__
        ports.near.delay_refresh(call, failure)
        call.endpoint.report_failed_refresh(failure)
