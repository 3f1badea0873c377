"""L1: bounded, thread-safe, coherent with what this process hears.

Hits do not come here: the generated hit path reads a table's `entries` by itself. Everything that changes L1 does,
under one lock, which is never held while anything waits.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from threading import RLock
from typing import Final

from cacheaside.coherence.log import ChangeLog
from cacheaside.contract import Terms
from cacheaside.flow.call import Call, Record
from cacheaside.flow.ports import Clock, Found, Position
from cacheaside.lookup import Forward, NotStored
from cacheaside.policy.freshness import early_refresh_at, fresh_for_s
from cacheaside.stores.l1.entry import Entry, blocks_of, key_hash_of
from cacheaside.stores.l1.eviction import HITS_OF_USE, Eviction, keep_hits
from cacheaside.stores.l1.gate import Gate
from cacheaside.stores.l1.index import TagIndex
from cacheaside.stores.l1.moments import Moments
from cacheaside.stores.l1.table import RETRY_AFTER_S, Remembered, Table
from cacheaside.stores.l1.trim import trim
from cacheaside.types import TagId

__all__ = ["L1"]

INVALIDATED: Final = -1.0
LEAVERS_MAX: Final = 4096
"""Keys a table whose hits the policy took off since the last harvest; of more than that, the last are kept."""
HARVESTED_AT_ONCE: Final = 256
"""Entries looked at in one hold of the lock."""


class L1:
    """The entries of all tables of one cache.

    An entry depends on its own key, on the namespace, and on its tags; only the last are indexed, since the first
    is found in its table and the second means all.

    gate: until when L1 may answer. shared: others change keys too, and tell of them by name; so they are indexed.
    entries_max: 0 holds nothing.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        entries_max: int,
        bytes_max: int,
        everything: TagId,
        gate: Gate | None = None,
        shared: bool = False,
    ) -> None:
        self.lock = RLock()
        self.log = ChangeLog()
        self._gate = gate or Gate()
        self._shared = shared
        self._clock = clock
        self._everything = everything
        self._entries_max = self.entries_max = entries_max
        self._bytes_max = self.bytes_max = bytes_max
        self._tables: dict[str, Table] = {}
        self._index = TagIndex()
        self._moments = Moments()
        self._eviction = Eviction(max(1, entries_max), bytes_max)

    def add_table(self, table: Table) -> None:
        """Take in an endpoint's table, under its name."""
        self._tables[table.name] = table

    def table_of(self, call: Call) -> Table:
        """The table of the call's endpoint."""
        return self._tables[call.endpoint.name]

    def __len__(self) -> int:
        return len(self._eviction)

    @property
    def bytes_used(self) -> int:
        """Bytes of encoded payload held, in whole blocks."""
        return self._eviction.bytes_used

    # What flows ask (flow.ports.Near).

    def find(self, call: Call) -> Found | None:
        """What is held for `call`, fresh or not; nothing while L1 may not answer by itself."""
        until = self._gate.until
        if until != Gate.OPEN and until <= self._clock.now():
            return None
        table = self.table_of(call)
        entry = table.entries.get(call.slot)
        if entry is None or not self.covers(entry, call):
            return None
        value = entry.value
        if type(value) is Remembered:
            return Found(table.held(entry, call.terms), value.error, True, entry)
        return Found(table.held(entry, call.terms), value, False, entry)

    def why_absent(self, call: Call) -> Forward:
        """Why nothing is held for `call`, if it went not long ago."""
        return self.table_of(call).why_gone(call.slot)

    def covers(self, entry: Entry, call: Call) -> bool:
        """Whether `entry` depends on every tag declared for `call`: `get_or_load` names tags anew with each call, and a
        change of one that the entry was not stored under would not drop it."""
        declared = call.tags
        if len(declared) == 2:  # its key and the namespace
            return True
        return all(tag in entry.tags or tag == call.key or tag == self._everything for tag in declared)

    def keep(self, call: Call, record: Record, since: Position) -> NotStored | None:
        """Hold `record`, unless a change of its tags was heard since, or something younger is held already."""
        table = self.table_of(call)
        if table.passing:
            with self.lock:
                table.passing.pop(call.slot, None)
        if not self._entries_max:
            if table.stamps is not None:
                with self.lock:
                    table.note_stamp(call.slot, record)
            return None
        with self.lock:
            if not self.log.unchanged(record.tags, since.number):
                return NotStored.MOVED
            at = self.log.number
            blocks = blocks_of(record.size_bytes)
            if not self._eviction.accepts(blocks):
                return NotStored.TOO_LARGE
            old = table.entries.get(call.slot)
            if old is not None and old.until >= 0 and old.loaded_at > record.loaded_at:
                return None
            unindexed = (self._everything,) if self._shared else (call.key, self._everything)
            tags = self._index.shared(tag for tag in record.tags if tag not in unindexed)
            loaded_at = self._moments.loaded_at(record.loaded_at, record.ttl_s)
            entry = Entry(table.held_form(record), 0.0, call.slot, table, loaded_at, tags, blocks)
            table.retries.pop(call.slot, None)
            table.gone.pop(call.slot, None)
            if not record.is_error:
                table.took(record.load_s)
            self._place(table, call, old, entry, record)
            table.note_stamp(call.slot, record)
            if not self.log.unchanged(record.tags, at):
                # A signal handler, or a finaliser that the garbage collector ran, invalidated on this very thread,
                # in the middle of this: it may have missed what was about to be placed.
                self._remove(table, entry)
                return NotStored.MOVED
        return None

    def _place(self, table: Table, call: Call, old: Entry | None, entry: Entry, record: Record) -> None:
        entry.until = self._until(table, entry, self._clock.now())
        if old is None:
            victims = self._eviction.insert(entry, key_hash_of(entry))
        else:
            self._index.remove(old)
            victims = self._eviction.replace(old, entry)
        table.entries[call.slot] = entry
        self._index.add(entry)
        for victim in victims:
            victim_table = victim.table
            assert isinstance(victim_table, Table)
            victim_table.tally.evicted += 1
            if victim_table.entries.get(victim.key) is victim:
                del victim_table.entries[victim.key]
                victim_table.went(victim.key, Forward.EVICTED)
            self._index.remove(victim)
        trim(table.entries)

    def touch(self, call: Call, found: Found) -> None:
        """Count a hit of a fresh entry, and let its hits be fast again until something needs doing."""
        table = self.table_of(call)
        with self.lock:
            entry = table.entries.get(call.slot)
            if entry is None or entry is not found.entry:
                return
            until = self._until(table, entry, self._clock.now())
            # Looked at last: a signal handler may have invalidated it meanwhile, on this very thread.
            if entry.until >= 0:
                entry.hits += 1
                entry.until = until

    def early(self, call: Call, found: Found, now: float) -> bool:
        """Whether a fresh entry is due to be refreshed early."""
        table = self.table_of(call)
        return now >= early_refresh_at(found.held, table.terms, table.load_s)

    def _until(self, table: Table, entry: Entry, now: float) -> float:
        if table.terms.strong or table.is_slow(entry.value):
            return 0.0
        held = table.held(entry, table.terms)
        early_at = early_refresh_at(held, table.terms, table.load_s)
        if early_at <= now:
            return 0.0
        return min(entry.loaded_at + fresh_for_s(held, table.terms), early_at, self._moments.sample_at(now))

    def judge_by(self, table: Table, terms: Terms) -> None:
        """From now on `terms` count for what `table` holds: each entry's next hit leaves the fast path, to be judged.

        In this order: (1) a hit is counted by the old terms, under the lock (2) the terms are others (3) what it was
        given as its time on the fast path is taken back.
        """
        table.terms = terms
        with self.lock:
            # Of a copy: a signal handler, or a finaliser, may invalidate on this very thread, in the middle of it. And
            # with no call between the look and what follows, or: (1) it is looked at (2) the handler marks it as out of
            # date (3) it is fresh again.
            for entry in list(table.entries.values()):
                if entry.until > 0:
                    entry.until = 0.0

    def drop(self, call: Call) -> None:
        """Remove what is held for `call`, value and all."""
        table = self.table_of(call)
        with self.lock:
            entry = table.entries.get(call.slot)
            if entry is not None:
                self._remove(table, entry)

    def remember_tags(self, call: Call, tags: Sequence[TagId]) -> None:
        """See `flow.ports.Near`."""
        with self.lock:
            self.table_of(call).name_likely(call.slot, tuple(tags))

    def remembered_tags(self, call: Call) -> tuple[TagId, ...]:
        """See `flow.ports.Near`."""
        return self.table_of(call).likely.get(call.slot, ())

    def delay_refresh(self, call: Call, failure: str) -> None:
        """A refresh failed: start no other for a while."""
        with self.lock:
            self.table_of(call).delay(call.slot, self._clock.now() + RETRY_AFTER_S, failure)

    def refresh_delayed(self, call: Call) -> str | None:
        """The failure that delays the next refresh, or None."""
        delay = self.table_of(call).retries.get(call.slot)
        return delay[1] if delay is not None and self._clock.now() < delay[0] else None

    def pass_by(self, call: Call, for_s: float) -> None:
        """See `flow.ports.Near`."""
        with self.lock:
            self.table_of(call).pass_by(call.slot, self._clock.now() + for_s)

    def passes(self, call: Call) -> bool:
        """See `flow.ports.Near`."""
        until = self.table_of(call).passing.get(call.slot)
        return until is not None and self._clock.now() < until

    def hits(self, table: Table) -> int:
        """Hits of a table's entries so far, those gone included."""
        with self.lock:
            return table.hits + sum([entry.hits for entry in list(table.entries.values())])

    def clear(self) -> None:
        """Forget every entry, and what was learned of keys. What is being filled is not kept."""
        with self.lock:
            self.log.forget_all()
            for table in self._tables.values():
                entries = list(table.entries.values())
                table.entries.clear()
                table.retries.clear()
                table.gone.clear()
                table.passing.clear()
                # Off each: a harvest that took its list of them before finds nothing more there.
                for entry in entries:
                    keep_hits(entry, 0)
            self._index = TagIndex()
            self._eviction = Eviction(max(1, self._entries_max), self._bytes_max)

    def after_fork(self) -> None:
        """The holder of the lock may have stayed in the parent: then it left its work half done, and all is dropped."""
        whole = self.lock.acquire(blocking=False)
        self.lock = RLock()
        if not whole:
            self.clear()

    # What is heard.

    def changed(self, tags: Sequence[TagId], calls: Sequence[Call] = ()) -> None:
        """Log a change of each of `tags`, then drop what was computed from them, in one step.

        In one step, because between the two a fill could look at the log, find nothing, and be kept.
        `calls` are those whose own keys are among `tags`: a key is not indexed, its table finds it.
        """
        with self.lock:
            self.log.record(tags)
            for call in calls:
                entry = self.table_of(call).entries.get(call.slot)
                if entry is not None:
                    self._invalidate(entry, call.key)
            for tag in tags:
                if tag == self._everything:
                    self._drop_everything()
                    return
                for indexed in self._index.of(tag):
                    self._invalidate(indexed, tag)

    def changed_all(self) -> None:
        """Anything may have changed: a server was flushed, or has other data. As `changed` of everything: what may be
        served outdated is, while it is loaded anew at its source's pace."""
        with self.lock:
            self.log.forget_all()
            self._drop_everything()

    def harvest(self, table: Table) -> Iterator[tuple[object, int]]:
        """Take off the entries of `table` the hits that the policy has no use for, and give them with their keys. They
        stay counted. The first `HITS_OF_USE` of an entry are left to it. The lock is held for a few entries at a
        time."""
        if table.leavers is None:
            table.leavers = deque(maxlen=LEAVERS_MAX)
        with self.lock:
            gone = list(table.leavers)
            table.leavers.clear()
            entries = list(table.entries.values())
        yield from gone
        for some in range(0, len(entries), HARVESTED_AT_ONCE):
            taken: list[tuple[object, int]] = []
            with self.lock:
                for entry in entries[some : some + HARVESTED_AT_ONCE]:
                    hits = entry.hits - HITS_OF_USE
                    if hits > 0:
                        entry.hits = HITS_OF_USE
                        table.hits += hits
                        taken.append((entry.key, hits))
            yield from taken

    def _invalidate(self, entry: Entry, by: TagId) -> None:
        table = entry.table
        assert isinstance(table, Table)
        if table.terms.stale_after_invalidation_s:
            entry.until = INVALIDATED
        else:
            self._remove(table, entry)
        table.went(entry.key, by)

    def _remove(self, table: Table, entry: Entry) -> None:
        entry.until = INVALIDATED
        if table.entries.get(entry.key) is entry:
            del table.entries[entry.key]
        self._index.remove(entry)
        self._eviction.remove(entry)

    def _drop_everything(self) -> None:
        for table in self._tables.values():
            for entry in list(table.entries.values()):
                self._invalidate(entry, self._everything)
