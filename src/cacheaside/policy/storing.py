"""May a loaded value be stored? Every reason against it, in one place (docs/protocol.md, R2 to R7)."""

from __future__ import annotations

import msgspec

from cacheaside.contract import Terms
from cacheaside.lookup import NotStored

__all__ = ["Loaded", "may_store"]


class Loaded(msgspec.Struct, frozen=True):
    """What is known of a load when it is over.

    absent: the source has no such row.
    accepted: the contract's own predicate. writer: a write of one of its tags was under way when it began.
    moved: a tag's generation is not the one read before the load began.
    held_still: the tags first seen in the value were shown not to have changed since the load began.
    """

    absent: bool = False
    accepted: bool = True
    size_bytes: int = 0
    writer: bool = False
    moved: bool = False
    held_still: bool = True
    tags: int = 0
    tags_max: int = 0
    unstorable: bool = False


def may_store(loaded: Loaded, terms: Terms) -> NotStored | None:
    """None when the value may be stored, else the reason why it may only be returned.

    What makes a value unsafe comes before what the contract says, because whoever reads inside a load trusts a value
    that was not stored for the contract's sake alone: (1) a writer marks and bumps a tag (2) an outer load reads an
    absent row inside, loaded under that mark, and hears "contract" (3) the outer value is stored (4) the writer commits
    and dies.
    """
    if loaded.unstorable:
        return NotStored.UNSTORABLE
    if loaded.writer:
        return NotStored.WRITER
    if loaded.moved:
        return NotStored.MOVED
    if not loaded.held_still:
        return NotStored.VALUE_TAGS
    if not terms.store or not loaded.accepted:
        return NotStored.CONTRACT
    if loaded.absent and not terms.absent_ttl_s:
        return NotStored.CONTRACT
    if loaded.tags > loaded.tags_max:
        return NotStored.TOO_MANY_TAGS
    if terms.max_bytes is not None and loaded.size_bytes > terms.max_bytes:
        return NotStored.TOO_LARGE
    return None
