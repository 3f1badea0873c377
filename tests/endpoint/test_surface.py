"""What tools see of a decorated function: it is still that function, without the resource."""

from __future__ import annotations

import ast
import inspect
import pickle
import traceback
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import fields
from enum import Enum
from typing import Annotated, Any, get_type_hints

import httpx2 as httpx
import msgspec
import pytest
from fastapi import Depends, FastAPI

from cacheaside import Cache, Contract
from cacheaside.endpoint.api import AsyncEndpoint, BlockingEndpoint, Changes
from tests.endpoint.world import World

MINUTE = Contract("60s")
cache = Cache(namespace="surface")


class Locale(Enum):
    EN = "en"
    DE = "de"


class Handle:
    """A resource."""


class Product(msgspec.Struct, frozen=True):
    id: int
    locale: Locale


@asynccontextmanager
async def open_async() -> AsyncIterator[Handle]:
    yield Handle()


@contextmanager
def open_blocking() -> Iterator[Handle]:
    yield Handle()


db = cache.source("db", open=open_async)
blocking_db = cache.source("blocking-db", open=open_blocking)


@cache.read("product", MINUTE, source=db)
async def product(
    handle: Handle, product_id: int, locale: Locale = Locale.EN, *, full: bool = False
) -> Product:
    """One product."""
    return Product(product_id, locale)


@cache.read("blocking", MINUTE, source=blocking_db)
def blocking(handle: Handle, product_id: int, locale: Locale = Locale.EN, *, full: bool = False) -> Product:
    """One product, in sync code."""
    return Product(product_id, locale)


@cache.read("failing", MINUTE)
async def failing(key: int) -> int:
    raise ZeroDivisionError("the loader's own")


@cache.read("failing-blocking", MINUTE)
def failing_blocking(key: int) -> int:
    raise ZeroDivisionError("the loader's own")


class Shop:
    """Cached methods."""

    tenant = 1

    @cache.read("shop-product", MINUTE, source=db, vary=lambda self: self.tenant)
    async def product(self, handle: Handle, product_id: int, locale: Locale = Locale.EN) -> Product:
        """One product of a shop."""
        return Product(product_id * self.tenant, locale)

    @cache.read("shop-price", MINUTE, ignore=["self"])
    def price(self, product_id: int) -> int:
        """Its price."""
        return product_id


@pytest.mark.parametrize("endpoint", [product, blocking])
def test_a_decorated_function_looks_like_itself(endpoint: Any) -> None:
    """Name, docstring, module and source are those of the function that was written."""
    assert endpoint.__name__ in ("product", "blocking")
    assert endpoint.__qualname__ == endpoint.__name__
    assert endpoint.__doc__.startswith("One product")
    assert endpoint.__module__ == __name__
    assert "handle: Handle" in inspect.getsource(endpoint)
    assert inspect.isfunction(endpoint)


def test_the_resource_is_no_parameter() -> None:
    """The signature is what callers write: without the resource, with defaults and resolved annotations."""
    expected = [
        ("product_id", inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.empty, int),
        ("locale", inspect.Parameter.POSITIONAL_OR_KEYWORD, Locale.EN, Locale),
        ("full", inspect.Parameter.KEYWORD_ONLY, False, bool),
    ]
    for endpoint in (product, blocking):
        signature = inspect.signature(endpoint)
        assert [(p.name, p.kind, p.default, p.annotation) for p in signature.parameters.values()] == expected
        assert signature.return_annotation is Product
        assert get_type_hints(endpoint) == {
            "product_id": int, "locale": Locale, "full": bool, "return": Product,
        }  # fmt: skip
    assert list(inspect.signature(Shop().product).parameters) == ["product_id", "locale"]


def test_the_colour_shows() -> None:
    """`inspect.iscoroutinefunction` tells an `async def` endpoint, bound or not, from a `def`."""
    assert inspect.iscoroutinefunction(product)
    assert inspect.iscoroutinefunction(Shop().product)
    assert not inspect.iscoroutinefunction(blocking)
    assert not inspect.iscoroutinefunction(Shop().price)


def test_a_decorated_function_can_be_pickled_by_name() -> None:
    """Task queues send functions by name."""
    assert pickle.loads(pickle.dumps(product)) is product


def test_generated_source_can_be_read() -> None:
    """The generated hit path is in `linecache`, so debuggers and tracebacks show its lines, and it parses."""
    lines, _ = inspect.getsourcelines(product.__code__)  # type: ignore[attr-defined]
    source = "".join(lines)
    ast.parse(source)
    assert source.startswith("async def product(product_id, locale=")


def shown(error: BaseException) -> str:
    return "".join(traceback.format_exception(error))


async def test_a_loaders_error_shows_where_it_comes_from() -> None:
    """The traceback leads through the generated line to the loader's own, with no KeyError in between."""
    for _ in range(2):
        with pytest.raises(ZeroDivisionError) as caught:
            await failing(1)
        assert caught.value.__context__ is None
        assert caught.value.__cause__ is None
        text = shown(caught.value)
        assert "return await _slow((key, ))" in text
        assert 'raise ZeroDivisionError("the loader\'s own")' in text
        assert "KeyError" not in text
        assert "During handling" not in text


def test_a_blocking_loaders_error_shows_where_it_comes_from() -> None:
    """The same in sync code."""
    for _ in range(2):
        with pytest.raises(ZeroDivisionError) as caught:
            failing_blocking(1)
        assert caught.value.__context__ is None
        text = shown(caught.value)
        assert "return _slow((key, ))" in text
        assert 'raise ZeroDivisionError("the loader\'s own")' in text
        assert "KeyError" not in text


