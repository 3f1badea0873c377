"""What users get wrong is an error where it is declared, and the message says what to do."""

from __future__ import annotations

import functools
import io
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
from starlette.responses import JSONResponse

from cacheaside import Cache, Contract, DeclarationError

if TYPE_CHECKING:
    from decimal import Decimal as OnlyForCheckers

MINUTE = Contract("60s")


@asynccontextmanager
async def open_async() -> AsyncIterator[object]:
    yield object()


@contextmanager
def open_blocking() -> Iterator[object]:
    yield object()


async def open_coroutine() -> object:
    return object()


async def open_async_generator() -> AsyncIterator[object]:
    yield object()


def open_generator() -> Iterator[object]:
    yield object()


class Base(DeclarativeBase):
    pass


class ProductRow(Base):
    __tablename__ = "products"
    id: Mapped[int] = mapped_column(primary_key=True)


def product(product_id: int) -> int:
    return product_id


async def product_async(product_id: int) -> int:
    return product_id


def with_session(session: Session, product_id: int) -> int:
    return product_id


Declare = Callable[[Cache], Any]


def decorated(function: Any, **options: Any) -> Declare:
    return lambda cache: cache.read("product", MINUTE, **options)(function)


def sourced(function: Any, opener: Any = open_blocking, **options: Any) -> Declare:
    return lambda cache: cache.read("product", MINUTE, source=cache.source("db", open=opener), **options)(
        function
    )


# Functions and methods.


def self_undeclared(cache: Cache) -> Any:
    class Shop:
        @cache.read("product", MINUTE)
        def product(self, product_id: int) -> int:
            return product_id

    return Shop


def classmethod_below(cache: Cache) -> Any:
    class Shop:
        @cache.read("product", MINUTE)
        @classmethod
        def product(cls, product_id: int) -> int:
            return product_id

    return Shop


def staticmethod_below(cache: Cache) -> Any:
    class Shop:
        @cache.read("product", MINUTE)
        @staticmethod
        def product(product_id: int) -> int:
            return product_id

    return Shop


def classmethod_above(cache: Cache) -> Any:
    class Shop:
        @classmethod
        @cache.read("product", MINUTE)
        def product(cls, product_id: int) -> int:
            return product_id

    return Shop


def property_below(cache: Cache) -> Any:
    class Shop:
        @cache.read("product", MINUTE)
        @property
        def product(self) -> int:
            return 1

    return Shop


def declared_twice(cache: Cache) -> Any:
    cache.read("product", MINUTE)(product)
    return cache.read("product", MINUTE)(product_async)


def decorated_twice(cache: Cache) -> Any:
    return cache.read("second", MINUTE)(cache.read("first", MINUTE)(product))


def generator(product_id: int) -> Generator[int, None, None]:
    yield product_id


async def async_generator(product_id: int) -> AsyncIterator[int]:
    yield product_id


def returns_iterator(product_id: int) -> Iterator[int]:
    return iter([product_id])


def returns_awaitable(product_id: int) -> Awaitable[int]:
    return product_async(product_id)


def returns_response(product_id: int) -> JSONResponse:
    return JSONResponse({})


def returns_row(product_id: int) -> ProductRow | None:
    return None


def returns_nothing(product_id: int) -> None:
    return None


def returns_unannotated(product_id: int):  # type: ignore[no-untyped-def]
    return product_id


def returns_unresolved(product_id: int) -> OnlyForCheckers:
    raise AssertionError


def returns_file(product_id: int) -> io.BytesIO:
    return io.BytesIO()


# Parameters.


def takes_session(session: Session, product_id: int) -> int:
    return product_id


def takes_session_second(product_id: int, session: Session) -> int:
    return product_id


def takes_iterator(ids: Iterator[int]) -> int:
    return sum(ids)


def takes_callable(key: Callable[[], int]) -> int:
    return key()


def takes_open_file(file: io.TextIOWrapper) -> int:
    return 1


def takes_mutable_default(ids: list[int] = []) -> int:  # noqa: B006 that is what is tested
    return len(ids)


def takes_unencodable_default(key: object = object()) -> int:
    return 1


def takes_reserved(_slow: int) -> int:
    return _slow


def takes_numbered(_k0: int) -> int:
    return _k0


def takes_nothing() -> int:
    return 1


# Options.


