"""L1's bookkeeping: its tables, its index and its eviction must tell the same story."""

from __future__ import annotations

from collections import Counter

from cacheaside.stores.l1.entry import BLOCK_BYTES, Entry
from cacheaside.stores.l1.store import L1
from cacheaside.stores.l1.table import Table
from cacheaside.testing.simulator.verdicts import Violation

__all__ = ["check_books"]


def check_books(l1: L1, tables: list[Table], entries_max: int, bytes_max: int) -> None:
    """Every entry of a table is indexed and counted once, and nothing else is."""
    entries = [entry for table in tables for entry in table.entries.values()]
    if len(entries) != len(l1):
        raise Violation("books", f"{len(entries)} entries in the tables, {len(l1)} in the eviction")
    blocks = sum(entry.blocks for entry in entries)
    if blocks * BLOCK_BYTES != l1.bytes_used:
        raise Violation(
            "books", f"{blocks * BLOCK_BYTES} bytes in the tables, {l1.bytes_used} in the eviction"
        )
    if len(entries) > entries_max or l1.bytes_used > bytes_max:
        raise Violation(
            "books", f"{len(entries)} entries of {entries_max}, {l1.bytes_used} bytes of {bytes_max}"
        )
    indexed = _indexed(l1)
    expected = Counter((tag, id(entry)) for entry in entries for tag in entry.tags)
    if indexed != expected:
        raise Violation(
            "books", f"the index holds {len(indexed)} references, the entries name {len(expected)}"
        )


def _indexed(l1: L1) -> Counter[tuple[object, int]]:
    counted: Counter[tuple[object, int]] = Counter()
    for tag, held in l1._index._entries.items():  # noqa: SLF001 - the index has no other reader
        for entry in held if isinstance(held, set) else (held,):
            assert isinstance(entry, Entry)
            counted[tag, id(entry)] += 1
    return counted
