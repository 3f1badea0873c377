"""This process's seat at each source whose limit processes share: how many there are, by keys that each keeps alive.

A seat is a key with an end, set by NX when it is free and by XX while it is held. Two may believe to hold one seat for
a moment: (1) a process reads its seat (2) is kept from running until the seat ends (3) another takes it (4) the first
sets it, as its own. At the next look one of them finds the other's name there, and takes another seat. Until then one
is not counted, and the share of each is a little too large: nothing relies on it, each limit's own ceiling holds.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from cacheaside.flow.ports import TierAway
from cacheaside.policy.sharing import SEATS, free_seat, share_of
from cacheaside.stores.redis.wire.names import seat_name
from cacheaside.stores.redis.wire.replies import Command

__all__ = ["Seats"]

BEAT_S: Final = 1.0
"""How often each seat is taken again, and the others are looked at."""
SEAT_MS: Final = 5_000
"""How long a seat is held that is not taken again."""


@dataclass(slots=True)
class _Table:
    names: tuple[str, ...]
    shared: int
    tell: Callable[[int], None]


class Seats:
    """Thread-safe; `turn` is for one thread.

    execute: what the server replies to commands; raises `TierAway`. pace: the time, in seconds. names: a new name for
    this process, unlike any other's.
    """

    def __init__(
        self,
        namespace: str,
        execute: Callable[[Sequence[Command]], list[Any]],
        pace: Callable[[], float],
        names: Callable[[], bytes],
    ) -> None:
        self._namespace = namespace
        self._execute = execute
        self._pace = pace
        self._names = names
        self._tables: list[_Table] = []
        self._due = float("-inf")
        self.forget()

    def add(self, source: str, shared: int, tell: Callable[[int], None]) -> None:
        """Have a seat at `source`, whose processes may have `shared` together; `tell` is told the share of this one,
        whenever it was looked."""
        names = tuple([seat_name(self._namespace, source, number) for number in range(SEATS)])
        with self._lock:
            self._tables.append(_Table(names, shared, tell))

    def turn(self) -> None:
        """Take the seats again, if it is time. Where the server does not answer, shares stay what they are."""
        now = self._pace()
        if not self._tables or now < self._due:
            return
        self._due = now + BEAT_S
        with self._lock:
            tables = tuple(self._tables)
        for table in tables:
            try:
                self._sit(table)
            except TierAway:
                return

    def forget(self) -> None:
        """After a fork: the seats are the parent's."""
        self._lock = threading.Lock()
        self._own = self._names()
        self._due = float("-inf")

    def _sit(self, table: _Table) -> None:
        seats = self._look(table)
        if seats is None:
            return
        if self._own in seats:
            self._take(table, seats.index(self._own), "XX")
        else:
            free = free_seat(seats, int.from_bytes(self._own[-2:], "big") % SEATS)
            if free is not None:
                self._take(table, free, "NX")
                seats = self._look(table) or seats
        table.tell(share_of(table.shared, seats, self._own))

    def _look(self, table: _Table) -> list[bytes | None] | None:
        (values,) = self._execute([("MGET", *table.names)])
        if type(values) is not list or len(values) != SEATS:
            return None  # an error of the server's, such as a command that it does not allow
        return values

    def _take(self, table: _Table, number: int, when: str) -> None:
        self._execute([("SET", table.names[number], self._own, when, "PX", str(SEAT_MS))])
