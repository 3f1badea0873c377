"""What an endpoint says in the log "cacheaside": classes of errors, and how often; no value and no argument."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from threading import RLock
from types import TracebackType
from typing import Final

from cacheaside.errors import CacheasideError, LoadTimeout, Overloaded

__all__ = ["EVERY_S", "Reports", "Retried"]

log = logging.getLogger("cacheaside")

EVERY_S: Final = 60.0
"""The least time between two lines of one kind about one endpoint."""


class _Count:
    """Counts by name, until a line is due."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._counts: Counter[str] = Counter()
        self._last: float | None = None
        self._lock = RLock()

    def due(self, name: str | Counter[str]) -> str | None:
        """Count `name`, or several; all that was counted since the last line, when it is time for another."""
        now = self._now()
        with self._lock:
            self._counts.update([name] if isinstance(name, str) else name)
            if self._last is not None and 0 <= now - self._last < EVERY_S:
                return None
            self._last = now
            counts, self._counts = self._counts, Counter()
        return ", ".join(f"{name} {count}" for name, count in counts.most_common())

    def forget(self) -> None:
        """After a fork: whoever held the lock may have stayed in the parent."""
        self._lock = RLock()


class Reports:
    """The log of one endpoint. Thread-safe.

    As a context manager around what is done for a caller, it counts the errors that speak of the source.
    """

    def __init__(self, name: str, now: Callable[[], float]) -> None:
        self._name = name
        self._failed = _Count(now)
        self._refused = _Count(now)
        self._said_unstorable = False

    def unstorable(self, error: Exception) -> None:
        """A value cannot be stored; said once."""
        if not self._said_unstorable:
            self._said_unstorable = True
            # Messages of ours hold no value; whatever value_tags= or store= raised may.
            why = (
                error
                if isinstance(error, CacheasideError)
                else f"value_tags= or store= raised {type(error).__name__}"
            )
            log.warning("%s: a value was returned but cannot be stored: %s", self._name, why)

    def failed_refresh(self, failure: str) -> None:
        """A load behind readers failed, by the class of its error."""
        counts = self._failed.due(failure)
        if counts is not None:
            log.warning(
                "%s: refreshes behind readers failed, so older values are served: %s since the last such line",
                self._name,
                counts,
            )

    def refused(self, error: BaseException | None) -> None:
        """A caller gets `error`; what speaks of the source is counted."""
        if isinstance(error, (Overloaded, LoadTimeout)):
            counts = self._refused.due(type(error).__name__)
            if counts is not None:
                log.warning(
                    "%s: reads failed for want of an answer from the source: %s since the last such line",
                    self._name,
                    counts,
                )

    def forget(self) -> None:
        """After a fork."""
        self._failed.forget()
        self._refused.forget()

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is not None:
            self.refused(error)


class Retried:
    """The log of what one cache tries again behind its writers. Thread-safe."""

    def __init__(self, namespace: str, now: Callable[[], float]) -> None:
        self._namespace = namespace
        self._tags = _Count(now)

    def say(self, tags: Counter[str], why: str) -> None:
        """So many invalidations of tags of these names were not acknowledged."""
        counts = self._tags.due(tags)
        if counts is not None:
            log.warning(
                "cache %s: invalidations were not acknowledged, and are tried again until they get through: %s since "
                "the last such line (%s)",
                self._namespace,
                counts,
                why,
            )

    def forget(self) -> None:
        """After a fork."""
        self._tags.forget()
