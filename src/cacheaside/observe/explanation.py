"""What stands behind one key: plain data, as `explain` gives it. `explanation_text` has the words.

A snapshot of several places, each looked at once and none of them stopped, so that two may be a moment apart. Moments
are given as seconds from now; an age of something in the shared tier is the most that it can be.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import msgspec

from cacheaside.lookup import Forward, Served, Tier

__all__ = [
    "CoherenceSeen",
    "Does",
    "EntrySeen",
    "Explanation",
    "LoadSeen",
    "NextRead",
    "SourceSeen",
    "TagSeen",
    "TagState",
]


class TagState(StrEnum):
    """A tag's generation, beside the one that the entry of the shared tier was stored under."""

    CURRENT = "current"
    MOVED = "moved"
    """Invalidated since, or its generation is gone (evicted, expired, deleted): the entry is out of date."""
    UNCERTAIN = "uncertain"
    """As current, by a server that may have gone back to old data."""
    UNKNOWN = "unknown"
    """Nothing to compare: no entry, no shared tier, or it did not answer."""


class Does(StrEnum):
    """What a read does."""

    SERVE = "serve"
    SERVE_AND_REFRESH = "serve and refresh"
    RAISE = "raise"
    """The exception that is remembered."""
    JOIN = "join"
    """Wait for a load that is under way in this process."""
    WAIT = "wait"
    """Wait for another process, which has the lease, and for so long only."""
    LOAD = "load"


class EntrySeen(msgspec.Struct, frozen=True, kw_only=True):
    """What one tier holds under the key.

    looked: False where it could not be looked at, and why says so; else why is the reason that nothing is held, or
    that what is held may not be served. kind: "value", "no such row" or "error", whose class is `error`. freshness:
    as `policy.freshness` judges it. fresh_left_s, bound_left_s: until it is stale, and until it may not be served any
    more; below zero when that is past. ends_in_s: when the server drops it. size_bytes: as held. hits: of this entry.
    invalidated_by: the tag whose change put it out of date, where that is known.
    """

    tier: Tier
    looked: bool
    held: bool = False
    why: str = ""
    kind: str | None = None
    error: str | None = None
    freshness: str | None = None
    age_s: float | None = None
    load_s: float | None = None
    fresh_left_s: float | None = None
    bound_s: float | None = None
    bound_left_s: float | None = None
    ends_in_s: float | None = None
    size_bytes: int | None = None
    hits: int | None = None
    invalidated_by: str | None = None


class TagSeen(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that the value depends on.

    role: "key" (the entry's own), "everything" (the namespace), "declared" (by the arguments) or "value" (found in the
    value, or read inside its load). stamped, current: the generations, in hexadecimal. writer: a write is under way,
    so nothing is stored for it until that ends, in writer_ends_in_s at the latest. owed: this process invalidated it,
    and the server has not acknowledged that yet.
    """

    tag: str
    name: str
    role: str
    state: TagState
    stamped: str | None = None
    current: str | None = None
    writer: bool | None = None
    writer_ends_in_s: float | None = None
    owed: bool = False


class LoadSeen(msgspec.Struct, frozen=True, kw_only=True):
    """Who loads the key now.

    here: a load is under way in this process, and takes joiners; waiting: how many callers wait for it. lease: "free",
    "this process", "another process", "everybody" (what was loaded last could not be stored, so that nobody waits for
    anybody), or None where there is none to have, or none could be seen. lease_ends_in_s: at the latest.
    delayed_by: the failure of the last refresh, which delays the next.
    """

    here: bool
    waiting: int = 0
    lease: str | None = None
    holder: str | None = None
    lease_ends_in_s: float | None = None
    delayed_by: str | None = None


class CoherenceSeen(msgspec.Struct, frozen=True, kw_only=True):
    """How this process and the shared tier stand.

    server: the one that the key lies on. up, why_away: whether it is asked at all. in_touch_s: for so long L1 answers
    by itself; below zero: it does not; None where another process is meant. unsynced_s: since everything acknowledged
    was last known to have been heard. blind: a server does not tell of changes. owed: invalidations, of all keys, that
    are not acknowledged.
    """

    server: str
    up: bool
    why_away: str | None
    in_touch_s: float | None
    unsynced_s: float | None
    blind: bool
    owed: int


class SourceSeen(msgspec.Struct, frozen=True, kw_only=True):
    """The source that a load of the key goes to, in this process: what is under way and may be, in weight of loads, and
    how many wait for a turn, of how many that may."""

    name: str
    held: int
    limit: int
    waiting: int
    waiting_max: int


class NextRead(msgspec.Struct, frozen=True, kw_only=True):
    """What a read would do now, as the flow itself decides it (`flow.rehearse`)."""

    does: Does
    served: Served | None = None
    forward: Forward | None = None
    tier: Tier | None = None
    age_s: float | None = None
    bound_s: float | None = None
    refreshing: bool = False
    waits_s: float | None = None
    error: str | None = None


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """One key, and what is known of it. `print` it for words; `as_dict` for JSON.

    source: None where another process is meant. levers: what `cache.control`, the fleet or a file changed of the
    endpoint, by whom and for how long; None: nothing, or it was not looked at. levers_unread: why that may not be all
    that the service follows. value: what is held, only where it was asked for.
    """

    namespace: str
    endpoint: str
    key: str
    arguments: dict[str, str]
    enabled: bool
    ttl_s: float
    grace_s: float
    l1: EntrySeen
    l2: EntrySeen | None
    tags: tuple[TagSeen, ...]
    load: LoadSeen
    source: SourceSeen | None
    coherence: CoherenceSeen | None
    next_read: NextRead
    levers: str | None = None
    levers_unread: str | None = None
    value: Any = msgspec.UNSET

    @property
    def invalidated_by(self) -> tuple[TagSeen, ...]:
        """The tags that have moved since the entry of the shared tier was stored."""
        return tuple(one for one in self.tags if one.state is TagState.MOVED)

    def as_dict(self) -> dict[str, Any]:
        """The same for JSON."""
        made: dict[str, Any] = msgspec.to_builtins(self, enc_hook=repr)
        return made

    def __str__(self) -> str:
        from cacheaside.observe.explanation_text import text_of

        return text_of(self)
