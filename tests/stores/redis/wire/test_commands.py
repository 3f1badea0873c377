"""What the tier says to a server, and what it makes of the replies."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cacheaside.flow.ports import Leased, TierAway
from cacheaside.stores.redis.wire.commands import KEYS_MAX, Commands, Exchange, Fetched, Stored, Wanted
from cacheaside.stores.redis.wire.names import (
    generation_name,
    lease_name,
    slot_of,
    waiting_name,
    writers_name,
)
from cacheaside.stores.redis.wire.replies import StoreReplyError
from cacheaside.types import Generation, TagId
from tests.stores.redis.examples import CATEGORY, KEY, PRODUCT

TAGS = (PRODUCT, CATEGORY)
G_PRODUCT, G_CATEGORY = (generation_name(tag) for tag in TAGS)
W_PRODUCT, W_CATEGORY = (writers_name(tag) for tag in TAGS)
G_KEY, LEASE, WAITING = generation_name(KEY), lease_name(KEY), waiting_name(KEY)
EVERYBODYS = b"-"


class ReplyError(Exception):
    """As a protocol reader gives an error reply: the server's whole line."""


FULL = ReplyError("OOM command not allowed when used memory > 'maxmemory'.")
A_REPLICA = ReplyError("READONLY You can't write against a read only replica.")


def word(number: int) -> bytes:
    return number.to_bytes(8, "big")


