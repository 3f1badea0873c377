"""`get_or_load`: the same promises without a decorator."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from cacheaside import Cache, Contract, DeclarationError, KeyEncodingError, UsageError, values
from cacheaside.endpoint import inline
from cacheaside.values import Codec
from tests.endpoint.world import World

MINUTE = Contract("60s", jitter=0)


class Failed(Exception):
    """The loader's own."""


async def test_a_loader_is_called_once_per_key(world: World) -> None:
    """A key is any value or tuple of values; what it holds is loaded once, whatever loader is given later."""
    loads: list[str] = []

    def loader(name: str) -> Any:
        return lambda: loads.append(name) or name

    for key in ("report", ("report", 1), ("report", "1"), ("report", True), 1, None, ()):
        for _ in range(2):
            assert await world.get_or_load(key, loader(repr(key)), MINUTE) == repr(key)
    assert len(loads) == len(set(loads)) == 7


async def test_contracts_hold_inline_too(world: World) -> None:
    """ttl, invalidation by tag and errors work as for a decorated function."""
    products = world.cache.tag("products", int)
    numbers = iter(range(10))

    async def read() -> Any:
        return await world.get_or_load("key", lambda: next(numbers), MINUTE, tags=[products(1)])

    assert [await read(), await read()] == [0, 0]
    await world.invalidate(products(1))
    assert await read() == 1
    world.t += 60
    assert await read() == 2

    def fail() -> int:
        raise Failed

    for _ in range(2):
        with pytest.raises(Failed):
            await world.get_or_load("failing", fail, MINUTE)
    assert await world.get_or_load("failing", lambda: 1, MINUTE) == 1


async def test_tags_are_those_of_the_call(world: World) -> None:
    """A call that names a tag which the entry was not stored under does not get that entry: a change would miss it."""
    products = world.cache.tag("products", int)
    assert await world.get_or_load("key", lambda: 1, MINUTE) == 1
    assert await world.get_or_load("key", lambda: 2, MINUTE, tags=[products(1)]) == 2
    await world.invalidate(products(1))
    assert await world.get_or_load("key", lambda: 3, MINUTE, tags=[products(1)]) == 3


async def test_a_coroutine_function_or_a_function_that_returns_an_awaitable() -> None:
    """The awaited form takes a loader of either colour."""
    cache = Cache()

    async def load() -> int:
        return 1

    assert await cache.get_or_load("coroutine", load, MINUTE) == 1
    assert await cache.get_or_load("lambda", lambda: load(), MINUTE) == 1
    assert await cache.get_or_load("plain", lambda: 2, MINUTE) == 2


def test_the_blocking_form_refuses_coroutines() -> None:
    """A coroutine would be cached instead of its result; both ways to return one are refused."""
    cache = Cache()

    async def load() -> int:
        return 1

    with pytest.raises(UsageError, match="takes a plain function; await"):
        cache.blocking.get_or_load("key", load, MINUTE)
    with pytest.raises(UsageError, match="returned a coroutine; await"):
        cache.blocking.get_or_load("key", lambda: load(), MINUTE)


async def test_typed_values(world: World) -> None:
    """With type= a value comes back as that type; mutable ones are each reader's own."""
    value = await world.get_or_load("key", lambda: {"a": [1]}, MINUTE, type=dict[str, list[int]])
    value["a"].append(2)
    assert await world.get_or_load("key", dict, MINUTE, type=dict[str, list[int]]) == {"a": [1]}
    untyped = await world.get_or_load("untyped", lambda: {"a": [1]}, MINUTE)
    untyped["a"].append(2)
    assert await world.get_or_load("untyped", dict, MINUTE) == {"a": [1]}


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        (("key", lambda: 1, "60s"), DeclarationError, r"takes a Contract, such as"),
        (("key", 42, MINUTE), UsageError, r"a function that loads the value, not a int"),
        ((object(), lambda: 1, MINUTE), KeyEncodingError, r"object"),
    ],
)
async def test_mistakes(world: World, arguments: Any, error: type[Exception], says: str) -> None:
    """What cannot work is refused before anything is loaded."""
    with pytest.raises(error, match=says):
        await world.get_or_load(*arguments)


async def test_tags_that_are_none(world: World) -> None:
    """tags= takes tags of this cache only."""
    for tags in (["products:1"], [Cache(namespace="other").tag("products", int)(1)], world.cache.tag("a")()):
        with pytest.raises(UsageError, match="get_or_load: tags="):
            await world.get_or_load("key", lambda: 1, MINUTE, tags=tags)


async def test_a_contract_made_at_each_call_is_one_contract(world: World) -> None:
    """Equal contracts are the same one; contracts that differ each time are refused before they fill the memory."""
    for _ in range(300):
        assert await world.get_or_load("key", lambda: 1, Contract("60s", grace="1m")) == 1
    assert len(world.cache.stats().endpoints) == 1

    async def one_contract_each() -> None:
        for _ in range(300):
            await world.get_or_load("key", lambda: 1, Contract("60s", store=lambda value: True))

    with pytest.raises(UsageError, match="Make each contract once"):
        await one_contract_each()


def test_threads_that_meet_at_a_new_contract(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first callers of a contract, at the same moment, agree on one endpoint."""
    cache = Cache()
    made: list[object] = []
    second = threading.Event()

    def codec_for(kind: Any, *, endpoint: str) -> Codec:
        made.append(kind)
        if len(made) == 1:
            second.wait(0.2)  # long enough for the other thread to come here too, if it could
        else:
            second.set()
        return values.codec_for(kind, endpoint=endpoint)

    monkeypatch.setattr(inline, "codec_for", codec_for)
    with ThreadPoolExecutor(2) as pool:
        answers = list(
            pool.map(lambda key: cache.blocking.get_or_load(key, lambda: key, Contract("60s")), (1, 2))
        )
    assert answers == [1, 2]
    assert len(made) == len(cache.stats().endpoints) == 1


async def test_concurrent_callers_share_a_load() -> None:
    """Callers of one key at once wait for one load."""
    cache = Cache()
    loads: list[int] = []
    release = asyncio.Event()

    async def load() -> int:
        loads.append(1)
        await release.wait()
        return 7

    readers = [asyncio.ensure_future(cache.get_or_load("key", load, MINUTE)) for _ in range(50)]
    await asyncio.sleep(0)
    release.set()
    assert await asyncio.gather(*readers) == [7] * 50
    assert loads == [1]
