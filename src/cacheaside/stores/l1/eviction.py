"""Which entries to keep when not all fit.

Theory of operation. It is S3-FIFO [1] with ARC's [2] way of dividing the room, and a brake of our own for
loops.

- *Probation* is a FIFO queue for keys not seen before. An entry that reaches its end and was hit meanwhile
  moves to the main queue; another is evicted. So every fresh entry gets some time, and a scan passes
  without harm.
- *Main* is a FIFO queue with second chances: an entry that reaches its end and was hit goes round again,
  with one hit less and at most `SECOND_CHANCES`; another is evicted.
- *Ghosts* are the keys evicted lately, and from which queue. A key that comes back skips probation.
- *Room.* A key that comes back from probation says that probation is too short, one from main that main is.
  Each moves the boundary, by more when its queue has the fewer ghosts (ARC's rule). So probation grows when
  popularity shifts, and gives way when it does not.
- *Brake.* In a loop longer than the cache, what main evicts is as good as what takes its place, and comes
  back. So while most of what main evicted lately came back, a key that comes back waits in probation like a
  new one, as long as main would have to give way for it; a few go to main all the same, so that the end of
  the loop is noticed.
- *Patience.* Main turns by one entry after every `PATIENCE` evictions from probation, even if nothing comes
  back. If that entry was not hit since the last time, it leaves instead, and the other gets its place.

A hit costs the reader `entry.hits += 1` and nothing here: no lock, no reordering. All work is done at
insertion, a few steps on average and `STEPS_MAX` at most for a victim, so the lock is never held for long.
No clock, no chance.

Sizes and probation's share are counted in blocks, so a burst of large new entries is kept within that share.

[1] J. Yang et al., FIFO Queues are All You Need for Cache Eviction, SOSP 2023.
[2] N. Megiddo, D. Modha, ARC: A Self-Tuning, Low Overhead Replacement Cache, FAST 2003.
Figures beside the independent simulator: docs/decisions/0003-l1-eviction.md, `python -m bench.hit_ratio`.
"""

from __future__ import annotations

from typing import Final

from cacheaside.stores.l1.balance import Balance
from cacheaside.stores.l1.entry import BLOCK_BYTES, Entry, key_hash_of
from cacheaside.stores.l1.ghosts import MAIN, PROBATION, Ghosts
from cacheaside.stores.l1.queue import Queue

LARGEST_PART: Final = 8
"""An entry larger than the byte budget divided by this is refused."""
SECOND_CHANCES: Final = 2
"""Hits that an entry keeps, at most, when it goes round the main queue again."""
HITS_OF_USE: Final = SECOND_CHANCES + 1
"""More hits than that make no difference to what is evicted, so whoever counts them may take the rest off."""
GHOSTS_PER_ENTRY: Final = 0.9
PATIENCE: Final = 64
"""After so many evictions from probation with main at rest, main's oldest has to show that it was hit."""
STEPS_MAX: Final = 64
"""Entries given another chance in one search for a victim; after them the next is evicted, hit or not."""


