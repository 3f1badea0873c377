"""The eviction policy: what it bounds, what it keeps, and that it counts right."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cacheaside.stores.l1.entry import BLOCK_BYTES, Entry, blocks_of, key_hash_of
from cacheaside.stores.l1.eviction import STEPS_MAX, Eviction


class Endpoint:
    """An endpoint's table as the policy knows it, with the dict that the store keeps.

    Its name is a number, because strings hash differently in each process.
    """

    def __init__(self, name: int = 1) -> None:
        self.name = name
        self.hits = 0
        self.leavers = None
        self.held: dict[object, Entry] = {}


class Cache:
    """The policy driven as the store drives it."""

    def __init__(self, entries: int, blocks: int = 10**9) -> None:
        self.eviction = Eviction(entries, blocks * BLOCK_BYTES)
        self.table = Endpoint()
        self.evicted: list[Entry] = []

    def fill(self, key: object, blocks: int = 1) -> Entry:
        entry = Entry(None, 1.0, key, self.table, 0.0, (), blocks)
        old = self.table.held.get(key)
        self.table.held[key] = entry
        if old is None:
            victims = self.eviction.insert(entry, key_hash_of(entry))
        else:
            victims = self.eviction.replace(old, entry)
        for victim in victims:
            del self.table.held[victim.key]
        self.evicted += victims
        return entry

    def read(self, key: object) -> bool:
        """True on a hit."""
        entry = self.table.held.get(key)
        if entry is None:
            self.fill(key)
            return False
        entry.hits += 1
        return True

    def reads(self, keys: Iterable[object]) -> int:
        return sum(self.read(key) for key in keys)

    def drop(self, key: object) -> None:
        self.eviction.remove(self.table.held.pop(key))

    def counted(self) -> int:
        return self.table.hits + sum(entry.hits for entry in self.table.held.values())


def test_holds_no_more_entries_than_its_capacity() -> None:
    """At no moment are there more entries than the capacity, and a full cache stays full."""
    cache = Cache(10)
    for key in range(100):
        cache.fill(key)
        assert len(cache.eviction) == len(cache.table.held) == min(key + 1, 10)


def test_holds_no_more_bytes_than_its_capacity() -> None:
    """Payload bytes stay within the budget, and are reported in whole blocks."""
    cache = Cache(1000, blocks=80)
    for key in range(100):
        cache.fill(key, blocks=1 + key % 10)
        assert cache.eviction.bytes_used == sum(e.blocks for e in cache.table.held.values()) * BLOCK_BYTES
        assert cache.eviction.bytes_used <= 80 * BLOCK_BYTES


@pytest.mark.parametrize(("blocks", "taken"), [(10, True), (11, False)])
def test_refuses_an_entry_larger_than_an_eighth_of_the_bytes(blocks: int, taken: bool) -> None:
    """An entry of up to an eighth of the byte budget is held; a larger one is handed back and disturbs
    nothing.
    """
    cache = Cache(1000, blocks=80)
    for key in range(8):
        cache.fill(key, blocks=8)
    entry = cache.fill("large", blocks=blocks)
    assert cache.eviction.accepts(blocks) is taken
    assert (entry not in cache.evicted) is taken
    if not taken:
        assert cache.evicted == [entry]
        assert len(cache.eviction) == 8


def test_a_refused_refill_takes_the_old_entry_with_it() -> None:
    """When a refill is too large, neither it nor the value it was to replace is held."""
    cache = Cache(1000, blocks=80)
    cache.fill("k", blocks=2)
    refill = cache.fill("k", blocks=11)
    assert cache.evicted == [refill]
    assert len(cache.eviction) == 0
    assert cache.eviction.bytes_used == 0


@given(capacity=st.integers(1, 6), data=st.data())
def test_a_new_entry_is_never_its_own_victim(capacity: int, data: st.DataObject) -> None:
    """Whatever is held and however hot it is, the entry just inserted stays: a hot new key never starves."""
    cache = Cache(capacity, blocks=capacity * 8)
    for key, hits, blocks in data.draw(
        st.lists(st.tuples(st.integers(0, 9), st.integers(0, 200), st.integers(1, capacity)), max_size=60)
    ):
        entry = cache.fill(key, blocks)
        assert cache.table.held[key] is entry
        entry.hits += hits


def test_a_key_read_again_survives_a_scan_longer_than_the_cache() -> None:
    """A scan of keys read once passes through probation; what was read twice stays."""
    cache = Cache(100)
    cache.reads(list(range(50)) * 2)
    cache.reads(range(1000, 2000))
    assert cache.reads(range(50)) >= 48


def test_what_is_no_longer_read_makes_room() -> None:
    """Keys that fit replace those nobody reads any more, even when each comes back too late for a ghost."""
    cache = Cache(100)
    for _ in range(50):
        cache.reads(range(90))
    for _ in range(100):
        cache.reads(range(1000, 1090))
    assert cache.reads(range(1000, 1090)) == 90


def test_popular_keys_take_over_at_once_when_popularity_moves() -> None:
    """However many hits the old keys had, new ones read often are held after a few reads."""
    cache = Cache(100)
    for _ in range(50):
        cache.reads(range(90))
    for _ in range(8):
        cache.reads([1000, 1001, 1002, *range(2000, 2010)])
    assert cache.reads([1000, 1001, 1002, *range(2000, 2010)]) == 13


@pytest.mark.parametrize("part", [0.1, 0.5, 0.8])
def test_a_loop_longer_than_the_cache_still_hits(part: float) -> None:
    """In a loop that does not fit, most of the cache is held on to, where LRU would never hit."""
    keys = 1000
    cache = Cache(int(keys * part))
    for _ in range(10):
        cache.reads(range(keys))
    assert cache.reads(range(keys)) >= 0.85 * keys * part


def test_a_key_that_comes_back_soon_is_held_on_to() -> None:
    """A key evicted from probation and asked for again soon is proven: it outlives the keys that came after
    it.
    """
    cache = Cache(100)
    cache.reads(range(200))
    again = [key for key in range(150) if key not in cache.table.held][-5:]
    cache.reads(again)
    cache.reads(range(1000, 1100))
    assert cache.reads(again) == 5


def test_a_refill_keeps_the_standing_of_its_key() -> None:
    """An entry refilled after its ttl takes over the hits of the old one, and outlives those never hit."""
    cache = Cache(20)
    cache.reads(range(20))
    cache.read(0)
    cache.read(0)
    refill = cache.fill(0)
    assert refill.hits == 2
    assert cache.counted() == 2
    cache.reads(range(100, 119))
    assert cache.table.held[0] is refill


def test_a_refill_of_an_entry_already_removed_is_an_insertion() -> None:
    """When the old entry was invalidated meanwhile, its refill is simply new."""
    cache = Cache(20)
    old = cache.fill("k")
    cache.eviction.remove(old)
    cache.fill("k")
    assert len(cache.eviction) == 1


def test_removal_is_idempotent() -> None:
    """Removing twice, or what was evicted, or what never was held, changes nothing."""
    cache = Cache(2)
    first = cache.fill(1)
    cache.drop(1)
    cache.eviction.remove(first)
    cache.eviction.remove(Entry(None, 1.0, 9, cache.table, 0.0))
    assert (len(cache.eviction), cache.eviction.bytes_used) == (0, 0)
    assert cache.reads([1, 2, 3]) == 0
    cache.eviction.remove(cache.evicted[0])
    assert len(cache.eviction) == 2


def test_clear_forgets_everything() -> None:
    """After clear nothing is held or counted, the hits are with the table, and entries can be held anew."""
    cache = Cache(10)
    cache.reads(list(range(30)) * 2 + [29] * 5)
    hits = cache.counted()
    cache.eviction.clear()
    assert (len(cache.eviction), cache.eviction.bytes_used) == (0, 0)
    assert cache.table.hits == hits
    cache.table.held.clear()
    cache.reads(range(10))
    assert len(cache.eviction) == 10


operations = st.lists(
    st.tuples(st.sampled_from("rrrrfd"), st.integers(0, 30), st.integers(1, 12)), min_size=1, max_size=300
)


@settings(max_examples=200)
@given(entries=st.integers(1, 20), blocks=st.integers(8, 100), work=operations)
def test_bounds_and_counts_hold_over_any_history(
    entries: int, blocks: int, work: list[tuple[str, int, int]]
) -> None:
    """Over any reads, refills and removals: both bounds hold, no entry is lost or doubled, no hit
    uncounted.
    """
    cache = Cache(entries, blocks)
    hits = 0
    for operation, key, size in work:
        if operation == "r":
            hits += cache.read(key)
        elif operation == "f":
            cache.fill(key, size)
        elif key in cache.table.held:
            cache.drop(key)
        held = cache.table.held.values()
        assert len(cache.eviction) == len(held) <= entries
        assert cache.eviction.bytes_used == sum(e.blocks for e in held) * BLOCK_BYTES <= blocks * BLOCK_BYTES
        assert cache.counted() == hits
    assert all(victim.before is None and victim.after is None for victim in cache.evicted)


def test_a_search_for_a_victim_has_a_bound() -> None:
    """When every entry was hit, an insertion still ends after a bounded number of steps, not one for each
    entry.
    """
    cache = Cache(10_000)
    cache.reads(range(10_000))
    for entry in cache.table.held.values():
        entry.hits = 3
    cache.fill("new")
    gone_round = sum(entry.hits != 3 for entry in cache.table.held.values()) - 1
    assert len(cache.evicted) == 1
    assert 0 < gone_round <= STEPS_MAX


def test_the_same_history_has_the_same_victims() -> None:
    """Neither clock nor chance: the same requests give the same victims."""
    keys = [key * key % 97 for key in range(1000)]
    first, second = Cache(20), Cache(20)
    first.reads(keys)
    second.reads(keys)
    assert [victim.key for victim in first.evicted] == [victim.key for victim in second.evicted] != []


def test_equal_keys_of_two_endpoints_are_told_apart() -> None:
    """The hash under which an evicted key is remembered includes its endpoint."""
    one, other = Endpoint(1), Endpoint(2)
    assert key_hash_of(Entry(None, 1.0, 7, one, 0.0)) != key_hash_of(Entry(None, 1.0, 7, other, 0.0))


@pytest.mark.parametrize(("size", "blocks"), [(0, 1), (1, 1), (64, 1), (65, 2), (6400, 100)])
def test_sizes_are_rounded_up_to_blocks(size: int, blocks: int) -> None:
    """A payload takes whole blocks, and at least one."""
    assert blocks_of(size) == blocks


def test_an_entry_and_its_share_of_the_policy_stay_small() -> None:
    """An entry with its collector header takes 112 bytes, and the ghosts at most 8 for each entry held."""
    cache = Cache(10_000)
    entry = cache.fill("k")
    assert sys.getsizeof(entry) == 112
    assert not hasattr(entry, "__dict__")
    cache.reads(range(20_000))
    ghosts = cache.eviction._ghosts
    assert ghosts is not None
    assert sys.getsizeof(ghosts._cells) <= 8 * 10_000


def test_a_cache_dropped_without_clearing_is_collected() -> None:
    """Entries and tables refer to each other; the garbage collector frees them when nobody else does."""
    gc.collect()
    before = sum(type(thing) is Entry for thing in gc.get_objects())
    cache = Cache(1000)
    cache.reads(range(2000))
    del cache
    gc.collect()
    assert sum(type(thing) is Entry for thing in gc.get_objects()) == before
