"""The embedded tier: generations, marks and their expiry, in this process alone."""

from __future__ import annotations

from typing import Any

import pytest

from cacheaside import Cache, Contract
from cacheaside.flow.blocking import run_blocking
from cacheaside.types import TagId

A, B = TagId("a"), TagId("b")


class Hands:
    """A clock that stands where it is put."""

    def __init__(self) -> None:
        self.at = 1000.0

    def now(self) -> float:
        return self.at


@pytest.fixture
def clock() -> Hands:
    return Hands()


@pytest.fixture
def cache(clock: Hands) -> Cache:
    cache = Cache(namespace="embedded", commit_timeout="30s")
    cache._use_clock(clock.now)
    return cache


@pytest.fixture
def tier(cache: Cache) -> Any:
    return cache._host._tier


@pytest.fixture
def heard(cache: Cache) -> Any:
    return cache._host.ports.heard


def test_a_generation_changes_with_each_change_and_never_comes_back(tier: Any, heard: Any) -> None:
    """A stamp equals the current generations exactly as long as nothing changed."""
    seen = set()
    for _ in range(5):
        (generation,) = run_blocking(tier.stamp([A])).generations
        assert run_blocking(tier.stamp([A])).generations == (generation,)
        assert generation not in seen
        seen.add(generation)
        heard.hear([A])


def test_a_change_of_one_tag_leaves_the_others(tier: Any, heard: Any) -> None:
    """Generations are each tag's own."""
    before = run_blocking(tier.stamp([A, B])).generations
    heard.hear([A])
    after = run_blocking(tier.stamp([A, B])).generations
    assert after[0] != before[0]
    assert after[1] == before[1]


def test_writers_are_told_apart(tier: Any) -> None:
    """A tag is marked as long as any of its writers is under way; releasing one clears no other's mark."""
    run_blocking(tier.enlist([A, B], "one", 30.0))
    run_blocking(tier.enlist([A], "two", 30.0))
    run_blocking(tier.release([A, B], "one"))
    assert run_blocking(tier.writers([A, B])) == {A}
    run_blocking(tier.release([A], "one"))
    assert run_blocking(tier.writers([A, B])) == {A}
    run_blocking(tier.release([A], "two"))
    assert run_blocking(tier.writers([A, B])) == frozenset()
    assert tier._marks == {}


def test_a_mark_expires_and_its_expiry_counts_as_a_change(tier: Any, heard: Any, clock: Hands) -> None:
    """A writer that never comes back holds its tags no longer than told; what was loaded under it is not kept."""
    run_blocking(tier.enlist([A], "lost", 30.0))
    since = heard.position()
    stamp = run_blocking(tier.stamp([A, B])).generations
    clock.at += 29
    assert run_blocking(tier.writers([A])) == {A}
    clock.at += 1
    run_blocking(heard.sync())
    assert run_blocking(tier.writers([A])) == frozenset()
    assert not heard.still([A], since)
    assert heard.still([B], since)
    assert run_blocking(tier.stamp([A])).generations[0] != stamp[0]


def test_a_renewed_mark_lives_on(tier: Any, clock: Hands) -> None:
    """A writer that enlists again is counted from then on."""
    run_blocking(tier.enlist([A], "slow", 30.0))
    clock.at += 20
    run_blocking(tier.enlist([A], "slow", 30.0))
    clock.at += 20
    assert run_blocking(tier.writers([A])) == {A}


def test_after_a_writer_that_died_values_are_stored_again(cache: Cache, clock: Hands) -> None:
    """A bracket that is never left stops storing for the commit timeout and no longer, and leaves nothing stale."""
    numbers = cache.tag("numbers", int)
    row = 1

    @cache.read("value", Contract(ttl="10m"), tags=lambda key: [numbers(key)])
    def value(key: int) -> int:
        return row

    assert value(1) == 1
    cache.changing(numbers(1)).__enter__()  # and the process that did this is gone
    assert value.lookup(1).not_stored == "writer"
    row = 2
    assert value(1) == 2
    clock.at += 30
    assert value.lookup(1).stored
    assert value(1) == 2


def test_what_l1_holds_is_served_to_loads_with_a_stamp_of_now(cache: Cache, tier: Any) -> None:
    """`fetch` gives the entry that L1 holds together with the current generation of every tag it depends on."""
    numbers, parities = cache.tag("numbers", int), cache.tag("parities", int)

    @cache.read(
        "value",
        Contract(ttl="60s"),
        tags=lambda key: [numbers(key)],
        value_tags=lambda value: [parities(value % 2)],
    )
    def value(key: int) -> int:
        return key

    value(3)
    call = cache._host.endpoints["value"].call((3,))
    record = run_blocking(tier.fetch(call))
    assert record is not None
    assert set(record.tags) == {*call.tags, parities(1).id}
    assert record.generations == run_blocking(tier.stamp(record.tags)).generations
    cache.blocking.invalidate(parities(1))
    assert run_blocking(tier.fetch(call)) is None


def test_get_or_load_is_held_to_the_tags_of_each_call(cache: Cache) -> None:
    """A value that was stored under other tags than a call names is not served to it: it would not fall with them."""
    first, second = cache.tag("first"), cache.tag("second")
    contract = Contract(ttl="60s")
    loads: list[int] = []

    def load() -> int:
        loads.append(1)
        return len(loads)

    def read(*tags: Any) -> int:
        return cache.blocking.get_or_load("key", load, contract, type=int, tags=tags)

    assert (read(first()), read(first())) == (1, 1)
    assert (read(second()), read(second())) == (2, 2)
    cache.blocking.invalidate(second())
    assert read(second()) == 3
    assert (read(), read()) == (3, 3)
