"""The kernel's monotonic clock, read at each call; a test's clock can take its place."""

from __future__ import annotations

import time
from collections.abc import Callable

__all__ = ["SystemClock"]


class SystemClock:
    """Implements `flow.ports.Clock`. `read` is what the hit path calls directly."""

    __slots__ = ("read",)

    def __init__(self, read: Callable[[], float] = time.monotonic) -> None:
        self.read = read

    def now(self) -> float:
        """Seconds."""
        return self.read()
