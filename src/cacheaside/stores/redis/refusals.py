"""What servers refuse: counted, and said in the log now and then."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

from cacheaside.stores.redis.counts import Counts
from cacheaside.stores.redis.wire.replies import StoreReplyError

__all__ = ["SAY_REFUSED_S", "Refusals"]

log = logging.getLogger("cacheaside")

_NOT_THE_PRIMARY: Final = frozenset(("READONLY", "MOVED", "ASK", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN"))
SAY_REFUSED_S: Final = 60.0
"""How often, at most, a refusal of one kind is logged."""


class Refusals:
    """Those of one tier. doubt: told when a server answers as one that is not the primary."""

    def __init__(
        self, namespace: str, counts: Counts, doubt: Callable[[], None], pace: Callable[[], float]
    ) -> None:
        self._namespace = namespace
        self._counts = counts
        self._doubt = doubt
        self._pace = pace
        self._say_at: dict[tuple[str, str], float] = {}
        self._unsaid: dict[tuple[str, str], int] = {}

    def add(self, error: StoreReplyError) -> None:
        """A server refused a command."""
        self._counts.refused += 1
        if error.code in _NOT_THE_PRIMARY:
            self._doubt()
        kind, now = (error.verb, error.code), self._pace()
        if now < self._say_at.get(kind, now):
            self._unsaid[kind] = self._unsaid.get(kind, 0) + 1
            return
        self._say_at[kind] = now + SAY_REFUSED_S
        more = self._unsaid.pop(kind, 0)
        log.warning(
            "cache %s: the shared tier refuses: %s%s",
            self._namespace,
            error.brief,
            f" ({more} more since the last such line)" if more else "",
        )
