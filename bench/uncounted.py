"""What counting costs a hit: the same generated function without it."""

from __future__ import annotations

import linecache
from collections.abc import Callable
from typing import Any

from bench.interleaved import require

__all__ = ["without_counting"]

COUNTING = "        _e.hits += 1\n"


def without_counting(f: Callable[..., Any]) -> Callable[..., Any]:
    """The function that was generated for `f`, less the line that counts its hits."""
    lines = linecache.getlines(f.__code__.co_filename)
    require(lines.count(COUNTING) == 1, f"a generated hit counts in {lines.count(COUNTING)} lines: {lines}")
    names = dict(f.__globals__)
    exec("".join(line for line in lines if line != COUNTING), names)
    uncounted: Callable[..., Any] = names[f.__name__]
    return uncounted
