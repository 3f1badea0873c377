"""Tags: typed, so that an invalidation cannot name what nothing depends on."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from datetime import UTC, date, datetime
from enum import Enum, IntEnum, StrEnum
from pathlib import Path, PurePosixPath
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cacheaside import Cache, Contract, DeclarationError, KeyEncodingError, Tag, TagFamily, UsageError
from cacheaside.tags import readable, tag_ids


class Colour(StrEnum):
    RED = "red"


class Level(IntEnum):
    ONE = 1


class Kind(Enum):
    A = "a"


class Text(str):
    """A string of another class."""


cache = Cache(namespace="shop")
families: dict[type, Any] = {
    kind: cache.tag(f"of {kind.__name__}", kind) for kind in (int, str, UUID, date, float, bytes, Kind, Path, Colour)
}  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "part"),
    [
        (int, 42), (int, -1), (int, 10**30), (str, "a"), (str, ""), (str, "a:b,c(){}"), (UUID, UUID(int=1)),
        (date, date(2013, 1, 1)), (float, 1.5), (bytes, b"\0"), (Kind, Kind.A), (Path, Path("a/b")),
        (Colour, Colour.RED),
    ],
)  # fmt: skip
def test_a_part_of_the_declared_type_is_a_tag(kind: type, part: Any) -> None:
    """The same part is the same tag, and its name is one printable word."""
    one, two = families[kind](part), families[kind](part)
    assert one == two
    assert hash(one) == hash(two)
    assert str(one).isascii()
    assert " " not in str(one)


@pytest.mark.parametrize(
    ("kind", "part"),
    [
        (int, "42"), (int, True), (int, 42.0), (int, None), (int, Level.ONE), (str, 42), (str, b"a"), (str, Colour.RED),
        (str, Text("a")), (str, Kind.A), (date, datetime(2013, 1, 1, tzinfo=UTC)),
        (UUID, str(UUID(int=1))), (float, 1), (float, True),
        (Kind, "a"), (Colour, "red"), (Path, PurePosixPath("a")), (Path, "a"),
    ],
)  # fmt: skip
def test_a_part_of_another_type_is_an_error(kind: type, part: Any) -> None:
    """It would name another tag, and what was to be invalidated would stay: the message names both types, no value."""
    with pytest.raises(UsageError, match=f"got a {type(part).__name__} where {kind.__name__} is declared"):
        families[kind](part)


def test_parts_are_counted_and_have_no_names() -> None:
    """A wrong number of parts, or a named one, is an error."""
    prices = cache.tag("prices", int, str)
    for parts in ((), (1,), (1, "EUR", 2)):
        with pytest.raises(UsageError, match=r"prices\(int, str\) takes 2 parts, got"):
            prices(*parts)
    for family, takes in ((cache.tag("all"), "no parts, got 1"), (cache.tag("rows", int), "1 part, got 2")):
        with pytest.raises(UsageError, match=rf"takes {takes}\.$"):
            family(*([1] * int(takes[-1])))
    with pytest.raises(UsageError, match=r"by position, not by name \(currency\)"):
        prices(1, currency="EUR")  # type: ignore[call-arg]
    assert prices(1, "EUR") != prices(2, "EUR") != prices(2, "USD")


@given(st.lists(st.tuples(st.text(), st.text()), min_size=2, max_size=2, unique=True))
def test_different_parts_are_different_tags(pair: list[tuple[str, str]]) -> None:
    """No separator in a part can make two tags one."""
    two = TagFamily[[str, str]]("shop", "two", (str, str))
    try:
        ids = {two(*parts).id for parts in pair}
    except KeyEncodingError:
        return  # text without an encoding is refused, and so is no tag of anything else
    assert len(ids) == 2


def test_names_keep_families_apart() -> None:
    """The name and the namespace are part of the tag."""
    one = Cache(namespace="a").tag("products", int)(1)
    others = [Cache(namespace="b").tag("products", int)(1), Cache(namespace="a").tag("product", int)(1)]
    assert one not in others
    assert {one.id}.isdisjoint(other.id for other in others)


def test_a_family_may_be_declared_again_with_the_same_types() -> None:
    """Each module declares the tags that it uses."""
    own = Cache()
    assert own.tag("products", int)(1) == own.tag("products", int)(1)


def test_a_family_says_what_it_takes() -> None:
    """Its text is for error messages and reports."""
    assert repr(cache.tag("prices", int, str)) == "<tag prices(int, str)>"


def test_a_tag_is_a_value() -> None:
    """Tags can be collected in sets and sent to other processes."""
    tag = families[int](1)
    assert pickle.loads(pickle.dumps(tag)) == tag
    assert len({tag, families[int](1), families[int](2)}) == 2


def test_ids_of_tags() -> None:
    """Each tag counts once, in the order given, whatever iterable they come in."""
    products = families[int]
    tags = [products(2), products(1), products(2)]
    expected = (products(2).id, products(1).id)
    for given_tags in (tags, tuple(tags), iter(tags), (tag for tag in tags), dict.fromkeys(tags)):
        assert tag_ids(given_tags, namespace="shop", where="here") == expected
    assert tag_ids((), namespace="shop", where="here") == ()


WRONG: list[tuple[Any, str]] = [
    (families[int](1), r"got one tag where a list"),
    (None, r"got a NoneType where a list"),
    ("products:1", r"got a str where a list"),
    (42, r"got a int where a list"),
    ([families[int]], r"a kind of tag: call it, such as of int\(42\)"),
    (["products:1"], r"got a str, not a tag"),
    ([None], r"got a NoneType, not a tag"),
    ([Tag(families[int](1).id, "other")], r"namespace 'other'; this cache is 'shop'"),
    (
        [Cache(namespace="shop").tag("other", int)(1)],
        r"a tag of another cache, which is 'shop' too: .*test_tags, line",
    ),
]


@pytest.mark.parametrize(("tags", "says"), WRONG, ids=[says for _, says in WRONG])
def test_what_is_no_list_of_tags(tags: Any, says: str) -> None:
    """Anything but tags of this namespace is an error that says where it was given."""
    with pytest.raises(UsageError, match=rf"^product: tags= .*{says}"):
        tag_ids(tags, namespace="shop", where="product: tags=", home=cache._host.home)


def test_a_tag_of_another_cache_of_the_same_name_is_refused() -> None:
    """Two caches share nothing, whatever they are called: each refuses the other's tags, wherever it is given any."""
    one, other = Cache(namespace="twin"), Cache(namespace="twin")
    theirs: Any = other.tag("rows", int)(1)
    contract = Contract("60s")

    def rows(key: int) -> int:
        return key

    asked: list[Callable[[], Any]] = [
        lambda: one.blocking.invalidate(theirs),
        lambda: one.changing(theirs),
        lambda: one.blocking.get_or_load("key", int, contract, tags=[theirs]),
        lambda: one.read("fixed", contract, tags=[theirs])(rows),
        lambda: one.read("computed", contract, tags=lambda key: [theirs])(rows)(1),
    ]
    for ask in asked:
        with pytest.raises((UsageError, DeclarationError), match=r"another cache.*one Cache and import it"):
            ask()
    assert one.tag("rows", int)(1) == theirs


