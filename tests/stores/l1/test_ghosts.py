"""What is remembered of evicted keys."""

from __future__ import annotations

from cacheaside.stores.l1.ghosts import MAIN, PROBATION, Ghosts


def hash_of(key: int) -> int:
    return hash(("t", key))


def test_remembers_where_a_key_came_from_and_forgets_it_with_the_answer() -> None:
    """A remembered key answers its queue once."""
    ghosts = Ghosts(100)
    ghosts.add(hash_of(1), PROBATION)
    ghosts.add(hash_of(2), MAIN)
    assert ghosts.take(hash_of(1)) == PROBATION
    assert ghosts.take(hash_of(2)) == MAIN
    assert ghosts.take(hash_of(1)) is None
    assert ghosts.take(hash_of(2)) is None


def test_an_empty_memory_knows_no_key() -> None:
    """Cells never written match nothing, not even a hash of zeros."""
    ghosts = Ghosts(10)
    assert ghosts.take(0) is None
    assert all(ghosts.take(hash_of(key)) is None for key in range(1000))


def test_remembers_most_of_the_last_keys_and_none_much_older() -> None:
    """Of the last `length` keys nearly all are remembered; of those before them none."""
    length = 2000
    ghosts = Ghosts(length)
    for key in range(3 * length):
        ghosts.add(hash_of(key), PROBATION)
    known = [key for key in range(3 * length) if ghosts.take(hash_of(key)) is not None]
    assert len([key for key in known if key >= 2 * length]) > 0.8 * length
    assert [key for key in known if key < 2 * length - length // 100] == []


def test_mistakes_few_keys_for_others() -> None:
    """A key never evicted is almost never taken for one that was."""
    ghosts = Ghosts(1000)
    for key in range(1000):
        ghosts.add(hash_of(key), MAIN)
    strangers = range(10_000, 60_000)
    assert sum(ghosts.take(hash_of(key)) is not None for key in strangers) < 20


def test_an_old_cell_does_not_come_to_life_when_the_time_wraps_around() -> None:
    """After more evictions than the stamp can count, a key of long ago is still forgotten."""
    ghosts = Ghosts(2)
    ghosts.add(hash_of(1), PROBATION)
    for key in range(2, 40_000):
        ghosts.add(hash_of(key), PROBATION)
    assert ghosts.take(hash_of(1)) is None
