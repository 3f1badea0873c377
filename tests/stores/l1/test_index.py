"""The reverse index: from a tag to exactly the entries that carry it."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from cacheaside.stores.l1.entry import Entry
from cacheaside.stores.l1.index import TagIndex
from cacheaside.types import TagId

TAGS = [TagId(name) for name in "abcd"]


def entry(*tags: TagId) -> Entry:
    table: Any = None
    return Entry(None, 0.0, "key", table, 0.0, tags)


def test_one_entry_and_many() -> None:
    """A tag leads to its entry, whether it has one or several, and to none after the last is removed."""
    index, one, two = TagIndex(), entry(*TAGS[:2]), entry(*TAGS[1:3])
    index.add(one)
    index.add(two)
    assert index.of(TAGS[0]) == (one,)
    assert set(index.of(TAGS[1])) == {one, two}
    index.remove(one)
    assert index.of(TAGS[0]) == ()
    assert index.of(TAGS[1]) == (two,)
    index.remove(two)
    assert len(index) == 0


def test_removing_what_is_not_there_changes_nothing() -> None:
    """An entry that was never added, or was removed before, takes no other one of its tags along."""
    index, one, stranger = TagIndex(), entry(TAGS[0]), entry(TAGS[0])
    index.add(one)
    index.remove(stranger)
    assert index.of(TAGS[0]) == (one,)
    index.remove(one)
    index.remove(one)
    assert len(index) == 0


def test_an_entry_may_name_a_tag_twice() -> None:
    """A tag repeated in one entry is as one."""
    index, one = TagIndex(), entry(TAGS[0], TAGS[0])
    index.add(one)
    assert index.of(TAGS[0]) == (one,)
    index.remove(one)
    assert len(index) == 0


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 7)), max_size=60), st.data())
def test_it_says_what_a_plain_search_says(steps: list[tuple[bool, int]], data: st.DataObject) -> None:
    """After any additions and removals, a tag leads to just those entries that are in and carry it."""
    entries = [entry(*data.draw(st.lists(st.sampled_from(TAGS), max_size=4))) for _ in range(8)]
    index, inside = TagIndex(), set[Entry]()
    for adds, which in steps:
        one = entries[which]
        if adds and one not in inside:
            index.add(one)
            inside.add(one)
        elif not adds:
            index.remove(one)
            inside.discard(one)
        for tag in TAGS:
            found = index.of(tag)
            assert len(found) == len(set(found))
            assert set(found) == {held for held in inside if tag in held.tags}
