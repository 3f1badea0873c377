"""Warm-up: which keys mattered, kept in a file, and read again before there is traffic. Start at `warming.py`."""

from cacheaside.warm.report import Progress, Warmed

__all__ = ["Progress", "Warmed"]
