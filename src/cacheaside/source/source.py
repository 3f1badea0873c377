"""A source: where loads get their resource, how many may run at once, how long one may take."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from threading import TIMEOUT_MAX
from typing import Any, Final, Generic, TypeVar

from cacheaside.durations import Duration, seconds
from cacheaside.errors import DeclarationError
from cacheaside.source.limit import Limit

__all__ = ["Opener", "Source"]

R = TypeVar("R")
Opener = Callable[[], AbstractAsyncContextManager[R] | AbstractContextManager[R]]

QUEUE_PER_SLOT: Final = 16


class Source(Generic[R]):
    """A source of truth, made with `cache.source(…)`. Each load opens a resource of its own and closes it after.

    At most `limit` loads run at once in this process, over all event loops and threads; up to 16 times as many
    wait their turn; more are refused with `Overloaded`. A load that waits and runs for `timeout` in all ends with
    `LoadTimeout`; on a thread it cannot be interrupted, and those who wait for it get the error.
    """

    def __init__(self, name: str, open: Opener[R] | None, *, limit: int, timeout: Duration) -> None:
        if not isinstance(name, str) or not name:
            raise DeclarationError(f'A source needs a name: cache.source("shop-db", open=…), not {name!r}.')
        if open is not None and not callable(open):
            raise DeclarationError(
                f"source {name!r}: open= must be a function that returns a context manager, such as a session factory."
            )
        if isinstance(limit, bool) or not isinstance(limit, int) or limit < 1:
            raise DeclarationError(
                f"source {name!r}: limit={limit!r} must be a whole number of loads, at least 1."
            )
        self.name = name
        self.open = open
        self.timeout_s = seconds(timeout, name="timeout")
        if not self.timeout_s:
            raise DeclarationError(f"source {name!r}: timeout must be above zero.")
        if self.timeout_s > TIMEOUT_MAX:
            raise DeclarationError(
                f"source {name!r}: timeout is longer than a thread can wait ({TIMEOUT_MAX:.0f} s)."
            )
        self.limit = Limit(limit, limit * QUEUE_PER_SLOT)

    def __repr__(self) -> str:
        return f"<source {self.name} limit={self.limit.most} timeout={self.timeout_s:g}s>"

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
