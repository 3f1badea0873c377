"""Invalidations that are owed: what counts as changing, and when a try has paid for it."""

from __future__ import annotations

import threading

from hypothesis import given
from hypothesis import strategies as st

from cacheaside.stores.redis.owed import BATCH_TAGS, TAGS_MAX, Owed
from cacheaside.types import TagId
from tests.stores.redis.examples import CATEGORY, EVERYTHING, KEY, PRODUCT

TAGS = (KEY, PRODUCT, CATEGORY)


def test_what_is_owed_counts_as_changing() -> None:
    """A tag does while it is owed, and so does any set that has it; others do not."""
    owed = Owed(EVERYTHING)
    assert not owed.any_of(TAGS)
    owed.add((PRODUCT,))
    assert owed.any_of((PRODUCT,))
    assert owed.any_of(TAGS)
    assert not owed.any_of((CATEGORY, EVERYTHING))
    assert not owed.any_of(())


def test_when_everything_is_owed_every_tag_is() -> None:
    """The namespace's own tag stands for all."""
    owed = Owed(EVERYTHING)
    owed.add((EVERYTHING,))
    assert owed.any_of((CATEGORY,))


def test_a_try_pays_what_it_was_sent_for() -> None:
    """An acknowledged bump pays for the tags it named, and no others."""
    owed = Owed(EVERYTHING)
    owed.add(TAGS)
    tags, number = owed.batch()
    assert tags == TAGS
    owed.paid((PRODUCT,), number)
    assert len(owed) == 2
    assert not owed.any_of((PRODUCT,))
    owed.paid(tags, number)
    assert not owed


def test_what_is_owed_again_meanwhile_stays_owed() -> None:
    """(1) a try is sent (2) a commit later the same tag is owed again (3) the try is acknowledged: it may have been
    carried out before the commit."""
    owed = Owed(EVERYTHING)
    owed.add((PRODUCT, CATEGORY))
    tags, number = owed.batch()
    owed.add((PRODUCT,))
    owed.paid(tags, number)
    assert owed.any_of((PRODUCT,))
    assert not owed.any_of((CATEGORY,))
    owed.paid(*owed.batch())
    assert not owed


def test_paying_what_is_not_owed_is_harmless() -> None:
    """A bump of another tag, or one more of the same, changes nothing."""
    owed = Owed(EVERYTHING)
    owed.add((PRODUCT,))
    number = owed.batch()[1]
    owed.paid((CATEGORY, PRODUCT), number)
    owed.paid((PRODUCT,), number)
    assert not owed


def test_a_batch_is_limited() -> None:
    """So many tags go out at once, those that have been owed longest first, until none is left."""
    owed = Owed(EVERYTHING)
    tags = [TagId(f"shop:tag~t:i{number}") for number in range(BATCH_TAGS * 2 + 1)]
    owed.add(tags)
    sizes = []
    while owed:
        batch, number = owed.batch()
        assert list(batch) == tags[: len(batch)]
        owed.paid(batch, number)
        del tags[: len(batch)]
        sizes.append(len(batch))
    assert sizes == [BATCH_TAGS, BATCH_TAGS, 1]


def test_too_much_is_owed_as_everything() -> None:
    """Past TAGS_MAX one tag stands for all of them, so memory is bounded and nothing is forgotten."""
    owed = Owed(EVERYTHING)
    tags = [TagId(f"shop:tag~t:i{number}") for number in range(TAGS_MAX + 1)]
    owed.add(tags)
    assert len(owed) == 1
    assert owed.any_of(tags[:1])
    assert owed.batch()[0] == (EVERYTHING,)


def test_a_child_owes_it_too() -> None:
    """A fork while another thread held the lock leaves the child able to go on, with all of it owed still."""
    owed = Owed(EVERYTHING)
    owed.add((PRODUCT,))
    held, release = threading.Event(), threading.Event()

    def hold() -> None:
        with owed._lock:
            held.set()
            release.wait(10)

    other = threading.Thread(target=hold)
    other.start()
    assert held.wait(10)
    owed.forget()
    owed.add((CATEGORY,))
    assert owed.any_of((PRODUCT,))
    assert owed.any_of((CATEGORY,))
    release.set()
    other.join()


def test_clearing_owes_nothing() -> None:
    """For tests of users: what was owed is no more."""
    owed = Owed(EVERYTHING)
    owed.add(TAGS)
    owed.clear()
    assert not owed
    assert not owed.any_of(TAGS)


@given(st.lists(st.sampled_from(["add", "send", "paid"]) | st.tuples(st.just("add"), st.sampled_from(TAGS))))
def test_a_tag_is_free_only_after_a_try_that_began_after_it_was_owed(steps: list[object]) -> None:
    """In any order of owing, sending and acknowledgements: no tag is free whose last owing no acknowledged try
    followed."""
    owed = Owed(EVERYTHING)
    sent: list[tuple[tuple[tuple[TagId, ...], int], int]] = []
    last_owed: dict[TagId, int] = {}
    paid_by: dict[TagId, int] = {}
    for moment, step in enumerate(steps):
        if step == "send":
            sent.append((owed.batch(), moment))
        elif step == "paid" and sent:
            (tags, number), began = sent.pop()
            owed.paid(tags, number)
            for tag in tags:
                paid_by[tag] = max(paid_by.get(tag, -1), began)
        elif isinstance(step, tuple):
            owed.add((step[1],))
            last_owed[step[1]] = moment
        for tag, at in last_owed.items():
            assert owed.any_of((tag,)) is (paid_by.get(tag, -1) < at)


def test_what_is_owed_is_named_once_for_the_log() -> None:
    """All of it, as soon as there is something that was not named before; a child leaves its parent's to the parent."""
    owed = Owed(EVERYTHING)
    assert owed.untold() == ()
    owed.add((PRODUCT,))
    assert owed.untold() == (PRODUCT,)
    assert owed.untold() == ()
    owed.add((CATEGORY,))
    owed.forget()
    assert owed.untold() == ()
    owed.add((KEY,))
    assert set(owed.untold()) == {PRODUCT, CATEGORY, KEY}
    owed.paid(*owed.batch())
    assert owed.untold() == ()
