"""What the log is told of the servers, and how often."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import PurePath
from typing import Final

from cacheaside.stores.redis.connect.away import ConnectionAway
from cacheaside.stores.redis.connect.server import Limits

__all__ = ["Saying"]

log = logging.getLogger("cacheaside")

MISHAPS_EVERY_S: Final = 60.0
"""The least time between two lines about errors that nobody foresaw; without one for so long, the pauses begin anew."""


class Saying:
    """Every line has the name of the cache. Called under the keeper's lock."""

    def __init__(
        self, namespace: str, limits: Limits, pace: Callable[[], float], chance: Callable[[], float]
    ) -> None:
        self._namespace = namespace
        self._limits = limits
        self._pace = pace
        self._chance = chance
        self._is_away = False
        self._has_no_identity = False
        self._mishaps = 0
        self._mishap_at = self._mishap_said_at = float("-inf")

    def away(self, why: ConnectionAway) -> None:
        """Said once, until it is back."""
        if not self._is_away:
            self._is_away = True
            log.warning("cache %s: the shared tier is away: %s", self._namespace, why)

    def back(self) -> None:
        """Said when it was said to be away."""
        if self._is_away:
            self._is_away = False
            log.info("cache %s: the shared tier is back", self._namespace)

    def blind(self, name: str) -> None:
        """A server does not tell of changes."""
        log.warning(
            "cache %s: %s does not tell of changes (CLIENT TRACKING over RESP3): this process holds nothing "
            "for longer than max_unsynced",
            self._namespace,
            name,
        )

    def another_history(self, name: str) -> None:
        """A server may have gone back to old data."""
        log.warning("cache %s: %s has another history than before", self._namespace, name)

    def no_identity(self, name: str) -> None:
        """Failovers go unnoticed; said once."""
        if not self._has_no_identity:
            self._has_no_identity = True
            log.warning(
                "cache %s: %s does not say who it is: failovers go unnoticed, as with on_failover='trust': grant "
                "the user INFO",
                self._namespace,
                name,
            )

    def mishap(self, error: Exception) -> tuple[str, float]:
        """The keeper's thread met an error that nobody foresaw; what is said of it, and how long it is to pause."""
        now = self._pace()
        self._mishaps = 1 if now - self._mishap_at > MISHAPS_EVERY_S else self._mishaps + 1
        self._mishap_at = now
        self._is_away = True
        what = f"what keeps in touch with it failed, and begins anew ({_named(error)})"
        if now - self._mishap_said_at >= MISHAPS_EVERY_S:
            self._mishap_said_at = now
            log.warning(
                "cache %s: the shared tier is away: %s. If it is for want of files, memory or threads, give the "
                "process more; anything else please report",
                self._namespace,
                what,
            )
        return what, self._limits.pause_s(self._mishaps, self._chance())


def _named(error: Exception) -> str:
    """The class of an error and where it was raised; no message but the system's: others may have a value in them."""
    at = error.__traceback__
    while at is not None and at.tb_next is not None:
        at = at.tb_next
    where = f" at {PurePath(at.tb_frame.f_code.co_filename).name}:{at.tb_lineno}" if at is not None else ""
    what = f": {error.strerror}" if isinstance(error, OSError) and error.strerror else ""
    return f"{type(error).__name__}{what}{where}"
