"""From a call to its `Explanation`: L1, the shared tier, whoever loads, and the next read, looked at one after another.

Only looked at: L1 by `stores.l1.looking`, the shared tier by `stores.redis.looking`, and the next read by
`flow.rehearse`, which runs the flow that a read runs. Nothing is decided here.
"""

from __future__ import annotations

import asyncio
import threading
from typing import Any, Final

import msgspec

from cacheaside.endpoint.host import Host
from cacheaside.errors import UsageError
from cacheaside.flow.answer import bound_s_of
from cacheaside.flow.call import Call, Standing
from cacheaside.flow.flights import Flights, FlightSeen
from cacheaside.flow.ports import Found, Leased, Ports, TierAway
from cacheaside.flow.rehearse import Rehearsed, rehearse
from cacheaside.lookup import Forward, Served, Tier
from cacheaside.observe.explanation import (
    CoherenceSeen,
    Does,
    EntrySeen,
    Explanation,
    LoadSeen,
    NextRead,
    SourceSeen,
    TagSeen,
    TagState,
)
from cacheaside.observe.sources import SourceStats
from cacheaside.policy.freshness import fresh_for_s, judge
from cacheaside.policy.leasing import patience_s
from cacheaside.policy.verdict import RULES, SERVED, Verdict
from cacheaside.stores.l1.looking import NearSeen, look
from cacheaside.stores.redis.connect.away import ConnectionAway
from cacheaside.stores.redis.looking import FarSeen, TagFound
from cacheaside.stores.redis.wire.names import is_declared
from cacheaside.tags import readable
from cacheaside.types import TagId

__all__ = ["explain_awaited", "explain_here", "facade_of"]

ARGUMENT_MAX_CHARS: Final = 80
_LEASES: Final = {
    Leased.MINE: "this process",
    Leased.ANOTHERS: "another process",
    Leased.NOBODYS: "free",
    Leased.EVERYBODYS: "everybody",
}
_STATES: Final = {
    Standing.CURRENT: TagState.CURRENT,
    Standing.UNCERTAIN: TagState.UNCERTAIN,
    Standing.OUTDATED: TagState.MOVED,
}


def facade_of(host: Host, name: str) -> Any:
    """What users call on the endpoint of this name; a `UsageError` lists those there are."""
    facade = host.facades.get(name)
    if facade is None:
        known = ", ".join(sorted(host.facades)) or "none: import the modules that declare them"
        raise UsageError(f"cache {host.namespace!r} has no endpoint {name!r}; known are {known}.")
    return facade


async def explain_awaited(call: Call, host: Host, facade: Any) -> Explanation:
    """As `explain_here`; where a server is to be asked, off the event loop's thread."""
    if host.shared is None:
        return explain_here(call, host, facade)
    return await asyncio.to_thread(explain_here, call, host, facade)


def explain_here(
    call: Call,
    host: Host,
    facade: Any,
    *,
    within_s: float | None = None,
    with_value: bool = False,
    elsewhere: bool = False,
) -> Explanation:
    """What stands behind the key of `call`. Blocks its thread while the shared tier is asked.

    within_s: how long to wait for servers that were not reached yet (None: for the deadline). elsewhere: this process
    is not the one that serves: what its own memory holds means nothing, and it is said so.
    """
    ports: Ports = host.ports if facade.is_async else host.blocking_ports
    far, away = _far(call, host, within_s)
    record = away if away is not None else None if far is None else far.record
    # After the answer of the server, and in one step: (1) L1 is seen to hold an entry (2) a change of it is heard (3)
    # the rehearsal finds it gone: who asks is told that it is fresh, and that the next read loads since it is not.
    # Nothing waits under this lock: a rehearsal never does.
    with host.l1.lock:
        near, flight = look(host.l1, call), _flight(host, call)
        now = host.clock.now()
        rehearsed = rehearse(call, ports, record, flight, threading.RLock())
    return Explanation(
        namespace=host.namespace,
        endpoint=call.endpoint.name,
        key=call.key,
        arguments=_arguments(call, facade),
        enabled=host.enabled,
        ttl_s=call.terms.ttl_s,
        grace_s=call.terms.grace_s,
        l1=_elsewhere(call) if elsewhere else _l1(call, near, host, now),
        l2=None if host.shared is None else _l2(call, far, away, now),
        tags=tuple(_tags(call, near, far, host, now)),
        load=_load(call, host, ports, far, flight, elsewhere=elsewhere),
        source=None if elsewhere else _source(facade),
        coherence=_coherence(call, host, now, elsewhere=elsewhere),
        next_read=_next(call, rehearsed, far),
        value=_value(call, near, far) if with_value else msgspec.UNSET,
    )


