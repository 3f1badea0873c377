"""The canonical encoding of arguments: two values share one only if no function could tell them apart.

The encoding is printable ASCII in one small grammar. A tag letter says the type; texts are escaped, so that
the marks ``, = ( ) ~`` only ever stand for themselves; brackets balance. Hence no encoding holds a comma
outside brackets, and encodings joined by commas can be taken apart again in one way only.

    n t f              None, True, False
    i42 h-1f           int in decimals; beyond 128 bits in hexadecimals, which take linear time
    d1.5 m1.00         float (shortest text that reads back the same), Decimal (every digit, and the exponent)
    sen x00ff u6ba7…   str, bytes, UUID
    D N Z T w y        date, naive datetime, aware datetime, time, timedelta in microseconds, time zone
    emod~Class~NAME    Enum member          gmod~Class~3   Flag
    p… a…              path, IP address     r(0,5,1)       range
    (…) l(…)           tuple, list          S(…) F(…)      set, frozenset: encodings in sorted order
    M(k=v,…)           dict, sorted by encoded key         O(k=v,…)   OrderedDict, in its order
    cmod~Class(f=v,…)  dataclass, Struct, attrs class, NamedTuple, pydantic model
    vmod~Class(…)      subclass of a builtin, other mapping      kmod~Class(…)   result of `__cache_key__`

It depends on the value alone: not on hash seeds, insertion order, the decimal context or the process.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from functools import lru_cache
from typing import Any
from uuid import UUID

from cacheaside.errors import KeyEncodingError
from cacheaside.keys.atoms import ATOMS, int_text
from cacheaside.keys.classes import BUILTINS, CLASSES_REMEMBERED, Kind, class_text, kind_of
from cacheaside.keys.limits import ENCODED_MAX_CHARS, check_depth, check_size
from cacheaside.keys.moments import timedelta_text, zone_text
from cacheaside.keys.records import field_names, fields_of
from cacheaside.keys.text import escaped

__all__ = ["encode", "encoded_list", "encoded_text", "refusal"]

_Compound = Callable[[Any, int], str]


def encode(value: object) -> bytes:
    """The canonical encoding of `value`.

    Raises `KeyEncodingError` for a value that has none, nests deeper than `DEPTH_MAX_LEVELS`, or encodes to
    more than `ENCODED_MAX_CHARS`. Only a `__cache_key__` method can make the outcome depend on anything but
    the value.
    """
    return encoded_text(value, 0).encode("ascii")


def encoded_text(value: Any, depth: int) -> str:
    """`encode` as a string, for a value that `depth` levels enclose."""
    cls: Any = type(value)
    atom = ATOMS.get(cls)
    return atom(value) if atom is not None else _compound_of(cls)(value, depth + 1)


def encoded_list(values: Iterable[Any], depth: int) -> str:
    """The encodings of `values` joined by commas."""
    texts = []
    size = 0
    for value in values:
        text = encoded_text(value, depth)
        # Counted while it grows: a list that holds the same list twice, and so on, doubles with every level.
        size += len(text) + 1
        if size > ENCODED_MAX_CHARS:
            check_size(size, "container")
        texts.append(text)
    return ",".join(texts)


def refusal(cls: type) -> str:
    """What to do about an argument of `cls`, which has no encoding; a whole sentence."""
    name = f"{cls.__module__}.{cls.__qualname__}"
    builtin = next((base.__name__ for base in BUILTINS if issubclass(cls, base)), None)
    hint = f"convert it to {builtin}" if builtin else "pass an id instead"
    return (
        f"A {name} cannot be part of a cache key: {hint}, name the parameter in ignore=, or give "
        f"{cls.__qualname__} a __cache_key__() method that returns the parts that identify it."
    )


@lru_cache(maxsize=CLASSES_REMEMBERED)
def _compound_of(cls: type) -> _Compound:
    """How instances of exactly `cls` are encoded, found out once."""
    kind = kind_of(cls)
    if kind is Kind.EXACT:
        return _CONTAINERS[cls]
    name = class_text(cls)
    if kind is Kind.MEMBER:
        return lambda value, _: f"e{name}~{escaped(value._name_)}"
    if kind is Kind.FLAG:
        return lambda value, _: f"g{name}~{value._value_}"
    if kind is Kind.RECORD:
        return _record(name, field_names(cls))
    if kind is Kind.KEYED:
        return _keyed(cls, name)
    if kind is Kind.DERIVED:
        return _derived(cls, name)
    if kind is Kind.MAPPING:
        return lambda value, depth: f"v{name}({_mapping_text(value, depth)})"
    if kind is Kind.PATH:
        return lambda value, _: f"p{escaped(cls.__name__)}~{escaped(str(value))}"
    if kind is Kind.IP:
        return lambda value, _: f"a{cls.__name__}~{escaped(str(value))}"
    if kind is Kind.ZONE:
        return _zone
    return _refuse


def _refuse(value: object, _: int) -> str:
    raise KeyEncodingError(refusal(type(value)))


def _zone(value: Any, _: int) -> str:
    name = zone_text(value)
    offset = timedelta_text(value.utcoffset(None)) if type(value) is timezone else ""
    return f"y{offset}{name}"


def _tuple_text(value: tuple[Any, ...], depth: int) -> str:
    check_depth(depth, "tuple")
    return f"({encoded_list(tuple.__iter__(value), depth)})"


def _list_text(value: list[Any], depth: int) -> str:
    check_depth(depth, "list")
    return f"l({encoded_list(list.__iter__(value), depth)})"


def _set_text(value: set[Any], depth: int) -> str:
    check_depth(depth, "set")
    return f"S({_sorted_list(set.__iter__(value), depth)})"


def _frozenset_text(value: frozenset[Any], depth: int) -> str:
    check_depth(depth, "frozenset")
    return f"F({_sorted_list(frozenset.__iter__(value), depth)})"


def _sorted_list(values: Iterable[Any], depth: int) -> str:
    texts = []
    size = 0
    for value in values:
        text = encoded_text(value, depth)
        size += len(text) + 1
        check_size(size, "set")
        texts.append(text)
    return ",".join(sorted(texts))


def _pairs(items: Iterable[tuple[Any, Any]], depth: int) -> list[tuple[str, str]]:
    pairs: list[tuple[str, str]] = []
    size = 0
    for key, item in items:
        pair = (encoded_text(key, depth), encoded_text(item, depth))
        size += len(pair[0]) + len(pair[1]) + 2
        check_size(size, "mapping")
        pairs.append(pair)
    return pairs


def _joined(pairs: Iterable[tuple[str, str]]) -> str:
    return ",".join([f"{key}={item}" for key, item in pairs])


def _dict_text(value: dict[Any, Any], depth: int) -> str:
    # The dict's own storage: a subclass may show something else in items().
    check_depth(depth, "dict")
    return f"M({_joined(sorted(_pairs(dict.items(value), depth)))})"


def _ordered_text(value: OrderedDict[Any, Any], depth: int) -> str:
    check_depth(depth, "OrderedDict")
    return f"O({_joined(_pairs(OrderedDict.items(value), depth))})"


def _mapping_text(value: Any, depth: int) -> str:
    check_depth(depth, "mapping")
    return f"M({_joined(sorted(_pairs(value.items(), depth)))})"


def _range_text(value: range, _: int) -> str:
    return f"r({int_text(value.start)},{int_text(value.stop)},{int_text(value.step)})"


def _record(name: str, names: tuple[str, ...]) -> _Compound:
    def record_text(value: Any, depth: int) -> str:
        check_depth(depth, "record")
        pairs = []
        size = len(name)
        for field, item in fields_of(value, names):
            text = encoded_text(item, depth)
            size += len(field) + len(text) + 2
            check_size(size, "record")
            pairs.append((field if field == "~" else escaped(field), text))
        return f"c{name}({_joined(pairs)})"

    return record_text


def _keyed(cls: Any, name: str) -> _Compound:
    def keyed_text(value: Any, depth: int) -> str:
        check_depth(depth, f"{cls.__qualname__}.__cache_key__() result")
        return f"k{name}({encoded_text(cls.__cache_key__(value), depth)})"

    return keyed_text


_PLAIN_VALUE: dict[type, Callable[[Any], Any]] = {
    int: int.__int__,
    float: float.__float__,
    str: str.__str__,
    bytes: lambda value: bytes.__getitem__(value, slice(None)),
    Decimal: Decimal,
    UUID: lambda value: UUID(int=value.int),
    datetime: lambda value: datetime.combine(datetime.date(value), datetime.timetz(value)),
    date: lambda value: date.fromordinal(date.toordinal(value)),
    time: lambda value: time(
        value.hour, value.minute, value.second, value.microsecond, tzinfo=value.tzinfo, fold=value.fold
    ),
    timedelta: lambda value: timedelta(value.days, value.seconds, value.microseconds),
}


def _derived(cls: type, name: str) -> _Compound:
    """A subclass of a builtin: its class, then the builtin's value as the builtin's own methods give it."""
    builtin = next(base for base in BUILTINS if issubclass(cls, base))
    base_text = _CONTAINERS.get(builtin) or _plain_text(_PLAIN_VALUE[builtin], ATOMS[builtin])

    def derived_text(value: Any, depth: int) -> str:
        if getattr(value, "__dict__", None):
            raise KeyEncodingError(refusal(cls))  # attributes of its own: part of what it is, or not?
        return f"v{name}({base_text(value, depth)})"

    return derived_text


def _plain_text(plain: Callable[[Any], Any], atom: Callable[[Any], str]) -> _Compound:
    return lambda value, _: atom(plain(value))


_CONTAINERS: dict[type, _Compound] = {
    tuple: _tuple_text,
    list: _list_text,
    set: _set_text,
    frozenset: _frozenset_text,
    OrderedDict: _ordered_text,
    dict: _dict_text,
    range: _range_text,
}
