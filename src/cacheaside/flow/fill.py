"""Fill: stamp, look for writers, load, store, look again (PROTOCOL §1). The order is the protocol.

Why each step stands where it does, as interleavings that keep an old value:

- *Stamp before the load.* (1) load reads the old row (2) a writer commits and bumps (3) the fill reads the new
  generation and stores the old row under it: valid for ever.
- *Stamp before looking for writers.* (1) the fill looks: nobody (2) a writer marks, and bumps to g1 (3) the fill
  reads g1, loads the row before the commit (4) the writer commits and dies: g1 stays, the old row with it.
- *Close before looking again.* (1) the fill rereads the generations: unmoved (2) a write is acknowledged
  (3) a reader joins (4) the flight lands: the joiner is answered with a value older than that write.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from cacheaside.errors import ValueEncodingError
from cacheaside.flow.call import Call, Packed, Record
from cacheaside.flow.flights import Flight, Landing
from cacheaside.flow.ports import Failure, Loaded, Ports, Position, TierAway
from cacheaside.lookup import NotStored
from cacheaside.policy import storing
from cacheaside.types import Generation, TagId

__all__ = ["Boarded", "fill"]

Stamp = dict[TagId, Generation]


@dataclass(frozen=True, slots=True)
class Boarded:
    """A call with the flight that it leads."""

    call: Call
    flight: Flight


@dataclass(slots=True)
class _Draft:
    """What is known of one call's result before it is stored."""

    boarded: Boarded
    value: Any
    packed: Packed | None
    error: BaseException | None
    remembered_s: float | None
    tags: tuple[TagId, ...]
    late: tuple[TagId, ...]
    vouched: bool
    accepted: bool = True
    held_still: bool = True


async def fill(boarded: Sequence[Boarded], ports: Ports) -> None:
    """Load what `boarded` asks for, in one load, store what may be stored, and land every flight, come what may."""
    broken: Landing | None = None
    try:
        await _fill(boarded, ports)
    except Exception as error:
        broken = Landing(None, False, error, 0.0, None, True, None)
    finally:
        # Cancelled, or broken: those who wait must not wait for ever. A landed flight takes no second landing.
        for one in boarded:
            ports.flights.land(one.flight, broken)


async def _fill(boarded: Sequence[Boarded], ports: Ports) -> None:
    began = ports.clock.now()
    since = ports.heard.position()
    stamp, writers = await _stamp(_unique(one.call.tags for one in boarded), ports)
    loaded = await _load([one.call for one in boarded], ports)
    load_s = ports.clock.now() - began
    loaded_at = began if loaded.oldest is None else min(began, loaded.oldest)
    vouched = _join(stamp, loaded)
    drafts = [_draft(one, result, loaded, stamp) for one, result in zip(boarded, loaded.results, strict=True)]
    if stamp is not None:
        writers |= await _stamp_late(drafts, stamp, since, ports)
    ports.flights.close([one.flight for one in boarded])
    records = {
        draft.boarded.call.key: _record(draft, stamp, loaded_at, load_s)
        for draft in drafts
        if stamp is not None and vouched and _verdict(draft, writers, moved=False) is None
    }
    moved = await _store_and_recheck(drafts, records, stamp if vouched else None, ports)
    for draft in drafts:
        _land(
            draft, records.get(draft.boarded.call.key), stamp, moved, writers, loaded_at, load_s, since, ports
        )


async def _stamp(tags: Sequence[TagId], ports: Ports) -> tuple[Stamp | None, frozenset[TagId]]:
    try:
        generations = await ports.tier.stamp(tags)
        writers = await ports.tier.writers(tags)
    except TierAway:
        return None, frozenset()
    return dict(zip(tags, generations, strict=True)), writers


async def _load(calls: Sequence[Call], ports: Ports) -> Loaded:
    for call in calls:
        call.endpoint.tally.loads += 1
    try:
        return await ports.loads.load(calls)
    except Exception as error:
        return Loaded([Failure(error)] * len(calls), {}, None, True)


def _join(stamp: Stamp | None, loaded: Loaded) -> bool:
    """Make what was read through other endpoints part of the stamp; False when it does not agree with it."""
    if stamp is None:
        return False
    agrees = all(stamp.get(tag, generation) == generation for tag, generation in loaded.nested.items())
    for tag, generation in loaded.nested.items():
        stamp.setdefault(tag, generation)
    return agrees and loaded.vouched


