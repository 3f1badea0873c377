"""Final keys: injective, readable, safe wherever keys go, bounded in length."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cacheaside.errors import KeyEncodingError
from cacheaside.keys import KEY_MAX_CHARS, arguments_key, arguments_prefix, key_under, keys_of_one, tag_key

TEXTS = st.text(alphabet=st.sampled_from("a1is,()=~:%{}[]!#tg *é\ud800"), max_size=3)
PARTS = st.lists(
    st.none() | st.booleans() | st.integers(-1, 2) | st.sampled_from([0.0, -0.0, 1.0]) | TEXTS
    | st.binary(max_size=1) | st.lists(TEXTS, max_size=2).map(tuple),
    max_size=3,
).map(tuple)  # fmt: skip
CALLS = st.tuples(TEXTS, TEXTS, st.integers(0, 1) | TEXTS, TEXTS, PARTS)


def typed(value: Any) -> Any:
    """Equal only for values of one type that print the same."""
    return tuple(typed(item) for item in value) if type(value) is tuple else (type(value), repr(value))


@given(CALLS, CALLS)
def test_two_calls_share_a_key_only_if_everything_about_them_is_the_same(first: Any, second: Any) -> None:
    """Namespace, endpoint, version (by its text), fingerprint and each argument keep two calls apart."""
    same = typed((*first[:2], str(first[2]), *first[3:])) == typed((*second[:2], str(second[2]), *second[3:]))
    assert (arguments_key(*first) == arguments_key(*second)) == same


@given(TEXTS, TEXTS, PARTS, TEXTS, TEXTS, PARTS)
def test_two_tags_share_a_key_only_if_they_are_the_same(
    namespace: str, name: str, parts: Any, namespace_2: str, name_2: str, parts_2: Any
) -> None:
    """Namespace, name and each part keep two tags apart."""
    same = typed((namespace, name, parts)) == typed((namespace_2, name_2, parts_2))
    assert (tag_key(namespace, name, parts) == tag_key(namespace_2, name_2, parts_2)) == same


@given(CALLS, TEXTS | st.just("tag"), TEXTS, PARTS)
def test_no_tag_has_the_key_of_an_entry(call: Any, namespace: str, name: str, parts: Any) -> None:
    """Tags and entries live in one store, so their keys never meet, nor does one begin the other's suffix."""
    assert arguments_key(*call) != tag_key(namespace, name, parts)
    assert arguments_key("shop", "tag", 1, "", parts) != tag_key("shop", "1", parts)


@given(st.tuples(st.text(), st.text(), st.text(), st.text(), st.tuples(st.text() | st.binary())))
def test_a_key_is_safe_wherever_keys_go(call: Any) -> None:
    """Printable ASCII, no space, quote, glob, brace or `!`: no hash tag forms, and marks may go around."""
    safe = set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./@+%,=()~:#")
    for key in (arguments_key(*call), tag_key(call[0], call[1], call[4])):
        assert set(key) <= safe
        assert len(key) <= KEY_MAX_CHARS


def test_common_keys_are_readable() -> None:
    """The format as people meet it in logs and in redis-cli."""
    assert arguments_key("shop", "product", 1, "k3f9", (42, "en")) == "shop:product:1~k3f9:i42,sen"
    assert arguments_key("shop", "all", "v2", "k3f9", ()) == "shop:all:v2~k3f9:"
    assert arguments_key("a:b", "c{d}", "~", "f", ("x:y",)) == "a%3Ab:c%7Bd%7D:%7E~f:sx%3Ay"
    assert tag_key("shop", "products", (42,)) == "shop:tag~products:i42"
    assert tag_key("shop", "all", ()) == "shop:tag~all:"
    assert tag_key("shop", "owner", (UUID(int=1), None)) == f"shop:tag~owner:u{'0' * 31}1,n"


def test_a_prefix_and_the_parts_make_the_same_key() -> None:
    """An endpoint may keep its prefix: the key does not depend on how it was put together."""
    prefix = arguments_prefix("shop", "product", 1, "k3f9")
    for parts in ((), (1,), (1, "a"), ("x" * 500,)):
        assert key_under(prefix, parts) == arguments_key("shop", "product", 1, "k3f9", parts)


def test_versions_count_by_their_text() -> None:
    """1 and "1" are one version; True, which equals 1, is not."""
    keys = [arguments_key("n", "e", version, "f", ()) for version in (1, "1", True, 1)]
    assert keys[0] == keys[1] == keys[3] != keys[2]


def test_a_long_key_keeps_its_frame_and_ends_in_a_hash() -> None:
    """What a person needs to recognise stays; the rest is 160 bits over the whole key."""
    key = arguments_key("shop", "product", 1, "k3f9", ("x" * 300,))
    assert re.fullmatch(r"shop:product:1~k3f9:#[0-9a-f]{40}", key)
    assert (
        key == "shop:product:1~k3f9:#cbd4896fc15cb898f0f056d15a645db49c47e026"
    )  # stored format: see KEY_FORMAT
    longest = KEY_MAX_CHARS - len("shop:product:1~k3f9:s")
    assert arguments_key("shop", "product", 1, "k3f9", ("x" * longest,)).endswith("xxx")
    assert "#" in arguments_key("shop", "product", 1, "k3f9", ("x" * (longest + 1),))


def test_long_keys_differ_in_any_part() -> None:
    """A hash covers the frame too, also where a frame alone is longer than a key may be."""
    long = "x" * 300
    calls: list[tuple[str, str, int, str, tuple[Any, ...]]] = [
        ("n", "e", 1, "f", (long,)),
        ("n", "e", 1, "f", (long, "")),
        ("n", "e", 1, "g", (long,)),
        ("n", long, 1, "f", ()),
        (long, "e", 1, "f", ()),
        (long, "e", 2, "f", ()),
        (long, "e", 1, "f", (1,)),
    ]
    keys = {arguments_key(*call) for call in calls}
    assert len(keys) == len(calls)
    assert all(len(key) <= KEY_MAX_CHARS for key in keys)


def test_a_part_without_an_encoding_is_refused() -> None:
    """One argument, one of several, and the part of a tag."""
    for parts in ((object(),), (1, object())):
        with pytest.raises(KeyEncodingError, match=r"builtins\.object"):
            arguments_key("shop", "product", 1, "k3f9", parts)
        with pytest.raises(KeyEncodingError, match=r"builtins\.object"):
            tag_key("shop", "products", parts)


ANY_PART = (
    PARTS
    | TEXTS
    | st.text(max_size=400)
    | st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.binary(max_size=300)
    | st.decimals()
    | st.uuids()
    | st.dates()
    | st.datetimes(timezones=st.none() | st.timezones())
    | st.timedeltas()
    | st.frozensets(st.integers(), max_size=3)
    | st.dictionaries(TEXTS, st.integers(), max_size=3)
    | st.sampled_from([int, object(), len])
)


@given(TEXTS, ANY_PART)
def test_the_key_of_one_part_is_that_of_a_tuple_of_it(prefix: str, part: Any) -> None:
    """The shorter way to the key of a single argument gives the same key, or the same refusal."""
    prefix = arguments_prefix("shop", prefix, 1, "k3f9")

    def outcome(make: Callable[[], str]) -> str:
        try:
            return make()
        except KeyEncodingError as error:
            return f"refused: {error}"

    assert outcome(lambda: keys_of_one(prefix)(part)) == outcome(lambda: key_under(prefix, (part,)))