def commands(**settings: Any) -> Commands:
    """Generations are numbered from 1."""
    drawn = itertools.count(1)
    return Commands(lambda size: b"".join(word(next(drawn)) for _ in range(size // 8)), 60_000, **settings)


class TestStamp:
    """Read the generation of each tag, made where missing."""

    def test_it_creates_and_then_reads(self) -> None:
        """SET NX for each tag, with a new generation each, and then one MGET of them all."""
        exchange = commands().stamp(TAGS)
        assert exchange.commands == (
            ("SET", G_PRODUCT, word(1), "NX", "PX", "60000"),
            ("SET", G_CATEGORY, word(2), "NX", "PX", "60000"),
            ("MGET", G_PRODUCT, G_CATEGORY),
        )
        assert exchange.read([b"OK", None, [word(1), word(77)]]) == (1, 77)

    def test_what_another_made_counts(self) -> None:
        """The generation is what is read, not what was offered: another process may have been first."""
        assert commands().stamp(TAGS).read([None, None, [word(8), word(9)]]) == (8, 9)

    def test_a_full_server_still_knows(self) -> None:
        """A server out of memory refuses to make a generation, and the one that is there is taken."""
        assert commands().stamp(TAGS).read([FULL, FULL, [word(8), word(9)]]) == (8, 9)
        with pytest.raises(StoreReplyError, match="OOM: the server is full"):
            commands().stamp(TAGS).read([FULL, FULL, [word(8), None]])

    def test_a_replica_is_not_believed(self) -> None:
        """A server that takes no writes is not the one whose generations are current."""
        with pytest.raises(StoreReplyError, match="READONLY: this is a replica"):
            commands().stamp(TAGS).read([A_REPLICA, A_REPLICA, [word(8), word(9)]])

    @pytest.mark.parametrize("found", [None, b"short", b"something else"])
    def test_a_generation_that_is_not_there_is_an_error(self, found: bytes | None) -> None:
        """Evicted as soon as made, or written by another program: there is nothing to stamp with."""
        with pytest.raises(StoreReplyError, match="generation of this library"):
            commands().stamp(TAGS).read([None, None, [word(8), found]])

    def test_writers_are_looked_for_after_it(self) -> None:
        """In one round trip, every stamp goes before every look for a writer."""
        exchange = commands().stamp_then_writers(TAGS)
        assert [command[0] for command in exchange.commands] == ["SET", "SET", "MGET", "EXISTS", "EXISTS"]
        assert exchange.read([None, None, [word(8), word(9)], 0, 1]) == (
            (Generation(8), Generation(9)),
            frozenset({CATEGORY}),
        )


def test_writers_are_asked_for_tag_by_tag() -> None:
    """EXISTS of each tag's writers, and those tags that have some."""
    exchange = commands().writers(TAGS)
    assert exchange.commands == (("EXISTS", W_PRODUCT), ("EXISTS", W_CATEGORY))
    assert exchange.read([1, 0]) == {PRODUCT}
    assert exchange.read([0, False]) == frozenset()


class TestFetch:
    """Entries and generations in one round trip."""

    def test_each_key_is_asked_for_once(self) -> None:
        """Entries of a batch share tags, and each name is in the MGET once."""
        other = TagId("shop:product:1~k3f9abcd:i43")
        exchange = commands().fetch([Wanted(KEY, (KEY, PRODUCT)), Wanted(other, (other, PRODUCT))])
        assert exchange.commands == (
            ("MGET", KEY, generation_name(KEY), G_PRODUCT, other, generation_name(other)),
        )
        assert exchange.read([[b"entry", word(1), word(2), None, None]]) == [
            Fetched(b"entry", (Generation(1), Generation(2))),
            Fetched(None, (None, Generation(2))),
        ]

    def test_no_command_asks_for_too_much(self) -> None:
        """Many keys go out as several commands of at most KEYS_MAX each, and each result finds its place."""
        wanted = [Wanted(key, ()) for n in range(KEYS_MAX + 1) if (key := TagId(f"shop:a:1~f:i{n}"))]
        exchange = commands().fetch(wanted)
        assert [len(command) - 1 for command in exchange.commands] == [KEYS_MAX, 1]
        replies = [[key.encode() for key in command[1:]] for command in exchange.commands]  # type: ignore[union-attr]
        assert [found.entry for found in exchange.read(replies)] == [want.key.encode() for want in wanted]

    def test_on_a_cluster_one_command_stays_in_one_slot(self) -> None:
        """An entry and its own generation share an MGET; tags elsewhere have their own."""
        exchange = commands(cluster=True).fetch([Wanted(KEY, (KEY, PRODUCT, CATEGORY))])
        assert exchange.commands == (
            ("MGET", KEY, generation_name(KEY)),
            ("MGET", G_PRODUCT),
            ("MGET", G_CATEGORY),
        )
        assert exchange.read([[b"entry", word(1)], [word(2)], [None]]) == [
            Fetched(b"entry", (Generation(1), Generation(2), None))
        ]


def test_generations_come_in_the_order_asked_for() -> None:
    """One MGET, and None for what is missing or no generation."""
    exchange = commands().generations((CATEGORY, PRODUCT, CATEGORY))
    assert exchange.commands == (("MGET", G_CATEGORY, G_PRODUCT),)
    assert exchange.read([[word(4), b"no generation"]]) == (4, None, 4)


class TestStore:
    """Store entries, then read generations."""

    def test_it_stores_and_then_reads(self) -> None:
        """SET with its lifetime for each entry, then one MGET."""
        exchange = commands().store([(KEY, b"entry", 5000)], TAGS)
        assert exchange.commands == (("SET", KEY, b"entry", "PX", "5000"), ("MGET", G_PRODUCT, G_CATEGORY))
        assert exchange.read([b"OK", [word(1), None]]) == Stored((Generation(1), None), 0)

    def test_a_full_server_stores_nothing_and_harms_nobody(self) -> None:
        """An entry that did not fit is counted, and the generations are known all the same."""
        exchange = commands().store([(KEY, b"entry", 5000)], TAGS)
        assert exchange.read([FULL, [word(1), word(2)]]) == Stored((Generation(1), Generation(2)), 1)

    def test_nothing_to_store_is_a_recheck(self) -> None:
        """Without entries the generations are read, and without tags nothing is sent."""
        assert commands().store([], TAGS).commands == (("MGET", G_PRODUCT, G_CATEGORY),)
        assert commands().store([], ()).commands == ()
        assert commands().store([], ()).read([]) == Stored((), 0)


class TestWrites:
    """Marks and bumps."""

    def test_a_bump_sets_a_new_generation(self) -> None:
        """SET for each tag, each with a generation of its own, and OK from each."""
        building = commands()
        exchange = building.bump(TAGS)
        assert exchange.commands == (
            ("SET", G_PRODUCT, word(1), "PX", "60000"),
            ("SET", G_CATEGORY, word(2), "PX", "60000"),
        )
        exchange.read([b"OK", "OK"])
        assert building.bump(TAGS).commands[0][2] == word(3), "each transmission carries new ones"
        with pytest.raises(StoreReplyError, match="OOM"):
            exchange.read([b"OK", FULL])

    def test_a_mark_lasts_no_shorter_than_anothers(self) -> None:
        """A later end for a set that has an earlier, before it can end; then SADD, an end for a new set, and a
        later one for one that somebody else gave an end meanwhile."""
        exchange = commands().enlist((PRODUCT,), "w1", 3000)
        assert exchange.commands == (
            ("PEXPIRE", W_PRODUCT, "3000", "GT"),
            ("SADD", W_PRODUCT, "w1"),
            ("PEXPIRE", W_PRODUCT, "3000", "NX"),
            ("PEXPIRE", W_PRODUCT, "3000", "GT"),
        )
        exchange.read([0, 1, 1, 0])
        exchange.read([1, 1, 0, 1])
        exchange.read([0, 0, 0, 0])

    def test_a_mark_without_an_end_is_given_one(self) -> None:
        """Only where it has none: by NX, and on older servers for those that PTTL says so of."""
        exchange = commands().give_end(TAGS, 3000)
        assert exchange.commands == (
            ("PEXPIRE", W_PRODUCT, "3000", "NX"),
            ("PEXPIRE", W_CATEGORY, "3000", "NX"),
        )
        exchange.read([1, 0])
        older = commands(lengthen=False)
        assert older.give_end((PRODUCT,), 3000).commands == (("PEXPIRE", W_PRODUCT, "3000"),)
        asking = older.endless((PRODUCT, CATEGORY, KEY))
        assert asking.commands[0] == ("PTTL", W_PRODUCT)
        assert asking.read([-1, -2, 1500]) == {PRODUCT}
        with pytest.raises(StoreReplyError, match="a time"):
            asking.read([None, -2, 1500])

    def test_no_command_holds_a_number(self) -> None:
        """hiredis crashes the process when it packs an int and a signal's handler raises: numbers are text."""
        for lengthen in (False, True):
            for build in BUILT.values():
                for command in build(commands(lengthen=lengthen)).commands:
                    assert all(isinstance(part, (str, bytes)) for part in command), command

    def test_an_older_server_is_told_plainly(self) -> None:
        """Without NX and GT one PEXPIRE sets the end, and a mark that is gone already is an error."""
        exchange = commands(lengthen=False).enlist((PRODUCT,), "w1", 3000)
        assert exchange.commands == (("SADD", W_PRODUCT, "w1"), ("PEXPIRE", W_PRODUCT, "3000"))
        exchange.read([1, True])
        with pytest.raises(StoreReplyError, match="1, for a mark just set"):
            exchange.read([1, 0])

    def test_a_mark_stands_before_the_bump(self) -> None:
        """In one round trip, every mark goes before every new generation; a refused mark is an error."""
        exchange = commands(lengthen=False).enlist_then_bump(TAGS, "w1", 3000)
        assert [command[0] for command in exchange.commands] == ["SADD", "PEXPIRE"] * 2 + ["SET"] * 2
        exchange.read([1, 1, 1, 1, b"OK", b"OK"])
        with pytest.raises(StoreReplyError, match=r"SADD .*OOM"):
            exchange.read([FULL, 0, 1, 1, b"OK", b"OK"])

    def test_a_release_names_its_writer(self) -> None:
        """SREM of this writer from each set; one that has expired is released too."""
        exchange = commands().release(TAGS, "w1")
        assert exchange.commands == (("SREM", W_PRODUCT, "w1"), ("SREM", W_CATEGORY, "w1"))
        exchange.read([1, 0])

    def test_removing_deletes_the_entry(self) -> None:
        """DEL of the key itself, whether or not anything is there."""
        exchange = commands().remove(KEY)
        assert exchange.commands == (("DEL", KEY),)
        exchange.read([0])


class TestLeases:
    """Who loads a key, and how the others see it."""

    def test_leasing_comes_before_all_and_writers_last(self) -> None:
        """SET NX of the lease, then the stamp, what is stored and who has the lease in one MGET, then the writers."""
        exchange = commands().lease_and_stamp(Wanted(KEY, (KEY, PRODUCT)), "p2", 3000, (KEY, PRODUCT))
        assert exchange.commands == (
            ("SET", LEASE, "p2", "NX", "PX", "3000"),
            ("SET", G_KEY, word(1), "NX", "PX", "60000"),
            ("SET", G_PRODUCT, word(2), "NX", "PX", "60000"),
            ("MGET", KEY, LEASE, G_KEY, G_PRODUCT),
            ("EXISTS", writers_name(KEY)),
            ("EXISTS", W_PRODUCT),
        )
        assert exchange.read([b"OK", b"OK", None, [b"entry", b"p2", word(1), word(8)], 0, 1]) == (
            Leased.MINE,
            Fetched(b"entry", (Generation(1), Generation(8))),
            (Generation(1), Generation(8)),
            frozenset({PRODUCT}),
        )

    @pytest.mark.parametrize(
        ("reply", "holder", "leased"),
        [
            (b"OK", b"p2", Leased.MINE),
            (None, b"p1", Leased.ANOTHERS),
            (None, None, Leased.NOBODYS),
            (None, EVERYBODYS, Leased.EVERYBODYS),
            (FULL, None, Leased.EVERYBODYS),
            (FULL, b"p1", Leased.EVERYBODYS),
        ],
    )
    def test_whose_lease_it_is(self, reply: Any, holder: bytes | None, leased: Leased) -> None:
        """This process's where it was set; another's where there is a holder; nobody's where it ended in between;
        everybody's where it says so, and on a full server, which can keep nobody from loading."""
        exchange = commands().lease_and_stamp(Wanted(KEY, (KEY,)), "p2", 3000, (KEY,))
        assert exchange.read([reply, None, [None, holder, word(1)], 0])[0] is leased

    def test_a_full_server_without_a_generation_is_an_error(self) -> None:
        """Nothing can be stamped there, lease or no lease."""
        exchange = commands().lease_and_stamp(Wanted(KEY, (KEY,)), "p2", 3000, (KEY,))
        with pytest.raises(StoreReplyError, match="OOM"):
            exchange.read([FULL, FULL, [None, None, None], 0])

    def test_a_stamp_may_have_more_tags_than_the_entry_is_judged_by(self) -> None:
        """Tags that the value is likely to name are stamped; each name is asked for once."""
        exchange = commands().lease_and_stamp(
            Wanted(KEY, (KEY, PRODUCT)), "p2", 3000, (KEY, PRODUCT, CATEGORY)
        )
        assert exchange.commands[4] == ("MGET", KEY, LEASE, G_KEY, G_PRODUCT, G_CATEGORY)
        replies = [b"OK", None, None, None, [None, b"p2", word(7), word(8), word(9)], 0, 0, 0]
        _, fetched, stamp, _ = exchange.read(replies)
        assert fetched.generations == (7, 8)
        assert stamp == (7, 8, 9)

    def test_on_a_cluster_the_lease_is_asked_for_with_its_entry(self) -> None:
        """The entry, its generation and its lease share a slot, and so a command."""
        exchange = commands(cluster=True).peek(Wanted(KEY, (KEY, PRODUCT)))
        assert exchange.commands == (("MGET", KEY, LEASE, G_KEY), ("MGET", G_PRODUCT))

    def test_a_peek_reads_and_writes_nothing(self) -> None:
        """What is stored, what its tags say, and who has the lease, in one MGET."""
        exchange = commands().peek(Wanted(KEY, (KEY, PRODUCT)))
        assert exchange.commands == (("MGET", KEY, LEASE, G_KEY, G_PRODUCT),)
        assert exchange.read([[b"entry", b"p1", word(1), None]]) == (
            Leased.ANOTHERS,
            Fetched(b"entry", (Generation(1), None)),
        )
        assert exchange.read([[None, None, None, None]])[0] is Leased.NOBODYS
        assert exchange.read([[None, EVERYBODYS, None, None]])[0] is Leased.EVERYBODYS

    def test_who_asks_to_be_told_does_so_before_looking(self) -> None:
        """SET NX of the question, whose end wakes all who wait, and then the peek; asked before is as good."""
        exchange = commands().ask_and_peek(Wanted(KEY, (KEY,)), 3000)
        assert exchange.commands == (
            ("SET", WAITING, b"1", "NX", "PX", "3000"),
            ("MGET", KEY, LEASE, G_KEY),
        )
        for reply in (b"OK", None, FULL):
            assert exchange.read([reply, [None, b"p1", word(1)]]) == (
                Leased.ANOTHERS,
                Fetched(None, (Generation(1),)),
            )
        with pytest.raises(StoreReplyError, match="READONLY"):
            exchange.read([A_REPLICA, [None, b"p1", word(1)]])

    @pytest.mark.parametrize(
        ("held", "free_ms", "sent"),
        [
            (True, 0, (("DEL", LEASE), ("DEL", WAITING))),
            (False, 0, (("DEL", WAITING),)),
            (True, 500, (("SET", LEASE, EVERYBODYS, "PX", "500"), ("DEL", WAITING))),
            (False, 500, (("SET", LEASE, EVERYBODYS, "PX", "500"), ("DEL", WAITING))),
        ],
    )
    def test_a_lease_is_given_back_and_then_told(self, held: bool, free_ms: int, sent: Any) -> None:
        """The lease goes first, so that who is woken finds it free; one that may have run out is not deleted, since it
        may be another's by then; and a key whose value cannot be stored is left to everybody."""
        exchange = commands().hand_back(KEY, held=held, free_ms=free_ms)
        assert exchange.commands == sent
        exchange.read([b"OK" if command[0] == "SET" else 0 for command in sent])

    def test_a_full_server_does_not_keep_a_lease_from_being_given_back(self) -> None:
        """That everybody may load is not written down there, and nobody is told of an error."""
        commands().hand_back(KEY, held=True, free_ms=500).read([FULL, 1])

    def test_it_is_given_back_between_storing_and_looking_again(self) -> None:
        """Who is woken finds the entry; and no key of the recheck is read before."""
        building = commands()
        exchange = building.store([(KEY, b"entry", 5000)], TAGS, building.hand_back(KEY, held=True))
        assert exchange.commands == (
            ("SET", KEY, b"entry", "PX", "5000"),
            ("DEL", LEASE),
            ("DEL", WAITING),
            ("MGET", G_PRODUCT, G_CATEGORY),
        )
        assert exchange.read([FULL, 1, 0, [word(1), None]]) == Stored((Generation(1), None), 1)
        with pytest.raises(StoreReplyError, match="READONLY"):
            exchange.read([b"OK", A_REPLICA, 0, [word(1), None]])


class TestConfirmed:
    """What replicas have as well."""

    def test_a_wait_follows(self) -> None:
        """After the bump, WAIT for so many replicas and so long; as many or more are enough."""
        building = commands()
        exchange = building.confirmed(building.bump((PRODUCT,)), 2, 100)
        assert exchange.commands == (("SET", G_PRODUCT, word(1), "PX", "60000"), ("WAIT", "2", "100"))
        exchange.read([b"OK", 2])
        exchange.read([b"OK", 3])

    def test_too_few_are_no_acknowledgement(self) -> None:
        """Fewer replicas than asked for, or a bump that was refused, is an error."""
        building = commands()
        exchange = building.confirmed(building.bump((PRODUCT,)), 2, 100)
        with pytest.raises(TierAway, match="fewer than 2 replicas"):
            exchange.read([b"OK", 1])
        with pytest.raises(StoreReplyError, match="OOM"):
            exchange.read([FULL, 2])


def test_a_generation_lives_as_long_as_is_said_when_it_is_made() -> None:
    """Each tag's has a lifetime of its own, asked for when it is made; one without end has none."""
    lives: dict[TagId, int | None] = {PRODUCT: 1000, CATEGORY: None}
    building = Commands(lambda size: bytes(size), lives.__getitem__)
    assert [command[3:] for command in building.bump(TAGS).commands] == [("PX", "1000"), ()]
    lives[PRODUCT] = 2000
    assert [command[3:] for command in building.stamp(TAGS).commands[:2]] == [("NX", "PX", "2000"), ("NX",)]


def test_what_cannot_be_made_anew_is_unmade() -> None:
    """Where a full server takes no new generation, DEL leaves none, which matches nothing; a missing one is as good."""
    exchange = commands().unmake(TAGS)
    assert exchange.commands == (("DEL", G_PRODUCT), ("DEL", G_CATEGORY))
    exchange.read([1, 0])
    with pytest.raises(StoreReplyError, match="READONLY"):
        exchange.read([A_REPLICA, 1])


BUILT: dict[str, Callable[[Commands], Exchange[Any]]] = {
    "stamp": lambda c: c.stamp(TAGS),
    "writers": lambda c: c.writers(TAGS),
    "stamp_then_writers": lambda c: c.stamp_then_writers(TAGS),
    "generations": lambda c: c.generations(TAGS),
    "fetch": lambda c: c.fetch([Wanted(KEY, TAGS)]),
    "store": lambda c: c.store([(KEY, b"entry", 5000)], TAGS),
    "bump": lambda c: c.bump(TAGS),
    "unmake": lambda c: c.unmake(TAGS),
    "enlist": lambda c: c.enlist(TAGS, "w1", 3000),
    "enlist_then_bump": lambda c: c.enlist_then_bump(TAGS, "w1", 3000),
    "endless": lambda c: c.endless(TAGS),
    "give_end": lambda c: c.give_end(TAGS, 3000),
    "release": lambda c: c.release(TAGS, "w1"),
    "remove": lambda c: c.remove(KEY),
    "lease_and_stamp": lambda c: c.lease_and_stamp(Wanted(KEY, TAGS), "p2", 3000, TAGS),
    "hand_back": lambda c: c.hand_back(KEY, held=True),
    "peek": lambda c: c.peek(Wanted(KEY, TAGS)),
    "ask_and_peek": lambda c: c.ask_and_peek(Wanted(KEY, TAGS), 3000),
    "store_and_hand_back": lambda c: c.store([], TAGS, c.hand_back(KEY, held=True)),
    "free": lambda c: c.hand_back(KEY, held=True, free_ms=1000),
    "confirmed": lambda c: c.confirmed(c.bump(TAGS), 0, 100),
}


@pytest.mark.parametrize("name", BUILT)
def test_what_carries_something_new_is_not_resent(name: str) -> None:
    """Bumps, creations and marks are never sent a second time; everything else may be."""
    once = {"stamp", "stamp_then_writers", "bump", "enlist", "enlist_then_bump", "confirmed"}
    once |= {"lease_and_stamp", "hand_back", "store_and_hand_back", "free"}
    assert BUILT[name](commands()).resend is (name not in once)


def anything() -> st.SearchStrategy[Any]:
    leaves: st.SearchStrategy[Any] = (
        st.none()
        | st.booleans()
        | st.integers()
        | st.binary(max_size=9)
        | st.text(max_size=3)
        | st.just(FULL)
    )
    return leaves | st.lists(leaves, max_size=4) | st.just(A_REPLICA)


@pytest.mark.parametrize("cluster", [False, True])
@pytest.mark.parametrize("name", BUILT)
@given(replies=st.lists(anything(), max_size=9))
def test_no_reply_breaks_the_reader(name: str, cluster: bool, replies: list[Any]) -> None:
    """Replies of any number and shape give a result or a StoreReplyError, and no other exception."""
    exchange = BUILT[name](commands(cluster=cluster))
    for given_ in (replies, (replies * 9)[: len(exchange.commands)]):
        with suppress(StoreReplyError):
            exchange.read(given_)


@pytest.mark.parametrize("name", BUILT)
def test_each_reply_is_looked_at(name: str) -> None:
    """An error in place of any one reply is never taken for a success, except where a full server harms nobody."""
    exchange = BUILT[name](commands())
    good: dict[str, Any] = {
        "SET": b"OK",
        "EXISTS": 0,
        "PTTL": -1,
        "SADD": 1,
        "PEXPIRE": 1,
        "SREM": 1,
        "DEL": 1,
        "WAIT": 0,
    }
    replies = [
        [word(1)] * (len(command) - 1) if command[0] == "MGET" else good[str(command[0])]
        for command in exchange.commands
    ]
    exchange.read(replies)
    for at in range(len(replies)):
        with pytest.raises(StoreReplyError):
            exchange.read([*replies[:at], A_REPLICA, *replies[at + 1 :]])
        with pytest.raises(StoreReplyError):
            exchange.read([*replies[:at], object(), *replies[at + 1 :]])


@given(st.lists(st.integers(0, 10**6), unique=True, min_size=1, max_size=40))
def test_on_a_cluster_every_command_has_one_slot(numbers: list[int]) -> None:
    """Whatever is asked for, the keys of one command share a slot, and a tag's commands keep their order."""
    tags = tuple(TagId(f"shop:tag~t:i{n}") for n in numbers)
    building = commands(cluster=True)
    for exchange in (building.stamp_then_writers(tags), building.enlist_then_bump(tags, "w", 1)):
        for command in exchange.commands:
            named = command[1:] if command[0] == "MGET" else command[1:2]
            assert len({slot_of(str(name)) for name in named}) == 1
