"""Until when L1 may answer by itself."""

from __future__ import annotations

import math
from typing import Final

__all__ = ["Gate"]


class Gate:
    """One float that every hit compares with the clock: 0.0 sends all reads the slow way."""

    __slots__ = ("until",)
    OPEN: Final = math.inf

    def __init__(self) -> None:
        self.until: float = self.OPEN
