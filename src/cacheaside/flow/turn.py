"""Whose turn it is to load, over all processes; and the stamp that the load begins under (docs/protocol.md, R19).

A lease saves loads, and nothing relies on it: who loads without one, or with one that has run out, is as safe.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from cacheaside.flow.call import Call, Record, Standing
from cacheaside.flow.draft import Boarded
from cacheaside.flow.flights import Landing
from cacheaside.flow.ports import Found, Lease, Leased, Ports, Position, TierAway
from cacheaside.policy.freshness import Freshness, judge
from cacheaside.policy.leasing import lease_s, patience_s
from cacheaside.types import Generation, TagId

__all__ = ["Turn", "take_turn"]

YOUNGER_BY_S: Final = 0.1
"""More than two processes can differ on when one load began."""


class Turn(msgspec.Struct):
    """A load may begin, under `stamp` (None: the tier is away); or it need not, because of `landing`.

    since: what is heard after it counts as changed while this load was under way. writers: tags with a write under way.
    stands_down: an early refresh that could not have the lease; what it was to replace is fresh.
    """

    since: Position
    stamp: dict[TagId, Generation] | None = None
    writers: frozenset[TagId] = frozenset()
    lease: Lease | None = None
    landing: Landing | None = None
    stands_down: bool = False


async def take_turn(boarded: Sequence[Boarded], tags: Sequence[TagId], ports: Ports) -> Turn:
    """Stamp `tags`, and load; or, while another process loads the same key, wait for what it stores, and load if it
    stores nothing that may be served."""
    one = boarded[0]
    if one.in_vain:
        return Turn(ports.heard.position())
    lease = _lease(boarded, ports)
    # An early refresh replaces what was stored: it loads with the lease or not at all.
    if lease is not None and not one.early and ports.near.passes(one.call):
        return await _passing(lease, tags, ports)
    # What is stored is of use to a refresh only if it is younger than what that is to replace: jitter makes an entry
    # stale in one process while it is fresh in another.
    younger_than = None if one.replaces is None else one.replaces + YOUNGER_BY_S
    patient_until = 0.0
    was_nobodys = False
    if lease is not None:
        patience = patience_s(lease.lifetime_s, one.call.endpoint.timeout_s)
        patient_until = ports.clock.now() + patience
    while True:
        as_of = ports.flights.moment()
        turn = Turn(ports.heard.position())
        if lease is not None:
            lease = lease._replace(until=ports.clock.now() + lease.lifetime_s)
        try:
            stamped = await ports.tier.stamp(tags, lease)
            turn.stamp = dict(zip(tags, stamped.generations, strict=True))
            turn.writers = stamped.writers
            if lease is None or stamped.seen is None:
                return turn
            turn.landing = _landing(one.call, stamped.seen.record, younger_than, as_of, turn.since, ports)
            if stamped.seen.leased is Leased.MINE:
                turn.lease = lease
                if turn.landing is not None:
                    await ports.tier.hand_back(lease)
                return turn
            if turn.landing is None and stamped.seen.leased is Leased.ANOTHERS:
                turn.landing = await _from_another(one.call, younger_than, patient_until, ports)
        except TierAway:
            if turn.landing is not None:
                return turn
            return Turn(ports.heard.position(), stands_down=_may_stand_down(one))
        leased = stamped.seen.leased
        # Once, nobody's is a lease that ended between the two looks at it, and is asked for again. Twice in a row it is
        # one that cannot be had: something else lies under its name.
        unleasable = leased is Leased.NOBODYS and was_nobodys
        was_nobodys = leased is Leased.NOBODYS
        if (
            turn.landing is not None
            or leased is Leased.EVERYBODYS
            or unleasable
            or ports.clock.now() >= patient_until
        ):
            # Stamped before it waited: an older stamp is as safe, and one that has moved meanwhile is found out.
            turn.stands_down = turn.landing is None and _may_stand_down(one)
            if leased is Leased.EVERYBODYS:
                turn.lease = _unheld(lease)
            return turn


async def _passing(lease: Lease, tags: Sequence[TagId], ports: Ports) -> Turn:
    """Load without a lease: the last load of the key left nothing to store, and so, likely, will the one that somebody
    makes just now (hit-for-miss). If it is so again, the others are told again."""
    turn = Turn(ports.heard.position())
    try:
        stamped = await ports.tier.stamp(tags)
    except TierAway:
        return turn
    turn.stamp = dict(zip(tags, stamped.generations, strict=True))
    turn.writers = stamped.writers
    turn.lease = _unheld(lease)
    return turn


def _may_stand_down(one: Boarded) -> bool:
    """An early refresh without a lease: not while readers wait for it, who found nothing fresh any more."""
    return one.early and one.flight.waiting <= 1


def _unheld(lease: Lease) -> Lease:
    """What names the key when it is left to everybody; nothing is given back with it."""
    return lease._replace(until=0.0)


def _lease(boarded: Sequence[Boarded], ports: Ports) -> Lease | None:
    """What is asked for one key that others may want loaded too."""
    one = boarded[0]
    call, terms = one.call, one.call.terms
    if not ports.shared or len(boarded) > 1 or one.flight.private or call.bypass or not terms.store:
        return None
    lifetime_s = lease_s(call.endpoint.tally.fill.mean_s, call.endpoint.timeout_s)
    return Lease(call, str(one.flight.started), lifetime_s, 0.0)


async def _from_another(
    call: Call, younger_than: float | None, patient_until: float, ports: Ports
) -> Landing | None:
    """What another process has stored, as a landing. None when it is done, or gone, without that, or takes too long."""
    waiting = ports.heard.waiting(call.key)
    ask = True
    try:
        while True:
            as_of, since = ports.flights.moment(), ports.heard.position()
            seen = await ports.tier.peek(call, ask=ask)
            landing = _landing(call, seen.record, younger_than, as_of, since, ports)
            left_s = patient_until - ports.clock.now()
            if landing is not None or seen.leased is not Leased.ANOTHERS or left_s <= 0:
                return landing
            ask = False
            await waiting.woken(left_s)
    finally:
        waiting.close()


def _landing(
    call: Call, record: Record | None, younger_than: float | None, as_of: int, since: Position, ports: Ports
) -> Landing | None:
    """`record` as the landing of a flight, if it is fresh.

    It answers those who came before it was fetched, as of which it was valid: (1) the record is fetched (2) a write is
    acknowledged (3) a reader joins the flight (4) the flight lands: that reader must look again.
    """
    if record is None or record.standing is not Standing.CURRENT:
        return None
    if younger_than is not None and record.loaded_at <= younger_than:
        return None
    if judge(Found.of(record).held, call.terms, ports.clock.now()) is not Freshness.FRESH:
        return None
    ports.near.keep(call, record, since)
    stamp = dict(zip(record.tags, record.generations, strict=True))
    return Landing(record.held, True, None, record.loaded_at, stamp, False, None, as_of=as_of)
