"""What one server is known to have done lately, and so whether it is asked now: told everything, touching nothing."""

from __future__ import annotations

from collections.abc import Callable

from cacheaside.stores.redis.connect.away import Away, ConnectionAway
from cacheaside.stores.redis.connect.server import Limits

__all__ = ["Standing"]


class Standing:
    """The failures in a row of one server, and the pause they lead to.

    While there is a failure no caller waits for the server: who comes when the pause is over has it tried in the
    background, and fails like everyone before and after. So a server that is up and slower than the deadline costs
    callers their deadline once, and not once a pause. Not thread-safe: who uses it from threads holds a lock.

    now: seconds. chance: from 0 to 1.
    """

    __slots__ = (
        "_chance",
        "_endpoint",
        "_failed_at",
        "_limits",
        "_now",
        "_relapses",
        "_retry_at",
        "failures",
        "last",
    )

    def __init__(
        self, endpoint: str, limits: Limits, now: Callable[[], float], chance: Callable[[], float]
    ) -> None:
        self._endpoint = endpoint
        self._limits = limits
        self._now = now
        self._chance = chance
        self._retry_at = float("-inf")
        self._failed_at = float("-inf")
        self._relapses = 0
        self.failures = 0
        """In a row, since it last answered a call."""
        self.last: ConnectionAway | None = None
        """Why it was last away."""

    def worked(self) -> None:
        """It answered a call."""
        self.failures = 0

    def lost(self, away: ConnectionAway) -> None:
        """A connection that worked has ended: no failure, since a restart ends them all."""
        self.last = away

    def failed(self, away: ConnectionAway) -> None:
        """It was refused, fell silent, or ended without an answer: one more failure, and a pause twice as long. Longer
        still when it had worked for a moment only: a server may answer some commands and hang on others."""
        now = self._now()
        self.last = away
        self.failures += 1
        if self.failures == 1:
            is_relapse = now - self._failed_at < 2 * self._limits.backoff_max_s
            self._relapses = self._relapses + 1 if is_relapse else 0
        self._failed_at = now
        self._retry_at = now + self._limits.pause_s(self.failures + 2 * self._relapses, self._chance())

    def doubted(self, away: ConnectionAway) -> None:
        """The first attempt goes on after a caller's patience ended: nobody else is to wait for it."""
        self.last = away
        self.failures = max(self.failures, 1)

    def is_due(self) -> bool:
        """Whether the pause is over."""
        return self._now() >= self._retry_at

    def once_more(self) -> ConnectionAway:
        """The reason of the last failure, for another caller."""
        assert self.last is not None, "there is a reason when there is no connection"
        return self.last.again(maybe_sent=False)

    def left_alone(self) -> ConnectionAway:
        """What callers are told meanwhile."""
        assert self.last is not None, "a failure has a reason"
        message = f"it is left alone for a moment, since it failed: {self.last.message}"
        return ConnectionAway(message, endpoint=self._endpoint, reason=Away.BACKING_OFF)
