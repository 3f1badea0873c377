"""What a namespace may be, so that every key of it can be read."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cacheaside import Cache, Contract, DeclarationError
from cacheaside.keys import arguments_key, checked_namespace, namespace_problem, tag_key
from cacheaside.keys.limits import KEY_MAX_CHARS, NAMESPACE_MAX_CHARS
from cacheaside.stores.redis.access import access_list
from cacheaside.stores.redis.wire.names import (
    changed_tag,
    changes_prefix,
    generation_name,
    is_declared,
    lease_name,
    slot_of,
    waiting_key,
    waiting_name,
    writers_name,
)
from cacheaside.types import TagId

NOWHERE = "redis://127.0.0.1:1/0"
LONGEST = "n" * NAMESPACE_MAX_CHARS


@given(st.text(min_size=1, max_size=30), st.text(min_size=1), st.text(min_size=1), st.text())
@example(LONGEST, "e" * 500, "1", "x" * 500)
@example(LONGEST, "tag~", "é" * 200, "x" * 500)
@example(LONGEST, "t", "v" * 500, "")
def test_every_key_of_a_namespace_that_is_taken_can_be_read(
    namespace: str, name: str, version: str, argument: str
) -> None:
    """However long names and arguments are: the namespace is found again, and whether it is an entry's or a tag's."""
    if namespace_problem(namespace) is not None:
        return
    prefix = changes_prefix(namespace).encode()
    entry = TagId(arguments_key(namespace, name, version, "f1ngerpr", (argument,)))
    tag = TagId(tag_key(namespace, name, (argument,)))
    assert entry != tag
    assert (is_declared(entry), is_declared(tag)) == (False, True)
    for key in (entry, tag):
        assert len(key) <= KEY_MAX_CHARS
        assert changed_tag(generation_name(key).encode(), prefix) == key
        assert changed_tag(writers_name(key).encode(), prefix) == key
        assert waiting_key(waiting_name(key).encode(), prefix) == key
        assert slot_of(lease_name(key)) == slot_of(key)


@given(st.text(max_size=60), st.text(max_size=300))
def test_names_that_are_cut_do_not_make_keys_meet(one: str, other: str) -> None:
    """A frame that is cut off is in the hash as a whole."""
    names = "e" * 200 + one, "e" * 200 + other
    assert len({arguments_key(LONGEST, name, 1, "f", (1,)) for name in names}) == len(set(names))
    assert len({tag_key(LONGEST, name, (1,)) for name in names}) == len(set(names))


@pytest.mark.parametrize("namespace", ["n" * 101, "n" * 170, "n" * 300, "é" * 17, "n" * 98 + "é", "a b" * 26])
@pytest.mark.parametrize("url", [None, NOWHERE])
def test_one_that_leaves_no_room_is_refused_when_the_cache_is_made(namespace: str, url: str | None) -> None:
    """Its escaped length counts, with servers or without, and the error says how long it may be."""
    with pytest.raises(
        DeclarationError, match="characters in a key, and 100 is the most: write a shorter name"
    ):
        Cache(url, namespace=namespace)
    with pytest.raises(DeclarationError, match="100 is the most"):
        access_list(namespace, "web")


@pytest.mark.parametrize("namespace", ["", b"shop", 7, None])
def test_one_that_is_no_name_is_refused(namespace: Any) -> None:
    """A namespace is a text that is not empty."""
    with pytest.raises(DeclarationError, match=r"namespace=.* must be a name, such as the service's\."):
        checked_namespace(namespace)


def test_a_long_one_is_not_quoted() -> None:
    """The message stays one that can be read."""
    with pytest.raises(DeclarationError) as raised:
        checked_namespace("n" * 5000)
    assert len(str(raised.value)) < 300


def test_reads_and_writes_of_the_longest_names_raise_nothing() -> None:
    """With the longest namespace, and names of endpoints and tags that do not fit into a key, all works."""
    with Cache(NOWHERE, namespace=LONGEST) as cache:
        rows = cache.tag("é" * 300, str)

        @cache.read("e" * 300, Contract("60s"), tags=lambda text: [rows(text)], version="v" * 300)
        def read(text: str) -> str:
            return text

        assert [read("x"), read("y" * 500)] == ["x", "y" * 500]
        cache.blocking.invalidate(rows("y" * 500), when_away="retry")
        with cache.changing(rows("x"), when_away="retry"):
            pass
