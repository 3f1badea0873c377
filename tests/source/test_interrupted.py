"""Loads that a signal's handler ends, wherever it strikes: the thread is inside of none afterwards."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from functools import partial
from types import FrameType
from typing import Any

import pytest

from cacheaside import Admission, Cache, Contract
from cacheaside.source import footing, limit, loads, nest
from cacheaside.source.nest import scope

FILES = frozenset(one.__file__ for one in (footing, limit, loads, nest))


class Interrupted(BaseException):
    """What the handler raises."""


@pytest.fixture
def cache() -> Iterator[Cache]:
    yield Cache(namespace="interrupted")
    scope.set(None)


def interrupted_at(number: int, call: Callable[[], object]) -> bool:
    """Whether `call` got so far: an exception is raised at that one of the moments at which the interpreter looks for
    signals, as far as they lie in these files: a function is entered, or one that is written in C returns."""
    seen = 0

    def look(frame: FrameType, event: str, _: Any) -> None:
        nonlocal seen
        if event in ("call", "c_return") and frame.f_code.co_filename in FILES:
            seen += 1
            if seen == number:
                raise Interrupted

    before = sys.getprofile()
    sys.setprofile(look)
    try:
        call()
    except Interrupted:
        return True
    finally:
        sys.setprofile(before)
    return False


@pytest.mark.parametrize("depth", ["alone", "inside another"])
def test_an_interrupted_load_leaves_no_thread_inside(cache: Cache, depth: str) -> None:
    """Wherever a load is interrupted, the reads of its thread are ordinary ones again, and hits are fast."""

    @cache.read("inner", Contract("60s"))
    def inner(key: int) -> int:
        return key

    @cache.read("outer", Contract("60s"))
    def outer(key: int) -> int:
        return inner(key)

    read = inner if depth == "alone" else outer
    inner(-1)
    number = 1
    while interrupted_at(number, partial(read, number)):
        assert cache._host.blocking_ports.loads.nest() is None, f"interrupted at moment {number}"
        assert inner(-1) == -1
        assert scope.get() is None
        number += 1
    assert number > 10, "moments were found"
    assert read(number) == number


@pytest.mark.parametrize("depth", ["alone", "inside another"])
def test_an_interrupted_load_takes_no_turn_with_it(cache: Cache, depth: str) -> None:
    """Wherever a load is interrupted, its source has as many turns as before: with two of them, a hundred
    interruptions leave two, and no weight is counted that nobody holds."""
    source = cache.source(
        "db", open=contextlib.nullcontext, limit=Admission(2, adaptive=False), timeout="10s"
    )

    @cache.read("inner", Contract("60s"), source=source)
    def inner(resource: None, key: int) -> int:
        return key

    @cache.read("outer", Contract("60s"), source=source)
    def outer(resource: None, key: int) -> int:
        return inner(key)

    read = inner if depth == "alone" else outer
    number = 1
    while interrupted_at(number, partial(read, number)):
        number += 1
        assert inner(-number) == -number
        assert source.limit.held <= 2
    assert number > 50, "moments were found"
    first, second = source.limit.ask(_hears), source.limit.ask(_hears)
    assert first.granted
    assert second.granted
    assert (source.limit.held, source.limit.holders, len(source.limit)) == (2, 2, 0)


def _hears() -> bool:
    return True
