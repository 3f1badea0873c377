"""L1: what is kept, what is not, and that its parts agree."""

from __future__ import annotations

from typing import Any

import pytest

from cacheaside import Cache, Contract, Served
from cacheaside.flow.blocking import run_blocking
from cacheaside.stores.l1.entry import Entry
from cacheaside.stores.l1.store import HARVESTED_AT_ONCE
from cacheaside.stores.l1.table import PASSING_MAX, RETRIES_MAX, RETRY_AFTER_S, Table
from cacheaside.tally import Tally
from tests.stores.l1.agreement import assert_agreement


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
    cache = Cache(namespace="l1")
    cache._use_clock(clock.now)
    return cache


@pytest.fixture
def value(cache: Cache) -> Any:
    numbers = cache.tag("numbers", int)

    @cache.read("value", Contract(ttl="60s", jitter=0), tags=lambda key: [numbers(key % 3)])
    def value(key: int) -> str:
        return str(key)

    value.numbers = numbers  # type: ignore[attr-defined]
    return value


def l1(cache: Cache) -> Any:
    return cache._host.l1


def test_an_invalidated_tag_takes_all_its_entries_and_no_other(cache: Cache, value: Any) -> None:
    """What is computed from a tag goes with it, all of it, and nothing else does."""
    for key in range(12):
        value(key)
    cache.blocking.invalidate(value.numbers(1))
    assert {key for key in range(12) if key in cache._host.endpoints["value"].table.entries} == {
        key for key in range(12) if key % 3 != 1
    }
    assert_agreement(l1(cache))


def test_a_full_store_evicts_and_its_parts_still_agree(clock: Hands) -> None:
    """Beyond its capacity L1 drops entries out of table, index and byte count alike, and counts them."""
    cache = Cache(namespace="small", l1_entries=10, l1_bytes="64KiB")
    numbers = cache.tag("numbers", int)

    @cache.read("value", Contract(ttl="60s"), tags=lambda key: [numbers(key % 5)])
    def value(key: int) -> str:
        return "x" * (key * 7 % 2_000)

    for key in range(300):
        value(key)
        if key % 10 == 9:
            cache.blocking.invalidate(numbers(key % 5))
        if key % 25 == 0:
            assert_agreement(cache._host.l1)
    stats = cache.stats()
    assert stats.entries <= 10
    assert stats.bytes_used <= 64 * 1024
    assert stats.endpoints["value"].evicted > 200
    assert_agreement(cache._host.l1)


def test_a_value_too_large_for_the_store_is_returned_and_not_kept(clock: Hands) -> None:
    """An entry that would take an eighth of the byte budget is refused, and what it would replace goes."""
    cache = Cache(namespace="small", l1_bytes="8KiB")
    size = 10

    @cache.read("value", Contract(ttl="60s"))
    def value(key: int) -> str:
        return "x" * size

    assert value.lookup(1).stored
    size = 5_000
    found = value.lookup(2)
    assert (len(found.value), found.stored, found.not_stored) == (5_000, False, "too_large")
    value.refresh(1)
    assert len(value(1)) == 5_000  # what was held before is not served on
    assert_agreement(cache._host.l1)


def test_an_older_load_does_not_replace_a_younger_one(cache: Cache, value: Any, clock: Hands) -> None:
    """Of two loads of a key the one that began later stays, whichever ends first."""
    host = cache._host
    call = host.endpoints["value"].call((1,))
    value(1)
    record = run_blocking(host._tier.fetch(call))
    assert record is not None
    clock.at += 5
    value.refresh(1)
    assert host.l1.keep(call, record, host.ports.heard.position()) is None
    assert value.lookup(1).age_s == 0
    assert_agreement(host.l1)


def test_what_changed_since_is_not_kept(cache: Cache, value: Any) -> None:
    """A record that was on its way while one of its tags changed does not enter L1."""
    host = cache._host
    call = host.endpoints["value"].call((1,))
    value(1)
    record = run_blocking(host._tier.fetch(call))
    assert record is not None
    since = host.ports.heard.position()
    cache.blocking.invalidate(value.numbers(1))
    assert host.l1.keep(call, record, since) == "moved"
    assert value.lookup(1).served is Served.LOADED


