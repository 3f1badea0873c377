"""Mistakes that no declaration shows: told when they run, and never with a value in the message."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from cacheaside import Cache, CacheasideError, Contract, DeclarationError, UsageError

MINUTE = Contract("60s")

Declare = Callable[[Cache], Any]


@asynccontextmanager
async def open_async() -> AsyncIterator[object]:
    yield object()


def product(product_id: int) -> int:
    return product_id


async def product_async(product_id: int) -> int:
    return product_id


@dataclass
class Unencodable:
    secret: object


def test_a_loader_that_returns_a_coroutine_says_so() -> None:
    """A `def` whose result would have to be awaited is an error at its first load, not a value."""
    cache = Cache(namespace="shop")

    @cache.read("product", MINUTE)
    def product(product_id: int) -> int:
        return product_async(product_id)  # type: ignore[return-value]

    with pytest.raises(UsageError, match=r"is a `def`, but it returned a coroutine. Write `async def`"):
        product(1)


def test_a_source_that_turns_out_to_be_async_says_so() -> None:
    """Where the opener does not tell its colour, the first load of a `def` endpoint does, by name."""
    cache = Cache(namespace="shop")
    db = cache.source("db", open=lambda: open_async())

    @cache.read("product", MINUTE, source=db)
    def product(handle: object, product_id: int) -> int:
        return product_id

    with pytest.raises(UsageError, match=r"product is a `def`, but source 'db' opens an async resource"):
        product(1)


def test_an_opener_that_opens_nothing_says_so() -> None:
    """What `open=` returns has to be a context manager, and the error names its class."""
    cache = Cache(namespace="shop")
    db: Any = cache.source("db", open=lambda: object())  # type: ignore[call-overload]

    @cache.read("product", MINUTE, source=db)
    def product(handle: object, product_id: int) -> int:
        return product_id

    with pytest.raises(DeclarationError, match=r"returned a object, which is not a context manager"):
        product(1)


def open_blocking() -> Any:
    return contextlib.nullcontext("session")


@pytest.mark.parametrize("method", [False, True])
def test_a_forgotten_resource_is_told_by_the_call(method: bool) -> None:
    """With a source the first parameter is the resource: who forgot that is told which one became it."""
    cache = Cache(namespace="shop")
    db = cache.source("db", open=open_blocking)
    if method:

        class Shop:
            @cache.read("product", MINUTE, source=db, ignore=["self"])
            def product(self, product_id: int) -> str:
                return "one"

        product: Any = Shop().product
    else:

        @cache.read("product", MINUTE, source=db)
        def product(product_id: int) -> str:
            return "one"

    assert product() == product() == "one"
    assert str(inspect.signature(product)) == "() -> str"
    for arguments, named in (((42,), {}), ((), {"product_id": 42})):
        with pytest.raises(TypeError) as caught:
            product(*arguments, **named)
        assert str(caught.value) == (
            "product() takes no arguments. It is called as (): its first parameter, 'product_id', receives the "
            "resource of the source. If that was to be an argument, put the resource (a session) before it."
        )
    with pytest.raises(TypeError) as noted:
        product.lookup(42)
    assert "'product_id', receives the resource" in noted.value.__notes__[0]


async def test_too_many_arguments_are_told_of_the_resource() -> None:
    """The other calls of an endpoint with parameters say it in a note; an endpoint without a source has none."""
    cache = Cache(namespace="shop")
    db = cache.source("db", open=open_async)

    @cache.read("product", MINUTE, source=db)
    async def product(handle: object, product_id: int) -> int:
        return product_id

    plain = cache.read("plain", MINUTE)(product_async)
    with pytest.raises(TypeError) as caught:
        await product.invalidate(object(), 42)  # type: ignore[call-arg, arg-type]
    assert caught.value.__notes__[0].startswith(
        "It is called as (product_id: int): its first parameter, 'handle', receives the resource of the source. "
    )
    with pytest.raises(TypeError) as bare:
        await plain.invalidate(1, 2)  # type: ignore[call-arg]
    assert not hasattr(bare.value, "__notes__")


async def test_a_change_is_entered_once() -> None:
    """One bracket is one write: entering it again is an error."""
    cache = Cache(namespace="shop")
    change = cache.changing(cache.tag("products", int)(1))
    async with change:
        pass
    with pytest.raises(UsageError, match="make a new one for each write"):
        async with change:
            raise AssertionError


@pytest.mark.parametrize("error", [KeyError, TypeError, LookupError, ValueError])
@pytest.mark.parametrize("option", ["vary", "tags"])
def test_what_a_function_of_the_user_raises_is_the_callers_to_see(
    error: type[Exception], option: str
) -> None:
    """An exception out of vary= or tags= reaches the caller as it is, before anything is loaded."""
    cache = Cache(namespace="shop")
    raised = error("own")

    def fail(product_id: int) -> Any:
        raise raised

    cached = cache.read("product", MINUTE, **{option: fail})(product)  # type: ignore[call-overload]
    for _ in range(2):
        with pytest.raises(error) as caught:
            cached(1)
        assert caught.value is raised
        assert caught.value.__context__ is None
    assert cache.stats().endpoints["product"].loads == 0


def test_the_log_holds_no_value(caplog: pytest.LogCaptureFixture) -> None:
    """Why a value is not stored is logged once per endpoint, and what the user's own function said is not quoted."""
    cache = Cache(namespace="shop")

    def fail(value: int) -> Any:
        raise ValueError(SECRET)

    cached = cache.read("product", MINUTE, value_tags=fail)(product)
    stored = cache.read("stored", Contract("60s", store=fail))(product)
    for _ in range(2):
        assert (cached(1), stored(1)) == (1, 1)
    assert [record.getMessage() for record in caplog.records] == [
        f"{name}: a value was returned but cannot be stored: value_tags= or store= raised ValueError"
        for name in ("product", "stored")
    ]