def _draft(one: Boarded, result: Any, loaded: Loaded, stamp: Stamp | None) -> _Draft:
    call = one.call
    endpoint = call.endpoint
    tags = call.tags + tuple(tag for tag in loaded.nested if tag not in call.tags)
    if isinstance(result, Failure):
        endpoint.tally.loads_failed += 1
        remembered_s = next(
            (ttl for kind, ttl in call.terms.error_ttls_s if isinstance(result.error, kind)), None
        )
        return _Draft(one, None, None, result.error, remembered_s, tags, (), vouched=True)
    packed = None
    late: tuple[TagId, ...] = ()
    accepted = True
    try:
        packed = endpoint.pack(result)
        if not packed.absent:
            late = tuple(tag for tag in endpoint.value_tags(result) if tag not in tags)
            accepted = call.terms.accepts is None or bool(call.terms.accepts(result))
    except ValueEncodingError as error:
        endpoint.report_unstorable(error)
    except Exception as error:
        # The endpoint's own value_tags= or store= failed: without its tags the value must not be stored.
        endpoint.report_unstorable(error)
        return _Draft(one, result, packed, None, None, tags, (), vouched=False)
    return _Draft(one, result, packed, None, None, tags + late, late, vouched=True, accepted=accepted)


async def _stamp_late(
    drafts: Sequence[_Draft], stamp: Stamp, since: Position, ports: Ports
) -> frozenset[TagId]:
    """Stamp the tags first seen in the values. They were not stamped before the load, so the log must show that
    none of them changed since it began; changes acknowledged before the generations were read must be in it."""
    tags = [tag for tag in _unique(draft.late for draft in drafts) if tag not in stamp]
    if not tags:
        return frozenset()
    try:
        stamp.update(zip(tags, await ports.tier.stamp(tags), strict=True))
        writers = await ports.tier.writers(tags)
        await ports.heard.sync()
    except TierAway:
        for draft in drafts:
            draft.held_still = draft.held_still and not draft.late
        return frozenset()
    for draft in drafts:
        draft.held_still = ports.heard.still(draft.late, since)
    return writers


def _verdict(draft: _Draft, writers: frozenset[TagId], *, moved: bool) -> NotStored | None:
    call = draft.boarded.call
    if draft.error is not None and draft.remembered_s is None:
        return NotStored.CONTRACT
    packed = draft.packed
    return storing.may_store(
        storing.Loaded(
            absent=packed is not None and packed.absent,
            accepted=draft.accepted,
            size_bytes=0 if packed is None else len(packed.encoded),
            writer=not writers.isdisjoint(draft.tags),
            moved=moved,
            held_still=draft.held_still,
            tags=len(draft.tags),
            tags_max=call.endpoint.tags_max,
            unstorable=not draft.vouched or (packed is None and draft.error is None),
        ),
        call.terms,
    )


def _record(draft: _Draft, stamp: Stamp | None, loaded_at: float, load_s: float) -> Record:
    assert stamp is not None
    terms = draft.boarded.call.terms
    generations = tuple(stamp[tag] for tag in draft.tags)
    if draft.packed is None:
        assert draft.error is not None and draft.remembered_s is not None
        return Record(
            draft.error, 0, loaded_at, draft.remembered_s, False, True, draft.tags, generations, load_s
        )
    absent = draft.packed.absent
    ttl_s = terms.absent_ttl_s if absent else terms.ttl_s
    size_bytes = len(draft.packed.encoded)
    return Record(
        draft.packed.held, size_bytes, loaded_at, ttl_s, not absent, False, draft.tags, generations, load_s
    )


async def _store_and_recheck(
    drafts: Sequence[_Draft], records: dict[TagId, Record], stamp: Stamp | None, ports: Ports
) -> frozenset[TagId] | None:
    """Store, and read the generations once more: the tags that moved since the stamp, or None when unknown.

    A record stored under a generation that has moved is harmless: its stamp matches nothing.
    """
    if stamp is None:
        return None
    tags = tuple(stamp)
    stored = [(d.boarded.call, records[d.boarded.call.key]) for d in drafts if d.boarded.call.key in records]
    try:
        now = await ports.tier.store([(call, record) for call, record in stored if not record.is_error], tags)
    except TierAway:
        return None
    return frozenset(tag for tag, generation in zip(tags, now, strict=True) if generation != stamp[tag])


def _land(
    draft: _Draft,
    record: Record | None,
    stamp: Stamp | None,
    moved_tags: frozenset[TagId] | None,
    writers: frozenset[TagId],
    loaded_at: float,
    load_s: float,
    since: Position,
    ports: Ports,
) -> None:
    call = draft.boarded.call
    tally = call.endpoint.tally
    moved = moved_tags is None or not draft.held_still or not moved_tags.isdisjoint(draft.tags)
    if record is not None and not moved:
        not_stored = ports.near.keep(call, record, since)
    else:
        not_stored = _verdict(draft, writers, moved=moved) or NotStored.MOVED
    if draft.error is None:
        tally.fill.record(load_s)
        if not_stored is None:
            tally.stored += 1
        else:
            tally.not_stored[not_stored] += 1
    value = draft.value if draft.packed is None else draft.packed.held
    own = None if stamp is None else {tag: stamp[tag] for tag in draft.tags if tag in stamp}
    ports.flights.land(
        draft.boarded.flight,
        Landing(value, draft.packed is not None, draft.error, loaded_at, own, moved, not_stored),
    )


def _unique(groups: Iterable[Sequence[TagId]]) -> tuple[TagId, ...]:
    return tuple(dict.fromkeys(tag for group in groups for tag in group))
