"""A store that several processes share, as a Redis server is one: generations, marks, entries, and who is told of what.

Every method takes effect at the instant it is called; that requests and answers travel is `remote`'s part.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import Final

from cacheaside.flow.call import Record
from cacheaside.testing.simulator.marks import Marks
from cacheaside.testing.simulator.scheduler import Clock
from cacheaside.types import Generation, TagId

__all__ = ["ALL", "Change", "Server"]

Change = tuple[int, tuple[TagId, ...]]
"""What listeners hear: which tags, and which process need not hear it (`ALL`: none)."""
ALL: Final = -1


class Server:
    """The state of the store. Anything but a mark may be evicted at any moment."""

    def __init__(self, random: Random, clock: Clock) -> None:
        self._random = random
        self._clock = clock
        self._used: set[int] = set()
        self.generations: dict[TagId, Generation] = {}
        self.entries: dict[TagId, Record] = {}
        self.marks: dict[TagId, dict[str, float]] = {}
        self.feed: list[Change] = []
        self.listeners: list[Callable[[], None]] = []
        self.promised: list[Marks] = []

    def fresh(self, tag: TagId) -> Generation:
        """A generation unlike any before."""
        while (bits := self._random.getrandbits(32)) in self._used:
            pass
        self._used.add(bits)
        return Generation(bits)

    def _tell(self, but: int, tags: tuple[TagId, ...]) -> None:
        self.feed.append((but, tags))
        for wake in self.listeners:
            wake()

    def create(self, tag: TagId, process: int) -> Generation:
        """The generation of `tag`, made if there is none (SET NX, then GET)."""
        generation = self.generations.get(tag)
        if generation is None:
            generation = self.generations[tag] = self.fresh(tag)
            self._tell(process, (tag,))
        return generation

    def bump(self, tag: TagId, generation: Generation, process: int) -> None:
        """Set the generation of `tag`.

        The process that does it must hear of it as others do: (1) a fill loads the old row (2) a writer of the same
        process commits; its bump to g1 takes effect, and the answer is under way (3) the fill reads g1 for a tag that
        it found in the value, and sends its heartbeat (4) nothing was heard, so the old row is stored under g1.
        """
        self.generations[tag] = generation
        self._tell(ALL, (tag,))

    def enlist(self, tag: TagId, writer: str, lifetime_s: float, process: int) -> None:
        """Add a writer under way (SADD, PEXPIRE)."""
        self._live(tag)
        self.marks.setdefault(tag, {})[writer] = self._clock.time + lifetime_s
        self._tell(ALL, (tag,))

    def release(self, tag: TagId, writer: str) -> None:
        """Remove a writer under way (SREM)."""
        writers = self._live(tag)
        writers.pop(writer, None)

    def has_writer(self, tag: TagId) -> bool:
        """Whether a writer is under way."""
        return bool(self._live(tag))

    def _live(self, tag: TagId) -> dict[str, float]:
        writers = self.marks.get(tag, {})
        now = self._clock.time
        for writer in [writer for writer, until in writers.items() if until <= now]:
            del writers[writer]
        return writers

    def set(self, key: TagId, record: Record) -> None:
        """Store an entry."""
        self.entries[key] = record
        if all(
            self.generations.get(tag) == own for tag, own in zip(record.tags, record.generations, strict=True)
        ):
            for marks in self.promised:
                marks.nothing_stored_under(record.tags, key)

    def check_marks(self, tags: Sequence[TagId]) -> None:
        """Let the checkers see that nobody's mark was cleared by another."""
        for marks in self.promised:
            marks.still_there(tags, self.marks)

    def evict(self, number: int) -> None:
        """Lose an entry or a generation, whichever `number` falls on."""
        names = [*self.entries, *self.generations]
        if not names:
            return
        number %= len(names)
        if number < len(self.entries):
            del self.entries[names[number]]
        else:
            del self.generations[names[number]]
            self._tell(ALL, (names[number],))
