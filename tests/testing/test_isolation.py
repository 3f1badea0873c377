"""Isolation, switches and the pytest plugin."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from cacheaside import Cache, Contract, Served, ValueEncodingError
from cacheaside.testing import Clock, disabled, isolated, strict

pytest_plugins = ["cacheaside.testing.pytest_plugin", "pytester"]

PAGE = Path(__file__).parents[2] / "docs" / "testing.md"
BLOCK = re.compile(r"^```python\n(.*?)^```$", flags=re.MULTILINE | re.DOTALL)

cache = Cache(namespace="isolation")
WRONG: Any = "not an int"


@cache.read("value", Contract(ttl="60s", stale_after_invalidation="60s"))
def value(key: int) -> int:
    return key


@cache.read("broken", Contract(ttl="60s"))
def broken(key: int) -> int:
    return WRONG  # type: ignore[no-any-return]


def loads() -> int:
    return cache.stats().endpoints["value"].loads


def test_a_block_begins_and_ends_with_empty_caches() -> None:
    """Neither entries nor counters pass into the block or out of it, what is held on as outdated included."""
    value(1)
    with isolated():
        assert (cache.stats().entries, loads()) == (0, 0)
        value(1)
        value(1)
        value.invalidate(1)
        assert cache.stats().endpoints["value"].hits == 1
    stats = cache.stats()
    one = stats.endpoints["value"]
    assert (stats.entries, one.loads, one.hits, one.invalidations, one.fill.count) == (0, 0, 0, 0, 0)
    assert value.lookup(1).served is Served.LOADED


def test_a_block_gives_back_clock_and_switches() -> None:
    """What a test changed and did not change back is as it was after the block."""
    system = cache._host.clock.read
    with isolated():
        cache.disable()
        cache._use_clock(Clock().now)
        cache._be_strict(False)
        cache.control.kill("value")
    assert cache.enabled
    assert not cache.control.state().endpoints["value"].is_changed
    assert cache._host.clock.read is system
    assert not cache._host.strict
    value(1)
    assert value.lookup(1).served is Served.FRESH


def test_a_block_leaves_off_what_was_off() -> None:
    """A cache that was disabled before the block is disabled after it."""
    with disabled(cache):
        with isolated():
            cache.enable()
        assert not cache.enabled
    assert cache.enabled


def test_marks_of_writers_do_not_pass() -> None:
    """A bracket that a test never left does not keep the next test's values from being stored."""
    numbers = cache.tag("numbers", int)
    with isolated():
        cache.changing(numbers(1)).__enter__()
    assert cache._host._tier._marks == {}


def test_a_cache_made_inside_is_emptied_too() -> None:
    """Caches that a test makes and keeps carry nothing over either."""
    with isolated():
        made = Cache(namespace="made")

        @made.read("value", Contract(ttl="60s"))
        def made_value(key: int) -> int:
            return key

        made_value(1)
    assert made.stats().entries == 0
    assert made_value.lookup(1).served is Served.LOADED


def test_refreshes_of_a_test_end_with_it() -> None:
    """A refresh that a test began on a thread is over when the block is, and does not count for the next."""
    with isolated(), Clock().use(cache) as clock:

        @cache.read("gracious", Contract(ttl="60s", grace="60s"))
        def gracious(key: int) -> int:
            return key

        gracious(1)
        clock.advance("61s")
        gracious(1)
    assert cache._host.blocking_crew._background.busy == 0
    assert cache.stats().endpoints["gracious"].refreshes == 0


def test_strictness_is_inside_only() -> None:
    """A value that cannot be stored is an error inside of the block, and a line in the log outside."""
    with isolated():
        with pytest.raises(ValueEncodingError):
            broken(1)
        with strict(cache, on=False):
            assert broken(1) == WRONG
        with pytest.raises(ValueEncodingError):
            broken(1)
    assert broken(1) == WRONG
    with isolated(strict=False):
        assert broken(1) == WRONG


def test_disabled_goes_to_the_source_each_time() -> None:
    """Inside of the block nothing is served, stored or shared; after it what was held is served again."""
    with isolated():
        value(1)
        with disabled(cache):
            assert [value.lookup(1).served for _ in range(3)] == [Served.LOADED] * 3
            with disabled(cache):
                pass
            assert not cache.enabled
            value(2)
        assert value.lookup(1).served is Served.FRESH
        assert value.lookup(2).served is Served.LOADED
        assert loads() == 6


@pytest.mark.parametrize("turn", range(2))
def test_the_fixture_isolates(turn: int, isolated_caches: None) -> None:
    """With `isolated_caches` each test begins with nothing loaded or counted, whatever came before, and is strict."""
    assert loads() == 0
    value(1)
    assert loads() == 1
    with pytest.raises(ValueEncodingError):
        broken(1)


@pytest.mark.parametrize("turn", range(2))
def test_the_fixture_gives_every_cache_its_clock(turn: int, cache_clock: Clock) -> None:
    """With `cache_clock` a test moves the time of the caches that were there before it."""
    value(1)
    cache_clock.advance("30s")
    assert value.lookup(1).age_s == 30
    assert cache._host.clock.read == cache_clock.now


def test_the_clock_is_gone_after_its_fixture() -> None:
    """Nothing of `cache_clock` stays behind."""
    assert cache._host.clock.read.__name__ == "monotonic"


def test_the_page_of_the_guide_holds(pytester: pytest.Pytester) -> None:
    """Every test that docs/testing.md shows is run as its reader would run it, in one process and in several."""
    text = "\n\n".join(BLOCK.findall(PAGE.read_text(encoding="utf-8")))
    shown = text.count("\ndef test_") + text.count("\nasync def test_")
    assert shown >= 7
    pytester.makepyfile(test_page=text)
    pytester.runpytest_subprocess("-p", "no:asyncio", "-W", "error").assert_outcomes(passed=shown)
    pytester.runpytest_subprocess("-p", "no:asyncio", "-n", "2").assert_outcomes(passed=shown)
