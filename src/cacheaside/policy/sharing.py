"""What one process may use of a limit that processes share: how many there are, and which of them it is.

Each holds one of a fixed number of seats, which it has to keep taking; whoever stops loses it. No clock is compared and
nothing is counted on a server: the seats that are taken are the processes there are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

__all__ = ["SEATS", "free_seat", "share_of"]

SEATS: Final = 256
"""Processes that can share one limit; further ones take the least share, and are not counted."""


def share_of(shared: int, seats: Sequence[bytes | None], own: bytes) -> int:
    """The share of the process `own` in `shared`, as even as whole numbers allow: over all that are seated it is no
    more than `shared`, but for one each where there are more of them than that.

    One that has no seat, since its server took nothing from it, counts itself all the same.
    """
    taken = [seat for seat in seats if seat is not None]
    if own in taken:
        rank, processes = taken.index(own), len(taken)
    else:
        rank, processes = len(taken), len(taken) + 1
    each, left = divmod(shared, processes)
    return max(1, each + (rank < left))


def free_seat(seats: Sequence[bytes | None], begin: int) -> int | None:
    """The first seat that nobody has, from `begin` on and round; None when all are taken."""
    count = len(seats)
    return next((at % count for at in range(begin, begin + count) if seats[at % count] is None), None)