async def async_tags(product_id: int) -> list[Any]:
    return []


def tag_of_another_cache(cache: Cache) -> Any:
    other = Cache(namespace="other").tag("products", int)
    return cache.read("product", MINUTE, tags=[other(1)])(product)


def tag_family_as_tags(cache: Cache) -> Any:
    return cache.read("product", MINUTE, tags=cache.tag("products", int))(product)  # type: ignore[arg-type]


def tag_family_in_tags(cache: Cache) -> Any:
    return cache.read("product", MINUTE, tags=[cache.tag("products", int)])(product)  # type: ignore[list-item]


def tag_family_as_value_tags(cache: Cache) -> Any:
    return cache.read("product", MINUTE, value_tags=cache.tag("products", int))(product)  # type: ignore[arg-type]


def one_tag_as_tags(cache: Cache) -> Any:
    return cache.read("product", MINUTE, tags=cache.tag("products", int)(1))(product)  # type: ignore[call-overload]


def without_arguments(cache: Cache) -> Any:
    return cache.read(product)  # type: ignore[call-overload]


def without_contract(cache: Cache) -> Any:
    return cache.read("product")(product)  # type: ignore[call-overload]


def ttl_as_contract(cache: Cache) -> Any:
    return cache.read("product", "60s")(product)  # type: ignore[call-overload]


def ttl_as_option(cache: Cache) -> Any:
    return cache.read("product", ttl="60s", grace="5m")(product)  # type: ignore[call-overload]


def unknown_option(cache: Cache) -> Any:
    return cache.read("product", MINUTE, sources=[])(product)  # type: ignore[call-overload]


def without_name(cache: Cache) -> Any:
    return cache.read("", MINUTE)(product)


def inline_name(cache: Cache) -> Any:
    return cache.read("get_or_load", MINUTE)(product)


def batch_of(function: Any, **options: Any) -> Declare:
    return lambda cache: cache.read("product", MINUTE, **options)(product).batch(function)


def two_batches(cache: Cache) -> Any:
    endpoint = cache.read("product", MINUTE)(product)
    endpoint.batch(lambda ids: ids)
    return endpoint.batch(lambda ids: ids)


async def async_batch(ids: list[int]) -> list[int]:
    return ids


def batch_with_session(session: object, ids: list[int]) -> list[int]:
    return ids


def source_twice(cache: Cache) -> Any:
    cache.source("db", open=open_blocking)
    return cache.source("db", open=open_blocking)


def opener(value: Any, **options: Any) -> Declare:
    return lambda cache: cache.source("db", open=value, **options)


def tag(*arguments: Any) -> Declare:
    return lambda cache: cache.tag(*arguments)


def tag_with_other_types(cache: Cache) -> Any:
    cache.tag("products", int)
    return cache.tag("products", str)


tenant: ContextVar[str] = ContextVar("tenant")