@pytest.mark.parametrize("sent", [copy.copy, copy.deepcopy, lambda tag: pickle.loads(pickle.dumps(tag))])
def test_a_tag_from_elsewhere_is_known_by_its_name(sent: Callable[[Tag], Tag]) -> None:
    """A tag that was sent or copied equals its original, and invalidates in every cache of its namespace."""
    tag = families[int](1)
    received = sent(tag)
    assert (received, hash(received), repr(received)) == (tag, hash(tag), repr(tag))
    own = Cache(namespace="shop")
    loads: list[int] = []

    @own.read("rows", Contract("60s"), tags=[received])
    def rows(key: int) -> int:
        loads.append(key)
        return key

    for _ in range(2):
        rows(1)
        own.blocking.invalidate(received)
    assert loads == [1, 1]


def test_a_tag_is_readable_as_it_is_written() -> None:
    """For people a tag is shown as the call that makes it, whatever its parts hold."""
    cache = Cache(namespace="shop")
    assert readable(cache.tag("products", int)(-42).id) == "products(-42)"
    assert readable(cache.tag("boards", str, int)("a b,c)", 3).id) == "boards('a b,c)', 3)"
    assert (
        readable(cache.tag("off~ers", bool, date)(True, date(2020, 1, 2)).id) == "off~ers(True, 2020-01-02)"
    )
    assert readable(cache.tag("all")().id) == "all()"
    assert readable(cache._host.everything) == "everything in the namespace"
