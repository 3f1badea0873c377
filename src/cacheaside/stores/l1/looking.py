"""What L1 holds for a call, for whoever asks without reading: no hit is counted, nothing is touched."""

from __future__ import annotations

from typing import Any

import msgspec

from cacheaside.flow.call import Call
from cacheaside.flow.ports import Found
from cacheaside.lookup import Forward
from cacheaside.stores.l1.entry import BLOCK_BYTES
from cacheaside.stores.l1.store import L1
from cacheaside.stores.l1.table import Remembered
from cacheaside.types import TagId

__all__ = ["NearSeen", "look"]


class NearSeen(msgspec.Struct, frozen=True):
    """found: what is held, whether or not L1 may answer by itself now. size_bytes: in whole blocks. tags: those that it
    depends on beside its own and the namespace's. gone: why nothing is held, as far as it is remembered. by: the tag
    whose change put it out of date."""

    found: Found | None
    absent: bool = False
    size_bytes: int = 0
    hits: int = 0
    tags: tuple[TagId, ...] = ()
    gone: Forward = Forward.ABSENT
    by: TagId | None = None


def look(l1: L1, call: Call) -> NearSeen:
    """What is held for `call`. Under the lock of L1, so that it is of one moment."""
    with l1.lock:
        table = l1.table_of(call)
        entry = table.entries.get(call.slot)
        by = table.outdated_by(call.slot)
        if entry is None or not l1.covers(entry, call):
            return NearSeen(None, gone=l1.why_absent(call), by=by)
        value: Any = entry.value
        is_error = type(value) is Remembered
        held = table.held(entry, call.terms)
        found = Found(held, value.error if is_error else value, is_error, entry)
        tags: Any = entry.tags
        return NearSeen(
            found,
            not is_error and table.is_absent(value),
            entry.blocks * BLOCK_BYTES,
            entry.hits,
            tags,
            by=by if held.invalidated else None,
        )
