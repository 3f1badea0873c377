"""Until when L1 may answer by itself (docs/protocol.md, R21)."""

from __future__ import annotations

import math
from typing import Final

__all__ = ["Gate"]


class Gate:
    """One float that every hit compares with the clock: 0.0 sends all reads the slow way.

    Open without end where nobody else writes; with a shared tier, as long as all that was acknowledged has been heard.
    Not before it is told so, and not while switched off.
    """

    __slots__ = ("_heard_until", "_is_on", "until")
    OPEN: Final = math.inf

    def __init__(self, heard_until: float = OPEN) -> None:
        self._heard_until = heard_until
        self._is_on = True
        self.until = heard_until

    def open_until(self, moment: float) -> None:
        """All that was acknowledged is known to have been heard, for as long as that counts: until `moment`."""
        self._heard_until = moment
        if self._is_on:
            self.until = moment

    def switch(self, *, on: bool) -> None:
        """Let L1 answer, or not, whatever was heard."""
        self._is_on = on
        self.until = self._heard_until if on else 0.0
