"""The canonical encoding: injective, canonical, bounded, and the same in every process."""

from __future__ import annotations

import decimal
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from starlette.datastructures import QueryParams
from starlette.requests import Request

from cacheaside.errors import KeyEncodingError
from cacheaside.keys import DEPTH_MAX_LEVELS, ENCODED_MAX_CHARS, encode


def read(encoded: bytes) -> Any:
    """The value behind an encoding of builtins, or an assertion that the encoding breaks its own grammar."""
    value, rest = _read_one(encoded.decode("ascii"))
    assert rest == ""
    return value


def _read_one(text: str) -> tuple[Any, str]:
    tag, rest = text[0], text[1:]
    if tag == "(":
        return _read_many(rest, tuple)
    if rest[:1] == "(":
        build: Callable[[list[Any]], Any] = {"l": list, "S": set, "F": frozenset}.get(tag, list)
        return _read_pairs(rest[1:]) if tag == "M" else _read_many(rest[1:], build)
    end = next((at for at, sign in enumerate(rest) if sign in ",=)"), len(rest))
    return _ATOMS[tag](rest[:end]), rest[end:]


def _read_many(rest: str, build: Callable[[list[Any]], Any]) -> tuple[Any, str]:
    values = []
    while rest[0] != ")":
        value, rest = _read_one(rest.removeprefix(","))
        values.append(value)
    return build(values), rest[1:]


def _read_pairs(rest: str) -> tuple[Any, str]:
    pairs = {}
    while rest[0] != ")":
        key, rest = _read_one(rest.removeprefix(","))
        assert rest[0] == "="
        pairs[key], rest = _read_one(rest[1:])
    return pairs, rest[1:]


def _unescape(text: str) -> str:
    raw = b""
    while text:
        size = 3 if text[0] == "%" else 1
        raw += bytes.fromhex(text[1:3]) if size == 3 else text[0].encode("ascii")
        text = text[size:]
    return raw.decode("utf-8", "surrogatepass")


def _clock(text: str) -> tuple[str, int]:
    """ISO text and fold; only the zones that the strategies below draw are read back."""
    return (text.removesuffix("f").replace(".", ":", 2), int(text.endswith("f")))


def _read_datetime(text: str) -> datetime:
    text, zoned, zone = text.partition("~")
    iso, fold = text.removesuffix("f"), int(text.endswith("f"))
    day, moment = iso.split("T")
    local, sign, offset = moment.partition("+") if "+" in moment else moment.partition("-")
    iso = day + "T" + local.replace(".", ":", 2) + sign + offset.replace(".", ":", 2)
    value = datetime.fromisoformat(iso).replace(fold=fold)
    return value.replace(tzinfo=ZoneInfo(_unescape(zone))) if zoned else value


def _read_time(text: str) -> time:
    iso, fold = _clock(text)
    return time.fromisoformat(iso).replace(fold=fold)


_ATOMS: dict[str, Callable[[str], Any]] = {
    "n": lambda _: None,
    "t": lambda _: True,
    "f": lambda _: False,
    "i": int,
    "h": lambda text: int(text, 16),
    "d": float,
    "m": Decimal,
    "s": _unescape,
    "x": bytes.fromhex,
    "u": UUID,
    "D": date.fromisoformat,
    "N": _read_datetime,
    "Z": _read_datetime,
    "T": _read_time,
    "w": lambda text: timedelta(microseconds=int(text)),
}


def exact(value: Any) -> Any:
    """A form in which two builtin values are equal only if no function could tell them apart."""
    cls = type(value)
    if cls in (tuple, list):
        return (cls, [exact(item) for item in value])
    if cls in (set, frozenset):
        return (cls, sorted((exact(item) for item in value), key=repr))
    if cls is dict:
        return (cls, sorted(((exact(key), exact(item)) for key, item in value.items()), key=repr))
    if cls in (float, Decimal):
        return (cls, repr(value) if cls is float else value.as_tuple())
    if cls in (datetime, time):
        return (cls, value.isoformat(), value.fold, str(value.tzinfo), type(value.tzinfo))
    return (cls, value)


ZONES = [None, UTC, timezone(timedelta(hours=2)), timezone(-timedelta(minutes=210)), ZoneInfo("Europe/Paris")]
TEXTS = st.text(alphabet=st.sampled_from("a1ins,()=~:%{}[]!#* é\ud800\U0001f600"), max_size=4) | st.text(
    max_size=8
)
ATOMS = (
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.integers()
    | st.integers(-(1 << 300), 1 << 300)
    | st.floats()
    | st.decimals().filter(lambda value: not value.is_snan())  # cannot be hashed, so not in a set
    | TEXTS
    | st.binary(max_size=4)
    | st.uuids()
    | st.dates()
    | st.datetimes(timezones=st.sampled_from(ZONES))
    | st.builds(lambda value: value.replace(fold=1), st.datetimes())
    | st.times()
    | st.timedeltas()
)
HASHABLE = st.recursive(
    ATOMS,
    lambda inner: st.lists(inner, max_size=3).map(tuple) | st.frozensets(inner, max_size=3),
    max_leaves=6,
)
VALUES = st.recursive(
    HASHABLE,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.sets(HASHABLE, max_size=3)
        | st.dictionaries(HASHABLE, inner, max_size=3)
    ),
    max_leaves=8,
)


@given(VALUES)
def test_an_encoding_reads_back_as_the_very_same_value(value: Any) -> None:
    """Injective: a reader that knows only the grammar gets back every builtin value, type and all."""
    assert exact(read(encode(value))) == exact(value)


