"""L1: the values that this process holds."""

from cacheaside.stores.l1.entry import Entry
from cacheaside.stores.l1.store import L1
from cacheaside.stores.l1.table import Table

__all__ = ["L1", "Entry", "Table"]
