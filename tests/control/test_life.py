"""The life of what looks for changes: begun by the first read, ended by `close`, begun anew in a child."""

from __future__ import annotations

import asyncio
import gc
import json
import threading
import weakref
from pathlib import Path
from typing import Any

import pytest

from cacheaside import Cache, Contract, Forward
from cacheaside.testing.servers import Server
from tests.control.conftest import SECRETS, until
from tests.runtime.test_fork import in_child


def looking() -> list[threading.Thread]:
    return [one for one in threading.enumerate() if one.name == "cacheaside-control"]


def made(cache: Cache) -> Any:
    @cache.read("product", Contract("60s"))
    def product(number: int) -> int:
        return number

    return product


def is_killed(product: Any) -> bool:
    return product.lookup(1).forward is Forward.BYPASS


def test_a_cache_with_nothing_to_follow_has_no_thread() -> None:
    """Neither made, nor read, nor switched: only what others say, or what ends by itself, needs looking at."""
    cache = Cache(namespace="shop")
    product = made(cache)
    product(1)
    cache.control.kill("product")
    cache.control.reset()
    assert not looking()
    cache.control.ramp("product", 5, for_="1ms")
    until(lambda: not is_killed(product) and not looking())  # it ends, and the thread with it
    cache.close()


def test_the_thread_begins_with_the_first_read_and_ends_with_close(tmp_path: Path) -> None:
    """And begins again with the next read after that; what was said stands meanwhile."""
    cache = Cache(namespace="shop", control_file=tmp_path / "control.json")
    product = made(cache)
    assert not looking()
    for _ in range(2):
        product(1)
        assert len(looking()) == 1
        cache.close()
        until(lambda: not looking())
    (tmp_path / "control.json").write_text(json.dumps({"endpoints": {"product": {"kill": True}}}))
    until(lambda: is_killed(product))
    cache.close()
    assert is_killed(product)
    cache.close()


async def test_closing_does_not_hold_up_the_loop(server: Server, namespace: str) -> None:
    """`aclose` ends the thread and the connections; several loops, one after the other, use one cache."""
    cache = Cache(server.url, namespace=namespace, secrets=SECRETS, deadline="5s")

    @cache.read("product", Contract("60s"))
    async def product(number: int) -> int:
        return number

    await product(1)
    assert len(looking()) == 1
    await cache.aclose()
    assert not looking()

    def another_loop() -> int:
        async def read() -> int:
            try:
                return await product(1)
            finally:
                await cache.aclose()

        return asyncio.run(read())

    assert await asyncio.to_thread(another_loop) == 1
    assert not looking()


def test_a_cache_that_is_dropped_takes_its_thread_with_it(tmp_path: Path) -> None:
    """The thread holds it weakly."""
    cache = Cache(namespace="shop", control_file=tmp_path / "control.json")
    made(cache)(1)
    gone = weakref.ref(cache.control)
    del cache
    until(lambda: gc.collect() is not None and gone() is None)
    until(lambda: not looking())


@pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")
def test_a_child_follows_by_itself(server: Server, namespace: str, tmp_path: Path) -> None:
    """After a fork the child is as changed as its parent was, looks with a thread of its own, and hears the fleet; also
    when the parent held the lock."""
    file = tmp_path / "control.json"
    cache = Cache(server.url, namespace=namespace, secrets=SECRETS, deadline="5s", control_file=file)
    product = made(cache)
    product(1)
    cache.control.ramp("product", 0)
    operator = Cache(server.url, namespace=namespace, secrets=SECRETS, deadline="5s")
    made(operator)

    def child() -> None:
        assert is_killed(product)
        assert len(looking()) == 1
        cache.control.reset()
        until(lambda: not is_killed(product))
        file.write_text(json.dumps({"endpoints": {"product": {"kill": True}}}))
        until(lambda: is_killed(product))
        file.unlink()
        until(lambda: not is_killed(product))
        until(lambda: cache.control.state().endpoints["product"].shadow == 1.0)
        cache.close()

    operator.control.fleet.shadow("product", 1)
    held, release = threading.Event(), threading.Event()

    def hold() -> None:
        with cache.control._lock:
            held.set()
            release.wait(60)

    holder = threading.Thread(target=hold)
    holder.start()
    assert held.wait(10)
    try:
        assert in_child(child) == "None"
    finally:
        release.set()
        holder.join(10)
    assert is_killed(product)
    cache.close()
    operator.close()


def test_a_clock_that_jumps_ends_what_ends(tmp_path: Path) -> None:
    """By the clock of the cache: forward, it ends at once; back, it lasts as long as it was to, counted from then."""
    cache = Cache(namespace="shop")
    now = 1000.0
    cache._use_clock(lambda: now)
    product = made(cache)
    cache.control.kill("product", for_="1h")
    assert is_killed(product)
    now += 3601
    until(lambda: not is_killed(product))
    cache.control.kill("product", for_="1h")
    now -= 500
    assert is_killed(product)
    cache.close()
