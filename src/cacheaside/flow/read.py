"""Read: look in L1, then in the tier, then share one load. What `Lookup` says is decided here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from cacheaside.errors import SourceError
from cacheaside.flow.call import Call, Record
from cacheaside.flow.fill import Boarded, fill
from cacheaside.flow.flights import Landing, answers
from cacheaside.flow.ports import Found, Nest, Ports, TierAway
from cacheaside.lookup import Forward, Lookup, NotStored, Served
from cacheaside.lookup import Tier as From
from cacheaside.policy.freshness import Freshness, judge
from cacheaside.policy.verdict import FORWARD, RULES, SERVED, Verdict
from cacheaside.types import Generation

__all__ = ["landed", "lead", "read", "refresh", "serve", "share", "start_over", "strong"]

_ABANDONED_MAX: Final = 3
"""Loads that ended without value or error (cancelled) before a read gives up: a loader that cancels itself."""


async def read(call: Call, ports: Ports) -> Lookup[Any]:
    """Answer `call` within its terms: from the cache, else by leading or joining one load."""
    nest = ports.loads.nest()
    if nest is not None:
        return await _read_nested(call, nest, ports)
    if call.terms.strong:
        return await strong(call, ports)
    arrived = ports.flights.moment()
    served, forward = serve(call, ports)
    if served is None and ports.shared:
        served = await _fetch(call, ports)
    return served if served is not None else await share(call, arrived, forward, ports)


def serve(call: Call, ports: Ports) -> tuple[Lookup[Any] | None, Forward]:
    """The answer that L1 has, if the table lets it be served; a refresh is started behind it where due."""
    found = ports.near.find(call)
    now = ports.clock.now()
    freshness = judge(None if found is None else found.held, call.terms, now)
    verdict = RULES[freshness]
    if found is None or verdict is Verdict.FILL:
        return None, FORWARD[freshness]
    refreshing, delayed_by = False, None
    if verdict is Verdict.SERVE_AND_REFRESH:
        refreshing, delayed_by = _refresh_behind(call, ports)
    elif not found.is_error:
        ports.near.touch(call, found)
        if call.terms.early_refresh and ports.near.early(call, found, now):
            refreshing, delayed_by = _refresh_behind(call, ports)
    return _answer(call, found, freshness, now, refreshing, delayed_by), Forward.ABSENT


def _answer(
    call: Call, found: Found, freshness: Freshness, now: float, refreshing: bool, delayed_by: str | None
) -> Lookup[Any]:
    tally = call.endpoint.tally
    age_s = now - found.held.loaded_at
    served = SERVED[freshness]
    tally.age_at_serve.record(age_s)
    if found.is_error:
        tally.remembered_errors += 1
        raise found.value.with_traceback(None)
    if served is Served.FRESH:
        tally.fresh += found.entry is None  # an entry of L1 counts its own hits
    elif served is Served.GRACE:
        tally.grace += 1
    else:
        tally.outdated += 1
    value = call.endpoint.unpack(found.value)
    bound_s = _bound_s(call, found, served)
    return Lookup(
        value, served, None, From.L1, age_s, bound_s, refreshing=refreshing, source_error=delayed_by
    )


def _bound_s(call: Call, found: Found, served: Served) -> float:
    if served is Served.OUTDATED:
        return call.terms.stale_after_invalidation_s
    return found.held.ttl_s + (call.terms.grace_s if found.held.grace else 0.0)


async def _fetch(call: Call, ports: Ports) -> Lookup[Any] | None:
    """What the tier holds, if its stamp shows that it is valid now and its age that it is fresh."""
    since = ports.heard.position()
    try:
        record, generations = await ports.tier.fetch(call)
        if record is None or not await _valid(call, record, generations, ports):
            return None
    except TierAway:
        return None
    found = Found.of(record)
    now = ports.clock.now()
    freshness = judge(found.held, call.terms, now)
    if freshness is not Freshness.FRESH:
        return None
    ports.near.keep(call, record, since)
    return _answer(call, found, freshness, now, False, None)


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


async def share(call: Call, arrived: int, forward: Forward, ports: Ports) -> Lookup[Any]:
    """Lead or join loads of `call` until one may answer a read that arrived at `arrived`."""
    call.endpoint.tally.forward[forward] += 1
    return await start_over(call, arrived, forward, ports, again=False)


async def start_over(
    call: Call, arrived: int, forward: Forward, ports: Ports, *, again: bool = True
) -> Lookup[Any]:
    """As `share`, for a read that has been counted; `again` when a load has been made for it already."""
    tally = call.endpoint.tally
    abandoned = 0
    while True:
        flight, leads = ports.flights.board(call.key, call.tags)
        if leads:
            tally.loads_repeated += again
            await lead([Boarded(call, flight)], ports)
        landing = await ports.crew.wait(flight)
        if landing is None:
            tally.abandoned += 1
            abandoned += 1
            if abandoned == _ABANDONED_MAX:
                raise SourceError(
                    f"{call.key}: its load was cancelled {abandoned} times before it had a result.",
                    endpoint=call.endpoint.name,
                    source="",
                )
        elif answers(flight, landing, arrived):
            return landed(call, landing, forward, leads, ports)
        again = True


async def lead(boarded: Sequence[Boarded], ports: Ports) -> None:
    """Have the flights of `boarded` flown. Whatever stops that before it began must not leave them open."""
    flights = [one.flight for one in boarded]
    try:
        await ports.crew.fly(flights, fill(boarded, ports), boarded[0].call.endpoint.timeout_s)
    except BaseException:
        for flight in flights:
            ports.flights.land(flight, None)
        raise


def landed(call: Call, landing: Landing, forward: Forward, leads: bool, ports: Ports) -> Lookup[Any]:
    """A landing as the answer to one caller, or the loader's own exception."""
    if landing.error is not None:
        raise landing.error
    if not leads:
        call.endpoint.tally.collapsed += 1
    value = call.endpoint.unpack(landing.value) if landing.packed else landing.value
    return Lookup(
        value,
        Served.LOADED if leads else Served.COLLAPSED,
        forward,
        From.SOURCE,
        max(0.0, ports.clock.now() - landing.loaded_at),
        call.terms.bound_s,
        stored=landing.not_stored is None,
        not_stored=landing.not_stored,
    )


