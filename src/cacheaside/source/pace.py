"""The pace of refreshes: loads that nobody waits for take a share of their source's turns, and no more.

After a mass invalidation every key is due at once. Where the contract lets what is held be served meanwhile, nobody
waits, and all of it can be loaded anew at the pace that the source bears. Without one, refreshes would fill the queue
of the source, and the readers who have nothing to be served would wait behind them, or be refused.

There is no queue: a refresh that may not begin is left out, and a later read of its key asks again. So those keys are
refreshed first that are read most, and nothing has to be remembered of the others.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import RLock

from cacheaside.policy.pacing import may_refresh
from cacheaside.source.limit import Limit

__all__ = ["Pace", "Step"]


class Step:
    """One refresh under way. gone: True when it can never end, as its event loop is closed."""

    __slots__ = ("_pace", "gone")

    def __init__(self, pace: Pace, gone: Callable[[], bool]) -> None:
        self._pace = pace
        self.gone = gone

    def end(self) -> None:
        """It is over. A second time, and for one from before a fork, nothing happens."""
        self._pace.leave(self)


class Pace:
    """The refreshes of one source that are under way in this process. No method waits."""

    def __init__(self, limit: Limit) -> None:
        self._limit = limit
        self._steps: set[Step] = set()
        # Reentrant: a flow that is collected as garbage ends its step in whatever code the collector interrupts.
        self._lock = RLock()
        self.peak = 0

    def __len__(self) -> int:
        return len(self._steps)

    @property
    def free(self) -> bool:
        """Whether a refresh may begin now."""
        limit = self._limit
        return may_refresh(len(self._steps), limit.held, len(limit), limit.allowed)

    def enter(self, gone: Callable[[], bool]) -> Step | None:
        """Begin a refresh, to be ended with `Step.end`; None when it may not begin now."""
        with self._lock:
            if not self.free:
                # Of a copy: (1) this looks at one (2) the collector runs, and ends another (3) the set is another one.
                # A list: where a tuple is made of a set the collector may run in between.
                self._steps -= {step for step in list(self._steps) if step.gone()}
                if not self.free:
                    return None
            step = Step(self, gone)
            self._steps.add(step)
            self.peak = max(self.peak, len(self._steps))
            return step

    def leave(self, step: Step) -> None:
        """See `Step.end`."""
        with self._lock:
            self._steps.discard(step)

    def forget(self) -> None:
        """After a fork: the refreshes stayed in the parent."""
        self._lock = RLock()
        self._steps.clear()
