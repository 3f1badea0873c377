"""How old is too old: an entry judged against a contract's terms.

Rule 1: age runs from the start of the load (docs/protocol.md, R17).
Rule 2: nothing here lengthens a window. Jitter and early refresh only shorten it.
"""

from __future__ import annotations

import math
from enum import Enum, auto
from typing import Final

import msgspec

from cacheaside.contract import Terms

__all__ = ["Freshness", "Held", "early_refresh_at", "fresh_for_s", "jittered_s", "judge", "surely_fresh_s"]


class Freshness(Enum):
    """What an entry is worth now."""

    FRESH = auto()
    STALE = auto()
    """Past its ttl, within grace."""
    EXPIRED = auto()
    """Past its ttl and grace."""
    OUTDATED = auto()
    """Invalidated, and within stale_after_invalidation."""
    INVALIDATED = auto()
    """Invalidated, and of no more use."""
    ABSENT = auto()
    """Nothing is held."""


class Held(msgspec.Struct, frozen=True):
    """What the cache holds under a key, as far as its age is concerned.

    ttl_s: the time it is fresh, before jitter: it depends on what it is (a value, an absent row, an error).
    grace: whether grace applies to it at all; an absent row and a remembered error have none.
    salt: fixed for as long as the entry is held, and another one for the next: what jitter is drawn from.
    uncertain: a server that may have gone back to old data vouches for it, so it counts as past its ttl: it may be
    served within grace, and not at all where there is none.
    """

    loaded_at: float
    ttl_s: float
    grace: bool
    invalidated: bool
    salt: int
    uncertain: bool = False


_GOLDEN: Final = 0x9E3779B97F4A7C15
_MASK: Final = (1 << 64) - 1
_LOADS_AHEAD: Final = 2.0
"""ln n of XFetch for the 7 reads of a load time from which on a key counts as hot."""


def _unit(salt: int, lane: int) -> float:
    """A number in [0, 1) fixed by the entry itself, so that it need not be stored (splitmix64 finaliser)."""
    z = (salt + (lane + 1) * _GOLDEN) & _MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
    return float((z ^ (z >> 31)) >> 11) / (1 << 53)


def jittered_s(ttl_s: float, jitter: float, salt: int) -> float:
    """ttl_s less a share of up to `jitter`, fixed per entry: entries filled together do not expire together."""
    return ttl_s * (1.0 - jitter * _unit(salt, 0)) if jitter else ttl_s


def fresh_for_s(held: Held, terms: Terms) -> float:
    """How long after the start of its load the entry counts as fresh."""
    return jittered_s(held.ttl_s, terms.jitter, held.salt)


def surely_fresh_s(terms: Terms) -> float:
    """How long after the start of its load a value is fresh, whatever its jitter, with nothing else to be done; 0 when
    that takes more than its age to tell."""
    return 0.0 if terms.strong or terms.early_refresh else terms.ttl_s * (1.0 - terms.jitter)


def early_refresh_at(held: Held, terms: Terms, load_s: float) -> float:
    """The moment from which a fresh entry is refreshed behind its readers; infinity when never.

    XFetch: expiry - load time · β · (-ln u) (Vattani, Chierichetti, Lowenstein: Optimal probabilistic cache stampede
    prevention, VLDB 2015). There u is drawn with each read, and of n reads the luckiest decides: it comes about
    load time · β · (ln n - ln u) ahead. Here u is drawn once per entry, so that a key's read rate does not matter, and
    a hit costs nothing; `_LOADS_AHEAD` stands for ln n. Without it three of five refreshes would begin less than
    a load before the end, and their readers would wait for what is left of it.

    It takes half of an entry's fresh life at most: a load that takes as long as its value is fresh is not begun again
    the moment that it ends.
    """
    if not terms.early_refresh:
        return math.inf
    fresh_s = fresh_for_s(held, terms)
    lead_s = load_s * terms.early_refresh * (_LOADS_AHEAD - math.log(1.0 - _unit(held.salt, 1)))
    return held.loaded_at + fresh_s - min(lead_s, fresh_s / 2.0)


def judge(held: Held | None, terms: Terms, now: float) -> Freshness:
    """What `held` is worth at `now` under `terms`."""
    if held is None:
        return Freshness.ABSENT
    age_s = now - held.loaded_at
    if held.invalidated:
        # Like grace, this is for values: a remembered error would outlive its own time.
        outdated = held.grace and age_s < terms.stale_after_invalidation_s
        return Freshness.OUTDATED if outdated else Freshness.INVALIDATED
    if held.uncertain:
        age_s = max(age_s, held.ttl_s)  # without grace that is too old
    if age_s < fresh_for_s(held, terms):
        return Freshness.FRESH
    if held.uncertain and not terms.grace_s:
        # Past its ttl at whatever age. What follows also serves what jitter alone has made stale, which is not past it.
        return Freshness.EXPIRED
    # Grace follows the ttl as declared: jitter moves the refresh forward, not the end of the window.
    if held.grace and age_s < held.ttl_s + terms.grace_s:
        return Freshness.STALE
    return Freshness.EXPIRED
