"""Who has something to let go of in a child made by fork."""

from __future__ import annotations

import os
import weakref
from typing import Final, Protocol

__all__ = ["Forked", "mend_after_fork"]


class Forked(Protocol):
    """Holds connections, locks or threads, of which a child inherits only the look."""

    def begin_as_child(self) -> None:
        """Have none of them. Runs in the child, before anything else and in its only thread; takes no lock."""


_known: Final[weakref.WeakSet[Forked]] = weakref.WeakSet()


def mend_after_fork(one: Forked) -> None:
    """From now on `one` is told in every child, for as long as it is alive."""
    _known.add(one)


def _mend() -> None:
    for one in list(_known):
        one.begin_as_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_mend)