def test_a_traceback_does_not_grow_with_each_reader() -> None:
    """One exception that many callers get keeps a traceback of the load, not of all who were told."""
    lengths = set()
    contract = Contract("60s", error_ttl={ZeroDivisionError: "60s"})
    own = Cache()

    @own.read("remembered", contract)
    def remembered(key: int) -> int:
        raise ZeroDivisionError

    for _ in range(20):
        with pytest.raises(ZeroDivisionError) as caught:
            remembered(1)
        lengths.add(len(traceback.extract_tb(caught.value.__traceback__)))
    assert max(lengths) < 20


@pytest.mark.blocks_loop
async def test_endpoints_are_dependencies() -> None:
    """FastAPI takes a cached function or method for a dependency: the request gives parameters, never the resource."""
    app = FastAPI()
    shop = Shop()

    @app.get("/async/{product_id}")
    async def read_async(found: Annotated[Any, Depends(product)]) -> dict[str, Any]:
        return {"id": found.id, "locale": found.locale.value}

    @app.get("/blocking/{product_id}")
    def read_blocking(found: Annotated[Any, Depends(blocking)]) -> dict[str, Any]:
        return {"id": found.id, "locale": found.locale.value}

    @app.get("/method/{product_id}")
    async def read_method(found: Any = Depends(shop.product)) -> dict[str, Any]:  # noqa: B008 FastAPI reads it there
        return {"id": found.id, "locale": found.locale.value}

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://shop") as client:
        for path in ("async", "blocking", "method"):
            for _ in range(2):
                got = await client.get(f"/{path}/42?locale=de")
                assert (got.status_code, got.json()) == (200, {"id": 42, "locale": "de"}), got.text
            assert (await client.get(f"/{path}/x")).status_code == 422
    names = {p["name"] for p in app.openapi()["paths"]["/async/{product_id}"]["get"]["parameters"]}
    assert names == {"product_id", "locale", "full"}


def test_names_of_the_generated_code_are_free_for_functions() -> None:
    """A function may be called like anything that the generated code uses."""
    own = Cache()
    for name in ("_slow", "_entries", "_now", "_k0", "KeyError", "monotonic", "endpoint", "lookup"):
        namespace: dict[str, Any] = {}
        exec(f"def {name}(key: int) -> int:\n    return key", namespace)
        cached = own.read(f"named {name}", MINUTE)(namespace[name])
        assert [cached(1), cached(1), cached(2)] == [1, 1, 2]
        assert cached.__name__ == name
    nameless = own.read("lambda", MINUTE)
    function: Any = lambda key: key  # noqa: E731 a function without a name of its own
    function.__annotations__ = {"key": int, "return": int}
    assert nameless(function)(1) == 1


def test_parameters_named_like_builtins_and_keywords_of_the_library() -> None:
    """A parameter may be called like the function, a builtin or a module of the generated code."""
    own = Cache()

    @own.read("product", MINUTE)
    def product(product: int, KeyError: int = 1, type: str = "a", slow: int = 0, now: int = 0) -> str:
        return f"{product}{KeyError}{type}"

    assert [product(1), product(1, type="b"), product(1)] == ["11a", "11b", "11a"]


async def test_annotations_may_name_what_a_function_defines(world: World) -> None:
    """Classes defined beside the endpoint, in a function or in its class, are found for its annotations."""

    class Local(msgspec.Struct, frozen=True):
        id: int

    class Group:
        class Inner(msgspec.Struct, frozen=True):
            id: int

        @world.cache.read("inner", MINUTE, ignore=["self"])
        def inner(self, key: int) -> Inner:
            return Group.Inner(key)

        @world.cache.read("local", MINUTE, ignore=["self"])
        async def local(self, key: int) -> Local | None:
            return Local(key)

    group = Group()
    assert group.inner(1) == group.inner(1) == Group.Inner(1)
    assert await group.local(1) == await group.local(1) == Local(1)
    assert {e.hits for e in world.cache.stats().endpoints.values()} == {1}


def test_attributes_of_the_function_are_kept() -> None:
    """What another decorator left on the function is on the cached one."""
    own = Cache()

    def marked(key: int) -> int:
        return key

    marked.route = "/product"  # type: ignore[attr-defined]
    assert own.read("marked", MINUTE)(marked).route == "/product"  # type: ignore[attr-defined]


def test_what_type_checkers_are_told_is_there() -> None:
    """Everything that the typed protocols name exists on functions and bound methods, with the same parameters."""
    for protocol, endpoints in (
        (AsyncEndpoint, [product, Shop().product]),
        (BlockingEndpoint, [blocking, Shop().price]),
    ):
        names = [name for name in vars(protocol) if not name.startswith("_")]
        assert set(names) >= {
            "lookup",
            "strong",
            "using",
            "many",
            "batch",
            "invalidate",
            "refresh",
            "purge",
            "key",
        }
        for endpoint in endpoints:
            for name in names:
                assert callable(getattr(endpoint, name)), name
            assert isinstance(endpoint.__name__, str)
            awaited = inspect.iscoroutinefunction(endpoint)
            assert awaited is (protocol is AsyncEndpoint)


def test_using_is_typed_with_every_option_of_a_contract() -> None:
    """An option added to `Contract` is one that `using` must offer to type checkers."""
    assert set(Changes.__annotations__) == {field.name for field in fields(Contract) if field.init}
