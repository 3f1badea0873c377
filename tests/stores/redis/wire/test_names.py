"""Names on the server, and their slots."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cacheaside.keys import arguments_key, tag_key
from cacheaside.stores.redis.wire.names import (
    SLOTS,
    changed_tag,
    changes_prefix,
    everything_pattern,
    generation_name,
    generation_prefix,
    is_declared,
    kind_of,
    lease_name,
    slot_of,
    waiting_key,
    waiting_name,
    writers_name,
)
from cacheaside.types import TagId
from tests.stores.redis.examples import EVERYTHING, KEY, PRODUCT

keys = st.builds(
    lambda namespace, name, part, of_tag: TagId(
        tag_key(namespace, name, (part,))
        if of_tag
        else arguments_key(namespace, name, 1, "k3f9abcd", (part,))
    ),
    st.text(min_size=1, max_size=8),
    st.text(min_size=1, max_size=8),
    st.text(max_size=300),
    st.booleans(),
)


def crc16(data: bytes) -> int:
    """Bit by bit: polynomial 0x1021, from 0, neither reflected nor inverted."""
    crc = 0
    for byte in data:
        crc ^= byte << 8
        for _ in range(8):
            crc = (crc << 1) ^ 0x1021 if crc & 0x8000 else crc << 1
        crc &= 0xFFFF
    return crc


# CLUSTER KEYSLOT of a server, and the check value of the Redis Cluster specification (0x31C3).
@pytest.mark.parametrize(
    ("name", "slot"),
    [
        ("123456789", 0x31C3),
        ("foo", 12_182),
        ("somekey", 11_058),
        ("foo{hash_tag}", 2_515),
        ("", 0),
    ],
)
def test_slots_are_those_of_the_specification(name: str, slot: int) -> None:
    """Known names have their known slots."""
    assert slot_of(name) == slot


@given(st.binary(max_size=60))
def test_slots_are_crc16(name: bytes) -> None:
    """A name without braces has the slot of its CRC16."""
    plain = name.replace(b"{", b"")
    assert slot_of(plain) == crc16(plain) % SLOTS


@pytest.mark.parametrize(
    ("name", "hashed"),
    [
        ("{user1000}.following", "user1000"),
        ("foo{{bar}}zap", "{bar"),
        ("foo{bar}{zap}", "bar"),
        ("foo{}{bar}", "foo{}{bar}"),
        ("foo{bar", "foo{bar"),
        ("foo}bar{", "foo}bar{"),
    ],
)
def test_braces_choose_the_slot(name: str, hashed: str) -> None:
    """Only what the first opening brace and the next closing one hold counts, unless that is nothing."""
    assert slot_of(name) == crc16(hashed.encode()) % SLOTS


@given(keys)
def test_an_entry_its_generation_and_its_writers_share_a_slot(key: TagId) -> None:
    """What belongs to one tag or entry is on one node, hence in order on one connection."""
    assert slot_of(key) == slot_of(generation_name(key)) == slot_of(writers_name(key))


@given(keys, keys)
def test_names_do_not_meet(one: TagId, other: TagId) -> None:
    """No two keys, generations or sets of writers share a name on the server."""
    names = [name for key in {one, other} for name in (key, generation_name(key), writers_name(key))]
    assert len(set(names)) == len(names)


@given(keys)
def test_a_change_names_its_tag(key: TagId) -> None:
    """From the name that a server announces, the tag is found again; an entry's own name is no change."""
    prefix = key[: key.index(":")].encode() + b":!"
    assert changed_tag(generation_name(key).encode(), prefix) == key
    assert changed_tag(writers_name(key).encode(), prefix) == key
    assert changed_tag(key.encode(), prefix) is None


@pytest.mark.parametrize(
    "name",
    [
        b"",
        b"shop:!",
        b"shop:!{",
        b"shop:!{}",
        b"shop:!{shop:a",
        b"shop:!{else:a}",
        b"shop:!{shop:\xff}",
        b"x",
    ],
)
def test_what_is_no_change_names_no_tag(name: bytes) -> None:
    """A name that another program made up under our prefix is not taken for a tag."""
    assert changed_tag(name, b"shop:!") is None


