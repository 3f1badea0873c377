"""Chance: for pauses and lifetimes in which processes are not to keep step."""

from __future__ import annotations

from collections.abc import Callable
from random import SystemRandom
from typing import Final

__all__ = ["chance"]

chance: Final[Callable[[], float]] = SystemRandom().random
"""From 0.0 to below 1.0, from the system: no `random.seed` of a program decides it, nothing is taken from the program's
own sequence, and children made by fork draw apart."""
