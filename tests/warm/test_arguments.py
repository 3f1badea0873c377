"""Arguments as JSON: what is written reads back as the same key, and text is not written unless it may be."""

from __future__ import annotations

import enum
import uuid
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cacheaside import Cache, Contract
from cacheaside.endpoint.endpoint import Endpoint
from cacheaside.keys import encode
from cacheaside.warm.arguments import ARGUMENTS_MAX_BYTES, Arguments, are_identifiers
from cacheaside.warm.replay import Unfit


class Colour(enum.Enum):
    RED = "red"


def endpoint_of(function: Any, **options: Any) -> Endpoint:
    """The endpoint that `function` becomes."""
    made: Endpoint = (
        Cache(namespace="shop").read("product", Contract(ttl="60s"), **options)(function).endpoint
    )
    return made


def typed(
    number: int,
    text: str = "en",
    when: datetime | None = None,
    day: date = date(2020, 1, 1),
    price: Decimal = Decimal("1.00"),
    colour: Colour = Colour.RED,
    ids: tuple[int, ...] = (),
    tags: frozenset[str] = frozenset(),
    one: uuid.UUID | None = None,
    *rest: int,
    flag: bool = False,
    **more: int,
) -> int:
    return number


@given(
    st.integers(),
    st.text(),
    st.none() | st.datetimes(timezones=st.just(None) | st.timezones()),
    st.dates(),
    st.decimals(allow_nan=False),
    st.lists(st.integers()),
    st.frozensets(st.text()),
    st.none() | st.uuids(),
    st.lists(st.integers()),
    st.booleans(),
    st.dictionaries(st.text(), st.integers()),
)
def test_what_is_written_reads_back_as_the_same_key(
    number: int,
    text: str,
    when: Any,
    day: date,
    price: Decimal,
    ids: list[int],
    tags: frozenset[str],
    one: Any,
    rest: list[int],
    flag: bool,
    more: dict[str, int],
) -> None:
    """Whatever the arguments: either they are not written, or what is written gives the key that they had."""
    import msgspec

    arguments = Arguments(ENDPOINT)
    parts = (number, text, when, day, price, Colour.RED, tuple(ids), tags, one, tuple(rest), flag, more)
    written = arguments.written(parts)
    if written is not None:
        assert len(written) <= ARGUMENTS_MAX_BYTES
        assert encode(arguments.values(msgspec.json.decode(written))) == encode(parts)


ENDPOINT = endpoint_of(typed)


def test_ordinary_arguments_are_written() -> None:
    """Numbers, text, moments, enums, tuples, UUIDs: what endpoints are asked for every day."""
    parts = (
        *(42, "en", datetime(2020, 1, 2), date(2020, 1, 1), Decimal("9.90"), Colour.RED),  # noqa: DTZ001
        *((1, 2), frozenset("ab"), uuid.UUID(int=7), (3, 4), True, {"a": 1}),
    )
    assert Arguments(ENDPOINT).written(parts) is not None


@pytest.mark.parametrize(
    "part", [float("nan"), 1.5, 2**70, b"\xff", "x" * 2000, object, 1j, uuid.UUID(int=7)]
)
def test_what_an_annotation_cannot_restore_is_not_written(part: Any) -> None:
    """Without an annotation a UUID would come back as text, bytes as base64: another key, so it is not written; nor is
    what has no JSON or takes more than its bound. A plain number of any size may be, when it comes back."""

    def untyped(it) -> int:  # type: ignore[no-untyped-def]
        return 1

    written = Arguments(endpoint_of(untyped)).written((part,))
    if part in (1.5, 2**70):
        assert written is None or written.startswith(b'{"it":')
    else:
        assert written is None


@pytest.mark.parametrize(
    ("annotation", "identifies"),
    [
        (int, True),
        (int | None, True),
        (uuid.UUID, True),
        (date, True),
        (Colour, True),
        (Literal["a", "b"], True),
        (tuple[int, ...], True),
        (frozenset[Colour], True),
        (str, False),
        (int | str, False),
        (bytes, False),
        (tuple[str, ...], False),
        (tuple, False),
        (dict[int, int], False),
        (Any, False),
        (object, False),
    ],
)
def test_text_counts_as_personal_until_told_otherwise(annotation: Any, identifies: bool) -> None:
    """Identifiers by their class; anything that people may have written, and anything unknown, is none."""
    assert are_identifiers(annotation) is identifies


def test_a_parameter_that_came_later_has_its_default() -> None:
    """A list from before a parameter was added still fits, when it has a default."""

    def product(product_id: int, locale: str = "en") -> int:
        return product_id

    assert Arguments(endpoint_of(product)).values({"product_id": 42}) == (42, "en")
    assert Arguments(endpoint_of(product)).values([42]) == (42, "en")


@pytest.mark.parametrize(
    ("given_", "says"),
    [
        ({"id": 42}, "has no parameter id"),
        ({}, "needs parameter product_id"),
        ({"product_id": "secret-9"}, "takes no str of that kind as product_id"),
        ([1, "en", 3], "takes 2 arguments, not 3"),
        (42, "as a mapping or a list, not as a int"),
    ],
)
def test_what_fits_no_more_says_why_and_quotes_nothing(given_: Any, says: str) -> None:
    """The parameter and the class are named, never the value."""

    def product(product_id: int, locale: str = "en") -> int:
        return product_id

    with pytest.raises(Unfit) as refused:
        Arguments(endpoint_of(product)).values(given_)
    assert says in str(refused.value)
    assert "secret" not in str(refused.value)


def test_text_is_read_as_what_it_stands_for_where_it_may_be() -> None:
    """In a CSV all cells are text: "42" is a number there, and nowhere else."""

    def product(product_id: int, flag: bool = False, colour: Colour = Colour.RED) -> int:
        return product_id

    arguments = Arguments(endpoint_of(product))
    cells = {"product_id": "42", "flag": "true", "colour": "red"}
    assert arguments.values(cells, strict=False) == (42, True, Colour.RED)
    with pytest.raises(Unfit):
        arguments.values(cells)


def test_what_cannot_be_called_again_says_why() -> None:
    """Methods, what varies by context, and ignored parameters without a default."""

    def ignoring(it: int, request: object) -> int:
        return it

    class Shop:
        def method(self, it: int) -> int:
            return it

    assert "method" in str(Arguments(endpoint_of(Shop.method, ignore=["self"])).problem)
    assert "request" in str(Arguments(endpoint_of(ignoring, ignore=["request"])).problem)

    def varied(it: int) -> int:
        return it

    assert "vary=" in str(Arguments(endpoint_of(varied, vary=lambda: 1)).problem)
    assert Arguments(ENDPOINT).problem is None
