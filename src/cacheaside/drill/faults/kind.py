"""What every fault is to a drill: begun, ended, and able to show that it happened."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from cacheaside.drill.journal import Undo

__all__ = ["CannotDrill", "Evidence", "Fault"]


class CannotDrill(Exception):
    """This drill cannot be done there. Says why, and what to do; nothing was touched."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What shows whether a fault happened."""

    happened: bool
    said: str


class Fault(Protocol):
    """One fault. `begin` and `end` block, and are called on a thread.

    undo: what would put right what `begin` does if this process died meanwhile; None: it ends with the process, or
    leaves nothing to put right. Written down before `begin`.
    """

    def undo(self) -> Undo | None: ...

    def begin(self) -> None: ...

    def halt(self) -> None:
        """Called while `begin` runs, from another thread: go no further."""

    def end(self) -> None:
        """Put everything right. Safe when `begin` failed half way, and a second time."""

    def evidence(self) -> list[Evidence]:
        """After the end."""
