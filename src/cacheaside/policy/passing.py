"""Hit-for-miss: how long a key whose value was not stored is loaded by whoever misses it, without a lease.

To wait for another process's load is of use only when that load leaves something behind. A key that yields nothing to
store would be loaded by one process after the other, each waiting for the one before (Varnish calls the same rule
hit-for-miss, and the trap it closes request serialisation).
"""

from __future__ import annotations

from collections.abc import Container
from typing import Final

from cacheaside.lookup import NotStored

__all__ = ["PASS_S", "passes_for_s"]

PASS_S: Final = 10.0
"""For a value that by its nature is not stored. It ends sooner when the key's value is stored after all: here; or, if
L1 holds what is fetched, in another process."""
FAILED_S: Final = 1.0
"""For a load that failed: it may well succeed when it is tried again."""
_BY_NATURE: Final[Container[NotStored | None]] = frozenset(
    (NotStored.CONTRACT, NotStored.TOO_LARGE, NotStored.TOO_MANY_TAGS, NotStored.UNSTORABLE)
)
"""Reasons that lie in the value. The others (a writer under way, a tag that moved, a server that is away) pass."""


def passes_for_s(not_stored: NotStored | None, *, failed: bool) -> float:
    """How long the key is to be passed; 0 when it is not."""
    if failed:
        return FAILED_S
    return PASS_S if not_stored in _BY_NATURE else 0.0
