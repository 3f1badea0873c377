"""A source: where loads get their resource, how many may run at once, how long one may take."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from threading import TIMEOUT_MAX
from typing import Any, Generic, TypeVar

from cacheaside.durations import Duration, seconds
from cacheaside.errors import DeclarationError
from cacheaside.observe.sources import SourceStats
from cacheaside.policy.limiting import AdaptiveLimit
from cacheaside.source.admission import Admission
from cacheaside.source.limit import Limit
from cacheaside.source.pace import Pace

__all__ = ["Opener", "Source"]

R = TypeVar("R")
Opener = Callable[[], AbstractAsyncContextManager[R] | AbstractContextManager[R]]


class Source(Generic[R]):
    """A source of truth, made with `cache.source(…)`. Each load opens a resource of its own and closes it after.

    At most `limit` loads run at once in this process, over all event loops and threads, and fewer while the source
    shows that it cannot take so many; up to 16 times as many wait their turn, by priority and for half of the timeout;
    more are refused with `Overloaded`. `Admission` says all that otherwise. A load that waits and runs for `timeout` in
    all ends with `LoadTimeout`; on a thread it cannot be interrupted, and those who wait for it get the error.
    """

    def __init__(
        self, name: str, open: Opener[R] | None, *, limit: int | Admission, timeout: Duration
    ) -> None:
        if not isinstance(name, str) or not name:
            raise DeclarationError(f'A source needs a name: cache.source("shop-db", open=…), not {name!r}.')
        if open is not None and not callable(open):
            raise DeclarationError(
                f"source {name!r}: open= must be a function that returns a context manager, such as a session factory."
            )
        self.admission = Admission.of(limit, f"source {name!r}")
        self.name = name
        self.open = open
        self.timeout_s = seconds(timeout, name="timeout")
        if not self.timeout_s:
            raise DeclarationError(f"source {name!r}: timeout must be above zero.")
        if self.timeout_s > TIMEOUT_MAX:
            raise DeclarationError(
                f"source {name!r}: timeout is longer than a thread can wait ({TIMEOUT_MAX:.0f} s)."
            )
        self.queue_timeout_s = self.admission.queue_timeout_s(self.timeout_s, f"source {name!r}")
        most = self.admission.limit
        adaptive = AdaptiveLimit(self.admission.lowest, most) if self.admission.adaptive else None
        self.limit = Limit(most, self.admission.waiting_max, adaptive=adaptive)
        self._begin_share()
        self.pace = Pace(self.limit)
        """Of loads behind readers, which take a share of the limit."""

    def __repr__(self) -> str:
        return f"<source {self.name} limit={self.limit.most} timeout={self.timeout_s:g}s>"

    def share(self, weight: int) -> None:
        """So much of what processes share is this one's."""
        self.limit.set_share(weight)

    def _begin_share(self) -> None:
        self.limit.set_share(self.admission.safe_share or self.admission.limit)

    def forget(self) -> None:
        """After a fork: the loads, and the share that was learnt, are the parent's."""
        self.limit.forget()
        self.pace.forget()
        self._begin_share()

    def stats(self) -> SourceStats:
        """What was let in so far, and what is under way."""
        return self.limit.stats(self.name)

    def opened(self) -> Any:
        """A fresh context manager around a resource, not yet entered."""
        assert self.open is not None
        manager = self.open()
        if not (hasattr(manager, "__enter__") or hasattr(manager, "__aenter__")):
            raise DeclarationError(
                f"source {self.name!r}: open() returned a {type(manager).__name__}, which is not a context manager. "
                "Return one (a session, a connection) or wrap the function in contextlib.(async)contextmanager."
            )
        return manager
