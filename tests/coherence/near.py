"""L1 as far as hearing changes it, for tests."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

from cacheaside.coherence.log import ChangeLog
from cacheaside.types import TagId

__all__ = ["Near"]


class Near:
    """As L1, of which only the log is real: what it drops is written down."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.log = ChangeLog()
        self.dropped: list[Any] = []

    def changed(self, tags: Sequence[TagId], calls: Sequence[object] = ()) -> None:
        self.log.record(tags)
        self.dropped.append(tuple(tags))

    def changed_all(self) -> None:
        self.log.forget_all()
        self.dropped.append("all")

    def clear(self) -> None:
        self.log.forget_all()
        self.dropped.append("all")