class Eviction:
    """Bounds the entries of one L1 by number and by bytes.

    It names victims and holds no table: the caller takes them out of their tables and out of the tags' index.
    Not thread-safe: every method is called under the lock of the store. The hit path calls none of them.

    What it takes off `entry.hits` is added to `entry.table.hits` in the same step, so an endpoint's hits
    are always `table.hits` plus the `hits` of the entries in the table.
    """

    def __init__(self, capacity_entries: int, capacity_bytes: int) -> None:
        """Hold at most `capacity_entries` entries and `capacity_bytes` bytes of payload, in whole blocks."""
        self._entries_max = max(1, capacity_entries)
        self._blocks_max = max(1, capacity_bytes // BLOCK_BYTES)
        self._entries = 0
        self._blocks = 0
        self._blocks_probation = 0
        self._quiet = 0
        self._probation = Queue()
        self._main = Queue()
        self._balance = Balance()
        self._ghosts: Ghosts | None = None

    def __len__(self) -> int:
        return self._entries

    @property
    def bytes_used(self) -> int:
        """Payload bytes held, in whole blocks."""
        return self._blocks * BLOCK_BYTES

    def accepts(self, blocks: int) -> bool:
        """Whether an entry of that size is taken at all: it is at most an eighth of the byte budget."""
        return blocks * LARGEST_PART <= self._blocks_max

    def insert(self, entry: Entry, key_hash: int) -> list[Entry]:
        """Take a new entry, of a key that is not held; `key_hash` is `key_hash_of(entry)`.

        Returns the entries that no longer fit, which the caller must now remove. The new one is among them
        only when it was refused for its size.
        """
        if not self.accepts(entry.blocks):
            return [entry]
        in_main = self._starts_in_main(entry, key_hash)
        self._entries += 1
        self._blocks += entry.blocks
        if in_main:
            entry.charge |= MAIN
            self._main.append(entry)
        else:
            self._blocks_probation += entry.blocks
            self._probation.append(entry)
        return self._shrink(entry)

    def replace(self, old: Entry, new: Entry) -> list[Entry]:
        """Take a refill of a key: `new` gets the place of `old`, and its hits, which are not counted again.

        Returns the entries that no longer fit; `old`, already forgotten, is not among them. A refill too
        large to be held is returned itself.
        """
        if old.before is None:
            return self.insert(new, key_hash_of(new))
        if not self.accepts(new.blocks):
            self.remove(old)
            return [new]
        new.hits += old.hits
        old.hits = 0
        grown = new.blocks - old.blocks
        self._blocks += grown
        if old.charge & MAIN:
            new.charge |= MAIN
        else:
            self._blocks_probation += grown
        Queue.substitute(old, new)
        return self._shrink(new)

    def remove(self, entry: Entry) -> None:
        """Forget an entry that the caller takes out; one that is not held is left alone."""
        if entry.before is None:
            return
        Queue.unlink(entry)
        self._entries -= 1
        self._blocks -= entry.blocks
        if not entry.charge & MAIN:
            self._blocks_probation -= entry.blocks
        entry.charge &= ~MAIN
        keep_hits(entry, 0)

    def clear(self) -> None:
        """Forget every entry, and what was learned. Work for every entry held: not for the hot path."""
        for queue in (self._probation, self._main):
            for entry in queue:
                self.remove(entry)
        self._balance = Balance()
        self._ghosts = None

    def _starts_in_main(self, entry: Entry, key_hash: int) -> bool:
        ghosts = self._ghosts
        if ghosts is None:
            # Nothing was evicted yet: main has room, and in a loop that never fits the first keys stay.
            return self._blocks_probation >= self._balance.share * self._blocks
        origin = ghosts.take(key_hash)
        if origin is None:
            return False
        welcome = self._balance.came_back(origin, entry.blocks / max(1, self._blocks), self._entries)
        # The brake protects main, and main loses nothing while the next victims come from probation.
        return welcome or self._blocks_probation > self._balance.share * self._blocks + entry.blocks

    def _shrink(self, newest: Entry) -> list[Entry]:
        victims: list[Entry] = []
        while self._entries > self._entries_max or self._blocks > self._blocks_max:
            victim = self._turn_main(self._choose(newest), newest)
            self._remember(victim)
            self.remove(victim)
            victims.append(victim)
        return victims

    def _choose(self, newest: Entry) -> Entry:
        # The newest is never the victim: its key, however hot, would starve. It fits into probation, so it
        # comes to an end only in main, when all before it went round. From then on probation gives way.
        room = max(self._balance.share * self._blocks, newest.blocks)
        for _ in range(STEPS_MAX):
            entry = self._next(room)
            if entry is newest:
                room = 0.0
            elif not entry.hits:
                return entry
            self._go_round(entry)
        entry = self._next(room)
        if entry is newest:
            self._go_round(entry)
            entry = self._next(0.0)
        return entry

    def _turn_main(self, victim: Entry, newest: Entry) -> Entry:
        # Without this a main full of keys that nobody reads any more could stand for ever, if all that is
        # read comes back too late for probation and for the ghosts.
        self._quiet = 0 if victim.charge & MAIN else self._quiet + 1
        oldest = self._main.oldest()
        if self._quiet < PATIENCE or oldest is None or oldest is newest:
            return victim
        if oldest.hits:
            self._go_round(oldest)
            return victim
        self._go_round(victim)
        self._quiet = 0
        return oldest

    def _next(self, room: float) -> Entry:
        oldest_in_main = self._main.oldest()
        if self._blocks_probation > room or oldest_in_main is None:
            oldest_in_probation = self._probation.oldest()
            if oldest_in_probation is not None:
                return oldest_in_probation
        assert oldest_in_main is not None, "something is held, for it does not fit"
        return oldest_in_main

    def _go_round(self, entry: Entry) -> None:
        Queue.unlink(entry)
        self._main.append(entry)
        if entry.charge & MAIN:
            self._quiet = 0
            keep_hits(entry, max(0, min(entry.hits - 1, SECOND_CHANCES)))
        else:
            entry.charge |= MAIN
            self._blocks_probation -= entry.blocks
            keep_hits(entry, 0)

    def _remember(self, victim: Entry) -> None:
        ghosts = self._ghosts
        length = int(self._entries * GHOSTS_PER_ENTRY)
        if ghosts is None or ghosts.length * 2 < length:
            # Only now is it known how many entries fit; and a cache that never fills needs no ghosts.
            ghosts = self._ghosts = Ghosts(length)
        origin = MAIN if victim.charge & MAIN else PROBATION
        ghosts.add(key_hash_of(victim), origin)
        self._balance.evicted(origin, self._entries, ghosts.length)


def keep_hits(entry: Entry, kept: int) -> None:
    """Take all hits but `kept` off `entry`. They stay counted, and those that count as heat are left to a harvest."""
    table = entry.table
    if table.leavers is not None and entry.hits > HITS_OF_USE:
        table.leavers.append((entry.key, entry.hits - HITS_OF_USE))
    table.hits += entry.hits - kept
    entry.hits = kept
