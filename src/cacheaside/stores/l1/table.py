"""One endpoint's entries in L1."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from cacheaside.contract import Terms
from cacheaside.flow.call import Record
from cacheaside.lookup import Forward
from cacheaside.policy.freshness import Held
from cacheaside.stores.l1.entry import Entry
from cacheaside.tally import Tally
from cacheaside.types import Generation, TagId

__all__ = ["Noted", "Remembered", "Table"]

RETRIES_MAX: Final = 10_000
GONE_MAX: Final = 4096
PASSING_MAX: Final = 4096
_LOADS_WEIGHED: Final = 8.0
STAMPS_MAX: Final = 10_000
"""Entries whose stamp is noted, the latest first; only while somebody asks for it (shadow mode)."""
RETRY_AFTER_S: Final = 1.0
"""After a failed refresh, how long the reads of a key go on with what is held before another is started."""


@dataclass(frozen=True, slots=True)
class Remembered:
    """A loader's exception, held in place of a value."""

    error: BaseException
    ttl_s: float


class Noted(NamedTuple):
    """What an entry was stored under."""

    loaded_at: float
    tags: tuple[TagId, ...]
    generations: tuple[Generation, ...]


class Table:
    """An endpoint's entries by raw key, with what is needed to judge them.

    `entries` is what the generated hit path reads, without a lock; all else happens under the lock of L1.
    absent: how an absent row is held (None, or its encoded form where values are held encoded).
    absent_is_slow: an absent row cannot be returned by the fast path, because values are copied for each caller.
    """

    __slots__ = (
        "absent",
        "absent_is_slow",
        "entries",
        "gone",
        "hits",
        "leavers",
        "likely",
        "load_s",
        "name",
        "passing",
        "retries",
        "stamps",
        "tally",
        "terms",
    )

    def __init__(
        self, name: str, terms: Terms, tally: Tally, *, absent: bytes | None, absent_is_slow: bool
    ) -> None:
        self.name = name
        self.terms = terms
        self.tally = tally
        self.absent = absent
        self.absent_is_slow = absent_is_slow
        self.entries: dict[Hashable, Entry] = {}
        self.hits = 0
        self.leavers: deque[tuple[object, int]] | None = None
        """Hits that the policy took off entries, for the next harvest; None as long as nobody harvests."""
        self.retries: dict[Hashable, tuple[float, str]] = {}
        self.gone: dict[Hashable, Forward | TagId] = {}
        """Why keys are no longer held, for those that went last: so that a miss can say what made it one. A tag: out of
        date by its change; that may be held still, where the contract allows it to be served."""
        self.likely: dict[Hashable, tuple[TagId, ...]] = {}
        """The tags that values named too late to be stored, of the last such keys."""
        self.load_s = 0.0
        """How long the loads of what was kept here took, whichever process made them: the last weigh most."""
        self.passing: dict[Hashable, float] = {}
        """The keys whose last load left nothing to store, and until when they are loaded without a lease."""
        self.stamps: dict[Hashable, Noted] | None = None
        """What the last entries were stored under; None while nobody asks. An entry itself has no room for it."""

    def held(self, entry: Entry, terms: Terms) -> Held:
        """The entry as the policy judges it under `terms`."""
        value = entry.value
        salt = hash(entry.key) * 31 + int(entry.loaded_at * 1e9)
        if type(value) is Remembered:
            return Held(entry.loaded_at, value.ttl_s, False, entry.until < 0, salt)
        if self.is_absent(value):
            return Held(entry.loaded_at, terms.absent_ttl_s, False, entry.until < 0, salt)
        return Held(entry.loaded_at, terms.ttl_s, True, entry.until < 0, salt)

    def is_absent(self, value: Any) -> bool:
        """Whether `value` is held for "no such row"."""
        return value is None if self.absent is None else bool(value == self.absent)

    def is_slow(self, value: Any) -> bool:
        """Whether the fast path cannot return `value`."""
        return type(value) is Remembered or (self.absent_is_slow and value is None)

    def held_form(self, record: Record) -> Any:
        """What an entry holds for `record`."""
        if record.is_error:
            assert isinstance(record.held, BaseException)
            # Its frames hold the loader's locals, its session among them: they end with those who waited for the load.
            return Remembered(record.held.with_traceback(None), record.ttl_s)
        return record.held

    def went(self, slot: Hashable, why: Forward | TagId) -> None:
        """Remember why `slot` is no longer held, or by which tag's change it is out of date."""
        gone = self.gone
        gone.pop(slot, None)
        gone[slot] = why
        if len(gone) > GONE_MAX:
            del gone[next(iter(gone))]

    def why_gone(self, slot: Hashable) -> Forward:
        """Why `slot` is not held, as far as it is remembered."""
        why = self.gone.get(slot, Forward.ABSENT)
        return why if isinstance(why, Forward) else Forward.INVALIDATED

    def outdated_by(self, slot: Hashable) -> TagId | None:
        """The tag whose change put `slot` out of date last, as far as it is remembered."""
        why = self.gone.get(slot)
        return None if why is None or isinstance(why, Forward) else why

    def name_likely(self, slot: Hashable, tags: tuple[TagId, ...]) -> None:
        """The value of `slot` names `tags`."""
        likely = self.likely
        likely.pop(slot, None)
        likely[slot] = tags
        if len(likely) > GONE_MAX:
            del likely[next(iter(likely))]

    def took(self, load_s: float) -> None:
        """The load of what is kept now took so long."""
        self.load_s = self.load_s + (load_s - self.load_s) / _LOADS_WEIGHED if self.load_s else load_s

    def pass_by(self, slot: Hashable, until: float) -> None:
        """Load `slot` without a lease until then."""
        passing = self.passing
        passing.pop(slot, None)
        passing[slot] = until
        if len(passing) > PASSING_MAX:
            del passing[next(iter(passing))]

    def delay(self, slot: Hashable, until: float, failure: str) -> None:
        """Start no refresh of `slot` before `until`."""
        if len(self.retries) >= RETRIES_MAX:
            self.retries.clear()
        self.retries[slot] = (until, failure)

    def note_stamp(self, slot: Hashable, record: Record) -> None:
        """Note what the entry of `slot` is stored under, if that is asked for."""
        stamps = self.stamps
        if stamps is None:
            return
        stamps.pop(slot, None)
        stamps[slot] = Noted(record.loaded_at, record.tags, record.generations)
        if len(stamps) > STAMPS_MAX:
            del stamps[next(iter(stamps))]

    def stamp_of(self, slot: Hashable) -> Noted | None:
        """What was noted of the last entry of `slot`."""
        stamps = self.stamps
        return None if stamps is None else stamps.get(slot)
