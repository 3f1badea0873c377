"""Which key to read next, and when: the whole course of a warm-up, told the time. No clock, no IO, no lock.

Rule 1: it makes way. Where the source refuses, or the shared tier does not take what was loaded, nothing is asked
before `retry_after_s` is over, and then by half as many at once; each answer allows one more. `REFUSALS_MAX` such
pauses in a row, and it ends.
Rule 2: it ends. At `until`, whatever is left; and where the source answers nothing but errors.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Sequence
from typing import Any, Final, Generic, TypeVar

import msgspec

from cacheaside.lookup import Lookup, NotStored, Served, Tier
from cacheaside.warm.report import Progress, Stopped, Warmed

__all__ = ["POLL_S", "REFUSALS_MAX", "Replay", "Unfit", "Went"]

I = TypeVar("I")  # noqa: E741 - an item of the list
W = TypeVar("W")

REFUSALS_MAX: Final = 8
"""Pauses in a row, because the source refuses, before it ends."""
AWAY_RETRY_S: Final = 0.5
"""The pause after a load that was in vain, because the shared tier did not take its value."""
FAILURES_MAX: Final = 32
"""Keys in a row that fail, before it ends: a source that is down is not to be asked for everything first."""
POLL_S: Final = 0.05
"""How soon to ask again for a turn that others have."""
PAUSE_MAX_S: Final = 0.5
"""The longest wait before it is asked again: whether it was stopped is seen so soon."""
REASONS_MAX: Final = 100
"""Reasons that are told apart; what comes after them is counted as "other"."""
SAY_EVERY_S: Final = 0.1


class Unfit(Exception):
    """These arguments are none of this endpoint's. The message names parameters and classes, never a value."""


class Went(msgspec.Struct, frozen=True):
    """How a read went. error: of what class, with its endpoint, where it failed; retry_after_s: it was refused; unfit:
    why it was not made after all."""

    answer: Lookup[Any] | None = None
    error: str | None = None
    retry_after_s: float | None = None
    unfit: str | None = None


class Replay(Generic[I, W]):
    """The course of one warm-up over `items`, hottest first. Not thread-safe.

    resolve: what to read for an item, or an `Unfit`. at_once: reads under way. per_second: reads begun; None: as many
    as it takes.
    """

    def __init__(
        self,
        items: Sequence[I],
        resolve: Callable[[I], W],
        *,
        at_once: int,
        per_second: float | None,
        now: float,
        until: float,
    ) -> None:
        self._items = items
        self._resolve = resolve
        self._at_once = at_once
        self._gap_s = 0.0 if per_second is None else 1.0 / per_second
        self._began = now
        self._until = until
        self._next = 0
        self._again: deque[W] = deque()
        self._under_way = 0
        self._width = at_once
        self._resume_at = now
        self._pace_at = now
        self._pauses = 0
        self._failures = 0
        self._said_at = now
        self._peak = 0
        self._loaded = self._held = self._shared = self._refused = 0
        self._not_stored: Counter[str] = Counter()
        self._failed: Counter[str] = Counter()
        self._unfit: Counter[str] = Counter()
        self._stopped: Stopped | None = None

    def stop(self, why: Stopped) -> None:
        """Begin nothing more."""
        if self._stopped is None:
            self._stopped = why

    def take(self, now: float) -> W | float | None:
        """What to read now; or in how many seconds to ask again; None when there is nothing more to begin.

        Whoever gets a key ends it with `went`. One that is refused is taken again by whoever it was: so nobody needs to
        wait for what others have under way.
        """
        if now >= self._until and self._has_more:
            self.stop("time")
        if self._stopped is not None or not self._has_more:
            return None
        if self._under_way >= self._width:
            return POLL_S
        wait_s = max(self._resume_at, self._pace_at) - now
        if wait_s > 0:
            return min(wait_s, PAUSE_MAX_S)
        found = self._again.popleft() if self._again else self._resolved()
        if found is None:
            return None
        self._under_way += 1
        self._peak = max(self._peak, self._under_way)
        self._pace_at = max(self._pace_at + self._gap_s, now - self._gap_s)
        return found

    @property
    def _has_more(self) -> bool:
        return bool(self._again) or self._next < len(self._items)

    def _resolved(self) -> W | None:
        while self._next < len(self._items):
            item = self._items[self._next]
            self._next += 1
            try:
                return self._resolve(item)
            except Unfit as error:
                _count(self._unfit, str(error))
        return None

    def went(self, what: W, went: Went, *, began: float, now: float) -> None:
        """`what`, which was taken at `began`, has been answered."""
        self._under_way -= 1
        if went.unfit is not None:
            _count(self._unfit, went.unfit)
            return
        if went.retry_after_s is not None:
            self._refused += 1
            self._make_way(what, began, now + went.retry_after_s, "refused")
            return
        answer = went.answer
        if answer is not None and answer.not_stored is NotStored.AWAY:
            self._make_way(what, began, now + AWAY_RETRY_S, "away")
            return
        if answer is None:
            _count(self._failed, went.error or "unknown")
            self._failures += 1
            if self._failures >= FAILURES_MAX:
                self.stop("failing")
            return
        self._pauses = self._failures = 0
        self._width = min(self._at_once, self._width + 1)
        if answer.tier is Tier.L1:
            self._held += 1
        elif answer.tier is Tier.L2:
            self._shared += 1
        elif answer.not_stored is not None and answer.served is Served.LOADED:
            _count(self._not_stored, answer.not_stored.value)
        else:
            self._loaded += 1

    def _make_way(self, what: W, began: float, resume_at: float, why: Stopped) -> None:
        self._again.append(what)
        # Those that were under way together are refused together: that is one refusal.
        if began >= self._resume_at:
            self._pauses += 1
            self._width = max(1, self._width // 2)
            if self._pauses >= REFUSALS_MAX:
                self.stop(why)
        self._resume_at = max(self._resume_at, resume_at)

    def dry(self) -> None:
        """See which items fit, and read none."""
        while self._resolved() is not None:
            continue

    def progress(self, now: float) -> Progress | None:
        """How far it is; None when that was said less than `SAY_EVERY_S` ago."""
        done = self._next - len(self._again) - self._under_way
        if now - self._said_at < SAY_EVERY_S and done < len(self._items):
            return None
        self._said_at = now
        passed_s = now - self._began
        pace = done / passed_s if passed_s > 0 else 0.0
        return Progress(
            asked=len(self._items),
            done=done,
            loaded=self._loaded,
            failed=self._failed.total(),
            refused=self._refused,
            seconds=passed_s,
            eta_s=(len(self._items) - done) / pace if pace else None,
        )

    def report(self, now: float) -> Warmed:
        """What it did."""
        return Warmed(
            asked=len(self._items),
            loaded=self._loaded,
            held=self._held,
            shared=self._shared,
            refused=self._refused,
            seconds=now - self._began,
            peak_at_once=self._peak,
            not_stored=dict(self._not_stored),
            failed=dict(self._failed),
            unfit=dict(self._unfit),
            stopped=self._stopped,
        )


def _count(counter: Counter[str], reason: str) -> None:
    counter[reason if reason in counter or len(counter) < REASONS_MAX else "other"] += 1
