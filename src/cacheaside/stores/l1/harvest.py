"""The hits that entries counted since they were last looked at: what heat is made of, at no cost to a hit."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Iterator
from typing import Final

from cacheaside.stores.l1.table import Table

__all__ = ["LEAVERS_MAX", "harvest", "start_harvest"]

LEAVERS_MAX: Final = 4096
"""Keys a table whose entries went since the last harvest, and had been hit; of more than that the last are kept."""


def start_harvest(table: Table) -> None:
    """Keep the hits of entries that go, too, from now on."""
    if table.leavers is None:
        table.leavers = deque(maxlen=LEAVERS_MAX)


def harvest(table: Table) -> Iterator[tuple[Hashable, int]]:
    """Keys with the hits that their entries counted since the last harvest, once each; keys without any are left out.

    Without the lock of the store, for one thread at a time. Hits go on meanwhile, and write another field. Entries age
    meanwhile: (1) an entry's hits are read (2) the policy takes some off, and as many off `harvested` (3) what was new
    is added to `harvested`, not what was read put there: the difference of the two stays what is not counted.
    """
    leavers = table.leavers
    while leavers:
        try:
            key, hits = leavers.popleft()
        except IndexError:  # a clear was first
            break
        yield key, hits
    for entry in list(table.entries.values()):
        new = entry.hits - entry.harvested
        if new > 0:
            entry.harvested += new
            yield entry.key, new
