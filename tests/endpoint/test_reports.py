"""What the log says of an endpoint: enough to be woken by, not more than a line a minute, and no value."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest

from cacheaside import Contract, LoadTimeout, Overloaded
from cacheaside.testing import faults
from tests.endpoint.world import World

SECRET = "correct horse battery staple"
NEVER = Contract("60s", store=False)


@contextlib.contextmanager
def handle() -> Iterator[None]:
    yield


def messages(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What was logged since the last look."""
    lines = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    caplog.clear()
    return lines


async def ended(world: World, endpoint: Any, failures: int) -> None:
    """Return when that many refreshes have failed."""
    for _ in range(10_000):
        if world.cache.stats().endpoints["product"].refreshes_failed == failures:
            await world.cache.aclose()  # on a thread, it may be counted before it is logged
            return
        await world.pause()
    raise AssertionError("no refresh failed")


async def test_a_failed_refresh_is_logged_once_a_minute(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """While old values are served because their refreshes fail, a line a minute says so, with what was counted."""

    @world.read("product", Contract("60s", grace="1h", jitter=0))
    def product(name: str) -> int:
        if world.t > 1000:
            raise (ConnectionError if world.t < 1065 else OSError)(SECRET)
        return 1

    await world.do(product, SECRET)
    for number, at in enumerate((1061.0, 1063.0, 1070.0, 1121.0), start=1):
        world.t = at
        assert await world.do(product, SECRET) == 1
        await ended(world, product, number)
    said = "product: refreshes behind readers failed, so older values are served: %s since the last such line"
    assert messages(caplog) == [said % "ConnectionError 1", said % "OSError 2, ConnectionError 1"]


async def test_reads_that_the_source_fails_are_logged_once_a_minute(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """Overloaded and LoadTimeout are counted for the log however they are raised, by class."""
    source = world.cache.source("db", open=handle)

    @world.read("product", NEVER, source=source)
    def product(resource: None, name: str) -> int:
        return 1

    said = "product: reads failed for want of an answer from the source: %s since the last such line"
    with faults.overload(source), pytest.raises(Overloaded):
        await world.do(product, SECRET)
    assert messages(caplog) == [said % "Overloaded 1"]
    with faults.time_out(source):
        for ask in (product, product.lookup, product.strong, product.refresh, product.using(grace=0)):
            with pytest.raises(LoadTimeout):
                await world.do(ask, SECRET)
        with pytest.raises(LoadTimeout):
            await world.do(product.many, [SECRET, "b"])
        answers = await world.do(product.many, [SECRET, "b"], return_exceptions=True)
        assert [type(answer) for answer in answers] == [LoadTimeout] * 2
    assert messages(caplog) == []
    world.t += 60
    with faults.overload(source), pytest.raises(Overloaded):
        await world.do(product, SECRET)
    assert messages(caplog) == [said % "LoadTimeout 9, Overloaded 1"]


async def test_a_loaders_own_error_is_its_callers(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """What a loader raises is told to whoever asked, and not to the log too."""

    @world.read("product", NEVER)
    def product(name: str) -> int:
        raise LookupError(SECRET)

    with pytest.raises(LookupError):
        await world.do(product, SECRET)
    assert messages(caplog) == []