MISTAKES: list[tuple[str, Declare, str]] = [
    # what is wrong | how | what the message says
    ("self in no part of the key", self_undeclared, r"instance.*ignore=\['self'\].*vary=lambda self"),
    ("classmethod below", classmethod_below, r"a classmethod cannot be cached. Cache a function"),
    ("staticmethod below", staticmethod_below, r"put @staticmethod above @cache.read"),
    ("classmethod", classmethod_above, r"a classmethod cannot be cached. Cache a function"),
    ("property", property_below, r"a property cannot be cached; cache a method"),
    ("a class", decorated(Session), r"a class cannot be cached"),
    ("a partial", decorated(functools.partial(product, 1)), r"not a partial; wrap it in one"),
    ("a lambda in a list", decorated([product]), r"not a list"),
    ("one name twice", declared_twice, r"'product' is declared already .* another name"),
    ("one function twice", decorated_twice, r"cached already"),
    ("a generator", decorated(generator), r"used up by its first reader; return a list"),
    ("an async generator", decorated(async_generator), r"used up by its first reader; return a list"),
    ("-> Iterator", decorated(returns_iterator), r"read only once: return a list"),
    ("-> Awaitable", decorated(returns_awaitable), r"Write `async def`"),
    ("-> Response", decorated(returns_response), r"web response.*build the response outside"),
    ("-> ORM object", decorated(returns_row), r"ORM object.*msgspec.Struct, dataclass"),
    ("-> None", decorated(returns_nothing), r"no value"),
    ("-> a file", decorated(returns_file), r"return its content"),
    ("no return annotation", decorated(returns_unannotated), r"return annotation"),
    ("an annotation for checkers only", decorated(returns_unresolved), r"'OnlyForCheckers'.*TYPE_CHECKING"),
    (
        "a session without source",
        decorated(takes_session),
        r"'session' cannot be part of the key.*source= and",
    ),
    ("a session in second place", sourced(takes_session_second), r"'session' cannot .* put it first"),
    ("an iterator", decorated(takes_iterator), r"'ids' cannot.*pass a list"),
    ("a function", decorated(takes_callable), r"'key' cannot.*ignore=\['key'\]"),
    ("a file", decorated(takes_open_file), r"'file' cannot"),
    ("a mutable default", decorated(takes_mutable_default), r"'ids' has a list as its default.*tuple"),
    (
        "a default without encoding",
        decorated(takes_unencodable_default),
        r"default of parameter 'key'.*object",
    ),
    ("a reserved name", decorated(takes_reserved), r"'_slow'.*rename it"),
    ("a numbered reserved name", decorated(takes_numbered), r"'_k0'.*rename it"),
    (
        "source and no parameter",
        sourced(takes_nothing),
        r"the first parameter receives the source's resource",
    ),
    ("source is its opener", decorated(product, source=open_blocking), r"what cache.source\(…\) returned"),
    ("async source, def", sourced(with_session, open_async), r"is a `def`, but source 'db' opens an async"),
    (
        "async source in a partial, def",
        sourced(with_session, functools.partial(open_async)),
        r"opens an async",
    ),
    ("resource in ignore", sourced(with_session, ignore=["session"]), r"'session' is the source's resource"),
    ("unknown ignore", decorated(product, ignore=["locale"]), r"ignore= names locale.*product_id"),
    ("ignore as a string", decorated(product, ignore="product_id"), r"a list of parameter names"),
    ("ignore of no names", decorated(product, ignore=[1]), r"a list of parameter names"),
    ("ignore=True", decorated(product, ignore=True), r"a list of parameter names"),
    ("tags of another parameter", decorated(product, tags=lambda locale: []), r"'locale'.*product_id"),
    ("tags with *", decorated(product, tags=lambda *a: []), r"must name the parameters"),
    ("tags as a coroutine", decorated(product, tags=async_tags), r"nothing awaits it"),
    ("tags as a string", decorated(product, tags="products"), r"a str where a list of tags"),
    ("tags as a number", decorated(product, tags=42), r"a int where a list of tags"),
    ("tags of strings", decorated(product, tags=["products:1"]), r"a str, not a tag"),
    ("a tag of another cache", tag_of_another_cache, r"namespace 'other'; this cache is 'shop'"),
    ("a family as tags", tag_family_as_tags, r"tags=lambda id: \[products\(id\)\]"),
    ("a family in tags", tag_family_in_tags, r"call it, such as products\(42\)"),
    ("a family as value_tags", tag_family_as_value_tags, r"value_tags=lambda value: \[products"),
    ("one tag as tags", one_tag_as_tags, r"write \[products\(42\)\]"),
    ("value_tags of an argument", decorated(product, value_tags=lambda v, locale: []), r"receives the value"),
    (
        "value_tags of nothing",
        decorated(product, value_tags=takes_nothing),
        r"receives the value as its first",
    ),
    ("value_tags as a list", decorated(product, value_tags=[]), r"a function of the value, not a list"),
    ("value_tags as a coroutine", decorated(product, value_tags=async_tags), r"nothing awaits it"),
    ("vary by a name", decorated(product, vary="tenant"), r"context variables and functions, not a str"),
    ("vary by names", decorated(product, vary=["product_id"]), r"part of the key already"),
    ("vary by a number", decorated(product, vary=42), r"not a int"),
    ("vary by another parameter", decorated(product, vary=lambda tenant: tenant), r"'tenant'.*product_id"),
    ("vary by a coroutine", decorated(product, vary=[tenant, product_async]), r"nothing awaits it"),
    ("no arguments", without_arguments, r'@cache.read\("product", Contract\(ttl="60s"\)\)'),
    ("no contract", without_contract, r'Contract\(ttl="60s"\)'),
    ("a ttl for a contract", ttl_as_contract, r"Contract\(ttl=.*not a str"),
    (
        "a ttl beside the contract",
        ttl_as_option,
        r"no ttl=, grace=: .*@cache.read\('product', Contract\(ttl=",
    ),
    ("an option of another name", unknown_option, r"no sources=; .* it takes source=, tags=, .*heat=\."),
    ("no name", without_name, r"needs a name"),
    ("the name of inline reads", inline_name, r"call the endpoint something else"),
    ("version as a float", decorated(product, version=1.5), r"version= must be a whole number or a string"),
    ("version as a bool", decorated(product, version=True), r"version= must be"),
    ("max_tags of one", decorated(product, max_tags=1), r"at least 2"),
    ("max_tags as a bool", decorated(product, max_tags=True), r"whole number"),
    ("batch of the other colour", batch_of(async_batch), r"batch loader must be a `def`"),
    ("batch with a resource", batch_of(batch_with_session), r"must take \(keys\)"),
    ("batch without keys", batch_of(takes_nothing), r"must take \(keys\)"),
    ("two batch loaders", two_batches, r"a batch loader already"),
    ("one source twice", source_twice, r"'db' is declared already"),
    ("no opener", opener(None), r"open= is missing"),
    ("an open resource", opener(io.BytesIO()), r"all loads would share"),
    ("an opener that is a coroutine", opener(open_coroutine), r"@asynccontextmanager"),
    ("an opener that is a generator", opener(open_generator), r"put @contextmanager above"),
    ("an opener that is an async generator", opener(open_async_generator), r"put @asynccontextmanager above"),
    ("an opener that is a number", opener(42), r"open= must be a function"),
    ("no limit", opener(open_blocking, limit=0), r"at least 1"),
    ("a limit that is a bool", opener(open_blocking, limit=True), r"whole number"),
    ("no timeout", opener(open_blocking, timeout=0), r"above zero"),
    ("a tag without a name", tag(""), r"needs a name"),
    ("a tag of an example", tag("products", 42), r"not a class"),
    ("a tag of a union", tag("products", int | None), r"not a class"),
    ("a tag of a file", tag("files", io.BytesIO), r"cannot be part of a tag"),
    ("the tag of everything", tag("*"), r"means everything"),
    ("one tag of two types", tag_with_other_types, r"declared already.*products\(int\)"),
]


