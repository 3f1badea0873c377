"""A limit on concurrent loads, shared by every thread and event loop of the process."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Hashable
from enum import Enum
from threading import RLock
from typing import Final

from cacheaside.contract import PRIORITIES as NAMES
from cacheaside.observe.sources import SourceStats
from cacheaside.policy.limiting import AdaptiveLimit
from cacheaside.policy.turns import Order, RetryBudget

__all__ = ["NORMAL", "Ended", "Limit", "Refused", "Turn"]

NORMAL: Final = 1
PRIORITIES: Final = len(NAMES)
RETRY_AFTER_S: Final = 1.0
"""Where no load has ended yet, so that nothing is known of how long they take."""
RETRY_AFTER_MIN_S: Final = 0.05
MEAN_OF_LOADS: Final = 50
LOOK_EVERY: Final = 4
LOOK_EVERY_S: Final = 3e-5
"""Requests, and seconds, for each turn of the limit: how often it is looked whose loads are gone."""
FOREVER: Final = float("inf")


class Refused(Enum):
    """Why a load got no turn."""

    FULL = "full"
    """The queue was full."""
    SHED = "shed"
    """It was full when a load of a higher priority came."""
    LATE = "late"
    """It had waited for as long as it may."""
    RETRY = "retry"
    """It repeats another load, would have had to wait, and the budget for that is spent."""


class Ended(Enum):
    """What the end of a load says of its source."""

    ANSWERED = "answered"
    OVERLOADED = "overloaded"
    """A timeout, or an error that was declared to be a sign of overload."""
    NOTHING = "nothing"
    """Cancelled, or failed for reasons of its own."""


def _never() -> bool:
    return False


def _woken() -> bool:
    return True


class Turn:
    """One load's wait for its turn. Either `granted` or `refused` is final once set; never both.

    wake: tells the load, from any thread, that either has come; False when nobody is there any more to hear it.
    gone: True when the load can never go on and give its turn back, as its event loop is closed.
    deadline: after it the turn is of no more use. began: when it was granted. beside: the weight under way then.
    """

    __slots__ = ("began", "beside", "deadline", "gone", "granted", "priority", "refused", "wake", "weight")

    def __init__(
        self,
        wake: Callable[[], bool],
        gone: Callable[[], bool],
        priority: int = NORMAL,
        weight: int = 1,
        deadline: float = FOREVER,
    ) -> None:
        self.wake = wake
        self.gone = gone
        self.priority = priority
        self.weight = weight
        self.deadline = deadline
        self.granted = False
        self.refused: Refused | None = None
        self.began = 0.0
        self.beside = 0


class Limit:
    """Holders of at most `most` in weight at once, and `queue_max` waiting. No method waits.

    Who waits is served by priority (`policy.turns`), within one first come, first served: a heavy load at the head
    keeps those behind it waiting, or it would never find the room. One that is heavier than the limit counts as all of
    it. A full queue takes a load of a higher priority and sheds the last of the lowest.

    adaptive: lowers the limit, never above `most` (`policy.limiting`). now: tells the time, in seconds.

    The lock is re-entrant: a load that is collected as garbage gives its turn back on whatever thread the collector
    runs on, perhaps one that is in here.
    """

    def __init__(
        self,
        most: int,
        queue_max: int,
        *,
        adaptive: AdaptiveLimit | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.most = most
        self.share = most
        """Of `most`, what this process may use: less than all where processes share it."""
        self.slow: Callable[[], int] | None = None
        """While a process starts slowly: the most that it may use now."""
        self.queue_max = queue_max
        self.adaptive = adaptive
        self.budget = RetryBudget()
        self.holders_peak = 0
        self.waiting_peak = 0
        self.given = [0] * PRIORITIES
        self.refusals: Counter[tuple[int, Refused]] = Counter()
        self.mean_s = 0.0
        """How long loads took of late, for `retry_after_s`; 0.0 when none has ended."""
        self._now = now
        self._order = Order()
        self._holding: set[Turn] = set()
        self._held = [0] * PRIORITIES
        self._held_all = 0
        self._queues: tuple[deque[Turn], ...] = tuple(deque() for _ in range(PRIORITIES))
        self._asked_since_look = 0
        self._look_again_at = 0.0
        self._advancing = False
        self._missed = False
        self._lock = RLock()

    def __len__(self) -> int:
        """How many wait."""
        high, normal, low = self._queues
        return len(high) + len(normal) + len(low)

    def now(self) -> float:
        """Seconds, on the clock that deadlines are told by."""
        return self._now()

    @property
    def holders(self) -> int:
        """How many have a turn."""
        return len(self._holding)

    @property
    def held(self) -> int:
        """The weight of those that have a turn."""
        return self._held_all

    @property
    def waiting(self) -> tuple[int, int, int]:
        """How many wait, by priority."""
        high, normal, low = self._queues
        return len(high), len(normal), len(low)

    @property
    def refused(self) -> int:
        """How many got no turn."""
        return sum(self.refusals.values())

    @property
    def allowed(self) -> int:
        """The weight that may have a turn now."""
        # Each is read once: this is asked without the lock as well, while another thread moves it, or ends it.
        adaptive, slow, share = self.adaptive, self.slow, self.share
        allowed = share
        if adaptive is not None and (found := adaptive.allowed) < share:
            allowed = found
        return allowed if slow is None else min(allowed, slow())

    def ask(
        self,
        wake: Callable[[], bool],
        gone: Callable[[], bool] = _never,
        priority: int = NORMAL,
        weight: int = 1,
        *,
        deadline: float = FOREVER,
        repeats: bool = False,
    ) -> Turn:
        """A turn: granted now, or granted or refused later with a call of `wake` from any thread; or refused now.

        deadline: on the clock of `now`. repeats: the load is nobody's first try.
        """
        # In here and below: a call of `min` or `max` is a fiftieth of what admission may cost.
        turn = Turn(
            wake, gone, priority, weight if 0 < weight <= self.most else self._clamped(weight), deadline
        )
        with self._lock:
            if self._held_all + turn.weight > self.allowed or any(self._queues):
                called = self._line_up(turn, repeats)
            else:
                turn.wake = _woken
                self._grant(turn)
                return turn
        self._call(called)
        return turn

    def take(self, gone: Callable[[], bool] = _never, priority: int = NORMAL, weight: int = 1) -> Turn | None:
        """A turn that is free now and that nobody waits for, or None."""
        turn = Turn(_woken, gone, priority, self._clamped(weight))
        with self._lock:
            if any(self._queues) or not self._has_room(turn.weight):
                return None
            self._grant(turn)
            return turn

    def give_up(self, turn: Turn) -> bool:
        """The wait for `turn` took too long: it is refused. False when it was granted just before, as may be: (1) the
        time is over (2) on another thread somebody gives a turn back, which is granted to this one (3) the load wakes:
        it has a turn, and goes on."""
        with self._lock:
            if turn.granted:
                return False
            if turn.refused is None:
                self._withdraw(turn)
                self._refuse(turn, Refused.LATE)
            called = self._advance()
        self._call(called)
        return True

    def hurry(self, turn: Turn, priority: int) -> None:
        """Let `turn`, if it is waited for, wait among those of a higher `priority`, as the last of them."""
        with self._lock:
            if turn.granted or turn.refused is not None or priority >= turn.priority:
                return
            queue = self._queues[turn.priority]
            if turn not in queue:  # it was given back
                return
            queue.remove(turn)
            turn.priority = priority
            self._queues[priority].append(turn)
            called = self._advance()
        self._call(called)

    def give_back(self, turn: Turn, ended: Ended = Ended.NOTHING, kind: Hashable = None) -> None:
        """End a turn, granted or not. A second time, and for a turn from before a fork, nothing happens.

        ended: what it says of the source. kind: which loads take about as long as this one.
        """
        with self._lock:
            if turn in self._holding:
                if ended is not Ended.NOTHING:
                    self._learn(turn, ended, kind)
                self._let_go(turn)
            elif not turn.granted:
                self._withdraw(turn)
            called = self._advance() if any(self._queues) else ()
        if called:
            self._call(list(called))

    def retry_after_s(self) -> float:
        """When a load that comes then is likely to find room: the time that those under way and waiting take (Little's
        law)."""
        most = self.allowed
        if not self.mean_s or not most:
            return RETRY_AFTER_S
        ahead = self._held_all + len(self)
        return round(max(RETRY_AFTER_MIN_S, self.mean_s * ahead / most), 3)

    def stats(self, name: str) -> SourceStats:
        """A snapshot, taken without stopping anything."""
        adaptive = self.adaptive
        return SourceStats(
            name=name,
            ceiling=self.most,
            share=self.share,
            floor=self.most if adaptive is None else adaptive.floor,
            limit=self.allowed,
            holders=self.holders,
            held=self._held_all,
            holders_peak=self.holders_peak,
            waiting=dict(zip(NAMES, self.waiting, strict=True)),
            waiting_max=self.queue_max,
            waiting_peak=self.waiting_peak,
            given=dict(zip(NAMES, self.given, strict=True)),
            refused={
                name: {why.value: self.refusals[priority, why] for why in Refused}
                for priority, name in enumerate(NAMES)
            },
            retry_budget_left=self.budget.left,
            retry_after_s=self.retry_after_s(),
            inflation=1.0 if adaptive is None else adaptive.inflation,
            backed_off=0 if adaptive is None else adaptive.backed_off,
            probes=0 if adaptive is None else adaptive.probes,
        )

    def set_share(self, share: int) -> None:
        """Of `most`, what this process may use from now on; who has a turn keeps it."""
        with self._lock:
            self.share = max(1, min(self.most, share))
            called = self._advance()
        self._call(called)

    def forget(self) -> None:
        """After a fork: the holders stayed in the parent."""
        self._lock = RLock()
        self._advancing = False
        for queue in self._queues:
            queue.clear()
        self._holding.clear()
        self._held = [0] * PRIORITIES
        self._held_all = 0

    def _clamped(self, weight: int) -> int:
        return max(1, min(weight, self.most))

    # Under the lock.

    def _has_room(self, weight: int) -> bool:
        allowed = self.allowed
        return self._held_all + min(weight, allowed) <= allowed and allowed > 0

    def _line_up(self, turn: Turn, repeats: bool) -> list[Turn]:
        """Queue `turn`, grant it after all, or refuse it; and return whom to wake."""
        called = self._advance() if self._reclaim() else []
        if not any(self._queues) and self._has_room(turn.weight):
            turn.wake = _woken
            self._grant(turn)
            return called
        adaptive = self.adaptive
        if adaptive is not None and self.allowed == adaptive.allowed:
            adaptive.reached()  # that limit, and not a share of it or a slow start, for which it must not rise
        if repeats and not self.budget.spend():
            self._refuse(turn, Refused.RETRY)
            return called
        waiting = len(self)
        if waiting >= self.queue_max:
            shed = self._shed_for(turn.priority)
            if shed is None:
                self._refuse(turn, Refused.FULL)
                return called
            called.append(shed)
            waiting -= 1
        self._queues[turn.priority].append(turn)
        if waiting >= self.waiting_peak:
            self.waiting_peak = waiting + 1
        return called

    def _shed_for(self, priority: int) -> Turn | None:
        for lower in range(PRIORITIES - 1, priority, -1):
            if self._queues[lower]:
                turn = self._queues[lower].pop()
                self._refuse(turn, Refused.SHED)
                return turn
        return None

    def _refuse(self, turn: Turn, why: Refused) -> None:
        turn.refused = why
        self.refusals[turn.priority, why] += 1

    def _withdraw(self, turn: Turn) -> None:
        queue = self._queues[turn.priority]
        if turn in queue:
            queue.remove(turn)

    def _grant(self, turn: Turn) -> None:
        turn.granted = True
        # Counted before it is held: what an exception of a signal's handler leaves half done is too much rather than
        # too little, until `_reclaim` counts anew.
        self._held[turn.priority] += turn.weight
        self._held_all += turn.weight
        self._holding.add(turn)
        self.given[turn.priority] += 1
        self.budget.earn()
        if len(self._holding) > self.holders_peak:
            self.holders_peak = len(self._holding)
        turn.began = self._now()
        turn.beside = self._held_all
        if self.adaptive is not None and self._held_all >= self.adaptive.allowed:
            self.adaptive.reached()

    def _let_go(self, turn: Turn) -> None:
        self._holding.discard(turn)
        self._held[turn.priority] -= turn.weight
        self._held_all -= turn.weight

    def _learn(self, turn: Turn, ended: Ended, kind: Hashable) -> None:
        took_s = self._now() - turn.began
        if took_s < 0.0:
            took_s = 0.0
        self.mean_s += (took_s - self.mean_s) / MEAN_OF_LOADS if self.mean_s else took_s
        if self.adaptive is None:
            return
        if ended is Ended.ANSWERED:
            beside, held = turn.beside, self._held_all
            self.adaptive.answered(kind, took_s, beside if beside > held else held)
        else:
            self.adaptive.overloaded()

    def _advance(self) -> list[Turn]:
        """Grant what there is room for, and refuse whose time is over; and return whom to wake."""
        called: list[Turn] = []
        if self._advancing:  # by the collector, in the midst of what follows, which sees to it
            self._missed = True
            return called
        self._advancing = True
        try:
            self._missed = True
            while self._missed:
                self._missed = False
                self._grant_next(called)
        finally:
            self._advancing = False
        return called

    def _grant_next(self, called: list[Turn]) -> None:
        while True:
            allowed, waiting = self.allowed, self.waiting
            if self._held_all >= allowed:
                return
            priority = self._order.next(waiting, self._held, allowed)
            if priority is None:
                return
            queue = self._queues[priority]
            try:
                if not self._has_room(queue[0].weight):
                    return
                turn = queue.popleft()
            except IndexError:  # the collector ended the load that waited
                continue
            called.append(turn)
            if turn.deadline != FOREVER and self._now() > turn.deadline:
                self._refuse(turn, Refused.LATE)  # whoever waited for it has gone, or is about to
            else:
                self._grant(turn)
                self._order.given(priority, waiting)

    def _call(self, called: list[Turn]) -> None:
        """Wake those whose turn has come, or never will. One that cannot hear it hands the turn on."""
        for turn in called:
            heard = turn.wake()
            turn.wake = _woken  # it holds the event loop
            if not heard and turn.granted:
                with self._lock:
                    if turn in self._holding:
                        self._let_go(turn)
                    called += self._advance()

    def _reclaim(self) -> bool:
        """Take the turns of loads that are gone, and count anew; True when it did.

        It looks once in so many requests, or so often that it costs a hundredth of the time: next to nothing each."""
        self._asked_since_look += 1
        now = self._now()
        if self._asked_since_look < LOOK_EVERY * self.most and now < self._look_again_at:
            return False
        self._asked_since_look = 0
        self._look_again_at = now + self.most * LOOK_EVERY_S
        # Of copies: the collector may end a load meanwhile. Lists: it may also run while a tuple is made of a set.
        self._holding -= {turn for turn in list(self._holding) if turn.gone()}
        held = [0] * PRIORITIES
        for turn in list(self._holding):
            held[turn.priority] += turn.weight
        self._held, self._held_all = held, sum(held)
        return True