def test_the_names_on_the_server_have_not_changed() -> None:
    """Processes of any version find each other's generations and writers."""
    assert [generation_name(PRODUCT), writers_name(PRODUCT), generation_name(KEY)] == [
        "shop:!{shop:tag~products:i42}",
        "shop:!{shop:tag~products:i42}!",
        "shop:!{shop:product:1~k3f9abcd:i42}",
    ], (
        "The names of generations or writers changed: an invalidation by an old process would not reach the entries of "
        "a new one. They cannot change while KEY_FORMAT in cacheaside/keys/key.py stays; raise that first."
    )


def test_one_prefix_announces_and_one_pattern_allows() -> None:
    """The prefix holds every change and no entry; the pattern holds everything of the namespace and of no other."""
    assert changes_prefix("shop 1") == "shop%201:!"
    assert everything_pattern("shop") == "shop:*"
    assert generation_name(KEY).startswith(changes_prefix("shop"))
    assert not KEY.startswith(changes_prefix("shop"))


ALL_NAMES = (str, generation_name, writers_name, waiting_name, lease_name)


@given(keys)
def test_a_lease_and_who_waits_share_the_slot_of_the_key(key: TagId) -> None:
    """What is said of a load is on the node of its entry, hence in order with storing it."""
    assert {slot_of(name(key)) for name in ALL_NAMES} == {slot_of(key)}


@given(keys, keys)
def test_leases_meet_nothing(one: TagId, other: TagId) -> None:
    """No two keys share any name: of an entry, a generation, writers, a lease, or who waits."""
    names = [name(key) for key in {one, other} for name in ALL_NAMES]
    assert len(set(names)) == len(names)


@given(keys)
def test_who_waits_is_found_from_what_is_announced(key: TagId) -> None:
    """From the name that a server announces, the key is found; and no name of one kind is taken for another's."""
    prefix = key[: key.index(":")].encode() + b":!"
    assert waiting_key(waiting_name(key).encode(), prefix) == key
    assert changed_tag(waiting_name(key).encode(), prefix) is None
    for name in (str, generation_name, lease_name):
        assert waiting_key(name(key).encode(), prefix) is None
    assert waiting_key(writers_name(key).encode(), prefix) is None
    assert changed_tag(lease_name(key).encode(), prefix) is None


@given(keys)
def test_of_a_lease_nobody_is_told(key: TagId) -> None:
    """Entries and leases lie outside of the prefix that is announced; generations, writers and waiting inside."""
    prefix = key[: key.index(":")] + ":!"
    assert [name(key).startswith(prefix) for name in ALL_NAMES] == [False, True, True, True, False]


@given(st.binary(max_size=40))
def test_no_announced_name_breaks_the_reader(name: bytes) -> None:
    """Whatever another program writes under our prefix, it is a key, a tag, or neither, and nothing is raised."""
    prefix = b"shop:!"
    for tried in (name, prefix + name, prefix + b"{" + name, prefix + b"{shop:" + name + b"}?"):
        tag, key = changed_tag(tried, prefix), waiting_key(tried, prefix)
        assert tag is None or key is None


@given(keys)
def test_the_prefix_of_generations_begins_each(key: TagId) -> None:
    """Put together from its prefix, a generation's name is the same."""
    of_frame = key[: key.index(":")]
    assert generation_name(key) == f"{of_frame}:!{{{key}}}"
    assert f"{generation_prefix('shop')}{KEY}}}" == generation_name(KEY)


def test_the_names_of_leases_have_not_changed() -> None:
    """Processes of any version find each other's leases, and tell who waits."""
    assert [lease_name(KEY), waiting_name(KEY)] == [
        "shop:?{shop:product:1~k3f9abcd:i42}",
        "shop:!{shop:product:1~k3f9abcd:i42}?",
    ]


@given(keys)
def test_a_declared_tag_is_told_from_an_entrys_own(key: TagId) -> None:
    """By its id alone, whatever the names in it are."""
    assert is_declared(key) == (key.split(":")[1].startswith("tag~"))


def test_an_endpoint_that_is_called_tag_is_no_tag() -> None:
    """No name of an endpoint makes its entries look like declared tags."""
    for name in ("tag", "tag~", "tag~products"):
        assert not is_declared(TagId(arguments_key("shop", name, 1, "k3f9", (1,))))
    assert is_declared(PRODUCT)
    assert not is_declared(KEY)


def test_a_tag_is_named_without_its_arguments() -> None:
    """By what it was declared as; an entry's own by its endpoint; the namespace's own for what it is."""
    assert kind_of(PRODUCT) == "products"
    assert kind_of(KEY) == "product"
    assert kind_of(EVERYTHING) == "everything"
