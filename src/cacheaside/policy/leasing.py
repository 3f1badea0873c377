"""How long a lease lasts, and how long those wait who did not get it."""

from __future__ import annotations

from typing import Final

__all__ = ["LEASE_MIN_S", "lease_s", "patience_s"]

LEASE_MIN_S: Final = 1.0
_LOADS_A_LEASE: Final = 4.0
_LEASES_WAITED: Final = 2.0


def lease_s(mean_load_s: float, timeout_s: float) -> float:
    """How long one process may keep the others from loading a key: several loads as they usually are, and no longer
    than a load may take. What a holder that died costs the others is what is left of it."""
    return min(max(LEASE_MIN_S, _LOADS_A_LEASE * mean_load_s), timeout_s)


def patience_s(lease: float, timeout_s: float) -> float:
    """How long a process waits for others before it loads by itself, lease or no lease."""
    return min(_LEASES_WAITED * lease, timeout_s / 2)
