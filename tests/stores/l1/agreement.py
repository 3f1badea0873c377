"""Whether the parts of an L1 say the same of what is held."""

from __future__ import annotations

from cacheaside.stores.l1.entry import BLOCK_BYTES
from cacheaside.stores.l1.store import L1


def assert_agreement(l1: L1) -> None:
    """Tables, index and eviction hold the same entries, and the bytes are those of these entries."""
    tables = list(l1._tables.values())
    entries = [entry for table in tables for entry in table.entries.values()]
    queued = [*l1._eviction._probation, *l1._eviction._main]
    assert len(set(map(id, entries))) == len(entries)
    assert {*map(id, queued)} == {*map(id, entries)}
    assert len(l1) == len(entries)
    assert l1.bytes_used == BLOCK_BYTES * sum(entry.blocks for entry in entries)
    indexed: dict[int, set[object]] = {}
    for tag in list(l1._index._entries):
        for entry in l1._index.of(tag):
            indexed.setdefault(id(entry), set()).add(tag)
    assert indexed == {id(entry): set(entry.tags) for entry in entries if entry.tags}
    for table in tables:
        for key, entry in table.entries.items():
            assert entry.key == key
            assert entry.table is table