async def strong(call: Call, ports: Ports, forward: Forward = Forward.STRONG) -> Lookup[Any]:
    """Load from the source, alone, and store the result."""
    nest = ports.loads.nest()
    if nest is not None:
        return await _load_nested(call, nest, ports)
    call.endpoint.tally.forward[forward] += 1
    landing = await _alone(call, ports)
    return landed(call, landing, forward, True, ports)


async def _alone(call: Call, ports: Ports) -> Landing:
    flight = ports.flights.alone(call.key, call.tags)
    await lead([Boarded(call, flight)], ports)
    landing = await ports.crew.wait(flight)
    if landing is None:
        raise SourceError(
            f"{call.key}: its load was cancelled before it had a result.",
            endpoint=call.endpoint.name,
            source="",
        )
    return landing


async def _read_nested(call: Call, nest: Nest, ports: Ports) -> Lookup[Any]:
    """A read inside another endpoint's load (PROTOCOL §2): nothing that began before that load may answer it,
    and what it reads becomes part of the outer entry's stamp and age.

    L1 alone would not do: (1) L1 has not yet heard of a bump (2) the outer load stamps the new generation
    (3) reads the old value from L1, and stores what it computed from it under the new generation.
    """
    held = None if call.terms.strong else await _shown_valid(call, ports)
    if held is not None:
        record, now = held
        found = Found.of(record)
        nest.joined(dict(zip(record.tags, record.generations, strict=True)), record.loaded_at)
        return _answer(call, found, Freshness.FRESH, now, False, None)
    return await _load_nested(call, nest, ports)


async def _load_nested(call: Call, nest: Nest, ports: Ports) -> Lookup[Any]:
    call.endpoint.tally.forward[Forward.NESTED] += 1
    landing = await _alone(call, ports)
    if landing.moved or landing.stamp is None or landing.not_stored in _UNVOUCHED:
        nest.unvouched()
    else:
        nest.joined(landing.stamp, landing.loaded_at)
    return landed(call, landing, Forward.NESTED, True, ports)


_UNVOUCHED: Final = frozenset({NotStored.WRITER, NotStored.MOVED, NotStored.VALUE_TAGS})


async def _shown_valid(call: Call, ports: Ports) -> tuple[Record, float] | None:
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


def _refresh_behind(call: Call, ports: Ports) -> tuple[bool, str | None]:
    """Start a refresh behind this read unless one is under way or a failure delays it."""
    if ports.flights.is_open(call.key):
        return True, None
    delayed_by = ports.near.refresh_delayed(call)
    if delayed_by is not None:
        return False, delayed_by
    started = ports.crew.behind(refresh(call, ports))
    if not started:
        call.endpoint.tally.refreshes_dropped += 1
    return started, None


async def refresh(call: Call, ports: Ports) -> None:
    """Load and store `call` behind its readers; a failure leaves what is held, and delays the next try."""
    flight, leads = ports.flights.board(call.key, call.tags, pinned=True)
    if not leads:
        return
    call.endpoint.tally.refreshes += 1
    await lead([Boarded(call, flight)], ports)
    landing = await ports.crew.wait(flight)
    if landing is not None and landing.error is not None:
        call.endpoint.tally.refreshes_failed += 1
        ports.near.delay_refresh(call, landing.error)