def _far(call: Call, host: Host, within_s: float | None) -> tuple[FarSeen | None, TierAway | None]:
    if host.shared is None:
        return None, None
    deadline_s = host.shared.options.limits.deadline_s
    try:
        return host.shared.look(call, deadline_s if within_s is None else within_s), None
    except TierAway as away:
        return None, away


def _flight(host: Host, call: Call) -> FlightSeen | None:
    both: tuple[Flights, Flights] = (host.ports.flights, host.blocking_ports.flights)
    return next((seen for flights in both if (seen := flights.seen(call.key)) is not None), None)


def _arguments(call: Call, facade: Any) -> dict[str, str]:
    """As they were understood; cut, since they are for people."""
    names = facade.endpoint.parameters.all_names
    return {name: _cut(repr(value)) for name, value in zip(names, call.values, strict=True) if name != "self"}


def _cut(text: str) -> str:
    return text if len(text) <= ARGUMENT_MAX_CHARS else text[: ARGUMENT_MAX_CHARS - 1] + "…"


# -- the entry ---------------------------------------------------------------------------------------------------


def _elsewhere(call: Call) -> EntrySeen:
    return EntrySeen(
        tier=Tier.L1,
        looked=False,
        why=f"each process has its own; {call.endpoint.name}.explain(…) in a process shows what that one holds. "
        "The next read here is that of a process which holds nothing",
    )


def _l1(call: Call, near: NearSeen, host: Host, now: float) -> EntrySeen:
    by = near.by
    if near.found is None:
        return EntrySeen(tier=Tier.L1, looked=True, why=near.gone.value, invalidated_by=by)
    why = ""
    if not host.enabled:
        why = "the cache is switched off"
    elif host.gate.until <= now:
        why = "out of touch with the shared tier: L1 does not answer by itself"
    return _entry(
        call,
        near.found,
        now,
        tier=Tier.L1,
        absent=near.absent,
        why=why,
        size_bytes=near.size_bytes,
        hits=near.hits,
        invalidated_by=by,
    )


def _l2(call: Call, far: FarSeen | None, away: TierAway | None, now: float) -> EntrySeen:
    if far is None:
        assert away is not None
        return EntrySeen(tier=Tier.L2, looked=False, why=f"no answer: {away.brief}")
    if far.record is None:
        why = Forward.ABSENT.value if far.why_not is None else f"what lies there is no entry: {far.why_not}"
        return EntrySeen(
            tier=Tier.L2, looked=True, why=why, size_bytes=far.size_bytes, ends_in_s=far.ends_in_s
        )
    record = far.record
    moved = next((one.tag for one in far.tags if one.standing is Standing.OUTDATED or one.owed), None)
    return _entry(
        call,
        Found.of(record),
        now,
        tier=Tier.L2,
        absent=record.absent,
        why="a server that may have gone back to old data vouches for it"
        if record.standing is Standing.UNCERTAIN
        else "",
        size_bytes=far.size_bytes,
        load_s=record.load_s,
        ends_in_s=far.ends_in_s,
        invalidated_by=moved if record.standing is Standing.OUTDATED else None,
    )


def _entry(call: Call, found: Found, now: float, *, absent: bool, **seen: Any) -> EntrySeen:
    held, terms = found.held, call.terms
    freshness = judge(held, terms, now)
    how = SERVED.get(freshness, Served.OUTDATED if held.invalidated else Served.GRACE)
    age_s, bound_s = now - held.loaded_at, bound_s_of(call, found, how)
    served = RULES[freshness] is not Verdict.FILL
    return EntrySeen(
        looked=True,
        held=True,
        kind="error" if found.is_error else "no such row" if absent else "value",
        error=type(found.value).__name__ if found.is_error else None,
        freshness=freshness.name.lower(),
        age_s=age_s,
        fresh_left_s=None if held.invalidated else fresh_for_s(held, terms) - age_s,
        bound_s=bound_s,
        bound_left_s=bound_s - age_s if served or not held.invalidated else None,
        **seen,
    )


def _value(call: Call, near: NearSeen, far: FarSeen | None) -> Any:
    endpoint: Any = call.endpoint
    if far is not None and far.record is not None:
        return endpoint.unpack(far.record.held)
    if near.found is not None and not near.found.is_error:
        return endpoint.unpack(near.found.value)
    return msgspec.UNSET


# -- its tags ----------------------------------------------------------------------------------------------------