SECRET = "correct horse battery staple"


def secret_key(cache: Cache) -> Any:
    endpoint: Any = cache.read("product", MINUTE)(product)
    return endpoint(Unencodable([SECRET, object()]))


def secret_tag(cache: Cache) -> Any:
    return cache.tag("products", int)(SECRET)  # type: ignore[arg-type]


def secret_tags(cache: Cache) -> Any:
    return cache.read("product", MINUTE, tags=lambda product_id: SECRET)(product)(1)  # type: ignore[arg-type, return-value]


def secret_among_tags(cache: Cache) -> Any:
    return cache.read("product", MINUTE, tags=lambda product_id: [SECRET])(product)(1)  # type: ignore[list-item]


def secret_many(cache: Cache) -> Any:
    return cache.read("product", MINUTE)(product).many(SECRET)


def secret_in_many(cache: Cache) -> Any:
    @cache.read("pair", MINUTE)
    def pair(a: int, b: int) -> int:
        return a + b

    return pair.many([SECRET])


def secret_batch(cache: Cache) -> Any:
    endpoint = cache.read("product", MINUTE)(product)
    endpoint.batch(lambda ids: SECRET)
    return endpoint.many([1, 2])


def secret_inline_loader(cache: Cache) -> Any:
    return cache.blocking.get_or_load("key", SECRET, MINUTE)  # type: ignore[arg-type]


SECRETS = [
    secret_key, secret_tag, secret_tags, secret_among_tags, secret_many, secret_in_many, secret_batch,
    secret_inline_loader,
]  # fmt: skip


@pytest.mark.parametrize("mistake", SECRETS)
def test_no_message_holds_a_value(mistake: Declare) -> None:
    """An error names classes, parameters and endpoints; what was passed may be personal, and stays out."""
    with pytest.raises(CacheasideError) as caught:
        mistake(Cache(namespace="shop"))
    assert SECRET not in str(caught.value)
    assert SECRET not in repr(caught.value)