@pytest.mark.parametrize(("declare", "says"), [pytest.param(d, s, id=name) for name, d, s in MISTAKES])
def test_a_mistake_is_an_error_at_its_declaration(declare: Declare, says: str) -> None:
    """A declaration that cannot work is refused, with a message that says what to write instead."""
    with pytest.raises(DeclarationError) as caught:
        declare(Cache(namespace="shop"))
    message = str(caught.value)
    assert re.search(says, message), message
    assert "0x" not in message, "an object's address tells nobody anything"


@pytest.mark.parametrize(("declare", "says"), [pytest.param(d, s, id=name) for name, d, s in MISTAKES])
def test_a_refused_endpoint_leaves_its_name_free(declare: Declare, says: str) -> None:
    """What was refused is not there: the corrected declaration works in the same process."""
    cache = Cache(namespace="shop")
    with pytest.raises(DeclarationError):
        declare(cache)
    if not cache.stats().endpoints:
        assert cache.read("product", MINUTE)(product)(1) == 1


OPTIONS: list[tuple[dict[str, Any], str]] = [
    ({"namespace": ""}, r"namespace"),
    ({"namespace": 1}, r"namespace"),
    ({"l1_entries": 0}, r"l1_entries=0"),
    ({"l1_entries": True}, r"l1_entries=True"),
    ({"l1_entries": 1.5}, r"l1_entries=1.5"),
    ({"l1_bytes": "many"}, r"l1_bytes='many' is not a size"),
    ({"load_timeout": "-1s"}, r"'-1s' is not a duration"),
    ({"load_timeout": 0}, r"above zero"),
    ({"commit_timeout": -1}, r"commit_timeout=-1"),
]


@pytest.mark.parametrize(("options", "says"), OPTIONS, ids=str)
def test_a_cache_checks_its_options(options: dict[str, Any], says: str) -> None:
    """An option of `Cache` that cannot work is named in the error."""
    with pytest.raises(DeclarationError, match=says):
        Cache(**options)