@given(VALUES, VALUES)
def test_different_values_have_different_encodings(first: Any, second: Any) -> None:
    """Two values share an encoding only if they are exactly the same, type and all."""
    assert (encode(first) == encode(second)) == (exact(first) == exact(second))


@given(VALUES)
def test_an_encoding_is_printable_and_balanced(value: Any) -> None:
    """No space, brace, quote, colon, glob or control character; brackets close; commas only inside."""
    text = encode(value).decode("ascii")
    assert set(text) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./@+%,=()~")
    depth = 0
    for sign in text:
        depth += (sign == "(") - (sign == ")")
        assert depth >= 0
        assert depth > 0 or sign != ","
    assert depth == 0


def test_floats_differ_by_sign_of_zero_and_nans_do_not_differ() -> None:
    """-0.0 is not 0.0; every NaN is one value; the infinities are two."""
    assert encode(-0.0) != encode(0.0)
    assert encode(float("nan")) == encode(-float("nan")) == encode(float("inf") - float("inf"))
    assert len({encode(float(text)) for text in ("inf", "-inf", "nan")}) == 3


def test_decimals_keep_digits_and_exponent_under_any_context() -> None:
    """1.0 is not 1.00, and the thread's decimal context does not change an encoding."""
    assert encode(Decimal("1.0")) != encode(Decimal("1.00"))
    assert encode(Decimal("0E+3")) != encode(Decimal("0E+4"))
    plain = encode(Decimal("1E+30"))
    with decimal.localcontext() as context:
        context.capitals = 0
        context.prec = 2
        assert encode(Decimal("1E+30")) == plain


def test_ints_of_any_size_have_an_encoding() -> None:
    """Beyond 128 bits an int is written in hexadecimals, without the limit on decimal digits."""
    big = 1 << 20_000
    assert len({encode(value) for value in (big, -big, big + 1, 1 << 128, (1 << 128) - 1)}) == 5
    assert encode((1 << 128) - 1)[:1] == b"i"
    assert encode(1 << 128)[:1] == b"h"


@dataclass
class Point:
    x: Any
    y: Any


class Base(DeclarativeBase):
    pass


class Row(Base):
    __tablename__ = "rows"
    id: Mapped[int] = mapped_column(primary_key=True)


UNENCODABLE: list[object] = [
    object(), complex(1), bytearray(b"a"), memoryview(b"a"), lambda: 1, int, iter([]), Row(id=1), ...,
    Request({"type": "http", "headers": []}), QueryParams("a=1&a=2"), iter("ab"), pytest,
]  # fmt: skip


@pytest.mark.parametrize("value", UNENCODABLE, ids=lambda value: type(value).__name__)
def test_anything_else_is_refused_with_its_type_and_a_way_out(value: object) -> None:
    """No encoding is guessed; the message names the type, ignore= and __cache_key__."""
    for argument in (value, [value], {"k": (value,)}, Point(value, 1)):
        with pytest.raises(KeyEncodingError, match=rf"{type(value).__name__} .*ignore=.*__cache_key__"):
            encode(argument)


def test_nesting_is_bounded_and_cycles_end() -> None:
    """The deepest allowed value has an encoding; one level more, or a list that holds itself, is refused."""
    value: Any = 1
    for _ in range(DEPTH_MAX_LEVELS):
        value = [value]
    assert encode(value)
    cycle: list[Any] = []
    cycle.append(cycle)
    for deep in ([value], {1: value}, (value,), Point(value, 1), cycle):
        with pytest.raises(KeyEncodingError, match=f"deeper than {DEPTH_MAX_LEVELS} levels"):
            encode(deep)


def test_a_cache_key_that_never_ends_is_refused() -> None:
    """An object that names itself as its own key is caught by the depth limit."""

    class Mirror:
        def __cache_key__(self) -> object:
            return self

    with pytest.raises(KeyEncodingError, match="deeper than"):
        encode(Mirror())


def test_size_is_bounded_even_when_small_values_are_shared() -> None:
    """Long texts are refused, and so is a small structure that doubles with every level."""
    doubling: Any = (1,)
    for _ in range(DEPTH_MAX_LEVELS - 2):
        doubling = (doubling, doubling)
    too_long = "a" * ENCODED_MAX_CHARS
    for value in (too_long, "é" * 20_000, b"a" * ENCODED_MAX_CHARS, 1 << 300_000, doubling, {"k": [too_long]},
                  list(range(40_000)), set(range(40_000)), {n: n for n in range(40_000)}):  # fmt: skip
        with pytest.raises(KeyEncodingError, match=f"{ENCODED_MAX_CHARS:,} characters"):
            encode(value)
    assert len(encode("a" * (ENCODED_MAX_CHARS - 1))) == ENCODED_MAX_CHARS


_IN_A_FRESH_PROCESS = """
from cacheaside.keys import arguments_key, encode
value = ({"b", "a", "c", ("x", 1)}, frozenset(range(5)), {"k": {1, "1"}, "j": {"z", "y"}}, "e", 1.5)
print(encode(value).decode(), arguments_key("shop", "product", 1, "k3f9", value))
"""


def test_an_encoding_does_not_depend_on_the_hash_seed() -> None:
    """Processes with different string hashes agree on every key."""
    outputs = set()
    for seed in ("0", "1", "4242"):
        environment = {
            **os.environ,
            "PYTHONHASHSEED": seed,
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        }
        run = subprocess.run(
            [sys.executable, "-c", _IN_A_FRESH_PROCESS],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        outputs.add(run.stdout)
    assert len(outputs) == 1
