"""What the log is told of what users of the tier did not get: answers while it is up, and invalidations at the end."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

from cacheaside.stores.redis.counts import Counts
from cacheaside.stores.redis.owed import Owed
from cacheaside.stores.redis.wire.names import kind_of

__all__ = ["Unanswered", "say_untold"]

log = logging.getLogger("cacheaside")

EVERY_S: Final = 60.0
"""The least time between two lines about answers."""
_NAMED_MAX: Final = 5


class Unanswered:
    """Says when exchanges have no answer although the tier is up: what listens to the servers has other connections
    than what reads from them, and more patience.

    Costs reads nothing: the keeper's thread looks at a counter. pace: seconds.
    """

    def __init__(self, namespace: str, counts: Counts, deadline_s: float, pace: Callable[[], float]) -> None:
        self._namespace = namespace
        self._counts = counts
        self._deadline_s = deadline_s
        self._pace = pace
        self.begin()

    def begin(self) -> None:
        """It is up again: what had no answer before that was said already, in that it was away."""
        self._since = self._pace()
        self._before = self._counts.away

    def look(self) -> None:
        """Called again and again while it is up."""
        now = self._pace()
        if now - self._since < EVERY_S:
            return
        number = self._counts.away - self._before
        if number > 0:
            log.warning(
                "cache %s: the shared tier is up, but %d exchanges of reads and writes had no answer within %g ms in "
                "the last %.0f s",
                self._namespace,
                number,
                self._deadline_s * 1000.0,
                now - self._since,
            )
        self.begin()


def say_untold(namespace: str, owed: Owed) -> None:
    """The cache is closed, or its process ends: say what is owed still; once, and names without arguments."""
    tags = owed.untold()
    if tags:
        kinds = list(dict.fromkeys(map(kind_of, tags)))
        named = ", ".join(kinds[:_NAMED_MAX]) + (", …" if len(kinds) > _NAMED_MAX else "")
        log.warning(
            "cache %s: closed with %d invalidations not told: %s. Other processes may serve what they hold of these "
            "until its ttl and grace end: invalidate them once more",
            namespace,
            len(tags),
            named,
        )
