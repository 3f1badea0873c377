"""Why a value that the cache served differs from what the source says a moment later.

A difference alone accuses nobody: values change. What tells them apart is what was heard, and when:

- the contract allows the value to be that old, and nobody has told of a change: `WITHIN_WINDOW`. Writes that the cache
  is not told of look like this, and so does a commit whose invalidation is still on its way;
- a tag changed after the value was served, so that the two are of different moments: `CHANGED_BETWEEN`;
- a tag had changed *before* it was served, this process had heard of it, and served it all the same; or the value was
  older than its contract allows: `VIOLATION`. There should be none.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

import msgspec

from cacheaside.types import Generation, TagId

__all__ = ["Difference", "Evidence", "explain"]


class Difference(StrEnum):
    """Why the two differ."""

    WITHIN_WINDOW = "within_window"
    CHANGED_BETWEEN = "changed_between"
    VIOLATION = "violation"
    UNEXPLAINED = "unexplained"
    """What it was stored under is not known, or the shared tier did not say what is current now."""


class Evidence(msgspec.Struct, frozen=True):
    """What is known of the value that was served, and of the load that it is compared with.

    outdated: served as known to be out of date, because the contract allows that. stored_under: the generations of
    its tags; None when unknown. loaded_under: those of the load; None when the tier did not say. moved: a tag
    changed during that load, or that could not be ruled out. still: nothing was heard of its tags from before it
    was served until after the load, by when all that was acknowledged had been heard.
    """

    age_s: float
    bound_s: float
    outdated: bool
    stored_under: Mapping[TagId, Generation] | None
    loaded_under: Mapping[TagId, Generation] | None
    moved: bool
    still: bool


def explain(e: Evidence) -> tuple[Difference, tuple[TagId, ...]]:
    """The reason, and the tags that it lies in: those that changed.

    The order of the cases matters. *Too old before all else*: nothing excuses it. *Moved before the stamps*: (1) the
    load is stamped, equal (2) a writer commits (3) the load reads the new row: equal stamps would say "never told".
    """
    if e.age_s > e.bound_s:
        return Difference.VIOLATION, ()
    if e.outdated:
        return Difference.WITHIN_WINDOW, ()
    if e.moved or e.loaded_under is None:
        return (Difference.UNEXPLAINED if e.loaded_under is None else Difference.CHANGED_BETWEEN), ()
    if e.stored_under is None:
        return (Difference.UNEXPLAINED if e.still else Difference.CHANGED_BETWEEN), ()
    loaded_under = e.loaded_under
    changed = tuple(tag for tag, generation in e.stored_under.items() if loaded_under.get(tag) != generation)
    if not changed:
        return Difference.WITHIN_WINDOW, ()
    return (Difference.VIOLATION if e.still else Difference.CHANGED_BETWEEN), changed