def _tags(call: Call, near: NearSeen, far: FarSeen | None, host: Host, now: float) -> list[TagSeen]:
    if far is not None:
        return [_tag(call, one, host) for one in far.tags]
    # Without a server's word: what this process knows of its own writers, and of what put its entry out of date.
    held = (near.by,) if near.by is not None else ()
    made = []
    for tag in dict.fromkeys((*call.tags, *near.tags, *held)):
        ends_at = host.writer_ends_at(tag)
        state = TagState.UNKNOWN
        if near.by == tag:
            state = TagState.MOVED
        elif near.found is not None and near.by is None and host.shared is None:
            state = TagState.CURRENT
        made.append(
            TagSeen(
                tag=tag,
                name=_name(tag, call),
                role=_role(tag, call, host),
                state=state,
                writer=None if host.shared is not None else ends_at is not None and ends_at > now,
                writer_ends_in_s=None if ends_at is None or ends_at <= now else ends_at - now,
                owed=host.shared is not None and host.shared.owed.any_of((tag,)),
            )
        )
    return made


def _tag(call: Call, one: TagFound, host: Host) -> TagSeen:
    state = TagState.UNKNOWN if one.standing is None else _STATES[one.standing]
    return TagSeen(
        tag=one.tag,
        name=_name(one.tag, call),
        role=_role(one.tag, call, host),
        state=state,
        stamped=None if one.stamped is None else f"{one.stamped:016x}",
        current=None if one.current is None else f"{one.current:016x}",
        writer=one.writing.under_way,
        writer_ends_in_s=one.writing.ends_in_s,
        owed=one.owed,
    )


def _role(tag: TagId, call: Call, host: Host) -> str:
    if tag == call.key:
        return "key"
    if tag == host.everything:
        return "everything"
    return "declared" if tag in call.tags else "value"


def _name(tag: TagId, call: Call) -> str:
    if tag == call.key:
        return "its own key"
    return readable(tag) if is_declared(tag) else tag


# -- who loads, and what comes next ------------------------------------------------------------------------------


def _load(
    call: Call,
    host: Host,
    ports: Ports,
    far: FarSeen | None,
    flight: FlightSeen | None,
    *,
    elsewhere: bool,
) -> LoadSeen:
    leased = None if far is None else far.leased
    holder = far.holder if far is not None and leased is Leased.ANOTHERS else None
    if holder is not None and host.shared is not None and host.shared.owned(holder):
        leased = Leased.MINE
    return LoadSeen(
        here=flight is not None and not elsewhere,
        waiting=0 if flight is None else flight.waiting,
        lease=None if leased is None else _LEASES[leased],
        holder=holder,
        lease_ends_in_s=None if far is None else far.lease_ends_in_s,
        delayed_by=ports.near.refresh_delayed(call),
    )


def _source(facade: Any) -> SourceSeen:
    stats: SourceStats = facade.endpoint.source.stats()
    return SourceSeen(
        name=stats.name,
        held=stats.held,
        limit=stats.limit,
        waiting=stats.waiting_total,
        waiting_max=stats.waiting_max,
    )


def _coherence(call: Call, host: Host, now: float, *, elsewhere: bool) -> CoherenceSeen | None:
    shared = host.shared
    if shared is None:
        return None
    server, up, why = "not known", False, None
    try:
        server, up = shared.servers.of(call.key).name, True
    except ConnectionAway as away:
        server, why = away.endpoint, away.message
    stats = shared.stats()
    return CoherenceSeen(
        server=server,
        up=up,
        why_away=why,
        in_touch_s=None if elsewhere else host.gate.until - now,
        unsynced_s=None if elsewhere else stats.unsynced_s,
        blind=stats.blind,
        owed=stats.owed,
    )


def _next(call: Call, rehearsed: Rehearsed, far: FarSeen | None) -> NextRead:
    if rehearsed.error is not None:
        return NextRead(does=Does.RAISE, error=rehearsed.error)
    answer = rehearsed.answer
    if answer is not None:
        refreshes = answer.refreshing
        return NextRead(
            does=Does.SERVE_AND_REFRESH if refreshes else Does.SERVE,
            served=answer.served,
            tier=answer.tier,
            age_s=answer.age_s,
            bound_s=answer.bound_s,
            refreshing=refreshes,
            error=answer.source_error,
        )
    if rehearsed.joins:
        return NextRead(does=Does.JOIN, forward=rehearsed.forward, bound_s=call.terms.bound_s)
    lease = rehearsed.lease
    if lease is not None and far is not None and far.leased is Leased.ANOTHERS:
        waits_s = patience_s(lease.lifetime_s, call.endpoint.timeout_s)
        return NextRead(
            does=Does.WAIT, forward=rehearsed.forward, waits_s=waits_s, bound_s=call.terms.bound_s
        )
    return NextRead(does=Does.LOAD, forward=rehearsed.forward, bound_s=call.terms.bound_s)
