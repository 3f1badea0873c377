"""A signal whose handler raises, at each point of a call at which one may come, one after the other."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

__all__ = ["at_every_point", "interrupts"]

_POINTS = frozenset(("call", "return", "c_return"))
"""Where the interpreter looks for signals: as a Python function begins, and after a call of one in C has returned. As
it returns from one in Python it does not; but it does right after, and nothing is done in between."""


class _Interrupted(BaseException):
    """What the handler raises."""


def at_every_point(call: Callable[[], Any]) -> Iterator[int]:
    """Call it again and again, interrupted at its first point, at its second, and so on until it ends first."""
    for point in count(1):
        if not interrupts(call, point):
            return
        yield point


def interrupts(call: Callable[[], Any], at: int) -> bool:
    """Call it, interrupted at its point of that number; False when it ends before."""
    passed = 0

    def look(_frame: object, event: str, _what: object) -> None:
        nonlocal passed
        passed += event in _POINTS
        if passed == at:
            passed += 1
            raise _Interrupted

    sys.setprofile(look)
    try:
        call()
    except _Interrupted:
        return True
    finally:
        sys.setprofile(None)
    return passed >= at
