"""Broken variants of the library, each of which the checkers must catch.

A mutant is an exact replacement in the shipped source. When its text is no longer found, a test fails and says so: then
the mutant is to be written again for the new text, not dropped. Standard library only, see `mutation.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

__all__ = ["MUTANTS", "Edit", "Mutant"]

World = Literal["embedded", "shared"]
FILL: Final = "cacheaside.flow.fill"
FLIGHTS: Final = "cacheaside.flow.flights"
NESTED: Final = "cacheaside.flow.nested"
READ: Final = "cacheaside.flow.read"
WRITE: Final = "cacheaside.flow.write"
FRESHNESS: Final = "cacheaside.policy.freshness"
EMBEDDED: Final = "cacheaside.stores.embedded"
L1: Final = "cacheaside.stores.l1.store"
REMOTE: Final = "cacheaside.testing.simulator.remote"
LISTENING: Final = "cacheaside.testing.simulator.listening"
SERVER: Final = "cacheaside.testing.simulator.server"


@dataclass(frozen=True, slots=True)
class Edit:
    """`old`, found once in `module`, becomes `new`."""

    module: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Mutant:
    """what: what is wrong with it. world: where it must be caught. named: by the protocol itself. given: what the
    schedules that show it have in common, see `scenario.Sizes`."""

    name: str
    what: str
    world: World
    named: bool
    edits: tuple[Edit, ...]
    given: str = ""


def _named(name: str, what: str, world: World, *edits: tuple[str, str, str], given: str = "") -> Mutant:
    """A variant that the protocol names."""
    return Mutant(name, what, world, True, tuple(Edit(*edit) for edit in edits), given)


def _other(name: str, what: str, world: World, *edits: tuple[str, str, str], given: str = "") -> Mutant:
    """A variant that seemed worth it."""
    return Mutant(name, what, world, False, tuple(Edit(*edit) for edit in edits), given)


_STAMP = "    await _stamp(this, _unique([one.call.tags for one in boarded]), ports)\n"
_LOAD = "    loaded = await _load([one.call for one in boarded], ports)\n"
_GENERATIONS = "        generations = await ports.tier.stamp(tags)\n"
_WRITERS = "        this.writers = await ports.tier.writers(tags)\n"
_CLOSE = "    ports.flights.close([one.flight for one in boarded])\n"
_ENLIST = "        await ports.tier.enlist(tags, writer, ports.mark_lifetime_s)\n"
_BUMP_AND_HEAR = "        await ports.tier.bump(tags)\n        ports.heard.hear(tags)\n"
_FRESH = "            new = [self._server.fresh(tag) for tag in tags]\n"
_LOG_CHECK = (
    L1,
    "            if not self.log.unchanged(record.tags, since.number):\n",
    "            if False:\n",
)
_STILL = "        for heard_at, before in reversed(self._times):\n"

MUTANTS: Final = (
    _named(
        "stamp-after-load",
        "generations are read after the load",
        "shared",
        (FILL, _STAMP + _LOAD, _LOAD + _STAMP),
    ),
    _named(
        "look-before-stamp",
        "a fill looks for writers before it reads the generations",
        "shared",
        (FILL, _GENERATIONS + _WRITERS, _WRITERS + _GENERATIONS),
    ),
    _named(
        "delete-only",
        "entries carry no stamp that counts, and fills look at no log: writes delete, and that is all",
        "shared",
        (
            "cacheaside.flow.valid",
            "    return all(current[tag] == own for",
            "    return True or all(current[tag] == own for",
        ),
        _LOG_CHECK,
    ),
    _named(
        "counter-generations",
        "generations are counted, and the count begins again after an eviction",
        "shared",
        (SERVER, "        self._used.add(bits)\n", "        bits = self.generations.get(tag, 0) + 1\n"),
    ),
    _named(
        "same-generation-resent",
        "a bump that is sent again carries the generation it carried before",
        "shared",
        (
            REMOTE,
            "        for resend in range(RESENDS_MAX + 1):\n",
            "        new = [self._server.fresh(tag) for tag in tags]\n        for resend in range(RESENDS_MAX + 1):\n",
        ),
        (REMOTE, _FRESH, ""),
    ),
    _named(
        "bump-before-commit-only",
        "a bracket bumps before its commit, and that is all",
        "embedded",
        (WRITE, _ENLIST, ""),
        (
            WRITE,
            _BUMP_AND_HEAR + "        await ports.tier.release(tags, writer)\n",
            "        await ports.tier.release(tags, writer)\n",
        ),
    ),
    _named(
        "mark-after-bump",
        "a bracket bumps before it marks",
        "shared",
        (WRITE, _ENLIST + _BUMP_AND_HEAR, _BUMP_AND_HEAR + _ENLIST),
    ),
    _named(
        "clear-anothers-mark",
        "a writer that is done removes every mark of its tags",
        "embedded",
        (EMBEDDED, "writers.pop(writer, None)", "writers.clear()"),
    ),
    _named(
        "release-on-unknown-outcome",
        "a bracket that ends with an error releases its mark",
        "embedded",
        (
            "cacheaside.endpoint.changing",
            "            await writing.invalidate(write.tags, ports)\n",
            "            await writing.finish(write.tags, write.writer, ports)\n",
        ),
    ),
    _named(
        "blind-join",
        "a landing answers whoever joined, whatever changed meanwhile",
        "embedded",
        (FLIGHTS, "return not landing.moved or flight.started > arrived", "return True"),
    ),
    _named(
        "join-open-during-recheck",
        "a flight takes joiners while its fill reads the generations once more",
        "embedded",
        (FILL, _CLOSE, ""),
        given="views=joined,focus=1,lag=0.4,after=True,before=False,slow=0.0,pauses=0.0",
    ),
    _named(
        "l1-without-log",
        "what changed while a load was under way is forgotten at once",
        "embedded",
        (L1, "            self.log.record(tags)\n", ""),
    ),
    _named(
        "l1-deaf-to-marks",
        "L1 does not hear that a bracket has begun",
        "embedded",
        (WRITE, _ENLIST + _BUMP_AND_HEAR, _ENLIST + "        await ports.tier.bump(tags)\n"),
    ),
    _named(
        "drop-before-acknowledgement",
        "the writer's own process drops before the bump is acknowledged",
        "shared",
        (
            WRITE,
            "        await ports.tier.bump(tags)\n        ports.heard.hear(tags, calls)\n",
            "        ports.heard.hear(tags, calls)\n        await ports.tier.bump(tags)\n",
        ),
        given="processes=1,focus=1,lag=0.4,behind_steps=200,deaths=0.0,slow=0.0,hurry=0.0,pauses=0.0,unavailable=0.0",
    ),
    _named(
        "value-tags-by-bumps-alone",
        "tags found in the value count as unchanged when no bump was heard, though a mark expired",
        "shared",
        (LISTENING, _STILL, "        for heard_at, before in ():\n"),
        given="views=joined,focus=1,slow=0.5,deaths=0.6",
    ),
    _named(
        "nested-read-through-l1",
        "a read inside a load is answered by L1",
        "shared",
        (
            READ,
            "        return await read_nested(call, nest, ports)\n",
            "        return serve(call, ports)[0] or await read_nested(call, nest, ports)\n",
        ),
    ),
    _other(
        "keep-without-log",
        "L1 keeps what was loaded before a change that it heard of since",
        "embedded",
        _LOG_CHECK,
    ),
    _other(
        "older-over-younger",
        "L1 replaces an entry by one that was loaded earlier",
        "embedded",
        (L1, " and old.loaded_at > record.loaded_at:", " and False:"),
    ),
    _other(
        "grace-after-invalidation",
        "an invalidated entry is served within grace",
        "embedded",
        (FRESHNESS, "    if held.invalidated:\n", "    if held.invalidated and not held.grace:\n"),
    ),
    _other(
        "jitter-that-lengthens",
        "jitter adds to the ttl",
        "embedded",
        (FRESHNESS, "return ttl_s * (1.0 - jitter *", "return ttl_s * (1.0 + jitter *"),
    ),
    _other(
        "flight-not-closed-on-hearing",
        "a load goes on taking joiners after one of its tags was heard to change",
        "embedded",
        (EMBEDDED, "            flights.close_touching(tags)\n", "            continue\n"),
    ),
    _other(
        "lost-wake-up",
        "a landing wakes all who wait but the first",
        "embedded",
        (FLIGHTS, "        for wake in waiters:\n", "        for wake in waiters[1:]:\n"),
    ),
    _other(
        "abandoned-flight-never-landed",
        "a fill that is cancelled leaves its flights in the air",
        "embedded",
        (
            FILL,
            "            ports.flights.land(one.flight, broken)\n",
            "            if broken is not None:\n                ports.flights.land(one.flight, broken)\n",
        ),
        (
            "cacheaside.flow.lead",
            "        for flight in flights:\n            ports.flights.land(flight, None)\n",
            "",
        ),
    ),
    _other(
        "leader-cancels-followers",
        "one who leaves counts as all who wait",
        "embedded",
        (FLIGHTS, "            flight.waiting -= 1\n", "            flight.waiting = 0\n"),
    ),
    _other(
        "absent-ttl-ignored",
        "an absent row is fresh as long as a value",
        "embedded",
        (
            "cacheaside.stores.l1.table",
            "Held(entry.loaded_at, terms.absent_ttl_s,",
            "Held(entry.loaded_at, terms.ttl_s,",
        ),
    ),
    _other(
        "nested-age-not-joined",
        "a value computed from a cached one counts as new",
        "embedded",
        (NESTED, "strict=True)), record.loaded_at)", "strict=True)), now)"),
    ),
    _other(
        "expiry-not-logged",
        "a mark that expires leaves no trace in the log",
        "embedded",
        (EMBEDDED, "            if over:\n", "            if over and not now:\n"),
        given="views=joined,focus=1,slow=0.5,deaths=0.6",
    ),
    _other(
        "recheck-ignored",
        "a landing does not say that a generation moved",
        "shared",
        (FILL, "if generation != stamp[tag])\n", "if not stamp)\n"),
        given="processes=2,focus=1,slow=0.8,pauses=0.1,unavailable=0.0,behind_steps=200,hurry=0.1,deaths=0.0,lag=0.0,readers=6,reads=3",
    ),
    _other(
        "join-under-a-mark",
        "a load under a writer's mark answers those who joined it",
        "embedded",
        (FILL, "    moved = moved or not this.writers.isdisjoint(draft.tags)\n", ""),
        given="focus=1,slow=0.8,deaths=0.6,threads=False",
    ),
    _other(
        "join-before-late-tags-are-known",
        "a load answers those who joined it although the tags in its value may have moved",
        "embedded",
        (
            FILL,
            "    moved = moved_tags is None or not draft.held_still or not",
            "    moved = moved_tags is None or not",
        ),
        given="views=joined,focus=1,slow=0.8,pauses=0.1,hurry=0.1",
    ),
    _other(
        "join-unvouched",
        "a load answers those who joined it although what it read inside cannot be vouched for",
        "embedded",
        (
            FILL,
            "    if stamp is None or not this.vouched:\n        return None\n",
            "    if stamp is None or not this.vouched:\n        return None if stamp is None else frozenset()\n",
        ),
        given="views=outer,focus=1,slow=0.8,pauses=0.1,hurry=0.1,deaths=0.6,readers=6",
    ),
    _other(
        "position-after-load",
        "what a fill must not miss is counted from after its load",
        "embedded",
        (FILL, _LOAD, _LOAD + "    this.since = ports.heard.position()\n"),
    ),
    _other(
        "late-tags-without-heartbeat",
        "tags found in the value are looked up in the log without hearing what was acknowledged",
        "shared",
        (FILL, "        await ports.heard.sync()\n", ""),
    ),
    _other(
        "own-bumps-unheard",
        "a process does not hear of its own bumps before they are acknowledged to it",
        "shared",
        (
            SERVER,
            "        self.generations[tag] = generation\n        self._tell(ALL, (tag,))\n",
            "        self.generations[tag] = generation\n        self._tell(process, (tag,))\n",
        ),
    ),
    _other(
        "fetched-without-position",
        "what was fetched is kept although a change was heard while it travelled",
        "shared",
        (
            READ,
            "    ports.near.keep(call, record, since)\n",
            "    ports.near.keep(call, record, ports.heard.position())\n",
        ),
        given="focus=1,lag=0.4,pauses=0.0,unavailable=0.0,deaths=0.0",
    ),
    _other(
        "unvouched-inner-load",
        "an outer value is stored although what it read inside was loaded under a mark",
        "shared",
        (
            NESTED,
            "        nest.unvouched()\n",
            "        nest.joined(landing.stamp or {}, landing.loaded_at)\n",
        ),
    ),
    _other(
        "error-served-outdated",
        "a remembered error outlives an invalidation",
        "embedded",
        (FRESHNESS, "        outdated = held.grace and age_s", "        outdated = age_s"),
    ),
    _other(
        "strong-on-the-hit-path",
        "a strong contract is answered by what its last load stored",
        "embedded",
        (L1, "        if table.terms.strong or table.is_slow", "        if table.is_slow"),
    ),
    _other(
        "hit-past-the-gate",
        "the hit path does not ask whether L1 may answer by itself",
        "shared",
        ("cacheaside.endpoint.generated", "_e.until > _t and _gate.until > _t and", "_e.until > _t and"),
        given="processes=2,focus=1,behind_steps=200",
    ),
    _other(
        "hit-inside-a-load",
        "the hit path answers reads inside a load",
        "embedded",
        ("cacheaside.endpoint.generated", " and _scope() is None:", ":"),
    ),
    _other(
        "hit-past-the-ttl",
        "the hit path is open for longer than the entry is fresh",
        "embedded",
        (
            L1,
            "return min(entry.loaded_at + fresh_for_s(held, table.terms), early_at,",
            "return min(early_at,",
        ),
    ),
    _other(
        "age-from-the-end-of-the-load",
        "an entry's age runs from its landing",
        "embedded",
        (FILL, "    this.loaded_at = this.began if", "    this.loaded_at = ports.clock.now() if"),
    ),
    _other(
        "index-forgets",
        "a refilled entry is not indexed by its tags",
        "embedded",
        (L1, "        self._index.add(entry)\n", "        self._index.add(entry) if old is None else None\n"),
    ),
    _other(
        "victim-left-in-its-table",
        "an evicted entry stays where hits find it",
        "embedded",
        (L1, "                del victim_table.entries[victim.key]\n", "                pass\n"),
    ),
)
