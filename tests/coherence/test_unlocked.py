"""What is read without the lock, while another thread changes it."""

from __future__ import annotations

import math
from typing import Any

from cacheaside.coherence.hearing import Hearing
from cacheaside.types import TagId
from tests.coherence.near import Near


class Overtaken(dict[str, float]):
    """What was heard from each node; another thread begins anew just after somebody looked for who is there."""

    def __init__(self, hearing: Hearing, **nodes: float) -> None:
        super().__init__(nodes)
        self._hearing = hearing

    def keys(self) -> Any:
        found = frozenset(super().keys())
        self._hearing.restart()
        self._hearing.expect(("other",))
        return found


def test_how_far_was_heard_can_be_read_without_the_lock() -> None:
    """Stats are read while the fleet changes, and are of before or of after, never an error."""

    class Clock:
        def now(self) -> float:
            return 1000.0

    near: Any = Near()
    hearing = Hearing(
        near, Clock(), (), lambda until: None, everything=TagId("shop:tag~%2A:"), max_unsynced_s=2.0
    )
    hearing.expect(("one",))
    hearing.listening("one")
    hearing.synced("one", 999.0)
    hearing._synced = Overtaken(hearing, one=999.0)
    assert hearing.synced_through == 999.0
    assert hearing.synced_through == -math.inf
