"""What this process keeps, broken on purpose: L1, the hit path, ages. See `mutants`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from cacheaside.testing.simulator.mutants import Make, Mutant

FILL: Final = "cacheaside.flow.fill"
FRESHNESS: Final = "cacheaside.policy.freshness"
GENERATED: Final = "cacheaside.endpoint.generated"
L1: Final = "cacheaside.stores.l1.store"

_LOG_CHECK: Final = (
    L1,
    "            if not self.log.unchanged(record.tags, since.number):\n",
    "            if False:\n",
)


def mutants(named: Make, other: Make) -> tuple[Mutant, ...]:
    """All of this file."""
    return (
        named(
            "delete-only",
            "entries carry no stamp that counts, and fills look at no log: writes delete, and that is all",
            "shared",
            (
                "cacheaside.stores.redis.entry",
                "        if now is None or now & MASK != own:\n",
                "        if False:\n",
            ),
            (
                "cacheaside.stores.redis.entry",
                "        if now >> 64 not in",
                "        if now is not None and now >> 64 not in",
            ),
            _LOG_CHECK,
        ),
        named(
            "l1-without-log",
            "what changed while a load was under way is forgotten at once",
            "embedded",
            (L1, "            self.log.record(tags)\n", ""),
        ),
        other(
            "keep-without-log",
            "L1 keeps what was loaded before a change that it heard of since",
            "embedded",
            _LOG_CHECK,
        ),
        other(
            "older-over-younger",
            "L1 replaces an entry by one that was loaded earlier",
            "embedded",
            (L1, " and old.loaded_at > record.loaded_at:", " and False:"),
        ),
        other(
            "grace-after-invalidation",
            "an invalidated entry is served within grace",
            "embedded",
            (FRESHNESS, "    if held.invalidated:\n", "    if held.invalidated and not held.grace:\n"),
        ),
        other(
            "jitter-that-lengthens",
            "jitter adds to the ttl",
            "embedded",
            (FRESHNESS, "return ttl_s * (1.0 - jitter *", "return ttl_s * (1.0 + jitter *"),
        ),
        other(
            "absent-ttl-ignored",
            "an absent row is fresh as long as a value",
            "embedded",
            (
                "cacheaside.stores.l1.table",
                "Held(entry.loaded_at, terms.absent_ttl_s,",
                "Held(entry.loaded_at, terms.ttl_s,",
            ),
        ),
        other(
            "error-served-outdated",
            "a remembered error outlives an invalidation",
            "embedded",
            (FRESHNESS, "        outdated = held.grace and age_s", "        outdated = age_s"),
        ),
        other(
            "strong-on-the-hit-path",
            "a strong contract is answered by what its last load stored",
            "embedded",
            (L1, "        if table.terms.strong or table.is_slow", "        if table.is_slow"),
        ),
        other(
            "hit-past-the-gate",
            "the hit path does not ask whether L1 may answer by itself",
            "shared",
            (GENERATED, "_e.until > _t and _gate.until > _t and", "_e.until > _t and"),
            given="processes=2,focus=1,views=row,max_unsynced_s=1.0,cuts=2,stalls=2,pauses=0.4,"
            "slow=0.0,failovers=0,readers=5,reads=4,hurry=0.02,connected=True,blind=False",
        ),
        other(
            "found-past-the-gate",
            "a flow does not ask whether L1 may answer by itself",
            "shared",
            (
                L1,
                "        if until != Gate.OPEN and until <= self._clock.now():\n",
                "        if until < 0.0:\n",
            ),
            given="processes=2,focus=1,behind_steps=200,cuts=2",
        ),
        other(
            "hit-inside-a-load",
            "the hit path answers reads inside a load",
            "embedded",
            (GENERATED, "_gate.until > _t and _scope() is None:", "_gate.until > _t:"),
        ),
        other(
            "hit-past-the-ttl",
            "the hit path is open for longer than the entry is fresh",
            "embedded",
            (
                L1,
                "return min(entry.loaded_at + fresh_for_s(held, table.terms), early_at,",
                "return min(early_at,",
            ),
        ),
        other(
            "age-from-the-end-of-the-load",
            "an entry's age runs from its landing",
            "embedded",
            (FILL, "    this.loaded_at = this.began if", "    this.loaded_at = ports.clock.now() if"),
        ),
        other(
            "index-forgets",
            "a refilled entry is not indexed by its tags",
            "embedded",
            (
                L1,
                "        self._index.add(entry)\n",
                "        self._index.add(entry) if old is None else None\n",
            ),
        ),
        other(
            "keys-unindexed",
            "an entry is not found by its own key when another process says that it changed",
            "shared",
            (
                L1,
                "unindexed = (self._everything,) if self._shared else (call.key, self._everything)",
                "unindexed = (call.key, self._everything)",
            ),
            given="views=keyed,processes=2",
        ),
        other(
            "victim-left-in-its-table",
            "an evicted entry stays where hits find it",
            "embedded",
            (L1, "                del victim_table.entries[victim.key]\n", "                pass\n"),
        ),
    )
