"""Fill: stamp, look for writers, load, store, look again (docs/protocol.md, R1 to R5). The order is the protocol.

Why each step stands where it does, as interleavings that keep an old value:

- *Stamp before the load.* (1) the load reads the old row (2) a writer commits and bumps (3) the fill reads the new
  generation and stores the old row under it: valid for ever.
- *Stamp before looking for writers.* (1) the fill looks: nobody (2) a writer marks, and bumps to g1 (3) the fill
  reads g1, loads the row before the commit (4) the writer commits and dies: g1 stays, the old row with it.
- *Close before looking again.* (1) the fill rereads the generations: unmoved (2) a write is acknowledged
  (3) a reader joins (4) the flight lands: the joiner is answered with a value older than that write.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from cacheaside.errors import Overloaded
from cacheaside.flow.call import Call, Record
from cacheaside.flow.draft import Boarded, Draft, draft_of, record_of, verdict_on
from cacheaside.flow.flights import Landing
from cacheaside.flow.ports import Failure, Lease, Loaded, Ports, Position, TierAway
from cacheaside.flow.turn import take_turn
from cacheaside.lookup import NotStored
from cacheaside.policy.freshness import judge
from cacheaside.policy.passing import passes_for_s
from cacheaside.policy.verdict import RULES, Verdict
from cacheaside.types import Generation, TagId

__all__ = ["Boarded", "fill"]


class _Fill(msgspec.Struct):
    """What one fill has found out so far.

    stamp: the generations it loads under; None when the tier did not answer. writers: tags with a write under way.
    since: from when on a change means that a late tag moved. shown: from when on it means that the stamp did, which was
    shown to be current after that.
    vouched: False when what the load read through other endpoints does not agree with the stamp.
    """

    began: float
    since: Position
    stamp: dict[TagId, Generation] | None = None
    writers: frozenset[TagId] = frozenset()
    vouched: bool = True
    lease: Lease | None = None
    shown: Position | None = None
    loaded_at: float = 0.0
    load_s: float = 0.0
    records: dict[TagId, Record] = msgspec.field(default_factory=dict)


async def fill(boarded: Sequence[Boarded], ports: Ports) -> None:
    """Load what `boarded` asks for, in one load, store what may be stored, and land every flight, come what may."""
    broken: Landing | None = None
    for one in boarded:
        one.reloads = ports.flights.take_off(one.call.key) or one.again
    try:
        await _fill(boarded, ports)
    except Exception as error:  # noqa: BLE001 - whoever waits must be told, whatever it is
        broken = Landing(None, False, error, 0.0, None, True, None, error.__traceback__)
    finally:
        # Cancelled, or broken: those who wait must not wait for ever. A landed flight takes no second landing.
        for one in boarded:
            ports.flights.touch_down(one.call.key)
            ports.flights.land(one.flight, broken)


def _count_loads(boarded: Sequence[Boarded]) -> None:
    tally = boarded[0].call.endpoint.tally
    tally.loads += 1
    tally.keys_loaded += len(boarded)
    tally.keys_reloaded += sum(one.reloads for one in boarded)


async def _fill(boarded: Sequence[Boarded], ports: Ports) -> None:
    likely = [one.call.tags + ports.near.remembered_tags(one.call) for one in boarded]
    turn = await take_turn(boarded, _unique(likely), ports)
    if turn.stands_down:
        ports.flights.withdraw(boarded[0].flight)
        return
    if turn.landing is not None:
        ports.flights.close([boarded[0].flight])
        ports.flights.land(boarded[0].flight, turn.landing)
        return
    _count_loads(boarded)
    # Read after the turn was waited for: how long others loaded is no part of how long this load takes, or leases, and
    # the waits for them, would grow with each holder that dies.
    this = _Fill(ports.clock.now(), turn.since, turn.stamp, turn.writers, lease=turn.lease)
    loaded = await _load(boarded, ports, in_vain=this.stamp is None)
    this.load_s = ports.clock.now() - this.began
    this.loaded_at = this.began if loaded.oldest is None else min(this.began, loaded.oldest)
    _join(this, loaded)
    drafts = [
        draft_of(one, result, tuple(loaded.nested))
        for one, result in zip(boarded, loaded.results, strict=True)
    ]
    await _stamp_late(this, drafts, ports)
    ports.flights.close([one.flight for one in boarded])
    moved = await _store_and_recheck(this, drafts, ports)
    for draft in drafts:
        _land(this, draft, moved, ports)


async def _load(boarded: Sequence[Boarded], ports: Ports, *, in_vain: bool) -> Loaded:
    calls = [one.call for one in boarded]
    flights = [one.flight for one in boarded]
    # A refresh that readers have joined meanwhile is their first try.
    repeats = all(one.again or (one.flight.pinned and one.flight.waiting <= 1) for one in boarded)
    try:
        return await ports.loads.load(calls, in_vain=in_vain, repeats=repeats, aboard=flights)
    except Exception as error:  # noqa: BLE001 - the loader's own error belongs to every caller
        return Loaded([Failure(error)] * len(calls), {}, None, True)


def _join(this: _Fill, loaded: Loaded) -> None:
    """Make what was read through other endpoints part of the stamp; two generations of one tag cannot both be right."""
    this.vouched = loaded.vouched
    if loaded.in_vain:
        this.stamp = None
    if this.stamp is not None:
        for tag, generation in loaded.nested.items():
            if this.stamp.setdefault(tag, generation) != generation:
                this.vouched = False


async def _stamp_late(this: _Fill, drafts: Sequence[Draft], ports: Ports) -> None:
    """Stamp the tags first seen in the values. They were not stamped before the load, so the log must show that
    none of them changed since it began; changes acknowledged before the generations were read must be in it.

    Where it cannot show that, and to create a generation is a change too, the next load of the key stamps them before.
    """
    stamp = this.stamp
    late = () if stamp is None else _unique([draft.late for draft in drafts])
    if stamp is None or not late:
        return
    new = [tag for tag in late if tag not in stamp]
    if not new:
        return
    try:
        stamped = await ports.tier.stamp(new)
        stamp.update(zip(new, stamped.generations, strict=True))
        this.writers |= stamped.writers
        await ports.heard.sync()
    except TierAway:
        this.stamp = None
        return
    unstamped = set(new)
    for draft in drafts:
        draft.held_still = ports.heard.still([tag for tag in draft.late if tag in unstamped], this.since)
        if not draft.held_still:
            ports.near.remember_tags(draft.call, draft.late)


async def _store_and_recheck(this: _Fill, drafts: Sequence[Draft], ports: Ports) -> frozenset[TagId] | None:
    """Store, and read the generations once more: the tags that moved since the stamp, or None when unknown.

    A record stored under a generation that has moved is harmless: its stamp matches nothing.
    """
    stamp = this.stamp
    if stamp is None or not (this.vouched or this.lease):
        return None
    for draft in drafts:
        if this.vouched and verdict_on(draft, this.writers, moved=False) is None:
            this.records[draft.call.key] = record_of(draft, stamp, this.loaded_at, this.load_s)
    stored = [
        (draft.call, record)
        for draft in drafts
        if (record := this.records.get(draft.call.key)) is not None and not record.is_error
    ]
    tags = tuple(stamp)
    this.shown = ports.heard.position()
    try:
        # What cannot be stored must not be loaded by one process after the other: each is to load at once. A load that
        # its source's limit refused has not shown that: another process takes the lease, or, just when the source is
        # overloaded, all that wait would load the key from it.
        free = not stored and not any(isinstance(draft.error, Overloaded) for draft in drafts)
        now = await ports.tier.store(stored, tags, this.lease, free=free)
    except TierAway:
        return None
    if not this.vouched:
        return None
    return frozenset(tag for tag, generation in zip(tags, now, strict=True) if generation != stamp[tag])


def _land(this: _Fill, draft: Draft, moved_tags: frozenset[TagId] | None, ports: Ports) -> None:
    call, stamp = draft.call, this.stamp
    moved = moved_tags is None or not draft.held_still or not moved_tags.isdisjoint(draft.tags)
    not_stored = _keep(this, draft, moved_tags, ports)
    if draft.error is None:
        _count(draft, not_stored, this.load_s)
    # What is not to be stored (a comparison, a read of what is killed) asks for no lease, and says nothing of the key.
    may_lease = ports.shared and call.terms.store and not isinstance(draft.error, Overloaded)
    if may_lease and (pass_s := passes_for_s(not_stored, failed=draft.error is not None)):
        ports.near.pass_by(call, pass_s)
    if draft.error is None and not_stored in _SUPERSEDING and call.terms.store:
        # The source answered, and the answer is not kept: what is held from before it must not outlive it.
        ports.near.drop(call)
    # Loaded under a writer's mark, it may be older than a commit whose writer dies: (1) the fill finds a mark, loads
    # the old row (2) the writer commits, dies, and its mark expires: no generation moves (3) a reader joins: who
    # comes after that must not get the old row. Whoever was there before the flight may.
    moved = moved or not this.writers.isdisjoint(draft.tags)
    value = draft.value if draft.packed is None else draft.packed.held
    own = None if stamp is None else {tag: stamp[tag] for tag in draft.tags if tag in stamp}
    packed = draft.packed is not None
    traceback = None if draft.error is None else draft.error.__traceback__
    context = None if draft.error is None else draft.error.__context__
    landing = Landing(value, packed, draft.error, this.loaded_at, own, moved, not_stored, traceback, context)
    ports.flights.land(draft.boarded.flight, landing)


_SUPERSEDING: Final = frozenset(
    (NotStored.CONTRACT, NotStored.TOO_LARGE, NotStored.TOO_MANY_TAGS, NotStored.UNSTORABLE)
)


def _keep(this: _Fill, draft: Draft, moved_tags: frozenset[TagId] | None, ports: Ports) -> NotStored | None:
    record = this.records.get(draft.call.key)
    if moved_tags is None and this.vouched:
        return verdict_on(draft, this.writers, moved=False) or NotStored.AWAY
    moved = moved_tags is None or not moved_tags.isdisjoint(draft.tags)
    if record is None or moved:
        return verdict_on(draft, this.writers, moved=moved) or NotStored.MOVED
    if record.is_error and _is_servable(draft.call, ports):
        return NotStored.CONTRACT  # a value that may still be served is worth more than the news of a failure
    assert this.shown is not None, "what is not moved has been shown not to be"
    refused = ports.near.keep(draft.call, record, this.shown)
    # In the shared tier it is, whatever this process has heard since.
    return refused if record.is_error or not ports.shared else None


def _is_servable(call: Call, ports: Ports) -> bool:
    found = ports.near.find(call)
    if found is None or found.is_error:
        return False
    return RULES[judge(found.held, call.terms, ports.clock.now())] is not Verdict.FILL


def _count(draft: Draft, not_stored: NotStored | None, load_s: float) -> None:
    tally = draft.call.endpoint.tally
    tally.fill.record(load_s)
    if not_stored is None:
        tally.stored += 1
    else:
        tally.not_stored[not_stored] += 1


def _unique(groups: Sequence[tuple[TagId, ...]]) -> tuple[TagId, ...]:
    if len(groups) == 1:
        return groups[0]  # each once already
    return tuple(dict.fromkeys(tag for group in groups for tag in group))