def test_an_invalidation_in_the_middle_of_keeping_is_not_missed(
    cache: Cache, value: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What invalidates on the thread that is keeping, as a signal handler may, finds the entry though half placed."""
    host = cache._host
    original = host.l1._eviction.insert

    def interrupted(entry: Any, key_hash: int) -> Any:
        cache.blocking.invalidate(value.numbers(1))
        return original(entry, key_hash)

    with monkeypatch.context() as patch:
        patch.setattr(host.l1._eviction, "insert", interrupted)
        found = value.lookup(1)
    assert (found.value, found.stored) == ("1", False)
    assert len(host.l1) == 0
    assert_agreement(host.l1)


def test_dropping_removes_the_value_itself(cache: Cache, value: Any) -> None:
    """`purge` leaves neither entry nor index nor bytes of what it removes."""
    value(1)
    value.purge(1)
    assert (len(l1(cache)), l1(cache).bytes_used, len(l1(cache)._index)) == (0, 0, 0)
    assert_agreement(l1(cache))


def test_clearing_forgets_everything(cache: Cache, value: Any) -> None:
    """After `clear` L1 is as new, what is kept for stale_after_invalidation included, and hits stay counted."""

    @cache.read("held_on", Contract(ttl="60s", stale_after_invalidation="60s"))
    def held_on(key: int) -> int:
        return key

    for key in range(5):
        value(key)
        value(key)
        held_on(key)
    held_on.invalidate(1)
    hits = cache.stats().endpoints["value"].hits
    cache._host.l1.clear()
    assert (len(l1(cache)), l1(cache).bytes_used, len(l1(cache)._index)) == (0, 0, 0)
    assert held_on.lookup(1).served is Served.LOADED
    assert cache.stats().endpoints["value"].hits == hits
    assert_agreement(l1(cache))


def test_the_namespaces_tag_takes_everything(cache: Cache, value: Any) -> None:
    """Invalidating all leaves no entry of any endpoint to be served."""

    @cache.read("other", Contract(ttl="60s"))
    def other(key: int) -> int:
        return key

    value(1)
    other(1)
    cache.blocking.invalidate_all()
    assert len(l1(cache)) == 0
    assert_agreement(l1(cache))


def test_an_outdated_value_stays_only_as_long_as_its_contract_says(cache: Cache, clock: Hands) -> None:
    """With stale_after_invalidation an invalidated value is held, served as outdated, and then no more."""
    numbers = cache.tag("numbers", int)

    @cache.read("value", Contract(ttl="60s", stale_after_invalidation="30s"), tags=lambda key: [numbers(key)])
    def value(key: int) -> int:
        return key

    value(1)
    cache.blocking.invalidate(numbers(1))
    assert value.lookup(1).served is Served.OUTDATED
    clock.at += 31
    assert value.lookup(1).served in (Served.LOADED, Served.FRESH)
    cache.close()
    assert_agreement(l1(cache))


def test_a_hit_leaves_the_fast_path_once_a_second(cache: Cache, value: Any, clock: Hands) -> None:
    """An entry's age is sampled at most once a second, however often it is hit."""
    value(1)
    for _ in range(100):
        value(1)
    assert cache.stats().endpoints["value"].age_at_serve.count == 0
    for _ in range(5):
        clock.at += 1.0
        for _ in range(100):
            value(1)
    stats = cache.stats().endpoints["value"]
    assert stats.age_at_serve.count == 5
    assert stats.hits == 600


def test_retries_are_bounded() -> None:
    """What is remembered of failed refreshes does not grow with the number of keys that fail."""
    table = Table("t", Contract(ttl="60s").terms, Tally(), absent=None, absent_is_slow=False)
    for key in range(RETRIES_MAX * 2 + 5):
        table.delay(key, RETRY_AFTER_S, "ConnectionError")
        assert len(table.retries) <= RETRIES_MAX
    assert RETRIES_MAX * 2 + 4 in table.retries


def test_a_refill_ends_the_delay_of_its_key(cache: Cache, clock: Hands) -> None:
    """Once a key was loaded again, its next refresh is not delayed by the failure before."""
    fails = False

    @cache.read("value", Contract(ttl="60s", grace="5m", jitter=0))
    def value(key: int) -> int:
        if fails:
            raise ConnectionError("down")
        return key

    value(1)
    host = cache._host
    call = host.endpoints["value"].call((1,))
    host.l1.delay_refresh(call, "ConnectionError")
    assert host.l1.refresh_delayed(call) == "ConnectionError"
    value.refresh(1)
    assert host.l1.refresh_delayed(call) is None
    assert host.endpoints["value"].table.retries == {}


def test_when_anything_may_have_changed_only_what_may_be_outdated_stays(cache: Cache, value: Any) -> None:
    """After a server was flushed nothing held counts as valid, what is under way is not kept, and what its contract
    lets be served outdated is served so."""

    @cache.read("kept", Contract(ttl="60s", stale_after_invalidation="30s"))
    def kept(key: int) -> str:
        return str(key)

    value(1)
    kept(1)
    before = l1(cache).log.number
    l1(cache).changed_all()
    call = cache._host.endpoints["value"].call((1,))
    assert l1(cache).find(call) is None
    assert not l1(cache).log.unchanged(call.tags, before)
    assert kept.lookup(1).served is Served.OUTDATED
    assert_agreement(l1(cache))


def test_keys_that_leave_nothing_to_store_are_remembered_up_to_a_bound(cache: Cache, value: Any) -> None:
    """The last of them are, each for its time, and no more of them than that."""
    endpoint = cache._host.endpoints["value"]
    calls = [endpoint.call((key,)) for key in range(PASSING_MAX + 10)]
    for call in calls:
        l1(cache).pass_by(call, 5.0)
    assert len(endpoint.table.passing) == PASSING_MAX
    assert [l1(cache).passes(call) for call in (calls[0], calls[9], calls[10], calls[-1])] == [
        False, False, True, True,
    ]  # fmt: skip


def test_a_key_is_passed_for_its_time_and_no_longer_than_until_it_is_kept(
    cache: Cache, clock: Hands, value: Any
) -> None:
    """It ends by itself, and sooner when a value is kept."""
    one, two = (cache._host.endpoints["value"].call((key,)) for key in (1, 2))
    l1(cache).pass_by(one, 5.0)
    l1(cache).pass_by(two, 5.0)
    value(2)
    assert (l1(cache).passes(one), l1(cache).passes(two)) == (True, False)
    clock.at += 5.0
    assert not l1(cache).passes(one)


def test_all_may_be_forgotten_in_the_midst_of_a_harvest(cache: Cache, value: Any) -> None:
    """Each hit is counted once, and given to one harvest once: also those of entries that it was about to look at."""
    reads = 100
    table = cache._host.endpoints["value"].table
    list(l1(cache).harvest(table))
    keys = 2 * HARVESTED_AT_ONCE
    for key in range(keys):
        for _ in range(reads):
            value(key)
    hits = l1(cache).hits(table)
    harvest = l1(cache).harvest(table)
    given = [next(harvest)]
    l1(cache).clear()
    given += list(harvest)
    given += list(l1(cache).harvest(table))
    assert l1(cache).hits(table) == hits == keys * (reads - 1)
    assert len(given) == len(dict(given)) == keys


def test_other_terms_count_also_where_something_is_invalidated_meanwhile(cache: Cache, value: Any) -> None:
    """A signal's handler, or a finaliser, may invalidate on the very thread that goes through what is held."""

    class Interrupting(Entry):
        __slots__ = ()

        @property
        def until(self) -> float:  # type: ignore[override]
            l1(cache).changed(of_another)
            found: float = Entry.until.__get__(self)  # type: ignore[attr-defined]
            return found

        @until.setter
        def until(self, until: float) -> None:
            Entry.until.__set__(self, until)  # type: ignore[attr-defined]

    for key in range(6):
        value(key)
    table = cache._host.endpoints["value"].table
    of_another = table.entries[1].tags
    table.entries[0].__class__ = Interrupting
    l1(cache).judge_by(table, table.terms)
    table.entries[0].__class__ = Entry
    assert [(key, entry.until) for key, entry in table.entries.items()] == [
        (key, 0.0) for key in (0, 2, 3, 5)
    ]
    assert_agreement(l1(cache))
